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
from ledger.journal.chain import verify_chain
from ledger.journal.entries import Draft, Stored
from ledger.journal.lines import write_journal
from ledger.journal.sqlite import SqliteJournal
from ledger.salvage.proof import Proof, prove
from ledger.salvage.witnesses import ExportedJournal, SalvagedDatabase, last_position, roll_back
from projections.state.fold import fold

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


@pytest.fixture
def fork(journal: SqliteJournal, tmp_path: Path) -> Path:
    """The export of a copy that went another way, and further than the journal will."""
    shutil.copy(tmp_path / "journal", tmp_path / "copy")
    with closing(SqliteJournal(tmp_path / "copy")) as copy:
        fill(copy, [[rejected(n)] for n in range(300, 320)])
        return export(copy, tmp_path / "fork")


def test_of_two_histories_the_database_s_own_is_taken_and_the_other_named(
    journal: SqliteJournal, tmp_path: Path, fork: Path
) -> None:
    true = fill(journal, [[rejected(2), rejected(3)]])
    found, events = proof(tmp_path / "journal", journal.id, [fork])
    assert events == true
    assert found.forks == {str(fork): 102}


def test_another_history_fills_no_gap_where_the_database_goes_on_behind_it(
    journal: SqliteJournal, tmp_path: Path, fork: Path
) -> None:
    path = tmp_path / "journal"
    true = fill(journal, [[rejected(n)] for n in range(400, 406)])
    own = export(journal, tmp_path / "own")
    path.write_bytes(
        path.read_bytes().replace(b"/in/400", b"/in/40x").replace(true[101].hash, b"-" * 32)
    )
    found, events = proof(path, journal.id, [fork])
    assert events == true[:101]
    assert found.forks == {str(fork): 102}
    found, events = proof(path, journal.id, [fork, own])
    assert events == true
    assert found.forks == {str(fork): 102}


def test_an_export_that_goes_on_where_the_database_ends_is_taken(
    journal: SqliteJournal, tmp_path: Path, fork: Path
) -> None:
    found, events = proof(tmp_path / "journal", journal.id, [fork])
    assert len(events) == 121
    assert not found.forks


def varint(number: int) -> bytes:
    parts = [number & 0x7F]
    while number := number >> 7:
        parts.append(number & 0x7F | 0x80)
    return bytes(reversed(parts))


def test_a_crafted_database_takes_no_more_than_its_size_allows(tmp_path: Path) -> None:
    """Half of its pages hold rows that all have the other half as their payload."""
    half, rows_a_page = 20, 40
    length = 2031 + (half - 2) * (PAGE - 4)  # of which 2031 bytes are in the leaf
    types = [b"\0", varint(13 + 2 * 8), b"\x01", varint(12), varint(12 + 2 * 32)]
    for _ in range(2):  # the payload's size depends on that of the header
        content = length - sum(map(len, types)) - 1 - 8 - 1 - 32
        types[3] = varint(12 + 2 * content)
    header = bytes([sum(map(len, types)) + 1]) + b"".join(types)
    pages = [bytearray(PAGE) for _ in range(2 * half)]
    for number in range(1, half):  # the chain of overflow pages, from the second page on
        pages[number][:4] = (number + 2 if number < half - 1 else 0).to_bytes(4, "big")
    for number in range(half, 2 * half):
        page = pages[number]
        page[0], page[3:5] = 0x0D, rows_a_page.to_bytes(2, "big")
        for row in range(rows_a_page):
            start = 4000 + 30 * row
            position = (number * rows_a_page + row) % 50 + 1
            cell = varint(length) + varint(position) + header + b"%04d%04d" % (number, row)
            page[8 + 2 * row : 10 + 2 * row] = start.to_bytes(2, "big")
            page[start : start + len(cell)] = cell
            overflow = start + len(varint(length) + varint(position)) + 2031
            page[overflow : overflow + 4] = (2).to_bytes(4, "big")
    data = b"".join(pages)
    (tmp_path / "crafted").write_bytes(data)
    with SalvagedDatabase(tmp_path / "crafted", "") as crafted:
        sizes = [len(row.payload) for at in range(1, 51) for row in crafted.events(at)]
    assert sizes
    assert sum(sizes) < 20 * len(data)


def test_an_overflow_chain_that_is_a_ring_is_no_row(journal: SqliteJournal, tmp_path: Path) -> None:
    path = tmp_path / "journal"
    true = fill(journal, [[rejected(999, 20000)]])
    data = bytearray(path.read_bytes())
    assert proof(path, journal.id)[1] == true
    rings = 0
    for start in range(PAGE, len(data), PAGE):
        if data[start : start + 3] == b"\0\0\0" and b"no no no" in data[start : start + PAGE]:
            data[start : start + 4] = (start // PAGE + 1).to_bytes(4, "big")
            rings += 1
    assert rings
    path.write_bytes(data)
    assert proof(path, journal.id)[1] == true[:-1]


def test_an_export_that_skips_a_position_is_read_up_to_there(
    journal: SqliteJournal, tmp_path: Path
) -> None:
    exported = export(journal, tmp_path / "j")
    lines = exported.read_bytes().splitlines(keepends=True)
    exported.write_bytes(b"".join(lines[:20] + lines[30:]))
    with closing(ExportedJournal(exported)) as cut:
        assert not cut.events(25)
        assert cut.last == 19
        assert "no position 20" in str(cut.trouble)


def test_where_a_journal_ends_is_told_as_long_as_its_pages_are_there(
    journal: SqliteJournal, tmp_path: Path
) -> None:
    path = tmp_path / "journal"
    assert last_position(path) == journal.position
    path.write_bytes(path.read_bytes()[:-PAGE])
    assert last_position(path) is None


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


@pytest.mark.parametrize("evidence", ["the empty payload", "the row", "the tombstone", "all"])
def test_whatever_tells_of_an_erasure_is_enough(
    erased: tuple[Path, Path, list[Stored], str], evidence: str
) -> None:
    path, exported, true, id_ = erased
    data = path.read_bytes().replace(b"/in/4", b"/in/x")  # so that the tombstone is not proven
    if evidence == "the row":
        for each in true[2:]:
            data = data.replace(each.hash, bytes(32))
    if evidence != "all":
        keep = {"the empty payload": "event", "the row": "erased", "the tombstone": "tombstone"}
        data = without(data, path, keep[evidence], true)
    path.write_bytes(data)
    found, events = proof(path, id_, [exported])
    assert checked(events, id_) == true[:2]
    assert found.erasures_lost


def without(data: bytes, path: Path, keep: str, true: list[Stored]) -> bytes:
    """Return the database without evidence of the erasure at 3, but for one kind of it."""
    path.write_bytes(data)
    with closing(sqlite3.connect(path, isolation_level=None)) as db:
        names = db.execute("SELECT name FROM sqlite_schema WHERE type = 'trigger'").fetchall()
        for (name,) in names:
            db.execute(f"DROP TRIGGER {name}")
        if keep != "event":
            db.execute("DELETE FROM event WHERE position = 3")
        if keep != "erased":
            db.execute("DELETE FROM erased")
        if keep != "tombstone":
            db.execute("DELETE FROM event WHERE type = 'payload-erased'")
        db.execute("VACUUM")
    return path.read_bytes()


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
    program=programs(12), share=st.none() | shares, damage=st.lists(damages, min_size=1, max_size=6)
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
        state = fold(new.read())
    assert state.position == found.last
    expected = fold(author.events[: found.last])
    assert list(state.live) == list(expected.live)
    assert state.identity == expected.identity
