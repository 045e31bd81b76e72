"""`fileset recover`: what is proven becomes the journal again, and all else is told."""

from __future__ import annotations

import fcntl
import itertools
import json
import os
import shutil
import sqlite3
from contextlib import closing
from functools import partial
from pathlib import Path

import pytest
from cli_runs import CT, MR, RT_DOSE, Cli, run
from stopping import SOME_POINTS, killed_at

from fileset.erasure.erase import Eraser
from fileset.errors import RefusedError
from fileset.recovery import recover as recovery
from fileset.repository import folder as repository_folder
from fileset.repository.contents import Contents
from fileset.repository.repository import Repository
from ledger.errors import VaultError
from ledger.files import read_start
from ledger.journal.entries import Stored
from ledger.journal.sqlite import SqliteJournal
from ledger.vault.vault import PackVault


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder with a repository, a medium, and a journal exported half-way."""
    folder = tmp_path / "made"
    run("init", folder / "archive", "--id", "DISC")
    cli = Cli(folder / "archive")
    cli("add", CT)
    cli("write", folder / "medium")
    cli("export-journal", folder / "early.jsonl")
    cli("add", MR)
    cli("set", "id=SECOND")
    cli("add", RT_DOSE, "--complete")
    cli("export-journal", folder / "late.jsonl")
    return folder


@pytest.fixture
def cli(folder: Path) -> Cli:
    return Cli(folder / "archive")


def stored(cli: Cli) -> list[Stored]:
    with closing(SqliteJournal(cli.repository / "journal.sqlite", read_only=True)) as journal:
        return list(journal.stored())


def damage(cli: Cli, old: bytes, new: bytes) -> None:
    journal = cli.repository / "journal.sqlite"
    data = journal.read_bytes()
    assert data.count(old) > 0
    journal.write_bytes(data.replace(old, new))


def kept(cli: Cli) -> list[Path]:
    return sorted(cli.repository.glob("damaged-*"))


# --- what is recovered ---------------------------------------------------------------------------


def test_a_whole_journal_is_left_alone(cli: Cli) -> None:
    before = (cli.repository / "journal.sqlite").read_bytes()
    assert "nothing to recover" in cli("recover").out
    assert cli.json("recover")["damage"] == []
    assert (cli.repository / "journal.sqlite").read_bytes() == before
    assert not kept(cli)


def test_what_comes_before_the_damage_is_recovered_and_the_rest_is_told(
    cli: Cli, folder: Path
) -> None:
    true = stored(cli)
    damage(cli, b"4MR1", b"4MR2")
    evidence = (cli.repository / "journal.sqlite").read_bytes()
    finding = cli.json("verify", code=1)["findings"][0]
    assert (finding["kind"], finding["position"]) == ("journal", 5)

    foreseen = cli.json("recover", "--dry-run", code=1)
    assert (cli.repository / "journal.sqlite").read_bytes() == evidence
    assert not kept(cli)

    told = cli.json("recover", code=1)
    assert told == {**foreseen, "dry_run": False, "kept": told["kept"]}
    assert told["events"] == 4
    assert told["lost"] == [5, 7]
    assert told["unproven"] == 3
    assert told["sources"] == {"the damaged journal": 4}
    assert [each["sop_instance_uid"] for each in told["unnamed"]]
    assert len(told["unnamed"]) == 2
    assert stored(cli)[:4] == true[:4]
    assert cli("verify").out.endswith("all is well.\n")

    (evidently,) = kept(cli)
    assert str(evidently) == told["kept"]
    assert evidently.stat().st_mode & 0o777 == 0o700
    assert (evidently / "damaged" / "journal.sqlite").read_bytes() == evidence
    lines = [json.loads(line) for line in (evidently / "unproven.jsonl").read_bytes().splitlines()]
    assert [line["position"] for line in lines] == [5, 6, 7]
    assert "4MR2" in lines[0]["payload"]


def test_an_exported_journal_fills_the_gap(cli: Cli, folder: Path) -> None:
    true = stored(cli)
    damage(cli, b"4MR1", b"4MR2")
    told = cli("recover", "--journal", folder / "early.jsonl", "--journal", folder / "late.jsonl")
    assert "Recovered 7 events" in told.out
    assert f"1 from {folder / 'late.jsonl'}" in told.out
    assert stored(cli)[:7] == true


def test_the_recovery_is_in_the_log(cli: Cli) -> None:
    damage(cli, b"4MR1", b"4MR2")
    cli("recover", code=1)
    *_, last = cli.json("log")["changes"]
    assert "journal recovered" in last["summary"]
    cli("set", "id=AFTER")
    assert "SECOND" not in cli("undo").out


def test_instances_of_the_vault_are_added_again_and_that_is_undone(cli: Cli) -> None:
    uids = cli.uids()
    damage(cli, b"4MR1", b"4MR2")
    told = cli.json("recover", "--from-vault", code=1)
    # The dose was added with values that were invented for it, which can't be told again.
    (left,) = told["not_added"]
    assert told["added"] == 1
    assert "Instance Number" in left["reason"]
    assert cli.uids() == uids - {left["sop_instance_uid"]}
    assert cli.json("log")["changes"][-1]["reason"] == "recovered from the vault"
    assert told["change"] in cli("undo").out
    assert len(cli.uids()) == 1


@pytest.mark.parametrize("settings_too", [False, True])
def test_without_any_journal_a_new_one_begins_with_what_is_in_the_vault(
    cli: Cli, settings_too: bool
) -> None:
    (cli.repository / "journal.sqlite").unlink()
    if settings_too:
        (cli.repository / "repository.toml").unlink()
    else:
        assert "fileset recover" in cli("status", code=3).err
    refused = cli("recover", code=3).err
    assert "Nothing of the journal can be proven" in refused
    assert "`fileset init REPO --from ROOT`" in refused
    assert (
        "`fileset init REPO --from ROOT`" in cli("recover", "--from-vault", "--dry-run", code=1).out
    )
    assert not (cli.repository / "journal.sqlite").exists()
    told = cli.json("recover", "--from-vault", code=1)
    assert told["begun_anew"]
    assert told["added"] == 2
    assert len(cli.uids()) == 2
    assert cli("verify").out.endswith("all is well.\n")


def test_a_new_file_set_has_the_old_uid_where_that_can_be_read(cli: Cli) -> None:
    uid = cli.json("status")["uid"]
    (id_,) = {each["journal"] for each in [cli.json("export-journal", cli.repository.parent / "x")]}
    damage(cli, b"file-set-created", b"file-set-created")
    damage(cli, id_.encode(), b"0" * 32)
    settings = cli.repository / "repository.toml"
    settings.write_text(settings.read_text().replace(id_, "0" * 32))
    assert "no event follows" in cli("recover", code=3).err
    assert cli.json("recover", "--from-vault", code=1)["begun_anew"]
    assert cli.json("status")["uid"] == uid


def test_a_lost_id_is_known_from_the_settings_an_export_or_its_owner(
    cli: Cli, folder: Path
) -> None:
    true = stored(cli)
    id_ = cli.json("export-journal", folder / "x")["journal"]
    damage(cli, id_.encode(), b"\xff" * 32)
    assert cli.json("recover", "--dry-run", code=0)["events"] == len(true)
    (cli.repository / "repository.toml").write_text("format = 1\n")
    cli("recover", code=3)
    for arguments in (["--journal", folder / "early.jsonl"], ["--journal-id", id_]):
        assert cli.json("recover", "--dry-run", *arguments)["events"] == len(true)
    cli("recover", "--journal-id", id_)
    assert stored(cli)[: len(true)] == true


def test_damaged_settings_are_made_anew_and_kept(cli: Cli) -> None:
    settings = cli.repository / "repository.toml"
    before = settings.read_text()
    settings.write_bytes(b"\xff" + before.encode())
    assert "fileset recover" in cli("status", code=3).err
    assert str(settings) in cli.json("recover")["damage"][0]
    assert settings.read_text() == before
    assert len(list(cli.repository.glob("repository.toml.damaged-*"))) == 1
    assert not kept(cli)
    cli("status")
    settings.unlink()
    assert "fileset recover" in cli("status", code=3).err
    cli("recover")
    assert settings.read_text() == before


def test_another_repository_s_journal_is_told(cli: Cli, folder: Path) -> None:
    run("init", folder / "other")
    there = folder / "other" / "journal.sqlite"
    shutil.copy(there, cli.repository / "journal.sqlite")
    for command in ("status", "verify", "recover"):
        told = cli(command, code=3).err
        assert "put the right one back" in told or "Put that one back" in told
    with closing(SqliteJournal(there)) as journal:
        id_ = journal.id
    cli("recover", "--journal-id", id_, code=1)
    assert len(cli.uids()) == 0


def test_what_the_vault_lacks_of_the_recovered_file_set_is_told(cli: Cli) -> None:
    damage(cli, b"SECOND", b"SECONX")
    (pack,) = (cli.repository / "vault").iterdir()
    pack.chmod(0o600)
    data = bytearray(pack.read_bytes())
    data[2000] ^= 1
    pack.write_bytes(data)
    (missing,) = cli.json("recover", code=1)["missing"]
    assert missing["position"] == 2
    assert "damaged" in missing["problem"]


def test_a_folder_that_is_no_repository_is_refused(tmp_path: Path) -> None:
    assert "There is no repository" in Cli(tmp_path)("recover", code=3).err
    assert not list(tmp_path.iterdir())


def test_a_repository_that_another_process_changes_is_refused(cli: Cli) -> None:
    (cli.repository / "cache" / "holder").write_text("process 7, elsewhere")
    with (cli.repository / "lock").open("ab") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        told = run("--repo", cli.repository, "--wait", "0.1", "recover", code=3).err
    assert "Another process" in told
    assert "process 7, elsewhere" in told


def test_others_are_told_of_a_recovery_that_goes_on(
    cli: Cli, monkeypatch: pytest.MonkeyPatch
) -> None:
    told: list[str] = []

    def look(path: Path) -> None:
        told.append((path.parent / "cache" / "holder").read_text())

    monkeypatch.setattr(recovery, "journal_damage", look)
    recovery.recover(cli.repository, origin="the archive's host")
    assert "the archive's host" in told[0]


# --- exports that are not taken ------------------------------------------------------------------


@pytest.fixture
def foreign(folder: Path) -> Path:
    """The export of another repository, which has more events."""
    run("init", folder / "other")
    other = Cli(folder / "other")
    for number in range(12):
        other("set", f"id=OTHER{number}")
    other("export-journal", folder / "foreign.jsonl")
    return folder / "foreign.jsonl"


def lose_ids(cli: Cli, *, settings: bool = False, database: bool = False) -> str:
    with closing(SqliteJournal(cli.repository / "journal.sqlite", read_only=True)) as journal:
        id_ = journal.id
    if settings:
        (cli.repository / "repository.toml").write_text("format = 1\n")
    if database:
        damage(cli, id_.encode(), b"\xff" * 32)
    return id_


@pytest.mark.parametrize("known_from", ["settings", "database", "owner", "its events"])
def test_another_repository_s_export_is_named_and_not_taken(
    cli: Cli, foreign: Path, folder: Path, known_from: str
) -> None:
    true = stored(cli)
    arguments: list[object] = ["--journal", foreign]
    damage(cli, b"SECOND", b"SECONX")
    if known_from != "settings":
        id_ = lose_ids(cli, settings=True, database=known_from != "database")
        if known_from == "owner":
            arguments += ["--journal-id", id_]
        elif known_from == "its events":
            arguments += ["--journal", folder / "early.jsonl"]
    told = cli.json("recover", *arguments, code=1)
    assert (told["events"], told["lost"]) == (5, [6, 7])
    assert any(f"{foreign} is of another journal" in note for note in told["notes"])
    assert stored(cli)[:5] == true[:5]
    cli("status")
    assert cli("verify").out.endswith("all is well.\n")


def test_an_own_export_is_taken_beside_another_repository_s(
    cli: Cli, foreign: Path, folder: Path
) -> None:
    true = stored(cli)
    damage(cli, b"4MR1", b"4MR2")
    for gone in (False, True):
        if gone:
            (cli.repository / "journal.sqlite").unlink()
        both = ("--journal", foreign, "--journal", folder / "late.jsonl")
        told = cli.json("recover", *both, "--dry-run", code=1)
        assert (told["events"], told["lost"]) == (7, [])
    cli("recover", *both, code=1)
    assert stored(cli)[:7] == true
    cli("status")


def test_where_only_another_repository_s_export_is_left_nothing_is_changed(
    cli: Cli, foreign: Path
) -> None:
    (cli.repository / "journal.sqlite").unlink()
    (cli.repository / "lock").unlink(missing_ok=True)
    before = sorted(each.name for each in cli.repository.iterdir())
    id_ = json.loads(foreign.read_bytes().splitlines()[0])["journal"]
    assert f"{foreign} is of the journal {id_}" in cli("recover", "--journal", foreign, code=3).err
    told = cli("recover", "--journal", foreign, "--journal-id", id_, code=3).err
    assert "move repository.toml away" in told
    assert sorted(each.name for each in cli.repository.iterdir()) == before
    (cli.repository / "repository.toml").unlink()
    cli("recover", "--journal", foreign, code=1)
    cli("status")


def test_a_database_with_events_of_its_own_is_not_replaced_by_another_repository_s_export(
    cli: Cli, foreign: Path
) -> None:
    lose_ids(cli, settings=True)
    damage(cli, b"SECOND", b"SECONX")
    before = (cli.repository / "journal.sqlite").read_bytes()
    id_ = json.loads(foreign.read_bytes().splitlines()[0])["journal"]
    told = cli("recover", "--journal", foreign, "--journal-id", id_, code=3).err
    assert "move the database away" in told
    assert (cli.repository / "journal.sqlite").read_bytes() == before


def test_an_export_is_taken_where_another_repository_s_damaged_database_got(
    cli: Cli, foreign: Path, folder: Path
) -> None:
    true = stored(cli)
    shutil.copy(folder / "other" / "journal.sqlite", cli.repository / "journal.sqlite")
    damage(cli, b"OTHER7", b"OTHERX")
    cli("recover", "--journal", folder / "late.jsonl", code=1)
    assert stored(cli)[:7] == true
    cli("status")


def test_settings_that_name_another_journal_are_made_anew_if_the_owner_says_so(cli: Cli) -> None:
    id_ = lose_ids(cli)
    settings = cli.repository / "repository.toml"
    settings.write_text(settings.read_text().replace(id_, "0" * 32))
    damage(cli, b"SECOND", b"SECONX")
    assert "no event follows" in cli("recover", code=3).err
    cli("recover", "--journal-id", id_, code=1)
    assert id_ in settings.read_text()
    cli("status")


def test_a_cut_export_of_another_repository_tells_of_no_loss(cli: Cli, foreign: Path) -> None:
    foreign.write_bytes(b"".join(foreign.read_bytes().splitlines(keepends=True)[:4]))
    damage(cli, b"SECOND", b"SECONX")
    told = cli.json("recover", "--journal", foreign, code=1)
    assert told["lost"] == [6, 7]


def test_a_copy_that_went_another_way_never_replaces_what_was_acknowledged(
    cli: Cli, folder: Path
) -> None:
    (folder / "copy").mkdir()
    copy = Cli(folder / "copy" / "archive")
    run("import-journal", folder / "early.jsonl", copy.repository)
    for number in range(9):
        copy("set", f"id=COPY{number}")
    fork = folder / "fork.jsonl"
    copy("export-journal", fork)
    true = stored(cli)
    told = cli.json("recover", "--journal", fork, code=1)
    assert told["damage"] == []
    assert stored(cli) == true
    damage(cli, b"1CT1", b"1CTX")  # the second event, which the exports have
    told = cli.json("recover", "--journal", fork, code=1)
    assert any(f"{fork} has a different history from position 5" in each for each in told["notes"])
    assert told["lost"] == []
    assert stored(cli)[:7] == true


# --- a journal that is whole ---------------------------------------------------------------------


def test_an_older_copy_of_the_journal_is_extended_by_a_newer_export(
    cli: Cli, folder: Path, tmp_path: Path
) -> None:
    journal = cli.repository / "journal.sqlite"
    true = stored(cli)
    cli("set", "id=LATER")
    with closing(SqliteJournal.restore(tmp_path / "old", lose_ids(cli), iter(true[:4]))):
        pass
    shutil.copy(tmp_path / "old", journal)
    foreseen = cli.json("recover", "--journal", folder / "late.jsonl", "--dry-run", code=1)
    assert foreseen["events"] == 7
    assert cli.json("recover", "--journal", folder / "early.jsonl")["damage"] == []
    told = cli.json("recover", "--journal", folder / "late.jsonl", code=1)
    assert "ends at position 4; an exported journal has 3 more" in told["damage"][0]
    assert (told["lost"], told["ended"]) == ([], False)
    assert stored(cli)[:7] == true
    assert (kept(cli)[0] / "damaged" / "journal.sqlite").read_bytes() == (
        tmp_path / "old"
    ).read_bytes()
    assert cli("verify").out.endswith("all is well.\n")


def test_of_a_whole_journal_the_content_is_not_vouched_for(cli: Cli) -> None:
    assert "`fileset verify` checks the content" in cli("recover").out
    (pack,) = (cli.repository / "vault").iterdir()
    pack.chmod(0o600)
    data = bytearray(pack.read_bytes())
    data[2000] ^= 1
    pack.write_bytes(data)
    assert "1 content missing from the vault" in cli("recover", "--from-vault", code=1).out


# --- what may be lost ----------------------------------------------------------------------------


def test_without_the_database_nobody_knows_where_the_journal_ended(cli: Cli, folder: Path) -> None:
    (cli.repository / "journal.sqlite").unlink()
    told = cli("recover", "--journal", folder / "early.jsonl", "--from-vault", code=1)
    assert "What came after, if anything did, has left no trace." in told.out
    assert "damaged files" not in told.out
    assert not kept(cli)
    assert len(stored(cli)) == 6  # those that were exported, the recovery, and what was added
    assert (cli.repository / "journal.sqlite").exists()


def test_a_repository_without_content_is_recovered(cli: Cli, folder: Path) -> None:
    true = stored(cli)
    shutil.rmtree(cli.repository / "vault")
    (cli.repository / "journal.sqlite").unlink()
    cli("recover", "--journal", folder / "late.jsonl", code=1)
    assert stored(cli)[:7] == true
    (cli.repository / "journal.sqlite").unlink()
    (cli.repository / "repository.toml").unlink()
    cli("recover", "--journal", folder / "late.jsonl", code=1)
    assert stored(cli)[:7] == true


def test_a_refused_recovery_leaves_nothing(cli: Cli) -> None:
    (cli.repository / "journal.sqlite").unlink()
    (cli.repository / "lock").unlink(missing_ok=True)
    before = sorted(each.name for each in cli.repository.iterdir())
    assert "Nothing was changed" in cli("recover", code=3).err
    assert sorted(each.name for each in cli.repository.iterdir()) == before


@pytest.mark.parametrize("error", [MemoryError, RecursionError])
def test_a_database_made_to_need_too_much_is_refused(
    cli: Cli, monkeypatch: pytest.MonkeyPatch, error: type[Exception]
) -> None:
    def fail(*_: object) -> None:
        raise error

    damage(cli, b"SECOND", b"SECONX")
    monkeypatch.setattr("fileset.recovery.evidence.prove", fail)
    assert "more memory than there is" in cli("recover", code=3).err
    assert not kept(cli)


def test_settings_one_may_not_read_are_made_readable_and_not_anew(
    cli: Cli, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As the super-user reads everything, the system is made to refuse."""
    settings = cli.repository / "repository.toml"

    def read(path: Path, most: int) -> bytes:
        if path == settings:
            raise PermissionError(13, "Permission denied", str(path))
        return read_start(path, most)

    monkeypatch.setattr(repository_folder, "read_start", read)
    for command in ("status", "recover"):
        told = cli(command, code=3).err
        assert "chmod u+r" in told
        assert "fileset recover" not in told


