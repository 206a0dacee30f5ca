"""Token ids of a prompt and its answer -> what the decoding grammar would allow at each step of the answer.

Decoding chooses among the words of one listing, not among the whole vocabulary (constraint.py). Training under
the same choice spends nothing on ruling out what cannot be said: the loss at a step is taken over the allowed
tokens only. This is the grammar at the level of tokens: a key continues one of the names, a value continues a
stretch of the text, either may end where it may end. A grammar knows no canonical spelling: every token that
is a prefix of what may follow is allowed ("S", "Sa" and "San" where "Sanuk" is), so all of them are ruled out
here as well; leaving them free made the model start words in spellings that it had never continued (eval/LOG.md).
Knows no model.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise

# Longest token looked for, in characters.
MAX_TOKEN = 16


@dataclass(frozen=True, slots=True)
class Marks:
    """The vocabulary, and the ids of the tokens that structure prompt and answer."""

    # Token -> id, and back; byte-level spelling.
    ids: Mapping[str, int]
    tokens: Sequence[str]
    names: int  # <|attrs|>
    bar: int  # | between names
    text: int  # <|text|>
    space: int
    newline: int
    open: int  # {"
    colon: int  # ":"
    comma: int  # ","
    close: int  # "}
    empty: int  # {}
    brace: int  # {
    quote: int  # "


def allowed(head: Sequence[int], tail: Sequence[int], marks: Marks) -> list[tuple[int, ...]]:
    """For each token of `tail` the ids that could stand in its place; empty where anything could.

    Args:
        head: Prompt ids, up to the token after which the answer begins.
        tail: Answer ids; an object of strings is followed, anything else is left free.
        marks: Ids of structure.
    """
    if marks.names not in head or tail[0] not in (marks.open, marks.empty):
        return [()] * len(tail)
    at, text_at = head.index(marks.names), head.index(marks.text)
    keys = _Source(head[at + 1 : text_at], marks, {marks.bar})
    values = _Source(head[text_at + 1 : -1], marks, {marks.newline})
    starts = {0} | {i + 1 for i, token in enumerate(keys.ids) if token == marks.bar}
    words = {i for i, token in enumerate(values.ids) if token not in (marks.space, marks.newline)}
    steps: list[tuple[int, ...]] = [(marks.open, marks.empty, marks.brace)]
    source, places = keys, starts
    ends: tuple[int, ...] = ()
    passed = -1
    for previous, token in pairwise(tail):
        if previous in (marks.close, marks.empty):
            steps.append(())
            continue
        if previous in (marks.open, marks.comma):
            source, places, ends = keys, {start for start in starts if start > passed}, ()
        elif previous == marks.colon:
            # Keys come in the order of the names: those up to this one are out of the question from here on.
            stops = [place for place in places if place == len(keys.ids) or keys.ids[place] == marks.bar]
            passed = min(stops, default=passed)
            source, places, ends = values, words, ()
        else:
            places = {i + 1 for i in places if i < len(source.ids) and source.ids[i] == previous}
            ends = (marks.colon, marks.quote) if source is keys else (marks.comma, marks.close, marks.quote)
        options = {option for place in places for option in source.spellings(place)}.union(ends)
        steps.append(tuple(options) if token in options else ())
    return steps


class _Source:
    """A run of prompt tokens that keys or values are copied from."""

    def __init__(self, ids: Sequence[int], marks: Marks, barred: set[int]) -> None:
        self.ids = ids
        self._marks, self._barred = marks, barred
        self._spellings: dict[int, list[int]] = {}

    def spellings(self, place: int) -> list[int]:
        """Ids of all tokens with which the text from `place` on can begin."""
        if place not in self._spellings:
            self._spellings[place] = self._look_up(place)
        return self._spellings[place]

    def _look_up(self, place: int) -> list[int]:
        ahead = ""
        for token in self.ids[place:]:
            if token in self._barred or len(ahead) >= MAX_TOKEN:
                break
            ahead += self._marks.tokens[token]
        prefixes = (ahead[:length] for length in range(1, min(len(ahead), MAX_TOKEN) + 1))
        return [self._marks.ids[prefix] for prefix in prefixes if prefix in self._marks.ids]
