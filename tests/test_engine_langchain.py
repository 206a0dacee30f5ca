"""LangChain's chat models as engines: what they are asked, how their answers and errors are read."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx
import pytest
from chat_models import AnsweringChat, ToolChat
from langchain_core.exceptions import (
    ContextOverflowError,
    ModelAuthenticationError,
    ModelConnectionError,
    ModelNotFoundError,
    ModelRateLimitError,
)
from langchain_core.language_models import BaseChatModel
from langchain_core.language_models.fake_chat_models import (
    FakeListChatModel,
    FakeMessagesListChatModel,
    GenericFakeChatModel,
)
from langchain_core.messages import AIMessage, HumanMessage, InvalidToolCall, SystemMessage, ToolCall

from extractor.config import RunConfig
from extractor.engines import ModelInfo
from extractor.engines.langchain import LangChainEngine
from extractor.errors import ConfigError, EngineError
from extractor.journal import read_outcomes
from extractor.records import Completion, Constraint, Message, Reason, Request, TokenLogprob, Usage
from extractor.run import run

BRAND = Constraint(
    grammar="",
    json_schema={
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "type": "object",
        "properties": {"brand": {"type": "string"}},
        "additionalProperties": False,
    },
    max_tokens=20,
)
COLOR = Constraint(grammar="", json_schema={"type": "string", "enum": ["red", "blue"]}, max_tokens=5)
CHAT = (Message("system", "Answer in JSON."), Message("user", "Sony TV"))
SONY = '{"brand":"Sony"}'


def asked(id_: str = "1", constraint: Constraint = BRAND) -> Request:
    return Request(id_, CHAT, constraint)


def completion(message: AIMessage) -> Completion:
    """What the engine makes of a model's message, without the time it took."""
    (answer,) = LangChainEngine(FakeMessagesListChatModel(responses=[message])).generate([asked()])
    usage = Usage(answer.usage.prompt_tokens, answer.usage.cached_tokens, answer.usage.output_tokens)
    return Completion(answer.text, answer.finish, answer.tokens, usage, answer.error)


def raising(error: Exception) -> Callable[[str], str]:
    def answer(_: str) -> str:
        raise error

    return answer


class StatusError(Exception):
    """As the clients of OpenAI and Anthropic raise it."""

    def __init__(self, status_code: int) -> None:
        super().__init__(f"status {status_code}")
        self.status_code = status_code


class ResponseError(Exception):
    """As HTTP clients raise it."""

    def __init__(self, status_code: int) -> None:
        super().__init__("no good")
        self.response = httpx.Response(status_code)


# --- what is asked


def test_messages_are_those_of_the_prompt() -> None:
    model = AnsweringChat(answer=lambda _: SONY)
    LangChainEngine(model).generate([asked(), Request("2", "Go on: ", BRAND)])
    assert sorted(model.calls, key=len) == [
        [HumanMessage("Go on: ")],
        [SystemMessage("Answer in JSON."), HumanMessage("Sony TV")],
    ]


@pytest.mark.parametrize(
    "model",
    [
        GenericFakeChatModel(messages=iter([SONY])),
        FakeListChatModel(responses=[SONY]),
        FakeMessagesListChatModel(responses=[AIMessage([{"type": "text", "text": SONY}])]),
        AnsweringChat(answer=lambda _: SONY),
        ToolChat(answer=lambda _: SONY),
    ],
)
def test_every_chat_model_will_do(model: BaseChatModel) -> None:
    (answer,) = LangChainEngine(model).generate([asked()])
    assert (answer.text, answer.finish, answer.error) == (SONY, "stop", None)


def test_answers_come_in_the_order_of_the_requests() -> None:
    requests = [Request(str(i), str(i), BRAND) for i in range(50)]
    answers = LangChainEngine(AnsweringChat(answer=str)).generate(requests)
    assert [answer.text for answer in answers] == [str(i) for i in range(50)]


def test_a_model_that_offers_structured_output_is_told_the_schema_of_an_object() -> None:
    model = ToolChat(answer=lambda _: SONY)
    LangChainEngine(model, max_in_flight=1).generate([asked(), asked(constraint=COLOR)])
    (told,), nothing = model.tools
    assert told == {"title": "answer", **{k: v for k, v in BRAND.json_schema.items() if k != "$schema"}}
    assert nothing is None


