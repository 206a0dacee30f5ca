"""prompts/ in, filled-in prompts out: a text that a base model continues, or chat messages.

It knows schemas and listings only as text, which prompt_variables.py makes of them. Listings are untrusted: put in
once, never expanded again, and they cannot spell a control token (see `defuse`).
"""

from __future__ import annotations

import json
import re
import tomllib
from collections.abc import Iterator, Mapping, Sequence
from functools import cache, cached_property
from importlib.resources import files
from pathlib import Path
from typing import Self

from pydantic import BaseModel, ConfigDict, Field, JsonValue, ValidationError, model_validator

from extractor.datafile import DataFileError, content_hash, explain, read_text
from extractor.errors import ConfigError, PromptError
from extractor.prompt_variables import TASK_VARIABLES, Form, Task, route_request_variables
from extractor.records import Message

# As many as ExtractGPT (arXiv 2310.12537) shows at most.
MOST_DEMONSTRATIONS = 10
# Where neither prompt nor user says how many: what is similar is in the first few, and each costs a listing's tokens.
USUAL_DEMONSTRATIONS = 5
_PLACEHOLDER = re.compile(r"\{\{(\w+)\}\}")


class PromptExample(BaseModel):
    """A listing and the object expected for it: one user turn and one assistant turn."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)

    # Names from the top, joined by " > ".
    category: str
    title: str
    description: str = ""
    # Attribute ids that the turn asks for: more than the listing states, so that leaving out is shown too.
    offered: list[str]
    # The expected object, in schema order.
    attributes: dict[str, JsonValue]

    @property
    def text(self) -> str:
        """As `Product.text`."""
        return f"{self.title}\n{self.description}" if self.description else self.title


class PromptTemplate(BaseModel):
    """One prompt version, as its TOML file holds it."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)

    # "attributes@v1".
    id: str
    version: str
    task: Task
    form: Form
    # Those of the task's variables that `system` and `user` use.
    variables: list[str]
    # Empty: no system message.
    system: str = ""
    user: str = Field(min_length=1)
    # Chat form of task attributes only.
    examples: list[PromptExample] = []
    # Demonstrations per listing, picked from a file that the run brings; shown as `examples` are, and after them.
    demonstrations: int = Field(default=0, ge=0, le=MOST_DEMONSTRATIONS)

    @cached_property
    def hash(self) -> str:
        """Over everything above; comments and layout of the file do not count."""
        return content_hash(self.model_dump())

    @model_validator(mode="after")
    def _check(self) -> Self:
        _refuse(
            self.id != f"{self.task}@{self.version}", f"id is not '{self.task}@{self.version}'; make it so"
        )
        used = _PLACEHOLDER.findall(self.system + self.user)
        for name in self.variables:
            _refuse(
                name not in TASK_VARIABLES[self.task], f"task {self.task} has no variable {name!r}; remove it"
            )
            _refuse(name not in used, f"variable {name!r} is declared and not used; remove it")
        for name in used:
            _refuse(name not in self.variables, f"variable {name!r} is used and not declared; declare it")
        stray = "{{" in _PLACEHOLDER.sub("", self.system) + _PLACEHOLDER.sub("", self.user)
        _refuse(stray, "'{{' begins no {{variable}}; write a name and '}}' without spaces")
        _refuse(
            self.form == "text" and self.system != "", "form text has no system message; move it into user"
        )
        turns = self.form == "chat" and self.task == "attributes"
        _refuse(
            bool(self.examples) and not turns, "only chat prompts for attributes take examples; remove them"
        )
        _refuse(
            self.demonstrations > 0 and not turns,
            "only chat prompts for attributes take demonstrations; remove the key",
        )
        return self


def default_folder() -> Path:
    """The prompts that come with the package."""
    return Path(str(files("extractor") / "prompts"))


def folder_of(prompt_id: str, own: Path | None) -> Path:
    """Where a prompt is to be read: in the folder `own` if that has it, else among the shipped ones."""
    return own if own and prompt_id in list_prompts(own) else default_folder()


def list_prompts(folder: Path) -> tuple[str, ...]:
    """Ids of all prompts in a folder, "v2" before "v10"."""
    if not folder.is_dir():
        raise PromptError(f"{folder}: no such folder; give the folder that holds attributes/v1.toml")
    ids = [f"{path.parent.name}@{path.stem}" for path in folder.glob("*/*.toml")]
    return tuple(sorted(ids, key=_natural))


def load_prompt(name_at_version: str, folder: Path) -> PromptTemplate:
    """Read one prompt strictly.

    Raises:
        PromptError: there is none of this id, or its file is wrong.
    """
    # An id is looked up, not made into a path, so that none leads out of the folder.
    known = list_prompts(folder)
    if name_at_version not in known:
        raise PromptError(f"{folder}: no prompt {name_at_version!r}; there are {', '.join(known) or 'none'}")
    task, _, version = name_at_version.partition("@")
    path = folder / task / f"{version}.toml"
    try:
        template = PromptTemplate.model_validate(tomllib.loads(read_text(path)))
        if template.id != name_at_version:
            raise DataFileError(
                f"id is {template.id!r}, the file's place says {name_at_version!r}; make them one"
            )
    except ValidationError as error:
        raise PromptError(f"{path}: {explain(error)}") from None
    except DataFileError as error:
        raise PromptError(f"{path}: {error}") from None
    except (ValueError, RecursionError) as error:  # most are TOMLDecodeError, which says the line
        raise PromptError(f"{path}: {error}; correct the TOML") from None
    return template


