"""A journal that was made elsewhere names folders: nothing is done there until they are named."""

from __future__ import annotations

import json
import os
import shutil
import sys
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest
from cli_runs import CT, MR, Cli, run

from fileset import FileSet
from fileset.errors import RefusedError
from fileset.repository.named_roots import Roots
from fileset.repository.repository import Repository
from ledger.errors import ContentMissingError
from ledger.events import WriteStarted
from ledger.journal.entries import Draft

_TOUCHING = {
    "open", "os.listdir", "os.scandir", "os.mkdir", "os.rename", "os.remove", "os.rmdir", "os.link",
    "os.truncate", "os.utime", "os.chmod", "os.symlink",
}  # fmt: skip
_watched: dict[str, list[str]] = {}


def _note(event: str, arguments: tuple[object, ...]) -> None:
    if not _watched or event not in _TOUCHING:
        return
    for argument in arguments[:2]:
        if isinstance(argument, str | bytes | os.PathLike):
            path = os.path.realpath(os.fsdecode(argument))
            for root, found in _watched.items():
                if path == root or path.startswith(f"{root}/"):
                    found.append(f"{event} {path}")


sys.addaudithook(_note)


@pytest.fixture
def theirs(tmp_path: Path) -> Path:
    """The root that the hostile journal names: somebody's home."""
    home = tmp_path / "home"
    (home / ".ssh").mkdir(parents=True)
    (home / ".ssh/keys").write_text("secret")
    (home / "DICOMDIR").write_text("not theirs")
    (home / ".DICOMDIR-repair").mkdir()
    return home


@pytest.fixture
def untouched(theirs: Path) -> Iterator[Path]:
    """Tell of all that was touched below that root."""
    _watched[str(theirs)] = found = []
    try:
        yield theirs
    finally:
        del _watched[str(theirs)]
    assert found == []


def _source(tmp_path: Path, *files: Path) -> Cli:
    run("init", tmp_path / "source")
    source = Cli(tmp_path / "source")
    source("add", *files)
    return source


def _start(source: Cli, root: object) -> None:
    """Record that a write of the first instance to `root` has begun, and not ended."""
    with closing(Repository.open(source.repository)) as repository, repository.change():
        first, *_ = repository.state.live.values()
        placed = {".ssh/evil": {"A": first.handle}}
        repository.emit(WriteStarted(str(root), "pydicom", repository.state.position, placed))


def _imported(source: Cli, tmp_path: Path, *options: object) -> Cli:
    source("export-journal", tmp_path / "journal")
    run("import-journal", tmp_path / "journal", tmp_path / "new", "--vault", source.repository)
    return Cli(tmp_path / "new")


@pytest.fixture
def unfinished(tmp_path: Path, theirs: Path) -> Cli:
    """An imported journal with a write to that root that has begun and not ended."""
    source = _source(tmp_path, CT, MR)
    _start(source, theirs)
    return _imported(source, tmp_path)


@pytest.fixture
def written(tmp_path: Path, theirs: Path) -> Cli:
    """An imported journal of a File-set that was written to that root, and has a removal staged."""
    source = _source(tmp_path, CT, MR)
    aside = theirs.rename(tmp_path / "aside")
    source("write", theirs)
    shutil.rmtree(theirs)
    aside.rename(theirs)
    source("remove", "PatientID=4MR1")
    return _imported(source, tmp_path)


_LOOKING = (("status",), ("tree",), ("log",), ("find", "PatientID=1CT1"), ("gc",), ("rebuild",))


@pytest.fixture(params=["unfinished", "written"])
def hostile(request: pytest.FixtureRequest) -> Cli:
    found: Cli = request.getfixturevalue(request.param)
    return found


@pytest.mark.usefixtures("hostile", "untouched")
def test_no_command_touches_a_root_that_only_an_imported_journal_names(
    hostile: Cli, tmp_path: Path
) -> None:
    cli, mine = hostile, tmp_path / "mine"
    for command in _LOOKING:
        cli(*command)
    cli("verify", code=1 if cli.json("status")["write_interrupted"] else 0)
    for arguments in (
        (), (mine,), ("--repair",), ("--dry-run",), (mine, "--dry-run"), (mine, "--repair"),
        ("--abandon",), (tmp_path / "mine/../mine",),
    ):  # fmt: skip
        assert "fileset write" not in cli("write", *arguments, code=3).out
        assert not mine.exists()
    cli("erase", "PatientID=1CT1", "--reason", "request 7", "--take-off", code=3)
    cli("add", MR)
    cli("export-journal", tmp_path / "again")
    cli("recover")
    run("init", cli.repository, code=3)
    with FileSet.open(cli.repository) as fs:
        str(fs)
        for instance in fs:
            instance.load()
            instance.path  # noqa: B018 - what reads it is what is tried
        fs.ID = "LATER"
        with pytest.raises(RefusedError, match="by nobody here"):
            fs.write()
    cli("write", "--at", "3", tmp_path / "copy")
    assert (tmp_path / "copy/DICOMDIR").exists()


