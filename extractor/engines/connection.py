"""The HTTP side of the server engine: calls go in, raw answers come out, foreign errors become ours.

Waits and retries are here and nowhere else; they look at `EngineError.retryable` only. The API key comes from
EXTRACTOR_API_KEY or OPENAI_API_KEY and never shows in a message. Knows nothing of prompts and constraints.
"""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from email.utils import parsedate_to_datetime
from typing import Any, TypeVar
from urllib.parse import urlsplit, urlunsplit

import openai
from tenacity import (
    RetryCallState,
    Retrying,
    retry_if_exception,
    sleep_using_event,
    stop_after_attempt,
    stop_any,
    stop_before_delay,
    stop_when_event_set,
    wait_random_exponential,
)

from extractor.engines.status import NOT_FOUND, try_later, wrong_key
from extractor.engines.tokens import one_line
from extractor.errors import ConfigError, EngineError

T = TypeVar("T")

_NO_KEY = "none"


@dataclass(frozen=True, slots=True)
class Retries:
    """How long to go on asking; waits grow from `first_wait_s`, unless the server says how long to wait."""

    attempts: int = 6
    total_s: float = 900.0
    first_wait_s: float = 0.5
    longest_wait_s: float = 30.0


RETRIES = Retries()


class TryLater(EngineError):
    """The same call may succeed later."""

    def __init__(
        self, message: str, *, status: int | None = None, retry_after_s: float | None = None
    ) -> None:
        super().__init__(message, retryable=True)
        # None: there was no answer at all.
        self.status = status
        # What the server asks for.
        self.retry_after_s = retry_after_s


class CallRefused(Exception):
    """This one call is wrong; the next may be right."""


class NotFound(ConfigError):
    """The URL or the model's name is wrong."""


class Connection:
    """The client of one OpenAI-compatible server; may be used from several threads."""

    def __init__(self, base_url: str, *, timeout_s: float, retries: Retries = RETRIES) -> None:
        url = urlsplit(base_url)
        if url.scheme not in ("http", "https") or not url.hostname:
            raise ConfigError("engine server: the base URL must look like http://127.0.0.1:8000/v1")
        path = url.path.rstrip("/") or "/v1"
        self.host = url.hostname
        # For people: without the user and password that a URL may hold.
        self.place = urlunsplit((url.scheme, url.netloc.rpartition("@")[2], path, "", ""))
        self._root = urlunsplit((url.scheme, url.netloc, path.removesuffix("/v1"), "", ""))
        self._retries = retries
        self._key = os.environ.get("EXTRACTOR_API_KEY") or os.environ.get("OPENAI_API_KEY") or _NO_KEY
        self._client = openai.OpenAI(
            base_url=urlunsplit((url.scheme, url.netloc, path, "", "")),
            api_key=self._key,
            max_retries=0,
            timeout=timeout_s,
        )

    def models(self) -> list[Mapping[str, Any]]:
        """GET /models; with few attempts, as at the start a person is waiting who may have mistyped."""
        retries = replace(self._retries, attempts=min(2, self._retries.attempts))
        page: Any = self._run(self._client.models.list, threading.Event(), retries)
        # A page of another kind, such as a web site's, is read as text.
        offers = [offer.to_dict() for offer in getattr(page, "data", None) or []]
        return [offer for offer in offers if offer.get("id")]

    def complete(self, body: Mapping[str, Any], halt: threading.Event) -> Any:
        """POST /completions."""
        return self._run(lambda: self._client.completions.create(**body), halt, self._retries)

    def chat(self, body: Mapping[str, Any], halt: threading.Event) -> Any:
        """POST /chat/completions."""
        return self._run(lambda: self._client.chat.completions.create(**body), halt, self._retries)

    def tokenize(self, body: Mapping[str, Any]) -> Any:
        """POST /tokenize, which vLLM has beside the API."""
        url = f"{self._root}/tokenize"
        return self._run(
            lambda: self._client.post(url, body=body, cast_to=object), threading.Event(), self._retries
        )

    def close(self) -> None:
        self._client.close()

    def _run(self, send: Callable[[], T], halt: threading.Event, retries: Retries) -> T:
        """Send until there is an answer, until it is given up, or until `halt` is set."""
        attempts = Retrying(
            retry=retry_if_exception(lambda error: isinstance(error, EngineError) and error.retryable),
            stop=stop_any(
                stop_after_attempt(retries.attempts),
                stop_before_delay(retries.total_s),
                stop_when_event_set(halt),
            ),
            wait=lambda state: _wait_s(state, retries),
            sleep=sleep_using_event(halt),
            reraise=True,
        )
        answer: T = attempts(self._once, send)
        return answer

    def _once(self, send: Callable[[], T]) -> T:
        try:
            return send()
        except openai.APIStatusError as error:
            raise self._of_status(error) from error
        except openai.APIConnectionError as error:
            raise self._of_connection(error) from error
        except (openai.OpenAIError, ValueError, TypeError) as error:
            raise CallRefused(f"{self.place}: {self._without_key(error)}") from error

    def _of_status(self, error: openai.APIStatusError) -> Exception:
        status = error.status_code
        if wrong_key(status):
            return ConfigError(f"{self.place}: refuses the API key ({status}); set EXTRACTOR_API_KEY")
        if status == NOT_FOUND:
            return NotFound(f"{self.place}: not found (404); check the URL and the name given with --model")
        if try_later(status):
            return TryLater(
                f"{self.place}: answers {status} ({self._without_key(error)}); "
                "look at the server's log, then run the same command again to go on",
                status=status,
                retry_after_s=_retry_after_s(error.response.headers),
            )
        return CallRefused(self._without_key(error))

    def _of_connection(self, error: openai.APIConnectionError) -> TryLater:
        what = "no answer in time" if isinstance(error, openai.APITimeoutError) else "no connection"
        return TryLater(
            f"{self.place}: {what} ({self._without_key(error.__cause__ or error)}); "
            "see that the server runs (`extractor serve` starts one), then run the same command again"
        )

    def _without_key(self, error: object) -> str:
        return one_line(error if self._key == _NO_KEY else str(error).replace(self._key, "***"))


def _wait_s(state: RetryCallState, retries: Retries) -> float:
    error = state.outcome.exception() if state.outcome else None
    if isinstance(error, TryLater) and error.retry_after_s is not None:
        return error.retry_after_s
    return wait_random_exponential(multiplier=retries.first_wait_s, max=retries.longest_wait_s)(state)


def _retry_after_s(headers: Mapping[str, str]) -> float | None:
    """Seconds, or a date (RFC 9110, 10.2.3); None when there is none or it cannot be read."""
    value = headers.get("retry-after", "")
    try:
        return max(0.0, float(value))
    except ValueError:
        pass
    try:
        return max(0.0, parsedate_to_datetime(value).timestamp() - time.time())
    except (ValueError, TypeError):
        return None
