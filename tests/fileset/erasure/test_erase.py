"""Erasing a person's data: nothing of it is left, all else is; a kill at any point is mended."""

from __future__ import annotations

import errno
import itertools
import os
import shutil
import sqlite3
import warnings
from contextlib import closing
from functools import partial
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from cli_runs import Cli
from erasing import (
    ID,
    NAME,
    PIXELS,
    REASON,
    SECRETS,
    UID,
    erase,
    files_in,
    instance,
    repository_of,
    traces,
)
from no_room import CAUSES, deflated, no_room
from pydicom import examples
from stopping import SOME_POINTS, killed_at, stop_at

from fileset import FileSet
from fileset.checking.findings import RepositoryFindingKind
from fileset.checking.repository import verify
from fileset.erasure.erase import Eraser
from fileset.erasure.mentions import Mention
from fileset.errors import NoSuchInstanceError, NothingToUndoError, RefusedError, StillThereError
from fileset.quarantine.quarantine import Quarantine
from fileset.repository.repository import Repository
from ledger.digest import digest_of
from ledger.errors import ContentMissingError, LedgerError, TemporaryFolderError, VaultError
from ledger.events import (
    Erased,
    ErasureCompleted,
    Event,
    InstanceAdded,
    InstanceRejected,
    PatientNameNoted,
    PayloadErased,
    RecordRef,
)
from ledger.journal.chain import verify_journal
from ledger.journal.sqlite import SqliteJournal
from ledger.vault.vault import PackVault
from projections.state.fold import fold


@pytest.fixture
def files(tmp_path: Path) -> Path:
    return files_in(tmp_path)


@pytest.fixture
def path(files: Path) -> Path:
    return repository_of(files)


def digests(path: Path) -> set[str]:
    with closing(Repository.open(path)) as repository:
        return {content.digest for content in repository.vault.contents()}


def findings(path: Path) -> list[RepositoryFindingKind]:
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
    with pytest.raises(
        StillThereError, match=r"part of the File-set \(3\)\. With --take-off \(take_off=True\)"
    ):
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
        at = fs.history[-3].position
        assert list(done.mentions) == [
            Mention(at, "reason", "as Mrs Quux (Ersilia) asked"),
            Mention(at, "file-set-id-changed", "QUUX_ERSILIA"),
        ]


@pytest.mark.parametrize(
    "name",
    [
        "ERASE_4711_cut", "xquuxersilia01", "Ersilia-Quux", "scanerase4711b", "%51uux%5eersilia",
        f"{UID}.3.1", f"ct_{UID}.3.1".replace(".", "_"),
    ],
)  # fmt: skip
def test_a_rejected_file_goes_whose_path_tells_in_whatever_form(
    path: Path, tmp_path: Path, name: str
) -> None:
    broken = tmp_path / "elsewhere" / f"{name}.dcm"
    broken.parent.mkdir()
    broken.write_bytes(b"no DICOM")
    (tmp_path / "elsewhere" / "theirs.dcm").write_bytes(b"no DICOM")
    with FileSet.open(path) as fs, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        fs.add_many(tmp_path / "elsewhere")
        done = fs.erase(PatientID=ID, reason=REASON)
        assert done.rejected == (str(tmp_path / "in" / "hers" / "notes.dcm"), str(broken))
        left = [event.source for event in events_of(fs) if isinstance(event, InstanceRejected)]
        assert left == [str(tmp_path / "elsewhere" / "theirs.dcm")]


def events_of(fs: FileSet) -> list[Event]:
    return [recorded.event for recorded in fs.repository.journal.read()]


def test_part_of_a_name_is_told_with_its_place_and_stays(path: Path, tmp_path: Path) -> None:
    (tmp_path / "quux-scans").mkdir()
    (tmp_path / "quux-scans" / "x.dcm").write_bytes(b"no DICOM")
    with FileSet.open(path) as fs, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        fs.add_many(tmp_path / "quux-scans")
        position = fs.repository.journal.position
        (found,) = fs.erase(PatientID=ID, reason=REASON).mentions
    assert found == Mention(
        position, "instance-rejected", str(tmp_path / "quux-scans" / "x.dcm"), certain=False
    )


