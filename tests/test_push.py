"""extractor.graph.push: the same rows on real servers, whatever breaks on the way there."""

from __future__ import annotations

import json
import socket
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any
from urllib.parse import quote

import duckdb
import pytest
from servers import PASSWORD, Line, bolt, free_port, postgres, postgres_programs
from shop_graph import matched
from test_graph import SONY, outcome, said, write_run
from test_graph_cli import graph as command

from extractor.errors import ConfigError, ExtractorError, SinkError
from extractor.graph.exports import export
from extractor.graph.merge import merge_runs
from extractor.graph.push import Pushed, hidden, push
from extractor.graph.statements import gathered
from extractor.graph.stores.duckdb import DuckDBStore
from extractor.graph.stores.snapshot import write_snapshot
from extractor.records import Outcome

# Rows of a batch: a small graph has several.
ROWS = 60


@pytest.fixture(scope="module")
def postgres_port() -> Iterator[int]:
    pytest.importorskip("psycopg", reason="the extra 'postgres' is not installed")
    programs = postgres_programs()
    if programs is None:
        pytest.skip("PostgreSQL is not installed: apt-get install postgresql")
    with postgres(programs) as port:
        yield port


@pytest.fixture(scope="module")
def bolt_port(tmp_path_factory: pytest.TempPathFactory) -> Iterator[int]:
    pytest.importorskip("neo4j", reason="the extra 'neo4j' is not installed")
    pytest.importorskip(
        "arcadedb_embedded", reason="no server that speaks Bolt: pip install arcadedb-embedded"
    )
    with bolt(tmp_path_factory.mktemp("bolt")) as port:
        yield port


class Postgres:
    """The one database of a PostgreSQL server, emptied, and what it holds."""

    name = "postgres"

    def __init__(self, port: int) -> None:
        self.port = port
        self.execute("DROP SCHEMA IF EXISTS product_graph CASCADE")

    def url(self, database: str = "postgres", password: str = PASSWORD, port: int = 0) -> str:
        return f"postgresql://loader:{quote(password)}@127.0.0.1:{port or self.port}/{database}"

    def rows(self, sql: str) -> list[Any]:
        import psycopg

        with psycopg.connect(self.url()) as connection:
            return connection.execute(sql).fetchall()

    def execute(self, sql: str) -> None:
        import psycopg

        with psycopg.connect(self.url(), autocommit=True) as connection:
            connection.execute(sql)

    def held(self) -> dict[str, list[Any]]:
        return {name: sorted(self.rows(sql), key=repr) for name, sql in TABLES.items()}

    @staticmethod
    def wanted(graph: DuckDBStore) -> dict[str, list[Any]]:
        return {
            name: sorted(graph.query(sql.replace("product_graph.", ""))[1], key=repr)
            for name, sql in TABLES.items()
        }


TABLES = {
    "nodes": "SELECT id, kind, label FROM product_graph.nodes",
    "members": "SELECT spu, product FROM product_graph.members",
    "runs": "SELECT id, merged_at FROM product_graph.runs",
    "listings": "SELECT run, product, title, content_hash FROM product_graph.listings",
    "statements": (
        "SELECT id, subject, predicate, object, label, rank, confidence, run, product, source, span_start, span_end,"
        " quote, prompt, schema, model, reason FROM product_graph.statements"
    ),
    "edges": "SELECT subject, predicate, object, confidence, statements FROM product_graph.edges",
}


