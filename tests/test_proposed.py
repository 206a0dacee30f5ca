"""What a proposer is sure of, as labels."""

from __future__ import annotations

from collections.abc import Sequence

from extractor.calibrate import Calibration
from extractor.propose import Ask
from extractor.records import Proposal, ScoredSpan, Span
from extractor.training.dataset import Record
from extractor.training.proposed import UNSURE, Categories, label, sure_label

JUDGED = [
    {
        "title": "Kestrel trail shoe, red",
        "category": "Shoes",
        "attributes": {"Color": ["red"], "Brand": ["Kestrel"]},
    },
    {"title": "Kestrel running shoe", "category": "Shoes", "attributes": {"Size": None}},
    {"title": "Northbay ground coffee", "category": "Coffee", "attributes": {"Roast": None}},
]
TEXT = "Acme running shoe, blue"


class BrandFirst:
    """Points at the first word as the brand, is unsure of the size, and sees no other attribute."""

    id, hash, source, calibration = "first", "0", "", Calibration()

    def propose(self, asks: Sequence[Ask]) -> list[dict[str, Proposal]]:
        guesses = {
            "Brand": Proposal(0.1, (ScoredSpan(Span(0, 4), 0.8),)),
            "Size": Proposal(0.5, (ScoredSpan(Span(0, 4), 0.5),)),
        }
        return [{name: guesses.get(name, Proposal(0.99, ())) for name in ask.attributes} for ask in asks]


def test_a_listing_is_asked_for_the_attributes_of_the_category_it_is_like() -> None:
    rows = [{"id": "1", "title": TEXT}, {"id": "2", "title": "Acme coffee, ground"}]
    labelled = label(rows, Categories(JUDGED), BrandFirst(), max_chars=100)
    assert list(labelled) == [Record(TEXT, "Shoes", {"Color": None, "Brand": ("Acme",)}), None]


def test_the_same_words_in_two_places_are_one_value() -> None:
    twice = Proposal(0.2, (ScoredSpan(Span(0, 4), 0.4), ScoredSpan(Span(9, 13), 0.4)))
    assert sure_label(twice, "Acme and Acme") == ("Acme",)
    assert sure_label(Proposal(0.4, (ScoredSpan(Span(0, 4), 0.6),)), "Acme") is UNSURE
    assert sure_label(Proposal(0.95, ()), "Acme") is None
