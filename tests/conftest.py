"""What all tests share: the shipped schemas, and an engine that is scripted."""

from __future__ import annotations

import pytest
from hypothesis import settings

from extractor.schema import SchemaStore, default_folder

# A busy machine is no failure: nothing here is timed.
settings.register_profile("extractor", deadline=None)
settings.load_profile("extractor")


@pytest.fixture(scope="session")
def store() -> SchemaStore:
    """The shipped schemas; read-only."""
    return SchemaStore(default_folder())
