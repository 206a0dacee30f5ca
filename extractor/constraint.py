"""Schema and product text in, a grammar for this one listing out: what is not in the text cannot be decoded.

A span attribute decodes to consecutive chunks of the text (`split_chunks`), a choice to a member of its enum
for which the text has words (`search.find_evidence`), a derived attribute to any member of its enum, a number
to one that the text writes as JSON would. The object is compact, in schema order, and has only what
is stated. It fits `max_tokens` tokens of any tokenizer, as a token has at least one byte: when the longest
object would not, long spans are forbidden down to `_ROOMY_CHARACTERS`, then long arrays, then spans again.
Knows no engine and no tokenizer.

The grammar is Lark as llguidance reads it (its docs/syntax.md); `substring_chunks` and `&` are its own.
"""

from __future__ import annotations

import json
import re
from bisect import bisect_right
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property, lru_cache
from itertools import accumulate

from extractor.chunks import BREAK, EDGELESS, chunk_bounds, classify
from extractor.errors import ConfigError
from extractor.records import Constraint
from extractor.schema import Attribute, CategorySchema
from extractor.search import find_evidence
from extractor.written_numbers import numbers_for

# Spans shorter than this are worth more than a further item in an array: 99 % of the gold values of AE-110K,
# OA-Mine and WDC-PAVE have at most 39 characters.
_ROOMY_CHARACTERS = 40
# A schema whose spans cannot have so many bytes each is refused, whatever the text.
_LEAST_BYTES = 8
# Of an array, tried in this order.
_ITEM_LIMITS = (8, 4, 2, 1)
# Stands for line breaks and other controls, which no span crosses; never part of a text, as it is one itself.
_BREAK = "\x01"
# The end token, which engines count as well.
_END_TOKENS = 1
# Special tokens look like "<s>" or "[INST]". llguidance 1.7.6 takes forced text that spells one for the token
# itself, and fails (dottxt-ai/outlines issue 1771): it must not force where a schema has such text. Spans need
# no such care: after each sign of the text they may end.
_SPECIAL = re.compile(r"[<\[]")


def compile_attributes(
    schema: CategorySchema,
    text: str,
    *,
    max_tokens: int = 2048,
    offered: Mapping[str, Iterable[str]] | None = None,
) -> Constraint:
    """The grammar of the objects that can be stated about a listing.

    Args:
        schema: Attributes to decode; those that this text cannot fill are left out.
        text: `Product.text`, or the part of it that the prompt shows.
        max_tokens: Longest answer in tokens, the end token included.
        offered: Of attributes that are words of the text, the only ones to choose from; one that is not
            named may be any.

    Raises:
        ConfigError: not even spans of `_LEAST_BYTES` fit.
    """
    words = _Words(text)
    slots = [slot for slot in _slots_in(schema, text, offered or {}) if not slot.is_span or words.shortest]
    slots = _fitted(slots, words, max_tokens, schema.id)
    slots = [slot for slot in slots if not slot.is_span or words.shortest <= slot.characters]
    return Constraint(_grammar(slots, words), schema.json_schema, _size(slots, words) + _END_TOKENS)


def compile_choice(options: Sequence[str]) -> Constraint:
    """The grammar of one JSON string that is one of `options`.

    Raises:
        ConfigError: there are none.
    """
    if not options:
        raise ConfigError("a choice has no options; give at least one")
    members = tuple(dict.fromkeys(options))
    literals = [_json(member) for member in members]
    grammar = f"{_header(literals)}\nstart: CHOICE\nCHOICE: {_alternatives(literals)}\n"
    schema = {"type": "string", "enum": list(members)}
    return Constraint(grammar, schema, max(map(_bytes, literals)) + _END_TOKENS)


# --- what one attribute can decode to


@dataclass(frozen=True, slots=True)
class _Slot:
    """One attribute of the object."""

    # As decoded: '"brand":'.
    key: str
    # Most items of its array; 0 for a single value.
    items: int
    # Longest span; 0 when the values are literals.
    characters: int = 0
    # Values as decoded, as alternatives of a Lark terminal.
    literals: str = ""
    # Bytes of the longest literal.
    literal_bytes: int = 0

    @property
    def is_span(self) -> bool:
        return self.characters > 0

    def size(self, words: _Words) -> int:
        """Most bytes of key and value."""
        value = len('""') + words.most_bytes(self.characters) if self.is_span else self.literal_bytes
        if self.items:
            value = len("[]") + self.items * (value + len(",")) - len(",")
        return _bytes(self.key) + value


