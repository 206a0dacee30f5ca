"""Where a graph is kept: what `merge` asks of a store, and the name table.

A store with a new name is a module with the methods of `Store` and a line in `_STORES`.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import Any, Protocol, Self, cast

from extractor.graph.statements import Facts, ProductFacts
from extractor.schema_set import SchemaSet

# Name -> module and class; imported when first asked for.
_STORES = {"duckdb": ("extractor.graph.stores.duckdb", "DuckDBStore")}


@dataclass(frozen=True, slots=True)
class Change:
    """What a write did to the statements."""

    added: int = 0
    removed: int = 0

    def __add__(self, other: Change) -> Change:
        return Change(self.added + other.added, self.removed + other.removed)


class Store(Protocol):
    """A graph that runs are merged into; errors of its driver leave as ExtractorError."""

    def add_run(self, run_id: str, manifest: Mapping[str, Any], schemas: SchemaSet) -> None:
        """Record a run, or its changed manifest, and the schemas it was made with; ranks follow."""

    def merge(self, run_id: str, facts: Iterable[ProductFacts]) -> Change:
        """Make these facts all that the run says of their products, one transaction a batch; the run was added.

        Of two about one product the later count. When there is an error, the batches before it stay.
        """

    def state(
        self, run_id: str, manifest: Mapping[str, Any], facts: Facts, replacing: Collection[str] = ()
    ) -> Change:
        """Make these facts all that the run says, in one transaction; for runs that are of no listings.

        The run is recorded with its manifest; stating the same again changes nothing. Runs of the graph in whose
        place it comes go in the same transaction.
        """

    def settle(self) -> None:
        """Bring the nodes in line with the statements, once a merge is through."""

    def undo(self, run_id: str) -> Change:
        """Remove a run, all that it says, and the nodes and schemas that nobody else has."""

    def close(self) -> None:
        """Release the store; it can be closed twice."""

    def __enter__(self) -> Self: ...

    def __exit__(self, *exc: object) -> None: ...


def open_store(graph: Path, name: str = "duckdb") -> Store:
    """Open a graph for writing, made when it is not there."""
    module, attribute = _STORES[name]
    return cast(Store, getattr(import_module(module), attribute)(graph))
