"""A Completion in, candidate values with their confidence out, or Rejections; JSON Schema is the last judge.

Nothing is taken for granted from the decoder: engines without grammars come here too. Does not know the
product text: whether a value stands there is ground's question.
"""

from __future__ import annotations

import json
import math
import re
from bisect import bisect_left, bisect_right
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from itertools import pairwise
from typing import Any, Never

from jsonschema import Draft202012Validator

from extractor.records import Completion, Reason, Rejection
from extractor.schema import CategorySchema

# Confidence of an answer that came without token probabilities.
UNKNOWN_CONFIDENCE = 0.5
# How much the tokens of the key count beside those of the value. That a key is unlikely says more of the keys that
# might have come first than of this one being wrong. Chosen on the training splits of
# OA-Mine, AE-110K and WDC-PAVE, where 0.2 tells right from wrong best (AUROC 0.897; 1: 0.879, 0: 0.895).
_KEY_WEIGHT = 0.2
# Of anything quoted in a message.
_QUOTED_CHARACTERS = 80
# What another answer of the model may mend.
_REPAIRABLE = (Reason.INVALID_JSON, Reason.TRUNCATED, Reason.SCHEMA)


@dataclass(frozen=True, slots=True)
class Candidate:
    """One value as the model decoded it, not looked up in the text yet."""

    # Attribute id of the category's schema.
    attribute: str
    # A string's text, a number as the answer writes it.
    surface: str
    # 0..1: probability of the tokens that state the attribute and the value, see `_Confidences.of`.
    confidence: float


@dataclass(frozen=True, slots=True)
class Validated:
    """What is left of a completion, and what was dropped."""

    candidates: tuple[Candidate, ...] = ()
    rejections: tuple[Rejection, ...] = ()


def validate(completion: Completion, schema: CategorySchema, product_id: str) -> Validated:
    """Read the object that an engine answered.

    An answer that is no object gives one rejection; a value that breaks the schema costs its attribute only.
    """
    try:
        decoded = _read_object(completion)
    except _RejectedError as error:
        return Validated(rejections=(Rejection(product_id, None, error.reason, str(error)),))
    problems = _problems(decoded, schema)
    confidences = _Confidences(completion)
    candidates = (
        Candidate(scalar.key, scalar.surface, confidences.of(scalar))
        for scalar in _scalars(completion.text)
        if scalar.key not in problems
    )
    distinct: dict[tuple[str, str], Candidate] = {}
    for candidate in candidates:
        distinct.setdefault((candidate.attribute, candidate.surface), candidate)
    return Validated(
        tuple(distinct.values()),
        tuple(Rejection(product_id, _cut(key), Reason.SCHEMA, detail) for key, detail in problems.items()),
    )


def needs_repair(validated: Validated) -> str | None:
    """What to tell the model in a second request, a line per problem; None when there is nothing to mend."""
    lines = [
        f"{rejection.attribute}: {rejection.detail}" if rejection.attribute else rejection.detail
        for rejection in validated.rejections
        if rejection.reason in _REPAIRABLE
    ]
    return "\n".join(lines) or None


def parse_choice(completion: Completion) -> tuple[str, float] | None:
    """The option an engine answered to `compile_choice`, and its probability; None when it answered none."""
    try:
        option = _parse(completion)
    except _RejectedError:
        return None
    total = sum(token.logprob for token in completion.tokens)
    confidence = _probability(total) if completion.tokens else UNKNOWN_CONFIDENCE
    return (option, confidence) if isinstance(option, str) else None


# --- JSON


class _RejectedError(Exception):
    """The whole answer is of no use."""

    def __init__(self, reason: Reason, detail: str) -> None:
        super().__init__(detail)
        self.reason = reason


def _read_object(completion: Completion) -> dict[str, Any]:
    decoded = _parse(completion)
    if not isinstance(decoded, dict):
        raise _RejectedError(Reason.INVALID_JSON, f"the answer is no JSON object: {_quote(completion.text)}")
    # Engines without grammars write null for what is not stated.
    return {key: value for key, value in decoded.items() if value is not None}


def _parse(completion: Completion) -> Any:
    if completion.finish == "error":
        raise _RejectedError(Reason.ENGINE, completion.error or "the engine gave no reason")
    if completion.finish == "length":
        raise _RejectedError(Reason.TRUNCATED, f"the answer was cut: ...{_quote(completion.text[-40:])}")
    try:
        decoded = json.loads(
            completion.text, object_pairs_hook=_object, parse_constant=_no_number, parse_float=_finite
        )
        # A lone surrogate is no text: nothing after this could write it down.
        completion.text.encode()
        json.dumps(decoded, ensure_ascii=False).encode()
    except (ValueError, RecursionError) as error:
        problem = _one_line(error)
        raise _RejectedError(
            Reason.INVALID_JSON, f"the answer is no JSON ({problem}): {_quote(completion.text)}"
        ) from None
    return decoded


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    decoded = dict(pairs)
    if len(decoded) < len(pairs):
        keys = [key for key, _ in pairs]
        raise ValueError(f"key {_quote(next(key for key in keys if keys.count(key) > 1))} stands twice")
    return decoded


