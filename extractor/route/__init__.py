"""Products in, categories out: what a listing is, in any taxonomy, with or without labelled examples.

    words -> features, vectors -> names (phrases), tree -> router -> decide (bundle)
    examples -> learn -> fit -> folder

A Routing says for each product which categories come into question and what is decided: a category with a calibrated
confidence, its parent where the category itself is unsure, "unknown" for what fits nowhere, several for a bundle, or
nothing: then a language model is to choose, which this room does not know (categorize.py does).
"""

from pathlib import Path

from extractor.route.decide import Routing, chosen, options
from extractor.route.folder import is_fitted, open_router
from extractor.route.phrases import Candidate, PhraseIndex
from extractor.route.router import CategoryRouter
from extractor.route.words import words
from extractor.taxonomy import load_taxonomy

__all__ = [
    "Candidate",
    "CategoryRouter",
    "PhraseIndex",
    "Routing",
    "chosen",
    "find_router",
    "options",
    "words",
]


def find_router(path: Path) -> CategoryRouter:
    """Of a taxonomy file, or of a folder that holds one and perhaps a router that was fitted on examples.

    Raises:
        SchemaError: the taxonomy is missing or broken.
        ConfigError: the fitted router is broken.
    """
    return open_router(path) if is_fitted(path) else CategoryRouter.of_names(load_taxonomy(path))
