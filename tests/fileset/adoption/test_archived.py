"""Adopting the File-set in a ZIP file or disc image: as from a folder, but with its files."""

from __future__ import annotations

import os
import shutil
import warnings
from collections.abc import Iterator
from pathlib import Path
from zipfile import ZipFile

import pytest
from archives import (
    INSTANCES,
    MAKERS,
    both,
    central,
    directory_record,
    file_set,
    imaged,
    made_by,
    patched,
    zipped,
)
from cli_runs import Cli, run
from pydicom import examples

import fileset.adoption.archived
from fileset import FileSet
from fileset.adoption.archived import ArchivedFileSet
from fileset.adoption.load import read_existing
from fileset.checking.repository import verify
from fileset.errors import RefusedError
from ledger.events import FileSetImported, MediumLeft, Placement

LISTED = 31


@pytest.fixture
def disc(tmp_path: Path) -> Path:
    """pydicom's example File-set."""
    return file_set(tmp_path / "disc")


@pytest.fixture
def archive(disc: Path, tmp_path: Path) -> Path:
    """The same as a ZIP file."""
    return packed(disc, tmp_path / "disc.zip")


def packed(folder: Path, out: Path) -> Path:
    """Make a ZIP file of a folder."""
    files = {
        path.relative_to(folder).as_posix(): path.read_bytes()
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }
    return zipped(out, files)


def tree(root: Path) -> dict[str, bytes]:
    """Return the files below a folder."""
    return {
        path.relative_to(root).as_posix(): path.read_bytes()
        for path in root.rglob("*")
        if path.is_file()
    }


@pytest.mark.parametrize("maker", MAKERS)
def test_what_is_written_is_what_was_in_the_archive(disc: Path, tmp_path: Path, maker: str) -> None:
    archive = made_by(maker, disc, tmp_path / "archive.bin")
    run("init", tmp_path / "repository", "--from", archive)
    cli = Cli(tmp_path / "repository")
    cli("write", tmp_path / "medium")
    assert tree(tmp_path / "medium") == tree(disc)
    cli("verify")
    run("verify", tmp_path / "medium")


@pytest.mark.parametrize("layout", ["pydicom", "conformant"])
def test_a_write_gives_what_it_gives_of_the_folder(
    disc: Path, archive: Path, tmp_path: Path, layout: str
) -> None:
    written = []
    for source in (disc, archive):
        run("init", tmp_path / f"of-{source.name}", "--from", source)
        medium = tmp_path / f"medium-{source.name}"
        options = ("--layout", layout, "--new-medium") if source == disc else ("--layout", layout)
        Cli(tmp_path / f"of-{source.name}")("write", medium, *options)
        written.append(tree(medium))
    assert written[0] == written[1]


def test_it_has_no_home_until_it_is_written(archive: Path, tmp_path: Path) -> None:
    document = run("init", tmp_path / "repository", "--from", archive, "--json").document
    assert (document["root"], document["instances"], document["left_out"]) == (None, LISTED, 0)
    cli = Cli(tmp_path / "repository")
    assert cli.status() == f"DICOMDIR creation, {LISTED} additions"
    with FileSet.open(tmp_path / "repository") as fs:
        assert fs.path is None
        assert {leaf.placement for leaf in fs.state.live.values()} == {Placement.VAULT}
        assert fs.state.live.popitem()[1].source.startswith(f"{archive}!")  # type: ignore[union-attr]
        assert list(verify(fs.repository)) == []


def test_its_identity_is_that_of_the_dicomdir(disc: Path, tmp_path: Path) -> None:
    (disc / "README").write_text("what this is")
    with FileSet(disc / "DICOMDIR", repository=tmp_path / "first") as fs:
        fs.ID, fs.descriptor_file_id, fs.descriptor_character_set = "ID", "README", "ISO_IR 100"
        fs.write()
    archive = packed(disc, tmp_path / "a.zip")
    with FileSet(disc / "DICOMDIR") as there, FileSet(archive) as taken:
        assert taken.state.identity == there.state.identity
        assert (taken.ID, taken.UID) == ("ID", there.UID)
        assert taken.descriptor_file_id == "README"
        assert taken.descriptor_character_set == "ISO_IR 100"


def test_the_journal_tells_of_the_archive_and_that_it_was_left(
    archive: Path, tmp_path: Path
) -> None:
    with FileSet(archive, repository=tmp_path / "repository") as fs:
        (change,) = fs.repository.changes()
        events = [recorded.event for recorded in fs.repository.events_of(change)]
    imported, left = events[0], events[-1]
    assert isinstance(imported, FileSetImported)
    assert imported.root == os.fspath(archive)
    assert left == MediumLeft(os.fspath(archive), "taken in from an archive")
    cli = Cli(tmp_path / "repository")
    lines = cli("blame", "PatientID=77654033").out
    assert f"{archive}  adopted" in lines
    assert "left: taken in from an archive" in lines


