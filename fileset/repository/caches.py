"""Caches of a repository's state, so that it need not be folded again: snapshot and summary.

Each names the chain hash at its position, and is believed only where the journal has that. Both can
be deleted at any time.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Final

from fileset.repository.folder import SNAPSHOT, SUMMARY
from fileset.repository.store import Store
from projections.kept import summary as summaries
from projections.kept.summary import Summary

if TYPE_CHECKING:
    from projections.kept.snapshot import Snapshot
    from projections.state.state import FileSetState

_SNAPSHOT_EVERY: Final = 1000  # events; folding fewer costs less than reading a snapshot


class Caches:
    """The caches of a repository, kept among the blobs of its store, if it has any."""

    def __init__(self, store: Store) -> None:
        self._blobs = store.blobs
        self._journal = store.journal
        self._lock = store.lock
        self._snapshot_position = self._snapshot_touched = 0

    # --- the state -------------------------------------------------------------------------------

    def snapshot(self, upto: int | None = None) -> Snapshot | None:
        """Return the snapshot of this journal, `None` if there is none or it is beyond `upto`."""
        from projections.kept import snapshot as snapshots  # noqa: PLC0415 - a summary needs no fold

        data = self._read(SNAPSHOT)
        if upto is not None and snapshots.is_beyond(data, upto):
            return None
        kept = snapshots.load(data)
        if kept is None or (upto is not None and kept.state.position > upto):
            return None
        return kept if kept.hash == self._hash_at(kept.state.position) else None

    def loaded(self, kept: Snapshot) -> None:
        """Remember that the state goes on from `kept`."""
        self._snapshot_position, self._snapshot_touched = kept.state.position, kept.state.touched

    def keep_snapshot(self, state: FileSetState, *, closing: bool = False) -> None:
        """Save the state if the journal has grown by much since the last time.

        That is by an eighth; where the repository is `closing`, also by events that concern as many
        instances: one write concerns all. So all the snapshots ever made cost some nine times the
        last one, which is about what recording the events cost. Where most of the one before is
        taken over, which costs a tenth of that, a sixty-fourth is enough as it closes: who opens it
        next then folds the events that came after a snapshot in about the time of reading it.
        """
        from projections.kept import snapshot as snapshots  # noqa: PLC0415 - as above

        position, touched = state.position, state.touched
        grown, share = position - self._snapshot_position, 8
        if closing:
            grown = max(grown, touched - self._snapshot_touched)
            share = 64 if snapshots.is_cheap(state) else share
        if grown < max(_SNAPSHOT_EVERY, position // share):
            return
        # If it can't be kept now, not at every change from here.
        self._snapshot_position, self._snapshot_touched = position, touched
        self._keep(SNAPSHOT, position, lambda chain_hash: snapshots.pieces(state, chain_hash))

    def summary(self) -> Summary | None:
        """Return the summary that is kept of the present state; `None` if it is of another one."""
        return summaries.load(self._read(SUMMARY), self._journal.head().hash.hex())

    def keep_summary(self, summary: Summary) -> None:
        """Save what there is to tell of the present state."""
        self._keep(
            SUMMARY, summary.position, lambda chain_hash: [summaries.dump(summary, chain_hash)]
        )

    # --- deleting --------------------------------------------------------------------------------

    def drop_states(self) -> None:
        """Delete the snapshot and the summary; the caller keeps others out."""
        self._snapshot_position = self._snapshot_touched = 0
        if self._blobs is not None:
            for name in (SNAPSHOT, SUMMARY):
                self._blobs.delete(name)

    def drop_all(self) -> None:
        """Delete all that can be built again; the caller keeps others out."""
        self._snapshot_position = self._snapshot_touched = 0
        if self._blobs is not None:
            self._blobs.clear()

    # --- blobs -----------------------------------------------------------------------------------

    def _hash_at(self, position: int) -> str | None:
        link = self._journal.hash_at(position) if position else None
        return link.hex() if link else None

    def _read(self, name: str) -> bytes:
        """Return what was saved, nothing where nothing was."""
        return self._blobs.read(name) if self._blobs is not None else b""

    def _keep(
        self,
        name: str,
        position: int,
        made_of: Callable[[str], Iterable[bytes | bytearray | memoryview]],
    ) -> None:
        """Save what `made_of` makes of the chain hash at `position`.

        It is not saved while another process changes the repository or where one may not write.
        Nothing is raised: what is told or was done stays so.
        """
        if self._blobs is None:
            return
        try:
            with self._lock.if_nobody_else() as alone:
                chain_hash = self._hash_at(position) if alone else None
                # Of what came before an erasure, by another process, nothing may be kept.
                if chain_hash is not None and self._journal.position == position:
                    self._blobs.write(name, made_of(chain_hash))
        except Exception:  # noqa: BLE001 - a cache: all that is lost is time, at the next opening
            return
