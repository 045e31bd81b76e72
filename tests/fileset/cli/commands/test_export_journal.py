"""export-journal: the journal goes to a file of its own or to standard output, or not at all."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
from cli_runs import Cli, beside, command_line, spawn
from no_room import room_for


def test_an_export_tells_what_it_wrote_and_is_for_its_owner_alone(
    edited: Cli, tmp_path: Path
) -> None:
    document = edited.json("export-journal", tmp_path / "j")
    assert document["events"] == 6
    assert document["file"] == str(tmp_path / "j")
    assert document["head"].startswith("sha256:")
    assert (tmp_path / "j").stat().st_mode & 0o777 == 0o600
    assert len((tmp_path / "j").read_bytes().splitlines()) == 7


@pytest.mark.parametrize("arguments", [(), ("-",)])
def test_without_a_file_the_journal_goes_to_standard_output(
    edited: Cli, exported: Path, arguments: tuple[str, ...]
) -> None:
    done = spawn("--repo", edited.repository, "export-journal", *arguments)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.encode() == exported.read_bytes()


def test_a_document_and_the_journal_don_t_share_standard_output(edited: Cli) -> None:
    assert "name a FILE" in edited("export-journal", "--json", code=2).out


def test_nothing_is_overwritten_by_an_export(edited: Cli, exported: Path) -> None:
    before = exported.read_bytes()
    assert "already" in edited("export-journal", exported, code=3).err
    assert exported.read_bytes() == before
    assert "missing" in edited("export-journal", exported.parent / "missing" / "j", code=3).err


def test_a_damaged_journal_leaves_no_file(edited: Cli, tmp_path: Path) -> None:
    journal = edited.repository / "journal.sqlite"
    journal.write_bytes(journal.read_bytes().replace(b"4MR1", b"4MR2"))
    before = beside(edited.repository)
    assert "the event at position 3" in edited("export-journal", tmp_path / "j", code=3).err
    assert beside(edited.repository) == before


def test_nobody_reading_an_export_is_no_failure(edited: Cli) -> None:
    line = f"{sys.executable} -m fileset --repo {edited.repository} export-journal - | true"
    done = subprocess.run(
        ["bash", "-c", line + "; exit ${PIPESTATUS[0]}"], check=False, capture_output=True
    )
    assert (done.returncode, done.stderr) in {(141, b""), (0, b"")}


def test_an_export_that_can_t_be_made_names_the_file_that_was_asked_for(
    edited: Cli, tmp_path: Path
) -> None:
    wanted = tmp_path / "none" / "journal"
    assert f"{wanted}: No such file or directory" in edited("export-journal", wanted, code=3).err


@pytest.mark.parametrize("unbuffered", ["", "1"])
def test_an_export_to_a_full_disk_is_not_called_done(
    edited: Cli, exported: Path, tmp_path: Path, unbuffered: str
) -> None:
    whole = exported.stat().st_size
    for room in (whole - 1, whole // 2):
        with room_for(room), (tmp_path / "out").open("wb") as out:
            done = subprocess.run(
                command_line("--repo", edited.repository, "export-journal"),
                stdout=out, stderr=subprocess.PIPE, check=False,
                env={
                    **os.environ, "PYTHONUNBUFFERED": unbuffered,
                },
            )  # fmt: skip
        assert done.returncode != 0
        assert b"File too large" in done.stderr