def _no_number(name: str) -> Never:
    raise ValueError(f"{name} is no JSON number")


def _finite(digits: str) -> float:
    number = float(digits)
    if math.isinf(number):
        raise ValueError(f"{digits[:20]} is too large a number")
    return number


# --- JSON Schema


def _problems(decoded: Mapping[str, Any], schema: CategorySchema) -> dict[str, str]:
    """Key -> the first thing that is wrong with it."""
    problems: dict[str, str] = {}
    for error in _validator(_SchemaKey(schema.hash, schema.json_schema)).iter_errors(decoded):
        if error.absolute_path:
            rule = f"{error.validator} {_cut(json.dumps(error.validator_value, ensure_ascii=False))}"
            problems.setdefault(str(error.absolute_path[0]), f"{_quote(error.instance)} breaks {rule}")
    known = {attribute.id for attribute in schema.attributes}
    return problems | {key: "the schema has no such attribute" for key in decoded if key not in known}


@dataclass(frozen=True, slots=True)
class _SchemaKey:
    """Makes a JSON Schema hashable."""

    hash: str
    json_schema: Mapping[str, Any] = field(compare=False)


@lru_cache(maxsize=1024)
def _validator(key: _SchemaKey) -> Draft202012Validator:
    return Draft202012Validator(key.json_schema)


# --- where values stand in the answer


@dataclass(frozen=True, slots=True)
class _Scalar:
    """A string or number of the object; positions are characters of the answer, end exclusive."""

    key: str
    surface: str
    key_start: int
    key_end: int
    start: int
    end: int


_TOKEN = re.compile(r'"(?:[^"\\]|\\.)*"|[^\s"{}\[\],:]+|[{}\[\],:]')


def _scalars(text: str) -> Iterator[_Scalar]:
    """Strings and numbers of a valid JSON object, in order; those of an array under the array's key; nulls are
    none.

    A number's end includes the delimiter: the token that holds it decided that no digit follows.
    """
    tokens = list(_TOKEN.finditer(text))
    depth, key = 0, tokens[0]
    for token, following in pairwise(tokens):
        if token[0] in "{}[]":
            depth += 1 if token[0] in "{[" else -1
        elif depth == 1 and following[0] == ":":
            key = token
        elif token[0] not in (":", ",", "null"):
            is_text = token[0].startswith('"')
            surface = json.loads(token[0]) if is_text else token[0]
            end = token.end() if is_text else token.end() + 1
            yield _Scalar(json.loads(key[0]), surface, key.start(), key.end() + 1, token.start(), end)


# --- confidence


class _Confidences:
    """Probability of the characters of an answer, from its tokens."""

    def __init__(self, completion: Completion) -> None:
        # Character position after each token that has text, and its logprob with those of the empty tokens
        # before it: a character of several tokens comes with the last of them.
        self._ends: list[int] = []
        self._logprobs: list[float] = []
        position, logprob = 0, 0.0
        for token in completion.tokens:
            logprob += token.logprob
            if token.text:
                position += len(token.text)
                self._ends.append(position)
                self._logprobs.append(logprob)
                logprob = 0.0
        self._known = bool(self._ends) and "".join(t.text for t in completion.tokens) == completion.text

    def of(self, scalar: _Scalar) -> float:
        """Of the tokens of key and value, those that open and end the value included; the key's to a power."""
        if not self._known:
            return UNKNOWN_CONFIDENCE
        key = self._tokens(scalar.key_start, scalar.key_end)
        value = self._tokens(scalar.start - 1, scalar.end)
        return _probability(self._sum(value) + _KEY_WEIGHT * self._sum(key - value))

    def _tokens(self, start: int, end: int) -> frozenset[int]:
        """The tokens that overlap with these characters."""
        return frozenset(range(bisect_right(self._ends, start), bisect_left(self._ends, end) + 1))

    def _sum(self, tokens: frozenset[int]) -> float:
        return sum(self._logprobs[token] for token in sorted(tokens))


def _probability(logprob: float) -> float:
    return math.exp(min(0.0, logprob))


# --- messages


def _quote(value: object) -> str:
    if isinstance(value, (dict, list)):  # perhaps nested too deep to be written
        return "an object" if isinstance(value, dict) else "an array"
    return _cut(json.dumps(value, ensure_ascii=False))


def _cut(text: str) -> str:
    text = text.encode(errors="replace").decode()
    return text if len(text) <= _QUOTED_CHARACTERS else f"{text[:_QUOTED_CHARACTERS]}..."


def _one_line(error: Exception) -> str:
    return _cut(str(error).splitlines()[0] if str(error) else type(error).__name__)
