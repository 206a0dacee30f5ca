"""A product feed goes in, a product knowledge graph that can be trusted comes out, on a local language model.

    from extractor import RunConfig, run
    run(RunConfig(feeds=("feed.jsonl",), out="run1"))  # under `if __name__ == "__main__":` with vLLM

The rooms: README.md, "How it is built". Names below are imported when they are first used, so that the command
line starts at once; nothing here ever imports torch, vllm or transformers by itself.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

__version__ = "0.1.0"

if TYPE_CHECKING:
    from extractor.config import RunConfig
    from extractor.errors import ExtractorError
    from extractor.records import AttributeValue, Outcome, Product, Rejection, Span
    from extractor.run import run

__all__ = [
    "AttributeValue",
    "ExtractorError",
    "Outcome",
    "Product",
    "Rejection",
    "RunConfig",
    "Span",
    "__version__",
    "run",
]

_HOMES = {"RunConfig": "config", "ExtractorError": "errors", "run": "run"}


def __getattr__(name: str) -> Any:
    if name not in __all__:
        raise AttributeError(f"module 'extractor' has no attribute {name!r}")
    value = getattr(import_module(f"extractor.{_HOMES.get(name, 'records')}"), name)
    # `run` is a function and a module: importing the module put the module here; the function takes its place.
    globals()[name] = value
    return value
