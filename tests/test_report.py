"""The report counts the whole run, shows a sample of it, and lets no product text become markup."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace
from pathlib import Path

import pytest
from html_page import CLOSING, HOSTILE, assert_harmless, assert_self_contained, in_browser, read_page

from extractor.errors import ConfigError, SinkError
from extractor.journal import OUTCOMES, Journal
from extractor.page import Piece, cut_pieces
from extractor.records import (
    AttributeValue,
    CategoryChoice,
    MadeBy,
    Outcome,
    Product,
    Reason,
    Rejection,
    Span,
)
from extractor.report import MEANING, Counts, Sample, write_report


def value(attribute: str, text: str, surface: str, confidence: float = 0.95) -> AttributeValue:
    start = text.index(surface)
    span = Span(start, start + len(surface))
    return AttributeValue(attribute, surface, surface.lower(), None, span, "title", "span", confidence)


def outcome(
    number: int,
    title: str = "Sony 65 inch TV",
    description: str = "",
    values: Sequence[AttributeValue] = (),
    reasons: Iterable[Reason] = (),
) -> Outcome:
    product = Product(f"bb-{number}", title, description, where=f"feed.jsonl:{number}")
    return Outcome(
        product.id,
        product.content_hash,
        product.where,
        title,
        description,
        CategoryChoice("tvs", ("Electronics", "TVs"), 0.9),
        tuple(values),
        tuple(Rejection(product.id, "size", reason, "what happened") for reason in reasons),
        made_by=MadeBy(prompt="attributes@v1", prompt_hash="f00d", schema="tvs", model="tiny"),
    )


def write_run(folder: Path, outcomes: Sequence[Outcome], *, finish: bool = True) -> Path:
    products = [Product(o.product_id, o.title, o.description, where=o.where) for o in outcomes]
    with Journal.open(folder, {"prompt": "attributes@v1", "feeds": ["feed.jsonl"]}) as journal:
        for _ in journal.pending(products):
            pass
        journal.append(outcomes)
        if finish:
            journal.finish()
    return folder


# --- highlights -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("spans", "pieces"),
    [
        ([], [("abcdef", ())]),
        ([(0, 6)], [("abcdef", (0,))]),
        ([(1, 3)], [("a", ()), ("bc", (0,)), ("def", ())]),
        ([(0, 2), (2, 4)], [("ab", (0,)), ("cd", (1,)), ("ef", ())]),
        # Overlapping, nested (the inner one is drawn), and twice the same.
        ([(0, 4), (2, 6)], [("ab", (0,)), ("cd", (0, 1)), ("ef", (1,))]),
        ([(0, 6), (2, 4)], [("ab", (0,)), ("cd", (1, 0)), ("ef", (0,))]),
        ([(1, 2), (1, 2)], [("a", ()), ("b", (0, 1)), ("cdef", ())]),
        # Out of the text or empty.
        ([(4, 99), (3, 3), (-5, -1)], [("abcd", ()), ("ef", (0,))]),
    ],
)
def test_pieces(spans: list[tuple[int, int]], pieces: list[tuple[str, tuple[int, ...]]]) -> None:
    found = cut_pieces("abcdef", [Span(*span) for span in spans], 0, 6)
    assert [(piece.text, piece.spans) for piece in found] == pieces


def test_pieces_of_a_part_of_the_text() -> None:
    """A span over title and description shows in both."""
    spans = [Span(1, 5), None]
    assert list(cut_pieces("ab\ncdef", spans, 0, 2)) == [Piece("a", ()), Piece("b", (0,))]
    assert list(cut_pieces("ab\ncdef", spans, 3, 7)) == [Piece("cd", (0,)), Piece("ef", ())]
    assert list(cut_pieces("ab\ncdef", [], 7, 7)) == []


def test_offsets_are_code_points_on_the_page_too(tmp_path: Path) -> None:
    title, description = "📦😀 Café TV", "🅄nicode 65″ 🎧 Wi-Fi"
    text = f"{title}\n{description}"
    values = [value("kind", text, "TV"), value("network", text, "Wi-Fi"), value("size", text, "65″")]
    page = read_page(write_report(write_run(tmp_path, [outcome(1, title, description, values)])))
    assert page.marks[-3:] == ["TV", "65″", "Wi-Fi"]


# --- untrusted text -------------------------------------------------------------------------------


def hostile_run(folder: Path) -> Path:
    text = f"{HOSTILE}\n{CLOSING}"
    found = [replace(value(f'"><b>{HOSTILE}', text, "alert(1)"), canonical=HOSTILE, unit=CLOSING)]
    bad = replace(
        outcome(1, HOSTILE, CLOSING, found),
        product_id=CLOSING,
        where=HOSTILE,
        category=CategoryChoice("x", (HOSTILE, CLOSING), 0.5),
        rejections=(Rejection(CLOSING, HOSTILE, Reason.UNGROUNDED, CLOSING),),
        made_by=MadeBy(prompt=HOSTILE, schema=CLOSING, model=HOSTILE, engine=CLOSING, version=HOSTILE),
    )
    with Journal.open(folder, {HOSTILE: CLOSING}) as journal:
        list(journal.pending([Product(CLOSING, HOSTILE, where=HOSTILE)]))
        journal.append([bad])
        journal.finish()
    return folder


def test_product_text_never_becomes_markup(tmp_path: Path) -> None:
    assert_harmless(read_page(write_report(hostile_run(tmp_path))))


def test_the_page_asks_the_network_for_nothing(tmp_path: Path) -> None:
    assert_self_contained(read_page(write_report(hostile_run(tmp_path))))


def test_in_a_browser_nothing_hostile_runs_and_the_script_does(tmp_path: Path) -> None:
    page = in_browser(write_report(hostile_run(tmp_path / "run")), tmp_path / "profile")
    assert "1 of 1 listings" in page.text
    assert (page.count("script"), page.count("img")) == (1, 0)


# --- what it says ---------------------------------------------------------------------------------


def test_counts() -> None:
    text = "Sony 65 inch TV"
    sony, size, sure = (
        value("brand", text, "Sony", 0.9),
        value("size", text, "65", 0.5),
        value("size", text, "inch", 1.0),
    )
    counts = Counts()
    for made in [
        outcome(1, values=[sony, size, sure]),
        outcome(2, values=[sony], reasons=[Reason.UNGROUNDED, Reason.UNGROUNDED]),
        outcome(3),
        replace(outcome(4), made_by=MadeBy(schema="cables")),
    ]:
        counts.add(made)
    assert (counts.listings, counts.values, counts.rejections, counts.rejected_listings) == (4, 4, 2, 1)
    brand, sizes = counts.attributes["brand"], counts.attributes["size"]
    assert (brand.listings, brand.values, counts.reach(brand)) == (2, 2, 3)
    assert (sizes.listings, sizes.values, sizes.mean_confidence) == (1, 2, 0.75)
    assert counts.median_confidence == 0.9
    assert counts.histogram(10) == [0, 0, 0, 0, 0, 1, 0, 0, 0, 3]
    assert len(counts.examples[Reason.UNGROUNDED]) == 2


def test_no_values_have_no_median() -> None:
    assert Counts().median_confidence is None


def test_every_reason_is_explained() -> None:
    assert set(MEANING) == set(Reason)


def test_the_sample_keeps_room_for_rejections() -> None:
    sample = Sample(limit=6)
    for number in range(100):
        sample.add(number, outcome(number, reasons=[Reason.UNGROUNDED] if number > 50 else []))
    assert [o.product_id for o in sample.listings()] == ["bb-0", "bb-1", "bb-2", "bb-3", "bb-51", "bb-52"]


def test_a_sample_that_holds_all_shows_all() -> None:
    sample = Sample(limit=6)
    for number in range(6):
        sample.add(number, outcome(number, reasons=[Reason.UNGROUNDED]))
    assert len(sample.listings()) == 6


def test_the_page_says_what_it_shows(tmp_path: Path) -> None:
    outcomes = [outcome(n, reasons=[Reason.UNKNOWN_UNIT] if n == 40 else []) for n in range(50)]
    page = read_page(write_report(write_run(tmp_path, outcomes), max_listings=9))
    assert page.count("article") == 9
    said = page.said
    assert "9 of 50: the first 8, and 1 more in which something was rejected." in said
    assert "a quantity with a unit we do not know" in said
    assert "attributes@v1" in said and "tiny" in said


def test_repeated_ids_are_counted_though_they_have_no_outcome(tmp_path: Path) -> None:
    write_run(tmp_path, [outcome(1)])
    with Journal.open(tmp_path, {"prompt": "attributes@v1", "feeds": ["feed.jsonl"]}) as journal:
        list(journal.pending([Product("bb-1", "Other", where="feed.jsonl:2")]))
        journal.finish()
    assert "has the id of feed.jsonl:1 and other content" in read_page(write_report(tmp_path)).text


@pytest.mark.parametrize("outcomes", [[], [outcome(1, title="")], [outcome(1, values=[])]])
def test_runs_with_hardly_anything_in_them(tmp_path: Path, outcomes: list[Outcome]) -> None:
    page = read_page(write_report(write_run(tmp_path, outcomes)))
    assert page.count("article") == len(outcomes)
    assert "No values were found." in page.text and "Nothing was rejected." in page.text


def test_an_unfinished_run_has_a_report(tmp_path: Path) -> None:
    page = read_page(write_report(write_run(tmp_path, [outcome(1)], finish=False)))
    assert "not yet, this is what is there" in page.text


def test_what_is_no_run_has_none(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"has no readable run\.json"):
        write_report(tmp_path)


def test_a_report_that_fails_leaves_the_old_one(tmp_path: Path) -> None:
    path = write_report(write_run(tmp_path, [outcome(1)]))
    before = path.read_bytes()
    with (tmp_path / OUTCOMES).open("ab") as file:
        file.write(b"broken\n")
    with pytest.raises(SinkError, match=r"outcomes\.jsonl:2"):
        write_report(tmp_path)
    assert path.read_bytes() == before
