"""`extractor` and `python -m extractor`: the command line with its exit codes."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from typing import Any, NoReturn

from extractor.cli import app
from extractor.cli.output import harmless
from extractor.errors import ExtractorError


def main(arguments: Sequence[str] | None = None) -> NoReturn:
    """Run a command, by default that of this process, and exit; what a user did wrong is one line on stderr."""
    try:
        sys.exit(app(arguments, prog_name="extractor", standalone_mode=False))
    except ExtractorError as error:
        _fail(str(error), error.exit_code)
    except Exception as error:
        # Typer's complaints about options; their class is private to it.
        if not hasattr(error, "format_message"):
            raise
        _fail_usage(error)


def _fail_usage(error: Any) -> NoReturn:
    message = error.format_message()
    if "\n" in message:  # a group without a command: its help
        error.show()
        sys.exit(2)
    command = error.ctx.command_path if error.ctx else "extractor"
    _fail(f"{message.rstrip('.')}; see {command} --help", 2)


def _fail(message: str, exit_code: int) -> NoReturn:
    print(f"extractor: {harmless(' '.join(message.split()))}", file=sys.stderr)  # noqa: T201
    sys.exit(exit_code)


if __name__ == "__main__":
    main()
