"""Archives for tests: made by programs of others, and by hand where those make no bad ones."""

from __future__ import annotations

import shlex
import shutil
import stat
import struct
import subprocess
from collections.abc import Mapping
from io import BytesIO
from pathlib import Path
from typing import Final
from zipfile import ZIP_DEFLATED, ZIP_STORED, ZipFile, ZipInfo

import pycdlib
import pytest
from pydicom.data import get_testdata_file

TREE: Final = Path(str(get_testdata_file("dicomdirtests/DICOMDIR"))).parent
PATIENTS: Final = ("77654033", "98892001", "98892003")
INSTANCES: Final = {
    name: (TREE / name).read_bytes()
    for name in ("77654033/CR1/6154", "77654033/CT2/17106", "98892003/MR1/15820")
}
"""Three instances of pydicom's example File-set, by their names there."""


def file_set(folder: Path) -> Path:
    """Copy pydicom's example File-set of 31 instances to a new folder."""
    folder.mkdir()
    shutil.copyfile(TREE / "DICOMDIR", folder / "DICOMDIR")
    for patient in PATIENTS:
        shutil.copytree(TREE / patient, folder / patient)
    return folder


def put(folder: Path, files: Mapping[str, bytes]) -> Path:
    """Write `files` below a folder."""
    for name, data in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)
    return folder


MAKERS: Final = {
    "zip": "zip -q -r {out} .",
    "zip-stored": "zip -q -0 -r {out} .",
    "zip-stream": "zip -q -r - . > {out}",
    "7z": "7z a -tzip -bso0 {out} .",
    "xorriso": "xorriso -as mkisofs -quiet -o {out} .",
    "xorriso-level-1": "xorriso -as mkisofs -quiet -iso-level 1 -o {out} .",
    "xorriso-joliet": "xorriso -as mkisofs -quiet -J -o {out} .",
    "genisoimage": "genisoimage -quiet -o {out} .",
    "genisoimage-rock-ridge": "genisoimage -quiet -R -o {out} .",
    "genisoimage-joliet": "genisoimage -quiet -J -o {out} .",
    "genisoimage-udf": "genisoimage -quiet -udf -R -o {out} .",
    "genisoimage-level-3": "genisoimage -quiet -iso-level 3 -o {out} .",
}
"""How programs make an archive of the folder in which they are run."""


def made_by(maker: str, folder: Path, out: Path) -> Path:
    """Have a program make an archive of `folder`; the test is skipped where there is none."""
    program = MAKERS[maker].split()[0]
    if shutil.which(program) is None:
        pytest.skip(f"{program} is not installed")
    command = MAKERS[maker].format(out=shlex.quote(str(out)))
    subprocess.run(["sh", "-c", command], cwd=folder, check=True, capture_output=True)
    return out


def zipped(out: Path, files: Mapping[str, bytes], *, stored: bool = False) -> Path:
    """Make a ZIP file."""
    with ZipFile(out, "w", ZIP_STORED if stored else ZIP_DEFLATED) as archive:
        for name, data in files.items():
            archive.writestr(name, data)
    return out


def link_entry(name: str) -> ZipInfo:
    """Return the entry of a symbolic link in a ZIP file."""
    entry = ZipInfo(name)
    entry.create_system = 3
    entry.external_attr = (stat.S_IFLNK | 0o777) << 16
    return entry


def central(data: bytes, name: str) -> int:
    """Return where the entry of `name` is in the list at the end of a ZIP file."""
    at = data.rindex(name.encode()) - 46
    assert data[at : at + 4] == b"PK\1\2"
    return at


def patched(path: Path, at: int, new: bytes) -> Path:
    """Overwrite bytes of a file."""
    data = bytearray(path.read_bytes())
    data[at : at + len(new)] = new
    path.write_bytes(data)
    return path


def imaged(
    out: Path, files: Mapping[str, bytes], *, joliet: bool = False, rock_ridge: bool = False
) -> Path:
    """Make a disc image by pycdlib of files with names of ISO 9660 level 1, at most one folder."""
    disc = pycdlib.PyCdlib()
    disc.new(interchange_level=1, joliet=3 if joliet else None,
             rock_ridge="1.09" if rock_ridge else None)  # fmt: skip
    folders: set[str] = set()
    for name, data in files.items():
        folder, _, own = name.rpartition("/")
        if folder and folder not in folders:
            disc.add_directory(f"/{folder}", joliet_path=f"/{folder.lower()}" if joliet else None,
                               rr_name=folder.lower() if rock_ridge else None)  # fmt: skip
            folders.add(folder)
        disc.add_fp(BytesIO(data), len(data), f"/{name};1",
                    joliet_path=f"/{name.lower()}" if joliet else None,
                    rr_name=own.lower() if rock_ridge else None)  # fmt: skip
    disc.write(str(out))
    disc.close()
    return out


def directory_record(image: Path, name: str) -> int:
    """Return where the directory record of `name` begins in a disc image."""
    data, wanted = image.read_bytes(), name.encode()
    at = data.index(bytes((len(wanted),)) + wanted, 18 * 2048) - 32
    assert data[at] >= 33 + len(wanted)
    return at


def both(number: int) -> bytes:
    """Return a number of 32 bits in both byte orders, as ISO 9660 has it."""
    return struct.pack("<I", number) + struct.pack(">I", number)
