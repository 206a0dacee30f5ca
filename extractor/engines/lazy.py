"""An engine that is opened when it is first asked something, and one that is only lent.

In: how to open the real engine, and the model that it would run. Out: an Engine that says at once which it is.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from extractor.engines import Engine, ModelInfo, describe_engine, open_engine
from extractor.records import Completion, Message, Request


def open_lazily(name: str = "auto", *, model: str | None = None, base_url: str | None = None) -> LazyEngine:
    """The engine that `open_engine` would open, later.

    Raises:
        ConfigError: as `open_engine` for what can be told without loading the model.
    """
    name, info = describe_engine(name, model=model, base_url=base_url)
    return LazyEngine(lambda: open_engine(name, model=model, base_url=base_url), name, info)


class LazyEngine:
    """An `Engine` in front of one that may never be opened.

    Args:
        opener: Opens the real engine; called at most once.
        name: Of the real engine.
        model: As the real engine would run it.
    """

    def __init__(self, opener: Callable[[], Engine], name: str, model: ModelInfo) -> None:
        self.name = name
        self.model = model
        self._opener = opener
        self._opened: Engine | None = None

    def count_tokens(self, prompt: str | tuple[Message, ...]) -> int:
        return self._engine().count_tokens(prompt)

    def generate(self, requests: Sequence[Request]) -> list[Completion]:
        return self._engine().generate(requests) if requests else []

    def close(self) -> None:
        if self._opened:
            self._opened.close()

    def _engine(self) -> Engine:
        if self._opened is None:
            self._opened = self._opener()
        return self._opened


class LentEngine:
    """An `Engine` that stays open for the next one who needs it: closing it does nothing."""

    def __init__(self, engine: Engine) -> None:
        self.name, self.model = engine.name, engine.model
        self.count_tokens, self.generate = engine.count_tokens, engine.generate

    def close(self) -> None:
        pass
