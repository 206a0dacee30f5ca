"""Whether the statistics of `eval compare` and `eval gate` are quick, and whether they are right.

Speed: scoring 100,000 records, 10,000 resamples of 2,000 listings. Rightness, by simulation: how often two runs that
are alike are told apart, how often a planted change is found, how often the interval holds the truth, and how often the
correction for many slices flags a slice in which nothing changed. Prints a JSON line a figure, with its goal.

Listings are simulated: each has a difficulty of its own (Beta), 1 + Poisson(4) stated cells, right with the listing's
probability, and up to three spurious values. With --gold and --predictions, `alarms` and `planted` draw their listings
from stored predictions instead.

    python eval/bench/significance.py
    python eval/bench/significance.py alarms --gold G.jsonl.gz --predictions P.jsonl.gz
"""

from __future__ import annotations

import argparse
import json
import random
import shlex
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np

from extractor.evaluation.files import read_predictions
from extractor.evaluation.gate import GATED
from extractor.evaluation.metrics import judged_cells, summarize, sums_by_record, tally
from extractor.evaluation.statistics import (
    Difference,
    SumsArray,
    benjamini_hochberg,
    difference,
    micro,
    scores,
)
from extractor.gold import GoldRecord, read_gold

# In simulations: enough for p-values around 0.05.
RESAMPLES = 2_000
# Listings of a suite; the gate has to keep its level from few to many.
SIZES = (10, 30, 100, 234, 491)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("what", nargs="*", default=list(BENCHES), help=", ".join(BENCHES))
    parser.add_argument("--gold", type=Path)
    parser.add_argument("--predictions", type=Path)
    parser.add_argument("--trials", type=int, default=1000)
    options = parser.parse_args()
    pool = stored(options.gold, options.predictions) if options.gold else simulated(100_000, 0.75)
    command = shlex.join(["python", "eval/bench/significance.py", *sys.argv[1:]])
    for what in options.what:
        for figures in BENCHES[what](pool, options.trials):
            print(json.dumps({"bench": what, **figures, "command": command}), flush=True)


def scoring(pool: SumsArray, trials: int) -> Iterator[dict[str, Any]]:
    """Both protocols over 100,000 records of 8 attributes, a third of the predictions wrong."""
    rng = random.Random(0)
    words = ["red", "dark red", "Acme", "5.5 oz", "Pack of 2", "Women's", "cotton", "16 GB", "XL", "mint"]
    names = [f"attribute {i}" for i in range(10)]
    gold, predictions = [], {}
    for i in range(100_000):
        listed = rng.sample(names, 8)
        values = {name: [rng.choice(words)] if rng.random() < 0.6 else None for name in listed}
        gold.append(GoldRecord(str(i), f"category {i % 40}", values))
        predictions[str(i)] = {
            name: values.get(name) if rng.random() < 0.7 else [f"{rng.choice(words)} {rng.randrange(99)}"]
            for name in rng.sample(names, 6)
        }
    started, cpu = time.perf_counter(), time.process_time()
    for protocol in ("paper", "strict"):
        summarize(tally(gold, predictions, protocol=protocol), protocol)
    yield {"records": len(gold), **took(started, cpu), "goal": "under 10 s"}


def bootstrap(pool: SumsArray, trials: int) -> Iterator[dict[str, Any]]:
    """One paired difference with its interval and p-value."""
    a, b = pair(*(drawn(pool[:, 0], 2_000, np.random.default_rng(seed)) for seed in (0, 1)), same=0.3)
    started, cpu = time.perf_counter(), time.process_time()
    difference(a, b, resamples=10_000)
    yield {"listings": 2_000, "resamples": 10_000, **took(started, cpu), "goal": "under 10 s"}


def alarms(pool: SumsArray, trials: int) -> Iterator[dict[str, Any]]:
    """Two runs of the same predictions: listings drawn from them twice, of which so many are the same in both."""
    for listings in SIZES:
        for same in (0.0, 0.8):
            rng = np.random.default_rng(listings)
            found = [
                differences(*pair(drawn(pool, listings, rng), drawn(pool, listings, rng), same), trial)
                for trial in range(trials)
            ]
            yield {
                "listings": listings,
                "same": same,
                "trials": trials,
                "gate_stops": share(any(each.is_worse for each in both) for both in found),
                "paper_p_below_0.05": share(both[0].p < 0.05 for both in found),
                "goal": "gate_stops at most 0.05",
            }


