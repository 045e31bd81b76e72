"""Salvage: whatever is done to a database, what is taken of it is what the journal was."""

from __future__ import annotations

import io
import shutil
import sqlite3
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, closing
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from models import Author, programs

from ledger.events import Event, FileSetCreated, InstanceRejected, PayloadErased
from ledger.journal import Draft, Stored, verify_chain
from ledger.journal_lines import write_journal
from ledger.salvage import ExportedJournal, Proof, SalvagedDatabase, prove, roll_back
from ledger.sqlite import SqliteJournal
from projections.state import FileSetState

PAGE = 16384


def rejected(number: int, size: int = 10) -> Event:
    return InstanceRejected(source=f"/in/{number}", reason="no " * size)


def draft(number: int, reason: str | None = "because") -> Draft:
    return Draft(f"change-{number}", "anna", "here", reason)


def fill(journal: SqliteJournal, changes: Sequence[Sequence[Event]]) -> list[Stored]:
    for events in changes:
        position = journal.position
        journal.append(events, draft(position, None if position % 3 else "r"), expected=position)
    return list(journal.stored())


def export(journal: SqliteJournal, path: Path) -> Path:
    out = io.BytesIO()
    write_journal(journal, out.write)
    path.write_bytes(out.getvalue())
    return path


def proof(path: Path, id_: str, exports: Sequence[Path] = ()) -> tuple[Proof, list[Stored]]:
    """Return what `path` and `exports` prove, and the events of it."""
    with ExitStack() as stack:
        witnesses = [stack.enter_context(SalvagedDatabase(path, "database"))] + [
            stack.enter_context(closing(ExportedJournal(each))) for each in exports
        ]
        found = prove(id_, witnesses)
        return found, list(found.events())


def checked(events: Sequence[Stored], id_: str) -> Sequence[Stored]:
    verify_chain(id_, events)
    return events


# --- what is read --------------------------------------------------------------------------------


@pytest.fixture
def journal(tmp_path: Path) -> Iterator[SqliteJournal]:
    """A journal of a hundred events, which fill several pages and overflow some."""
    with closing(SqliteJournal.create(tmp_path / "journal")) as made:
        changes = [[FileSetCreated("1.2.3")]]
        changes += [[rejected(n, 3000 if n % 40 == 7 else 100) for n in range(i, i + 4)]
                    for i in range(0, 100, 4)]  # fmt: skip
        fill(made, changes)
        yield made


def test_all_of_a_whole_database_is_read_without_sqlite(
    journal: SqliteJournal, tmp_path: Path
) -> None:
    found, events = proof(tmp_path / "journal", journal.id)
    assert events == list(journal.stored())
    with SalvagedDatabase(tmp_path / "journal", "") as salvaged:
        assert salvaged.ids == [journal.id]
        assert salvaged.last == found.last == 101


def test_rows_are_read_when_nothing_leads_to_their_pages(
    journal: SqliteJournal, tmp_path: Path
) -> None:
    """The header, the schema and every inner page are gone."""
    path, true = tmp_path / "journal", list(journal.stored())
    data = bytearray(path.read_bytes())
    data[:PAGE] = bytes(PAGE)
    for start in range(0, len(data), PAGE):
        if data[start] == 0x05:
            data[start : start + PAGE] = bytes(PAGE)
    path.write_bytes(data)
    assert proof(path, journal.id)[1] == true


def test_the_proof_ends_before_a_change_that_is_not_whole(
    journal: SqliteJournal, tmp_path: Path
) -> None:
    path, true = tmp_path / "journal", list(journal.stored())
    data = path.read_bytes()
    path.write_bytes(data.replace(b"/in/50", b"/in/5x"))
    found, events = proof(path, journal.id)
    assert events == true[: found.last]
    assert found.last == 49  # the event of /in/50 is at 52, in the change from 50 on
    with SalvagedDatabase(path, "") as salvaged:
        assert salvaged.positions(found.last) == list(range(50, 102))


def test_nothing_is_proven_of_another_journal(journal: SqliteJournal, tmp_path: Path) -> None:
    assert proof(tmp_path / "journal", "0" * 32)[0].last == 0


