"""`extractor eval list | run | score | calibrate`."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from extractor.cli.output import console, print_json, progress_bar

if TYPE_CHECKING:
    from rich.table import Table

    from extractor.evaluation.metrics import Protocol as ProtocolName
    from extractor.evaluation.suite_file import TaskSuite

app = typer.Typer(help="Measure extraction against gold.", no_args_is_help=True)

Suites = Annotated[Path, typer.Option(help="Folder of suite files.")]
Data = Annotated[Path, typer.Option(envvar="EXTRACTOR_DATA", help="Data folder.")]
SUITES = Path("eval/suites")
DATA = Path("../shared/data")
# More categories than these stand on the page only.
_FEW = 12


class Protocol(StrEnum):
    """See evaluation/metrics.py."""

    PAPER = "paper"
    STRICT = "strict"


@app.command("list")
def list_(suites: Suites = SUITES, data: Data = DATA) -> None:
    """Suites, whether their data is there, and what they are."""
    from extractor.evaluation.suite_file import load_any, missing, suite_names

    loaded = [load_any(suites, name) for name in suite_names(suites)]
    without = {suite.name for suite in loaded if missing(suite, data)}
    for suite in loaded:
        typer.echo(f"{suite.name:12} {'no data' if suite.name in without else 'ready':8} {suite.about}")
    if without:
        console().print(
            f"no data in {data}: name the data folder with --data or EXTRACTOR_DATA", markup=False
        )


@app.command()
def run(
    suite: Annotated[str, typer.Argument(help="Such as oamine; see extractor eval list.")],
    out: Annotated[Path, typer.Option(help="Run folder; resumed when it is there.")],
    data: Data = DATA,
    suites: Suites = SUITES,
    prompt: Annotated[str | None, typer.Option(help="Such as attributes@v1.")] = None,
    sample: Annotated[int | None, typer.Option(help="Draw so many listings; all if not given.")] = None,
    seed: Annotated[int, typer.Option(help="Of the draw.")] = 0,
    demonstrations: Annotated[
        int | None, typer.Option(help="Show so many training listings, 0 to 10; else as the prompt says.")
    ] = None,
    votes: Annotated[
        int, typer.Option(help="Ask so often (1, 3 ... 9), attributes shuffled; the majority counts.")
    ] = 1,
    policy: Annotated[
        str | None, typer.Option(help="propose-only, cascade or decode-all: who decides values.")
    ] = None,
    proposer: Annotated[Path | None, typer.Option(help="Folder of a span proposer of your own.")] = None,
    engine: Annotated[str, typer.Option(help="auto, vllm, server, transformers or scripted.")] = "auto",
    model: Annotated[str | None, typer.Option(help="Model folder or Hugging Face id.")] = None,
    base_url: Annotated[str | None, typer.Option(help="Endpoint of engine server.")] = None,
    calibration: Annotated[
        bool, typer.Option("--calibration/--no-calibration", help="Confidence as gold taught it.")
    ] = True,
    cache: Annotated[
        bool, typer.Option("--cache/--no-cache", help="Keep answers, and use those of earlier runs.")
    ] = True,
    json: Annotated[bool, typer.Option("--json", help="Print one JSON object on stdout.")] = False,
) -> None:
    """Extract a suite's listings and score them under both protocols, beside the suite's baselines."""
    from extractor.config import extractor_config
    from extractor.engines.cached import open_cached
    from extractor.engines.lazy import open_lazily
    from extractor.evaluation.suite import run_suite
    from extractor.evaluation.suite_file import TaskSuite, load_any

    loaded = load_any(suites, suite)
    if isinstance(loaded, TaskSuite):
        return _run_task(loaded, data, out, as_json=json)
    config = extractor_config(
        {"policy": policy, "proposer": proposer, "engine": engine, "model": model, "base_url": base_url}
    )
    opener = open_cached if cache else open_lazily
    with progress_bar(sample) as show:
        scores = run_suite(
            loaded,
            data,
            out,
            lambda: opener(engine, model=model, base_url=base_url),
            prompt=prompt,
            sample=sample,
            seed=seed,
            demonstrations=demonstrations,
            votes=votes,
            calibrated=calibration,
            policy=config.policy,
            proposer=proposer,
            progress=show,
        )
    _print_run(scores, as_json=json)


def _run_task(suite: TaskSuite, data: Path, out: Path, *, as_json: bool) -> None:
    from rich.box import SIMPLE_HEAD
    from rich.table import Column, Table

    from extractor.evaluation.tasks import run_task

    scores = run_task(suite, data, out)
    if as_json:
        return print_json(scores)
    columns = list(dict.fromkeys(name for figures in scores["parts"].values() for name in figures))
    first = Column(suite.name, no_wrap=True)
    table = Table(first, *columns, box=SIMPLE_HEAD, pad_edge=False)
    for part, figures in scores["parts"].items():
        table.add_row(part, *(f"{figures[name]:g}" if name in figures else "" for name in columns))
    console().print(table)
    console().print(f"what went wrong: {scores['out_dir']}/mistakes.jsonl", markup=False, soft_wrap=True)


@app.command()
def score(
    run_dir: Annotated[
        Path | None, typer.Argument(help="Folder of an eval run: it is scored again, without the model.")
    ] = None,
    gold: Annotated[Path | None, typer.Option(help="JSON Lines: id, category, attributes.")] = None,
    predictions: Annotated[Path | None, typer.Option(help="JSON Lines: id, predicted.")] = None,
    protocol: Annotated[
        Protocol | None,
        typer.Option(help="paper or strict; paper if not given, an eval run is scored by both."),
    ] = None,
    json: Annotated[bool, typer.Option("--json", help="Print one JSON object on stdout.")] = False,
) -> None:
    """Score an eval run again, or any predictions file against any gold file."""
    from extractor.errors import ConfigError

    if run_dir and not (gold or predictions or protocol):
        from extractor.evaluation.scoring import score_folder

        _print_run(score_folder(run_dir), as_json=json)
    elif gold and predictions and not run_dir:
        _score_files(gold, predictions, (protocol or Protocol.PAPER).value, as_json=json)
    else:
        raise ConfigError("eval score: give either RUN_DIR alone, or --gold and --predictions")


@app.command()
def calibrate(
    suites_: Annotated[list[str], typer.Argument(metavar="SUITE...", help="Suites with training gold.")],
    out: Annotated[
        Path | None, typer.Option(help="Keep the run folders here; resumed when they are there.")
    ] = None,
    data: Data = DATA,
    suites: Suites = SUITES,
    engine: Annotated[str, typer.Option(help="auto, vllm, transformers or scripted.")] = "auto",
    model: Annotated[str | None, typer.Option(help="Model folder; the embedded one if not given.")] = None,
    policy: Annotated[
        str | None, typer.Option(help="propose-only, cascade or decode-all: whose values are judged.")
    ] = None,
    proposer: Annotated[Path | None, typer.Option(help="Folder of a span proposer of your own.")] = None,
    held_out: Annotated[
        bool, typer.Option("--held-out", help="Fit on the held-out tenth only: the model never saw it.")
    ] = False,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Measure, but leave the model as it is.")
    ] = False,
    json: Annotated[bool, typer.Option("--json", help="Print one JSON object on stdout.")] = False,
) -> None:
    """Fit a model's confidence on the training listings of suites, and keep the curves with the model."""
    from contextlib import closing, nullcontext
    from tempfile import TemporaryDirectory

    from extractor.config import extractor_config
    from extractor.engines.cached import open_cached
    from extractor.evaluation.fit_calibration import fit_calibration, keep, notes_file
    from extractor.evaluation.suite_file import load_suite
    from extractor.propose import proposer_folder
    from extractor.run import choose_policy

    config = extractor_config({"policy": policy, "proposer": proposer, "engine": engine, "model": model})
    loaded = [load_suite(suites, name) for name in dict.fromkeys(suites_)]
    with (
        closing(open_cached(engine, model=model)) as opened,
        nullcontext(out) if out else TemporaryDirectory() as folder,
        progress_bar(None) as show,
    ):
        chosen = choose_policy(config.policy, opened.model, prompted=False)
        name, kept_in = opened.model.id, Path(opened.model.source)
        if chosen != "decode-all":
            kept_in = proposer_folder(proposer)
            name = kept_in.name
        if not dry_run:
            notes_file(kept_in)
        fitted = fit_calibration(
            loaded,
            data,
            Path(folder),
            opened,
            policy=chosen,
            proposer=proposer,
            held_out_only=held_out,
            progress=show,
        )
        written = None if dry_run else keep(fitted.calibration, kept_in)
    report = {
        "model": name,
        **fitted.to_json(),
        "written": str(written) if written else None,
    }
    if json:
        print_json(report)
    else:
        _show_calibration(report)


