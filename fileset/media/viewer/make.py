"""Which scripts the viewer needs for which instances, and what is in each of them."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from contextlib import AbstractContextManager
from itertools import count
from pathlib import Path
from typing import TypeAlias

from attrs import frozen

from fileset.errors import RefusedError
from fileset.media.viewer.decoded import Decoded
from fileset.media.viewer.native import VERSION, Native, native
from fileset.media.viewer.scripts import (
    Shown,
    data_script,
    data_script_size,
    frames_together,
    script_name,
)
from fileset.pictures import PictureError
from ledger.errors import InstanceError
from ledger.events import Content, PixelScript
from ledger.files import FileView
from ledger.vault.protocol import Vault
from projections.state.nodes import Leaf

View: TypeAlias = Callable[[Leaf], AbstractContextManager[FileView]]
"""Gives the bytes of an instance."""

Place: TypeAlias = Callable[[Leaf], AbstractContextManager[Path]]
"""Gives where the file of an instance can be read, for as long as that takes."""

Keep: TypeAlias = Callable[[Iterator[bytes], int], Content]
"""Keeps a script, given in chunks and its size in bytes; returns what it is."""


@frozen
class DataScript:
    """The script `name` with what is in it: frames of the instance `leaf`.

    It is `made_from` the instance if it follows from that alone.
    """

    name: str
    leaf: Leaf
    content: Content
    made_from: PixelScript | None


def make_scripts(
    leaves: Iterable[Leaf],
    view: View,
    place: Place,
    *,
    measure: Keep,
    keep: Keep,
    tell: Callable[[Leaf, Exception], None],
) -> tuple[list[DataScript], dict[Leaf, Shown]]:
    """Return the scripts that `leaves` take, and what the list says of each of these.

    Those that follow from an instance are measured, and the others kept. `tell` is called for an
    instance that can't be shown, with the reason.
    """
    scripts: list[DataScript] = []
    shown: dict[Leaf, Shown] = {}
    numbers = count(1)
    for leaf in leaves:
        try:
            with view(leaf) as data, native(data) as pixels:
                if pixels is not None:
                    mine = list(_scripts(leaf, pixels, numbers, measure))
                    found: Native | Decoded = pixels
                else:
                    with place(leaf) as path:
                        found = Decoded(path)
                        mine = list(_scripts(leaf, found, numbers, keep))
        except (InstanceError, PictureError) as exc:
            tell(leaf, exc)
            shown[leaf] = Shown()
            continue
        scripts += mine
        names = tuple(script.name for script in mine)
        shown[leaf] = Shown(found.frames, frames_together(found.size), names)
    return scripts, shown


def _scripts(
    leaf: Leaf, pixels: Native | Decoded, numbers: Iterator[int], keep: Keep
) -> Iterator[DataScript]:
    """Yield the scripts of one instance, each as it is made."""
    together = frames_together(pixels.size)
    for first in range(0, pixels.frames, together):
        last = min(first + together, pixels.frames)
        name = script_name(next(numbers))
        size = data_script_size(name, pixels.told, (last - first) * pixels.size)
        content = keep(data_script(name, pixels.told, pixels.chunks(first, last)), size)
        is_native = isinstance(pixels, Native)
        made_from = PixelScript(leaf.handle, first, last, VERSION) if is_native else None
        yield DataScript(name, leaf, content, made_from)


def remade(path: str, script: PixelScript, leaf: Leaf, vault: Vault) -> Iterator[bytes]:
    """Yield the script at `path` of a medium again, from its instance, which the vault has.

    Raises `RefusedError` for a format that this version can't make, InstanceError if the instance
    has no native pixels.
    """
    content = leaf.content
    if script.format != VERSION or content is None:
        raise RefusedError(f"This version can't make {path} again, of format {script.format}.")
    name = path.rpartition("/")[2]
    with vault.view(content.digest) as data, native(data) as pixels:
        if pixels is None:
            raise InstanceError("it has no native pixels")
        yield from data_script(name, pixels.told, pixels.chunks(script.first, script.last))
