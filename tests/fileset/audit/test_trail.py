"""The audit messages of a repository: what real operations are told as."""

from __future__ import annotations

import tempfile
import warnings
from itertools import groupby
from operator import attrgetter
from pathlib import Path
from typing import Any

import pytest
from audit_schema import faults_of
from erasing import ID, NAME, erase, files_in, repository_of
from hypothesis import given, settings
from hypothesis import strategies as st
from lxml import etree
from pydicom import examples
from pydicom.data import get_testdata_file

from fileset import FileSet
from fileset.audit.trail import audit_messages
from fileset.media.choice import Choice
from fileset.media.make import Maker
from fileset.repository.repository import Repository

IMPORT, EXPORT, ACCESSED, DELETED = "110107", "110106", "110103", "110105"
ZIPPED = get_testdata_file("dicomdirtests/DICOMDIR")


def told(path: Path, after: int = 0) -> list[Any]:
    """Return the messages of a repository as XML; each is valid."""
    repository = Repository.open(path)
    found = [m.xml for _, messages in audit_messages(repository, after) for m in messages]
    repository.close()
    assert all(faults_of(xml) == [] for xml in found)
    return [etree.fromstring(xml) for xml in found]


def events(messages: list[Any]) -> list[str]:
    return [message.find("EventIdentification/EventID").get("csd-code") for message in messages]


def ids(message: Any, of: str) -> list[str]:
    """Return the IDs of the patients (1) or the studies (2) that a message tells of."""
    objects = message.iterfind("ParticipantObjectIdentification")
    return [
        o.get("ParticipantObjectID") for o in objects if o.get("ParticipantObjectTypeCode") == of
    ]


def counts(message: Any) -> int:
    return sum(int(each.get("NumberOfInstances")) for each in message.iter("SOPClass"))


def medium(message: Any) -> str:
    (found,) = (
        p for p in message.iterfind("ActiveParticipant") if p.find("MediaIdentifier") is not None
    )
    return str(found.get("UserID"))


def description(message: Any) -> str:
    return str(message.findtext("EventIdentification/EventOutcomeDescription"))


def test_an_add_is_an_import_from_the_folder_that_the_files_were_in(
    fs: FileSet, tmp_path: Path
) -> None:
    with FileSet(repository=tmp_path / "r") as made:
        made.add_many([examples.get_path("ct"), examples.get_path("mr")], reason="from the ward")
    (message,) = told(tmp_path / "r")
    assert events([message]) == [IMPORT]
    assert ids(message, "1") == ["1CT1", "4MR1"]
    assert len(ids(message, "2")) == 2
    assert counts(message) == 2
    assert medium(message) == f"file://{Path(examples.get_path('ct')).parent}"
    assert "Reason: from the ward" in description(message)


def test_an_adopted_file_set_is_an_import_from_its_root(tmp_path: Path) -> None:
    with FileSet(ZIPPED, repository=tmp_path / "r") as fs:
        count = len(fs)
    (message,) = told(tmp_path / "r")
    assert events([message]) == [IMPORT]
    assert medium(message) == f"file://{Path(ZIPPED).parent}"
    assert ids(message, "1") == ["77654033", "98890234"]
    assert counts(message) == count


def test_a_data_set_is_an_import_from_the_program(tmp_path: Path) -> None:
    with FileSet(repository=tmp_path / "r") as fs:
        instance = examples.ct
        instance.filename = None
        fs.add(instance)
        origin = fs.repository.origin
    assert medium(told(tmp_path / "r")[0]) == f"data sets passed by {origin}"


def test_a_write_and_a_copy_are_exports_of_what_went_there(tmp_path: Path) -> None:
    with FileSet(repository=tmp_path / "r") as fs:
        fs.add(examples.get_path("ct"))
        fs.write(tmp_path / "medium")
        fs.add(examples.get_path("mr"))
        fs.write()
        fs.ID = "OTHER"
        fs.write()  # nothing but the DICOMDIR
        fs.copy(tmp_path / "copy")
    messages = told(tmp_path / "r")
    assert events(messages) == [IMPORT, EXPORT, IMPORT, EXPORT, EXPORT]
    assert [ids(message, "1") for message in messages[1:]] == [
        ["1CT1"], ["4MR1"], ["4MR1"], ["1CT1", "4MR1"]
    ]  # fmt: skip
    assert [medium(message) for message in (messages[1], messages[3], messages[4])] == [
        f"file://{tmp_path}/medium", f"file://{tmp_path}/medium", f"file://{tmp_path}/copy"
    ]  # fmt: skip


def test_a_medium_that_is_handed_out_is_an_export_to_its_recipient(tmp_path: Path) -> None:
    with FileSet(repository=tmp_path / "r") as fs:
        fs.add_many([examples.get_path("ct"), examples.get_path("mr")])
        begun = fs.repository.journal.position
        (one,) = fs.find(PatientID="1CT1")
        handle = fs.state.live[one.SOPInstanceUID].handle
        of_one = Choice("iso", [handle], recipient="Dr. Who")
        for name, choice in (("disc.iso", of_one), ("all.zip", Choice("zip"))):
            Maker(fs.repository).make(tmp_path / name, fs.state, choice)
    disc, archive = told(tmp_path / "r", begun)
    assert events([disc, archive]) == [EXPORT, EXPORT]
    assert ids(disc, "1") == ["1CT1"]
    assert ids(archive, "1") == ["1CT1", "4MR1"]
    assert [p.get("UserID") for p in disc.iterfind("ActiveParticipant")][2] == "Dr. Who"
    kinds = [each.find(".//MediaType").get("originalText") for each in (disc, archive)]
    assert kinds == ["CD", "URI"]
    assert medium(disc).startswith("ISO image")


