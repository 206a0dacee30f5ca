"""The cached engine: asked twice, answered once; what it says is what the real engine said."""

from __future__ import annotations

import sqlite3
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from extractor.doctor import examine
from extractor.engines import Engine, ModelInfo
from extractor.engines.cached import FILE, AnswerStore, CachedEngine, default_folder, open_cached
from extractor.engines.lazy import LazyEngine
from extractor.engines.scripted import Answer, ScriptedEngine
from extractor.engines.tokens import failed
from extractor.errors import ConfigError
from extractor.records import Completion, Constraint, Message, Request, TokenLogprob, Usage

MODEL = ModelInfo("tiny", "hash", 512)
PLAIN = Request("1", "Sony 65", Constraint("start: A", {"type": "object"}, 20))
CHAT = replace(PLAIN, prompt=(Message("system", "JSON."), Message("user", "Sony 65")))
ANSWER = Completion(
    '{"brand":"Sony"}',
    tokens=(TokenLogprob('{"brand":"', 0.0), TokenLogprob('Sony"}', -0.1)),
    usage=Usage(prompt_tokens=12, cached_tokens=4, output_tokens=2, latency_s=0.25),
)


class Costed(ScriptedEngine):
    """A scripted engine that leaves the usage of its answers alone."""

    def generate(self, requests: list[Request]) -> list[Completion]:
        return [self._complete(request) for request in requests]


def never() -> Engine:
    raise AssertionError("the real engine was opened")


def cached(path: Path, opener: Callable[[], Engine], **model: object) -> CachedEngine:
    return CachedEngine(LazyEngine(opener, "scripted", replace(MODEL, **model)), AnswerStore(path))


def test_second_look_opens_no_engine(tmp_path: Path) -> None:
    real = Costed([ANSWER, Completion("{", finish="length")])
    first = cached(tmp_path / FILE, lambda: real)
    answers = first.generate([PLAIN, CHAT])
    tokens = first.count_tokens(PLAIN.prompt)
    assert (first.hits, first.misses) == (0, 2)
    first.close()

    second = cached(tmp_path / FILE, never)
    assert second.generate([CHAT, PLAIN]) == [Completion("{", finish="length"), ANSWER] == answers[::-1]
    assert second.count_tokens(PLAIN.prompt) == tokens == real.count_tokens(PLAIN.prompt)
    assert (second.hits, second.misses, second.name, second.model) == (2, 0, "scripted", MODEL)
    second.close()
    second.close()


def test_only_what_is_new_is_asked_and_once(tmp_path: Path) -> None:
    real = ScriptedEngine(["a", "b"])
    engine = cached(tmp_path / FILE, lambda: real)
    engine.generate([PLAIN])
    new = replace(PLAIN, id="2", prompt="LG 55")
    answers = engine.generate([PLAIN, new, replace(new, id="3")])
    assert [answer.text for answer in answers] == ["a", "b", "b"]
    assert real.calls == [PLAIN, replace(new, id="3")]


OTHERS = {
    "prompt": replace(PLAIN, prompt="Sony 66"),
    "form": replace(PLAIN, prompt=(Message("user", "Sony 65"),)),
    "role": replace(PLAIN, prompt=(Message("system", "Sony 65"),)),
    "grammar": replace(PLAIN, constraint=replace(PLAIN.constraint, grammar="start: B")),
    "schema": replace(PLAIN, constraint=replace(PLAIN.constraint, json_schema={"type": "string"})),
    "max_tokens": replace(PLAIN, constraint=replace(PLAIN.constraint, max_tokens=21)),
}


@pytest.mark.parametrize("other", OTHERS.values(), ids=OTHERS)
def test_another_request_is_another_question(tmp_path: Path, other: Request) -> None:
    engine = cached(tmp_path / FILE, lambda: ScriptedEngine(["a", "b"]))
    assert [answer.text for answer in engine.generate([PLAIN, other])] == ["a", "b"]


def test_order_of_schema_keys_is_part_of_the_question(tmp_path: Path) -> None:
    def asking(*names: str) -> Request:
        schema = {"type": "object", "properties": {name: {"type": "string"} for name in names}}
        return replace(PLAIN, constraint=replace(PLAIN.constraint, json_schema=schema))

    engine = cached(tmp_path / FILE, lambda: ScriptedEngine(["a", "b"]))
    answers = engine.generate([asking("brand", "color"), asking("color", "brand")])
    assert [answer.text for answer in answers] == ["a", "b"]


@pytest.mark.parametrize("change", [{"hash": "other"}, {"context_tokens": 256}], ids=str)
def test_another_model_has_its_own_answers(tmp_path: Path, change: dict[str, object]) -> None:
    cached(tmp_path / FILE, lambda: ScriptedEngine(["a"])).generate([PLAIN])
    (answer,) = cached(tmp_path / FILE, lambda: ScriptedEngine(["b"]), **change).generate([PLAIN])
    assert answer.text == "b"


def test_what_failed_is_asked_again(tmp_path: Path) -> None:
    answers: list[Answer] = [failed("out of memory"), "a"]
    engine = cached(tmp_path / FILE, lambda: ScriptedEngine(answers))
    assert engine.generate([PLAIN])[0].error == "out of memory"
    assert engine.generate([PLAIN])[0].text == "a"


