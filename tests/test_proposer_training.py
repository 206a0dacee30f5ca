"""Training the proposer: what its targets are, that it learns, resumes exactly, and never sees a test title."""

from __future__ import annotations

import gzip
import json
import random
from collections.abc import Mapping, Sequence
from pathlib import Path

import pytest
import torch

from extractor.errors import ConfigError
from extractor.propose import Ask, open_proposer
from extractor.propose.encode import Encoder
from extractor.propose.network import MAX_CHUNKS
from extractor.split import held_out
from extractor.training.dataset import Record
from extractor.training.leaks import TestTitles
from extractor.training.pointing import Target, loss_of, places
from extractor.training.proposer import Recipe, fit, load_recipe
from extractor.training.questions import Questions, ask
from tests.tiny_proposer import build_tiny_encoder

RECIPE = """
name = "tiny"
[encoder]
source = "{encoder}"
vocabulary = 1000
corpus = ["train.jsonl.gz"]
[train]
seed = 1
steps = {steps}
leave_out = {leave_out}
batch_tokens = 400
encoder_rate = 1e-3
head_rate = 3e-3
warmup_steps = 5
average = 0.9
checkpoint_every = 20
log_every = 10
[[sources]]
kind = "gold"
path = "train.jsonl.gz"
weight = 1.0
"""
COLORS, BRANDS = ("Red", "Blue"), ("Acme", "Bolt", "Trail")


@pytest.fixture
def data(tmp_path: Path) -> Path:
    """Titles whose first word is the brand and whose last is the color."""
    rows = [
        {
            "id": f"{brand}-{color}-{n}",
            "title": f"{brand} Shoe {n} {color}",
            "category": "Shoes",
            "attributes": {"Brand": [brand], "Color": [color], "Size": None},
        }
        for brand in BRANDS
        for color in COLORS
        for n in range(5)
    ]
    with gzip.open(tmp_path / "train.jsonl.gz", "wt", encoding="utf-8") as file:
        file.writelines(json.dumps(row) + "\n" for row in rows)
    return tmp_path


def recipe(data: Path, *, steps: int = 60, leave_out: str = "[]", encoder: str = "") -> Recipe:
    """Written to a file and read again, as a user's is."""
    encoder = encoder or str(build_tiny_encoder(data / "pretrained"))
    (data / "recipe.toml").write_text(RECIPE.format(steps=steps, encoder=encoder, leave_out=leave_out))
    return load_recipe(data / "recipe.toml")


def train(data: Path, out: str, *, steps: int) -> Path:
    return fit(recipe(data, steps=steps), data, data / out, report=lambda _: None)


def test_it_learns_what_the_labels_say(data: Path) -> None:
    folder = train(data, "out", steps=100)
    [found] = open_proposer(folder).propose([Ask(("Brand", "Color", "Size"), "Shoes", "Bolt Shoe 3 Red")])
    assert found["Size"].absent > 0.5
    assert found["Brand"].spans[0].span.slice("Bolt Shoe 3 Red") == "Bolt"
    assert found["Color"].spans[0].span.slice("Bolt Shoe 3 Red") == "Red"


def test_a_resumed_run_ends_with_the_very_same_weights(data: Path) -> None:
    train(data, "whole", steps=40)

    def die(row: Mapping[str, object]) -> None:
        if row["step"] == 30:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        fit(recipe(data, steps=40), data, data / "parts", report=die)
    train(data, "parts", steps=40)
    for name in ("model.safetensors", "tokenizer.json"):
        resumed, whole = (data / run / "model" / name for run in ("parts", "whole"))
        assert resumed.read_bytes() == whole.read_bytes()
    curve = (data / "parts" / "loss.jsonl").read_text().splitlines()
    assert [json.loads(row)["step"] for row in curve] == [10, 20, 30, 40]


def test_a_folder_of_another_recipe_is_left_alone(data: Path) -> None:
    train(data, "out", steps=1)
    with pytest.raises(ConfigError, match="with a different recipe"):
        train(data, "out", steps=2)


def test_a_folder_of_something_else_is_left_alone(data: Path) -> None:
    with pytest.raises(ConfigError, match="holds something that is no training run"):
        fit(recipe(data), data, data, report=lambda _: None)


