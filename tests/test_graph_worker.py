"""What is done in a thread of its own: results, errors, time limits, and work that overlaps with making it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from threading import Event, current_thread, main_thread

import pytest

from extractor.graph.stores.worker import Worker


def test_work_is_done_in_one_other_thread() -> None:
    with closing(Worker(lambda: None)) as worker:
        threads = {worker.call(current_thread) for _ in range(3)}
        assert len(threads) == 1
        assert main_thread() not in threads
        with pytest.raises(ZeroDivisionError):
            worker.call(lambda: 1 // 0)


def test_what_takes_too_long_is_interrupted_until_it_ends() -> None:
    stopped = Event()
    with closing(Worker(stopped.set)) as worker:
        with pytest.raises(TimeoutError):
            worker.call(stopped.wait, timeout_s=0.01)
        assert worker.call(lambda: "on") == "on"


def test_an_error_of_the_work_is_none_of_time() -> None:
    def late() -> None:
        raise TimeoutError("its own")

    def interrupted() -> None:
        raise AssertionError("nothing to interrupt")

    with closing(Worker(interrupted)) as worker, pytest.raises(TimeoutError, match="its own"):
        worker.call(late, timeout_s=60)


def test_the_next_item_is_made_while_one_is_worked_on() -> None:
    made = Event()

    def items() -> Iterator[int]:
        yield 1
        made.set()
        yield 2

    with closing(Worker(lambda: None)) as worker:
        # Would wait for ever if the second item were made after the first is done.
        assert worker.each(lambda item: (item, made.wait(60)), items()) == [(1, True), (2, True)]


@pytest.mark.parametrize(("bad", "told"), [(None, KeyError), (1, ZeroDivisionError), (0, ZeroDivisionError)])
def test_of_two_errors_the_earlier_item_s_counts(bad: int | None, told: type[Exception]) -> None:
    done: list[float] = []

    def items() -> Iterator[int]:
        yield from (0 if bad == 0 else 1, 0 if bad == 1 else 1)
        raise KeyError

    with closing(Worker(lambda: None)) as worker, pytest.raises(told):
        worker.each(lambda item: done.append(1 / item), items())
    assert done == [1.0] * {None: 2, 1: 1, 0: 0}[bad]
