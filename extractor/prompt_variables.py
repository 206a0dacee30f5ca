"""A schema, a listing, names of categories in; the variables that a prompt of each task is filled in with out.

Knows no template, only whether it is for chat: a text is what the embedded model was trained on, and shorter.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Literal

from extractor.attribute import Attribute
from extractor.schema import CategorySchema
from extractor.taxonomy import PATH_SEPARATOR

Task = Literal["route", "attributes", "repair", "match"]
Form = Literal["chat", "text"]

# What the functions below supply; a template declares those it uses.
TASK_VARIABLES: Mapping[Task, tuple[str, ...]] = {
    "route": ("options", "text"),
    "attributes": ("category", "attributes", "text"),
    "repair": ("category", "attributes", "text", "previous", "error"),
    "match": ("left", "right"),
}
# Surface examples per attribute in a chat prompt: enough to show the form, few enough to stay short.
_SHOWN_EXAMPLES = 3


def attributes_request_variables(
    schema: CategorySchema, category_path: Sequence[str], text: str, form: Form
) -> dict[str, str]:
    """Variables of task attributes.

    Args:
        schema: What to ask for.
        category_path: Names from the top; empty when the category is unknown.
        text: `Product.text`, or as much of it as fits the model.
        form: Of the template that they are for.
    """
    if form == "text":
        names = "|".join(attribute.id for attribute in schema.attributes)
        return {"category": category_path[-1] if category_path else "", "attributes": names, "text": text}
    return {
        "category": PATH_SEPARATOR.join(category_path) or "unknown",
        "attributes": "\n".join(_bullet(attribute) for attribute in schema.attributes),
        "text": text,
    }


def route_request_variables(options: Sequence[str], text: str, form: Form) -> dict[str, str]:
    """Variables of task route; `options` are the names that the model chooses from."""
    listed = "|".join(options) if form == "text" else "\n".join(f"- {option}" for option in options)
    return {"options": listed, "text": text}


def repair_request_variables(
    schema: CategorySchema, category_path: Sequence[str], text: str, form: Form, *, previous: str, error: str
) -> dict[str, str]:
    """Variables of task repair: those of attributes, the answer that was refused, and why it was."""
    return {
        **attributes_request_variables(schema, category_path, text, form),
        "previous": previous,
        "error": error,
    }


def match_request_variables(left: str, right: str) -> dict[str, str]:
    """Variables of task match: the texts of two listings that may be the same product."""
    return {"left": left, "right": right}


def _bullet(attribute: Attribute) -> str:
    """One line of a chat prompt's attribute list."""
    line = f"- {attribute.id}"
    if attribute.multi:
        line += f" (list of at most {attribute.max_items})"
    line += f": {attribute.description.rstrip('.')}." if attribute.description else ""
    if attribute.enum:
        return f"{line} One of: {', '.join(attribute.enum)}."
    if attribute.examples:
        return f"{line} For example: {'; '.join(attribute.examples[:_SHOWN_EXAMPLES])}."
    return line
