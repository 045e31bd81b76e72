"""Adding what is in ZIP files and disc images: as if they were folders, nothing unpacked."""

from __future__ import annotations

import os
import shutil
import struct
import subprocess
from io import BytesIO
from pathlib import Path
from zipfile import ZIP_BZIP2, ZipFile

import pytest
from archives import (
    INSTANCES,
    MAKERS,
    both,
    central,
    directory_record,
    file_set,
    imaged,
    link_entry,
    made_by,
    patched,
    put,
    zipped,
)
from pydicom import dcmread, examples

import fileset.adding.members
import fileset.archives.iso_archive
import fileset.archives.zip_archive
from fileset import FileSet
from fileset.adding.outcome import Outcome
from fileset.adding.report import AddReport
from ledger.digest import digest_of
from ledger.events import Placement
from ledger.files import LARGE

CR, CT, MR = INSTANCES.values()
ADDED, REJECTED, NOT_DICOM, SKIPPED = (
    Outcome.ADDED, Outcome.REJECTED, Outcome.NOT_DICOM, Outcome.SKIPPED,
)  # fmt: skip
UDF = b"BEA01"


def by_name(report: AddReport) -> dict[str, tuple[Outcome, str | None]]:
    """Return what became of each member, by its name in the archive."""
    return {
        result.source.partition("!")[2] or Path(result.source).name: (result.outcome, result.reason)
        for result in report
    }


def told(report: AddReport, name: str) -> str:
    """Return why a member was rejected."""
    outcome, reason = by_name(report)[name]
    assert outcome is REJECTED
    return reason or ""


# --- archives of all makers ----------------------------------------------------------------------


@pytest.mark.parametrize("maker", MAKERS)
def test_an_archive_of_any_maker_gives_what_its_folder_gives(
    fs: FileSet, tmp_path: Path, maker: str
) -> None:
    folder = file_set(tmp_path / "disc")
    archive = made_by(maker, folder, tmp_path / "made.bin")
    report = fs.add_many(archive)
    assert report.counts == {ADDED: 31, SKIPPED: 1}
    again = fs.add_many(folder)
    assert again.counts == {Outcome.ALREADY_THERE: 31, SKIPPED: 1}
    digests = {leaf.content.digest for leaf in fs.state.live.values() if leaf.content}
    files = [path for path in folder.rglob("*") if path.is_file() and path.name != "DICOMDIR"]
    assert digests == {digest_of(path.read_bytes()) for path in files}
    assert {leaf.placement for leaf in fs.state.live.values()} == {Placement.VAULT}


@pytest.mark.parametrize("joliet", [False, True])
@pytest.mark.parametrize("rock_ridge", [False, True])
def test_names_are_those_that_a_mounted_disc_has(
    fs: FileSet, tmp_path: Path, joliet: bool, rock_ridge: bool
) -> None:
    files = {"CR": CR, "FOLDER/CT": CT}
    image = imaged(tmp_path / "disc", files, joliet=joliet, rock_ridge=rock_ridge)
    found = by_name(fs.add_many(image))
    names = {"cr", "folder/ct"} if joliet or rock_ridge else {"CR", "FOLDER/CT"}
    assert found == dict.fromkeys(names, (ADDED, None))