def test_the_files_may_come_again_from_anywhere(disc: Path, archive: Path, tmp_path: Path) -> None:
    with FileSet(archive, repository=tmp_path / "repository") as fs:
        position = fs.repository.journal.position
        for source in (disc, archive, made_by("xorriso", disc, tmp_path / "iso")):
            report = fs.add_many(source)
            assert report.counts[fileset.adding.outcome.Outcome.ALREADY_THERE] == LISTED
        assert fs.repository.journal.position == position


def test_the_archive_is_needed_no_more(archive: Path, tmp_path: Path, disc: Path) -> None:
    run("init", tmp_path / "repository", "--from", archive)
    archive.unlink()
    cli = Cli(tmp_path / "repository")
    cli("verify")
    cli("write", tmp_path / "medium")
    assert tree(tmp_path / "medium") == tree(disc)


def test_names_in_lower_case_are_found(disc: Path, tmp_path: Path) -> None:
    archive = zipped(tmp_path / "a.zip", {name.lower(): data for name, data in tree(disc).items()})
    with FileSet(archive) as fs:
        assert len(fs) == LISTED


# --- which DICOMDIR ------------------------------------------------------------------------------


def nested(tmp_path: Path, disc: Path, *folders: str) -> Path:
    files = {f"{folder}{name}": data for folder in folders for name, data in tree(disc).items()}
    return zipped(tmp_path / "nested.zip", files)


def test_a_dicomdir_in_a_folder_is_found(disc: Path, tmp_path: Path) -> None:
    with FileSet(nested(tmp_path, disc, "export/disc/")) as fs:
        assert len(fs) == LISTED


def test_of_several_that_at_the_top_counts(disc: Path, tmp_path: Path) -> None:
    with FileSet(nested(tmp_path, disc, "", "copy/")) as fs:
        assert len(fs) == LISTED
        assert all("!copy" not in str(leaf.source) for leaf in fs.state.live.values())


def test_of_several_in_folders_one_has_to_be_named(disc: Path, tmp_path: Path) -> None:
    archive = nested(tmp_path, disc, "one/", "two/")
    told = run("init", tmp_path / "r", "--from", archive, code=3).err
    assert (
        f"has 2 DICOMDIRs (one/DICOMDIR, two/DICOMDIR): name one of them, as {archive}!one" in told
    )
    assert not (tmp_path / "r").exists()
    run("init", tmp_path / "r", "--from", f"{archive}!two/DICOMDIR")
    with FileSet.open(tmp_path / "r") as fs:
        assert all("!two/" in str(leaf.source) for leaf in fs.state.live.values())
    wrong = run("init", tmp_path / "s", "--from", f"{archive}!three/DICOMDIR", code=3).err
    assert "has no DICOMDIR called three/DICOMDIR, but one/DICOMDIR, two/DICOMDIR" in wrong


@pytest.mark.parametrize("kind", ["zip", "iso"])
def test_an_archive_without_one_is_for_add(tmp_path: Path, kind: str) -> None:
    files = {"CR": INSTANCES["77654033/CR1/6154"]}
    archive = (zipped if kind == "zip" else imaged)(tmp_path / "a", files)
    told = run("init", tmp_path / "r", "--from", archive, code=3).err
    assert told == (
        f"error: {archive} has no DICOMDIR: make an empty repository with `fileset init REPO`, and "
        "`fileset --repo REPO add` takes in what is in the archive.\n"
    )
    assert not (tmp_path / "r").exists()


def test_repair_is_for_folders(archive: Path, tmp_path: Path) -> None:
    told = run("init", tmp_path / "r", "--from", archive, "--repair", code=3).err
    assert "unpack it, and adopt the folder with --repair" in told
    assert not (tmp_path / "r").exists()


