"""Settings of a run, typed and frozen: what the command line and a TOML file say, and nothing else.

In: options and a file. Out: a `RunConfig`. Opens no feed, model or store.
"""

from __future__ import annotations

import tomllib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from extractor.errors import ConfigError

EngineName = Literal["auto", "vllm", "server", "transformers", "scripted"]


class RunConfig(BaseModel):
    """What one run does."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    # Feed files, "-" for stdin.
    feeds: tuple[str, ...] = Field(min_length=1)
    # The run folder.
    out: Path
    # DuckDB file to merge into at the end; None: do not merge.
    graph: Path | None = None
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
    # Read so many feed records at most.
    limit: int | None = Field(default=None, ge=1)
    # Our field -> the feed's column.
    mapping: Mapping[str, str] = {}
    # Feed format where the file's ending does not tell.
    format: str | None = None
    # Products per engine call, and per fsync of the journal: at the end of a call the engine waits for its
    # longest answers, so small batches cost speed; a killed run loses one batch.
    batch_size: int = Field(default=1024, ge=1)
    # Most output tokens for one product.
    max_output_tokens: int = Field(default=2048, ge=64)
    # Values below this confidence stay in the run folder and do not go into the graph.
    min_confidence: float = Field(default=0.2, ge=0.0, le=1.0)
    # Exit code 1 when a larger share of the products has a rejection of the whole product.
    max_reject_rate: float = Field(default=1.0, ge=0.0, le=1.0)

    def identity(self) -> dict[str, Any]:
        """The settings that change outcomes: a run folder is resumed only under the same ones."""
        fields = {"schema_id", "prompt", "engine", "model", "mapping", "format", "max_output_tokens"}
        return self.model_dump(mode="json", include=fields)


def load_config(path: Path | None, options: Mapping[str, Any]) -> RunConfig:
    """Options over the file over the defaults.

    Args:
        path: TOML with the names above; relative paths in it count from its folder.
        options: What the command line states; None means not stated.

    Raises:
        ConfigError: naming the file or option and what is wrong.
    """
    settings = _read(path) if path else {}
    settings |= {name: value for name, value in options.items() if value is not None and value != ()}
    try:
        return RunConfig.model_validate(settings)
    except ValidationError as error:
        first = error.errors()[0]
        where = f"{path}: " if path else ""
        name = ".".join(map(str, first["loc"]))
        raise ConfigError(f"{where}{name}: {first['msg']}; see extractor run --help") from None


def _read(path: Path) -> dict[str, Any]:
    try:
        settings = tomllib.loads(path.read_text("utf-8"))
    except OSError as error:
        raise ConfigError(f"{path}: {error.strerror}; give a TOML file with the run's settings") from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise ConfigError(f"{path}: {error}; correct the TOML") from None
    for name in ("out", "graph", "taxonomy"):
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
