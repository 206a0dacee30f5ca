"""`extractor eval list | run | score`."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any

import typer

from extractor.cli.output import console, print_json

app = typer.Typer(help="Measure extraction against gold.", no_args_is_help=True)

Suites = Annotated[Path, typer.Option(help="Folder of suite files.")]
SUITES = Path("eval/suites")


class Protocol(StrEnum):
    """See evaluation/metrics.py."""

    PAPER = "paper"
    STRICT = "strict"


@app.command("list")
def list_(suites: Suites = SUITES) -> None:
    """Suites and what they are."""
    from extractor.errors import ConfigError
    from extractor.evaluation.suite import load_suite

    if not suites.is_dir():
        raise ConfigError(f"{suites}: no such folder; give the one that holds suite files with --suites")
    for path in sorted(suites.glob("*.toml")):
        typer.echo(f"{path.stem:10} {load_suite(suites, path.stem).about}")


@app.command()
def run(
    suite: Annotated[str, typer.Argument(help="Such as oamine; see extractor eval list.")],
    out: Annotated[Path, typer.Option(help="Run folder; resumed when it is there.")],
    data: Annotated[Path, typer.Option(envvar="EXTRACTOR_DATA", help="Data folder.")] = Path(
        "../shared/data"
    ),
    suites: Suites = SUITES,
    prompt: Annotated[str | None, typer.Option(help="Such as attributes@v1.")] = None,
    engine: Annotated[str, typer.Option(help="auto, vllm, server, transformers or scripted.")] = "auto",
    model: Annotated[str | None, typer.Option(help="Model folder or Hugging Face id.")] = None,
    base_url: Annotated[str | None, typer.Option(help="Endpoint of engine server.")] = None,
    json: Annotated[bool, typer.Option("--json", help="Print one JSON object on stdout.")] = False,
) -> None:
    """Extract a suite's listings and score them under both protocols."""
    from contextlib import closing

    from extractor.engines import open_engine
    from extractor.evaluation.files import read_gold
    from extractor.evaluation.suite import load_suite, run_suite

    loaded = load_suite(suites, suite)
    read_gold(data / loaded.gold)
    with closing(open_engine(engine, model=model, base_url=base_url)) as opened:
        scores = run_suite(loaded, data, out, opened, prompt=prompt)
    if json:
        print_json(scores)
    else:
        _show(scores["paper"])
        _show(scores["strict"])
        console().print(f"{scores['records']} records, {scores['listings_per_s']} listings/s; {out}")


@app.command()
def score(
    gold: Annotated[Path, typer.Option(help="JSON Lines: id, category, attributes.")],
    predictions: Annotated[Path, typer.Option(help="JSON Lines: id, predicted.")],
    protocol: Annotated[Protocol, typer.Option(help="paper or strict.")] = Protocol.PAPER,
    json: Annotated[bool, typer.Option("--json", help="Print one JSON object on stdout.")] = False,
) -> None:
    """Score any predictions file against any gold file."""
    from extractor.evaluation.files import read_gold, read_predictions
    from extractor.evaluation.metrics import summarize, tally

    records = read_gold(gold)
    predicted = read_predictions(predictions, {record.id: record for record in records})
    scores = summarize(tally(records, predicted, protocol=protocol.value), protocol.value)
    if json:
        print_json(scores)
    else:
        _show(scores)


def _show(scores: dict[str, Any]) -> None:
    micro, counts = scores["micro"], scores["counts"]
    shares = "  ".join(f"{name} {share:5.2f}" for name, share in micro.items())
    cells = " ".join(f"{name} {count}" for name, count in counts.items())
    console().print(
        f"{scores['protocol']:6} {shares}  macro F1 {scores['macro']['f1']:5.2f}  {cells}", soft_wrap=True
    )