# --- a medium that is newer than what was recovered ----------------------------------------------


def test_a_medium_of_a_lost_write_is_told_and_not_written_to(cli: Cli, folder: Path) -> None:
    cli("write")
    damage(cli, b"SECOND", b"SECONX")
    told = cli.json("recover", code=1)
    assert any("--new-medium" in note for note in told["notes"])
    medium = folder / "medium"
    before = {each: each.read_bytes() for each in medium.rglob("*") if each.is_file()}
    assert "DICOMDIR" in cli("write", code=3).err
    assert {each: each.read_bytes() for each in medium.rglob("*") if each.is_file()} == before
    cli("write", folder / "another", "--new-medium")
    assert cli("verify").out.endswith("all is well.\n")


# --- erasure -------------------------------------------------------------------------------------


def test_nothing_is_added_that_an_unfinished_erasure_erased(
    cli: Cli, monkeypatch: pytest.MonkeyPatch
) -> None:
    cli("remove", "PatientID=4MR1")
    with monkeypatch.context() as patched, closing(Repository.open(cli.repository)) as repository:

        def fail(*_: object, **__: object) -> None:
            raise VaultError("the disk fails")

        patched.setattr(PackVault, "drop_excess", fail)
        with pytest.raises(RefusedError, match="fileset erase --complete"):
            Eraser(repository, Contents(repository)).erase(
                {"PatientID": "4MR1"}, reason="asked for"
            )
    cli("set", "id=THIRD")
    damage(cli, b"THIRD", b"THIRX")
    told = cli.json("recover", "--from-vault", code=1)
    assert told["erasing"]
    assert told["added"] == 0
    cli("erase", "--complete")
    assert cli.json("recover", "--from-vault")["unnamed"] == []


