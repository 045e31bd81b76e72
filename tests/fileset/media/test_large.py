"""Images of many gigabytes, of which only what is not content is written: the rest are holes."""

from __future__ import annotations

import tracemalloc
import zipfile
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from image_readers import PARTITION, run
from media_trees import PLANS, TIME, VOLUME

from fileset.media.errors import SourceChangedError
from fileset.media.reading.read import read_medium
from fileset.media.stream import image_chunks
from projections.medium.images.fat import LARGEST_FILE, plan_usb
from projections.medium.images.layout import _ZEROS, Layout
from projections.medium.images.tree import ImageError, ImageFile

GB = 10**9
BIG = [
    ImageFile("DICOMDIR", 5000, TIME),
    ImageFile("A/ONE", 2 * GB + 1, TIME),
    ImageFile("A/TWO", LARGEST_FILE, TIME),
    ImageFile("LAST", 7, TIME),
]


def _with_holes(layout: Layout, path: Path, begin: int = 0) -> Path:
    """Write an image from byte `begin` on, all files full of zeros, which take no room."""

    def checksum(number: int) -> int:
        size = layout.files[number].size
        return zlib.crc32(bytes(size)) if size < GB else 0  # which nobody reads to the end

    at = 0
    with path.open("wb") as file:
        for piece in layout.pieces(checksum):
            if isinstance(piece, int):
                at += layout.files[piece].size
                continue
            if piece is not _ZEROS and at >= begin:
                file.seek(at - begin)
                file.write(piece)
            at += len(piece)
        assert at == layout.size
        file.truncate(at - begin)
    return path


def _sizes(path: Path) -> dict[str, int]:
    with read_medium(path) as medium:
        return {file.path: file.size for file in medium.files}


@pytest.mark.parametrize("kind", ["iso", "usb", "zip"])
def test_an_image_of_six_gigabytes_is_read_back(kind: str, tmp_path: Path) -> None:
    path = _with_holes(PLANS[kind](BIG), tmp_path / "image")
    assert path.stat().st_size > 6 * GB
    assert _sizes(path) == {file.path: file.size for file in BIG}


def test_others_find_the_files_of_a_large_disc(tmp_path: Path) -> None:
    path = _with_holes(PLANS["iso"](BIG), tmp_path / "image.iso")
    listed = run("isoinfo", "-l", "-i", path)
    assert all(str(file.size) in listed for file in BIG)
    assert "Physical Size" in run("7z", "l", path)


def test_others_find_a_large_stick_sound(tmp_path: Path) -> None:
    path = _with_holes(PLANS["usb"](BIG), tmp_path / "partition", begin=PARTITION)
    assert sorted(run("mdir", "-b", "-/", "-i", path, "::").split()) == [
        "::/A/", "::/A/ONE", "::/A/TWO", "::/DICOMDIR", "::/LAST",
    ]  # fmt: skip
    assert "6 files" in run("fsck.vfat", "-n", path)


@pytest.mark.parametrize("kind", ["iso", "usb"])
def test_a_file_of_four_gibibytes_is_refused_with_figures(kind: str) -> None:
    files = [*BIG, ImageFile("B", 1 << 32, TIME), ImageFile("C", 5 * GB, TIME)]
    with pytest.raises(ImageError) as refused:
        PLANS[kind](files)
    assert str(refused.value).startswith(
        "B (and 1 other file) has 4,294,967,296 bytes, and a file on "
    )
    assert "at most 4,294,9" in str(refused.value)
    assert ": leave it out, or make a ZIP or a folder" in str(refused.value)


@pytest.mark.parametrize("kind", ["iso", "usb"])
def test_more_than_a_volume_can_hold_is_refused_with_figures(kind: str) -> None:
    files = [
        ImageFile("DICOMDIR", 1, TIME),
        *(ImageFile(f"F{number}", LARGEST_FILE, TIME) for number in range(2100)),
    ]
    with pytest.raises(ImageError, match=r"[\d,]+ bytes .* at most [\d,]+"):
        PLANS[kind](files)


def test_more_folders_than_a_path_table_numbers_are_refused() -> None:
    files = [ImageFile("DICOMDIR", 1, TIME)]
    files += [ImageFile(f"A{number // 300}/B{number}/F", 1, TIME) for number in range(65_400)]
    with pytest.raises(ImageError, match="65,619 folders, and ISO 9660 has at most 65,535"):
        PLANS["iso"](files)


