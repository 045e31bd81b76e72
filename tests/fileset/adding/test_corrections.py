"""What instances say of their patient, study and series: whose values stand, and what is told."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from cli_runs import Cli, run
from pydicom import dcmread, examples
from pydicom.fileset import FileSet as PydicomFileSet

from fileset import FileSet
from fileset.erasure.erase import Eraser
from fileset.repository.contents import Contents
from ledger.journal.lines import write_journal

CT = examples.get_path("ct")
Step = Callable[[FileSet, Path], object]


class Given:
    """Files of one patient, made of an example."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def file(self, number: int, **values: Any) -> Path:
        """Return the file of instance `number`, with these values."""
        ds = dcmread(CT)
        ds.PatientID, ds.PatientName, ds.StudyDescription = "77", "Wrong^Anna", "Thorax"
        ds.SOPInstanceUID = ds.file_meta.MediaStorageSOPInstanceUID = f"1.2.3.{number}"
        for keyword, value in values.items():
            setattr(ds, keyword, value)
        self.folder.mkdir(exist_ok=True)
        path = self.folder / f"{len(list(self.folder.iterdir()))}-{number}.dcm"
        ds.save_as(path, enforce_file_format=True)
        return path

    def misspelt(self, number: int) -> Path:
        return self.file(number, PatientName="Wrnog^Anna", StudyDescription="Thorxa")


@pytest.fixture
def given(tmp_path: Path) -> Given:
    return Given(tmp_path / "in")


def on_medium(medium: Path) -> tuple[str, str]:
    """Return the patient's name and the study's description, as pydicom reads them."""
    (instance, *_) = PydicomFileSet(medium / "DICOMDIR")
    return str(instance.PatientName), instance.StudyDescription


def as_text(fs: FileSet) -> bytes:
    kept: list[bytes] = []
    write_journal(fs.repository.journal, lambda data: kept.append(bytes(data)))
    return b"".join(kept)


STEPS: dict[str, Step] = {
    "nothing": lambda fs, medium: None,
    "a write": lambda fs, medium: fs.write(),
    "an undo and a redo": lambda fs, medium: (fs.undo(), fs.redo()),
    "another process": lambda fs, medium: fs.repository.refresh(),
}


@pytest.mark.parametrize("layout", ["pydicom", "existing"])
@pytest.mark.parametrize("step", STEPS.values(), ids=STEPS)
def test_a_correction_reaches_the_medium_whatever_came_in_between(
    given: Given, fs: FileSet, tmp_path: Path, step: Step, layout: str
) -> None:
    fs.add_many([given.misspelt(1), given.misspelt(2)])
    fs.write(tmp_path / "medium")
    fs.remove(list(fs))
    step(fs, tmp_path / "medium")
    report = fs.add_many([given.file(1), given.file(2)])
    fs.write(layout=layout)

    assert on_medium(tmp_path / "medium") == ("Wrong^Anna", "Thorax")
    assert [result.note for result in report] == [None, None]
    assert not fs.pending.records
    assert not list(fs.verify())


def test_the_values_of_the_earliest_instance_stand_as_long_as_it_is_part(
    given: Given, fs: FileSet, tmp_path: Path
) -> None:
    fs.add_many([given.misspelt(1), given.file(2)])
    fs.write(tmp_path / "medium")
    assert on_medium(tmp_path / "medium") == ("Wrnog^Anna", "Thorxa")

    fs.remove(fs.find(SOPInstanceUID="1.2.3.1"))
    assert fs.find_values("PatientName") == ["Wrong^Anna"]
    fs.undo()
    assert fs.find_values("PatientName") == ["Wrnog^Anna"]
    fs.redo()
    fs.write()
    assert on_medium(tmp_path / "medium") == ("Wrong^Anna", "Thorax")
    fs.undo()
    fs.write()
    assert on_medium(tmp_path / "medium") == ("Wrnog^Anna", "Thorxa")
    assert fs.at(2).find_values("PatientName") == ["Wrnog^Anna"]


def test_a_record_alone_that_has_changed_is_staged_and_written(
    given: Given, fs: FileSet, tmp_path: Path
) -> None:
    fs.add_many([given.misspelt(1), given.file(2)])
    fs.write(tmp_path / "medium")
    (first,) = fs.find(SOPInstanceUID="1.2.3.1")
    fs.remove(first)
    fs.add_many([given.misspelt(1)])  # it is taken back, as the later one of the two
    assert fs.find_values("PatientName") == ["Wrong^Anna"]
    assert fs.pending.summary == "DICOMDIR update"
    assert [node.record_type for node in fs.pending.records] == ["PATIENT", "STUDY"]
    fs.write()
    assert on_medium(tmp_path / "medium") == ("Wrong^Anna", "Thorax")
    assert not fs.is_staged


