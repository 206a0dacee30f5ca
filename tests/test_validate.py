"""validate: completions as engines give them in, candidates or one-line rejections out."""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st
from strategies import schema_of, schemas, texts

from extractor.attribute import Attribute
from extractor.records import Completion, Reason, Rejection, TokenLogprob
from extractor.schema import CategorySchema, schema_from_names
from extractor.validate import Candidate, Validated, needs_repair, parse_choice, validate

BRAND = Attribute("brand", "Brand", "")
COLORS = Attribute("colors", "Colors", "", multi=True, max_items=2)
FIT = Attribute("fit", "Fit", "", how="choice", enum=("slim", "loose"))
COUNT = Attribute("count", "Count", "", type="integer", minimum=1)
WEIGHT = Attribute("weight", "Weight", "", type="number")
SCHEMA = schema_of(BRAND, COLORS, FIT, COUNT, WEIGHT)


def _tokens(*pairs: tuple[str, float]) -> tuple[TokenLogprob, ...]:
    """Tokens from texts and probabilities."""
    return tuple(TokenLogprob(text, math.log(probability)) for text, probability in pairs)


def _answer(*pairs: tuple[str, float]) -> Completion:
    return Completion("".join(text for text, _ in pairs), tokens=_tokens(*pairs))


def _confidences(completion: Completion, schema: CategorySchema = SCHEMA) -> dict[str, float]:
    validated = validate(completion, schema, "p")
    assert validated.rejections == ()
    return {c.surface: round(c.confidence, 6) for c in validated.candidates}


# -- candidates ----------------------------------------------------------------------------------------------


def test_every_value_is_a_candidate() -> None:
    text = '{"brand":"L\\"Oréal","colors":["Black","White"],"fit":"slim","count":12,"weight":3.50}'
    assert validate(Completion(text), SCHEMA, "p") == Validated(
        (
            Candidate("brand", 'L"Oréal', 0.5),
            Candidate("colors", "Black", 0.5),
            Candidate("colors", "White", 0.5),
            Candidate("fit", "slim", 0.5),
            Candidate("count", "12", 0.5),
            # As written: 3.5 might not stand in the text.
            Candidate("weight", "3.50", 0.5),
        )
    )


@pytest.mark.parametrize("text", ["{}", " { }\n"])
def test_nothing_stated(text: str) -> None:
    assert validate(Completion(text), SCHEMA, "p") == Validated()


def test_free_white_space_order_and_escapes_do_not_matter() -> None:
    text = '{\n  "fit" : "slim",\n  "brand" : "\\u0053ony" ,"colors": [ "a , b" , "]" ]\n}'
    assert [(c.attribute, c.surface) for c in validate(Completion(text), SCHEMA, "p").candidates] == [
        ("fit", "slim"),
        ("brand", "Sony"),
        ("colors", "a , b"),
        ("colors", "]"),
    ]


def test_equal_items_count_once_and_in_order() -> None:
    schema = schema_of(Attribute("colors", "Colors", "", multi=True, max_items=4))
    validated = validate(Completion('{"colors":["b","a","b","a"]}'), schema, "p")
    assert [candidate.surface for candidate in validated.candidates] == ["b", "a"]


# -- rejections ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("completion", "reason", "detail"),
    [
        (Completion("", "error", error="out of memory"), Reason.ENGINE, "out of memory"),
        (
            Completion('{"brand":"So', "length"),
            Reason.TRUNCATED,
            'the answer was cut: ..."{\\"brand\\":\\"So"',
        ),
        (Completion("Sure!"), Reason.INVALID_JSON, "Expecting value"),
        (Completion(""), Reason.INVALID_JSON, "Expecting value"),
        (Completion('["brand"]'), Reason.INVALID_JSON, 'no JSON object: "[\\"brand\\"]"'),
        (Completion('{"brand":"a","brand":"b"}'), Reason.INVALID_JSON, 'key "brand" stands twice'),
        (Completion('{"weight":NaN}'), Reason.INVALID_JSON, "NaN is no JSON number"),
        (Completion('{"weight":-Infinity}'), Reason.INVALID_JSON, "-Infinity is no JSON number"),
        (Completion('{"weight":1e999}'), Reason.INVALID_JSON, "1e999 is too large a number"),
        (Completion('{"count":' + "9" * 5000 + "}"), Reason.INVALID_JSON, "Exceeds the limit"),
        (Completion('{"brand":"\\ud800"}'), Reason.INVALID_JSON, "codec can't encode character"),
        (Completion("[" * 100_000), Reason.INVALID_JSON, "recursion"),
        (Completion("a\nb" * 900), Reason.INVALID_JSON, '"a\\nba\\nb'),
    ],
)
def test_useless_answers_give_one_rejection(completion: Completion, reason: Reason, detail: str) -> None:
    validated = validate(completion, SCHEMA, "p")
    (rejection,) = validated.rejections
    assert validated.candidates == ()
    assert (rejection.product_id, rejection.attribute, rejection.reason) == ("p", None, reason)
    assert detail in rejection.detail
    assert len(rejection.detail) < 300
    assert "\n" not in rejection.detail


