"""What stands beside a model: a dictionary of the training values, and predictions that somebody stored."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from test_gold_files import write

from extractor.errors import ConfigError
from extractor.evaluation.baselines import look_up, stored
from extractor.gold import GoldRecord

TRAIN = [
    GoldRecord("t1", "Shoes", {"Brand": ["Acme"], "Color": ["Red", "Dark Red"], "Size": None}),
    GoldRecord("t2", "Shoes", {"Brand": ["Acme Sport"]}),
    GoldRecord("t3", "Tea", {"Brand": ["Bolt"]}),
]
OFFERED = {"Shoes": ["Brand", "Color", "Size"], "Tea": ["Brand"]}


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("Acme Shoe, Red", {"Brand": ["Acme"], "Color": ["Red"], "Size": None}),
        # The longest one.
        ("Acme Sport Shoe, Dark Red", {"Brand": ["Acme Sport"], "Color": ["Dark Red"], "Size": None}),
        # Whole words, case counts, only what the category has.
        ("Acmes red Bolt Reddish", {"Brand": None, "Color": None, "Size": None}),
    ],
)
def test_the_dictionary_finds_the_longest_value(text: str, found: dict[str, list[str] | None]) -> None:
    assert look_up(TRAIN, [GoldRecord("1", "Shoes", {}, text)], OFFERED) == {"1": found}


def test_the_dictionary_reads_descriptions_and_no_labels() -> None:
    record = GoldRecord("1", "Tea", {"Brand": ["Other"]}, "Mint", "by Bolt")
    assert look_up(TRAIN, [record], OFFERED) == {"1": {"Brand": ["Bolt"]}}


@given(st.lists(st.text("aB 1-", min_size=1, max_size=6), max_size=5), st.text("aB 1-\n", max_size=30))
def test_what_the_dictionary_predicts_stands_in_the_text(values: list[str], text: str) -> None:
    train = [GoldRecord("t", "Tea", {"Brand": values})]
    (found,) = look_up(train, [GoldRecord("1", "Tea", {}, text)], OFFERED)["1"].values()
    assert found is None or (found[0] in values and found[0] in text)


def test_stored_predictions_are_cut_to_the_sample(tmp_path: Path) -> None:
    path = write(
        tmp_path / "stored.jsonl",
        {"id": "1", "predicted": {"Brand": "Acme"}},
        {"id": "2", "predicted": {"Brand": None}},
    )
    sample = [GoldRecord("2", "Tea", {}), GoldRecord("3", "Tea", {})]
    # Nothing is known of the third: it counts as failed.
    assert stored(path, sample, {"1", "2", "3"}) == {"2": {"Brand": None}}
    with pytest.raises(ConfigError, match="id '1' is not in the gold file"):
        stored(path, sample, {"2", "3"})
