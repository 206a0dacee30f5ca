"""Every engine keeps one contract; the real ones run a tiny random model, whose answers are noise."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from multiprocessing import get_context
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from urllib.error import URLError
from urllib.request import urlopen

import jsonschema
import pytest
from chat_models import AnsweringChat
from langchain_core.exceptions import ContextOverflowError
from tiny_model import CONTEXT_TOKENS, build_tiny_model, write_prompts

from extractor.engines import Engine, ModelInfo, describe_engine, load_model_info, open_engine
from extractor.engines.cached import open_cached
from extractor.engines.langchain import LangChainEngine
from extractor.engines.scripted import ScriptedEngine
from extractor.engines.tokens import align_tokens, decode_pieces, encode_prompt, failed
from extractor.errors import ConfigError, EngineError
from extractor.records import Completion, Constraint, Message, Request, TokenLogprob
from extractor.serve import server_command

BRAND_SCHEMA = {
    "type": "object",
    "properties": {"brand": {"type": "string"}},
    "required": ["brand"],
    "additionalProperties": False,
}
START_SECONDS = 240


def span_constraint(chunks: Sequence[str]) -> Constraint:
    """`{"brand": ...}` where the value is a run of chunks, with no space at its edges."""
    grammar = (
        '%llguidance {}\nstart: "{\\"brand\\":\\"" SPAN "\\"}"\n'
        "SPAN: WORDS & /[^ \\x01]([^\\x01]{0,20}[^ \\x01])?/\n"
        f'WORDS: %regex {{"substring_chunks": {json.dumps(list(chunks))}}}\n'
    )
    return Constraint(grammar, BRAND_SCHEMA, 120)


def request(id_: str, chunks: Sequence[str]) -> Request:
    return Request(id_, f"<|text|>{''.join(chunks)}<|json|>", span_constraint(chunks))


SONY = request("sony", ["Sony", " ", "65"])
MANY_BYTES = request("many-bytes", ["日本語", "é", "\ufffd", "🎉", "日本"])
CHOICE = Request(
    "choice",
    "<|text|>black<|json|>",
    Constraint('%llguidance {}\nstart: "\\"black\\"" | "\\"white\\""\n', {"enum": ["black", "white"]}, 12),
)
CHAT = Request(
    "chat",
    (Message("system", "Answer in JSON."), Message("user", "Sony 65")),
    span_constraint(["Sony", " ", "65"]),
)
TOO_LONG = Request("too-long", "Sony " * 2000, SONY.constraint)
BAD_GRAMMAR = Request("bad-grammar", SONY.prompt, Constraint("start: (((", BRAND_SCHEMA, 20))
LONE_SURROGATE = Request("lone-surrogate", "\ud800", SONY.constraint)
CUT = Request("cut", SONY.prompt, Constraint(SONY.constraint.grammar, BRAND_SCHEMA, 2))
BAD = (TOO_LONG, BAD_GRAMMAR, LONE_SURROGATE)


# --- the contract -------------------------------------------------------------------------------------------


@pytest.fixture(scope="session")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = build_tiny_model(tmp_path_factory.mktemp("models") / "tiny")
    write_prompts(folder, {"attributes": "attributes@embedded-v1"})
    return folder


@pytest.fixture(
    scope="module",
    params=[
        "scripted",
        "langchain",
        "transformers",
        "cached",
        pytest.param("vllm", marks=pytest.mark.engine),
        pytest.param("server", marks=pytest.mark.engine),
    ],
)
def engine(request: pytest.FixtureRequest, tiny: Path) -> Iterator[Engine]:
    if request.param == "scripted":
        yield ScriptedEngine(scripted_answer, model=load_model_info(str(tiny)))
        return
    if request.param == "langchain":
        yield LangChainEngine(AnsweringChat(answer=chat_answer), model=load_model_info(str(tiny)))
        return
    if request.param == "server":
        with_server = running_server(tiny)
        opened = open_engine("auto", base_url=next(with_server))
    elif request.param == "cached":
        with_server = iter(())
        opened = open_cached("transformers", model=str(tiny), folder=tiny.parent / "cache")
    else:
        with_server = iter(())
        opened = open_engine(request.param, model=str(tiny))
    yield opened
    opened.close()
    next(with_server, None)


def scripted_answer(request: Request) -> Completion | str:
    if request in BAD:
        return failed(f"cannot answer {request.id}")
    if request is CUT:
        return Completion('{"', finish="length")
    return (
        '"white"' if request is CHOICE else '{"brand":"日本"}' if request is MANY_BYTES else '{"brand":"65"}'
    )


def chat_answer(asked: str) -> str:
    """Of a model that knows nothing of grammars and of how long an answer may be."""
    if asked == TOO_LONG.prompt:
        raise ContextOverflowError("too long")
    text = asked.removeprefix("<|text|>").removesuffix("<|json|>")
    text.encode()
    return '"black"' if asked == CHOICE.prompt else f'{{"brand":"{text}"}}'


def running_server(model: Path) -> Iterator[str]:
    """Start what `extractor serve` starts, give its URL, stop its process group."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    command = server_command(load_model_info(str(model)), os.environ, port=port)
    with (model.parent / "server.log").open("wb") as log:
        process = subprocess.Popen(
            command.arguments,
            env={**os.environ, **command.environment},
            stdout=log,
            stderr=log,
            start_new_session=True,
        )
    try:
        wait_until_healthy(process, port, model.parent / "server.log")
        yield f"http://127.0.0.1:{port}"
    finally:
        os.killpg(process.pid, signal.SIGTERM)
        try:
            process.wait(timeout=20)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()


