"""import-journal: a repository is made again, equal and of use, or not."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from contextlib import closing
from pathlib import Path

import pytest
from cli_runs import CT, MR, RT_DOSE, Cli, beside, changed, run

from fileset import FileSet
from fileset.repository.repository import Repository
from ledger.digest import digest_of
from ledger.events import (
    ConflictNoted,
    Content,
    Event,
    FileSetCreated,
    InstanceRemoved,
    WriteStarted,
)
from ledger.journal.entries import Draft
from ledger.journal.lines import write_journal
from ledger.journal.sqlite import SqliteJournal


def test_an_imported_repository_is_equal(edited: Cli, exported: Path, tmp_path: Path) -> None:
    document = run("import-journal", exported, tmp_path / "new", "--json").document
    new = Cli(tmp_path / "new")
    assert (tmp_path / "new").stat().st_mode & 0o777 == 0o700
    assert document["content_needed"] == document["content_lacking"] == 2
    for command in (["log", "--events"], ["tree"], ["status"]):
        one, two = edited.json(*command), new.json(*command)
        one.pop("repository", None)
        two.pop("repository", None)
        assert one == two
    new("export-journal", tmp_path / "again")
    assert (tmp_path / "again").read_bytes() == exported.read_bytes()
    with (
        closing(Repository.open(edited.repository)) as here,
        closing(Repository.open(new.repository)) as there,
    ):
        assert (here.journal.id, here.journal.head()) == (there.journal.id, there.journal.head())
        assert list(here.journal.stored()) == list(there.journal.stored())


def test_without_content_the_journal_is_fine_and_what_lacks_is_listed(
    exported: Path, tmp_path: Path
) -> None:
    told = run("import-journal", exported, tmp_path / "new").out
    assert "The vault lacks the content of 2 of 2 files" in told
    findings = Cli(tmp_path / "new").json("verify", code=1)["findings"]
    assert [finding["kind"] for finding in findings] == ["content-missing"] * 2


@pytest.mark.parametrize("where", ["repository", "vault", "medium", "folder of files"])
def test_content_comes_from_wherever_it_is(edited: Cli, tmp_path: Path, where: str) -> None:
    edited("write", tmp_path / "medium")
    edited("export-journal", tmp_path / "j")
    source = {
        "repository": edited.repository,
        "vault": edited.repository / "vault",
        "medium": tmp_path / "medium",
        "folder of files": CT.parent,
    }[where]
    before = sorted(source.rglob("*"))
    out = run("import-journal", tmp_path / "j", tmp_path / "new", "--vault", source).out
    assert "The vault has the content of 2 files" in out
    assert sorted(source.rglob("*")) == before
    new = Cli(tmp_path / "new")
    new("write", tmp_path / "medium")
    assert "all is well" in new("verify").out
    shutil.rmtree(tmp_path / "medium")
    new("add", RT_DOSE, "--complete")
    new("write", tmp_path / "other", "--new-medium")
    written = {path.read_bytes() for path in (tmp_path / "other").rglob("IM*")}
    assert written == {CT.read_bytes(), MR.read_bytes()}


def test_content_that_is_not_there_or_damaged_is_counted(
    edited: Cli, exported: Path, tmp_path: Path
) -> None:
    (pack,) = (path for path in (edited.repository / "vault").iterdir() if path.stat().st_size)
    data = bytearray(pack.read_bytes())
    data[-100] ^= 0xFF
    pack.chmod(0o600)
    pack.write_bytes(data)
    result = run("import-journal", exported, tmp_path / "new", "--vault", edited.repository, code=1)
    assert "lacks the content of 1 of 2 files" in result.out
    (finding,) = Cli(tmp_path / "new").json("verify", code=1)["findings"]
    assert finding["kind"] == "content-missing"
    shutil.rmtree(tmp_path / "new")
    (tmp_path / "empty").mkdir()
    source = tmp_path / "empty"
    run("import-journal", exported, tmp_path / "new", "--vault", source, code=1)


def test_large_content_is_copied_by_way_of_a_file(
    edited: Cli, exported: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("fileset.recovery.import_journal._IN_MEMORY", 0)
    run("import-journal", exported, tmp_path / "new", "--vault", edited.repository)
    run("import-journal", exported, tmp_path / "newer", "--vault", CT.parent)
    for name in ("new", "newer"):
        assert "all is well" in Cli(tmp_path / name)("verify").out


def test_what_came_in_several_batches_is_all_there(
    edited: Cli, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("fileset.recovery.import_journal._BATCH", 2)
    for number in range(5):
        edited("add", changed(CT, tmp_path / f"{number}.dcm", SOPInstanceUID=f"1.2.3.{number}"))
    edited("export-journal", tmp_path / "j")
    document = run(
        "import-journal", tmp_path / "j", tmp_path / "new", "--vault", edited.repository, "--json"
    ).document
    assert (document["content_needed"], document["content_lacking"]) == (7, 0)
    assert "all is well" in Cli(tmp_path / "new")("verify").out


def test_a_journal_goes_through_a_pipe(edited: Cli, tmp_path: Path) -> None:
    fileset = f"{sys.executable} -m fileset"
    line = (
        f"{fileset} --repo {edited.repository} export-journal | "
        f"{fileset} import-journal - {tmp_path / 'new'}"
    )
    subprocess.run(["bash", "-o", "pipefail", "-c", line], check=True, capture_output=True)
    assert Cli(tmp_path / "new").json("log") == edited.json("log")


# --- what is refused -----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("edit", "told"),
    [
        (lambda lines: [], "line 1 is not the header of an exported journal"),
        (lambda lines: lines[1:], "line 1 is not the header"),
        (lambda lines: lines[:-1], "line 7 (position 6) is missing: line 1 announces 6 events"),
        (lambda lines: [*lines[:3], lines[3][:50]], "line 4 (position 3) is not JSON: the file"),
        (
            lambda lines: [*lines[:3], lines[3].replace(b"4MR1", b"4MR2"), *lines[4:]],
            "line 4: The journal is damaged: the event at position 3 has a payload that was",
        ),
        (
            lambda lines: [*lines[:2], lines[2].replace("café".encode(), b"tee"), *lines[3:]],
            "line 3: The journal is damaged: the event at position 2 does not follow",
        ),
    ],
    ids=["empty", "no header", "cut at a change", "cut in a line", "payload", "reason"],
)
def test_a_damaged_file_is_refused_by_line_and_position_and_leaves_nothing(
    exported: Path, tmp_path: Path, edit: object, told: str
) -> None:
    lines = exported.read_bytes().splitlines(keepends=True)
    exported.write_bytes(b"".join(edit(lines)))  # type: ignore[operator]
    before = beside(exported)
    error = run("import-journal", exported, tmp_path / "new", code=3).err
    assert f"{exported}, {told}" in error
    assert beside(exported) == before


def test_a_repository_is_not_made_where_something_is(exported: Path, tmp_path: Path) -> None:
    assert (
        "is a repository already"
        in run("import-journal", exported, tmp_path / "archive", code=3).err
    )
    assert "No such file" in run("import-journal", tmp_path / "no", tmp_path / "new", code=3).err
    run("import-journal", exported, tmp_path / "new", "--vault", tmp_path / "no", code=2)
    assert not (tmp_path / "new").exists()


def test_a_failure_while_content_is_copied_leaves_nothing(
    edited: Cli, exported: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object) -> bytes:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("ledger.vault.vault.PackVault.read", fail)
    before = beside(exported)
    arguments = ("import-journal", exported, tmp_path / "new", "--vault", edited.repository)
    assert "No space left" in run(*arguments, code=3).err
    assert beside(exported) == before


def test_a_full_disk_is_told_with_the_file_that_the_journal_was_to_go_to(
    edited: Cli, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("os.fsync", fail)
    file = tmp_path / "journal"
    assert (
        edited("export-journal", file, code=3).err == f"error: {file}: No space left on device.\n"
    )
    assert not file.exists()


def test_a_journal_without_events_is_refused(tmp_path: Path) -> None:
    empty = Repository.create(tmp_path / "empty", lambda _: None)
    empty.close()
    Cli(tmp_path / "empty")("export-journal", tmp_path / "j")
    assert "nothing to import" in run("import-journal", tmp_path / "j", tmp_path / "n", code=3).err


# --- without the content of the vault ------------------------------------------------------------


@pytest.fixture
def without_content(edited: Cli, tmp_path: Path) -> Cli:
    """One that was imported without content, and whose medium, which was named, has all."""
    edited("write", tmp_path / "disc")
    edited("export-journal", tmp_path / "journal")
    run("import-journal", tmp_path / "journal", tmp_path / "imported")
    shutil.rmtree(edited.repository)
    Cli(tmp_path / "imported")("write", tmp_path / "disc")
    return Cli(tmp_path / "imported")


def test_what_only_the_medium_has_is_kept_before_it_is_taken_off(without_content: Cli) -> None:
    without_content("remove", "Modality=CT")
    without_content("write")
    without_content("undo")
    without_content("write")
    assert {"content-missing"} >= {
        finding["kind"] for finding in without_content.json("verify", code=1)["findings"]
    }
    assert len(without_content.uids()) == 2


def test_a_past_state_is_copied_from_the_medium_if_only_that_has_it(
    without_content: Cli, tmp_path: Path
) -> None:
    without_content("write", tmp_path / "copy", "--at", 4)
    assert len(FileSet(tmp_path / "copy" / "DICOMDIR")) == 2


# --- what is well chained and can't be -----------------------------------------------------------


def exported_of(tmp_path: Path, *changes: list[Event]) -> Path:
    """Export a journal that holds the events of `changes`, whether they fit or not."""
    with (
        closing(SqliteJournal.create(tmp_path / "made.sqlite")) as journal,
        (tmp_path / "made.jsonl").open("wb") as file,
    ):
        for number, events in enumerate(changes):
            draft = Draft(f"change{number}", "anna", "here")
            journal.append(events, draft, expected=journal.position)
        write_journal(journal, file.write)
    return tmp_path / "made.jsonl"


def test_a_journal_whose_events_do_not_fit_is_refused_with_line_and_position(
    tmp_path: Path,
) -> None:
    file = exported_of(tmp_path, [FileSetCreated("1.2.3")], [InstanceRemoved(1)])
    told = run("import-journal", file, tmp_path / "new", code=3).err
    assert "line 3" in told
    assert "'instance-removed' at position 2 does not fit" in told
    assert not (tmp_path / "new").exists()


def test_content_of_a_negative_size_is_refused(tmp_path: Path) -> None:
    content = Content(digest_of(b""), -1)
    note = ConflictNoted(1, None, content)
    file = exported_of(tmp_path, [FileSetCreated("1.2.3")], [note])
    told = run("import-journal", file, tmp_path / "new", code=3).err
    assert "line 3" in told
    assert not (tmp_path / "new").exists()


def test_a_line_with_a_key_twice_is_refused(exported: Path, tmp_path: Path) -> None:
    data = exported.read_bytes()
    for twice in (b'"position":9,"position":2,', b'"position":2,"position":2,'):
        exported.write_bytes(data.replace(b'"position":2,', twice, 1))
        told = run("import-journal", exported, tmp_path / "new", code=3).err
        assert "line 3 (position 2) has a key twice" in told


def test_a_line_that_is_nested_too_deeply_is_refused(exported: Path, tmp_path: Path) -> None:
    data = exported.read_bytes()
    deep = b'"reason":' + b'{"a":' * 1000 + b"1" + b"}" * 1000 + b","
    exported.write_bytes(data.replace(b'"reason":', deep + b'"reason":', 1))
    told = run("import-journal", exported, tmp_path / "new", code=3).err
    assert "line 2" in told
    assert not (tmp_path / "new").exists()


def test_lines_may_be_written_in_another_way(exported: Path, tmp_path: Path) -> None:
    lines = exported.read_bytes().splitlines()
    exported.write_text("".join(json.dumps(json.loads(line)) + "\n" for line in lines), "utf-8")
    run("import-journal", exported, tmp_path / "new")


@pytest.mark.parametrize("command", ["status", "tree", "write"])
def test_a_journal_with_a_file_id_that_leads_out_of_the_root_is_refused_by_name(
    edited: Cli, tmp_path: Path, command: str
) -> None:
    with closing(Repository.open(edited.repository)) as repository, repository.change():
        base, handle = repository.state.position, next(iter(repository.state.live.values())).handle
        placed = {"../outside": {"X": handle}}
        repository.emit(WriteStarted(str(tmp_path / "m"), "pydicom", base, placed))
    shutil.rmtree(edited.repository / "cache")
    (edited.repository / "cache").mkdir()

    refused = edited(command, code=3).err
    assert "position 7" in refused
    assert "'../outside/X', which leads out of the root" in refused
    (finding,) = edited.json("verify", code=1)["findings"]
    assert (finding["kind"], finding["position"]) == ("journal", 7)
    assert not (tmp_path / "outside").exists()

    edited("export-journal", tmp_path / "hostile")
    assert (
        "leads out of the root"
        in run("import-journal", tmp_path / "hostile", tmp_path / "new", code=3).err
    )
    assert not (tmp_path / "new").exists()
