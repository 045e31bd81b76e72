"""Reading media back: ours and those of others, in files and from pipes, and hostile ones."""

from __future__ import annotations

import hashlib
import os
import random
import struct
import tempfile
import threading
import zipfile
from collections.abc import Callable
from functools import cache
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from image_readers import run
from media_trees import VOLUME, Tree, content, image, trees

from fileset.media.errors import UnreadableMediumError
from fileset.media.reading.read import read_medium

IMAGES = ["iso", "usb", "zip"]
TREE: Tree = {
    "DICOMDIR": content(3000, 1),
    "A/B/C/D/E/F/G/H": content(70_000, 2),
    "A/EMPTY": b"",
    "README.TXT": b"see DICOMDIR",
    **{f"MANY/M{number:04}": content(number, number) for number in range(300)},
}


def _saved(folder: str | Path, kind: str, tree: Tree) -> Path:
    path = Path(folder, f"image.{kind}")
    if kind == "folder":
        for name, data in tree.items():
            (path / name).parent.mkdir(parents=True, exist_ok=True)
            (path / name).write_bytes(data)
    else:
        path.write_bytes(image(kind, tree))
    return path


def _content_of(path: Path) -> Tree:
    with read_medium(path) as medium:
        found = {file.path: b"".join(file.chunks()) for file in medium.files}
        assert {file.path: file.size for file in medium.files} == {
            path: len(data) for path, data in found.items()
        }
    return found


def _problem(path: Path) -> str:
    with pytest.raises(UnreadableMediumError) as caught:
        _content_of(path)
    return str(caught.value)


# --- ours ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", [*IMAGES, "folder"])
@given(tree=trees())
def test_a_medium_is_read_back_as_it_was_made(kind: str, tree: Tree) -> None:
    with tempfile.TemporaryDirectory() as folder:
        path = _saved(folder, kind, tree)
        assert _content_of(path) == tree


@pytest.mark.parametrize("kind", [*IMAGES, "folder"])
def test_a_medium_says_what_it_is_and_begins_with_its_dicomdir(kind: str, tmp_path: Path) -> None:
    with read_medium(_saved(tmp_path, kind, TREE)) as medium:
        assert medium.format == kind
        assert next(iter(medium.files)).path == "DICOMDIR"
        named = {"iso": VOLUME.file_set_id, "usb": VOLUME.file_set_id}
        assert medium.name == named.get(kind, "")


@pytest.mark.parametrize("kind", IMAGES)
def test_files_of_an_image_come_in_the_order_in_which_it_was_made(
    kind: str, tmp_path: Path
) -> None:
    with read_medium(_saved(tmp_path, kind, TREE)) as medium:
        paths = [file.path for file in medium.files if file.size]
    assert paths == [path for path, data in TREE.items() if data]


@pytest.mark.parametrize("kind", IMAGES)
@pytest.mark.parametrize("spare", [0, 5000])
def test_the_digest_of_an_image_is_known_once_its_files_were_read(
    kind: str, spare: int, tmp_path: Path
) -> None:
    path = _saved(tmp_path, kind, TREE)
    data = path.read_bytes()
    if kind != "zip":  # a device is longer than what was burnt on it
        path.write_bytes(data + b"\xff" * spare)
    with read_medium(path) as medium:
        for file in medium.files:
            for _ in file.chunks():
                pass
        assert medium.content is not None
        found = medium.content(len(data))
        assert found.digest == f"sha256:{hashlib.sha256(data).hexdigest()}"
        assert medium.content(100).digest == f"sha256:{hashlib.sha256(data[:100]).hexdigest()}"
        assert medium.content(None).size == path.stat().st_size


@pytest.mark.parametrize("kind", ["iso", "usb"])
def test_an_image_of_ours_can_be_read_from_a_pipe(kind: str, tmp_path: Path) -> None:
    data = image(kind, TREE)
    source, target = os.pipe()
    writer = threading.Thread(target=_pour, args=(target, data))
    writer.start()
    try:
        with read_medium(f"/dev/fd/{source}") as medium:
            assert {file.path: b"".join(file.chunks()) for file in medium.files} == TREE
            assert medium.content is not None
            assert medium.content(None).digest == f"sha256:{hashlib.sha256(data).hexdigest()}"
    finally:
        os.close(source)
        writer.join()


def test_a_zip_from_a_pipe_is_refused_with_a_remedy(tmp_path: Path) -> None:
    source, target = os.pipe()
    writer = threading.Thread(target=_pour, args=(target, image("zip", TREE)))
    writer.start()
    try:
        assert "save it to a file first" in _problem(Path(f"/dev/fd/{source}"))
    finally:
        os.close(source)
        writer.join()


def _pour(target: int, data: bytes) -> None:
    try:
        with os.fdopen(target, "wb") as file:
            file.write(data)
    except BrokenPipeError:
        pass


# --- those of others -----------------------------------------------------------------------------


def _by_xorriso(folder: Path, path: Path) -> None:
    run("xorriso", "-as", "mkisofs", "-J", "-R", "-V", "OTHERS", "-o", path, folder)