@pytest.mark.usefixtures("hostile", "untouched")
def test_a_new_medium_leaves_that_root_alone(hostile: Cli, theirs: Path, tmp_path: Path) -> None:
    cli, mine = hostile, tmp_path / "mine"
    was_written = cli.json("status")["root"] is not None
    cli("write", mine, "--new-medium", "--dry-run")
    cli("write", mine, "--new-medium")
    assert (mine / "DICOMDIR").exists()
    assert "all is well" in cli("verify").out
    cli("set", "id=MINE")
    assert cli.json("write")["root"] == str(mine)
    told = f"medium at {theirs} left: not named here" in cli("log", "--events").out
    assert told is was_written


def test_what_is_wrong_and_what_to_do_is_said(unfinished: Cli, theirs: Path) -> None:
    advice = (
        f"`fileset write {theirs}` accepts it as the medium, and `fileset write ROOT --new-medium`"
    )
    assert advice in unfinished("status").out
    assert advice in unfinished("tree").out
    assert advice in unfinished("verify", code=1).out
    assert advice in unfinished("write", code=3).err
    assert unfinished.json("status")["unnamed_roots"] == [str(theirs)]
    assert unfinished.json("tree")["unnamed_roots"] == [str(theirs)]
    (finding,) = unfinished.json("verify", code=1)["findings"]
    assert (finding["kind"], finding["where"]) == ("write-interrupted", str(theirs))


def test_a_medium_that_was_not_looked_at_is_a_warning(written: Cli, theirs: Path) -> None:
    (finding,) = written.json("verify")["findings"]
    assert finding["kind"] == "root-unnamed"
    assert (finding["severity"], finding["where"]) == ("warning", str(theirs))


def test_the_root_in_the_advice_is_quoted(tmp_path: Path) -> None:
    source = _source(tmp_path, CT)
    _start(source, "/x; rm -rf ~")
    assert "`fileset write '/x; rm -rf ~'`" in _imported(source, tmp_path)("status").out


@pytest.mark.parametrize("root", [".", "mine", "../mine"])
def test_a_relative_root_is_nobody_s(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, root: str
) -> None:
    source = _source(tmp_path, CT)
    _start(source, root)
    cli, mine = _imported(source, tmp_path), tmp_path / "mine"
    mine.mkdir()
    monkeypatch.chdir(mine)
    told = cli("write", mine, code=3).err
    assert "`fileset write ROOT --new-medium`" in told
    assert "takes it" not in told
    cli("write", "--abandon", code=3)
    assert list(mine.iterdir()) == []


@pytest.mark.parametrize("where", ["", "vault", "cache"])
def test_a_root_in_a_repository_is_refused_also_if_it_is_named(tmp_path: Path, where: str) -> None:
    source = _source(tmp_path, CT)
    root = tmp_path / "new" / where
    _start(source, root)
    cli = _imported(source, tmp_path)
    before = sorted(cli.repository.rglob("*"))
    assert "is in the repository" in cli("write", root, code=3).err
    link = tmp_path / "link"
    link.symlink_to(root)
    assert "is in the repository" in cli("write", link, code=3).err
    assert "is in the repository" in cli("write", link, "--abandon", code=3).err
    assert set(cli.repository.rglob("*")) - set(before) <= {cli.repository / "lock"}


def test_another_root_that_is_named_does_not_make_it_known(
    unfinished: Cli, tmp_path: Path, untouched: Path
) -> None:
    for named in (tmp_path / "mine", untouched / "below", untouched.parent):
        told = unfinished("write", named, code=3).err
        assert f"The root {untouched} is named only by the journal" in told
    unfinished("write", code=3)


def test_a_link_counts_where_it_leads_to(tmp_path: Path) -> None:
    source = _source(tmp_path, CT)
    link, one, other = tmp_path / "link", tmp_path / "one", tmp_path / "other"
    one.mkdir()
    other.mkdir()
    link.symlink_to(one)
    _start(source, link)
    cli = _imported(source, tmp_path)
    cli("write", other, code=3)
    assert list(one.iterdir()) == []
    assert cli.json("write", one)["completed"] == str(link)
    assert (one / "DICOMDIR").exists()
    assert list(other.iterdir()) == []


