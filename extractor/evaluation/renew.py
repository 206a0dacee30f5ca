"""Training gold in, listings that a model trained on it cannot know by heart out.

A small model that saw a listing twenty times is righter on it, at the same confidence, than on a new one. Of a new
listing's values some are known from others and some are new. So every value that no other listing has is exchanged,
in text and gold, for another such value of the same category and attribute: as much becomes new as would be new.
Knows no model.
"""

from __future__ import annotations

import random
import re
from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace

from extractor.gold import GoldRecord

# Category and attribute.
_Place = tuple[str, str]


def renewed(gold: Sequence[GoldRecord], seed: int = 0) -> list[GoldRecord]:
    """The same records with values of their own exchanged, in their order.

    A value stays where exchanging could tear the text: it has several accepted forms, does not stand exactly once
    in the text, or is part of another value.
    """
    rare = _rare_values(gold)
    rng = random.Random(seed)
    return [_renewed(record, rare, rng) for record in gold]


def _rare_values(gold: Sequence[GoldRecord]) -> dict[_Place, list[str]]:
    """Forms that one record alone has."""
    seen: dict[_Place, Counter[str]] = defaultdict(Counter)
    for record in gold:
        for name, forms in record.attributes.items():
            seen[record.category, name].update(set(forms or ()))
    return {place: sorted(form for form, n in forms.items() if n == 1) for place, forms in seen.items()}


def _renewed(record: GoldRecord, rare: Mapping[_Place, Sequence[str]], rng: random.Random) -> GoldRecord:
    for name, old in _exchangeable(record):
        others = [form for form in rare[record.category, name] if form != old]
        if old in rare[record.category, name] and others:
            record = _exchanged(record, name, old, rng.choice(others))
    return record


def _exchangeable(record: GoldRecord) -> Iterator[tuple[str, str]]:
    """Attributes with their values that can be taken out of the text whole."""
    for name, forms in record.attributes.items():
        others = [f for n, fs in record.attributes.items() if n != name for f in fs or ()]
        if forms and len(forms) == 1 and not any(forms[0] in other or other in forms[0] for other in others):
            yield name, forms[0]


def _exchanged(record: GoldRecord, name: str, old: str, new: str) -> GoldRecord:
    """As it was when `old` does not stand exactly once, as words, or when `new` stands there already."""
    words = re.compile(rf"(?<!\w){re.escape(old)}(?!\w)")
    if record.text.count(old) != 1 or not words.search(record.text) or new in record.text:
        return record
    return replace(
        record,
        title=words.sub(lambda _: new, record.title),
        description=words.sub(lambda _: new, record.description),
        attributes={**record.attributes, name: [new]},
    )
