"""The rooms: who may import whom, what starting costs, and where printing is allowed."""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path

import pytest

import extractor

PACKAGE = Path(extractor.__path__[0])
# Nouns and files that every stage may know.
SHARED = {
    *(
        "records",
        "errors",
        "config",
        "schema",
        "schema_files",
        "attribute",
        "taxonomy",
        "datafile",
        "prompt",
        "prompt_variables",
        "constraint",
        "chunks",
        "clauses",
        "cues",
        "search",
        "gold",
        "versions",
        "written_numbers",
        "calibrate",
    )
}
# Stage -> modules that it alone is split into.
STAGES = {
    "read": {"rows"},
    "route": set(),
    "label": set(),
    "suit": set(),
    "demonstrations": set(),
    "ask": set(),
    "engines": set(),
    "validate": set(),
    "ground": set(),
    "normalize": {"quantity", "units"},
    "vote": set(),
    "journal": set(),
}
HEAVY = (
    *("torch", "vllm", "transformers", "outlines", "openai", "langchain_core", "bm25s"),
    *("pint", "babel", "ftfy", "price_parser", "scipy", "sklearn"),
)
# What --help can do without as well.
SLOW = (
    *HEAVY,
    *("duckdb", "pyarrow", "jsonschema", "pydantic", "jinja2"),
    *("psycopg", "neo4j", "ladybug", "tenacity", "numpy", "rapidfuzz"),
)


def imported_rooms(path: Path) -> set[str]:
    """Rooms of this package that a file imports, at any depth of its syntax tree."""
    rooms = set()
    for node in ast.walk(ast.parse(path.read_text("utf-8"))):
        if isinstance(node, ast.ImportFrom) and node.module and node.module.startswith("extractor."):
            rooms.add(node.module.split(".")[1])
    return rooms


def files_of(room: str) -> list[Path]:
    return (
        [PACKAGE / f"{room}.py"]
        if (PACKAGE / f"{room}.py").exists()
        else sorted((PACKAGE / room).rglob("*.py"))
    )


@pytest.mark.parametrize("stage", sorted(STAGES))
def test_stages_do_not_import_each_other(stage: str) -> None:
    for path in files_of(stage):
        assert imported_rooms(path) <= SHARED | STAGES[stage] | {stage}, path


def test_only_the_command_line_imports_evaluation_training_and_graph() -> None:
    above = {"evaluation", "training", "graph", "cli"}
    for path in sorted(PACKAGE.rglob("*.py")):
        room = path.relative_to(PACKAGE).parts[0]
        if room not in above and room != "__main__.py":
            assert not imported_rooms(path) & above, path


def test_only_the_command_line_prints() -> None:
    for path in sorted(PACKAGE.rglob("*.py")):
        if "cli" in path.parts or path.name == "__main__.py":
            continue
        calls = [node for node in ast.walk(ast.parse(path.read_text("utf-8"))) if isinstance(node, ast.Call)]
        assert not [call for call in calls if isinstance(call.func, ast.Name) and call.func.id == "print"], (
            path
        )


@pytest.mark.parametrize(
    ("what", "without"),
    [
        ("import extractor", SLOW),
        ("import extractor.cli", SLOW),
        ("import extractor.pipeline, extractor.run", HEAVY),
    ],
)
def test_importing_loads_nothing_heavy(what: str, without: tuple[str, ...]) -> None:
    code = f"import sys; {what}; print(*sorted(set(sys.modules) & set({without!r})))"
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert run.stdout.strip() == ""


def test_public_names_are_those_listed() -> None:
    assert all(getattr(extractor, name) is not None for name in extractor.__all__)
    assert extractor.__all__ == sorted(extractor.__all__)
