"""Images as programs of others read them: each returns the content of all files by path.

A reader skips the test where its program is not installed.
"""

from __future__ import annotations

import shutil
import subprocess
import zipfile
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Final, TypeAlias

import pytest

Reader: TypeAlias = Callable[[Path, Path], dict[str, bytes]]
"""Reads the image at a path; may use a folder for what it unpacks."""

PARTITION: Final = 1 << 20
"""Where the partition of a stick begins, in bytes."""


def run(*command: str | Path, **options: Any) -> str:
    """Return what a program prints; skip the test if it is not installed, fail if it fails."""
    if shutil.which(str(command[0])) is None:
        pytest.skip(f"{command[0]} is not installed")
    done = subprocess.run(command, capture_output=True, text=True, check=False, **options)
    assert done.returncode == 0, (command, done.stdout, done.stderr)
    return done.stdout + done.stderr


def files_below(folder: Path) -> dict[str, bytes]:
    """Return the content of all files in a folder by path."""
    paths = (path for path in folder.rglob("*") if path.is_file())
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in paths}


def seven_zip(image: Path, out: Path) -> dict[str, bytes]:
    """Unpack an image of a disc or a ZIP with 7z."""
    run("7z", "x", "-y", f"-o{out}", image)
    return files_below(out)


def seven_zip_of_partition(image: Path, out: Path) -> dict[str, bytes]:
    """Unpack the partition of a stick with 7z."""
    return seven_zip(partition_of(image), out)


def xorriso(image: Path, out: Path) -> dict[str, bytes]:
    """Unpack an image of a disc with xorriso, which is strict on what it is told of names."""
    run("xorriso", "-osirrox", "on", "-indev", f"stdio:{image}", "-extract", "/", out)
    return files_below(out)


def isoinfo(image: Path, out: Path) -> dict[str, bytes]:
    """Read each file of an image of a disc with isoinfo, by the name it has there, with version."""
    found = {}
    for line in run("isoinfo", "-f", "-i", image).splitlines():
        name, version, _ = line.rpartition(";1")
        if version:
            into = out / "file"
            out.mkdir(exist_ok=True)
            with into.open("wb") as file:
                subprocess.run(["isoinfo", "-i", image, "-x", line], stdout=file, check=True)
            found[name.removeprefix("/").rstrip(".")] = into.read_bytes()
    return found


def pycdlib(image: Path, out: Path) -> dict[str, bytes]:
    """Read an image of a disc with pycdlib."""
    library = pytest.importorskip("pycdlib")
    iso = library.PyCdlib()
    iso.open(str(image))
    found = {}
    out.mkdir(exist_ok=True)
    for folder, _, names in iso.walk(iso_path="/"):
        for name in names:
            path = f"{folder.rstrip('/')}/{name}"
            iso.get_file_from_iso(str(out / "file"), iso_path=path)
            found[path.removesuffix(";1").rstrip(".")[1:]] = (out / "file").read_bytes()
    iso.close()
    return found


def mcopy(image: Path, out: Path) -> dict[str, bytes]:
    """Copy all of a stick with mtools."""
    out.mkdir(exist_ok=True)
    run("mcopy", "-s", "-n", "-m", "-i", f"{image}@@{PARTITION}", "::/*", out)
    return files_below(out)


def unzip(image: Path, out: Path) -> dict[str, bytes]:
    """Unpack a ZIP with unzip."""
    run("unzip", "-q", image, "-d", out)
    return files_below(out)


def python_zipfile(image: Path, _: Path) -> dict[str, bytes]:
    """Read a ZIP with the standard library."""
    with zipfile.ZipFile(image) as archive:
        assert archive.testzip() is None
        return {info.filename: archive.read(info) for info in archive.infolist()}


def java(image: Path, out: Path) -> dict[str, bytes]:
    """Unpack a ZIP with Java's ZipInputStream, from front to end as from a pipe."""
    if shutil.which("javac") is None:
        pytest.skip("a JDK is not installed")
    program = out.with_name("Unzip.java")
    program.write_text(_JAVA, encoding="utf-8")
    out.mkdir(exist_ok=True)
    with image.open("rb") as source:
        run("java", program, out, stdin=source)
    return files_below(out)


READERS: Final[Mapping[str, list[Reader]]] = {
    "iso": [seven_zip, xorriso, isoinfo, pycdlib],
    "usb": [mcopy, seven_zip_of_partition],
    "zip": [seven_zip, unzip, python_zipfile, java],
}
"""Who can read which format."""


def partition_of(image: Path) -> Path:
    """Return the partition of a stick as an image of its own, beside it."""
    made = image.with_suffix(".partition")
    with image.open("rb") as source, made.open("wb") as target:
        source.seek(PARTITION)
        shutil.copyfileobj(source, target)
    return made


def fsck(image: Path) -> str:
    """Check the file system of a stick; return what was found, which ends with one line if sound.

    The test fails if anything is wrong.
    """
    found = run("fsck.vfat", "-n", "-v", partition_of(image))
    assert "Dirty" not in found
    assert "differ" not in found
    return found


_JAVA: Final = """
import java.io.*;
import java.nio.file.*;
import java.util.zip.*;

class Unzip {
    public static void main(String[] arguments) throws IOException {
        try (ZipInputStream zip = new ZipInputStream(System.in)) {
            for (ZipEntry entry; (entry = zip.getNextEntry()) != null; ) {
                Path path = Path.of(arguments[0]).resolve(entry.getName());
                Files.createDirectories(path.getParent());
                Files.copy(zip, path);
            }
        }
    }
}
"""
