"""The hash chain: what is altered, swapped, taken or put in is found, at its first position."""

from __future__ import annotations

import hashlib
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any, TypeVar

import pytest
from attrs import evolve
from hypothesis import given
from hypothesis import strategies as st

from ledger.errors import JournalDamagedError
from ledger.events import Event, FileSetIDChanged, InstanceRemoved
from ledger.journal.chain import chain_hash, change_digest, genesis, verify_chain, verify_journal
from ledger.journal.entries import Change, Draft, Head, Stored
from ledger.journal.memory import MemoryJournal
from ledger.journal.protocol import Journal
from ledger.journal.sqlite import SqliteJournal

SIZES = (2, 3, 1, 2)  # events of each change: positions 1-2, 3-5, 6, 7-8
TOTAL = sum(SIZES)

T = TypeVar("T", bound=Journal)


def written(journal: T) -> T:
    position = 0
    for number, size in enumerate(SIZES):
        events: list[Event] = [InstanceRemoved(position + i) for i in range(1, size + 1)]
        draft = Draft(f"id-{number}", "someone", "a-host", None if number % 2 else "a reason")
        journal.append(events, draft, expected=position)
        position += size
    return journal


@pytest.fixture(scope="module")
def journal() -> Iterator[MemoryJournal]:
    with closing(written(MemoryJournal())) as made:
        yield made


@pytest.fixture
def stored(journal: MemoryJournal) -> list[Stored]:
    return list(journal.stored())


def first_bad(journal_id: str, events: list[Stored]) -> int | None:
    with pytest.raises(JournalDamagedError) as caught:
        verify_chain(journal_id, events)
    assert str(caught.value.position) in str(caught.value)
    return caught.value.position


# --- the chain itself ----------------------------------------------------------------------------


def test_an_untouched_chain_leads_to_the_head(journal: MemoryJournal, stored: list[Stored]) -> None:
    assert verify_chain(journal.id, stored) == journal.head() == Head(TOTAL, stored[-1].hash)
    assert verify_journal(journal) == journal.head()
    assert verify_chain(journal.id, []) == Head(0, genesis(journal.id))


def test_hashes_are_those_that_were_released() -> None:
    change = Change("id", 1, 1, "2024-02-29T12:00:00.000000Z", "actor", "origin", None)
    digest = hashlib.sha256(b"{}").digest()
    link = chain_hash(genesis("journal"), change_digest(change), 1, "instance-removed", 1, digest)
    assert genesis("journal").hex() == (
        "600b2f9a2213a9693925f97a971a636e9fc8c8bc244bd6a129722807e2a62e49"
    )
    assert change_digest(change).hex() == (
        "dcbb06ed717cc5f08fc037aa712eb879d384455848e16aa942117613a4e88e1a"
    )
    assert link.hex() == ("cc442344a5c076ea29c7d3fba80fd1066d796065e07a0987e90e95534e92b719")


@given(st.lists(st.text(max_size=4), min_size=5, max_size=5), st.data())
def test_no_two_changes_have_one_digest(texts: list[str], data: st.DataObject) -> None:
    one = Change(texts[0], 1, 2, *texts[1:])
    others = data.draw(st.permutations(texts))
    two = Change(others[0], 1, 2, *others[1:])
    assert (change_digest(one) == change_digest(two)) == (one == two)
    assert change_digest(one) != change_digest(evolve(one, reason=None))
    joined = Change(texts[0] + texts[1], 1, 2, "", *texts[2:])
    assert (change_digest(one) == change_digest(joined)) == (one == joined)


ALTERATIONS: dict[str, Callable[[Stored], Stored]] = {
    "payload": lambda e: evolve(e, payload=e.payload.replace(b":", b": ", 1)),
    "payload and digest": lambda e: evolve(e, payload=b"{}", digest=hashlib.sha256(b"{}").digest()),
    "digest": lambda e: evolve(e, digest=bytes(32)),
    "type": lambda e: evolve(e, type="instance-restored"),
    "type that is no ASCII": lambda e: evolve(e, type="instance-r\u00e9moved"),
    "version": lambda e: evolve(e, version=2),
    "version below none": lambda e: evolve(e, version=-1),
    "version beyond all": lambda e: evolve(e, version=2**63),
    "hash": lambda e: evolve(e, hash=bytes(32)),
    "short hash": lambda e: evolve(e, hash=e.hash[:-1]),
    "position": lambda e: evolve(e, position=e.position + 1),
}


@pytest.mark.parametrize("position", range(1, TOTAL + 1))
@pytest.mark.parametrize("alter", ALTERATIONS.values(), ids=ALTERATIONS)
def test_an_altered_event_is_found(
    journal: MemoryJournal, stored: list[Stored], alter: Callable[[Stored], Stored], position: int
) -> None:
    stored[position - 1] = alter(stored[position - 1])
    assert first_bad(journal.id, stored) == position


