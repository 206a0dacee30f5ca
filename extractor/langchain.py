"""The extractor as a LangChain Runnable: a product goes in, the line that outcomes.jsonl would have comes out.

    from extractor.langchain import ProductExtractor
    with ProductExtractor() as extractor:
        line = extractor.invoke({"id": "1", "title": "Sony BRAVIA TV 65 inch"})

In: a feed record as a dict (its columns are found as in a feed), a title, or a Product. Out: a dict of JSON
values; `Outcome.from_json` makes the record of it. A product that cannot be read or answered is an outcome with
rejections, as in a run; only what is no product at all raises TypeError, and an engine that is down EngineError,
which `with_retry` and `with_fallbacks` see.

A batch is one call of the engine, which is what engines are fast at; many concurrent `ainvoke` are answered one
after the other. Nothing is streamed: `stream` yields the whole line.
"""

from __future__ import annotations

import asyncio
import hashlib
import json
import threading
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any, Self, TypeAlias, TypeVar, cast

from langchain_core.runnables import Runnable, RunnableConfig
from langchain_core.runnables.config import ContextThreadPoolExecutor, set_config_context
from typing_extensions import TypedDict

from extractor.config import ExtractorConfig
from extractor.engines import Engine
from extractor.errors import ExtractorError
from extractor.pipeline import Extractor
from extractor.read import read_record
from extractor.records import How, Product, Reason, Source, Unreadable
from extractor.run import assemble, batched, load_files, open_named_engine

T = TypeVar("T")
# A title, a feed record, or a product that was read before.
Listing: TypeAlias = str | Mapping[str, Any] | Product


class CategoryLine(TypedDict):
    """See records.CategoryChoice."""

    id: str
    path: list[str]
    confidence: float


class ValueLine(TypedDict):
    """See records.AttributeValue; the span as [start, end]."""

    attribute: str
    surface: str
    canonical: str
    unit: str | None
    span: list[int] | None
    source: Source
    how: How
    confidence: float


class RejectionLine(TypedDict):
    """See records.Rejection."""

    product_id: str
    attribute: str | None
    reason: Reason
    detail: str


class UsageLine(TypedDict):
    """See records.Usage."""

    prompt_tokens: int
    cached_tokens: int
    output_tokens: int
    latency_s: float
    proposed: int
    decoded: int


class OutcomeLine(TypedDict):
    """A line of outcomes.jsonl; see records.Outcome."""

    product_id: str
    content_hash: str
    where: str
    title: str
    description: str
    category: CategoryLine
    values: list[ValueLine]
    rejections: list[RejectionLine]
    feed: dict[str, Any]
    usage: UsageLine
    made_by: dict[str, str]
    also: list[CategoryLine]


