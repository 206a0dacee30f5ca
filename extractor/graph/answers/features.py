"""Tables of products and their features for a recommendation team: a folder of Parquet files.

In: a graph and a folder. Out, in long form:

    vocabulary.parquet   feature (0, 1, 2 ...), kind, relation, node, label: what each number means
    products.parquet     row (0, 1, 2 ...), product: which product each row is
    attributes.parquet   row, feature, weight: values of attributes, product types and occasions; likewise
    spus.parquet  brands.parquet  categories.parquet (with all that is above)  audiences.parquet

`weight` is the confidence, 0 to 1. Numbers never change their meaning: another run on the same folder gives new
products and features the next numbers, and what vanished from the graph keeps its own, without any rows. Only files
whose content changed are written anew, each whole or not at all and the numbers first, so that a reader meets no
number that has no meaning yet.
"""

from __future__ import annotations

import tempfile
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from extractor.errors import ConfigError
from extractor.graph.answers.attributes import IN_CATEGORY, attribute_relations
from extractor.graph.answers.things import CATEGORY_OF, check_products
from extractor.graph.stores.duckdb import DuckDBStore
from extractor.journal.files import lock, sink_errors
from extractor.outputs import check_output

_VOCABULARY, _PRODUCTS = "vocabulary.parquet", "products.parquet"
# Kind of a feature -> its table.
_TABLES = {
    "attribute": "attributes.parquet",
    "spu": "spus.parquet",
    "brand": "brands.parquet",
    "category": "categories.parquet",
    "audience": "audiences.parquet",
}
_LOCK = ".lock"
FILES = (_VOCABULARY, _PRODUCTS, *_TABLES.values())


@dataclass(frozen=True, slots=True)
class Features:
    """What a run of `features` did."""

    products: int
    features: int
    # Since the last run on this folder.
    new_products: int
    new_features: int
    # Files that were written anew.
    written: tuple[str, ...]

    def to_json(self) -> dict[str, Any]:
        return asdict(self) | {"written": list(self.written)}


def write_features(graph: DuckDBStore, out: Path) -> Features:
    """Write the folder, or bring it up to date.

    Raises:
        ConfigError: `out` holds something else, its folder is not there, or the graph is empty.
        SinkError: It cannot be written, or another process writes it; every file is then the old one or the new one.
    """
    check_products(graph)
    check_output(out)
    _check_ours(out)
    with sink_errors(out):
        out.mkdir(exist_ok=True)
        # Inside, because a rename is atomic only within one file system.
        with (
            (out / _LOCK).open("wb") as file,
            tempfile.TemporaryDirectory(prefix=".new.", dir=out) as scratch,
        ):
            # Two at once would give the same numbers to different things.
            lock(file, f"{out}: another process writes this folder; let it end or choose another --out")
            return _write(graph, out, Path(scratch))


def _write(graph: DuckDBStore, out: Path, new: Path) -> Features:
    before = {name: _rows(graph, out / name) for name in (_VOCABULARY, _PRODUCTS)}
    said = new / "said.parquet"
    graph.copy_to_parquet(_said(attribute_relations(graph)), said)
    graph.copy_to_parquet(_vocabulary(said, out / _VOCABULARY), new / _VOCABULARY)
    graph.copy_to_parquet(_products(out / _PRODUCTS), new / _PRODUCTS)
    for kind, name in _TABLES.items():
        graph.copy_to_parquet(_table(said, new, kind), new / name)
    written = tuple(name for name in FILES if _differ(graph, new / name, out / name))
    for name in written:
        (new / name).replace(out / name)
    after = {name: _rows(graph, out / name) for name in before}
    return Features(
        products=after[_PRODUCTS],
        features=after[_VOCABULARY],
        new_products=after[_PRODUCTS] - before[_PRODUCTS],
        new_features=after[_VOCABULARY] - before[_VOCABULARY],
        written=written,
    )


