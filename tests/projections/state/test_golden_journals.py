"""Golden journals: whatever a release has recorded, every later one replays to the same state."""

from __future__ import annotations

import io
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest
from golden_journals import FOLDER, GOLDEN, replayed
from journals import STORES, Store

from ledger.events import EVENT_TYPES
from ledger.journal.lines import JournalFile, write_journal


@pytest.mark.parametrize("path", GOLDEN, ids=lambda path: path.stem)
def test_a_golden_journal_comes_to_what_it_came_to_when_it_was_made(
    path: Path, tmp_path: Path
) -> None:
    assert replayed(path, tmp_path) == path.with_suffix(".txt").read_text(encoding="utf-8")


@pytest.mark.parametrize("store", STORES)
@pytest.mark.parametrize("path", GOLDEN, ids=lambda path: path.stem)
def test_a_golden_journal_is_exported_again_byte_for_byte(
    path: Path, store: Callable[[Path], Store], tmp_path: Path
) -> None:
    lines = JournalFile(io.BytesIO(path.read_bytes()), path.name)
    again = io.BytesIO()
    with closing(store(tmp_path).restore(lines.journal_id, lines.events())) as journal:
        write_journal(journal, again.write)
        list(journal.read())
        journal.check()
    assert again.getvalue() == path.read_bytes()


def test_there_is_a_golden_event_of_every_type_and_version() -> None:
    found: set[tuple[str, int]] = set()
    for path in GOLDEN:
        lines = JournalFile(io.BytesIO(path.read_bytes()), path.name)
        found |= {(stored.type, stored.version) for stored in lines.events()}
    wanted = {
        (name, version)
        for name, cls in EVENT_TYPES.items()
        for version in range(1, cls.VERSION + 1)
    }
    assert wanted <= found, f"add them in {FOLDER.parent.parent / 'golden_journals.py'}"