def test_nothing_is_erased_while_a_damaged_journal_is_kept(cli: Cli) -> None:
    damage(cli, b"SECOND", b"SECONX")
    cli("recover", code=1)
    arguments = ("erase", "PatientID=4MR1", "--take-off", "--reason", "asked for")
    assert str(kept(cli)[0]) in cli(*arguments, code=3).err
    shutil.rmtree(kept(cli)[0])
    cli(*arguments)


@pytest.mark.parametrize("left", ["recovering", ".recovering.abc"])
def test_nothing_is_erased_while_a_recovery_is_broken_off(cli: Cli, left: str) -> None:
    (cli.repository / left).mkdir()
    arguments = ("erase", "PatientID=4MR1", "--take-off", "--reason", "asked for")
    assert f"{cli.repository / left} was left" in cli(*arguments, code=3).err
    cli("recover")
    cli(*arguments)


def test_what_was_erased_stays_so_whatever_the_hashes_are(tmp_path: Path) -> None:
    run("init", tmp_path / "archive")
    cli = Cli(tmp_path / "archive")
    cli("add", CT)
    cli("export-journal", tmp_path / "e.jsonl")
    cli("remove", "PatientID=1CT1")
    cli("add", MR)
    cli("erase", "PatientID=1CT1", "--reason", "asked for")
    for each in stored(cli)[1:3]:
        damage(cli, each.hash, bytes(32))
    told = cli.json("recover", "--journal", tmp_path / "e.jsonl", code=1)
    assert told["events"] == 1
    assert b"1CT1" not in (cli.repository / "journal.sqlite").read_bytes()


