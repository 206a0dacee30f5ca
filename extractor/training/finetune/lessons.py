"""One's own labels -> lessons: labelled listings, each with the schema that its answers follow.

In: gold files (gold.py) and what a teacher said (teacher.py). Out: lessons to learn from, and the tenth by id
(split.py) that is only measured on. A value that does not stand in its text is left out, as nothing could ever
decode it, and the first one is told with its line. Knows no model.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from extractor.ask import word_end
from extractor.datafile import content_hash
from extractor.demonstrations import answer_of, decoded
from extractor.errors import ConfigError, SchemaError
from extractor.gold import GoldRecord, Values, read_gold, read_rows
from extractor.schema import Attribute, CategorySchema, SchemaStore, default_folder, schema_from_names
from extractor.search import find_evidence
from extractor.split import held_out
from extractor.training.finetune.teacher import askable, read_teacher
from extractor.training.leaks import TestTitles


@dataclass(frozen=True, slots=True)
class Lesson:
    """A labelled listing, and what the pipeline would ask about it."""

    # Every value can be decoded from the text.
    gold: GoldRecord
    schema: CategorySchema
    # Names of the category from the top; empty when it is unknown.
    path: tuple[str, ...]
    # Attributes of the schema that nobody judged; now and then they count as absent.
    unjudged: tuple[str, ...] = ()

    @property
    def category(self) -> str:
        """Name of the leaf, "" when unknown."""
        return self.path[-1] if self.path else ""

    def answers(self) -> dict[str, Any]:
        """Attribute -> what the object holds: a value or a list of them; None where there is no value."""
        labels = self.gold.attributes.items()
        return {name: self._answer(name, forms) if forms else None for name, forms in labels}

    def _answer(self, name: str, forms: Sequence[str]) -> Any:
        text = self.gold.text
        return answer_of(self.schema.attribute(name), sorted(forms, key=text.find), text)

    def evidence(self) -> dict[str, tuple[str, ...] | None]:
        """Attribute -> words of the text that state it, None where nothing does; without derived attributes."""
        labels = ((self.schema.attribute(name), forms) for name, forms in self.gold.attributes.items())
        return {a.id: _words(a, forms, self.gold.text) for a, forms in labels if a.how != "derived"}


def _words(attribute: Attribute, forms: Values, text: str) -> tuple[str, ...] | None:
    if not forms or not attribute.enum:
        return tuple(forms) if forms else None
    spans = (find_evidence(attribute, member, text) for member in forms)
    return tuple(dict.fromkeys(span.slice(text) for span in spans if span))


@dataclass(frozen=True, slots=True)
class Labels:
    """Where labels come from."""

    gold: tuple[Path, ...] = ()
    # Run folders.
    teachers: tuple[Path, ...] = ()
    # A teacher's value is a label from this confidence on.
    min_confidence: float = 0.8


@dataclass(slots=True)
class Lessons:
    """All lessons."""

    train: list[Lesson]
    held_out: list[Lesson]
    # What a person should know of the labels, one line each.
    notes: list[str] = field(default_factory=list)

    @property
    def hash(self) -> str:
        """Over what is learned."""
        rows = [[x.gold.id, x.gold.text, x.path, x.schema.hash, dict(x.gold.attributes)] for x in self.train]
        return content_hash(sorted(rows, key=str))


def read_lessons(labels: Labels, *, max_chars: int) -> Lessons:
    """Read, check and split labels.

    Args:
        labels: Where they come from. Of a listing that both a person and a teacher labelled, the person's count.
        max_chars: Longer texts are cut.

    Raises:
        ConfigError: a file or folder is missing, broken or empty, or nothing is left to learn from.
    """
    if not labels.gold and not labels.teachers:
        raise ConfigError("no labels to learn from; give --gold FILE, or --teacher RUN_DIR")
    store = SchemaStore(default_folder())
    notes: list[str] = []
    own = list(_own(labels.gold, store, notes))
    known = {lesson.gold.id for lesson in own}
    taught = [
        lesson
        for folder in labels.teachers
        for lesson in _taught(folder, store, labels.min_confidence, notes)
    ]
    taught = [lesson for lesson in taught if lesson.gold.id not in known]
    everything = [_cut(lesson, max_chars) for lesson in (*own, *taught)]
    measured = [lesson for lesson in everything[: len(own) or None] if held_out(lesson.gold.id)]
    kept = [lesson for lesson in everything if not held_out(lesson.gold.id)]
    return _told(Lessons(_apart(kept, measured, notes), measured, notes))


def _told(lessons: Lessons) -> Lessons:
    """With their numbers as the last note."""
    if not lessons.train:
        raise ConfigError(
            f"every labelled listing ({len(lessons.held_out):,}) is of the tenth that is only measured on; label more"
        )
    cells = [forms for lesson in lessons.train for forms in lesson.gold.attributes.values()]
    stated = sum(forms is not None for forms in cells)
    lessons.notes.append(
        f"{len(lessons.train):,} listing(s) to learn from, with {stated:,} value(s) and {len(cells) - stated:,}"
        f" attribute(s) known to have none; {len(lessons.held_out):,} to measure on"
    )
    return lessons


def _apart(lessons: Sequence[Lesson], measured: Sequence[Lesson], notes: list[str]) -> list[Lesson]:
    """Without those whose title is as good as that of one that is measured on."""
    titles = TestTitles(lesson.gold.title for lesson in measured)
    kept = [lesson for lesson in lessons if not titles.repeated_by(lesson.gold.title)]
    if left_out := len(lessons) - len(kept):
        notes.append(f"{left_out:,} listing(s) left out: their titles are like one that is measured on")
    return kept


# -- gold files


def _own(paths: Iterable[Path], store: SchemaStore, notes: list[str]) -> Iterator[Lesson]:
    seen: dict[str, Path] = {}
    for path in paths:
        records = read_gold(path)
        for record in records:
            if record.id in seen:
                raise ConfigError(
                    f"{path}: id {record.id!r} stands in {seen[record.id]} too; make ids unique"
                )
            if not record.title:
                raise ConfigError(f"{_line(path, record)}: {record.id!r} has no title; add it")
            seen[record.id] = path
        schemas = _schemas(path, records, store)
        lessons = [_lesson(record, schemas[record.category], store) for record in records]
        _tell_lost(path, records, lessons, notes)
        yield from lessons


def _lesson(record: GoldRecord, schema: CategorySchema, store: SchemaStore) -> Lesson:
    known = record.category in store.taxonomy
    path = store.taxonomy[record.category].path if known else tuple(filter(None, (record.category,)))
    unjudged = tuple(a.id for a in schema.attributes if a.id not in record.attributes)
    return Lesson(_decodable(record, schema), schema, path, unjudged)


def _decodable(record: GoldRecord, schema: CategorySchema) -> GoldRecord:
    """Without values that no grammar for the text would let through; an attribute that loses all is not judged."""
    kept: dict[str, Values] = {}
    for attribute in schema.attributes:
        forms = record.attributes.get(attribute.id)
        left = [form for form in forms or () if decoded(attribute, form, record.text) is not None]
        if left or (attribute.id in record.attributes and not forms):
            kept[attribute.id] = left or None
    return replace(record, attributes=kept)


def _tell_lost(
    path: Path, records: Sequence[GoldRecord], lessons: Sequence[Lesson], notes: list[str]
) -> None:
    stated = [
        (record, lesson, attribute.id, form)
        for record, lesson in zip(records, lessons, strict=True)
        for attribute in lesson.schema.attributes
        for form in record.attributes.get(attribute.id) or ()
    ]
    values = len(stated)
    lost = [
        (record, name, form)
        for record, lesson, name, form in stated
        if form not in (lesson.gold.attributes.get(name) or ())
    ]
    if not values:
        raise ConfigError(f"{path}: states no value at all; label some")
    if not lost:
        return
    record, name, form = lost[0]
    first = f"{_line(path, record)}: {name} {form!r} does not stand in the text as the schema allows it"
    if len(lost) == values:
        raise ConfigError(f"{first}, nor does any other of {values:,} values; copy values from the text")
    notes.append(f"{first}; {len(lost):,} of {values:,} values are left out")


def _schemas(path: Path, records: Iterable[GoldRecord], store: SchemaStore) -> dict[str, CategorySchema]:
    """Category -> what models are asked for by the shipped schema, or for another category the names of its labels."""
    names: dict[str, dict[str, GoldRecord]] = defaultdict(dict)
    for record in records:
        for name in record.attributes:
            names[record.category].setdefault(name, record)
    return {
        category: _schema(path, category, names[category], store)
        for category in dict.fromkeys(record.category for record in records)
    }


def _schema(path: Path, category: str, names: Mapping[str, GoldRecord], store: SchemaStore) -> CategorySchema:
    if category not in store.taxonomy:
        # In alphabetical order, as suites ask for them and the embedded model learned them.
        try:
            return schema_from_names(category or "unknown", sorted(names))
        except SchemaError as error:
            raise ConfigError(f"{path}: {error}") from None
    schema = store.for_category(category)
    for name in names.keys() - {attribute.id for attribute in schema.attributes}:
        raise ConfigError(
            f"{_line(path, names[name])}: category {category!r} has no attribute {name!r};"
            " correct it (see extractor schemas show), or give the category a name of your own"
        )
    return askable(schema)


def _line(path: Path, record: GoldRecord) -> str:
    """ "file:line" of a record."""
    return next(where for where, row in read_rows(path, ()) if row["id"] == record.id)


# -- teachers


def _taught(folder: Path, store: SchemaStore, min_confidence: float, notes: list[str]) -> Iterator[Lesson]:
    taught = read_teacher(folder, store, min_confidence)
    notes.append(
        f"{folder}: {taught.values:,} values of confidence {min_confidence:g} or more on"
        f" {len(taught.listings):,} of {taught.outcomes:,} listings; {taught.unsure:,} attributes are left open"
    )
    for listing in taught.listings:
        yield Lesson(_decodable(listing.gold, listing.schema), listing.schema, listing.path)


def _cut(lesson: Lesson, max_chars: int) -> Lesson:
    """With at most so much of the text; values that only stand further on become unjudged."""
    gold = lesson.gold
    if len(gold.text) <= max_chars:
        return lesson
    length = max(len(gold.title), word_end(gold.text, max_chars))
    short = replace(gold, description=gold.text[:length][len(gold.title) + 1 :])
    return replace(lesson, gold=_decodable(short, lesson.schema))
