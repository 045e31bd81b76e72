"""Icons of instances: made of their pixels, kept in the vault, and recorded.

What was recorded stays: a later version of a library makes no other icon of the same instance.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping

from fileset.pictures.icon import icon
from fileset.profiles.facts import FactsReader
from fileset.progress import Progress
from fileset.repository.repository import Repository
from ledger.errors import LedgerError
from ledger.events import IconRecorded
from projections.state.nodes import Leaf


def make_icons(
    repository: Repository,
    wanted: Collection[tuple[Leaf, int]],
    *,
    progress: Progress | None = None,
) -> Mapping[Leaf, OSError | LedgerError]:
    """Make and record the icons of instances that have none of that size; return why not.

    `wanted` has the rows and columns of each. Of an instance whose pixels can't be shown it is a
    `PictureError`, one of the class `NotInstalledError` if something is not installed.
    """
    recorded, reader = repository.state.recorded, FactsReader(repository)
    failed: dict[Leaf, OSError | LedgerError] = {}
    with repository.change(), repository.vault.batch() as batch:
        for done, (leaf, size) in enumerate(wanted, 1):
            if recorded.icon(size, leaf.handle) is None:
                try:
                    with reader.source(leaf) as source:
                        pixels = icon(source, size)
                except (OSError, LedgerError) as exc:
                    failed[leaf] = exc
                else:
                    repository.emit(IconRecorded(leaf.handle, size, batch.add(pixels)))
            if progress:
                progress(done, len(wanted))
    return failed
