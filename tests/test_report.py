"""The report counts the whole run, shows a sample of it, and lets no product text become markup."""

from __future__ import annotations

import re
import shutil
import subprocess
from collections.abc import Iterable, Sequence
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path

import pytest

from extractor.errors import ConfigError, SinkError
from extractor.journal import OUTCOMES, Journal
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
from extractor.report import MEANING, Counts, Piece, Sample, cut_pieces, write_report

HOSTILE = "<script>alert(1)</script>"
CLOSING = '</script></style>--><img src=x onerror="alert(2)">{{ 7 * 7 }}'


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


class Page(HTMLParser):
    """The elements of a page, and its text without what scripts and styles hold."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.code: dict[str, list[str]] = {"script": [], "style": []}
        self.marks: list[str] = []
        self.text = ""
        self._open = ""
        self.feed(html)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))
        self._open = tag
        if tag == "mark":
            self.marks.append("")

    def handle_endtag(self, tag: str) -> None:
        self._open = ""

    def handle_data(self, data: str) -> None:
        if self._open in self.code:
            self.code[self._open].append(data)
            return
        self.text += data
        if self._open == "mark":
            self.marks[-1] += data

    def count(self, tag: str) -> int:
        return sum(element == tag for element, _ in self.elements)


def read_page(path: Path) -> Page:
    return Page(path.read_text(encoding="utf-8"))


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
    values = [replace(value("kind", "a", "a"), span=Span(*span)) for span in spans]
    assert [(piece.text, piece.values) for piece in cut_pieces("abcdef", values, 0, 6)] == pieces


def test_pieces_of_a_part_of_the_text() -> None:
    """A span over title and description shows in both."""
    values = [replace(value("kind", "a", "a"), span=Span(1, 5))]
    assert list(cut_pieces("ab\ncdef", values, 0, 2)) == [Piece("a", ()), Piece("b", (0,))]
    assert list(cut_pieces("ab\ncdef", values, 3, 7)) == [Piece("cd", (0,)), Piece("ef", ())]
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
    page = read_page(write_report(hostile_run(tmp_path)))
    assert (page.count("script"), page.count("style"), page.count("img"), page.count("b")) == (1, 1, 0, 0)
    assert not [name for _, attributes in page.elements for name in attributes if name.startswith("on")]
    assert "alert(" not in "".join(page.code["script"] + page.code["style"])
    assert HOSTILE in page.text and CLOSING in page.text and "{{ 7 * 7 }}" in page.text


def test_the_page_asks_the_network_for_nothing(tmp_path: Path) -> None:
    page = read_page(write_report(hostile_run(tmp_path)))
    policy = next(
        attributes["content"] or ""
        for _, attributes in page.elements
        if attributes.get("http-equiv") == "Content-Security-Policy"
    )
    assert policy.startswith("default-src 'none'; style-src 'sha256-") and "unsafe" not in policy
    links = [a for _, a in page.elements if {"src", "srcset", "action", "style"} & a.keys()]
    assert links == []
    assert {a["href"] for _, a in page.elements if "href" in a} == {"#listings"}
    assert not re.search(r"url\(|@import|fetch\(|XMLHttp", "".join(page.code["style"] + page.code["script"]))


def test_in_a_browser_nothing_hostile_runs_and_the_script_does(tmp_path: Path) -> None:
    browser = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    if not browser:
        pytest.skip("no chromium here")
    report = write_report(hostile_run(tmp_path / "run"))
    options = ["--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run"]
    options += ["--disable-background-networking", "--disable-component-update", "--disable-sync"]
    options += [f"--user-data-dir={tmp_path / 'profile'}", "--virtual-time-budget=2000", "--dump-dom"]
    run = subprocess.run(
        [browser, *options, report.as_uri()], capture_output=True, text=True, timeout=120, check=True
    )
    page = Page(run.stdout)
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
    said = " ".join(page.text.split())
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
