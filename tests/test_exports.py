"""extractor.graph.exports: each format read back by what reads it elsewhere."""

from __future__ import annotations

import csv
import fcntl
import hashlib
import json
import os
from collections.abc import Iterator
from importlib.resources import files
from pathlib import Path
from typing import Any

import duckdb
import pytest
from hypothesis import given
from hypothesis import strategies as st
from test_graph import SONY, TITLE, outcome, said, write_run
from test_graph_cli import graph as command
from test_graph_store import largest_file

from extractor.brands.registry import load_registry
from extractor.errors import ConfigError, SinkError
from extractor.graph.exports import Neighborhood, export
from extractor.graph.exports.jsonld import nodes
from extractor.graph.exports.neo4j_csv import GUARDED, guarded
from extractor.graph.merge import merge_runs
from extractor.graph.nodes import Node
from extractor.graph.statements import Facts
from extractor.graph.stores.duckdb import DuckDBStore
from extractor.records import Provenance, Statement

PROV = "http://www.w3.org/ns/prov#"
SCHEMA = "https://schema.org/"
FORMULA = "=cmd|' /C calc'!A0 \"quoted\", and tabs"


def same(one: str, other: str) -> Facts:
    """What a matching run says of two listings."""
    evidence = Provenance("m1", one.split(":", 1)[1], "match", None, "GTINs agree", "", "", "matcher")
    statement = Statement(one, "same_as", other, "normal", 0.9, evidence)
    nodes = {name: Node(name, "Product", name) for name in (one, other)}
    return Facts(nodes, {statement.id: statement})


@pytest.fixture
def graph(tmp_path: Path) -> Iterator[DuckDBStore]:
    """Three listings, two of which are one product, of text that every format has to take care of."""
    twin = outcome("x=2", TITLE, feed={"attributes": {"gtin": ["4006381333931"], "note": [FORMULA]}})
    odd = outcome(
        "\x01 <&>",
        "+1 \x0c odd",
        said("brand", "odd", "+1 \x0c odd", "odd\nthings"),
        said("lines", "odd", "+1 \x0c odd", "one\r\ntwo\tthree"),
    )
    with DuckDBStore(tmp_path / "g.duckdb") as store:
        merge_runs([write_run(tmp_path / "run", "r 1", [SONY, twin, odd])], store)
        store.state("m1", {"run_id": "m1"}, same("product:x", "product:x=2"))
        yield store


def test_the_graph_has_what_formats_differ_in(graph: DuckDBStore) -> None:
    assert list(graph.rows("SELECT spu, product FROM members ORDER BY product")) == [
        {"spu": "spu:x", "product": "product:x"},
        {"spu": "spu:x", "product": "product:x=2"},
    ]


def test_parquet_has_all_tables(tmp_path: Path, graph: DuckDBStore) -> None:
    import pyarrow.parquet as pq

    export(graph, "parquet", tmp_path / "out")
    counts = {file.stem: pq.read_metadata(file).num_rows for file in (tmp_path / "out").iterdir()}
    tables = ("nodes", "edges", "statements", "members")
    assert counts == {name: next(graph.rows(f"SELECT count(*) AS n FROM {name}"))["n"] for name in tables}


@pytest.mark.parametrize("name", ["jsonld", "nquads"])
def test_rdf_is_read_back_and_keeps_to_the_shapes(tmp_path: Path, graph: DuckDBStore, name: str) -> None:
    pyshacl = pytest.importorskip("pyshacl")
    import rdflib

    triples = default_graph(graph, tmp_path / "out", name)
    data = rdflib.Graph().parse(data="".join(f"{triple} .\n" for triple in triples), format="nt")
    shapes = (files("extractor.graph.exports") / "shapes.ttl").read_text(encoding="utf-8")
    conforms, _, report = pyshacl.validate(data, shacl_graph=shapes, shacl_graph_format="turtle")
    assert conforms, report
    # The shapes look at something: a product without a name is told.
    data.remove((rdflib.URIRef("urn:extractor:product:x"), rdflib.URIRef(f"{SCHEMA}name"), None))
    assert not pyshacl.validate(data, shacl_graph=shapes, shacl_graph_format="turtle")[0]


def test_nquads_and_jsonld_state_the_same(tmp_path: Path, graph: DuckDBStore) -> None:
    jsonld = default_graph(graph, tmp_path / "g.jsonld", "jsonld")
    nquads = default_graph(graph, tmp_path / "g.nq", "nquads")
    assert named(jsonld) == {
        triple for triple in named(nquads) if "urn:extractor:statement:" not in triple[0]
    } - {triple for triple in named(nquads) if "urn:extractor:run:" in triple[0]}
    gtin = "urn:extractor:product:x%3D2", "https://ref.gs1.org/voc/gtin", '"04006381333931"'
    member = "urn:extractor:product:x%3D2", f"{SCHEMA}model", "<urn:extractor:spu:x>"
    assert {gtin, member} <= named(jsonld)