def _show_calibration(report: dict[str, Any]) -> None:
    from rich.table import Table

    table = Table("", "values", "ECE raw", "ECE calibrated", title=f"{report['model']}", title_justify="left")
    for name, row in (*report["suites"].items(), ("all", report)):
        table.add_row(name, f"{row['values']:,}", f"{row['ece_before']:.3f}", f"{row['ece_after']:.3f}")
    console().print(table)
    kept = Table("confidence", "precision", "coverage")
    for row in report["coverage"]:
        precision = "" if row["precision"] is None else f"{row['precision']:.3f}"
        kept.add_row(f">= {row['threshold']:.1f}", precision, f"{row['coverage']:.3f}")
    console().print(kept)
    console().print(report["written"] or "not written", markup=False, soft_wrap=True)


def _score_files(gold: Path, predictions: Path, protocol: ProtocolName, *, as_json: bool) -> None:
    from extractor.evaluation.files import read_predictions
    from extractor.evaluation.metrics import summarize, tally
    from extractor.gold import read_gold

    records = read_gold(gold)
    predicted = read_predictions(predictions, {record.id for record in records})
    scores = summarize(tally(records, predicted, protocol=protocol), protocol)
    if as_json:
        print_json(scores)
    else:
        _show(scores)
        _tell_failed([record.id for record in records if record.id not in predicted])


