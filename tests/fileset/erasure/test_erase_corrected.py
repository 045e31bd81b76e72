"""Erasing a person of whose instances some were another's: nothing of the one is left on both."""

from __future__ import annotations

import errno
import os
from collections.abc import Callable
from pathlib import Path
from typing import NoReturn

import pytest
from cli_runs import CT, MR, Cli, run
from pydicom import Dataset, dcmread

from fileset import FileSet
from ledger.errors import VaultError
from ledger.vault.vault import PackVault

REASON = ("--reason", "request 2026-17")
ANNAS, BERTAS = (b"quux", b"anna-1"), (b"zwirn", b"berta-2")
MOVED = "1.2.3.2"


def archive(folder: Path, *, is_written: bool = True, folder_of_hers: str = "in") -> Cli:
    """Return a File-set with two instances of Anna, one of which is Berta's, and Berta's own."""
    run("init", folder / "archive")
    cli = Cli(folder / "archive")
    for number, source, id_, name in (
        (1, CT, "ANNA-1", "Quux^Anna"),
        (2, CT, "ANNA-1", "Quux^Anna"),
        (3, MR, "BERTA-2", "Zwirn^Berta"),
    ):
        ds = dcmread(source)
        ds.PatientID, ds.PatientName, ds.PatientSex = id_, name, "F"
        ds.SOPInstanceUID = ds.file_meta.MediaStorageSOPInstanceUID = f"1.2.3.{number}"
        ds.StudyInstanceUID, ds.SeriesInstanceUID = f"1.2.4.{number}", f"1.2.5.{number}"
        path = folder / (folder_of_hers if id_ == "ANNA-1" else "in") / str(number)
        path.parent.mkdir(exist_ok=True)
        ds.save_as(path)
        cli("add", path)
    if is_written:
        cli("write", folder / "cd")
    return cli


@pytest.fixture
def cli(tmp_path: Path) -> Cli:
    """The same on a medium."""
    return archive(tmp_path)


def move(cli: Cli, *options: str, write: bool = True) -> str:
    """Make Anna's second instance Berta's, whose it is; return the id of the change."""
    done = cli.json("move", "StudyInstanceUID=1.2.4.2", "--to", "PatientID=BERTA-2", *options)
    if write:
        rewrite(cli)
    return str(done["change"])


def rewrite(cli: Cli) -> None:
    """Write the medium, if there is one."""
    if (cli.repository.parent / "cd").exists():
        cli("write")


def instances(cli: Cli) -> dict[str, Dataset]:
    """Return what the File-set has by SOP Instance UID, read."""
    with FileSet.open(cli.repository) as fs:
        return {instance.SOPInstanceUID: instance.load() for instance in fs}


def found(cli: Cli, root: Path, words: tuple[bytes, ...]) -> list[Path]:
    """Return the files of the repository and the medium that have one of `words`."""
    return [
        path
        for folder in (cli.repository, root)
        for path in folder.rglob("*")
        if path.is_file() and any(word in path.read_bytes().lower() for word in words)
    ]


def test_the_one_goes_whole_and_what_was_hers_by_mistake_stays(cli: Cli, tmp_path: Path) -> None:
    move(cli)
    kept = cli.uids()
    document = cli.json("erase", "PatientID=ANNA-1", "--take-off", *REASON)
    assert document["mentions"] == []
    assert document["instances"] == 2
    assert found(cli, tmp_path / "cd", ANNAS) == []
    assert cli.uids() == kept - {"1.2.3.1"}
    assert cli.json("verify")["findings"] == []


def correct(cli: Cli, *arguments: str, code: int = 0) -> None:
    cli("correct", f"SOPInstanceUID={MOVED}", *arguments, code=code)


