"""Whether `graph insights` finds what is there, keeps quiet about what is not, and how long it takes.

Products are simulated: a price, sales that fall with the price, and attributes of four values each, of which the first
value of the first attribute may multiply the sales. Prints a JSON line a figure, with its goal.

    python eval/bench/insights.py                 all of them
    python eval/bench/insights.py alarms power    some
"""

from __future__ import annotations

import argparse
import json
import shlex
import sys
import time
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

from extractor.graph.answers.insights import Insight, judge
from extractor.graph.answers.performers import Stated
from extractor.graph.answers.strata import on_top, stratify

# Attributes of a product; so many values are tested together.
ATTRIBUTES, VALUES = 6, 4


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("what", nargs="*", default=list(BENCHES), help=", ".join(BENCHES))
    parser.add_argument("--trials", type=int, default=200)
    options = parser.parse_args()
    command = shlex.join(["python", "eval/bench/insights.py", *sys.argv[1:]])
    for what in options.what:
        for figures in BENCHES[what](options.trials):
            print(json.dumps({"bench": what, **figures, "command": command}), flush=True)


def alarms(trials: int) -> Iterator[dict[str, Any]]:
    """No value counts: how often anything is found, and how often a 95 % interval leaves 1 out."""
    for products in (120, 600):
        answers = [asked(seed, products, 1.0) for seed in range(trials)]
        values = [value for answer in answers for value in answer]
        yield {
            "products": products,
            "trials": trials,
            "anything_found": share(any(value.found for value in answer) for answer in answers),
            "interval_without_1": share(not value.lift.low <= 1 <= value.lift.high for value in values),
            "goal": "both at most 0.05",
        }


def power(trials: int) -> Iterator[dict[str, Any]]:
    """One value multiplies sales: how often it is found, and what else is."""
    for products in (200, 400, 800):
        for factor in (1.5, 2.0, 3.0):
            answers = [asked(seed, products, factor) for seed in range(trials // 4)]
            found = [[value for value in answer if value.found] for answer in answers]
            # The other values of its attribute do worse for it, and are no false alarm.
            false = [sum(value.attribute != "a0" for value in each) / max(1, len(each)) for each in found]
            lifts = [value.lift.ratio for answer in answers for value in answer if value.value == "a0:0"]
            yield {
                "products": products,
                "sales_times": factor,
                "trials": len(answers),
                "found": share(any(value.value == "a0:0" for value in each) for each in found),
                "median_lift": round(float(np.median(lifts)), 2),
                "false_of_found": round(float(np.mean(false)), 3),
                "goal": "false_of_found at most 0.05",
            }


def speed(trials: int) -> Iterator[dict[str, Any]]:
    """The tests alone, of the most products that are looked at."""
    started = time.perf_counter()
    tested = len(asked(0, 20_000, 1.5))
    yield {"products": 20_000, "values": tested, "wall_s": round(time.perf_counter() - started, 2)}


BENCHES: dict[str, Callable[[int], Iterator[dict[str, Any]]]] = {
    each.__name__: each for each in (alarms, power, speed)
}


def asked(seed: int, products: int, factor: float) -> tuple[Insight, ...]:
    rng = np.random.default_rng(seed)
    values = rng.integers(0, VALUES, size=(ATTRIBUTES, products))
    prices = rng.normal(4.0, 0.8, size=products)
    sales = np.log(factor) * (values[0] == 0) - prices + rng.normal(size=products)
    strata = stratify(np.zeros(products, dtype=int), np.exp(prices))
    return judge(stated(values), strata, on_top(sales, strata))[0]


def stated(values: np.ndarray) -> Stated:
    return {
        f"has_a{number}": {
            f"a{number}:{value}": (str(value), list(np.flatnonzero(row == value))) for value in range(VALUES)
        }
        for number, row in enumerate(values)
    }


def share(hits: Iterator[bool]) -> float:
    return round(float(np.mean(list(hits))), 3)


if __name__ == "__main__":
    main()
