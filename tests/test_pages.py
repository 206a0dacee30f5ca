"""The pages of evaluation say what was found, mark it in the text, and let no product text become markup."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import pytest
from evaluation_runs import eval_run
from html_page import CLOSING, HOSTILE, assert_harmless, assert_self_contained, in_browser, read_page
from hypothesis import example, given
from hypothesis import strategies as st

from extractor.evaluation.cards import Card, Line, Mark, find, make_card
from extractor.evaluation.charts import Scale, around_zero, scale_over
from extractor.evaluation.compare import compare
from extractor.evaluation.metrics import Counts, judged_cells
from extractor.evaluation.pages import write_comparison, write_scores
from extractor.evaluation.runs import EvalRun
from extractor.evaluation.scoring import score_run
from extractor.evaluation.slice_scores import slice_scores
from extractor.evaluation.text_diff import Fold, Part, Row, side_by_side
from extractor.gold import GoldRecord, Values
from extractor.records import AttributeValue, CategoryChoice, Outcome, Span

GOLD = [
    GoldRecord("tv-1", "tvs", {"brand": ["Sony"], "size": ["65 inch"]}, "Sony Bravia 65 inch TV"),
    GoldRecord("tv-2", "tvs", {"brand": ["LG"], "size": None}, "LG OLED TV"),
    GoldRecord("tea-1", "tea", {"brand": ["Twinings"], "flavor": ["Earl Grey"]}, "Twinings Earl Grey Tea"),
]
BEFORE: Mapping[str, Mapping[str, Values]] = {
    "tv-1": {"brand": ["Sony Bravia"], "size": ["65 inch"]},
    "tv-2": {"brand": ["LG"], "size": ["OLED"]},
    "tea-1": {"brand": ["Twinings"]},
}
AFTER: Mapping[str, Mapping[str, Values]] = {
    "tv-1": {"brand": ["Sony"]},
    "tv-2": {"brand": ["LG"]},
    "tea-1": {"brand": ["Twinings"], "flavor": ["Earl Grey"]},
}


def prompt(version: str, text: str) -> Mapping[str, object]:
    return {"prompts": {"attributes": {"id": f"attributes@{version}", "hash": "f00dabcd99", "text": text}}}


def comparison_page(folder: Path, a: EvalRun, b: EvalRun) -> Path:
    path = folder / "comparison.html"
    write_comparison(compare(a, b, resamples=200), a, b, path)
    return path


def scores_page(folder: Path, run: EvalRun) -> Path:
    path = folder / "scores.html"
    write_scores(run, score_run(run), path)
    return path


# --- the comparison


def test_a_comparison_says_what_changed(tmp_path: Path) -> None:
    a = eval_run(GOLD, BEFORE, name="before", settings=prompt("v1", "Copy every value.\nBe brief."))
    b = eval_run(GOLD, AFTER, name="after", settings=prompt("v2", "Copy each value.\nBe brief."))
    page = read_page(comparison_page(tmp_path, a, b))
    assert compare(a, b, resamples=200).verdict in page.text
    assert "Comparison on suite tiny: 3 listings, paper protocol" in page.said
    assert "attributes@v1 f00dabcd attributes@v2 f00dabcd" in page.said
    assert "Fixed 3 values in 3 listings Regressed 1 value in 1 listing " in page.said
    # Regressed first; of tv-1 the size in one list, the brand in the other.
    assert page.said.index("Regressed 1 Sony Bravia 65 inch TV") < page.said.index("Fixed 3 Sony Bravia")
    assert "size 65 inch 65 inch – ▲ Fixed 3" in page.said
    assert "brand Sony Sony Bravia Sony" in page.said
    assert "size – OLED –" in page.said
    assert (page.count("del"), page.count("ins"), page.count("article")) == (1, 1, 4)


def test_voices_are_told_apart_by_their_marks(tmp_path: Path) -> None:
    path = comparison_page(tmp_path, eval_run(GOLD, BEFORE, name="a"), eval_run(GOLD, AFTER, name="b"))
    marks = [
        (a["class"], a["title"]) for tag, a in read_page(path).elements if tag == "mark" and "title" in a
    ]
    # tv-1: the size; then brand "Sony" of "Sony Bravia"; tv-2: OLED; tea-1: the flavor.
    assert marks == [
        ("gold a", "Gold, A"),
        ("gold a b", "Gold, A, B"),
        ("a", "A"),
        ("a", "A"),
        ("gold b", "Gold, B"),
    ]


def test_runs_that_do_not_differ(tmp_path: Path) -> None:
    page = read_page(comparison_page(tmp_path, eval_run(GOLD, AFTER), eval_run(GOLD, AFTER)))
    assert "Both runs used the same prompts." in page.said
    assert (page.said.count("None."), page.count("article")) == (2, 0)


def test_runs_without_figures_of_speed_and_cost(tmp_path: Path) -> None:
    run = eval_run(GOLD, {})
    assert (
        "Tokens per listing – → – not measured in both" in read_page(comparison_page(tmp_path, run, run)).said
    )


# --- the scores


def test_scores_stand_beside_the_baselines(tmp_path: Path) -> None:
    run = replace(eval_run(GOLD, AFTER), baselines={"dictionary": BEFORE})
    page = read_page(scores_page(tmp_path, run))
    assert "Eval run on suite tiny: 3 listings tiny: F1 88.9" in page.said
    assert "Paper tiny 100.0 80.0 88.9" in page.said and "dictionary 60.0 60.0 60.0" in page.said
    # The one mistake.
    assert "The listing with the most mistakes, of 1 mistake in all." in page.said
    assert "tvs tv-1 Gold Predicted size 65 inch – missed" in page.said


def test_reliability_and_coverage(tmp_path: Path) -> None:
    page = read_page(scores_page(tmp_path, eval_run(GOLD, BEFORE)))
    # Five values of confidence 1, three of them right.
    assert "Calibration error 0.400 ECE over 5 values" in page.said
    assert "0.9 60.0 % 100.0 % Of the 5 predicted values that gold can judge." in page.said
    diagram = next(a for _, a in page.elements if a.get("class") == "reliability")
    assert diagram["aria-label"] == "Share of right values by confidence: 1.00 confident, 0.60 right"


def test_a_run_that_found_nothing(tmp_path: Path) -> None:
    page = read_page(scores_page(tmp_path, eval_run(GOLD, {})))
    assert (
        "no values to judge" in page.said and "No value was predicted where gold could judge it." in page.said
    )
    assert "3 listings that failed count as missed." in page.said


# --- untrusted text


def hostile_run(name: str, predicted: str) -> EvalRun:
    """Everything that comes from outside tries to break out."""
    title, description = f"{HOSTILE} TV", f"It is {CLOSING}"
    record = GoldRecord(CLOSING, HOSTILE, {f'"><b>{HOSTILE}': [HOSTILE], CLOSING: ["TV"]}, title, description)
    run = eval_run(
        [record],
        {CLOSING: {f'"><b>{HOSTILE}': [predicted], CLOSING: [CLOSING]}},
        name=f"{name}{HOSTILE.replace('/', '')}",
        suite=HOSTILE,
        settings={**prompt(name, f"{CLOSING}\n{HOSTILE} {name}"), "model": CLOSING, HOSTILE: CLOSING},
    )
    return replace(run, baselines={HOSTILE: run.predictions})


@pytest.fixture
def hostile_pages(tmp_path: Path) -> Sequence[Path]:
    a, b = hostile_run("a", HOSTILE), hostile_run("b", CLOSING)
    return comparison_page(tmp_path, a, b), scores_page(tmp_path, b)


def test_product_text_never_becomes_markup(hostile_pages: Sequence[Path]) -> None:
    for path in hostile_pages:
        assert_harmless(read_page(path))


def test_the_pages_ask_the_network_for_nothing(hostile_pages: Sequence[Path]) -> None:
    for path in hostile_pages:
        assert_self_contained(read_page(path))
        assert "http" not in path.read_text("utf-8").replace("http-equiv", "")


def test_in_a_browser_nothing_hostile_runs_and_the_script_does(
    hostile_pages: Sequence[Path], tmp_path: Path
) -> None:
    page = in_browser(hostile_pages[0], tmp_path / "profile")
    assert "1 of 1 listings" in page.text
    assert (page.count("script"), page.count("img")) == (1, 0)


@pytest.mark.parametrize("script", ["page.js", "report.js", "evaluation.js"])
def test_scripts_keep_to_the_page(script: str) -> None:
    """Nothing that could run text or reach out; the policy would stop it too."""
    text = (Path(__file__).parents[1] / "extractor" / "templates" / script).read_text("utf-8")
    assert not [
        word for word in ("innerHTML", "eval(", "document.write", "fetch(", "import(") if word in text
    ]


# --- cards


def said(gold: Values, a: Values, b: Values) -> Mapping[str, Values]:
    return {"gold": gold, "a": a, "b": b}


def test_a_card() -> None:
    line = Line("brand", said(["Sony"], ["Sony Bravia"], None), "fixed")
    assert make_card(GOLD[0], {}, [line]) == Card(
        product_id="tv-1",
        category="tvs",
        title=(
            Mark("Sony", ("gold", "a"), (0,)),
            Mark(" Bravia", ("a",), (0,)),
            Mark(" 65 inch TV"),
        ),
        description=(),
        lines=(line,),
    )


def test_a_span_that_is_known_is_not_looked_for() -> None:
    record = GoldRecord("x", "tea", {"pack": ["2"]}, "2 cups, pack of 2")
    value = AttributeValue("pack", "2", "2", None, Span(16, 17), "title", "span", 0.9)
    outcome = Outcome("x", "", "", record.title, "", CategoryChoice("tea", (), 1.0), (value,))
    card = make_card(record, {"b": outcome}, [Line("pack", said(None, None, ["2"]), "fixed")])
    assert card.title == (Mark("2 cups, pack of "), Mark("2", ("b",), (0,)))


def test_a_description_is_shortened_where_nothing_is_marked() -> None:
    filler = "word " * 100
    record = GoldRecord("x", "tea", {}, "Tea", f"{filler}Earl Grey {filler}")
    card = make_card(record, {}, [Line("flavor", said(["Earl Grey"], None, None), "regressed")])
    assert [len(mark.text) for mark in card.description] == [63, 9, 63]
    assert card.description[1] == Mark("Earl Grey", ("gold",), (0,))


@pytest.mark.parametrize(
    ("value", "text", "span"),
    [
        ("TV", "Sony TV", Span(5, 7)),
        ("art", "smart art", Span(6, 9)),
        ("art", "smart", Span(2, 5)),
        ("5.5", "5a5 5.5", Span(4, 7)),
        ("TV", "Sony", None),
        ("", "Sony", None),
    ],
)
def test_find(value: str, text: str, span: Span | None) -> None:
    assert find(value, text) == span


# --- slices


def test_slices_count_what_they_hold() -> None:
    cells = list(judged_cells(GOLD, AFTER))
    rows = slice_scores(cells, {"dictionary": list(judged_cells(GOLD, BEFORE))}, "attribute", resamples=50)
    assert [(row.name, row.records, row.counts, row.scores.f1.value, row.baselines) for row in rows] == [
        ("brand", 3, counts(vc=3), 100.0, {"dictionary": 66.67}),
        ("size", 2, Counts(nn=1, vn=1), 0.0, {"dictionary": 66.67}),
        ("flavor", 1, counts(vc=1), 100.0, {"dictionary": 0.0}),
    ]


def counts(vc: int) -> Counts:
    return Counts(vc=vc, normalized=vc, overlap_precision=float(vc), overlap_recall=float(vc))


# --- prompts side by side


def test_changed_words_are_marked() -> None:
    assert side_by_side("Be brief.\nCopy it.", "Be brief.\nCopy all of it.") == [
        Fold(
            (
                Row((Part("Be brief."),), (Part("Be brief."),)),
                Row(
                    (Part("Copy"), Part(" it.")),
                    (Part("Copy"), Part(" all of", changed=True), Part(" it.")),
                ),
            ),
            open=True,
        )
    ]


def test_lines_that_came_or_went_stand_alone() -> None:
    (fold,) = side_by_side("one line", "one line\nquite another")
    assert fold.rows[1] == Row(None, (Part("quite another", changed=True),))


def test_lines_far_from_changes_are_folded() -> None:
    lines = [f"line {number}" for number in range(10)]
    folds = side_by_side("\n".join(lines), "\n".join([*lines[:-1], "other"]), context=2)
    assert [(fold.open, len(fold.rows)) for fold in folds] == [(False, 7), (True, 4)]


LINES = st.lists(st.text("ab \t.", max_size=8), max_size=6).map("\n".join)


@given(LINES, LINES)
def test_both_texts_can_be_read_from_the_rows(left: str, right: str) -> None:
    rows = [row for fold in side_by_side(left, right) for row in fold.rows]
    for text, sides in ((left, [row.left for row in rows]), (right, [row.right for row in rows])):
        assert [
            "".join(part.text for part in side) for side in sides if side is not None
        ] == text.splitlines()


# --- axes


@pytest.mark.parametrize(
    ("scale", "ticks"),
    [
        (scale_over([43.2, 55.1], low=0), [42, 44, 46, 48, 50, 52, 54, 56]),
        (scale_over([99.9, 100], low=0), [98.8, 99, 99.2, 99.4, 99.6, 99.8, 100]),
        (scale_over([]), [-100, -50, 0, 50, 100]),
        (around_zero([-1, 2.5]), [-3, -2, -1, 0, 1, 2, 3]),
        # One of ten is too far away.
        (around_zero([*[1.0] * 9, 80], share=0.9), [-1, -0.5, 0, 0.5, 1]),
    ],
)
def test_ticks(scale: Scale, ticks: Sequence[float]) -> None:
    assert scale.ticks == pytest.approx(ticks)


@given(st.lists(st.floats(-100, 100), min_size=1))
@example([8.0, -5e-324])
def test_every_value_is_on_its_scale(values: list[float]) -> None:
    scale = scale_over(values)
    assert all(scale.holds(value) for value in values) and len(scale.ticks) <= 10
    assert (scale.at(scale.low - 1), scale.at(scale.high + 1)) == (0, 100)
