"""What a person says: that something is so, or that it is not.

In: an open graph and the words of a command line. Out: a run of one statement, source "person"; it outranks what
machines say, now and later (rank.py). Saying it again only makes it the last word; undoing its run takes it back.
"""

from __future__ import annotations

import difflib
import hashlib
from collections.abc import Set
from dataclasses import dataclass
from datetime import UTC, datetime

from extractor.errors import ConfigError
from extractor.graph.find import find_category, find_node, find_statement
from extractor.graph.identity import DIFFERENT, SAME
from extractor.graph.nodes import KINDS, Node, Said
from extractor.graph.rank import ALWAYS_FUNCTIONAL, ASSERT, PERSON, RETRACT
from extractor.graph.schemas import GraphSchemas
from extractor.graph.statements import gathered
from extractor.graph.stores.duckdb import DuckDBStore
from extractor.graph.targets import Targets
from extractor.records import Provenance, clean_text

# Relations whose object people name as they name a category.
_TO_CATEGORIES = frozenset({"in_category", "also_in_category", "subcategory_of"})


@dataclass(frozen=True, slots=True)
class Word:
    """What a person said, as the graph has it."""

    # Of the run that this is; `undo` takes it.
    run_id: str
    # Of the person's own statement.
    statement_id: str
    subject: str
    predicate: str
    object: str


@dataclass(frozen=True, slots=True)
class Speaker:
    """Who says so, and why."""

    name: str
    # In their words; may be empty.
    because: str = ""


def state_fact(
    graph: DuckDBStore,
    subject: str,
    predicate: str,
    target: str,
    speaker: Speaker,
) -> Word:
    """State that something is so.

    Args:
        graph: Open for writing.
        subject: Node id, or a bare product id.
        predicate: A relation type of the graph or of the schemas, SAME or DIFFERENT.
        target: Node id, made when its prefix is that of a kind; or a value in words, such as "65 inches".
        speaker: Whose word it is.

    Raises:
        ConfigError: There is no such subject or predicate, or the target cannot be one.
    """
    head = _node(graph, subject)
    if head.kind == KINDS["spu"]:
        raise ConfigError(
            f"{head.id}: a SPU is made of listings; say it of one that `extractor graph show` lists"
        )
    schemas = graph.schemas()
    _check_predicate(graph, predicate, schemas.relations)
    if predicate in (SAME, DIFFERENT):
        return _say_of_pair(graph, head, predicate, _node(graph, target), speaker)
    tail = _target(graph, head, predicate, target, schemas)
    _check_kind(graph, predicate, tail)
    return _say(graph, ASSERT, head, predicate, tail, speaker)


def take_back(graph: DuckDBStore, named: tuple[str, ...], speaker: Speaker) -> Word:
    """State that something is not so, whoever says it, now or later.

    Args:
        graph: Open for writing.
        named: Id of a statement; or its subject, predicate and object as in `state_fact`.
        speaker: Whose word it is.

    Raises:
        ConfigError: There is no such statement.
    """
    if len(named) == 1:
        found = find_statement(graph, named[0])
        if found is None:
            raise ConfigError(
                f"{named[0]}: no such statement; `extractor graph show ID --json --graph {graph.path}` has their ids"
            )
        triple: tuple[str, str, str] = (found["subject"], found["predicate"], found["object"])
    elif len(named) == 3:
        triple = _stated(graph, *named)
    else:
        raise ConfigError("retract: give the id of a statement, or its subject, predicate and object")
    return _say(graph, RETRACT, _node(graph, triple[0]), triple[1], _node(graph, triple[2]), speaker)


def _stated(graph: DuckDBStore, subject: str, predicate: str, target: str) -> tuple[str, str, str]:
    """The ids of a triple that somebody stated."""
    node = _node(graph, subject)
    # A graph that was not merged again since may have the feed's own words.
    as_written = "SELECT DISTINCT object FROM statements WHERE subject = ? AND predicate = ? AND label = ?"
    written = [row["object"] for row in graph.rows(as_written, [node.id, predicate, target])]
    head, tails = node.id, [*written, f"product:{target}"]
    if not written:
        tails.append(_target(graph, node, predicate, target, graph.schemas()).id)
    for one, other in [(head, tail) for tail in tails] + [(tail, head) for tail in tails]:
        found = graph.rows(
            "SELECT subject, predicate, object FROM statements WHERE subject = ? AND predicate = ? AND object = ?",
            [one, predicate, other],
        )
        for row in found:
            return row["subject"], row["predicate"], row["object"]
    raise ConfigError(
        f"{subject} {predicate} {target}: nobody states that;"
        f" `extractor graph show {subject} --graph {graph.path}` lists what is stated"
    )