COMPLETIONS = st.builds(
    Completion,
    st.text(st.characters()),
    st.sampled_from(["stop", "length"]),
    st.lists(st.builds(TokenLogprob, st.text(), st.floats(max_value=0))).map(tuple),
    st.builds(Usage, st.integers(0), st.integers(0), st.integers(0), st.floats(0, 1e6)),
)


@given(st.text(st.characters()), COMPLETIONS)
def test_any_answer_comes_back_as_it_was(
    tmp_path_factory: pytest.TempPathFactory, prompt: str, answer: Completion
) -> None:
    path = tmp_path_factory.mktemp("cache") / FILE
    asked = replace(PLAIN, prompt=prompt)
    for opener in (lambda: Costed([answer]), never):
        engine = cached(path, opener)
        assert engine.generate([asked]) == [answer]
        engine.close()


def test_no_requests_open_no_engine(tmp_path: Path) -> None:
    assert cached(tmp_path / FILE, never).generate([]) == []


WRITER = """
import sys
from pathlib import Path
from extractor.engines.cached import AnswerStore
store = AnswerStore(Path(sys.argv[1]))
for number in range(50):
    store.write({f"{name}-{number}": number for name in ("shared", sys.argv[2])})
"""


def test_several_processes_share_one_file(tmp_path: Path) -> None:
    """All begin at once, on a file that is not there yet."""
    path = tmp_path / FILE
    writers = [subprocess.Popen([sys.executable, "-c", WRITER, str(path), f"w{n}"]) for n in range(4)]
    assert [writer.wait() for writer in writers] == [0] * 4
    names = ("shared", "w0", "w1", "w2", "w3")
    expected = {f"{name}-{number}": number for name in names for number in range(50)}
    assert AnswerStore(path).read(list(expected)) == expected


def test_broken_file_is_one_line(tmp_path: Path) -> None:
    path = tmp_path / FILE
    path.write_bytes(b"no database " * 1000)
    with pytest.raises(ConfigError) as caught:
        AnswerStore(path)
    assert str(caught.value) == (
        f"{path}: is a broken completion cache (file is not a database); "
        "delete it, it fills again, or go without with --no-cache"
    )


def test_file_that_breaks_later_is_one_line(tmp_path: Path) -> None:
    path = tmp_path / FILE
    cached(path, lambda: ScriptedEngine(["a"])).generate([PLAIN])
    with sqlite3.connect(path) as database:
        database.execute("UPDATE answers SET value = '{'")
    with pytest.raises(ConfigError, match=r"completions.sqlite: is a broken completion cache .* delete it"):
        cached(path, never).generate([PLAIN])


def test_place_that_cannot_be_used_is_one_line(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(ConfigError, match=r"cannot be used as completion cache \(.*\); name another folder"):
        AnswerStore(tmp_path / "file" / FILE)


@pytest.mark.parametrize(
    ("variables", "folder"),
    [
        ({"EXTRACTOR_CACHE": "/a", "XDG_CACHE_HOME": "/b"}, Path("/a")),
        ({"EXTRACTOR_CACHE": "", "XDG_CACHE_HOME": "/b"}, Path("/b/extractor")),
        # The specification: relative ones are to be ignored.
        ({"EXTRACTOR_CACHE": "", "XDG_CACHE_HOME": "b", "HOME": "/h"}, Path("/h/.cache/extractor")),
        ({"EXTRACTOR_CACHE": "", "XDG_CACHE_HOME": "", "HOME": "/h"}, Path("/h/.cache/extractor")),
    ],
)
def test_default_place(monkeypatch: pytest.MonkeyPatch, variables: dict[str, str], folder: Path) -> None:
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    assert default_folder() == folder


def test_opened_by_name_and_answered_by_what_the_file_holds(tmp_path: Path) -> None:
    script = tmp_path / "answers.jsonl"
    script.write_text('{"id": "1", "text": "a"}\n')
    for _ in range(2):
        engine = open_cached("scripted", model=str(script), folder=tmp_path)
        assert [answer.text for answer in engine.generate([PLAIN])] == ["a"]
        engine.close()
    assert (engine.hits, engine.misses) == (1, 0)
    script.write_text('{"id": "1", "text": "b"}\n')
    engine = open_cached("scripted", model=str(script), folder=tmp_path)
    assert [answer.text for answer in engine.generate([PLAIN])] == ["b"]
    engine.close()


def test_doctor_says_how_large_it_is(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("EXTRACTOR_CACHE", str(tmp_path))
    path = tmp_path / FILE
    assert examine()[-1].detail == f"empty; {path}, which may be deleted"
    AnswerStore(path).close()
    assert examine()[-1].detail == f"0.0 MB; {path}, which may be deleted"


def test_wrong_settings_are_found_at_once(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="no such model folder"):
        open_cached("vllm", model="./no/such/folder", folder=tmp_path)
    with pytest.raises(ConfigError, match="engine gpt: unknown"):
        open_cached("gpt", folder=tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_what_asks_nothing_opens_no_engine() -> None:
    lazy = LazyEngine(never, "scripted", MODEL)
    assert (lazy.name, lazy.model, lazy.generate([])) == ("scripted", MODEL, [])
    lazy.close()
