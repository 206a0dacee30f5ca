"""Settings of a run, typed and frozen: what the command line and a TOML file say, and nothing else.

In: options and a file. Out: a `RunConfig`, or the part of it that needs no feed. Opens no feed, model or store.
"""

from __future__ import annotations

import tomllib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Literal, TypeVar

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from extractor.errors import ConfigError
from extractor.records import Policy

EngineName = Literal["auto", "vllm", "server", "transformers", "scripted"]


class ExtractorConfig(BaseModel):
    """What shapes Outcomes, wherever the products come from."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    # Schema id for every product, or "auto": by category.
    schema_id: str = "auto"
    # Taxonomy file; None: the shipped one.
    taxonomy: Path | None = None
    # Prompt for attributes; None: the model's own, else attributes@v1.
    prompt: str | None = None
    engine: EngineName = "auto"
    # Model folder or Hugging Face id; None: the embedded model.
    model: str | None = None
    # OpenAI-compatible endpoint of engine "server".
    base_url: str | None = None
    # Our field -> the feed's column.
    mapping: Mapping[str, str] = {}
    # Labelled listings, of which the prompt shows some before each question; None: only its own examples.
    demonstrations: Path | None = None
    # Ask about each product so often, in other orders of its attributes, and take the majority.
    votes: Literal[1, 3, 5, 7, 9] = 1
    # Who decides values, see policy.py; None: the embedded model's own policy, or decode-all for another model.
    policy: Policy | None = None
    # Folder of the span proposer; None: the shipped one.
    proposer: Path | None = None
    # Most output tokens for one product.
    max_output_tokens: int = Field(default=2048, ge=64)


class RunConfig(ExtractorConfig):
    """What one run does."""

    # Feed files, "-" for stdin.
    feeds: tuple[str, ...] = Field(min_length=1)
    # The run folder.
    out: Path
    # DuckDB file to merge into at the end; None: do not merge.
    graph: Path | None = None
    # Registry of brands that the graph's are linked to; None: a brand is what it is called.
    brands: Path | None = None
    # Read so many feed records at most.
    limit: int | None = Field(default=None, ge=1)
    # Feed format where the file's ending does not tell.
    format: str | None = None
    # Products per engine call, and per fsync of the journal: at the end of a call the engine waits for its
    # longest answers, so small batches cost speed; a killed run loses one batch.
    batch_size: int = Field(default=1024, ge=1)
    # Values below this confidence stay in the run folder and do not go into the graph.
    min_confidence: float = Field(default=0.5, ge=0.0, le=1.0)
    # Exit code 1 when a larger share of the products has a rejection of the whole product.
    max_reject_rate: float = Field(default=1.0, ge=0.0, le=1.0)

    def identity(self) -> dict[str, Any]:
        """The settings that change outcomes: a run folder is resumed only under the same ones."""
        fields = {"schema_id", "prompt", "engine", "model", "mapping", "format", "votes", "max_output_tokens"}
        return self.model_dump(mode="json", include=fields)


Config = TypeVar("Config", bound=ExtractorConfig)


def load_config(path: Path | None, options: Mapping[str, Any]) -> RunConfig:
    """Options over the file over the defaults.

    Args:
        path: TOML with the names above; relative paths in it count from its folder.
        options: What the command line states; None means not stated.

    Raises:
        ConfigError: naming the file or option and what is wrong.
    """
    settings = _read(path) if path else {}
    return _validated(RunConfig, settings | _stated(options), f"{path}: " if path else "")


def extractor_config(options: Mapping[str, Any]) -> ExtractorConfig:
    """The part that needs no feed, from options alone; None means not stated. Raises ConfigError."""
    return _validated(ExtractorConfig, _stated(options), "")


def _stated(options: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in options.items() if value is not None and value != ()}


def _validated(kind: type[Config], settings: Mapping[str, Any], where: str) -> Config:
    try:
        return kind.model_validate(settings)
    except ValidationError as error:
        first = error.errors()[0]
        name = ".".join(map(str, first["loc"]))
        told = "is missing" if first["type"] == "missing" else first["msg"]
        raise ConfigError(f"{where}{name}: {told}; see extractor run --help") from None


def _read(path: Path) -> dict[str, Any]:
    try:
        settings = tomllib.loads(path.read_text("utf-8"))
    except OSError as error:
        raise ConfigError(f"{path}: {error.strerror}; give a TOML file with the run's settings") from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise ConfigError(f"{path}: {error}; correct the TOML") from None
    for name in ("out", "graph", "brands", "taxonomy", "demonstrations", "proposer"):
        if isinstance(settings.get(name), str):
            settings[name] = path.parent / settings[name]
    if isinstance(settings.get("feeds"), list):
        settings["feeds"] = [f if f == "-" else str(path.parent / str(f)) for f in settings["feeds"]]
    return settings


def parse_mapping(pairs: Sequence[str]) -> dict[str, str]:
    """`title=name` pairs of `--map`. Raises ConfigError for one without "="."""
    mapping = {}
    for pair in pairs:
        field, sign, column = pair.partition("=")
        if not sign or not field or not column:
            raise ConfigError(f"--map {pair}: no FIELD=COLUMN pair; write for example --map title=name")
        mapping[field] = column
    return mapping
