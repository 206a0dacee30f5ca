"""A taxonomy whose attributes have known words -> listings that state them: thousands of names to learn from.

Two lexicons: the values of a taxonomy with attributes, such as the Shopify product taxonomy (MIT; training material
only), and the examples and synonyms of our own schemas. In: rows of feeds, or nothing. Out: `Record`s: a feed listing
in whose text words of its category's attributes stand, or a made-up one composed of them.
"""

from __future__ import annotations

import random
import re
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from extractor.records import Product
from extractor.route import PhraseIndex
from extractor.schema import Attribute, SchemaStore
from extractor.split import stated_forms
from extractor.taxonomy import CategoryNode, Taxonomy
from extractor.training.dataset import Record, invent_brand, read_lines, text_of
from extractor.training.synthesize import NOISE, describe, join

# Values that say nothing by themselves, are too short to be told from other words, or are sentences.
_MUTE = re.compile(r"other|yes|no|none|all|any|universal|multi.*|.{1,2}|.{41,}", re.IGNORECASE)
_ASIDE = re.compile(r"\s*\(.*?\)")
# Attributes of other categories that are known to be absent, per listing.
_FOREIGN = 6
# The words of a category have to fit a title so well (score of the PhraseIndex) that its attributes are looked for.
_FITS = 3.0
_LONGEST_TEXT = 300


@dataclass(frozen=True, slots=True)
class Leaf:
    """A category and the words that its attributes have."""

    path: tuple[str, ...]
    synonyms: tuple[str, ...]
    # Attribute name -> what it can be.
    words: Mapping[str, tuple[str, ...]]


