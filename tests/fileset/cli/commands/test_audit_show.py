"""audit show: messages as they are sent."""

from __future__ import annotations

from pathlib import Path

from audit_schema import faults_of
from cli_runs import Cli


def test_a_spool_gets_the_messages_that_are_shown(written: Cli, tmp_path: Path) -> None:
    written("audit", "send", "--spool", tmp_path / "spool")
    files = sorted((tmp_path / "spool").glob("*.xml"))
    document = written.json("audit", "show")
    assert [m["xml"] for m in document["messages"]] == [file.read_text("utf-8") for file in files]
    assert [m["kind"] for m in document["messages"]] == ["imported", "exported"]
    assert [m["position"] for m in document["messages"]] == [3, 7]
    assert all(faults_of(m["xml"].encode()) == [] for m in document["messages"])
    assert written("audit", "show", "--after", 3).out.splitlines()[0].startswith("exported pos")
    first = written("audit", "show", "--limit", 1).out
    assert first.splitlines()[-1] == "More follow: --after 3 shows them."
    assert written("audit", "show", "--after", 7).out == "There is nothing to tell.\n"
