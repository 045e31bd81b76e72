"""init, verify and rebuild: repositories are made whole, checked and mended."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path

import pytest
from cli_runs import CT, MR, Cli, copy_of_example, run

from ledger.events import InstanceRejected
from ledger.journal import Draft
from ledger.sqlite import SqliteJournal


@pytest.fixture
def cli(tmp_path: Path) -> Cli:
    repository = tmp_path / "archive"
    run("init", repository)
    return Cli(repository)


def test_init_makes_a_repository_for_its_owner_alone(tmp_path: Path) -> None:
    document = run("init", tmp_path / "new", "--id", "DISC", "--uid", "1.2.3.4", "--json").document
    assert document == {
        "repository": str(tmp_path / "new"),
        "id": "DISC",
        "uid": "1.2.3.4",
        "root": None,
        "instances": 0,
        "left_out": 0,
        "doubts": {},
        "mends": {},
        "mended": [],
        "warnings": [],
    }
    assert (tmp_path / "new").stat().st_mode & 0o777 == 0o700


def test_init_refuses_a_folder_in_use_and_a_repository(tmp_path: Path, cli: Cli) -> None:
    (tmp_path / "used").mkdir()
    (tmp_path / "used" / "file").touch()
    assert "is not empty" in run("init", tmp_path / "used", code=3).err
    assert "is a repository already" in run("init", cli.repository, code=3).err


@pytest.mark.parametrize(
    ("options", "told"),
    [
        (["--id", "X" * 17], "at most 16 characters"),
        (["--id", "A\\B"], "printable ASCII"),
        (["--uid", "one.two"], "not a valid UID"),
        (["--uid", ""], "always has a UID"),
        (["--from", "/nowhere/DICOMDIR"], "does not exist"),
    ],
)
def test_init_makes_nothing_of_what_it_cannot_use(
    tmp_path: Path, options: list[str], told: str
) -> None:
    assert told in run("init", tmp_path / "new", *options, code=2).err
    assert not (tmp_path / "new").exists()


def test_an_id_that_does_not_conform_is_warned_about(tmp_path: Path) -> None:
    result = run("init", tmp_path / "new", "--id", "lower")
    assert result.err.startswith("warning: The File-set ID 'lower' does not conform")


def test_an_existing_file_set_is_adopted_where_it_lies(tmp_path: Path) -> None:
    dicomdir = copy_of_example(tmp_path / "cd")
    before = {path: path.stat().st_mtime_ns for path in dicomdir.parent.rglob("*")}
    document = run("init", tmp_path / "r", "--from", dicomdir, "--json").document
    assert (document["instances"], document["left_out"]) == (31, 0)
    assert (document["id"], document["root"]) == ("PYDICOM_TEST", str(dicomdir.parent))
    assert {path: path.stat().st_mtime_ns for path in dicomdir.parent.rglob("*")} == before
    assert "all is well" in Cli(tmp_path / "r")("verify").out


def test_an_id_given_with_an_adopted_file_set_is_staged(tmp_path: Path) -> None:
    dicomdir = copy_of_example(tmp_path / "cd")
    run("init", tmp_path / "r", "--from", dicomdir, "--id", "OTHER")
    staged = Cli(tmp_path / "r").json("status")["staged"]
    assert staged["metadata"] == {"id": {"from": "PYDICOM_TEST", "to": "OTHER"}}


def test_missing_files_of_an_adopted_file_set_are_left_out_and_told(tmp_path: Path) -> None:
    dicomdir = copy_of_example(tmp_path / "cd")
    (dicomdir.parent / "77654033" / "CR1" / "6154").unlink()
    result = run("init", tmp_path / "r", "--from", dicomdir, code=1)
    assert "does not exist" in result.err
    assert "1 instance left out" in result.out


def test_what_is_no_dicomdir_is_refused_and_leaves_no_repository(tmp_path: Path) -> None:
    text = tmp_path / "notes.txt"
    text.write_text("not DICOM")
    for source in (text, CT):
        run("init", tmp_path / "r", "--from", source, code=3)
        assert not (tmp_path / "r").exists()


def test_a_dicomdir_that_leads_out_of_its_root_is_refused_without_a_trace(tmp_path: Path) -> None:
    dicomdir = copy_of_example(tmp_path / "cd")
    dicomdir.write_bytes(
        dicomdir.read_bytes().replace(b"77654033\\CR1\\6154", b"..\\..\\..\\..\\..\\ee")
    )
    assert "inside the DICOMDIR root" in run("init", tmp_path / "r", "--from", dicomdir, code=3).err
    assert not (tmp_path / "r").exists()


def test_verify_finds_a_changed_and_a_missing_file(tmp_path: Path, cli: Cli) -> None:
    cli("add", CT, MR)
    cli("write", tmp_path / "medium")
    assert cli.json("verify")["findings"] == []
    first, second = sorted((tmp_path / "medium").rglob("IM*"))
    first.write_bytes(b"something else")
    second.unlink()
    document = cli.json("verify", code=1)
    assert [finding["kind"] for finding in document["findings"]] == ["file-changed", "file-missing"]
    result = cli("verify", code=1)
    assert f"file-changed: {first}" in result.out
    assert "2 findings" in result.out


def test_verify_finds_a_flipped_byte_of_the_journal(cli: Cli) -> None:
    cli("add", CT)
    journal = cli.repository / "journal.sqlite"
    data = bytearray(journal.read_bytes())
    where = data.index(b'"nonce":"') + len(b'"nonce":"')
    data[where] = ord("a") if data[where] != ord("a") else ord("b")
    journal.write_bytes(data)
    (finding,) = cli.json("verify", code=1)["findings"]
    assert finding["kind"] == "journal"
    assert "The journal is damaged: the event at position" in finding["message"]


def test_verify_finds_a_journal_that_cannot_even_be_opened(cli: Cli) -> None:
    journal = cli.repository / "journal.sqlite"
    journal.write_bytes(b"\xff" * len(journal.read_bytes()))
    (finding,) = cli.json("verify", code=1)["findings"]
    assert finding["kind"] == "journal"
    assert "is damaged" in cli("status", code=3).err


def test_verify_finds_damage_in_the_vault(cli: Cli) -> None:
    cli("add", CT)
    (pack,) = (path for path in (cli.repository / "vault").iterdir() if path.stat().st_size)
    data = bytearray(pack.read_bytes())
    data[-100] ^= 0xFF
    pack.chmod(0o600)
    pack.write_bytes(data)
    (finding,) = cli.json("verify", code=1)["findings"]
    assert finding["kind"] == "vault"


def test_rebuild_brings_back_what_was_in_the_cache(cli: Cli) -> None:
    cli("add", CT, MR)
    before = cli.json("tree")
    for path in (cli.repository / "cache").iterdir():
        path.unlink()
    assert cli.json("rebuild") == {"events": 3, "instances": 2, "position": 3, "warnings": []}
    assert cli.json("tree") == before


def test_a_repository_of_a_later_format_is_refused(cli: Cli) -> None:
    settings = cli.repository / "repository.toml"
    settings.write_text(settings.read_text().replace("format = 1", "format = 99"))
    for command in (["status"], ["add", CT], ["rebuild"], ["write", "/nowhere"]):
        assert "format 99" in cli(*command, code=3).err


def test_an_event_of_a_later_version_is_refused(cli: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    path = cli.repository / "journal.sqlite"
    with monkeypatch.context() as newer, closing(SqliteJournal(path)) as journal:
        newer.setattr(InstanceRejected, "VERSION", 2)
        event, draft = InstanceRejected("/a", "b"), Draft("later", "anna", "here")
        journal.append([event], draft, expected=journal.position)
    assert "newer version" in cli("tree", code=3).err


def test_damage_that_looks_like_a_later_version_is_told_from_it(cli: Cli) -> None:
    with sqlite3.connect(cli.repository / "journal.sqlite") as db:
        db.execute("DROP TRIGGER event_no_update")
        db.execute("UPDATE event SET version = 99")
    db.close()
    told = cli("tree", code=3).err
    assert "the event at position 1 does not follow" in told
    assert "`fileset recover`" in told
