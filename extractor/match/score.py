"""How likely two listings are the same product: rows of features in, probabilities out.

A scorer is a folder: `scorer.json` says its features, its bands and what it was fitted on, `arrays.npz` holds its
numbers and no objects. Scoring needs numpy, scipy and rapidfuzz. The one that ships is made by
eval/recipes/matcher.py.
"""

from __future__ import annotations

import hashlib
from dataclasses import asdict, dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self
from zipfile import BadZipFile

from extractor.datafile import DataFileError, parse_json, read_text
from extractor.errors import ConfigError
from extractor.journal import sink_errors
from extractor.journal.files import write_json
from extractor.match.features import feature_names, features
from extractor.match.table import Table
from extractor.match.trees import Trees
from extractor.match.words import BUCKETS, score_words, word_rows

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Floats = NDArray[np.float64]
    Ints = NDArray[np.int64]

NOTES, ARRAYS = "scorer.json", "arrays.npz"
# Scored at a time.
_PAIRS = 20_000


@dataclass(frozen=True, slots=True)
class Bands:
    """Probabilities that divide same, ask and different."""

    # At least so much: the same product.
    same: float
    # Less: different products; between the two a person, or a language model, is asked.
    ask: float

    def __post_init__(self) -> None:
        if not 0.0 <= self.ask <= self.same <= 1.0:
            raise ValueError(f"bands {self.ask} and {self.same} are not 0 <= ask <= same <= 1")


@dataclass(frozen=True)
class Scorer:
    """A fitted scorer."""

    trees: Trees
    # Weights of hashed words (words.py), the intercept last.
    words: NDArray[np.float32]
    # Names of the features that the trees ask, in order; what words say comes after them.
    features: tuple[str, ...]
    bands: Bands
    # Files or data sets, for people.
    fitted_on: tuple[str, ...] = ()

    def probabilities(self, table: Table, left: Ints, right: Ints) -> Floats:
        """How likely each pair of rows of a collection is the same product, 0..1."""
        import numpy as np

        parts = [
            self.of_examples(features(table, one, other), word_rows(table, one, other))
            for one, other in (
                (left[at : at + _PAIRS], right[at : at + _PAIRS]) for at in range(0, len(left), _PAIRS)
            )
        ]
        return np.concatenate(parts) if parts else np.empty(0)

    def of_examples(self, rows: Floats, words: Any) -> Floats:
        """The same, given the rows of `features` and of `word_rows`."""
        import numpy as np

        said = np.column_stack([rows, score_words(words, self.words)])
        return np.asarray(1.0 / (1.0 + np.exp(-self.trees.log_odds(said))))

    def with_bands(self, bands: Bands) -> Scorer:
        return replace(self, bands=bands)

    @cached_property
    def hash(self) -> str:
        """Of all that changes an answer, as 32 hex digits."""
        digest = hashlib.blake2b(repr((self.features, self.bands)).encode(), digest_size=16)
        for array in self._arrays().values():
            digest.update(array.tobytes())
        return digest.hexdigest()

    def save(self, folder: Path) -> None:
        """Write the folder; SinkError when it cannot be written."""
        import numpy as np

        notes = {"features": self.features, "bands": asdict(self.bands), "fitted_on": self.fitted_on}
        with sink_errors(folder):
            folder.mkdir(parents=True, exist_ok=True)
            with (folder / ARRAYS).open("wb") as file:
                np.savez_compressed(file, allow_pickle=False, **self._arrays())
            write_json(folder / NOTES, notes)

    @classmethod
    def load(cls, folder: Path) -> Self:
        """Read a folder that `save` wrote; ConfigError says what is wrong with it."""
        try:
            notes = parse_json(read_text(folder / NOTES))
            return cls._read(folder, notes)
        except DataFileError as error:
            raise ConfigError(f"{folder / NOTES}: {error}") from None
        except (OSError, BadZipFile, EOFError, KeyError, TypeError, ValueError, AttributeError) as error:
            raise ConfigError(
                f"{folder}: no scorer ({error}); give a folder that `extractor graph match-fit` wrote"
            ) from None

    @classmethod
    def _read(cls, folder: Path, notes: Any) -> Self:
        import numpy as np

        with np.load(folder / ARRAYS, allow_pickle=False) as arrays:
            trees, words = Trees.from_arrays(arrays), arrays["words"]
        if tuple(notes["features"]) != feature_names():
            raise ValueError("fitted on the features of another version")
        if len(words) != 2 * BUCKETS + 1 or int(trees.feature.max()) > len(feature_names()):
            raise ValueError("weights are missing")
        return cls(trees, words, feature_names(), Bands(**notes["bands"]), tuple(notes["fitted_on"]))

    def _arrays(self) -> dict[str, NDArray[Any]]:
        return {**self.trees.arrays(), "words": self.words}


def shipped_scorer() -> Scorer:
    """The one in this package."""
    from importlib.resources import files

    return Scorer.load(Path(str(files("extractor"))) / "models" / "matcher")