def test_a_model_need_not_be_told_the_schema() -> None:
    model = ToolChat(answer=lambda _: SONY)
    LangChainEngine(model, structured=False).generate([asked()])
    assert model.tools == [None]


# --- how answers are read


@pytest.mark.parametrize(
    ("message", "expected"),
    [
        (AIMessage(SONY), Completion(SONY)),
        (AIMessage(f"```json\n{SONY}\n```"), Completion(SONY)),
        (AIMessage(f"\n```\n{SONY}\n```\n"), Completion(SONY)),
        (AIMessage("Sure! Here it is."), Completion("Sure! Here it is.")),
        (
            AIMessage("", tool_calls=[ToolCall(name="answer", args={"brand": "日本"}, id="1")]),
            Completion('{"brand": "日本"}'),
        ),
        (
            AIMessage("", invalid_tool_calls=[InvalidToolCall(name="answer", args='{"bra', id="1", error="x")]),
            Completion('{"bra'),
        ),
        (AIMessage('{"bra', response_metadata={"finish_reason": "length"}), Completion('{"bra', "length")),
        (AIMessage('{"bra', response_metadata={"stop_reason": "max_tokens"}), Completion('{"bra', "length")),
        (AIMessage('{"bra', response_metadata={"finish_reason": "MAX_TOKENS"}), Completion('{"bra', "length")),
        (AIMessage('{"bra', response_metadata={"done_reason": "length"}), Completion('{"bra', "length")),
        (AIMessage(SONY, response_metadata={"stop_reason": "end_turn"}), Completion(SONY)),
        (
            AIMessage("", response_metadata={"finish_reason": "content_filter"}),
            Completion("", "error", error="the model ended the request with 'content_filter'"),
        ),
        (
            AIMessage(
                SONY,
                usage_metadata={
                    "input_tokens": 90,
                    "output_tokens": 7,
                    "total_tokens": 97,
                    "input_token_details": {"cache_read": 64},
                },
            ),
            Completion(SONY, usage=Usage(90, 64, 7)),
        ),
    ],
)  # fmt: skip
def test_a_message_is_read(message: AIMessage, expected: Completion) -> None:
    assert completion(message) == expected


def logprobs(*tokens: tuple[str, float]) -> dict[str, Any]:
    """As the API of OpenAI has them."""
    return {
        "logprobs": {
            "content": [{"token": t, "bytes": list(t.encode()), "logprob": p, "top_logprobs": []} for t, p in tokens]
        }
    }  # fmt: skip


def test_log_probabilities_are_used_where_there_are_some() -> None:
    metadata = logprobs(('{"brand":"', -0.1), ("Sony", -0.5), ('"}', 0.0))
    assert completion(AIMessage(SONY, response_metadata=metadata)).tokens == (
        TokenLogprob('{"brand":"', -0.1),
        TokenLogprob("Sony", -0.5),
        TokenLogprob('"}', 0.0),
    )


def test_log_probabilities_of_a_text_that_was_unwrapped_are_not_used() -> None:
    metadata = logprobs(("```json\n", -0.1), (SONY, -0.5), ("\n```", 0.0))
    assert completion(AIMessage(f"```json\n{SONY}\n```", response_metadata=metadata)) == Completion(SONY)


# --- errors


