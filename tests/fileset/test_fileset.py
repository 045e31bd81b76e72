"""FileSet behaves as pydicom's class of that name, and remembers."""

from __future__ import annotations

import gc
import re
import shutil
import weakref
from collections.abc import Iterator
from contextlib import contextmanager
from io import BytesIO
from pathlib import Path
from typing import Any

import pydicom.fileset
import pytest
from pydicom import Dataset, dcmread, examples
from pydicom.errors import InvalidDicomError
from pydicom.fileset import FileSet as PydicomFileSet

import fileset
from fileset import DIRECTORY_RECORDERS, FileInstance, FileSet, RecordNode
from fileset.errors import NothingToUndoError, RefusedError, StillThereError
from fileset.medium.errors import MediumError, WriteFailedError
from fileset.medium.materializer import Materializer
from ledger.digest import digest_of
from ledger.errors import InstanceError, LedgerError
from ledger.events import StrangerKept

EXAMPLE = examples.get_path("dicomdir")
CT, MR, RT_DOSE = (examples.get_path(name) for name in ("ct", "mr", "rt_dose"))


def files(root: Path) -> dict[str, bytes]:
    return {
        path.relative_to(root).as_posix(): path.read_bytes()
        for path in root.rglob("*")
        if path.is_file()
    }


@pytest.fixture
def copied(tmp_path: Path) -> Path:
    """A copy of pydicom's example File-set of 31 instances; returns its DICOMDIR."""
    root = tmp_path / "copied"
    root.mkdir()
    for name in ("77654033", "98892001", "98892003"):
        shutil.copytree(EXAMPLE.parent / name, root / name)
    shutil.copyfile(EXAMPLE, root / "DICOMDIR")
    return root / "DICOMDIR"


def test_a_file_set_that_nobody_holds_goes_at_once_and_its_files_with_it(copied: Path) -> None:
    gc.disable()
    try:
        fs = FileSet(copied)
        gone, store = weakref.ref(fs), weakref.ref(fs.repository.store)
        del fs
        assert gone() is None
        assert store() is None
    finally:
        gc.enable()


# --- as pydicom ----------------------------------------------------------------------------------


def test_every_public_name_of_pydicoms_module_is_exported() -> None:
    import pydicom.fileset as theirs

    own = {
        name
        for name, value in vars(theirs).items()
        if not name.startswith("_") and getattr(value, "__module__", None) == theirs.__name__
    }
    assert own | {"DIRECTORY_RECORDERS"} <= set(fileset.__all__)
    assert set(theirs.DIRECTORY_RECORDERS) < set(DIRECTORY_RECORDERS)


@pytest.mark.parametrize("given", [EXAMPLE, str(EXAMPLE), dcmread(EXAMPLE)], ids=repr)
def test_an_existing_file_set_loads_as_in_pydicom(given: object) -> None:
    ours, theirs = FileSet(given), PydicomFileSet(EXAMPLE)  # type: ignore[arg-type]
    assert str(ours) == str(theirs)
    assert [i.path for i in ours] == [i.path for i in theirs]
    assert [i.FileID for i in ours] == [i.FileID for i in theirs]
    assert [i.SOPInstanceUID for i in ours] == [i.SOPInstanceUID for i in theirs]


def test_a_new_file_set_is_staged_and_its_id_is_limited() -> None:
    fs = FileSet()
    assert fs.is_staged
    assert fs.path is None
    with pytest.raises(ValueError, match="maximum length of the 'File-set ID' is 16"):
        fs.ID = "A" * 17
    with pytest.raises(AssertionError):
        fs.UID = "not a uid"
    with pytest.raises(AttributeError, match="No root path set in the File-set"):
        _ = fs.root_path
    with pytest.raises(ValueError, match="path to the root directory is required"):
        fs.write()


def test_adding_is_idempotent_by_sop_instance_uid() -> None:
    fs = FileSet()
    first = fs.add(CT)
    assert fs.add(CT) is first
    assert fs.add(examples.ct) is first
    assert len(fs) == 1


def test_other_content_under_a_known_uid_is_warned_of_and_not_taken() -> None:
    fs = FileSet()
    fs.add(CT)
    other = examples.ct
    other.PatientName = "Somebody^Else"
    with pytest.warns(UserWarning, match="metadata differs"):
        instance = fs.add(other)
    assert instance.load().PatientName == examples.ct.PatientName
    assert fs.history[-1].events[0].TYPE == "conflict-noted"


def test_a_removed_instance_can_be_added_again_with_other_content(tmp_path: Path) -> None:
    fs = FileSet()
    fs.add(CT)
    fs.write(tmp_path / "medium")
    fs.remove(list(fs))
    other = examples.ct
    other.PatientName = "Somebody^Else"
    fs.add(other)
    assert fs.pending.summary == "DICOMDIR update, 1 addition, 1 removal"
    fs.write()
    (instance,) = fs
    assert instance.load().PatientName == "Somebody^Else"
    fs.undo(2)
    fs.write()
    (instance,) = fs
    assert Path(instance.path).read_bytes() == CT.read_bytes()


def test_removing_a_staged_addition_leaves_nothing_staged(tmp_path: Path) -> None:
    fs = FileSet()
    fs.write(tmp_path / "medium")
    fs.remove(fs.add(CT))
    assert not fs.is_staged
    assert len(fs) == 0


