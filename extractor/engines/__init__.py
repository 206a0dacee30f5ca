"""Requests go in, Completions come out: same length, same order, whichever engine runs the model.

An engine is a module with `open_with(settings) -> Engine`, `describe(settings) -> ModelInfo`, which loads nothing
heavy, and a line in the table below. It is imported when it is opened, so that this package costs nothing where
no model is needed. Python callers may hand in any object that has the methods of `Engine`.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from importlib import import_module
from importlib.util import find_spec
from typing import Protocol, cast

from extractor.engines.model import ModelInfo, load_model_info
from extractor.errors import ConfigError
from extractor.records import Completion, Message, Request

__all__ = [
    "ENGINES",
    "Engine",
    "EngineSettings",
    "ModelInfo",
    "describe_engine",
    "load_model_info",
    "open_engine",
]

ENGINES = {
    "vllm": "extractor.engines.vllm",
    "server": "extractor.engines.server",
    "transformers": "extractor.engines.transformers",
    "scripted": "extractor.engines.scripted",
}


class Engine(Protocol):
    """Runs one model."""

    @property
    def name(self) -> str:
        """As in the table of engines."""

    @property
    def model(self) -> ModelInfo:
        """The model as this engine runs it; its context may be shorter than the model's own."""

    def count_tokens(self, prompt: str | tuple[Message, ...]) -> int:
        """Tokens of a prompt as the model sees it, or an upper bound where only the server could tell."""

    def generate(self, requests: Sequence[Request]) -> list[Completion]:
        """Answer every request, in order; decoding is greedy and stays within each request's constraint.

        A request that cannot be answered (a prompt that is too long, a broken grammar) is a Completion with
        finish "error"; the others are answered all the same.

        Raises:
            EngineError: the engine is down, no request can be answered.
            ConfigError: a setting is wrong for all requests, such as the API key.
        """

    def close(self) -> None:
        """Give back memory, processes and connections; may be called twice."""


@dataclass(frozen=True, slots=True)
class EngineSettings:
    """What an engine is opened with; each reads what concerns it."""

    # Folder, Hugging Face id, or a server's name for it; for `scripted` a JSONL file. None: the default.
    model: str | None = None
    # Of an OpenAI-compatible server.
    base_url: str | None = None
    # Longest prompt and answer together; None: what the model has, at most what the engine finds sensible.
    context_tokens: int | None = None
    # Requests under way at once, and seconds until one counts as lost; `server` only.
    max_in_flight: int = 64
    timeout_s: float = 300.0


def open_engine(
    name: str = "auto",
    *,
    model: str | None = None,
    base_url: str | None = None,
    context_tokens: int | None = None,
    max_in_flight: int = 64,
    timeout_s: float = 300.0,
) -> Engine:
    """Open an engine; "auto" is server if there is a base URL, else vllm if installed, else transformers.

    Raises:
        ConfigError: unknown name, missing package, missing model, settings that do not fit.
        EngineError: the engine does not start or the server does not answer.
    """
    name = _resolve(name, base_url)
    settings = EngineSettings(model, base_url, context_tokens, max_in_flight, timeout_s)
    with _naming_what_to_install(name):
        return cast(Engine, import_module(ENGINES[name]).open_with(settings))


def describe_engine(
    name: str = "auto", *, model: str | None = None, base_url: str | None = None
) -> tuple[str, ModelInfo]:
    """Name and model of the engine that `open_engine` would open, without loading the model.

    Raises:
        ConfigError, EngineError: as `open_engine`, where it can be told so early.
    """
    name = _resolve(name, base_url)
    with _naming_what_to_install(name):
        return name, import_module(ENGINES[name]).describe(EngineSettings(model, base_url))


@contextmanager
def _naming_what_to_install(name: str) -> Iterator[None]:
    try:
        yield
    except ImportError as error:
        raise ConfigError(f"engine {name}: {error}; {_install(name)}") from error


def _resolve(name: str, base_url: str | None) -> str:
    if name == "auto":
        name = "server" if base_url else _installed()
    if name not in ENGINES:
        raise ConfigError(f"engine {name}: unknown; take auto, {', '.join(ENGINES)}")
    if base_url and name != "server":
        raise ConfigError(f"engine {name}: takes no base URL; leave it out, or take --engine server")
    return name


def _installed() -> str:
    for name in ("vllm", "transformers"):
        if find_spec(name):
            return name
    raise ConfigError(
        f"engine auto: no engine is installed; {_install('vllm')}, or give --base-url of a server"
    )


def _install(name: str) -> str:
    return f"install it with: pip install 'product-graph-extractor[{name}]'"
