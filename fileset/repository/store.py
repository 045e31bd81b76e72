"""A store: what a repository is made of, in one object, wherever it is.

That is its journal, its vault, the writers' lock, and caches. Today a store is a folder, or lasts
as long as the object: `is_kept` says which. Its `path` is for code that works on the folder's
files.
"""

from __future__ import annotations

import os
import shutil
import tempfile
import weakref
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import closing, contextmanager, suppress
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, TypeAlias

from fileset.errors import ClosedError, RepositoryError
from fileset.repository.blobs import Blobs, FolderBlobs
from fileset.repository.folder import (
    CACHE,
    INDEX,
    JOURNAL,
    SETTINGS,
    VAULT,
    is_repository,
    open_vault,
    read_settings,
    whose_folder,
    write_settings,
)
from fileset.repository.lock import FolderLock, WriterLock
from fileset.repository.named_roots import Roots
from ledger.disk import fsync, make_folders, new_folder
from ledger.errors import UnknownFormatError
from ledger.journal.clocks import Clock
from ledger.journal.entries import Stored
from ledger.journal.memory import MemoryJournal
from ledger.journal.protocol import Journal
from ledger.journal.sqlite import SqliteJournal

if TYPE_CHECKING:
    from ledger.vault.protocol import Vault

Restored: TypeAlias = tuple[str, Iterable[Stored]]
"""A journal that is to be made again: its id, and all that it had stored."""


class Store:
    """One repository's journal, vault, lock and blobs.

    Attributes
    ----------
    is_kept : bool
        Whether it outlives the object, so that a change is on the disk when it returns.
    blobs : Blobs or None
        What is kept and can be made again; `None` where nothing is.
    path : Path or None
        The folder, if the store is one.
    roots : Roots
        Which of the roots that the journal names count.
    newer : UnknownFormatError or None
        Why the state can't be told: a newer version made the store. It is only to be read.
    is_closed : bool
        Whether `close` was called: journal and vault can't be used any more.
    """

    def __init__(
        self,
        journal: Journal,
        open_vault: Callable[[], Vault],
        lock: WriterLock,
        *,
        is_kept: bool,
        blobs: Blobs | None = None,
        path: Path | None = None,
        newer: UnknownFormatError | None = None,
    ) -> None:
        self.journal = journal
        self._open_vault = open_vault
        self._vaults: list[Vault] = []  # the one, as soon as it was asked for
        self.lock = lock
        self.is_kept = is_kept
        self.blobs = blobs
        self.path = path
        self.roots = Roots(path)
        self.newer = newer
        self.is_closed = False
        # Programs written for pydicom's FileSet never close one.
        weakref.finalize(self, _let_go, journal, self._vaults, os.getpid())

    @property
    def vault(self) -> Vault:
        """The vault, which many commands don't look into."""
        if not self._vaults:
            self._vaults.append(self._open_vault())
        return self._vaults[0]

    def is_same(self, other: Store) -> bool:
        """Whether `other` is this very store, opened there or anew."""
        return self is other or (self.path is not None and self.path == other.path)

    def refuse_if_newer(self) -> None:
        """Raise `UnknownFormatError` if a newer version made the store."""
        if self.newer is not None:
            raise self.newer

    def refuse_if_closed(self) -> None:
        """Raise `ClosedError` if it was closed."""
        if self.is_closed:
            what = "File-set" if self.path is None else f"repository {self.path}"
            then = "it was kept nowhere" if self.path is None else "open it again"
            raise ClosedError(f"The {what} was closed: {then}.")

    def close(self) -> None:
        """Close the files, which also happens when the object is dropped."""
        self.is_closed = True
        self.journal.close()
        for vault in self._vaults:
            vault.close()


