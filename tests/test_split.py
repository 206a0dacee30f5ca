"""Which feed records are held out, and what of a feed can be a label."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from extractor.split import held_out, is_disc, stated_forms


def test_the_held_out_tenth_never_changes() -> None:
    """Weights were trained on the rest: another tenth would be one that they saw."""
    assert [number for number in range(60) if held_out(f"shop-{number}")] == [18, 20, 28, 46, 48]
    assert 950 <= sum(held_out(f"shop-{number}") for number in range(10_000)) <= 1_050


@pytest.mark.parametrize(
    ("text", "value", "forms"),
    [
        ('Sony - 55" TV\nBuy this SONY TV from Sony', "Sony", ("Sony", "SONY")),
        ("LG - Phone", "LG", ("LG",)),
        ("Algae Eaters", "LG", ()),
        ("3M™ Tape", "3M™", ("3M™",)),
        ("A (new) B", "(new)", ("(new)",)),
        ("anything", "", ()),
        ("x" * 81, "x" * 81, ()),
    ],
)
def test_a_stated_value_is_found_in_all_its_spellings(text: str, value: str, forms: tuple[str, ...]) -> None:
    assert stated_forms(text, value) == forms


@given(st.text(max_size=40), st.text(max_size=8))
def test_every_form_stands_in_the_text(text: str, value: str) -> None:
    assert all(form in text for form in stated_forms(text, value))


def test_discs_are_told_by_their_titles() -> None:
    titles = ["Phillips 66 - CD", "Heat - Blu-ray Disc", "Memorex - 50-Pack CD-R Disc Spindle"]
    assert [is_disc(title) for title in titles] == [True, True, False]
