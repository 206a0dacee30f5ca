"""One thread for all that a database is asked; who asks waits for it where Ctrl-C and a timeout are heard.

DuckDB at work in the main thread hears Ctrl-C late, and not at all where other processes take the processors. A thread
that waits hears it at once, and then interrupts the database.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from concurrent.futures import Future, ThreadPoolExecutor, wait
from typing import TypeVar

# Seconds between two interrupts: one that comes between two statements has no effect.
_AGAIN_S = 0.05

Item = TypeVar("Item")
Result = TypeVar("Result")


class Worker:
    """Does one thing after the other, in a thread of its own."""

    def __init__(self, interrupt: Callable[[], object]) -> None:
        """A worker with nothing to do.

        Args:
            interrupt: Makes what is being done fail soon; called from the thread that waits.
        """
        self._interrupt = interrupt
        self._pool = ThreadPoolExecutor(1)

    def close(self) -> None:
        self._pool.shutdown()

    def call(
        self,
        work: Callable[[], Result],
        interrupt: Callable[[], object] | None = None,
        timeout_s: float | None = None,
    ) -> Result:
        """What `work` returns or raises.

        Args:
            work: What to do.
            interrupt: In place of the worker's own.
            timeout_s: Seconds that it may take; None: for ever.

        Raises:
            TimeoutError: It took longer, and was interrupted.
        """
        return _awaited(self._pool.submit(work), interrupt or self._interrupt, timeout_s)

    def each(self, work: Callable[[Item], Result], items: Iterable[Item]) -> list[Result]:
        """What `work` returns for each item; while it is at one, this thread makes the next.

        When an item cannot be made, the work at those before it is done first; its error, if there is one, came first.
        """
        results: list[Result] = []
        running: Future[Result] | None = None
        try:
            for item in items:
                if running:
                    earlier, running = running, None  # if it fails or is stopped, nothing is left to wait for
                    results.append(_awaited(earlier, self._interrupt))
                running = self._pool.submit(work, item)
        finally:
            if running:
                results.append(_awaited(running, self._interrupt))
        return results


def _awaited(
    running: Future[Result], interrupt: Callable[[], object], timeout_s: float | None = None
) -> Result:
    try:
        return running.result(timeout_s)
    except BaseException:
        while not running.done():  # no error of its own: Ctrl-C, or the time is over
            interrupt()
            wait([running], timeout=_AGAIN_S)
        raise
