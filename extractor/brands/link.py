"""The name of a brand and the category of a listing in, the brand of the registry that is meant out, or none.

Names are looked up, never compared: one that no spelling of a known name explains is a new brand. What is found under
the strictest key counts. Where a name has several meanings the category decides, and without it nobody does.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Literal

from extractor.brands.names import Keys, keys
from extractor.brands.registry import Brand, Registry
from extractor.records import CategoryChoice

Rule = Literal[
    "name",  # the brand's name or an alias, but for case, accents, punctuation
    "spelling",  # the same but for spaces, "and" or "the"
    "company name",  # the same with what only a company's name has
    "sub-brand",  # its own name and that of a brand above it
    "new brand",  # nothing that the registry knows
    "other meaning",  # a name of the registry that means no brand of it in this category
    "undecided",  # a name with several meanings, and nothing to tell which
]


@dataclass(frozen=True, slots=True)
class Link:
    """What a name means."""

    # None: nothing in the registry.
    brand: Brand | None
    # Why.
    rule: Rule


class Linker:
    """A registry, indexed; links some 100,000 names a second."""

    def __init__(self, registry: Registry) -> None:
        self.registry = registry
        brands = registry.brands.values()
        forms = [(brand, keys(form)) for brand in brands for form in brand.forms]
        self._steps: tuple[tuple[Rule, _Index, Callable[[Keys], str]], ...] = (
            ("name", _index((key.exact, brand) for brand, key in forms), lambda key: key.exact),
            ("spelling", _index((key.loose, brand) for brand, key in forms), lambda key: key.loose),
            ("company name", _index((key.company, brand) for brand, key in forms), lambda key: key.company),
        )
        self._composed = _index(
            (key, brand)
            for brand in brands
            for above in registry.lineage(brand)
            for key in _composed(brand, above)
        )

    def link(self, name: str, categories: frozenset[str] = frozenset()) -> Link:
        """Find the brand that a name means.

        Args:
            name: As written.
            categories: Where the listing belongs, see `category_names`; empty: nobody knows.
        """
        key = keys(name)
        if not key.exact:
            return Link(None, "new brand")
        for rule, index, part in self._steps:
            if found := index.get(part(key)):
                return _decided(found, categories, rule)
        # Its own name stands beside the parent's: no category has to say which one is meant.
        found = self._composed.get(key.loose, [])
        if len(found) > 1:
            return Link(None, "undecided")
        return Link(found[0], "sub-brand") if found else Link(None, "new brand")


_Index = dict[str, list[Brand]]


def _index(entries: Iterator[tuple[str, Brand]]) -> _Index:
    found: _Index = {}
    for key, brand in entries:
        same = found.setdefault(key, [])
        if brand not in same:
            same.append(brand)
    return found


def _composed(brand: Brand, above: Brand) -> Iterator[str]:
    """ "Philips Sonicare", "Sonicare by Philips"."""
    for own in brand.forms:
        for parent in above.forms:
            yield keys(parent).loose + keys(own).loose
            yield keys(own).loose + "by" + keys(parent).loose


def _decided(found: Sequence[Brand], categories: frozenset[str], rule: Rule) -> Link:
    """The one that is at home in the category, else the one that is so everywhere."""
    at_home = [brand for brand in found if brand.is_meant_in(categories)]
    meant = at_home or [brand for brand in found if not brand.categories]
    if len(meant) == 1:
        return Link(meant[0], rule)
    return Link(None, "undecided" if meant or not categories else "other meaning")


@lru_cache(maxsize=4096)
def category_names(category: CategoryChoice, stated: tuple[str, ...] = ()) -> frozenset[str]:
    """What a registry may call the category of a listing, folded.

    Args:
        category: As routed: ids and names count, from the top down to it.
        stated: The feed's own path; counts where routing came to nothing.
    """
    parts = category.id.split(".") if category.path else []
    ids = (".".join(parts[: depth + 1]) for depth in range(len(parts)))
    return frozenset(name.casefold() for name in (*ids, *(category.path or stated)))
