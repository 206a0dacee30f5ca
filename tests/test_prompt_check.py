"""prompt_check and prompt_tokens: what is wrong with a prompt, what makes it dear, and what it costs."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from schema_folder import write_folder
from test_prompt import CHAT, TEXT, write_prompt, write_store

from extractor.prompt import PromptTemplate, default_folder, list_prompts, load_prompt, render
from extractor.prompt_check import check_prompts, prefix_warnings
from extractor.prompt_tokens import PromptTokens, count_prompt_tokens
from extractor.records import Message
from extractor.schema import SchemaStore

# -- problems ------------------------------------------------------------------------------------------------

BAD_PROMPTS: list[tuple[str, str, str]] = [
    ("> T-shirts", "> Trousers", "example 1: taxonomy.jsonl has no category 'Clothing > Tops > Trousers'"),
    ('color = "Red"', 'color = "red"', "example 1: color: the listing writes 'Red', not 'red'"),
    ('color = "Red"', 'color = "Blue"', "example 1: color: 'Blue' does not stand in the listing"),
    ('sleeve = "short"', 'sleeve = "long"', "example 1: sleeve: the listing has no words for 'long'"),
    ('sleeve = "short"', 'sleeve = "tiny"', 'example 1: sleeve: "tiny" breaks enum ["short", "long"]'),
    ('"brand", "color"', '"brand"', "example 1: expects attributes that it does not offer"),
    ('"brand", "color"', '"voltage", "color"', "has no attribute 'voltage'"),
    ('color = "Red", sleeve = "short"', 'sleeve = "short", color = "Red"', "not in schema order"),
    ('color = "Red"', 'color = ["Red"]', "example 1: color: an array breaks type"),
    ("\\n\\n{{text}}", "", "task attributes needs {{text}}; put it into user"),
]


@pytest.mark.parametrize(("old", "new", "message"), BAD_PROMPTS, ids=[row[2] for row in BAD_PROMPTS])
def test_check_finds_what_a_model_may_not_answer(tmp_path: Path, old: str, new: str, message: str) -> None:
    assert old in CHAT
    content = CHAT.replace(old, new, 1)
    if "{{text}}" not in content:
        content = content.replace(', "text"]', "]")
    write_prompt(tmp_path / "prompts", content)
    [problem] = check_prompts(tmp_path / "prompts", write_store(tmp_path / "schemas"))
    assert problem.startswith("attributes@v1: ")
    assert message in problem
    assert "\n" not in problem


def test_check_goes_on_after_a_broken_file(tmp_path: Path) -> None:
    write_prompt(tmp_path / "prompts", "id =")
    write_prompt(tmp_path / "prompts", "id =", "tasks/v1.toml")
    write_prompt(tmp_path / "prompts", TEXT, "attributes/embedded-v1.toml")
    assert len(check_prompts(tmp_path / "prompts", write_store(tmp_path / "schemas"))) == 2


def test_check_says_when_the_schema_is_broken(tmp_path: Path) -> None:
    write_prompt(tmp_path / "prompts", CHAT)
    store = write_folder(tmp_path / "schemas", {"base.json": "{"})
    [problem] = check_prompts(tmp_path / "prompts", store)
    assert "base.json: line 1" in problem


def test_check_passes_good_prompts(tmp_path: Path) -> None:
    listed = CHAT.replace('sleeve = "short"', 'sleeve = "short", features = ["Soft"]').replace(
        '"sleeve"]', '"sleeve", "features"]'
    )
    write_prompt(tmp_path / "prompts", listed)
    store = write_store(tmp_path / "schemas")
    assert check_prompts(tmp_path / "prompts", store) == []
    turns = render(
        load_prompt("attributes@v1", tmp_path / "prompts"),
        dict.fromkeys(("category", "attributes", "text"), ""),
    )
    assert isinstance(turns[2], Message)
    assert json.loads(turns[2].content) == {"color": "Red", "sleeve": "short", "features": ["Soft"]}


# -- prefix --------------------------------------------------------------------------------------------------


def template(user: str, *, system: str = "", examples: bool = False) -> PromptTemplate:
    names = ("category", "attributes", "text")
    example = {"category": "Hats", "title": "Red hat", "offered": [], "attributes": {}}
    return PromptTemplate.model_validate(
        {
            "id": "attributes@v1",
            "version": "v1",
            "task": "attributes",
            "form": "chat",
            "variables": [name for name in names if f"{{{{{name}}}}}" in system + user],
            "system": system,
            "user": user,
            "examples": [example] if examples else [],
        }
    )


RULES = "Copy every value letter by letter from the listing, and leave out what it does not state. {}"
ASKED = "{{category}}: {{attributes}}"
IN_ORDER = f"{RULES} {ASKED} Listing: {{{{text}}}}"
PREFIXES: list[tuple[PromptTemplate, list[str]]] = [
    (template(IN_ORDER), []),
    (template(f"{ASKED}\n{{{{text}}}}", system=RULES, examples=True), []),
    # A label is no instruction.
    (template("{{attributes}} of the category {{category}}\n{{text}}\nAnswer:"), []),
    (
        template("{{category}} {{text}} {{attributes}}", system=RULES),
        ["{{attributes}} stands behind {{text}}; put it before, the listings of a category share it"],
    ),
    (
        template(f"{ASKED} {{{{text}}}} {RULES}"),
        [
            "92 characters of fixed words stand behind {{category}}, {{attributes}}, {{text}}; "
            "put them first, all listings share them"
        ],
    ),
    (
        template("{{attributes}} {{text}}", system="You know {{category}}.", examples=True),
        ["the examples stand behind {{category}}; put them first, all listings share them"],
    ),
]


@pytest.mark.parametrize(("given", "warnings"), PREFIXES, ids=range(len(PREFIXES)))
def test_what_listings_share_comes_first(given: PromptTemplate, warnings: list[str]) -> None:
    assert prefix_warnings(given) == [f"attributes@v1: {warning}" for warning in warnings]


# -- tokens --------------------------------------------------------------------------------------------------


def words(prompt: str | tuple[Message, ...]) -> list[int]:
    """A tokenizer whose tokens are words."""
    text = prompt if isinstance(prompt, str) else " ".join(message.content for message in prompt)
    return [hash(word) for word in text.split()]


def test_tokens_of_a_prompt_that_shares_what_it_can(store: SchemaStore) -> None:
    counted = count_prompt_tokens(template(IN_ORDER), store, words)
    assert counted == PromptTokens(shared=18, category=counted.category, listing=29)
    # Names and descriptions of some twenty attributes.
    assert counted.category > 100
    assert counted.total == 18 + counted.category + 29


def test_behind_a_listing_nothing_is_shared(store: SchemaStore) -> None:
    shares = count_prompt_tokens(template(IN_ORDER), store, words)
    wastes = count_prompt_tokens(template(f"{RULES} {{{{text}}}} {ASKED}"), store, words)
    assert (wastes.shared, wastes.category, wastes.total) == (18, 0, shares.total - 1)


@pytest.mark.parametrize("prompt_id", list_prompts(default_folder()))
def test_every_task_has_a_typical_request(store: SchemaStore, prompt_id: str) -> None:
    counted = count_prompt_tokens(load_prompt(prompt_id, default_folder()), store, words)
    assert counted.listing > 20
