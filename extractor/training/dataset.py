"""Labelled listings -> training examples, drawn anew for every step from a seed.

In: the gzip'ed JSON Lines files named by a recipe. Out: `Example`s: the very prompt that the pipeline sends
and the object that it wants back. Does not know tokens, models or optimizers.

Kinds of source:
    gold       attribute names with their values or null, judged by people; what is not listed is absent
    partial    the same, where what is not listed was not judged
    labelled   the same, judged by a program (proposed.py, lexicon.py); what it was not sure of is left out, or unjudged
    weak       seller attributes and brands; a value counts where it stands verbatim in the text
    category   a category path; the task is to pick its leaf among others of the same shop
"""

from __future__ import annotations

import gzip
import json
import random
import re
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Any

from extractor.errors import ConfigError
from extractor.split import is_disc, stated_forms

COLORS = [
    "black",
    "white",
    "silver",
    "gray",
    "grey",
    "red",
    "blue",
    "green",
    "pink",
    "purple",
    "yellow",
    "orange",
    "brown",
    "gold",
    "beige",
    "navy",
    "maroon",
    "clear",
    "stainless-steel",
    "graphite",
    "bronze",
    "titanium",
    "ivory",
    "cream",
    "teal",
    "turquoise",
]
ONSETS = "b br c ch cl d dr f fl g gr h j k kr l m n p pr r s sh sk st t tr v w x z".split()
VOWELS = "a e i o u ai ea ee io oo ou".split()
CODAS = "n r s x l m t k nd rt sk st th ng ra no la ta vo".split()
BRAND_TAILS = [
    "",
    "",
    "",
    "",
    "",
    " Sports",
    " Home",
    " Labs",
    " & Co",
    " Pro",
    " Tech",
    " Naturals",
    " Outdoor",
]
GENDERS = re.compile(r"\b(men|women|boys|girls|kids|unisex|unisex kids)\b", re.IGNORECASE)
MAX_ABSENT = 8


@dataclass(frozen=True, slots=True)
class Record:
    """A listing and what is known of it: name -> surface forms, or None where it is known to have no value."""

    text: str
    category: str
    labels: Mapping[str, tuple[str, ...] | None]
    # Names that the category has but nobody judged on this listing; sampled now and then as absent.
    unjudged: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Example:
    """One thing to learn: `answer` is an attribute object, or an option of `options`."""

    category: str
    names: tuple[str, ...]
    text: str
    answer: Mapping[str, str | list[str]] | str
    options: tuple[str, ...] = ()


@dataclass(slots=True)
class Source:
    """One file of a recipe, loaded."""

    kind: str
    records: list[Record]
    # (category, name) -> surface forms seen, for value swapping.
    values: dict[tuple[str, str], list[str]] = field(default_factory=dict)
    # All categories, for the choice task.
    categories: list[str] = field(default_factory=list)


def read_lines(path: Path) -> list[dict[str, Any]]:
    """All records of a gzip'ed JSON Lines file; ConfigError when it is not there."""
    try:
        with gzip.open(path, "rt", encoding="utf-8") as lines:
            return [json.loads(line) for line in lines]
    except OSError as error:
        raise ConfigError(f"{path}: {error.strerror or error}; name the data folder with --data") from error


def text_of(row: Mapping[str, Any], max_chars: int) -> str:
    """Title, newline, description, cut."""
    title, description = row["title"].strip(), (row.get("description") or "").strip()
    return (f"{title}\n{description}" if description else title)[:max_chars]


def contains(text: str, value: str) -> str | None:
    """`value` as `text` first writes it; None when it does not stand there."""
    return next(iter(stated_forms(text, value)), None)


# -- readers: one a kind of file ---------------------------------------------------------------------------------


def gold_records(rows: Sequence[Mapping[str, Any]], *, complete: bool, max_chars: int) -> list[Record]:
    """Judged attributes. `complete`: an unlisted attribute of the category is absent; else it is unjudged."""
    names_of: dict[str, dict[str, None]] = defaultdict(dict)
    for row in rows:
        names_of[row["category"]].update(dict.fromkeys(row["attributes"]))
    records = []
    for row in rows:
        text = text_of(row, max_chars)
        labels: dict[str, tuple[str, ...] | None] = {}
        for name, values in row["attributes"].items():
            forms = tuple(v for v in values or () if v in text)
            if forms or not values:
                labels[name] = forms or None
        others = tuple(name for name in names_of[row["category"]] if name not in row["attributes"])
        if complete:
            labels |= dict.fromkeys(others)
        records.append(Record(text, row["category"], labels, () if complete else others))
    return records