def test_the_source_of_an_instance_is_the_archive_and_its_name_there(
    fs: FileSet, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    zipped(tmp_path / "study.zip", {"a/b": CT})
    monkeypatch.chdir(tmp_path)
    (result,) = fs.add_many("study.zip")
    assert result.source == "study.zip!a/b"
    (leaf,) = fs.state.live.values()
    assert leaf.source == f"{tmp_path}/study.zip!a/b"


def test_an_archive_among_files_and_folders_is_one_change_with_them(
    fs: FileSet, tmp_path: Path
) -> None:
    folder = put(tmp_path / "folder", {"one": CR})
    study, disc = zipped(tmp_path / "a", {"two": CT}), imaged(tmp_path / "b", {"THREE": MR})
    before = len(fs.repository.changes())
    report = fs.add_many([folder, study, disc])
    assert report.counts == {ADDED: 3}
    assert len(fs.repository.changes()) == before + 1
    fs.undo()
    assert len(fs) == 0


def test_an_archive_in_a_folder_is_told_and_not_looked_into(fs: FileSet, tmp_path: Path) -> None:
    folder = put(tmp_path / "folder", {"one": CR})
    zipped(folder / "study", {"two": CT})
    imaged(folder / "disc", {"TWO": CT})
    found = by_name(fs.add_many(folder))
    assert found["one"] == (ADDED, None)
    for name, what in (("study", "a ZIP file"), ("disc", "a disc image")):
        outcome, reason = found[name]
        assert outcome is NOT_DICOM
        assert reason == f"{what}, which is looked into only if it is named: `fileset add FILE`"


def test_a_dicom_file_is_none_though_its_preamble_says_so(fs: FileSet, tmp_path: Path) -> None:
    path = tmp_path / "both.zip"
    path.write_bytes(b"PK\3\4" + CT[4:])
    assert fs.add_many(path).counts == {ADDED: 1}
    assert fs.state.live.popitem()[1].source == os.fspath(path)


def test_what_is_in_an_archive_is_not_added_by_reference(fs: FileSet, tmp_path: Path) -> None:
    path = zipped(tmp_path / "study.zip", {"a": CT})
    with pytest.raises(ValueError, match=r"study\.zip: what is in an archive can't be added by"):
        fs.add_many([path], reference=True)


def test_an_empty_archive_is_told(fs: FileSet, tmp_path: Path) -> None:
    path = zipped(tmp_path / "empty.zip", {})
    assert by_name(fs.add_many(path)) == {
        "empty.zip": (NOT_DICOM, "is an archive with no file in it")
    }


# --- large members -------------------------------------------------------------------------------


def large(number: int, *, changed: bool = False) -> bytes:
    """Return an instance of more than `LARGE` bytes."""
    ds = dcmread(examples.get_path("ct"))
    ds.SOPInstanceUID = ds.file_meta.MediaStorageSOPInstanceUID = f"1.2.3.{number}"
    ds.PixelData = (b"\1\2" if changed else b"\2\1") * (LARGE // 2)
    buffer = BytesIO()
    ds.save_as(buffer)
    return buffer.getvalue()


@pytest.mark.parametrize("kind", ["stored", "deflated", "image"])
def test_a_large_member_is_taken_whole_and_leaves_no_file_behind(
    fs: FileSet, tmp_path: Path, kind: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "temporary").mkdir()
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path / "temporary"))
    data = large(1)
    files = {"IM": data, "NEXT": CR}
    if kind == "image":
        archive = imaged(tmp_path / "a", files)
    else:
        archive = zipped(tmp_path / "a", files, stored=kind == "stored")
    assert fs.add_many(archive).counts == {ADDED: 2}
    leaf = fs.state.live["1.2.3.1"]
    assert leaf.content is not None
    assert fs.repository.vault.read(leaf.content.digest) == data
    assert list((tmp_path / "temporary").iterdir()) == []


@pytest.mark.parametrize("stored", [True, False])
def test_a_large_member_with_another_checksum_is_rejected(
    fs: FileSet, tmp_path: Path, stored: bool
) -> None:
    archive = zipped(tmp_path / "a", {"IM": large(1), "NEXT": CR}, stored=stored)
    patched(archive, central(archive.read_bytes(), "IM") + 16, b"\0\0\0\0")
    report = fs.add_many(archive)
    assert told(report, "IM") == "is damaged in the archive: its checksum is another one"
    assert by_name(report)["NEXT"] == (ADDED, None)


