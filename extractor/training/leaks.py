"""Which records of a data set nothing is trained on: those that repeat a test title, and the held-out tenth.

Near-duplicates: equal after normalization, or at least 0.9 of the words of both together are shared (Jaccard).
Only titles are looked at, and only to leave records out.
"""

from __future__ import annotations

import gzip
import json
import re
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from extractor.split import held_out

SIMILAR = 0.9
_WORD = re.compile(r"\w+")


class TestTitles:
    """An index over test titles."""

    __test__ = False  # no test class, in spite of its name

    def __init__(self, titles: Iterable[str]) -> None:
        self._titles = [frozenset(words(title)) for title in titles]
        self._known = set(self._titles)
        self._frequency = Counter(word for title in self._titles for word in title)
        self._holders: dict[str, list[int]] = defaultdict(list)
        for number, title in enumerate(self._titles):
            for word in title:
                self._holders[word].append(number)

    @classmethod
    def load(cls, folder: Path) -> TestTitles:
        """From the JSON Lines files of a folder of test splits; an absent folder has none."""
        titles = []
        for path in sorted(folder.glob("*.jsonl.gz")):
            with gzip.open(path, "rt", encoding="utf-8") as lines:
                titles += [json.loads(line)["title"] for line in lines]
        return cls(titles)

    def repeated_by(self, title: str) -> bool:
        """Whether the title is a near-duplicate of a test title."""
        found = frozenset(words(title))
        if not found or found in self._known:
            return bool(found)
        # Two sets this similar share one of their rarest words: so few can be missing.
        rarest = sorted(found, key=lambda word: self._frequency[word])
        probes = rarest[: len(found) - int(SIMILAR * len(found) - 1e-9)]
        near = {number for word in probes for number in self._holders.get(word, ())}
        return any(
            len(found & self._titles[number]) >= SIMILAR * len(found | self._titles[number])
            for number in near
        )

    def keep_out(self, rows: Sequence[Mapping[str, Any]]) -> list[Mapping[str, Any]]:
        """The rows whose titles repeat none."""
        return [row for row in rows if not self.repeated_by(row["title"])]

    def trainable(self, rows: Sequence[Mapping[str, Any]]) -> list[Mapping[str, Any]]:
        """The rows whose titles repeat none, without the tenth that is measured on (split.py)."""
        return self.keep_out([row for row in rows if not held_out(row["id"])])


def words(title: str) -> list[str]:
    """Words of a title, without case and signs."""
    return _WORD.findall(title.casefold())
