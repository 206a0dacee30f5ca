"""`extractor graph assert | retract`: what people say outranks what machines say.

In: command lines. Out: what was said, and how to take it back; errors leave as ExtractorError.
"""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from extractor.cli.graph.shared import GraphFileOption, JsonOption, app, changing, say, say_json

if TYPE_CHECKING:
    from extractor.graph.person import Word

BecauseOption = Annotated[str, typer.Option("--because", metavar="TEXT", help="Why, for those who read it.")]
ByOption = Annotated[str, typer.Option("--by", metavar="NAME", envvar="USER", help="Who says so.")]


@app.command("assert")
def assert_(
    subject: Annotated[str, typer.Argument(metavar="SUBJECT", help="Node id, or a product id.")],
    predicate: Annotated[
        str, typer.Argument(metavar="PREDICATE", help="Relation such as has_brand, same_as, different_from.")
    ],
    target: Annotated[
        str,
        typer.Argument(
            metavar="OBJECT", help='Node id such as "brand:sony", or a name or value such as "65 inch".'
        ),
    ],
    graph: GraphFileOption,
    because: BecauseOption = "",
    by: ByOption = "somebody",
    as_json: JsonOption = False,
) -> None:
    """State that something is so, whatever machines say.

    It comes before all that runs say, later ones too.
    """
    from extractor.graph.person import Speaker, state_fact

    with changing(graph) as store:
        word = state_fact(store, subject, predicate, target, Speaker(by, because))
    _tell("stated", word, graph, as_json)


@app.command()
def retract(
    statement: Annotated[
        list[str], typer.Argument(metavar="STATEMENT_ID | SUBJECT PREDICATE OBJECT", help="What is not so.")
    ],
    graph: GraphFileOption,
    because: BecauseOption = "",
    by: ByOption = "somebody",
    as_json: JsonOption = False,
) -> None:
    """State that something is not so, whoever says it.

    Later runs that say it again are overruled too.
    """
    from extractor.graph.person import Speaker, take_back

    with changing(graph) as store:
        word = take_back(store, tuple(statement), Speaker(by, because))
    _tell("taken back", word, graph, as_json)


def _tell(done: str, word: Word, graph: Path, as_json: bool) -> None:
    if as_json:
        return say_json(asdict(word))
    say(f"{done}: {word.subject} {word.predicate} {word.object}")
    say(f"`extractor graph undo {word.run_id} --graph {graph}` makes it unsaid")