def test_adding_after_a_removal_takes_the_removal_back_and_moves_it_to_the_end(
    tmp_path: Path,
) -> None:
    fs = FileSet()
    fs.add(CT)
    fs.add(MR)
    fs.write(tmp_path / "medium")
    ct, mr = fs
    fs.remove(ct)
    assert ct.for_removal
    assert fs.add(ct.load()) is ct
    assert not fs.is_staged
    assert list(fs) == [mr, ct]


def test_an_instance_of_another_file_set_can_not_be_removed() -> None:
    fs, other = FileSet(), FileSet()
    instance = other.add(CT)
    with pytest.raises(ValueError, match="No such instance in the File-set"):
        fs.remove(instance)
    other.remove(instance)
    with pytest.raises(ValueError, match="No such instance in the File-set"):
        other.remove(instance)


def test_removing_a_list_removes_all_or_none() -> None:
    fs = FileSet()
    ct, stranger = fs.add(CT), FileSet().add(MR)
    with pytest.raises(ValueError, match="No such instance"):
        fs.remove([ct, stranger])
    assert list(fs) == [ct]


def test_a_recorder_put_into_pydicoms_dict_is_honoured(monkeypatch: pytest.MonkeyPatch) -> None:
    import pydicom.fileset as theirs

    def recorder(ds: Dataset) -> Dataset:
        record = Dataset()
        record.InstanceNumber = 4711
        return record

    monkeypatch.setitem(theirs.DIRECTORY_RECORDERS, "IMAGE", recorder)
    assert FileSet().add(CT).InstanceNumber == 4711


