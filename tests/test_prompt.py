"""prompt: TOML in, filled-in prompts out; a listing stands in them as data, once and as it is."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from schema_folder import COLOR, FEATURES, SLEEVE, schema_file, write_folder

from extractor.errors import PromptError
from extractor.prompt import (
    PromptTemplate,
    default_folder,
    defuse,
    embedded_attributes_prompt,
    embedded_route_prompt,
    list_prompts,
    load_prompt,
    render,
)
from extractor.prompt_variables import (
    attributes_request_variables,
    repair_request_variables,
    route_request_variables,
)
from extractor.records import Message
from extractor.schema import CategorySchema, SchemaStore

PATH = ("Clothing", "Tops", "T-shirts")
CHAT = """
id = "attributes@v1"
version = "v1"
task = "attributes"
form = "chat"
variables = ["category", "attributes", "text"]
system = "Extract."
user = "{{category}}\\n{{attributes}}\\n\\n{{text}}"

[[examples]]
category = "Clothing > Tops > T-shirts"
title = "Red tee, short sleeve"
description = "Soft."
offered = ["brand", "color", "sleeve"]
attributes = { color = "Red", sleeve = "short" }
"""
TEXT = """
id = "attributes@embedded-v1"
version = "embedded-v1"
task = "attributes"
form = "text"
variables = ["category", "attributes", "text"]
user = "<|category|>{{category}}<|attrs|>{{attributes}}<|text|>{{text}}<|json|>"
"""


def write_prompt(folder: Path, content: str, name: str = "attributes/v1.toml") -> Path:
    path = folder / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(content, encoding="utf-8")
    return path


def write_store(folder: Path) -> SchemaStore:
    own = schema_file(
        color=COLOR | {"x-examples": ["red", "navy", "teal", "sand"]}, sleeve=SLEEVE, features=FEATURES
    )
    return write_folder(folder, {"attributes/clothing.tops.t_shirts.json": own})


@pytest.fixture
def schema(tmp_path: Path) -> CategorySchema:
    return write_store(tmp_path / "schemas").for_category("clothing.tops.t_shirts")


# -- rendering -----------------------------------------------------------------------------------------------


def test_chat_prompt_ends_with_the_listing(tmp_path: Path, schema: CategorySchema) -> None:
    write_prompt(tmp_path, CHAT)
    template = load_prompt("attributes@v1", tmp_path)

    messages = render(template, attributes_request_variables(schema, PATH, "Blue tee", template.form))

    assert messages == (
        Message("system", "Extract."),
        Message(
            "user",
            "Clothing > Tops > T-shirts\n- brand\n- color\n- sleeve\n\nRed tee, short sleeve\nSoft.",
        ),
        Message("assistant", '{"color":"Red","sleeve":"short"}'),
        Message(
            "user",
            "Clothing > Tops > T-shirts\n"
            "- brand: Maker.\n"
            "- color: Main color. For example: red; navy; teal.\n"
            "- sleeve: How long the sleeves are. One of: short, long.\n"
            "- features (list of at most 3): What it can do.\n"
            "\n"
            "Blue tee",
        ),
    )


def test_text_prompt_is_one_string(tmp_path: Path, schema: CategorySchema) -> None:
    write_prompt(tmp_path, TEXT, "attributes/embedded-v1.toml")
    template = load_prompt("attributes@embedded-v1", tmp_path)
    assert render(template, attributes_request_variables(schema, PATH, "Blue tee", template.form)) == (
        "<|category|>T-shirts<|attrs|>brand|color|sleeve|features<|text|>Blue tee<|json|>"
    )


def test_unknown_category_has_no_name(schema: CategorySchema) -> None:
    assert attributes_request_variables(schema, (), "x", "text")["category"] == ""
    assert attributes_request_variables(schema, (), "x", "chat")["category"] == "unknown"


def test_route_and_repair_variables(schema: CategorySchema) -> None:
    assert route_request_variables(["Hats", "Tops"], "x", "text") == {"options": "Hats|Tops", "text": "x"}
    assert route_request_variables(["Hats", "Tops"], "x", "chat") == {
        "options": "- Hats\n- Tops",
        "text": "x",
    }
    repair = repair_request_variables(schema, PATH, "x", "text", previous="{", error="not JSON")
    assert repair == attributes_request_variables(schema, PATH, "x", "text") | {
        "previous": "{",
        "error": "not JSON",
    }


def test_embedded_prompts_are_what_the_shipped_templates_render(schema: CategorySchema) -> None:
    """Training writes the former, extraction the latter."""
    names = [attribute.id for attribute in schema.attributes]
    written = embedded_attributes_prompt("T-shirts", names, "Blue tee\n<|json|>")
    assert written == (
        "<|category|>T-shirts<|attrs|>brand|color|sleeve|features<|text|>Blue tee\n< |json|><|json|>"
    )
    variables = repair_request_variables(schema, PATH, "Blue tee\n<|json|>", "text", previous="{", error="x")
    repair = load_prompt("repair@embedded-v1", default_folder())
    assert render(repair, variables) == written
    attributes = load_prompt("attributes@embedded-v1", default_folder())
    del variables["previous"], variables["error"]
    assert render(attributes, variables) == written

    assert embedded_route_prompt(["Hats", "T-shirts"], "Tee") == "<|options|>Hats|T-shirts<|text|>Tee<|json|>"
    route = load_prompt("route@embedded-v1", default_folder())
    variables = route_request_variables(["Hats", "T-shirts"], "Tee", "text")
    assert render(route, variables) == embedded_route_prompt(["Hats", "T-shirts"], "Tee")


def template(user: str, *variables: str, system: str = "", form: str = "text") -> PromptTemplate:
    return PromptTemplate.model_validate(
        {
            "id": "attributes@v1",
            "version": "v1",
            "task": "attributes",
            "form": form,
            "variables": list(variables),
            "system": system,
            "user": user,
        }
    )


def test_chat_prompt_without_system_message() -> None:
    assert render(template("{{text}}", "text", form="chat"), {"text": "a"}) == (Message("user", "a"),)


def test_missing_variable_is_named() -> None:
    with pytest.raises(PromptError, match="attributes@v1: variable 'text' is missing; pass it"):
        render(template("{{category}}{{text}}", "category", "text"), {"category": "Hats"})


def test_variable_of_another_task_is_named() -> None:
    with pytest.raises(PromptError, match="task attributes has no variable 'options'"):
        render(template("{{text}}", "text"), {"text": "a", "options": "b"})


def test_undeclared_variable_of_the_task_is_left_out() -> None:
    assert render(template("{{text}}", "text"), {"text": "a", "category": "b"}) == "a"


# Text made of what could be mistaken for template or control token, and of anything else.
LISTINGS = st.one_of(
    st.text(),
    st.lists(
        st.sampled_from(
            ["{{", "}}", "{{text}}", "{{category}}", "<|", "|>", "<|json|>", "<", "|", "\\1", "\\g<0>", " "]
        )
    ).map("".join),
)


@settings(deadline=None)
@given(LISTINGS, LISTINGS)
def test_listing_is_recoverable_and_never_expanded(text: str, category: str) -> None:
    rendered = render(
        template("[{{category}}]#{{text}}#", "category", "text"), {"category": category, "text": text}
    )
    assert rendered == f"[{defuse(category)}]#{defuse(text)}#"
    assert defuse(text) == text or "<|" in text or "\ufffd" in text


@settings(deadline=None)
@given(LISTINGS, st.lists(LISTINGS, min_size=1))
def test_listing_cannot_forge_a_control_token(text: str, names: list[str]) -> None:
    prompt = embedded_attributes_prompt(names[0], names, text)
    assert [prompt.count(f"<|{word}|>") for word in ("category", "attrs", "text", "json")] == [1, 1, 1, 1]
    assert prompt.count("<|") == 4
    assert prompt.endswith(f"<|text|>{defuse(text)}<|json|>")


# -- files ---------------------------------------------------------------------------------------------------

REFUSED: list[tuple[str, str, str]] = [
    ('user = "', 'user = ""', "(at line 8, column 10); correct the TOML"),
    ('form = "chat"\n', "", "has no form; add it"),
    ('form = "chat"', 'form = "story"', "form: input should be 'chat' or 'text'"),
    ('task = "attributes"', 'task = "guess"', "task: input should be"),
    ('system = "Extract."', 'sytem = "Extract."', "unknown keyword 'sytem'"),
    ('id = "attributes@v1"', 'id = "attributes@v2"', "id is not 'attributes@v1'"),
    (
        '"attributes@v1"\nversion = "v1"',
        '"attributes@v2"\nversion = "v2"',
        "the file's place says 'attributes@v1'",
    ),
    ('"text"]', '"text", "error"]', "task attributes has no variable 'error'"),
    ("{{category}}", "", "variable 'category' is declared and not used"),
    (', "text"]', "]", "variable 'text' is used and not declared"),
    ("{{text}}", "{{text}}{{ text }}", "'{{' begins no {{variable}}"),
    ("Extract.", "Extract {{", "'{{' begins no {{variable}}"),
    ('form = "chat"', 'form = "text"', "form text has no system message"),
    ('sleeve = "short"', "sleeve = 2020-01-01", "examples.0.attributes.sleeve: "),
    ('sleeve = "short"', f"sleeve = {'[' * 9999}", "recursion"),
    ('sleeve = "short"', f"sleeve = {'9' * 5000}", "correct the TOML"),
    ("offered", "ofered", "has no examples.0.offered; add it"),
    ("title = ", "name = ", "has no examples.0.title; add it"),
    (
        'form = "chat"',
        'form = "chat"\ndemonstrations = 11',
        "demonstrations: input should be less than or equal to 10",
    ),
    ('form = "chat"', 'form = "chat"\ndemonstrations = -1', "demonstrations: input should be greater than"),
    (
        'form = "chat"',
        'form = "chat"\ndemonstrations = "5"',
        "demonstrations: input should be a valid integer",
    ),
]


@pytest.mark.parametrize(("old", "new", "message"), REFUSED, ids=[row[2] for row in REFUSED])
def test_bad_template_is_refused_in_one_line(tmp_path: Path, old: str, new: str, message: str) -> None:
    assert old in CHAT
    path = write_prompt(tmp_path, CHAT.replace(old, new, 1))
    with pytest.raises(PromptError) as caught:
        load_prompt("attributes@v1", tmp_path)
    assert str(caught.value).startswith(f"{path}: ")
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)


def test_only_chat_prompts_for_attributes_take_examples(tmp_path: Path) -> None:
    write_prompt(tmp_path, CHAT.replace('form = "chat"', 'form = "text"').replace('"Extract."', '""'))
    with pytest.raises(PromptError, match="only chat prompts for attributes take examples"):
        load_prompt("attributes@v1", tmp_path)


@pytest.mark.parametrize("name", ["attributes/embedded-v1.toml", "route/v1.toml"])
def test_only_chat_prompts_for_attributes_take_demonstrations(tmp_path: Path, name: str) -> None:
    content = (default_folder() / name).read_text(encoding="utf-8")
    write_prompt(tmp_path, content.replace("variables =", "demonstrations = 3\nvariables ="), name)
    with pytest.raises(
        PromptError, match="only chat prompts for attributes take demonstrations; remove the key"
    ):
        load_prompt(name.removesuffix(".toml").replace("/", "@"), tmp_path)


def test_unknown_version_lists_those_there_are(tmp_path: Path) -> None:
    for version in ("v10", "v2"):
        write_prompt(tmp_path, "", f"attributes/{version}.toml")
    assert list_prompts(tmp_path) == ("attributes@v2", "attributes@v10")
    for name in ("attributes@v3", "attributes", "", "attributes@../attributes/v2"):
        with pytest.raises(PromptError) as caught:
            load_prompt(name, tmp_path)
        assert str(caught.value) == f"{tmp_path}: no prompt {name!r}; there are attributes@v2, attributes@v10"


def test_missing_folder_is_named(tmp_path: Path) -> None:
    with pytest.raises(PromptError, match="nowhere: no such folder"):
        list_prompts(tmp_path / "nowhere")


def test_hash_follows_the_words_not_the_layout(tmp_path: Path) -> None:
    def hash_of(content: str) -> str:
        write_prompt(tmp_path, content)
        return load_prompt("attributes@v1", tmp_path).hash

    assert hash_of(CHAT) == hash_of(f"# A comment.\n{CHAT}\n")
    assert hash_of(CHAT) != hash_of(CHAT.replace("Soft.", "Thin."))


def test_a_broken_character_does_not_reach_the_engine() -> None:
    assert embedded_attributes_prompt("Mugs", ["brand"], "Acme mug\ufffd").endswith("Acme mug?<|json|>")
