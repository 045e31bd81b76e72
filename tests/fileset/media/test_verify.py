"""Media that are read back: which one it is, and every file that is not as it was made."""

from __future__ import annotations

import email
import os
import shutil
from pathlib import Path
from threading import Thread

import pytest
from cli_runs import CT, MR

from fileset import FileSet
from fileset.errors import RefusedError
from fileset.media.verify import Verified
from fileset.repository.repository import Repository
from ledger.events import Event, MediumProduced, MediumVerified

CT_ID = "PT000000/ST000000/SE000000/IM000000"
MR_ID = "PT000001/ST000000/SE000000/IM000000"


@pytest.fixture
def filled(fs: FileSet) -> FileSet:
    """Two patients."""
    fs.add_many([CT, MR])
    return fs


def damage(path: Path, at: int = -20) -> None:
    """Change a byte."""
    data = bytearray(path.read_bytes())
    data[at] ^= 1
    path.write_bytes(data)


def problems(fs: FileSet, where: Path) -> list[tuple[str, str]]:
    return [(each.path, each.what) for each in fs.media.verify(where).problems]


def test_an_image_is_told_by_its_bytes_and_that_is_recorded(
    filled: FileSet, tmp_path: Path
) -> None:
    filled.media.make(tmp_path / "all.iso")
    filled.media.make(tmp_path / "ct.iso", filled.find(PatientID="1CT1"))
    found = filled.media.verify(tmp_path / "ct.iso", reason="before it is sent")
    assert found.medium is not None
    assert (found.medium.number, found.same_image, found.is_sound) == (2, True, True)
    _, second = filled.media.list()
    ((change, event),) = second.verified
    assert event == MediumVerified(second.position, str(tmp_path / "ct.iso"))
    assert change.reason == "before it is sent"


def test_what_follows_an_image_on_a_device_does_not_matter(filled: FileSet, tmp_path: Path) -> None:
    filled.media.make(tmp_path / "ct.iso", filled.find(PatientID="1CT1"))
    filled.media.make(tmp_path / "all.iso")
    with (tmp_path / "all.iso").open("ab") as file:
        file.write(os.urandom(5000))
    found = filled.media.verify(tmp_path / "all.iso")
    assert found.medium is not None
    assert (found.medium.number, found.same_image) == (2, True)


# --- several that it may be ----------------------------------------------------------------------


def numbers(found: Verified) -> tuple[int | None, list[int]]:
    return found.medium.number if found.medium else None, [each.number for each in found.also]


def test_the_newest_of_media_with_the_same_bytes_is_meant_and_the_others_are_told(
    filled: FileSet, tmp_path: Path
) -> None:
    for number in range(3):
        filled.media.make(tmp_path / f"{number}.iso", recipient=f"clinic {number}")
    assert numbers(filled.media.verify(tmp_path / "0.iso")) == (3, [1, 2])
    assert numbers(filled.media.verify(tmp_path / "0.iso", number=1)) == (1, [])
    assert [len(medium.verified) for medium in filled.media.list()] == [1, 0, 1]


@pytest.mark.parametrize("kind", ["iso", "usb", "zip", "folder"])
def test_of_media_of_one_file_set_the_one_that_matches_is_meant(
    fs: FileSet, tmp_path: Path, kind: str
) -> None:
    fs.add(CT)
    fs.media.make(tmp_path / "first", kind=kind)
    fs.add(MR)
    fs.media.make(tmp_path / "second", kind=kind)
    for number, name in enumerate(("first", "second"), 1):
        found = fs.media.verify(tmp_path / name)
        assert (numbers(found), found.is_sound) == ((number, []), True)


