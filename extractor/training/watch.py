"""What training tells whoever watches it, and what comes of it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol


class Watcher(Protocol):
    """Hears of a training run."""

    def note(self, line: str) -> None:
        """Something a person should know."""

    def progress(self, row: Mapping[str, Any]) -> None:
        """A row of the loss curve: {"step", "steps", losses by name, "tokens_per_s"}."""


@dataclass(frozen=True, slots=True)
class Trained:
    """What came of a recipe."""

    folder: Path
    # How to use it: "--model DIR".
    option: str
    # Scores on the held-out tenth of one's own labels (finetune/measure.py); empty where there is none.
    before: Mapping[str, float] = field(default_factory=dict)
    after: Mapping[str, float] = field(default_factory=dict)
