"""Checking a repository: what was changed is named, wherever it is."""

from __future__ import annotations

import errno
import os
import shutil
from collections.abc import Callable
from contextlib import closing
from datetime import datetime
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from attrs import evolve
from cli_runs import CT, MR, Cli, changed, indexed_disc, run, tamper
from no_room import CAUSES, deflated, no_room
from pydicom import examples

from fileset import FileSet
from fileset.checking.findings import RepositoryFindingKind
from fileset.medium import check, dicomdir
from fileset.repository.repository import Repository
from ledger.elements import Elements
from ledger.events import Event, FileSetCreated, FileSetIDChanged, InstanceAdded, Record
from ledger.vault.packs import HEADER_SIZE
from projections.kept import snapshot, summary
from projections.kept.summarise import summarise
from projections.state import facts
from projections.state.state import FileSetState


def only_finding(written: Cli, *options: object) -> dict[str, Any]:
    """Return the one finding of `verify`, which it tells in text as well."""
    (finding,) = written.json("verify", *options, code=1)["findings"]
    told = written("verify", *options, code=1).out
    assert f"{finding['kind']}: {finding['message']}" in told
    assert "1 finding." in told
    return dict(finding)


# --- verify: the journal -------------------------------------------------------------------------


TAMPERING = {
    "payload": ("UPDATE event SET payload = x'7b7d' WHERE position = 2", 2),
    "hash": ("UPDATE event SET hash = zeroblob(32) WHERE position = 3", 3),
    "type": ("UPDATE event SET type = 'instance-rejected' WHERE position = 3", 3),
    "change's reason": ("UPDATE change SET reason = 'another' WHERE first = 2", 2),
    "change's actor": ("UPDATE change SET actor = 'nobody' WHERE first = 4", 4),
    "change's time": ("UPDATE change SET recorded_at = '2000' WHERE first = 1", 1),
    "a deleted event": ("DELETE FROM event WHERE position = 4", 4),
    "a deleted change": ("DELETE FROM change WHERE first = 2", 2),
    "a cut that leaves half a change": ("DELETE FROM event WHERE position > 2", 3),
}


@pytest.mark.parametrize(("statement", "position"), TAMPERING.values(), ids=TAMPERING)
def test_a_tampered_journal_is_named_with_its_first_bad_position(
    written: Cli, statement: str, position: int
) -> None:
    tamper(written, statement)
    finding = only_finding(written)
    assert (finding["kind"], finding["position"]) == ("journal", position)
    assert finding["where"] == f"position {position}"
    assert f"the event at position {position} " in finding["message"]
    document = written.json("verify", code=1)
    assert (document["events"], document["instances"]) == (position - 1, 0)


def test_the_vault_is_checked_though_the_journal_is_damaged(written: Cli) -> None:
    tamper(written, "UPDATE event SET hash = zeroblob(32) WHERE position = 3")
    flip(content_of(written, CT))
    kinds = [finding["kind"] for finding in written.json("verify", code=1)["findings"]]
    assert kinds == ["journal", "vault"]


def test_events_that_can_t_have_been_are_damage_though_the_chain_is_good(written: Cli) -> None:
    made = Cli(written.repository.parent / "made")
    Repository.create(made.repository, lambda repository: repository.begin("1.2.3")).close()
    with closing(Repository.open(made.repository)) as repository:
        from ledger.events import InstanceRemoved
        from ledger.journal.entries import Draft

        repository.journal.append([InstanceRemoved(9)], Draft("bad", "a", "b"), expected=1)
    finding = only_finding(made)
    assert (finding["kind"], finding["position"]) == ("journal", 2)
    assert "does not fit" in finding["message"]


def test_a_snapshot_has_no_say_in_what_verify_finds(written: Cli, tmp_path: Path) -> None:
    shutil.copytree(written.repository, tmp_path / "copy")
    written("remove", "PatientID=4MR1")
    shutil.rmtree(tmp_path / "copy" / "vault")
    (tmp_path / "copy" / "vault").mkdir()
    for path in (written.repository / "cache").glob("s*"):
        shutil.copy(path, tmp_path / "copy" / "cache")
    findings = Cli(tmp_path / "copy").json("verify", code=1)["findings"]
    assert [finding["position"] for finding in findings] == [2, 3]