class Bolt:
    """The one database of ArcadeDB's server, emptied, and what it holds."""

    name = "graph"

    def __init__(self, port: int) -> None:
        self.port = port
        self.rows("MATCH (n) DETACH DELETE n")

    def url(
        self, database: str = "graph", password: str = PASSWORD, port: int = 0, scheme: str = "bolt"
    ) -> str:
        return f"{scheme}://root:{quote(password)}@127.0.0.1:{port or self.port}/{database}"

    def rows(self, cypher: str, **parameters: Any) -> list[Any]:
        import neo4j

        with neo4j.GraphDatabase.driver(f"bolt://127.0.0.1:{self.port}", auth=("root", PASSWORD)) as driver:
            found = driver.execute_query(cypher, parameters, database_="graph")
            return [tuple(row.values()) for row in found.records]

    def held(self) -> dict[str, list[Any]]:
        nodes = self.rows("MATCH (n:Entity) RETURN labels(n) AS labels, n.id, n.label")
        relations = self.rows(
            "MATCH (s:Entity)-[r]->(o:Entity) RETURN r.id, s.id, type(r), o.id, r.label, r.rank, r.confidence, r.run,"
            " r.product, r.source, r.span_start, r.span_end, r.quote, r.prompt, r.schema, r.model"
        )
        return {
            "nodes": sorted((*sorted(labels), *rest) for labels, *rest in nodes),
            "relations": sorted(relations, key=repr),
        }

    def load(self, folder: Path) -> None:
        """What `neo4j-admin database import` makes of an export."""
        for row in imported(folder / "nodes"):
            labels = row.pop(":LABEL").replace(";", ":")
            self.rows(f"CREATE (n:{labels}) SET n = $row", row=row)
        for row in imported(folder / "relationships"):
            subject, target, kind = (row.pop(name) for name in (":START_ID", ":END_ID", ":TYPE"))
            self.rows(
                f"MATCH (s {{id: $subject}}) MATCH (o {{id: $target}}) CREATE (s)-[r:{kind}]->(o) SET r = $row",
                **{"subject": subject, "target": target, "row": row},
            )

    @staticmethod
    def wanted(graph: DuckDBStore) -> dict[str, list[Any]]:
        nodes = graph.query("SELECT unnest([kind]), id, label FROM nodes")[1]
        statements = graph.query(
            "SELECT replace(id::VARCHAR, '-', ''), subject, predicate, object, label, rank, confidence, run, product,"
            " source, span_start, span_end, quote, prompt, schema, model FROM statements WHERE rank <> 'deprecated'"
        )[1]
        members = graph.query("SELECT product, spu FROM members")[1]
        belongs = [
            (f"member_of {product}", product, "member_of", spu, *[None] * 12) for product, spu in members
        ]
        return {
            "nodes": sorted((*sorted(("Entity", kind)), *rest) for kind, *rest in nodes),
            "relations": sorted([*statements, *belongs], key=repr),
        }


def imported(stem: Path) -> Iterator[dict[str, Any]]:
    """Rows of a CSV file under the names and in the types of its header; no cell, no property."""
    fields = stem.with_name(f"{stem.name}-header.csv").read_text().rstrip().split(",")
    types = {"double": "DOUBLE", "int": "INTEGER"}
    columns = {name: types.get(name.partition(":")[2], "VARCHAR") for name in fields}
    with duckdb.connect() as connection:
        found = connection.read_csv(
            str(stem.with_suffix(".csv")),
            names=fields,
            dtype=columns,
            header=False,
            na_values="",
            allow_quoted_nulls=False,
        ).fetchall()
    for row in found:
        cells = zip(fields, row, strict=True)
        yield {
            name if name.startswith(":") else name.partition(":")[0]: v for name, v in cells if v is not None
        }


@pytest.fixture(params=["postgres", "bolt"])
def server(request: pytest.FixtureRequest) -> Postgres | Bolt:
    port = request.getfixturevalue(f"{request.param}_port")
    return Postgres(port) if request.param == "postgres" else Bolt(port)


def phones(numbers: Sequence[int], color: str = "black") -> list[Outcome]:
    titles = [f'Acme "phone"\t{number} \U0001f4f1 {color} \\N' for number in numbers]
    return [
        outcome(f"p{number}", title, said("brand", "Acme", title), said("color", color, title))
        for number, title in zip(numbers, titles, strict=True)
    ]


@pytest.fixture
def graph(tmp_path: Path) -> Iterator[DuckDBStore]:
    """Two runs of one listing and of forty."""
    with DuckDBStore(tmp_path / "g.duckdb") as store:
        merge(store, "r1", [SONY])
        merge(store, "r2", phones(range(40)))
        yield store


def merge(store: DuckDBStore, run_id: str, outcomes: Sequence[Outcome]) -> None:
    with tempfile.TemporaryDirectory() as folder:
        merge_runs([write_run(Path(folder), run_id, outcomes)], store)