def wait_until_healthy(process: subprocess.Popen[bytes], port: int, log: Path) -> None:
    for _ in range(START_SECONDS):
        assert process.poll() is None, log.read_text()[-2000:]
        try:
            with urlopen(f"http://127.0.0.1:{port}/health", timeout=5):
                return
        except (URLError, OSError):
            time.sleep(1)
    pytest.fail(f"the server did not start: {log.read_text()[-2000:]}")


# Libraries may warn about what they like.
lenient = pytest.mark.filterwarnings("ignore")


@lenient
def test_answers_every_request_in_order(engine: Engine) -> None:
    named = [request(f"p{i}", [f"n{i}"]) for i in range(20)]
    if engine.name == "scripted":
        engine = ScriptedEngine([f'{{"brand":"n{i}"}}' for i in range(20)])
    answers = engine.generate(named)
    assert [answer.text for answer in answers] == [f'{{"brand":"n{i}"}}' for i in range(20)]
    assert {answer.finish for answer in answers} == {"stop"}


@lenient
@pytest.mark.parametrize("asked", [SONY, MANY_BYTES, CHAT, CHOICE], ids=lambda asked: asked.id)
def test_answer_stays_within_grammar_and_schema(engine: Engine, asked: Request) -> None:
    (answer,) = engine.generate([asked])
    assert (answer.finish, answer.error) == ("stop", None)
    value = json.loads(answer.text)
    jsonschema.validate(value, asked.constraint.json_schema)
    if asked is not CHOICE:
        shown = asked.prompt if isinstance(asked.prompt, str) else asked.prompt[-1].content
        assert value["brand"] in shown
        assert value["brand"] == value["brand"].strip()


@lenient
@pytest.mark.parametrize("asked", [SONY, MANY_BYTES, CHAT, CHOICE, CUT], ids=lambda asked: asked.id)
def test_tokens_spell_the_text_with_their_probabilities(engine: Engine, asked: Request) -> None:
    (answer,) = engine.generate([asked])
    if engine.name in ("scripted", "langchain"):  # say nothing of tokens, and invent none
        assert answer.tokens == ()
        return
    assert "".join(token.text for token in answer.tokens) == answer.text
    assert all(token.logprob <= 0 for token in answer.tokens)
    # What the grammar forces is certain, what it leaves open is not.
    assert answer.tokens[0].logprob == pytest.approx(0, abs=1e-4) or asked is CHOICE
    assert asked is CUT or sum(token.logprob for token in answer.tokens) < -0.01
    assert answer.usage.prompt_tokens > 0
    assert len(answer.tokens) <= answer.usage.output_tokens <= asked.constraint.max_tokens
    assert answer.usage.latency_s > 0