# --- verify: the vault and the medium ------------------------------------------------------------


def test_a_descriptor_file_that_is_not_there_is_told_by_both_checks(written: Cli) -> None:
    medium = Path(written.json("status")["root"])
    written("set", "descriptor=DOCS/README")
    told = f"The descriptor file DOCS/README is not at {medium}: put it there, or leave it out with"
    assert [each.startswith(told) for each in written.json("write", "--dry-run")["warnings"]] == [
        True
    ]
    assert told in written("write").err
    copy = medium.with_name("copy")
    assert f"is not at {copy}" in written("write", copy, "--at", "now").err
    finding = only_finding(written)
    assert (finding["kind"], finding["where"]) == ("file-missing", str(medium / "DOCS/README"))
    assert finding["message"].startswith(told)
    assert "DOCS/README is missing; it should be the descriptor file: put it there" in (
        run("verify", medium, code=1).out
    )
    (medium / "DOCS").mkdir()
    (medium / "DOCS" / "README").write_text("what this is")
    assert written.json("verify")["findings"] == []
    written("set", "descriptor=")
    assert written("write").err == ""


def test_content_that_the_vault_lost_is_there_again_once_its_files_are_added(written: Cli) -> None:
    shutil.rmtree(written.repository / "vault")
    findings = written.json("verify", code=1)["findings"]
    assert findings
    for finding in findings:
        assert finding["message"].endswith("it is enough to add its file again.")
    written("add", CT, MR)
    assert written.json("verify")["findings"] == []


@pytest.mark.parametrize("name", ["DICOMDIR", "PT000000/ST000000/SE000000/IM000000"])
def test_what_may_not_be_read_on_the_medium_has_to_be_made_readable(
    written: Cli, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    closed = Path(written.json("status")["root"]) / name

    def refusing(read: Callable[[Any], Any]) -> Callable[[Any], Any]:
        def reading(path: Any) -> Any:
            if str(path) == str(closed):
                raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), path)
            return read(path)

        return reading

    monkeypatch.setattr(dicomdir, "read_file", refusing(dicomdir.read_file))
    monkeypatch.setattr(check, "file_content", refusing(check.file_content))
    message = only_finding(written)["message"]
    assert "Permission denied" in message
    assert "Make it readable, or move it away: then `fileset write --repair`" in message
    repair = written("write", "--repair", code=3 if name == "DICOMDIR" else 1)
    assert "make it readable, or move it away" in repair.out + repair.err


def content_of(written: Cli, source: Path) -> tuple[Path, int, int]:
    """Return the pack that holds the bytes of `source`, where in it, and how many."""
    data = source.read_bytes()
    for pack in (written.repository / "vault").iterdir():
        if (at := pack.read_bytes().find(data)) >= 0:
            return pack, at, len(data)
    raise AssertionError("it is not in the vault")


def flip(place: tuple[Path, int, int]) -> None:
    pack, at, _ = place
    data = bytearray(pack.read_bytes())
    data[at + 1000] ^= 1
    overwrite(pack, data)


def overwrite(pack: Path, data: bytes | bytearray) -> None:
    pack.chmod(0o600)
    pack.write_bytes(data)


def test_content_of_the_vault_that_was_edited_is_named_with_its_instance(written: Cli) -> None:
    flip(content_of(written, MR))
    finding = only_finding(written)
    assert (finding["kind"], finding["position"]) == ("vault", 3)
    assert finding["where"].startswith("sha256:3f27d1c2")
    assert "added at position 3" in finding["message"]


def test_content_swapped_for_other_content_is_named(written: Cli) -> None:
    """The bytes of one instance are put under the digest of the other, framed as they should be."""
    pack, at, size = content_of(written, CT)
    other = MR.read_bytes()
    data = bytearray(pack.read_bytes())
    data[at : at + size] = other.ljust(size, b"\0")
    overwrite(pack, data)
    finding = only_finding(written)
    assert (finding["kind"], finding["position"]) == ("vault", 2)