def _say_of_pair(graph: DuckDBStore, one: Node, predicate: str, other: Node, speaker: Speaker) -> Word:
    kinds = {one.kind, other.kind}
    if one.id == other.id or kinds != {KINDS["product"]}:
        raise ConfigError(
            f"{one.id} {predicate} {other.id}: is said of two different products; give their ids"
        )
    first, second = sorted((one, other), key=lambda node: node.id)
    return _say(graph, ASSERT, first, predicate, second, speaker)


def _say(graph: DuckDBStore, act: str, head: Node, predicate: str, target: Node, speaker: Speaker) -> Word:
    name, because = (" ".join(clean_text(text).split()) for text in (speaker.name, speaker.because))
    key = repr((act, name, head.id, predicate, target.id))
    run_id = f"{PERSON}-{hashlib.blake2b(key.encode(), digest_size=8).hexdigest()}"
    is_of_listing = head.kind == KINDS["product"] != target.kind
    listing = head.id.removeprefix("product:") if is_of_listing else ""
    origin = Provenance(run_id, listing, "person", None, because, act, "", name)
    facts = gathered([Said(head, predicate, target, 1.0, origin)])
    # To the microsecond: people are fast, and their last word counts.
    created = datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")
    graph.state(
        run_id, {"run_id": run_id, "created": created, "act": act, "by": name, "because": because}, facts
    )
    (statement_id,) = facts.statements
    return Word(run_id, statement_id, head.id, predicate, target.id)


def _check_predicate(graph: DuckDBStore, predicate: str, relations: Set[str]) -> None:
    known = {SAME, DIFFERENT, *relations, *ALWAYS_FUNCTIONAL}
    if predicate in known:
        return
    known |= {row["predicate"] for row in graph.rows("SELECT DISTINCT predicate FROM statements")}
    if predicate not in known:
        similar = difflib.get_close_matches(predicate, sorted(known), n=3, cutoff=0.5) or ["has_brand"]
        raise ConfigError(
            f"{predicate}: no relation of this graph or its schemas; such as {', '.join(similar)}"
        )


def _check_kind(graph: DuckDBStore, predicate: str, target: Node) -> None:
    """What machines relate says what a relation leads to: a category that is a brand helps nobody."""
    found = graph.rows(
        "SELECT o.kind, min(o.id) AS example FROM statements JOIN nodes AS o ON o.id = object"
        " WHERE predicate = ? AND source <> 'person' GROUP BY o.kind ORDER BY o.kind",
        [predicate],
    )
    examples = {row["kind"]: row["example"] for row in found}
    if examples and target.kind not in examples:
        kind, example = next(iter(examples.items()))
        raise ConfigError(
            f"{target.id}: {predicate} leads to nodes of kind {kind}; give the id of one, such as {example}"
        )


def _target(graph: DuckDBStore, head: Node, predicate: str, text: str, schemas: GraphSchemas) -> Node:
    """A node that is there, one with a new id, a category by its name, or the node of a value."""
    for row in graph.rows("SELECT id, kind, label FROM nodes WHERE id = ?", [text]):
        return Node(**row)
    prefix, colon, name = text.partition(":")
    if colon and prefix in KINDS and name:
        if prefix in ("product", "spu"):
            raise ConfigError(f"{text}: no such {KINDS[prefix]}; give one that the graph has")
        return Node(text, KINDS[prefix], name.rpartition(":")[2] if prefix == "value" else name)
    if not text.strip():
        raise ConfigError(f"{predicate}: its value is blank; give a node id or a text")
    if predicate in _TO_CATEGORIES:
        category = find_category(graph, text)
        return Node(category.id, KINDS["category"], category.label)
    targets = Targets(schemas).by_relation(predicate, " ".join(text.split()), _category(graph, head))
    if not targets:
        raise ConfigError(
            f"{predicate} {text}: says that there is no value; give one, or retract what is stated"
        )
    if len(targets) > 1:
        raise ConfigError(f"{predicate} {text}: these are several values; state each by itself")
    return targets[0].node


def _category(graph: DuckDBStore, head: Node) -> str:
    """Id of the category of a listing; empty where it has none."""
    standing = "subject = ? AND predicate = 'in_category' AND rank <> 'deprecated'"
    found = graph.rows(f"SELECT min(object) AS id FROM statements WHERE {standing}", [head.id])
    return str(next(found)["id"] or "").removeprefix("category:")


def _node(graph: DuckDBStore, name: str) -> Node:
    return Node(**find_node(graph, name))