def test_two_members_of_one_uid_are_compared_where_they_lie(fs: FileSet, tmp_path: Path) -> None:
    other = dcmread(examples.get_path("ct"))
    other.save_as(tmp_path / "explicit")
    implicit = dcmread(examples.get_path("ct"))
    implicit.file_meta.TransferSyntaxUID = "1.2.840.10008.1.2"
    implicit.save_as(tmp_path / "implicit", implicit_vr=True, little_endian=True)
    names = ("explicit", "implicit")
    small = {name: (tmp_path / name).read_bytes() for name in names}
    archive = zipped(tmp_path / "a!b", {**small, "one": large(1), "two": large(1, changed=True)})
    report = fs.add_many(archive)
    found = {result.source.removeprefix(f"{archive}!"): result for result in report}
    assert found["implicit"].outcome is Outcome.ALREADY_THERE
    assert found["two"].outcome is Outcome.CONFLICTING
    why = f"added from {archive}!one, with different content (its pixel data differs)"
    assert why in str(found["two"].reason)


# --- bad members ---------------------------------------------------------------------------------

HOSTILE_NAMES = (
    "../evil", "a/../../evil", "/etc/evil", "C:\\evil", "c:evil", "..\\evil", "\\\\server\\evil",
    "a\nb", "a\x1b[31mb", "a\x7f",
)  # fmt: skip


@pytest.mark.parametrize("name", HOSTILE_NAMES)
def test_a_member_whose_name_means_harm_is_rejected_alone(
    fs: FileSet, tmp_path: Path, name: str
) -> None:
    before = sorted(tmp_path.rglob("*"))
    archive = zipped(tmp_path / "a.zip", {name: CR, "good": CT})
    report = fs.add_many(archive)
    assert report.counts == {REJECTED: 1, ADDED: 1}
    (rejected,) = report.of(REJECTED)
    assert rejected.reason in {
        "its name leads out of the archive", "its name has control characters in it"
    }  # fmt: skip
    outside = [path for path in sorted(tmp_path.rglob("*")) if "repository" not in path.parts]
    assert set(outside) <= {*before, archive}


@pytest.mark.parametrize("name", ["Bücher/Aufnahme", "検査/画像", "a\\b", "with space ", "a!b"])
def test_any_other_name_will_do(fs: FileSet, tmp_path: Path, name: str) -> None:
    archive = zipped(tmp_path / "a.zip", {name: CR})
    assert by_name(fs.add_many(archive)) == {name.replace("\\", "/"): (ADDED, None)}


def test_names_in_code_page_437_are_read_as_such(fs: FileSet, tmp_path: Path) -> None:
    archive = zipped(tmp_path / "a.zip", {"B?cher": CR})
    archive.write_bytes(archive.read_bytes().replace(b"B?cher", b"B\x81cher"))
    assert by_name(fs.add_many(archive)) == {"Bücher": (ADDED, None)}


def test_links_are_not_followed(fs: FileSet, tmp_path: Path) -> None:
    (tmp_path / "secret").write_bytes(MR)
    archive = zipped(tmp_path / "a.zip", {"good": CT})
    with ZipFile(archive, "a") as more:
        more.writestr(link_entry("link"), str(tmp_path / "secret"))
    folder = put(tmp_path / "folder", {"good": CR})
    (folder / "link").symlink_to(tmp_path / "secret")
    image = made_by("genisoimage-rock-ridge", folder, tmp_path / "a.iso")
    for found in (fs.add_many(archive), fs.add_many(image)):
        assert by_name(found) == {
            "good": (ADDED, None),
            "link": (SKIPPED, "a link within an archive, which is not followed"),
        }


