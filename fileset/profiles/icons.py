"""Icons of instances: made of their pixels, kept in the vault, and recorded.

What was recorded stays: a later version of a library makes no other icon of the same instance.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Final

from fileset.pictures.icon import icon
from fileset.profiles.facts import FactsReader
from fileset.progress import Progress
from fileset.repository.repository import Repository
from ledger.errors import LedgerError
from ledger.events import Handle, IconRecorded
from projections.state.nodes import Leaf

_TOGETHER: Final = 4 << 20  # bytes of icons that are recorded at a time


def make_icons(
    repository: Repository,
    wanted: Collection[tuple[Leaf, int]],
    *,
    progress: Progress | None = None,
) -> Mapping[Leaf, OSError | LedgerError]:
    """Make and record the icons of instances that have none of that size; return why not.

    `wanted` has the rows and columns of each. Of an instance whose pixels can't be shown it is a
    `PictureError`, one of the class `NotInstalledError` if something is not installed.

    Unless it is called within a change, others can change the repository while icons are made:
    these are recorded in changes of their own, and those that were made when it is interrupted as
    well. `RefusedError` if others are not done in time for that.
    """
    reader = FactsReader(repository)
    failed: dict[Leaf, OSError | LedgerError] = {}
    made: list[tuple[Handle, int, bytes]] = []
    size_made = 0
    try:
        for done, (leaf, size) in enumerate(wanted, 1):
            if repository.state.recorded.icon(size, leaf.handle) is None:
                try:
                    with reader.source(leaf) as source:
                        pixels = icon(source, size)
                except (OSError, LedgerError) as exc:
                    failed[leaf] = exc
                else:
                    made.append((leaf.handle, size, pixels))
                    size_made += len(pixels)
            if size_made >= _TOGETHER:
                ready, made, size_made = made, [], 0
                _record(repository, ready)
            if progress:
                progress(done, len(wanted))
    finally:
        if made:
            _record(repository, made)
    return failed


def _record(repository: Repository, made: Collection[tuple[Handle, int, bytes]]) -> None:
    """Record icons, but for those that others have recorded, or whose instances were erased."""
    with repository.change(), repository.vault.batch() as batch:
        state = repository.state
        for handle, size, pixels in made:
            if handle in state.hierarchy.leaves and state.recorded.icon(size, handle) is None:
                repository.emit(IconRecorded(handle, size, batch.add(pixels)))
