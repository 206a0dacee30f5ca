"""The proposer: every span it can name is one of the text, and its probabilities are probabilities."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from extractor.chunks import split_chunks
from extractor.errors import ConfigError
from extractor.propose import Ask, open_proposer
from extractor.propose.encode import Encoder
from extractor.propose.encoder_model import EncoderProposer
from extractor.propose.network import MAX_CHUNKS, SpanProposer, collate, pack, unpack
from tests.tiny_proposer import build_tiny_proposer

TEXT = "Acme Trail Shoe, Red\n8 M (US)"


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return build_tiny_proposer(tmp_path_factory.mktemp("proposer"))


@pytest.fixture(scope="module")
def proposer(folder: Path) -> EncoderProposer:
    return EncoderProposer(folder)


def test_a_listing_is_encoded_as_names_and_chunks(folder: Path) -> None:
    encoder = Encoder(folder / "tokenizer.json")
    encoded = encoder.encode(["brand_name", "color"], "Shoes", TEXT)
    assert [TEXT[start:end] for start, end in encoded.chunks] == [
        *("Acme", "Trail", "Shoe", ",", "Red"),
        *("8", "M", "(", "US", ")"),
    ]
    assert encoded.lines == [0] * 5 + [1] * 5
    assert len(encoded.names) == 2
    assert encoded.span_at(0, 1) == (0, 10)


@given(st.text(max_size=200))
def test_every_chunk_with_a_visible_character_is_in_some_window(folder: Path, text: str) -> None:
    encoder = Encoder(folder / "tokenizer.json")
    windows = list(encoder.windows(["color"], "", text, max_tokens=24))
    assert all(len(window.ids) <= 24 for window in windows)
    seen = {chunk for window in windows for chunk in window.chunks}
    whole = encoder.encode(["color"], "", text, max_tokens=10_000)
    # A chunk that alone is longer than the window is the only one that may be missing.
    long = {chunk for chunk, a, b in zip(whole.chunks, whole.firsts, whole.lasts, strict=True) if b - a > 15}
    assert set(whole.chunks) - seen <= long
    assert {text[start:end] for start, end in whole.chunks} <= set(split_chunks(text))


def test_names_that_do_not_fit_are_an_error(folder: Path) -> None:
    with pytest.raises(ValueError, match="2 attribute names take"):
        Encoder(folder / "tokenizer.json").encode(["color " * 10, "brand"], "", TEXT, max_tokens=16)


def test_absent_and_all_spans_share_one_probability(folder: Path) -> None:
    encoder, network = Encoder(folder / "tokenizer.json"), SpanProposer.from_folder(folder).eval()
    encoded = encoder.encode(["brand", "color"], "Shoes", TEXT)
    with torch.no_grad():
        chances = network(collate([encoded])).exp()[0]
    assert torch.allclose(chances.sum(-1), torch.ones(2), atol=1e-4)
    across = 1 + 4 * MAX_CHUNKS + 1  # "Red", line break, "8"
    beyond = 1 + 9 * MAX_CHUNKS + 1  # ")" and what is no chunk
    assert chances[:, [across, beyond]].max() < 1e-6


def test_a_listing_scores_the_same_beside_a_longer_one(folder: Path) -> None:
    encoder, network = Encoder(folder / "tokenizer.json"), SpanProposer.from_folder(folder).eval()
    short = encoder.encode(["color"], "", "Red Shoe")
    long = encoder.encode(["brand", "size"], "", TEXT * 3)
    with torch.no_grad():
        alone, beside = network(collate([short])), network(collate([short, long]))
    spans = 1 + len(short.chunks) * MAX_CHUNKS
    assert torch.allclose(alone[0, 0, :spans], beside[0, 0, :spans], atol=1e-4)


@given(st.lists(st.text(max_size=150), max_size=4))
def test_proposals_are_spans_of_their_own_text(proposer: EncoderProposer, texts: list[str]) -> None:
    found = proposer.propose([Ask(("brand", "color"), "Shoes", text) for text in texts])
    assert len(found) == len(texts)
    for text, proposals in zip(texts, found, strict=True):
        assert list(proposals) == ["brand", "color"]
        for proposal in proposals.values():
            surfaces = [scored.span.slice(text) for scored in proposal.spans]
            assert all(surface.strip() and "\n" not in surface for surface in surfaces)
            chances = [scored.probability for scored in proposal.spans]
            assert chances == sorted(chances, reverse=True)
            assert 0 <= proposal.absent + sum(chances) <= 1.001


def test_a_schema_of_many_names_is_asked_some_at_a_time(proposer: EncoderProposer) -> None:
    names = tuple(f"attribute number {n} of a large schema {'x' * n}" for n in range(60))
    [found] = proposer.propose([Ask(names, "Shoes", TEXT)])
    assert tuple(found) == names


def test_a_listing_without_attributes_has_no_proposals(proposer: EncoderProposer) -> None:
    assert proposer.propose([Ask((), "", TEXT), Ask(("brand",), "", "Acme")])[0] == {}


def test_a_folder_without_a_model_is_told(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="no proposer there"):
        open_proposer(tmp_path)
    (tmp_path / "config.json").write_text("{}")
    with pytest.raises(ConfigError, match="no proposer can be loaded"):
        open_proposer(tmp_path)


def test_packed_weights_are_small_and_nearly_the_same(folder: Path) -> None:
    weights = SpanProposer.from_folder(folder).state_dict()
    packed = pack(weights)
    restored = unpack(packed)
    assert {name: value.shape for name, value in restored.items()} == {n: v.shape for n, v in weights.items()}
    assert sum(v.nbytes for v in packed.values()) < 0.3 * sum(v.nbytes for v in weights.values())
    for name, value in weights.items():
        largest = value.abs().max()
        assert (restored[name].float() - value).abs().max() <= 0.01 * largest, name


def test_the_shipped_proposer_points_at_brand_and_color() -> None:
    text = "Kestrel Bay Men's T-Shirt, Heather Grey, Large"
    [found] = open_proposer().propose([Ask(("brand", "color", "capacity"), "T-shirts", text)])
    best = {name: proposal.spans[0].span.slice(text) for name, proposal in found.items() if proposal.spans}
    assert (best["brand"], best["color"]) == ("Kestrel Bay", "Heather Grey")
    assert found["capacity"].absent > 0.9
