"""Two persons under one Patient ID: told on entry and by status until it is settled."""

from __future__ import annotations

import re
import shlex
from pathlib import Path
from typing import Any

import pytest
from cli_runs import Cli, run
from persons import ANNA, TWIN, file
from pydicom import dcmread

from fileset import FileSet
from ledger.journal.lines import write_journal


def test_of_many_persons_the_text_tells_some_and_json_tells_all(cli: Cli, tmp_path: Path) -> None:
    names = [f"Roth^{number}" for number in range(8)]
    cli(
        "add", *(file(tmp_path / "in", n, PatientName=name) for n, name in enumerate(names)), code=1
    )
    (told,) = cli.json("status", code=1)["mismatches"]
    assert sorted(told["values"]["PatientName"]) == names
    assert "'Roth^4' and 3 more. `fileset settle PatientID=77`" in cli("status", code=1).out
    settled = cli("settle", "PatientID=77").out
    assert "Settled: 8 persons" in settled
    assert "and 3 more" in settled


def test_the_issuer_of_the_id_tells_persons_apart(cli: Cli, tmp_path: Path) -> None:
    cli("add", file(tmp_path / "in", 1, **ANNA, IssuerOfPatientID="Klinik Süd"))
    cli("add", file(tmp_path / "in", 2, **ANNA, IssuerOfPatientID="Klinik Nord"), code=1)
    (told,) = cli.json("status", code=1)["mismatches"]
    assert told["values"] == {"IssuerOfPatientID": ["Klinik Nord", "Klinik Süd"]} or told[
        "values"
    ] == {"IssuerOfPatientID": ["Klinik Süd", "Klinik Nord"]}


SAME: dict[str, dict[str, Any]] = {
    "no name": {"PatientName": ""},
    "no birth date": {"PatientBirthDate": ""},
    "no sex": {"PatientSex": ""},
    "upper case": {"PatientName": "ROTH^ANNA"},
    "trailing delimiters": {"PatientName": "Roth^Anna^^^"},
    "blanks": {"PatientName": "Roth^ Anna "},
    "another group": {"PatientName": "Roth^Anna=山田^太郎"},
    "a date as of old": {"PatientBirthDate": "1970.01.01"},
    "another character set": {"SpecificCharacterSet": "ISO_IR 100"},
    "none": {"SpecificCharacterSet": None},
}


@pytest.mark.parametrize("other", SAME.values(), ids=SAME)
@pytest.mark.filterwarnings("ignore::UserWarning:pydicom")
def test_the_same_person_in_another_way_is_not_told(
    cli: Cli, tmp_path: Path, other: dict[str, Any]
) -> None:
    cli("add", file(tmp_path / "in", 1, **ANNA))
    cli("add", file(tmp_path / "in", 2, **{**ANNA, **other}))
    cli("status")


def test_what_the_first_one_does_not_say_others_are_compared_in(cli: Cli, tmp_path: Path) -> None:
    cli("add", file(tmp_path / "in", 1, PatientName="Roth^Anna"))
    cli("add", file(tmp_path / "in", 2, **ANNA))
    cli("add", file(tmp_path / "in", 3, **{**ANNA, "PatientBirthDate": "19800101"}), code=1)
    cli("status", code=1)


def test_who_came_first_is_not_told_as_the_other_person(cli: Cli, tmp_path: Path) -> None:
    cli("add", file(tmp_path / "in", 1, **ANNA))
    cli("add", file(tmp_path / "in", 2, **TWIN), code=1)
    cli("add", file(tmp_path / "in", 3, **ANNA), "--on-mismatch", "reject")
    cli("add", file(tmp_path / "in", 4, **TWIN), "--on-mismatch", "reject", code=1)
    assert cli.uids() == {"1.2.3.1", "1.2.3.2", "1.2.3.3"}
    cli("status", code=1)