def test_content_that_small_adds_brought_is_checked_like_any_other(tmp_path: Path) -> None:
    added = Cli(tmp_path / "repository")
    added("init", added.repository)
    for path in (CT, MR):  # by themselves: the index of the vault lacks the second one
        added("add", path)
    assert added.json("verify")["findings"] == []
    flip(content_of(added, MR))
    finding = only_finding(added)
    assert (finding["kind"], finding["position"]) == ("vault", 3)


def test_an_entry_taken_out_of_the_vault_is_named(written: Cli) -> None:
    """The whole entry of one instance gives way to another that is as good."""
    pack, at, size = content_of(written, MR)
    data = bytearray(pack.read_bytes())
    del data[at - HEADER_SIZE : at + size]
    overwrite(pack, data)
    (written.repository / "cache" / "vault-index.sqlite").unlink()
    finding = only_finding(written)
    assert (finding["kind"], finding["position"]) == ("content-missing", 3)


def edit(path: Path) -> None:
    path.write_bytes(path.read_bytes() + b"\0")


@pytest.mark.parametrize(
    ("change", "name", "kind", "position"),
    [
        (edit, "PT000001/ST000000/SE000000/IM000000", "file-changed", 3),
        (Path.unlink, "PT000000/ST000000/SE000000/IM000000", "file-missing", 2),
        (edit, "DICOMDIR", "dicomdir", None),
    ],
)
def test_an_edited_medium_is_named_by_path(
    written: Cli,
    tmp_path: Path,
    change: Callable[[Path], None],
    name: str,
    kind: str,
    position: int | None,
) -> None:
    path = tmp_path / "medium" / name
    change(path)
    finding = only_finding(written)
    assert (finding["kind"], finding["where"]) == (kind, str(path))
    assert finding["position"] == position


def test_an_edited_snapshot_is_found(tmp_path: Path) -> None:
    fs = FileSet(repository=tmp_path / "repository")
    fs.add(examples.get_path("ct"))
    fs.close()
    with closing(Repository.open(tmp_path / "repository")) as repository:
        state = repository.state
        state.identity = evolve(state.identity, id="EVIL")
        data = snapshot.dump(state, repository.journal.head().hash.hex())
    (tmp_path / "repository" / "cache" / "snapshot").write_bytes(data)
    with closing(FileSet.open(tmp_path / "repository")) as fs:
        assert [finding.kind for finding in fs.verify()] == [RepositoryFindingKind.SNAPSHOT]
        fs.repository.rebuild()
        assert fs.verify() == []


# --- clocks --------------------------------------------------------------------------------------


def clocked(path: Path, *times: str) -> Cli:
    """Make a repository with a change at each of these times of a day."""
    created = FileSetCreated("1.2.3", None)
    Repository.create(path, lambda made: _emit(made, created), clock=partial(at, times[0])).close()
    for number, time in enumerate(times[1:]):
        with closing(Repository.open(path, clock=partial(at, time))) as repository:
            _emit(repository, FileSetIDChanged(f"ID{number}", None))
    return Cli(path)


def _emit(repository: Repository, event: Event) -> None:
    with repository.change("test"):
        repository.emit(event)


def at(time: str) -> datetime:
    return datetime.fromisoformat(f"2026-10-25T{time}Z")


def test_a_clock_that_ran_backwards_is_told_of_and_is_no_error(tmp_path: Path) -> None:
    written = clocked(tmp_path / "r", "12:00", "13:00", "11:30", "12:30")
    (finding,) = written.json("verify")["findings"]
    assert (finding["kind"], finding["severity"], finding["position"]) == ("clock", "warning", 3)
    assert "1:30:00 before that of the change before it" in finding["message"]
    assert "clock: The clock ran backwards: the change " in written("verify").out
    told = [change["clock_back"] for change in written.json("log")["changes"]]
    assert told == [None, None, 5400.0, None]
    for options in ((), ("--graph",), ("--limit", 2)):
        lines = written("log", "--utc", *options).out.splitlines()
        marked = [line for line in lines if "the clock had gone back by 1:30:00" in line]
        assert len(marked) == 1
        assert "11:30:00Z" in marked[0]
    assert written.json("log", "--limit", 1)["changes"][0]["clock_back"] is None