def test_tags_that_name_the_person_are_deleted_and_forgotten(path: Path) -> None:
    cli = Cli(path)
    cli("tag", "for-quux.ersilia", 2)
    cli("tag", "for-quux.ersilia", 3, "--move")
    cli("tag", "erase4711", 2)
    cli("tag", "erase4711", "--delete")
    cli("tag", "release", 2)
    told = cli.json("erase", f"PatientID={ID}", "--dry-run")
    done = cli.json("erase", f"PatientID={ID}", "--reason", REASON)
    assert done["tags"] == told["tags"] == ["for-quux.ersilia"]
    assert done["mentions"] == []
    assert traces(path) == []
    assert findings(path) == []
    with closing(Repository.open(path)) as repository:
        assert repository.state.tags == {"release": 2}
        assert fold(repository.journal.read()).tags == {"release": 2}


def test_a_person_can_be_erased_of_whom_only_rejected_files_are_known(tmp_path: Path) -> None:
    (tmp_path / ID).mkdir()
    (tmp_path / ID / "x").write_bytes(b"no DICOM")
    with FileSet(repository=tmp_path / "archive") as fs, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        fs.add_many(tmp_path / ID)
    done = erase(tmp_path / "archive")
    assert (done.instances, len(done.rejected)) == (0, 1)
    assert traces(tmp_path / "archive") == []


def test_the_name_that_others_told_for_the_same_patient_id_goes_too(tmp_path: Path) -> None:
    """Up to version 0.1, an instance of another person was noted with both names."""
    path = tmp_path / "archive"
    with FileSet(repository=path) as fs:
        fs.add(instance(tmp_path / "a", 1, hers=True))
        other = fs.add(instance(tmp_path / "b", 1, hers=False))
        with fs.repository.change():
            fs.repository.emit(
                PatientNameNoted(other.handle, RecordRef(2, 0), "Stay^Anne", "Ersilia^Quux")
            )
    assert erase(path, take_off=True).events == 2
    assert traces(path) == []


def test_files_of_others_in_the_folder_of_the_repository_are_named(path: Path) -> None:
    exported, note = path / "journal.jsonl", path / "vault" / "ersilia quux.txt"
    Cli(path)("export-journal", path.parent / "journal.jsonl")
    shutil.move(path.parent / "journal.jsonl", exported)
    note.write_text("x")
    (path / "notes.txt").write_text("of somebody else")
    done = erase(path)
    assert [(m.position, m.text) for m in done.mentions] == [
        (None, str(exported)), (None, str(note))
    ]  # fmt: skip
    assert exported.exists()


def test_a_quarantined_file_of_somebody_else_stays_whatever_its_path_says(
    path: Path, tmp_path: Path, files: Path
) -> None:
    inbox = tmp_path / "ersilia_quux"
    inbox.mkdir()
    shutil.copy(files / "theirs" / "0", inbox / "cut")
    data = (inbox / "cut").read_bytes()
    (inbox / "cut").write_bytes(data[:-500])
    (inbox / "none").write_bytes(b"no DICOM")
    Cli(path)("watch", inbox, "--once", "--settle", "0", code=1)
    assert len(Quarantine(path)) == 2
    done = erase(path)
    assert done.quarantined == (str(inbox / "none"),)
    (left,) = Quarantine(path)
    assert left.source == str(inbox / "cut")
    told = [mention.what for mention in done.mentions]
    assert told == ["reason", "origin", f"quarantined file {left.id}", "file"]
    assert Path(done.mentions[-1].text).parent == path / "watch"


@pytest.mark.parametrize("cause", CAUSES)
def test_what_can_t_be_unfolded_is_not_taken_for_nobodys(
    path: Path, tmp_path: Path, cause: str
) -> None:
    inbox = tmp_path / "inbox"
    inbox.mkdir()
    large = deflated(instance(tmp_path / "large", 0, hers=True, uid="1.2.3.3.0"), inbox / "IM1")
    Cli(path)("watch", inbox, "--once", "--settle", "0", code=1)
    before = Cli(path).json("log")
    with no_room(cause), pytest.raises(TemporaryFolderError, match="TMPDIR"):
        erase(path)
    assert Cli(path).json("log") == before
    assert erase(path).quarantined == (str(large),)


# --- room ----------------------------------------------------------------------------------------


def free_only(monkeypatch: pytest.MonkeyPatch, free: int) -> None:
    """Have every disk say that it has so many bytes free."""
    true = os.statvfs

    def statvfs(path: Any) -> Any:
        found = true(path)
        return SimpleNamespace(f_blocks=found.f_blocks, f_bavail=free, f_frsize=1)

    monkeypatch.setattr("os.statvfs", statvfs)