def test_a_number_with_a_wrong_check_digit_is_no_gtin(tmp_path: Path) -> None:
    numbers = {"gtin": ["4006381333932"], "ean": ["000000000000"], "upc": ["0 12345-67890 5"]}
    with DuckDBStore(tmp_path / "g.duckdb") as store:
        listing = outcome("x", "T", feed={"attributes": numbers})
        merge_runs([write_run(tmp_path / "run", "r 1", [listing])], store)
        (node,) = (node for node in nodes(store) if node["@type"] == "Product")
    assert node["gs1:gtin"] == "00012345678905"


def test_every_statement_has_a_graph_of_its_own_and_its_origin(tmp_path: Path, graph: DuckDBStore) -> None:
    quads = [quad for quad in parsed(graph, tmp_path / "g.nq", "nquads") if str(quad.graph_name) != "DEFAULT"]
    ids = [row["id"] for row in graph.rows("SELECT replace(id::VARCHAR, '-', '') AS id FROM statements")]
    assert sorted(quad.graph_name.value for quad in quads) == [
        f"urn:extractor:statement:{name}" for name in sorted(ids)
    ]
    (brand,) = graph.rows(
        "SELECT replace(id::VARCHAR, '-', '') AS id FROM statements WHERE predicate = 'has_brand' AND source = 'title'"
        " AND product = 'x'"
    )
    about = f"urn:extractor:statement:{brand['id']}"
    origin = {
        (predicate.rpartition(":")[2].rpartition("#")[2], target)
        for subject, predicate, target in named(default_graph(graph, tmp_path / "g2.nq", "nquads"))
        if subject == about
    }
    double, integer = (f"^^<http://www.w3.org/2001/XMLSchema#{name}>" for name in ("double", "integer"))
    assert origin == {
        ("type", f"<{PROV}Entity>"),
        ("wasGeneratedBy", "<urn:extractor:run:r%201>"),
        ("hadPrimarySource", "<urn:extractor:product:x>"),
        ("value", '"SONY"'),
        ("label", '"Sony"'),
        ("source", '"title"'),
        ("rank", '"normal"'),
        ("confidence", f'"0.9"{double}'),
        ("spanStart", f'"0"{integer}'),
        ("spanEnd", f'"4"{integer}'),
        ("prompt", '"attributes@v1"'),
        ("schema", '"electronics.tvs"'),
        ("model", '"embedded"'),
    }


def parsed(graph: DuckDBStore, out: Path, name: str) -> list[Any]:
    import pyoxigraph

    form = {"jsonld": pyoxigraph.RdfFormat.JSON_LD, "nquads": pyoxigraph.RdfFormat.N_QUADS}[name]
    export(graph, name, out)
    return list(pyoxigraph.parse(input=out.read_bytes(), format=form))


def default_graph(graph: DuckDBStore, out: Path, name: str) -> list[Any]:
    import pyoxigraph

    quads = parsed(graph, out, name)
    return [quad.triple for quad in quads if quad.graph_name == pyoxigraph.DefaultGraph()]


def named(triples: list[Any]) -> set[tuple[str, str, str]]:
    """Triples but for those of nodes without a name."""
    texts = [(str(t.subject), t.predicate.value, str(t.object)) for t in triples]
    return {(s[1:-1], p, o) for s, p, o in texts if not s.startswith("_:") and not o.startswith("_:")}


