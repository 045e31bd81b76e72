"""File IDs that are one name on some media: the file of one is never lost for the other."""

from __future__ import annotations

import unicodedata
import warnings
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from cli_runs import Cli, run
from click.testing import CliRunner
from folding_disk import folding
from pydicom import Dataset, dcmread, examples
from pydicom.fileset import FileSet as PydicomFileSet

from fileset import FileSet
from fileset.cli import main
from fileset.medium.errors import WriteFailedError
from fileset.medium.export import Exporter
from ledger.errors import LedgerError
from ledger.names import one_name, twins
from projections.medium.directory import encode_directory

PAIRS = [
    ("A/IM1", "A/im1"),
    ("A/IM1", "a/IM1"),
    ("A/IM1", "A/IM1."),
    ("A/Ä1", "A/ä1"),
    (f"A/{unicodedata.normalize('NFC', 'é')}", f"A/{unicodedata.normalize('NFD', 'é')}"),
]


def instance(number: int) -> Dataset:
    ds: Dataset = dcmread(examples.get_path("ct"))
    ds.SOPInstanceUID = ds.file_meta.MediaStorageSOPInstanceUID = f"1.2.3.{number}"
    ds.InstanceNumber = number
    ds.PixelData = bytes([number]) * len(ds.PixelData)
    return ds


def disc_of(root: Path, *names: str) -> None:
    """Make a File-set of instances at `names`, which need not be valid File IDs."""
    for number, name in enumerate(names, 1):
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        instance(number).save_as(path, enforce_file_format=True)
    made = FileSet()
    made.add_many([root / name for name in names])
    file_ids = {leaf: names[int(uid[-1]) - 1] for uid, leaf in made.state.live.items()}
    (root / "DICOMDIR").write_bytes(encode_directory(made.state, file_ids))


@pytest.fixture(params=PAIRS[:3], ids=["case", "folder", "dot"])
def pair(request: pytest.FixtureRequest) -> tuple[str, str]:
    found: tuple[str, str] = request.param
    return found


@pytest.fixture
def disc(tmp_path: Path, pair: tuple[str, str]) -> Path:
    disc_of(tmp_path / "disc", *pair, "B/IM2")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        run("init", tmp_path / "archive", "--from", tmp_path / "disc")
    return tmp_path / "disc"


def lose(file: Path) -> None:
    """Delete a file, and its folder if that is empty: as if it had been copied to a FAT disk."""
    file.unlink()
    if not any(file.parent.iterdir()):
        file.parent.rmdir()


def opened(disc: Path) -> FileSet:
    return FileSet.open(disc.parent / "archive")


@pytest.mark.parametrize("pair", PAIRS)
def test_names_that_a_medium_takes_for_one_are_told(pair: tuple[str, str]) -> None:
    assert one_name(pair[0]) == one_name(pair[1])
    assert twins([*pair, "B/IM2"]) == {pair[0]: pair[1], pair[1]: pair[0]}


def test_where_they_are_two_the_check_of_the_repository_tells_of_both(
    disc: Path, pair: tuple[str, str]
) -> None:
    with opened(disc) as fs:
        found = fs.verify()
        assert {Path(each.where) for each in found} == {disc / name for name in pair}
        assert all(each.kind.value == "one-name" and each.is_warning for each in found)
        fs.write(layout="conformant")
        assert fs.verify() == []


def test_where_they_are_two_one_goes_and_the_other_stays(disc: Path, pair: tuple[str, str]) -> None:
    with opened(disc) as fs:
        fs.remove(fs.find(SOPInstanceUID="1.2.3.2"))
        fs.write(layout="existing")
        assert fs.verify() == []
    assert (disc / pair[0]).exists()
    assert not (disc / pair[1]).exists()


def test_where_they_are_one_the_file_stays_that_is_still_named(
    disc: Path, pair: tuple[str, str]
) -> None:
    lose(disc / pair[1])
    before = (disc / pair[0]).read_bytes()
    with folding(disc), opened(disc) as fs:
        fs.remove(fs.find(SOPInstanceUID="1.2.3.2"))
        fs.write(layout="existing")
        assert fs.verify() == []
    assert (disc / pair[0]).read_bytes() == before


