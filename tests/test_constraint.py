"""constraint: a schema and a text in; what the real llguidance then lets a model write."""

from __future__ import annotations

import json
import random
import unicodedata
from collections.abc import Callable, Sequence
from functools import cache, partial
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from jsonschema import Draft202012Validator
from strategies import products, schema_of, schemas, texts

from extractor.attribute import Attribute
from extractor.chunks import BREAK, classify, split_chunks
from extractor.constraint import compile_attributes, compile_choice
from extractor.errors import ConfigError
from extractor.ground import ground
from extractor.records import AttributeValue, Completion, Constraint, Product
from extractor.schema import CategorySchema, schema_from_names
from extractor.validate import parse_choice, validate
from extractor.written_numbers import find_numbers

llguidance = pytest.importorskip("llguidance")

# -- decoding with a model that knows nothing ----------------------------------------------------------------

_END = 0


class _Bytes:
    """A tokenizer with one token a byte: the one that needs the most tokens."""

    eos_token_id = _END
    bos_token_id = None
    special_token_ids = (_END,)
    tokens = (b"<|end|>", *(bytes([byte]) for byte in range(256)))

    def __call__(self, text: bytes) -> list[int]:
        return [byte + 1 for byte in text]


@cache
def _byte_tokenizer() -> Any:
    return llguidance.LLTokenizer(llguidance.TokenizerWrapper(_Bytes()))


