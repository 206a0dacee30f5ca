"""What a comparison says, for a terminal: scores, differences, slices, examples, and last the verdict."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from typing import TYPE_CHECKING

from extractor.cli.output import console, harmless

if TYPE_CHECKING:
    from rich.console import RenderableType
    from rich.table import Table

    from extractor.evaluation.compare import Comparison
    from extractor.evaluation.statistics import Difference, Interval
    from extractor.gold import Values

# Slices shown from each end of the list, and changes of each direction; the page has all of them.
SHOWN_SLICES = 5
SHOWN_CHANGES = 5
STYLES = {"fixed": "green", "regressed": "red"}


def show_comparison(comparison: Comparison) -> None:
    """Print it for people."""
    from rich.table import Table

    for part in _parts(comparison):
        console().print(part, soft_wrap=not isinstance(part, Table))


def said(values: Values) -> str:
    """Values as people read them."""
    return harmless(" | ".join(values)) if values else "-"


def table(title: str, *columns: str) -> Table:
    """A table without markup: names and values come from files."""
    from rich.box import SIMPLE_HEAD
    from rich.table import Table
    from rich.text import Text

    made = Table(box=SIMPLE_HEAD, title=Text(title, "bold"), title_justify="left", pad_edge=False)
    for number, column in enumerate(columns):
        made.add_column(Text(column), overflow="fold", no_wrap=number == 0)
    return made


def add_row(to: Table, *cells: str, style: str | None = None) -> None:
    """A row of plain text."""
    from rich.text import Text

    to.add_row(*(Text(harmless(cell)) for cell in cells), style=style)


def _parts(comparison: Comparison) -> Iterator[RenderableType]:
    from rich.text import Text

    yield _scores(comparison)
    if any(part.difference.value for part in comparison.slices):
        yield _slices(comparison)
    yield _changes(comparison) if comparison.changes else "nothing fixed, nothing regressed"
    found = comparison.differences[comparison.protocol]
    yield Text(
        comparison.verdict, "bold green" if found.is_better else "bold red" if found.is_worse else "bold"
    )


def _scores(comparison: Comparison) -> Table:
    a, b = comparison.a, comparison.b
    title = f"{comparison.suite}, {comparison.records} listings; A is {a.label}, B is {b.label}"
    scores = table(title, "F1 (95 %)", "A", "B", "B - A", "p", "detectable")
    for view, found in comparison.differences.items():
        cells = (_interval(a.scores[view]), _interval(b.scores[view]), _difference(found))
        add_row(scores, view, *cells, f"{found.p:.2g}", f"{found.detectable:.1f}")
    for name, of_a, of_b in (
        ("tokens/listing", a.tokens_per_listing, b.tokens_per_listing),
        ("listings/s", a.listings_per_s, b.listings_per_s),
    ):
        if of_a is not None and of_b is not None:
            add_row(scores, name, f"{of_a:.1f}", f"{of_b:.1f}", f"{of_b - of_a:+.1f}", style="dim")
    return scores


def _slices(comparison: Comparison) -> Table:
    """The worst and the best; bold where it is more than chance."""
    moved = [part for part in comparison.slices if part.difference.value]
    every = len(comparison.slices)
    title = f"{len(moved)} of {every} slices moved; p corrected for {every} (Benjamini-Hochberg)"
    slices = table(title, f"{comparison.protocol} F1", "listings", "A", "B", "B - A", "p")
    ends = [*moved[:SHOWN_SLICES], *moved[SHOWN_SLICES:][-SHOWN_SLICES:]]
    for number, part in enumerate(ends):
        if number == SHOWN_SLICES and len(moved) > len(ends):
            add_row(slices, f"... {len(moved) - len(ends)} more ...", style="dim")
        cells = (f"{part.a:.1f}", f"{part.b:.1f}", _difference(part.difference), f"{part.p_adjusted:.2g}")
        style = "bold" if part.is_worse or part.is_better else None
        add_row(slices, f"{part.kind} {part.name}", str(part.records), *cells, style=style)
    return slices


def _changes(comparison: Comparison) -> Table:
    counts = Counter(change.direction for change in comparison.changes)
    title = f"{counts['fixed']} fixed, {counts['regressed']} regressed"
    changes = table(title, "", "listing", "attribute", "A", "B", "gold")
    for direction, style in STYLES.items():
        found = [change for change in comparison.changes if change.direction == direction]
        for change in found[:SHOWN_CHANGES]:
            values = (said(change.a), said(change.b), said(change.gold))
            add_row(changes, direction, change.product_id, change.attribute, *values, style=style)
        if len(found) > SHOWN_CHANGES:
            add_row(changes, direction, f"... {len(found) - SHOWN_CHANGES} more", style="dim")
    return changes


def _interval(found: Interval) -> str:
    return f"{found.value:.1f} ({found.low:.1f}-{found.high:.1f})"


def _difference(found: Difference) -> str:
    return f"{found.value:+.1f} ({found.low:+.1f} to {found.high:+.1f})"
