"""Erasing a person of whose instances some were another's: nothing of the one is left on both."""

from __future__ import annotations

import shlex
from pathlib import Path

import pytest
from cli_runs import CT, MR, Cli
from pydicom import dcmread

REASON = ("--reason", "request 2026-17")
ANNAS, BERTAS = (b"quux", b"anna-1"), (b"zwirn", b"berta-2")
MOVED = "1.2.3.2"


@pytest.fixture
def cli(cli: Cli, tmp_path: Path) -> Cli:
    """A File-set on a medium with two instances of Anna, one of which is Berta's, and Berta's."""
    for number, source, id_, name in (
        (1, CT, "ANNA-1", "Quux^Anna"),
        (2, CT, "ANNA-1", "Quux^Anna"),
        (3, MR, "BERTA-2", "Zwirn^Berta"),
    ):
        ds = dcmread(source)
        ds.PatientID, ds.PatientName, ds.PatientSex = id_, name, "F"
        ds.SOPInstanceUID = ds.file_meta.MediaStorageSOPInstanceUID = f"1.2.3.{number}"
        ds.StudyInstanceUID, ds.SeriesInstanceUID = f"1.2.4.{number}", f"1.2.5.{number}"
        ds.save_as(tmp_path / str(number))
        cli("add", tmp_path / str(number))
    cli("write", tmp_path / "cd")
    return cli


def move(cli: Cli, *options: str) -> None:
    """Make Anna's second instance Berta's, whose it is."""
    cli("move", "StudyInstanceUID=1.2.4.2", "--to", "PatientID=BERTA-2", *options)
    cli("write")


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


@pytest.mark.parametrize("first", ["erased", "corrected"])
def test_what_tells_of_her_is_named_with_the_command_that_removes_it(
    cli: Cli, tmp_path: Path, first: str
) -> None:
    move(cli, "--original-attributes", "keep")
    erase = ("erase", "PatientID=ANNA-1", "--take-off", *REASON)
    foreseen = cli.json("erase", "PatientID=ANNA-1", "--dry-run")
    (mention,) = foreseen["mentions"]
    assert mention["text"] == f"SOP Instance {MOVED}: OriginalAttributesSequence[0]"
    assert mention["remedy"] in cli("erase", "PatientID=ANNA-1", "--dry-run").err
    if first == "erased":
        assert cli.json(*erase)["mentions"] == [mention]
        assert found(cli, tmp_path / "cd", ANNAS)
    program, *remedy = shlex.split(mention["remedy"])
    assert program == "fileset"
    cli(*remedy)
    cli("write")
    assert cli.json(*erase)["mentions"] == []
    assert found(cli, tmp_path / "cd", ANNAS) == []
    (ds,) = [
        ds for path in (tmp_path / "cd").rglob("IM*") if (ds := dcmread(path)).Modality == "CT"
    ]
    assert (ds.SOPInstanceUID, ds.PatientName) == (MOVED, "Zwirn^Berta")
    assert "OriginalAttributesSequence" not in ds
    assert cli.json("verify")["findings"] == []


def test_the_other_goes_with_what_became_hers_and_the_one_stays(cli: Cli, tmp_path: Path) -> None:
    move(cli, "--original-attributes", "keep")
    document = cli.json("erase", "PatientID=BERTA-2", "--take-off", *REASON)
    assert document["instances"] == 3  # the moved one as it was before, too
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
