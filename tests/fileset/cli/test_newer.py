"""A journal that a newer version has written to: what happened can be read, and nothing be changed.

The newer version is this one, given a class of events or a version that it has not.
"""

from __future__ import annotations

import re
import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import ClassVar

import pytest
from attrs import frozen
from cli_runs import CT, MR, Cli, run

from fileset.repository.repository import Repository
from ledger.events import Event, FileSetIDChanged, InstanceAdded, InstanceRejected, InstanceRemoved
from ledger.journal.entries import Draft
from ledger.journal.sqlite import SqliteJournal


@frozen
class FileSetBurnt:
    """An event of a time to come."""

    TYPE: ClassVar[str] = "file-set-burnt"
    VERSION: ClassVar[int] = 1

    disc: str


@frozen
class IDChangedAnew:
    """An event of today in its next version."""

    TYPE: ClassVar[str] = FileSetIDChanged.TYPE
    VERSION: ClassVar[int] = 2

    value: str


@frozen
class IDChangedWithMore:
    """An event of today with a key more, and its version left as it was."""

    TYPE: ClassVar[str] = FileSetIDChanged.TYPE
    VERSION: ClassVar[int] = 1

    value: str
    previous: str
    colour: str


@frozen
class InstanceAddedAnew:
    """An instance in a way that nobody knows yet."""

    TYPE: ClassVar[str] = "instance-added"
    VERSION: ClassVar[int] = InstanceAdded.VERSION + 1

    uid: str


@frozen
class PayloadErasedAnew:
    """A tombstone that says in its own way what it erased."""

    TYPE: ClassVar[str] = "payload-erased"
    VERSION: ClassVar[int] = 3

    positions: tuple[tuple[str, str], ...]


NEWER: dict[str, tuple[object, str]] = {
    "type": (FileSetBurnt("red"), "unknown event type 'file-set-burnt'"),
    "version": (IDChangedAnew("B"), "event 'file-set-id-changed' of version 2, newer than 1"),
    "key": (
        IDChangedWithMore("B", "A", "red"),
        "event 'file-set-id-changed' with unknown keys: colour",
    ),
}


@pytest.fixture(params=NEWER)
def newer(request: pytest.FixtureRequest, tmp_path: Path) -> tuple[Cli, str]:
    """A repository with one event at position 4 that is not known, and a known one behind it."""
    run("init", tmp_path / "archive", "--id", "A")
    cli = Cli(tmp_path / "archive")
    cli("add", CT, MR, "--reason", "before")
    cli("status")
    event, told = NEWER[request.param]
    append(cli, event, "newer0000001")
    append(cli, FileSetIDChanged("C", "B"), "known0000001")
    return cli, told


def append(cli: Cli, event: object, change: str) -> None:
    """Append an event as a newer version does, to which it is known."""
    with closing(Repository.open(cli.repository)) as repository:
        journal = repository.journal
        written: Event = event  # type: ignore[assignment]
        journal.append([written], Draft(change, "anna", "newer"), expected=journal.position)


COMMANDS = [
    ("status",), ("tree",), ("find", "PatientID=1CT1"), ("values", "PatientID"), ("diff", 1),
    ("add", CT), ("remove", "PatientID=1CT1"), ("set", "id=X"), ("undo",), ("redo",),
    ("undo", "--dry-run"), ("write", "/nowhere"), ("write", "/nowhere", "--at", 3), ("rebuild",),
]  # fmt: skip


@pytest.mark.parametrize("command", COMMANDS, ids=lambda command: " ".join(map(str, command[:2])))
def test_what_changes_or_needs_the_state_is_refused_with_one_clear_line(
    newer: tuple[Cli, str], command: tuple[object, ...]
) -> None:
    cli, told = newer
    before = kept(cli)
    error = cli(*command, code=3).err
    assert error.count("\n") == 1
    assert error.startswith("error: A newer version of fileset-ledger has written to the journal")
    assert told in error
    assert "`fileset log`, `show`, `verify` and `export-journal` work" in error
    assert kept(cli) == before


def kept(cli: Cli) -> dict[str, bytes]:
    """Return the journal, and the content of the vault."""
    files = (cli.repository / "journal.sqlite", *(cli.repository / "vault").iterdir())
    return {path.name: path.read_bytes() for path in files}


def test_the_log_tells_of_every_event_and_which_are_not_known(newer: tuple[Cli, str]) -> None:
    cli, told = newer
    lines = cli("log", "--events").out.splitlines()
    assert [line.split()[-1] for line in lines if told in line]
    assert any("instance added: CT Image Storage of 1CT1" in line for line in lines)
    assert "File-set ID set to 'C'" in lines[-1]
    changes = cli.json("log", "--events")["changes"]
    assert [change["last"] for change in changes] == [1, 3, 4, 5]
    assert told in changes[2]["summary"]
    (event,) = changes[2]["events"]
    assert event["payload"]


def test_a_change_with_such_an_event_is_shown(newer: tuple[Cli, str]) -> None:
    cli, told = newer
    assert re.search(f"4  .*{re.escape(told)}", cli("show", "newer").out)
    assert cli.json("show", "newer")["events"][0]["payload"]
    assert "1CT1, 4MR1" in cli("show", cli.json("log")["changes"][1]["id"]).out


def test_it_is_exported_and_imported_as_it_is(newer: tuple[Cli, str], tmp_path: Path) -> None:
    cli, told = newer
    cli("export-journal", tmp_path / "j")
    out = run("import-journal", tmp_path / "j", tmp_path / "new", "--vault", cli.repository).out
    assert "1 event that a newer version wrote: it can only be read" in out
    new = Cli(tmp_path / "new")
    assert new.json("log", "--events") == cli.json("log", "--events")
    assert told in new("status", code=3).err


