"""Recipe files, read strictly: a TOML file in, a typed recipe out, every complaint with file and key."""

from __future__ import annotations

import tomllib
from pathlib import Path
from typing import Any, TypeVar

from pydantic import BaseModel, ConfigDict, ValidationError

from extractor.errors import ConfigError


class Strict(BaseModel):
    """Part of a recipe; unknown keys are refused."""

    model_config = ConfigDict(extra="forbid", frozen=True)


AnyRecipe = TypeVar("AnyRecipe", bound=Strict)


def read_table(path: Path) -> dict[str, Any]:
    """What the file says, unchecked. Raises ConfigError."""
    try:
        return tomllib.loads(path.read_text("utf-8"))
    except OSError as error:
        raise ConfigError(
            f"{path}: {error.strerror}; name proposer, decoder, lora, or a recipe file"
        ) from error
    except ValueError as error:  # no TOML, or no UTF-8
        raise ConfigError(f"{path}: {error}") from error


def read_recipe(path: Path, kind: type[AnyRecipe]) -> AnyRecipe:
    """A recipe of one kind. Raises ConfigError naming the file and the key."""
    try:
        return kind.model_validate(read_table(path))
    except ValidationError as error:
        first = error.errors()[0]
        raise ConfigError(f"{path}: {'.'.join(map(str, first['loc']))}: {first['msg']}") from error