def _by_genisoimage(folder: Path, path: Path) -> None:
    run("genisoimage", "-quiet", "-D", "-V", "OTHERS", "-o", path, folder)


def _by_mtools(bits: int, mib: int) -> Callable[[Path, Path], None]:
    def make(folder: Path, path: Path) -> None:
        with path.open("wb") as file:
            file.truncate(mib << 20)
        run("mkfs.vfat", "-n", "OTHERS", "-F", str(bits), path)
        run("mcopy", "-s", "-i", path, *sorted(folder.iterdir()), "::/")

    return make


def _by_zip(folder: Path, path: Path) -> None:
    run("zip", "-q", "-r", path, ".", cwd=folder)


_OTHERS = {
    "xorriso": _by_xorriso,
    "genisoimage": _by_genisoimage,
    "FAT12": _by_mtools(12, 3),
    "FAT16": _by_mtools(16, 20),
    "FAT32": _by_mtools(32, 40),
    "zip": _by_zip,
}


@pytest.mark.parametrize("maker", _OTHERS)
def test_a_medium_that_others_made_is_read(maker: str, tmp_path: Path) -> None:
    path = tmp_path / "others.img"
    _OTHERS[maker](_saved(tmp_path, "folder", TREE), path)
    assert _content_of(path) == TREE


def test_a_file_of_several_extents_is_one_file(tmp_path: Path) -> None:
    """As level 3 has those of 4 GiB and more."""
    data = bytearray(image("iso", {"DICOMDIR": b"1" * 2048, "SECOND": b"2" * 2000}))
    first = data.index(b"DICOMDIR.;1") - 33
    second = data.index(b"SECOND.;1") - 33
    data[second + 33 : second + 39] = b"SECOND"
    data[first + 25] |= 0x80
    path = tmp_path / "disc.iso"
    path.write_bytes(data)
    assert _content_of(path) == {"SECOND": b"1" * 2048 + b"2" * 2000}


# --- hostile ones --------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", IMAGES)
@pytest.mark.parametrize("part", [0.1, 0.5, 0.9])
def test_an_image_that_was_cut_off_is_named(kind: str, part: float, tmp_path: Path) -> None:
    path = _saved(tmp_path, kind, {"DICOMDIR": content(1000, 1), "A": content(3_000_000, 2)})
    os.truncate(path, int(path.stat().st_size * part))
    assert str(path) in _problem(path)


_EDITS = st.lists(st.tuples(st.floats(0, 1), st.integers(0, 255)), min_size=1, max_size=6)
_SMALL: Tree = {"DICOMDIR": content(100, 1), "A/B/C": content(3000, 2), "A/D": content(600, 3)}
_STRUCTURE = {
    "iso": [(16 * 2048, 190), (20 * 2048, 600)],
    "usb": [(446, 16), (1 << 20, 64), ((1 << 20) + 4096, 64), ((1 << 20) + 28_672, 200)],
    "zip": [(0, 150), (-300, 299)],
}
"""Where what is not content is in an image of the tree above: offset and size."""


@cache
def _small_image(kind: str) -> bytes:
    return image(kind, _SMALL)


@pytest.mark.parametrize("kind", IMAGES)
@settings(max_examples=200)
@given(edits=_EDITS, where=st.integers(0, 3))
def test_damage_is_told_or_does_no_harm(
    kind: str, edits: list[tuple[float, int]], where: int
) -> None:
    """It neither raises anything else nor gives more than there is."""
    data = bytearray(_small_image(kind))
    places = _STRUCTURE[kind]
    start, size = places[where % len(places)]
    for place, value in edits:
        data[start % len(data) + int(place * (size - 1))] = value
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "image")
        path.write_bytes(data)
        try:
            found = _content_of(path)
        except UnreadableMediumError:
            return
    assert sum(map(len, found.values())) <= len(data)


def test_a_folder_that_holds_itself_is_a_circle(tmp_path: Path) -> None:
    path = _saved(tmp_path, "iso", {"DICOMDIR": b"", "A/B/C": b"", "A/E": b""})
    data = bytearray(path.read_bytes())
    for at in _records_of(data, b"B"):
        for other in _records_of(data, b"A"):
            data[at + 2 : at + 18] = data[other + 2 : other + 18]
    path.write_bytes(data)
    assert "in a circle" in _problem(path)


def _records_of(data: bytes, name: bytes) -> list[int]:
    """Return where Directory Records of a folder with a name of one letter begin."""
    tail = b"\0\0\x01\0\0\x01\x01" + name
    found, at = [], data.find(tail)
    while at >= 0:
        found.append(at - 26)
        at = data.find(tail, at + 1)
    return found


def test_folders_that_would_take_all_memory_are_not_read(tmp_path: Path) -> None:
    path = _saved(tmp_path, "iso", _SMALL)
    data = bytearray(path.read_bytes())
    for at in _records_of(data, b"A"):
        data[at + 10 : at + 18] = struct.pack("<I", 1 << 30) + struct.pack(">I", 1 << 30)
    path.write_bytes(data)
    os.truncate(path, 2 << 30)  # the rest is a hole
    assert "too deep or too large" in _problem(path)