@dataclass(frozen=True, slots=True)
class _SchemaKey:
    """Makes a schema hashable: its dicts are not, id and hash say the same."""

    id: str
    hash: str
    schema: CategorySchema = field(compare=False)


def _slots_in(schema: CategorySchema, text: str, offered: Mapping[str, Iterable[str]]) -> Iterator[_Slot]:
    for attribute, slot in _schema_slots(_SchemaKey(schema.id, schema.hash, schema)):
        if slot.is_span and attribute.id in offered:
            if surfaces := [_json(surface) for surface in offered[attribute.id] if surface in text]:
                yield _with_literals(replace(slot, characters=0), surfaces)
        elif slot.literals or slot.is_span:
            yield slot
        elif literals := _members_in(attribute, text) if attribute.enum else numbers_for(attribute, text):
            yield _with_literals(slot, literals)


@lru_cache(maxsize=1024)
def _schema_slots(key: _SchemaKey) -> tuple[tuple[Attribute, _Slot], ...]:
    """All that does not depend on the text; choices and numbers are filled in by `_slots_in`."""
    return tuple((attribute, _schema_slot(attribute)) for attribute in key.schema.attributes)


def _schema_slot(attribute: Attribute) -> _Slot:
    slot = _Slot(f"{_json(attribute.id)}:", attribute.max_items if attribute.multi else 0)
    if attribute.how == "derived":
        return _with_literals(slot, [_json(member) for member in attribute.enum])
    is_span = attribute.type == "string" and not attribute.enum
    return replace(slot, characters=attribute.max_length) if is_span else slot


def _members_in(attribute: Attribute, text: str) -> list[str]:
    """Members of a choice for which the text has words; JSON-escaped."""
    return [_json(member) for member in attribute.enum if find_evidence(attribute, member, text)]


def _with_literals(slot: _Slot, literals: Sequence[str]) -> _Slot:
    return replace(slot, literals=_alternatives(literals), literal_bytes=max(map(_bytes, literals)))


# --- words


class _Words:
    """A text as span attributes decode it: JSON-escaped chunks."""

    def __init__(self, text: str) -> None:
        classes = classify(text)
        bounds = chunk_bounds(classes)
        chunks = [_BREAK if classes[start] == BREAK else _escaped(text[start:end]) for start, end in bounds]
        self.chunks = chunks
        # What a span neither starts nor ends with.
        self.blanks = "".join(sorted({c for c, kind in zip(text, classes, strict=True) if kind in EDGELESS}))
        # Characters of the shortest span; 0 when the text has no word.
        self.shortest = min((len(c) for c in chunks if c != _BREAK and c[0] not in self.blanks), default=0)
        self._lines = [line for line in "".join(chunks).split(_BREAK) if line]
        self._most_bytes: dict[int, int] = {}

    def most_bytes(self, characters: int) -> int:
        """UTF-8 bytes of the largest piece of so many JSON-escaped characters."""
        if characters not in self._most_bytes:
            self._most_bytes[characters] = max((_largest(o, characters) for o in self._offsets), default=0)
        return self._most_bytes[characters]

    @cached_property
    def _offsets(self) -> list[Sequence[int]]:
        """Per line, the byte offset of each character and of the end."""
        return [
            range(len(line) + 1) if line.isascii() else list(accumulate(map(_bytes, line), initial=0))
            for line in self._lines
        ]


def _largest(offsets: Sequence[int], characters: int) -> int:
    if len(offsets) <= characters:
        return offsets[-1]
    if isinstance(offsets, range):
        return characters
    return max(end - start for start, end in zip(offsets, offsets[characters:], strict=False))


# --- length


