"""Labelled listings and a taxonomy in, examples to learn from out; every complaint names the row.

A label is the category path of a feed record: names from the top, or the id of a category alone.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace

from extractor.errors import ConfigError
from extractor.records import Product, Unreadable
from extractor.taxonomy import PATH_SEPARATOR, Taxonomy

# One example in so many is for validation.
_VALIDATION_SHARE = 8


@dataclass(frozen=True, slots=True)
class Example:
    """A listing and the id of its category, which may be an inner one."""

    product: Product
    category: str

    @property
    def validates(self) -> bool:
        """True for those that choose the settings of a model; not the same ones as `split.held_out` keeps back."""
        digest = hashlib.blake2b(f"route {self.product.id}".encode(), digest_size=8).digest()
        return int.from_bytes(digest, "big") % _VALIDATION_SHARE == 0


def read_examples(records: Iterable[Product | Unreadable], taxonomy: Taxonomy) -> list[Example]:
    """All of them, in order.

    Raises:
        ConfigError: naming the row that is no product, or whose label is missing or not in the taxonomy.
    """
    examples = list(_labelled(records, taxonomy))
    if not examples:
        raise ConfigError("examples: there is none; give listings with category_path, one a record")
    return examples


def _labelled(records: Iterable[Product | Unreadable], taxonomy: Taxonomy) -> Iterator[Example]:
    for record in records:
        if isinstance(record, Unreadable):
            raise ConfigError(f"{record.where}: {record.detail}")
        category = _category(record.category_path, record.where, taxonomy)
        # What is to be found out is nothing to learn from.
        yield Example(replace(record, category_path=()), category)


def _category(label: Sequence[str], where: str, taxonomy: Taxonomy) -> str:
    if not label:
        raise ConfigError(f"{where}: has no category; give category_path, or a category's id as category")
    found = label[0] if len(label) == 1 and label[0] in taxonomy else taxonomy.find(label)
    if found is None:
        name = PATH_SEPARATOR.join(label)
        raise ConfigError(f"{where}: the taxonomy has no category {name!r}; correct the label or add it")
    return found