@pytest.mark.parametrize("lost", ["DICOMDIR", "SHA256.TXT"])
def test_a_damaged_medium_is_the_one_of_its_file_set_that_matches_best(
    fs: FileSet, tmp_path: Path, lost: str
) -> None:
    for name, instance in (("first", CT), ("second", MR)):
        fs.add(instance)
        fs.media.make(tmp_path / name)
    for name, others in (("first", [CT_ID]), ("second", [CT_ID, MR_ID])):
        damage(tmp_path / name / lost)
        found = fs.media.verify(tmp_path / name)
        assert numbers(found) == (len(others), [])
        assert [(each.path, each.what) for each in found.problems] == [(lost, "different")]


def test_a_dicomdir_and_a_list_that_are_both_damaged_leave_the_files_to_tell(
    fs: FileSet, tmp_path: Path
) -> None:
    for name, instance in (("first", CT), ("second", MR)):
        fs.add(instance)
        fs.media.make(tmp_path / name)
    for name in ("DICOMDIR", "SHA256.TXT"):
        damage(tmp_path / "first" / name)
    found = fs.media.verify(tmp_path / "first")
    assert numbers(found) == (1, [])
    assert [each.path for each in found.problems] == ["DICOMDIR", "SHA256.TXT"]


def test_media_with_the_same_files_are_told_and_an_image_is_none_of_another_kind(
    filled: FileSet, tmp_path: Path
) -> None:
    filled.media.make(tmp_path / "out", recipient="A")
    filled.media.make(tmp_path / "disc.iso", recipient="B")
    filled.media.make(tmp_path / "again.iso", recipient="C")
    assert numbers(filled.media.verify(tmp_path / "out")) == (1, [2, 3])
    damage(tmp_path / "disc.iso", 10)
    assert numbers(filled.media.verify(tmp_path / "disc.iso")) == (3, [2])


def test_another_medium_than_the_one_that_was_named_is_refused(
    filled: FileSet, tmp_path: Path
) -> None:
    filled.media.make(tmp_path / "all.iso")
    filled.media.make(tmp_path / "ct.iso", filled.find(PatientID="1CT1"))
    position = filled.state.position
    with pytest.raises(RefusedError, match="is not medium 1, but medium 2"):
        filled.media.verify(tmp_path / "ct.iso", number=1)
    with pytest.raises(RefusedError, match="There is no medium 9"):
        filled.media.verify(tmp_path / "ct.iso", number=9)
    with FileSet() as other:
        other.add(CT)
        other.media.make(tmp_path / "foreign")
    with pytest.raises(RefusedError, match="is not medium 1, but none of this journal"):
        filled.media.verify(tmp_path / "foreign", number=1)
    assert filled.state.position == position


def test_what_nothing_identifies_is_compared_with_the_medium_that_was_named(
    filled: FileSet, tmp_path: Path
) -> None:
    filled.media.make(tmp_path / "out")
    for name in ("DICOMDIR", "SHA256.TXT"):
        (tmp_path / "out" / name).unlink()
    assert filled.media.verify(tmp_path / "out").medium is None
    found = filled.media.verify(tmp_path / "out", number=1)
    assert [(each.path, each.what) for each in found.problems] == [
        ("DICOMDIR", "missing"),
        ("SHA256.TXT", "missing"),
    ]
    (tmp_path / "empty").mkdir()
    assert filled.media.verify(tmp_path / "empty", number=1).medium is None


def test_a_medium_is_known_by_its_list_of_digests_without_its_dicomdir(
    filled: FileSet, tmp_path: Path
) -> None:
    filled.media.make(tmp_path / "out")
    (tmp_path / "out" / "DICOMDIR").unlink()
    assert problems(filled, tmp_path / "out") == [("DICOMDIR", "missing")]
    text = (tmp_path / "out" / "SHA256.TXT").read_bytes()
    (tmp_path / "out" / "SHA256.TXT").write_bytes(text.replace(b"\n", b"\r\n"))
    assert problems(filled, tmp_path / "out") == [
        ("DICOMDIR", "missing"),
        ("SHA256.TXT", "different"),
    ]


