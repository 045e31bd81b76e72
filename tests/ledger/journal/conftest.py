"""Journals for tests: of every store, and of those that last."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest
from journals import BATCH, LASTING, STORES, Store

from ledger.journal.protocol import Journal


@pytest.fixture
def small_batches(monkeypatch: pytest.MonkeyPatch) -> None:
    """Have journals read few rows at a time."""
    for module in ("sqlite", "database"):
        monkeypatch.setattr(f"ledger.journal.{module}.BATCH", BATCH)


@pytest.fixture(params=STORES, ids=lambda store: store.__name__)
def store(request: pytest.FixtureRequest, tmp_path: Path) -> Store:
    """Every store there is: the tests that take this are the journal's contract."""
    made: Store = request.param(tmp_path)
    return made


@pytest.fixture(params=LASTING, ids=lambda store: store.__name__)
def lasting(request: pytest.FixtureRequest, tmp_path: Path) -> Store:
    """Every store that can be opened again, and twice at a time."""
    made: Store = request.param(tmp_path)
    return made


@pytest.fixture
def journal(store: Store) -> Iterator[Journal]:
    with closing(store.create()) as made:
        yield made