def test_clocks_that_stand_still_or_go_on_are_not_told_of(tmp_path: Path) -> None:
    written = clocked(tmp_path / "r", "12:00", "12:00", "12:00:00.000001")
    assert written.json("verify")["findings"] == []
    assert "gone back" not in written("log").out


def forge(repository: Path, alter: Callable[[FileSetState], object]) -> None:
    """Leave a snapshot with a right seal, of a state that the events don't amount to."""
    with closing(Repository.open(repository)) as opened:
        state = opened.folded()[0]
        alter(state)
        data = snapshot.dump(state, opened.journal.head().hash.hex())
    (repository / "cache" / "snapshot").write_bytes(data)


def other_id(state: FileSetState) -> None:
    state.identity = evolve(state.identity, id="EVIL")


def other_record(state: FileSetState) -> None:
    leaf = next(iter(state.live.values()))
    leaf.packed = facts.pack(Record(leaf.record_type, Elements(b"")), leaf.content, "")


def one_less(state: FileSetState) -> None:
    state.set_rank(next(iter(state.live.values())).handle, 0)


@pytest.mark.parametrize("remedy", [("write",), ("write", "--repair")], ids=" ".join)
@pytest.mark.parametrize("alter", [other_id, other_record, one_less])
def test_a_medium_written_from_a_forged_snapshot_is_found_and_written_anew(
    written: Cli, tmp_path: Path, alter: Callable[[FileSetState], object], remedy: tuple[str, ...]
) -> None:
    written("set", "id=TWO")
    shutil.copytree(written.repository, tmp_path / "copy")
    shutil.copytree(tmp_path / "medium", tmp_path / "before")
    Cli(tmp_path / "copy")("write")
    right = (tmp_path / "medium" / "DICOMDIR").read_bytes()
    shutil.rmtree(tmp_path / "medium")
    (tmp_path / "before").rename(tmp_path / "medium")

    forge(written.repository, alter)
    written("write")
    assert (tmp_path / "medium" / "DICOMDIR").read_bytes() != right
    assert "dicomdir" in {each["kind"] for each in written.json("verify", code=1)["findings"]}

    written("rebuild")
    assert "dicomdir" in {each["kind"] for each in written.json("verify", code=1)["findings"]}
    written(*remedy)
    assert (tmp_path / "medium" / "DICOMDIR").read_bytes() == right
    assert "all is well" in written("verify").out


@pytest.mark.parametrize("name", ["snapshot", "summary.json"])
def test_an_edited_cache_without_its_seal_is_not_believed(written: Cli, name: str) -> None:
    forge(written.repository, lambda state: None)
    written("status")
    path = written.repository / "cache" / name
    data = path.read_bytes()
    assert b"ONE" in data[32:]
    path.write_bytes(data.replace(b"ONE", b"BAD"))

    assert "BAD" not in written("status").out
    assert "all is well" in written("verify").out


def test_a_forged_summary_is_found(written: Cli) -> None:
    with closing(Repository.open(written.repository)) as repository:
        told = evolve(summarise(repository.state), instances=9)
        forged = summary.dump(told, repository.journal.head().hash.hex())
    (written.repository / "cache" / "summary.json").write_bytes(forged)
    assert only_finding(written)["kind"] == "snapshot"
    written("rebuild")
    assert "all is well" in written("verify").out


# --- verify: what the journal says of an instance, and its bytes ---------------------------------


OTHER_UIDS = {
    "sop_instance_uid": ("1.2.3/4", "SOP Instance UID"),
    "sop_class_uid": ("9" * 300, "SOP Class UID"),
    "transfer_syntax_uid": ("1.2\n3", "Transfer Syntax UID"),
}