@pytest.mark.parametrize("layout", ["existing", "conformant"])
def test_neither_is_written_over_the_other(disc: Path, pair: tuple[str, str], layout: str) -> None:
    lose(disc / pair[1])
    before = (disc / pair[0]).read_bytes()
    with folding(disc), opened(disc) as fs:
        (found,) = fs.verify()
        assert "that of another instance" in found.message
        fs.ID = "OTHER"
        with pytest.raises(LedgerError):
            fs.write(layout=layout)
        with warnings.catch_warnings(), suppress(LedgerError):
            warnings.simplefilter("ignore")  # that the file of the other can't be put right
            fs.write(layout=layout, repair=True)
    assert (disc / pair[0]).read_bytes() == before


def test_with_its_bytes_in_the_vault_each_gets_a_name_of_its_own(
    disc: Path, pair: tuple[str, str]
) -> None:
    files = {name: (disc / name).read_bytes() for name in pair}
    with opened(disc) as fs, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        fs.add_many([disc / name for name in pair])
    lose(disc / pair[1])
    with folding(disc), opened(disc) as fs, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        fs.write(layout="pydicom")
        assert fs.verify() == []
        assert {Path(i.path).read_bytes() for i in fs} >= set(files.values())


def test_a_copy_where_they_are_one_is_refused_and_leaves_nothing(
    disc: Path, pair: tuple[str, str]
) -> None:
    copy = disc.parent / "copy"
    with folding(disc.parent), opened(disc) as fs:
        with pytest.raises(WriteFailedError, match="would be one file there"):
            Exporter(fs.repository).export(copy, fs.state, "existing")
        assert not copy.exists() or list(copy.iterdir()) == []
        fs.copy(copy)
    assert len(list(PydicomFileSet(copy / "DICOMDIR"))) == 3


def test_a_copy_where_they_are_two_has_both(disc: Path, pair: tuple[str, str]) -> None:
    with opened(disc) as fs:
        Exporter(fs.repository).export(disc.parent / "copy", fs.state, "existing")
    for name in pair:
        assert (disc.parent / "copy" / name).read_bytes() == (disc / name).read_bytes()


# --- links ---------------------------------------------------------------------------------------


def link_file(disc: Path, target: Path, *, relative: bool) -> None:
    file = disc / "A" / "IM1"
    target.mkdir(exist_ok=True)
    moved = file.rename(target / "IM1")
    file.symlink_to(Path("../..", moved.relative_to(disc.parent)) if relative else moved)


def link_folder(disc: Path, target: Path, *, relative: bool) -> None:
    moved = (disc / "A").rename(target)
    (disc / "A").symlink_to(Path("..", moved.relative_to(disc.parent)) if relative else moved)


def link_dicomdir(disc: Path, target: Path, *, relative: bool) -> None:
    target.mkdir(exist_ok=True)
    moved = (disc / "DICOMDIR").rename(target / "DICOMDIR")
    (disc / "DICOMDIR").symlink_to(
        Path("..", moved.relative_to(disc.parent)) if relative else moved
    )


def output_of(*arguments: object) -> str:
    """Run the command and return what it printed, whatever its exit code."""
    return CliRunner().invoke(main, [str(each) for each in arguments]).output


@pytest.fixture
def plain(tmp_path: Path) -> Path:
    disc_of(tmp_path / "disc", "A/IM1", "B/IM2", "C/IM3")
    run("init", tmp_path / "archive", "--from", tmp_path / "disc")
    with FileSet.open(tmp_path / "archive") as fs, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        fs.add_many(tmp_path / "disc")  # into the vault
    return tmp_path / "disc"


@pytest.mark.parametrize("relative", [True, False])
@pytest.mark.parametrize("make", [link_file, link_folder, link_dicomdir])
def test_both_checks_tell_of_a_link_that_leads_out(plain: Path, make: Any, relative: bool) -> None:
    make(plain, plain.parent / "elsewhere", relative=relative)
    before = {p: p.read_bytes() for p in (plain.parent / "elsewhere").rglob("*") if p.is_file()}
    assert "leads out of the medium" in Cli(plain.parent / "archive")("verify", code=1).out
    assert "leads out of the root" in run("verify", plain, code=1).out
    # Nothing is written through it, and what it leads to stays as it is.
    cli = Cli(plain.parent / "archive")
    cli("set", "id=OTHER")
    assert "leads out of the medium" in cli("write", code=3).err
    output_of("--repo", cli.repository, "write", "--repair")
    assert {p: p.read_bytes() for p in before} == before
    if make is link_file:
        assert not (plain / "A" / "IM1").is_symlink()


