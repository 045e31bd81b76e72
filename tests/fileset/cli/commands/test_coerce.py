"""add --coerce: what arrives gets the receiver's own values in the change that adds it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from cli_runs import CT, MR, Cli
from pydicom import Dataset, dcmread

from fileset.correcting.coercion import new_uid
from fileset.fileset import FileSet


def rules(tmp_path: Path, text: str) -> Path:
    path = tmp_path / "rules.toml"
    path.write_text(text)
    return path


def written(cli: Cli, root: Path) -> list[Dataset]:
    cli("write", root)
    return [dcmread(path) for path in sorted(root.rglob("IM*"))]


def changed(source: Path, path: Path, **values: Any) -> Path:
    """Save a copy of the instance at `source` with other values."""
    ds = dcmread(source)
    for keyword, value in values.items():
        setattr(ds, keyword, value)
    ds.file_meta.MediaStorageSOPInstanceUID = ds.SOPInstanceUID
    ds.save_as(path)
    return path


def test_what_a_rule_matches_gets_its_values_and_says_what_it_had(cli: Cli, tmp_path: Path) -> None:
    document = cli.json(
        "add",
        CT,
        MR,
        "--coerce",
        rules(
            tmp_path,
            "[[rule]]\n"
            "match = {PatientID = '1C?*'}\n"
            "issuer = 'ELSEWHERE'\nprefix = 'E-'\n"
            "set = {StudyDescription = 'Foreign disc'}\nremove = ['PatientComments']\n",
        ),
    )
    assert (document["added"], document["coerced"]) == (2, 1)
    said = {(e["path"], e["after"]): e["instances"] for e in document["elements"]}
    assert said[("PatientID", "E-1CT1")] == 1
    assert said[("IssuerOfPatientID", "ELSEWHERE")] == 1
    ct, mr = written(cli, tmp_path / "cd")
    if ct.Modality != "CT":
        ct, mr = mr, ct
    assert (ct.PatientID, ct.IssuerOfPatientID) == ("E-1CT1", "ELSEWHERE")
    assert ct.StudyDescription == "Foreign disc"
    (original,) = ct.OriginalAttributesSequence
    assert original.ReasonForTheAttributeModification == "COERCE"
    assert original.ModifiedAttributesSequence[0].PatientID == "1CT1"
    assert mr == dcmread(MR)
    assert cli.json("verify")["findings"] == []


def test_it_is_one_change_that_is_taken_back_whole_and_told_by_the_log(
    cli: Cli, tmp_path: Path
) -> None:
    result = cli("add", CT, "--coerce", rules(tmp_path, "[[rule]]\nprefix = 'E-'\n"))
    assert "1 instance coerced\n  PatientID corrected from '1CT1' to 'E-1CT1'" in result.out
    assert "1 addition" in result.out
    changes = cli.json("log", "--events")["changes"]
    assert [event["type"] for event in changes[-1]["events"]] == [
        "instance-added",
        "instance-corrected",
        "instances-corrected",
    ]
    cli("undo")
    assert cli.uids() == set()
    cli("redo")
    assert "E-1CT1" in cli("values", "PatientID").out


def test_the_original_that_comes_again_is_there_already(cli: Cli, tmp_path: Path) -> None:
    path = rules(tmp_path, "[[rule]]\nprefix = 'E-'\nnew_uids = true\n")
    cli("add", CT, "--coerce", path)
    for arguments in (("--coerce", path), ()):
        document = cli.json("add", CT, *arguments)
        assert (document["already_there"], document["change"]) == (1, None)
    cli("undo")
    again = cli.json("add", CT, "--coerce", path)
    assert (again["added"], again["coerced"]) == (1, 1)
    assert len(cli.uids()) == 1


def test_new_uids_agree_among_instances_that_arrive_at_different_times(
    cli: Cli, tmp_path: Path
) -> None:
    path = rules(tmp_path, "[[rule]]\nnew_uids = true\n")
    first = dcmread(CT)
    reference = Dataset()
    reference.ReferencedSOPClassUID = first.SOPClassUID
    reference.ReferencedSOPInstanceUID = first.SOPInstanceUID
    second = changed(
        CT, tmp_path / "second", SOPInstanceUID="1.2.3", ReferencedImageSequence=[reference]
    )
    cli("add", CT, "--coerce", path)
    cli("add", second, "--coerce", path)
    one, two = sorted(written(cli, tmp_path / "cd"), key=lambda d: "ReferencedImageSequence" in d)
    for keyword in ("StudyInstanceUID", "SeriesInstanceUID", "FrameOfReferenceUID"):
        assert one[keyword] == two[keyword]
        assert str(one[keyword].value).startswith("2.25.")
        assert one[keyword] != first[keyword]
    referenced = two.ReferencedImageSequence[0]
    assert referenced.ReferencedSOPInstanceUID == one.SOPInstanceUID
    assert referenced.ReferencedSOPClassUID == one.SOPClassUID == first.SOPClassUID
    assert one.file_meta.MediaStorageSOPInstanceUID == one.SOPInstanceUID


def test_a_new_uid_is_valid_and_of_its_file_set() -> None:
    made = {new_uid(journal, uid) for journal in ("a", "b") for uid in ("1.2.3", "1.2.4")}
    assert len(made) == 4
    assert all(len(uid) <= 64 and uid.startswith("2.25.") for uid in made)
    assert new_uid("a", "1.2.3") in made


def test_ids_come_from_a_table_and_what_it_lacks_is_not_added(cli: Cli, tmp_path: Path) -> None:
    (tmp_path / "ids.csv").write_text(
        "PatientID,new PatientID,new PatientName\n1CT1,4711,Roth^Anna\n"
    )
    path = rules(tmp_path, "[[rule]]\nids = 'ids.csv'\n")
    result = cli("add", CT, MR, "--coerce", path, code=1)
    assert "can't be coerced: no line of ids.csv matches it" in result.err
    assert "1 added" in result.out
    assert "1 rejected" in result.out
    assert "4711" in cli("values", "PatientID").out
    assert "4MR1" not in cli("values", "PatientID").out
    document = cli.json("add", MR, "--coerce", path, code=1)
    (told,) = document["results"]
    assert (told["outcome"], told["coerced"]) == ("rejected", False)


def test_with_a_prefix_what_the_table_lacks_gets_that(cli: Cli, tmp_path: Path) -> None:
    (tmp_path / "ids.csv").write_text("PatientID,new PatientID\n1CT1,4711\n")
    path = rules(tmp_path, "[[rule]]\nids = 'ids.csv'\nprefix = 'E-'\nissuer = 'E'\n")
    cli("add", CT, MR, "--coerce", path)
    shown = cli("values", "PatientID").out
    assert "4711" in shown
    assert "E-4MR1" in shown


def test_an_instance_that_can_t_be_coerced_is_rejected_and_the_others_are_added(
    cli: Cli, tmp_path: Path
) -> None:
    nobody = changed(CT, tmp_path / "nobody", PatientID="", SOPInstanceUID="1.2.3")
    path = rules(tmp_path, "[[rule]]\nprefix = 'E-'\n")
    result = cli("add", "--complete", nobody, MR, "--coerce", path, code=1)
    assert "no Patient ID to put the prefix before" in result.err
    assert cli.uids() == {dcmread(MR).SOPInstanceUID}


def test_whose_the_id_is_counts_after_coercion(cli: Cli, tmp_path: Path) -> None:
    other = changed(CT, tmp_path / "other", PatientName="Other^One", SOPInstanceUID="1.2.3")
    cli("add", CT)
    document = cli.json(
        "add", other, "--coerce", rules(tmp_path, "[[rule]]\nprefix = 'E-'\nnew_uids = true\n")
    )
    assert (document["added"], document["mismatched"]) == (1, 0)
    cli("add", changed(other, tmp_path / "third", SOPInstanceUID="1.2.4"), code=1)


def test_of_several_rules_the_last_one_counts_for_an_element(cli: Cli, tmp_path: Path) -> None:
    cli(
        "add",
        CT,
        "--coerce",
        rules(
            tmp_path,
            "[[rule]]\nset = {PatientName = 'One', StudyID = 'S'}\n"
            "[[rule]]\nmatch = {Modality = 'CT'}\nset = {PatientName = 'Two'}\n"
            "[[rule]]\nmatch = {Modality = 'MR'}\nset = {PatientName = 'Three'}\n",
        ),
    )
    (ds,) = written(cli, tmp_path / "cd")
    assert (ds.PatientName, ds.StudyID) == ("Two", "S")


def test_what_has_the_values_already_is_added_as_it_is(cli: Cli, tmp_path: Path) -> None:
    document = cli.json(
        "add", CT, "--coerce", rules(tmp_path, "[[rule]]\nset = {PatientID = '1CT1'}\n")
    )
    assert (document["added"], document["coerced"], document["elements"]) == (1, 0, [])


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "contains no rules"),
        ("rule = 3", "contains no rules"),
        ("[[rule]", "is not a TOML file"),
        (f"x = {'[' * 5000}", "nested too deep"),
        ("[[rules]]\n", "unknown key 'rules'"),
        ("[[rule]]\nmatch = {PatientID = 'X'}\n", "rule 1: it changes nothing"),
        ("[[rule]]\nsets = {}\n", "rule 1, sets: unknown key"),
        ("[[rule]]\nset = {PatientNmae = 'X'}\n", "rule 1, set.PatientNmae: There is no data"),
        ("[[rule]]\nset = {PatientBirthDate = 'X'}\n", "rule 1, set.PatientBirthDate:"),
        ("[[rule]]\nset = {Rows = 3}\n", "rule 1, set.Rows:"),
        ("[[rule]]\nset = {PatientName = true}\n", "rule 1, set.PatientName: a value must be"),
        ("[[rule]]\nset = {PatientName = [{}]}\n", "rule 1, set.PatientName: a value must be"),
        ("[[rule]]\nmatch = {PatientNmae = 'X'}\nprefix='X'\n", "Did you mean PatientName"),
        ("[[rule]]\nset = {SOPInstanceUID = '1.2'}\n", "use new_uids"),
        ("[[rule]]\nset = {PatientID = 'X'}\nremove = ['PatientID']\n", "has two new values"),
        ("[[rule]]\nset = {PatientID = 'X'}\nprefix = 'Y'\n", "rule 1, prefix: set gives"),
        ("[[rule]]\nprefix = 3\n", "rule 1, prefix: it must be text"),
        ("[[rule]]\nremove = [3]\n", "rule 1, remove: it must be a list"),
        ("[[rule]]\nnew_uids = 'yes'\n", "rule 1, new_uids: it must be true or false"),
        ("[[rule]]\nmatch = {PatientID = 3}\nprefix='X'\n", "rule 1, match.PatientID:"),
        ("[[rule]]\nprefix = 'X'\n[[rule]]\nids = 'no.csv'\n", "rule 2, ids:"),
        ("[[rule]]\nids = 'twice.csv'\n", "line 3: an earlier line is for the same instances"),
        ("[[rule]]\nids = 'bad.csv'\n", "rule 1, ids:"),
    ],
)
def test_a_wrong_rule_is_a_usage_error_that_names_the_file_and_the_key(
    cli: Cli, tmp_path: Path, text: str, message: str
) -> None:
    (tmp_path / "twice.csv").write_text("PatientID,new PatientID\nA,B\nA,C\n")
    (tmp_path / "bad.csv").write_text("PatientID,new PatientBirthDate\nA,B\n")
    path = rules(tmp_path, text)
    error = cli("add", CT, "--coerce", path, code=2).err
    assert message in error
    assert str(path) in error.replace("\n", "")
    assert len(cli.json("log")["changes"]) == 1


def test_rules_that_are_not_there_are_a_usage_error(cli: Cli, tmp_path: Path) -> None:
    assert "can't be read" in cli("add", CT, "--coerce", tmp_path / "no.toml", code=2).err


def test_files_that_stay_where_they_are_can_t_be_coerced(cli: Cli, tmp_path: Path) -> None:
    path = rules(tmp_path, "[[rule]]\nprefix = 'E-'\n")
    assert "--place copy" in cli("add", CT, "--coerce", path, "--place", "reference", code=2).err


def test_a_program_names_the_rules_as_well(tmp_path: Path) -> None:
    path = rules(tmp_path, "[[rule]]\nprefix = 'E-'\n")
    with FileSet(repository=tmp_path / "kept") as fs:
        report = fs.add_many([CT, MR], coerce=path)
        assert report.coerced == 2
        assert {instance.PatientID for instance in fs} == {"E-1CT1", "E-4MR1"}
        with pytest.raises(ValueError, match="by reference"):
            fs.add_many(CT, reference=True, coerce=path)


@pytest.mark.parametrize("options", [(), ("--json",)], ids=["people", "machines"])
def test_a_dry_run_shows_what_would_be_and_leaves_nothing_behind(
    cli: Cli, tmp_path: Path, options: tuple[str, ...]
) -> None:
    path = rules(tmp_path, '[[rule]]\nmatch = {PatientID = "1CT1"}\nprefix = "X-"\n')
    bad = tmp_path / "bad.dcm"
    bad.write_bytes(bytes(128) + b"DICM")
    before = everything(cli.repository), cli.json("log")
    tried = cli("add", CT, MR, bad, "--coerce", path, "--dry-run", *options, code=1)
    assert (everything(cli.repository), cli.json("log")) == before
    if not options:
        assert "PatientID corrected from '1CT1' to 'X-1CT1' in 1 instance" in tried.out
        assert "Nothing was added: this is what would be." in tried.out
        assert "+ PATIENT: PatientID='X-1CT1'" in tried.out
        return
    done = cli.json("add", CT, MR, bad, "--coerce", path, code=1)
    for key in ("found", "added", "rejected", "coerced", "elements", "staged"):
        assert tried.document[key] == done[key]
    assert (tried.document["change"], tried.document["dry_run"]) == (None, True)


def everything(folder: Path) -> dict[Path, bytes]:
    """Return the files of a repository, but for the caches and indexes that follow from others."""
    return {path: path.read_bytes() for path in sorted(folder.rglob("*.pack"))}


def test_a_dry_run_for_programs_says_what_would_be(tmp_path: Path) -> None:
    path = rules(tmp_path, '[[rule]]\nprefix = "X-"\n')
    with FileSet(repository=tmp_path / "archive") as fs:
        report = fs.add_many([CT], coerce=path, dry_run=True)
        assert (report.coerced, len(fs)) == (1, 0)
        assert report.foreseen is not None
        assert len(report.foreseen.live) == 1
        fs.add_many([CT], coerce=path)
        assert len(fs) == 1
        assert fs.verify() == []