def test_a_recorder_that_refuses_is_reported_like_the_defaults(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def recorder(ds: Dataset) -> Dataset:
        raise ValueError("not on a Sunday")

    monkeypatch.setitem(DIRECTORY_RECORDERS, "IMAGE", recorder)
    fs = FileSet()
    with pytest.raises(ValueError, match="'IMAGE' record creator: not on a Sunday"):
        fs.add(CT)
    assert len(fs) == 0
    assert len(fs.history) == 1


def test_clearing_gives_a_new_empty_file_set(copied: Path) -> None:
    fs = FileSet(copied)
    uid = fs.UID
    fs.clear()
    assert (len(fs), fs.ID, fs.path) == (0, None, None)
    assert uid != fs.UID
    assert copied.exists()


def test_a_copy_has_the_staged_changes_and_leaves_the_original_alone(
    copied: Path, tmp_path: Path
) -> None:
    before = files(copied.parent)
    fs = FileSet(copied)
    fs.remove(fs.find(PatientID="98890234"))
    fs.add(CT)
    staged = fs.pending.summary
    copy = fs.copy(tmp_path / "copy")
    assert len(copy) == len(fs) == 8
    assert not copy.is_staged
    assert fs.pending.summary == staged
    assert files(copied.parent) == before
    with pytest.raises(ValueError, match="'path' is unchanged"):
        fs.copy(copied.parent)


def test_a_failed_load_leaves_the_file_set_as_it_was() -> None:
    fs = FileSet()
    fs.add(CT)
    with pytest.raises(ValueError, match="not a 'Media Storage Directory'"):
        fs.load(CT)
    assert len(fs) == 1


# --- bad input -----------------------------------------------------------------------------------


def test_bad_input_is_refused_with_its_name_and_leaves_nothing_behind(tmp_path: Path) -> None:
    data = CT.read_bytes()
    no_uid = examples.ct
    del no_uid.SOPInstanceUID
    no_uid.save_as(tmp_path / "no_uid.dcm")
    (tmp_path / "text.dcm").write_text("hello")
    (tmp_path / "empty.dcm").touch()
    (tmp_path / "truncated.dcm").write_bytes(data[:-100])
    fs = FileSet()
    for name in ("no_uid.dcm", "text.dcm", "empty.dcm", "truncated.dcm"):
        with pytest.raises(InstanceError, match=name):
            fs.add(tmp_path / name)
    with pytest.raises(IsADirectoryError):
        fs.add(tmp_path)
    with pytest.raises(FileNotFoundError):
        fs.add(tmp_path / "missing.dcm")
    assert len(fs) == 0
    assert len(fs.history) == 1


def test_a_batch_goes_on_past_bad_files_and_accounts_for_each(tmp_path: Path) -> None:
    inbox = tmp_path / "inbox"
    inbox.mkdir()
    shutil.copyfile(CT, inbox / "a.dcm")
    shutil.copyfile(CT, inbox / "b.dcm")
    shutil.copyfile(RT_DOSE, inbox / "c.dcm")
    other = examples.ct
    other.PixelData = bytes(len(other.PixelData))
    other.save_as(inbox / "d.dcm")
    (inbox / "e.dcm").write_bytes(MR.read_bytes()[:-1])
    (inbox / "f.txt").write_text("notes")
    shutil.copyfile(EXAMPLE, inbox / "DICOMDIR")
    fs = FileSet()
    report = fs.add_many([inbox, tmp_path / "missing"])
    told = {Path(result.source).name: result.outcome.value for result in report}
    assert told == {
        "DICOMDIR": "skipped",
        "a.dcm": "added",
        "b.dcm": "already there",
        "c.dcm": "rejected",
        "d.dcm": "conflicting",
        "e.dcm": "rejected",
        "f.txt": "not DICOM",
        "missing": "rejected",
    }
    assert sum(report.counts.values()) == len(report.results) == 8
    assert report.has_failures
    assert all(result.reason for result in report if result.outcome.is_failure)
    assert len(fs) == 1
    assert len(fs.history) == 2


# --- writing -------------------------------------------------------------------------------------


def test_every_file_is_byte_for_byte_its_source_and_foreign_files_stay(tmp_path: Path) -> None:
    root = tmp_path / "medium"
    root.mkdir()
    (root / "README.TXT").write_text("for the patient")
    fs = FileSet()
    fs.add(CT)
    fs.add(MR)
    fs.write(root)
    assert {"README.TXT", "DICOMDIR"} < set(files(root))
    written = [data for name, data in files(root).items() if name.startswith("PT")]
    assert written == [CT.read_bytes(), MR.read_bytes()] or written == [
        MR.read_bytes(),
        CT.read_bytes(),
    ]
    assert [Path(i.path).read_bytes() for i in fs] == [CT.read_bytes(), MR.read_bytes()]


def test_a_root_that_holds_another_file_set_is_refused(copied: Path) -> None:
    before = files(copied.parent)
    fs = FileSet()
    fs.add(CT)
    with pytest.raises(MediumError, match="holds another File-set"):
        fs.write(copied.parent)
    assert files(copied.parent) == before
    assert fs.is_staged
    assert fs.path is None


def test_a_foreign_file_where_a_new_one_would_go_is_refused(tmp_path: Path) -> None:
    foreign = tmp_path / "PT000000" / "ST000000" / "SE000000" / "IM000000"
    foreign.parent.mkdir(parents=True)
    foreign.write_text("mine")
    fs = FileSet()
    fs.add(CT)
    with pytest.raises(MediumError, match="not part of the File-set"):
        fs.write(tmp_path)
    assert foreign.read_text() == "mine"
    assert not (tmp_path / "DICOMDIR").exists()


def test_a_medium_changed_behind_our_back_is_refused(tmp_path: Path) -> None:
    fs = FileSet()
    fs.add(CT)
    fs.write(tmp_path)
    theirs = PydicomFileSet(tmp_path / "DICOMDIR")
    theirs.ID = "OTHER"
    theirs.write()
    fs.add(MR)
    before = files(tmp_path)
    with pytest.raises(MediumError, match="not the one that was loaded or written last"):
        fs.write()
    assert files(tmp_path) == before


def test_the_existing_layout_takes_additions_and_moves_nothing(copied: Path) -> None:
    before = files(copied.parent)
    fs = FileSet(copied)
    fs.add(CT)
    with pytest.raises(ValueError, match="'use_existing' but additions"):
        fs.write(use_existing=True)
    fs.write(layout="existing")
    after = files(copied.parent)
    assert {name for name in before if name != "DICOMDIR"} <= set(after)
    assert all(after[name] == data for name, data in before.items() if name != "DICOMDIR")
    assert len(after) == len(before) + 1
    assert len(PydicomFileSet(copied)) == 32


def test_an_id_change_touches_the_dicomdir_alone(copied: Path) -> None:
    fs = FileSet(copied)
    fs.write()
    stats = {p: p.stat() for p in copied.parent.rglob("*") if p.is_file()}
    fs.ID = "NEW_ID"
    fs.write()
    for path, before in stats.items():
        after = path.stat()
        same = (before.st_ino, before.st_mtime_ns) == (after.st_ino, after.st_mtime_ns)
        assert same is (path.name != "DICOMDIR")
    assert PydicomFileSet(copied).ID == "NEW_ID"


def test_writing_what_is_not_staged_does_nothing(tmp_path: Path) -> None:
    fs = FileSet()
    fs.add(CT)
    fs.write(tmp_path)
    changes = len(fs.history)
    fs.write()
    assert len(fs.history) == changes


# --- history -------------------------------------------------------------------------------------


def test_undo_and_redo_of_every_kind_of_change_survive_a_restart(
    copied: Path, tmp_path: Path
) -> None:
    path = tmp_path / "repository"
    fs = FileSet(copied, repository=path)

    def custom() -> None:
        record = Dataset()
        record.DirectoryRecordType = "PRIVATE"
        record.PrivateRecordUID = "1.2.3"
        fs.add_custom(MR, RecordNode(record))

    def group() -> None:
        with fs.change(reason="two at once"):
            fs.ID = "GROUP"
            fs.remove(next(iter(fs)))

    commands = [
        lambda: fs.add(CT),
        custom,
        lambda: fs.remove(fs.find(PatientID="98890234")),
        lambda: setattr(fs, "ID", "AN_ID"),
        lambda: setattr(fs, "UID", "1.2.3.4"),
        lambda: setattr(fs, "descriptor_file_id", ["A", "B"]),
        lambda: setattr(fs, "descriptor_character_set", "ISO_IR 100"),
        lambda: fs.remove(fs.find(PatientID="1CT1")),
        lambda: fs.add(CT),
        group,
    ]
    texts = [str(fs)]
    for command in commands:
        command()
        fs.close()
        fs = FileSet.open(path)
        texts.append(str(fs))
    assert len(set(texts)) >= len(commands) - 1
    for text in reversed(texts[:-1]):
        fs.undo()
        fs.close()
        fs = FileSet.open(path)
        assert str(fs) == text
    with pytest.raises(NothingToUndoError, match="nothing to undo"):
        fs.undo()
    for text in texts[1:]:
        fs.redo()
        fs.close()
        fs = FileSet.open(path)
        assert str(fs) == text
    with pytest.raises(NothingToUndoError, match="nothing to redo"):
        fs.redo()
    assert fs.verify() == []


def test_a_removal_that_was_written_can_be_undone_and_its_bytes_written_back(copied: Path) -> None:
    before = files(copied.parent)
    fs = FileSet(copied)
    removed = fs.find(PatientID="77654033")
    sources = {i.SOPInstanceUID: Path(i.path).read_bytes() for i in removed}
    fs.remove(removed)
    fs.write()
    assert len(files(copied.parent)) == len(before) - 7
    fs.undo()
    fs.write()
    back = fs.find(PatientID="77654033")
    assert {i.SOPInstanceUID: Path(i.path).read_bytes() for i in back} == sources
    assert len(PydicomFileSet(copied)) == 31


def test_a_new_change_ends_what_could_be_redone() -> None:
    fs = FileSet()
    fs.add(CT)
    fs.undo()
    fs.add(MR)
    with pytest.raises(NothingToUndoError):
        fs.redo()


def test_an_exception_inside_a_change_takes_all_of_it_back(tmp_path: Path) -> None:
    fs = FileSet(repository=tmp_path / "repository")
    fs.add(CT)
    position, text = fs.state.position, str(fs)

    def fail() -> None:
        with fs.change(reason="half"):
            fs.add(MR)
            fs.ID = "HALF"
            assert len(fs) == 2
            raise RuntimeError("enough")

    with pytest.raises(RuntimeError, match="enough"):
        fail()
    assert (fs.state.position, str(fs)) == (position, text)
    (instance,) = fs
    assert instance.load().PatientID == "1CT1"


def test_a_change_says_who_and_why() -> None:
    fs = FileSet()
    with fs.change(reason="for the archive", actor="anna"):
        fs.add(CT)
    entry = fs.history[-1]
    assert (entry.reason, entry.actor) == ("for the archive", "anna")
    assert [event.TYPE for event in entry.events] == ["instance-added"]
    assert entry.position == fs.state.position
    assert fs.undo().id == entry.id


def test_undoing_inside_a_change_is_refused() -> None:
    fs = FileSet()
    fs.add(CT)
    with pytest.raises(RefusedError, match="undo can't be part"), fs.change():
        fs.undo()


def test_the_past_can_be_looked_at_and_copied_and_not_changed(tmp_path: Path) -> None:
    fs = FileSet()
    fs.add(CT)
    position = fs.state.position
    fs.remove(list(fs))
    fs.add(MR)
    past = fs.at(position)
    (instance,) = past
    assert instance.PatientID == "1CT1"
    assert instance.load().PatientID == "1CT1"
    for attempt in (
        lambda: past.add(MR),
        lambda: past.remove(instance),
        lambda: setattr(past, "ID", "X"),
        past.undo,
        past.clear,
        lambda: past.write(tmp_path / "past"),
    ):
        with pytest.raises(RefusedError, match="as of position"):
            attempt()
    past.copy(tmp_path / "past")
    assert len(PydicomFileSet(tmp_path / "past" / "DICOMDIR")) == 1
    assert len(fs) == 1
    with pytest.raises(ValueError, match="positions 1 to"):
        fs.at(10_000)


def test_the_same_position_always_gives_the_same_dicomdir(tmp_path: Path) -> None:
    fs = FileSet(EXAMPLE)
    fs.add(CT)
    position = fs.state.position
    fs.at(position).copy(tmp_path / "one")
    fs.remove(fs.find(PatientID="77654033"))
    fs.at(position).copy(tmp_path / "two")
    assert files(tmp_path / "one") == files(tmp_path / "two")


def test_pending_names_what_it_counts(copied: Path) -> None:
    fs = FileSet(copied)
    fs.ID = "NEW"
    ct = fs.add(CT)
    gone = fs.find(PatientID="77654033")
    fs.remove(gone)
    pending = fs.pending
    assert pending.additions == [ct]
    assert pending.removals == gone
    assert len(pending.moves) == 24
    assert pending.metadata == {"id": ("PYDICOM_TEST", "NEW")}
    assert pending.summary == (
        "DICOMDIR update, directory structure update, 1 addition, 7 removals"
    )


def test_an_id_set_and_set_back_is_not_pending(tmp_path: Path) -> None:
    fs = FileSet()
    fs.write(tmp_path)
    fs.ID = "X"
    assert fs.is_staged
    fs.ID = None
    assert not fs.is_staged


# --- repositories --------------------------------------------------------------------------------


def test_referenced_files_stay_where_they_are_and_are_checked_when_written(tmp_path: Path) -> None:
    source = tmp_path / "source.dcm"
    shutil.copyfile(CT, source)
    fs = FileSet()
    fs.add_many([source], reference=True)
    (instance,) = fs
    assert instance.path == str(source)
    source.write_bytes(MR.read_bytes())
    with pytest.raises(LedgerError, match="has changed since it was added"):
        fs.write(tmp_path / "medium")
    assert not (tmp_path / "medium" / "DICOMDIR").exists()
    assert [finding.kind.value for finding in fs.verify()] == ["file-changed"]
    shutil.copyfile(CT, source)
    fs.write(tmp_path / "medium")
    assert fs.verify() == []


def test_two_objects_on_one_repository_see_each_others_changes_before_they_act(
    tmp_path: Path,
) -> None:
    fs = FileSet(repository=tmp_path / "repository")
    other = FileSet.open(tmp_path / "repository")
    fs.add(CT)
    other.add(MR)
    fs.ID = "BOTH"
    assert len(fs) == 2
    assert {entry.position for entry in fs.history} == {1, 2, 3, 4}


def test_a_repository_needs_a_new_folder_and_is_found_again(tmp_path: Path) -> None:
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "file").touch()
    with pytest.raises(LedgerError, match="exists and is not empty"):
        FileSet(repository=tmp_path / "full")
    fs = FileSet(repository=tmp_path / "new")
    assert (tmp_path / "new").stat().st_mode & 0o777 == 0o700
    with pytest.raises(LedgerError, match="is a repository already"):
        FileSet(repository=tmp_path / "new")
    with pytest.raises(LedgerError, match="no repository at"):
        FileSet.open(tmp_path / "elsewhere")
    fs.close()


