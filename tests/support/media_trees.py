"""File-sets for images of media: trees of files by hypothesis, and images made of them."""

from __future__ import annotations

import io
from collections.abc import Callable, Iterator, Mapping
from functools import partial
from typing import Final

from hypothesis import strategies as st
from hypothesis.strategies import SearchStrategy

from fileset.media.stream import write_image
from projections.medium.images.fat import plan_usb
from projections.medium.images.iso9660 import plan_iso
from projections.medium.images.layout import Layout
from projections.medium.images.mail import Message, plan_mail
from projections.medium.images.tree import CivilTime, ImageFile, Volume
from projections.medium.images.zip import plan_zip

Tree = dict[str, bytes]
"""The content of files by path, the DICOMDIR first."""

TIME: Final = CivilTime(2026, 2, 28, 23, 59, 58)
VOLUME: Final = Volume("TEACHING_1", CivilTime(2025, 12, 31, 12, 30, 2), serial=0x1234ABCD)

MESSAGE: Final = Message(VOLUME.created, "for Dr. Müller", "The images of Monday.")

PLANS: Final[Mapping[str, Callable[[list[ImageFile]], Layout]]] = {
    "iso": partial(plan_iso, volume=VOLUME),
    "usb": partial(plan_usb, volume=VOLUME),
    "zip": partial(plan_zip, volume=VOLUME),
    "eml": lambda files: plan_mail(plan_zip(files, VOLUME), MESSAGE),
}
"""How the layout of each format is made."""

SIZES: Final = (0, 1, 511, 512, 513, 2047, 2048, 2049, 4096, 65_535, 70_000)

_NAMES = st.text("ABC019_", min_size=1, max_size=8)
_EXTENSIONS = st.text("ABC019_", min_size=1, max_size=3)


def trees(*, most: int = 12) -> SearchStrategy[Tree]:
    """Return File-sets of up to `most` files beside the DICOMDIR, some of them deep."""
    folders = st.lists(_NAMES, max_size=7)
    extension = st.just("") | _EXTENSIONS.map(".{}".format)
    paths = st.builds(lambda above, name, ext: "/".join([*above, name]) + ext,
                      folders, _NAMES, extension)  # fmt: skip
    contents = st.builds(content, st.sampled_from(SIZES) | st.integers(0, 9000), st.integers(0, 99))
    return st.dictionaries(paths, contents, max_size=most).map(_without_clashes)


def content(size: int, seed: int) -> bytes:
    """Return so many bytes that are not those of another `seed`."""
    return (b"%d," % seed * (size // 2 + 1))[:size]


def image(kind: str, tree: Tree) -> bytes:
    """Return the image of a File-set."""
    return written(plan(kind, tree), tree)


def written(layout: Layout, tree: Tree) -> bytes:
    """Return the image of a layout that is of `tree`."""
    output = io.BytesIO()
    paths = list(tree)
    write_image(layout, lambda number: [tree[paths[number]]], output)
    return output.getvalue()


def plan(kind: str, tree: Tree) -> Layout:
    """Return the layout of the image of a File-set."""
    return PLANS[kind]([ImageFile(path, len(data), TIME) for path, data in tree.items()])


def _without_clashes(tree: Tree) -> Tree:
    """Return `tree` with a DICOMDIR, and without files where folders have to be."""
    made: Tree = {"DICOMDIR": content(1000, 0)}
    folders = {folder for path in tree for folder in _above(path)}
    for path, data in tree.items():
        if path not in folders and path not in made and not {*_above(path)} & {*made}:
            made[path] = data
    return made


def _above(path: str) -> Iterator[str]:
    names = path.split("/")
    return ("/".join(names[:n]) for n in range(1, len(names)))
