"""Taxonomy and schemas -> listings with known values.

In: the shipped schemas. Out: `Example`s: a title composed of a brand, a product type, attribute values (the
schemas' own `x-examples` and enum words) and noise, so that every value's place is known by construction.
Takes no text from any data set.
"""

from __future__ import annotations

import random
from collections.abc import Mapping, Sequence
from typing import Any

from extractor.schema import Attribute, CategorySchema, SchemaStore, default_folder
from extractor.training.dataset import Example, invent_brand

NOISE = [
    "New",
    "Premium",
    "High Quality",
    "Hot Sale",
    "Best Seller",
    "2024",
    "Original",
    "Genuine",
    "Free Shipping",
    "Professional",
    "Classic",
    "Deluxe",
    "Ultra",
    "Portable",
    "Durable",
    "Lightweight",
    "Adjustable",
    "Multi-purpose",
    "for Home",
    "for Gift",
    "Great Value",
    "Imported",
    "Limited Edition",
    "Super",
    "Fashion",
    "Universal",
    "Easy to Use",
    "Heavy Duty",
    "with Case",
    "Upgraded",
    "Eco Friendly",
    "Combo",
    "Offer",
    "(Renewed)",
    "Original Box",
]
JOINTS = [" ", " ", " ", " ", ", ", ", ", " - ", " | ", " / "]
SENTENCES = [
    "A {0} you will love.",
    "Made for everyday use.",
    "Comes in {0}.",
    "Features {0} and {1}.",
    "The {0} is easy to clean.",
    "Includes {0}.",
    "{0}; {1}.",
    "Ideal for all.",
    "Only genuine products.",
    "30 day replacement guarantee.",
    "Specifications: {0}, {1}",
]


class Synthesizer:
    """Draws examples over all leaf categories of a schema folder."""

    def __init__(self, store: SchemaStore) -> None:
        self.store = store
        self.leaves = store.taxonomy.leaves
        self.brands = list(store.for_category("unknown").attribute("brand").examples)

    @classmethod
    def shipped(cls) -> Synthesizer:
        return cls(SchemaStore(default_folder()))

    def draw(self, rng: random.Random) -> Example:
        """An attribute example, or one time in four a category choice over the same kind of text."""
        leaf = rng.choice(self.leaves)
        schema = self.store.for_category(leaf.id)
        text, values = listing(schema, product_type(leaf.path[-1], leaf.synonyms, rng), self.brand(rng), rng)
        if rng.random() < 0.25:
            return self.choice(leaf.path[-1], text, rng)
        names = [a.id for a in schema.attributes if a.id in values or rng.random() < 0.7]
        answer = {name: values[name] for name in names if name in values}
        return Example(leaf.path[-1] if rng.random() < 0.9 else "", tuple(names), text, answer)

    def choice(self, leaf: str, text: str, rng: random.Random) -> Example:
        others = {rng.choice(self.leaves).path[-1] for _ in range(rng.randint(1, 6))} - {leaf}
        known = rng.random() < 0.9
        options = [*sorted(others), *([leaf] if known else [])]
        rng.shuffle(options)
        return Example("", (), text, leaf if known else "unknown", options=(*options, "unknown"))

    def brand(self, rng: random.Random) -> str:
        return rng.choice(self.brands) if rng.random() < 0.3 else invent_brand(rng)


def product_type(name: str, synonyms: Sequence[str], rng: random.Random) -> str:
    """A head noun of the category, cased as shops do."""
    noun = rng.choice((name, *synonyms))
    return rng.choice((noun.title(), noun.title(), noun, noun.upper(), noun.capitalize()))


def listing(
    schema: CategorySchema, kind: str, brand: str, rng: random.Random
) -> tuple[str, Mapping[str, str | list[str]]]:
    """A title, perhaps with a description, and the values that it states."""
    values: dict[str, Any] = {}
    parts: list[str] = []
    stated = [a for a in schema.attributes if a.id not in ("brand", "product_type")]
    for attribute in rng.sample(stated, min(len(stated), rng.randint(0, 6))):
        surface, value = statement(attribute, rng)
        if surface and all(
            surface.lower() not in p.lower() and p.lower() not in surface.lower() for p in parts
        ):
            parts.append(surface)
            values[attribute.id] = [value] if attribute.multi else value
    parts += rng.sample(NOISE, rng.choice((0, 0, 1, 1, 2, 3)))
    rng.shuffle(parts)
    if any(a.id == "product_type" for a in schema.attributes):
        values["product_type"] = kind
    parts.insert(rng.randint(0, len(parts)), kind)
    if rng.random() < 0.85:
        values["brand"] = brand
        parts.insert(0 if rng.random() < 0.75 else rng.randint(0, len(parts)), brand)
    late = [p for p in parts if p not in (kind, brand) and rng.random() < 0.2] if rng.random() < 0.3 else []
    title = join([p for p in parts if p not in late], rng)
    return (f"{title}\n{describe(late, rng)}" if late else title), values


def statement(attribute: Attribute, rng: random.Random) -> tuple[str, str]:
    """How a listing says it, and the value to answer."""
    if attribute.enum:
        member = rng.choice(attribute.enum)
        return rng.choice((member, *attribute.synonyms.get(member, ()))), member
    if attribute.type != "string" or not attribute.examples:
        return "", ""
    surface = rng.choice(attribute.examples)
    if rng.random() < 0.4:
        # Other numbers of the same shape: the value's form, not its digits, should be learned.
        surface = "".join(rng.choice("123456789") if c in "123456789" else c for c in surface)
    return surface, surface


def join(parts: Sequence[str], rng: random.Random) -> str:
    """One separator style per title, with a few exceptions."""
    style = rng.choice(JOINTS)
    title = parts[0] if parts else ""
    for part in parts[1:]:
        title += (style if rng.random() < 0.8 else rng.choice(JOINTS)) + part
    return title


def describe(parts: Sequence[str], rng: random.Random) -> str:
    """A few sentences that hold the parts."""
    sentences = []
    for k, part in enumerate(parts):
        sentences.append(rng.choice([s for s in SENTENCES if "{0}" in s and "{1}" not in s]).format(part))
        if k % 2 == 0:
            sentences.append(rng.choice([s for s in SENTENCES if "{" not in s]))
    return " ".join(sentences)