def test_of_members_with_one_name_only_the_first_is_looked_at(
    fs: FileSet, tmp_path: Path, recwarn: pytest.WarningsRecorder
) -> None:
    archive = tmp_path / "a.zip"
    with ZipFile(archive, "w") as made:
        made.writestr("twice", CR)
        made.writestr("twice", CT)
    recwarn.clear()
    image = imaged(tmp_path / "a.iso", {"AA": CR, "AB": CT})
    data = image.read_bytes()
    image.write_bytes(data.replace(b"AB;1", b"AA;1"))
    for found in (fs.add_many(archive), fs.add_many(image)):
        assert [result.outcome for result in found][1] is REJECTED
        assert list(found)[1].reason == (
            "another member of the archive has the same name: only the first is looked at"
        )
    assert len(fs) == 1


def test_encrypted_members_are_told_one_by_one(fs: FileSet, tmp_path: Path) -> None:
    archive = zipped(tmp_path / "a.zip", {"secret": CR, "good": CT})
    patched(archive, central(archive.read_bytes(), "secret") + 8, b"\1\0")
    report = fs.add_many(archive)
    assert told(report, "secret") == (
        "is encrypted: unpack the archive with its password, and add the folder"
    )
    assert by_name(report)["good"] == (ADDED, None)


@pytest.mark.skipif(shutil.which("7z") is None, reason="7z is not installed")
def test_what_7z_encrypts_is_told(fs: FileSet, tmp_path: Path) -> None:
    put(tmp_path / "folder", {"secret": CR})
    words = ["7z", "a", "-tzip", "-bso0", "-pword", "-mem=AES256", str(tmp_path / "a.zip"), "."]
    subprocess.run(words, cwd=tmp_path / "folder", check=True)
    assert "is encrypted" in told(fs.add_many(tmp_path / "a.zip"), "secret")


def test_methods_that_cannot_be_read_are_named(fs: FileSet, tmp_path: Path) -> None:
    archive = zipped(tmp_path / "a.zip", {"other": CR, "good": CT})
    patched(archive, central(archive.read_bytes(), "other") + 10, struct.pack("<H", 98))
    with ZipFile(archive, "a") as more:
        more.writestr("packed", MR, ZIP_BZIP2)
    report = fs.add_many(archive)
    assert "is compressed by method 98" in told(report, "other")
    assert "is compressed by method 12" in told(report, "packed")
    assert by_name(report)["good"] == (ADDED, None)


@pytest.mark.parametrize("stored", [True, False])
def test_a_damaged_member_is_told_and_the_others_are_added(
    fs: FileSet, tmp_path: Path, stored: bool
) -> None:
    archive = zipped(tmp_path / "a.zip", {"bad": CR, "good": CT}, stored=stored)
    patched(archive, 800, bytes(8))
    report = fs.add_many(archive)
    assert told(report, "bad").startswith("is damaged in the archive: ")
    assert by_name(report)["good"] == (ADDED, None)


def test_members_that_overlap_are_told(fs: FileSet, tmp_path: Path) -> None:
    archive = zipped(tmp_path / "a.zip", {"one": CR, "two": CR, "good": CT}, stored=True)
    data = archive.read_bytes()
    first = data[central(data, "one") + 42 : central(data, "one") + 46]
    patched(archive, central(data, "two") + 42, first)
    report = fs.add_many(archive)
    assert "bytes are those of another member" in told(report, "one")
    assert "bytes are those of another member" in told(report, "two")
    assert by_name(report)["good"] == (ADDED, None)


@pytest.mark.parametrize("cut", [1, 30, 200, 3000])
def test_a_zip_file_without_its_list_is_rejected_whole(
    fs: FileSet, tmp_path: Path, cut: int
) -> None:
    archive = zipped(tmp_path / "a.zip", {"one": CR, "two": CT})
    archive.write_bytes(archive.read_bytes()[:-cut])
    report = fs.add_many([archive, put(tmp_path / "folder", {"three": MR})])
    assert "`zip -FF` may save what is left" in told(report, "a.zip")
    assert by_name(report)["three"] == (ADDED, None)