def store_in_memory(clock: Clock, journal: Journal | None = None) -> Store:
    """Make a store that goes with the object: in memory, its vault in a temporary folder.

    A `journal` that is given stays where it is.
    """
    folder = Path(tempfile.mkdtemp(prefix="fileset-"))

    def in_folder() -> Vault:
        from ledger.vault.vault import PackVault  # noqa: PLC0415 - as of any vault

        return PackVault(folder / VAULT, folder / INDEX, durable=False)

    journal = journal or MemoryJournal(clock=clock)
    store = Store(journal, in_folder, WriterLock(), is_kept=False)
    weakref.finalize(store, _remove_own, folder, os.getpid())
    return store


def open_store(path: Path, clock: Clock, *, newer_too: bool = False) -> Store:
    """Open the store in the folder `path`.

    Raises `RepositoryError` if there is none, `UnknownFormatError` if a newer version made it,
    unless with `newer_too`.
    """
    if not is_repository(path):
        if (path / JOURNAL).is_file():
            raise RepositoryError(f"{path} has lost its {SETTINGS}: `fileset recover` rebuilds it.")
        raise RepositoryError(
            f"There is no repository at {path}: make one with `fileset init {path}`."
        )
    newer: UnknownFormatError | None = None
    named: str | None = None
    try:
        named = read_settings(path / SETTINGS)
    except UnknownFormatError as exc:
        if not newer_too:
            raise
        newer = exc
    journal = SqliteJournal(path / JOURNAL, clock=clock, read_only=newer is not None)
    try:
        if named is not None and journal.id != named:
            raise RepositoryError(  # noqa: TRY301 - whatever it is, the journal is closed
                f"{path / JOURNAL} is another repository's: its id is {journal.id}, and that "
                f"of the journal that belongs here {named}. Put that one back; if nobody moved "
                "it, it is damaged: see `fileset recover`."
            )
        return Store(
            journal,
            partial(open_vault, path, writable=newer is None),
            FolderLock(path),
            is_kept=True,
            blobs=FolderBlobs(path / CACHE),
            path=path,
            newer=newer,
        )
    except BaseException:
        journal.close()
        raise


def open_journal(path: Path) -> Journal:
    """Open the journal alone of the store in the folder `path`, to read it as it is now."""
    return SqliteJournal(path / JOURNAL, read_only=True)


@contextmanager
def new_store(path: Path, restored: Restored | None = None) -> Iterator[Path]:
    """Make a store in the folder `path`; yield where it is until the block ends, to be filled.

    Its journal is new, or the one that is to be `restored`. If that or the block fails there is no
    store. Raises `RepositoryError` if something is at `path` already.
    """
    if path.exists() and (not path.is_dir() or any(path.iterdir())):
        what = "is a repository already" if is_repository(path) else "exists and is not empty"
        raise RepositoryError(f"{path} {what}: name a new folder for the repository.")
    if (whose := whose_folder(path)) is not None:
        raise RepositoryError(f"{path} is in {whose}: name another folder.")
    make_folders(path.parent)
    try:
        with new_folder(path, 0o700) as building:
            for name in (VAULT, CACHE):
                (building / name).mkdir(mode=0o700)
            at = building / JOURNAL
            made = SqliteJournal.restore(at, *restored) if restored else SqliteJournal.create(at)
            with closing(made) as journal:
                write_settings(building / SETTINGS, journal.id)
            yield building
            for name in (JOURNAL, SETTINGS, "."):
                fsync(building / name)
    except OSError as exc:
        if f".{path.name}." not in str(exc):
            raise  # a file that is read
        raise RepositoryError(f"The repository {path} can't be made: {exc.strerror}.") from exc


def _let_go(journal: Journal, vaults: Sequence[Vault], owner: int) -> None:
    """Close what a dropped store had open, unless this process was forked from its `owner`."""
    if os.getpid() == owner:
        journal.close()
        for vault in vaults:
            vault.close()


def _remove_own(folder: Path, owner: int) -> None:
    """Delete `folder`, unless this process was only forked from the `owner` of it."""
    if os.getpid() == owner:
        with suppress(OSError):  # of the open folder, which rmtree does not ignore
            shutil.rmtree(folder, ignore_errors=True)
