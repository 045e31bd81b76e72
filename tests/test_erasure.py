"""Erasing a person's data: nothing of it is left, all else is; a kill at any point is mended."""

from __future__ import annotations

import errno
import os
import shutil
import sqlite3
import warnings
from collections.abc import Callable, Iterator
from contextlib import closing, suppress
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from cli_runs import Cli, run
from pydicom import Dataset, dcmread, examples

from fileset import FileSet
from fileset.erasure import Eraser, Erasure
from fileset.errors import (
    NoSuchInstanceError,
    NothingToUndoError,
    RefusedError,
    StillThereError,
)
from fileset.repository import Repository
from fileset.verification import FindingKind, verify
from ledger.errors import ContentMissingError, LedgerError
from ledger.events import Erased, ErasureCompleted, InstanceAdded, PayloadErased
from ledger.journal import verify_journal
from ledger.sqlite import SqliteJournal

NAME, ID = "Ersilia^Quux", "ERASE-4711"
UID = "1.2.826.0.1.3680043.8.498.4711"
PIXELS = b"the pixels of the one who goes. "
SECRETS = [
    b"ersilia", b"quux", ID.lower().encode(), UID.encode(), PIXELS, b"/hers/", b"notes.dcm"
]  # fmt: skip
REASON = "request 2026-17"


def instance(path: Path, number: int, *, hers: bool, uid: str | None = None) -> Path:
    """Save a small instance as `path`: hers, or another patient's."""
    ds: Dataset = dcmread(examples.get_path("ct"))
    ds.PatientName, ds.PatientID = (NAME, ID) if hers else ("Stay^Anne", "STAYS")
    root = UID if hers else "1.2.3"
    ds.StudyInstanceUID, ds.SeriesInstanceUID = f"{root}.1", f"{root}.2"
    ds.SOPInstanceUID = uid or f"{root}.3.{number}"
    ds.file_meta.MediaStorageSOPInstanceUID = ds.SOPInstanceUID
    ds.InstanceNumber = number
    ds.Rows = ds.Columns = 32
    ds.PixelData = (PIXELS if hers else b"others' pixels, which do stay.. ") * 64
    path.parent.mkdir(parents=True, exist_ok=True)
    ds.save_as(path)
    return path


@pytest.fixture
def files(tmp_path: Path) -> Path:
    """A folder of files: `hers` with one that is none, and `theirs`."""
    for number in range(3):
        instance(tmp_path / "in" / "hers" / f"{number}", number, hers=True)
        instance(tmp_path / "in" / "theirs" / f"{number}", number, hers=False)
    (tmp_path / "in" / "hers" / "notes.dcm").write_bytes(b"\0" * 128 + b"DICM not hers to see")
    return tmp_path / "in"


@pytest.fixture
def path(tmp_path: Path, files: Path) -> Path:
    """A repository that has had all there is to a person: added, written, in conflict, removed."""
    path = tmp_path / "archive"
    with FileSet(repository=path) as fs, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        fs.add_many(files, reason="all of them")
        fs.add(instance(files / "hers" / "conflict", 9, hers=True, uid=f"{UID}.3.0"))
        fs.write(tmp_path / "medium")
        fs.copy(tmp_path / "copy")
        fs.remove(fs.find(PatientID=ID))
        fs.write()
    return path


def traces(folder: Path) -> list[str]:
    """Return what in the files of a folder tells of the person, in whatever case."""
    found = []
    for file in sorted(path for path in folder.rglob("*") if path.is_file()):
        data = file.read_bytes().lower()
        found += [f"{file.name}: {secret!r}" for secret in SECRETS if secret.lower() in data]
    return found


def erase(path: Path, **options: Any) -> Erasure:
    with FileSet.open(path) as fs:
        return fs.erase(PatientID=ID, reason=REASON, **options)


def digests(path: Path) -> set[str]:
    with closing(Repository.open(path)) as repository:
        return {content.digest for content in repository.vault.contents()}


def findings(path: Path) -> list[FindingKind]:
    with closing(Repository.open(path)) as repository:
        return [finding.kind for finding in verify(repository)]


