"""Events of a change, gathered as payloads: they are those that came, whatever became of them."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import closing
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from journals import STORES, UNWRITABLE, Store, draft, removals
from strategies import events

from ledger.errors import ElementsError
from ledger.events import Event, InstanceRemoved
from ledger.journal import gathering
from ledger.journal.chain import verify_journal
from ledger.journal.gathering import AsPayloads, AsTheyAre
from ledger.journal.memory import MemoryJournal
from ledger.journal.sqlite import SqliteJournal

TOGETHER = 3

some = st.lists(events, min_size=1, max_size=5)
steps = st.lists(some | some.map(tuple) | st.integers(0, 12), max_size=5)
"""Events that come, those that come together as a tuple, and how many stay of all that came."""


@pytest.fixture(autouse=True)
def few_together(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(gathering, "_TOGETHER", TOGETHER)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(steps)
def test_what_comes_and_is_not_taken_back_is_what_there_is(
    steps: list[list[Event] | tuple[Event, ...] | int],
) -> None:
    expected: list[Event] = []
    as_payloads, as_they_are = AsPayloads(), AsTheyAre()
    for step in steps:
        if isinstance(step, int):
            del expected[step:]
            as_payloads.cut(step)
            as_they_are.cut(step)
        elif isinstance(step, tuple):
            expected += step
            as_payloads.defer(step)
            as_they_are.defer(step)
        else:
            for event in step:
                expected.append(event)
                as_payloads.append(event)
                as_they_are.append(event)
        assert list(as_payloads) == list(as_they_are) == expected
        assert len(as_payloads) == len(as_they_are) == len(expected)
        assert as_they_are[::-1] == expected[::-1]
        assert not expected or as_they_are[-1] == expected[-1]


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(events, min_size=1, max_size=8))
def test_a_journal_stores_the_same_bytes_of_events_however_they_were_gathered(
    given_events: list[Event],
) -> None:
    stored = []
    for gathered in (AsPayloads(), AsTheyAre(), []):
        with TemporaryDirectory() as folder, pytest.MonkeyPatch.context() as patch:
            patch.setattr(gathering.secrets, "token_hex", lambda size: "ab" * size)
            for event in given_events:
                gathered.append(event)
            with closing(SqliteJournal.create(Path(folder) / "journal")) as journal:
                journal.append(gathered, draft(), expected=0)
                stored.append([each.payload for each in journal.stored()])
                assert verify_journal(journal) == journal.head()
    assert stored[0] == stored[1] == stored[2]


@pytest.mark.parametrize("make", STORES)
def test_each_journal_appends_what_it_gathers(make: type[Store], tmp_path: Path) -> None:
    with closing(make(tmp_path).create()) as journal:
        gathered = journal.gather()
        for event in removals(2 * TOGETHER + 1):
            gathered.append(event)
        change = journal.append(gathered, draft(), expected=0)
        assert change.count == 2 * TOGETHER + 1
        assert [each.event for each in journal.read()] == removals(2 * TOGETHER + 1)


def test_every_payload_that_was_gathered_has_a_nonce_of_its_own(tmp_path: Path) -> None:
    with closing(SqliteJournal.create(tmp_path / "journal")) as journal:
        gathered = journal.gather()
        for _ in range(20):
            gathered.append(InstanceRemoved(1))
        journal.append(gathered, draft(), expected=0)
        assert len({each.payload for each in journal.stored()}) == 20


def test_an_event_that_can_t_be_written_is_told_at_the_latest_when_it_is_appended(
    tmp_path: Path,
) -> None:
    with closing(SqliteJournal.create(tmp_path / "journal")) as journal:
        gathered = journal.gather()
        gathered.append(UNWRITABLE)
        with pytest.raises(ElementsError):
            journal.append(gathered, draft(), expected=0)
        gathered.append(InstanceRemoved(1))
        with pytest.raises(ElementsError):
            gathered.append(InstanceRemoved(2))
        gathered.cut(0)
        assert len(gathered) == 0
        assert journal.position == 0


def test_a_journal_in_memory_has_deferred_events_made_when_they_are_read() -> None:
    journal = MemoryJournal()
    made: list[int] = []

    class Removals(Sequence[Event]):
        def __len__(self) -> int:
            return 3

        def __getitem__(self, index: Any) -> Any:
            made.append(index)
            return InstanceRemoved(index)

    for number in (0, 4):
        gathered = journal.gather()
        gathered.append(InstanceRemoved(9))
        gathered.defer(Removals())
        journal.append(gathered, draft(str(number)), expected=number)
    assert made == []

    assert [each.event for each in journal.read(after=5, upto=7)] == removals(2, first=0)
    assert made == [0, 1]
    assert verify_journal(journal) == journal.head()


def test_a_journal_in_memory_keeps_the_events_that_it_was_given() -> None:
    journal = MemoryJournal()
    gathered = journal.gather()
    event = InstanceRemoved(1)
    gathered.append(event)
    journal.append(gathered, draft(), expected=0)
    assert next(journal.read()).event is event
