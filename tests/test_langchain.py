"""The extractor as a LangChain Runnable: products in, lines of outcomes.jsonl out, alone and in chains."""

from __future__ import annotations

import asyncio
import json
import threading
from collections.abc import Callable, Sequence
from dataclasses import fields
from operator import itemgetter
from pathlib import Path
from typing import Any, cast
from uuid import UUID

import pytest
from answers import answering
from chat_models import AnsweringChat
from langchain_core.callbacks import AsyncCallbackHandler, BaseCallbackHandler
from langchain_core.runnables import RunnableLambda, RunnableParallel

from extractor.config import ExtractorConfig, RunConfig
from extractor.engines import ModelInfo
from extractor.engines.langchain import LangChainEngine
from extractor.engines.scripted import ScriptedEngine
from extractor.errors import ConfigError, EngineError, PromptError, SchemaError
from extractor.langchain import (
    CategoryLine,
    OutcomeLine,
    ProductExtractor,
    RejectionLine,
    UsageLine,
    ValueLine,
)
from extractor.records import (
    AttributeValue,
    CategoryChoice,
    Completion,
    Message,
    Outcome,
    Product,
    Rejection,
    Request,
    Usage,
)
from extractor.run import run

SONY = {"id": "1", "title": "Sony BRAVIA TV 65 inch", "description": "Black."}
SAMSUNG = {"id": "2", "title": "Samsung TV 55 inch", "price": 120}
KESTREL = {"id": "3", "title": "Kestrel Bay T-Shirt, Größe L"}
ANSWERS = {
    "1": '{"brand":"Sony","color":"Black","screen_size":"65 inch"}',
    "2": '{"brand":"Samsung"}',
    "3": '{"brand":"Kestrel Bay","color":"pink"}',
}


class SlowEngine:
    """Answers "{}" once `answered` is set, and keeps how many requests each of its calls had."""

    name = "slow"
    model = ModelInfo("slow", "slow", 8192)

    def __init__(self, *, fails_after: int | None = None, waits: bool = False) -> None:
        self.calls: list[int] = []
        self.at_once = 0
        self.closed = False
        self.answered = threading.Event()
        self._fails_after = fails_after
        if not waits:
            self.answered.set()

    def count_tokens(self, prompt: str | tuple[Message, ...]) -> int:
        return 1

    def generate(self, requests: Sequence[Request]) -> list[Completion]:
        if not requests:
            return []
        assert self.at_once == 0
        self.at_once += 1
        assert self.answered.wait(60)
        self.at_once -= 1
        if len(self.calls) == self._fails_after:
            raise EngineError("slow: died; start it again", retryable=True)
        self.calls.append(len(requests))
        return [Completion("{}") for _ in requests]

    def close(self) -> None:
        self.closed = True


class Heard(BaseCallbackHandler):
    """Keeps what it is told, as (event, name of the run or what went wrong)."""

    def __init__(self) -> None:
        self.events: list[tuple[str, str]] = []
        self.names: dict[UUID, str] = {}
        self.parents: dict[str, str | None] = {}
        self.tags: list[str] = []
        self.metadata: dict[str, Any] = {}

    def on_chain_start(self, serialized: Any, inputs: Any, *, run_id: UUID, **told: Any) -> None:
        self.names[run_id] = told["name"]
        self.parents[told["name"]] = self.names.get(told["parent_run_id"])
        self.tags += told["tags"]
        self.metadata |= told["metadata"]
        self.events.append(("start", told["name"]))

    def on_chain_end(self, outputs: Any, *, run_id: UUID, **_: Any) -> None:
        self.events.append(("end", self.names[run_id]))

    def on_chain_error(self, error: BaseException, **_: Any) -> None:
        self.events.append(("error", str(error)))

    def on_chat_model_start(self, serialized: Any, messages: Any, *, parent_run_id: UUID, **_: Any) -> None:
        self.parents["chat model"] = self.names[parent_run_id]


class HeardLater(AsyncCallbackHandler):
    """Keeps what it is told, in the event loop."""

    def __init__(self) -> None:
        self.events: list[str] = []

    async def on_chain_start(self, serialized: Any, inputs: Any, **told: Any) -> None:
        assert asyncio.get_running_loop()
        self.events.append("start")

    async def on_chain_end(self, outputs: Any, **_: Any) -> None:
        self.events.append("end")


def extractor(answers: dict[str, Any] = ANSWERS, **options: Any) -> ProductExtractor:
    return ProductExtractor(engine=answering(answers), **options)


