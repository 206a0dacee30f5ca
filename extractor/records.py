"""The nouns that stages hand to each other; all frozen, none knows where it came from or goes to.

In: nothing. Out: plain records. `Outcome.to_json` and `Outcome.from_json` are the only place that knows
what a journal line looks like (docs: README, "A run is a folder").
"""

from __future__ import annotations

import hashlib
import unicodedata
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from enum import StrEnum
from typing import Any, Literal, NamedTuple

How = Literal["span", "choice", "derived"]
# "taxonomy": where a product's category was chosen, not read, and of what that category implies. "person": stated or
# taken back by hand; "match": found by comparing listings.
Source = Literal["title", "description", "feed", "taxonomy", "person", "match"]
Role = Literal["system", "user", "assistant"]
# Who decides the values of a product, proposer or language model; see policy.py.
Policy = Literal["propose-only", "cascade", "decode-all"]


class Reason(StrEnum):
    """Why something was dropped."""

    UNREADABLE = "UNREADABLE"  # the feed line is no product (broken JSON, no title, an id too long for a key)
    DUPLICATE_ID = "DUPLICATE_ID"  # an id that was seen before, with other content
    TOO_LONG = "TOO_LONG"  # the title alone does not fit the model
    TEXT_CUT = "TEXT_CUT"  # the end of the description was not read, it does not fit the model
    TRUNCATED = "TRUNCATED"  # the completion ended before the object closed
    INVALID_JSON = "INVALID_JSON"  # the completion is not JSON
    SCHEMA = "SCHEMA"  # the object breaks the category's JSON Schema
    UNGROUNDED = "UNGROUNDED"  # the value does not stand in the product text
    UNKNOWN_UNIT = "UNKNOWN_UNIT"  # a quantity whose unit units.json does not have
    CHECK_DIGIT = "CHECK_DIGIT"  # a GTIN whose last digit does not fit the others
    ENGINE = "ENGINE"  # the engine gave no completion for this product
    OUTVOTED = "OUTVOTED"  # too few of several answers have the value


@dataclass(frozen=True, slots=True)
class Span:
    """Code points of `Product.text`, start inclusive, end exclusive."""

    start: int
    end: int

    def slice(self, text: str) -> str:
        return text[self.start : self.end]


@dataclass(frozen=True, slots=True)
class Product:
    """One listing of the feed; text fields are NFC and hold no lone surrogates (`read` sees to it)."""

    # Unique within the feed; 512 bytes of UTF-8 at most.
    id: str
    # Never empty.
    title: str
    # Empty when the feed has none.
    description: str = ""
    # Brand as the feed states it.
    brand: str | None = None
    # Category path as the feed states it, top first.
    category_path: tuple[str, ...] = ()
    # Seller attributes as the feed states them: name -> values.
    attributes: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    # Everything else the feed states (merchant, price, currency, rating, gtin, url ...), as text.
    facts: Mapping[str, str] = field(default_factory=dict)
    # Where it was read: "feed.jsonl:17".
    where: str = ""

    @property
    def text(self) -> str:
        """Title, newline, description: the only text that spans refer to."""
        return f"{self.title}\n{self.description}" if self.description else self.title

    @property
    def content_hash(self) -> str:
        """128 bits over everything but `where`, as 32 hex digits."""
        parts = (
            self.id,
            self.title,
            self.description,
            self.brand,
            self.category_path,
            sorted(self.attributes.items()),
            sorted(self.facts.items()),
        )
        return hashlib.blake2b(repr(parts).encode("utf-8", "surrogatepass"), digest_size=16).hexdigest()


@dataclass(frozen=True, slots=True)
class Unreadable:
    """A feed record that is no product: it still ends as an Outcome, with one Rejection."""

    # The record's own id where it has one, else `where`.
    id: str
    # Where it was read: "feed.jsonl:17".
    where: str
    # One line: what is wrong with it.
    detail: str

    @property
    def content_hash(self) -> str:
        return hashlib.blake2b(repr((self.id, self.detail)).encode(), digest_size=16).hexdigest()


@dataclass(frozen=True, slots=True)
class CategoryChoice:
    """Where `route` put a product; id "unknown" when nothing fits."""

    id: str
    # Names from the top of the taxonomy to the category; empty for "unknown".
    path: tuple[str, ...]
    # 0..1.
    confidence: float


UNKNOWN_CATEGORY = CategoryChoice("unknown", (), 0.0)


