"""A taxonomy that names attributes, and those attributes with their values, in; a folder of schemas out.

`extractor run --taxonomy FOLDER` routes by it and extracts what its categories have. Base attributes, whom a product
suits included, are the package's own, and stay as they are where the taxonomy has attributes of the same name.
"""

from __future__ import annotations

import json
import re
import shutil
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from itertools import chain, count
from pathlib import Path
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field, StringConstraints, ValidationError

from extractor.datafile import DataFileError, explain, parse_json, read_text
from extractor.errors import ConfigError, SchemaError
from extractor.journal import replacing, sink_errors
from extractor.journal.files import to_line, write_json
from extractor.schema import DRAFT, SchemaStore, default_folder
from extractor.taxonomy import PATH_SEPARATOR, TAXONOMY, CategoryNode, Taxonomy, load_taxonomy, taxonomy_lines

# Base attributes and what they refer to.
_SHARED = ("base.json", "audience.json")
# Definitions of all attributes; category files refer to them.
_DEFINITIONS = "values.json"
# Several values of one attribute are true of a product: colors, features.
_MOST_VALUES = 4
# Values that say that there is no value for it.
_NO_VALUES = frozenset({"other", "others", "n/a", "none", "unknown", "not applicable"})
_ABBREVIATED = re.compile(r"(.+?) \(([^()]+)\)")


@dataclass(frozen=True, slots=True)
class Derived:
    """What was written; `extractor schemas derive --json` prints it."""

    # With a schema of their own, all of the taxonomy's.
    categories: int
    leaves: int
    # Of the file, and those of them that base.json has already.
    attributes: int
    kept_from_base: tuple[str, ...]
    # Most attributes of one category, base ones included.
    most_attributes: int
    out_dir: str

    def to_json(self) -> dict[str, Any]:
        return asdict(self)


def derive_schemas(taxonomy: Path, attributes: Path, out: Path) -> Derived:
    """Write a folder of schemas: the taxonomy, base attributes, and a file for each category.

    Args:
        taxonomy: File whose lines have `attributes`, ids of what the products of a category have.
        attributes: File of `{"id", "name", "values"?, "extends"?, "functional"?, "key"?}` lines; without values,
            words of the text are it.
        out: Folder; what an earlier call wrote there is replaced.

    Raises:
        SchemaError: one of the files is wrong, naming its line.
        ConfigError: `out` holds something else.
        SinkError: `out` cannot be written.
    """
    tree = load_taxonomy(taxonomy)
    lines = _read_attributes(attributes)
    own_ids = _own_ids(lines)
    stated = _read_stated(taxonomy, own_ids, attributes)
    _check_out(out)
    base = SchemaStore(default_folder()).by_id("base")
    kept = {attribute.id for attribute in base.attributes}
    own = {node.id: _inherited(tree, node, stated, kept) for node in tree}
    known = _known_words()
    definitions = {
        own_ids[line.id]: _definition(line, known.get(line.id) or known.get(line.extends or "", {}))
        for line in lines.values()
    }
    _write(out, tree, definitions, own)
    return Derived(
        categories=len(tree),
        leaves=len(tree.leaves),
        attributes=len(lines),
        kept_from_base=tuple(sorted(kept & set(own_ids.values()))),
        most_attributes=len(kept) + max(map(len, own.values())),
        out_dir=str(out),
    )


def _check_out(out: Path) -> None:
    """ConfigError where there is anything that an earlier call has not written."""
    with sink_errors(out):
        if out.exists() and not out.is_dir():
            raise ConfigError(f"{out}: is no folder; choose another --out")
        if out.is_dir() and not (out / _DEFINITIONS).is_file() and any(out.iterdir()):
            raise ConfigError(f"{out}: holds something else; choose another --out")


class _Line(BaseModel):
    """A line of the attributes file."""

    model_config = ConfigDict(extra="ignore", frozen=True)

    id: Annotated[str, StringConstraints(pattern=r"\w")]
    name: Annotated[str, StringConstraints(strip_whitespace=True, pattern=r"^[^\n]+$")]
    # Another attribute that has these values as well: "light color" extends "color".
    extends: str | None = None
    values: tuple[Annotated[str, StringConstraints(pattern=r"^\S([^\n\r]*\S)?$")], ...] = Field(default=())
    # As x-functional and x-key of a schema.
    functional: bool = False
    key: bool = False


def _read_attributes(path: Path) -> dict[str, _Line]:
    """By id."""
    lines: dict[str, _Line] = {}
    for where, row in _rows(path):
        try:
            line = _Line.model_validate(row)
        except ValidationError as error:
            raise SchemaError(f"{where}: {explain(error)}") from None
        if line.id in lines:
            raise SchemaError(f"{where}: {line.id}: this id is already taken; choose another")
        lines[line.id] = line
    return lines


def _rows(path: Path) -> Iterator[tuple[str, Any]]:
    """Place and content of each line."""
    where = f"{path}"
    try:
        for number, text in enumerate(read_text(path).split("\n"), 1):
            where = f"{path}:{number}"
            if text.strip():
                yield where, parse_json(text)
    except DataFileError as error:
        raise SchemaError(f"{where}: {error}") from None


