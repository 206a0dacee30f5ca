"""What a difference means, in words: the one line that is read when nothing else is."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from extractor.evaluation.statistics import Difference

# Names that a line has room for.
MOST_NAMES = 5


def tell(view: str, difference: Difference) -> str:
    """ "paper F1 +2.31 (95 % +0.90 to +3.70, p 0.002)"."""
    low, high, p = difference.low, difference.high, difference.p
    return f"{view} F1 {difference.value:+.2f} (95 % {low:+.2f} to {high:+.2f}, p {p:.2g})"


def verdict(
    a: str, b: str, main: str, differences: Mapping[str, Difference], worse_slices: Sequence[str] = ()
) -> str:
    """Whether b is better than a, and what must not be overlooked.

    Args:
        a: Label of the run before.
        b: Label of the run after.
        main: The view that decides.
        differences: View -> difference.
        worse_slices: Parts that are significantly worse, worst first.
    """
    found = differences[main]
    if found.is_better or found.is_worse:
        line = f"{b} is {'better' if found.is_better else 'worse'} than {a}: {tell(main, found)}"
    else:
        line = f"no difference shown between {a} and {b}: {tell(main, found)}; {_noise(found)}"
    others = [tell(view, other) for view, other in differences.items() if other.is_worse and view != main]
    return line + _listed("; worse: ", others) + _listed("; worse in ", worse_slices)


def _noise(found: Difference) -> str:
    return f"differences below {found.detectable:.1f} points can go unseen here"


def _listed(what: str, names: Sequence[str]) -> str:
    if not names:
        return ""
    more = f" and {len(names) - MOST_NAMES} more" if len(names) > MOST_NAMES else ""
    return f"{what}{', '.join(names[:MOST_NAMES])}{more}"
