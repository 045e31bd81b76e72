"""Journals for tests: of every store, and of those that last."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from importlib.util import find_spec
from pathlib import Path

import pytest
from journals import BATCH, LASTING, STORES, Store

from ledger.journal.protocol import Journal

collect_ignore = [] if find_spec("psycopg") else ["test_postgres.py"]


@pytest.fixture
def small_batches(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Have journals read few rows at a time."""
    on_server = request.node.get_closest_marker("services") is not None
    for module in ("database", *(("postgres", "postgres_rows") if on_server else ("sqlite",))):
        monkeypatch.setattr(f"ledger.journal.{module}.BATCH", BATCH)


@pytest.fixture(params=STORES)
def store(request: pytest.FixtureRequest, tmp_path: Path) -> Store:
    """Every store there is: the tests that take this are the journal's contract."""
    made: Store = request.param(tmp_path)
    return made


@pytest.fixture(params=LASTING)
def lasting(request: pytest.FixtureRequest, tmp_path: Path) -> Store:
    """Every store that can be opened again, and twice at a time."""
    made: Store = request.param(tmp_path)
    return made


@pytest.fixture
def journal(store: Store) -> Iterator[Journal]:
    with closing(store.create()) as made:
        yield made
