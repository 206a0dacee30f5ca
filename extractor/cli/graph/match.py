"""`extractor graph match | match-fit`.

In: command lines. Out: counts on stdout; the pairs to ask about, or a scorer, as files.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from extractor.cli.graph.shared import GraphFileOption, JsonOption, app, changing, say, say_json
from extractor.match.block import NEIGHBORS

if TYPE_CHECKING:
    from extractor.graph.match import AskedModel, Matched

# What a language model is asked with.
_PROMPT = "match@v1"


@app.command()
def match(
    graph: GraphFileOption,
    scorer: Annotated[
        Path | None,
        typer.Option(help="Folder of `extractor graph match-fit`; default: the one that ships."),
    ] = None,
    neighbors: Annotated[
        int, typer.Option(min=1, max=1000, help="With so many others each listing is compared.")
    ] = NEIGHBORS,
    listed_once: Annotated[
        bool,
        typer.Option(
            "--listed-once",
            help="No merchant lists a product twice: what one has under two titles is two products.",
        ),
    ] = False,
    model: Annotated[
        str | None,
        typer.Option(
            help="Chat model (folder or id) that decides what the scorer cannot tell; a large one: the embedded"
            " model cannot."
        ),
    ] = None,
    engine: Annotated[
        str, typer.Option(help="Of --model: auto, vllm, server, transformers or scripted.")
    ] = "auto",
    base_url: Annotated[str | None, typer.Option(help="Of --model: endpoint of engine server.")] = None,
    ask_out: Annotated[
        Path | None, typer.Option(help="Write the pairs that nobody can tell, for a person (JSONL).")
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """Find listings that are the same product, and state so.

    Matching again replaces what it said before.

    What it cannot tell (--ask-out) a person decides: `extractor graph assert product:A same_as product:B`, or
    different_from. Taken back by `extractor graph undo`.
    """
    from extractor.graph.match import match_graph
    from extractor.match.score import Scorer, shipped_scorer
    from extractor.outputs import check_output_file

    if ask_out:
        check_output_file(ask_out, "--ask-out")
    fitted = Scorer.load(scorer) if scorer else shipped_scorer()
    with changing(graph) as store, _asked_model(engine, model, base_url) as asked:
        matched = match_graph(store, fitted, neighbors, asked, listed_once=listed_once)
    if ask_out:
        _write_asked(matched, ask_out)
    if as_json:
        return say_json(summary(matched))
    found = matched.resolution
    listings = sum(map(len, found.clusters))
    say(f"{matched.run_id}: {len(found.clusters):,} products with {listings:,} listings")
    pairs = ", ".join(f"{count:,} {name}" for name, count in found.pairs.items())
    say(f"pairs compared: {pairs}")
    say(f"{matched.change.added:,} statements added, {matched.change.removed:,} removed")


@app.command("match-fit")
def match_fit(
    pairs: Annotated[
        Path,
        typer.Option(help='Labelled pairs (JSONL): {"id", "left": {"title", ...}, "right", "label": 0 | 1}.'),
    ],
    out: Annotated[Path, typer.Option(help="Folder for the scorer, for `graph match --scorer`.")],
    valid: Annotated[
        Path | None,
        typer.Option(help="Pairs that tune the bands; default: a tenth of --pairs, which is not fitted."),
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """Fit the matching to labelled pairs of your own.

    The last line says how good it is on the pairs that tuned it.
    """
    from extractor.match.fit import fit_on_pairs
    from extractor.match.pairs import read_pairs

    fitted = fit_on_pairs(read_pairs(pairs), read_pairs(valid) if valid else None, pairs.name)
    fitted.scorer.save(out)
    if as_json:
        return say_json({"out": str(out), "train": fitted.train, "valid": fitted.valid, **fitted.figures})
    figures = ", ".join(f"{name} {value}" for name, value in fitted.figures.items())
    say(f"{out}: fitted on {fitted.train:,} pairs; on {fitted.valid:,} others: {figures}")


@contextmanager
def _asked_model(name: str, model: str | None, base_url: str | None) -> Iterator[AskedModel | None]:
    """The engine, where one is wanted; closed at the end."""
    from extractor.engines import describe_engine, open_engine
    from extractor.errors import ConfigError
    from extractor.graph.match import AskedModel
    from extractor.match.ask import by_model
    from extractor.prompt import default_folder, load_prompt

    if model is None and base_url is None:
        if name != "auto":
            raise ConfigError(f"engine {name}: no model to ask; give --model or --base-url as well")
        yield None
        return
    template = load_prompt(_PROMPT, default_folder())
    described = describe_engine(name, model=model, base_url=base_url)[1]
    if not described.chat:
        raise ConfigError(
            f"{described.id}: no chat model, which the question of {template.id} is for; give one with --model, or"
            " leave --model out and decide with --ask-out"
        )
    with closing(open_engine(name, model=model, base_url=base_url)) as engine:
        info = engine.model
        yield AskedModel(f"{info.id} {info.hash} {template.id} {template.hash}", by_model(engine, template))


def summary(matched: Matched) -> dict[str, Any]:
    """What `--json` prints."""
    clusters = matched.resolution.clusters
    return {
        "run_id": matched.run_id,
        "pairs": dict(matched.resolution.pairs),
        "clusters": len(clusters),
        "listings": sum(map(len, clusters)),
        "added": matched.change.added,
        "removed": matched.change.removed,
    }


def _write_asked(matched: Matched, path: Path) -> None:
    from extractor.journal import replacing, sink_errors
    from extractor.journal.files import to_line

    with sink_errors(path), replacing(path) as file:
        for asked in matched.resolution.ask:
            sides = {"left": f"product:{asked.left}", "right": f"product:{asked.right}"}
            file.write(to_line({**sides, "probability": asked.probability, "evidence": asked.evidence}))
