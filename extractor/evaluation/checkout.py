"""Which commit of this package is running, where it runs from a checkout."""

from __future__ import annotations

import subprocess
from pathlib import Path

PACKAGE = Path(__file__).parent.parent
_GIT_S = 10.0


def commit() -> str | None:
    """40 hex digits, with "-dirty" behind them when tracked files differ from it; None outside a checkout."""
    # An installed package may lie in somebody else's checkout, which then does not track it.
    if _git("ls-files", "--error-unmatch", "__init__.py") is None:
        return None
    return _git("describe", "--always", "--dirty", "--abbrev=40", "--exclude=*")


def _git(*arguments: str) -> str | None:
    """What git says; None when it fails or is not installed."""
    try:
        ended = subprocess.run(
            ["git", "-C", str(PACKAGE), *arguments],
            capture_output=True,
            text=True,
            timeout=_GIT_S,
            check=True,
        )
    except (OSError, subprocess.SubprocessError):
        return None
    return ended.stdout.strip()