def test_a_second_unfinished_write_is_refused_by_the_import(tmp_path: Path) -> None:
    source = _source(tmp_path, CT, MR)
    _start(source, tmp_path / "one")
    with closing(Repository.open(source.repository)) as repository:
        event = WriteStarted(str(tmp_path / "two"), "pydicom", 3)
        draft = Draft("0123456789ab", "somebody", "somewhere")
        repository.journal.append([event], draft, expected=repository.journal.position)
    source("export-journal", tmp_path / "journal")
    told = run("import-journal", tmp_path / "journal", tmp_path / "new", code=3).err
    assert "position 5 does not fit the events before it" in told


# --- who names his own root goes on as before ----------------------------------------------------


def test_a_watcher_leaves_that_root_alone_until_it_is_told_to_write_there(
    tmp_path: Path, theirs: Path
) -> None:
    source, medium, inbox = _source(tmp_path, CT), tmp_path / "medium", tmp_path / "inbox"
    source("write", medium)
    cli = _imported(source, tmp_path)
    inbox.mkdir()
    shutil.copy(MR, inbox)
    once = ("watch", inbox, "--once", "--settle", "0")
    before = sorted(medium.rglob("*"))
    cli(*once)
    assert "name that root" in cli(*once, "--write", theirs, code=3).err
    assert sorted(medium.rglob("*")) == before
    cli(*once, "--write", medium)
    assert len(list(medium.rglob("IM*"))) == 2


def test_an_unfinished_write_is_completed_where_its_root_is_named(
    unfinished: Cli, theirs: Path
) -> None:
    (theirs / "DICOMDIR").unlink()
    assert unfinished.json("write", theirs)["completed"] == str(theirs)
    assert len(list(theirs.glob("PT*/ST*/SE*/IM*"))) == 2
    assert "all is well" in unfinished("verify").out


def test_it_is_given_up_where_its_root_is_named(unfinished: Cli, theirs: Path) -> None:
    (theirs / "DICOMDIR").unlink()
    assert unfinished.json("write", theirs, "--abandon")["abandoned"] == str(theirs)
    assert unfinished.json("status")["write_interrupted"] is None
    assert sorted(each.name for each in theirs.iterdir()) == [".DICOMDIR-repair", ".ssh"]


def test_python_gives_it_up_where_its_root_is_named(unfinished: Cli, theirs: Path) -> None:
    (theirs / "DICOMDIR").unlink()
    with closing(FileSet.open(unfinished.repository)) as fs:
        with pytest.raises(RefusedError):
            fs.abandon()
        assert fs.abandon(theirs)
    assert unfinished.json("status")["write_interrupted"] is None
    assert sorted(each.name for each in theirs.iterdir()) == [".DICOMDIR-repair", ".ssh"]


def test_a_medium_is_his_own_again_once_he_names_it(tmp_path: Path) -> None:
    source, medium = _source(tmp_path, CT, MR), tmp_path / "medium"
    source("write", medium)
    cli = _imported(source, tmp_path)
    assert not cli.json("write", medium)["written"]
    assert cli.json("status")["unnamed_roots"] == []
    assert "all is well" in cli("verify").out
    cli("remove", "PatientID=4MR1")
    assert cli.json("write")["root"] == str(medium)
    assert json.loads((cli.repository / "roots.json").read_bytes()) == [str(medium)]


def test_a_medium_that_came_along_is_taken_and_the_root_that_was_named_is_left_alone(
    tmp_path: Path, theirs: Path, written: Cli
) -> None:
    here = tmp_path / "here"
    Cli(tmp_path / "source")("undo")
    Cli(tmp_path / "source")("write", here, "--at", "now")
    _watched[str(theirs)] = found = []
    try:
        document = written.json("write", here)
    finally:
        del _watched[str(theirs)]
    assert (document["root"], document["written"], found) == (str(here), True, [])
    told = f"The medium is at {here} now, and {theirs}, named elsewhere, is left alone"
    assert document["warnings"] == [told]
    assert "all is well" in written("verify").out


def test_a_dry_run_names_nothing_for_later(tmp_path: Path) -> None:
    source, medium = _source(tmp_path, CT), tmp_path / "medium"
    source("write", medium)
    cli = _imported(source, tmp_path)
    cli("set", "id=LATER")
    assert cli.json("write", medium, "--dry-run")["plan"]
    assert cli.json("status")["unnamed_roots"] == [str(medium)]