def test_what_is_told_to_do_about_a_folder_that_is_a_link_out_is_enough(plain: Path) -> None:
    link_folder(plain, plain.parent / "elsewhere", relative=False)
    cli = Cli(plain.parent / "archive")
    cli("set", "id=OTHER")
    below = f"{plain / 'A' / 'IM1'} is below the link {plain / 'A'} and leads out of the medium"
    remove = "remove that link, then `fileset write --repair` puts back"
    assert f"{below}: {remove}" in cli("write", code=3).err
    told = cli("verify", code=1).out
    assert f"{below}, and was not followed. Remove that link: then `fileset write --repair`" in told

    (plain / "A").unlink()
    cli("write", "--repair")

    assert "all is well" in cli("verify").out


def test_what_is_told_to_do_about_a_file_that_is_a_link_out_is_enough(plain: Path) -> None:
    link_file(plain, plain.parent / "elsewhere", relative=False)
    cli = Cli(plain.parent / "archive")
    cli("set", "id=OTHER")
    error = cli("write", code=3).err
    assert f"{plain / 'A' / 'IM1'} is a link that leads out of the medium: put the file" in error

    cli("write", "--repair")

    assert "all is well" in cli("verify").out


@pytest.mark.parametrize("staged", [True, False])
def test_a_dicomdir_that_is_a_link_out_is_replaced_by_a_repair_only(
    plain: Path, staged: bool
) -> None:
    cli = Cli(plain.parent / "archive")
    link_dicomdir(plain, plain.parent / "elsewhere", relative=False)
    outside = plain.parent / "elsewhere" / "DICOMDIR"
    before = outside.read_bytes()
    if staged:
        cli("set", "id=OTHER")
        told = "is a link that leads out of the medium, and is not followed: put the file itself"
        for options in ((), ("--dry-run",)):
            assert told in cli("write", *options, code=3).err

    cli("write", "--repair")

    assert not (plain / "DICOMDIR").is_symlink()
    assert outside.read_bytes() == before
    assert "all is well" in cli("verify").out


@pytest.mark.parametrize("options", [(), ("--at", "now"), ("--new-medium",)])
def test_nothing_new_is_written_where_such_a_link_is(plain: Path, options: tuple[str, ...]) -> None:
    cli = Cli(plain.parent / "archive")
    if not options:
        cli = Cli(plain.parent / "second")
        run("init", cli.repository)
        cli("add", plain / "A")
    new = plain.parent / "new"
    new.mkdir()
    (new / "DICOMDIR").symlink_to(examples.get_path("dicomdir"))

    error = cli("write", new, *options, code=3).err

    assert "put the file itself there, or write to another folder" in error
    assert (new / "DICOMDIR").is_symlink()


@pytest.mark.parametrize("make", [link_file, link_folder])
def test_both_checks_follow_a_link_within(plain: Path, make: Any) -> None:
    make(plain, plain / "D", relative=False)
    assert "all is well" in Cli(plain.parent / "archive")("verify").out
    assert "leads out" not in output_of("verify", plain)


def test_a_loop_is_told_by_both(plain: Path) -> None:
    (plain / "A" / "IM1").unlink()
    (plain / "A" / "IM1").symlink_to("IM1")
    Cli(plain.parent / "archive")("verify", code=1)
    run("verify", plain, code=1)


def test_the_root_may_be_a_link_it_is_the_users_choice(plain: Path) -> None:
    plain.rename(plain.parent / "true")
    plain.symlink_to("true")
    cli = Cli(plain.parent / "archive")
    assert "all is well" in cli("verify").out
    assert "leads out" not in output_of("verify", plain)
    cli("set", "id=OTHER")
    cli("write")
    assert plain.is_symlink()
    assert "all is well" in cli("verify").out
