"""One attribute definition of a schema file in, an `Attribute` out; knows no files and no references."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Annotated, Any, Literal, Self, cast

from pydantic import BaseModel, ConfigDict, Field, StringConstraints, ValidationError, model_validator

from extractor.cues import Cues
from extractor.datafile import DataFileError, explain
from extractor.records import How

ValueType = Literal["string", "number", "integer"]
Normalizer = Literal[
    "text",
    "brand",
    "color",
    "material",
    "quantity",
    "number",
    "pack",
    "size",
    "yes_no",
    "price",
    "gtin",
    "model",
]

# Longest value in characters where a definition does not say.
MAX_LENGTH = 100
# Most confidence of a derived value: nobody can check it against the text.
DERIVED_CONFIDENCE = 0.5


@dataclass(frozen=True, slots=True)
class Attribute:
    """What one attribute means and which values it takes."""

    # Key in the decoded object.
    id: str
    title: str
    # One line for a person or a model that annotates.
    description: str
    # Of one value.
    type: ValueType = "string"
    how: How = "span"
    # Several values are decoded as an array.
    multi: bool = False
    # 1 unless multi.
    max_items: int = 1
    # Members for choice and derived; empty for span.
    enum: tuple[str, ...] = ()
    # Of one value, in characters.
    max_length: int = MAX_LENGTH
    minimum: float | None = None
    maximum: float | None = None
    # Canonical unit, a name of units.json.
    unit: str | None = None
    normalizer: str | None = None
    # Edge type in the graph.
    relation: str = ""
    # At most one value is true of a product.
    functional: bool = False
    # Counts for the identity of a product (SPU).
    key: bool = False
    # Canonical value -> lower-case surface forms.
    synonyms: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    # What words say each member: then no model is needed (suit.py).
    cues: Cues | None = None
    # Surface values as they stand in titles.
    examples: tuple[str, ...] = ()

    def __hash__(self) -> int:
        """Equal ones have equal ids, and its mappings have no hash."""
        return hash(self.id)


def check_attribute_id(attribute_id: str) -> None:
    """Refuse what cannot be a name: ids are joined with "|" in a prompt and stand on one line.

    Raises:
        DataFileError: saying so.
    """
    if not re.fullmatch(r"[^\s|]([^\n\r|]*[^\s|])?", attribute_id):
        raise DataFileError(f"{attribute_id!r} cannot be a name; use one line without '|' or outer spaces")


def parse_attribute(attribute_id: str, definition: Mapping[str, Any]) -> Attribute:
    """Read one definition strictly.

    Args:
        attribute_id: Its key in `properties`.
        definition: JSON Schema with our x- keywords and without `$ref`.

    Raises:
        DataFileError: what is wrong with it, without file and attribute.
    """
    try:
        parsed = _Definition.model_validate(definition)
    except ValidationError as error:
        raise DataFileError(explain(error)) from None
    value = parsed.items or parsed
    return Attribute(
        id=attribute_id,
        title=parsed.title,
        description=parsed.description,
        type=cast(ValueType, value.type),  # an array has items, and those are none
        how=parsed.how or ("choice" if value.enum else "span"),
        multi=parsed.items is not None,
        max_items=parsed.max_items or 1,
        enum=value.enum or (),
        max_length=value.max_length or MAX_LENGTH,
        minimum=value.minimum,
        maximum=value.maximum,
        unit=parsed.unit,
        normalizer=parsed.normalizer,
        relation=parsed.relation or f"has_{attribute_id}",
        functional=parsed.functional,
        key=parsed.key,
        synonyms=parsed.synonyms,
        cues=parsed.cues,
        examples=parsed.examples,
    )


def value_schema(attribute: Attribute) -> dict[str, Any]:
    """Plain JSON Schema of what the decoded object holds under this attribute."""
    schema: dict[str, Any] = {"type": attribute.type}
    if attribute.enum:
        schema["enum"] = list(attribute.enum)
    elif attribute.type == "string":
        schema |= {"minLength": 1, "maxLength": attribute.max_length}
    schema |= {"minimum": attribute.minimum} if attribute.minimum is not None else {}
    schema |= {"maximum": attribute.maximum} if attribute.maximum is not None else {}
    if not attribute.multi:
        return schema
    return {"type": "array", "items": schema, "minItems": 1, "maxItems": attribute.max_items}


_Line = Annotated[str, StringConstraints(pattern=r"^\S([^\n\r]*\S)?$")]
_Lines = Annotated[tuple[_Line, ...], Field(min_length=1, strict=False)]
_Bound = Annotated[int | float | None, Field(allow_inf_nan=False)]
_CONFIG = ConfigDict(extra="forbid", frozen=True, strict=True)


class _Value(BaseModel):
    """Keywords of one value, at the top of a definition or in its `items`."""

    model_config = _CONFIG

    type: Literal["string", "number", "integer", "array"]
    enum: _Lines | None = None
    max_length: Annotated[int | None, Field(alias="maxLength", ge=1, le=1000)] = None
    minimum: _Bound = None
    maximum: _Bound = None

    @model_validator(mode="after")
    def _check_value(self) -> Self:
        numeric = self.type in ("number", "integer")
        bounds = [bound for bound in (self.minimum, self.maximum) if bound is not None]
        _refuse(bool(bounds) and not numeric, "minimum and maximum are for numbers; remove them")
        _refuse(bounds != sorted(bounds), "minimum is above maximum; swap them")
        textual = self.enum is not None or self.max_length is not None
        _refuse(
            textual and self.type != "string",
            f"type {self.type} takes no enum or maxLength; remove them",
        )
        _refuse(len(set(self.enum or ())) < len(self.enum or ()), "an enum member stands twice; remove one")
        return self


class _Definition(_Value):
    """All keywords of an attribute definition."""

    title: _Line
    description: _Line
    items: _Value | None = None
    max_items: Annotated[int | None, Field(alias="maxItems", ge=1, le=50)] = None
    how: Annotated[How | None, Field(alias="x-how")] = None
    unit: Annotated[_Line | None, Field(alias="x-unit")] = None
    normalizer: Annotated[Normalizer | None, Field(alias="x-normalizer")] = None
    relation: Annotated[str | None, Field(alias="x-relation", pattern=r"^[a-z][a-z0-9_]*$")] = None
    functional: Annotated[bool, Field(alias="x-functional")] = False
    key: Annotated[bool, Field(alias="x-key")] = False
    synonyms: Annotated[dict[_Line, _Lines], Field(alias="x-synonyms")] = {}
    cues: Annotated[Cues | None, Field(alias="x-cues")] = None
    examples: Annotated[tuple[_Line, ...], Field(alias="x-examples", strict=False)] = ()

    @model_validator(mode="after")
    def _check(self) -> Self:
        array = self.type == "array"
        _refuse(array and self.items is None, "an array has no items; add items with their type")
        _refuse(array and self.max_items is None, "an array has no maxItems; add it, so that decoding ends")
        _refuse(
            not array and (self.items or self.max_items) is not None,
            "only an array has items and maxItems; remove them",
        )
        _refuse(
            self.items is not None and self.items.type == "array",
            "an array of arrays; make items single values",
        )
        _refuse(array and self.functional, "an array cannot be x-functional; remove one of the two")
        members = (self.items or self).enum
        _refuse(
            self.how == "span" and members is not None,
            "an enum is no span; set x-how to choice or derived",
        )
        _refuse(self.how in ("choice", "derived") and members is None, f"x-how {self.how} needs enum; add it")
        self._check_synonyms(members)
        self._check_cues(members or ())
        return self

    def _check_cues(self, members: tuple[str, ...]) -> None:
        if self.cues is None:
            return
        _refuse(self.how == "derived" or not members, "x-cues are for a choice; give it an enum")
        _refuse(bool(self.synonyms), "x-cues and x-synonyms say the same; move the words into x-cues")
        strangers = sorted(self.cues.named - set(members))
        _refuse(bool(strangers), f"x-cues names {', '.join(strangers)}: no member of the enum; add it there")

    def _check_synonyms(self, members: tuple[str, ...] | None) -> None:
        owner = {name.lower(): name for name in members or self.synonyms}
        for canonical, forms in self.synonyms.items():
            _refuse(
                members is not None and canonical not in members,
                f"x-synonyms names {canonical!r}, no member of the enum; add it there or remove it",
            )
            for form in forms:
                _refuse(form != form.lower(), f"x-synonyms: {form!r} is not lower-case; write it so")
                other = owner.setdefault(form, canonical)
                _refuse(other != canonical, f"x-synonyms: {form!r} is {other!r} and {canonical!r}; keep one")


def _refuse(wrong: bool, message: str) -> None:
    if wrong:
        raise ValueError(message)