@pytest.mark.parametrize(
    ("error", "expected", "retryable"),
    [
        (ModelRateLimitError("slow down"), EngineError, True),
        (ModelConnectionError("nobody there"), EngineError, True),
        (StatusError(429), EngineError, True),
        (ResponseError(503), EngineError, True),
        (ConnectionRefusedError("refused"), EngineError, True),
        (httpx.ReadTimeout("too slow"), EngineError, True),
        (RuntimeError("out of memory"), EngineError, False),
        (ModelAuthenticationError("wrong key"), ConfigError, None),
        (ModelNotFoundError("no such model"), ConfigError, None),
        (StatusError(401), ConfigError, None),
        (ResponseError(404), ConfigError, None),
    ],
    ids=repr,
)
def test_an_error_that_concerns_all_requests_is_raised(
    error: Exception, expected: type[Exception], retryable: bool | None
) -> None:
    with pytest.raises(expected, match=r"^langchain: answering") as caught:
        LangChainEngine(AnsweringChat(answer=raising(error))).generate([asked("1"), asked("2")])
    assert getattr(caught.value, "retryable", None) == retryable
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    "error", [ValueError("a\nb"), ContextOverflowError("a b"), StatusError(400), TypeError()], ids=repr
)
def test_an_error_of_a_request_is_its_answer(error: Exception) -> None:
    (answer,) = LangChainEngine(AnsweringChat(answer=raising(error))).generate([asked()])
    assert (answer.finish, answer.text) == ("error", "")
    assert answer.error in ("a b", "status 400", "TypeError")


def test_an_unknown_error_is_a_requests_own_if_others_were_answered() -> None:
    def answer(text: str) -> str:
        assert text != "2"
        return SONY

    requests = [Request(id_, id_, BRAND) for id_ in "123"]
    answers = LangChainEngine(AnsweringChat(answer=answer)).generate(requests)
    assert [answer.finish for answer in answers] == ["stop", "error", "stop"]


def test_nothing_more_is_sent_after_an_error_that_concerns_all() -> None:
    def answer(_: str) -> str:
        if len(model.calls) > 1:
            threading.Event().wait(0.1)
        raise StatusError(401)

    model = AnsweringChat(answer=answer)
    with pytest.raises(ConfigError):
        LangChainEngine(model, max_in_flight=1).generate([asked(str(i)) for i in range(200)])
    assert len(model.calls) < 200


# --- the model


def test_the_model_is_described_by_its_name_and_profile() -> None:
    model = AnsweringChat(answer=str, model="gpt-x", profile={"max_input_tokens": 200_000})
    info = LangChainEngine(model).model
    assert info == ModelInfo("gpt-x", info.hash, 200_000)


def test_the_hash_follows_the_models_settings() -> None:
    hashes = [LangChainEngine(FakeListChatModel(responses=[text])).model.hash for text in ("a", "a", "b")]
    assert hashes[0] == hashes[1] != hashes[2]
    nameless = LangChainEngine(FakeListChatModel(responses=[])).model
    assert (nameless.id, nameless.context_tokens) == ("fake-list-chat-model", 4096)


# --- with the pipeline


def test_a_run_with_a_chat_model(tmp_path: Path) -> None:
    """Prompts are those for chat, and what the model makes up is rejected: it has no grammar."""

    def answer(text: str) -> str:
        return '"unknown"' if text.startswith("\nCategories:") else '{"brand": "Sony", "color": "mauve"}'

    feed = tmp_path / "feed.jsonl"
    feed.write_text(json.dumps({"id": "1", "title": "Sony BRAVIA TV 65 inch"}))
    model = AnsweringChat(answer=answer)
    config = RunConfig(feeds=(str(feed),), out=tmp_path / "run")
    summary = run(config, engine=LangChainEngine(model))
    (outcome,) = read_outcomes(config.out)
    assert [(value.attribute, value.surface) for value in outcome.values] == [("brand", "Sony")]
    assert [(r.attribute, r.reason) for r in outcome.rejections] == [("color", Reason.UNGROUNDED)]
    assert summary.rejections == {"UNGROUNDED": 1}
    made_by = outcome.made_by
    assert (made_by.prompt, made_by.engine, made_by.model) == ("attributes@v1", "langchain", "answering")
    assert {message.type for message in model.calls[-1]} == {"system", "human", "ai"}


def test_a_broken_answer_is_asked_for_once_more(tmp_path: Path) -> None:
    feed = tmp_path / "feed.jsonl"
    feed.write_text(json.dumps({"id": "1", "title": "Sony BRAVIA TV 65 inch"}))
    config = RunConfig(feeds=(str(feed),), out=tmp_path / "run")
    run(config, engine=LangChainEngine(FakeListChatModel(responses=["Sure: Sony!", SONY])))
    (outcome,) = read_outcomes(config.out)
    assert [value.surface for value in outcome.values] == ["Sony"]
