"""run.json: which run a folder holds, and whether the one now wanted may go on with it.

In: a folder, and the settings of the run that wants it.
Out: the manifest, begun or read, or a ConfigError that names what differs.
Does not know what the settings mean, nor what an outcome is.
"""

from __future__ import annotations

import json
import re
import secrets
from collections.abc import Mapping
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from extractor.errors import ConfigError
from extractor.journal.files import MANIFEST, OUTCOMES, part_of, write_json
from extractor.records import MadeBy


class OtherSettings(ConfigError):
    """A run folder was begun with other settings, or by another version of this package."""


def read_manifest(folder: str | Path) -> dict[str, Any]:
    """run.json: run_id, config, made_by, versions, created, finished (or None), counts.

    Raises:
        ConfigError: `folder` is no run folder.
    """
    path = Path(folder) / MANIFEST
    try:
        manifest = json.loads(path.read_bytes())
    except OSError as error:
        raise ConfigError(f"{folder}: has no readable {MANIFEST}; give a folder that was --out") from error
    except ValueError as error:
        raise ConfigError(f"{path}: is not JSON; restore it or choose another --out") from error
    if not isinstance(manifest, dict) or "run_id" not in manifest:
        raise ConfigError(f"{path}: has no run_id; restore it or choose another --out")
    return manifest


def refuse_foreign(folder: Path) -> None:
    if folder.exists() and not folder.is_dir():
        raise ConfigError(f"{folder}: is a file; choose another --out")
    if not folder.exists() or (folder / MANIFEST).exists():
        return
    for entry in folder.iterdir():
        # A process killed while it began a run leaves at most an empty journal and half a manifest.
        empty_journal = entry.name == OUTCOMES and not entry.stat().st_size
        if not empty_journal and entry != part_of(folder / MANIFEST):
            raise ConfigError(
                f"{folder}: is no run, it has {entry.name} and no {MANIFEST}; choose another --out"
            )


def begin_or_go_on(
    folder: Path, config: Mapping[str, Any], made_by: MadeBy, versions: Mapping[str, str]
) -> dict[str, Any]:
    """The manifest of the run in `folder`, written when there is none; other settings are refused."""
    # Through JSON, so that tuples and paths compare equal to what the file gives back.
    settings = json.loads(json.dumps({"config": config, "made_by": asdict(made_by)}, default=str))
    if (folder / MANIFEST).exists():
        manifest = read_manifest(folder)
        _refuse_other_settings(folder, manifest, settings)
        return manifest
    now = _now()
    manifest = {
        # Sorts by time; the random part keeps runs begun in the same second apart.
        "run_id": f"{re.sub('[-:]', '', now)}-{secrets.token_hex(4)}",
        "created": now,
        "finished": None,
        **settings,
        "versions": dict(versions),
        "counts": None,
    }
    write_json(folder / MANIFEST, manifest)
    return manifest


def mark_finished(folder: Path, manifest: Mapping[str, Any], counts: Mapping[str, int]) -> None:
    write_json(folder / MANIFEST, {**manifest, "finished": _now(), "counts": counts})


def _refuse_other_settings(folder: Path, manifest: Mapping[str, Any], settings: Mapping[str, Any]) -> None:
    then = _flat({part: manifest.get(part) for part in settings})
    now = _flat(settings)
    differing = [name for name in then | now if then.get(name) != now.get(name)]
    if differing:
        # An engine that is named stands in both parts.
        first = {name.partition(".")[2]: name for name in reversed(differing)}
        told = (
            f"{short} was {then.get(name)!r}, is {now.get(name)!r}" for short, name in sorted(first.items())
        )
        raise OtherSettings(f"{folder}: begun with other settings: {', '.join(told)}; choose another --out")


def _flat(settings: Any, prefix: str = "") -> dict[str, Any]:
    """Nested mappings as one, "a.b" for the names."""
    if not isinstance(settings, Mapping):
        return {prefix: settings}
    parts = [_flat(inner, f"{prefix}.{name}" if prefix else name) for name, inner in settings.items()]
    return {name: value for part in parts for name, value in part.items()}


def _now() -> str:
    return datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
