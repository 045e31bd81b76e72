"""Media that were handed out with what is erased: whom to ask for them, told for the last time."""

from __future__ import annotations

from pathlib import Path

import pytest
from cli_runs import CT, MR, changed

from fileset import FileSet
from fileset.erasure.handed_out import OtherFiles
from fileset.erasure.plan import Erasure
from fileset.errors import RefusedError
from fileset.media.choice import Choice
from fileset.media.extras import Extras
from fileset.media.make import Maker

ALL = Extras(pages=True, viewer=True)


def erase(path: Path, *, dry_run: bool = False) -> Erasure:
    with FileSet.open(path) as fs:
        return fs.erase(PatientID="1CT1", reason="asked for", take_off=True, dry_run=dry_run)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """A repository of which four media were made, the second without what is to be erased."""
    with FileSet(repository=tmp_path / "archive") as fs:
        fs.add_many([CT, MR])
        own, other = fs.find(PatientID="1CT1"), fs.find(PatientID="4MR1")
        fs.media.make(tmp_path / "own.iso", own, recipient="Dr. Weiss")
        fs.media.make(tmp_path / "other.iso", other, recipient="Dr. Schwarz")
        fs.media.make(tmp_path / "both.iso", recipient="Dr. Gruen")
        fs.media.make(tmp_path / "names.iso", other, label="like 1CT1", recipient="Dr. Rot")
    return tmp_path / "archive"


def test_the_recipients_are_told_before_and_with_the_erasure_and_are_in_no_file_after_it(
    path: Path,
) -> None:
    foreseen, done = erase(path, dry_run=True), erase(path)
    assert foreseen.handed_out == done.handed_out
    assert [(m.number, m.recipient, m.instances, m.is_forgotten) for m in done.handed_out] == [
        (1, "Dr. Weiss", 1, True),
        (3, "Dr. Gruen", 1, False),
        (4, "Dr. Rot", 0, True),
    ]
    data = b"".join(each.read_bytes() for each in path.rglob("*") if each.is_file())
    assert [name in data for name in (b"Weiss", b"Rot", b"Schwarz", b"Gruen")] == [
        False, False, True, True
    ]  # fmt: skip
    assert erase(path).handed_out == ()


def test_it_is_told_truly_which_media_can_be_made_again(path: Path, tmp_path: Path) -> None:
    told = {medium.number: medium.can_be_remade for medium in erase(path).handed_out}
    with FileSet.open(path) as fs:
        for number in range(1, 5):
            try:
                fs.media.remake(number, tmp_path / f"again{number}.iso")
            except RefusedError:
                assert not told[number]  # and not a medium that was not told
            else:
                assert told.get(number, True)


def test_each_medium_knows_how_many_of_its_instances_were_erased(path: Path) -> None:
    erase(path)
    with FileSet.open(path) as fs:
        assert [medium.erased for medium in fs.media.list()] == [1, 0, 1, 0]


def test_pages_and_the_viewer_of_a_medium_are_told_apart_from_instances_that_go(
    tmp_path: Path,
) -> None:
    path = tmp_path / "archive"
    with FileSet(repository=path) as fs:
        fs.add_many([CT, MR])
        fs.media.make(tmp_path / "disc.iso", fs.find(PatientID="1CT1"), extras=ALL)
        fs.media.make(tmp_path / "both.iso", extras=ALL)
    foreseen, done = erase(path, dry_run=True), erase(path)
    assert foreseen.other_files == done.other_files
    assert done.other_files.media == (1, 2)
    assert done.excess.entries == done.other_files.files + 1  # and the instance
    assert done.other_files.bytes < done.excess.bytes
    assert not any(medium.can_be_remade for medium in done.handed_out)


def test_what_another_medium_needs_stays_and_does_not_count(tmp_path: Path) -> None:
    path = tmp_path / "archive"
    with FileSet(repository=path) as fs:
        fs.add_many([CT, MR])
        fs.media.make(tmp_path / "disc.iso", fs.find(PatientID="1CT1"), extras=ALL)
        fs.media.make(tmp_path / "other.iso", fs.find(PatientID="4MR1"), extras=ALL)
    done = erase(path)
    assert 0 < done.other_files.files == done.excess.entries - 1
    assert done.other_files.media == (1,)
    with FileSet.open(path) as fs:
        fs.media.remake(2, tmp_path / "again.iso")
        assert fs.verify() == []
    assert (tmp_path / "again.iso").read_bytes() == (tmp_path / "other.iso").read_bytes()


def test_names_of_fields_are_nobody_s_name(tmp_path: Path) -> None:
    path = tmp_path / "archive"
    with FileSet(repository=path) as fs:
        fs.add_many([CT, changed(MR, tmp_path / "first.dcm", PatientID="FIRST")])
        fs.media.make(tmp_path / "ct.iso", fs.find(PatientID="1CT1"), extras=Extras(viewer=True))
        erasure = fs.erase(PatientID="FIRST", reason="asked for", take_off=True, dry_run=True)
    # Of the instance, not the range of frames (`made_from`: `first`) that a script has.
    assert [mention.text for mention in erasure.mentions] == []


def test_without_media_nothing_is_said_of_them(tmp_path: Path) -> None:
    with FileSet(repository=tmp_path / "archive") as fs:
        fs.add(CT)
    done = erase(tmp_path / "archive")
    assert (done.handed_out, done.other_files) == ((), OtherFiles())


@pytest.mark.parametrize(
    ("asked", "stays"),
    [
        ("PatientName=comp?essed*^ct?\\Roe*", False),  # not as it is written, and beside another's
        ("PatientName=COMPRESSEDSAMPLES^CT1\\Roe*", False),
        ("PatientID=1C*\\4M*", False),
        ("PatientID=1C*\\?CT1", False),
        ("PatientID=?[!4]*\\4M*", True),  # which has no ranges of letters
        ("PatientID=*", True),
        ("PatientID=?*1", True),  # as that of the one who stays
        ("Modality=C*\\M*", True),
        ("StudyDate=2004-01-01..\\2003", True),
    ],
)
def test_a_pattern_that_only_the_person_matches_goes_with_the_person(
    tmp_path: Path, asked: str, stays: bool
) -> None:
    keyword, _, text = asked.partition("=")
    with FileSet(repository=tmp_path / "archive") as fs:
        fs.add_many([CT, MR])
        choice = Choice("zip", None, ((keyword, text),), "Dr. Gruen")
        Maker(fs.repository).make(tmp_path / "disc.zip", fs.state, choice)
    erase(tmp_path / "archive")
    with FileSet.open(tmp_path / "archive") as fs:
        (medium,) = fs.media.list()
        assert (medium.recipient, medium.addressed is not None) == (
            "Dr. Gruen" if stays else None,
            stays,
        )
    journal = (tmp_path / "archive" / "journal.sqlite").read_bytes()
    assert (text.replace("\\", "\\\\").encode() in journal) == stays
