"""What makes two listings different products whatever else they share: other maker, capacity, size, pack or color.

In: listings. Out: what each says of such things. Two of them conflict when both speak of one thing and agree on
nothing. A listing that says nothing conflicts with nobody.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping, Set

from extractor.brands.names import is_no_brand, keys
from extractor.match.listing import Listing
from extractor.match.tokens import fold, tokenize

# Thing -> what a listing says of it.
Claims = Mapping[str, frozenset[str]]
_NUMBER = re.compile(r"(\d+(?:\.\d+)?)(?: \D+)?")
# Units of titles that tell products apart, where a title names one number of them: capacities, contents, packs.
_UNITS = frozenset({"gb", "ml", "oz", "gal", "pack"})
_MAKER = "brand of the shop"
# A key of so many signs and digits names a model, "1080p" none; one with so much of its beginning may be the same.
_SIGNS, _DIGITS, _STEM = 6, 3, 0.7
_DIGIT = re.compile(r"\d")
# Two groups are of one model when so many of those of either that name one name one that the other side names.
_SHARED = 1 / 3
# Words that brands share by chance.
_LINKING = frozenset({"and", "by", "co", "de", "la", "of", "the"})


def claims(listing: Listing) -> Claims:
    """Its maker, values of its key attributes, the capacity, content and pack count of its title, who lists it.

    "8 GB RAM, 256 GB" says nothing: which of two numbers would be the one that counts?
    """
    said = {name: _comparable(listing, name) for name in sorted(listing.keys)}
    said[_MAKER] = frozenset().union(*map(_called, sorted(listing.makers)))
    numbers: dict[str, set[str]] = {}
    for unit, number in tokenize(listing.title).measures:
        numbers.setdefault(unit, set()).add(number)
    stated = {f"title {unit}": frozenset(numbers[unit]) for unit in _UNITS & numbers.keys()}
    titled = {name: values for name, values in stated.items() if len(values) == 1}
    listed = {f"listing of {name}": _listed_as(listing) for name in listing.merchants}
    return {name: values for name, values in {**said, **titled, **listed}.items() if values}


def _listed_as(listing: Listing) -> frozenset[str]:
    """The words of its title in whatever order, and its GTINs: one merchant's listings that share any may be one."""
    return frozenset({" ".join(sorted(tokenize(listing.title).words)), *listing.gtins})


def _called(maker: str) -> frozenset[str]:
    """What a brand is told by: its words, all of them as one, its initials; brands that share any may be one.

    A brand and its sub-brand share a word ("Philips", "Philips Sonicare"), "HP" is what "Hewlett Packard" begins with.
    """
    if is_no_brand(maker):
        return frozenset()
    key = keys(maker)
    words = key.exact.split()
    initials = "".join(word[0] for word in words) if len(words) > 1 else key.loose
    return frozenset({*words, key.loose, key.company, initials}) - _LINKING - {""}


def _comparable(listing: Listing, name: str) -> frozenset[str]:
    """Values of a key attribute; a measure as two significant digits: one shop's 16.1 megapixels are another's 16.

    A number without a unit is taken to be in the unit of the others, and a measure that is no number says nothing.
    """
    values = listing.attributes.get(name, frozenset[str]())
    if name not in listing.measured:
        return frozenset(map(fold, values))
    return frozenset(f"{float(found[1]):.2g}" for value in values if (found := _NUMBER.fullmatch(value)))


def conflict(one: Claims, other: Claims) -> str | None:
    """The first thing (by name) of which both speak and agree on nothing; None when there is none."""
    return next((name for name in sorted(one.keys() & other.keys()) if not one[name] & other[name]), None)


def without(one: Claims, other: Claims) -> Claims:
    """What is left of `one` when nothing in it conflicts with `other`."""
    return {name: values for name, values in one.items() if name not in other or values & other[name]}


def model_keys(listing: Listing) -> frozenset[str]:
    """What its title names that looks like a model key; a shop's own numbers do, too."""
    codes = tokenize(listing.title).codes
    long = (code for code in codes if len(code) >= _SIGNS and not code.isdigit())
    return frozenset(code for code in long if len(_DIGIT.findall(code)) >= _DIGITS)


class Spoken:
    """What a cluster says: the claims of its listings, and the model keys that they name."""

    __slots__ = ("_models", "_said")

    def __init__(self, said: Claims, models: frozenset[str] = frozenset()) -> None:
        self._said: dict[str, set[frozenset[str]]] = {name: {values} for name, values in said.items()}
        # Keys that one listing names -> how many do.
        self._models = Counter([models] if models else [])

    def conflicts(self, other: Spoken) -> bool:
        """Whether any listing of one side conflicts with any of the other, or both name other models."""
        return self._names_others(other) or any(
            not mine & theirs
            for name in self._said.keys() & other._said.keys()
            for mine in self._said[name]
            for theirs in other._said[name]
        )

    def _names_others(self, other: Spoken) -> bool:
        """Whether both name models, and hardly any listing of either one that the other side names."""
        if not self._models or not other._models:
            return False
        mine, theirs = (frozenset().union(*side._models) for side in (self, other))
        alike = {key for one in mine for two in theirs if _is_alike(one, two) for key in (one, two)}
        return max(self._share(alike), other._share(alike)) < _SHARED

    def _share(self, keys: Set[str]) -> float:
        """Of the listings that name models, those that name one of the keys."""
        return sum(n for models, n in self._models.items() if models & keys) / self._models.total()

    def add(self, other: Spoken) -> None:
        for name, values in other._said.items():
            self._said.setdefault(name, set()).update(values)
        self._models.update(other._models)


def _is_alike(one: str, other: str) -> bool:
    """One model's keys end in what tells colors or regions apart: "sdcz48032gu46", "sdcz48032gb35"."""
    from rapidfuzz.distance import Prefix

    return Prefix.similarity(one, other) >= _STEM * min(len(one), len(other))
