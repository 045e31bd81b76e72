"""However large a file is: no command holds more than 64 MB of it in memory."""

from __future__ import annotations

import os
import shutil
import struct
import subprocess
import sys
import zlib
from collections.abc import Callable
from io import BytesIO
from pathlib import Path

import pytest
from archives import zipped
from cli_runs import CT, command_line
from pydicom import Dataset, dcmread
from pydicom.uid import MPEG4HP41, UID, DeflatedExplicitVRLittleEndian, ExplicitVRLittleEndian

LARGE = 96 << 20
ALLOWED = 64 << 20

_RUN = """
import resource, subprocess, sys
done = subprocess.run(sys.argv[1:], stdout=subprocess.DEVNULL)
print(resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss * 1024)
sys.exit(done.returncode)
"""


def peak(*words: object, repository: Path | None = None, code: int = 0) -> int:
    """Run the command in a process of its own and return the most memory it had, in bytes."""
    env = {name: value for name, value in os.environ.items() if name != "FILESET_REPO"}
    if repository is not None:
        env["FILESET_REPO"] = os.fspath(repository)
    done = subprocess.run(
        [sys.executable, "-c", _RUN, *command_line(*words)],
        env=env, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == code, done.stderr
    return int(done.stdout)


def header(syntax: UID) -> bytes:
    ds = dcmread(CT)
    ds.file_meta.TransferSyntaxUID = syntax
    for keyword in ("PixelData", "DataSetTrailingPadding"):
        del ds[keyword]
    return encoded(ds)


def encoded(ds: Dataset) -> bytes:
    buffer = BytesIO()
    ds.save_as(buffer, enforce_file_format=True)
    return buffer.getvalue()


def native(path: Path) -> None:
    with path.open("wb") as file:
        file.write(header(ExplicitVRLittleEndian))
        file.write(b"\xe0\x7f\x10\0OW\0\0" + struct.pack("<I", LARGE))
        file.truncate(file.tell() + LARGE)


def followed(path: Path) -> None:
    """Pixel Data with an element behind it, so that the file's head does not tell."""
    native(path)
    with path.open("ab") as file:
        file.write(b"\xfc\xff\xfc\xffOB\0\0" + struct.pack("<I", 8) + bytes(8))


def encapsulated(path: Path) -> None:
    with path.open("wb") as file:
        file.write(header(MPEG4HP41))
        file.write(b"\xe0\x7f\x10\0OB\0\0\xff\xff\xff\xff\xfe\xff\0\xe0\0\0\0\0")
        for _ in range(2):
            file.write(b"\xfe\xff\0\xe0" + struct.pack("<I", LARGE // 2))
            file.truncate(file.tell() + LARGE // 2)
            file.seek(0, os.SEEK_END)
        file.write(b"\xfe\xff\xdd\xe0\0\0\0\0")


def document(path: Path) -> None:
    """An element that a directory record asks for, if only whether it is there."""
    with path.open("wb") as file:
        file.write(header(ExplicitVRLittleEndian))
        file.write(b"\x42\0\x11\0OB\0\0" + struct.pack("<I", LARGE))
        file.truncate(file.tell() + LARGE)
        file.seek(0, os.SEEK_END)
        file.write(b"\x42\0\x12\0LO" + struct.pack("<H", 10) + b"model/stl ")


def deflated(path: Path) -> None:
    """A stream that unfolds to `LARGE` and is itself large."""
    whole = header(ExplicitVRLittleEndian)
    stream = zlib.compressobj(0, wbits=-zlib.MAX_WBITS)
    with path.open("wb") as file:
        deflating = header(DeflatedExplicitVRLittleEndian)
        file.write(deflating[: data_set(deflating)])
        file.write(stream.compress(whole[data_set(whole) :]))
        file.write(stream.compress(b"\xe0\x7f\x10\0OW\0\0" + struct.pack("<I", LARGE)))
        for _ in range(LARGE >> 20):
            file.write(stream.compress(bytes(1 << 20)))
        file.write(stream.flush())


def densely_deflated(path: Path) -> None:
    """A small stream that unfolds to `LARGE`."""
    deflated(path)
    head = header(DeflatedExplicitVRLittleEndian)
    start = data_set(head)
    unfolding, stream = zlib.decompressobj(-zlib.MAX_WBITS), zlib.compressobj(wbits=-zlib.MAX_WBITS)
    with path.open("rb") as file, path.with_suffix(".new").open("wb") as small:
        small.write(file.read(start))
        while piece := file.read(1 << 20):
            noise = os.urandom(1 << 12)  # so that nobody takes it for a bomb
            unfolded = unfolding.decompress(piece)
            small.write(stream.compress(unfolded[: -len(noise)] + noise))
        small.write(stream.flush())
    path.with_suffix(".new").replace(path)


def data_set(file: bytes) -> int:
    """Return where the File Meta Information of a file ends."""
    return 132 + 12 + int(struct.unpack_from("<I", file, 140)[0])


@pytest.fixture(scope="module")
def usual(tmp_path_factory: pytest.TempPathFactory) -> int:
    """Return what the command takes for a small file."""
    folder = tmp_path_factory.mktemp("small")
    peak("init", folder / "archive")
    return peak("add", CT, repository=folder / "archive")


def text(path: Path) -> None:
    """One value of text that takes nearly all of the file."""
    with path.open("wb") as file:
        file.write(header(ExplicitVRLittleEndian))
        file.write(b"\x40\0\x60\xa1UT\0\0" + struct.pack("<I", LARGE))
        for _ in range(LARGE >> 20):
            file.write("ä".encode() * (1 << 19))


def items(path: Path) -> None:
    """A sequence of undefined length with very many items, each with a text of its own."""
    with path.open("wb") as file:
        file.write(header(ExplicitVRLittleEndian))
        file.write(b"\x70\0\x01\0SQ\0\0\xff\xff\xff\xff")
        for number in range(1 << 16):
            value = f"{number:01000d}".encode()
            element = b"\x40\0\x60\xa1UT\0\0" + struct.pack("<I", len(value)) + value
            file.write(b"\xfe\xff\0\xe0" + struct.pack("<I", len(element)) + element)
        file.write(b"\xfe\xff\xdd\xe0\0\0\0\0")


KINDS = [followed, encapsulated, document, deflated]


@pytest.mark.parametrize(
    "make", [native, *(pytest.param(make, marks=pytest.mark.soak) for make in KINDS)]
)
def test_a_large_file_takes_little_memory(
    make: Callable[[Path], None], usual: int, tmp_path: Path
) -> None:
    disc = tmp_path / "disc"
    disc.mkdir()
    make(disc / "LARGE")
    peak("init", tmp_path / "archive")
    archive = tmp_path / "archive"

    used = {
        "index": peak("index", disc),
        "verify ROOT": peak("verify", disc),
        "verify ROOT --deep": peak("verify", disc, "--deep"),
        "init": peak("init", tmp_path / "adopted", "--from", disc / "DICOMDIR"),
        "init --repair": peak("init", tmp_path / "mended", "--from", disc / "DICOMDIR", "--repair"),
        "add": peak("add", disc / "LARGE", repository=archive),
        "add again": peak("add", disc / "LARGE", repository=archive),
        "write": peak("write", tmp_path / "medium", repository=archive),
        "verify": peak("verify", repository=archive),
        "watch": peak("watch", disc, "--once", "--settle", "0", repository=archive),
        "recover": recovered(archive),
        "erase": erased_beside_a_stranger(archive, tmp_path / "medium"),
    }

    assert {name: size for name, size in used.items() if size > usual + ALLOWED} == {}


@pytest.mark.parametrize("stored", [False, True])
def test_a_large_member_of_an_archive_takes_little_memory(
    stored: bool, usual: int, tmp_path: Path
) -> None:
    disc = tmp_path / "disc"
    disc.mkdir()
    native(disc / "LARGE")
    peak("index", disc)
    files = {path.name: path.read_bytes() for path in disc.iterdir()}
    packed = zipped(tmp_path / "disc.zip", files, stored=stored)
    peak("init", tmp_path / "archive")

    used = {
        "add": peak("add", packed, repository=tmp_path / "archive"),
        "init": peak("init", tmp_path / "adopted", "--from", packed),
    }

    assert {name: size for name, size in used.items() if size > usual + ALLOWED} == {}


def recovered(archive: Path) -> int:
    """Recover what the vault has from nothing; return the most memory that it took."""
    copy = archive.with_name("lost")
    shutil.copytree(archive, copy)
    (copy / "journal.sqlite").unlink()
    return peak("recover", "--from-vault", repository=copy, code=1)


def erased_beside_a_stranger(archive: Path, medium: Path) -> int:
    """Erase a person while the vault keeps a large file that lay in the place of an instance."""
    (file,) = (path for path in medium.rglob("*") if path.stat().st_size > LARGE)  # it was written
    with file.open("r+b") as changed:
        changed.seek(-16, os.SEEK_END)
        changed.write(b"something else.")
    peak("write", "--repair", repository=archive)
    return peak("erase", "PatientID=1CT1", "--reason", "asked", "--take-off", repository=archive)


@pytest.mark.parametrize("make", [*KINDS, text, items])
def test_looking_into_a_large_file_takes_little_memory(
    make: Callable[[Path], None], usual: int, tmp_path: Path
) -> None:
    disc = tmp_path / "disc"
    disc.mkdir()
    make(disc / "LARGE")
    assert peak("index", disc) <= usual + ALLOWED
    assert peak("verify", disc, "--deep") <= usual + ALLOWED


def test_a_small_file_that_unfolds_to_much_takes_little_memory(usual: int, tmp_path: Path) -> None:
    disc, archive = tmp_path / "disc", tmp_path / "archive"
    disc.mkdir()
    densely_deflated(disc / "SMALL")
    assert (disc / "SMALL").stat().st_size < 4 << 20
    assert peak("index", disc) <= usual + ALLOWED
    peak("init", archive)
    assert peak("add", disc / "SMALL", repository=archive) <= usual + ALLOWED
    assert peak("verify", repository=archive) <= usual + ALLOWED


@pytest.mark.parametrize("make", [native, followed, encapsulated])
def test_a_search_in_large_files_leaves_their_pixels_where_they_are(
    make: Callable[[Path], None], usual: int, tmp_path: Path
) -> None:
    archive = tmp_path / "archive"
    peak("init", archive)
    make(tmp_path / "LARGE")
    peak("add", tmp_path / "LARGE", "--place", "reference", repository=archive)
    assert peak("find", "Manufacturer=GE", "--load", repository=archive) <= usual + ALLOWED
    assert peak("values", "Manufacturer", "--load", repository=archive) <= usual + ALLOWED
