"""`extractor train`, `extractor serve` and `extractor doctor`."""

from __future__ import annotations

from typing import Annotated

import typer

from extractor.cli.output import console
from extractor.cli.training import train


def add_to(app: typer.Typer) -> None:
    """All three stand at the top level."""
    for command in (train, serve, doctor):
        app.command()(command)


def serve(
    model: Annotated[
        str | None, typer.Option(help="Model folder or Hugging Face id; default: embedded.")
    ] = None,
    host: Annotated[str, typer.Option(help="Address to listen on.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(help="Port to listen on.")] = 8000,
) -> None:
    """Start the vLLM server that engine `server` wants, for the chosen model."""
    import os

    from extractor.engines import load_model_info
    from extractor.serve import server_command

    command = server_command(load_model_info(model), os.environ, host=host, port=port)
    url = f"http://{host}:{port}/v1"
    console().print(f"{url}: use it with --engine server --base-url {url}", markup=False, soft_wrap=True)
    os.execve(command.arguments[0], command.arguments, {**os.environ, **command.environment})


def doctor() -> None:
    """Say what is installed, what is missing, and what to do about it. Exit 2 when the main job cannot run."""
    from rich.markup import escape

    from extractor.doctor import examine

    findings = examine()
    for finding in findings:
        mark = "[green]ok[/]  " if finding.ok else "[red]no[/]  " if finding.needed else "[yellow]--[/]  "
        console().print(f"{mark}{escape(f'{finding.what}: {finding.detail}')}", soft_wrap=True)
    if any(finding.needed and not finding.ok for finding in findings):
        raise typer.Exit(2)
