"""quarantine: what could not be taken is listed, tried again, dropped when somebody says so."""

from __future__ import annotations

import os

import pytest
from cli_runs import CT, RT_DOSE, Cli
from pydicom import dcmread
from watched import House, added, digests, drop

from fileset.watching import After


def test_the_only_copy_is_deleted_only_if_someone_says_so(home: House) -> None:
    cli = Cli(home.repository)
    drop(home.inbox, "kept", b"kept")
    home.drain()
    drop(home.inbox, "gone", b"gone")
    home.drain(after=After.DELETE)
    message = cli("quarantine", "drop", "--all", code=3).err
    assert "gone" in message
    assert "--only-copies" in message
    assert len(home.quarantined()) == 2
    out = cli("quarantine", "drop", "--all", "--only-copies").out
    assert "2 files deleted from the quarantine" in out


def test_what_is_in_the_quarantine_is_listed_tried_again_and_dropped(home: House) -> None:
    cli = Cli(home.repository)
    drop(home.inbox, "dose", RT_DOSE.read_bytes())
    drop(home.inbox, "notes", b"no DICOM")
    home.drain()
    listed = cli.json("quarantine", "list")["quarantined"]
    ids = {os.path.relpath(entry["source"], home.inbox): entry["id"] for entry in listed}
    assert "Instance Number" in cli("quarantine", "list").out
    assert cli.json("quarantine", "retry", "--all", code=1)["done"] == []
    done = cli.json("quarantine", "retry", ids["dose"][:6], "--complete", "--reason", "by hand")
    assert done["done"] == [ids["dose"]]
    assert [entry["id"] for entry in done["quarantined"]] == [ids["notes"]]
    assert added(home.repository) == digests([RT_DOSE.read_bytes()])
    (change,) = cli.json("log", "--kind", "instance-added")["changes"]
    assert (change["id"], change["reason"]) == (done["change"], "by hand")
    blame = cli("blame", f"PatientID={dcmread(RT_DOSE).PatientID}").out
    assert os.fspath(home.inbox / "dose") in blame  # and not where the quarantine kept it
    assert cli.json("quarantine", "drop", "--all")["quarantined"] == []
    assert home.names() == ["dose", "notes"]
    assert home.drain()["seen"] == 0
    assert "No file" in cli("quarantine", "drop", "abc", code=3).err


def test_a_conflict_is_taken_from_the_quarantine_once_the_other_is_removed(home: House) -> None:
    cli = Cli(home.repository)
    other = bytearray(CT.read_bytes())
    other[-200] ^= 1
    drop(home.inbox, "a", CT.read_bytes())
    home.drain()
    drop(home.inbox, "b", bytes(other))
    home.drain()
    cli("quarantine", "retry", "--all", code=1)
    cli("remove", "PatientID=1CT1")
    assert len(cli.json("quarantine", "retry", "--all")["done"]) == 1
    assert added(home.repository) == digests([CT.read_bytes(), bytes(other)])


@pytest.mark.parametrize(
    "arguments",
    [
        ["retry"],
        ["drop", "--all", "abc"],
        ["list", "abc"],
        ["list", "--only-copies"],
        ["retry", "--all", "--only-copies"],
    ],
)
def test_command_lines_that_make_no_sense_are_usage_errors(
    home: House, arguments: list[str]
) -> None:
    Cli(home.repository)("quarantine", *arguments, code=2)
