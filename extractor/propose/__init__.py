"""A listing and its attributes go in, a probability for "absent" and for the likeliest spans of each come out.

The proposer points at values; what is taken, and what the language model is asked, is policy.py's. It runs in
this process; torch is imported when it is opened, so that this package costs nothing where none is needed.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path
from typing import Protocol

from extractor.calibrate import Calibration
from extractor.errors import ConfigError
from extractor.records import Proposal

__all__ = ["Ask", "Proposer", "open_proposer", "proposer_folder"]


@dataclass(frozen=True, slots=True)
class Ask:
    """One listing and what is asked about it."""

    # Attribute ids, in any order.
    attributes: tuple[str, ...]
    # Name of the category, "" when unknown.
    category: str
    # `Product.text`.
    text: str


class Proposer(Protocol):
    """Scores spans."""

    @property
    def id(self) -> str:
        """Name of its model."""

    @property
    def hash(self) -> str:
        """Over the files of its model."""

    @property
    def source(self) -> str:
        """Its folder."""

    @property
    def calibration(self) -> Calibration:
        """How right it is at which probability."""

    def propose(self, asks: Sequence[Ask]) -> list[dict[str, Proposal]]:
        """Attribute -> Proposal for each listing, in order."""


def proposer_folder(folder: Path | None = None) -> Path:
    """Where a proposer's files are; None: of the shipped one. ConfigError when they are not there."""
    folder = folder or Path(str(files("extractor") / "models" / "proposer"))
    if not (folder / "config.json").is_file():
        raise ConfigError(
            f"{folder}: no proposer there; give a folder with config.json, or --policy decode-all"
        )
    return folder


def open_proposer(folder: Path | None = None) -> Proposer:
    """Load a proposer; None: the one shipped with the package.

    Raises:
        ConfigError: there is none, its files are broken, or torch and transformers are missing.
    """
    folder = proposer_folder(folder)
    try:
        from extractor.propose.encoder_model import EncoderProposer
    except ImportError as error:
        raise ConfigError(
            f"proposer: {error}; install it with: pip install 'product-graph-extractor[transformers]', "
            "or take --policy decode-all"
        ) from error
    return EncoderProposer(folder)