def others_are_whole(path: Path, files: Path) -> None:
    with FileSet.open(path) as fs:
        leaves = {leaf.uid: leaf for leaf in fs.state.live.values()}
        assert leaves.keys() == {f"1.2.3.3.{number}" for number in range(3)}
        for number in range(3):
            data = (files / "theirs" / f"{number}").read_bytes()
            assert fs.contents.read(leaves[f"1.2.3.3.{number}"]) == data


# --- what is gone and what is left ---------------------------------------------------------------


def test_nothing_of_the_person_is_left_in_the_repository(path: Path, files: Path) -> None:
    assert len({trace.split(": ")[1] for trace in traces(path)}) == len(SECRETS)
    done = erase(path)

    assert traces(path) == []
    assert (done.instances, done.present, done.records) == (3, 0, 0)
    assert done.rejected == (str(files / "hers" / "notes.dcm"),)
    assert done.excess.entries == 3
    assert len(digests(path)) == 3
    assert findings(path) == []
    others_are_whole(path, files)


def test_it_is_told_who_has_the_data_still(path: Path, tmp_path: Path) -> None:
    assert erase(path).media == (str(tmp_path / "copy"),)
    assert traces(tmp_path / "medium") == []


def test_the_journal_tells_who_why_and_which_and_keeps_its_hashes(path: Path) -> None:
    with closing(Repository.open(path)) as repository:
        before = [(s.position, s.type, s.digest, s.hash) for s in repository.journal.stored()]
    done = erase(path)
    with closing(Repository.open(path)) as repository:
        after = [(s.position, s.type, s.digest, s.hash) for s in repository.journal.stored()]
        assert after[: len(before)] == before
        verify_journal(repository.journal)
        change = repository.find_change(done.change or "")
        assert (change.reason, change.actor) == (REASON, repository.changes()[0].actor)
        events = {r.position: r.event for r in repository.journal.read()}
    (stone,) = (event for event in events.values() if isinstance(event, PayloadErased))
    gone = {position for position, event in events.items() if isinstance(event, Erased)}
    assert set(stone.each()) == gone
    assert len(gone) == done.events
    assert isinstance(events[max(events)], ErasureCompleted)


def test_a_dry_run_says_the_same_and_changes_nothing(path: Path) -> None:
    before = {file: file.read_bytes() for file in path.rglob("*") if file.is_file()}
    with FileSet.open(path) as fs:
        told = fs.erase(PatientID=ID, reason="", dry_run=True)
    after = {file: file.read_bytes() for file in path.rglob("*") if file.is_file()}
    assert {f: d for f, d in after.items() if f.suffix != ".json"} == {
        f: d for f, d in before.items() if f.suffix != ".json"
    }
    done = erase(path)
    assert told.change is None
    assert (told.instances, told.events, told.rejected, told.media, told.excess) == (
        done.instances, done.events, done.rejected, done.media, done.excess
    )  # fmt: skip


def test_undo_brings_nothing_back_and_says_why(path: Path) -> None:
    erase(path)
    with FileSet.open(path) as fs:
        fs.undo()  # of all of them, what is left are the others
        assert len(fs) == 0
        with pytest.raises(NothingToUndoError, match="erased data stays erased"):
            fs.undo()
        fs.redo()
        assert len(fs) == 3
        removal = next(e for e in fs.history if "InstanceRemoved" in repr(e.events))
        with pytest.raises(RefusedError, match=r"not in force|erased|undone"):
            fs.revert(removal)


def test_a_state_of_before_is_without_it_and_says_so(path: Path, tmp_path: Path) -> None:
    with FileSet.open(path) as fs:
        position = fs.history[1].position
        assert len(fs.at(position)) == 6
    erase(path)
    with FileSet.open(path) as fs:
        then = fs.at(position)
        assert (len(then), then.erased) == (3, 3)
        assert "Erased since: 3" in str(then)
        assert "Erased" not in str(fs)
        then.copy(tmp_path / "past")
    assert traces(tmp_path / "past") == []
    assert "3 instances, 3 more erased since" in Cli(path)("tree", "--at", position).out


def test_views_from_before_say_that_it_is_gone(path: Path, files: Path) -> None:
    with FileSet.open(path) as fs:
        fs.add_many(files / "hers", complete=False)
        (one, *_) = fs.find(PatientID=ID)
        extracted = Path(one.path)
        leaf = fs.state.leaf(one.handle)
        assert extracted.exists()
        fs.erase(PatientID=ID, reason=REASON, take_off=True)
        assert not extracted.exists()
        with pytest.raises(NoSuchInstanceError, match="erased"):
            _ = one.SOPInstanceUID
        with pytest.raises(ContentMissingError, match="erased"):
            fs.contents.read(leaf)