@pytest.mark.parametrize("position", range(1, TOTAL + 1))
def test_any_altered_bit_of_a_payload_is_found(
    journal: MemoryJournal, stored: list[Stored], position: int
) -> None:
    event = stored[position - 1]
    for i in range(0, len(event.payload) * 8, 7):
        altered = bytearray(event.payload)
        altered[i // 8] ^= 1 << i % 8
        stored[position - 1] = evolve(event, payload=bytes(altered))
        assert first_bad(journal.id, stored) == position


@pytest.mark.parametrize("number", range(len(SIZES)))
@pytest.mark.parametrize(
    "altered",
    [
        {"id": "another"},
        {"recorded_at": "2000-01-01T00:00:00.000000Z"},
        {"actor": "another"},
        {"origin": "another"},
        {"reason": "another"},
        {"reason": ""},
        {"actor": "", "origin": "someonea-host"},
    ],
    ids=str,
)
def test_an_altered_change_is_found_at_its_first_event(
    journal: MemoryJournal, stored: list[Stored], number: int, altered: dict[str, Any]
) -> None:
    change = next(e.change for e in stored if e.change.id == f"id-{number}")
    new = evolve(change, **altered)
    events = [evolve(e, change=new) if e.change == change else e for e in stored]
    assert first_bad(journal.id, events) == change.first


@pytest.mark.parametrize("count", [0, 1, 3, 2**63])
def test_a_change_of_another_count_is_found(
    journal: MemoryJournal, stored: list[Stored], count: int
) -> None:
    new = evolve(stored[0].change, count=count)
    stored[:2] = [evolve(e, change=new) for e in stored[:2]]
    assert first_bad(journal.id, stored) == 1


@pytest.mark.parametrize("position", range(1, TOTAL))
def test_a_missing_event_is_found(
    journal: MemoryJournal, stored: list[Stored], position: int
) -> None:
    del stored[position - 1]
    assert first_bad(journal.id, stored) == position


@pytest.mark.parametrize("position", range(1, TOTAL))
def test_a_missing_event_is_found_though_the_others_close_ranks(
    journal: MemoryJournal, stored: list[Stored], position: int
) -> None:
    del stored[position - 1]
    closed = [evolve(e, position=i) for i, e in enumerate(stored, 1)]
    assert first_bad(journal.id, closed) == position


@pytest.mark.parametrize("position", range(1, TOTAL))
def test_swapped_events_are_found(
    journal: MemoryJournal, stored: list[Stored], position: int
) -> None:
    one, two = stored[position - 1 : position + 1]
    stored[position - 1 : position + 1] = [two, one]
    assert first_bad(journal.id, stored) == position
    stored[position - 1 : position + 1] = [
        evolve(two, position=position, change=one.change),
        evolve(one, position=position + 1, change=two.change),
    ]
    assert first_bad(journal.id, stored) == position


def test_a_missing_last_event_of_a_change_is_found(
    journal: MemoryJournal, stored: list[Stored]
) -> None:
    assert first_bad(journal.id, stored[:-1]) == TOTAL
    assert first_bad(journal.id, stored[:1]) == 2


def test_a_missing_change_is_found(journal: MemoryJournal, stored: list[Stored]) -> None:
    kept = [e for e in stored if e.change.id != "id-1"]
    assert first_bad(journal.id, kept) == 3
    shifted = [
        evolve(e, position=e.position - 3, change=evolve(e.change, first=e.change.first - 3))
        if e.position > 3
        else e
        for e in kept
    ]
    assert first_bad(journal.id, shifted) == 3


@pytest.mark.parametrize("position", range(1, TOTAL + 2))
def test_an_inserted_event_is_found(
    journal: MemoryJournal, stored: list[Stored], position: int
) -> None:
    copy = evolve(stored[min(position, TOTAL) - 1], position=position)
    later = [evolve(e, position=e.position + 1) for e in stored[position - 1 :]]
    # The copy itself is as good as what it was made of: the event after it is one too many.
    events = [*stored[: position - 1], copy, *later]
    assert first_bad(journal.id, events) == min(position, TOTAL) + 1


def test_events_of_another_journal_are_found(stored: list[Stored]) -> None:
    assert first_bad("another", stored) == 1


def test_events_that_continue_another_change_are_found(
    journal: MemoryJournal, stored: list[Stored]
) -> None:
    stored[5] = evolve(stored[5], change=stored[4].change)
    assert first_bad(journal.id, stored) == 6
    stored[1] = evolve(stored[1], change=evolve(stored[0].change, first=2, count=1))
    assert first_bad(journal.id, stored) == 2


# --- the same in a database of which the triggers were taken away --------------------------------


TAMPERING = {
    "payload": ("UPDATE event SET payload = x'7b7d' WHERE position = 4", 4),
    "type": ("UPDATE event SET type = 'instance-restored' WHERE position = 4", 4),
    "version": ("UPDATE event SET version = 2 WHERE position = 4", 4),
    "hash": ("UPDATE event SET hash = zeroblob(32) WHERE position = 4", 4),
    "actor": ("UPDATE change SET actor = 'another' WHERE first = 3", 3),
    "reason": ("UPDATE change SET reason = 'x' WHERE first = 3", 3),
    "time": ("UPDATE change SET recorded_at = '2000' WHERE first = 3", 3),
    "id": ("UPDATE change SET id = 'another' WHERE first = 3", 3),
    "count": ("UPDATE change SET count = 2 WHERE first = 3", 3),
    "first": ("UPDATE change SET first = 4 WHERE first = 3", 3),
    "an event": ("DELETE FROM event WHERE position = 4", 4),
    "the last event of a change": ("DELETE FROM event WHERE position = 5", 5),
    "the last event of all": ("DELETE FROM event WHERE position = 8", 8),
    "all events of the last change": ("DELETE FROM event WHERE position > 6", 7),
    "all events": ("DELETE FROM event", 1),
    "the first change": ("DELETE FROM change WHERE first = 1", 1),
    "a change": ("DELETE FROM change WHERE first = 3", 3),
    "the last change": ("DELETE FROM change WHERE first = 7", 7),
    "a change and its events": (
        "DELETE FROM change WHERE first = 3; DELETE FROM event WHERE position BETWEEN 3 AND 5", 3),
    "an event put in at the end": (
        "INSERT INTO event SELECT 9, type, version, payload, hash FROM event WHERE position = 8",
        9),
    "a change put in at the end": ("INSERT INTO change VALUES (9, 1, 'new', '', '', '', '')", 9),
    "a change put in between": ("INSERT INTO change VALUES (5, 1, 'new', '', '', '', '')", 5),
    "the journal's id": ("UPDATE journal SET id = 'another'", 1),
    "swapped events": (
        """UPDATE event SET position = -position WHERE position IN (4, 5);
        UPDATE event SET position = 9 + position WHERE position < 0""", 4),
}  # fmt: skip


@pytest.mark.parametrize(("statements", "position"), TAMPERING.values(), ids=TAMPERING)
def test_tampering_past_the_triggers_is_found(
    tmp_path: Path, statements: str, position: int
) -> None:
    path = tmp_path / "journal"
    written(SqliteJournal.create(path)).close()
    with closing(sqlite3.connect(path)) as other:
        for (name,) in other.execute("SELECT name FROM sqlite_master WHERE type = 'trigger'"):
            other.execute(f'DROP TRIGGER "{name}"')
        other.executescript(statements)
    with closing(SqliteJournal(path)) as journal, pytest.raises(JournalDamagedError) as caught:
        verify_journal(journal)
    assert caught.value.position == position


def test_text_that_is_no_text_is_damage(tmp_path: Path) -> None:
    path = tmp_path / "journal"
    written(SqliteJournal.create(path)).close()
    data = path.read_bytes()
    path.write_bytes(data.replace(b"a reason", b"a \xff\xffason"))
    with closing(SqliteJournal(path)) as journal, pytest.raises(JournalDamagedError, match="UTF-8"):
        verify_journal(journal)


def test_reading_stops_where_a_position_is_missing(tmp_path: Path) -> None:
    path = tmp_path / "journal"
    written(SqliteJournal.create(path)).close()
    with closing(sqlite3.connect(path)) as other:
        other.executescript("DROP TRIGGER event_no_DELETE; DELETE FROM event WHERE position = 4")
    with closing(SqliteJournal(path)) as journal:
        reading = journal.read()
        assert [next(reading).position for _ in range(3)] == [1, 2, 3]
        with pytest.raises(JournalDamagedError, match="position 4 is missing") as caught:
            next(reading)
        assert caught.value.position == 4


def test_what_is_appended_during_a_check_is_no_damage(tmp_path: Path) -> None:
    path = tmp_path / "journal"
    with (
        closing(written(SqliteJournal.create(path))) as journal,
        closing(SqliteJournal(path)) as other,
    ):
        changes = journal.changes

        def overtaken(after: int = 0) -> Iterator[Change]:
            yield from list(changes(after))
            other.append([FileSetIDChanged("A", None)], Draft("late", "", ""), expected=TOTAL)

        journal.changes = overtaken  # type: ignore[method-assign]
        assert verify_journal(journal) == other.head()
