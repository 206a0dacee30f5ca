"""A registry of brands, JSON Lines, gzip'ed or not, in, a Registry out; every complaint names file and line.

    {"id": "bosch", "name": "Bosch", "aliases": ["Robert Bosch"]}
    {"id": "coach", "name": "Coach", "parent": "tapestry", "categories": ["accessories", "clothing", "footwear"]}

`categories` are for names that mean something else elsewhere, ids of the taxonomy (with all that is below) or names of
its categories: there, and nowhere else, the name means this brand. Brands may share a name when their categories tell
them apart. How a name that somebody wrote is looked up says link.py.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from itertools import combinations
from pathlib import Path
from typing import Annotated

from pydantic import BaseModel, ConfigDict, StringConstraints, ValidationError

from extractor.brands.names import keys
from extractor.datafile import content_hash, explain
from extractor.errors import ConfigError
from extractor.gold import read_rows

_Name = Annotated[str, StringConstraints(pattern=r"^\S([^\n]*\S)?$")]


class Brand(BaseModel):
    """One line of a registry."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    # Stable; part of the brand's node id in a graph.
    id: _Name
    # As people are shown it.
    name: _Name
    aliases: tuple[_Name, ...] = ()
    # Id of the brand that this one is a sub-brand of.
    parent: _Name | None = None
    # Where the name means this brand; empty: everywhere.
    categories: tuple[_Name, ...] = ()

    @property
    def forms(self) -> tuple[str, ...]:
        """All that it is called."""
        return (self.name, *self.aliases)

    def is_meant_in(self, categories: frozenset[str]) -> bool:
        """Whether it is at home in one of these, see `link.category_names`."""
        return not categories.isdisjoint(name.casefold() for name in self.categories)


class Registry:
    """Known brands, in the order of the file."""

    def __init__(self, brands: Mapping[str, Brand]) -> None:
        self.brands = brands
        # Names what links were made by: "brands@1a2b3c4d".
        self.id = f"brands@{content_hash([brand.model_dump() for brand in brands.values()])[:8]}"

    def lineage(self, brand: Brand) -> Iterator[Brand]:
        """What it is a sub-brand of, nearest first."""
        while brand.parent is not None:
            brand = self.brands[brand.parent]
            yield brand


def load_registry(path: Path) -> Registry:
    """Read a registry.

    Raises:
        ConfigError: naming file and line; also of a name that two brands share without categories to tell them apart.
    """
    brands: dict[str, Brand] = {}
    lines: dict[str, str] = {}
    for where, row in read_rows(path, ("name",)):
        brand = _parsed(row, where)
        if brand.id in brands:
            raise ConfigError(f"{where}: id {brand.id!r} stands in {lines[brand.id]} too; make ids unique")
        brands[brand.id], lines[brand.id] = brand, where
    if not brands:
        raise ConfigError(f"{path}: holds no brand; give one JSON object a line")
    _check_names(brands.values(), lines)
    _check_parents(brands, lines)
    return Registry(brands)


def _parsed(row: Mapping[str, object], where: str) -> Brand:
    try:
        brand = Brand.model_validate(row)
    except ValidationError as error:
        raise ConfigError(f"{where}: {explain(error)}") from None
    for form in brand.forms:
        if not keys(form).exact:
            raise ConfigError(f"{where}: {form!r} has no letter or digit; correct the name")
    for alias in brand.aliases:
        if brand.aliases.count(alias) > 1:
            raise ConfigError(f"{where}: alias {alias!r} stands twice; remove one")
    return brand


def _check_names(brands: Iterable[Brand], lines: Mapping[str, str]) -> None:
    """Refuse a name of two brands that no category can decide between."""
    known: dict[str, dict[str, tuple[Brand, str]]] = {}
    for brand in brands:
        for form in brand.forms:
            known.setdefault(keys(form).exact, {}).setdefault(brand.id, (brand, form))
    for sharing in known.values():
        for (one, _), (other, form) in combinations(sharing.values(), 2):
            if not _told_apart(one, other):
                raise ConfigError(
                    f"{lines[other.id]}: {form!r} is a name of {one.id!r} too ({lines[one.id]}); remove one,"
                    " or give both categories that have nothing in common"
                )


def _told_apart(one: Brand, other: Brand) -> bool:
    """A brand without categories is meant wherever the other is not; two of them are meant in the same places."""
    if not one.categories or not other.categories:
        return bool(one.categories or other.categories)
    return not any(
        f"{a}.".startswith(f"{b}.") or f"{b}.".startswith(f"{a}.")
        for a in map(str.casefold, one.categories)
        for b in map(str.casefold, other.categories)
    )


def _check_parents(brands: Mapping[str, Brand], lines: Mapping[str, str]) -> None:
    for brand in brands.values():
        above = {brand.id}
        while brand.parent is not None:
            if brand.parent not in brands:
                raise ConfigError(
                    f"{lines[brand.id]}: there is no parent {brand.parent!r}; add it or correct the id"
                )
            if brand.parent in above:
                raise ConfigError(
                    f"{lines[brand.id]}: {brand.parent!r} is its parent and below it; break the circle"
                )
            above.add(brand.parent)
            brand = brands[brand.parent]