def test_another_whole_medium_with_the_uid_of_ours_is_none_of_the_journal(
    filled: FileSet, tmp_path: Path
) -> None:
    filled.media.make(tmp_path / "out")
    dicomdir = (tmp_path / "out" / "DICOMDIR").read_bytes()
    with FileSet() as stranger:
        stranger.add(CT)
        stranger.UID = filled.UID
        stranger.media.make(tmp_path / "foreign")
    assert (tmp_path / "foreign" / "DICOMDIR").read_bytes() != dicomdir
    assert filled.media.verify(tmp_path / "foreign").medium is None


# --- folders -------------------------------------------------------------------------------------


def test_a_folder_is_compared_file_by_file(filled: FileSet, tmp_path: Path) -> None:
    filled.media.make(tmp_path / "out")
    found = filled.media.verify(tmp_path / "out")
    assert (found.compared, found.problems, found.is_sound) == (4, (), True)


def test_every_file_that_differs_is_named_in_the_order_of_the_medium(
    filled: FileSet, tmp_path: Path
) -> None:
    filled.media.make(tmp_path / "out")
    ct = tmp_path / "out" / CT_ID
    data = bytearray(ct.read_bytes())
    data[-1] ^= 1
    ct.write_bytes(data)
    (tmp_path / "out" / MR_ID).unlink()
    (tmp_path / "out" / "NOTES.TXT").write_text("not ours")
    assert problems(filled, tmp_path / "out") == [
        (CT_ID, "different"),
        (MR_ID, "missing"),
        ("NOTES.TXT", "extra"),
    ]
    (medium,) = filled.media.list()
    ((_, event),) = medium.verified
    assert (event.problems, event.first) == (3, CT_ID)


def test_a_link_in_the_place_of_a_file_is_not_followed(filled: FileSet, tmp_path: Path) -> None:
    filled.media.make(tmp_path / "out")
    (tmp_path / "out" / CT_ID).unlink()
    (tmp_path / "out" / CT_ID).symlink_to(CT)
    (tmp_path / "out" / "LOOP").symlink_to(tmp_path / "out")
    assert problems(filled, tmp_path / "out") == [(CT_ID, "different")]


def test_a_disc_is_known_though_the_system_shows_its_names_otherwise(
    filled: FileSet, tmp_path: Path
) -> None:
    filled.media.make(tmp_path / "out")
    for path in sorted((tmp_path / "out").rglob("*"), reverse=True):
        version = ";1" if path.is_file() else ""
        path.rename(path.with_name(f"{path.name.lower()}{version}"))
    assert problems(filled, tmp_path / "out") == []


def test_a_medium_of_somebody_else_is_none_of_the_journal(filled: FileSet, tmp_path: Path) -> None:
    with FileSet() as other:
        other.add(CT)
        other.media.make(tmp_path / "out")
        other.media.make(tmp_path / "disc.iso")
    (tmp_path / "empty").mkdir()
    (tmp_path / "damaged").mkdir()
    (tmp_path / "damaged" / "DICOMDIR").write_bytes(b"no DICOM")
    filled.media.make(tmp_path / "ours.iso")
    position = filled.state.position
    for name in ("out", "disc.iso", "empty", "damaged"):
        found = filled.media.verify(tmp_path / name)
        assert (found.medium, found.is_sound) == (None, False)
    assert filled.state.position == position


