"""Whose a product is, as one Outcome says it: mentions are linked to a registry, the feed is held against the text.

In: what an Outcome says with has_brand, and a Linker or none. Out: the same with the brands that are meant, and

    brand_link     why what was written means that brand, a rule of brands/link.py: "company name: HP Inc."; only with
                   a registry
    sub_brand_of   what the registry has above a brand
    brand_check    agreement, conflict or absent: whether the text bears out the brand that the feed states

All of it has a mention as its origin and belongs to the run: undoing the run, or merging it again with another registry
or with none, takes it back.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise

from extractor.brands.link import Link, Linker, category_names
from extractor.brands.names import is_no_brand, keys
from extractor.brands.registry import Brand
from extractor.graph.nodes import MEANING, Node, Said, slug, value_node
from extractor.records import Outcome, Source, Span

HAS_BRAND = "has_brand"


@dataclass(frozen=True, slots=True)
class _Mention:
    """A brand that the text or the feed names."""

    # As the text writes it, and what the schema makes of that; one name when the feed says it.
    names: tuple[str, ...]
    # With the node that is meant.
    said: Said
    # Why; None without a registry.
    link: Link | None = None


def brand_statements(said: Sequence[Said], outcome: Outcome, linker: Linker | None) -> Iterator[Said]:
    """All there is to say of a product's brand.

    Args:
        said: What the Outcome says with has_brand.
        outcome: Of the product.
        linker: Knows a registry; None: a brand is what it is called.
    """
    mentions = [
        _Mention(tuple(filter(None, (each.provenance.quote, each.target.label))), each)
        for each in said
        if each.provenance.source != "feed" or not is_no_brand(each.target.label)
    ]
    if linker:
        mentions = [_linked(mention, outcome, linker) for mention in mentions]
    for mention in mentions:
        yield mention.said
        if linker and mention.link:
            yield from _why(mention, mention.link, linker)
    yield from _check(mentions, outcome, linker)


def _linked(mention: _Mention, outcome: Outcome, linker: Linker) -> _Mention:
    categories = category_names(outcome.category, tuple(outcome.feed.get("category_path") or ()))
    # The words of the text come first: a schema's synonyms may be broader than the registry.
    links = [linker.link(name, categories) for name in mention.names]
    link = next((link for link in links if link.rule != "new brand"), links[0])
    origin, target = mention.said.provenance, mention.said.target
    node = _known(link.brand) if link.brand else _candidate(target, link, outcome, linker)
    made_by = "+".join(filter(None, (origin.model, linker.registry.id)))
    said = mention.said._replace(target=node, provenance=origin._replace(model=made_by))
    return replace(mention, said=said, link=link)


def _known(brand: Brand) -> Node:
    return Node(f"brand:{brand.id}", "Brand", brand.name)


def _candidate(target: Node, link: Link, outcome: Outcome, linker: Linker) -> Node:
    """A new node; where the registry has its name for something else, the product's vertical keeps them apart."""
    if link.rule == "new brand" and target.id.removeprefix("brand:") not in linker.registry.brands:
        return target
    vertical = slug(outcome.category.path[0], "-") if outcome.category.path else "unknown"
    return target._replace(id=f"{target.id}{MEANING}{vertical}")


def _why(mention: _Mention, link: Link, linker: Linker) -> Iterator[Said]:
    said = mention.said
    target = value_node("brand_link", f"{link.rule}: {mention.names[0]}")
    yield said._replace(predicate="brand_link", target=target)
    if link.brand:
        line = (link.brand, *linker.registry.lineage(link.brand))
        for child, parent in pairwise(map(_known, line)):
            yield said._replace(subject=child, predicate="sub_brand_of", target=parent)


def _check(mentions: Sequence[_Mention], outcome: Outcome, linker: Linker | None) -> Iterator[Said]:
    """Hold the first brand of the feed against the first of the text, or else against the text's words."""
    feed = next((mention for mention in mentions if mention.said.provenance.source == "feed"), None)
    if feed is None:
        return
    places = [Span(*match.span()) for match in _whole_words(feed.names[0]).finditer(outcome.text)]
    text = next((mention for mention in mentions if mention.said.provenance.source != "feed"), None)
    if text:
        agree = _is_same(feed, text, linker) or any(
            _overlap(place, text.said.provenance.span) for place in places
        )
        said, fact = text.said, "agreement" if agree else "conflict"
    elif places:
        said, fact = _placed(feed.said, places[0], outcome), "agreement"
    else:
        said, fact = feed.said, "absent"
    yield said._replace(predicate="brand_check", target=value_node("brand_check", fact))


def _is_same(feed: _Mention, text: _Mention, linker: Linker | None) -> bool:
    """One brand in two spellings, or a brand and its sub-brand."""
    if feed.said.target.id == text.said.target.id:
        return True
    if linker and feed.link and text.link and feed.link.brand and text.link.brand:
        one, other = feed.link.brand, text.link.brand
        return one in linker.registry.lineage(other) or other in linker.registry.lineage(one)
    return keys(feed.names[0]).company in {keys(name).company for name in text.names}


def _placed(said: Said, place: Span, outcome: Outcome) -> Said:
    source: Source = "title" if place.start < len(outcome.title) else "description"
    origin = said.provenance._replace(source=source, span=place, quote=place.slice(outcome.text))
    return said._replace(provenance=origin)


def _whole_words(name: str) -> re.Pattern[str]:
    return re.compile(rf"(?<!\w){re.escape(name)}(?!\w)", re.IGNORECASE)


def _overlap(place: Span, span: Span | None) -> bool:
    return span is not None and place.start < span.end and span.start < place.end
