"""Revert: a change is taken back in the middle of others, or it is told what stands in the way."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
from cli_runs import CT, MR, copy_of_example

from fileset import FileSet
from fileset.errors import NoSuchMomentError, RefusedError, RevertRefusedError


def test_a_change_is_reverted_by_its_id_a_beginning_of_it_or_its_entry(fs: FileSet) -> None:
    fs.add(CT)
    fs.ID = "KEPT"
    added = fs.history[1]
    for named in (added.id, added.id[:8], added):
        reverted = fs.revert(named, reason="wrong patient")
        assert reverted.id == added.id
        assert fs.history[-1].reason == "wrong patient"
        assert (len(fs), fs.ID) == (0, "KEPT")
        fs.undo()
        assert len(fs) == 1


def test_the_error_names_the_changes_in_the_way(fs: FileSet) -> None:
    ct = fs.add(CT)
    added = fs.history[-1]
    fs.ID = "KEPT"
    fs.remove(ct)
    removed = fs.history[-1]
    with pytest.raises(RevertRefusedError, match=removed.id) as refused:
        fs.revert(added)
    assert refused.value.in_the_way == (removed.id,)
    fs.revert(removed)
    fs.revert(added)
    assert (len(fs), fs.ID) == (0, "KEPT")


def test_what_can_not_be_reverted_is_told_with_the_reason(fs: FileSet, tmp_path: Path) -> None:
    created = fs.history[0]
    fs.add(CT)
    added = fs.history[-1]
    fs.undo()
    undo = fs.history[-1]
    fs.redo()
    redo = fs.history[-1]
    with fs.change():
        fs.ID = "A"
        fs.ID = None
    nothing = fs.history[-1]
    fs.write(tmp_path / "medium")
    write = fs.history[-1]
    for entry, why in (
        (created, "how the File-set began"),
        (undo, "is an undo: `fileset redo`"),
        (redo, "is a redo: `fileset undo`"),
        (nothing, "left everything as it was"),
        (write, "added, removed and set nothing"),
    ):
        with pytest.raises(RefusedError, match=f"Change {entry.id}.*{why}"):
            fs.revert(entry)
    fs.undo(2)
    with pytest.raises(RefusedError, match="is undone: `fileset redo`"):
        fs.revert(added)
    fs.add(MR)
    with pytest.raises(RefusedError, match="not in force any more: it was undone"):
        fs.revert(added)
    with pytest.raises(NoSuchMomentError, match="No change has an id that begins with 'zzz'"):
        fs.revert("zzz")


def test_several_reverts_are_one_change_or_none(fs: FileSet) -> None:
    fs.add(CT)
    fs.add(MR)
    ct, mr = fs.history[1:]
    with fs.change(reason="both wrong"):
        fs.revert(ct)
        fs.revert(mr)
    assert len(fs) == 0
    fs.undo()
    assert len(fs) == 2
    changes = len(fs.history)
    with pytest.raises(RevertRefusedError), fs.change():  # noqa: PT012 - the second one fails
        fs.revert(ct)
        fs.revert(ct)
    assert (len(fs), len(fs.history)) == (2, changes)


@pytest.mark.parametrize("adopted", [False, True], ids=["made here", "adopted"])
def test_a_revert_works_across_writes_and_restarts(tmp_path: Path, adopted: bool) -> None:
    root, path = tmp_path / "cd", tmp_path / "repository"
    dicomdir = copy_of_example(root)
    if adopted:
        fs = FileSet(dicomdir, repository=path)
    else:
        shutil.copytree(root, tmp_path / "in")
        shutil.rmtree(root)
        fs = FileSet(repository=path)
        fs.add_many(tmp_path / "in")
        fs.write(root)
    gone = {i.SOPInstanceUID: Path(i.path).read_bytes() for i in fs.find(PatientID="77654033")}
    order = [i.SOPInstanceUID for i in fs]
    fs.remove(fs.find(PatientID="77654033"))
    removal = fs.history[-1].id
    fs.write()
    fs.add(CT)
    fs.ID = "LATER"
    fs.write()
    fs.close()

    fs = FileSet.open(path)
    fs.revert(removal)
    assert len(fs.pending.additions) == 7
    fs.close()
    fs = FileSet.open(path)
    fs.write()

    assert fs.ID == "LATER"
    assert [i.SOPInstanceUID for i in fs][:31] == order
    assert {
        i.SOPInstanceUID: Path(i.path).read_bytes() for i in fs.find(PatientID="77654033")
    } == gone
    assert fs.verify() == []
    fs.close()