@lenient
def test_bad_requests_leave_the_others_alone(engine: Engine) -> None:
    answers = engine.generate([TOO_LONG, SONY, BAD_GRAMMAR, LONE_SURROGATE, SONY])
    # Where no grammar is read, none is bad.
    bad_grammar = "stop" if engine.name == "langchain" else "error"
    assert [answer.finish for answer in answers] == ["error", "stop", bad_grammar, "error", "stop"]
    assert answers[1].text == answers[4].text != ""
    for answer in answers:
        assert (answer.error is not None) == (answer.finish == "error")
        assert "\n" not in (answer.error or "")


@lenient
def test_answer_that_is_cut_says_so(engine: Engine) -> None:
    (answer,) = engine.generate([CUT])
    # How long an answer may be is a chat model's own setting.
    assert answer.finish == ("stop" if engine.name == "langchain" else "length")


@lenient
def test_decoding_is_greedy(engine: Engine) -> None:
    first, second = engine.generate([SONY, SONY])
    assert first.text == second.text


@lenient
def test_no_requests_no_answers(engine: Engine) -> None:
    assert engine.generate([]) == []


@lenient
def test_describes_its_model(engine: Engine, tiny: Path) -> None:
    assert engine.model.id == "tiny"
    assert engine.model.hash == load_model_info(str(tiny)).hash
    assert engine.model.context_tokens == CONTEXT_TOKENS
    assert engine.model.prompts == {"attributes": "attributes@embedded-v1"}


@lenient
def test_counts_tokens(engine: Engine) -> None:
    assert isinstance(SONY.prompt, str)
    assert 0 < engine.count_tokens(SONY.prompt) < engine.count_tokens(SONY.prompt * 20) < CONTEXT_TOKENS
    assert engine.count_tokens(TOO_LONG.prompt) > CONTEXT_TOKENS
    assert engine.count_tokens(CHAT.prompt) > 0


class StuckLLM:
    """vLLM as it is once its process was killed: it takes requests and never answers."""

    llm_engine = SimpleNamespace(engine_core=SimpleNamespace(shutdown=lambda: None))

    def get_tokenizer(self) -> WordTokenizer:
        return WordTokenizer(None)

    def enqueue(self, *_: object, **__: object) -> list[str]:
        return ["0-abcdefgh"]

    def wait_for_completion(self, **_: object) -> list[object]:
        time.sleep(3600)
        return []


@pytest.mark.engine
@lenient
def test_vllm_whose_process_was_killed_is_an_engine_error() -> None:
    from extractor.engines.vllm import VllmEngine

    process = get_context("spawn").Process(target=time.sleep, args=(3600,), daemon=True)
    process.start()
    engine = VllmEngine(StuckLLM(), ModelInfo("tiny", "0", 512), [process])
    process.kill()
    process.join()
    with pytest.raises(EngineError, match=r"vllm: tiny died .* run the same command again") as caught:
        engine.generate([SONY])
    assert not caught.value.retryable
    engine.close()
    engine.close()


def test_processes_do_not_outlive_the_one_that_they_are_tied_to() -> None:
    code = (
        "import os, signal, subprocess, sys\n"
        "from extractor.engines.lifeline import Lifeline\n"
        "sleeper = subprocess.Popen(['sleep', '3600'])\n"
        "lifeline = Lifeline([sleeper.pid])\n"
        "os.kill(os.getpid(), signal.SIGKILL)\n"
    )
    # Returns at the end of the output, that is once the sleeper, who shares it, is gone.
    killed = subprocess.run([sys.executable, "-c", code], stdout=subprocess.PIPE, check=False, timeout=300)
    assert killed.returncode == -signal.SIGKILL


# --- opening ------------------------------------------------------------------------------------------------


def test_import_loads_no_engine() -> None:
    code = (
        "import sys, extractor.engines, extractor.serve\n"
        "import extractor.engines.vllm, extractor.engines.transformers\n"
        "print([m for m in ('torch', 'vllm', 'transformers', 'openai', 'outlines') if m in sys.modules])"
    )
    printed = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert printed.stdout.strip() == "[]"


