"""Every format, read back by programs of others: all files, their bytes, their names."""

from __future__ import annotations

import tempfile
from pathlib import Path

import pytest
from hypothesis import given, settings
from image_readers import READERS, Reader, fsck
from media_trees import SIZES, Tree, content, image, trees

TREE: Tree = {
    "DICOMDIR": content(3000, 1),
    "PT000000/ST000000/SE000000/IM000000": content(70_000, 2),
    "PT000000/ST000000/SE000000/IM000001": b"",
    "A/B/C/D/E/F/G/H": content(4097, 3),
    "README.TXT": b"see DICOMDIR",
    **{f"SIZES/S{size}": content(size, size) for size in SIZES},
    **{f"MANY/M{number:04}": content(number, number) for number in range(700)},
}
"""Empty files, all eight levels, an extension, and a folder of several sectors and clusters."""

_PAIRS = [(kind, reader) for kind, readers in READERS.items() for reader in readers]
_NAMES = [f"{kind}-{reader.__name__}" for kind, reader in _PAIRS]


@pytest.mark.parametrize(("kind", "reader"), _PAIRS, ids=_NAMES)
def test_others_read_every_file_as_it_was(kind: str, reader: Reader, tmp_path: Path) -> None:
    path = tmp_path / f"image.{kind}"
    path.write_bytes(image(kind, TREE))
    assert reader(path, tmp_path / "out") == TREE


@pytest.mark.parametrize(("kind", "reader"), _PAIRS, ids=_NAMES)
def test_others_read_any_file_set(kind: str, reader: Reader) -> None:
    @settings(max_examples=3 if reader.__name__ in {"java", "isoinfo"} else 12)
    @given(tree=trees())
    def check(tree: Tree) -> None:
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder, f"image.{kind}")
            path.write_bytes(image(kind, tree))
            assert reader(path, Path(folder, "out")) == tree

    check()


@settings(max_examples=12)
@given(tree=trees(most=40))
def test_a_stick_is_sound_for_fsck(tree: Tree) -> None:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "stick.usb")
        path.write_bytes(image("usb", tree))
        fsck(path)
