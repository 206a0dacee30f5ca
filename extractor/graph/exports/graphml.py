"""A GraphML file of what is near a node, for tools that draw graphs.

In: a graph and a neighborhood. Out: one file (GraphML 1.0), nodes with kind and label, an edge for what statements
agree on and one from each listing to its SPU. A character that XML cannot hold becomes U+FFFD, in an id its number
(%01).
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any
from xml.sax.saxutils import escape, quoteattr

from extractor.errors import ConfigError
from extractor.graph.exports import Neighborhood
from extractor.graph.find import find_node
from extractor.graph.stores.duckdb import DuckDBStore

# More cannot be drawn.
MAX_NODES = 10_000
# XML 1.0, section 2.2.
_NO_CHARACTER = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
# Key -> what it is of, and its type.
_KEYS = {
    "kind": ("node", "string"),
    "label": ("node", "string"),
    "predicate": ("edge", "string"),
    "confidence": ("edge", "double"),
    "statements": ("edge", "int"),
}
_EDGES = (
    "(SELECT subject, predicate, object, confidence, statements FROM edges"
    " UNION ALL SELECT product, 'member_of', spu, NULL, NULL FROM members)"
)


def write(graph: DuckDBStore, out: Path, around: Neighborhood) -> None:
    """Write the document to a new file.

    Raises:
        ConfigError: There is no such node, or there are more than MAX_NODES near it.
    """
    ids = sorted(_near(graph, around))
    nodes = graph.rows("SELECT id, kind, label FROM nodes WHERE list_contains(?, id) ORDER BY id", [ids])
    edges = graph.rows(
        f"SELECT * FROM {_EDGES} WHERE list_contains(?, subject) AND list_contains(?, object)"
        " ORDER BY subject, predicate, object",
        [ids, ids],
    )
    with out.open("w", encoding="utf-8") as file:
        file.writelines(line + "\n" for line in _document(nodes, edges))


def _near(graph: DuckDBStore, around: Neighborhood) -> set[str]:
    """Ids of the nodes that so many steps lead to."""
    found = {str(find_node(graph, around.node)["id"])}
    last = found
    for _ in range(around.depth):
        ends = graph.rows(
            f"SELECT DISTINCT unnest([subject, object]) AS id FROM {_EDGES}"
            " WHERE list_contains($ids, subject) OR list_contains($ids, object)",
            {"ids": sorted(last)},
        )
        last = {row["id"] for row in ends} - found
        found = found | last
        if len(found) > MAX_NODES:
            raise ConfigError(
                f"--around {around.node}: {len(found):,} nodes are near it, more than {MAX_NODES:,};"
                " lower --depth or choose another node"
            )
    return found


def _document(nodes: Iterable[Mapping[str, Any]], edges: Iterable[Mapping[str, Any]]) -> Iterator[str]:
    yield '<?xml version="1.0" encoding="UTF-8"?>'
    yield '<graphml xmlns="http://graphml.graphdrawing.org/xmlns">'
    for name, (owner, kind) in _KEYS.items():
        yield f'<key id="{name}" for="{owner}" attr.name="{name}" attr.type="{kind}"/>'
    yield '<graph edgedefault="directed">'
    for node in nodes:
        yield f"<node id={_quoted(node['id'])}>{_data('node', node)}</node>"
    for edge in edges:
        ends = f"source={_quoted(edge['subject'])} target={_quoted(edge['object'])}"
        yield f"<edge {ends}>{_data('edge', edge)}</edge>"
    yield "</graph>\n</graphml>"


def _data(owner: str, row: Mapping[str, Any]) -> str:
    names = [name for name, (of, _) in _KEYS.items() if of == owner and row[name] is not None]
    return "".join(f'<data key="{name}">{_text(str(row[name]))}</data>' for name in names)


def _text(text: str) -> str:
    # A bare carriage return is read as a line feed (XML 1.0, section 2.11).
    return escape(_NO_CHARACTER.sub("\ufffd", text), {"\r": "&#13;"})


def _quoted(node_id: str) -> str:
    """An id keeps apart what it names."""
    return quoteattr(_NO_CHARACTER.sub(lambda found: f"%{ord(found[0]):02X}", node_id))