@pytest.mark.parametrize(
    ("name", "options", "message"),
    [
        ("gpt", {}, "engine gpt: unknown; take auto, vllm, server, transformers, scripted"),
        ("vllm", {"base_url": "http://localhost"}, "engine vllm: takes no base URL"),
        ("server", {}, "engine server: no base URL"),
        ("server", {"base_url": "localhost:8000"}, "base URL must look like"),
        ("vllm", {"model": "./no/such/folder"}, "./no/such/folder: no such model folder"),
        ("transformers", {"model": "/no/such/folder"}, "/no/such/folder: no such model folder"),
        ("vllm", {"model": "what is this?"}, "what is this[?]: no such folder, and Hugging Face"),
        ("scripted", {"model": "no-such.jsonl"}, "no-such.jsonl: No such file"),
    ],
)
def test_wrong_settings_are_found_before_anything_is_loaded(
    name: str, options: dict[str, str], message: str
) -> None:
    with pytest.raises(ConfigError, match=message) as caught:
        open_engine(name, **options)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("name", ["vllm", "transformers"])
def test_an_engine_is_described_without_being_loaded(name: str, tiny: Path) -> None:
    assert describe_engine(name, model=str(tiny)) == (name, load_model_info(str(tiny)))


# --- models -------------------------------------------------------------------------------------------------


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "config.json").write_text('{"max_position_embeddings": 99}')
    (tmp_path / "model.safetensors").write_bytes(b"weights")
    return tmp_path


def test_model_info_of_a_folder(folder: Path) -> None:
    info = load_model_info(str(folder))
    assert info == ModelInfo(folder.name, info.hash, 99, {}, str(folder), chat=False)
    assert len(info.hash) == 32


def test_model_hash_follows_what_shapes_answers(folder: Path) -> None:
    before = load_model_info(str(folder)).hash
    (folder / "README.md").write_text("A model.")
    assert load_model_info(str(folder)).hash == before
    (folder / "model.safetensors").write_bytes(b"Weights")
    assert load_model_info(str(folder)).hash != before


@pytest.mark.parametrize(
    ("file", "content"),
    [("chat_template.jinja", "{{ messages }}"), ("tokenizer_config.json", '{"chat_template": "x"}')],
)
def test_model_with_a_chat_template_can_chat(folder: Path, file: str, content: str) -> None:
    (folder / "tokenizer_config.json").write_text("{}")
    assert not load_model_info(str(folder)).chat
    (folder / file).write_text(content)
    assert load_model_info(str(folder)).chat


@pytest.mark.parametrize(
    ("config", "tokens"),
    [
        ({"max_position_embeddings": 2048}, 2048),
        ({"n_positions": 1024}, 1024),
        ({"text_config": {"max_position_embeddings": 512}}, 512),
        ({}, 4096),
    ],
)
def test_context_tokens(folder: Path, config: dict[str, Any], tokens: int) -> None:
    (folder / "config.json").write_text(json.dumps(config))
    assert load_model_info(str(folder)).context_tokens == tokens


@pytest.mark.parametrize(
    ("file", "content", "message"),
    [
        ("config.json", "{", "config.json: not JSON"),
        ("config.json", "[]", "config.json: not a JSON object"),
        ("extractor.json", '{"prompts": ["a"]}', 'extractor.json: "prompts" must map tasks'),
    ],
)
def test_broken_model_folder_is_named(folder: Path, file: str, content: str, message: str) -> None:
    (folder / file).write_text(content)
    with pytest.raises(ConfigError, match=message):
        load_model_info(str(folder))


def test_folder_without_config_is_no_model(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"config.json: No such file or directory; a model folder needs it"):
        load_model_info(str(tmp_path))


# --- tokens -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "pieces", "expected"),
    [
        ('{"a"}', ['{"', "a", '"}'], ['{"', "a", '"}']),
        # The end token is no part of the text.
        ("ab", ["a", "b", "<|end|>"], ["a", "b"]),
        # Half characters carry no text, the half that completes one does.
        ("日b", ["", "", "日", "b"], ["", "", "日", "b"]),
        # What could not be shown as text goes to the piece behind it.
        ("a\ufffdb", ["a", "", "", "b"], ["a", "", "", "\ufffdb"]),
        ("a\ufffd", ["a", "", ""], ["a", "", "\ufffd"]),
        # A piece that is nowhere near gets none.
        ("ab", ["a", "z", "b"], ["a", "", "b"]),
        ("", ["<|end|>"], []),
        ("abc", [], []),
    ],
)
def test_tokens_are_laid_along_the_text(text: str, pieces: list[str], expected: list[str]) -> None:
    tokens = align_tokens(text, [(piece, -0.5) for piece in pieces])
    assert [token.text for token in tokens] == expected
    assert not tokens or "".join(token.text for token in tokens) == text


