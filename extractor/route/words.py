"""A text in, its words as categories are found by them: casefolded, without accents and plural endings."""

from __future__ import annotations

import re
import unicodedata
from functools import lru_cache

# What stands behind one of these words says what the product is for, not what it is ("case for phone").
TAILS = frozenset({"for", "with", "fits", "compatible", "from", "by"})
_WORD = re.compile(r"\w+")


# Several stages ask for the words of one title.
@lru_cache(maxsize=4096)
def words(text: str) -> tuple[str, ...]:
    """Casefolded words without accents; a plural s is dropped, so that "Watches" finds "watch"."""
    plain = text.casefold()
    if not plain.isascii():  # ASCII has no accents: most titles are spared a look at every character
        decomposed = unicodedata.normalize("NFKD", plain)
        plain = "".join(char for char in decomposed if not unicodedata.combining(char))
    return tuple(_singular(word) for word in _WORD.findall(plain))


def tail_start(title: tuple[str, ...]) -> int:
    """Number of the first word behind which a title says what the product is for; its length where none does."""
    return next((k for k, word in enumerate(title) if k and word in TAILS), len(title))


def _singular(word: str) -> str:
    for ending, kept in (("ies", "y"), ("sses", "ss"), ("shes", "sh"), ("ches", "ch"), ("xes", "x")):
        if word.endswith(ending) and len(word) > len(ending) + 2:
            return word.removesuffix(ending) + kept
    if word.endswith("s") and not word.endswith(("ss", "us", "is")) and len(word) > 3:
        return word[:-1]
    return word
