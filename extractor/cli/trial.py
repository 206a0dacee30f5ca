"""What a trial of two prompts says, for a terminal: the listings that changed, side by side, values in color."""

from __future__ import annotations

from typing import TYPE_CHECKING

from extractor.cli.comparison import said
from extractor.cli.output import console, harmless

if TYPE_CHECKING:
    from rich.table import Table
    from rich.text import Text

    from extractor.evaluation.cards import Card
    from extractor.evaluation.trial import AttributeChange, Effect, ListingChange, Trial
    from extractor.gold import GoldRecord, Values
    from extractor.records import Outcome

# Of attributes, in the order in which a listing changed them; legible on light and on dark.
COLORS = ("cyan", "magenta", "yellow", "blue", "green", "red")
EFFECT_STYLES = {"fixed": "green", "regressed": "red"}


def show_trial(trial: Trial) -> None:
    """Print it for people."""
    from extractor.evaluation.trial import paper_f1

    labels = _labels(trial)
    for listing in trial.changed:
        console().print(_listing(listing, labels))
    counts = ", ".join(f"{count} {_words(effect)}" for effect, count in trial.counts.items() if count)
    changed, every = len(trial.changed), len(trial.a.gold)
    values = f" ({counts})" if counts else ""
    console().print(
        f"{changed} of {every} listings changed{values}, {every - changed} did not", soft_wrap=True
    )
    sides = [
        f"{label}: paper F1 {paper_f1(run):.1f}, {run.tokens_per_listing or 0:.0f} tokens a listing"
        for label, run in zip(labels, (trial.a, trial.b), strict=True)
    ]
    console().print("; ".join(sides), markup=False, soft_wrap=True)


def _words(effect: Effect) -> str:
    return effect.replace("_", " ")


def _labels(trial: Trial) -> tuple[str, str]:
    a, b = (str(run.settings["prompts"]["attributes"]["id"]) for run in (trial.a, trial.b))
    return a, b


def _listing(listing: ListingChange, labels: tuple[str, str]) -> Table:
    from rich.box import SIMPLE_HEAD
    from rich.table import Table
    from rich.text import Text

    colors = {change.attribute: COLORS[i % len(COLORS)] for i, change in enumerate(listing.attributes)}
    title = Text(harmless(f"{listing.record.id}  {listing.record.category}"), "bold")
    table = Table(box=SIMPLE_HEAD, title=title, title_justify="left", pad_edge=False, expand=True)
    for column, ratio in (("", 2), (labels[0], 4), (labels[1], 4), ("gold", 3), ("", 2)):
        table.add_column(Text(column), ratio=ratio, overflow="fold")
    texts = (_marked(listing.record, outcome, colors) for outcome in (listing.a, listing.b))
    table.add_row(Text("listing", "dim"), *texts, Text(), Text(), end_section=True)
    for change in listing.attributes:
        name = Text(harmless(change.attribute), colors[change.attribute])
        before, after = _judged(change.a, change.a_right), _judged(change.b, change.b_right)
        effect = Text(_words(change.effect), EFFECT_STYLES.get(change.effect, "dim"))
        table.add_row(name, before, after, _gold(change), effect)
    return table


def _marked(record: GoldRecord, outcome: Outcome, colors: dict[str, str]) -> Text:
    """The listing's text with what this run found of the attributes that changed."""
    from rich.text import Text

    text, plain = Text(), console().color_system is None
    card = _card(record, outcome, list(colors))
    for number, marks in enumerate(part for part in (card.title, card.description) if part):
        text.append("\n" if number else "")
        for mark in marks:
            names = [card.lines[line].attribute for line in mark.lines]
            shown = f"[{harmless(mark.text)}]" if names and plain else harmless(mark.text)
            text.append(shown, f"bold underline {colors[names[0]]}" if names else "")
    return text


def _card(record: GoldRecord, outcome: Outcome, attributes: list[str]) -> Card:
    from extractor.evaluation.cards import Line, make_card
    from extractor.evaluation.runs import predicted_by

    found = predicted_by(outcome)
    lines = [Line(name, {"a": found.get(name)}, "") for name in attributes]
    return make_card(record, {"a": outcome}, lines)


def _judged(values: Values, right: bool | None) -> Text:
    from rich.text import Text

    mark = "" if right is None else "✓ " if right else "✗ "
    return Text(f"{mark}{said(values)}", "" if right is None else "green" if right else "red")


def _gold(change: AttributeChange) -> Text:
    from rich.text import Text

    return Text("not listed", "dim") if change.a_right is None else Text(said(change.gold))