def test_rounding_makes_no_token_more_than_certain() -> None:
    assert align_tokens("a", [("a", 1e-7)]) == (TokenLogprob("a", 0.0),)


def test_bytes_become_text_where_a_character_is_complete() -> None:
    assert decode_pieces([b"a", b"\xe6", b"\x97\xa5b", b"\xff", b"c"]) == ["a", "", "日b", "\ufffd", "c"]


class WordTokenizer:
    """One token a character; begins with 7 unless told not to."""

    def __init__(self, chat_template: str | None) -> None:
        self.chat_template = chat_template

    def encode(self, text: str, add_special_tokens: bool = True) -> list[int]:
        return [7] * add_special_tokens + [ord(character) for character in text]

    def apply_chat_template(self, messages: list[dict[str, str]], **_: object) -> str:
        return "".join(message["content"] for message in messages)


def test_only_the_template_writes_a_start_token_before_a_chat() -> None:
    assert encode_prompt(WordTokenizer(None), "ab", "m") == [7, 97, 98]
    assert encode_prompt(WordTokenizer("x"), (Message("user", "ab"),), "m") == [97, 98]


def test_chat_needs_a_template() -> None:
    with pytest.raises(ConfigError, match="m: the model has no chat template"):
        encode_prompt(WordTokenizer(None), (Message("user", "ab"),), "m")


# --- scripted -----------------------------------------------------------------------------------------------


def test_script_is_followed_and_calls_are_kept() -> None:
    engine = ScriptedEngine(["{}", Completion("x", finish="length")])
    answers = engine.generate([SONY, CHAT])
    assert [(answer.text, answer.finish) for answer in answers] == [("{}", "stop"), ("x", "length")]
    assert engine.calls == [SONY, CHAT]
    with pytest.raises(EngineError, match="scripted: no answer left for sony"):
        engine.generate([SONY])


def test_script_may_be_a_function() -> None:
    answers = ScriptedEngine(lambda asked: asked.id).generate([SONY, CHAT])
    assert [answer.text for answer in answers] == ["sony", "chat"]


def test_without_a_script_answers_are_small_and_valid() -> None:
    engine = open_engine("scripted")
    answers = engine.generate([SONY, CHOICE])
    assert [answer.text for answer in answers] == ["{}", '"black"']


def test_script_from_a_file(tmp_path: Path) -> None:
    script = tmp_path / "answers.jsonl"
    script.write_text('{"id": "sony", "text": "1"}\n\n{"id": "sony", "text": "2"}\n')
    engine = open_engine("scripted", model=str(script))
    answers = engine.generate([SONY, CHAT, SONY, SONY])
    assert [answer.text for answer in answers] == ["1", "{}", "2", "{}"]
    assert engine.model.id == "answers.jsonl"


@pytest.mark.parametrize("line", ["{", "[]", '{"id": "a"}', '{"id": 1, "text": "x"}'])
def test_bad_line_of_a_script_is_named(tmp_path: Path, line: str) -> None:
    script = tmp_path / "answers.jsonl"
    script.write_text(line)
    with pytest.raises(ConfigError, match=r"answers.jsonl:1: "):
        open_engine("scripted", model=str(script))


# --- the server's command -----------------------------------------------------------------------------------


def test_server_command(folder: Path) -> None:
    given = {"OMP_NUM_THREADS": "5", "EXTRACTOR_API_KEY": "s3cret"}
    command = server_command(load_model_info(str(folder)), given, port=9, max_context_tokens=64)
    options = dict(zip(command.arguments, command.arguments[1:], strict=False))
    assert options["-m"] == "vllm.entrypoints.openai.api_server"
    assert options["--model"] == str(folder)
    assert options["--served-model-name"] == folder.name
    assert options["--port"] == "9"
    assert options["--max-model-len"] == "64"
    assert json.loads(options["--structured-outputs-config"])["backend"] == "guidance"
    assert "--enforce-eager" in command.arguments
    # What the user has set stays; the key is not on the command line.
    assert "OMP_NUM_THREADS" not in command.environment
    assert command.environment["VLLM_CPU_KVCACHE_SPACE"] == "1"
    assert command.environment["VLLM_API_KEY"] == "s3cret"
    assert "s3cret" not in " ".join(command.arguments)