def test_a_file_set_without_a_folder_forgets_as_well(files: Path, tmp_path: Path) -> None:
    fs = FileSet()
    fs.add_many(files)
    fs.erase(PatientID=ID, reason=REASON, take_off=True)

    assert len(fs) == 3
    assert fs.verify() == []
    events = [r.event for r in fs.repository.journal.read()]
    assert NAME not in repr(events)
    assert not any(PIXELS in fs.contents.read(leaf) for leaf in fs.state.live.values())
    fs.write(tmp_path / "medium")
    assert traces(tmp_path / "medium") == []


def test_one_instance_goes_and_what_others_stand_under_stays(path: Path, files: Path) -> None:
    with FileSet.open(path) as fs:
        fs.undo()
        fs.erase(SOPInstanceUID=f"{UID}.3.0", reason=REASON, take_off=True)
        hers = fs.find(PatientID=ID)
        assert [str(each.SOPInstanceUID) for each in hers] == [f"{UID}.3.1", f"{UID}.3.2"]
        assert str(hers[0].PatientName) == NAME
        assert fs.verify() == []
    assert Cli(path).uids() == {f"{UID}.3.1", f"{UID}.3.2", *(f"1.2.3.3.{n}" for n in range(3))}
    assert erase(path, take_off=True).instances == 2
    assert traces(path) == []
    assert findings(path) == []
    others_are_whole(path, files)


def test_what_was_adopted_goes_from_the_medium_too(tmp_path: Path, files: Path) -> None:
    made = FileSet()
    made.add_many(files)
    made.write(tmp_path / "medium")
    path = tmp_path / "archive"
    with FileSet(tmp_path / "medium" / "DICOMDIR", repository=path):
        pass
    with pytest.raises(StillThereError, match=r"\(3\) and on the medium at .*medium \(3\)"):
        erase(path)
    assert erase(path, take_off=True).media == ()
    for folder in (path, tmp_path / "medium"):
        assert traces(folder) == []
    assert findings(path) == []
    with FileSet.open(path) as fs:
        assert fs.at(1).verify() == []
        assert len(fs) == 3


def test_content_that_is_also_another_event_s_stays(path: Path, files: Path) -> None:
    """The same bytes were added twice; one addition is erased by itself only with the other."""
    with FileSet.open(path) as fs:
        fs.add_many(files / "hers")
        assert len([h for h in fs.state.hierarchy.leaves.values() if h.uid == f"{UID}.3.0"]) == 2
    assert erase(path, take_off=True).instances == 6
    assert traces(path) == []


# --- what is refused -----------------------------------------------------------------------------


def test_what_is_part_of_the_file_set_is_refused_unless_it_is_to_be_taken_off(
    path: Path, files: Path, tmp_path: Path
) -> None:
    with FileSet.open(path) as fs:
        fs.add_many(files / "hers")
        position = fs.repository.journal.position
    with pytest.raises(StillThereError, match=r"part of the File-set \(3\)\. With --take-off"):
        erase(path)
    with FileSet.open(path) as fs:
        assert fs.repository.journal.position == position
        fs.write()
    with pytest.raises(StillThereError, match=r"and on the medium at .*medium \(3\)"):
        erase(path)
    done = erase(path, take_off=True)
    assert done.present == 3
    assert traces(path) == traces(tmp_path / "medium") == []
    others_are_whole(path, files)
    assert findings(path) == []


def test_nothing_else_is_written_on_the_way(path: Path, files: Path) -> None:
    with FileSet.open(path) as fs:
        fs.undo()
        fs.write()
        fs.ID = "OTHER"
        with pytest.raises(RefusedError, match="other changes are staged"):
            fs.erase(PatientID=ID, reason=REASON, take_off=True)
        assert len(fs.find(PatientID=ID)) == 3


