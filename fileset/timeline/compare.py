"""What there is to compare: the File-set as of positions of the journal, and media."""

from __future__ import annotations

import os
from collections.abc import Callable
from functools import cache
from pathlib import Path

from fileset.adoption.adopt import Adoption
from fileset.adoption.existing import read_file_set
from fileset.errors import RefusedError
from fileset.repository.repository import Repository
from ledger.journal.protocol import decoded
from projections.dicomdir.definitions import DICOMDIR
from projections.medium.directory import as_written
from projections.past.diff import Side
from projections.past.effects import Effects, effects_of


def sides(repository: Repository, *positions: int | None, with_medium: bool = False) -> list[Side]:
    """Return the File-set as of each of `positions`; `None` stands for now.

    For a comparison `with_medium`, records are as their DICOMDIR has them: an application profile
    adds keys to them.

    It goes back from now, by what happened since: that costs what the changes in between cost.
    Only where instances say different things of one record, whose values stand depends on which
    were part and since when, and the states are made. ValueError if the journal has no such
    position.
    """
    state = repository.refresh()
    last = state.position
    wanted = [last if position is None else position for position in positions]
    for position in wanted:
        if not 1 <= position <= last:
            raise ValueError(f"The journal has the positions 1 to {last}, not {position}")
    if with_medium:
        icons = repository.vault.read
        return [Side.of(as_written(repository.at(position), icons)) for position in wanted]
    if state.hierarchy.varied:
        return [Side.of(repository.at(position)) for position in wanted]
    found = {last: Side.of(state)}
    of_change = effects_by_change(repository)
    there = last
    for position in sorted({*wanted}, reverse=True):
        since = effects_of(repository.journal.stored(position, there), decoded, of_change)
        found[position] = found[there].before(since, position, state.hierarchy.leaves)
        there = position
    return [found[position] for position in wanted]


def effects_by_change(repository: Repository) -> Callable[[str], Effects]:
    """Return what tells of a whole change what it amounts to, by its id."""

    @cache
    def of_change(id_: str) -> Effects:
        change = repository.find_change(id_)
        stored = repository.journal.stored(change.first - 1, change.last)
        return effects_of(stored, decoded, of_change)

    return of_change


def medium(root: Path) -> Side:
    """Return what the DICOMDIR at `root`, a folder or the DICOMDIR itself, lists.

    What it lists and is not there is left out, with a warning.
    """
    path = root / DICOMDIR if root.is_dir() else root
    if not path.exists():
        raise RefusedError(f"There is no DICOMDIR at {os.fspath(root)}.")
    found = read_file_set(path)
    repository = Repository.ephemeral()
    try:
        Adoption(repository, found, digest=False).run()
        side = Side.of(repository.state)
    finally:
        repository.close()
    return Side(None, side.identity, side.live)
