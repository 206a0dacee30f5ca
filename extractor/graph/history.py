"""How what a graph says came about: of one thing over the runs, and between two runs.

In: a graph and ids. Out: plain dicts, for people's view and `--json`. Runs are in the order in which they began; one
of matching, which is dated nowhere, stands where it was merged.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import groupby
from operator import itemgetter
from typing import Any

from extractor.errors import ConfigError
from extractor.graph.find import find_node, find_statement
from extractor.graph.identity import DIFFERENT, SAME
from extractor.graph.nodes import KINDS
from extractor.graph.stores.duckdb import DuckDBStore

_WHEN = """
coalesce(r.manifest->>'created', '') AS created, r.merged_at,
    coalesce(r.manifest->>'created', strftime(r.merged_at, '%Y-%m-%dT%H:%M:%SZ')) AS began
"""
_SAID = f"""
SELECT s.run, {_WHEN}, replace(s.id::VARCHAR, '-', '') AS id, subject, predicate, object, o.label AS label,
    rank, reason, confidence, source, quote, model
FROM statements AS s JOIN runs AS r ON r.id = s.run JOIN nodes AS o ON o.id = s.object
WHERE {{which}} ORDER BY began, s.run, predicate, subject, object, span_start, s.id
"""
_OF_NODE = "subject = $node AND ($predicate IS NULL OR predicate = $predicate)"
# Nothing is said of an SPU itself: which of its listings are the same, and which are not, is its history.
_OF_SPU = f"""
predicate IN ('{SAME}', '{DIFFERENT}') AND $predicate IS NULL
    AND list_has_any([subject, object], (SELECT list(product) FROM members WHERE spu = $node))
"""
_MENTIONS = f"""
SELECT s.run, {_WHEN}, count(*) AS mentions
FROM statements AS s JOIN runs AS r ON r.id = s.run WHERE object = $object GROUP BY ALL
"""
_RUN = ("run", "created", "merged_at", "began")

# What each of two runs says of the listings that both read; all that matches and persons say.
_DIFFERENCE = """
WITH both_read AS (
    SELECT product FROM listings WHERE run = $a INTERSECT SELECT product FROM listings WHERE run = $b
), one AS (
    SELECT subject, predicate, object, max(confidence) AS confidence FROM statements
    WHERE run = $a AND (product IN (FROM both_read) OR source IN ('match', 'person'))
    GROUP BY ALL
), other AS (
    SELECT subject, predicate, object, max(confidence) AS confidence FROM statements
    WHERE run = $b AND (product IN (FROM both_read) OR source IN ('match', 'person'))
    GROUP BY ALL
)
SELECT subject, predicate, object, one.confidence AS before, other.confidence AS now
FROM one FULL JOIN other USING (subject, predicate, object) ORDER BY subject, predicate, object
"""
_READ = """
SELECT count(*) FILTER (a AND b) AS both, count(*) FILTER (NOT b) AS only_a, count(*) FILTER (NOT a) AS only_b
FROM (SELECT bool_or(run = $a) AS a, bool_or(run = $b) AS b FROM listings WHERE run IN ($a, $b) GROUP BY product)
"""


def history(graph: DuckDBStore, name: str) -> dict[str, Any]:
    """What each run said of a node, first to last; of a statement: what was said with its subject and relation.

    Args:
        graph: To read.
        name: Node id, bare product id, or the id of a statement.

    Returns:
        The node's id, kind and label, and `runs`: run, created, merged_at, `said`, and how often others mention it.
        Of an SPU is said what is the same as one of its listings, or different from it.

    Raises:
        ConfigError: There is no such node or statement.
    """
    statement = find_statement(graph, name)
    node = find_node(graph, statement["subject"] if statement else name)
    runs: dict[str, dict[str, Any]] = {}
    asked = {"node": node["id"], "predicate": statement and statement["predicate"]}
    which = _OF_SPU if node["kind"] == KINDS["spu"] else _OF_NODE
    for key, rows in groupby(graph.rows(_SAID.format(which=which), asked), key=itemgetter(*_RUN)):
        said = [{column: value for column, value in row.items() if column not in _RUN} for row in rows]
        runs[key[0]] = {**dict(zip(_RUN, key, strict=True)), "said": said, "mentions": 0}
    for row in () if statement else graph.rows(_MENTIONS, {"object": node["id"]}):
        runs.setdefault(row["run"], {**row, "said": []})["mentions"] = row["mentions"]
    told = sorted(runs.values(), key=itemgetter("began", "run"))
    for run in told:
        del run["began"]
    return {**node, "runs": told}


def difference(graph: DuckDBStore, run_a: str, run_b: str) -> dict[str, Any]:
    """What two runs say differently of the listings that both read.

    Returns:
        `listings`: how many both read, and only one; `relations`: relation -> how many facts both state, only A,
        only B; `changes`: subject, predicate, object and which of the two states it, in order of subjects.

    Raises:
        ConfigError: A run is not in the graph.
    """
    _check_runs(graph, (run_a, run_b))
    asked = {"a": run_a, "b": run_b}
    relations: dict[str, dict[str, int]] = {}
    changes = []
    for row in graph.rows(_DIFFERENCE, asked):
        before, now = row.pop("before"), row.pop("now")
        where = "only_b" if before is None else "only_a" if now is None else "both"
        counts = relations.setdefault(row["predicate"], {"both": 0, "only_a": 0, "only_b": 0})
        counts[where] += 1
        if where != "both":
            changes.append({**row, "run": run_a if now is None else run_b, "confidence": before or now})
    return {
        **{"run_a": run_a, "run_b": run_b, "listings": next(graph.rows(_READ, asked))},
        "relations": dict(sorted(relations.items())),
        "changes": changes,
    }


def _check_runs(graph: DuckDBStore, run_ids: Sequence[str]) -> None:
    known = {row["id"] for row in graph.rows("SELECT id FROM runs")}
    for run_id in run_ids:
        if run_id not in known:
            raise ConfigError(
                f"{run_id}: no such run; `extractor graph query 'SELECT id FROM runs' --graph {graph.path}` lists them"
            )
