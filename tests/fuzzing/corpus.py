"""What the fuzzers begin with: pydicom's files, DICOMDIRs made of them, and exported journals."""

from __future__ import annotations

import re
import tempfile
import warnings
from functools import cache
from pathlib import Path

import pydicom.data
from archives import imaged, zipped
from media_trees import image

from ledger.events import EVENT_TYPES
from ledger.journal import codec
from projections.dicomdir.decoder import decode_dicomdir
from projections.dicomdir.encoder import DirectoryRecord, encode_dicomdir
from projections.dicomdir.tree import link

IMAGE_BEGIN = 16 * 2048
"""Where the first volume descriptor of an image is."""

TESTS = Path(__file__).parent.parent
LARGEST = 1 << 16
"""Bytes of a file: a larger one takes longer and has no more to it."""


def _files() -> list[bytes]:
    folder = Path(pydicom.data.__file__).parent
    found = [path for path in sorted(folder.rglob("*")) if path.is_file()]
    return [path.read_bytes() for path in found if 132 < path.stat().st_size <= LARGEST]


@cache
def instances() -> list[bytes]:
    """Return the DICOM files that pydicom has, those of other forms among them."""
    return [data for data in _files() if data[128:132] == b"DICM"]


@cache
def dicomdirs() -> list[bytes]:
    """Return pydicom's DICOMDIRs, as they are and as they are written here."""
    found = []
    for data in instances():
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            try:
                directory = decode_dicomdir(data, name="DICOMDIR")
            except ValueError:
                continue
        found.append(data)
        rows = [
            DirectoryRecord(0, node.record.type or "", node.record.elements)
            for node in link(directory).roots
        ]
        found += [
            encode_dicomdir(directory.identity, rows, implicit_vr=implicit)
            for implicit in (False, True)
        ]
    return found


def _packed() -> dict[str, bytes]:
    return dict(zip(("A", "DIR/B"), sorted(instances(), key=len), strict=False))


@cache
def images() -> list[bytes]:
    """Return disc images with names of each kind, from the first volume descriptor on."""
    found = []
    with tempfile.TemporaryDirectory() as folder:
        for joliet, rock_ridge in ((False, False), (True, False), (False, True)):
            path = Path(folder) / f"{joliet}{rock_ridge}"
            imaged(path, _packed(), joliet=joliet, rock_ridge=rock_ridge)
            found.append(path.read_bytes()[IMAGE_BEGIN:])
    return found


@cache
def telling(number: int) -> list[int]:
    """Return where an image has the bytes that say something, and what follows each."""
    image = images()[number]
    end = min(map(image.index, _packed().values()))
    found = {at for at, byte in enumerate(image[:end]) if byte not in b"\0 "}
    return sorted(found | {at + 1 for at in found})


@cache
def archives() -> list[bytes]:
    """Return ZIP files, and of each image its number and only the bytes that say something."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "zip"
        found = [zipped(path, _packed(), stored=each).read_bytes() for each in (False, True)]
    for number, data in enumerate(images()):
        found += [bytes((number, *(data[at] for at in telling(number))))]
    return found


KINDS = ("iso", "usb", "zip")


@cache
def medium(kind: int) -> bytes:
    """Return an image of a medium whose files have nothing but zeros in them."""
    return image(KINDS[kind], {"DICOMDIR": bytes(100), "A/B/C": bytes(5000), "A/D": bytes(600)})


@cache
def saying(kind: int) -> list[int]:
    """Return where the image of a medium has bytes that are not zero, and what follows each."""
    data = medium(kind)
    found = [each.start() for each in re.finditer(rb"[^\0]", data)]
    return sorted({min(at + by, len(data) - 1) for at in found for by in (0, 1)})


@cache
def media() -> list[bytes]:
    """Return of images of media which kind it is, and the bytes that say something."""
    return [bytes((kind, *(medium(kind)[at] for at in saying(kind)))) for kind in range(len(KINDS))]


@cache
def journals() -> list[bytes]:
    """Return exported journals, those of each release."""
    return [path.read_bytes() for path in sorted((TESTS / "golden/journals").glob("*.jsonl"))]


@cache
def payloads() -> list[bytes]:
    """Return a payload of each type of event, behind its name and version."""
    return [
        path.stem.rpartition("-")[0].encode() + b"\n" + path.read_bytes()
        for path in sorted((TESTS / "golden").glob("*.json"))
        if path.stem.rpartition("-")[0] in EVENT_TYPES
    ]


assert codec.EVENT_TYPES is EVENT_TYPES
