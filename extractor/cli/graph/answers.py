"""`extractor graph features | compare | insights | coverage | view`: the answers people come for.

In: command lines. Out: results on stdout, notes on stderr; errors leave as ExtractorError.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from extractor.cli.graph.shared import GraphOption, JsonOption, app, note, reading, say, say_json, say_table

if TYPE_CHECKING:
    from extractor.graph.answers.coverage import AttributeCoverage
    from extractor.graph.answers.insights import Insight
    from extractor.graph.answers.said import SaidValue

# Rows of a to-do list that people are shown.
_SHOWN = 40
# Values that are shown of those that go with the best, and of those that do not.
_SHOWN_INSIGHTS = 20
_INSIGHT = ("attribute", "value", "products", "on top", "by chance", "lift", "95 %", "adj. p", "against")
# Values of an attribute that are named in a cell.
_NAMED = 3
# Values of one side of a comparison that people are shown.
_COMPARED = 4
# Characters of a quote or value that are shown.
_CUT = 40

ThingArgument = Annotated[
    str, typer.Argument(metavar="ID", help='SPU or product, such as "spu:bb-1" or "bb-1".')
]


@app.command()
def features(
    graph: GraphOption,
    out: Annotated[Path, typer.Option("--out", metavar="DIR", help="Folder; kept up to date by later runs.")],
    as_json: JsonOption = False,
) -> None:
    """Write tables of products and their features, for a recommender.

    Parquet; `vocabulary` says what each number means, and later runs on the same folder never change that.
    """
    from extractor.graph.answers.features import write_features

    with reading(graph) as store:
        done = write_features(store, out)
    if as_json:
        return say_json(done.to_json())
    say(f"{out}: {done.products:,} products, {done.features:,} features")
    written = ", ".join(done.written) or "nothing"
    note(f"{done.new_products:,} products and {done.new_features:,} features are new; written: {written}")


@app.command()
def compare(
    a: Annotated[str, typer.Argument(metavar="A", help="SPU or product.")],
    b: Annotated[str, typer.Argument(metavar="B", help="SPU or product.")],
    graph: GraphOption,
    as_json: JsonOption = False,
) -> None:
    """Put two products side by side: what differs, what is the same.

    Each is an SPU with all its listings, or one listing.
    """
    from extractor.graph.answers.compare import STATUSES
    from extractor.graph.answers.compare import compare as ask

    with reading(graph) as store:
        compared = ask(store, a, b)
    if as_json:
        return say_json(compared.to_json())
    for name, thing in (("A", compared.a), ("B", compared.b)):
        listings = f", {len(thing.listings)} listings" if thing.kind == "SPU" else ""
        say(f"{name}: {thing.label} ({thing.id}{listings})")
    rows = [(each.attribute, each.status, _cell(each.a), _cell(each.b)) for each in compared.attributes]
    say_table(["attribute", "", "A", "B"], rows)
    say(", ".join(f"{compared.count(status)} {status}" for status in STATUSES))


def _cell(values: Sequence[SaidValue]) -> str:
    more = [f"and {len(values) - _COMPARED:,} more"] if len(values) > _COMPARED else []
    return "\n".join([*map(_with_origin, values[:_COMPARED]), *more])


def _with_origin(value: SaidValue) -> str:
    surest = value.evidence[0]
    words = f' "{_cut(surest.quote)}"' if surest.quote else ""
    return f"{value.label}  ({value.confidence:.2f}, {surest.source}{words})"


def _cut(text: str) -> str:
    return text if len(text) <= _CUT else f"{text[:_CUT]}…"


@app.command()
def insights(
    category: Annotated[str, typer.Option(metavar="C", help="Category, with all that is below it.")],
    metric: Annotated[
        str, typer.Option(metavar="NAME", help="A number in the feed, higher is better: sales.")
    ],
    graph: GraphOption,
    min_support: Annotated[int, typer.Option(min=1, help="Fewest products with a value, and without.")] = 10,
    as_json: JsonOption = False,
) -> None:
    """Say which values go with the products that perform best.

    Compared are similar products, of one category and price band: the best quarter of each group is on top. Where the
    metric is a price, they are of one category. `lift` is how much oftener products with the value are on top than by
    chance; `adj. p` allows for all values that were tested.
    """
    from extractor.graph.answers.insights import insights as ask

    with reading(graph) as store:
        answer = ask(store, category, metric, min_support=min_support)
    if as_json:
        return say_json(answer.to_json())
    if answer.not_enough:
        return say(f"not enough data: {answer.not_enough}")
    for better, title in ((True, "oftener"), (False, "more seldom")):
        if found := answer.found(better=better):
            say(f"{title} among the best by {metric} than by chance:")
            say_table(_INSIGHT, map(_insight_row, found[:_SHOWN_INSIGHTS]))
            if len(found) > _SHOWN_INSIGHTS:
                note(f"the surest {_SHOWN_INSIGHTS} are shown of {len(found):,}; --json prints all")
    if not any(value.found for value in answer.values):
        say(f"no value goes with {metric} beyond chance")
    note(
        f"{answer.products:,} of {answer.carrying:,} products of {answer.category.label} with {metric},"
        f" in {answer.strata:,} groups of similar ones, the best quarter of each on top;"
        f" {len(answer.values):,} values tested, {answer.rare:,} too rare."
        " What goes with it need not cause it."
    )


def _insight_row(value: Insight) -> tuple[str, ...]:
    lift = value.lift
    return (
        *(value.attribute, value.label, f"{lift.products:,}", f"{lift.top:,}", f"{lift.expected:.1f}"),
        *(f"{lift.ratio:.2f}", f"{lift.low:.2f} to {lift.high:.2f}", _p(value.p_adjusted), value.against),
    )


def _p(value: float) -> str:
    return "< 0.001" if value < 0.001 else f"{value:.3f}"


@app.command()
def coverage(
    graph: GraphOption,
    category: Annotated[
        str | None, typer.Option(metavar="C", help="Category, with all that is below it; none: all.")
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """List what to do about attributes: missing, conflicting, new.

    Per category, the most to do first. Unsure: the surest value of a product has a confidence below 0.6. New: the
    schema does not have the value.
    """
    from extractor.graph.answers.coverage import coverage as ask

    with reading(graph) as store:
        found = ask(store, category)
    if as_json:
        return say_json(found.to_json())
    columns = ["category", "attribute", "filled", "of", "conflicting", "unsure", "new values"]
    stated = [row for row in found.attributes if row.filled]
    if stated:
        say_table(columns, map(_coverage_row, stated[:_SHOWN]))
    if len(stated) > _SHOWN:
        note(f"the first {_SHOWN} rows are shown of {len(stated):,}; --json prints all")
    if never := len(found.attributes) - len(stated):
        note(f"{never:,} attributes are stated by no product of their category; --json lists them")
    if found.unknown:
        say("stated, but in no schema of these categories:")
        rows = [
            (each.relation, f"{each.products:,}", _named(each.values, each.distinct))
            for each in found.unknown[:_SHOWN]
        ]
        say_table(["relation", "products", "values"], rows)
        if len(found.unknown) > _SHOWN:
            note(f"the first {_SHOWN} relations are shown of {len(found.unknown):,}; --json prints all")


def _coverage_row(row: AttributeCoverage) -> tuple[str, ...]:
    counts = [f"{count:,}" if count else "" for count in (row.conflicting, row.unsure)]
    where = row.category.removeprefix("category:") or "(no category)"
    return (
        where,
        row.attribute,
        f"{row.share:.0%}",
        f"{row.products:,}",
        *counts,
        _named(row.new_values, len(row.new_values)),
    )


def _named(values: Mapping[str, int], distinct: int) -> str:
    """ "teal 12, mauve 3 and 4 more", of so many different values."""
    named = sorted(values.items(), key=lambda item: (-item[1], item[0]))[:_NAMED]
    rest = f" and {distinct - len(named):,} more" if distinct > len(named) else ""
    return ", ".join(f"{_cut(value)} {count:,}" for value, count in named) + rest


@app.command()
def view(
    name: ThingArgument,
    graph: GraphOption,
    html: Annotated[Path, typer.Option("--html", metavar="FILE", help="The page.")],
) -> None:
    """Write a web page of one product and its competitors.

    An SPU with all its listings, or one listing: values with their evidence, what was decided against, and why.
    """
    from extractor.graph.answers.view import write_view

    with reading(graph) as store:
        say(str(write_view(store, name, html)))
