"""Facts become batches of Arrow rows: every listing once in a batch, every statement of it, in order."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st
from test_graph import TARGETS, outcome, said

from extractor.graph.statements import ProductFacts, facts_of
from extractor.graph.stores.arrow import Batch, batches
from extractor.records import Statement

ROW = {
    "subject": "product:x",
    "predicate": "has_brand",
    "object": "brand:sony",
    "label": "Sony",
    "confidence": 0.9,
    "run": "r",
    "product": "x",
    "source": "title",
    "span_start": 0,
    "span_end": 4,
    "quote": "Sony",
    "prompt": "attributes@v1",
    "schema": "electronics.tvs",
    "model": "embedded",
}


def facts(product_id: str, title: str = "Sony TV", *attributes: str) -> ProductFacts:
    read = [said(name, title.split()[0], title) for name in attributes]
    found = facts_of(outcome(product_id, title, *read), "r", TARGETS)
    assert found is not None
    return found


def ids(batch: Batch) -> list[str]:
    found: list[str] = batch.statements["id"].to_pylist()
    return found


def test_a_batch_has_a_row_for_each_listing_and_statement() -> None:
    sony = facts("x", "Sony TV", "brand")
    (batch,) = batches("r", [sony], size=100)
    assert batch.listings.to_pylist() == [
        {"run": "r", "product": "x", "title": "Sony TV", "content_hash": sony.content_hash}
    ]
    assert ids(batch) == [*sony.statements, *sony.shared.statements]
    (brand,) = [row for row in batch.statements.to_pylist() if row["predicate"] == "has_brand"]
    assert brand == {"id": brand["id"], **ROW}


@given(names=st.lists(st.sampled_from("abcd")), size=st.integers(1, 12))
def test_batches_are_cut_where_they_are_full_or_a_listing_comes_again(
    names: Sequence[str], size: int
) -> None:
    told = [facts(name, f"Sony TV {number}", "brand") for number, name in enumerate(names)]
    found = list(batches("r", told, size))
    listings = [batch.listings["product"].to_pylist() for batch in found]
    assert [name for batch in listings for name in batch] == [*names]
    assert all(len(set(batch)) == len(batch) for batch in listings)
    for batch, (after, *_) in pairwise(listings):
        full = sum(len(facts(name, "Sony TV", "brand").statements) for name in batch) >= size
        assert full or after in batch
    for batch in found:
        assert len(set(ids(batch))) == len(ids(batch))
    every: list[Statement] = [s for each in told for s in each.statements.values()]
    assert {name for batch in found for name in ids(batch)} >= {s.id for s in every}
