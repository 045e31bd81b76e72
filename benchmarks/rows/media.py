"""Rows on media that are handed out: images made of files."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Final

from benchmarks import ours, peers
from benchmarks.goals import Faster, Measured, Within
from benchmarks.measuring import Cost, alternate, in_child
from benchmarks.rows.row import Row, compared, wall
from benchmarks.workbench import Workbench


def _image(
    bench: Workbench, kind: str, program: str, make: Callable[[Path, Path], Cost]
) -> Measured:
    """Compare our image of a folder with what `make` does, which needs `program`."""
    source = bench.source(bench.sizes.images, bench.sizes.image_size)

    def image() -> Cost:
        with bench.scratch() as folder:
            return in_child(ours.image, source, kind, folder / "image")

    def of_peer() -> Cost:
        with bench.scratch() as folder:
            return make(source, folder / "image")

    there = bench.peers[program] is not None
    return compared(wall, alternate(bench.sizes.repeat, image, of_peer if there else None))


_COUNTED: Final = (
    "wall, of ours in process, imports aside; source in a warm cache; not flushed; ours hashed"
)

ROWS: Final = [
    Row(
        "image-iso",
        "ISO image of {s.images:,} files of {s.image_size:,} bytes",
        "`xorriso -as mkisofs` of a folder that is written for it, by `cp`",
        f"{_COUNTED}, the peer's not",
        Faster(1),
        lambda bench: _image(bench, "iso", "xorriso", peers.xorriso),
    ),
    Row(
        "image-iso-hash",
        "ISO image of {s.images:,} files of {s.image_size:,} bytes",
        "`cat` of the files to `sha256sum`",
        f"{_COUNTED}; the peer writes nothing",
        Within(1.3),
        lambda bench: _image(bench, "iso", "cat", peers.cat_and_hash),
    ),
    Row(
        "image-zip",
        "ZIP of {s.images:,} files of {s.image_size:,} bytes, stored",
        "`zip -0`",
        f"{_COUNTED}, the peer's not",
        Faster(1),
        lambda bench: _image(bench, "zip", "zip", peers.zip_stored),
    ),
    Row(
        "image-usb",
        "image of a stick with {s.images:,} files of {s.image_size:,} bytes",
        "`mkfs.vfat` and `mcopy`",
        f"{_COUNTED}, the peer's not",
        Faster(1),
        lambda bench: _image(bench, "usb", "mcopy", peers.mcopy),
    ),
]