def test_two_files_in_one_place_are_named(tmp_path: Path) -> None:
    path = _saved(tmp_path, "iso", {"DICOMDIR": content(100, 1), "A": content(50, 1)})
    data = bytearray(path.read_bytes())
    one, other = data.index(b"\x0bDICOMDIR.;1"[1:]) - 33, data.index(b"\x04A.;1"[1:]) - 33
    data[other + 2 : other + 10] = data[one + 2 : one + 10]
    path.write_bytes(data)
    assert "A and DICOMDIR lie in the same place" in _problem(path)


def test_a_chain_of_clusters_that_goes_in_circles_is_named(tmp_path: Path) -> None:
    path = _saved(tmp_path, "usb", {"DICOMDIR": content(5000, 1)})
    data = bytearray(path.read_bytes())
    table = (1 << 20) + 512 * int.from_bytes(data[(1 << 20) + 14 : (1 << 20) + 16], "little")
    struct.pack_into("<H", data, table + 2 * 5, 2)
    path.write_bytes(data)
    assert "the cluster 2 of DICOMDIR is free or belongs to others" in _problem(path)


@pytest.mark.parametrize("name", ["../A", "/A", "A/../../B", "A\\B", ""])
def test_names_that_lead_out_of_a_zip_are_refused(name: str, tmp_path: Path) -> None:
    path = tmp_path / "hostile.zip"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("DICOMDIR", b"1")
        archive.writestr(zipfile.ZipInfo(name), b"2")
    assert "no name for a file" in _problem(path)


def test_other_files_of_a_zip_can_be_read_if_one_is_encrypted_or_a_link(tmp_path: Path) -> None:
    path = tmp_path / "odd.zip"
    link = zipfile.ZipInfo("LINK")
    link.external_attr = 0o120777 << 16
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("DICOMDIR", b"1")
        archive.writestr(link, b"/etc/passwd")
        archive.writestr("SECRET", b"2")
        archive.writestr("LAST", b"3")
    data = bytearray(path.read_bytes())
    data[data.rindex(b"SECRET") - 46 + 8] |= 1
    path.write_bytes(data)
    problems = []
    with read_medium(path) as medium:
        for file in medium.files:
            try:
                assert b"".join(file.chunks()) in {b"1", b"3"}
            except UnreadableMediumError as exc:
                problems.append(str(exc))
    assert [problem.removeprefix(f"{path}: ") for problem in problems] == [
        "LINK is a link, not a file",
        "SECRET is encrypted: unpack it with its password first",
    ]


def test_a_member_of_a_zip_is_never_longer_than_it_says(tmp_path: Path) -> None:
    path = tmp_path / "bomb.zip"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("DICOMDIR", bytes(50 << 20))
    data = bytearray(path.read_bytes())
    entry = data.rindex(b"DICOMDIR") - 46
    struct.pack_into("<I", data, entry + 24, 10)
    path.write_bytes(data)
    assert "DICOMDIR can't be unpacked" in _problem(path)


@pytest.mark.parametrize("method", [zipfile.ZIP_DEFLATED, zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA])
def test_a_damaged_member_of_a_zip_is_named_however_it_is_packed(
    method: int, tmp_path: Path
) -> None:
    path = tmp_path / "damaged.zip"
    with zipfile.ZipFile(path, "w", method) as archive:
        archive.writestr("DICOMDIR", random.Random(1).randbytes(5000))  # noqa: S311 - no secret
    data = bytearray(path.read_bytes())
    for at in range(40, 4000):
        data[at] ^= 0x5A
    path.write_bytes(data)
    assert f"{path}: DICOMDIR can't be unpacked" in _problem(path)


def test_a_name_in_a_zip_that_is_no_utf_8_is_named(tmp_path: Path) -> None:
    path = _saved(tmp_path, "zip", {"DICOMDIR": b"1", "AB": b"2"})
    data = bytearray(path.read_bytes())
    local = data.index(b"AB2") - 30
    data[local + 6 : local + 8] = (0x800).to_bytes(2, "little")
    data[local + 30 : local + 32] = b"\xff\xfe"
    path.write_bytes(data)
    assert "AB can't be unpacked" in _problem(path)


def test_a_link_in_a_folder_is_no_file_of_a_medium(tmp_path: Path) -> None:
    path = _saved(tmp_path, "folder", {"DICOMDIR": b"1"})
    (path / "LINK").symlink_to("/etc/passwd")
    assert _problem(path) == f"{path}/LINK is not a regular file"


@pytest.mark.parametrize("data", [b"", b"text", bytes(100_000), b"\x7fELF" + bytes(600)])
def test_what_is_no_medium_is_said_to_be_none(data: bytes, tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_bytes(data)
    assert "no disc by ISO 9660, no stick with FAT, no ZIP and no folder" in _problem(path)
