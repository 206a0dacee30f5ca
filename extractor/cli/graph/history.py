"""`extractor graph history | diff`: how what the graph says came about.

In: command lines. Out: results on stdout; errors leave as ExtractorError.
"""

from __future__ import annotations

from typing import Annotated, Any

import typer

from extractor.cli.graph.shared import (
    GraphOption,
    JsonOption,
    app,
    note,
    reading,
    say,
    say_json,
    say_table,
)

_SAID = ("relation", "value", "source", "confidence", "overruled because")
# Differences that people are shown.
_SHOWN = 100


@app.command()
def history(
    name: Annotated[str, typer.Argument(metavar="ID", help="Node id, product id, or id of a statement.")],
    graph: GraphOption,
    as_json: JsonOption = False,
) -> None:
    """Show what each run said of a node, and what came of it."""
    from extractor.graph.history import history

    with reading(graph) as store:
        found = history(store, name)
    if as_json:
        return say_json(found)
    say(f"{found['label']}\n{found['kind']} {found['id']}")
    for run in found["runs"]:
        mentions = f", {run['mentions']:,} mentions" if run["mentions"] else ""
        say(f"\n{run['run']}, merged {run['merged_at']:%Y-%m-%d %H:%M}{mentions}")
        if run["said"]:
            if found["kind"] == "SPU":
                say_table(["listing", *_SAID], [(s["subject"], *_said_row(s, "object")) for s in run["said"]])
            else:
                say_table(_SAID, [_said_row(statement, "label") for statement in run["said"]])


def _said_row(statement: dict[str, Any], value: str) -> tuple[str, ...]:
    said = (statement["predicate"], statement[value], statement["source"])
    return (*said, f"{statement['confidence']:.2f}", statement["reason"])


@app.command()
def diff(
    run_a: Annotated[str, typer.Argument(metavar="RUN_A", help="Id of a run, as in the table runs.")],
    run_b: Annotated[str, typer.Argument(metavar="RUN_B", help="Id of the run to compare it with.")],
    graph: GraphOption,
    as_json: JsonOption = False,
) -> None:
    """Show what two runs say differently of the same listings."""
    from extractor.graph.history import difference

    with reading(graph) as store:
        found = difference(store, run_a, run_b)
    if as_json:
        return say_json(found)
    listings = found["listings"]
    say(
        f"{listings['both']:,} listings in both, {listings['only_a']:,} in A only, {listings['only_b']:,} in B only"
    )
    rows = [
        (name, *(f"{counts[where]:,}" for where in ("both", "only_a", "only_b")))
        for name, counts in found["relations"].items()
    ]
    say_table(["relation", "both", "A only", "B only"], rows)
    shown = found["changes"][:_SHOWN]
    signs = {run_a: "- A", run_b: "+ B"}
    if shown:
        say_table(
            ["", "subject", "relation", "object", "confidence"],
            [
                (signs[c["run"]], c["subject"], c["predicate"], c["object"], f"{c['confidence']:.2f}")
                for c in shown
            ],
        )
    if len(shown) < len(found["changes"]):
        note(f"{len(shown):,} of {len(found['changes']):,} differences are shown; --json prints all")