def weak_records(rows: Sequence[Mapping[str, Any]], *, max_chars: int) -> list[Record]:
    """Seller brand and attributes, kept where they stand in the text; the others are known absent."""
    records = []
    for row in rows:
        text = text_of(row, max_chars)
        stated = {"brand": [row["brand"]]} if row.get("brand") else {}
        stated |= {k: v for k, v in (row.get("attributes") or {}).items() if 2 < len(k) < 40 and "(" not in k}
        labels = {
            name: tuple(filter(None, (contains(text, v) for v in values))) for name, values in stated.items()
        }
        if any(labels.values()):
            path = row.get("category_path") or [""]
            known = {name: forms or None for name, forms in labels.items()}
            records.append(Record(text, path[-1] if len(path) < 4 else path[2], known))
    return records


def bestbuy_records(rows: Sequence[Mapping[str, Any]], *, max_chars: int) -> list[Record]:
    """Hardware titles "Brand - Name - Color"; discs, whose brand is a label that the title lacks, are left out."""
    records = []
    for row in rows:
        if is_disc(row["title"]) or not row.get("brand"):
            continue
        brand = contains(row["title"], row["brand"])
        last = row["title"].rsplit(" - ", 1)[-1]
        color = last if all(word.lower() in COLORS for word in re.split(r"[/ ]", last)) else None
        labels: dict[str, tuple[str, ...] | None] = {"brand": (brand,) if brand else None}
        labels["color"] = (color,) if color and color in row["title"] else None
        records.append(Record(text_of(row, max_chars), "", labels))
    return records


def myntra_records(rows: Sequence[Mapping[str, Any]], *, max_chars: int) -> list[Record]:
    """Titles "Brand Gender Color ...": the words before the gender are the brand."""
    records = []
    for row in rows:
        gender = GENDERS.search(row["title"])
        if not gender or not 0 < gender.start() < 40:
            continue
        text = text_of(row, max_chars)
        color = next(iter((row.get("attributes") or {}).get("Primary Color", [])), "")
        labels: dict[str, tuple[str, ...] | None] = {
            "brand": (row["title"][: gender.start()].strip(),),
            "gender": (gender.group(),),
        }
        if found := contains(row["title"], color):
            labels["color"] = (found,)
        records.append(Record(text, "", labels))
    return records


def prefixed_records(rows: Sequence[Mapping[str, Any]], *, max_chars: int) -> list[Record]:
    """Shops that show the brand beside the title: put it in front, as other shops do."""
    return [
        Record(
            f"{row['brand']} {row['title']}"[:max_chars], row["category_path"][-1], {"brand": (row["brand"],)}
        )
        for row in rows
        if row.get("brand")
    ]


def category_records(rows: Sequence[Mapping[str, Any]], *, max_chars: int) -> list[Record]:
    """Title and leaf of the shop's own tree (at most three levels: deeper ones repeat the title)."""
    return [
        Record(row["title"][:max_chars], row["category_path"][:3][-1], {})
        for row in rows
        if row.get("category_path")
    ]


def labelled_records(rows: Sequence[Mapping[str, Any]], *, max_chars: int) -> list[Record]:
    """What a program said; what it was not sure of stands in a line's `unjudged`, or is not asked for."""
    records = gold_records(rows, complete=False, max_chars=max_chars)
    return [
        replace(record, unjudged=tuple(row.get("unjudged", ())))
        for row, record in zip(rows, records, strict=True)
    ]


READERS: Mapping[str, Callable[..., list[Record]]] = {
    "gold": partial(gold_records, complete=True),
    "partial": partial(gold_records, complete=False),
    "labelled": labelled_records,
    "weak": weak_records,
    "bestbuy": bestbuy_records,
    "myntra": myntra_records,
    "prefixed": prefixed_records,
    "category": category_records,
}


def load_source(kind: str, rows: Sequence[Mapping[str, Any]], *, max_chars: int) -> Source:
    """Rows of one file of a recipe as records. Raises ConfigError for an unknown kind."""
    if kind not in READERS:
        raise ConfigError(f"recipe: source kind {kind!r} is none of {', '.join(READERS)}")
    records = READERS[kind](rows, max_chars=max_chars)
    return Source(
        kind, records, values_of(records), categories=sorted({r.category for r in records if r.category})
    )