KEEP = ("--original-attributes", "keep")
BERTA = ("--to", "PatientName=Zwirn^Berta")
ROUTES: dict[str, Callable[[Cli], object]] = {
    "moved": lambda cli: move(cli, *KEEP),
    "moved, not written": lambda cli: move(cli, *KEEP, write=False),
    "ID first, then name": lambda cli: (
        correct(cli, "--to", "PatientID=BERTA-2", code=1),  # it has another name
        correct(cli, *BERTA),
    ),
    "name first, then ID": lambda cli: (
        correct(cli, *BERTA, code=1),
        correct(cli, "--to", "PatientID=BERTA-2", *KEEP),
    ),
    "by way of a third one": lambda cli: (
        correct(cli, "--to", "PatientID=CARLA-3", *KEEP),
        correct(cli, "--to", "PatientName=Fluse^Carla", *KEEP),
        move(cli, *KEEP),
    ),
    "by way of a third one who never was anybody else": lambda cli: (
        correct(cli, "--to", "PatientID=CARLA-3"),
        rewrite(cli),
        correct(cli, "--to", "PatientID=BERTA-2", *BERTA),
        rewrite(cli),
        correct(cli, "--to", "StudyDescription=Right"),
    ),
    "undone and done again": lambda cli: (
        move(cli, *KEEP, write=False), cli("undo"), cli("redo"), rewrite(cli)
    ),
    "taken back": lambda cli: cli("revert", move(cli, *KEEP)),
    "with a comment": lambda cli: (
        correct(cli, "--to", "PatientComments=Anna Quux's sister", "--to", "OtherPatientIDs=ANNA-1"
),
        move(cli),
    ),
    "merged": lambda cli: cli(
        "merge", "PatientID=ANNA-1", "--into", "PatientID=BERTA-2", *KEEP
    ),
}  # fmt: skip


@pytest.mark.parametrize("is_written", [True, False], ids=["on a medium", "staged"])
@pytest.mark.parametrize("route", ROUTES)
def test_nothing_of_her_is_left_whichever_way_an_instance_became_anothers(
    tmp_path: Path, route: str, is_written: bool
) -> None:
    cli = archive(tmp_path, is_written=is_written)
    ROUTES[route](cli)
    rewrite(cli)
    kept = {uid: ds.PatientName for uid, ds in instances(cli).items() if ds.PatientID == "BERTA-2"}
    erase = ("PatientID=ANNA-1",)
    foreseen = cli.json("erase", *erase, "--dry-run")
    done = cli.json("erase", *erase, "--take-off", *REASON)
    assert done["corrected"] == foreseen["corrected"]
    assert done["mentions"] == foreseen["mentions"] == []
    assert found(cli, tmp_path / "cd", ANNAS) == []
    after = instances(cli)
    assert {uid: ds.PatientName for uid, ds in after.items() if ds.PatientID == "BERTA-2"} == kept
    assert cli.json("verify")["findings"] == []
    assert cli("erase", *erase, *REASON, code=1).err == "No instance matches.\n"


def test_nothing_is_left_of_the_id_with_which_an_instance_arrived(tmp_path: Path) -> None:
    cli = archive(tmp_path, folder_of_hers="ANNA-1")
    rules = tmp_path / "rules.toml"
    rules.write_text(
        '[[rule]]\nmatch = {PatientID = "ANNA-1"}\n'
        'set = {PatientID = "OUR-7", PatientName = "Maiden^Anne"}\n'
    )
    cli("erase", "PatientID=ANNA-1", "--take-off", *REASON)
    cli("add", tmp_path / "ANNA-1", "--coerce", rules)
    cli("write")
    document = cli.json("erase", "PatientID=ANNA-1", "--take-off", *REASON)
    assert document["mentions"] == []
    assert {each["sop_instance_uid"] for each in document["corrected"]} == {"1.2.3.1", MOVED}
    assert found(cli, tmp_path / "cd", ANNAS) == []
    assert {str(each.PatientName) for each in instances(cli).values()} == {
        "Zwirn^Berta",
        "Maiden^Anne",
    }
    assert cli.json("verify")["findings"] == []


def test_what_tells_of_her_is_in_the_way_until_it_may_be_taken_out(cli: Cli) -> None:
    move(cli, *KEEP)
    cli("remove", "PatientID=ANNA-1")
    cli("write")
    refused = cli("erase", "PatientID=ANNA-1", *REASON, code=3).err
    assert "1 instance moved to another patient still names the person" in refused
    assert MOVED in cli("erase", "PatientID=ANNA-1", "--dry-run").out
    document = cli.json("erase", "PatientID=ANNA-1", "--take-off", *REASON)
    told = {"sop_instance_uid": MOVED, "elements": ["OriginalAttributesSequence[0]"]}
    assert document["corrected"] == [told]


@pytest.mark.parametrize("options", [(), KEEP], ids=["omit", "keep"])
def test_a_correction_that_takes_her_instance_off_is_written_with_the_erasure(
    cli: Cli, tmp_path: Path, options: tuple[str, ...]
) -> None:
    move(cli, *options, write=False)
    assert cli.json("erase", "PatientID=ANNA-1", "--take-off", *REASON)["mentions"] == []
    assert found(cli, tmp_path / "cd", ANNAS) == []
    assert set(instances(cli)) == {MOVED, "1.2.3.3"}


