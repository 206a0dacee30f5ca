"""N-Quads: what the graph holds true in the words of schema.org, and each statement with where it comes from.

In: a graph. Out: one file. The default graph has the triples of the JSON-LD export, and what is said of statements and
runs in the words of PROV-O; the triple of a statement, also of a deprecated one, stands in a graph of its own,
urn:extractor:statement:ID. shapes.ttl, beside this module, says in SHACL what the default graph looks like.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any
from urllib.parse import quote

from extractor.graph.exports.jsonld import TERMS, VOCABULARY, iri, nodes
from extractor.graph.stores.duckdb import DuckDBStore

_RDF_TYPE = "<http://www.w3.org/1999/02/22-rdf-syntax-ns#type>"
_PROV = "http://www.w3.org/ns/prov#"
_OURS = "urn:extractor:vocabulary:"
_XSD = "http://www.w3.org/2001/XMLSchema#"
# N-Quads 1.1, production ECHAR; the other control characters by number.
_ESCAPES = {"\\": "\\\\", '"': '\\"', "\n": "\\n", "\r": "\\r", "\t": "\\t"}
_ESCAPED = re.compile(r'[\\"\x00-\x1f\x7f]')
# Column -> property of a statement, where it is text that is not empty.
_TEXTS = {
    name: f"<{_OURS}{name}>" for name in ("label", "rank", "reason", "source", "prompt", "schema", "model")
}

_STATEMENTS = """
SELECT replace(s.id::VARCHAR, '-', '') AS id, s.* EXCLUDE (id), o.kind AS object_kind, o.label AS text
FROM statements AS s JOIN nodes AS o ON o.id = s.object ORDER BY s.id
"""


def write(graph: DuckDBStore, out: Path) -> None:
    """Write the document to a new file."""
    with out.open("w", encoding="utf-8") as file:
        for number, node in enumerate(nodes(graph)):
            file.writelines(f"{triple} .\n" for triple in _triples(node, f"n{number}"))
        for run in graph.rows("SELECT id, merged_at FROM runs ORDER BY id"):
            file.writelines(f"{triple} .\n" for triple in _run(run))
        for row in graph.rows(_STATEMENTS):
            file.writelines(f"{line} .\n" for line in _statement(row))


def _triples(node: Mapping[str, Any], name: str) -> Iterator[str]:
    """Triples of a JSON-LD node; `name` is for what has no id, as no other node has it."""
    subject = f"<{node['@id']}>" if "@id" in node else f"_:{name}"
    yield f"{subject} {_RDF_TYPE} <{VOCABULARY}{node['@type']}>"
    inner = 0
    for key, values in node.items():
        if key.startswith("@"):
            continue
        for value in values if isinstance(values, list) else [values]:
            if isinstance(value, str):
                yield f"{subject} {_term(key)} {_literal(value)}"
            elif "@type" in value:
                inner += 1
                yield f"{subject} {_term(key)} _:{name}x{inner}"
                yield from _triples(value, f"{name}x{inner}")
            else:
                yield f"{subject} {_term(key)} <{value['@id']}>"


def _run(run: Mapping[str, Any]) -> Iterator[str]:
    subject = _run_iri(run["id"])
    yield f"{subject} {_RDF_TYPE} <{_PROV}Activity>"
    yield f"{subject} <{_OURS}mergedAt> {_literal(run['merged_at'].isoformat() + 'Z', 'dateTime')}"


def _statement(row: Mapping[str, Any]) -> Iterator[str]:
    """Its triple in its own graph, then where that graph comes from."""
    graph = f"<urn:extractor:statement:{row['id']}>"
    target = _literal(row["text"]) if row["object_kind"] == "Value" else f"<{iri(row['object'])}>"
    predicate = f"<urn:extractor:relation:{quote(row['predicate'], safe='')}>"
    yield f"<{iri(row['subject'])}> {predicate} {target} {graph}"
    yield f"{graph} {_RDF_TYPE} <{_PROV}Entity>"
    yield f"{graph} <{_PROV}wasGeneratedBy> {_run_iri(row['run'])}"
    if row["product"]:
        yield f"{graph} <{_PROV}hadPrimarySource> <{iri('product:' + row['product'])}>"
    if row["quote"]:
        yield f"{graph} <{_PROV}value> {_literal(row['quote'])}"
    yield f"{graph} <{_OURS}confidence> {_literal(repr(float(row['confidence'])), 'double')}"
    for column, name in (("span_start", "spanStart"), ("span_end", "spanEnd")):
        if row[column] is not None:
            yield f"{graph} <{_OURS}{name}> {_literal(str(row[column]), 'integer')}"
    for column, term in _TEXTS.items():
        if row[column]:
            yield f"{graph} {term} {_literal(row[column])}"


def _run_iri(run_id: str) -> str:
    return f"<urn:extractor:run:{quote(run_id, safe='')}>"


def _term(key: str) -> str:
    prefix, colon, rest = key.partition(":")
    expanded = TERMS[f"{prefix}:"] + rest if colon else TERMS.get(key, VOCABULARY + key)
    return f"<{expanded}>"


def _literal(text: str, datatype: str = "") -> str:
    escaped = _ESCAPED.sub(lambda found: _ESCAPES.get(found[0]) or f"\\u{ord(found[0]):04X}", text)
    return f'"{escaped}"^^<{_XSD}{datatype}>' if datatype else f'"{escaped}"'
