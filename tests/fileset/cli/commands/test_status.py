"""status: the File-set as pydicom prints it, and what is staged."""

from __future__ import annotations

from cli_runs import CT, Cli

from fileset import FileSet


def test_status_prints_the_file_set_as_pydicom_does_but_for_what_python_programs_call(
    adopted: Cli,
) -> None:
    with FileSet.open(adopted.repository) as fs:
        theirs = f"{fs}\n"
    # pydicom's write would move what is on the medium; the command's goes by valid names.
    staged = "  Changes staged for write(): DICOMDIR update, directory structure update\n"
    assert adopted("status").out == theirs.replace(staged, "")
    assert staged in theirs


def test_status_tells_what_is_staged(cli: Cli) -> None:
    cli("add", CT)
    assert "Changes staged for write: DICOMDIR creation, 1 addition\n" in cli("status").out
    document = cli.json("status")
    assert document["repository"] == str(cli.repository)
    assert (document["position"], document["instances"]) == (2, 1)
    assert (document["undo"], document["redo"], document["write_interrupted"]) == (1, 0, None)
    assert document["staged"] == {
        "summary": "DICOMDIR creation, 1 addition",
        "creation": True,
        "metadata": {},
        "corrections": 0,
        "additions": 1,
        "removals": 0,
        "moves": 0,
    }
