"""A backup as docs/how-to/back-up-a-repository.md makes it: the journal first, then the vault.

It is copied by ordinary tools while the repository is in use.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import threading
from pathlib import Path

import pytest
from cli_runs import CT, MR, OVERLAY, Cli, changed, run
from pydicom.uid import generate_uid

from fileset import FileSet
from fileset.repository.garbage import collect
from ledger.vault.vault import PackVault


@pytest.fixture
def cli(tmp_path: Path) -> Cli:
    run("init", tmp_path / "archive")
    cli = Cli(tmp_path / "archive")
    cli("add", CT)
    return cli


def backed_up(cli: Cli, target: Path) -> Path:
    """Make a backup in the new folder `target` and return it."""
    target.mkdir()
    cli("export-journal", target / "journal.jsonl")
    subprocess.run(["cp", "-a", cli.repository / "vault", target], check=True)
    return target


def restored(backup: Path, code: int = 0) -> Cli:
    """Make a repository of `backup` beside it."""
    repository = backup.with_name(f"{backup.name}-restored")
    journal = backup / "journal.jsonl"
    run("import-journal", journal, repository, "--vault", backup / "vault", code=code)
    return Cli(repository)


def test_a_backup_of_a_repository_that_is_in_use_is_whole(cli: Cli, tmp_path: Path) -> None:
    stop, acknowledged = threading.Event(), [cli.json("log")["changes"][-1]["id"]]

    def write() -> None:
        with FileSet.open(cli.repository) as fs:
            number = 0
            while not stop.is_set():
                number += 1
                source = tmp_path / f"{number}.dcm"
                uid = generate_uid()
                fs.add(changed(MR, source, SOPInstanceUID=uid))
                acknowledged.append(fs.history[-1].id)
                if number % 3 == 0:
                    fs.remove(next(iter(fs)))

    writer = threading.Thread(target=write)
    writer.start()
    try:
        backups = []
        for number in range(4):
            known = list(acknowledged)
            backups.append((known, backed_up(cli, tmp_path / f"backup{number}")))
    finally:
        stop.set()
        writer.join()
    assert len(acknowledged) > len(backups[0][0])
    for known, backup in backups:
        again = restored(backup)
        again("verify")
        assert set(known) <= {change["id"] for change in again.json("log")["changes"]}


def test_in_the_other_order_content_may_be_missing(cli: Cli, tmp_path: Path) -> None:
    backup = tmp_path / "backup"
    backup.mkdir()
    subprocess.run(["cp", "-a", cli.repository / "vault", backup], check=True)
    cli("add", MR)
    cli("export-journal", backup / "journal.jsonl")
    kinds = [f["kind"] for f in restored(backup, code=1).json("verify", code=1)["findings"]]
    assert kinds == ["content-missing"]


@pytest.mark.parametrize("copied", range(4), ids=lambda n: f"after {n}")
def test_packs_that_are_put_together_anew_meanwhile_are_copied_or_the_copy_fails(
    cli: Cli, tmp_path: Path, copied: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    cli("remove", "PatientID=1CT1")
    repository, backup = _of_small_packs(cli, monkeypatch), tmp_path / "backup"
    (backup / "vault").mkdir(parents=True)
    cli("export-journal", backup / "journal.jsonl")
    names = sorted(p.name for p in (repository / "vault").iterdir())  # as cp reads them first
    assert len(names) == 3
    failed = False
    for number, name in enumerate([*names, None]):
        if number == copied:
            with FileSet.open(repository) as fs:
                assert collect(fs.repository, dry_run=False)
        if name is not None:
            try:
                shutil.copy(repository / "vault" / name, backup / "vault" / name)
            except FileNotFoundError:
                failed = True
    if not failed:
        restored(backup)("verify")
    else:
        shutil.rmtree(backup / "vault")
        shutil.copytree(repository / "vault", backup / "vault")
        restored(backup)("verify")
    assert failed == (copied < 2)


def _of_small_packs(cli: Cli, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Have several packs in the vault, of which the middle one has content that nothing names."""
    monkeypatch.setattr("ledger.vault.vault.PACK_LIMIT", 20_000)
    with FileSet.open(cli.repository) as fs:
        vault = fs.repository.vault
        assert isinstance(vault, PackVault)
        vault._upkeep._pack_limit = 20_000
        with vault.batch() as batch:
            batch.add(b"unneeded")
        fs.add(MR)
        fs.add(OVERLAY)
    return cli.repository


def test_what_keeps_a_lock_keeps_a_change_out(cli: Cli, tmp_path: Path) -> None:
    lock = os.fspath(cli.repository / "lock")
    script = f"echo begun; read wait; cp -a {cli.repository}/vault {tmp_path}/copied"
    with subprocess.Popen(
        ["flock", lock, "sh", "-c", script],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
    ) as copying:  # fmt: skip
        assert copying.stdout is not None
        assert copying.stdin is not None
        assert copying.stdout.readline() == "begun\n"
        told = cli("--wait", "0.1", "gc", "--apply", code=3).err
        assert "Another process has been changing" in told
        assert "1CT1" in cli("find", "PatientID=1CT1").out + cli("log").out
        copying.stdin.write("\n")
        copying.stdin.close()
    assert copying.returncode == 0
    cli("gc", "--apply")


@pytest.mark.parametrize("part", [0, 0.3, 0.6, 0.99])
def test_a_copy_that_was_cut_off_is_told_from_a_whole_one(
    cli: Cli, tmp_path: Path, part: float
) -> None:
    cli("add", MR)
    backup = backed_up(cli, tmp_path / "backup")
    (pack,) = (backup / "vault").iterdir()
    pack.chmod(0o600)
    whole = pack.read_bytes()
    pack.write_bytes(whole[: int(len(whole) * part)])
    again = restored(backup, code=1)
    assert {f["kind"] for f in again.json("verify", code=1)["findings"]} == {"content-missing"}
    shutil.rmtree(again.repository)
    shutil.rmtree(backup / "vault")
    shutil.copytree(cli.repository / "vault", backup / "vault")  # the copy, made again
    restored(backup)("verify")
    journal = backup / "journal.jsonl"
    text = journal.read_bytes()
    journal.write_bytes(text[: int(len(text) * part)])
    run("import-journal", journal, tmp_path / "none", "--vault", backup / "vault", code=3)
    assert not (tmp_path / "none").exists()


def test_a_copy_of_the_whole_folder_at_rest_is_the_repository(cli: Cli, tmp_path: Path) -> None:
    copied = tmp_path / "copied"
    command = ["flock", cli.repository / "lock", "cp", "-a", cli.repository, copied]
    subprocess.run(command, check=True)
    Cli(copied)("verify")
    assert Cli(copied).json("log") == cli.json("log")
    Cli(copied)("add", MR)