def test_the_log_of_the_damaged_journal_is_kept_and_not_played_back(
    cli: Cli, tmp_path: Path
) -> None:
    true = stored(cli)
    damage(cli, b"4MR1", b"4MR2")
    journal = cli.repository / "journal.sqlite"
    log = journal.with_name("journal.sqlite-journal")
    with closing(sqlite3.connect(journal, isolation_level=None)) as db:
        db.executescript("PRAGMA cache_size = 1; BEGIN; DROP TRIGGER event_no_DELETE;")
        for table in ("event", "change"):
            db.execute(f"DROP TRIGGER IF EXISTS {table}_no_DELETE")
            db.execute(f"DELETE FROM {table}")  # noqa: S608 - ours
        shutil.copy(log, tmp_path / "log")
        db.execute("ROLLBACK")
    shutil.copy(tmp_path / "log", log)
    cli("recover", code=1)
    assert stored(cli)[:4] == true[:4]
    assert cli("verify").out.endswith("all is well.\n")
    (folder,) = kept(cli)
    assert (folder / "damaged" / log.name).read_bytes() == (tmp_path / "log").read_bytes()


# --- killed --------------------------------------------------------------------------------------

STEPS = ("link", "rename", "replace", "unlink", "mkdir", "fsync", "truncate", "rmdir")


