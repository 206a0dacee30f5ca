"""What becomes of the server engine when its server misbehaves; over real sockets, with waits of zero."""

from __future__ import annotations

import json
import logging
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest

from extractor.engines import EngineSettings
from extractor.engines.connection import Retries, TryLater
from extractor.engines.server import ServerEngine, open_with
from extractor.errors import ConfigError, EngineError
from extractor.records import Constraint, Message, Request, TokenLogprob, Usage

NO_WAITS = Retries(attempts=3, total_s=60, first_wait_s=0, longest_wait_s=0)
SCHEMA = {"type": "object"}
PROMPTS = {"text": "Sony 65", "chat": (Message("user", "Sony 65"),)}
KEY = "sk-very-secret"


def asked(id_: str = "p1", form: str = "text") -> Request:
    return Request(id_, PROMPTS[form], Constraint('start: "{}"', SCHEMA, 9000))


@dataclass(frozen=True)
class Reply:
    """One answer over HTTP; status 0 closes the connection instead."""

    status: int = 200
    body: Any = None
    headers: dict[str, str] = field(default_factory=dict)
    delay_s: float = 0.0


def completion(text: str = "{}", **more: Any) -> Reply:
    choice = {"index": 0, "text": text, "finish_reason": "stop", "logprobs": None, **more}
    usage = {"prompt_tokens": 5, "completion_tokens": 2, "total_tokens": 7}
    return Reply(body={"id": "1", "object": "text_completion", "choices": [choice], "usage": usage})


def chat_completion(text: str, logprobs: Any = None) -> Reply:
    message = {"role": "assistant", "content": text}
    choice = {"index": 0, "message": message, "finish_reason": "stop", "logprobs": logprobs}
    return Reply(body={"id": "1", "object": "chat.completion", "choices": [choice]})


def refused(status: int, message: str, **headers: str) -> Reply:
    return Reply(
        status, {"error": {"message": message}}, {k.replace("_", "-"): v for k, v in headers.items()}
    )


def offers(id_: str = "m", owned_by: str = "vllm", **more: Any) -> Reply:
    return Reply(
        body={"object": "list", "data": [{"id": id_, "object": "model", "owned_by": owned_by, **more}]}
    )


class Server:
    """Answers POSTs with `script`, a list or a function of the body; then with `{}`. Keeps what it was asked."""

    def __init__(self) -> None:
        self.models = offers()
        self.script: deque[Reply] | Callable[[dict[str, Any]], Reply] = deque()
        self.seen: list[dict[str, Any]] = []
        self.keys: set[str] = set()
        server = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                server._send(self, server.models)

            def do_POST(self) -> None:
                body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
                server._send(self, server._reply(body | {"path": self.path}, self.headers["Authorization"]))

            def log_message(self, *_: object) -> None:
                pass

        self._http = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self._http.server_port}/v1"
        threading.Thread(target=self._http.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True).start()

    def _reply(self, body: dict[str, Any], key: str) -> Reply:
        self.seen.append(body)
        self.keys.add(key)
        if callable(self.script):
            return self.script(body)
        return self.script.popleft() if self.script else completion()

    def _send(self, handler: BaseHTTPRequestHandler, reply: Reply) -> None:
        time.sleep(reply.delay_s)
        if reply.status == 0:
            handler.close_connection = True
            return
        body = json.dumps(reply.body).encode()
        handler.send_response(reply.status)
        for name, value in {"Content-Type": "application/json", **reply.headers}.items():
            handler.send_header(name, value)
        handler.send_header("Content-Length", str(len(body)))
        handler.end_headers()
        handler.wfile.write(body)

    def close(self) -> None:
        self._http.shutdown()
        self._http.server_close()


@pytest.fixture
def server() -> Iterator[Server]:
    opened = Server()
    yield opened
    opened.close()


def connect(server: Server, *, retries: Retries = NO_WAITS, **settings: Any) -> ServerEngine:
    return open_with(EngineSettings(**{"base_url": server.url, "timeout_s": 10.0, **settings}), retries)


# --- what is sent and what is read --------------------------------------------------------------------------


def test_vllm_is_sent_the_grammar(server: Server) -> None:
    server.models = offers(max_model_len=2048)
    (answer,) = connect(server).generate([asked()])
    assert (answer.text, answer.finish) == ("{}", "stop")
    assert answer.usage == Usage(5, 0, 2, answer.usage.latency_s)
    assert server.seen == [
        {
            "path": "/v1/completions",
            "model": "m",
            "prompt": "Sony 65",
            # 9000 were asked for; vLLM refuses more than its context.
            "max_tokens": 2048,
            "temperature": 0.0,
            "logprobs": 0,
            "repetition_penalty": 1.0,
            "structured_outputs": {"grammar": 'start: "{}"'},
        }
    ]