def test_caches_can_be_deleted_at_any_time(tmp_path: Path) -> None:
    fs = FileSet(EXAMPLE, repository=tmp_path / "repository")
    fs.add(CT)
    text = str(fs)
    fs.close()
    shutil.rmtree(tmp_path / "repository" / "cache")
    fs = FileSet.open(tmp_path / "repository")
    assert str(fs) == text
    assert fs.find(PatientID="1CT1")[0].load().PatientID == "1CT1"
    assert fs.verify() == []


def test_verify_names_what_is_wrong_on_the_medium(tmp_path: Path) -> None:
    fs = FileSet()
    fs.add(CT)
    fs.add(MR)
    fs.write(tmp_path / "medium")
    ct, mr = fs
    Path(ct.path).unlink()
    Path(mr.path).write_bytes(b"something else")
    (tmp_path / "medium" / "DICOMDIR").write_bytes(b"")
    assert [(f.kind.value, f.where) for f in fs.verify()] == [
        ("dicomdir", str(tmp_path / "medium" / "DICOMDIR")),
        ("file-missing", ct.path),
        ("file-changed", mr.path),
    ]


def test_a_file_that_goes_is_kept_in_the_vault_as_it_is_and_not_taken_for_what_was_adopted(
    copied: Path, tmp_path: Path
) -> None:
    fs = FileSet(copied, repository=tmp_path / "repository")
    instance = fs.find(PatientID="77654033")[0]
    path = Path(instance.path)
    fs.remove(instance)
    path.write_bytes(b"changed by someone")
    with pytest.warns(UserWarning, match="has changed since it was added"):
        fs.write(layout="existing")
    assert not path.exists()
    (kept,) = (e for entry in fs.history for e in entry.events if isinstance(e, StrangerKept))
    assert fs.repository.vault.read(kept.content.digest) == b"changed by someone"
    fs.undo()
    assert [finding.kind.value for finding in fs.verify()] == ["content-missing"]
    with pytest.raises(WriteFailedError, match="vault has no content sha256:"):
        fs.write(layout="existing")