def test_an_erasure_whose_write_failed_can_be_given_again(
    cli: Cli, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    move(cli, *KEEP)

    def full(*_: object, **__: object) -> NoReturn:
        raise OSError(errno.ENOSPC, "No space left on device")

    erase = ("erase", "PatientID=ANNA-1", "--take-off", *REASON)
    with monkeypatch.context() as patch:
        patch.setattr(os, "replace", full)
        assert "its disk is full" in cli(*erase, code=3).err
    assert cli.json(*erase)["mentions"] == []
    assert found(cli, tmp_path / "cd", ANNAS) == []
    assert cli.json("verify")["findings"] == []


def test_nothing_is_erased_while_nobody_can_say_what_an_instance_tells(
    cli: Cli, monkeypatch: pytest.MonkeyPatch
) -> None:
    move(cli, *KEEP)
    before = cli.json("log")

    def fail(*_: object) -> NoReturn:
        raise VaultError("the pack can't be read: check the disk")

    with monkeypatch.context() as patch:
        patch.setattr(PackVault, "view", fail)
        refused = cli("erase", "PatientID=ANNA-1", "--take-off", *REASON, code=3).err
    assert "check the disk" in refused
    assert cli.json("log") == before


def test_an_instance_that_cannot_be_corrected_leaves_all_as_it_was(cli: Cli) -> None:
    correct(cli, "--to", "StudyID=ANNA-1")
    move(cli)
    before = cli.json("log")
    refused = cli("erase", "PatientID=ANNA-1", "--take-off", *REASON, code=3).err
    assert "names the person in StudyID, which can't be removed" in refused
    assert cli.json("log") == before
    correct(cli, "--to", "StudyID=7", "--original-attributes", "omit")
    cli("write")
    assert cli.json("erase", "PatientID=ANNA-1", "--take-off", *REASON)["corrected"] == []
    assert cli.json("verify")["findings"] == []


def test_where_a_file_came_from_is_not_told_of_another_ones_instance(tmp_path: Path) -> None:
    cli = archive(tmp_path, folder_of_hers="Quux_Anna")
    move(cli)
    document = cli.json("erase", "PatientID=ANNA-1", "--take-off", *REASON)
    assert document["mentions"] == []
    assert found(cli, tmp_path / "cd", ANNAS) == []


def test_the_other_goes_with_what_became_hers_and_the_one_stays(cli: Cli, tmp_path: Path) -> None:
    move(cli, "--original-attributes", "keep")
    document = cli.json("erase", "PatientID=BERTA-2", "--take-off", *REASON)
    assert document["instances"] == 2  # the moved one in both of its versions
    assert document["mentions"] == []
    assert found(cli, tmp_path / "cd", (*BERTAS, MOVED.encode())) == []
    assert cli.uids() == {"1.2.3.1"}
    assert cli.json("verify")["findings"] == []


def test_a_former_version_is_not_erased_for_another_person_whom_it_does_not_tell_of(
    cli: Cli, tmp_path: Path
) -> None:
    cli("correct", f"SOPInstanceUID={MOVED}", "--to", "StudyDescription=Right")
    cli("write")
    assert cli.json("erase", "PatientID=BERTA-2", "--take-off", *REASON)["instances"] == 1
    assert found(cli, tmp_path / "cd", BERTAS) == []
    assert cli.uids() == {"1.2.3.1", MOVED}


def test_what_was_corrected_in_one_that_stays_is_told_after_another_one_is_erased(cli: Cli) -> None:
    cli("correct", "Modality=MR", "SOPInstanceUID=1.2.3.3", "--to", "ImageComments=Right")
    cli("correct", "Modality=CT", "--to", "StudyDescription=Better")
    cli("write")
    cli("erase", "SOPInstanceUID=1.2.3.1", "--take-off", *REASON)
    document = cli.json("blame", f"SOPInstanceUID={MOVED}")
    assert "corrected" in [event["event"] for event in document["events"]]
    assert (
        "StudyDescription corrected from 'e+1' to 'Better'"
        in cli("blame", f"SOPInstanceUID={MOVED}").out
    )
    assert cli.json("verify")["findings"] == []