def test_other_servers_are_sent_the_schema(server: Server) -> None:
    server.models = offers(owned_by="somebody")
    server.script = deque([chat_completion("{}")])
    assert connect(server).generate([asked(form="chat")])[0].text == "{}"
    (sent,) = server.seen
    assert sent["path"] == "/v1/chat/completions"
    assert sent["messages"] == [{"role": "user", "content": "Sony 65"}]
    assert sent["response_format"]["json_schema"]["schema"] == SCHEMA
    assert "structured_outputs" not in sent


def test_logprobs_of_both_end_points(server: Server) -> None:
    text_logprobs = {"tokens": ["a", "", "日"], "token_logprobs": [-1.0, -2.0, 0.0]}
    chat_logprobs = [
        {"token": "a", "logprob": -1.0, "bytes": [97], "top_logprobs": []},
        {"token": "\\xe6", "logprob": -2.0, "bytes": [0xE6], "top_logprobs": []},
        {"token": "\\x97\\xa5", "logprob": 0.0, "bytes": [0x97, 0xA5], "top_logprobs": []},
    ]
    server.script = deque(
        [completion("a日", logprobs=text_logprobs), chat_completion("a日", {"content": chat_logprobs})]
    )
    engine = connect(server)
    expected = (TokenLogprob("a", -1.0), TokenLogprob("", -2.0), TokenLogprob("日", 0.0))
    assert engine.generate([asked()])[0].tokens == expected
    assert engine.generate([asked(form="chat")])[0].tokens == expected


def test_server_without_logprobs_is_asked_without(server: Server) -> None:
    server.script = lambda body: refused(400, "logprobs are off") if "logprobs" in body else completion()
    engine = connect(server)
    answers = engine.generate([asked()]) + engine.generate([asked()])
    assert [(answer.text, answer.finish, answer.tokens) for answer in answers] == [("{}", "stop", ())] * 2
    # Refused once, remembered after that.
    assert ["logprobs" in body for body in server.seen] == [True, False, False]


def test_answers_come_in_the_order_of_the_requests(server: Server) -> None:
    def reply(body: dict[str, Any]) -> Reply:
        number = int(body["prompt"])
        return Reply(body=completion(str(number)).body, delay_s=0.2 if number < 2 else 0.0)

    server.script = reply
    requests = [Request(str(n), str(n), asked().constraint) for n in range(30)]
    answers = connect(server, max_in_flight=8).generate(requests)
    assert [answer.text for answer in answers] == [str(n) for n in range(30)]


def test_no_requests_ask_nothing(server: Server) -> None:
    assert connect(server).generate([]) == []
    assert server.seen == []


# --- the model ----------------------------------------------------------------------------------------------


def test_model_is_what_the_server_offers(server: Server) -> None:
    server.models = offers("qwen", max_model_len=777)
    assert connect(server).model.id == "qwen"
    assert connect(server).model.context_tokens == 777
    assert connect(server, context_tokens=99).model.context_tokens == 99


def test_model_that_vllm_does_not_have(server: Server) -> None:
    with pytest.raises(ConfigError, match=r"/v1: offers m; check the URL, or choose with --model"):
        connect(server, model="n")


@pytest.mark.parametrize("models", [refused(404, "no such path"), Reply(body={"data": []})])
def test_server_that_lists_no_models_needs_a_name(server: Server, models: Reply) -> None:
    server.models = models
    assert connect(server, model="n").model.id == "n"
    with pytest.raises(ConfigError, match="check the URL"):
        connect(server)


def test_url_without_a_path_means_v1(server: Server) -> None:
    engine = connect(server, base_url=server.url.removesuffix("/v1"))
    engine.generate([asked()])
    assert server.seen[0]["path"] == "/v1/completions"


def test_tokens_are_estimated_and_counted_where_it_matters(server: Server) -> None:
    server.models = offers(max_model_len=100)
    server.script = deque([Reply(body={"count": 33}), refused(404, "no such path")])
    engine = connect(server)
    assert engine.count_tokens("x" * 80) == 40
    assert server.seen == []
    assert engine.count_tokens("x" * 120) == 33
    assert server.seen[0]["path"] == "/tokenize"
    # Not every vLLM is reached with that path.
    assert engine.count_tokens("x" * 120) == 60


# --- trouble ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "trouble",
    [
        refused(429, "slow down", Retry_After="0"),
        refused(500, "oops"),
        refused(503, "starting"),
        refused(408, "too slow"),
        Reply(0),
    ],
    ids=["429", "500", "503", "408", "disconnect"],
)
def test_passing_trouble_is_sat_out(server: Server, trouble: Reply) -> None:
    server.script = deque([trouble, trouble])
    (answer,) = connect(server).generate([asked()])
    assert (answer.text, answer.finish) == ("{}", "stop")
    assert len(server.seen) == 3


