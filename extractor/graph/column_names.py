"""How feeds call the attributes of the schemas: "Colour", "Brand Name" and "Features" are color, brand and feature.

In: the definitions of attributes and the name of a column. Out: the id that is meant, if there is one. Only other
spellings of an id or a title are taken for it; what shops call differently altogether stays a name of its own.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping

from extractor.attribute import Attribute
from extractor.graph.nodes import slug

# Ids are spelled the American way.
_AMERICAN = {
    **{"aluminium": "aluminum", "catalogue": "catalog", "centre": "center", "colour": "color"},
    **{"colours": "colors", "fibre": "fiber", "flavour": "flavor", "flavours": "flavors", "grey": "gray"},
    **{"jewellery": "jewelry", "licence": "license", "mould": "mold", "odour": "odor", "tyre": "tire"},
}


def names_of(definitions: Iterable[Attribute]) -> Mapping[str, str]:
    """What a column may be called -> attribute id, by ids first and then by titles; none that could be two."""
    attributes = [*definitions]
    by_title = _unambiguous((_folded(attribute.title), attribute.id) for attribute in attributes)
    by_id = _unambiguous((_folded(attribute.id), attribute.id) for attribute in attributes)
    return {**by_title, **by_id}


def meant(column: str, names: Mapping[str, str]) -> str | None:
    """The attribute that a column is of: under its name, in the singular, or as the name of it ("Brand Name")."""
    return next((names[each] for each in _readings(_folded(column)) if each in names), None)


def _readings(name: str) -> Iterator[str]:
    yield name
    yield name.removesuffix("s")
    yield name.removesuffix(" name")


def _folded(name: str) -> str:
    return " ".join(_AMERICAN.get(word, word) for word in slug(name, " ").split())


def _unambiguous(pairs: Iterable[tuple[str, str]]) -> dict[str, str]:
    distinct = {*pairs}
    uses = Counter(name for name, _ in distinct)
    return {name: attribute_id for name, attribute_id in distinct if uses[name] == 1}