@pytest.mark.parametrize(
    ("value", "detail"),
    [
        ('"brand":7', '7 breaks type "string"'),
        ('"brand":""', '"" breaks minLength 1'),
        ('"brand":{"name":"Sony"}', 'an object breaks type "string"'),
        (f'"brand":"{"w" * 101}"', f'"{"w" * 79}... breaks maxLength 100'),
        ('"fit":"tight"', '"tight" breaks enum ["slim", "loose"]'),
        ('"colors":"Black"', '"Black" breaks type "array"'),
        ('"colors":["a","b","c"]', "an array breaks maxItems 2"),
        ('"colors":["a",1]', '1 breaks type "string"'),
        ('"count":0', "0 breaks minimum 1"),
        ('"count":1.5', '1.5 breaks type "integer"'),
        ('"size":"XL"', "the schema has no such attribute"),
    ],
)
def test_value_that_breaks_the_schema_costs_its_attribute_only(value: str, detail: str) -> None:
    attribute = value.split('"')[1]
    validated = validate(Completion(f'{{{value},"weight":1}}'), SCHEMA, "p")
    assert validated.rejections == (Rejection("p", attribute, Reason.SCHEMA, detail),)
    assert [candidate.attribute for candidate in validated.candidates] == ["weight"]


# -- repair --------------------------------------------------------------------------------------------------


def test_repair_quotes_what_is_wrong() -> None:
    validated = validate(Completion('{"fit":"tight","count":0,"brand":"Sony"}'), SCHEMA, "p")
    assert needs_repair(validated) == 'fit: "tight" breaks enum ["slim", "loose"]\ncount: 0 breaks minimum 1'
    assert needs_repair(validate(Completion("no", "length"), SCHEMA, "p")) == 'the answer was cut: ..."no"'


@pytest.mark.parametrize("completion", [Completion("{}"), Completion("", "error", error="down")])
def test_nothing_to_repair(completion: Completion) -> None:
    assert needs_repair(validate(completion, SCHEMA, "p")) is None


# -- confidence ----------------------------------------------------------------------------------------------


def test_confidence_is_that_of_value_and_end_and_a_little_of_the_key() -> None:
    completion = _answer(
        ('{"', 0.9),
        ("brand", 0.5),
        ('":"', 1.0),
        ("Sony", 0.8),
        ('","', 0.5),
        ("fit", 0.25),
        ('":"slim"}', 0.5),
    )
    # The token that ends the brand begins the next key: it counts for both.
    assert _confidences(completion) == {
        "Sony": round((0.9 * 0.5) ** 0.2 * 0.8 * 0.5, 6),
        "slim": round((0.5 * 0.25) ** 0.2 * 0.5, 6),
    }


def test_tokens_without_text_belong_to_the_next_one() -> None:
    completion = _answer(('{"brand":"', 1.0), ("", 0.5), ("é", 0.5), ('"', 1.0), ("}", 0.1), ("", 0.1))
    assert _confidences(completion) == {"é": 0.25}


def test_items_of_an_array_share_the_key_only() -> None:
    completion = _answer(
        ('{"colors":', 0.5),
        ('["', 1.0),
        ("Black", 0.5),
        ('","', 0.8),
        ("White", 0.25),
        ('"', 1.0),
        ("]}", 0.9),
    )
    key = 0.5**0.2
    assert _confidences(completion) == {
        "Black": round(key * 0.5 * 0.8, 6),
        "White": round(key * 0.8 * 0.25, 6),
    }


def test_number_ends_with_the_token_after_it() -> None:
    completion = _answer(('{"count":', 0.5), ("1", 0.5), ("2", 0.5), ("}", 0.5))
    assert _confidences(completion) == {"12": 0.0625}


@pytest.mark.parametrize("tokens", [(), _tokens(("other text", 0.9))])
def test_confidence_without_tokens(tokens: tuple[TokenLogprob, ...]) -> None:
    assert _confidences(Completion('{"brand":"Sony"}', tokens=tokens)) == {"Sony": 0.5}


@given(st.lists(st.integers(0, 40), max_size=12))
def test_confidence_counts_every_token_of_a_single_value_but_the_last(cuts: Sequence[int]) -> None:
    text = '{"brand":"Sony Bravia 65\\" 東京"}'
    bounds = sorted({0, len(text) - 1, len(text), *(cut for cut in cuts if cut < len(text))})
    pieces = [text[start:end] for start, end in pairwise(bounds)]
    inner = [piece for piece in pieces[:-1] if piece != "{"]
    in_key = sum(end <= text.index(":") for end in bounds[1:]) - ("{" in pieces)
    assert _confidences(_answer(*((piece, 0.5) for piece in pieces))) == {
        'Sony Bravia 65" 東京': pytest.approx(0.5 ** (len(inner) - 0.8 * in_key), abs=1e-6)
    }


@given(
    schemas,
    texts | st.recursive(st.none() | st.booleans() | texts, lambda x: st.lists(x) | x).map(json.dumps),
)
def test_any_answer_is_judged(schema: CategorySchema, text: str) -> None:
    validated = validate(Completion(text), schema, "p")
    assert validated.candidates or validated.rejections or json.loads(text) == {}


# -- choices -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("completion", "choice"),
    [
        (_answer(('"', 1.0), ("tv", 0.5), ("s", 0.5), ('"', 1.0)), ("tvs", 0.25)),
        (Completion('"the \\"best\\""'), ('the "best"', 0.5)),
        (Completion('"tv', "length"), None),
        (Completion("", "error", error="down"), None),
        (Completion("tvs"), None),
        (Completion("{}"), None),
    ],
)
def test_choice(completion: Completion, choice: tuple[str, float] | None) -> None:
    assert parse_choice(completion) == choice


def test_null_means_not_stated() -> None:
    schema = schema_from_names("s", ["brand", "color"])
    validated = validate(Completion('{"brand":null,"color":"red"}'), schema, "1")
    assert [(c.attribute, c.surface) for c in validated.candidates] == [("color", "red")]
    assert validated.rejections == ()