@pytest.mark.parametrize("placement", ["vault", "reference", "medium"])
@pytest.mark.parametrize("field", OTHER_UIDS)
def test_an_instance_whose_bytes_have_another_uid_than_its_event_is_named(
    tmp_path: Path, field: str, placement: str
) -> None:
    other, name = OTHER_UIDS[field]
    cli, forged = Cli(tmp_path / "archive"), Cli(tmp_path / "forged")
    if placement == "medium":
        disc = indexed_disc(tmp_path / "disc", IM1=CT)
        run("init", cli.repository, "--from", disc)
    else:
        run("init", cli.repository)
        cli("add", CT, *(["--place", "reference"] if placement == "reference" else []))
    with closing(Repository.open(cli.repository)) as repository:
        events = [recorded.event for recorded in repository.journal.read()]

    def forge(repository: Repository) -> None:
        with repository.change():
            for event in events:
                is_it = isinstance(event, InstanceAdded)
                repository.emit(evolve(event, **{field: other}) if is_it else event)

    Repository.create(forged.repository, forge).close()
    shutil.copytree(cli.repository / "vault", forged.repository / "vault", dirs_exist_ok=True)

    ours, theirs = cli("verify"), forged.json("verify", code=1)
    assert "all is well" in ours.out
    (finding,) = [f for f in theirs["findings"] if f["kind"] != "dicomdir"]
    assert (finding["kind"], name in finding["message"]) == ("instance-differs", True)
    assert finding["position"] == next(
        n for n, event in enumerate(events, 1) if isinstance(event, InstanceAdded)
    )


def test_content_that_is_no_instance_is_named(tmp_path: Path) -> None:
    cli = Cli(tmp_path / "archive")
    run("init", cli.repository)
    cli("add", CT)
    with closing(Repository.open(cli.repository)) as repository, repository.change():
        event = next(
            recorded.event
            for recorded in repository.journal.read()
            if isinstance(recorded.event, InstanceAdded)
        )
        with repository.vault.batch() as batch:
            content = batch.add(b"no instance")
        repository.emit(evolve(event, sop_instance_uid="1.2.3", content=content))
    assert only_finding(cli)["kind"] == "instance-differs"


@pytest.mark.parametrize("cause", CAUSES)
def test_a_temporary_folder_without_room_says_nothing_of_instances(
    tmp_path: Path, cause: str
) -> None:
    cli = Cli(tmp_path / "archive")
    run("init", cli.repository)
    file = deflated(CT, tmp_path / "deflated")
    with no_room(cause):
        told = cli("add", file, code=3)
    assert "The temporary folder" in told.err
    assert "TMPDIR" in told.err
    cli("add", file)
    with no_room(cause):
        told = cli("verify", code=3)
    assert "The temporary folder" in told.err
    assert "remove" not in told.out + told.err
    assert "backup" not in told.out + told.err
    assert "all is well" in cli("verify").out


@pytest.mark.parametrize("remedy", ["removed", "written", "added", "added and written"])
def test_the_advice_about_an_instance_whose_bytes_are_others_ends_the_finding(
    tmp_path: Path, remedy: str
) -> None:
    disc = indexed_disc(tmp_path / "disc", CT=CT, MR=MR)
    changed(CT, disc / "CT", SOPInstanceUID="1.2.3")
    cli = Cli(tmp_path / "archive")
    run("init", cli.repository, "--from", disc, code=1)
    assert only_finding(cli)["kind"] == "instance-differs"
    cli("remove", "PatientID=1CT1")
    if "added" in remedy:
        cli("add", CT)
    if "written" in remedy:
        cli("write", disc)
    assert "all is well" in cli("verify").out


@pytest.mark.parametrize("becomes", ["changed", "deleted"])
def test_a_referenced_file_is_its_owners_once_its_instance_was_removed(
    tmp_path: Path, becomes: str
) -> None:
    cli = Cli(tmp_path / "archive")
    run("init", cli.repository)
    file = shutil.copyfile(CT, tmp_path / "CT")
    cli("add", "--place", "reference", file)
    cli("remove", "PatientID=1CT1")
    if becomes == "changed":
        file.write_bytes(b"of another thing")
    else:
        file.unlink()
    assert "all is well" in cli("verify").out
    cli("undo")
    assert only_finding(cli)["position"] == 2