@pytest.mark.parametrize(
    "trouble",
    [refused(429, "slow down"), refused(500, "oops"), refused(502, "gateway"), Reply(0)],
    ids=["429", "500", "502", "disconnect"],
)
def test_lasting_trouble_is_an_engine_error(server: Server, trouble: Reply) -> None:
    server.script = lambda body: trouble
    with pytest.raises(
        EngineError, match=r"^http://127.0.0.1:\d+/v1: .*run the same command again"
    ) as caught:
        connect(server, max_in_flight=2).generate([asked("p1"), asked("p2")])
    assert caught.value.retryable
    # Three attempts each, and no more.
    assert len(server.seen) <= 6


def test_server_says_how_long_to_wait(server: Server) -> None:
    server.script = deque([refused(429, "slow down", Retry_After="0.3")])
    started = time.monotonic()
    connect(server).generate([asked()])
    assert time.monotonic() - started >= 0.3


def test_nobody_waits_longer_than_allowed(server: Server) -> None:
    server.script = deque([refused(429, "slow down", Retry_After="3600")])
    started = time.monotonic()
    with pytest.raises(EngineError, match="answers 429"):
        connect(server).generate([asked()])
    assert time.monotonic() - started < 30
    assert len(server.seen) == 1


def test_slow_server_times_out(server: Server) -> None:
    engine = connect(server, timeout_s=0.3)
    server.script = deque([Reply(body=completion().body, delay_s=1.0)])
    assert engine.generate([asked()])[0].finish == "stop"
    server.script = lambda body: Reply(body=completion().body, delay_s=1.0)
    with pytest.raises(EngineError, match="no answer in time"):
        engine.generate([asked()])


@pytest.mark.parametrize("status", [400, 413, 422])
def test_refused_request_leaves_the_others_alone(server: Server, status: int) -> None:
    server.script = lambda body: refused(status, "bad\ngrammar") if body["prompt"] == "bad" else completion()
    bad = Request("bad", "bad", asked().constraint)
    answers = connect(server).generate([asked(), bad, asked()])
    assert [answer.finish for answer in answers] == ["stop", "error", "stop"]
    assert answers[1].error is not None
    assert "bad grammar" in answers[1].error
    assert len(server.seen) == 3


def test_request_that_always_breaks_the_server_is_a_bad_one(server: Server) -> None:
    server.script = lambda body: refused(500, "bug") if body["prompt"] == "bad" else completion()
    bad = Request("bad", "bad", asked().constraint)
    answers = connect(server).generate([asked(), bad, asked()])
    assert [answer.finish for answer in answers] == ["stop", "error", "stop"]


def test_answer_that_is_no_answer(server: Server) -> None:
    server.script = deque([Reply(body={"hello": "world"}), Reply(body={"hello": "world"})])
    (answer,) = connect(server).generate([asked()])
    assert answer.finish == "error"
    assert "OpenAI-compatible" in str(answer.error)


@pytest.mark.parametrize("status", [401, 403])
def test_wrong_key_ends_it_at_once_and_is_not_shown(
    server: Server, status: int, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setenv("EXTRACTOR_API_KEY", KEY)
    caplog.set_level(logging.DEBUG)
    server.script = lambda body: refused(status, f"wrong key {KEY}")
    with pytest.raises(ConfigError, match=r"refuses the API key .*set EXTRACTOR_API_KEY") as caught:
        connect(server).generate([asked()])
    assert server.keys == {f"Bearer {KEY}"}
    assert KEY not in str(caught.value) + caplog.text
    assert len(server.seen) == 1


def test_wrong_key_is_found_when_opening(server: Server) -> None:
    server.models = refused(401, "who are you")
    with pytest.raises(ConfigError, match="refuses the API key"):
        connect(server)


def test_key_that_a_server_echoes_is_hidden(server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", KEY)
    server.script = deque([refused(400, f"no credit for {KEY}")])
    (answer,) = connect(server).generate([asked()])
    assert "no credit for ***" in str(answer.error)


def test_nobody_listens(server: Server) -> None:
    server.close()
    url = server.url.replace("http://", "http://user:pa55word@")
    with pytest.raises(
        EngineError, match=r"^http://127.0.0.1:\d+/v1: no connection .*`extractor serve`"
    ) as caught:
        connect(server, base_url=url)
    assert "pa55word" not in str(caught.value)
    assert caught.value.retryable


def test_server_that_goes_away_ends_the_run(server: Server) -> None:
    engine = connect(server, max_in_flight=4, retries=Retries(attempts=3, total_s=60, first_wait_s=0.05))
    server.close()
    started = time.monotonic()
    with pytest.raises(TryLater, match="no connection"):
        engine.generate([asked(str(n)) for n in range(500)])
    # One request that is given up is enough.
    assert time.monotonic() - started < 20