def test_neo4j_csv_has_headers_and_what_the_graph_has(tmp_path: Path, graph: DuckDBStore) -> None:
    export(graph, "neo4j-csv", tmp_path / "out")
    headers = [(tmp_path / "out" / f"{name}-header.csv").read_text() for name in ("nodes", "relationships")]
    assert headers == [
        "id:ID,label,:LABEL,batch\n",
        ":START_ID,:END_ID,:TYPE,id,label,rank,confidence:double,run,product,source,span_start:int,span_end:int,quote,"
        "prompt,schema,model\n",
    ]
    nodes = table(tmp_path / "out", "nodes")
    batch = hashlib.md5(b"spu:x").hexdigest()[:4]
    assert {"id:ID": "spu:x", "label": TITLE, ":LABEL": "Entity;SPU", "batch": batch} in nodes
    lines = (tmp_path / "out" / "relationships.csv").read_text(encoding="utf-8").splitlines()
    assert "product:x,spu:x,member_of,member_of product:x,,,,,,,,,,,," in lines  # no properties
    assert any(line.endswith(',taxonomy,,,"","","",""') for line in lines)  # no span, and empty texts
    relations = table(tmp_path / "out", "relationships")
    ids = {node["id:ID"] for node in nodes}
    assert all({relation[":START_ID"], relation[":END_ID"]} <= ids for relation in relations)
    assert {":TYPE": "member_of", ":START_ID": "product:x", ":END_ID": "spu:x"}.items() <= next(
        relation.items() for relation in relations if relation["id"] == "member_of product:x"
    )
    (count,) = graph.rows("SELECT count(*) AS n FROM statements WHERE rank <> 'deprecated'")
    assert len(relations) == count["n"] + 2
    cells = [cell for row in (*nodes, *relations) for cell in row.values()]
    assert f"'{FORMULA}" in cells and "'+1 \x0c odd" in cells
    assert not [cell for cell in cells if cell[:1] in ("=", "+", "-", "@", "\t", "\r")]


def table(folder: Path, name: str) -> list[dict[str, str]]:
    header = (folder / f"{name}-header.csv").read_text(encoding="utf-8").rstrip().split(",")
    with (folder / f"{name}.csv").open(encoding="utf-8", newline="") as file:
        return [dict(zip(header, row, strict=True)) for row in csv.reader(file)]


@given(st.text(alphabet="'=+-@\t\r\n＝ab") | st.text())
def test_what_a_spreadsheet_would_run_is_guarded_and_can_be_had_back(text: str) -> None:
    sql = f"SELECT {guarded('$1::VARCHAR')}"
    with duckdb.connect() as connection:
        (cell,) = connection.execute(sql, [text]).fetchone() or ()
    assert not cell.startswith(tuple("=+-@\t\r\n＝＋－＠"))
    assert (cell[1:] if GUARDED.match(cell) else cell) == text


def test_graphml_is_a_neighborhood(tmp_path: Path, graph: DuckDBStore) -> None:
    networkx = pytest.importorskip("networkx")

    export(graph, "graphml", tmp_path / "spu.graphml", around=Neighborhood("spu:x"))
    drawn = networkx.read_graphml(tmp_path / "spu.graphml")
    assert dict(drawn.nodes(data=True)) == {
        "spu:x": {"kind": "SPU", "label": TITLE},
        "product:x": {"kind": "Product", "label": TITLE},
        "product:x=2": {"kind": "Product", "label": TITLE},
    }
    assert sorted((one, other, data["predicate"]) for one, other, data in drawn.edges(data=True)) == [
        ("product:x", "product:x=2", "same_as"),
        ("product:x", "spu:x", "member_of"),
        ("product:x=2", "spu:x", "member_of"),
    ]
    export(graph, "graphml", tmp_path / "all.graphml", around=Neighborhood("x", 6))
    labels = dict(networkx.read_graphml(tmp_path / "all.graphml").nodes(data="label"))
    assert FORMULA in labels.values()
    assert labels["product:%01 <&>"] == "+1 \ufffd odd"
    assert labels["value:lines:one\r\ntwo\tthree"] == "one\r\ntwo\tthree"


@pytest.mark.parametrize(
    ("name", "around", "told"),
    [
        ("graphml", None, "give --around ID"),
        ("graphml", Neighborhood("nothing"), "nothing: no such node"),
        ("nquads", Neighborhood("x"), "it is of the whole graph; leave out --around"),
        ("csv", None, "choose one of parquet, neo4j-csv, jsonld, nquads, brands, graphml"),
    ],
)
def test_what_cannot_be_exported(
    tmp_path: Path, graph: DuckDBStore, name: str, around: Neighborhood | None, told: str
) -> None:
    with pytest.raises(ConfigError, match=told):
        export(graph, name, tmp_path / "out", around=around)
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("name", ["parquet", "neo4j-csv", "jsonld", "nquads", "brands", "graphml"])
def test_what_is_there_is_replaced_by_force_only(tmp_path: Path, graph: DuckDBStore, name: str) -> None:
    graph.close()
    arguments = ["export", "--graph", tmp_path / "g.duckdb", "--to", name, "--out", tmp_path / "out"]
    arguments += ["--around", "x"] if name == "graphml" else []
    assert command(*arguments) == (0, f"{tmp_path / 'out'}\n", "")
    code, out, err = command(*arguments)
    assert (code, out, err) == (2, "", f"{tmp_path / 'out'}: is there already; give --force to replace it\n")
    assert command(*arguments, "--force")[0] == 0


