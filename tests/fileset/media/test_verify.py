"""Media that are read back: which one it is, and every file that is not as it was made."""

from __future__ import annotations

import email
import os
import shutil
from pathlib import Path

import pytest
from cli_runs import CT, MR

from fileset import FileSet
from fileset.errors import RefusedError
from fileset.repository.repository import Repository
from ledger.events import Event, MediumProduced, MediumVerified

CT_ID = "PT000000/ST000000/SE000000/IM000000"
MR_ID = "PT000001/ST000000/SE000000/IM000000"


@pytest.fixture
def filled(fs: FileSet) -> FileSet:
    """Two patients."""
    fs.add_many([CT, MR])
    return fs


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


def test_the_newest_of_media_with_the_same_bytes_is_meant(filled: FileSet, tmp_path: Path) -> None:
    for number in range(3):
        filled.media.make(tmp_path / f"{number}.iso")
    found = filled.media.verify(tmp_path / "0.iso")
    assert found.medium is not None
    assert found.medium.number == 3


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


def test_a_folder_with_data_that_was_erased_can_t_be_compared(
    filled: FileSet, tmp_path: Path
) -> None:
    filled.media.make(tmp_path / "out")
    filled.media.make(tmp_path / "disc.iso")
    filled.erase(PatientID="1CT1", reason="asked for", take_off=True)
    with pytest.raises(RefusedError, match="1 instance of the medium was erased since"):
        filled.media.verify(tmp_path / "out")
    assert filled.media.verify(tmp_path / "disc.iso").same_image


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
