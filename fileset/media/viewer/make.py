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
from fileset.media.viewer.native import VERSION, native
from fileset.media.viewer.scripts import Shown, data_script, frames_together, script_name
from fileset.pictures import PictureError
from ledger.errors import InstanceError
from ledger.events import PixelScript
from ledger.files import FileView
from ledger.vault.protocol import Vault
from projections.state.nodes import Leaf

View: TypeAlias = Callable[[Leaf], AbstractContextManager[FileView]]
"""Gives the bytes of an instance."""

Place: TypeAlias = Callable[[Leaf], Path]
"""Returns where the file of an instance can be read."""


@frozen
class DataScript:
    """The script `name`: it has the frames of an instance from `first` up to, and without, `last`.

    `is_native` is whether it follows from the instance alone.
    """

    name: str
    leaf: Leaf
    first: int
    last: int
    is_native: bool


def plan_scripts(
    leaves: Iterable[Leaf], view: View, place: Place, tell: Callable[[Leaf, str], None]
) -> tuple[list[DataScript], dict[Leaf, Shown]]:
    """Return the scripts that `leaves` take, and what the list says of each of these.

    `tell` is called for one that can't be shown, with the reason.
    """
    scripts: list[DataScript] = []
    shown: dict[Leaf, Shown] = {}
    numbers = count(1)
    for leaf in leaves:
        try:
            with view(leaf) as data, native(data) as pixels:
                found = pixels or Decoded(place(leaf))
                together, frames = frames_together(found.size), found.frames
        except (InstanceError, PictureError) as exc:
            tell(leaf, exc.reason if isinstance(exc, InstanceError) else str(exc))
            shown[leaf] = Shown()
            continue
        mine = [
            DataScript(
                script_name(next(numbers)),
                leaf,
                first,
                min(first + together, frames),
                pixels is not None,
            )
            for first in range(0, frames, together)
        ]
        scripts += mine
        shown[leaf] = Shown(frames, together, tuple(script.name for script in mine))
    return scripts, shown


def script_chunks(script: DataScript, view: View, place: Place) -> Iterator[bytes]:
    """Yield a script; raises as reading the instance does."""
    if not script.is_native:
        decoded = Decoded(place(script.leaf))
        yield from data_script(script.name, decoded.told, decoded.chunks(script.first, script.last))
        return
    with view(script.leaf) as data, native(data) as pixels:
        if pixels is None:
            raise InstanceError("it has no native pixels")
        yield from data_script(script.name, pixels.told, pixels.chunks(script.first, script.last))


def remade(path: str, script: PixelScript, leaf: Leaf, vault: Vault) -> Iterator[bytes]:
    """Yield the script at `path` of a medium again, from its instance, which the vault has.

    Raises `RefusedError` for a format that this version can't make.
    """
    content = leaf.content
    if script.format != VERSION or content is None:
        raise RefusedError(f"This version can't make {path} again, of format {script.format}.")
    digest = content.digest
    name = path.rpartition("/")[2]
    asked = DataScript(name, leaf, script.first, script.last, is_native=True)
    yield from script_chunks(asked, lambda _: vault.view(digest), _no_place)


def _no_place(leaf: Leaf) -> Path:
    raise AssertionError(leaf)  # native pixels are read from the vault