def test_a_name_of_two_lines_is_read_back_by_the_registry(tmp_path: Path, graph: DuckDBStore) -> None:
    export(graph, "brands", tmp_path / "brands.jsonl")
    assert "odd things" in {brand.name for brand in load_registry(tmp_path / "brands.jsonl").brands.values()}


def test_out_never_takes_the_place_of_a_graph_or_a_device(tmp_path: Path, graph: DuckDBStore) -> None:
    graph.close()
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "link").symlink_to("g.duckdb")
    for out, told in (
        ("g.duckdb", "is a graph or another database"),
        ("link", "is a graph or another database"),
        ("pipe", "neither a file nor a folder"),
        ("run", "holds something else than such an export"),
        ("nowhere/out", "its folder is not there"),
    ):
        for name in ("jsonld", "parquet"):
            arguments = ["--to", name, "--out", tmp_path / out, "--force"]
            code, _, err = command("export", "--graph", tmp_path / "g.duckdb", *arguments)
            assert (code, told in err, err.count("\n")) == (2, True, 1)
    assert (tmp_path / "pipe").is_fifo()
    assert command("check", "--graph", tmp_path / "g.duckdb")[0] == 0


def test_a_link_stays_one(tmp_path: Path, graph: DuckDBStore) -> None:
    (tmp_path / "latest").symlink_to("today.jsonld")
    for _ in range(2):
        export(graph, "jsonld", tmp_path / "latest", force=True)
    assert (tmp_path / "latest").readlink() == Path("today.jsonld")
    assert (tmp_path / "today.jsonld").is_file()


@pytest.mark.parametrize("name", ["parquet", "neo4j-csv", "jsonld", "nquads", "brands", "graphml"])
def test_on_a_full_disk_the_last_export_stays(tmp_path: Path, graph: DuckDBStore, name: str) -> None:
    around = Neighborhood("x", 6) if name == "graphml" else None
    export(graph, name, tmp_path / "out", around=around)
    before = contents(tmp_path)
    with largest_file(50), pytest.raises(SinkError) as told:
        export(graph, name, tmp_path / "out", force=True, around=around)
    assert str(told.value).startswith(f"{tmp_path / 'out'}")
    assert "same command again" in str(told.value) and "\n" not in str(told.value)
    assert contents(tmp_path) == before


def contents(folder: Path) -> dict[Path, bytes]:
    return {file: file.read_bytes() for file in folder.rglob("*") if file.is_file()}


def test_an_empty_graph_can_be_exported(tmp_path: Path) -> None:
    with DuckDBStore(tmp_path / "g.duckdb") as store:
        for name in ("neo4j-csv", "nquads", "jsonld"):
            export(store, name, tmp_path / name)
    assert (tmp_path / "nquads").read_text() == ""
    assert json.loads((tmp_path / "jsonld").read_text())["@graph"] == []


# ---- what a killed export leaves


@pytest.mark.parametrize("is_moved", [False, True])
def test_what_a_killed_export_left_is_gone_after_the_next(
    tmp_path: Path, graph: DuckDBStore, is_moved: bool
) -> None:
    """It was killed while it wrote, or when it had moved the earlier export out of the way."""
    out, scratch = tmp_path / "out", tmp_path / ".export-out"
    export(graph, "parquet", out)
    earlier = sorted(out.iterdir())
    (scratch / "new").mkdir(parents=True)
    (scratch / "new" / "nodes.parquet").touch()
    if is_moved:
        out.rename(scratch / "old")
    with pytest.raises(ConfigError, match="--force"):
        export(graph, "parquet", out)
    assert (sorted(out.iterdir()), scratch.exists()) == (earlier, False)
    export(graph, "parquet", out, force=True)
    assert (sorted(out.iterdir()), scratch.exists()) == (earlier, False)


def test_a_folder_of_somebody_else_is_in_the_way_of_an_export(tmp_path: Path, graph: DuckDBStore) -> None:
    thesis = tmp_path / ".export-out" / "thesis.txt"
    thesis.parent.mkdir()
    thesis.write_text("years of work")
    with pytest.raises(ConfigError, match="is in the way"):
        export(graph, "parquet", tmp_path / "out")
    assert thesis.read_text() == "years of work"


def test_two_exports_to_one_place_at_once(tmp_path: Path, graph: DuckDBStore) -> None:
    folder = tmp_path / ".export-out"
    folder.mkdir()
    handle = os.open(folder, os.O_RDONLY)
    fcntl.flock(handle, fcntl.LOCK_EX)
    with pytest.raises(SinkError, match="out: another process exports to it"):
        export(graph, "parquet", tmp_path / "out")
    os.close(handle)