class Lexicon:
    """Leaf categories by id."""

    def __init__(self, leaves: Mapping[str, Leaf]) -> None:
        self.leaves = leaves
        self._ids = sorted(leaves)
        self._names = sorted({name for leaf in leaves.values() for name in leaf.words})

    @classmethod
    def load(cls, folder: Path) -> Lexicon:
        """Of the Shopify taxonomy's two files. Raises ConfigError where they are not there."""
        files = (folder / f"shopify_{part}.jsonl.gz" for part in ("categories", "attributes"))
        return cls.of_taxonomy(*map(read_lines, files))

    @classmethod
    def of_taxonomy(
        cls, categories: Iterable[Mapping[str, Any]], attributes: Iterable[Mapping[str, Any]]
    ) -> Lexicon:
        """Of category lines {"id", "path", "leaf", "attributes"} and attribute lines {"id", "name", "extends",
        "values"}."""
        by_id = {row["id"]: row for row in attributes}
        said = {
            key: (_plain(row["name"]), tuple(_said(by_id.get(row["extends"], row)["values"] or ())))
            for key, row in by_id.items()
        }
        colors = {word.casefold() for word in said.get("color", ("", ()))[1]}
        leaves = {}
        for row in categories:
            words = dict(said[key] for key in row.get("attributes", ()) if key in said and said[key][1])
            # Where a color is part of the name, any listing of that color would be found.
            if row["leaf"] and words and colors.isdisjoint(row["path"][-1].casefold().split()):
                leaves[row["id"]] = Leaf(tuple(row["path"]), (), words)
        return cls(leaves)

    @classmethod
    def of_schemas(cls, store: SchemaStore) -> Lexicon:
        """Of our own categories; what a listing is (product_type) the names of its category say."""
        leaves = {}
        for leaf in store.taxonomy.leaves:
            words = {a.id: tuple(_own_words(a)) for a in store.for_category(leaf.id).attributes if not a.cues}
            words["product_type"] = tuple(_nouns(leaf))
            known = {name: found for name, found in words.items() if found and name != "brand"}
            leaves[leaf.id] = Leaf(leaf.path, leaf.synonyms, known)
        return cls(leaves)

    @cached_property
    def _phrases(self) -> PhraseIndex:
        nodes = {key: CategoryNode(key, leaf.path, None, leaf.synonyms) for key, leaf in self.leaves.items()}
        return PhraseIndex(Taxonomy(nodes))

    def stated(self, row: Mapping[str, Any], rng: random.Random) -> Record | None:
        """What a feed row says in the words of its category; what is not found is unjudged, not absent.

        None where title and category path fit no category, or nothing but the brand is found.
        """
        product = Product(
            id=row["id"], title=row["title"], category_path=tuple(row.get("category_path") or ())
        )
        best = self._phrases.candidates(product, most=1)
        if not best or best[0].score < _FITS:
            return None
        text = text_of(row, _LONGEST_TEXT if rng.random() < 0.5 else len(row["title"]))
        return self._stated(self.leaves[best[0].category.id], text, row.get("brand") or "", rng)

    def _stated(self, leaf: Leaf, text: str, brand: str, rng: random.Random) -> Record | None:
        lower = text.casefold()
        found = {
            name: longest(
                form for word in words if word.casefold() in lower for form in stated_forms(text, word)
            )
            for name, words in leaf.words.items()
        }
        unfound = tuple(name for name in leaf.words if not found[name])
        found["brand"] = stated_forms(text, brand)
        holders = Counter(form.casefold() for forms in found.values() for form in forms)
        # Words that two attributes could mean are nobody's.
        labels: dict[str, tuple[str, ...] | None] = {
            name: forms
            for name, forms in found.items()
            if forms and all(holders[form.casefold()] == 1 for form in forms)
        }
        if not labels.keys() - {"brand"}:
            return None
        labels |= self._foreign(leaf, rng)
        return Record(text, leaf.path[-1], labels, unfound)

    def _foreign(self, leaf: Leaf, rng: random.Random) -> dict[str, None]:
        names = rng.sample(self._names, min(_FOREIGN, len(self._names)))
        return {name: None for name in names if name not in leaf.words}

    def made_up(self, rng: random.Random) -> Record:
        """A listing composed of a brand, a product type and words, each of which is an attribute's."""
        leaf = self.leaves[rng.choice(self._ids)]
        kind = rng.choice((leaf.path[-1], leaf.path[-1].lower(), leaf.path[-1].upper()))
        parts = [kind, *rng.sample(NOISE, rng.choice((0, 0, 1, 2)))]
        labels: dict[str, tuple[str, ...] | None] = dict.fromkeys(leaf.words)
        for name in rng.sample(sorted(leaf.words), rng.randint(1, min(len(leaf.words), 5))):
            word = rng.choice(leaf.words[name])
            word = rng.choice((word, word.title(), word.lower()))
            if not any(
                word.casefold() in part.casefold() or part.casefold() in word.casefold() for part in parts
            ):
                parts.insert(rng.randint(0, len(parts)), word)
                labels[name] = (word,)
        if rng.random() < 0.7:
            brand = invent_brand(rng)
            parts.insert(0, brand)
            labels["brand"] = (brand,)
        late = (
            [part for part in parts[1:] if part != kind and rng.random() < 0.25] if rng.random() < 0.3 else []
        )
        title = join([part for part in parts if part not in late], rng)
        labels |= self._foreign(leaf, rng)
        return Record(f"{title}\n{describe(late, rng)}" if late else title, leaf.path[-1], labels)


def longest(forms: Iterable[str]) -> tuple[str, ...]:
    """Without forms that are part of another: of "gold" and "rose gold" the second."""
    kept: list[str] = []
    for form in sorted(set(forms), key=lambda form: (-len(form), form)):
        if not any(form.casefold() in other.casefold() for other in kept):
            kept.append(form)
    return tuple(kept)


def _plain(name: str) -> str:
    """Of a path of names the last one."""
    return name.split("/")[-1].strip()


def _said(values: Iterable[str]) -> Iterator[str]:
    for value in values:
        cleaned = _ASIDE.sub("", value).strip()
        if cleaned and not _MUTE.fullmatch(cleaned):
            yield cleaned


def _own_words(attribute: Attribute) -> Iterator[str]:
    if attribute.how == "derived" or attribute.type != "string":
        return
    spelled = [form for forms in attribute.synonyms.values() for form in forms]
    words = (*attribute.enum, *attribute.examples, *attribute.synonyms, *spelled)
    yield from (word for word in words if not _MUTE.fullmatch(word))


def _nouns(leaf: CategoryNode) -> Iterator[str]:
    for name in (leaf.path[-1], *leaf.synonyms):
        yield from {name, name.removesuffix("s")}
