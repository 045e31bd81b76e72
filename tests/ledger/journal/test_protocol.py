"""The journal: one suite for every store of events."""

from __future__ import annotations

import hashlib
import threading
from collections.abc import Callable
from contextlib import closing, suppress
from datetime import datetime, timedelta, timezone
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from attrs import evolve
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from journals import (
    BATCH,
    NOON,
    STORES,
    UNWRITABLE,
    InMemory,
    Store,
    append,
    draft,
    positions,
    recorded,
    removals,
)
from strategies import drafts, events

from ledger.errors import ConflictError, ElementsError, JournalDamagedError, JournalError
from ledger.events import (
    Event,
    FileSetCreated,
    FileSetIDChanged,
    InstanceRejected,
    InstanceRemoved,
    PayloadErased,
)
from ledger.journal import codec
from ledger.journal.chain import chain_hash, change_digest, genesis, verify_journal
from ledger.journal.entries import Change, Draft, Head, Recorded, Stored
from ledger.journal.memory import MemoryJournal
from ledger.journal.protocol import Journal

pytestmark = pytest.mark.usefixtures("small_batches")


# --- the contract of every journal ---------------------------------------------------------------


def test_a_new_journal_is_empty_and_starts_from_its_own_id(journal: Journal) -> None:
    assert journal.head() == Head(0, genesis(journal.id))
    assert not [*journal.read(), *journal.stored(), *journal.changes()]
    assert verify_journal(journal) == journal.head()


def test_no_two_journals_have_one_id(store: Store, tmp_path: Path) -> None:
    other = InMemory(tmp_path)
    with closing(store.create()) as one, closing(other.create()) as two:
        assert one.id != two.id


def test_what_was_appended_is_read_as_it_was_returned(journal: Journal) -> None:
    first = append(journal, FileSetCreated("1.2.3"), InstanceRemoved(1))
    second = append(journal, FileSetIDChanged("B", "A"))
    assert list(journal.read()) == first + second
    assert [each.event for each in first + second] == [
        FileSetCreated("1.2.3"), InstanceRemoved(1), FileSetIDChanged("B", "A"),
    ]  # fmt: skip
    assert list(journal.changes()) == [first[0].change, second[0].change]


@pytest.mark.parametrize("make", STORES)
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(changes=st.lists(st.tuples(st.lists(events, min_size=1, max_size=4), drafts), max_size=4))
def test_any_events_and_any_drafts_are_read_as_they_were_returned(
    make: Callable[[Path], Store], changes: list[tuple[list[Event], Draft]]
) -> None:
    with TemporaryDirectory() as folder, closing(make(Path(folder)).create()) as journal:
        appended: list[Recorded] = []
        for of_change, its_draft in changes:
            change = journal.append(of_change, its_draft, expected=len(appended))
            appended += recorded(change, of_change)
        assert list(journal.read()) == appended
        assert verify_journal(journal) == journal.head()


def test_a_change_says_who_when_why_and_how_many(store: Store) -> None:
    with closing(store.create(clock=lambda: NOON)) as journal:
        journal.append(removals(3), Draft("id", "actor", "origin", "reason"), expected=0)
        assert list(journal.changes()) == [
            Change("id", 1, 3, "2024-02-29T12:00:00.000000Z", "actor", "origin", "reason")
        ]
        assert next(journal.changes()).last == 3


def test_a_reason_may_be_missing_or_empty(journal: Journal) -> None:
    journal.append(removals(1), draft("1", None), expected=0)
    journal.append(removals(1), draft("2", ""), expected=1)
    assert [change.reason for change in journal.changes()] == [None, ""]


def test_text_of_a_draft_that_is_no_text_is_kept_readable(journal: Journal) -> None:
    change = journal.append(removals(1), Draft("1", "caf\udce9", "é\0山", "\udc80"), expected=0)
    assert change.actor == "caf\\udce9"
    assert change.origin == "é\0山"
    assert list(journal.read()) == recorded(change, removals(1))
    verify_journal(journal)


@pytest.mark.parametrize(
    ("moment", "written"),
    [
        (NOON, "2024-02-29T12:00:00.000000Z"),
        (NOON.astimezone(timezone(timedelta(hours=5, minutes=45))), "2024-02-29T12:00:00.000000Z"),
        (NOON.replace(microsecond=7), "2024-02-29T12:00:00.000007Z"),
        (NOON.astimezone().replace(tzinfo=None), "2024-02-29T12:00:00.000000Z"),
    ],
    ids=["UTC", "elsewhere", "microseconds", "local, without a zone"],
)
def test_times_are_written_in_utc(store: Store, moment: datetime, written: str) -> None:
    with closing(store.create(clock=lambda: moment)) as journal:
        append(journal, *removals(1))
        assert next(journal.changes()).recorded_at == written