def test_a_dataset_that_was_never_a_file_can_be_added() -> None:
    ds = dcmread(BytesIO(CT.read_bytes()))
    instance = FileSet().add(ds)
    assert isinstance(instance, FileInstance)
    assert instance.load() == ds


# --- what a careless implementation gets wrong ---------------------------------------------------


def test_an_instance_of_a_change_taken_back_never_stands_for_another() -> None:
    fs = FileSet()
    taken_back: list[FileInstance] = []

    def fail() -> None:
        with fs.change():
            taken_back.append(fs.add(CT))
            assert Path(taken_back[0].path).read_bytes() == CT.read_bytes()
            raise RuntimeError("enough")

    with pytest.raises(RuntimeError):
        fail()
    mr = fs.add(MR)
    assert mr.load().PatientID == "4MR1"
    assert mr.handle == taken_back[0].handle
    with pytest.raises(ValueError, match="No such instance in the File-set"):
        fs.remove(taken_back[0])
    with pytest.raises(ValueError, match="No such instance in the File-set"):
        _ = taken_back[0].path
    assert list(fs) == [mr]


def test_an_instance_from_before_a_clear_removes_nothing() -> None:
    fs = FileSet()
    before = fs.add(CT)
    fs.clear()
    fs.add(MR)
    with pytest.raises(ValueError, match="No such instance in the File-set"):
        fs.remove(before)
    assert len(fs) == 1


def test_instances_held_across_a_rollback_in_another_view_stay_right(tmp_path: Path) -> None:
    fs = FileSet(repository=tmp_path / "repository")
    ct = fs.add(CT)
    other = FileSet(repository=fs.repository)
    assert [i.PatientID for i in other] == ["1CT1"]

    def fail() -> None:
        with fs.repository.change():
            fs.add(MR)
            assert len(list(other)) == 2
            raise RuntimeError("enough")

    with pytest.raises(RuntimeError):
        fail()
    assert [i.PatientID for i in other] == ["1CT1"]
    assert (ct.PatientID, ct.node.index, ct.node.parent.record_type) == ("1CT1", 0, "SERIES")  # type: ignore[union-attr]


