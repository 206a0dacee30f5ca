"""What all commands print with: a console on stderr, JSON on stdout, and a progress bar."""

from __future__ import annotations

import json
import re
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable

    from rich.console import Console

    from extractor.run import Progress

# Feeds larger than this (bytes, all files together) are not counted beforehand; the bar then shows no ETA.
COUNTED_BYTES = 200_000_000
# Where stderr is a file, such as the log of a nightly run.
SECONDS_BETWEEN_LINES = 10.0
# Control characters, lone surrogates, and what turns the direction of a line or ends it. Joiners stay: Persian, Hindi
# and emoji are written with them.
_CONTROLS = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u2028\u2029\u202a-\u202e\u2066-\u2069\ud800-\udfff]")


def console() -> Console:
    """For people: on stderr, so that stdout holds what was asked for."""
    from rich.console import Console

    return Console(stderr=True, highlight=False)


def harmless(text: str) -> str:
    """Somebody else's text without what a terminal would obey; line breaks and tabs stay."""
    return _CONTROLS.sub("\ufffd", text)


def print_json(content: Mapping[str, Any]) -> None:
    """One object on stdout."""
    sys.stdout.write(json.dumps(content, ensure_ascii=False) + "\n")


@contextmanager
def progress_bar(total: int | None) -> Iterator[Callable[[Progress], None]]:
    """A bar with products/s, ETA and rejections; a line now and then where stderr is no terminal."""
    stderr = console()
    if not stderr.is_terminal:
        yield _line_now_and_then(stderr)
        return
    from rich.progress import (
        BarColumn,
        MofNCompleteColumn,
        ProgressColumn,
        SpinnerColumn,
        Task,
        TextColumn,
        TimeRemainingColumn,
    )
    from rich.progress import Progress as Bar
    from rich.text import Text

    class Speed(ProgressColumn):
        def render(self, task: Task) -> Text:
            return Text(f"{task.speed or 0:.0f} products/s")

    columns = (SpinnerColumn(), BarColumn(), MofNCompleteColumn(), Speed(), TimeRemainingColumn())
    with Bar(*columns, TextColumn("{task.description}"), console=stderr, transient=True) as bar:
        task = bar.add_task("loading the model", total=total)
        yield lambda state: bar.update(task, completed=state.done, description=f"{state.rejected:,} rejected")


def _line_now_and_then(stderr: Console) -> Callable[[Progress], None]:
    told = time.monotonic()

    def tell(state: Progress) -> None:
        nonlocal told
        if time.monotonic() - told >= SECONDS_BETWEEN_LINES:
            told = time.monotonic()
            stderr.print(f"{state.done:,} products, {state.rejected:,} rejected")

    return tell


def count_records(feeds: tuple[str, ...], limit: int | None) -> int | None:
    """Lines of the feeds, for the ETA only; None when they are too large or cannot be told."""
    paths = [Path(feed) for feed in feeds]
    # What is read from a pipe to be counted would be gone.
    if not all(path.is_file() and path.suffix != ".parquet" for path in paths):
        return limit
    if sum(path.stat().st_size for path in paths) > COUNTED_BYTES:
        return limit
    lines = sum(_lines(path) for path in paths)
    return min(lines, limit) if limit else lines


def _lines(path: Path) -> int:
    import gzip
    import zlib

    try:
        with gzip.open(path) if path.suffix == ".gz" else path.open("rb") as file:
            return sum(block.count(b"\n") for block in iter(lambda: file.read(1 << 20), b""))
    except (OSError, EOFError, zlib.error):
        return 0
