"""A text in, its words out, with what tells clauses, names and denials apart; knows no attribute and no cue."""

from __future__ import annotations

import re
from bisect import bisect_left
from collections import defaultdict
from collections.abc import Iterator, Sequence
from itertools import pairwise

from extractor.chunks import is_unspaced
from extractor.records import Span

# Words of a clause that a denial reaches: "do not use if you are pregnant or breastfeeding".
_DENIED = 8
# A possessive is a word of its own, so that "women's" is not "women".
_WORD = re.compile(r"[^\W_]+|['\u2019]s?(?!\w)")
# Between two words of different clauses.
_CLAUSE = re.compile(r"[!?;:|()\[\]{}\u2022\x00-\x1f]|\.(\s|$)|\s[-\u2013\u2014]\s|[\u3002\uff01\uff1f]")
# What stands between quotation marks is a name or a slogan. A mark behind a digit is an inch.
_QUOTED = re.compile(
    r"(?<!\w)[\"\u201c\u201e](?=\w)[^\"\u201c\u201d\u201e\n]{1,80}(?<=[\w!?.])[\"\u201c\u201d](?!\w)"
)
_DENIALS = frozenset({"not", "never", "unsuitable", "except", "nicht", "avoid", "unlike"})
_KEPT_FROM = {("keep", "out"), ("keep", "away")}
# What stands right before a cue denies it.
_LACKS = frozenset({"no", "non", "without", "ohne", "kein", "keine", "sin", "sans", "anti"})
# "Not just for kids" is for kids.
_ONLY = frozenset({"just", "only", "nur"})


class Words:
    """A text as folded words; places count words from 0, an end is the place after the last."""

    def __init__(self, text: str) -> None:
        matches = list(_WORD.finditer(text))
        pieces = [piece for match in matches for piece in _pieces(match)]
        self.folded = tuple(word for word, _, _ in pieces)
        # Word -> where it stands.
        self.places: dict[str, list[int]] = defaultdict(list)
        for place, word in enumerate(self.folded):
            self.places[word].append(place)
        self.starts = [start for _, start, _ in pieces]
        self._ends = [end for _, _, end in pieces]
        # Of each word, the number of the clause, and of the part of it between two commas.
        self.clauses: list[int] = []
        self._parts: list[int] = []
        clause = part = end = 0
        for _, start, after in pieces:
            gap = text[end:start]
            if end and gap != " ":
                parted = bool(_CLAUSE.search(gap))
                clause += parted
                part += parted or "," in gap
            self.clauses.append(clause)
            self._parts.append(part)
            end = after
        self._quoted = [(m.start(), m.end()) for m in _QUOTED.finditer(text)]
        self.title_words = bisect_left(self.starts, text.index("\n")) if "\n" in text else len(pieces)

    def span(self, start: int, end: int) -> Span:
        """Characters of the words from `start` to before `end`."""
        return Span(self.starts[start], self._ends[end - 1])

    def is_at(self, phrase: Sequence[str], start: int) -> bool:
        """Whether these words stand there, with no comma or clause between them."""
        end = start + len(phrase)
        return self.folded[start:end] == phrase and self._parts[start] == self._parts[end - 1]

    def starts_of(self, phrase: Sequence[str]) -> list[int]:
        """Where these words stand one after the other."""
        return [start for start in self.places.get(phrase[0], ()) if self.is_at(phrase, start)]

    def has(self, phrase: Sequence[str]) -> bool:
        """Whether these words stand anywhere."""
        return bool(self.starts_of(phrase))

    def before(self, start: int, most: int) -> tuple[str, ...]:
        """So many words of the same clause, at most."""
        first = max(start - most, bisect_left(self.clauses, self.clauses[start]))
        return self.folded[first:start]

    def is_denied(self, start: int) -> bool:
        """Whether the clause says that it is not so: "not for", "keep out of the reach of"."""
        before = self.before(start, _DENIED)
        denied = any(
            (word in _DENIALS and after not in _ONLY) or (word, after) in _KEPT_FROM
            for word, after in pairwise((*before, ""))
        )
        return denied or bool(_LACKS.intersection(before[-1:]))

    def is_quoted(self, start: int) -> bool:
        """Whether it is part of what stands between quotation marks."""
        position = self.starts[start]
        return any(first <= position < last for first, last in self._quoted)


def _pieces(match: re.Match[str]) -> Iterator[tuple[str, int, int]]:
    """A word folded, with its place; each character of a script without spaces is one."""
    word, start = match[0], match.start()
    if word.isascii() or not any(map(is_unspaced, word)):
        yield word.casefold().replace("\u2019", "'"), start, match.end()
        return
    run = 0
    for place, character in enumerate(word):
        if is_unspaced(character):
            if run < place:
                yield word[run:place].casefold(), start + run, start + place
            yield character, start + place, start + place + 1
            run = place + 1
    if run < len(word):
        yield word[run:].casefold(), start + run, start + len(word)
