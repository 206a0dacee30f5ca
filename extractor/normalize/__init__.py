"""A value as written in, the same fact in one spelling out: canonical text, and the unit of a number.

In: an AttributeValue, its Attribute and the units of units.json. Out: the value with `canonical` and `unit` set
from its surface, and a Rejection when something had to be left as it was written: a unit that nobody knows, a
number that fails its check digit. Normalizing twice is normalizing once, no text makes it fail, and none takes
long. It knows no product text and no other values.

A normalizer is a function of one of the modules here and a line in NORMALIZERS, under the name that x-normalizer says.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from extractor.attribute import Attribute
from extractor.normalize.codes import gtin, model
from extractor.normalize.colors import color
from extractor.normalize.materials import material
from extractor.normalize.measures import number, pack, quantity
from extractor.normalize.normal import Normal, Normalizer, member
from extractor.normalize.prices import price
from extractor.normalize.sizes import size
from extractor.normalize.spelling import fold
from extractor.normalize.words import brand, text, yes_no
from extractor.records import AttributeValue, Rejection
from extractor.units import Units, load_units

__all__ = ["NORMALIZERS", "Units", "fold", "load_units", "normal", "normalize_value"]

NORMALIZERS: Mapping[str, Normalizer] = {
    "text": text,
    "brand": brand,
    "color": color,
    "material": material,
    "quantity": quantity,
    "number": number,
    "pack": pack,
    "size": size,
    "yes_no": yes_no,
    "price": price,
    "gtin": gtin,
    "model": model,
}
# Longer ones are sentences, which state no single fact.
MAX_CHARACTERS = 400


def normalize_value(
    value: AttributeValue, attribute: Attribute, units: Units, product_id: str = ""
) -> tuple[AttributeValue, Rejection | None]:
    """Set canonical and unit of a value.

    Args:
        value: Grounded value; only its surface counts.
        attribute: Its definition: normalizer, synonyms, enum and unit.
        units: All units there are.
        product_id: For the rejection.

    Returns:
        The value, and a Rejection when its unit is unknown or its check digit is wrong: the value is then kept as text,
        without a unit.
    """
    found = normal(value.surface, attribute, units)
    normalized = replace(value, canonical=found.canonical, unit=found.unit)
    if found.problem is None:
        return normalized, None
    reason, detail = found.problem
    return normalized, Rejection(product_id, attribute.id, reason, detail)


def normal(surface: str, attribute: Attribute, units: Units) -> Normal:
    """What `normalize_value` makes of words, wherever they stand."""
    found = _normal(surface, attribute, units)
    # What is nothing but punctuation stays as it is: a value is never empty.
    return found if found.canonical else found._replace(canonical=surface)


def _normal(surface: str, attribute: Attribute, units: Units) -> Normal:
    if len(surface) > MAX_CHARACTERS:
        return Normal(surface)
    if attribute.enum and (found := member(fold(surface), attribute)):
        return Normal(found)
    normalizer = NORMALIZERS[attribute.normalizer or ("text" if attribute.type == "string" else "number")]
    return normalizer(surface, attribute, units)