def test_what_stands_is_the_same_in_a_kept_state_and_in_a_journal_read_anew(
    given: Given, fs: FileSet, tmp_path: Path
) -> None:
    fs.add_many([given.misspelt(1), given.file(2)])
    fs.write(tmp_path / "medium")
    fs.remove(fs.find(SOPInstanceUID="1.2.3.1"))
    fs.close()
    with FileSet.open(tmp_path / "repository") as again:
        assert again.find_values("PatientName") == ["Wrong^Anna"]
        again.repository.forget_caches()
    with FileSet.open(tmp_path / "repository") as anew:
        assert anew.find_values("PatientName") == ["Wrong^Anna"]
        anew.write()
    assert on_medium(tmp_path / "medium") == ("Wrong^Anna", "Thorax")


def test_other_values_of_a_study_or_series_are_told_with_the_file_and_recorded(
    given: Given, fs: FileSet
) -> None:
    fs.add(given.file(1))
    report = fs.add_many(
        [
            given.file(2, StudyDescription="Abdomen", SeriesNumber=7),
            given.file(3, PatientName="Anna^Other"),
        ]
    )
    study, patient = (result.note or "" for result in report)
    assert "StudyDescription is 'Abdomen' and not 'Thorax'" in study
    assert "SeriesNumber is '7' and not '1'" in study
    assert "PatientName is 'Anna^Other' and not 'Wrong^Anna'" in patient
    noted = [event for event in fs.history[-1].events if event.TYPE == "mismatch-noted"]
    assert [event.keywords for event in noted] == [  # type: ignore[attr-defined]  # of that class
        ("StudyDescription",), ("SeriesNumber",), ("PatientName",),
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("keyword", "value"),
    [
        ("PatientName", "WRONG^ANNA^^^"),
        ("PatientName", "wrong^anna"),
        ("PatientName", "Wrong^Anna=山田^太郎"),
        ("StudyDescription", " Thorax "),
        ("StudyDescription", ""),
        ("StudyTime", "072730.000"),
        ("SeriesNumber", "+1"),
    ],
)
def test_what_says_the_same_in_another_way_is_not_told(
    given: Given, fs: FileSet, keyword: str, value: str
) -> None:
    fs.add(given.file(1))
    other = given.file(2, SpecificCharacterSet="ISO_IR 192", **{keyword: value})
    (result,) = fs.add_many([other])
    assert result.note is None


def test_decomposed_letters_are_the_same_letters(given: Given, fs: FileSet) -> None:
    names = ("Mu\u0308ller^Jo\u0308rg", "M\u00fcller^J\u00f6rg")
    for number, name in enumerate(names):
        file = given.file(number, PatientName=name, SpecificCharacterSet="ISO_IR 192")
        (result,) = fs.add_many([file])
        assert result.note is None


def test_an_erased_person_s_values_are_not_held_for_those_who_said_otherwise(
    given: Given, fs: FileSet
) -> None:
    fs.add_many([given.misspelt(1), given.file(2), given.misspelt(3)])
    eraser = Eraser(fs.repository, Contents(fs.repository))
    eraser.erase({"SOPInstanceUID": "1.2.3.1"}, reason="asked for", take_off=True)
    assert b"Wrnog" in as_text(fs)  # another instance says so
    eraser.erase({"SOPInstanceUID": "1.2.3.3"}, reason="asked for", take_off=True)
    assert b"Wrnog" not in as_text(fs)
    assert fs.find_values("PatientName") == ["Wrong^Anna"]
    fs.repository.forget_caches()
    path = fs.repository.path
    fs.close()
    with FileSet.open(path or "") as again:
        assert again.find_values("PatientName") == ["Wrong^Anna"]


def test_the_command_tells_of_the_file_and_diff_and_log_of_the_values(
    given: Given, tmp_path: Path
) -> None:
    run("init", tmp_path / "repository")
    cli = Cli(tmp_path / "repository")
    cli("add", given.misspelt(1))
    other = given.file(2)
    added = cli("add", other, code=1)
    assert f"{other}: " in added.err
    assert "StudyDescription is 'Thorax' and not 'Thorxa'" in added.err
    assert "has another StudyDescription" in cli("log", "--events").out
    cli("remove", "SOPInstanceUID=1.2.3.1")
    assert "Wrnog^Anna" in cli("diff", 2).out
