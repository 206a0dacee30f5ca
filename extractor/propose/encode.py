"""Attribute names and a listing -> the token ids that the span proposer reads, and where spans may start and end.

    [CLS] category [SEP] name [SEP] name ... [SEP] listing [SEP]

The listing is cut into the chunks of chunks.py first and each chunk into word pieces, so that every span the
proposer can name is one that the grammar (constraint.py) can spell. The vocabulary is uncased; how a chunk was
written (case, a space before it) goes in as its token type. Knows no model.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from itertools import accumulate
from pathlib import Path
from typing import Any, NamedTuple

from extractor.chunks import BREAK, EDGELESS, chunk_bounds, classify

# Token types: 0 for names and marks, then four ways to write a chunk, without and with a space before it.
TOKEN_TYPES = 9
# Names of attributes and categories are cut to so many word pieces.
MAX_NAME_TOKENS = 24
_LOWER, _TITLE, _UPPER, _MIXED = range(4)


@dataclass(frozen=True, slots=True)
class Encoded:
    """One listing with its questions; tokens count from 0, characters from the start of the text given."""

    ids: list[int]
    types: list[int]
    # Token range of each attribute name, in the order given.
    names: list[tuple[int, int]]
    # For each chunk its first and last token, its characters, and its line: no span crosses a line's end.
    firsts: list[int]
    lasts: list[int]
    chunks: list[tuple[int, int]]
    lines: list[int]

    def span_at(self, first: int, last: int) -> tuple[int, int]:
        """Characters from chunk `first` to chunk `last`, both in."""
        return self.chunks[first][0], self.chunks[last][1]


class _Chunk(NamedTuple):
    characters: tuple[int, int]
    line: int
    token_type: int
    pieces: tuple[int, ...]


class Encoder:
    """A WordPiece tokenizer file, ready to encode."""

    def __init__(self, tokenizer_json: Path) -> None:
        from tokenizers import Tokenizer

        self._tokenizer: Any = Tokenizer.from_file(str(tokenizer_json))
        self._tokenizer.no_truncation()
        self._tokenizer.no_padding()
        marks: Any = [self._tokenizer.token_to_id(mark) for mark in ("[CLS]", "[SEP]", "[UNK]")]
        self._cls, self._sep, self._unknown = marks
        self._pieces = lru_cache(maxsize=100_000)(self._look_up)

    def encode(self, names: Sequence[str], category: str, text: str, *, max_tokens: int = 512) -> Encoded:
        """Encode one listing; chunks that do not fit into `max_tokens` are left out.

        Raises:
            ValueError: the names alone do not fit.
        """
        return next(self.windows(names, category, text, max_tokens=max_tokens))

    def windows(
        self, names: Sequence[str], category: str, text: str, *, max_tokens: int = 512
    ) -> Iterator[Encoded]:
        """Encode one listing in as many windows as it takes, each half over the one before; mostly it is one."""
        ids, ranges = self._head(names, category)
        room = max_tokens - len(ids) - 1
        if room < 1:
            raise ValueError(f"{len(names)} attribute names take {len(ids)} of {max_tokens} tokens")
        chunks = list(self._chunks(text))
        ends = list(accumulate(len(chunk.pieces) for chunk in chunks))
        first = 0
        while True:
            before = ends[first - 1] if first else 0
            last = bisect_right(ends, before + room)
            yield self._join(ids, ranges, chunks[first:last])
            if last >= len(chunks):
                return
            # A chunk longer than the room is stepped over.
            first = max(first + 1, bisect_right(ends, before + room // 2))

    def groups(self, names: Sequence[str], most_tokens: int) -> Iterator[list[str]]:
        """Names in their order, so many at a time as take at most `most_tokens`; one at least."""
        group: list[str] = []
        used = 0
        for name in names:
            tokens = len(self._name(name)) + 1
            if group and used + tokens > most_tokens:
                yield group
                group, used = [], 0
            group.append(name)
            used += tokens
        if group:
            yield group

    def _name(self, name: str) -> tuple[int, ...]:
        return self._pieces(name.replace("_", " "))[:MAX_NAME_TOKENS]

    def _head(self, names: Sequence[str], category: str) -> tuple[list[int], list[tuple[int, int]]]:
        ids, ranges = [self._cls, *self._name(category), self._sep], []
        for name in names:
            pieces = self._name(name)
            ranges.append((len(ids), len(ids) + len(pieces)))
            ids += [*pieces, self._sep]
        return ids, ranges

    def _chunks(self, text: str) -> Iterator[_Chunk]:
        classes, line, spaced = classify(text), 0, True
        for start, end in chunk_bounds(classes):
            kind = classes[start]
            if kind == BREAK or kind in EDGELESS:
                line, spaced = line + (kind == BREAK), True
                continue
            token_type = 1 + _spelling(text[start:end]) + 4 * spaced
            yield _Chunk((start, end), line, token_type, self._pieces(text[start:end]))
            spaced = False

    def _join(self, head: list[int], ranges: list[tuple[int, int]], chunks: Sequence[_Chunk]) -> Encoded:
        ids, types = list(head), [0] * len(head)
        firsts, lasts = [], []
        for chunk in chunks:
            firsts.append(len(ids))
            ids += chunk.pieces
            types += [chunk.token_type] * len(chunk.pieces)
            lasts.append(len(ids) - 1)
        return Encoded(
            ids=[*ids, self._sep],
            types=[*types, 0],
            names=ranges,
            firsts=firsts,
            lasts=lasts,
            chunks=[chunk.characters for chunk in chunks],
            lines=[chunk.line for chunk in chunks],
        )

    def _look_up(self, words: str) -> tuple[int, ...]:
        ids: list[int] = self._tokenizer.encode(words, add_special_tokens=False).ids
        return tuple(ids) or (self._unknown,)


def _spelling(chunk: str) -> int:
    if not chunk.isalpha() or chunk.islower():
        return _LOWER
    if chunk.isupper():
        return _UPPER if len(chunk) > 1 else _TITLE
    return _TITLE if chunk[0].isupper() and chunk[1:].islower() else _MIXED
