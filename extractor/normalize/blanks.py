"""What shops write where they have no value: "-", "N/A", "none"."""

from __future__ import annotations

import re

# English. Between signs; of signs alone "?", "+" and ticks may say something.
_WORDS = (
    r"n[\W_]*a|nil|none|null|undefined|unknown|unspecified"
    r"|does[\W_]+not[\W_]+apply|not[\W_]+(?:applicable|available|specified)"
)
_SIGNS = r"\s.,:;|/\\_*~=\u00b7\u2022\u2010-\u2015\u2212-"
_NOTHING = re.compile(rf"[{_SIGNS}]*|[\W_]*(?:{_WORDS})[\W_]*", re.IGNORECASE)


def says_nothing(text: str) -> bool:
    """Whether somebody says by this that there is no value: "N/A", "--", "(null)"; blank text too."""
    return _NOTHING.fullmatch(text) is not None