def test_a_clock_that_goes_back_changes_no_order(store: Store) -> None:
    moments = iter([NOON, NOON - timedelta(days=1)])
    with closing(store.create(clock=lambda: next(moments))) as journal:
        append(journal, InstanceRemoved(1))
        append(journal, InstanceRemoved(2))
        assert [each.event for each in journal.read()] == removals(2)


def test_positions_are_contiguous_over_changes_of_any_size(journal: Journal) -> None:
    for size in (1, 5, 2, 1):
        append(journal, *removals(size))
    assert positions(journal.read()) == list(range(1, 10))
    assert [(change.first, change.last) for change in journal.changes()] == [
        (1, 1), (2, 6), (7, 8), (9, 9),
    ]  # fmt: skip
    assert journal.head().position == 9


def test_the_head_has_the_hash_of_the_last_event(journal: Journal) -> None:
    assert journal.position == 0
    append(journal, *removals(3))
    *_, last = journal.stored()
    assert journal.head() == Head(3, last.hash) == verify_journal(journal)


@pytest.mark.parametrize("expected", [-1, 0, 1, 3, 10**9])
def test_an_append_after_another_position_is_a_conflict(journal: Journal, expected: int) -> None:
    append(journal, *removals(2))
    head = journal.head()
    with pytest.raises(ConflictError) as caught:
        journal.append(removals(1), draft("late"), expected=expected)
    assert (caught.value.expected, caught.value.actual) == (expected, 2)
    assert journal.head() == head
    assert len(list(journal.changes())) == 1


def test_a_conflict_leaves_the_journal_of_use(journal: Journal) -> None:
    append(journal, *removals(1))
    with pytest.raises(ConflictError):
        journal.append(removals(1), draft("again"), expected=0)
    journal.append(removals(1), draft("again"), expected=1)
    assert journal.head().position == 2


def test_a_change_of_no_events_is_refused(journal: Journal) -> None:
    with pytest.raises(ValueError, match="at least one event"):
        journal.append([], draft(), expected=0)
    assert list(journal.changes()) == []


@pytest.mark.parametrize("bad", [UNWRITABLE, InstanceRejected(object(), "")])  # type: ignore[arg-type]
def test_an_event_that_can_t_be_written_leaves_nothing(journal: Journal, bad: Event) -> None:
    with pytest.raises((ElementsError, TypeError)):
        journal.append([*removals(2), bad, *removals(2)], draft(), expected=0)
    assert not [*journal.stored(), *journal.changes()]
    append(journal, *removals(1))
    verify_journal(journal)


def test_what_is_appended_again_is_recorded_once(journal: Journal) -> None:
    events = [FileSetCreated("1.2.3"), *removals(2)]
    first = journal.append(events, draft("one", "why"), expected=0)
    again = journal.append(events, draft("one", "why"), expected=0)
    assert again == first == next(journal.changes())
    journal.append(removals(1), draft("two"), expected=3)
    for expected in (0, 3, 4, 99):
        assert journal.append(events, draft("one", "why"), expected=expected) == first
    gathered = journal.gather()
    for event in events:
        gathered.append(event)
    assert journal.append(gathered, draft("one", "why"), expected=0) == first
    assert [change.id for change in journal.changes()] == ["one", "two"]
    assert verify_journal(journal).position == 4


ANOTHER: list[tuple[list[Event], Draft]] = [
    (removals(2, first=2), draft("one", "why")),
    (removals(1), draft("one", "why")),
    (removals(3), draft("one", "why")),
    ([InstanceRemoved(1), FileSetCreated("1.2.3")], draft("one", "why")),
    (removals(2), draft("one")),
    (removals(2), draft("one", "")),
    (removals(2), evolve(draft("one", "why"), actor="someone else")),
]


@pytest.mark.parametrize(("events", "its_draft"), ANOTHER)
@pytest.mark.parametrize("expected", [0, 2, 3])
def test_an_id_of_another_change_is_refused_and_does_no_harm(
    journal: Journal, events: list[Event], its_draft: Draft, expected: int
) -> None:
    journal.append(removals(2), draft("one", "why"), expected=0)
    with pytest.raises(JournalError, match="a change with the id one already") as caught:
        journal.append(events, its_draft, expected=expected)
    assert not isinstance(caught.value, JournalDamagedError | ConflictError)
    journal.append(removals(1), draft("on"), expected=2)
    assert [change.id for change in journal.changes()] == ["one", "on"]
    verify_journal(journal)


