"""Words that say a member of an enum in, the members that a text says out, each with its place.

What a schema's `x-cues` holds, and how it is read. A cue counts as whole words, whatever their case and the hyphens
between them, and not where it is part of a longer false friend ("mother of pearl"), of a name ("Summer" in "Summer
Infant") or of a quotation, nor where the clause denies it ("not for children"). Knows no attribute and no product.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property, lru_cache
from typing import Annotated, NamedTuple

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, StringConstraints

from extractor.clauses import Words
from extractor.datafile import content_hash
from extractor.records import Span

# Most words between a cue and what it has to stand behind: "for my little girl".
_REACH = 3
# Longest evidence of two members that are one together, in characters: "Men and Women".
_JOINT_CHARACTERS = 40


def _worded(phrase: str) -> str:
    if not _phrase(phrase):
        raise ValueError(f"{phrase!r} has no word; remove it")
    return phrase


_Phrase = Annotated[str, StringConstraints(to_lower=True), AfterValidator(_worded)]
_Phrases = Annotated[tuple[_Phrase, ...], Field(min_length=1, strict=False)]


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)


class Cue(_Strict):
    """Words that say one member, and where they have to stand to say it."""

    words: _Phrases
    # One of these stands up to `_REACH` words before, in the same clause.
    after: tuple[_Phrase, ...] = Field((), strict=False)
    # The name of the category or of one above it has one of these as words of it, or none of these.
    inside: tuple[_Phrase, ...] = Field((), strict=False)
    outside: tuple[_Phrase, ...] = Field((), strict=False)
    # The text has none of these.
    without: tuple[_Phrase, ...] = Field((), strict=False)
    # The description does not count.
    in_title: bool = False


class Implied(_Strict):
    """A member that a category says of all its products whose text says nothing else."""

    # The category or one above it is called one of these, in full.
    category: _Phrases
    member: str
    # Words of the text that speak against it.
    unless: tuple[_Phrase, ...] = Field((), strict=False)


class Cues(_Strict):
    """All that says the members of one enum."""

    members: Mapping[str, Annotated[tuple[Cue, ...], Field(strict=False)]]
    false_friends: tuple[_Phrase, ...] = Field((), strict=False, alias="not")
    # Member -> sets of members that say it together: unisex = women and men.
    together: Mapping[str, Annotated[tuple[_Phrases, ...], Field(strict=False)]] = {}
    implied: tuple[Implied, ...] = Field((), strict=False)
    # A brand's name says it as well: "Summer Infant" is for infants, but not for summer.
    in_names: bool = False

    @property
    def named(self) -> set[str]:
        """All members that are spoken of."""
        parts = (part for sets in self.together.values() for names in sets for part in names)
        return {*self.members, *self.together, *parts, *(implied.member for implied in self.implied)}

    @cached_property
    def hash(self) -> str:
        """Over all of it."""
        return content_hash(self.model_dump(mode="json"))


def find_cues(
    cues: Cues, text: str, path: Sequence[str] | None = None, names: Iterable[str] = ()
) -> dict[str, Span]:
    """Member -> where the text says it, its first place.

    Args:
        cues: What to look for.
        text: `Product.text`: the first line is the title.
        path: Names of the category, top first; None: not known, then a cue counts in any.
        names: Of brands: unless `in_names`, what stands in them is no cue, but for their last word ("Nike Running").
    """
    words = _words(text)
    found: dict[str, Span] = {}
    known = None if path is None else tuple(path)
    heeded = () if cues.in_names else names
    for match in _standing(_index(_Key(cues.hash, cues)), words, known, heeded):
        found.setdefault(match.member, words.span(match.start, match.end))
    return _joined(cues, found)


def find_implied(cues: Cues, text: str, path: Sequence[str]) -> str | None:
    """The member that the category says, unless the text speaks against it."""
    words = _words(text)
    for implied in cues.implied:
        named = any(_phrase(level) == _phrase(name) for level in path for name in implied.category)
        if named and not any(words.has(_phrase(phrase)) for phrase in implied.unless):
            return implied.member
    return None


def _joined(cues: Cues, found: dict[str, Span]) -> dict[str, Span]:
    """Members that are another one together, as that one; in text order."""
    for member, sets in cues.together.items():
        for parts in sets:
            if all(part in found for part in parts):
                joint = _joint([found.pop(part) for part in parts])
                found.setdefault(member, joint)
    return dict(sorted(found.items(), key=lambda item: item[1].start))


def _joint(spans: Sequence[Span]) -> Span:
    """What covers them where they stand close together, else the first."""
    cover = Span(min(span.start for span in spans), max(span.end for span in spans))
    near = cover.end - cover.start <= _JOINT_CHARACTERS
    return cover if near else min(spans, key=lambda span: span.start)


@lru_cache(maxsize=16)
def _words(text: str) -> Words:
    """All attributes of a product are looked for in the same text."""
    return Words(text)


@lru_cache(maxsize=65_536)
def _phrase(phrase: str) -> tuple[str, ...]:
    """Cues, and names of categories and brands, come again with every product."""
    return Words(phrase).folded


# --- matching


class _Match(NamedTuple):
    """Words from `start` to before `end` that say a member, or "" where they only look so."""

    start: int
    end: int
    member: str


class _Entry(NamedTuple):
    """A phrase to look for; without a cue it is a false friend."""

    phrase: tuple[str, ...]
    member: str = ""
    cue: Cue | None = None


# First word -> phrases that begin with it.
_Index = Mapping[str, Sequence[_Entry]]


@dataclass(frozen=True, slots=True)
class _Key:
    """Makes cues hashable."""

    hash: str
    cues: Cues = field(compare=False)


@lru_cache(maxsize=1024)
def _index(key: _Key) -> _Index:
    index: dict[str, list[_Entry]] = defaultdict(list)
    entries = [_Entry(_phrase(phrase)) for phrase in key.cues.false_friends]
    entries += [
        _Entry(_phrase(phrase), member, cue)
        for member, cues in key.cues.members.items()
        for cue in cues
        for phrase in cue.words
    ]
    for entry in entries:
        index[entry.phrase[0]].append(entry)
    return dict(index)


def _counts(cue: Cue, words: Words, start: int, path: tuple[str, ...]) -> bool:
    """Whether it says its member here, in a category with this path."""
    if cue.in_title and start >= words.title_words:
        return False
    if cue.after and not any(word in words.before(start, _REACH + 1) for word in cue.after):
        return False
    if any(words.has(_phrase(phrase)) for phrase in cue.without):
        return False
    return (not cue.inside or _is_called(path, cue.inside)) and not _is_called(path, cue.outside)


@lru_cache(maxsize=65_536)
def _is_called(path: tuple[str, ...], names: tuple[str, ...]) -> bool:
    """Whether one of the names is a part of a category's or of one's above it: "shoes" of "Shoe care & shoes"."""
    levels = [Words(level) for level in path]
    return any(level.has(_phrase(name)) for name in names for level in levels)


def _standing(
    index: _Index, words: Words, path: tuple[str, ...] | None, names: Iterable[str]
) -> list[_Match]:
    """What is left when false friends, names, quotations and denials are out; in text order."""
    matches = [
        _Match(start, start + len(entry.phrase), entry.member)
        for word in words.places.keys() & index.keys()
        for entry in index[word]
        for start in words.starts_of(entry.phrase)
        if entry.cue is None or path is None or _counts(entry.cue, words, start, path)
    ]
    matches += _in_names(words, names)
    cues = [match for match in matches if match.member]
    kept = [match for match in cues if not any(_hides(other, match) for other in matches)]
    return sorted(m for m in kept if not words.is_quoted(m.start) and not words.is_denied(m.start))


def _in_names(words: Words, names: Iterable[str]) -> Iterator[_Match]:
    for phrase in {_phrase(name) for name in names}:
        if len(phrase) > 1:
            for start in words.starts_of(phrase):
                yield _Match(start, start + len(phrase) - 1, "")


def _hides(other: _Match, match: _Match) -> bool:
    """A false friend hides what it overlaps with unless that is longer, a cue those that are part of it."""
    if not other.member:
        longer = other.end - other.start >= match.end - match.start
        return longer and other.start < match.end and match.start < other.end
    within = other.start <= match.start and match.end <= other.end
    return within and other.end - other.start > match.end - match.start
