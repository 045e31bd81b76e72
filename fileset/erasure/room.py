"""How much has to be free on each disk before an erasure begins, so that it can be completed."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Container, Iterable, Iterator, Mapping
from pathlib import Path
from typing import Final

from attrs import frozen

from fileset.errors import RefusedError
from fileset.repository.repository import Repository
from ledger.events import Handle, Placement
from ledger.vault.protocol import Excess
from projections.dicomdir.definitions import DICOMDIR
from projections.state.nodes import Leaf
from projections.state.state import FileSetState

_BESIDES: Final = 1 << 20  # bytes for the events, the vault's index and the folders


@frozen
class Room:
    """How many bytes the disk of `folder` has to have free, and how many it has."""

    folder: str
    needed: int
    free: int

    @property
    def suffices(self) -> bool:
        """Whether there is as much as is needed."""
        return self.needed <= self.free

    def in_words(self) -> str:
        return f"{self.needed:,} bytes free on the disk of {self.folder}, which has {self.free:,}"


def room_for(
    repository: Repository, state: FileSetState, gone: Container[Handle], excess: Excess
) -> Iterator[Room]:
    """Yield the room that erasing the instances `gone` takes, for each disk.

    What only the medium has of them passes through the vault when they are taken off. Then the
    database is rebuilt, and then one pack after another is rewritten without them.
    """
    if repository.path is None:
        return
    taken_off = [leaf for leaf in map(state.hierarchy.leaves.get, _sorted(state, gone)) if leaf]
    on_medium = [leaf for leaf in taken_off if leaf.file_id is not None]
    first: Counter[Path] = Counter()
    if on_medium and state.written is not None:
        root = Path(state.written.root)
        first[root] += 2 * _size(root / DICOMDIR)
        first[repository.path] += sum(_kept_of(root, leaf) for leaf in on_medium)
    stages = [{repository.path: excess.room}, repository.journal.scrub_room()]
    yield from _rooms(first + Counter({repository.path: _BESIDES}), stages)


def room_to_complete(repository: Repository, excess: Excess) -> Iterator[Room]:
    """Yield the room that completing an erasure takes, for each disk."""
    if repository.path is not None:
        stages = [{repository.path: excess.room}, repository.journal.scrub_room()]
        yield from _rooms(Counter({repository.path: _BESIDES}), stages)


def refuse_without(rooms: Iterable[Room], outcome: str) -> None:
    """Raise `RefusedError` if a disk has too little room; `outcome` is what that means."""
    lacking = [room.in_words() for room in rooms if not room.suffices]
    if lacking:
        raise RefusedError(f"{outcome}: it takes {'; and '.join(lacking)}.")


def _sorted(state: FileSetState, gone: Container[Handle]) -> list[Handle]:
    return [handle for handle in state.hierarchy.leaves if handle in gone]


def _rooms(always: Mapping[Path, int], stages: Iterable[Mapping[Path, int]]) -> Iterator[Room]:
    """Yield what is needed on each disk: `always`, and the most that a stage takes."""
    folders: dict[int, Path] = {}
    most: Counter[int] = Counter()
    for stage in stages:
        taken = _by_disk(stage, folders)
        most |= taken
    for disk, needed in (_by_disk(always, folders) + most).items():
        found = os.statvfs(folders[disk])
        if found.f_blocks:  # else nobody can tell
            yield Room(os.fspath(folders[disk]), needed, found.f_bavail * found.f_frsize)


def _by_disk(needed: Mapping[Path, int], folders: dict[int, Path]) -> Counter[int]:
    disks: Counter[int] = Counter()
    for folder, size in needed.items():
        try:
            disk = folder.stat().st_dev
        except OSError:
            continue  # a medium that is not there: the write says so
        folders.setdefault(disk, folder)
        disks[disk] += size
    return disks


def _kept_of(root: Path, leaf: Leaf) -> int:
    """Return how many bytes of an instance go from the medium to the vault before it is erased."""
    if leaf.placement is Placement.VAULT:
        return 0
    return leaf.content.size if leaf.content is not None else _size(root / (leaf.file_id or ""))


def _size(path: Path) -> int:
    try:
        return path.stat().st_size
    except OSError:
        return 0
