"""What the vault holds and no event names: left by aborted adds, and by erasure."""

from __future__ import annotations

import re
from collections.abc import Container
from typing import Final

from fileset.repository.repository import Repository
from ledger.digest import Digest
from ledger.journal.protocol import Journal
from ledger.vault.protocol import Excess

_DIGEST: Final = re.compile(rb"sha256:[0-9a-f]{64}")


def needed(journal: Journal, without: Container[int] = ()) -> set[Digest]:
    """Return the digests that any event names, except those at the positions `without`.

    Digests of other things than instances are included, which does no harm. Undo and time travel
    have all that they need: they never go beyond what events name.
    """
    return {
        Digest(found.decode("ascii"))
        for stored in journal.stored()
        if stored.position not in without
        for found in _DIGEST.findall(stored.payload)
    }


def collect(repository: Repository, *, dry_run: bool = True) -> Excess:
    """Drop what the vault holds and no event names, and return how much it is.

    With `dry_run` nothing is dropped. Raises `RefusedError` while another
    process changes the repository: what it has added may not be named yet.
    """
    repository.outside_changes("Dropping unneeded content")
    with repository.exclusively():
        reachable = needed(repository.journal)
        vault = repository.vault
        return vault.excess(reachable) if dry_run else vault.drop_excess(reachable)
