"""A product and the taxonomy's names and synonyms in, the categories in out whose phrases stand in its words.

Phrases are weighted by how rare their words are and by where they stand. Knows no examples and no vectors.
"""

from __future__ import annotations

import math
import re
from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from extractor.records import Product
from extractor.route.words import tail_start, words
from extractor.taxonomy import CategoryNode, Taxonomy

# Longest phrase looked for, in words.
MAX_WORDS = 5
# Weight of a phrase behind a tail word, in the description, and in the feed's own category path.
TAIL_WEIGHT, DESCRIPTION_WEIGHT, FEED_WEIGHT = 0.35, 0.15, 0.8
DESCRIPTION_WORDS = 60


@dataclass(frozen=True, slots=True)
class Candidate:
    """A category and how well it fits; scores compare within one product only."""

    category: CategoryNode
    score: float


def names_of(node: CategoryNode) -> tuple[str, ...]:
    """What a category is called: its name, the parts of a name such as "Pots & Pans", its synonyms."""
    return tuple(dict.fromkeys((node.path[-1], *re.split(r" & | and |, ", node.path[-1]), *node.synonyms)))


class PhraseIndex:
    """An index over the leaves of one taxonomy; build once, use for every product."""

    def __init__(self, taxonomy: Taxonomy) -> None:
        self._phrases: dict[tuple[str, ...], list[CategoryNode]] = defaultdict(list)
        for leaf in taxonomy.leaves:
            for phrase in {words(name) for name in names_of(leaf)} - {()}:
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
        tail = tail_start(title)
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
