"""Answers that were given before: an Engine in front of another one, which it asks only what is new.

In: the real engine. Out: an Engine whose answers stay in one SQLite file, so that a second look at the same prompts
costs nothing: behind a LazyEngine, the model is not even loaded before the first request that nobody made before.

An answer is found by what made it: engine, model hash, versions, prompt and constraint, never the product id.
Engines decode greedily, so there is no sampling to tell apart. Usage is kept as it was: an answer from here
still says what it cost. What failed is asked again. Several processes may share the file.
"""

from __future__ import annotations

import hashlib
import json
import os
import sqlite3
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import Any

from extractor import __version__
from extractor.engines import Engine
from extractor.engines.lazy import open_lazily
from extractor.errors import ConfigError
from extractor.records import Completion, Message, Request, TokenLogprob, Usage
from extractor.versions import versions

FILE = "completions.sqlite"
# Others hold the file only while they write a batch.
_BUSY_S = 60.0
_BROKEN = (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB)


def default_folder() -> Path:
    """EXTRACTOR_CACHE, else `extractor` in the user's cache (XDG Base Directory Specification 0.8)."""
    if given := os.environ.get("EXTRACTOR_CACHE"):
        return Path(given).expanduser()
    caches = Path(os.environ.get("XDG_CACHE_HOME", ""))
    return (caches if caches.is_absolute() else Path.home() / ".cache") / "extractor"


def open_cached(
    name: str = "auto", *, model: str | None = None, base_url: str | None = None, folder: Path | None = None
) -> CachedEngine:
    """The engine that `open_engine` would open, behind the answers in `folder` (None: the default one).

    Raises:
        ConfigError: as `open_engine` for what can be told without loading the model; the store is unusable.
    """
    engine = open_lazily(name, model=model, base_url=base_url)
    made_by = {"extractor": __version__, "engine": engine.name, "base_url": base_url or "", **versions()}
    return CachedEngine(engine, AnswerStore((folder or default_folder()) / FILE), made_by=made_by)


class CachedEngine:
    """An `Engine` that remembers.

    Args:
        engine: The real one; asked only what the store does not know, closed with this one.
        store: Where answers are kept; closed with the engine.
        made_by: All that shapes answers beside model and request, such as versions.
    """

    def __init__(
        self,
        engine: Engine,
        store: AnswerStore,
        *,
        made_by: Mapping[str, str] | None = None,
    ) -> None:
        self.name = engine.name
        self.model = engine.model
        # Requests that the store answered, and those that the real engine had to.
        self.hits = 0
        self.misses = 0
        self._engine = engine
        self._store = store
        self._made_by = [engine.model.hash, engine.model.context_tokens, sorted((made_by or {}).items())]

    def count_tokens(self, prompt: str | tuple[Message, ...]) -> int:
        key = self._key("count", _plain(prompt))
        count: int | None = self._store.read([key]).get(key)
        if count is None:
            count = self._engine.count_tokens(prompt)
            self._store.write({key: count})
        return count

    def generate(self, requests: Sequence[Request]) -> list[Completion]:
        keys = [self._request_key(request) for request in requests]
        known = {key: _completion(row) for key, row in self._store.read(keys).items()}
        asked = {key: request for key, request in zip(keys, requests, strict=True) if key not in known}
        if asked:
            answers = dict(zip(asked, self._engine.generate(list(asked.values())), strict=True))
            self._store.write({key: _row(a) for key, a in answers.items() if a.finish != "error"})
            known |= answers
        self.misses += len(asked)
        self.hits += len(requests) - len(asked)
        return [known[key] for key in keys]

    def close(self) -> None:
        self._engine.close()
        self._store.close()

    def _request_key(self, request: Request) -> str:
        constraint = request.constraint
        limits = [constraint.grammar, constraint.json_schema, constraint.max_tokens]
        return self._key("answer", [_plain(request.prompt), *limits])

    def _key(self, *content: Any) -> str:
        # Keys keep their order: servers without grammars decode a schema's properties in it.
        written = json.dumps([*self._made_by, *content])
        return hashlib.blake2b(written.encode(), digest_size=16).hexdigest()


class AnswerStore:
    """A file of JSON values by key; a value that is there stays as it is.

    Raises:
        ConfigError: from every method, when the file is broken or cannot be used.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        with self._explained():
            path.parent.mkdir(parents=True, exist_ok=True)
            self._db = sqlite3.connect(path, timeout=_BUSY_S, isolation_level=None)
            self._db.executescript(_SQL)

    def read(self, keys: Sequence[str]) -> dict[str, Any]:
        """What is known of these keys."""
        query = "SELECT key, value FROM answers WHERE key IN (SELECT value FROM json_each(?))"
        with self._explained():
            return {key: json.loads(value) for key, value in self._db.execute(query, [json.dumps(keys)])}

    def write(self, values: Mapping[str, Any]) -> None:
        """Keep all of them or none."""
        rows = [(key, json.dumps(value)) for key, value in values.items()]
        with self._explained(), self._db:
            self._db.execute("BEGIN IMMEDIATE")
            self._db.executemany("INSERT OR IGNORE INTO answers VALUES (?, ?)", rows)

    def close(self) -> None:
        self._db.close()

    @contextmanager
    def _explained(self) -> Iterator[None]:
        try:
            yield
        except (OSError, sqlite3.Error, ValueError) as error:
            broken = isinstance(error, ValueError) or getattr(error, "sqlite_errorcode", None) in _BROKEN
            what = "is a broken completion cache" if broken else "cannot be used as completion cache"
            remedy = "delete it, it fills again" if broken else "name another folder in EXTRACTOR_CACHE"
            reason = getattr(error, "strerror", None) or error
            raise ConfigError(
                f"{self._path}: {what} ({reason}); {remedy}, or go without with --no-cache"
            ) from error


# A commit does not wait for the disk: a power cut costs answers that can be asked for again, not the file.
_SQL = """
    PRAGMA journal_mode = WAL;
    PRAGMA synchronous = NORMAL;
    CREATE TABLE IF NOT EXISTS answers (key TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID;
"""


def _plain(prompt: str | tuple[Message, ...]) -> str | list[list[str]]:
    return prompt if isinstance(prompt, str) else [[message.role, message.content] for message in prompt]


def _row(answer: Completion) -> dict[str, Any]:
    return {
        "text": answer.text,
        "finish": answer.finish,
        "tokens": [[token.text, token.logprob] for token in answer.tokens],
        "usage": asdict(answer.usage),
    }


def _completion(row: Mapping[str, Any]) -> Completion:
    """Inverse of `_row`."""
    tokens = tuple(TokenLogprob(text, logprob) for text, logprob in row["tokens"])
    return Completion(row["text"], row["finish"], tokens, Usage(**row["usage"]))
