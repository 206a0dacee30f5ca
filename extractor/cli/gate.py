"""`extractor eval compare | gate`: what a change did, and whether it may pass."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from extractor.cli.evaluation import DATA, SUITES, Data, Protocol, Suites
from extractor.cli.output import console, print_json, progress_bar

if TYPE_CHECKING:
    from extractor.evaluation.gate import Passage

BASELINES = Path("eval/baselines")


def add_to(app: typer.Typer) -> None:
    """Both commands stand below eval."""
    app.command("compare")(compare)
    app.command("gate")(gate)


def compare(
    a: Annotated[Path, typer.Argument(metavar="DIR_A", help="Eval run before.")],
    b: Annotated[Path, typer.Argument(metavar="DIR_B", help="Eval run after, of the same suite.")],
    protocol: Annotated[
        Protocol, typer.Option(help="What slices and examples count under.")
    ] = Protocol.PAPER,
    resamples: Annotated[int, typer.Option(min=1000, help="Samples of listings to draw.")] = 10_000,
    seed: Annotated[int, typer.Option(help="Of these samples.")] = 0,
    html: Annotated[Path | None, typer.Option(help="Write the page that shows it all.")] = None,
    json: Annotated[bool, typer.Option("--json", help="Print one JSON object on stdout.")] = False,
) -> None:
    """Say which of two eval runs is better, where, and whether that is more than noise."""
    from extractor.cli.comparison import show_comparison
    from extractor.evaluation.compare import compare as compare_runs
    from extractor.evaluation.pages import write_comparison
    from extractor.evaluation.runs import open_eval_run
    from extractor.outputs import check_output_file

    if html:
        check_output_file(html, "--html")
    before, after = open_eval_run(a), open_eval_run(b)
    comparison = compare_runs(before, after, protocol=protocol.value, resamples=resamples, seed=seed)
    if html:
        write_comparison(comparison, before, after, html)
    if json:
        print_json(comparison.to_json())
        return
    show_comparison(comparison)
    if html:
        console().print(f"page: {html}", markup=False, soft_wrap=True)


def gate(
    suite: Annotated[str, typer.Argument(help="Such as sample; see extractor eval list.")],
    run: Annotated[
        Path | None, typer.Option(help="Finished eval run; if not given, the suite is run now.")
    ] = None,
    update: Annotated[bool, typer.Option("--update", help="Make this run the baseline.")] = False,
    baselines: Annotated[Path, typer.Option(help="Folder of baselines.")] = BASELINES,
    data: Data = DATA,
    suites: Suites = SUITES,
    engine: Annotated[str, typer.Option(help="auto, vllm, server, transformers or scripted.")] = "auto",
    model: Annotated[str | None, typer.Option(help="Model folder or Hugging Face id.")] = None,
    base_url: Annotated[str | None, typer.Option(help="Endpoint of engine server.")] = None,
    json: Annotated[bool, typer.Option("--json", help="Print one JSON object on stdout.")] = False,
) -> None:
    """Exit 1 if a suite does significantly worse than its committed baseline, and 0 if that is not shown."""
    from extractor.evaluation.gate import make_baseline, pass_gate, read_baseline, write_baseline
    from extractor.evaluation.runs import open_eval_run

    # What is wrong with it is told before the model works for minutes.
    baseline = None if update else read_baseline(baselines, suite)
    with _run_folder(run, suite, suites, data, engine, model, base_url) as folder:
        opened = open_eval_run(folder)
    if baseline is None:
        path = write_baseline(baselines, make_baseline(opened, suite))
        print_json({"baseline": str(path)}) if json else console().print(str(path), markup=False)
        return
    passage = pass_gate(baseline, opened)
    print_json(passage.to_json()) if json else _show(passage)
    if passage.worse:
        raise typer.Exit(1)


@contextmanager
def _run_folder(
    run: Path | None,
    suite: str,
    suites: Path,
    data: Path,
    engine: str,
    model: str | None,
    base_url: str | None,
) -> Iterator[Path]:
    """The given run, or a new one; without kept answers, for they may be those of another day's engine."""
    from tempfile import TemporaryDirectory

    from extractor.engines.lazy import open_lazily
    from extractor.evaluation.suite import run_suite
    from extractor.evaluation.suite_file import load_suite

    if run:
        yield run
        return
    loaded = load_suite(suites, suite)
    with TemporaryDirectory() as folder, progress_bar(None) as show:
        run_suite(
            loaded,
            data,
            Path(folder) / suite,
            lambda: open_lazily(engine, model=model, base_url=base_url),
            progress=show,
        )
        yield Path(folder) / suite


def _show(passage: Passage) -> None:
    from rich.text import Text

    style = "bold red" if passage.worse else "bold green"
    console().print(
        Text(f"{passage.suite}, {passage.records} listings: {passage.verdict}", style), soft_wrap=True
    )
