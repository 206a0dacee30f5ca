"""Gold made from shops' feeds: a record whose stated brand stands in its own text is labelled by its shop.

In: a catalogue file. Out: gold records with the one attribute "brand", of the held-out tenth or of all others. A
brand that the text lacks is no gold: the shop knew it from elsewhere. So no record says that there is none.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

from extractor.gold import GoldRecord, gold_record, read_rows
from extractor.split import held_out, is_disc, stated_forms

BRAND = "brand"


def brand_gold(path: Path, shop: str, *, test: bool) -> Iterator[GoldRecord]:
    """Labelled records of a catalogue, file order.

    Args:
        path: Catalogue, JSON Lines with id, title, description and brand.
        shop: Stands in for the category, which shops cut differently; the model is not told.
        test: The held-out tenth; else what may be trained on.
    """
    for where, row in read_rows(path, ("title",)):
        brand = row.get(BRAND)
        if held_out(row["id"]) is not test or not isinstance(brand, str) or is_disc(str(row["title"])):
            continue
        record = gold_record({**row, "category": shop, "attributes": {}}, where)
        if forms := stated_forms(record.text, brand):
            yield replace(record, attributes={BRAND: list(forms)})