def test_verify_checks_the_chain_and_says_what_it_could_not(newer: tuple[Cli, str]) -> None:
    cli, told = newer
    (finding,) = cli.json("verify", code=1)["findings"]
    assert (finding["kind"], finding["position"]) == ("newer-version", 4)
    assert finding["message"].startswith(f"{told} at position 4: a newer version wrote it.")
    assert finding["message"] in cli("verify", code=1).out
    pack = next(path for path in (cli.repository / "vault").iterdir() if path.stat().st_size)
    pack.chmod(0o600)
    pack.write_bytes(pack.read_bytes()[:-100] + bytes(100))
    kinds = [finding["kind"] for finding in cli.json("verify", code=1)["findings"]]
    assert kinds == ["newer-version", "vault"]


def test_damage_is_told_from_what_is_newer(newer: tuple[Cli, str]) -> None:
    cli, _ = newer
    journal = cli.repository / "journal.sqlite"
    journal.write_bytes(journal.read_bytes().replace(b"newer0000001", b"newer0000002"))
    (finding,) = cli.json("verify", code=1)["findings"]
    assert (finding["kind"], finding["position"]) == ("journal", 4)


def test_a_checkpoint_is_made_and_checked_all_the_same(
    newer: tuple[Cli, str], tmp_path: Path
) -> None:
    cli, _ = newer
    run("keygen", tmp_path / "key")
    cli("checkpoint", "--key", tmp_path / "key", "--out", tmp_path / "c.json")
    options = ("--checkpoint", tmp_path / "c.json", "--public-key", tmp_path / "key.pub")
    assert cli.json("verify", *options, code=1)["checkpoints"][0]["proven"]


def test_instances_that_a_newer_version_added_are_told_as_such(tmp_path: Path) -> None:
    run("init", tmp_path / "archive")
    cli = Cli(tmp_path / "archive")
    append(cli, InstanceAddedAnew("1.2.3"), "newer0000001")
    append(cli, InstanceRemoved(2), "known0000001")
    lines = cli("log", "--events").out.splitlines()
    newer = f"event 'instance-added' of version 3, newer than {InstanceAdded.VERSION}"
    assert sum(newer in line for line in lines) == 2
    assert lines[-1].endswith("instance removed: an instance that a newer version added")
    for option in ("--graph", "--json", "--limit=1"):
        assert "newer0000001" in cli("log", option).out or option == "--limit=1"


def test_payloads_erased_in_a_way_of_a_newer_version_are_no_damage(tmp_path: Path) -> None:
    run("init", tmp_path / "archive")
    cli = Cli(tmp_path / "archive")
    append(cli, PayloadErasedAnew((("1", "all"),)), "newer0000001")
    (finding,) = cli.json("verify", code=1)["findings"]
    assert (finding["kind"], finding["position"]) == ("newer-version", 2)
    cli("export-journal", tmp_path / "j")
    run("import-journal", tmp_path / "j", tmp_path / "new")


def test_many_events_of_one_kind_are_told_once(tmp_path: Path) -> None:
    run("init", tmp_path / "archive")
    cli = Cli(tmp_path / "archive")
    for number in range(3):
        append(cli, FileSetBurnt("red"), f"newer{number}")
    (finding,) = cli.json("verify", code=1)["findings"]
    assert "at position 2, and 2 more: a newer version wrote it" in finding["message"]


# --- a newer format of the folder ----------------------------------------------------------------


@pytest.fixture
def reformatted(tmp_path: Path) -> Cli:
    run("init", tmp_path / "archive")
    cli = Cli(tmp_path / "archive")
    cli("add", CT)
    settings = cli.repository / "repository.toml"
    settings.write_text(settings.read_text().replace("format = 1", "format = 99"))
    return cli


@pytest.mark.parametrize("command", COMMANDS, ids=lambda command: " ".join(map(str, command[:2])))
def test_a_repository_of_a_newer_format_is_changed_by_no_command(
    reformatted: Cli, command: tuple[object, ...]
) -> None:
    error = reformatted(*command, code=3).err
    assert error.count("\n") == 1
    assert "is a repository of format 99; this version of fileset-ledger knows format 1" in error


def test_what_happened_in_a_repository_of_a_newer_format_is_told(
    reformatted: Cli, tmp_path: Path
) -> None:
    files = {path: path.read_bytes() for path in reformatted.repository.rglob("*.*")}
    assert "1 instance added: 1CT1" in reformatted("log").out
    change = reformatted.json("log")["changes"][1]["id"]
    assert "instance added: CT Image Storage" in reformatted("show", change).out
    reformatted("export-journal", tmp_path / "j")
    run("import-journal", tmp_path / "j", tmp_path / "new")
    (finding,) = reformatted.json("verify", code=1)["findings"]
    assert (finding["kind"], finding["where"]) == ("newer-version", "the repository")
    assert {path: path.read_bytes() for path in reformatted.repository.rglob("*.*")} == files


def test_a_repository_of_a_newer_format_takes_no_change_by_other_ways(reformatted: Cli) -> None:
    from ledger.errors import UnknownFormatError

    opened = Repository.open(reformatted.repository, newer_too=True)
    actions: list[Callable[[], object]] = [
        opened.refresh, opened.rebuild, opened.folded, opened.undo,
        lambda: opened.set_identity("id", "X"),
    ]  # fmt: skip
    with closing(opened):
        for act in actions:
            with pytest.raises(UnknownFormatError, match="format 99"):
                act()


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
    with closing(sqlite3.connect(cli.repository / "journal.sqlite")) as db, db:
        db.execute("DROP TRIGGER event_no_update")
        db.execute("UPDATE event SET version = 99")
    told = cli("tree", code=3).err
    assert "the event at position 1 does not follow" in told
    assert "`fileset recover`" in told
