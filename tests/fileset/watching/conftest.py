"""A watcher that is quick to tell."""

from __future__ import annotations

import pytest
from watched import House

from fileset.watching import publishing, scanning


@pytest.fixture
def home(home: House, monkeypatch: pytest.MonkeyPatch) -> House:
    """The same, and soon told what comes of it."""
    monkeypatch.setattr(scanning, "_TEND", 0.05)
    monkeypatch.setattr(publishing, "_TELL", 0.02)
    return home
