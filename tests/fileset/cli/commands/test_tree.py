"""tree: the hierarchy down to the instances."""

from __future__ import annotations

from pathlib import Path

from cli_runs import CT, MR, Cli, copy_of_example, leaves, run


def test_the_tree_goes_down_to_the_instances(adopted: Cli) -> None:
    lines = adopted("tree").out.splitlines()
    assert lines[0].startswith("PYDICOM_TEST at ")
    assert lines[0].endswith(": 31 instances")
    (line,) = (line for line in lines if "98892003/MR700/4678" in line)
    assert "MR Image Storage" in line
    assert "sha256:" in line
    document = adopted.json("tree")
    assert len(leaves(document["records"])) == document["instances"] == 31
    patient = document["records"][0]
    assert (patient["record_type"], patient["key"]) == ("PATIENT", "77654033")


def test_lines_are_whole_however_long(cli: Cli, tmp_path: Path) -> None:
    deep = tmp_path / ("d" * 100) / ("e" * 100)
    deep.mkdir(parents=True)
    cli("add", CT)
    cli("write", deep / "medium")
    assert f"at {deep / 'medium'}: 1 instance" in cli("tree").out.splitlines()[0]


def test_the_tree_marks_what_is_staged(cli: Cli, tmp_path: Path) -> None:
    cli("add", CT)
    cli("write", tmp_path / "medium")
    cli("remove", "PatientID=1CT1")
    cli("add", MR)
    out = cli("tree").out
    assert "to be removed" in out
    assert "to be added" in out
    assert [leaf["staged"] for leaf in leaves(cli.json("tree")["records"])] == [
        "removal",
        "addition",
    ]


def test_the_tree_tells_where_files_would_be_moved(adopted: Cli, tmp_path: Path) -> None:
    assert "to be moved" not in adopted("tree").out
    dicomdir = copy_of_example(tmp_path / "cd")
    folder = dicomdir.parent / "98892003" / "MR700"
    (folder / "4678").rename(folder / "46.8")  # which is no File ID
    dicomdir.write_bytes(dicomdir.read_bytes().replace(rb"MR700\4678", rb"MR700\46.8"))
    run("init", tmp_path / "r", "--from", dicomdir)
    (line,) = (line for line in Cli(tmp_path / "r")("tree").out.splitlines() if "46.8" in line)
    assert "to be moved to " in line


def test_only_what_matches_is_shown_where_values_are_given(adopted: Cli) -> None:
    asked = ("StudyDescription=*MRA*", "InstanceNumber=1")
    shown = adopted("tree", *asked).out
    assert shown.count("IMAGE:") == len(adopted("find", *asked).out.splitlines())
    assert "Doe^Archibald" not in shown
    assert len(adopted.json("tree", "PatientID=7*")["records"]) == 1
    nothing = adopted("tree", "Modality=mr")
    assert (nothing.out, nothing.err) == (
        "", "No instance matches. Did you mean Modality=MR: 17 instances?\n"
    )  # fmt: skip