def test_a_damaged_dicomdir_is_refused_with_what_to_do(disc: Path, tmp_path: Path) -> None:
    data = (disc / "DICOMDIR").read_bytes()
    (disc / "DICOMDIR").write_bytes(data[: len(data) // 2])
    told = run("init", tmp_path / "r", "--from", packed(disc, tmp_path / "a"), code=3).err
    assert told.startswith(f"error: {tmp_path}/a!DICOMDIR can't be adopted: ")
    assert "Unpack it, and adopt the folder with --repair" in told


def test_a_damaged_archive_is_refused(archive: Path, tmp_path: Path) -> None:
    archive.write_bytes(archive.read_bytes()[:-100])
    told = run("init", tmp_path / "r", "--from", archive, code=3).err
    assert told.startswith(f"error: {archive} can't be adopted: it is a ZIP file that is damaged")


# --- files that are not as they should be --------------------------------------------------------


def adopted(archive: Path) -> Iterator[str]:
    """Adopt in memory; yield what was warned of."""
    with warnings.catch_warnings(record=True) as told:
        warnings.simplefilter("always")
        FileSet(archive).close()
    return (str(each.message) for each in told)


def test_missing_and_damaged_files_are_left_out_and_told(disc: Path, tmp_path: Path) -> None:
    (disc / "77654033/CR1/6154").unlink()
    (disc / "77654033/CR2/6247").write_bytes(b"no DICOM file")
    archive = packed(disc, tmp_path / "a.zip")
    name = "77654033/CR3/6278"
    patched(archive, central(archive.read_bytes(), name) + 16, b"\0\0\0\0")
    name = "98892003/MR1/15820"
    patched(archive, central(archive.read_bytes(), name) + 8, b"\1\0")
    result = run("init", tmp_path / "r", "--from", archive, "--json", code=1)
    assert (result.document["instances"], result.document["left_out"]) == (LISTED - 4, 4)
    told = run("init", tmp_path / "s", "--from", archive, code=1).err
    assert f"does not exist: {archive}!77654033/CR1/6154" in told
    assert f"{archive}!77654033/CR2/6247 is no DICOM file" in told
    assert f"{archive}!77654033/CR3/6278 is damaged in the archive: its checksum is" in told
    assert f"{archive}!98892003/MR1/15820 is encrypted" in told
    Cli(tmp_path / "s")("verify")


def test_a_file_that_is_another_instance_is_taken_and_told(disc: Path, tmp_path: Path) -> None:
    shutil.copyfile(examples.get_path("mr"), disc / "77654033/CR1/6154")
    archive = packed(disc, tmp_path / "a.zip")
    result = run("init", tmp_path / "r", "--from", archive, "--json", code=1).document
    assert result["doubts"] == {"sop-instance-uid": 1}
    assert result["instances"] == LISTED


def test_an_image_that_is_cut_off_gives_what_it_still_has(disc: Path, tmp_path: Path) -> None:
    image = made_by("xorriso-level-1", disc, tmp_path / "a.iso")
    patched(image, directory_record(image, "6154.;1") + 2, both(1 << 20))
    told = list(adopted(image))
    assert len(told) == 1
    assert f"{image}!77654033/CR1/6154 is cut off: the image ends before it does" in told[0]


def test_an_image_that_is_cut_off_before_its_dicomdir_is_refused(
    disc: Path, tmp_path: Path
) -> None:
    image = made_by("xorriso-level-1", disc, tmp_path / "a.iso")
    os.truncate(image, image.read_bytes().rfind((disc / "DICOMDIR").read_bytes()) + 100)
    told = run("init", tmp_path / "r", "--from", image, code=3).err
    assert told == (
        f"error: {image}!DICOMDIR can't be adopted: it is cut off: the image ends before it does. "
        "Copy the disc again.\n"
    )


def test_records_that_no_offset_leads_to_are_added_as_well(disc: Path, tmp_path: Path) -> None:
    shutil.copyfile(examples.get_path("dicomdir").parent / "DICOMDIR-nooffset", disc / "DICOMDIR")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        with FileSet(disc / "DICOMDIR") as there, FileSet(packed(disc, tmp_path / "a")) as taken:
            assert set(taken.state.live) == set(there.state.live)


def test_an_archive_that_changes_before_it_is_adopted_is_refused(archive: Path) -> None:
    found = read_existing(archive)
    assert isinstance(found, ArchivedFileSet)
    with ZipFile(archive, "a") as more:
        more.writestr("more", b"")
    with FileSet() as fs, pytest.raises(RefusedError, match="changed while it was read"):
        fileset.adoption.archived.take_in_archived(fs.repository, found)


def test_an_archive_that_finds_no_room_is_refused(
    archive: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(fileset.adoption.archived, "room_of", lambda _: 1000)
    told = run("init", tmp_path / "r", "--from", archive, code=3).err
    assert "and 1,000 are free on the disk of the repository" in told
    assert not (tmp_path / "r").exists()


def test_rock_ridge_names_are_those_of_the_file_ids(tmp_path: Path) -> None:
    image = imaged(tmp_path / "a.iso", {"DICOMDIR": b"", "A": b""}, rock_ridge=True)
    assert directory_record(image, "DICOMDIR;1")
    told = run("init", tmp_path / "r", "--from", image, code=3).err
    assert f"{image}!dicomdir can't be adopted" in told