def test_an_exported_journal_fills_the_gap_and_a_cut_one_does_as_far_as_it_goes(
    journal: SqliteJournal, tmp_path: Path
) -> None:
    path, true = tmp_path / "journal", list(journal.stored())
    exported = export(journal, tmp_path / "j")
    path.write_bytes(path.read_bytes().replace(b"/in/50", b"/in/5x"))
    found, events = proof(path, journal.id, [exported])
    assert events == true
    assert found.sources == {"database": 100, str(exported): 1}
    lines = exported.read_bytes().splitlines(keepends=True)
    exported.write_bytes(b"".join(lines[:60]))
    assert proof(path, journal.id, [exported])[1] == true
    exported.write_bytes(b"".join(lines[:30]))
    with closing(ExportedJournal(exported)) as cut:
        assert not cut.events(60)
        assert "line 31" in str(cut.trouble)
    assert proof(path, journal.id, [exported])[1] == true[:49]


def test_an_export_alone_is_enough(journal: SqliteJournal, tmp_path: Path) -> None:
    exported = export(journal, tmp_path / "j")
    (tmp_path / "empty").touch()
    assert proof(tmp_path / "empty", journal.id, [exported])[1] == list(journal.stored())


def test_of_two_histories_the_longer_one_is_taken_and_the_other_named(
    journal: SqliteJournal, tmp_path: Path
) -> None:
    shutil.copy(tmp_path / "journal", tmp_path / "copy")
    with closing(SqliteJournal(tmp_path / "copy")) as copy:
        fill(copy, [[rejected(1)]])
        exported = export(copy, tmp_path / "j")
    true = fill(journal, [[rejected(2), rejected(3)]])
    found, events = proof(tmp_path / "journal", journal.id, [exported])
    assert events == true
    assert found.forks == {str(exported): 102}


def test_a_log_beside_the_database_is_played_back(journal: SqliteJournal, tmp_path: Path) -> None:
    """A process was killed in a commit: its pages are half in the database."""
    true = list(journal.stored())
    with closing(sqlite3.connect(tmp_path / "journal", isolation_level=None)) as other:
        other.executescript("PRAGMA cache_size = 1; BEGIN; DROP TRIGGER event_no_DELETE;")
        other.execute("DELETE FROM event WHERE position > 20")
        other.execute("PRAGMA cache_spill = 1")
        folder = tmp_path / "killed"
        folder.mkdir()
        for each in tmp_path.glob("journal*"):
            shutil.copy(each, folder)
        other.execute("ROLLBACK")
    assert (folder / "journal-journal").stat().st_size
    roll_back(folder / "journal")
    assert proof(folder / "journal", journal.id)[1] == true


def test_a_write_ahead_log_is_read_though_sqlite_can_t_open_the_database(
    journal: SqliteJournal, tmp_path: Path
) -> None:
    folder = tmp_path / "killed"
    folder.mkdir()
    with closing(sqlite3.connect(tmp_path / "journal")) as other:
        other.execute("PRAGMA journal_mode = WAL")
        true = fill(journal, [[rejected(n)] for n in range(200, 203)])
        for each in tmp_path.glob("journal*"):
            shutil.copy(each, folder)
    assert (folder / "journal-wal").stat().st_size
    path = folder / "journal"
    path.write_bytes(bytes(PAGE) + path.read_bytes()[PAGE:])
    assert proof(path, journal.id)[1] == true
    (folder / "journal-wal").unlink()
    assert proof(path, journal.id)[1] == true[:101]


# --- erasure -------------------------------------------------------------------------------------


@pytest.fixture
def erased(tmp_path: Path) -> tuple[Path, Path, list[Stored], str]:
    """A journal with an erased event, exported before."""
    with closing(SqliteJournal.create(tmp_path / "journal")) as journal:
        fill(journal, [[FileSetCreated("1.2.3")], [rejected(1)], [rejected(2)], [rejected(3)]])
        exported = export(journal, tmp_path / "j")
        true = fill(journal, [[rejected(4)], [PayloadErased(((3, 3),))], [rejected(5)]])
        journal.scrub()
        return tmp_path / "journal", exported, true, journal.id


def test_an_erased_payload_is_not_brought_back_from_an_older_export(
    erased: tuple[Path, Path, list[Stored], str],
) -> None:
    path, exported, true, id_ = erased
    events = proof(path, id_, [exported])[1]
    assert checked(events, id_) == true
    assert not events[2].payload


