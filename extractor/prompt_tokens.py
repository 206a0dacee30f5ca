"""A prompt template and a tokenizer in, out comes what a typical request costs, and how much of it is shared.

Engines keep the beginning that prompts have in common, so three numbers tell the price of a prompt. Loads a
tokenizer, no model.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import takewhile

from extractor.engines import ModelInfo
from extractor.engines.tokens import encode_prompt
from extractor.errors import ConfigError
from extractor.prompt import PromptTemplate, render
from extractor.prompt_variables import (
    attributes_request_variables,
    match_request_variables,
    repair_request_variables,
    route_request_variables,
)
from extractor.records import Message, Product
from extractor.schema import SchemaStore

Encode = Callable[[str | tuple[Message, ...]], Sequence[int]]


@dataclass(frozen=True, slots=True)
class Listing:
    """What a typical request is about."""

    product: Product
    category: str
    # Category ids that a router finds in it.
    candidates: tuple[str, ...]


# Made up, of usual length; the first two are of one category, the third is of another.
TYPICAL = (
    Listing(
        Product(
            "1",
            "Larkfield Women's Organic Cotton V-Neck T-Shirt, Navy Blue, Medium (Pack of 2)",
            "A relaxed everyday tee in 180 g jersey. Machine wash cold, tumble dry low. Made in Portugal.",
        ),
        "clothing.tops.t_shirts",
        ("clothing.tops.t_shirts", "clothing.dresses_suits.dresses", "clothing.bottoms.shorts"),
    ),
    Listing(
        Product(
            "2",
            "Graphic Tee Men Oversized Fit Streetwear Hip Hop Short Sleeve Black XL Summer 2024 New",
            "Heavy cotton blend with a skull print on the back; runs large, order one size down.",
        ),
        "clothing.tops.t_shirts",
        ("clothing.outerwear.jackets", "clothing.tops.t_shirts", "clothing.bottoms.jeans"),
    ),
    Listing(
        Product(
            "3",
            'Norvane 27" QHD IPS Monitor NV-2740, 165 Hz, 1 ms, HDMI and DisplayPort, height adjustable',
            "2560 x 1440 picture with adaptive sync. Two USB 3.0 ports, VESA 100 x 100 mm mount, 3 year warranty.",
        ),
        "computers.computers_tablets.monitors",
        ("computers.computers_tablets.monitors", "electronics.tv_video.televisions"),
    ),
)


@dataclass(frozen=True, slots=True)
class PromptTokens:
    """Tokens of a typical prompt, from its beginning to its end."""

    # The same in every request.
    shared: int
    # After these, the same in every request of one category.
    category: int
    # The rest, computed for every listing.
    listing: int

    @property
    def total(self) -> int:
        return self.shared + self.category + self.listing


def count_prompt_tokens(template: PromptTemplate, store: SchemaStore, encode: Encode) -> PromptTokens:
    """Fill the template in for TYPICAL listings and see how far the prompts agree.

    Args:
        template: Any task.
        store: The shipped schemas, whose attributes are asked for.
        encode: Prompt -> token ids, as `encode_prompt` with the model's tokenizer.
    """
    first, same, other = (
        list(encode(render(template, _variables(template, store, asked)))) for asked in TYPICAL
    )
    of_category = _shared(first, same)
    of_all = min(of_category, _shared(first, other))
    return PromptTokens(of_all, of_category - of_all, len(first) - of_category)


def _shared(one: Sequence[int], other: Sequence[int]) -> int:
    """How many tokens both begin with."""
    same = (a == b for a, b in zip(one, other, strict=False))
    return sum(1 for _ in takewhile(bool, same))


def encoder(model: ModelInfo) -> Encode:
    """The tokenizer of a model.

    Raises:
        ConfigError: it cannot be loaded. So does the encoder, when a model without a chat template gets messages.
    """
    try:
        # Not AutoTokenizer, which imports torch: 5 s.
        from transformers import PreTrainedTokenizerFast

        tokenizer = PreTrainedTokenizerFast.from_pretrained(model.source)
    except (ImportError, OSError, ValueError) as error:
        reason = " ".join(str(error).split())[:200]
        raise ConfigError(
            f"{model.id}: its tokenizer cannot be loaded ({reason}); "
            "install product-graph-extractor[transformers], or name another --model"
        ) from error
    return lambda prompt: encode_prompt(tokenizer, prompt, model.id)


def _variables(template: PromptTemplate, store: SchemaStore, asked: Listing) -> dict[str, str]:
    text, form = asked.product.text, template.form
    if template.task == "match":
        return match_request_variables(text, text)
    if template.task == "route":
        return route_request_variables([*asked.candidates, "unknown"], text, form)
    schema, path = store.for_category(asked.category), store.taxonomy[asked.category].path
    if template.task == "attributes":
        return attributes_request_variables(schema, path, text, form)
    return repair_request_variables(
        schema, path, text, form, previous='{"brand": 1}', error="brand: 1 is no text"
    )