def test_a_correction_is_an_update_of_each_patient_whose_data_it_was_or_is(tmp_path: Path) -> None:
    with FileSet(repository=tmp_path / "r") as fs:
        fs.add(examples.get_path("ct"))
        right = {"PatientID": "RIGHT", "PatientName": "Right^Person"}
        fs.correct(fs.find(PatientID="1CT1"), right, reason="mixed up")
    _, *messages = told(tmp_path / "r")
    assert events(messages) == [ACCESSED, ACCESSED]
    assert [m.find("EventIdentification").get("EventActionCode") for m in messages] == ["U", "U"]
    assert [ids(message, "1") for message in messages] == [["RIGHT"], ["1CT1"]]
    assert "Corrected: PatientName, PatientID." in description(messages[0])


@settings(max_examples=10)
@given(
    st.lists(
        st.sampled_from(["merge", "move", "correct", "write", "copy", "erase", "add"]), max_size=6
    )
)
def test_whatever_was_done_every_message_has_a_name_of_its_own(steps: list[str]) -> None:
    with (
        tempfile.TemporaryDirectory() as folder,
        FileSet(repository=Path(folder) / "r") as fs,
        warnings.catch_warnings(),
    ):
        warnings.simplefilter("ignore")
        fs.add_many(map(examples.get_path, ("ct", "mr", "overlay")))
        for number, step in enumerate(steps):
            patients = fs.find_values("PatientID")
            match step:
                case "merge" if len(patients) > 1:
                    fs.merge(patients[0], into=patients[1])
                case "move" if patients:
                    fs.move(fs.find()[:3], patients[-1])
                case "correct" if patients:
                    fs.correct(fs.find(), {"PatientName": f"N{number}"})
                case "write":
                    fs.write(Path(folder) / "medium" if fs.path is None else None)
                case "copy":
                    fs.copy(Path(folder) / f"copy{number}")
                case "erase" if patients and not fs.is_staged:
                    fs.erase(PatientID=patients[0], reason="asked for", take_off=True)
                case "add":
                    fs.add(examples.get_path("jpeg2k"))
        found = [m for _, messages in audit_messages(fs.repository) for m in messages]
    assert [m.name for m in found] == sorted({m.name for m in found})
    assert len({m.xml for m in found}) == len(found)
    for _, group in groupby(found, key=attrgetter("change")):
        parts = [(m.part, m.parts) for m in group]
        assert parts == [(number, len(parts)) for number in range(1, len(parts) + 1)]


def test_what_neither_comes_nor_goes_is_not_told(tmp_path: Path) -> None:
    with FileSet(repository=tmp_path / "r") as fs:
        fs.add(examples.get_path("ct"))
        begun = fs.repository.journal.position
        fs.remove(fs.find())
        fs.undo()
        fs.redo()
        fs.ID = "OTHER"
        fs.tag("here")
    assert told(tmp_path / "r", begun) == []


def test_an_erasure_is_told_and_nothing_of_whom_it_was_also_not_by_earlier_messages(
    tmp_path: Path,
) -> None:
    path = repository_of(files_in(tmp_path))
    before = told(path)
    assert any(ID in ids(message, "1") for message in before)
    erase(path)
    after = told(path)
    assert events(after[: len(before)]) == events(before)
    assert all(m.find("ParticipantObjectIdentification") is not None for m in after)
    text = b"".join(etree.tostring(message) for message in after)
    assert ID.encode() not in text
    assert NAME.encode() not in text
    imported = next(m for m in after if events([m]) == [IMPORT])
    assert ids(imported, "1") == ["STAYS"]
    assert "6 instances, 3 of them erased since." in description(imported)
    assert events(after[len(before) :]) == [DELETED]
    assert ids(after[-1], "1") == ids(after[-1], "2") == ["erased"]
    assert counts(after[-1]) == 3
    assert description(after[-1]).startswith(
        "3 instances. Erased: the events at positions 2 to 5, 9."
    )


@pytest.mark.parametrize("after", range(9))
def test_messages_after_a_position_are_those_of_changes_that_begin_after_it(
    tmp_path: Path, after: int
) -> None:
    with FileSet(repository=tmp_path / "r") as fs, warnings.catch_warnings():
        fs.add_many([examples.get_path("ct"), examples.get_path("mr")])
        fs.write(tmp_path / "medium")
        fs.add(examples.get_path("overlay"))
        repository = fs.repository
        everything = list(audit_messages(repository))
        wanted = [pair for pair in everything if pair[0].first > after]
        assert list(audit_messages(repository, after)) == wanted
