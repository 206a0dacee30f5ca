"""Labelled listings in, the few out that a prompt shows before it asks about another listing.

The pool is a train file in the form that gold has (gold.py). A listing gets those of its own category first, and among
them those whose texts share its words (BM25), as ExtractGPT (arXiv 2310.12537, `pieutils/search.py`) picks by category
and embedding; where we differ: no second model, and where a category has too few, others fill up.
A demonstration answers only what the grammar would let through: a value that does not stand in its text is left out,
and so is the question about it. Knows no engine and no token counts: what does not fit, ask.py leaves out.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from bm25s import BM25
from numpy.typing import NDArray

from extractor.chunks import split_chunks
from extractor.datafile import content_hash
from extractor.errors import ConfigError
from extractor.gold import GoldRecord, normalize_title, read_gold
from extractor.prompt import PromptExample
from extractor.records import CategoryChoice, Product
from extractor.schema import Attribute, CategorySchema
from extractor.search import find_evidence
from extractor.taxonomy import PATH_SEPARATOR
from extractor.written_numbers import numbers_for

# BM25 scores that differ by less are ties: sums of 32-bit floats.
_DECIMALS = 3


class Demonstrations:
    """A pool of labelled listings, indexed by their words.

    Args:
        records: With titles; their order does not count.
        seed: Of the order among equally similar ones.
    """

    def __init__(self, records: Sequence[GoldRecord], *, seed: int = 0) -> None:
        self._records = list(records)
        self._titles = [normalize_title(record.title) for record in records]
        # Of what is picked from and of the order among ties.
        self.hash = content_hash([seed, sorted(map(_row, records), key=str)])
        # Records whose title is one of those that are measured on.
        self.left_out = 0
        categories = np.array([record.category.casefold() for record in records])
        # Category -> for each record whether it is one of it.
        self._members = {name: categories == name for name in set(categories.tolist())}
        self._ties = np.array([_tie(record.id, seed) for record in records], dtype=np.uint64)
        self._index = BM25()
        # A pool without any word is refused: texts that have none get the empty one.
        self._index.index([_words(record.text) or [""] for record in records], show_progress=False)
        self._examples: dict[tuple[int, str, str], PromptExample] = {}

    def __len__(self) -> int:
        return len(self._records)

    @classmethod
    def load(cls, path: Path, *, refuse: Iterable[GoldRecord] = (), seed: int = 0) -> Demonstrations:
        """Read a train file.

        Args:
            path: Gold form, JSON Lines, gzip'ed or not.
            refuse: What is measured on. Records with one of its titles, case and signs aside, are left out.
            seed: See the class.

        Raises:
            ConfigError: the file is broken, has an id of `refuse`, or nothing to show.
        """
        refused = {record.id: normalize_title(record.title) for record in refuse}
        titles = set(refused.values()) - {""}
        records = read_gold(path)
        for record in records:
            if record.id in refused:
                raise ConfigError(
                    f"{path}: id {record.id!r} is in the gold to score; give a train file without it"
                )
            if not record.title:
                raise ConfigError(f"{path}: id {record.id!r} has no title; add it")
        kept = [record for record in records if normalize_title(record.title) not in titles]
        if not kept:
            raise ConfigError(f"{path}: has only titles of the gold to score; give a train file")
        pool = cls(kept, seed=seed)
        pool.left_out = len(records) - len(kept)
        return pool

    def identity(self, k: int) -> dict[str, Any]:
        """What of it shapes outcomes, for the manifest of a run."""
        return {"hash": self.hash, "k": k}

    def pick(
        self, product: Product, category: CategoryChoice, schema: CategorySchema, k: int
    ) -> list[PromptExample]:
        """At most `k` demonstrations for a product, best ones first; itself is never one of them.

        Args:
            product: What will be asked about.
            category: Its category; records call theirs by id, by name, or by names joined with " > ".
            schema: What will be asked for: demonstrations give their attributes in its order.
            k: 0 to 10.
        """
        found: list[PromptExample] = []
        for number in self._ranked(product, category) if k else ():
            example = self._example(number, category, schema)
            if example.offered:
                found.append(example)
            if len(found) == k:
                break
        return found

    def _ranked(self, product: Product, category: CategoryChoice) -> Iterator[int]:
        """Numbers of records, best ones first."""
        same = np.zeros(len(self), dtype=bool)
        for name in _names(category) & self._members.keys():
            same |= self._members[name]
        order = np.lexsort((self._ties, -self._scores(product.text), ~same))
        title = normalize_title(product.title)
        for number in order.tolist():
            if self._records[number].id != product.id and self._titles[number] != title:
                yield number

    def _scores(self, text: str) -> NDArray[Any]:
        words = _words(text)
        if not words:
            return np.zeros(len(self))
        scores: NDArray[Any] = self._index.get_scores(words)
        return scores.round(_DECIMALS)

    def _example(self, number: int, category: CategoryChoice, schema: CategorySchema) -> PromptExample:
        record = self._records[number]
        same = record.category.casefold() in _names(category)
        name = PATH_SEPARATOR.join(category.path) if same else record.category
        key = (number, schema.hash, name)
        if key not in self._examples:
            self._examples[key] = to_example(record, name, schema)
        return self._examples[key]


def to_example(record: GoldRecord, category: str, schema: CategorySchema) -> PromptExample:
    """A labelled listing as a turn of a prompt.

    Args:
        record: Its labels that are null show that things are left out.
        category: As the prompt names it.
        schema: Says which attributes are spans, choices, numbers and lists; one that it lacks counts as a span.
    """
    known = {attribute.id: attribute for attribute in schema.attributes}
    names = [name for name in known if name in record.attributes]
    names += [name for name in record.attributes if name not in known]
    values = {
        name: answer_of(known.get(name) or Attribute(name, title=name, description=""), forms, record.text)
        for name in names
        if (forms := record.attributes[name])
    }
    return PromptExample(
        category=category,
        title=record.title,
        description=record.description,
        offered=[name for name in names if not record.attributes[name] or values[name] is not None],
        attributes={name: value for name, value in values.items() if value is not None},
    )


def answer_of(attribute: Attribute, forms: Sequence[str], text: str) -> Any:
    """What the object holds under the attribute: a value, a list of them, or None when the text has none."""
    values = [value for form in forms if (value := decoded(attribute, form, text)) is not None]
    if attribute.multi:
        return values[: attribute.max_items] or None
    return values[0] if values else None


def decoded(attribute: Attribute, form: str, text: str) -> str | int | float | None:
    """One accepted form as a grammar for `text` would let it through (constraint.py)."""
    if attribute.enum:
        stated = attribute.how == "derived" or find_evidence(attribute, form, text) is not None
        return form if form in attribute.enum and stated else None
    if attribute.type != "string":
        return json.loads(form) if form in numbers_for(attribute, text) else None
    stated = any(form in line for line in text.splitlines())
    return form if stated and 0 < len(form) <= attribute.max_length else None


def _names(category: CategoryChoice) -> set[str]:
    """All that a pool may call a category."""
    names = {category.id, PATH_SEPARATOR.join(category.path), *category.path[-1:]}
    return {name.casefold() for name in names}


def _words(text: str) -> list[str]:
    """Chunks with a letter or digit in them: also "80" and "mm" of "80mm", and each sign of a script without spaces."""
    return [chunk for chunk in split_chunks(text.casefold()) if any(map(str.isalnum, chunk))]


def _tie(record_id: str, seed: int) -> int:
    """A random place that depends on nothing but id and seed."""
    digest = hashlib.blake2b(f"{seed} {record_id}".encode("utf-8", "surrogatepass"), digest_size=8).digest()
    return int.from_bytes(digest, "big")


def _row(record: GoldRecord) -> list[Any]:
    """All that a demonstration is made of, and the id, which decides among ties."""
    return [record.id, record.title, record.description, record.category, dict(record.attributes)]