def _print_run(scores: dict[str, Any], *, as_json: bool) -> None:
    if as_json:
        print_json(scores)
        return
    usage, records = scores["usage"], scores["records"]
    console().print(f"{scores['suite']}: {records} listings", markup=False)
    console().print(_table(scores, "paper"), _table(scores, "strict"))
    if 1 < len(scores["categories"]) <= _FEW:
        shown = ", ".join(f"{name} {found['f1']:.1f}" for name, found in scores["categories"].items())
        console().print(f"F1 by category: {shown}", markup=False, soft_wrap=True)
    for name, found in scores["groups"].items():
        shown = "  ".join(f"{key} {found[key]:.1f}" for key in ("precision", "recall", "f1"))
        console().print(f"{name}: {shown} (strict); {found['false']} false", markup=False, soft_wrap=True)
    tokens = f"{usage['prompt_tokens'] / records:.0f} + {usage['output_tokens'] / records:.0f}"
    speed = f"{scores['listings_per_s']} listings/s" if scores["listings_per_s"] else "speed not measured"
    console().print(
        f"{scores['paper']['counts']['failed']} failed; ECE of the confidence {scores['ece']:.3f};"
        f" {speed}, {tokens} tokens a listing; {scores['out_dir']}/scores.html",
        markup=False,
        soft_wrap=True,
    )


def _table(scores: dict[str, Any], protocol: str) -> Table:
    """The model and its baselines, a line each."""
    from rich.box import SIMPLE_HEAD
    from rich.markup import escape
    from rich.table import Table

    table = Table(box=SIMPLE_HEAD, pad_edge=False)
    table.add_column(protocol, no_wrap=True)
    for column in ("P", "R", "F1", "95 % of F1"):
        table.add_column(column, justify="right", no_wrap=True)
    for name, both in ((scores["model"], scores), *scores["baselines"].items()):
        table.add_row(escape(name), *_cells(both[protocol]))
    return table


def _cells(scores: dict[str, Any]) -> list[str]:
    low, high = scores["intervals"]["f1"]
    return [*(f"{share:.1f}" for share in scores["micro"].values()), f"{low:.1f} to {high:.1f}"]


def _show(scores: dict[str, Any]) -> None:
    micro, counts = scores["micro"], scores["counts"]
    shares = "  ".join(f"{name} {share:5.2f}" for name, share in micro.items())
    cells = " ".join(f"{name} {count}" for name, count in counts.items())
    console().print(
        f"{scores['protocol']:6} {shares}  macro F1 {scores['macro']['f1']:5.2f}  {cells}", soft_wrap=True
    )


def _tell_failed(ids: list[str]) -> None:
    """Which gold records count as failed."""
    if ids:
        more = f" and {len(ids) - 1:,} more" if len(ids) > 1 else ""
        console().print(
            f"no prediction for {ids[0]!r}{more}: counted as failed, and as missed",
            markup=False,
            soft_wrap=True,
        )