def test_a_medium_that_is_not_there_is_named(path: Path, tmp_path: Path) -> None:
    with FileSet.open(path) as fs:
        fs.undo()
        fs.write()
    (tmp_path / "medium").rename(tmp_path / "elsewhere")
    with pytest.raises(LedgerError, match=str(tmp_path / "medium")):
        erase(path, take_off=True)
    with pytest.raises(StillThereError, match=str(tmp_path / "medium")):
        erase(path)
    assert findings(path) != []
    (tmp_path / "elsewhere").rename(tmp_path / "medium")
    erase(path, take_off=True)
    assert traces(path) == traces(tmp_path / "medium") == []


@pytest.mark.parametrize("reason", [f"erase {ID.lower()}", "Frau Quux, Ersilia", f"see {UID}.3.1"])
def test_a_reason_that_tells_who_it_is_is_refused(path: Path, reason: str) -> None:
    with FileSet.open(path) as fs, pytest.raises(RefusedError, match="stays in the journal"):
        fs.erase(PatientID=ID, reason=reason)


@pytest.mark.parametrize(
    "query", [{}, {"PatientID": " "}, {"PatientName": NAME}, {"Modality": "CT"}]
)
def test_only_what_tells_whose_it_is_names_data(path: Path, query: dict[str, Any]) -> None:
    with FileSet.open(path) as fs, pytest.raises(ValueError, match=r"Name whose|and not by"):
        fs.erase(reason=REASON, **query)


def test_erasing_is_no_part_of_another_change(path: Path) -> None:
    with FileSet.open(path) as fs, fs.change(), pytest.raises(RefusedError, match="part of"):
        fs.erase(PatientID=ID, reason=REASON)


def test_what_cannot_be_erased_is_named(path: Path) -> None:
    with FileSet.open(path) as fs:
        with fs.change(reason="as Mrs Quux (Ersilia) asked"):
            fs.ID = "QUUX_ERSILIA"
        done = fs.erase(PatientID=ID, reason=REASON)
        assert [(m.position, m.what) for m in done.mentions] == [
            (fs.history[-3].position, "reason"),
            (fs.history[-3].position, "file-set-id-changed"),
        ]


def test_what_is_kept_beside_the_journal_goes(
    path: Path, files: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("fileset.caches._SNAPSHOT_EVERY", 1)
    with FileSet.open(path) as fs:
        fs.ID = "NEW"
    cache = path / "cache"
    assert traces(cache) != []
    shutil.copy(cache / "snapshot.json", cache / ".snapshot.json.left")  # by a killed process
    (cache / "of-another-version").mkdir()
    shutil.copy(cache / "snapshot.json", cache / "of-another-version" / "x")

    erase(path)
    assert traces(path) == []
    others_are_whole(path, files)


def test_what_the_database_has_in_its_free_space_goes(path: Path) -> None:
    with closing(sqlite3.connect(path / "journal.sqlite")) as database:
        database.execute("PRAGMA secure_delete = OFF")
        with database:
            database.execute("CREATE TABLE passing AS SELECT payload FROM event")
        with database:
            database.execute("DROP TABLE passing")
    erase(path)
    assert traces(path) == []


def test_another_process_that_knows_a_state_of_before_keeps_nothing_of_it(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("fileset.caches._SNAPSHOT_EVERY", 1)
    with closing(Repository.open(path)) as other:
        assert ID in repr([b.record for b in other.state.hierarchy.branches.values()])
        other._loaded_position = 0  # it would keep a summary
        erase(path)
    assert traces(path) == []


def test_a_reader_in_another_process_reads_on(path: Path, files: Path) -> None:
    with closing(Repository.open(path)) as reader:
        leaves = list(reader.state.live.values())
        assert leaves[0].content is not None
        reader.vault.read(leaves[0].content.digest)
        erase(path)
        for leaf in leaves:
            assert leaf.content is not None
            data = reader.vault.read(leaf.content.digest)
            assert data == (files / "theirs" / leaf.uid[-1]).read_bytes()
        assert not reader.refresh().ghosts
        assert len(reader.state.hierarchy.leaves) == 3


# --- the database --------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE event SET payload = x'' WHERE position = {other}",
        "UPDATE event SET payload = x'7b7d' WHERE position = {gone}",
        "UPDATE event SET payload = x'', type = 'x' WHERE position = {gone}",
        "UPDATE event SET hash = x'' WHERE position = {gone}",
        "INSERT INTO erased VALUES ({other}, x'')",
        "INSERT OR REPLACE INTO erased VALUES ({gone}, x'')",
        "UPDATE erased SET digest = x''",
        "DELETE FROM erased",
    ],
)
def test_the_database_lets_nothing_go_that_no_event_says_is_erased(
    path: Path, statement: str
) -> None:
    erase(path)
    with closing(SqliteJournal(path / "journal.sqlite")) as journal:
        events = list(journal.read())
    gone = next(r.position for r in events if isinstance(r.event, Erased))
    other = next(r.position for r in events if isinstance(r.event, InstanceAdded))
    with closing(sqlite3.connect(path / "journal.sqlite")) as database:
        before = list(database.iterdump())
        with pytest.raises(sqlite3.IntegrityError):
            database.execute(statement.format(gone=gone, other=other))
        assert list(database.iterdump()) == before


