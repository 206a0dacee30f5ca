"""All errors that leave this package.

ExtractorError
├── ConfigError     a setting, path or option is wrong                        exit 2
├── FeedError       a whole feed cannot be read (one record: a Rejection)     exit 2
├── SchemaError     a file under schemas/ is wrong                            exit 2
├── PromptError     a file under prompts/ is wrong                            exit 2
├── EngineError     the model or its server failed; carries `retryable`       exit 3
└── SinkError       the journal or a graph store cannot be written            exit 3

A message is one line: where, what, and what to do.
"""

from __future__ import annotations


class ExtractorError(Exception):
    """Base of all; `exit_code` is what the command line ends with."""

    exit_code = 2


class ConfigError(ExtractorError):
    """A setting, path or option is wrong."""


class FeedError(ExtractorError):
    """A feed cannot be read at all."""


class SchemaError(ExtractorError):
    """A file under schemas/ is wrong."""


class PromptError(ExtractorError):
    """A file under prompts/ is wrong."""


class EngineError(ExtractorError):
    """The model or its server failed."""

    exit_code = 3

    def __init__(self, message: str, *, retryable: bool = False) -> None:
        super().__init__(message)
        # True when the same request may succeed later (429, 5xx, disconnect, timeout).
        self.retryable = retryable


class SinkError(ExtractorError):
    """The journal or a graph store cannot be written."""

    exit_code = 3
