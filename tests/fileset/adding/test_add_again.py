"""Adding what is known again, as a copy: the vault has its bytes from then on."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from cli_runs import CT, MR, Cli, changed, run
from pydicom import dcmread, dcmwrite
from pydicom.data import get_testdata_file
from pydicom.uid import ExplicitVRBigEndian, ExplicitVRLittleEndian, ImplicitVRLittleEndian

from fileset import FileSet
from ledger.files import LARGE


@pytest.fixture
def source(tmp_path: Path) -> Path:
    """A folder with two instances."""
    folder = tmp_path / "source"
    folder.mkdir()
    for name, path in (("CT", CT), ("MR", MR)):
        shutil.copyfile(path, folder / name)
    return folder


def on_a_medium(tmp_path: Path, source: Path) -> Cli:
    """The instances are on an adopted medium only."""
    shutil.copytree(source, tmp_path / "medium")
    run("index", tmp_path / "medium")
    run("init", tmp_path / "archive", "--from", tmp_path / "medium/DICOMDIR")
    return Cli(tmp_path / "archive")


def by_reference(tmp_path: Path, source: Path) -> Cli:
    """The instances were left where they were found."""
    shutil.copytree(source, tmp_path / "medium")
    run("init", tmp_path / "archive")
    cli = Cli(tmp_path / "archive")
    cli("add", tmp_path / "medium", "--recursive", "--place", "reference")
    return cli


def written_by_reference(tmp_path: Path, source: Path) -> Cli:
    """As before, and written since."""
    cli = by_reference(tmp_path, source)
    cli("write", tmp_path / "written")
    return cli


KNOWN = (on_a_medium, by_reference, written_by_reference)
Known = Callable[[Path, Path], Cli]


def lose_all_but_the_repository(tmp_path: Path) -> None:
    for name in ("source", "medium", "written"):
        shutil.rmtree(tmp_path / name, ignore_errors=True)


def _files(root: Path) -> list[Path]:
    return [path for path in root.rglob("*") if path.is_file() and path.name != "DICOMDIR"]


@pytest.mark.parametrize("known", KNOWN)
@pytest.mark.parametrize("removed", [False, True])
def test_what_was_added_as_a_copy_needs_nothing_else(
    known: Known, removed: bool, source: Path, tmp_path: Path
) -> None:
    cli = known(tmp_path, source)
    if removed:
        cli("remove", "Modality=CT")

    result = cli("add", source, "--recursive")
    assert "its content was not in the vault, and was stored there" in result.out + result.err
    lose_all_but_the_repository(tmp_path)

    cli("write", tmp_path / "new", *(["--new-medium"] if known is not by_reference else []))
    assert run("verify", tmp_path / "new").code == 0
    assert {path.read_bytes() for path in _files(tmp_path / "new")} == {
        Path(path).read_bytes() for path in (CT, MR)
    }


@pytest.mark.parametrize("known", KNOWN)
def test_it_is_stored_and_told_once(known: Known, source: Path, tmp_path: Path) -> None:
    cli = known(tmp_path, source)
    cli("add", source, "--recursive")
    position = cli.json("status")["position"]

    result = cli("add", source, "--recursive")

    assert "stored" not in result.out + result.err
    assert cli.json("status")["position"] == position


def test_a_reference_to_what_is_known_copies_nothing(source: Path, tmp_path: Path) -> None:
    cli = on_a_medium(tmp_path, source)
    cli("add", source, "--recursive", "--place", "reference")
    lose_all_but_the_repository(tmp_path)

    refused = cli("write", tmp_path / "new", "--new-medium", code=3)

    assert "Add their files again, remove the instances, or bring the medium back." in refused.err


def test_of_another_encoding_the_bytes_that_are_known_are_stored(
    source: Path, tmp_path: Path
) -> None:
    cli = on_a_medium(tmp_path, source)
    ds = dcmread(source / "CT")
    ds.file_meta.TransferSyntaxUID = ImplicitVRLittleEndian
    ds.save_as(source / "CT", implicit_vr=True, little_endian=True)

    cli("add", source, "--recursive")
    lose_all_but_the_repository(tmp_path)
    cli("write", tmp_path / "new", "--new-medium")

    assert Path(CT).read_bytes() in {p.read_bytes() for p in _files(tmp_path / "new")}


def test_other_content_is_in_conflict_and_not_stored(source: Path, tmp_path: Path) -> None:
    cli = on_a_medium(tmp_path, source)
    changed(CT, source / "CT", PatientName="Somebody^Else")

    cli("add", source / "CT", code=1)
    lose_all_but_the_repository(tmp_path)

    cli("write", tmp_path / "new", "--new-medium", code=3)


def test_a_repair_puts_back_what_was_added_again(source: Path, tmp_path: Path) -> None:
    cli = on_a_medium(tmp_path, source)
    (tmp_path / "medium" / "CT").unlink()
    cli("add", source / "CT")

    cli("write", "--repair")

    assert (tmp_path / "medium" / "CT").read_bytes() == Path(CT).read_bytes()


def test_a_state_of_before_can_be_written_from_the_copy(source: Path, tmp_path: Path) -> None:
    cli = by_reference(tmp_path, source)
    cli("tag", "before")
    cli("add", source, "--recursive")
    lose_all_but_the_repository(tmp_path)

    cli("write", tmp_path / "copy", "--at", "before")

    assert run("verify", tmp_path / "copy").code == 0


def test_undone_it_is_in_the_vault_all_the_same(source: Path, tmp_path: Path) -> None:
    cli = on_a_medium(tmp_path, source)
    cli("remove", "Modality=CT")
    cli("add", source / "CT")
    cli("undo")
    cli("redo")
    lose_all_but_the_repository(tmp_path)

    assert "was stored there" not in cli("add", CT).out
    assert cli("gc").code == 0


def test_an_instance_in_python_can_be_read_from_the_copy(source: Path, tmp_path: Path) -> None:
    on_a_medium(tmp_path, source)
    with FileSet.open(tmp_path / "archive") as fs:
        fs.remove(list(fs))
        instance = fs.add(source / "CT")
        lose_all_but_the_repository(tmp_path)

        assert instance.load().SOPInstanceUID == instance.SOPInstanceUID


@pytest.mark.parametrize(
    "names",
    [
        ("liver_1frame.dcm", "liver_expb_1frame.dcm"),
        ("MR_small.dcm", "MR_small_expb.dcm"),
        ("MR_small.dcm", "MR_small_implicit.dcm"),
    ],
    ids=" and ".join,
)
def test_the_same_instance_in_another_encoding_is_there_already(
    cli: Cli, names: tuple[str, str]
) -> None:
    first, second = map(get_testdata_file, names)
    cli("add", first)
    assert "1 already there" in cli("add", second).out


def test_a_large_instance_in_another_encoding_is_there_already(cli: Cli, tmp_path: Path) -> None:
    for name, syntax in (("a", ExplicitVRLittleEndian), ("b", ExplicitVRBigEndian)):
        ds = dcmread(MR)
        ds.PixelData = b"\1\2" * (LARGE // 2) if name == "a" else b"\2\1" * (LARGE // 2)
        ds.file_meta.TransferSyntaxUID = syntax
        dcmwrite(tmp_path / name, ds, implicit_vr=False, little_endian=name == "a")
    cli("add", tmp_path / "a")
    assert "1 already there" in cli("add", tmp_path / "b").out
    other = changed(tmp_path / "a", tmp_path / "c", PatientComments="other")
    assert "(its metadata differs)" in cli("add", other, code=1).err
    run("init", tmp_path / "both")
    both = Cli(tmp_path / "both")("add", tmp_path / "a", tmp_path / "b").out
    assert "1 already there" in both
