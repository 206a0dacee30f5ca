"""Every schema of a derived folder: does it load, is it JSON Schema, is its grammar bounded, how much CPU does it take?

For each category a listing of our own making states every value of every attribute as far as a title of so many
characters goes: the grammar then has all attributes in it and is as large as it gets. Prints a JSON line with the
distribution of each time in milliseconds, and of attributes and bytes.

    extractor schemas derive --taxonomy CATEGORIES --attributes ATTRIBUTES --out derived
    python eval/bench/derived_schemas.py derived
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Sequence
from pathlib import Path

import llguidance
import numpy as np
from jsonschema import Draft202012Validator
from tokenizers import Tokenizer

from extractor.constraint import compile_attributes
from extractor.schema import CategorySchema, SchemaStore

MODEL = Path(__file__).parents[2] / "extractor" / "models" / "embedded"
MAX_TOKENS = 2048
CHARACTERS = 1000
MEASURES = ("load_ms", "grammar_ms", "compile_ms", "attributes", "grammar_bytes", "most_tokens")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("schemas", type=Path)
    folder = parser.parse_args().schemas
    tokenizer = llguidance.LLTokenizer(Tokenizer.from_file(str(MODEL / "tokenizer.json")).to_str())
    store = SchemaStore(folder)
    rows = [measure(store, node.id, tokenizer) for node in store.taxonomy]
    figures = {name: spread([row[k] for row in rows]) for k, name in enumerate(MEASURES)}
    assert max(row[-1] for row in rows) <= MAX_TOKENS
    print(json.dumps({"schemas": len(rows), **figures}))


def measure(store: SchemaStore, category: str, tokenizer: llguidance.LLTokenizer) -> tuple[float, ...]:
    """Figures in the order of MEASURES; AssertionError where a schema or a grammar is wrong."""
    started = time.process_time()
    schema = store.for_category(category)
    loaded = time.process_time()
    Draft202012Validator.check_schema(schema.json_schema)
    text = listing(schema)
    built_from = time.process_time()
    constraint = compile_attributes(schema, text, max_tokens=MAX_TOKENS)
    built = time.process_time()
    matcher = llguidance.LLMatcher(tokenizer, constraint.grammar, log_level=0)
    matcher.compute_bitmask()
    compiled = time.process_time()
    assert not matcher.is_error(), f"{category}: {matcher.get_error()}"
    times = (loaded - started, built - built_from, compiled - built)
    sizes = (len(schema.attributes), len(constraint.grammar), constraint.max_tokens)
    return (*(1000 * seconds for seconds in times), *sizes)


def listing(schema: CategorySchema) -> str:
    """A first value of each attribute, then second ones and so on."""
    most = max((len(attribute.enum) for attribute in schema.attributes), default=0)
    values = (a.enum[rank] for rank in range(most) for a in schema.attributes if rank < len(a.enum))
    return f"{schema.title}: {', '.join(values)}"[:CHARACTERS]


def spread(values: Sequence[float]) -> dict[str, float]:
    """Median, tails and the worst."""
    points = {"median": 50, "p90": 90, "p99": 99, "max": 100}
    return {name: round(float(np.percentile(values, at)), 2) for name, at in points.items()}


if __name__ == "__main__":
    main()
