"""Every schema and prompt that ships is loaded as strictly as it goes."""

from __future__ import annotations

import json
import re
import tomllib
from collections import defaultdict

import pytest
from jsonschema import Draft202012Validator

from extractor import prompt, schema
from extractor.prompt import PromptTemplate, list_prompts, load_prompt, render
from extractor.prompt_check import check_prompts, prefix_warnings
from extractor.records import Message
from extractor.schema import CategorySchema, SchemaStore

SCHEMAS = schema.default_folder()
PROMPTS = prompt.default_folder()
PROMPT_IDS = list_prompts(PROMPTS)


@pytest.fixture(scope="module")
def store() -> SchemaStore:
    return SchemaStore(SCHEMAS)


@pytest.fixture(scope="module")
def effective(store: SchemaStore) -> list[CategorySchema]:
    """Every schema that differs: a category without a file of its own has what the one above it has."""
    return [store.by_id(schema_id) for schema_id in store.ids()]


# -- schemas -------------------------------------------------------------------------------------------------


def test_schemas_are_without_problems(store: SchemaStore) -> None:
    assert store.check() == []


def test_json_schemas_are_draft_2020_12(effective: list[CategorySchema]) -> None:
    for one in effective:
        Draft202012Validator.check_schema(one.json_schema)
        assert "$ref" not in json.dumps(one.json_schema)


def test_taxonomy_is_broad(store: SchemaStore) -> None:
    assert len(store.taxonomy.leaves) >= 150
    assert len(store.taxonomy.children(None)) >= 20
    for node in store.taxonomy:
        assert re.fullmatch(r"[a-z][a-z0-9_]*(\.[a-z][a-z0-9_]*){0,2}", node.id)
        assert node.parent == (node.id.rpartition(".")[0] or None), node.id
    without = [leaf.id for leaf in store.taxonomy.leaves if not leaf.synonyms]
    assert without == [], "routing goes by synonyms"


def test_every_vertical_and_forty_leaves_have_own_attributes(store: SchemaStore) -> None:
    assert set(store.taxonomy.children(None)) <= set(store.ids())
    assert len({leaf.id for leaf in store.taxonomy.leaves} & set(store.ids())) >= 40


def test_attributes_are_described(effective: list[CategorySchema]) -> None:
    for one in effective:
        assert len(one.attributes) <= 25, one.id
        for attribute in one.attributes:
            assert re.fullmatch(r"[a-z][a-z0-9_]*", attribute.id), one.id
            assert attribute.enum or attribute.examples, f"{one.id}: {attribute.id} has no x-examples"


def test_an_attribute_means_the_same_everywhere(effective: list[CategorySchema]) -> None:
    """The graph puts values of one id on one edge type, whatever the category."""
    meanings = defaultdict(set)
    for one in effective:
        for attribute in one.attributes:
            meanings[attribute.id].add((attribute.type, attribute.relation))
    assert {name: found for name, found in meanings.items() if len(found) > 1} == {}


def test_units_of_attributes_exist(effective: list[CategorySchema]) -> None:
    dimensions = json.loads((SCHEMAS / "units.json").read_text(encoding="utf-8"))["dimensions"]
    known = {unit for units in dimensions.values() for unit in units}
    used = {attribute.unit for one in effective for attribute in one.attributes if attribute.unit}
    assert used <= known


def test_examples_fit_their_own_definition(effective: list[CategorySchema]) -> None:
    for one in effective:
        for attribute in one.attributes:
            if attribute.type == "string" and not attribute.enum:
                too_long = [value for value in attribute.examples if len(value) > attribute.max_length]
                assert too_long == [], f"{one.id}: {attribute.id}"


def test_shared_definitions_are_used() -> None:
    texts = [path.read_text(encoding="utf-8") for path in SCHEMAS.rglob("*.json")]
    used = {name for text in texts for name in re.findall(r'defs\.json#/\$defs/([a-z0-9_]+)"', text)}
    assert set(json.loads((SCHEMAS / "defs.json").read_text(encoding="utf-8"))["$defs"]) == used


# -- prompts -------------------------------------------------------------------------------------------------


def test_prompts_are_without_problems(store: SchemaStore) -> None:
    assert check_prompts(PROMPTS, store) == []


@pytest.mark.parametrize("prompt_id", PROMPT_IDS)
def test_prompt_says_first_what_listings_share(prompt_id: str) -> None:
    assert prefix_warnings(load_prompt(prompt_id, PROMPTS)) == []


def test_every_task_has_a_prompt_for_any_model_and_one_for_the_embedded_model() -> None:
    tasks = ("attributes", "repair", "route")
    assert {f"{task}@{version}" for task in tasks for version in ("v1", "embedded-v1")} <= set(PROMPT_IDS)


@pytest.mark.parametrize("prompt_id", PROMPT_IDS)
def test_prompt_ends_with_the_listing(prompt_id: str) -> None:
    """What listings share comes first, so that an engine can keep it."""
    template = load_prompt(prompt_id, PROMPTS)
    last = "{{right}}" if template.task == "match" else "{{text}}"
    assert template.user.endswith(last if template.form == "chat" else f"{last}<|json|>")
    assert "{{" not in template.system


@pytest.mark.parametrize("prompt_id", PROMPT_IDS)
def test_prompt_is_stored_as_it_is_read(prompt_id: str) -> None:
    task, _, version = prompt_id.partition("@")
    raw = tomllib.loads((PROMPTS / task / f"{version}.toml").read_text(encoding="utf-8"))
    assert PromptTemplate.model_validate(raw) == load_prompt(prompt_id, PROMPTS)


def test_attributes_prompt_shows_leaving_out(store: SchemaStore) -> None:
    template = load_prompt("attributes@v1", PROMPTS)
    assert len(template.examples) == 3
    assert all(set(example.attributes) < set(example.offered) for example in template.examples)
    messages = render(template, {"category": "c", "attributes": "a", "text": "t"})
    assert isinstance(messages, tuple)
    assert [message.role for message in messages] == ["system", *["user", "assistant"] * 3, "user"]
    assert messages[-1] == Message("user", "Category: c\n\nAttributes:\na\n\nListing:\nt")