def _said(relations: list[str]) -> str:
    """Every feature of every product, by names."""
    return f"""
    WITH RECURSIVE above(category, node) AS (
        SELECT DISTINCT category, category FROM ({CATEGORY_OF})
        UNION SELECT category, object FROM above JOIN edges ON subject = node AND predicate = 'subcategory_of'
    ), matched AS (
        SELECT unnest([subject, object]) AS product, confidence FROM edges WHERE predicate = 'same_as'
    )
    SELECT subject AS product, CASE o.kind WHEN 'Brand' THEN 'brand' WHEN 'Audience' THEN 'audience'
        ELSE 'attribute' END AS kind, predicate AS relation, object AS node, confidence AS weight
    FROM edges JOIN nodes AS s ON s.id = subject JOIN nodes AS o ON o.id = object
    WHERE s.kind = 'Product' AND predicate IN ({", ".join(map(_literal, relations)) or "''"})
    UNION ALL SELECT product, 'category', '{IN_CATEGORY}', node, confidence
    FROM ({CATEGORY_OF}) JOIN above USING (category)
    UNION ALL SELECT product, 'spu', 'same_as', spu, max(confidence)
    FROM members JOIN matched USING (product) GROUP BY product, spu
    """


def _vocabulary(said: Path, old: Path) -> str:
    known = _known(old, "feature", ("kind", "relation", "node", "label"))
    return f"""
    WITH known AS ({known}), new AS (
        SELECT kind, relation, node FROM read_parquet({_literal(said)})
        EXCEPT SELECT kind, relation, node FROM known
    )
    SELECT feature, known.kind, relation, node, coalesce(n.label, known.label) AS label
    FROM known LEFT JOIN nodes AS n ON n.id = node
    UNION ALL SELECT {_next("feature", "new.kind, relation, node")}, new.kind, relation, node, n.label
    FROM new JOIN nodes AS n ON n.id = node ORDER BY feature
    """


def _products(old: Path) -> str:
    return f"""
    WITH known AS ({_known(old, "row", ("product",))}), new AS (
        SELECT id AS product FROM nodes WHERE kind = 'Product' EXCEPT SELECT product FROM known
    )
    FROM known UNION ALL SELECT {_next("row", "product")}, product FROM new ORDER BY row
    """


def _known(old: Path, number: str, names: tuple[str, ...]) -> str:
    """What the last run numbered."""
    if old.exists():
        return f"FROM read_parquet({_literal(old)})"
    columns = ", ".join(f"NULL::VARCHAR AS {name}" for name in names)
    return f"SELECT 0::INTEGER AS {number}, {columns} WHERE false"


def _next(number: str, order: str) -> str:
    """The numbers after those that are taken."""
    taken = f"(SELECT coalesce(max({number}), -1) FROM known)"
    return f"({taken} + row_number() OVER (ORDER BY {order}))::INTEGER AS {number}"


def _table(said: Path, new: Path, kind: str) -> str:
    return f"""
    SELECT row, feature, weight::FLOAT AS weight FROM read_parquet({_literal(said)}) AS said
    JOIN read_parquet({_literal(new / _PRODUCTS)}) USING (product)
    JOIN read_parquet({_literal(new / _VOCABULARY)}) USING (kind, relation, node)
    WHERE kind = '{kind}' ORDER BY row, feature
    """


def _differ(graph: DuckDBStore, new: Path, old: Path) -> bool:
    if not old.exists():
        return True
    one, other = (f"FROM read_parquet({_literal(file)})" for file in (new, old))
    more = f"({one} EXCEPT ALL {other}) UNION ALL ({other} EXCEPT ALL {one})"
    return any(row["n"] for row in graph.rows(f"SELECT count(*) AS n FROM ({more})"))


def _rows(graph: DuckDBStore, file: Path) -> int:
    if not file.exists():
        return 0
    return int(next(graph.rows(f"SELECT count(*) AS n FROM read_parquet({_literal(file)})"))["n"])


def _check_ours(out: Path) -> None:
    """Refuse a folder that holds something else than an earlier run's files."""
    import pyarrow.parquet as pq
    from pyarrow import ArrowException

    columns = {_VOCABULARY: ["feature", "kind", "relation", "node", "label"], _PRODUCTS: ["row", "product"]}
    if out.is_file() or (
        out.is_dir() and not {path.name for path in out.iterdir() if path.name[0] != "."} <= {*FILES}
    ):
        raise ConfigError(f"{out}: holds something else than features; give another --out")
    for name in FILES:
        try:
            found = pq.read_schema(out / name).names if (out / name).exists() else None
        except (ArrowException, OSError) as error:
            raise ConfigError(
                f"{out / name}: is no whole Parquet file; put the old one back, or give another --out"
            ) from error
        if found not in (None, columns.get(name, ["row", "feature", "weight"])):
            raise ConfigError(f"{out / name}: has other columns than features have; give another --out")


def _literal(text: object) -> str:
    return "'" + str(text).replace("'", "''") + "'"
