"""Training: what examples look like, and that a run is deterministic and resumes where it was killed."""

from __future__ import annotations

import gzip
import json
import random
from pathlib import Path

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from extractor.engines import load_model_info
from extractor.errors import ConfigError
from extractor.schema import SchemaStore
from extractor.training.dataset import (
    Record,
    Source,
    draw,
    gold_records,
    labelled_records,
    load_source,
    read_lines,
    swap_values,
)
from extractor.training.fit import fit, load_recipe
from extractor.training.synthesize import Synthesizer

ROWS = [
    {
        "id": "shoe-1",
        "title": "Acme Trail Shoe, Red, 8 M US",
        "category": "Shoes",
        "attributes": {"Brand": ["Acme"], "Color": ["Red"]},
    },
    {
        "id": "shoe-2",
        "title": "Bolt Runner, Blue",
        "category": "Shoes",
        "attributes": {"Brand": ["Bolt"], "Color": ["Blue"], "Size": None},
    },
]

RECIPE = """
name = "tiny"
[tokenizer]
vocab_size = 400
corpus = ["train.jsonl.gz"]
[model]
hidden = 32
layers = 1
heads = 1
intermediate = 32
[train]
seed = 1
steps = 6
batch_tokens = 256
learning_rate = 1e-3
warmup_steps = 2
checkpoint_every = 2
log_every = 1
[[sources]]
kind = "gold"
path = "train.jsonl.gz"
weight = 1.0
final_weight = 1.0
"""


@pytest.fixture
def data(tmp_path: Path) -> Path:
    folder = tmp_path / "data"
    folder.mkdir()
    with gzip.open(folder / "train.jsonl.gz", "wt", encoding="utf-8") as file:
        file.writelines(json.dumps(row) + "\n" for row in ROWS)
    (folder / "recipe.toml").write_text(RECIPE, "utf-8")
    return folder


def test_unlisted_attributes_are_absent_only_where_the_labels_are_complete() -> None:
    complete, _ = gold_records(ROWS, complete=True, max_chars=100)
    partial, _ = gold_records(ROWS, complete=False, max_chars=100)
    assert complete.labels == {"Brand": ("Acme",), "Color": ("Red",), "Size": None}
    assert partial.labels == {"Brand": ("Acme",), "Color": ("Red",)}
    assert partial.unjudged == ("Size",)


def test_labels_of_a_program_say_themselves_what_nobody_judged() -> None:
    sure = {
        "id": "1",
        "title": "Red mug",
        "category": "Mugs",
        "attributes": {"Color": ["Red"], "Voltage": None},
    }
    unsure = {"id": "2", "title": "Mug", "category": "Mugs", "attributes": {}, "unjudged": ["Color"]}
    first, second = labelled_records([sure, unsure], max_chars=100)
    assert (first.labels, first.unjudged) == ({"Color": ("Red",), "Voltage": None}, ())
    assert (second.labels, second.unjudged) == ({}, ("Color",))


@given(st.integers(0, 10_000))
def test_what_an_example_answers_stands_in_its_text(seed: int) -> None:
    records = gold_records(ROWS, complete=True, max_chars=100)
    values = {
        ("Shoes", "Brand"): ["Acme", "Bolt"],
        ("Shoes", "Color"): ["Red", "Blue"],
        ("Shoes", "Size"): [],
    }
    example = draw(Source("gold", records, values), random.Random(seed), swap=0.5)
    assert isinstance(example.answer, dict)
    assert all(value in example.text for value in example.answer.values())
    assert set(example.answer) <= set(example.names)


def test_swapping_changes_text_and_label_together() -> None:
    record = Record("Acme Shoe, Red", "Shoes", {"Color": ("Red",)})
    swapped = swap_values(record, {("Shoes", "Color"): ["Blue"]}, random.Random(1), 1.0)
    assert swapped == Record("Acme Shoe, Blue", "Shoes", {"Color": ("Blue",)})


@given(st.integers(0, 10_000))
def test_synthetic_listings_state_their_values(seed: int) -> None:
    store = SYNTHESIZER.store
    example = SYNTHESIZER.draw(random.Random(seed))
    if isinstance(example.answer, str):
        assert example.answer in example.options
        return
    definitions = {a.id: a for schema in map(store.for_category, LEAVES) for a in schema.attributes}
    for name, answer in example.answer.items():
        for value in answer if isinstance(answer, list) else [answer]:
            forms = (value, *definitions[name].synonyms.get(value, ()))
            assert any(form.lower() in example.text.lower() for form in forms), (name, value, example.text)


SYNTHESIZER = Synthesizer.shipped()
LEAVES = [leaf.id for leaf in SYNTHESIZER.leaves]


def test_the_shipped_recipe_loads(store: SchemaStore) -> None:
    recipe = load_recipe(Path("eval/recipes/embedded.toml"))
    assert not [source.path for source in recipe.sources if source.path.startswith("eval/")]


def weights(folder: Path) -> dict[str, torch.Tensor]:
    from safetensors.torch import load_file

    return {name: tensor for path in folder.glob("*.safetensors") for name, tensor in load_file(path).items()}


def test_a_killed_run_resumes_and_ends_as_an_undisturbed_one(data: Path, tmp_path: Path) -> None:
    recipe = load_recipe(data / "recipe.toml")
    whole = fit(recipe, data, tmp_path / "whole", report=lambda _: None)

    def die(line: dict[str, object]) -> None:
        if line["step"] == 5:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        fit(recipe, data, tmp_path / "killed", report=die)
    resumed = fit(recipe, data, tmp_path / "killed", report=lambda _: None)
    expected = weights(whole)
    assert expected
    assert all(torch.equal(tensor, expected[name]) for name, tensor in weights(resumed).items())
    curve = [
        json.loads(line)["step"] for line in (tmp_path / "whole" / "loss.jsonl").read_text().splitlines()
    ]
    assert curve == [1, 2, 3, 4, 5, 6]


def test_the_trained_folder_is_a_model_with_its_own_prompts(data: Path, tmp_path: Path) -> None:
    info = load_model_info(
        str(fit(load_recipe(data / "recipe.toml"), data, tmp_path / "out", report=lambda _: None))
    )
    assert info.prompts["attributes"] == "attributes@embedded-v1"
    assert info.context_tokens == 4096


def test_a_checkpoint_of_another_recipe_is_refused(data: Path, tmp_path: Path) -> None:
    recipe = load_recipe(data / "recipe.toml")
    fit(recipe, data, tmp_path / "out", report=lambda _: None)
    other = recipe.model_copy(update={"name": "other"})
    with pytest.raises(ConfigError, match="a different recipe"):
        fit(other, data, tmp_path / "out", report=lambda _: None)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (('kind = "gold"', 'kind = "golden"'), "golden"),
        (('train.jsonl.gz"\nweight', 'none.jsonl.gz"\nweight'), "none.jsonl.gz"),
    ],
)
def test_what_a_recipe_gets_wrong_is_named(
    data: Path, tmp_path: Path, change: tuple[str, str], message: str
) -> None:
    (data / "recipe.toml").write_text(RECIPE.replace(*change), "utf-8")
    with pytest.raises(ConfigError, match=message):
        fit(load_recipe(data / "recipe.toml"), data, tmp_path / "out", report=lambda _: None)


def test_sources_remember_values_for_swapping(data: Path) -> None:
    source = load_source("gold", read_lines(data / "train.jsonl.gz"), max_chars=100)
    assert source.values["Shoes", "Color"] == ["Red", "Blue"]
