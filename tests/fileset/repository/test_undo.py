"""What undo, redo and revert would do is shown before it is done, and is what they do."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from cli_runs import CT, MR, copy_of_example
from pydicom import examples

from fileset import FileSet
from fileset.errors import NothingToUndoError, RefusedError
from fileset.medium.errors import WriteFailedError


def files(root: Path) -> dict[str, bytes]:
    return {
        os.fspath(path.relative_to(root)): path.read_bytes()
        for path in root.rglob("*")
        if path.is_file()
    }


# --- previews ------------------------------------------------------------------------------------


def test_an_undo_is_foreseen_with_its_instances_values_and_what_is_pending_then(
    fs: FileSet, tmp_path: Path
) -> None:
    ct = fs.add(CT)
    fs.write(tmp_path / "medium")
    with fs.change(reason="another patient"):
        fs.remove(ct)
        mr = fs.add(MR)
        fs.ID = "MR_ONLY"
    text, position = str(fs), fs.state.position

    preview = fs.undo(dry_run=True)

    assert [change.reason for change in preview.changes] == ["another patient"]
    assert [i.SOPInstanceUID for i in preview.added] == [ct.SOPInstanceUID]
    assert preview.added[0].load().PatientID == "1CT1"
    assert preview.removed == [mr]
    assert preview.identity == {"id": ("MR_ONLY", None)}
    assert not preview.pending
    assert [i.PatientID for i in preview.after] == ["1CT1"]
    assert (str(fs), fs.state.position) == (text, position)
    fs.undo()
    assert str(fs) == str(preview.after)


def test_several_steps_are_foreseen_together(fs: FileSet) -> None:
    fs.add(CT)
    mr = fs.add(MR)
    fs.remove(mr)
    fs.ID = "A"
    fs.ID = "B"
    back = fs.undo(4, dry_run=True)
    assert [change.id for change in back.changes] == [e.id for e in fs.history[:1:-1]]
    assert (back.added, back.removed, dict(back.identity)) == ([], [], {"id": ("B", None)})
    fs.undo(5)
    forth = fs.redo(2, dry_run=True)
    assert [i.PatientID for i in forth.added] == ["1CT1", "4MR1"]
    assert forth.pending.summary == "DICOMDIR creation, 2 additions"
    assert len(fs) == 0


def test_a_revert_is_foreseen(fs: FileSet) -> None:
    fs.ID = "A"
    ct = fs.add(CT)
    setting, adding = fs.history[1:]
    assert fs.revert(adding, dry_run=True).removed == [ct]
    assert fs.revert(setting, dry_run=True).identity == {"id": ("A", None)}
    assert len(fs.history) == 3


def test_what_is_foreseen_can_be_looked_at_and_not_changed(fs: FileSet) -> None:
    fs.add(CT)
    after = fs.undo(dry_run=True).after
    for attempt in (lambda: after.add(MR), after.undo, lambda: after.tag("x")):
        with pytest.raises(RefusedError, match="can't be changed"):
            attempt()


def test_what_can_not_be_done_can_not_be_foreseen(fs: FileSet) -> None:
    for attempt in (
        lambda: fs.undo(dry_run=True),
        lambda: fs.redo(dry_run=True),
        lambda: fs.undo(3, dry_run=True),
    ):
        with pytest.raises(NothingToUndoError):
            attempt()
    fs.add(CT)
    with pytest.raises(RefusedError, match="preview can't be part"), fs.change():
        fs.revert(fs.history[-1], dry_run=True)
    with pytest.raises(ValueError, match="at least 1"):
        fs.undo(0, dry_run=True)


def test_what_another_process_did_meanwhile_is_foreseen_too(fs: FileSet, tmp_path: Path) -> None:
    fs.add(CT)
    with FileSet.open(tmp_path / "repository") as other:
        other.add(MR)
    preview = fs.undo(dry_run=True)
    assert [i.PatientID for i in preview.removed] == ["4MR1"]
    assert [i.PatientID for i in preview.after] == ["1CT1"]


def test_an_undo_can_say_why(fs: FileSet) -> None:
    fs.add(CT)
    fs.undo(reason="wrong disc")
    assert fs.history[-1].reason == "wrong disc"
    fs.redo(1, reason="right after all")
    assert fs.history[-1].reason == "right after all"


# --- across writes -------------------------------------------------------------------------------


@pytest.fixture
def adopted(tmp_path: Path) -> Iterator[FileSet]:
    """A File-set whose bytes are nowhere but on the medium that it was adopted with."""
    dicomdir = copy_of_example(tmp_path / "cd")
    with FileSet(dicomdir, repository=tmp_path / "repository") as made:
        yield made


@pytest.mark.parametrize("layout", ["pydicom", "existing"])
def test_a_file_that_a_write_took_off_an_adopted_medium_is_brought_back_by_undo_and_write(
    adopted: FileSet, tmp_path: Path, layout: str
) -> None:
    root = tmp_path / "cd"
    before = files(root)
    uids = [i.SOPInstanceUID for i in adopted]
    adopted.remove(adopted.find(PatientID="77654033"))
    adopted.write(layout=layout)
    after = files(root)
    assert len(after) == len(before) - 7
    assert not {*before.values()} <= {*after.values()}
    adopted.close()

    fs = FileSet.open(tmp_path / "repository")
    assert fs.undo(dry_run=True).pending.summary.endswith("7 additions")
    fs.undo()
    fs.close()
    fs = FileSet.open(tmp_path / "repository")
    fs.write(layout=layout)

    del before["DICOMDIR"]
    now = files(root)
    del now["DICOMDIR"]
    assert sorted(now.values()) == sorted(before.values())
    assert (now == before) == (layout == "existing")
    assert [i.SOPInstanceUID for i in fs] == uids
    assert fs.verify() == []
    fs.close()


def test_everything_that_was_written_since_an_adoption_can_be_taken_back(
    adopted: FileSet, tmp_path: Path
) -> None:
    root = tmp_path / "cd"
    before = files(root)
    uids, text = [i.SOPInstanceUID for i in adopted], adopted.ID
    adopted.add(CT)
    adopted.write(layout="existing")
    adopted.remove(adopted.find(PatientID="98890234"))
    adopted.write(layout="existing")
    adopted.ID = "OTHER"
    adopted.remove(list(adopted))
    adopted.write(layout="existing")
    assert [*files(root)] == ["DICOMDIR"]

    adopted.undo(4)
    adopted.write(layout="existing")

    assert ([i.SOPInstanceUID for i in adopted], adopted.ID) == (uids, text)
    now = files(root)
    assert {**now, "DICOMDIR": b""} == {**before, "DICOMDIR": b""}
    adopted.redo(4)
    adopted.write(layout="existing")
    assert [*files(root)] == ["DICOMDIR"]
    adopted.undo(3)
    adopted.write(layout="existing")
    assert len(adopted) == 32
    assert adopted.verify() == []


def test_the_past_of_an_adopted_medium_is_written_out_after_its_files_went(
    adopted: FileSet, tmp_path: Path
) -> None:
    then = adopted.tag("as-it-came")
    before = files(tmp_path / "cd")
    adopted.remove(list(adopted)[3:])
    adopted.write()
    adopted.at("as-it-came").copy(tmp_path / "copy")
    del before["DICOMDIR"]
    copied = files(tmp_path / "copy")
    del copied["DICOMDIR"]
    assert sorted(copied.values()) == sorted(before.values())
    assert len(adopted.at(then)) == 31


def test_bytes_that_went_with_the_vault_are_missed_by_name_when_they_are_to_be_written_back(
    adopted: FileSet, tmp_path: Path
) -> None:
    """What undo needs is in the vault alone once a write has taken it off the medium."""
    gone = adopted.find(PatientID="77654033")
    adopted.remove(gone)
    adopted.write()
    adopted.undo()
    adopted.close()
    shutil.rmtree(tmp_path / "repository" / "vault")
    (tmp_path / "repository" / "vault").mkdir()
    fs = FileSet.open(tmp_path / "repository")
    fs.repository.vault.rebuild_index()
    before = files(tmp_path / "cd")
    with pytest.raises(WriteFailedError, match=r"has no content sha256:.*Nothing was changed"):
        fs.write()
    assert files(tmp_path / "cd") == before
    fs.close()


# --- one change, all or nothing ------------------------------------------------------------------


def test_a_change_that_fails_leaves_journal_and_file_set_as_they_were_also_on_disk(
    fs: FileSet, tmp_path: Path
) -> None:
    ct = fs.add(CT)
    fs.ID = "BEFORE"
    fs.undo()
    text, head = str(fs), fs.repository.journal.head()
    with pytest.raises(ZeroDivisionError), fs.change(reason="half", actor="anna"):  # noqa: PT012 - a change that fails
        fs.remove(ct)
        fs.add(MR)
        fs.UID = "1.2.3"
        1 / 0  # noqa: B018 - as above
    assert (str(fs), fs.repository.journal.head()) == (text, head)
    fs.close()
    with FileSet.open(tmp_path / "repository") as opened:
        assert (str(opened), opened.repository.journal.head()) == (text, head)
        assert opened.redo().events
        assert opened.ID == "BEFORE"


def test_what_was_changed_together_is_undone_redone_and_reverted_together(fs: FileSet) -> None:
    ct = fs.add(CT)
    with fs.change(reason="swap", actor="anna"):
        fs.remove(ct)
        fs.add(MR)
        fs.ID = "SWAPPED"
    swap = fs.history[-1]
    assert (swap.reason, swap.actor, len(swap.events)) == ("swap", "anna", 3)
    fs.undo()
    assert ([i.PatientID for i in fs], fs.ID) == (["1CT1"], None)
    fs.redo()
    assert ([i.PatientID for i in fs], fs.ID) == (["4MR1"], "SWAPPED")
    fs.UID = "1.2.3"
    fs.revert(swap)
    assert ([i.PatientID for i in fs], fs.ID, fs.UID) == (["1CT1"], None, "1.2.3")


def test_what_another_object_added_is_read_in_a_view_of_then(tmp_path: Path) -> None:
    writer = FileSet(repository=tmp_path / "repository")
    reader = FileSet.open(tmp_path / "repository")
    assert len(reader) == 0
    writer.add(examples.get_path("ct"))
    view = reader.at(2)
    assert next(iter(view)).load().PatientID == "1CT1"
    assert len(view.copy(tmp_path / "copy")) == 1