def render(
    template: PromptTemplate,
    variables: Mapping[str, str],
    demonstrations: Sequence[PromptExample] = (),
) -> str | tuple[Message, ...]:
    """Fill in a template.

    Args:
        template: Which words, and which form comes out.
        variables: Those of the template's task; what the template does not declare is left out.
        demonstrations: Examples picked for this listing, in the order in which they are shown; form chat only.

    Returns:
        A text for form text; messages for form chat: what all listings share (system, the template's examples),
        then the demonstrations, and last the user's.

    Raises:
        PromptError: a declared variable is missing, or one is not of this task.
    """
    for name in template.variables:
        if name not in variables:
            raise PromptError(f"{template.id}: variable {name!r} is missing; pass it")
    for name in variables:
        if name not in TASK_VARIABLES[template.task]:
            raise PromptError(f"{template.id}: task {template.task} has no variable {name!r}; do not pass it")
    user = _fill(template.user, variables)
    if template.form == "text":
        return user
    head = (Message("system", _fill(template.system, variables)),) if template.system else ()
    examples = (*template.examples, *demonstrations)
    turns = (turn for example in examples for turn in _example_turns(template, example))
    return (*head, *turns, Message("user", user))


def shots(template: PromptTemplate, wanted: int | None = None) -> int:
    """How many demonstrations each listing gets where there is a file to pick them from.

    Args:
        template: For attributes; its own number counts where nothing else is wanted, `USUAL_DEMONSTRATIONS` where
            it has none.
        wanted: 0 to 10.

    Raises:
        ConfigError: the template cannot show any, or too many are wanted.
    """
    if wanted is not None and not 0 <= wanted <= MOST_DEMONSTRATIONS:
        raise ConfigError(f"{wanted} demonstrations: give a number from 0 to {MOST_DEMONSTRATIONS}")
    if template.form == "text" and wanted != 0:
        raise ConfigError(
            f"{template.id}: a text prompt shows no demonstrations; leave them out,"
            " or take a chat prompt such as attributes@v1"
        )
    return (template.demonstrations or USUAL_DEMONSTRATIONS) if wanted is None else wanted


def defuse(text: str) -> str:
    """Take out of a variable what is no mere text to tokenizers and engines.

    "<|", with which control tokens begin ("<|im_start|>", "<|json|>"), becomes "< |": tokenizers read such words
    as control tokens wherever they stand, so a listing could end its own turn. U+FFFD becomes "?": after a prompt
    that ends in one, vLLM 0.32 repeats the prompt in its answer (its incremental decoder waits for the rest of
    the character). Only the prompt is changed: spans and grammars go by the listing's own text.
    """
    return text.replace("<|", "< |").replace("\ufffd", "?")


def embedded_attributes_prompt(category: str, names: Sequence[str], text: str) -> str:
    """The text that the embedded model continues with the object; training and extraction both write this.

    Args:
        category: Name of the leaf ("T-shirts"), "" when unknown.
        names: Attribute ids, in schema order.
        text: `Product.text`.
    """
    variables = {"category": category, "attributes": "|".join(names), "text": text}
    return _fill(_shipped("attributes@embedded-v1").user, variables)


def embedded_route_prompt(options: Sequence[str], text: str) -> str:
    """The text that the embedded model continues with one of `options` as a JSON string."""
    return _fill(_shipped("route@embedded-v1").user, route_request_variables(options, text, "text"))


@cache
def _shipped(prompt_id: str) -> PromptTemplate:
    return load_prompt(prompt_id, default_folder())


def _fill(template: str, variables: Mapping[str, str]) -> str:
    """Put all variables in at once: what they hold is not looked at again."""
    return _PLACEHOLDER.sub(lambda match: defuse(variables[match[1]]), template)


def _example_turns(template: PromptTemplate, example: PromptExample) -> Iterator[Message]:
    asked = {
        "category": example.category,
        "attributes": "\n".join(f"- {name}" for name in example.offered),
        "text": example.text,
    }
    yield Message("user", _fill(template.user, asked))
    answer = json.dumps(example.attributes, ensure_ascii=False, separators=(",", ":"))
    yield Message("assistant", defuse(answer))


def _natural(prompt_id: str) -> tuple[tuple[int, str], ...]:
    """Sort key under which numbers in a name count as numbers."""
    return tuple((int(digits or 0), word) for word, digits in re.findall(r"([^0-9]*)([0-9]*)", prompt_id))


def _refuse(wrong: bool, message: str) -> None:
    if wrong:
        raise ValueError(message)