def test_a_list_that_is_said_to_be_huge_is_not_read(fs: FileSet, tmp_path: Path) -> None:
    archive = zipped(tmp_path / "a.zip", {"one": CR})
    with archive.open("r+b") as file:  # a hole, which is a list of 3 GB
        end = archive.read_bytes()[-22:]
        size = 3 << 30
        file.truncate(size)
        file.seek(size)
        file.write(end[:12] + struct.pack("<II", size - 100, 50) + b"\0\0")
    assert "longer than can be read" in told(fs.add_many(archive), "a.zip")


def test_nested_archives_are_not_opened(fs: FileSet, tmp_path: Path) -> None:
    inner = zipped(tmp_path / "inner.zip", {"one": CR}).read_bytes()
    archive = zipped(tmp_path / "a.zip", {"inner.zip": inner, "good": CT})
    assert by_name(fs.add_many(archive)) == {
        "inner.zip": (NOT_DICOM, "is an archive itself: unpack that, and add the folder"),
        "good": (ADDED, None),
    }


def test_an_archive_that_unpacks_to_far_more_than_itself_is_rejected(
    fs: FileSet, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(fileset.archives.zip_archive, "_HARMFUL", 1 << 20)
    archive = zipped(tmp_path / "a.zip", {"bomb": CR[:400] + bytes(16 << 20)})
    assert "which is hardly meant well" in told(fs.add_many(archive), "a.zip")
    assert len(fs) == 0


@pytest.mark.parametrize("stored", [True, False])
def test_a_member_that_says_it_is_huge_is_rejected_alone(
    fs: FileSet, tmp_path: Path, stored: bool
) -> None:
    archive = zipped(tmp_path / "a.zip", {"huge": CR, "good": CT}, stored=stored)
    patched(archive, central(archive.read_bytes(), "huge") + 24, b"\xfe\xff\xff\xff")
    report = fs.add_many(archive)
    assert told(report, "huge") == "is damaged: it can't unpack to as many bytes as it says"
    assert by_name(report)["good"] == (ADDED, None)


def test_an_archive_that_finds_no_room_is_rejected_before_it_is_unpacked(
    fs: FileSet, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(fileset.adding.members, "room_of", lambda _: 1000)
    archive = zipped(tmp_path / "a.zip", {"one": CR})
    assert told(fs.add_many(archive), "a.zip") == (
        f"unpacks to {len(CR):,} bytes, and 1,000 are free on the disk of the repository: free "
        "room there first"
    )


def test_what_is_no_dicom_file_is_not_unpacked(fs: FileSet, tmp_path: Path) -> None:
    archive = zipped(tmp_path / "a.zip", {"zeros": bytes(64 << 20), "good": CT})
    report = fs.add_many(archive)
    assert by_name(report)["zeros"][0] is NOT_DICOM
    assert by_name(report)["good"] == (ADDED, None)


# --- bad images ----------------------------------------------------------------------------------


def test_an_image_that_is_cut_off_gives_what_it_still_has(fs: FileSet, tmp_path: Path) -> None:
    image = imaged(tmp_path / "a.iso", {"A": CR, "B": CT, "C": MR})
    begin = struct.unpack_from("<I", image.read_bytes(), directory_record(image, "B;1") + 2)[0]
    os.truncate(image, begin * 2048 + 100)
    report = fs.add_many(image)
    cut = (REJECTED, "is cut off: the image ends before it does. Copy the disc again")
    assert by_name(report) == {"A": (ADDED, None), "B": cut, "C": cut}


@pytest.mark.parametrize("size", [1 << 30, 0xFFFFFFFF])
def test_a_file_that_is_said_to_reach_beyond_the_image_is_told(
    fs: FileSet, tmp_path: Path, size: int
) -> None:
    image = imaged(tmp_path / "a.iso", {"A": CR, "B": CT})
    patched(image, directory_record(image, "A;1") + 10, both(size))
    report = fs.add_many(image)
    assert "is cut off" in told(report, "A")
    assert by_name(report)["B"] == (ADDED, None)


def test_folders_that_go_in_circles_are_read_once(fs: FileSet, tmp_path: Path) -> None:
    image = imaged(tmp_path / "a.iso", {"ONE/A": CR, "TWO/B": CT})
    data = image.read_bytes()
    root = struct.unpack_from("<I", data, 16 * 2048 + 156 + 2)[0]
    patched(image, directory_record(image, "ONE") + 2, both(root))
    report = fs.add_many(image)
    why = "is a folder that is elsewhere in the image as well: it is looked at once"
    assert by_name(report) == {"ONE/": (REJECTED, why), "TWO/B": (ADDED, None)}


def test_a_folder_without_end_is_read_to_the_end_of_the_image(fs: FileSet, tmp_path: Path) -> None:
    image = imaged(tmp_path / "a.iso", {"ONE/A": CR, "TWO/B": CT})
    patched(image, directory_record(image, "ONE") + 10, both(0xFFFFFFF0))
    report = fs.add_many(image)
    assert "list of files is damaged" in told(report, "ONE/")
    assert by_name(report)["ONE/A"] == by_name(report)["TWO/B"] == (ADDED, None)


def test_folders_that_are_too_much_together_end_the_reading(
    fs: FileSet, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(fileset.archives.iso_archive, "_LONGEST", 2 * 2048)
    image = imaged(tmp_path / "a.iso", {"ONE/A": CR, "TWO/B": CT})
    report = fs.add_many(image)
    assert by_name(report)["ONE/A"] == (ADDED, None)
    assert "is beyond the million of files" in told(report, "TWO/")


def test_a_damaged_record_ends_its_folder_alone(fs: FileSet, tmp_path: Path) -> None:
    image = imaged(tmp_path / "a.iso", {"ONE/A": CR, "ONE/B": MR, "TWO/C": CT})
    patched(image, directory_record(image, "B;1") + 32, b"\xff")
    report = fs.add_many(image)
    assert "some may be missing" in told(report, "ONE/")
    assert by_name(report)["ONE/A"] == by_name(report)["TWO/C"] == (ADDED, None)


def test_interleaved_files_are_told(fs: FileSet, tmp_path: Path) -> None:
    image = imaged(tmp_path / "a.iso", {"A": CR, "B": CT})
    patched(image, directory_record(image, "A;1") + 26, b"\1\1")
    assert "is interleaved" in told(fs.add_many(image), "A")


def test_a_file_in_several_extents_is_one(fs: FileSet, tmp_path: Path) -> None:
    image = imaged(tmp_path / "a.iso", {"AA": CR[:2048] + bytes(0), "AB": CR[2048:], "B": CT})
    first, second = directory_record(image, "AA;1"), directory_record(image, "AB;1")
    patched(image, first + 25, b"\x80")
    patched(image, second + 33, b"AA;1")
    report = fs.add_many(image)
    assert by_name(report) == {"AA": (ADDED, None), "B": (ADDED, None)}
    assert {leaf.content.digest for leaf in fs.state.live.values() if leaf.content} == {
        digest_of(CR), digest_of(CT)
    }  # fmt: skip


def test_deep_folders_that_rock_ridge_moves_are_where_they_were(
    fs: FileSet, tmp_path: Path
) -> None:
    deep = "/".join("abcdefghij")
    folder = put(tmp_path / "folder", {f"{deep}/IM": CR})
    image = made_by("genisoimage-rock-ridge", folder, tmp_path / "a.iso")
    found = by_name(fs.add_many(image))
    assert found == {f"{deep}/IM": (ADDED, None)}


def test_a_long_name_is_read_from_where_rock_ridge_continues_it(
    fs: FileSet, tmp_path: Path
) -> None:
    name = "n" * 240
    image = made_by(
        "genisoimage-rock-ridge", put(tmp_path / "folder", {name: CR}), tmp_path / "a.iso"
    )
    assert by_name(fs.add_many(image)) == {name: (ADDED, None)}


def test_an_image_without_its_descriptor_is_rejected_whole(fs: FileSet, tmp_path: Path) -> None:
    image = imaged(tmp_path / "a.iso", {"A": CR})
    patched(image, 16 * 2048, b"\x07")
    assert "volume descriptor is damaged" in told(fs.add_many(image), "a.iso")


@pytest.mark.parametrize(("at", "found", "what"), [
    (16 * 2048 + 1, UDF, "mount it, and add the folder"),
    (0, b"\0" + b"\xff" * 10 + b"\0", "convert it to an ISO image"),
])  # fmt: skip
def test_images_that_cannot_be_read_are_told_with_what_to_do(
    fs: FileSet, tmp_path: Path, at: int, found: bytes, what: str
) -> None:
    image = put(tmp_path, {"a.img": bytes(40000)}) / "a.img"
    patched(image, at, found)
    assert what in told(fs.add_many(image), "a.img")


# --- archives that change or go ------------------------------------------------------------------


@pytest.mark.parametrize("size", ["small", "large"])
def test_an_archive_that_changes_while_it_is_read_is_told(
    fs: FileSet, tmp_path: Path, size: str
) -> None:
    files = {"one": CR, "two": CT} if size == "small" else {"one": CR, "two": large(1)}
    archive = zipped(tmp_path / "a.zip", files, stored=True)

    def touch(_: object) -> None:
        os.utime(archive, (1, 1))

    report = fs.add_many(archive, progress=touch)
    assert by_name(report)["one"] == (ADDED, None)
    assert told(report, "two") == (
        "the archive changed while it was read; add it when it is complete"
    )


def test_an_archive_that_is_deleted_meanwhile_is_read_to_its_end(
    fs: FileSet, tmp_path: Path
) -> None:
    archive = zipped(tmp_path / "a.zip", {"one": CR, "two": CT})
    report = fs.add_many(archive, progress=lambda _: archive.unlink(missing_ok=True))
    assert report.counts == {ADDED: 2}
    assert not archive.exists()


def test_an_interrupt_keeps_what_was_added_by_then(fs: FileSet, tmp_path: Path) -> None:
    archive = zipped(tmp_path / "a.zip", INSTANCES)
    seen: list[object] = []
    report = fs.add_many(archive, progress=seen.append, stop=lambda: len(seen) == 2)
    assert report.counts == {ADDED: 2}
    assert len(fs) == 2


def test_an_archive_that_may_not_be_read_is_told(
    fs: FileSet, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    archive = zipped(tmp_path / "a.zip", {"one": CR})

    def refused(path: str) -> object:
        raise PermissionError(13, "Permission denied", path)

    monkeypatch.setattr(fileset.adding.members, "open_archive", refused)
    assert told(fs.add_many(archive), "a.zip") == "can't be read: Permission denied"


def test_a_dry_run_adds_nothing_of_an_archive(fs: FileSet, tmp_path: Path) -> None:
    archive = zipped(tmp_path / "a.zip", {"one": CR, "bad\n": CT})
    report = fs.add_many(archive, dry_run=True)
    assert report.counts == {ADDED: 1, REJECTED: 1}
    assert len(fs) == 0


@pytest.mark.parametrize("data", [CT, large(1)], ids=["small", "large"])
def test_what_is_in_an_archive_is_coerced_as_files_are(
    fs: FileSet, tmp_path: Path, data: bytes
) -> None:
    rules = put(tmp_path, {"rules": b"[[rule]]\nset.InstitutionName = 'Ours'\n"}) / "rules"
    report = fs.add_many(zipped(tmp_path / "a.zip", {"one": data}, stored=True), coerce=rules)
    assert report.counts == {ADDED: 1}
    (instance,) = fs
    assert instance.load().InstitutionName == "Ours"
    assert str(fs.state.live.popitem()[1].source).endswith("a.zip!one")
