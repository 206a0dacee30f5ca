"""What a shop's feed is good for: which of its records train and which measure, and what of it can be a label.

In: ids and texts of feed records. Out: yes or no, and the words that a label consists of. Training and evaluation
both go by this, so that neither sees what is the other's.
"""

from __future__ import annotations

import hashlib
import re

# One record in so many is held out.
HELD_OUT_SHARE = 10
# Longer ones are sentences, no names.
MAX_LABEL_CHARACTERS = 80
_DISC = re.compile(r" - (CD|DVD|Blu-ray Disc|VHS|Cassette|LP)\b")


def held_out(product_id: str) -> bool:
    """True for the tenth of all ids that is measured on and never trained on; the same tenth everywhere, forever."""
    digest = hashlib.blake2b(product_id.encode(), digest_size=8).digest()
    return int.from_bytes(digest, "big") % HELD_OUT_SHARE == 0


def is_disc(title: str) -> bool:
    """True for music and films as Best Buy titles them; their brand is a label that the title lacks."""
    return bool(_DISC.search(title))


def stated_forms(text: str, value: str) -> tuple[str, ...]:
    """`value` in every spelling in which it stands in `text`: on word borders, whatever its case, first ones first."""
    if not value or len(value) > MAX_LABEL_CHARACTERS:
        return ()
    found = re.findall(rf"(?<!\w){re.escape(value)}(?!\w)", text, re.IGNORECASE)
    return tuple(dict.fromkeys(found))