def test_a_server_says_what_the_graph_says_however_often_it_is_pushed(
    graph: DuckDBStore, server: Postgres | Bolt
) -> None:
    first = push(graph, server.url(), batch_rows=ROWS)
    assert first.changed_batches == first.batches > 10
    assert server.held() == server.wanted(graph)
    assert push(graph, server.url(), batch_rows=ROWS) == Pushed(batches=first.batches)
    assert push(graph, server.url(), batch_rows=10 * ROWS).removed == 0  # cut otherwise: all of it again
    assert server.held() == server.wanted(graph)


def test_what_the_graph_no_longer_says_disappears(graph: DuckDBStore, server: Postgres | Bolt) -> None:
    push(graph, server.url(), batch_rows=ROWS)
    graph.undo("r1")
    merge(graph, "r3", phones(range(35, 42), "purple"))
    assert push(graph, server.url(), batch_rows=ROWS).removed > 10
    assert server.held() == server.wanted(graph)
    graph.undo("r2")
    graph.undo("r3")
    push(graph, server.url(), batch_rows=ROWS)
    assert server.held() == server.wanted(graph)
    assert not any(server.held().values())


def test_a_listing_that_changes_its_spu_leaves_the_old_one(
    graph: DuckDBStore, server: Postgres | Bolt
) -> None:
    for spu in ("p0", "p2"):
        pairs = [("p0", "p1"), ("p2", "p3"), ("p4", spu)]
        graph.state("match", {}, gathered(matched(one, other) for one, other in pairs))
        push(graph, server.url())
        assert {"spu": f"spu:{spu}", "product": "product:p4"} in list(graph.rows("FROM members"))
        assert server.held() == server.wanted(graph)


ODD = (
    "one\ntwo\r\nthree\ttab \\N \\. \\",
    "\x01\x1b[31m \x7f\x80\ufffe\uffff",
    "\u202eשלום العربية 👩‍👩‍👧 \U0010ffff",
    "'; DROP TABLE nodes; -- ` }) DETACH DELETE (n) \" $1 %s {0}",
    "".join(chr(0x4E00 + n % 20_000) for n in range(0, 70_000, 7)),
)


def test_odd_text_arrives_as_it_is(graph: DuckDBStore, server: Postgres | Bolt) -> None:
    merge(
        graph,
        "odd \n 'run'",
        [
            outcome(
                f"{number} {text[:30]}", text, feed={"brand": text, "facts": {"merchant": text, "note": text}}
            )
            for number, text in enumerate(ODD)
        ],
    )
    push(graph, server.url())
    assert server.held() == server.wanted(graph)


@pytest.mark.parametrize("cut_after", [20, 30_000])
def test_a_push_goes_on_after_the_connection_was_cut(
    graph: DuckDBStore, server: Postgres | Bolt, cut_after: int
) -> None:
    with Line(server.port, cut_after=cut_after) as line, pytest.raises(SinkError) as told:
        push(graph, server.url(port=line.port), batch_rows=ROWS)
    assert is_one_line(
        told.value, f"127.0.0.1:{line.port}/{server.name}: ", "run the same command again to go on"
    )
    rest = push(graph, server.url(), batch_rows=ROWS)
    assert rest.changed_batches < rest.batches or cut_after < 30_000
    assert server.held() == server.wanted(graph)


def test_a_silent_server_is_given_up(graph: DuckDBStore, server: Postgres | Bolt) -> None:
    with Line(server.port, silent_after=20_000) as line, pytest.raises(SinkError) as told:
        push(graph, server.url(port=line.port), timeout_s=1.5, batch_rows=ROWS)
    assert is_one_line(
        told.value, ": no answer within 1.5 s (--timeout gives more); ", "run the same command again"
    )
    push(graph, server.url(), batch_rows=ROWS)
    assert server.held() == server.wanted(graph)


@pytest.mark.parametrize("scheme", ["postgresql", "bolt", "neo4j"])
def test_who_answers_the_door_and_says_nothing_is_given_up(graph: DuckDBStore, scheme: str) -> None:
    pytest.importorskip("psycopg")
    pytest.importorskip("neo4j")
    with socket.create_server(("127.0.0.1", 0)) as silent, pytest.raises(SinkError) as told:
        url = f"{scheme}://u:p@127.0.0.1:{silent.getsockname()[1]}/d"
        push(graph, url, timeout_s=2)
    assert is_one_line(told.value, "run the same command again") and "***" not in str(told.value)


