"""How well names of brands are linked: pairs of a mention and the brand that it means, or none, against a registry.

In: a registry and a file of pairs, `{"id", "mention", "category", "brand", "kind", "part"}` a line. Out: five counts,
precision and recall of each part; they are those of attribute scoring with one cell a pair, so that a brand given to
a name that means none is spurious (nv), none given is missed (vn), and another one is wrong (vw).
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping
from pathlib import Path

from extractor.brands.link import Linker, category_names
from extractor.brands.registry import load_registry
from extractor.errors import ConfigError
from extractor.evaluation.metrics import Counts, Judgment, Kind
from extractor.evaluation.tasks import Measured
from extractor.gold import read_rows
from extractor.records import UNKNOWN_CATEGORY, CategoryChoice
from extractor.schema import default_folder
from extractor.taxonomy import load_taxonomy

_KEYS = ("mention", "category", "brand", "kind", "part")


def measure(inputs: Mapping[str, Path]) -> Measured:
    """Link the pairs of `gold` to `registry`; ConfigError when a file is missing or broken."""
    linker = Linker(load_registry(inputs["registry"]))
    categories = load_taxonomy(default_folder() / "taxonomy.jsonl").nodes
    parts: dict[str, Counts] = defaultdict(Counts)
    mistakes = []
    for where, pair in read_rows(inputs["gold"], _KEYS):
        if pair["brand"] is not None and pair["brand"] not in linker.registry.brands:
            raise ConfigError(
                f"{where}: no brand {pair['brand']!r} in {inputs['registry']}; correct the pair"
            )
        node = categories.get(pair["category"])
        category = CategoryChoice(node.id, node.path, 1.0) if node else UNKNOWN_CATEGORY
        link = linker.link(pair["mention"], category_names(category))
        found = link.brand.id if link.brand else None
        judgment = Judgment(_kind(pair["brand"], found))
        parts[pair["part"]].add(judgment)
        if not judgment.is_right:
            mistakes.append({**pair, "found": found, "rule": link.rule})
    return Measured({name: _figures(counts) for name, counts in parts.items()}, mistakes)


def _kind(gold: str | None, found: str | None) -> Kind:
    if gold is None:
        return "nn" if found is None else "nv"
    if found is None:
        return "vn"
    return "vc" if found == gold else "vw"


def _figures(counts: Counts) -> dict[str, float]:
    kinds = {name: getattr(counts, name) for name in ("nn", "nv", "vn", "vc", "vw")}
    return {"records": sum(kinds.values()), **counts.scores(), **kinds}
