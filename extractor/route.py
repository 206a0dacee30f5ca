"""Product -> candidate leaf categories, and the decision where the words alone are clear.

In: a product and the taxonomy's names and synonyms. Out: candidates, best first, and a choice, or None when the
pipeline has to ask the model. Knows no engine and no prompt. First version: phrases of names and synonyms found in
the title, weighted by how specific they are and by where they stand.
"""

from __future__ import annotations

import math
import re
import unicodedata
from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from extractor.records import UNKNOWN_CATEGORY, CategoryChoice, Product
from extractor.taxonomy import CategoryNode, Taxonomy

# Longest phrase looked for, in words.
MAX_WORDS = 5
# A candidate this far ahead of the next one (share of its own score) is taken without asking the model.
CLEAR_LEAD = 0.35
# Below this score (a rare word of the title scores about 6) words alone decide nothing.
CLEAR_SCORE = 3.0
# What stands behind one of these words says what the product is for, not what it is ("case for phone").
TAILS = frozenset({"for", "with", "fits", "compatible", "from", "by"})
# Weight of a phrase behind a tail word, in the description, and in the feed's own category path.
TAIL_WEIGHT, DESCRIPTION_WEIGHT, FEED_WEIGHT = 0.35, 0.15, 0.8
DESCRIPTION_WORDS = 60
_WORD = re.compile(r"\w+")


@dataclass(frozen=True, slots=True)
class Candidate:
    """A leaf category and how well the words fit it; scores compare within one product only."""

    category: CategoryNode
    score: float


class Router:
    """An index over the leaves of one taxonomy; build once, use for every product."""

    def __init__(self, taxonomy: Taxonomy) -> None:
        self._phrases: dict[tuple[str, ...], list[CategoryNode]] = defaultdict(list)
        for leaf in taxonomy.leaves:
            names = [leaf.path[-1], *re.split(r" & | and |, ", leaf.path[-1]), *leaf.synonyms]
            for phrase in {words(name) for name in names} - {()}:
                self._phrases[phrase].append(leaf)
        uses = Counter(word for phrase in self._phrases for word in set(phrase))
        self._rarity = {word: 1.0 + math.log(len(self._phrases) / n) for word, n in uses.items()}

    def candidates(self, product: Product, *, most: int = 8) -> list[Candidate]:
        """Leaves with at least one phrase in the product's words, best first."""
        scores: dict[str, float] = defaultdict(float)
        nodes: dict[str, CategoryNode] = {}
        for phrase, weight in self._found(product):
            leaves = self._phrases[phrase]
            for leaf in leaves:
                nodes[leaf.id] = leaf
                # A phrase counts once, where it stands best; several phrases add up with falling weight.
                gain = weight * sum(self._rarity[word] for word in phrase) / len(leaves)
                scores[leaf.id] = max(scores[leaf.id], gain) + 0.25 * min(scores[leaf.id], gain)
        ranked = sorted(scores, key=lambda leaf: (-scores[leaf], leaf))
        return [Candidate(nodes[leaf], scores[leaf]) for leaf in ranked[:most]]

    def _found(self, product: Product) -> Iterator[tuple[tuple[str, ...], float]]:
        title = words(product.title)
        tail = next((k for k, word in enumerate(title) if k and word in TAILS), len(title))
        for start, phrase in self._scan(title):
            # In English titles the head noun comes late: of two phrases the later one weighs a little more.
            place = 0.85 + 0.15 * (start + len(phrase)) / max(1, tail)
            yield phrase, place if start < tail else TAIL_WEIGHT
        for _, phrase in self._scan(words(product.description)[:DESCRIPTION_WORDS]):
            yield phrase, DESCRIPTION_WEIGHT
        for name in product.category_path:
            for _, phrase in self._scan(words(name)):
                yield phrase, FEED_WEIGHT

    def _scan(self, text: Sequence[str]) -> Iterator[tuple[int, tuple[str, ...]]]:
        """Longest known phrase at every word; words inside a found phrase start no other."""
        start = 0
        while start < len(text):
            for size in range(min(MAX_WORDS, len(text) - start), 0, -1):
                phrase = tuple(text[start : start + size])
                if phrase in self._phrases:
                    yield start, phrase
                    start += size - 1
                    break
            start += 1


def decide(candidates: Sequence[Candidate]) -> CategoryChoice | None:
    """The choice that words alone allow: unknown without candidates, the clear leader, or None: ask the model."""
    if not candidates:
        return UNKNOWN_CATEGORY
    best = candidates[0]
    lead = 1.0 - candidates[1].score / best.score if len(candidates) > 1 else 1.0
    if lead < CLEAR_LEAD or best.score < CLEAR_SCORE:
        return None
    return CategoryChoice(best.category.id, best.category.path, round(0.5 + 0.5 * lead, 4))


def options(candidates: Sequence[Candidate]) -> list[str]:
    """What to offer the model, one text per candidate: the leaf's name, with its parent's where names repeat."""
    names = Counter(candidate.category.path[-1] for candidate in candidates)
    return [
        c.category.path[-1] if names[c.category.path[-1]] == 1 else " > ".join(c.category.path[-2:])
        for c in candidates
    ]


def chosen(candidates: Sequence[Candidate], option: str, confidence: float) -> CategoryChoice:
    """The choice that the model's answer names; unknown when it names none of `options`."""
    for candidate, name in zip(candidates, options(candidates), strict=True):
        if name == option:
            return CategoryChoice(candidate.category.id, candidate.category.path, confidence)
    return CategoryChoice(UNKNOWN_CATEGORY.id, UNKNOWN_CATEGORY.path, confidence)


def words(text: str) -> tuple[str, ...]:
    """Casefolded words without accents; a plural s is dropped, so that "Watches" finds "watch"."""
    plain = text.casefold()
    if not plain.isascii():  # ASCII has no accents: most titles are spared a look at every character
        decomposed = unicodedata.normalize("NFKD", plain)
        plain = "".join(char for char in decomposed if not unicodedata.combining(char))
    return tuple(_singular(word) for word in _WORD.findall(plain))


def _singular(word: str) -> str:
    for ending, kept in (("ies", "y"), ("sses", "ss"), ("shes", "sh"), ("ches", "ch"), ("xes", "x")):
        if word.endswith(ending) and len(word) > len(ending) + 2:
            return word.removesuffix(ending) + kept
    if word.endswith("s") and not word.endswith(("ss", "us", "is")) and len(word) > 3:
        return word[:-1]
    return word