def timeless(line: OutcomeLine) -> dict[str, Any]:
    """Without what differs from call to call."""
    return {**line, "where": "", "usage": {**line["usage"], "latency_s": 0.0}}


def surfaces(line: OutcomeLine) -> dict[str, str]:
    return {value["attribute"]: value["surface"] for value in line["values"]}


# --- a product in, a line out


def test_an_outcome_is_the_line_that_a_run_would_write(tmp_path: Path) -> None:
    feed = tmp_path / "feed.jsonl"
    feed.write_text("".join(json.dumps(row) + "\n" for row in (SONY, SAMSUNG, KESTREL)))
    run(RunConfig(feeds=(str(feed),), out=tmp_path / "run"), engine=answering(ANSWERS))
    written = [json.loads(line) for line in (tmp_path / "run" / "outcomes.jsonl").read_text().splitlines()]
    lines = extractor().batch([SONY, SAMSUNG, KESTREL])
    assert [timeless(line) for line in lines] == [timeless(line) for line in written]
    assert timeless(extractor().invoke(SONY)) == timeless(written[0])


def test_a_line_is_json_and_makes_an_outcome() -> None:
    line = extractor().invoke(SONY)
    assert json.loads(json.dumps(line)) == line
    outcome = Outcome.from_json(line)
    assert [(v.attribute, v.span and v.span.slice(outcome.text)) for v in outcome.values] == [
        ("brand", "Sony"),
        ("color", "Black"),
        ("screen_size", "65 inch"),
    ]


@pytest.mark.parametrize(
    "listing",
    [
        {"id": "1", "title": "Sony TV"},
        {"sku": 1, "Product Name": " Sony TV "},
        Product("1", "Sony TV"),
    ],
)
def test_a_listing_is_a_feed_record_or_a_product(listing: dict[str, Any] | Product) -> None:
    line = extractor().invoke(listing)
    assert (line["product_id"], line["title"]) == ("1", "Sony TV")
    assert surfaces(line) == {"brand": "Sony"}


def test_columns_may_be_mapped() -> None:
    line = extractor(config=ExtractorConfig(mapping={"title": "What"})).invoke({"id": 2, "What": "A Samsung"})
    assert surfaces(line) == {"brand": "Samsung"}


def test_what_has_no_id_gets_the_same_one_every_time() -> None:
    title, record, other = extractor().batch(["Sony TV", {"title": "Sony TV"}, "Sony TV 2"])
    assert title == record
    assert title["product_id"].startswith("input:")
    assert title["product_id"] != other["product_id"]


@pytest.mark.parametrize("listing", ["", {}, {"id": "1"}, {"id": "1", "title": None}])
def test_a_listing_without_a_title_is_an_outcome_as_in_a_run(listing: str | dict[str, Any]) -> None:
    (rejection,) = extractor().invoke(listing)["rejections"]
    assert rejection["reason"] == "UNREADABLE"


@pytest.mark.parametrize("listing", [None, 5, ["Sony TV"], {1: "Sony TV"}])
def test_what_is_no_listing_is_refused(listing: Any) -> None:
    with pytest.raises(TypeError, match="is no product; give a title, a dict of its fields, or a Product"):
        extractor().invoke(listing)


# --- batches


def test_a_batch_is_one_call_of_the_engine() -> None:
    engine = SlowEngine()
    lines = ProductExtractor(engine=engine).batch([SAMSUNG, SONY, KESTREL])
    assert engine.calls == [3]
    assert [line["product_id"] for line in lines] == ["2", "1", "3"]


def test_max_concurrency_is_how_many_products_are_in_one_call() -> None:
    engine = SlowEngine()
    lines = ProductExtractor(engine=engine).batch([SONY] * 5, {"max_concurrency": 2})
    assert engine.calls == [2, 2, 1]
    assert len(lines) == 5


def test_an_empty_batch() -> None:
    assert extractor().batch([]) == []


def test_exceptions_take_the_place_of_outcomes() -> None:
    listings = cast(list[Any], [SONY, 5, KESTREL])
    first, second, third = extractor().batch(listings, return_exceptions=True)
    assert (first["product_id"], third["product_id"]) == ("1", "3")
    assert isinstance(second, TypeError)
    with pytest.raises(TypeError):
        extractor().batch(listings)