def killed(number: int, cli: Cli) -> bool:
    """Recover in a process that dies at its `number`th step; whether it came to the end."""
    recover = partial(recovery.recover, cli.repository)
    return killed_at(number, recover, operations=STEPS, statements=False)


@SOME_POINTS
def test_killed_at_any_step_another_run_completes_it(cli: Cli, tmp_path: Path, stride: int) -> None:
    true = stored(cli)
    damage(cli, b"4MR1", b"4MR2")
    # A log of no use, which is not to be played back into the new journal.
    (cli.repository / "journal.sqlite-wal").write_bytes(os.urandom(5000))
    evidence = {each.name: each.read_bytes() for each in cli.repository.glob("journal.sqlite*")}
    for number in itertools.count(1, stride):
        shutil.copytree(cli.repository, tmp_path / "again")
        again = Cli(tmp_path / "again")
        done = killed(number, again)
        if not done:
            again("recover", code=0 if kept(again) else 1)  # it had done all but say so
        assert stored(again)[:4] == true[:4]
        assert len(stored(again)) == 5
        assert again("verify").out.endswith("all is well.\n")
        (found,) = kept(again)
        assert json.loads((found / "report.json").read_bytes())["events"] == 4
        assert {each.name: each.read_bytes() for each in (found / "damaged").iterdir()} == evidence
        left = {each.name for each in again.repository.iterdir()}
        assert not [name for name in left if "recovering" in name]
        assert not [name for name in left if name.startswith("journal.sqlite-")]
        shutil.rmtree(again.repository)
        if done:
            break
    assert number > 10


def test_what_a_killed_recovery_kept_is_kept_when_the_journal_is_put_back(
    cli: Cli, tmp_path: Path
) -> None:
    journal = cli.repository / "journal.sqlite"
    sound = journal.read_bytes()
    damage(cli, b"4MR1", b"4MR2")
    evidence = journal.read_bytes()
    number = 0
    while not (cli.repository / "recovering" / "damaged" / journal.name).exists():
        number += 1
        shutil.rmtree(cli.repository / "recovering", ignore_errors=True)
        assert not killed(number, cli)
    journal.unlink()
    journal.write_bytes(sound)
    told = cli.json("recover", code=1)
    (folder,) = kept(cli)
    assert told["damage"] == []
    assert str(folder) in told["notes"][0]
    assert (folder / "damaged" / journal.name).read_bytes() == evidence
    assert journal.read_bytes() == sound