def test_a_server_that_is_down(graph: DuckDBStore, server: Postgres | Bolt) -> None:
    with pytest.raises(SinkError) as told:
        push(graph, server.url(port=free_port()))
    assert is_one_line(told.value, "onnection refused", "run the same command again")


def test_who_is_not_let_in_is_told_without_the_password(
    graph: DuckDBStore, server: Postgres | Bolt, monkeypatch: pytest.MonkeyPatch
) -> None:
    wrong = "wr0ng-&-p@ss"
    for url in (
        server.url(password=wrong),
        server.url(database="nowhere"),
        server.url(port=1).replace(":1/", ":x/"),
    ):
        with pytest.raises(ConfigError) as told:
            push(graph, url)
        assert is_one_line(told.value)
        assert not any(
            secret in repr(told.value) for secret in (wrong, PASSWORD, quote(wrong), quote(PASSWORD))
        )
        assert told.value.__suppress_context__
    bare = server.url().replace(f":{quote(PASSWORD)}@", "@")
    monkeypatch.setenv("EXTRACTOR_PUSH_PASSWORD", PASSWORD)
    assert push(graph, bare).sent > 50
    monkeypatch.setenv("EXTRACTOR_PUSH_PASSWORD", wrong)
    with pytest.raises(ConfigError, match="EXTRACTOR_PUSH_PASSWORD"):
        push(graph, bare)


@pytest.mark.parametrize(
    ("password", "text", "shown"),
    [
        ("a&b", "no a&b, no //u:a%26b@h", "no ***, no //u:***@h"),
        ("e", "no e here expired", "no *** here expired"),
        ("", "nothing", "nothing"),
        (None, "nothing", "nothing"),
    ],
)
def test_a_password_is_hidden_and_words_with_it_are_not(password: str | None, text: str, shown: str) -> None:
    assert hidden(text, password) == shown


@pytest.mark.parametrize("url", ["", "g.duckdb", "http://h/x", "postgresql:/x", "mysql://h/d", "http://[::1"])
def test_what_is_no_url_of_a_server(graph: DuckDBStore, url: str) -> None:
    with pytest.raises(ConfigError, match="--to: no URL of a server; it begins with one of postgresql"):
        push(graph, url)


@pytest.mark.parametrize(
    "url", ["postgresql://u:secret@[::1/d", "bolt://u:secret@[::1/d", "bolt://u:secret@h/d?x=secret"]
)
def test_a_url_that_cannot_be_read_is_not_quoted(graph: DuckDBStore, url: str) -> None:
    for driver in ("psycopg", "neo4j"):
        pytest.importorskip(driver)
    with pytest.raises(ConfigError, match=r"--to: no URL of a (server|database); write ") as told:
        push(graph, url)
    assert "secret" not in repr(told.value)


def test_a_snapshot_can_be_pushed(graph: DuckDBStore, postgres_port: int, tmp_path: Path) -> None:
    server = Postgres(postgres_port)
    write_snapshot(graph, tmp_path / "snapshot")
    with DuckDBStore(tmp_path / "snapshot", read_only=True) as snapshot:
        assert push(snapshot, server.url()).sent > 50
    assert push(graph, server.url()).sent == 0
    assert server.held() == server.wanted(graph)


def test_command(graph: DuckDBStore, postgres_port: int, tmp_path: Path) -> None:
    server = Postgres(postgres_port)
    graph.close()
    arguments = ["push", "--graph", tmp_path / "g.duckdb", "--to"]
    code, out, err = command(*arguments, server.url(), "--json")
    pushed = json.loads(out)
    assert (code, err, set(pushed)) == (0, "", {"sent", "removed", "changed_batches", "batches"})
    assert command(*arguments, server.url())[:2] == (
        0,
        "0 of 5 batches were new or changed: 0 rows sent, 0 removed\n",
    )
    code, out, err = command(*arguments, server.url(port=free_port()))
    assert (code, out, err.count("\n"), PASSWORD in err) == (3, "", 1, False)


def test_nothing_but_one_line_is_printed(graph: DuckDBStore, tmp_path: Path) -> None:
    pytest.importorskip("neo4j", reason="the extra 'neo4j' is not installed")
    graph.close()
    url = f"bolt://neo4j:secret@127.0.0.1:{free_port()}"
    command_line = [
        sys.executable,
        "-m",
        "extractor",
        "graph",
        "push",
        "--graph",
        tmp_path / "g.duckdb",
        "--to",
        url,
    ]
    done = subprocess.run(command_line, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout, done.stderr.count("\n")) == (3, "", 1)
    assert done.stderr.startswith("extractor: bolt://127.0.0.1:")
    assert "secret" not in done.stderr