@dataclass(frozen=True, slots=True)
class ScoredSpan:
    """One span and its probability of being the value, 0..1."""

    span: Span
    probability: float


@dataclass(frozen=True, slots=True)
class Proposal:
    """What may be said of one attribute of one product; all spans and "absent" add up to a probability of 1."""

    absent: float
    # The likeliest, best first.
    spans: tuple[ScoredSpan, ...]


@dataclass(frozen=True, slots=True)
class Message:
    """One turn of a chat prompt."""

    role: Role
    content: str


@dataclass(frozen=True, slots=True)
class Constraint:
    """What decoding may not leave; see constraint.py."""

    # Grammar in llguidance's dialect of Lark.
    grammar: str
    # JSON Schema 2020-12 that every string of the grammar satisfies: for engines without grammars, and for validate.
    json_schema: Mapping[str, Any]
    # Every string of the grammar has at most so many UTF-8 bytes, hence at most so many tokens.
    max_tokens: int


@dataclass(frozen=True, slots=True)
class Request:
    """One call of an engine."""

    # Product id: for messages to people only; engines answer in order.
    id: str
    # A text that a base model continues, or chat messages.
    prompt: str | tuple[Message, ...]
    constraint: Constraint


@dataclass(frozen=True, slots=True)
class TokenLogprob:
    """One output token and the natural logarithm of its probability under the constraint (forced: 0.0)."""

    text: str
    logprob: float


@dataclass(frozen=True, slots=True)
class Usage:
    """What an answer cost; adds up."""

    prompt_tokens: int = 0
    cached_tokens: int = 0
    output_tokens: int = 0
    # Wall-clock seconds of the calls of engine and proposer, each divided by its listings.
    latency_s: float = 0.0
    # Attributes that the proposer decided, and those that the language model was asked for.
    proposed: int = 0
    decoded: int = 0

    @property
    def counts(self) -> dict[str, int]:
        """All of it but the seconds."""
        return {name: getattr(self, name) for name in self.__slots__ if name != "latency_s"}

    def __add__(self, other: Usage) -> Usage:
        return Usage(
            self.prompt_tokens + other.prompt_tokens,
            self.cached_tokens + other.cached_tokens,
            self.output_tokens + other.output_tokens,
            self.latency_s + other.latency_s,
            self.proposed + other.proposed,
            self.decoded + other.decoded,
        )


@dataclass(frozen=True, slots=True)
class Completion:
    """An engine's answer to one Request."""

    text: str
    # "stop": ended by itself; "length": cut at max_tokens; "error": see `error`.
    finish: Literal["stop", "length", "error"] = "stop"
    # Output tokens in order, their texts joined give `text`; empty when the engine has none.
    tokens: tuple[TokenLogprob, ...] = ()
    usage: Usage = Usage()
    # One line; set only when finish is "error".
    error: str | None = None


@dataclass(frozen=True, slots=True)
class AttributeValue:
    """One value of one attribute of one product."""

    # Attribute id of the category's schema.
    attribute: str
    # As written in the text, or the enum member for a choice.
    surface: str
    # After normalize: one spelling for one fact; numbers without their unit.
    canonical: str
    # Unit of `canonical`, from units.json.
    unit: str | None
    # Where `surface` (for a choice: its evidence) stands in Product.text.
    span: Span | None
    source: Source
    # "span": decoded verbatim; "choice": enum member with evidence in the text; "derived": without.
    how: How
    # 0..1.
    confidence: float


@dataclass(frozen=True, slots=True)
class Rejection:
    """One thing that was dropped, and why."""

    product_id: str
    # None when it concerns the whole product.
    attribute: str | None
    reason: Reason
    # One line for a person.
    detail: str