def test_a_mismatch_is_over_when_one_of_the_persons_is_gone(cli: Cli, tmp_path: Path) -> None:
    cli("add", file(tmp_path / "in", 1, **ANNA))
    cli("add", file(tmp_path / "in", 2, **TWIN), code=1)
    cli("remove", "SOPInstanceUID=1.2.3.1")
    cli("status")
    assert cli("settle", "PatientID=77", code=1).err.startswith("There is nothing to settle")
    cli("undo")
    cli("status", code=1)


def test_what_is_rejected_is_not_taken_and_the_rest_is(cli: Cli, tmp_path: Path) -> None:
    cli("add", file(tmp_path / "in", 1, **ANNA))
    good, bad = file(tmp_path / "in", 2, **ANNA), file(tmp_path / "in", 3, **TWIN)
    told = cli.json("add", bad, good, "--on-mismatch", "reject", code=1)
    assert [result["outcome"] for result in told["results"]] == ["rejected", "added"]
    assert "Roth^Berta" in told["results"][0]["reason"]
    assert cli.uids() == {"1.2.3.1", "1.2.3.2"}
    assert str(bad) in cli("log", "--events").out
    cli("status")


def test_the_journal_has_no_values_of_a_person_who_was_rejected(cli: Cli, tmp_path: Path) -> None:
    cli("add", file(tmp_path / "in", 1, **ANNA))
    other = {**ANNA, "PatientBirthDate": "19661231"}
    cli("add", file(tmp_path / "in", 2, **other), "--on-mismatch", "reject", code=1)
    assert "PatientBirthDate" in cli("log", "--events").out
    exported = tmp_path / "journal.jsonl"
    cli("export-journal", exported)
    assert "19661231" not in exported.read_text("utf-8")


def test_what_is_compared_does_not_get_into_the_dicomdir(cli: Cli, tmp_path: Path) -> None:
    cli("add", file(tmp_path / "in", 1, **ANNA, IssuerOfPatientID="CLINIC"))
    cli("write", tmp_path / "medium")
    (patient, *_) = dcmread(tmp_path / "medium" / "DICOMDIR").DirectoryRecordSequence
    assert patient.DirectoryRecordType == "PATIENT"
    assert not {"PatientBirthDate", "PatientSex", "IssuerOfPatientID"} & set(patient.dir())
    cli("add", file(tmp_path / "in", 2, **ANNA))
    assert cli.status() == "DICOMDIR update, 1 addition"


def test_only_another_birth_date_stages_no_record(cli: Cli, tmp_path: Path) -> None:
    cli("add", file(tmp_path / "in", 1, **ANNA))
    cli("add", file(tmp_path / "in", 2, **{**ANNA, "PatientBirthDate": "19800101"}), code=1)
    cli("write", tmp_path / "medium")
    cli("remove", "SOPInstanceUID=1.2.3.1")
    cli("write")
    assert cli.status() == ""


def test_an_erased_person_is_forgotten_and_a_settlement_stays(cli: Cli, tmp_path: Path) -> None:
    born = {**TWIN, "PatientBirthDate": "19811231"}
    cli("add", file(tmp_path / "in", 1, **ANNA))
    cli("add", file(tmp_path / "in", 2, **born), code=1)
    cli("settle", "PatientID=77")
    cli("erase", "SOPInstanceUID=1.2.3.2", "--reason", "asked", "--take-off")
    with FileSet.open(cli.repository) as fs:
        kept: list[bytes] = []
        write_journal(fs.repository.journal, lambda data: kept.append(bytes(data)))
    assert b"19811231" not in b"".join(kept)
    cli("status")
    cli("verify")
    cli("add", tmp_path / "in" / "I2", code=1)  # nothing of it was kept
    cli("undo", "2")
    cli("log", "--events")