def planted(pool: SumsArray, trials: int) -> Iterator[dict[str, Any]]:
    """Run b loses right values and gains others, 3 points of F1 net."""
    for listings in (234, 491, 1_000, 2_000):
        rng = np.random.default_rng(listings)
        found = []
        for trial in range(trials // 5):
            before = drawn(pool[:, 0], listings, rng)
            found.append(difference(before, worse_by(before, 3.0, rng), resamples=RESAMPLES, seed=trial))
        yield {
            "listings": listings,
            "planted": -3.0,
            "measured": round(float(np.mean([each.value for each in found])), 2),
            "trials": len(found),
            "gate_stops": share(each.is_worse for each in found),
            "detectable": round(float(np.median([each.detectable for each in found])), 2),
            "goal": "0.8 or more where detectable is below 3",
        }


def coverage(pool: SumsArray, trials: int) -> Iterator[dict[str, Any]]:
    """How often the 95 % intervals hold the truth, for runs of which one is really worse."""
    for accuracy in (0.75, 0.95):
        large = simulated(1_000_000, accuracy)[:, 0]
        truth = micro(large.sum(axis=0))[2]
        lost = micro(losing(large, 0.06, np.random.default_rng(0)).sum(axis=0))[2] - truth
        for listings in SIZES:
            rng = np.random.default_rng(listings)
            of_score = of_difference = 0
            for trial in range(trials):
                a, b = drawn(large, listings, rng), drawn(large, listings, rng)
                a, b = pair(a, b, 0.7)
                f1 = scores(a, resamples=RESAMPLES, seed=trial).f1
                found = difference(a, losing(b, 0.06, rng), resamples=RESAMPLES, seed=trial)
                of_score += f1.low <= truth <= f1.high
                of_difference += found.low <= lost <= found.high
            yield {
                "listings": listings,
                "f1": round(float(truth), 1),
                "difference": round(float(lost), 1),
                "trials": trials,
                "score_covered": round(of_score / trials, 3),
                "difference_covered": round(of_difference / trials, 3),
                "goal": "about 0.95",
            }


def correction(pool: SumsArray, trials: int) -> Iterator[dict[str, Any]]:
    """60 slices of 40 listings: in none, or in ten of them, a third of the right values is lost."""
    for regressed in (0, 10):
        rng = np.random.default_rng(regressed)
        flagged = false = hits = any_false = 0
        for trial in range(trials // 10):
            p_values = []
            for number in range(60):
                a, b = pair(drawn(pool[:, 0], 40, rng), drawn(pool[:, 0], 40, rng), 0.5)
                b = losing(b, 0.33, rng) if number < regressed else b
                p_values.append(difference(a, b, resamples=RESAMPLES, seed=trial).p)
            significant = [p < 0.05 for p in benjamini_hochberg(p_values)]
            flagged, hits = flagged + sum(significant), hits + sum(significant[:regressed])
            false += sum(significant[regressed:])
            any_false += any(significant[regressed:])
        comparisons = trials // 10
        yield {
            "slices": 60,
            "regressed": regressed,
            "comparisons": comparisons,
            "found": round(hits / (regressed * comparisons), 3) if regressed else None,
            "flagged_by_luck": round(false / max(1, flagged), 3)
            if regressed
            else round(any_false / comparisons, 3),
            "goal": "by luck at most 0.05",
        }


BENCHES: dict[str, Callable[[SumsArray, int], Iterator[dict[str, Any]]]] = {
    each.__name__: each for each in (scoring, bootstrap, alarms, planted, coverage, correction)
}


def simulated(listings: int, accuracy: float) -> SumsArray:
    """(listing, protocol, Sums), as the module's docstring says."""
    rng = np.random.default_rng(7)
    stated = 1 + rng.poisson(4, size=listings)
    right = rng.binomial(stated, rng.beta(3 * accuracy, 3 * (1 - accuracy), size=listings))
    wrong = rng.binomial(stated - right, 0.5)
    spurious = rng.binomial(3, rng.beta(1, 6, size=(2, listings)))
    paper = np.stack((right, right, right + wrong + spurious[0], stated), axis=1)
    return np.stack((paper, paper + spurious[1][:, None] * [0, 0, 1, 0]), axis=1).astype(np.float64)


def stored(gold_file: Path, predictions_file: Path) -> SumsArray:
    """(listing, protocol, Sums) of what was predicted."""
    gold = read_gold(gold_file)
    ids = [record.id for record in gold]
    cells = list(judged_cells(gold, read_predictions(predictions_file, set(ids))))
    return np.array([sums_by_record(cells, ids, protocol=each) for each in GATED], float).swapaxes(0, 1)


def differences(a: SumsArray, b: SumsArray, seed: int) -> list[Difference]:
    """Under each protocol of the gate."""
    return [difference(a[:, i], b[:, i], resamples=RESAMPLES, seed=seed) for i in range(len(GATED))]


def drawn(pool: SumsArray, listings: int, rng: np.random.Generator) -> SumsArray:
    return pool[rng.integers(0, len(pool), size=listings)]


def pair(a: SumsArray, b: SumsArray, same: float) -> tuple[SumsArray, SumsArray]:
    """Two runs that agree on the first listings."""
    shared = round(same * len(a))
    return a, np.concatenate((a[:shared], b[shared:]))


def worse_by(sums: SumsArray, points: float, rng: np.random.Generator) -> SumsArray:
    """Right values lost and wrong ones put right so that F1 falls by so many points on average."""
    right, cells = sums[:, 0].sum(), sums[:, 2:].sum()
    fixed = 0.2
    missing = np.minimum(sums[:, 2], sums[:, 3]) - sums[:, 0]
    gained = rng.binomial(missing.astype(int), fixed)
    loss = (points / 100 * cells / 2 + fixed * missing.sum()) / right
    after = losing(sums, loss, rng)
    after[:, :2] += gained[:, None]
    return after


def losing(sums: SumsArray, loss: float, rng: np.random.Generator) -> SumsArray:
    """So large a share of the right values turned wrong."""
    lost = rng.binomial(sums[:, 0].astype(int), loss)
    after = sums.copy()
    after[:, :2] -= lost[:, None]
    return after


def took(started: float, cpu: float) -> dict[str, float]:
    return {"wall_s": round(time.perf_counter() - started, 2), "cpu_s": round(time.process_time() - cpu, 2)}


def share(hits: Iterator[bool]) -> float:
    return round(float(np.mean(list(hits))), 3)


if __name__ == "__main__":
    main()
