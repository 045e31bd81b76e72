"""Rows on media that are handed out: images of a File-set, straight from the repository."""

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
    """Compare an image of a File-set with what `make` does of its files, which needs `program`."""
    source = bench.source(bench.sizes.images, bench.sizes.image_size)
    repository = bench.added(bench.sizes.images, bench.sizes.image_size)

    def image() -> Cost:
        with bench.scratch() as folder:
            return in_child(ours.hand_out, repository, folder / f"image.{kind}")

    def of_peer() -> Cost:
        with bench.scratch() as folder:
            return make(source, folder / "image")

    there = bench.peers[program] is not None
    return compared(wall, alternate(bench.sizes.repeat, image, of_peer if there else None))


_COUNTED: Final = (
    "wall, of ours in process, imports and opening aside; warm cache; both on the disk in the end; "
    "of ours each file checked and the image hashed"
)

ROWS: Final = [
    Row(
        "image-iso",
        "ISO image of {s.images:,} instances of {s.image_size:,} bytes",
        "`xorriso -as mkisofs` of a folder that is written for it by `cp`",
        _COUNTED,
        Faster(1),
        lambda bench: _image(bench, "iso", "xorriso", peers.xorriso),
    ),
    Row(
        "image-iso-hash",
        "ISO image of {s.images:,} instances of {s.image_size:,} bytes",
        "`cat` of the files to a file and `sha256sum`",
        _COUNTED,
        Within(1.3),
        lambda bench: _image(bench, "iso", "cat", peers.cat_and_hash),
    ),
    Row(
        "image-zip",
        "ZIP of {s.images:,} instances of {s.image_size:,} bytes, stored",
        "`zip -0`",
        _COUNTED,
        Faster(1),
        lambda bench: _image(bench, "zip", "zip", peers.zip_stored),
    ),
    Row(
        "image-usb",
        "image of a stick with {s.images:,} instances of {s.image_size:,} bytes",
        "`mkfs.vfat` and `mcopy`",
        _COUNTED,
        Within(2),
        lambda bench: _image(bench, "usb", "mcopy", peers.mcopy),
    ),
]
