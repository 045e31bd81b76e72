"""audit status: how far each receiver and each folder is."""

from __future__ import annotations

from pathlib import Path

from cli_runs import Cli


def test_each_folder_has_been_told_as_much_as_was_sent_there(written: Cli, tmp_path: Path) -> None:
    assert "Nothing was ever sent" in written("audit", "status").out
    written("audit", "send", "--spool", tmp_path / "one")
    written("undo")
    written("audit", "send", "--spool", tmp_path / "two")
    document = written.json("audit", "status")
    assert [
        (each["destination"], each["sent"], each["position"], each["backlog"], each["error"])
        for each in document["destinations"]
    ] == [(str(tmp_path / "one"), 2, 7, 1, None), (str(tmp_path / "two"), 2, 8, 0, None)]
    first, second = written("audit", "status").out.splitlines()
    assert "one: 2 messages sent, 1 event of the journal to tell" in first
    assert "two: 2 messages sent, up to date" in second