def values_of(records: Iterable[Record]) -> dict[tuple[str, str], list[str]]:
    """(category, name) -> the different surface forms, in order of appearance."""
    values: dict[tuple[str, str], dict[str, None]] = defaultdict(dict)
    for record in records:
        for name, forms in record.labels.items():
            values[record.category, name].update(dict.fromkeys(forms or ()))
    return {key: list(forms) for key, forms in values.items()}


# -- drawing -----------------------------------------------------------------------------------------------------


def draw(source: Source, rng: random.Random, *, swap: float) -> Example:
    """One example of a source, augmented."""
    record = rng.choice(source.records)
    if source.kind == "category":
        return draw_choice(record, source.categories, rng)
    if swap and rng.random() < 0.7:
        record = swap_values(record, source.values, rng, swap)
    return draw_attributes(record, rng)


def draw_choice(record: Record, categories: Sequence[str], rng: random.Random) -> Example:
    """The record's category among others; one time in ten it is not offered and the answer is "unknown"."""
    options = dict.fromkeys(rng.sample(categories, min(len(categories), rng.randint(1, 6))))
    options.pop(record.category, None)
    known = rng.random() < 0.9
    names = [*options, *([record.category] if known else [])]
    rng.shuffle(names)
    answer = record.category if known else "unknown"
    return Example("", (), record.text, answer, options=(*names, "unknown"))


def invent_word(rng: random.Random) -> str:
    """A pronounceable word that no data set has, in some case; now and then a model number."""
    if rng.random() < 0.15:
        return "".join(rng.choice("ABCDEFGHJKLMNPRSTUVWXYZ0123456789-") for _ in range(rng.randint(3, 9)))
    word = "".join(rng.choice(ONSETS) + rng.choice(VOWELS) for _ in range(rng.randint(1, 2))) + rng.choice(
        CODAS
    )
    return rng.choice((word.capitalize(), word.capitalize(), word.upper(), word))


def invent_brand(rng: random.Random) -> str:
    """A brand that nobody has."""
    return invent_word(rng) + rng.choice(BRAND_TAILS)


def draw_attributes(record: Record, rng: random.Random) -> Example:
    """A subset of the judged names in alphabetical order, and what of them stands in the text."""
    names = [n for n, forms in record.labels.items() if forms and rng.random() < 0.92]
    absent = [n for n, forms in record.labels.items() if not forms]
    rng.shuffle(absent)
    names += absent[: rng.randint(0, MAX_ABSENT) if rng.random() < 0.5 else None]
    names += [n for n in record.unjudged if rng.random() < 0.15]
    if not names:
        names = list(record.labels)[:1]
    renamed = rename(names, rng)
    # Always in one order: a small model learns late to follow one that changes from listing to listing.
    names.sort(key=renamed.__getitem__)
    answer = {
        renamed[name]: min(forms, key=record.text.find)
        for name in names
        if (forms := record.labels.get(name))
    }
    category = record.category if rng.random() < 0.85 else ""
    return Example(category, tuple(renamed[n] for n in names), record.text, answer)


def rename(names: Sequence[str], rng: random.Random) -> dict[str, str]:
    """Now and then write all names as our schemas do (snake_case), so that both spellings mean the same."""
    if rng.random() < 0.7:
        return {name: name for name in names}
    snake = {name: re.sub(r"\W+", "_", name.lower()).strip("_") for name in names}
    return snake if len(set(snake.values())) == len(names) and all(snake.values()) else {n: n for n in names}


def swap_values(
    record: Record, values: Mapping[tuple[str, str], Sequence[str]], rng: random.Random, share: float
) -> Record:
    """Replace a share of the values by others of the same category and name, in the text and in the labels."""
    text, labels = record.text, dict(record.labels)
    for name, forms in record.labels.items():
        if not forms or len(forms) > 1 or rng.random() > share:
            continue
        invented = "brand" in name.lower() and rng.random() < 0.4
        old, new = forms[0], invent_brand(rng) if invented else rng.choice(values[record.category, name])
        if text.count(old) != 1 or any(
            overlap(old, f) for n, fs in labels.items() if n != name for f in fs or ()
        ):
            continue
        text = text.replace(old, new)
        labels[name] = (new,)
    kept = {n: tuple(f for f in fs if f in text) or None if fs else None for n, fs in labels.items()}
    return Record(text, record.category, kept, record.unjudged)


def overlap(one: str, other: str) -> bool:
    """True when replacing one could tear the other."""
    return one in other or other in one