class ProductExtractor(Runnable[Listing, OutcomeLine]):
    """Products to outcomes, on an engine that is opened at the first product and stays open.

    May be used from several threads and event loops; the engine is asked by one at a time.

    Args:
        config: The settings of `extractor run` that do not concern feeds and folders.
        engine: Used in place of the one that `config` names; stays the caller's: `close` leaves it open.
        name: Of its runs in traces and callbacks; by default the class's.

    Raises:
        ExtractorError: a setting is wrong; the engine's own are found when it is opened.
    """

    def __init__(
        self,
        config: ExtractorConfig | None = None,
        *,
        engine: Engine | None = None,
        name: str | None = None,
    ) -> None:
        self.name = name
        self._config = config or ExtractorConfig()
        self._files = load_files(self._config)
        self._engine = engine
        self._owns_engine = engine is None
        self._extractor: Extractor | None = None
        self._closed = False
        self._lock = threading.Lock()
        # For asynchronous calls: those that wait for the engine must not fill the event loop's own threads.
        self._thread = ContextThreadPoolExecutor(max_workers=1, thread_name_prefix="extractor")

    def invoke(self, input: Listing, config: RunnableConfig | None = None, **kwargs: Any) -> OutcomeLine:
        return self._call_with_config(self._extract_one, input, config, **kwargs)

    async def ainvoke(
        self, input: Listing, config: RunnableConfig | None = None, **kwargs: Any
    ) -> OutcomeLine:
        async def extract_one(listing: Listing) -> OutcomeLine:
            return await self._in_thread(partial(self._extract_one, listing))

        return await self._acall_with_config(extract_one, input, config, **kwargs)

    def batch(
        self,
        inputs: list[Listing],
        config: RunnableConfig | list[RunnableConfig] | None = None,
        *,
        return_exceptions: bool = False,
        **kwargs: Any,
    ) -> list[OutcomeLine]:
        """Outcomes in the order of the products, from one call of the engine.

        Args:
            config: With `max_concurrency`, at most so many products are in one call. What the callbacks are told
                of a chat model inside the engine, they are told under the first product's run.
            return_exceptions: Give the exception of a product in its place. When the engine fails, the
                products before keep their outcomes.
        """
        return self._batch_with_config(
            self._extract_all,  # type: ignore[arg-type]  # config is given to whoever has such a parameter
            inputs,
            config,
            return_exceptions=return_exceptions,
            **kwargs,
        )

    async def abatch(
        self,
        inputs: list[Listing],
        config: RunnableConfig | list[RunnableConfig] | None = None,
        *,
        return_exceptions: bool = False,
        **kwargs: Any,
    ) -> list[OutcomeLine]:
        """As `batch`; the event loop goes on meanwhile."""

        async def extract_all(
            listings: list[Listing], config: list[RunnableConfig]
        ) -> list[OutcomeLine | Exception]:
            return await self._in_thread(partial(self._extract_all, listings, config))

        return await self._abatch_with_config(
            extract_all,  # type: ignore[arg-type]  # as in batch
            inputs,
            config,
            return_exceptions=return_exceptions,
            **kwargs,
        )

    def close(self) -> None:
        """Give back the engine; may be called twice."""
        with self._lock:
            self._closed = True
            self._extractor = None
            if self._engine and self._owns_engine:
                self._engine.close()
        self._thread.shutdown(wait=False)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _extract_one(self, listing: Listing) -> OutcomeLine:
        (line,) = self._extract([self._record(listing)])
        return line

    def _extract_all(
        self, listings: list[Listing], config: list[RunnableConfig]
    ) -> list[OutcomeLine | Exception]:
        """A line or an exception for each listing; `config` has one for each, whose children it may have."""
        records = [self._record_or_error(listing) for listing in listings]
        good = [record for record in records if not isinstance(record, Exception)]
        with set_config_context(config[0]) as context:
            limit = config[0].get("max_concurrency") or max(1, len(good))
            lines = iter(context.run(self._extract_parts, good, limit))
        return [record if isinstance(record, Exception) else next(lines) for record in records]

    def _extract_parts(
        self, records: Sequence[Product | Unreadable], limit: int
    ) -> list[OutcomeLine | Exception]:
        """In calls of at most `limit` records, up to the first that fails."""
        lines: list[OutcomeLine | Exception] = []
        for part in batched(records, limit):
            try:
                lines += self._extract(part)
            except ExtractorError as error:
                return [*lines, *([error] * (len(records) - len(lines)))]
        return lines

    def _extract(self, records: Sequence[Product | Unreadable]) -> list[OutcomeLine]:
        with self._lock:
            outcomes = self._opened().extract(records)
        return [cast(OutcomeLine, outcome.to_json()) for outcome in outcomes]

    def _opened(self) -> Extractor:
        self._refuse_closed()
        if self._extractor is None:
            self._engine = self._engine or open_named_engine(self._config)
            self._extractor = assemble(self._config, self._files, self._engine)
        return self._extractor

    def _refuse_closed(self) -> None:
        if self._closed:
            raise RuntimeError(f"{self.get_name()} is closed; make a new one")

    async def _in_thread(self, work: Callable[[], T]) -> T:
        self._refuse_closed()
        return await asyncio.get_running_loop().run_in_executor(self._thread, work)

    def _record_or_error(self, listing: Listing) -> Product | Unreadable | Exception:
        try:
            return self._record(listing)
        except (TypeError, ValueError) as error:
            return error

    def _record(self, listing: Listing) -> Product | Unreadable:
        """Raises TypeError or ValueError for what no feed could hold."""
        if isinstance(listing, Product):
            return listing
        if isinstance(listing, str):
            listing = {"title": listing}
        if not isinstance(listing, Mapping) or not all(isinstance(name, str) for name in listing):
            kind = type(listing).__name__
            raise TypeError(f"{kind} is no product; give a title, a dict of its fields, or a Product")
        return read_record(dict(listing), _where(listing), self._config.mapping)


def _where(record: Mapping[str, Any]) -> str:
    """Stands in for the line of a feed, and for an id: the same for the same record."""
    content = json.dumps(record, sort_keys=True, default=str)
    return f"input:{hashlib.blake2b(content.encode(), digest_size=8).hexdigest()}"
