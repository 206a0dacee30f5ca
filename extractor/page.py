"""What every page of this package shares: one self-contained HTML file that asks the network for nothing.

In: a template of templates/, its style sheets and scripts, and values. Out: the file, whole or not at all.
Product text is somebody else's: Jinja escapes all of it, and the page's own policy (CSP) allows no script or
style but ours.
"""

from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from itertools import pairwise
from pathlib import Path
from typing import Any

from jinja2 import Environment, FunctionLoader, StrictUndefined
from markupsafe import Markup

from extractor.journal import replacing, sink_errors
from extractor.records import Span

# Below these a confidence is drawn fainter.
SURE, LIKELY = 0.9, 0.6
# Turning the hue by the golden angle keeps the colors of neighbors in the list apart, however many there are.
_GOLDEN_ANGLE = 137.508


@dataclass(frozen=True, slots=True)
class Piece:
    """A stretch of text that the same spans cover."""

    text: str
    # Indexes of these spans, the shortest first; empty for plain text.
    spans: tuple[int, ...]


def cut_pieces(text: str, spans: Sequence[Span | None], start: int, end: int) -> Iterator[Piece]:
    """Cut text[start:end] wherever a span begins or ends, so that overlapping spans need no nesting."""
    inside = [(max(start, s.start), min(end, s.end), i) for i, s in enumerate(spans) if s]
    inside = sorted((span for span in inside if span[0] < span[1]), key=lambda span: span[1] - span[0])
    edges = sorted({start, end, *(edge for span in inside for edge in span[:2])})
    for left, right in pairwise(edges):
        covering = tuple(index for low, high, index in inside if low <= left and right <= high)
        yield Piece(text[left:right], covering)


def write_page(
    path: Path,
    template: str,
    *,
    styles: Sequence[str],
    scripts: Sequence[str],
    rules: str = "",
    **values: Any,
) -> Path:
    """Write one page.

    Args:
        path: The page; what was there before stays until the new one is complete.
        template: Of templates/; extends page.html.
        styles: Names of style sheets in templates/, in order.
        scripts: Names of scripts in templates/, in order.
        rules: CSS that depends on the content; made of our own numbers, never of product text.
        values: What the template shows; all text in them is escaped.

    Raises:
        SinkError: the page cannot be written.
    """
    style = "".join(map(_asset, styles)) + rules
    script = "".join(map(_asset, scripts))
    page = (
        _environment()
        .get_template(template)
        .generate(style=Markup(style), script=Markup(script), policy=_policy(style, script), **values)
    )
    with sink_errors(path), replacing(path) as file:
        for part in page:
            file.write(part.encode("utf-8", "replace"))
    return path


def color_rules(attributes: int) -> str:
    """CSS that gives each of the classes a0, a1 ... a hue."""
    return "\n".join(
        f".a{number}{{--hue:{(30 + number * _GOLDEN_ANGLE) % 360:.0f}}}" for number in range(attributes)
    )


def flat(settings: Any, prefix: str = "") -> Iterator[tuple[str, str]]:
    """Nested settings as ("a.b", value as a person reads it) pairs."""
    if isinstance(settings, dict):
        for name, value in settings.items():
            yield from flat(value, f"{prefix}.{name}" if prefix else name)
    else:
        yield prefix, settings if isinstance(settings, str) else json.dumps(settings, ensure_ascii=False)


# A template is compiled once and not for every page.
@cache
def _environment() -> Environment:
    environment = Environment(
        loader=FunctionLoader(_asset),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= {
        "count": "{:,}".format,
        "share": _share,
        "level": _level,
        "moment": _moment,
        "rate": _rate,
        "signed": _signed,
    }
    environment.globals |= {"cut_pieces": cut_pieces}
    return environment


def _share(part: float, whole: float) -> str:
    """A percentage that says 0 % and 100 % only when it is."""
    percent = 100 * part / whole if whole else 0.0
    if 0 < percent < 0.1:
        return "< 0.1 %"
    if 99.9 < percent < 100:
        return "> 99.9 %"
    return f"{percent:.1f} %"


def _level(confidence: float) -> str:
    return "sure" if confidence >= SURE else "likely" if confidence >= LIKELY else "unsure"


def _moment(timestamp: str) -> str:
    """2026-01-31T08:00:00Z as people write it."""
    return timestamp.replace("T", " ").replace("Z", " UTC")


def _rate(number: float) -> str:
    """Three digits that matter: 1,234 or 12.3."""
    return f"{number:,.0f}" if number >= 100 else f"{number:.1f}"


def _signed(points: float, places: int = 1) -> str:
    """+1.2, −1.2 (a minus, no hyphen) or 0.0."""
    text = f"{points:+.{places}f}"
    return f"{0:.{places}f}" if not float(text) else text.replace("-", "−")


def _asset(name: str) -> str:
    return (files("extractor") / "templates" / name).read_text(encoding="utf-8")


def _policy(style: str, script: str) -> str:
    """Content-Security-Policy: this style, this script, and nothing from anywhere."""

    def digest(text: str) -> str:
        return "'sha256-" + base64.b64encode(hashlib.sha256(text.encode()).digest()).decode() + "'"

    return (
        f"default-src 'none'; style-src {digest(style)}; script-src {digest(script)}; "
        "base-uri 'none'; form-action 'none'"
    )