def test_a_payload_that_went_without_a_word_is_found(path: Path) -> None:
    with closing(sqlite3.connect(path / "journal.sqlite")) as database, database:
        database.execute("DROP TRIGGER event_no_UPDATE")
        database.execute("UPDATE event SET payload = x'' WHERE position = 2")
    assert findings(path)[0] is FindingKind.JOURNAL


# --- stopped on the way --------------------------------------------------------------------------

OPERATIONS = ("pwrite", "fsync", "unlink", "rename", "replace", "truncate", "ftruncate", "chmod")


def stop_at(
    nth: int, stop: Callable[[], None], patch: pytest.MonkeyPatch, *, statements: bool = True
) -> Callable[[], int]:
    """Have the `nth` operation on files, or `statements` to the journal, call `stop` before it."""
    count = 0

    def step(*_: object) -> None:
        nonlocal count
        count += 1
        if count == nth:
            stop()

    def counted(call: Callable[..., object]) -> Callable[..., object]:
        def wrapper(*args: object, **options: object) -> object:
            step()
            return call(*args, **options)

        return wrapper

    for name in OPERATIONS:
        patch.setattr(os, name, counted(getattr(os, name)))
    opened = SqliteJournal.__init__

    def traced(self: SqliteJournal, *args: Any, **options: Any) -> None:
        opened(self, *args, **options)
        self._connection.set_trace_callback(step)
        self._connection.set_progress_handler(step, 2000)

    if statements:
        patch.setattr(SqliteJournal, "__init__", traced)
    return lambda: count


def killed_at(nth: int, act: Callable[[], object]) -> bool:
    """Do it in a child that is killed at its `nth` step; return whether it came to the end."""
    child = os.fork()
    if child == 0:
        with suppress(BaseException), pytest.MonkeyPatch.context() as patch:
            stop_at(nth, lambda: os._exit(9), patch)
            act()
            os._exit(0)
        os._exit(1)
    _, status = os.waitpid(child, 0)
    code = os.waitstatus_to_exitcode(status)
    assert code in (0, 9)
    return code == 0


def steps(upto: int) -> Iterator[int]:
    yield from range(1, 25)
    yield from range(25, upto, 7)


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
def test_killed_at_any_point_it_is_completed_by_doing_it_again(
    path: Path, files: Path, tmp_path: Path
) -> None:
    claimed = interrupted = 0
    for nth in steps(5000):
        copy = tmp_path / "killed"
        shutil.copytree(path, copy, symlinks=True)
        whole = killed_at(nth, partial(erase, copy))
        there = findings(copy)
        assert set(there) <= {FindingKind.ERASURE_INTERRUPTED}
        others_are_whole(copy, files)
        with closing(Repository.open(copy)) as repository:
            state = repository.state
            if state.erasures and state.erasing is None:  # it says that it is done
                claimed += 1
                assert traces(copy) == []
            interrupted += state.erasing is not None
        erase(copy)
        assert traces(copy) == [], nth
        assert findings(copy) == []
        others_are_whole(copy, files)
        shutil.rmtree(copy)
        if whole:
            break
    assert whole
    assert claimed
    assert interrupted