def test_what_was_extracted_before_the_engine_failed_is_kept() -> None:
    extractor = ProductExtractor(engine=SlowEngine(fails_after=1))
    lines: list[Any] = extractor.batch([SONY] * 5, {"max_concurrency": 2}, return_exceptions=True)
    assert [isinstance(line, EngineError) for line in lines] == [False, False, True, True, True]


def test_threads_take_turns_at_the_engine() -> None:
    engine = SlowEngine()
    lines = dict(ProductExtractor(engine=engine).batch_as_completed([SONY] * 20))
    assert sorted(lines) == list(range(20))
    assert engine.calls == [1] * 20


# --- asynchronous


def test_asynchronous_calls_give_the_same() -> None:
    async def main() -> None:
        one, all_ = await asyncio.gather(extractor().ainvoke(SONY), extractor().abatch([SONY, KESTREL]))
        assert [timeless(line) for line in (one, *all_)] == [
            timeless(line) for line in extractor().batch([SONY, SONY, KESTREL])
        ]
        (streamed,) = [line async for line in extractor().astream(SONY)]
        assert timeless(streamed) == timeless(one)

    asyncio.run(main())


@pytest.mark.parametrize("calls", [1, 100])
def test_the_event_loop_and_its_threads_are_free_meanwhile(calls: int) -> None:
    engine = SlowEngine(waits=True)

    async def main() -> None:
        extractor = ProductExtractor(engine=engine)
        tasks = [asyncio.create_task(extractor.ainvoke(SONY)) for _ in range(calls)]
        tasks.append(asyncio.create_task(extractor.abatch([SONY, KESTREL])))
        await asyncio.sleep(0)
        await asyncio.to_thread(engine.answered.set)
        await asyncio.gather(*tasks)

    asyncio.run(main())
    assert engine.calls == [1] * calls + [2]


def test_asynchronous_exceptions() -> None:
    async def main() -> None:
        first, second = await extractor().abatch(cast(list[Any], [SONY, 5]), return_exceptions=True)
        assert first["product_id"] == "1"
        assert isinstance(second, TypeError)
        with pytest.raises(EngineError):
            await ProductExtractor(engine=SlowEngine(fails_after=0)).ainvoke(SONY)

    asyncio.run(main())


# --- config and callbacks


def test_callbacks_are_told() -> None:
    heard = Heard()
    extractor(name="catalog").invoke(
        SONY, {"callbacks": [heard], "tags": ["nightly"], "metadata": {"shop": 7}}
    )
    assert heard.events == [("start", "catalog"), ("end", "catalog")]
    assert heard.tags == ["nightly"]
    assert heard.metadata == {"shop": 7}


def test_every_product_of_a_batch_is_a_run() -> None:
    heard = Heard()
    listings = cast(list[Any], [SONY, 5])
    extractor().batch(
        listings, [{"callbacks": [heard], "run_name": name} for name in ("a", "b")], return_exceptions=True
    )
    assert heard.events[:3] == [("start", "a"), ("start", "b"), ("end", "a")]
    assert heard.events[3][0] == "error"


def test_a_failure_is_told() -> None:
    heard = Heard()
    with pytest.raises(EngineError):
        ProductExtractor(engine=SlowEngine(fails_after=0)).invoke(SONY, {"callbacks": [heard]})
    assert heard.events == [("start", "ProductExtractor"), ("error", "slow: died; start it again")]


def test_asynchronous_callbacks_are_told() -> None:
    heard = HeardLater()
    asyncio.run(extractor().ainvoke(SONY, {"callbacks": [heard]}))
    asyncio.run(extractor().abatch([SONY, KESTREL], {"callbacks": [heard]}))
    assert heard.events == ["start", "end", "start", "start", "end", "end"]


ways: dict[str, Callable[[ProductExtractor, Any], Any]] = {
    "invoke": lambda extractor, config: extractor.invoke(SONY, config),
    "batch": lambda extractor, config: extractor.batch([SONY, SONY], config),
    "ainvoke": lambda extractor, config: asyncio.run(extractor.ainvoke(SONY, config)),
    "abatch": lambda extractor, config: asyncio.run(extractor.abatch([SONY, SONY], config)),
}


@pytest.mark.parametrize("way", ways)
def test_a_chat_model_inside_is_traced_under_the_extractor(way: str) -> None:
    heard = Heard()
    extractor = ProductExtractor(engine=LangChainEngine(AnsweringChat(answer=lambda _: "{}")))
    ways[way](extractor, {"callbacks": [heard], "metadata": {"shop": 7}})
    assert heard.parents == {
        "ProductExtractor": None,
        "extractor request": "ProductExtractor",
        "chat model": "extractor request",
    }
    assert heard.metadata == {"shop": 7, "product_id": "1"}


