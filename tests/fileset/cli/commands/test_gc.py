"""gc: what the vault holds and no event names goes, and nothing else."""

from __future__ import annotations

import subprocess
import sys
from contextlib import closing
from pathlib import Path

import pytest
from cli_runs import CT, MR, Cli

from fileset import FileSet
from fileset.errors import RefusedError
from fileset.repository.repository import Repository
from ledger.vault.packs import list_packs


@pytest.fixture
def path(tmp_path: Path) -> Path:
    path = tmp_path / "archive"
    with FileSet(repository=path) as fs:
        fs.add(CT)
        fs.add(MR)
        fs.remove(list(fs))
        fs.undo()
        fs.undo()
    return path


def abort_an_add(path: Path, data: bytes) -> None:
    """Have content in the vault whose event was never appended, as a killed add leaves it."""
    with closing(Repository.open(path)) as repository, repository.vault.batch() as batch:
        batch.add(data)


def test_what_undo_and_time_travel_need_is_never_garbage(path: Path) -> None:
    with FileSet.open(path) as fs:
        assert not fs.gc(dry_run=False)
        fs.redo()
        assert [each.load().SOPInstanceUID for each in fs.at(2)] == [
            each.SOPInstanceUID for each in fs.at(2)
        ]
        assert fs.verify() == []


def test_what_an_aborted_add_left_goes_when_it_is_told_to(path: Path) -> None:
    abort_an_add(path, b"left behind" * 100)
    cli = Cli(path)
    assert "Would drop the content of 1 file, 1,152 bytes" in cli("gc").out
    assert cli.json("gc", "--apply")["bytes"] == 1152
    assert "only what events name" in cli("gc").out
    assert "all is well" in cli("verify").out
    assert all(b"left behind" not in p.path.read_bytes() for p in list_packs(path / "vault"))


def test_nothing_is_dropped_while_another_process_changes_the_repository(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("fileset.repository.lock.PATIENCE", 0.1)
    abort_an_add(path, b"in another's batch")
    script = (
        "import sys, fcntl; lock = open(sys.argv[1], 'ab'); fcntl.flock(lock, fcntl.LOCK_EX);"
        "print('held', flush=True); sys.stdin.read()"
    )
    with subprocess.Popen(
        [sys.executable, "-c", script, str(path / "lock")],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as other:
        assert other.stdout is not None
        assert other.stdout.readline() == "held\n"
        with FileSet.open(path) as fs:
            for dry_run in (True, False):
                with pytest.raises(RefusedError, match="Another process has been changing"):
                    fs.gc(dry_run=dry_run)
        other.communicate()
    with FileSet.open(path) as fs:
        assert fs.gc(dry_run=False).entries == 1


def test_it_is_no_part_of_a_change(path: Path) -> None:
    with FileSet.open(path) as fs, fs.change(), pytest.raises(RefusedError, match="part of"):
        fs.gc()
