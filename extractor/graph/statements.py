"""An Outcome becomes nodes and statements.

In: an Outcome, the id of its run, where its values lead. Out: ProductFacts. Knows no store and
no files; the same Outcome gives the same facts, whatever else is in the graph.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from itertools import chain, pairwise
from typing import Any

from extractor.brands.link import Linker
from extractor.graph.brands import HAS_BRAND, brand_statements
from extractor.graph.feed_numbers import currency_of
from extractor.graph.nodes import KINDS, Node, Said
from extractor.graph.targets import Targets, stated
from extractor.normalize.blanks import says_nothing
from extractor.records import AttributeValue, Outcome, Provenance, Reason, Source, Span, Statement

# Rejections after which an Outcome says nothing of a product: it is none, or its id is taken.
_NO_PRODUCT = {Reason.UNREADABLE, Reason.DUPLICATE_ID}


@dataclass(frozen=True, slots=True)
class Facts:
    """What a run says that is about no listing alone."""

    # Node id -> node.
    nodes: Mapping[str, Node]
    # Statement id -> statement; both of its ends are among the nodes.
    statements: Mapping[str, Statement]


@dataclass(frozen=True, slots=True)
class ProductFacts:
    """All that one Outcome says."""

    product_id: str
    title: str
    content_hash: str
    # Of its product: node id -> node, the product's own first.
    nodes: Mapping[str, Node]
    # Statement id -> statement; kept, because working out an id is what a merge spends most time on.
    statements: Mapping[str, Statement]
    # Of its categories; one and the same object for many products.
    shared: Facts


def facts_of(
    outcome: Outcome, run_id: str, targets: Targets, linker: Linker | None = None
) -> ProductFacts | None:
    """What an Outcome says; None when it is of no product.

    Args:
        outcome: From the journal.
        run_id: Id of the run that it belongs to.
        targets: Where its values lead, by the schemas of the run.
        linker: Knows which brand a name means; None: a brand is what it is called.
    """
    if any(r.attribute is None and r.reason in _NO_PRODUCT for r in outcome.rejections):
        return None
    product = Node(f"product:{outcome.product_id}", "Product", outcome.title)
    facts = gathered(_said(outcome, product, run_id, targets, linker))
    return ProductFacts(
        outcome.product_id,
        outcome.title,
        outcome.content_hash,
        {product.id: product, **facts.nodes},
        facts.statements,
        _of_categories(
            run_id,
            tuple((c.id, c.path) for c in (outcome.category, *outcome.also)),
            frozenset(_attributes(outcome, targets)),
        ),
    )


def gathered(said: Iterable[Said]) -> Facts:
    """Nodes and statements by id; the first spelling of a node stays, as does the first of two statements."""
    nodes: dict[str, Node] = {}
    statements: dict[str, Statement] = {}
    for each in said:
        nodes.setdefault(each.subject.id, each.subject)
        nodes.setdefault(each.target.id, each.target)
        statement = Statement(
            each.subject.id, each.predicate, each.target.id, "normal", each.confidence, each.provenance
        )
        statements.setdefault(statement.id, statement)
    return Facts(nodes, statements)


def _said(
    outcome: Outcome, product: Node, run_id: str, targets: Targets, linker: Linker | None
) -> Iterator[Said]:
    yield from _categories(outcome, product, run_id)
    brands = []
    for said in _stated(outcome, product, run_id, targets):
        if said.predicate == HAS_BRAND:
            brands.append(said)
        else:
            yield said
    yield from brand_statements(brands, outcome, linker)


def _stated(outcome: Outcome, product: Node, run_id: str, targets: Targets) -> Iterator[Said]:
    """The values of the text, then those of the feed."""
    schema = _schema(outcome)
    for value in outcome.values:
        if target := targets.read(value.attribute, stated(value.canonical, value.unit), schema):
            yield Said(product, *target, value.confidence, _read_from(outcome, run_id, value))
    currency = currency_of(outcome.feed.get("facts") or {})
    for name, texts in _feed_facts(outcome.feed):
        for text in texts:
            for predicate, node in targets.written(name, text, schema, currency):
                origin = _origin(run_id, outcome.product_id, "feed", "" if node.label == text else text)
                yield Said(product, predicate, node, 1.0, origin)


def _schema(outcome: Outcome) -> str:
    """Id of the schema that its values were read by; that of its category where nothing was read."""
    return outcome.made_by.schema or outcome.category.id


def _read_from(outcome: Outcome, run_id: str, value: AttributeValue) -> Provenance:
    made_by = outcome.made_by
    return Provenance(
        run_id,
        outcome.product_id,
        value.source,
        value.span,
        value.span.slice(outcome.text) if value.span else "",
        made_by.prompt,
        made_by.schema,
        made_by.model,
    )


def _categories(outcome: Outcome, product: Node, run_id: str) -> Iterator[Said]:
    """The product's category, and those of a bundle's other parts."""
    origin = _origin(run_id, outcome.product_id, "taxonomy")
    also = [("also_in_category", category) for category in outcome.also]
    for predicate, category in [("in_category", outcome.category), *also]:
        if category.path:
            branch = _branch(category.id, category.path)
            yield Said(product, predicate, branch[-1], category.confidence, origin)


def _attributes(outcome: Outcome, targets: Targets) -> Iterator[str]:
    """Ids of those of the schemas that it states; "Material: N/A" does not."""
    schema = _schema(outcome)
    read = (value.attribute for value in outcome.values)
    written = (
        targets.attribute_of(name)
        for name, texts in _feed_facts(outcome.feed)
        # Of few texts it is to be asked what they state.
        if any(not says_nothing(text) or targets.written(name, text, schema) for text in texts)
    )
    return (name for name in chain(read, written) if name in targets)


@lru_cache(maxsize=16_384)
def _of_categories(
    run_id: str, categories: tuple[tuple[str, tuple[str, ...]], ...], attributes: frozenset[str]
) -> Facts:
    """What a run says once, not once for each product: what lies above categories, and which attributes products have.

    Args:
        run_id: Of the run.
        categories: Id and path; the first is the product's own.
        attributes: Ids of those of the schemas that it states.
    """
    origin = _origin(run_id, "", "taxonomy")
    branches = [_branch(name, path) for name, path in categories if path]
    said = [
        Said(child, "subcategory_of", parent, 1.0, origin)
        for branch in branches
        for parent, child in pairwise(branch)
    ]
    if categories[0][1]:
        said += [
            Said(branches[0][-1], "has_attribute", _attribute_node(name), 1.0, origin)
            for name in sorted(attributes)
        ]
    return gathered(said)


def _attribute_node(name: str) -> Node:
    return Node(f"attribute:{name}", KINDS["attribute"], name.replace("_", " "))


def _branch(category_id: str, path: Sequence[str]) -> list[Node]:
    parts = category_id.split(".")
    if len(parts) != len(path):  # a taxonomy with ids of another form: its ancestors have no known ids
        return [Node(f"category:{category_id}", "Category", path[-1])]
    return [
        Node(f"category:{'.'.join(parts[: depth + 1])}", "Category", name) for depth, name in enumerate(path)
    ]


def _feed_facts(feed: Mapping[str, Any]) -> Iterator[tuple[str, list[str]]]:
    """Attribute name -> texts that are not blank."""
    yield "brand", _texts(feed.get("brand"))
    path = _texts(feed.get("category_path"))
    yield "feed_category", [" > ".join(path)] if path else []
    for group in ("attributes", "facts"):
        for name, value in (feed.get(group) or {}).items():
            yield name, _texts(value)


def _texts(value: Any) -> list[str]:
    values: Iterable[Any] = value if isinstance(value, list | tuple) else [value]
    return [text for v in values if v is not None and (text := " ".join(str(v).split()))]


def _origin(run_id: str, product_id: str, source: Source, quote: str = "") -> Provenance:
    """Origin of what no model read from the text."""
    return Provenance(run_id, product_id, source, None, quote, "", "", "")


def statement_of(row: Mapping[str, Any]) -> Statement:
    """The Statement of a store's row, whose columns are the fields, span as `span_start` and `span_end`."""
    span = None if row["span_start"] is None else Span(row["span_start"], row["span_end"])
    provenance = Provenance(
        row["run"],
        row["product"],
        row["source"],
        span,
        row["quote"],
        row["prompt"],
        row["schema"],
        row["model"],
    )
    return Statement(
        row["subject"], row["predicate"], row["object"], row["rank"], row["confidence"], provenance
    )