# --- in chains


def test_a_chain() -> None:
    chain = RunnableLambda(lambda title: {"id": "1", "title": title}) | extractor() | itemgetter("values")
    assert [value["surface"] for value in chain.invoke("Sony TV")] == ["Sony"]
    assert [len(values) for values in chain.batch(["Sony TV", "Sony HDTV", "TV"])] == [1, 1, 0]
    assert [len(values) for values in asyncio.run(chain.abatch(["Sony TV", "TV"]))] == [1, 0]


def test_in_parallel_and_picked() -> None:
    both = RunnableParallel(extracted=extractor().pick("product_id"), listing=itemgetter("title"))
    assert both.invoke(SONY) == {"extracted": "1", "listing": SONY["title"]}


def test_a_stream_is_the_whole_line() -> None:
    (line,) = extractor().stream(SONY)
    assert line["product_id"] == "1"


def test_an_engine_that_fails_once_is_asked_again() -> None:
    def answer(request: Request) -> str:
        if len(engine.calls) == 1:
            raise EngineError("down", retryable=True)
        return "{}"

    engine = ScriptedEngine(answer)
    again = ProductExtractor(engine=engine).with_retry(
        retry_if_exception_type=(EngineError,), wait_exponential_jitter=False, stop_after_attempt=2
    )
    assert [line["product_id"] for line in again.batch([SONY, SAMSUNG])] == ["1", "2"]


def test_another_extractor_takes_over() -> None:
    dead = ProductExtractor(engine=SlowEngine(fails_after=0))
    assert dead.with_fallbacks([extractor()]).invoke(SONY)["made_by"]["engine"] == "scripted"


def test_as_a_tool() -> None:
    fields_ = {"id": str, "title": str}
    tool = extractor().as_tool(arg_types=fields_, name="read_listing", description="Reads a listing.")
    assert list(tool.args) == ["id", "title"]
    assert surfaces(tool.invoke({"id": "1", "title": "Sony TV"})) == {"brand": "Sony"}


# --- schemas


def test_input_and_output_have_schemas() -> None:
    extractor_ = extractor()
    shown = extractor_.get_input_jsonschema()
    assert {option.get("type", option.get("$ref")) for option in shown["anyOf"]} == {
        *("string", "object", "#/$defs/Product")
    }
    line = extractor_.invoke(KESTREL)
    assert extractor_.get_output_schema().model_validate(line).model_dump(mode="json") == line


@pytest.mark.parametrize(
    ("line", "record"),
    [
        (OutcomeLine, Outcome),
        (CategoryLine, CategoryChoice),
        (ValueLine, AttributeValue),
        (RejectionLine, Rejection),
        (UsageLine, Usage),
    ],
)
def test_lines_have_the_fields_of_the_records(line: Any, record: Any) -> None:
    assert list(line.__annotations__) == [field.name for field in fields(record)]


# --- opening and closing


def test_the_engine_is_opened_once_and_with_the_first_product(tmp_path: Path) -> None:
    script = tmp_path / "answers.jsonl"
    config = ExtractorConfig(engine="scripted", model=str(script), schema_id="base")
    with ProductExtractor(config) as extractor:
        with pytest.raises(ConfigError, match=r"answers\.jsonl: No such file"):
            extractor.invoke("Sony TV")
        script.write_text("")
        extractor.invoke("Sony TV")
        script.unlink()
        extractor.invoke("Sony TV")


def test_after_closing_nothing_is_extracted() -> None:
    engine = SlowEngine()
    with ProductExtractor(engine=engine) as extractor:
        extractor.invoke(SONY)
    extractor.close()
    assert not engine.closed
    for call in (lambda: extractor.invoke(SONY), lambda: asyncio.run(extractor.ainvoke(SONY))):
        with pytest.raises(RuntimeError, match="ProductExtractor is closed; make a new one"):
            call()


@pytest.mark.parametrize(
    ("settings", "error"),
    [
        ({"prompt": "attributes@v999"}, PromptError),
        ({"prompt": "route@v1"}, ConfigError),
        ({"schema_id": "no.such"}, SchemaError),
    ],
)
def test_wrong_settings_are_found_at_once(settings: dict[str, str], error: type[Exception]) -> None:
    with pytest.raises(error):
        ProductExtractor(ExtractorConfig(**settings))