def test_an_index_tells_of_it(tmp_path: Path) -> None:
    file(tmp_path / "disc", 1, **ANNA)
    file(tmp_path / "disc", 2, **TWIN)
    told = run("index", tmp_path / "disc", "--json", code=1).document
    assert (told["added"], told["mismatched"]) == (2, 1)
    (tmp_path / "disc" / "DICOMDIR").unlink()
    told = run("index", tmp_path / "disc", "--on-mismatch", "reject", "--json", code=1).document
    assert (told["added"], told["rejected"]) == (1, 1)


@pytest.mark.parametrize(("how", "instances"), [("accept", 2), ("reject", 1)])
def test_a_watcher_tells_of_it_or_puts_it_into_the_quarantine(
    cli: Cli, tmp_path: Path, how: str, instances: int
) -> None:
    file(tmp_path / "in", 1, **ANNA)
    file(tmp_path / "in", 2, **TWIN)
    watching = ("watch", tmp_path / "in", "--once", "--settle", "0", "--on-mismatch", how)
    result = cli(*watching, code=1)
    assert "may be of another person" in result.err
    assert len(cli.uids()) == instances
    kept = cli.json("quarantine", "list")["quarantined"]
    assert [entry["outcome"] for entry in kept] == ["mismatched"] * (2 - instances)
    cli("status", code=int(how == "accept"))


def test_a_program_that_adds_one_by_one_is_warned(tmp_path: Path) -> None:
    fs = FileSet()
    fs.add(file(tmp_path / "in", 1, **ANNA))
    fs.add(file(tmp_path / "in", 2, **ANNA, StudyDescription="Another"))  # no other person
    with pytest.warns(UserWarning, match="another person.*'Roth\\^Berta'"):
        fs.add(file(tmp_path / "in", 3, **TWIN))
    assert [found.patient_id for found in fs.mismatches] == ["77"]
    assert fs.settle("77", reason="twins") is not None
    assert fs.mismatches == []
    assert fs.settle("77") is None
    fs.add(file(tmp_path / "in", 4, **TWIN))


def disc(tmp_path: Path, listed: list[dict[str, Any]], files: list[dict[str, Any]]) -> Path:
    """Return a disc with these `files`, whose DICOMDIR was made of them as `listed`."""
    for number, values in enumerate(listed, 1):
        file(tmp_path / "disc", number, **values)
    run("index", tmp_path / "disc", code=int(len({str(values) for values in listed}) > 1))
    for number, values in enumerate(files, 1):
        file(tmp_path / "disc", number, **values)
    return tmp_path / "disc"


BORN_LATER = {**ANNA, "PatientBirthDate": "19800101"}
ON_DISCS: dict[str, tuple[list[dict[str, Any]], list[dict[str, Any]], set[str]]] = {
    "the second is another one": ([ANNA, TWIN], [ANNA, TWIN], {"PatientName"}),
    "the first is another one": ([ANNA, ANNA], [TWIN, ANNA], {"PatientName"}),
    "the last is another one": ([ANNA] * 3, [ANNA, ANNA, TWIN], {"PatientName"}),
    "all are another one": ([ANNA, ANNA], [TWIN, TWIN], set()),
    "another birth date": ([ANNA, ANNA], [ANNA, BORN_LATER], {"PatientBirthDate"}),
    "no name": ([ANNA, ANNA], [ANNA, {**ANNA, "PatientName": ""}], set()),
    "another spelling": ([ANNA, ANNA], [ANNA, {**ANNA, "PatientName": "ROTH^ANNA^"}], set()),
    "another Patient ID": ([ANNA, ANNA], [ANNA, {**TWIN, "PatientID": "78"}], set()),
    "not ASCII": (
        [ANNA, ANNA],
        [{**ANNA, "PatientName": "Röth^Anna"}, {**ANNA, "PatientName": "Röth^Änne"}],
        {"PatientName"},
    ),
}