def is_one_line(error: ExtractorError, *parts: str) -> bool:
    return "\n" not in str(error) and all(part in str(error) for part in parts)


# ---- PostgreSQL only


def test_an_older_schema_is_brought_up_to_date_and_keeps_its_rows(
    graph: DuckDBStore, postgres_port: int
) -> None:
    server = Postgres(postgres_port)
    first = push(graph, server.url())
    # As the first version left it.
    server.execute("DROP VIEW product_graph.edges; DELETE FROM product_graph.migrations WHERE number > 1")
    assert push(graph, server.url()) == Pushed(batches=first.batches)
    assert server.held() == server.wanted(graph)
    assert server.rows("SELECT number FROM product_graph.migrations") == [(1,), (2,)]


def test_who_may_not_write_is_told_to_ask_for_it(graph: DuckDBStore, postgres_port: int) -> None:
    server = Postgres(postgres_port)
    server.execute("DROP ROLE IF EXISTS guest; CREATE ROLE guest LOGIN PASSWORD 'guest'")
    with pytest.raises(
        ConfigError, match=r"permission denied for database .*; grant that to the user, or push"
    ):
        push(graph, server.url().replace(f"loader:{quote(PASSWORD)}", "guest:guest"))
    push(graph, server.url())
    assert server.held() == server.wanted(graph)


def test_a_server_without_tls_is_told(graph: DuckDBStore, postgres_port: int) -> None:
    server = Postgres(postgres_port)
    with pytest.raises(
        ConfigError, match="server does not support SSL, but SSL was required; correct the URL"
    ):
        push(graph, f"{server.url()}?sslmode=require")


@pytest.mark.parametrize(
    ("setup", "told"),
    [
        ("CREATE SCHEMA product_graph", "holds something else; give another database"),
        (
            "CREATE SCHEMA product_graph; CREATE TABLE product_graph.migrations AS SELECT 99 AS number",
            "is of a newer version",
        ),
    ],
)
def test_a_schema_that_is_not_ours_is_left_alone(
    graph: DuckDBStore, postgres_port: int, setup: str, told: str
) -> None:
    server = Postgres(postgres_port)
    server.execute(setup)
    with pytest.raises(ConfigError, match=told):
        push(graph, server.url())


def test_one_push_at_a_time(graph: DuckDBStore, postgres_port: int) -> None:
    from extractor.graph.stores.postgres import connect

    server = Postgres(postgres_port)
    with connect(server.url(), 10) as target, pytest.raises(SinkError, match="another push is writing"):
        assert PASSWORD not in repr(target)
        push(graph, server.url())


def test_neo4j_is_asked_again_when_a_connection_breaks(graph: DuckDBStore, bolt_port: int) -> None:
    server = Bolt(bolt_port)
    with Line(server.port, cut_after=20_000, cuts=2) as line:
        push(graph, server.url(port=line.port), batch_rows=ROWS)
    assert server.held() == server.wanted(graph)


def test_a_router_without_tls_is_told(graph: DuckDBStore, bolt_port: int) -> None:
    with pytest.raises(SinkError, match="you have enabled encryption if required"):
        push(graph, Bolt(bolt_port).url(scheme="neo4j+s"))


def test_neo4j_scheme_asks_for_a_route(graph: DuckDBStore, bolt_port: int) -> None:
    server = Bolt(bolt_port)
    push(graph, server.url(scheme="neo4j"))
    assert server.held() == server.wanted(graph)


def test_what_neo4j_admin_imported_is_kept_up_to_date_by_pushes(
    graph: DuckDBStore, bolt_port: int, tmp_path: Path
) -> None:
    server = Bolt(bolt_port)
    export(graph, "neo4j-csv", tmp_path / "out")
    server.load(tmp_path / "out")
    assert server.held() == server.wanted(graph)
    merge(graph, "r3", phones(range(35, 42), "purple"))
    push(graph, server.url())
    assert server.held() == server.wanted(graph)