def test_a_medium_that_was_not_finished_is_never_sound(
    filled: FileSet, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    class KilledError(BaseException):
        pass

    emit = Repository.emit

    def killed(repository: Repository, event: Event) -> int:
        if isinstance(event, MediumProduced):
            raise KilledError
        return emit(repository, event)

    monkeypatch.setattr(Repository, "emit", killed)
    with pytest.raises(KilledError):
        filled.media.make(tmp_path / "out")
    found = filled.media.verify(tmp_path / "out")
    assert found.medium is not None
    assert (found.medium.produced, found.problems, found.is_sound) == (None, (), False)


# --- after an erasure ----------------------------------------------------------------------------


@pytest.fixture
def erased(filled: FileSet, tmp_path: Path) -> FileSet:
    """Two patients on a folder and on a disc; the first one was erased since."""
    filled.media.make(tmp_path / "out")
    filled.media.make(tmp_path / "disc.iso")
    filled.erase(PatientID="1CT1", reason="asked for", take_off=True)
    return filled


def test_what_is_left_of_a_medium_is_compared_after_an_erasure(
    erased: FileSet, tmp_path: Path
) -> None:
    position = erased.state.position
    found = erased.media.verify(tmp_path / "out")
    assert numbers(found) == (1, [2])
    assert (found.erased, found.compared, found.problems) == (True, 3, ())
    assert not found.is_sound
    assert erased.state.position == position, "it is not said to be as it was made"


@pytest.mark.parametrize("path", ["DICOMDIR", "SHA256.TXT", MR_ID])
def test_damage_of_what_is_left_is_found_after_an_erasure(
    erased: FileSet, tmp_path: Path, path: str
) -> None:
    damage(tmp_path / "out" / path)
    found = erased.media.verify(tmp_path / "out")
    assert [(each.path, each.what) for each in found.problems] == [(path, "different")]
    (tmp_path / "out" / path).unlink()
    found = erased.media.verify(tmp_path / "out")
    assert [each.what for each in found.problems] == ["missing"]
    assert [event.problems for _, event in erased.media.list()[0].verified] == [1, 1]


def test_an_instance_that_is_missing_is_named_by_its_uid_where_no_list_names_its_file(
    erased: FileSet, tmp_path: Path
) -> None:
    (tmp_path / "out" / MR_ID).unlink()
    (tmp_path / "out" / "SHA256.TXT").unlink()
    (left,) = erased
    assert problems(erased, tmp_path / "out") == [
        (left.SOPInstanceUID, "missing"),
        ("SHA256.TXT", "missing"),
    ]


def test_an_intact_image_has_the_same_bytes_after_an_erasure(
    erased: FileSet, tmp_path: Path
) -> None:
    found = erased.media.verify(tmp_path / "disc.iso")
    assert (found.same_image, found.erased, found.is_sound) == (True, True, True)


@pytest.mark.parametrize("what", [CT, None], ids=["in what was erased", "outside files"])
def test_an_image_that_differs_is_told_after_an_erasure(
    erased: FileSet, tmp_path: Path, what: str | None
) -> None:
    image = tmp_path / "disc.iso"
    damage(image, 10 if what is None else image.read_bytes().find(Path(what).read_bytes()) + 500)
    found = erased.media.verify(image)
    assert numbers(found) == (2, [])
    assert (found.problems, found.differs_outside, found.is_sound) == ((), True, False)
    assert erased.media.list()[1].verified[0][1].problems == 1


def test_a_medium_of_somebody_else_is_none_of_the_journal_after_an_erasure(
    erased: FileSet, tmp_path: Path
) -> None:
    with FileSet() as stranger:
        stranger.add(CT)
        stranger.UID = erased.UID
        stranger.media.make(tmp_path / "foreign.iso")
        stranger.write(tmp_path / "written")
    for name in ("foreign.iso", "written"):
        found = erased.media.verify(tmp_path / name)
        assert (found.medium, found.is_sound) == (None, False)


# --- images that differ --------------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["iso", "usb", "zip"])
def test_of_an_image_that_differs_every_file_is_compared(
    filled: FileSet, tmp_path: Path, kind: str
) -> None:
    image = tmp_path / "image"
    filled.media.make(image, kind=kind)
    data = bytearray(image.read_bytes())
    at = data.find(Path(MR).read_bytes())
    data[at + 5000] ^= 1
    image.write_bytes(data)
    found = filled.media.verify(image)
    assert found.medium is not None
    assert not found.same_image
    (problem,) = found.problems
    assert (problem.path, problem.what) in {(MR_ID, "different"), (MR_ID, "unreadable")}


@pytest.mark.parametrize("kind", ["iso", "usb", "zip"])
def test_a_byte_that_differs_outside_files_is_told_and_recorded(
    filled: FileSet, tmp_path: Path, kind: str
) -> None:
    image = tmp_path / "image"
    filled.media.make(image, kind=kind)
    damage(image, 10)
    found = filled.media.verify(image)
    assert (found.problems, found.differs_outside, found.is_sound) == ((), True, False)
    (medium,) = filled.media.list()
    assert [event for _, event in medium.verified] == [
        MediumVerified(medium.position, str(image), 1)
    ]


def test_an_image_that_lacks_its_end_differs_though_every_file_is_there(
    filled: FileSet, tmp_path: Path
) -> None:
    image = tmp_path / "stick.img"
    filled.media.make(image, kind="usb")
    size = image.stat().st_size
    os.truncate(image, size - 512)
    found = filled.media.verify(image)
    assert not found.is_sound
    os.truncate(image, size + 512)
    assert filled.media.verify(image).same_image


@pytest.mark.parametrize("kind", ["iso", "usb"])
def test_an_image_from_a_pipe_is_compared_as_a_whole_too(
    filled: FileSet, tmp_path: Path, kind: str
) -> None:
    image, pipe = tmp_path / "image", tmp_path / "pipe"
    filled.media.make(image, kind=kind)
    os.mkfifo(pipe)

    def verified() -> Verified:
        writer = Thread(target=lambda: pipe.write_bytes(image.read_bytes()))
        writer.start()
        try:
            return filled.media.verify(pipe)
        finally:
            writer.join()

    found = verified()
    assert (found.same_image, found.differs_outside, found.is_sound) == (True, False, True)
    damage(image, 10)
    found = verified()
    assert (found.same_image, found.differs_outside, found.is_sound) == (False, True, False)


def test_a_zip_of_the_same_files_by_somebody_else_is_that_medium(
    filled: FileSet, tmp_path: Path
) -> None:
    filled.media.make(tmp_path / "out")
    shutil.make_archive(str(tmp_path / "packed"), "zip", tmp_path / "out")
    found = filled.media.verify(tmp_path / "packed.zip")
    assert (found.same_image, found.compared, found.is_sound) == (False, 4, True)


def test_the_zip_in_a_mail_is_that_medium(filled: FileSet, tmp_path: Path) -> None:
    filled.media.make(tmp_path / "mail.eml")
    mail = email.message_from_bytes((tmp_path / "mail.eml").read_bytes())
    (attached,) = (p for p in mail.walk() if p.get_content_type() == "application/zip")
    (tmp_path / "DICOM.ZIP").write_bytes(attached.get_payload(decode=True))  # type: ignore[arg-type]  # not multipart
    found = filled.media.verify(tmp_path / "DICOM.ZIP")
    assert found.medium is not None
    assert (found.medium.started.kind, found.is_sound) == ("eml", True)


def test_an_image_that_was_cut_off_is_told_so(filled: FileSet, tmp_path: Path) -> None:
    filled.media.make(tmp_path / "image.iso")
    os.truncate(tmp_path / "image.iso", 80_000)
    found = filled.media.verify(tmp_path / "image.iso")
    assert (found.medium, found.is_sound) == (None, False)
    assert "the image was cut off" in (found.unreadable or "")


@pytest.mark.parametrize("data", [b"", b"PK\3\4", bytes(100_000)], ids=["empty", "zip", "zeros"])
def test_what_can_t_be_read_is_none_of_the_journal_and_the_reason_is_told(
    filled: FileSet, tmp_path: Path, data: bytes
) -> None:
    (tmp_path / "image").write_bytes(data)
    found = filled.media.verify(tmp_path / "image")
    assert (found.medium, found.is_sound) == (None, False)
    assert found.unreadable
    assert str(tmp_path / "image") in found.unreadable