@pytest.mark.parametrize("repair", [False, True])
@pytest.mark.parametrize(("listed", "files", "told"), ON_DISCS.values(), ids=ON_DISCS)
def test_two_persons_on_a_disc_that_is_adopted_are_told_as_on_adding(
    tmp_path: Path,
    listed: list[dict[str, Any]],
    files: list[dict[str, Any]],
    told: set[str],
    *,
    repair: bool,
) -> None:
    root, repository = disc(tmp_path, listed, files), tmp_path / "repository"
    moved = any("PatientID" in values for values in files)
    code = int(bool(told) or (moved and not repair))
    adopted = run("init", repository, "--from", root, *["--repair"] * repair, "--json", code=code)
    assert [set(found["values"]) for found in adopted.document["mismatches"]] == [told] * bool(told)
    warned = [w for w in adopted.document["warnings"] if "another person may have its" in w]
    assert len(warned) == bool(told)
    assert all(keyword in text for text in warned for keyword in told)

    cli = Cli(repository)
    if moved:  # its study is there twice
        return
    status = cli.json("status", code=int(bool(told)))
    assert status["mismatches"] == adopted.document["mismatches"]
    assert status["staged"]["summary"] == ""
    cli("rebuild")
    if told:
        assert cli("log", "--kind", "note").out
        cli("settle", "PatientID=77")
        cli("status")
        cli("undo")
        cli("status", code=1)
        cli("remove", "SOPInstanceUID=1.2.3.1")
        cli("remove", f"SOPInstanceUID=1.2.3.{len(files)}")
        cli("status")
    cli("verify")


def test_the_name_of_the_person_whose_file_brought_the_record_can_be_erased(tmp_path: Path) -> None:
    root = disc(tmp_path, [ANNA, ANNA], [TWIN, ANNA])
    run("init", tmp_path / "repository", "--from", root, code=1)
    cli = Cli(tmp_path / "repository")
    assert "Berta" in cli("show", "1").out + cli("status", code=1).out
    cli("tag", "before-Berta")
    told = cli("erase", "SOPInstanceUID=1.2.3.1", "--reason", "asked", "--take-off").err
    assert "before-Berta" in told, "of a name that stays it is told where"
    with FileSet.open(tmp_path / "repository") as fs:
        kept: list[bytes] = []
        write_journal(fs.repository.journal, lambda data: kept.append(bytes(data)))
    assert [b"before-Berta" in line for line in kept if b"Berta" in line] == [True]
    cli("status")


def test_a_program_that_adopts_a_disc_is_warned(tmp_path: Path) -> None:
    root = disc(tmp_path, [ANNA, TWIN], [ANNA, TWIN])
    with pytest.warns(UserWarning, match="I2: another person.*'Roth\\^Berta' and not"):
        fs = FileSet(root / "DICOMDIR", repository=tmp_path / "repository")
    assert [found.patient_id for found in fs.mismatches] == ["77"]
    fs.close()


def test_a_disc_of_many_persons_is_told_in_a_few_lines(tmp_path: Path) -> None:
    persons = [{**ANNA, "PatientName": f"Roth^{number}"} for number in range(9)]
    root = disc(tmp_path, persons, persons)
    told = run("init", tmp_path / "repository", "--from", root, code=1)
    assert told.err.count("another person may have") == 6
    assert "3 more files" in told.err


def test_what_an_index_advises_can_be_done(tmp_path: Path) -> None:
    file(tmp_path / "disc", 1, **ANNA)
    file(tmp_path / "disc", 2, **TWIN)
    told = run("index", tmp_path / "disc", code=1).out
    assert "settle PatientID" not in told
    assert "--on-mismatch reject leaves them out" in told
    run("index", tmp_path / "disc", "--replace", "--on-mismatch", "reject", code=1)
    kept = tmp_path / "kept here"
    told = run("index", tmp_path / "disc", "--replace", "--keep", kept, code=1).out
    (command,) = re.findall("`fileset (--repo [^`]* settle PatientID=)...`", told)
    run(*shlex.split(f"{command}77"))
    run("--repo", kept, "status")