def test_python_names_it_by_the_path_that_is_written_to(tmp_path: Path) -> None:
    source, medium = _source(tmp_path, CT), tmp_path / "medium"
    source("write", medium)
    with FileSet.open(_imported(source, tmp_path).repository) as fs:
        fs.write(medium)
        fs.ID = "LATER"
        fs.write()
        with pytest.raises(ValueError, match="cannot be changed"):
            fs.write(medium)


def test_what_only_that_medium_has_is_not_taken_from_it(tmp_path: Path) -> None:
    with FileSet() as made:
        made.add(str(CT))
        made.write(tmp_path / "disc")
    run("init", tmp_path / "source", "--from", tmp_path / "disc")
    cli = _imported(Cli(tmp_path / "source"), tmp_path)
    told = cli("write", tmp_path / "mine", "--new-medium", code=3).err
    assert "the medium was not looked at" in told
    now = cli.json("status")["position"]
    assert "by nobody here" in cli("write", tmp_path / "copy", "--at", now, code=3).err
    with FileSet.open(cli.repository) as fs, pytest.raises(ContentMissingError, match="not looked"):
        next(iter(fs)).load()
    cli("write", tmp_path / "disc")
    cli("write", tmp_path / "mine", "--new-medium")
    assert "all is well" in cli("verify").out


# --- copies, and journals that are recovered -----------------------------------------------------


def test_in_a_copy_of_the_folder_the_roots_count_as_before(tmp_path: Path) -> None:
    source, medium = _source(tmp_path, CT), tmp_path / "medium"
    source("write", medium)
    shutil.copytree(source.repository, tmp_path / "copy")
    copy = Cli(tmp_path / "copy")
    copy("set", "id=LATER")
    assert copy.json("write")["root"] == str(medium)
    imported = _imported(copy, tmp_path)
    shutil.copytree(imported.repository, tmp_path / "again")
    assert Cli(tmp_path / "again").json("status")["unnamed_roots"] == [str(medium)]


@pytest.mark.parametrize(
    ("lost", "code"), [("journal.sqlite", 1), ("repository.toml", 1), ("cache", 0)]
)
def test_a_recovery_names_no_root(
    unfinished: Cli, tmp_path: Path, untouched: Path, lost: str, code: int
) -> None:
    at = unfinished.repository / lost
    shutil.rmtree(at) if at.is_dir() else at.unlink()
    unfinished("recover", "--journal", tmp_path / "journal", code=code)
    assert unfinished.json("status")["unnamed_roots"] == [str(untouched)]
    unfinished("write", tmp_path / "mine", code=3)


def test_what_an_export_adds_to_a_journal_names_no_root(tmp_path: Path, untouched: Path) -> None:
    source, medium = _source(tmp_path, CT, MR), tmp_path / "medium"
    source("write", medium)
    shutil.copytree(source.repository, tmp_path / "mine")
    mine = Cli(tmp_path / "mine")
    _start(source, untouched)
    source("export-journal", tmp_path / "journal")

    told = mine("recover", "--journal", tmp_path / "journal", code=1).err
    assert f"The root {untouched} is named only by the journal" in told
    mine("write", code=3)
    assert mine.json("status")["unnamed_roots"] == [str(untouched)]  # and not `medium`


def test_a_list_that_is_damaged_has_no_roots(tmp_path: Path) -> None:
    for data in (b"", b"{", b"7", b'["/a"', b"\xff"):
        (tmp_path / "roots.json").write_bytes(data)
        roots = Roots(tmp_path)
        assert not roots.knows("/a")
        roots.name(Path("/a"))
        roots.keep()
        assert Roots(tmp_path).knows("/a")


def test_a_list_that_can_not_be_read_is_an_error_and_stays_as_it_is(tmp_path: Path) -> None:
    (tmp_path / "roots.json").mkdir()
    roots = Roots(tmp_path)
    roots.name(Path("/a"))
    for act in (lambda: roots.knows("/a"), roots.keep):
        with pytest.raises(IsADirectoryError) as caught:
            act()
        assert caught.value.filename == str(tmp_path / "roots.json")
    assert (tmp_path / "roots.json").is_dir()


def test_the_list_is_its_owner_s_alone(unfinished: Cli) -> None:
    assert (unfinished.repository / "roots.json").stat().st_mode & 0o777 == 0o600