def test_on_a_full_disk_nothing_is_recorded_and_the_room_is_told(
    path: Path, files: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with FileSet.open(path) as fs:
        fs.add_many(files / "hers", reason="again")
    cli = Cli(path)
    cli("tag", "for-quux-ersilia")
    before = journal_of(path)
    room = cli.json("erase", f"PatientID={ID}", "--dry-run")["room"]
    (needed,) = [each["needed"] for each in room if each["folder"] == str(path)]
    with monkeypatch.context() as patch:
        free_only(patch, needed - 1)
        with pytest.raises(RefusedError, match=f"Nothing was erased: it takes {needed:,} bytes"):
            erase(path, take_off=True)
        assert journal_of(path) == before
        free_only(patch, needed)
        erase(path, take_off=True)
    assert traces(path) == []


def journal_of(path: Path) -> list[Any]:
    with closing(Repository.open(path)) as repository:
        return list(repository.journal.stored())


def test_room_is_asked_for_before_an_interrupted_one_goes_on(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patch:
        patch.setattr(Eraser, "_purge", lambda _: (_ for _ in ()).throw(KeyboardInterrupt))
        with pytest.raises(KeyboardInterrupt):
            erase(path)
    with monkeypatch.context() as patch, FileSet.open(path) as fs:
        free_only(patch, 1000)
        eraser = Eraser(fs.repository, fs.contents)
        with pytest.raises(RefusedError, match="The erasure is not complete yet: it takes"):
            eraser.complete()
    Cli(path)("erase", "--complete")
    assert traces(path) == []


def test_packs_are_written_one_after_the_other_and_a_full_disk_keeps_what_was_done(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    blobs = [bytes([number]) * 1000 for number in range(40)]
    vault = PackVault(tmp_path / "vault", tmp_path / "index", pack_limit=11_000)
    with vault.batch() as batch:
        for blob in blobs:
            batch.add(blob)
    stay = {digest_of(blob) for blob in blobs[1::2]}
    told = vault.excess(stay)
    assert told.room <= 6000
    written: list[int] = []
    true = os.pwrite

    def pwrite(fd: int, data: Any, offset: int) -> int:
        written.append(offset)
        if len(written) > 15:
            raise OSError(errno.ENOSPC, "No space left on device")
        return true(fd, data, offset)

    with monkeypatch.context() as patch:
        patch.setattr("ledger.vault.appender.CHUNK", 1)
        patch.setattr("os.pwrite", pwrite)
        with pytest.raises(VaultError, match="All that it holds is still there: free some space"):
            vault.drop_excess(stay)
    assert all(vault.read(digest_of(blob)) == blob for blob in blobs[1::2])
    left = vault.excess(stay)
    assert 0 < left.entries < told.entries
    vault.drop_excess(stay)
    assert {content.digest for content in vault.contents()} == stay
    assert list(vault.verify()) == []
    vault.close()


def test_what_is_kept_beside_the_journal_goes(
    path: Path, files: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("fileset.repository.caches._SNAPSHOT_EVERY", 1)
    with FileSet.open(path) as fs:
        fs.ID = "NEW"
    cache = path / "cache"
    assert traces(cache) != []
    shutil.copy(cache / "snapshot", cache / ".snapshot.left")  # by a killed process
    (cache / "of-another-version").mkdir()
    shutil.copy(cache / "snapshot", cache / "of-another-version" / "x")

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
    monkeypatch.setattr("fileset.repository.caches._SNAPSHOT_EVERY", 1)
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
    assert findings(path)[0] is RepositoryFindingKind.JOURNAL


# --- stopped on the way --------------------------------------------------------------------------


@SOME_POINTS
def test_killed_at_any_point_it_is_completed_by_doing_it_again(
    path: Path, files: Path, tmp_path: Path, stride: int
) -> None:
    claimed = interrupted = 0
    for nth in itertools.chain(range(1, 25, stride), itertools.count(25, 7 * stride)):
        copy = tmp_path / "killed"
        shutil.copytree(path, copy, symlinks=True)
        whole = killed_at(nth, partial(erase, copy))
        there = findings(copy)
        assert set(there) <= {RepositoryFindingKind.ERASURE_INTERRUPTED}
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
        assert set(findings(copy)) <= {RepositoryFindingKind.ERASURE_INTERRUPTED}
        others_are_whole(copy, files)
        erase(copy)
        assert traces(copy) == [], nth
        assert findings(copy) == []
        shutil.rmtree(copy)
        if not failed and steps_done() < nth:
            break
    else:
        pytest.fail("it never came to an end")


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
    with pytest.raises(ContentMissingError, match="has been erased since"):
        view.copy(tmp_path / "copy")