@cache
def _pair_tokenizer() -> Any:
    """Byte-level BPE whose tokens cross every border there is: quotes, commas, escapes, words."""
    tokenizers = pytest.importorskip("tokenizers")
    bpe = tokenizers.Tokenizer(tokenizers.models.BPE())
    bpe.pre_tokenizer = tokenizers.pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)
    bpe.decoder = tokenizers.decoders.ByteLevel()
    trainer = tokenizers.trainers.BpeTrainer(
        vocab_size=420,
        special_tokens=["<|end|>", "<|json|>"],
        initial_alphabet=tokenizers.pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    corpus = [
        '{"brand":"Sony","size":"65 inch","colors":["Black","White"]}',
        '"\\"\\\\","',
        "東京タワー 👍🏽 straße",
    ]
    bpe.train_from_iterator(corpus * 9, trainer)
    return llguidance.LLTokenizer(bpe.to_str(), eos_token=_END)


def _decode(constraint: Constraint, tokenizer: Any, pick: Callable[[list[int]], int]) -> Completion:
    """Pick among the tokens that the grammar allows until it allows no more."""
    matcher = llguidance.LLMatcher(tokenizer, constraint.grammar, log_level=0)
    tokens: list[int] = []
    while not matcher.is_stopped():
        mask = matcher.compute_bitmask()
        allowed = [i for i in range(tokenizer.vocab_size) if mask[i >> 3] >> (i & 7) & 1]
        token = pick(allowed)
        if token == _END:
            break
        assert matcher.consume_token(token), matcher.get_error()
        tokens.append(token)
    assert not matcher.get_error()
    # The end token counts.
    assert len(tokens) + 1 <= constraint.max_tokens
    return Completion(tokenizer.decode_bytes(tokens).decode())


def _accepts(constraint: Constraint, answer: str) -> bool:
    tokenizer = _byte_tokenizer()
    matcher = llguidance.LLMatcher(tokenizer, constraint.grammar, log_level=0)
    assert not matcher.get_error()
    tokens = tokenizer.tokenize_str(answer)
    return matcher.try_consume_tokens(tokens) == len(tokens) and matcher.is_accepting()


def _accepted(constraint: Constraint, answers: Sequence[str]) -> list[str]:
    return [answer for answer in answers if _accepts(constraint, answer)]


SLOW = settings(deadline=None, suppress_health_check=list(HealthCheck), max_examples=150)
SEEDS = st.integers(0, 2**32)

# -- whatever is decoded stands in the text ------------------------------------------------------------------


@SLOW
@given(schemas, products(), SEEDS, st.booleans(), st.sampled_from([200, 2048]))
def test_noise_decodes_to_nothing_but_words_of_the_text(
    schema: CategorySchema, product: Product, seed: int, by_bytes: bool, max_tokens: int
) -> None:
    try:
        constraint = compile_attributes(schema, product.text, max_tokens=max_tokens)
    except ConfigError:
        assert max_tokens == 200
        return
    assert constraint.max_tokens <= max_tokens
    completion = _decode(
        constraint, _byte_tokenizer() if by_bytes else _pair_tokenizer(), random.Random(seed).choice
    )
    Draft202012Validator(constraint.json_schema).validate(json.loads(completion.text))
    validated = validate(completion, schema, product.id)
    assert validated.rejections == ()
    for candidate in validated.candidates:
        attribute = schema.attribute(candidate.attribute)
        value = ground(attribute, candidate.surface, candidate.confidence, product)
        assert isinstance(value, AttributeValue)
        assert (value.span is None) == (value.how == "derived")
        if value.span:
            assert value.span.slice(product.text) == value.surface
            assert value.span.end <= len(product.title) or value.span.start > len(product.title)
        if attribute.how == "span" and attribute.type == "string":
            assert value.surface == candidate.surface
            assert value.surface == value.surface.strip()
            assert not {unicodedata.category(character) for character in value.surface} & {"Cc", "Zl", "Zp"}


@SLOW
@given(texts, SEEDS)
@example('}"', 1)
@example("\ud800 lone surrogate", 1)
def test_any_text_compiles_and_ends(text: str, seed: int) -> None:
    schema = schema_from_names(
        "names", ["Color(s)", "Länge", 'the "best"', "back\\slash", "<json>", "[INST]"]
    )
    completion = _decode(compile_attributes(schema, text), _byte_tokenizer(), random.Random(seed).choice)
    assert set(json.loads(completion.text)) <= {attribute.id for attribute in schema.attributes}


@SLOW
@given(st.lists(texts, min_size=1, max_size=5), SEEDS)
def test_noise_decodes_to_an_option(options: list[str], seed: int) -> None:
    options = [option.encode(errors="replace").decode() for option in options]
    constraint = compile_choice(options)
    choice = parse_choice(_decode(constraint, _pair_tokenizer(), random.Random(seed).choice))
    assert choice is not None
    assert choice[0] in options
    Draft202012Validator(constraint.json_schema).validate(choice[0])


# -- spans ---------------------------------------------------------------------------------------------------

BRAND = Attribute("brand", "Brand", "")
SIZE = Attribute("size", "Size", "", max_length=7)


@pytest.mark.parametrize(
    ("text", "decodable", "not_decodable"),
    [
        (
            "Sony 65 inch TV",
            ["Sony", "65 inch", "Sony 65 inch TV"],
            ["", "Son", "ony", "sony", "Sony ", " ", "LG"],
        ),
        (
            "80mm XLR95 2pcs",
            ["80", "mm", "80mm", "XLR", "XLR95", "2", "2pcs"],
            ["8", "0mm", "XL", "R95", "pc "],
        ),
        ("3.5g 1,000/Box", ["3.5", "3.5g", "1,000", "1,000/Box"], ["3", "5", "5g", ".5", "000", "1"]),
        ("Women's Letters", ["Women", "Women's", "Letter", "Letters"], ["Wom", "Lette"]),
        ("COLOR: BlackALTERNATE", ["Black", "ALTERNATE"], ["Bl", "BlackALT"]),
        ('55" \\u0041 "X"', ['55"', '"', '"X"', "\\u0041", "\\", "u0041"], ["A", "55\\", "55 "]),
        (
            "Red\nBlue\tGreen",
            ["Red", "Blue", "Green"],
            ["Red\nBlue", "RedBlue", "Red Blue", "\n", "Blue\tGreen"],
        ),
        (
            "a\u3000b\u200ec",
            ["a", "a\u3000b", "b\u200ec"],
            ["a\u3000", "\u3000b", "b\u200e", "\u200ec", "\u200e"],
        ),
        ("e\u0301\u0302t 👩\u200d⚕️👍🏽 🇩🇪🇫🇷", ["👩\u200d⚕️", "👍🏽", "🇫🇷"], ["e", "👩", "👍", "🇩", "🇪🇫"]),
        ("東京タワー 삼성전자의", ["東京", "タワー", "삼성전자"], ["東京삼"]),
        ('Sony","size":"65', ['Sony","size":"65'], []),
        ("a/b (?:.*) [^x] a|b", ["a/b", "(?:.*)", "[^x]", "a|b"], ["x]]", "ab"]),
    ],
)
def test_spans_are_pieces_of_the_text(text: str, decodable: list[str], not_decodable: list[str]) -> None:
    constraint = compile_attributes(schema_of(BRAND), text)

    def answers(values: list[str]) -> list[str]:
        return [json.dumps({"brand": v}, ensure_ascii=False, separators=(",", ":")) for v in values]

    assert _accepted(constraint, answers(decodable + not_decodable)) == answers(decodable)


@pytest.mark.parametrize(
    ("text", "chunks"),
    [
        ("Women's TVs 80mm", "Women|'|s| |TV|s| |80|mm"),
        ("3.5g 1,000/Box 36,37", "3.5|g| |1,000|/|Box| |36|,|37"),
        ("iPhone Glass Letters", "i|Phone| |Glass| |Letter|s"),
        ("クリーム삼성", "ク|リ|ー|ム|삼|성"),
        ("น้ำ ห", "น้ำ| |ห"),
        ("👩\u200d⚕️👍🏽🇩🇪🇫🇷1️⃣", "👩\u200d⚕️|👍🏽|🇩🇪|🇫🇷|1️⃣"),
        ("a\r\nb", "a|\r\n|b"),
        ("1,000\u0300\u00a0", "1,000\u0300|\u00a0"),
        ("1,000\N{COMBINING GRAVE ACCENT}0", "1|,|000\N{COMBINING GRAVE ACCENT}0"),
        ("", ""),
    ],
)
def test_chunks(text: str, chunks: str) -> None:
    assert split_chunks(text) == [chunk for chunk in chunks.split("|") if chunk]


@given(texts)
def test_chunks_are_the_text_and_keep_marks_with_their_base(text: str) -> None:
    chunks = split_chunks(text)
    assert "".join(chunks) == text
    for before, after in pairwise(chunks):
        # Nothing to stand on: a break, an invisible character, or the start of the text.
        nothing = classify(before)[-1] == BREAK or not (before.isprintable() or before.isspace())
        assert nothing or after[0] not in "\u0301\u200d\ufe0f🏽"


# -- the object ----------------------------------------------------------------------------------------------


def test_object_is_sparse_compact_and_in_order() -> None:
    assert _accepted(
        compile_attributes(schema_of(BRAND, SIZE), "Sony 65 inch"),
        [
            "{}",
            '{"brand":"Sony"}',
            '{"size":"65 inch"}',
            '{"brand":"Sony","size":"65"}',
            '{"size":"65","brand":"Sony"}',
            '{"brand": "Sony"}',
            '{"brand":"Sony",}',
            '{"brand":"Sony","brand":"Sony"}',
            '{"color":"Sony"}',
            '{"size":"Sony 65 inch"}',
            '{"brand":null}',
        ],
    ) == ["{}", '{"brand":"Sony"}', '{"size":"65 inch"}', '{"brand":"Sony","size":"65"}']


def test_arrays_and_choices() -> None:
    colors = Attribute("colors", "Colors", "", multi=True, max_items=2)
    fit = Attribute("fit", "Fit", "", how="choice", enum=("slim", 'the "loose" one'))
    assert _accepted(
        compile_attributes(schema_of(colors, fit), 'Black White shirt, slim, not the "loose" one'),
        [
            '{"colors":["Black"]}',
            '{"colors":["Black","White"],"fit":"slim"}',
            '{"fit":"the \\"loose\\" one"}',
            '{"colors":[]}',
            '{"colors":"Black"}',
            '{"colors":["Black","White","shirt"]}',
            '{"fit":"loose"}',
            '{"fit":["slim"]}',
        ],
    ) == [
        '{"colors":["Black"]}',
        '{"colors":["Black","White"],"fit":"slim"}',
        '{"fit":"the \\"loose\\" one"}',
    ]


def test_a_choice_needs_words_in_the_text_and_a_derived_value_does_not() -> None:
    words = {"women": ("women's", "ladies"), "men": ("men's",)}
    choice = Attribute("gender", "Gender", "", how="choice", enum=("women", "men"), synonyms=words)
    derived = Attribute("season", "Season", "", how="derived", enum=("summer", "winter"))
    assert _accepted(
        compile_attributes(schema_of(choice, derived), "LADIES sandal, not for amen"),
        [
            '{"gender":"women"}',
            '{"gender":"men"}',
            '{"season":"summer"}',
            '{"gender":"women","season":"winter"}',
        ],
    ) == ['{"gender":"women"}', '{"season":"summer"}', '{"gender":"women","season":"winter"}']


@pytest.mark.parametrize(
    ("type_", "minimum", "maximum", "decodable"),
    [
        ("integer", None, None, ["12", "-5", "5", "65"]),
        ("integer", 0, 60, ["12", "5"]),
        ("number", None, None, ["12", "-5", "5", "3.50", "65"]),
        ("number", 3, 4, ["3.50"]),
        ("number", 1000, None, []),
    ],
)
def test_numbers_are_those_that_the_text_writes(
    type_: Any, minimum: float | None, maximum: float | None, decodable: list[str]
) -> None:
    attribute = Attribute("n", "N", "", type=type_, minimum=minimum, maximum=maximum)
    constraint = compile_attributes(
        schema_of(attribute), "12 pcs, -5 C, 3.50 kg, 65inch, 1,000 ml, 007, 2.4.1"
    )
    tried = [
        "12",
        "-5",
        "5",
        "3.50",
        "3.5",
        "3",
        "65",
        "6",
        "1,000",
        "1000",
        "1",
        "0",
        "7",
        "007",
        "2.4",
        "13",
    ]
    assert _accepted(constraint, [f'{{"n":{number}}}' for number in tried]) == [
        f'{{"n":{number}}}' for number in decodable
    ]


def test_numbers_are_found_as_written() -> None:
    text = "A-5 -5 1,000.5 2.4.1 3.5"
    assert [span.slice(text) for span in find_numbers(text)] == ["5", "-5", "5", "1,000.5", "2.4.1", "3.5"]


@pytest.mark.parametrize("text", ["", " \n\t ", "\x00", "\u200e", "w" * 8])
def test_attributes_that_the_text_cannot_fill_are_left_out(text: str) -> None:
    count = Attribute("count", "Count", "", type="integer")
    constraint = compile_attributes(schema_of(SIZE, count), text)
    assert _decode(constraint, _byte_tokenizer(), min).text == "{}"
    assert constraint.max_tokens == 3


def test_no_attributes() -> None:
    assert _accepts(compile_attributes(schema_of(), "Sony"), "{}")


# -- length --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("text", ["word " * 60, "wörd🎈" * 60, '"' * 200, "Sony"])
@pytest.mark.parametrize("max_tokens", [64, 512, 2048])
def test_longest_object_fits(text: str, max_tokens: int) -> None:
    many = Attribute("colors", "Colors", "", multi=True, max_items=12)
    schema = schema_of(BRAND, SIZE, many)
    constraint = compile_attributes(schema, text, max_tokens=max_tokens)
    assert constraint.max_tokens <= max_tokens
    for seed in range(5):
        _decode(constraint, _byte_tokenizer(), partial(_late, random.Random(seed)))


def _late(rng: random.Random, allowed: list[int]) -> int:
    """Close nothing before it must be."""
    return max(allowed, key=lambda token: (_opens(token), rng.random()))


def _opens(token: int) -> int:
    return {_END: 0, ord("}") + 1: 0, ord("]") + 1: 0, ord('"') + 1: 1}.get(token, 2)


def test_bound_is_that_of_the_longest_object() -> None:
    constraint = compile_attributes(schema_of(BRAND, SIZE), 'Sony 65" €')
    # Seven characters, of which the escape is two; the space in front of them is counted though it cannot be.
    assert constraint.max_tokens == len('{"brand":"Sony 65\\" €","size":" 65\\" €"}'.encode()) + 1


def test_arrays_give_way_before_spans_get_short() -> None:
    many = Attribute("colors", "Colors", "", multi=True, max_items=8)
    forty = "w" * 39
    constraint = compile_attributes(schema_of(many), " ".join([forty] * 9), max_tokens=200)
    assert _accepted(constraint, [f'{{"colors":["{forty}","{forty}"]}}']) != []
    assert _accepted(constraint, [f'{{"colors":["{forty} {forty}"]}}']) == []


def test_too_many_attributes_say_what_to_do() -> None:
    schema = schema_from_names("wide", [f"attribute {i}" for i in range(40)])
    with pytest.raises(
        ConfigError, match=r"^wide: its 40 attributes do not fit .* raise max_tokens to 1032 or more"
    ):
        compile_attributes(schema, "Sony TV", max_tokens=100)
    assert _accepts(compile_attributes(schema, "Sony TV", max_tokens=1032), '{"attribute 7":"Sony"}')


def test_choice_needs_options() -> None:
    with pytest.raises(ConfigError, match="no options"):
        compile_choice([])


def test_choice() -> None:
    constraint = compile_choice(["electronics.tvs", "unknown", "unknown"])
    assert constraint.json_schema == {"type": "string", "enum": ["electronics.tvs", "unknown"]}
    assert constraint.max_tokens == len('"electronics.tvs"') + 1
    answers = ['"unknown"', '"electronics.tvs"', '"electronics"', "unknown"]
    assert _accepted(constraint, answers) == answers[:2]