def _fitted(slots: Sequence[_Slot], words: _Words, max_tokens: int, schema_id: str) -> list[_Slot]:
    """The slots with the largest limits under which every object fits."""
    budget = max_tokens - _END_TOKENS
    least = _size(_limited(slots, _LEAST_BYTES, 1), _Words("w" * _LEAST_BYTES))
    if least > budget:
        raise ConfigError(
            f"{schema_id}: its {len(slots)} attributes do not fit an answer of {max_tokens} tokens;"
            f" raise max_tokens to {least + _END_TOKENS} or more, or take a smaller schema"
        )
    if _size(slots, words) <= budget:  # most listings: nothing to limit
        return list(slots)
    for items in _ITEM_LIMITS:
        if _size(_limited(slots, _ROOMY_CHARACTERS, items), words) <= budget:
            break
    return _limited(slots, _most_characters(slots, items, words, budget), items)


def _most_characters(slots: Sequence[_Slot], items: int, words: _Words, budget: int) -> int:
    """Largest limit for a span under which the object fits."""
    longest = max((slot.characters for slot in slots), default=0)
    if _size(_limited(slots, longest, items), words) <= budget:
        return longest
    limits = range(1, longest + 1)
    return bisect_right(limits, budget, key=lambda limit: _size(_limited(slots, limit, items), words))


def _limited(slots: Sequence[_Slot], characters: int, items: int) -> list[_Slot]:
    # Not by `replace`, which would be a third of a run's time without a model.
    return [
        _Slot(s.key, min(s.items, items), min(s.characters, characters), s.literals, s.literal_bytes)
        for s in slots
    ]


def _size(slots: Sequence[_Slot], words: _Words) -> int:
    """Bytes of the longest object."""
    return len("{}") + max(0, len(slots) - 1) + sum(slot.size(words) for slot in slots)


# --- Lark


def _grammar(slots: Sequence[_Slot], words: _Words) -> str:
    """Rule f<i> is all that may follow when no attribute before i was stated, c<i> when one was."""
    end = len(slots)
    header = _header([text for slot in slots for text in (slot.key, slot.literals)])
    lines = [header, 'start: "{" f0 "}"', f"f{end}:", f"c{end}:"]
    for i, slot in enumerate(slots):
        lines += [
            f"f{i}: m{i} c{i + 1} | f{i + 1}",
            f'c{i}: ("," m{i})? c{i + 1}',
            f"m{i}: {_member(i, slot)}",
        ]
        if not slot.is_span:
            lines.append(f"V{i}: {slot.literals}")
    if spans := {slot.characters for slot in slots if slot.is_span}:
        lines += [line for characters in sorted(spans) for line in _span_terminals(characters, words)]
        lines.append(f'WORDS: %regex {{"substring_chunks": {_json(words.chunks)}}}')
    return "\n".join(lines) + "\n"


def _header(literals: Sequence[str]) -> str:
    return '%llguidance {"no_forcing": true}' if any(map(_SPECIAL.search, literals)) else "%llguidance {}"


def _member(i: int, slot: _Slot) -> str:
    value = f"SPAN{slot.characters}" if slot.is_span else f"V{i}"
    more = f' ("," {value}){{0,{slot.items - 1}}}' if slot.items > 1 else ""
    return f'{_literal(slot.key)} "[" {value}{more} "]"' if slot.items else f"{_literal(slot.key)} {value}"


def _span_terminals(characters: int, words: _Words) -> tuple[str, str]:
    """A JSON string of whole chunks of one line, without blank edges; an escape counts as two characters."""
    blanks = "".join(rf"\x{{{ord(blank):x}}}" for blank in words.blanks)
    edge = rf"[^\x01{blanks}]"
    more = rf"([^\x01]{{0,{characters - 2}}}{edge})?" if characters > 1 else ""
    return f'SPAN{characters}: "\\"" WORDS{characters} "\\""', f"WORDS{characters}: WORDS & /{edge}{more}/"


def _alternatives(literals: Sequence[str]) -> str:
    return " | ".join(map(_literal, literals))


def _literal(text: str) -> str:
    """A Lark string, which is read as JSON."""
    return json.dumps(text)


def _escaped(chunk: str) -> str:
    return chunk.replace("\\", "\\\\").replace('"', '\\"') if '"' in chunk or "\\" in chunk else chunk


def _json(value: object) -> str:
    return json.dumps(value, ensure_ascii=False)


def _bytes(text: str) -> int:
    return len(text.encode())
