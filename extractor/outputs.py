"""Where a command may write a file or folder that an option names: a mistake is told before the work, not after it.

A run folder is another matter: it is made with all that is above it.
"""

from __future__ import annotations

import os
from pathlib import Path

from extractor.errors import ConfigError
from extractor.journal.files import sink_errors


def check_output(out: Path, option: str = "--out") -> None:
    """Nobody's device or graph goes away by a slip in an option, not even by force.

    Raises:
        ConfigError: the folder that `out` is to stand in is not there, or `out` is a device, a graph or another
            database.
        SinkError: it cannot be looked at.
    """
    place = Path(os.path.realpath(out))  # a link stands for what it leads to
    if not place.parent.is_dir():
        raise ConfigError(f"{out}: its folder is not there; make it, or give another {option}")
    if place.exists() and not (place.is_file() or place.is_dir()):
        raise ConfigError(f"{out}: neither a file nor a folder; give another {option}")
    if place.is_file() and _is_database(place):
        raise ConfigError(f"{out}: is a graph or another database; give another {option}")


def check_output_file(out: Path, option: str) -> None:
    """The same for what is always a file; ConfigError also where `out` is a folder."""
    check_output(out, option)
    if out.is_dir():
        raise ConfigError(f"{out}: is a folder; give a file in it to {option}")


def _is_database(file: Path) -> bool:
    """Whether DuckDB made it: its storage format has these letters behind a checksum of eight bytes."""
    with sink_errors(file), file.open("rb") as head:
        return head.read(12)[8:] == b"DUCK"