def test_more_files_than_a_folder_of_fat_holds_are_refused() -> None:
    files = [ImageFile("DICOMDIR", 1, TIME)]
    files += [ImageFile(f"A/F{number}", 0, TIME) for number in range(65_535)]
    with pytest.raises(ImageError, match="65,537 entries in one folder, A: FAT has at most 65,536"):
        PLANS["usb"](files)
    PLANS["usb"](files[:-1])


# --- ZIP64 ---------------------------------------------------------------------------------------


def test_a_zip_of_files_beyond_four_gibibytes_is_read_by_others(tmp_path: Path) -> None:
    files = [*BIG, ImageFile("B", 1 << 32, TIME), ImageFile("C", 9 * GB, TIME)]
    path = _with_holes(PLANS["zip"](files), tmp_path / "large.zip")
    listed = run("7z", "l", "-slt", path), run("unzip", "-l", path)
    assert all(str(file.size) in each for file in files for each in listed)
    with zipfile.ZipFile(path) as archive:
        assert {i.filename: i.file_size for i in archive.infolist()} == {
            file.path: file.size for file in files
        }
        for info in archive.infolist():
            with archive.open(info) as member:
                assert member.read(5) == bytes(5)


def test_a_zip_of_more_than_65_535_files_is_read_by_others(tmp_path: Path) -> None:
    files = [ImageFile("DICOMDIR", 0, TIME)]
    files += [ImageFile(f"F{number}", 0, TIME) for number in range(65_535)]
    path = _with_holes(PLANS["zip"](files), tmp_path / "many.zip")
    assert run("unzip", "-Z1", path).split() == [file.path for file in files]
    assert "65536 files" in run("7z", "l", path)


def test_what_fits_into_32_bits_has_no_zip64() -> None:
    pieces = [p for p in PLANS["zip"](BIG[:1]).pieces(lambda _: 0) if isinstance(p, bytes)]
    assert b"PK\6\6" not in b"".join(pieces)


# --- sticks of a given size ----------------------------------------------------------------------


@pytest.mark.parametrize("mib", [4, 16, 33, 34, 64, 259, 261, 4000, 7900, 8300, 60_000])
def test_a_stick_of_any_size_is_filled(mib: int, tmp_path: Path) -> None:
    files = [ImageFile("DICOMDIR", 5000, TIME), ImageFile("A/ONE", 100_000, TIME)]
    layout = plan_usb(files, VOLUME, mib << 20)
    assert layout.size == mib << 20
    found = run("minfo", "-i", f"{_with_holes(layout, tmp_path / 'stick')}@@{PARTITION}", "::")
    assert ("FAT32" if mib > 33 else "FAT16") in found
    assert _sizes(tmp_path / "stick") == {file.path: file.size for file in files}


@pytest.mark.parametrize("size", [0, 512, 1 << 20, 3 << 20, 63 << 20])
def test_a_stick_that_is_too_small_is_refused_with_figures(size: int) -> None:
    files = [ImageFile("DICOMDIR", 5000, TIME), ImageFile("A/ONE", 64 << 20, TIME)]
    with pytest.raises(ImageError) as refused:
        plan_usb(files, VOLUME, size)
    needed = int(str(refused.value).partition(" ")[0].replace(",", ""))
    assert f"and {size:,} are there" in str(refused.value)
    assert plan_usb(files, VOLUME, needed).size == needed


# --- memory --------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", PLANS)
def test_writing_takes_little_memory_however_large_a_file_is(kind: str) -> None:
    size = 100 << 20
    layout = PLANS[kind]([ImageFile("DICOMDIR", 9, TIME), ImageFile("A", size, TIME)])
    tracemalloc.start()
    try:
        written = sum(map(len, image_chunks(layout, _reading({0: 9, 1: size}))))
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert written == layout.size
    assert peak < 16 << 20


def _reading(sizes: dict[int, int]) -> Callable[[int], Iterator[bytes]]:
    def read(number: int) -> Iterator[bytes]:
        for start in range(0, sizes[number], 1 << 20):
            yield bytes(min(1 << 20, sizes[number] - start))

    return read


def test_a_large_file_that_changes_between_its_checksum_and_its_content_is_named() -> None:
    size, times = 20 << 20, iter(b"ab")
    layout = PLANS["zip"]([ImageFile("DICOMDIR", size, TIME)])
    assert zlib.crc32(b"a" * size) != zlib.crc32(b"b" * size)
    with pytest.raises(SourceChangedError, match="DICOMDIR: the file has changed while it was"):
        list(image_chunks(layout, lambda _: [bytes([next(times)]) * size]))
