"""What an HTTP status of a model's server says, whichever client met it."""

from __future__ import annotations

NOT_FOUND = 404
_WRONG_KEY = frozenset({401, 403})
_TRY_LATER = frozenset({408, 409, 425, 429})


def wrong_key(status: int) -> bool:
    """No request will be answered with this key."""
    return status in _WRONG_KEY


def try_later(status: int) -> bool:
    """The same request may be answered later."""
    return status in _TRY_LATER or status >= 500