def test_a_missing_encoder_is_told(data: Path) -> None:
    with pytest.raises(ConfigError, match="pip install no-such-package"):
        fit(recipe(data, encoder="no_such_package"), data, data / "out", report=lambda _: None)


def test_every_place_of_every_form_is_accepted(tmp_path: Path) -> None:
    encoder = Encoder(build_tiny_encoder(tmp_path) / "tokenizer.json")
    text = "Red Shoe, Red Shoes"
    encoded = encoder.encode(["color"], "", text)
    # Chunks: Red Shoe , Red Shoe s; the "Shoe" in "Shoes" is cut before its plural s.
    assert places(encoded, text, ["Red"]) == [1 + 0 * MAX_CHUNKS, 1 + 3 * MAX_CHUNKS]
    assert places(encoded, text, ["Red Shoes", "Shoe"]) == [
        *(1 + 3 * MAX_CHUNKS + 2, 1 + 1 * MAX_CHUNKS, 1 + 4 * MAX_CHUNKS),
    ]
    assert places(encoded, text, ["ed"]) == []


def test_loss_is_minus_log_of_the_accepted_probability() -> None:
    chances = torch.tensor([[[0.5, 0.25, 0.25], [0.1, 0.2, 0.7]]])
    target = Target(torch.tensor([[0, 0, 0], [0, 1, 1], [0, 1, 2]]), torch.tensor([[0, 0], [0, 1]]))
    expected = -(torch.tensor(0.5).log() + torch.tensor(0.9).log()) / 2
    assert torch.isclose(loss_of(chances.log(), target), expected)


def test_cells_that_nobody_judged_do_not_count() -> None:
    chances = torch.tensor([[[0.5, 0.5], [0.1, 0.9]]])
    target = Target(torch.tensor([[0, 0, 0]]), torch.tensor([[0, 0]]))
    assert torch.isclose(loss_of(chances.log(), target), -torch.tensor(0.5).log())


def test_unjudged_attributes_are_asked_as_absent_now_and_then() -> None:
    record = Record("Acme Shoe", "Shoes", {"Brand": ("Acme",)}, unjudged=("Size",))
    rng = random.Random(0)
    asked = [ask(record, rng, unjudged=0.3).answers for _ in range(500)]
    assert all(answers.get("Size") is None for answers in asked)
    assert 100 < sum("Size" in answers for answers in asked) < 200


@pytest.mark.parametrize(
    ("title", "repeated"),
    [
        ("Acme Trail Shoe, red", True),
        ("ACME - Trail Shoe (Red)", True),
        ("a b c d e f g h i j", True),
        ("a b c d e f g h i", True),
        ("a b c d e f g h x", False),
        ("Acme Trail Shoe", False),
        ("", False),
    ],
)
def test_near_duplicates_of_test_titles_are_found(title: str, repeated: bool) -> None:
    assert TestTitles(["Acme Trail Shoe Red", "a b c d e f g h i j"]).repeated_by(title) is repeated


def test_test_titles_are_not_trained_on(data: Path) -> None:
    (data / "eval" / "attributes").mkdir(parents=True)
    with gzip.open(data / "eval" / "attributes" / "test.jsonl.gz", "wt") as file:
        file.write(json.dumps({"id": "t", "title": "acme shoe 1 RED"}) + "\n")
    assert questions(data).left_out == {"train.jsonl.gz": 1}


def test_what_is_left_out_is_never_shown(data: Path) -> None:
    rng = random.Random(0)
    shown = questions(data, leave_out=["color"])
    assert {name for _ in range(50) for name in shown.draw(rng).answers} == {"Brand", "Size"}


def questions(data: Path, leave_out: Sequence[str] = ()) -> Questions:
    return Questions(recipe(data).sources, data, leave_out=leave_out, everything=False)


def test_neither_test_titles_nor_the_held_out_tenth_are_trainable() -> None:
    rows = [{"id": f"bb-{n}", "title": f"Acme Radio {n}"} for n in range(20)]
    assert [row["id"] for row in rows if held_out(str(row["id"]))] == ["bb-1", "bb-13", "bb-14"]
    trainable = TestTitles(["ACME radio, 7"]).trainable(rows)
    assert {row["id"] for row in rows} - {row["id"] for row in trainable} == {
        "bb-1",
        "bb-7",
        "bb-13",
        "bb-14",
    }
