"""A fitted router to a folder and back: taxonomy.jsonl, router.json (settings, figures) and router.npz (numbers).

Nothing in it is code: it is safe to open one that somebody else made.
"""

from __future__ import annotations

import zipfile
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import IO, Annotated, Any, Literal

import numpy as np
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from extractor.calibrate import Curve
from extractor.datafile import DataFileError, explain, parse_json, read_text
from extractor.errors import ConfigError
from extractor.route.decide import Thresholds
from extractor.route.features import Vocabulary
from extractor.route.router import CategoryRouter, Settings, Tree
from extractor.route.tree import Layout, TreeModel
from extractor.route.vectors import shipped_vectors
from extractor.taxonomy import load_taxonomy

NOTES, NUMBERS = "router.json", "router.npz"
_FORMAT = 1


class _Settings(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)

    sharpness: Annotated[float, Field(gt=0)]
    names: Annotated[float, Field(ge=0)]
    curve: tuple[tuple[float, ...], tuple[float, ...]]
    familiar: float
    back_off: Annotated[float, Field(ge=0, le=1)]
    ask: Annotated[float, Field(ge=0, le=1)]

    def settings(self) -> Settings:
        thresholds = Thresholds(self.back_off, self.ask)
        return Settings(self.sharpness, self.names, Curve(*self.curve), self.familiar, thresholds)


class _Notes(BaseModel):
    """router.json; figures beside these are for people."""

    model_config = ConfigDict(extra="ignore", frozen=True)

    format: Literal[1]
    # Of the taxonomy and of the word vectors that it was fitted with.
    taxonomy: str
    vectors: str
    stops: tuple[str, ...]
    settings: _Settings


def is_fitted(folder: Path) -> bool:
    """Whether a folder holds a fitted router."""
    return (folder / NOTES).is_file()


def notes_of(router: CategoryRouter, figures: Mapping[str, Any]) -> dict[str, Any]:
    """What stands in router.json."""
    settings = router.settings
    numbers = {name: getattr(settings, name) for name in ("sharpness", "names", "familiar")}
    return {
        "format": _FORMAT,
        "taxonomy": router.layout.taxonomy.hash,
        "vectors": shipped_vectors().digest,
        "stops": sorted(router.layout.stops),
        "settings": {
            **numbers,
            **asdict(settings.thresholds),
            "curve": [settings.curve.raw, settings.curve.calibrated],
        },
        **figures,
    }


def write_numbers(router: CategoryRouter, file: IO[bytes]) -> None:
    """The weights of a fitted router."""
    assert router.tree is not None
    weights = router.tree.model.weights
    np.savez_compressed(
        file,
        hashes=router.tree.vocabulary.hashes,
        worth=router.tree.vocabulary.weights,
        data=weights.data.astype(np.float16),
        indices=weights.indices.astype(np.int32),
        indptr=weights.indptr.astype(np.int64),
        bias=router.tree.model.bias,
    )


def open_router(folder: Path) -> CategoryRouter:
    """The router that `extractor route fit` wrote.

    Raises:
        SchemaError: its taxonomy is broken.
        ConfigError: another of its files is, or they do not belong together.
    """
    notes = _read_notes(folder / NOTES)
    taxonomy, vectors = load_taxonomy(folder), shipped_vectors()
    if (taxonomy.hash, vectors.digest) != (notes.taxonomy, notes.vectors):
        changed = "taxonomy.jsonl" if taxonomy.hash != notes.taxonomy else "the package's table of words"
        raise ConfigError(
            f"{folder}: {changed} is not the one it was fitted with; run `extractor route fit` again"
        )
    layout = Layout(taxonomy, notes.stops)
    vocabulary, model = _read_numbers(folder / NUMBERS, len(layout), vectors.dimensions)
    return CategoryRouter(layout, notes.settings.settings(), Tree(vocabulary, vectors, model), vectors)


def _read_notes(path: Path) -> _Notes:
    try:
        return _Notes.model_validate(parse_json(read_text(path)))
    except DataFileError as error:
        raise ConfigError(f"{path}: {error}") from None
    except ValidationError as error:
        raise ConfigError(f"{path}: {explain(error)}") from None


def _read_numbers(path: Path, columns: int, dense: int) -> tuple[Vocabulary, TreeModel]:
    from scipy.sparse import csr_matrix

    try:
        with np.load(path, allow_pickle=False) as stored:
            vocabulary = Vocabulary(stored["hashes"], stored["worth"])
            parts = (stored["data"].astype(np.float32), stored["indices"], stored["indptr"])
            weights = csr_matrix(parts, shape=(len(parts[2]) - 1, columns))
            weights.check_format(full_check=True)
            return vocabulary, TreeModel(weights, stored["bias"], dense)
    except (OSError, EOFError, KeyError, ValueError, zipfile.BadZipFile) as error:
        raise ConfigError(f"{path}: is not what `extractor route fit` wrote ({error}); fit again") from None
