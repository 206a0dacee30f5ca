"""What all tests share: the shipped schemas, and an engine that is scripted."""

from __future__ import annotations

import pytest
from hypothesis import settings

from extractor.schema import SchemaStore, default_folder

# A busy machine is no failure: nothing here is timed.
settings.register_profile("extractor", deadline=None)
settings.load_profile("extractor")


@pytest.fixture(autouse=True)
def no_cache_of_the_user(
    monkeypatch: pytest.MonkeyPatch, tmp_path_factory: pytest.TempPathFactory, request: pytest.FixtureRequest
) -> None:
    """Completions of one test are not another's, nor the user's."""
    folder = tmp_path_factory.getbasetemp() / "caches" / str(hash(request.node.nodeid))
    monkeypatch.setenv("EXTRACTOR_CACHE", str(folder))


@pytest.fixture(scope="session")
def store() -> SchemaStore:
    """The shipped schemas; read-only."""
    return SchemaStore(default_folder())