def test_a_command_that_fails_inside_a_change_leaves_the_rest_of_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    fs = FileSet()
    vault = type(fs.repository.vault)
    batch = vault.batch

    @contextmanager
    def failing(self: object, **options: Any) -> Iterator[object]:
        with batch(self, **options) as open_batch:  # type: ignore[arg-type]
            yield open_batch
            raise OSError("disk full")

    with fs.change():
        fs.add(CT)
        with monkeypatch.context() as patched:
            patched.setattr(vault, "batch", failing)
            with pytest.raises(OSError, match="disk full"):
                fs.add(MR)
        fs.ID = "AFTER"
    assert [i.PatientID for i in fs] == ["1CT1"]
    assert fs.ID == "AFTER"
    assert fs.verify() == []
    assert len(fs.history) == 2


def test_a_past_state_gives_the_bytes_of_its_own_instances(tmp_path: Path) -> None:
    fs = FileSet()
    with fs.change():
        ct, mr = fs.add(CT), fs.add(MR)
    fs.write(tmp_path)
    position = fs.state.position
    fs.remove(ct)
    fs.write()
    past = {i.PatientID: i for i in fs.at(position)}
    assert Path(past["1CT1"].path).read_bytes() == CT.read_bytes()
    assert Path(past["4MR1"].path).read_bytes() == MR.read_bytes()
    assert mr.path == past["4MR1"].path
    assert len(fs.at(position).find(load=True, PatientID="1CT1")) == 1


def test_a_write_completes_an_interrupted_one_also_when_its_cause_was_undone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    fs = FileSet()
    fs.add(CT)
    fs.write(tmp_path)
    before = (tmp_path / "DICOMDIR").read_bytes()
    fs.ID = "NEW"
    run = Materializer.run

    def killed(self: Materializer) -> None:
        run(self)
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr(Materializer, "run", killed)
        with pytest.raises(KeyboardInterrupt):
            fs.write()
    fs.undo()
    assert fs.is_staged
    fs.write()
    assert (tmp_path / "DICOMDIR").read_bytes() == before
    assert fs.verify() == []


