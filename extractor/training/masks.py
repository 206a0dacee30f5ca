"""Token ids of a prompt and its answer -> what the decoding grammar would allow at each step of the answer.

Decoding chooses among the words of one listing, not among the whole vocabulary (constraint.py). Training under
the same choice spends nothing on ruling out what cannot be said: the loss at a step is taken over the allowed
tokens only. This is the grammar at the level of tokens: a key continues one of the names, a value continues a
stretch of the text, either may end where it may end. Knows no tokenizer and no model.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise


@dataclass(frozen=True, slots=True)
class Marks:
    """Ids of the tokens that structure prompt and answer."""

    names: int  # <|attrs|>
    bar: int  # | between names
    text: int  # <|text|>
    answer: int  # <|json|>
    space: int
    newline: int
    open: int  # {"
    colon: int  # ":"
    comma: int  # ","
    close: int  # "}
    empty: int  # {}


def allowed(head: Sequence[int], tail: Sequence[int], marks: Marks) -> list[tuple[int, ...]]:
    """For each token of `tail` the ids that could stand in its place; empty where anything could.

    Args:
        head: Prompt ids, up to and with `marks.answer`.
        tail: Answer ids; an object of strings is followed, anything else is left free.
        marks: Ids of structure.
    """
    if marks.names not in head or tail[0] not in (marks.open, marks.empty):
        return [()] * len(tail)
    at, text_at = head.index(marks.names), head.index(marks.text)
    names, text = head[at + 1 : text_at], head[text_at + 1 : -1]
    starts = {0} | {i + 1 for i, token in enumerate(names[:-1]) if token == marks.bar}
    words = {i for i, token in enumerate(text) if token not in (marks.space, marks.newline)}
    steps: list[tuple[int, ...]] = [(marks.open, marks.empty)]
    in_key, places, begun = True, starts, False
    for previous, token in pairwise(tail):
        if previous in (marks.open, marks.comma):
            in_key, places, begun = True, starts, False
        elif previous == marks.colon:
            in_key, places, begun = False, words, False
        elif previous in (marks.close, marks.empty):
            steps.append(())
            continue
        else:
            source = names if in_key else text
            places = {i + 1 for i in places if source[i] == previous and i + 1 < len(source)}
            begun = True
        source = names if in_key else text
        ends = (marks.colon,) if in_key else (marks.comma, marks.close)
        options = {source[i] for i in places} - {marks.newline, marks.bar if in_key else marks.newline}
        options |= set(ends) if begun else set()
        steps.append(tuple(sorted(options)) if token in options else ())
    return steps