def test_the_proof_ends_before_an_erased_event_if_what_says_so_is_lost(
    erased: tuple[Path, Path, list[Stored], str],
) -> None:
    path, exported, true, id_ = erased
    data = path.read_bytes()
    path.write_bytes(data.replace(b"/in/4", b"/in/x"))  # before the event that erases
    for exports in ([], [exported]):
        found, events = proof(path, id_, exports)
        assert checked(events, id_) == true[:2]
        assert found.erasures_lost


def test_a_lost_digest_of_an_erased_payload_is_taken_from_an_older_export(
    erased: tuple[Path, Path, list[Stored], str],
) -> None:
    path, exported, true, id_ = erased
    path.write_bytes(path.read_bytes().replace(true[2].digest, bytes(32)))
    assert proof(path, id_)[1] == true[:2]
    events = proof(path, id_, [exported])[1]
    assert checked(events, id_) == true


# --- any damage ----------------------------------------------------------------------------------

Damage = Callable[[bytearray], bytearray]


def flipped(at: float, bit: int) -> Damage:
    def damage(data: bytearray) -> bytearray:
        data[int(at * (len(data) - 1))] ^= 1 << bit
        return data

    return damage


def overwritten(at: float, with_: bytes) -> Damage:
    def damage(data: bytearray) -> bytearray:
        start = int(at * (len(data) - 1))
        data[start : start + len(with_)] = with_[: len(data) - start]
        return data

    return damage


def zeroed(at: float, pages: int) -> Damage:
    def damage(data: bytearray) -> bytearray:
        start = int(at * (len(data) // PAGE)) * PAGE
        end = min(start + pages * PAGE, len(data))
        data[start:end] = bytes(end - start)
        return data

    return damage


def swapped(one: float, two: float) -> Damage:
    def damage(data: bytearray) -> bytearray:
        a, b = (int(each * (len(data) // PAGE - 1)) * PAGE for each in (one, two))
        data[a : a + PAGE], data[b : b + PAGE] = data[b : b + PAGE], data[a : a + PAGE]
        return data

    return damage


def truncated(at: float) -> Damage:
    return lambda data: data[: int(at * len(data))]


shares = st.floats(0, 1, exclude_max=True)
damages: st.SearchStrategy[Damage] = st.one_of(
    st.builds(flipped, shares, st.integers(0, 7)),
    st.builds(overwritten, shares, st.binary(min_size=1, max_size=300)),
    st.builds(zeroed, shares, st.integers(1, 2)),
    st.builds(swapped, shares, shares),
    st.builds(truncated, shares),
)


@settings(max_examples=40)
@given(
    program=programs(12),
    share=st.none() | shares,
    damage=st.lists(damages, min_size=1, max_size=6),
)
def test_of_any_damage_a_beginning_of_the_true_journal_is_proven(
    tmp_path_factory: pytest.TempPathFactory,
    program: list[tuple[object, ...]],
    share: float | None,
    damage: list[Damage],
) -> None:
    folder = tmp_path_factory.mktemp("damage")
    path, exports = folder / "journal", []
    author = Author().run(program)
    with closing(SqliteJournal.create(path)) as journal:
        changes: dict[str, list[Event]] = {}
        for recorded in author.events:
            changes.setdefault(recorded.change.id, []).append(recorded.event)
        exported_at = -1 if share is None else int(share * len(changes))
        exported = 0
        for number, (id_, events) in enumerate(changes.items()):
            position = journal.position
            journal.append(events, Draft(id_, "anna", "here"), expected=position)
            if number == exported_at:
                exports.append(export(journal, folder / "j"))
                exported = journal.position
        true, id_ = list(journal.stored()), journal.id
    data = bytearray(path.read_bytes())
    for each in damage:
        data = each(data) or bytearray(1)
    path.write_bytes(data)
    found, events = proof(path, id_, exports)
    assert checked(events, id_) == true[: found.last]
    assert found.last >= exported
    with closing(SqliteJournal.restore(folder / "new", id_, events)) as new:
        state = FileSetState.fold(new.read())
    assert state.position == found.last
    expected = FileSetState.fold(author.events[: found.last])
    assert list(state.live) == list(expected.live)
    assert state.identity == expected.identity