def test_a_repository_whose_first_change_fails_is_not_there(
    copied: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def killed(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("fileset.adoption.adopt.content_and_instance", killed)
    with pytest.raises(KeyboardInterrupt):
        FileSet(copied, repository=tmp_path / "repository")
    assert [path.name for path in tmp_path.iterdir()] == ["copied"]


def test_a_load_whose_orphans_fail_leaves_the_file_set_as_it_was(copied: Path) -> None:
    ds = dcmread(copied)
    ds.DirectoryRecordSequence[0].OffsetOfTheNextDirectoryRecord = 0
    orphan = next(
        item for item in reversed(ds.DirectoryRecordSequence) if "ReferencedFileID" in item
    )
    copied.parent.joinpath(*orphan.ReferencedFileID).write_bytes(b"no longer DICOM")
    fs = FileSet()
    fs.add(CT)
    with pytest.raises(InstanceError):
        fs.load(ds)
    assert [i.PatientID for i in fs] == ["1CT1"]
    assert fs.path is None


def test_what_another_process_did_is_seen_before_writing_and_removing(tmp_path: Path) -> None:
    fs = FileSet(repository=tmp_path / "repository")
    instance = fs.add(CT)
    fs.write(tmp_path / "medium")
    other = FileSet.open(tmp_path / "repository")
    other.add(MR)
    with pytest.raises(ValueError, match="'use_existing' but additions"):
        fs.write(use_existing=True)
    fs.write()
    assert len(PydicomFileSet(tmp_path / "medium" / "DICOMDIR")) == 2
    other.remove(other.find(PatientID="1CT1"))
    with pytest.raises(ValueError, match="No such instance"):
        fs.remove(instance)


def test_one_path_given_to_add_many_is_one_path(tmp_path: Path) -> None:
    fs = FileSet()
    assert [r.outcome.value for r in fs.add_many(str(CT))] == ["added"]
    assert [r.outcome.value for r in fs.add_many(tmp_path / "missing")] == ["rejected"]


def test_the_same_data_set_twice_in_one_batch_is_no_conflict(tmp_path: Path) -> None:
    (tmp_path / "a.dcm").write_bytes(CT.read_bytes())
    again = examples.ct
    again.file_meta.SourceApplicationEntityTitle = "ELSEWHERE"
    again.save_as(tmp_path / "b.dcm", enforce_file_format=True)
    assert (tmp_path / "b.dcm").read_bytes() != CT.read_bytes()
    report = FileSet().add_many(tmp_path)
    assert [r.outcome.value for r in report] == ["added", "already there"]


def test_folders_that_are_not_gone_into_are_told(tmp_path: Path) -> None:
    FileSet(repository=tmp_path / "inbox" / "repository").close()
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "inbox" / "link").symlink_to(tmp_path / "elsewhere")
    report = FileSet().add_many(tmp_path / "inbox")
    assert [(Path(r.source).name, r.outcome.value) for r in report] == [
        ("link", "skipped"),
        ("repository", "skipped"),
    ]


def test_another_name_under_a_known_patient_id_is_noted(tmp_path: Path) -> None:
    other = examples.ct
    other.SOPInstanceUID = "1.2.3"
    other.PatientName = "Somebody^Else"
    other.save_as(tmp_path / "other.dcm", enforce_file_format=True)
    fs = FileSet()
    fs.add(CT)
    (result,) = fs.add_many(tmp_path)
    assert result.note is not None
    assert "'Somebody^Else'" in result.note
    added, noted = fs.history[-1].events
    assert (added.TYPE, noted.TYPE) == ("instance-added", "mismatch-noted")
    assert fs.find_values("PatientName") == ["CompressedSamples^CT1"]
    fs.undo()
    assert len(fs) == 1


def test_wrong_use_is_told_in_a_word() -> None:
    fs = FileSet()
    with pytest.raises(TypeError, match="a Dataset or a path, not NoneType"):
        fs.add(None)  # type: ignore[arg-type]
    for wrong in ("x", None, 5):
        with pytest.raises(ValueError, match="No such instance in the File-set"):
            fs.remove(wrong)  # type: ignore[arg-type]
    with FileSet() as inside:
        assert repr(inside).startswith("<FileSet without ID, 0 instances, not written yet, staged")


def test_what_can_t_be_opened_raises_what_pydicom_raises(tmp_path: Path) -> None:
    text = tmp_path / "README"
    text.write_text("no DICOM")
    for take in (FileSet().add, FileSet, FileSet().load):
        for missing in ("no/such/DICOMDIR", tmp_path / "missing"):
            with pytest.raises(FileNotFoundError) as told:
                take(missing)  # type: ignore[operator]
            assert told.value.filename == str(missing)
        with pytest.raises(IsADirectoryError):
            take(tmp_path)  # type: ignore[operator]
        with pytest.raises(InvalidDicomError):
            take(text)  # type: ignore[operator]


def test_an_orphan_whose_file_is_missing_is_warned_of_and_left_out(copied: Path) -> None:
    ds = dcmread(copied)
    patient = next(r for r in ds.DirectoryRecordSequence if r.DirectoryRecordType == "PATIENT")
    patient.OffsetOfReferencedLowerLevelDirectoryEntity = 0
    orphan = next(r for r in ds.DirectoryRecordSequence if "ReferencedFileID" in r)
    path = copied.parent.joinpath(*orphan.ReferencedFileID)
    path.unlink()
    missing = f"directory record at offset {orphan.seq_item_tell} does not exist: {path}"
    with pytest.warns(UserWarning, match=re.escape(missing)):
        fs = FileSet(ds)
    assert len(fs) == 30


def test_a_descriptor_of_one_component_reads_back_as_it_was_set(tmp_path: Path) -> None:
    fs = FileSet()
    for value in (["A"], "A", ["A", "B"], None):
        fs.descriptor_file_id = value
        assert fs.descriptor_file_id == value
    fs.descriptor_file_id = ["A"]
    fs.write(tmp_path / "medium")
    assert fs.descriptor_file_id == "A"


def test_an_identity_that_is_no_text_is_refused() -> None:
    fs = FileSet()
    for name in ("ID", "descriptor_character_set"):
        with pytest.raises(TypeError, match="must be a str or None, not list"):
            setattr(fs, name, ["A"])
    assert fs.ID is None


def test_a_lost_medium_is_given_up_for_another(tmp_path: Path) -> None:
    fs = FileSet()
    fs.add(CT)
    fs.write(tmp_path / "lost")
    shutil.rmtree(tmp_path / "lost")
    with pytest.raises(ValueError, match="path to the root directory is required"):
        fs.write(new_medium=True)
    fs.write(tmp_path / "new", new_medium=True)
    assert fs.path == str(tmp_path / "new")
    assert len(PydicomFileSet(tmp_path / "new" / "DICOMDIR")) == 1
    assert not fs.abandon()  # no write was interrupted


def test_a_program_finds_all_that_it_imports_from_pydicoms_module() -> None:
    public = {
        name for name, value in vars(pydicom.fileset).items() if is_defined_there(name, value)
    }
    assert public <= {*fileset.__all__}
    assert fileset._PREFIXES == pydicom.fileset._PREFIXES
    for kind in ("patient", "study", "series", "image"):
        ours, theirs = (getattr(m, f"_define_{kind}") for m in (fileset, pydicom.fileset))
        assert set(theirs(examples.ct).keys()) <= set(ours(examples.ct).keys())


def is_defined_there(name: str, value: object) -> bool:
    module = getattr(value, "__module__", None)
    own = module == "pydicom.fileset" or name in ("DIRECTORY_RECORDERS", "DSPathType")
    return own and not name.startswith("_")


def test_the_stage_can_be_looked_at_as_pydicom_keeps_it(tmp_path: Path) -> None:
    fs = FileSet()
    instance = fs.add(CT)
    assert fs._stage == {"+": {instance.SOPInstanceUID: instance}, "-": {}, "~": False, "^": True}
    fs.write(tmp_path / "medium")
    fs.remove(instance)
    assert fs._stage == {"+": {}, "-": {instance.SOPInstanceUID: instance}, "~": False, "^": False}


def damage_in_vault(repository: Path, data: bytes) -> None:
    """Flip a bit of `data` in each copy of it that the vault has."""
    for pack in (repository / "vault").glob("*.pack"):
        held = bytearray(pack.read_bytes())
        at = held.find(data)
        while at >= 0:
            held[at + len(data) // 2] ^= 1
            at = held.find(data, at)
        pack.write_bytes(held)


@pytest.mark.parametrize("written", [False, True], ids=["staged", "written"])
@pytest.mark.parametrize("removed", [False, True], ids=["there", "removed"])
def test_damaged_content_is_stored_anew_when_its_file_is_added_again(
    tmp_path: Path, written: bool, removed: bool
) -> None:
    fs = FileSet(repository=tmp_path / "repo")
    fs.add_many([CT, MR])
    if written:
        fs.write(tmp_path / "root")
    damage_in_vault(tmp_path / "repo", CT.read_bytes())
    uid = dcmread(CT).SOPInstanceUID
    (damaged,) = fs.find(SOPInstanceUID=uid)
    assert not fs.repository.vault.is_sound(digest_of(CT.read_bytes()))
    if removed:
        fs.remove(damaged)
    position = fs.repository.state.position

    report = fs.add_many([CT, MR])

    assert fs.repository.vault.is_sound(digest_of(CT.read_bytes()))
    told = [result.note for result in report if result.source == str(CT)]
    assert (told == [None]) is (removed and not written)  # an addition as any other
    assert (fs.repository.state.position > position) is removed
    assert [result.note for result in fs.add_many([CT, MR])] == [None, None]
    assert not list(fs.repository.vault.verify())
    fs.write(None if written else tmp_path / "root")
    (there,) = fs.find(SOPInstanceUID=uid)
    assert Path(there.path).read_bytes() == CT.read_bytes()
    fs.close()


def test_content_that_the_vault_lost_is_stored_anew_once_though_it_comes_twice(
    tmp_path: Path,
) -> None:
    fs = FileSet(repository=tmp_path / "repo")
    fs.add(CT)
    again = shutil.copyfile(CT, tmp_path / "again")
    for pack in (tmp_path / "repo" / "vault").glob("*.pack"):
        pack.unlink()

    report = fs.add_many([CT, again])

    assert [result.note is not None for result in report] == [True, False]
    assert fs.repository.vault.is_sound(digest_of(CT.read_bytes()))


def test_adding_a_file_twice_at_once_says_nothing_of_the_vault(tmp_path: Path) -> None:
    fs = FileSet(repository=tmp_path / "repo")
    again = shutil.copyfile(CT, tmp_path / "again")

    report = fs.add_many([CT, again])

    assert [result.note for result in report] == [None, None]


def test_a_file_that_is_added_again_by_reference_heals_the_vault_as_well(tmp_path: Path) -> None:
    fs = FileSet(repository=tmp_path / "repo")
    fs.add(CT)
    damage_in_vault(tmp_path / "repo", Path(CT).read_bytes())

    fs.add_many([CT], reference=True)

    assert fs.repository.vault.is_sound(digest_of(Path(CT).read_bytes()))


@pytest.mark.parametrize("kept", [True, False])
def test_a_layout_that_there_is_not_is_refused_though_nothing_is_staged(
    tmp_path: Path, kept: bool
) -> None:
    fs = FileSet(repository=tmp_path / "repository" if kept else None)
    for _ in range(2):
        with pytest.raises(ValueError, match="There is no layout 'foo'"):
            fs.write(tmp_path / "medium" if fs.path is None else None, layout="foo")
        if fs.path is None:
            fs.write(tmp_path / "medium")


def test_what_is_no_dicomdir_is_told_by_its_type() -> None:
    with pytest.raises(TypeError, match="A DICOMDIR is a Dataset or a path, not int"):
        FileSet(5)  # type: ignore[arg-type]
    with pytest.raises(TypeError, match="A DICOMDIR is a Dataset or a path, not list"):
        FileSet().load(["DICOMDIR"])  # type: ignore[arg-type]


@pytest.mark.parametrize("below", [False, True])
def test_a_file_is_no_place_for_a_file_set(tmp_path: Path, below: bool) -> None:
    (tmp_path / "s.sh").write_text("echo")
    root = tmp_path / "s.sh" / "disc" if below else tmp_path / "s.sh"
    fs = FileSet()
    fs.add(CT)
    for write in (fs.write, fs.copy):
        with pytest.raises(MediumError, match=r"s\.sh is not a folder: write to another one\.$"):
            write(root)
    assert (tmp_path / "s.sh").read_text() == "echo"


def test_a_repository_that_is_there_is_to_be_opened(tmp_path: Path) -> None:
    FileSet(repository=tmp_path / "trial").close()
    with pytest.raises(LedgerError, match=r"is a repository already: open it with FileSet\.open\("):
        FileSet(repository=tmp_path / "trial")
    assert len(FileSet.open(tmp_path / "trial")) == 0


def test_what_an_error_advises_is_an_argument_as_well_as_an_option() -> None:
    fs = FileSet()
    instance = fs.add(CT)
    with pytest.raises(StillThereError, match=r"With --take-off \(take_off=True\)"):
        fs.erase(reason="request 1", SOPInstanceUID=str(instance.SOPInstanceUID))
    fs.tag("sent", 1)
    with pytest.raises(RefusedError, match=r"move it with --move \(move=True\)"):
        fs.tag("sent")


def test_an_instance_that_was_corrected_stands_for_what_took_its_place() -> None:
    with FileSet() as fs:
        instance = fs.add(CT)
        fs.correct(instance, {"PatientName": "First^Name"})
        fs.correct(instance, {0x00100010: "Second^Name", (0x0010, 0x0040): "F"})
        (corrected,) = fs
        assert (corrected.PatientName, corrected.load().PatientSex) == ("Second^Name", "F")
        fs.remove(instance)
        assert len(fs) == 0