def test_what_was_erased_since_is_not_known_to_be_the_same(journal: Journal) -> None:
    journal.append(removals(2), draft("one"), expected=0)
    append(journal, PayloadErased(((2, 2),)))
    with pytest.raises(JournalError, match="a change with the id one already"):
        journal.append(removals(2), draft("one"), expected=0)
    assert verify_journal(journal).position == 3


@pytest.mark.parametrize(
    ("after", "upto", "found"),
    [
        (0, None, [1, 2, 3, 4, 5, 6]),
        (2, None, [3, 4, 5, 6]),
        (0, 2, [1, 2]),
        (3, 4, [4]),
        (4, 4, []),
        (5, 3, []),
        (6, None, []),
        (99, None, []),
        (4, 99, [5, 6]),
        (0, 0, []),
    ],
)
def test_a_window_of_the_journal_is_read(
    journal: Journal, after: int, upto: int | None, found: list[int]
) -> None:
    for _ in range(2):
        append(journal, *removals(3))
    assert positions(journal.read(after, upto)) == found
    assert [each.position for each in journal.stored(after, upto)] == found
    assert {each.change.first for each in journal.read(after, upto)} <= {1, 4}
    assert all(
        each.change.first <= each.position <= each.change.last for each in journal.read(after, upto)
    )


def test_changes_are_read_from_a_position_on(journal: Journal) -> None:
    for _ in range(3):
        append(journal, *removals(2))
    found = {after: [c.first for c in journal.changes(after)] for after in range(7)}
    assert found == {0: [1, 3, 5], 1: [3, 5], 2: [3, 5], 3: [5], 4: [5], 5: [], 6: []}


def test_more_is_read_than_fits_one_batch(journal: Journal) -> None:
    append(journal, *removals(BATCH + 1))
    append(journal, *removals(2 * BATCH))
    append(journal, *removals(3))
    total = 3 * BATCH + 4
    assert positions(journal.read()) == list(range(1, total + 1))
    assert positions(journal.read(BATCH - 1, 2 * BATCH + 1)) == [*range(BATCH, 2 * BATCH + 2)]
    assert verify_journal(journal).position == total


def test_more_changes_are_read_than_fit_one_batch(journal: Journal) -> None:
    for i in range(BATCH + 3):
        journal.append([InstanceRemoved(1)], draft(str(i)), expected=i)
    assert [change.first for change in journal.changes()] == list(range(1, BATCH + 4))


def test_reading_goes_on_while_more_is_appended(journal: Journal) -> None:
    append(journal, *removals(BATCH + 5))
    reading = journal.read()
    assert next(reading).position == 1
    append(journal, *removals(5))
    assert positions(reading) == list(range(2, BATCH + 6))
    assert journal.head().position == BATCH + 10


def test_the_hash_at_a_position_is_that_of_its_event(journal: Journal) -> None:
    append(journal, *removals(3))
    append(journal, *removals(2))
    assert journal.hash_at(2) == next(journal.stored(1, 2)).hash
    found = [journal.hash_at(position) for position in range(6)]
    assert found == [genesis(journal.id), *(each.hash for each in journal.stored())]
    assert journal.head().hash == found[-1]
    assert [journal.hash_at(position) for position in (-1, 6, 10**9)] == [None] * 3


def test_a_journal_is_made_durable_at_any_time(journal: Journal) -> None:
    journal.make_durable()
    append(journal, *removals(2))
    head = journal.head()
    journal.make_durable()
    assert journal.head() == head == verify_journal(journal)


def some_history(journal: Journal) -> list[Stored]:
    """Return what is stored of three changes, the last of which erases events of the first."""
    append(journal, FileSetCreated("1.2.3"), *removals(2))
    append(journal, *removals(BATCH))
    append(journal, PayloadErased(((2, 3),)))
    return list(journal.stored())


def test_a_restored_journal_is_the_one_that_it_was(store: Store) -> None:
    with closing(MemoryJournal()) as true:
        stored = some_history(true)
        with closing(store.restore(true.id, stored)) as journal:
            assert journal.id == true.id
            assert journal.head() == true.head() == verify_journal(journal)
            assert list(journal.stored()) == stored
            assert list(journal.read()) == list(true.read())
            assert list(journal.changes()) == list(true.changes())
            assert journal.find_change(stored[3].change.id) == stored[3].change
            append(journal, *removals(2))
            assert verify_journal(journal).position == len(stored) + 2


@pytest.mark.parametrize("bad", [1, 3, 20, 24])
def test_a_journal_is_not_restored_from_what_is_damaged(store: Store, bad: int) -> None:
    with closing(MemoryJournal()) as true:
        stored = some_history(true)
        stored[bad - 1] = evolve(stored[bad - 1], hash=bytes(32))
        with pytest.raises(JournalDamagedError) as caught:
            store.restore(true.id, stored)
    assert caught.value.position == bad