def _own_ids(ids: Iterable[str]) -> dict[str, str]:
    """Ids as names of edges in a graph can have them, each once: no "/", which parts words for Cypher, and in lower
    case, as a graph has the attributes that a feed states.
    """
    own: dict[str, str] = {}
    taken: set[str] = set()
    for attribute in ids:
        name = re.sub(r"\W+", "_", attribute.casefold()).strip("_")
        own[attribute] = next(
            free for free in chain([name], map(f"{name}_{{}}".format, count(2))) if free not in taken
        )
        taken.add(own[attribute])
    return own


def _definition(line: _Line, known: Mapping[str, Sequence[str]]) -> dict[str, Any]:
    """As a schema file has it; `known` are further words for its values, by value in lower case."""
    values = tuple(value for value in dict.fromkeys(line.values) if value.lower() not in _NO_VALUES)
    synonyms = _synonyms(values, known)
    return {
        **_value(values, line.functional),
        "title": line.name,
        "description": f"{line.name}, where the text states it.",
        "x-how": "choice" if values else "span",
        **({"x-synonyms": synonyms} if synonyms else {}),
        **{f"x-{word}": True for word in ("functional", "key") if getattr(line, word)},
    }


def _value(values: Sequence[str], functional: bool) -> dict[str, Any]:
    """Words of the text, or one or several of `values`."""
    one = {"type": "string"} | ({"enum": list(values)} if values else {})
    if functional or not values:
        return one
    return {"type": "array", "items": one, "maxItems": min(_MOST_VALUES, len(values))}


def _synonyms(values: Sequence[str], known: Mapping[str, Sequence[str]]) -> dict[str, list[str]]:
    """Known words, and both parts of names such as "Polyvinyl chloride (PVC)"; not what is another value's as well."""
    forms = {value: {*_parts(value), *known.get(value.lower(), ())} for value in values}
    uses = Counter(chain(*forms.values(), {value.lower() for value in values}))
    own = {value: sorted(form for form in forms[value] if uses[form] == 1) for value in values}
    return {value: found for value, found in own.items() if found}


def _parts(value: str) -> list[str]:
    found = _ABBREVIATED.fullmatch(value)
    # One letter is no word: there is an "s" in "men's".
    return [part.lower() for part in found.groups() if len(part) > 1] if found else []


def _known_words() -> dict[str, Mapping[str, Sequence[str]]]:
    """Of our own attributes, by id: value -> words for it."""
    shared = parse_json(read_text(default_folder() / "defs.json"))["$defs"]
    return {name: definition.get("x-synonyms", {}) for name, definition in shared.items()}


def _read_stated(path: Path, own_ids: Mapping[str, str], attributes: Path) -> dict[str, list[str]]:
    """Category -> our ids of the attributes that its own line names; the lines are known to be those of a tree."""
    stated: dict[str, list[str]] = {}
    for where, row in _rows(path / TAXONOMY if path.is_dir() else path):
        category, names = str(row.get("id", row.get("node"))), row.get("attributes", [])
        if "/" in category or "\\" in category or category.startswith("."):
            raise SchemaError(f"{where}: {category}: no name for a file; give the category another id")
        if not isinstance(names, list) or not all(isinstance(name, str) for name in names):
            raise SchemaError(f"{where}: attributes is no list of ids; write it as one")
        if strangers := [name for name in names if name not in own_ids]:
            raise SchemaError(
                f"{where}: {attributes} has no attribute {strangers[0]!r}; add it or correct the id"
            )
        stated[category] = [own_ids[name] for name in names]
    if not any(stated.values()):
        raise SchemaError(f"{path}: no category names attributes; give lines with attributes, a list of ids")
    return stated


def _inherited(
    tree: Taxonomy, node: CategoryNode, stated: Mapping[str, Sequence[str]], kept: set[str]
) -> list[str]:
    """Attributes from the top down to a category, without base ones."""
    ids = chain.from_iterable(stated.get(above, ()) for above in tree.lineage(node.id))
    return [name for name in dict.fromkeys(ids) if name not in kept]


def _write(out: Path, tree: Taxonomy, definitions: Mapping[str, Any], own: Mapping[str, list[str]]) -> None:
    folder = out / "attributes"
    with sink_errors(out):
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True)
        # What the folder is known by comes first: a half-written one may be written again.
        write_json(out / _DEFINITIONS, {"$schema": DRAFT, "$defs": definitions})
        for name in _SHARED:
            (out / name).write_bytes((default_folder() / name).read_bytes())
        with replacing(out / TAXONOMY) as file:
            file.writelines(map(to_line, taxonomy_lines(tree)))
        for node in tree:
            text = json.dumps(_schema(node, own[node.id]), ensure_ascii=False, indent=1)
            (folder / f"{node.id}.json").write_text(text + "\n", encoding="utf-8")


def _schema(node: CategoryNode, attributes: Sequence[str]) -> dict[str, Any]:
    return {
        "$schema": DRAFT,
        "title": node.path[-1],
        "description": f"Attributes of {PATH_SEPARATOR.join(node.path)}.",
        "type": "object",
        "properties": {name: {"$ref": f"../{_DEFINITIONS}#/$defs/{name}"} for name in attributes},
        "additionalProperties": False,
    }
