"""The journal of an indexing that renames files, so that one that was killed can be completed.

It lies in the folder as long as the indexing goes on: nothing else tells a file under its new name
from a copy that somebody made.
"""

from __future__ import annotations

import fcntl
import os
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import Final

from attrs import frozen

from fileset.adding.outcome import Outcome, Result
from fileset.adding.report import AddReport
from fileset.errors import RefusedError
from fileset.medium.guards import refuse_place
from fileset.medium.write import Writer
from fileset.progress import Progress
from fileset.repository.folder import is_repository
from fileset.repository.repository import Repository
from ledger.digest import Digest
from ledger.disk import fsync
from ledger.events import ConflictNoted, InstanceAdded, InstanceRejected
from ledger.journal.sqlite import SqliteJournal
from projections.dicomdir.definitions import LEFTOVER
from projections.state.state import FileSetState

_JOURNAL: Final = f"{LEFTOVER}-index"
_NEW: Final = f"{_JOURNAL}.new"
_BESIDE: Final = ("-journal", "-wal", "-shm", "")
"""What the names of SQLite's files end with; the journal itself is the last to go."""


@frozen
class CompletedIndex:
    """What an interrupted indexing made, once it was completed."""

    uid: str
    dicomdir: Digest
    renamed: Mapping[str, str]


def begin_index(root: Path) -> Repository:
    """Return a repository for the indexing of `root`, whose journal lies there until `end_index`.

    Raises OSError if it can't be made, and `MediumError` if `root` is no place for a File-set.
    """
    refuse_place(root, None)
    SqliteJournal.create(root / _NEW).close()
    (root / _NEW).rename(root / _JOURNAL)
    fsync(root)
    return Repository.ephemeral(journal=SqliteJournal(root / _JOURNAL))


def end_index(root: Path, repository: Repository) -> None:
    """Take the journal of an indexing away, unless it is still to be completed.

    It can be read until the repository is closed.
    """
    if repository.state.writing is None:
        _remove(root)


@contextmanager
def indexing(root: Path) -> Iterator[None]:
    """Keep other indexings out of the folder `root`.

    `RefusedError` if one is at work there, or nothing can be put there.
    """
    if root.is_dir() and not os.access(root, os.W_OK):
        raise RefusedError(
            f"{root} can't be written to, and a DICOMDIR lies with its files: copy the folder, or "
            "add it to a repository with `fileset add` and make a medium with `fileset write`."
        )
    with ExitStack() as stack:
        with suppress(OSError):  # no folder, or a file system without locks
            fd = os.open(root, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
            stack.callback(os.close, fd)
            try:
                fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                raise RefusedError(
                    f"Another `fileset index` is at work in {root}: try again when it is done."
                ) from None
        yield


def kept_index(keep: Path, root: Path) -> Repository | None:
    """Return the repository `keep` if the indexing of `root` that made it was interrupted."""
    if not is_repository(keep):
        return None
    repository = Repository.open(keep)
    written, writing = repository.state.written, repository.state.writing
    if written is not None and written.is_adopted and Path(written.root) == root:
        begun = writing is not None and Path(writing.event.root) == root
        if begun or (writing is None and written.dicomdir is None):
            return repository
    repository.close()
    return None


def account_of(repository: Repository) -> AddReport:
    """Return the account of the files that an indexing has recorded."""
    report = AddReport()
    for recorded in repository.journal.read():
        event = recorded.event
        if isinstance(event, InstanceAdded):
            result = Result(event.source or "", Outcome.ADDED, handle=recorded.position)
        elif isinstance(event, ConflictNoted):
            result = Result(event.source or "", Outcome.CONFLICTING, handle=event.instance)
        elif isinstance(event, InstanceRejected):
            result = Result(event.source, Outcome.REJECTED, reason=event.reason)
        else:
            continue
        report.results.append(result)
    return report


def is_index_journal(path: str, root: Path) -> bool:
    """Whether `path` is what `begin_index` puts in `root`."""
    return path.startswith(os.fspath(root / _JOURNAL))


def complete_index(root: Path, progress: Progress | None = None) -> CompletedIndex | None:
    """Complete an indexing of `root` that was interrupted, `None` if none had begun to write.

    Raises as `Writer.resume`, and `RefusedError` if the folder was elsewhere then.
    """
    for ending in _BESIDE:
        (root / f"{_NEW}{ending}").unlink(missing_ok=True)
    if not (root / _JOURNAL).exists():
        return None
    repository = Repository.ephemeral(journal=SqliteJournal(root / _JOURNAL))
    try:
        writing = repository.state.writing
        if writing is not None and Path(writing.event.root) != root:
            raise RefusedError(
                f"An indexing was interrupted when {root} was at {writing.event.root}: put it "
                f"there again to complete the indexing."
            )
        Writer(repository).resume(progress=progress)
        completed = _completed(repository.state)
    finally:
        repository.close()
    _remove(root)
    return completed


def _completed(state: FileSetState) -> CompletedIndex | None:
    written = state.written
    if written is None or written.dicomdir is None or written.position == 1:
        return None
    renamed = {
        leaf.adopted_as: leaf.file_id
        for leaf in state.hierarchy.walk_leaves()
        if leaf.adopted_as and leaf.file_id and leaf.adopted_as != leaf.file_id
    }
    return CompletedIndex(state.identity.uid, written.dicomdir, renamed)


def _remove(root: Path) -> None:
    for ending in _BESIDE:
        (root / f"{_JOURNAL}{ending}").unlink(missing_ok=True)
    fsync(root)