def test_a_journal_is_not_restored_with_two_changes_of_one_id(store: Store) -> None:
    stored, link = [], genesis("a journal")
    for position, change_id in enumerate(("one", "two", "one"), start=1):
        change = Change(change_id, position, 1, "2024", "someone", "a-host", None)
        payload = codec.encode(InstanceRemoved(1), "")
        digest = hashlib.sha256(payload).digest()
        kind = InstanceRemoved.TYPE, InstanceRemoved.VERSION
        link = chain_hash(link, change_digest(change), position, *kind, digest)
        stored.append(Stored(position, change, *kind, payload, digest, link))
    with pytest.raises(JournalDamagedError) as caught:
        store.restore("a journal", stored)
    assert caught.value.position == 3
    with closing(store.restore("a journal", stored[:2])) as journal:
        assert verify_journal(journal).position == 2


# --- of every journal that lasts -----------------------------------------------------------------


def test_a_journal_is_the_same_when_it_is_opened_again(lasting: Store) -> None:
    with closing(lasting.create()) as journal:
        recorded = append(journal, *removals(3))
        head, journal_id = journal.head(), journal.id
    with closing(lasting.open()) as again:
        assert (again.head(), again.id, list(again.read())) == (head, journal_id, recorded)
        assert append(again, *removals(1))[0].position == 4
        verify_journal(again)


def test_one_connection_sees_what_the_other_appended(lasting: Store) -> None:
    with closing(lasting.create()) as one, closing(lasting.open()) as two:
        for writer, reader in ((one, two), (two, one), (one, two)):
            recorded = append(writer, *removals(2))
            assert reader.head() == writer.head()
            assert list(reader.read(recorded[0].position - 1)) == recorded


def test_a_second_writer_learns_that_it_was_overtaken(lasting: Store) -> None:
    with closing(lasting.create()) as one, closing(lasting.open()) as two:
        expected = two.head().position
        append(one, *removals(2))
        with pytest.raises(ConflictError):
            two.append(removals(1), draft("two"), expected=expected)
        two.append(removals(1), draft("two"), expected=two.head().position)
        assert positions(one.read()) == [1, 2, 3]
        verify_journal(one)


def test_what_another_writer_followed_is_still_recorded_once(lasting: Store) -> None:
    with closing(lasting.create()) as one, closing(lasting.open()) as two:
        first = one.append(removals(2), draft("one"), expected=0)
        append(two, *removals(2))
        assert one.append(removals(2), draft("one"), expected=0) == first
        assert two.append(removals(2), draft("one"), expected=4) == first
        assert verify_journal(one).position == 4


def test_writers_that_race_all_get_their_turn_and_lose_nothing(lasting: Store) -> None:
    lasting.create().close()
    won: list[str] = []

    def write(name: str) -> None:
        with closing(lasting.open()) as journal:
            for i in range(8):
                while True:
                    expected = journal.head().position
                    with suppress(ConflictError):
                        journal.append(removals(2), draft(f"{name}{i}"), expected=expected)
                        won.append(f"{name}{i}")
                        break

    in_threads(*(lambda name=name: write(name) for name in "abc"))
    with closing(lasting.open()) as journal:
        assert sorted(change.id for change in journal.changes()) == sorted(won)
        assert verify_journal(journal).position == 3 * 8 * 2


def test_a_reader_sees_whole_changes_only(lasting: Store) -> None:
    lasting.create().close()
    done = threading.Event()
    seen: set[int] = set()

    def write() -> None:
        with closing(lasting.open()) as journal:
            for _ in range(15):
                append(journal, *removals(300))
        done.set()

    def read() -> None:
        with closing(lasting.open()) as journal:
            writing = True
            while writing:
                writing = not done.is_set()
                *_, last = [None, *journal.read()]
                assert last is None or last.position == last.change.last
                *_, change = [None, *journal.changes()]
                assert change is None or journal.head().position >= change.last
                seen.add(last.position if last else 0)

    in_threads(write, read)
    assert seen <= set(range(0, 15 * 300 + 1, 300))
    assert max(seen) == 15 * 300


def in_threads(*calls: Callable[[], None]) -> None:
    """Run `calls` at once; raise what any of them raised."""
    errors: list[BaseException] = []

    def guarded(call: Callable[[], None]) -> None:
        try:
            call()
        except BaseException as exc:  # noqa: BLE001 - raised again in the test's own thread
            errors.append(exc)

    threads = [threading.Thread(target=guarded, args=(call,), daemon=True) for call in calls]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    if errors:
        raise errors[0]
    assert not any(thread.is_alive() for thread in threads)