@dataclass(frozen=True, slots=True)
class MadeBy:
    """Ids and hashes of all that shaped an Outcome."""

    # "attributes@v1" and its content hash.
    prompt: str = ""
    prompt_hash: str = ""
    # Schema id (category id, "base", or a file's stem) and its content hash.
    schema: str = ""
    schema_hash: str = ""
    # Model id or path's last part, and the hash of its weights or id.
    model: str = ""
    model_hash: str = ""
    engine: str = ""
    # Version of this package.
    version: str = ""


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of one product: the only thing a run writes."""

    product_id: str
    content_hash: str
    # Where the product was read: "feed.jsonl:17".
    where: str
    # Kept so that a run folder can be read, shown and merged without its feed.
    title: str
    description: str
    category: CategoryChoice
    values: tuple[AttributeValue, ...] = ()
    rejections: tuple[Rejection, ...] = ()
    # Brand, seller attributes and facts as the feed states them.
    feed: Mapping[str, Any] = field(default_factory=dict)
    usage: Usage = Usage()
    made_by: MadeBy = MadeBy()
    # Categories of the other parts, where the product is a bundle.
    also: tuple[CategoryChoice, ...] = ()

    @property
    def text(self) -> str:
        return f"{self.title}\n{self.description}" if self.description else self.title

    def to_json(self) -> dict[str, Any]:
        """The journal line as a dict."""
        return {
            **_row(self),
            "category": _category_row(self.category),
            "also": [_category_row(category) for category in self.also],
            "values": [_value_row(value) for value in self.values],
            "rejections": [{**_row(r), "reason": str(r.reason)} for r in self.rejections],
            "usage": {**_row(self.usage), "latency_s": round(self.usage.latency_s, 6)},
            "made_by": _row(self.made_by),
        }

    @classmethod
    def from_json(cls, line: Mapping[str, Any]) -> Outcome:
        """Inverse of `to_json`; raises KeyError or TypeError when the line is no Outcome."""
        return cls(
            product_id=line["product_id"],
            content_hash=line["content_hash"],
            where=line["where"],
            title=line["title"],
            description=line["description"],
            category=_category(line["category"]),
            also=tuple(map(_category, line.get("also", ()))),
            values=tuple(
                AttributeValue(**{**row, "span": Span(*row["span"]) if row["span"] else None})
                for row in line["values"]
            ),
            rejections=tuple(
                Rejection(**{**row, "reason": Reason(row["reason"])}) for row in line["rejections"]
            ),
            feed=line["feed"],
            usage=Usage(**line["usage"]),
            made_by=MadeBy(**line["made_by"]),
        )


class Provenance(NamedTuple):
    """Where a Statement comes from."""

    run: str
    product: str
    source: Source
    span: Span | None
    # The words of the product text that say so; empty when the feed says so; of a match or a person: why.
    quote: str
    # What a model was asked with; of a person: "assert" or "retract".
    prompt: str
    schema: str
    # What read the text, or who the person is.
    model: str


class Statement(NamedTuple):
    """One edge of the graph with its origin."""

    # Node ids such as "product:bb-1", "brand:sony", "category:electronics.tvs".
    subject: str
    # Relation type such as "has_brand", "in_category", or an attribute id.
    predicate: str
    object: str
    rank: Literal["preferred", "normal", "deprecated"]
    confidence: float
    provenance: Provenance

    @property
    def id(self) -> str:
        """Hash of what it states and of where it comes from; confidence and rank are not part of it."""
        said = self.provenance
        span = (said.span.start, said.span.end) if said.span else None
        origin = (said.run, said.product, said.source, span, said.quote, said.prompt, said.schema, said.model)
        key = repr((self.subject, self.predicate, self.object, *origin))
        return hashlib.blake2b(key.encode(), digest_size=16).hexdigest()


def _category_row(category: CategoryChoice) -> dict[str, Any]:
    return {**_row(category), "path": list(category.path), "confidence": round(category.confidence, 4)}


def _category(row: Mapping[str, Any]) -> CategoryChoice:
    return CategoryChoice(row["id"], tuple(row["path"]), row["confidence"])


def _value_row(value: AttributeValue) -> dict[str, Any]:
    span = [value.span.start, value.span.end] if value.span else None
    return {**_row(value), "span": span, "confidence": round(value.confidence, 4)}


def _row(record: Any) -> dict[str, Any]:
    """Field name -> value; `asdict` copies what is in them too, which takes ten times as long."""
    return {name: getattr(record, name) for name in record.__slots__}


def clean_text(text: str) -> str:
    """NFC, with lone surrogates and NUL replaced by U+FFFD: what `Product` promises of its fields."""
    scrubbed = text.encode("utf-8", "surrogatepass").decode("utf-8", "replace").replace("\x00", "\ufffd")
    return unicodedata.normalize("NFC", scrubbed)


def with_confidence(value: AttributeValue, confidence: float) -> AttributeValue:
    """The same value with another confidence, clamped to 0..1."""
    return replace(value, confidence=min(1.0, max(0.0, confidence)))
