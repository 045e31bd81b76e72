"""Revert: a change is taken back in the middle of others, or it is told what stands in the way."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from cli_runs import CT, MR, Cli, changed, copy_of_example, run
from models import Author, calls, effective, iteration

from fileset import FileSet
from fileset.errors import NoSuchMomentError, RefusedError, RevertRefusedError
from ledger.errors import JournalDamagedError
from ledger.events import ChangeReverted
from ledger.journal import Change, Recorded
from projections.errors import MisfitError
from projections.reverting import inverse
from projections.snapshot import to_plain


def revert(author: Author, index: int) -> None:
    """Revert the change at `index` of those that can be undone."""
    author.commit([ChangeReverted(author.state.history.undo[index].change)])


# --- the fold ------------------------------------------------------------------------------------


def test_what_came_after_a_reverted_change_stays() -> None:
    author = Author().run(
        [("set", "id", "A"), ("add", 0, 0, 0), ("set", "uid", "1.2.4"), ("add", 1, 0, 0)]
    )
    revert(author, 1)

    assert [leaf.uid for leaf in author.state.live.values()] == ["1.9.1"]
    assert (author.state.identity.id, author.state.identity.uid) == ("A", "1.2.4")


def test_an_instance_whose_removal_is_reverted_is_back_in_its_place() -> None:
    author = Author().run([("add", number, 0, 0) for number in range(3)])
    before, order = effective(author.state), iteration(author.state)
    author.run([("remove", 0), ("set", "id", "A"), ("set", "id", "SET")])

    revert(author, 3)

    assert effective(author.state) == before
    assert iteration(author.state) == order


def test_a_replacement_in_one_change_is_reverted_both_ways() -> None:
    author = Author().run([("add", 0, 0, 0)])
    before = effective(author.state)
    author.do(("many", [("remove", 0), ("add", 0, 0, 1)]))
    author.do(("add", 1, 2, 0))
    after = effective(author.state)

    revert(author, 1)
    author.do(("remove", 1))
    assert effective(author.state) == before

    author.do(("undo", 2))
    assert effective(author.state) == after


@pytest.mark.parametrize(
    ("then", "in_the_way"),
    [
        ([("remove", 0)], [1]),
        ([("set", "id", "A"), ("remove", 0), ("set", "id", "B")], [2]),
        ([("remove", 0), ("add", 0, 0, 1)], [1]),
        ([("write",), ("many", [("remove", 0), ("set", "id", "A")])], [1]),
    ],
)
def test_an_addition_is_not_reverted_when_the_instance_was_removed_since(
    then: list[tuple[object, ...]], in_the_way: list[int]
) -> None:
    author = Author().run([("add", 0, 0, 0), *then])
    ids = [entry.change for entry in author.state.history.undo]

    found = inverse(author.state, ids[0])

    assert found.in_the_way == tuple(ids[index] for index in in_the_way)
    assert not found.effects


def test_a_removal_is_not_reverted_when_another_instance_of_that_uid_came() -> None:
    author = Author().run([("add", 0, 0, 0), ("remove", 0), ("add", 1, 2, 0), ("add", 0, 0, 1)])
    ids = [entry.change for entry in author.state.history.undo]

    assert inverse(author.state, ids[1]).in_the_way == (ids[3],)

    author.do(("remove", 0))
    revert(author, 1)
    assert [leaf.handle for leaf in author.state.live.values()] == [4, 2]


def test_a_removal_is_not_reverted_when_the_patient_came_anew_since() -> None:
    author = Author().run([("add", 0, 0, 0), ("remove", 0), ("add", 1, 1, 0), ("add", 2, 2, 0)])
    ids = [entry.change for entry in author.state.history.undo]

    # Both would be below a PATIENT record of their own, with one Patient ID.
    assert inverse(author.state, ids[1]).in_the_way == (ids[2],)

    author.do(("remove", 1))
    revert(author, 1)
    assert sorted(author.state.live) == ["1.9.0", "1.9.2"]


def test_a_removal_is_reverted_below_the_records_that_stand_still() -> None:
    author = Author().run([("add", 0, 0, 0), ("remove", 0), ("undo", 1), ("write",)])
    author.run([("remove", 0), ("add", 1, 1, 0)])  # below the PATIENT that is on the medium still

    revert(author, -2)

    top = [node for depth, node in author.state.hierarchy.walk() if depth == 0]
    assert len(top) == 1


def test_a_replacement_that_brought_the_patient_anew_is_reverted() -> None:
    author = Author().run([("add", 0, 0, 0)])
    before = effective(author.state)
    author.do(("many", [("remove", 0), ("add", 1, 0, 1)]))
    revert(author, 1)
    assert effective(author.state) == before


def test_a_setting_is_reverted_while_it_has_that_value() -> None:
    author = Author().run([("set", "id", "A"), ("set", "id", "B"), ("set", "uid", "1.2.4")])
    ids = [entry.change for entry in author.state.history.undo]

    assert inverse(author.state, ids[0]).in_the_way == (ids[1],)
    revert(author, 1)
    assert author.state.identity.id == "A"
    assert inverse(author.state, ids[1]).in_the_way == (author.events[-1].change.id,)
    revert(author, 0)
    assert author.state.identity.id == "SET"


def test_a_revert_is_undone_redone_and_reverted_as_any_change() -> None:
    author = Author().run([("add", 0, 0, 0), ("add", 1, 0, 0)])
    both = effective(author.state)
    revert(author, 0)
    one = effective(author.state)

    author.do(("undo", 1))
    assert effective(author.state) == both
    author.do(("redo", 1))
    assert effective(author.state) == one
    revert(author, -1)
    assert effective(author.state) == both


def test_a_revert_costs_what_the_change_did_whatever_the_size_of_the_file_set() -> None:
    costs = []
    for size in (20, 400):
        author = Author().run([("add", number, 0, 0) for number in range(size)])
        author.do(("many", [("remove", 7), ("add", size, 0, 0)]))
        author.do(("set", "id", "A"))
        revision = author.state.revision
        costs.append(calls(lambda: revert(author, -2)))  # noqa: B023 - it is called here
        assert author.state.revision == revision + 2
    assert costs[1] <= costs[0] * 1.5


def test_only_what_is_in_force_has_an_inverse() -> None:
    author = Author().run([("add", 0, 0, 0), ("undo", 1)])
    undone = author.state.history.redo[0].change
    before = to_plain(author.state)
    for change in (undone, "c0001", "nothing"):
        with pytest.raises(MisfitError, match="not in force"):
            inverse(author.state, change)
        with pytest.raises(JournalDamagedError):
            author.commit([ChangeReverted(change)])
        assert to_plain(author.state) == before


def test_an_event_that_reverts_its_own_change_or_nothing_is_refused() -> None:
    author = Author().run([("many", [("set", "id", "A"), ("set", "id", "SET")])])
    (entry,) = author.state.history.undo
    own = Change(entry.change, 4, 1, "", "me", "here", None)
    with pytest.raises(JournalDamagedError):
        author.state.apply(Recorded(4, own, ChangeReverted(entry.change)))
    with pytest.raises(JournalDamagedError):
        author.commit([ChangeReverted(entry.change)])


# --- FileSet -------------------------------------------------------------------------------------


@pytest.fixture
def fs(tmp_path: Path) -> Iterator[FileSet]:
    with FileSet(repository=tmp_path / "repository") as made:
        yield made


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


# --- the command ---------------------------------------------------------------------------------


@pytest.fixture
def cli(tmp_path: Path) -> Cli:
    run("init", tmp_path / "archive")
    return Cli(tmp_path / "archive")


def ids(cli: Cli) -> list[str]:
    return [entry["id"] for entry in cli.json("log")["changes"]]


def test_the_command_tells_what_it_reverted_and_what_is_staged(cli: Cli) -> None:
    cli("add", CT, "--reason", "for the clinic")
    cli("add", MR)
    added = ids(cli)[1]
    assert cli("revert", added[:9], "--reason", "not theirs").out.splitlines() == [
        f"Reverted {added}: 1 instance added: 1CT1 (for the clinic)",
        "Staged for write: DICOMDIR creation, 1 addition",
    ]
    last = cli.json("log")["changes"][-1]
    assert last["summary"] == f"reverted {added}: 1 instance added: 1CT1"
    assert last["reason"] == "not theirs"
    assert "1CT1" in cli("undo").out


def test_the_command_foresees_a_revert(cli: Cli) -> None:
    cli("add", CT)
    cli("add", MR)
    added = ids(cli)[1]
    position = cli.json("status")["position"]
    out = cli("revert", added, "--dry-run").out.splitlines()
    assert out[0] == f"Would revert {added}: 1 instance added: 1CT1"
    assert out[1].startswith("  - (not on the medium)")
    assert out[1].rstrip().endswith("CT Image Storage")
    dry = cli.json("revert", added, "--dry-run")
    assert (dry["dry_run"], dry["change"]) == (True, None)
    assert cli.json("status")["position"] == position
    real = cli.json("revert", added)
    assert {**dry, "dry_run": False, "change": ids(cli)[-1]} == real
    assert [i["sop_class"] for i in real["removed"]] == ["CT Image Storage"]


def test_the_command_lists_the_changes_in_the_way(cli: Cli, tmp_path: Path) -> None:
    cli("add", CT)
    cli("remove", "PatientID=1CT1", "--reason", "blurred")
    cli("set", "id=DISC")
    cli("add", changed(CT, tmp_path / "other.dcm", PatientName="X"))
    removal, setting, other = ids(cli)[2:]
    for options in ((), ("--dry-run",)):
        refused = cli("revert", removal, *options, code=3)
        assert refused.out == ""
        assert refused.err.splitlines() == [
            f"error: Change {removal} can't be reverted, a later change stands in the way:",
            f"  {other}: 1 instance added: 1CT1",
            "Revert the newest of them first, if they are to go, too.",
        ]
    error = cli.json("revert", removal, code=3)["error"]
    assert (error["kind"], error["type"]) == ("refused", "RevertRefusedError")
    assert [entry["id"] for entry in error["in_the_way"]] == [other]
    assert cli("revert", ids(cli)[1], code=3).err.splitlines()[1:-1] == [
        f"  {removal}: 1 instance removed: 1CT1 (blurred)"
    ]
    cli("set", "id=CD")
    cli("set", "id=USB")
    assert "2 later changes stand in the way:" in cli("revert", setting, code=3).err
    cli("undo", 2)
    cli("revert", other)
    cli("revert", removal)
    assert cli.json("status")["id"] == "DISC"
    assert cli("revert", "nothing", code=2).err.endswith("see `fileset log`.\n")
