"""What is kept of a repository's state so that it need not be folded anew: snapshot and summary.

Each names the chain hash at its position, and is believed only where the journal has that. Both can
be deleted at any time.
"""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Final

from fileset.exclusion import Exclusion
from fileset.repository_folder import CACHE, SNAPSHOT, SUMMARY
from ledger.disk import fsync
from ledger.journal import Journal
from projections import snapshot as snapshots
from projections import summary as summaries
from projections.state import FileSetState
from projections.summary import Summary

_SNAPSHOT_EVERY: Final = 1000  # events; folding fewer costs less than reading a snapshot


class Caches:
    """The caches of the repository at `path`; of one without a folder nothing is kept."""

    def __init__(self, path: Path | None, journal: Journal, exclusion: Exclusion) -> None:
        self._folder = path / CACHE if path else None
        self._journal = journal
        self._exclusion = exclusion
        self._snapshot_position = 0

    # --- the state -------------------------------------------------------------------------------

    def snapshot(self, upto: int | None = None) -> snapshots.Snapshot | None:
        """Return the snapshot of this journal, ``None`` if there is none or it is beyond `upto`."""
        data = self._read(SNAPSHOT)
        if upto is not None and snapshots.is_beyond(data, upto):
            return None
        kept = snapshots.load(data)
        if kept is None or (upto is not None and kept.state.position > upto):
            return None
        return kept if kept.hash == self._hash_at(kept.state.position) else None

    def loaded(self, kept: snapshots.Snapshot) -> None:
        """Take note that the state goes on from `kept`."""
        self._snapshot_position = kept.state.position

    def keep_snapshot(self, state: FileSetState) -> None:
        """Save the state if the journal has grown by much since the last time.

        That is by an eighth. So all the snapshots ever made cost some nine times the last one,
        which is about what recording the events cost; and the events that come after a snapshot
        are folded in about the time in which it is read.
        """
        position = state.position
        if position - self._snapshot_position < max(_SNAPSHOT_EVERY, position // 8):
            return
        self._snapshot_position = position  # if it can't be kept now, not at every change from here
        self._keep(SNAPSHOT, position, lambda chain_hash: snapshots.dump(state, chain_hash))

    def summary(self) -> Summary | None:
        """Return what was told of the present state; ``None`` if that was of another one."""
        return summaries.load(self._read(SUMMARY), self._journal.head().hash.hex())

    def keep_summary(self, told: Summary) -> None:
        """Save what there is to tell of the present state."""
        self._keep(SUMMARY, told.position, lambda chain_hash: summaries.dump(told, chain_hash))

    # --- deleting --------------------------------------------------------------------------------

    def drop_states(self) -> None:
        """Delete the snapshot and the summary; the caller keeps others out."""
        self._snapshot_position = 0
        if self._folder is not None:
            for name in (SNAPSHOT, SUMMARY):
                (self._folder / name).unlink(missing_ok=True)

    def drop_all(self) -> None:
        """Delete all that can be built again; the caller keeps others out."""
        self._snapshot_position = 0
        if self._folder is None:
            return
        for path in self._folder.iterdir():
            if path.is_dir():
                shutil.rmtree(path)
            else:
                path.unlink()
        fsync(self._folder)

    # --- files -----------------------------------------------------------------------------------

    def _hash_at(self, position: int) -> str | None:
        for stored in self._journal.stored(after=position - 1, upto=position):
            return stored.hash.hex()
        return None

    def _read(self, name: str) -> bytes:
        """Return what was saved, nothing where nothing was."""
        if self._folder is None:
            return b""
        try:
            return (self._folder / name).read_bytes()
        except OSError:
            return b""

    def _keep(self, name: str, position: int, made_of: Callable[[str], bytes]) -> None:
        """Save what `made_of` makes of the chain hash at `position`.

        It is not saved while another process changes the repository or where one may not write.
        Nothing is raised: what is told or was done stays so.
        """
        if self._folder is None:
            return
        try:
            with self._exclusion.if_nobody_else() as alone:
                chain_hash = self._hash_at(position) if alone else None
                # Of what came before an erasure, by another process, nothing may be kept.
                if chain_hash is not None and self._journal.position == position:
                    _replace(self._folder / name, made_of(chain_hash))
        except Exception:  # noqa: BLE001 - a cache: all that is lost is time, at the next opening
            return


def _replace(path: Path, data: bytes) -> None:
    """Put `data` in the place of `path`; the caller holds the lock."""
    for left in path.parent.glob(f".{path.name}.*"):  # by a process that was killed
        left.unlink()
    fd, temporary = tempfile.mkstemp(prefix=f".{path.name}.", dir=path.parent)
    os.close(fd)
    try:
        Path(temporary).write_bytes(data)
        Path(temporary).replace(path)
    except OSError:
        Path(temporary).unlink(missing_ok=True)
        raise
