"""extractor.graph.cypher: a local projection answers Cypher, and reaches nothing else."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from test_graph import SONY, outcome, write_run
from test_graph_cli import graph as command

from extractor.errors import ConfigError
from extractor.graph.cypher import ask
from extractor.graph.merge import merge_runs
from extractor.graph.stores.duckdb import DuckDBStore

pytest.importorskip("ladybug", reason="the extra 'cypher' is not installed")

COUNT = "MATCH (p:Product) RETURN count(p) AS n"


@pytest.fixture(scope="module")
def graph(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A graph that nobody changes, so that it is projected once."""
    return made(tmp_path_factory.mktemp("graph"))


def made(folder: Path) -> Path:
    with DuckDBStore(folder / "g.duckdb") as store:
        merge_runs([write_run(folder / "run", "r1", [SONY])], store)
    return folder / "g.duckdb"


@pytest.fixture(scope="module")
def cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("cache")


def test_nodes_are_of_a_kind_and_relations_are_statements(graph: Path, cache: Path) -> None:
    query = (
        "MATCH (p:Product {id: 'product:x'})-[r:has_brand]->(b:Brand)"
        " RETURN b.id AS brand, r.source, r.quote, r.span_end ORDER BY r.source"
    )
    assert ask(graph, query, cache) == (
        ["brand", "r.source", "r.quote", "r.span_end"],
        [["brand:sony", "feed", "", None], ["brand:sony", "title", "SONY", 4]],
    )
    assert ask(graph, "MATCH (c:Category {id: 'category:electronics'}) RETURN c", cache)[1] == [
        [{"_LABEL": "Category", "id": "category:electronics", "label": "Electronics"}]
    ]


def test_the_projection_is_kept_until_the_graph_changes(tmp_path: Path) -> None:
    def files() -> list[Path]:
        return list((tmp_path / "cache").rglob("graph.lbug"))

    graph, cache = made(tmp_path), tmp_path / "cache"
    assert ask(graph, COUNT, cache) == (["n"], [[1]])
    first = files()
    assert (ask(graph, COUNT, cache), files()) == ((["n"], [[1]]), first)
    with DuckDBStore(graph) as store:
        merge_runs([write_run(tmp_path / "run2", "r2", [outcome("y", "Y")])], store)
    assert ask(graph, COUNT, cache) == (["n"], [[2]])
    assert len(files()) == 1 and files() != first


@pytest.mark.parametrize(
    ("query", "told"),
    [
        ("CREATE (p:Product {id: 'z'})", "read-only"),
        ("MATCH (p:Product) SET p.label = 'z'", "read-only"),
        ("COPY (MATCH (p:Product) RETURN p.id) TO '{file}'", "COPY reaches beyond the graph"),
        ("MATCH (p:Product) LOAD FROM '/etc/passwd' (file_format='csv') RETURN *", "LOAD reaches beyond"),
        ("/* harmless */ Install httpfs", "INSTALL reaches beyond"),
        ("EXPORT DATABASE '{file}'", "EXPORT reaches beyond"),
        (f"{COUNT}; {COUNT}", "more than one query"),
        ("MATCH (p:Nothing) RETURN p", "correct the query"),
        ("MATC", "correct the query"),
        ("", "correct the query"),
    ],
)
def test_a_query_reads_the_graph_and_nothing_else(
    graph: Path, cache: Path, tmp_path: Path, query: str, told: str
) -> None:
    file = tmp_path / "leak"
    with pytest.raises(ConfigError, match=told) as error:
        ask(graph, query.replace("{file}", str(file)), cache)
    assert "\n" not in str(error.value)
    assert not file.exists()


def test_words_in_quotes_are_no_commands(graph: Path, cache: Path) -> None:
    assert ask(graph, "RETURN 'load; \"copy\"' AS `use` // install;", cache)[0] == ["use"]


def test_a_query_that_takes_too_long_is_ended(graph: Path, cache: Path) -> None:
    slow = "UNWIND range(1, 20000000) AS a UNWIND range(1, 100) AS b RETURN sum(a * b)"
    with pytest.raises(ConfigError, match=r"no answer within 0\.1 s; ask for less"):
        ask(graph, slow, cache, timeout_s=0.1)


def test_command(graph: Path) -> None:
    assert json.loads(command("cypher", COUNT, "--graph", graph, "--json")[1]) == {
        "columns": ["n"],
        "rows": [[1]],
    }
    assert "Sony" in command("cypher", "MATCH (b:Brand) RETURN b, null", "--graph", graph)[1]
    code, out, err = command("cypher", COUNT, "--graph", graph.with_name("no.duckdb"))
    assert (code, out, err.count("\n")) == (2, "", 1)