def test_failing_at_any_point_it_is_completed_by_doing_it_again(
    path: Path, files: Path, tmp_path: Path
) -> None:
    def fail() -> None:
        raise OSError(errno.EIO, "Input/output error")

    for nth in range(1, 200):
        copy = tmp_path / "failed"
        shutil.copytree(path, copy)
        failed = True
        with pytest.MonkeyPatch.context() as patch:
            steps_done = stop_at(nth, fail, patch, statements=False)
            try:
                erase(copy)
                failed = False
            except (LedgerError, OSError):
                pass
        assert set(findings(copy)) <= {FindingKind.ERASURE_INTERRUPTED}
        others_are_whole(copy, files)
        erase(copy)
        assert traces(copy) == [], nth
        assert findings(copy) == []
        shutil.rmtree(copy)
        if not failed and steps_done() < nth:
            break
    else:
        pytest.fail("it never came to an end")


def test_an_interrupted_one_is_told_and_completed_by_itself(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    cli = Cli(path)
    with monkeypatch.context() as patch:
        patch.setattr(Eraser, "_purge", lambda _: (_ for _ in ()).throw(KeyboardInterrupt))
        with pytest.raises(KeyboardInterrupt):
            erase(path)
    assert "--complete` completes it" in cli("verify", code=1).out
    assert "completed" in cli("erase", "--complete").out or traces(path) == []
    assert traces(path) == []
    assert "No erasure was interrupted" in cli("erase", "--complete").out
    assert "all is well" in cli("verify").out


# --- the command ---------------------------------------------------------------------------------


def test_the_command_tells_what_it_erased(path: Path, tmp_path: Path) -> None:
    cli = Cli(path)
    told = cli("erase", f"PatientID={ID}", "--dry-run")
    assert "Would erase 3 instances, with what" in told.out
    done = cli("erase", f"PatientID={ID}", "--reason", REASON)
    assert "Erased 3 instances, with what" in done.out
    assert f"{tmp_path / 'copy'} was written with them" in done.err
    again = cli("erase", f"PatientID={ID}", "--reason", REASON, code=1)
    assert "No instance matches." in again.err
    log = cli("log", "--events").out
    assert "erased: instance-added" in log
    assert "erased since" in log
    assert traces(path) == []
    document = cli.json("log", "--events")
    payloads = [e["payload"] for c in document["changes"] for e in c["events"]]
    assert None in payloads
    for change in document["changes"]:
        cli("show", change["id"], "--json")
        cli("show", change["id"])
    cli("diff", 1)
    cli("diff", 2, 9)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--reason", "x"], "Name whose data"),
        (["PatientID=", "--reason", "x"], "Name whose data"),
        (["PatientID=X"], "needs a --reason"),
        (["Modality=CT", "--reason", "x"], "whose data it is"),
        (["PatientID=X", "--complete"], "takes no KEYWORD"),
    ],
)
def test_the_command_says_what_makes_no_sense(
    path: Path, arguments: list[str], message: str
) -> None:
    assert message in run("--repo", path, "erase", *arguments, code=2).err


def test_an_exported_journal_comes_back_with_what_is_erased(path: Path, tmp_path: Path) -> None:
    erase(path)
    exported = tmp_path / "journal.jsonl"
    Cli(path)("export-journal", exported)
    assert traces(tmp_path / "archive") == []
    with closing(SqliteJournal(path / "journal.sqlite")) as journal:
        again = SqliteJournal.restore(tmp_path / "again.sqlite", journal.id, journal.stored())
        with closing(again):
            assert list(again.read()) == list(journal.read())
            assert again.head() == journal.head()


def test_what_a_view_of_the_past_extracted_goes_as_well(tmp_path: Path) -> None:
    fs = FileSet(repository=tmp_path / "repository")
    fs.add(examples.get_path("ct"))
    views = [fs, fs.at(2), FileSet.open(tmp_path / "repository")]
    paths = [Path(next(iter(view)).path) for view in views]
    assert all(path.exists() for path in paths)
    fs.erase(PatientID="1CT1", reason="asked to", take_off=True)
    assert not any(path.exists() for path in paths)


def test_a_view_held_over_an_erasure_says_that_it_is_out_of_date(tmp_path: Path) -> None:
    fs = FileSet(repository=tmp_path / "repository")
    fs.add(examples.get_path("ct"))
    view = fs.at(2)
    fs.erase(PatientID="1CT1", reason="asked to", take_off=True)
    with pytest.raises(ContentMissingError, match="was erased"):
        view.copy(tmp_path / "copy")
