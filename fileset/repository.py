"""A repository: the journal, the vault and the state of one File-set, kept together.

On disk it is a folder of mode 0700::

    repository.toml     what it is, for people and for this module
    journal.sqlite      the truth
    vault/              the content of instances, in packs
    cache/              disposable: the vault's index, a snapshot and a summary of the state
    lock                held by the one process that is changing it

An *ephemeral* repository has its journal in memory and its vault in a temporary folder, and goes
with the object.

Every change runs in :meth:`Repository.change`: its events are applied to the state as they come
and appended to the journal together at the end, or not at all.
"""

from __future__ import annotations

import getpass
import os
import secrets
import shutil
import socket
import sys
import tempfile
import tomllib
import weakref
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from pathlib import Path
from typing import Any, Final

from filelock import FileLock, Timeout

from fileset.collecting import no_collecting
from fileset.errors import (
    NoSuchInstanceError,
    RefusedError,
    RepositoryError,
)
from fileset.moments import change_of
from fileset.stepping import Plan, Step, redoing, reverting, undoing
from ledger.disk import fsync
from ledger.errors import JournalError, UnknownFormatError
from ledger.events import (
    DescriptorCharacterSetChanged,
    DescriptorFileIDChanged,
    Event,
    FileSetCreated,
    FileSetIDChanged,
    FileSetUIDChanged,
    Handle,
    InstanceRemoved,
)
from ledger.journal import Change, Clock, Draft, Journal, Recorded, utc_now
from ledger.memory import MemoryJournal
from ledger.sqlite import SqliteJournal
from ledger.vault import PackVault, Vault
from projections import snapshot, summary
from projections.state import FileSetState
from projections.summary import Summary, summarise

SETTINGS: Final = "repository.toml"
FORMAT: Final = 1
"""The version of the folder's layout."""

_SETTINGS_TEXT: Final = f"""\
# A repository of fileset-ledger: the journal of a DICOM File-set.
# Look at it with `fileset --repo . status`; nothing in here is to be edited by hand.
format = {FORMAT}
"""
_JOURNAL: Final = "journal.sqlite"
_VAULT: Final = "vault"
_CACHE: Final = "cache"
_LOCK: Final = "lock"
_INDEX: Final = "vault-index.sqlite"
_SNAPSHOT: Final = "snapshot.json"
_SUMMARY: Final = "summary.json"
_LOCK_SECONDS: Final = 60
_SNAPSHOT_EVERY: Final = 1000  # events; folding fewer costs less than reading a snapshot

_CHANGED_EVENTS: Final = {
    "id": FileSetIDChanged,
    "uid": FileSetUIDChanged,
    "descriptor_file_id": DescriptorFileIDChanged,
    "descriptor_character_set": DescriptorCharacterSetChanged,
}


class Repository:
    """A File-set's journal, vault and state; see :meth:`create`, :meth:`open`, :meth:`ephemeral`.

    Attributes
    ----------
    path : Path or None
        The folder, ``None`` for an ephemeral repository.
    durable : bool
        Whether a change is on the disk when it returns.
    actor : str or None
        Who makes the changes that name nobody; ``None`` for whoever runs the program.
    """

    def __init__(
        self, path: Path | None, journal: Journal, vault: Vault, *, durable: bool, origin: str
    ) -> None:
        self.path = path
        self.journal = journal
        self.vault = vault
        self.durable = durable
        self.origin = origin
        self.actor: str | None = None
        self._lock = FileLock(path / _LOCK, timeout=_LOCK_SECONDS) if path else None
        self.newer: UnknownFormatError | None = None
        """Why the state can't be told: a newer version made the folder. It is only to be read."""
        self._state: FileSetState | None = None
        self._snapshot_position = 0
        self._loaded_position = 0
        self._draft: Draft | None = None
        self._change: Change | None = None
        self._base = 0
        self._buffer: list[Event] = []
        self.rollbacks: list[int] = []
        """The positions that changes were taken back to: later ones were given out again."""

    # --- making and opening ----------------------------------------------------------------------

    @classmethod
    def create(
        cls,
        path: Path,
        begin: Callable[[Repository], object],
        *,
        clock: Clock = utc_now,
        origin: str | None = None,
        make_journal: Callable[[Path], Journal] = SqliteJournal.create,
    ) -> Repository:
        """Make a new repository in the folder `path`, with what `begin` records in its journal.

        `make_journal` makes the journal at a path. If it or `begin` fails there is no repository.
        Raises :class:`~fileset.errors.RepositoryError` if something is at `path` already.
        """
        path = Path(path).absolute()
        if path.exists() and (not path.is_dir() or any(path.iterdir())):
            what = "is a repository already" if is_repository(path) else "exists and is not empty"
            raise RepositoryError(f"{path} {what}: name a new folder for the repository.")
        if (around := find_repository(path.parent)) is not None:
            raise RepositoryError(f"{path} is in the repository {around}: name another folder.")
        path.parent.mkdir(parents=True, exist_ok=True)
        # Built beside and renamed, so that a repository is there whole or not at all.
        try:
            building = Path(tempfile.mkdtemp(prefix=f".{path.name}.", dir=path.parent))
        except OSError as exc:
            raise RepositoryError(f"The repository {path} can't be made: {exc.strerror}.") from exc
        try:
            for name in (_VAULT, _CACHE):
                (building / name).mkdir(mode=0o700)
            make_journal(building / _JOURNAL).close()
            (building / SETTINGS).write_text(_SETTINGS_TEXT, encoding="utf-8")
            repository = cls.open(building, clock=clock, origin=origin)
            try:
                begin(repository)
            finally:
                repository.close()
            for name in (_JOURNAL, SETTINGS, "."):
                fsync(building / name)
            building.rename(path)
            fsync(path.parent)
        except BaseException as exc:
            shutil.rmtree(building, ignore_errors=True)
            if isinstance(exc, OSError) and str(building) in str(exc):
                raise RepositoryError(
                    f"The repository {path} can't be made: {exc.strerror}."
                ) from exc
            raise
        return cls.open(path, clock=clock, origin=origin)

    @classmethod
    def open(
        cls,
        path: Path,
        *,
        clock: Clock = utc_now,
        origin: str | None = None,
        newer_too: bool = False,
    ) -> Repository:
        """Open the repository in the folder `path`.

        Raises :class:`~fileset.errors.RepositoryError` if there is none,
        :class:`~ledger.errors.UnknownFormatError` if a newer version made it. With `newer_too` such
        a one is opened for reading what was recorded; its state can't be told.
        """
        path = Path(path).absolute()
        if not is_repository(path):
            raise RepositoryError(
                f"There is no repository at {path}: make one with `fileset init {path}`."
            )
        newer: UnknownFormatError | None = None
        try:
            _check_settings(path / SETTINGS)
        except UnknownFormatError as exc:
            if not newer_too:
                raise
            newer = exc
        repository = cls(
            path,
            SqliteJournal(path / _JOURNAL, clock=clock, read_only=newer is not None),
            open_vault(path, writable=newer is None),
            durable=True,
            origin=origin or default_origin(),
        )
        repository.newer = newer
        return repository

    @classmethod
    def ephemeral(cls, *, clock: Clock = utc_now) -> Repository:
        """Make a repository that lasts as long as the object."""
        folder = Path(tempfile.mkdtemp(prefix="fileset-"))
        repository = cls(
            None,
            MemoryJournal(clock=clock),
            PackVault(folder / _VAULT, folder / _INDEX, durable=False),
            durable=False,
            origin=default_origin(),
        )
        weakref.finalize(repository, shutil.rmtree, folder, ignore_errors=True)
        return repository

    def close(self) -> None:
        """Let go of the files.

        A snapshot is kept if the journal has grown by much, a summary if it has grown at all.
        """
        self._keep_snapshot()
        state = self._state
        if state is not None and state.position > self._loaded_position:
            self._keep(
                _SUMMARY,
                state.position,
                lambda chain_hash: summary.dump(summarise(state), chain_hash),
            )
        self.journal.close()
        self.vault.close()

    # --- the state -------------------------------------------------------------------------------

    @property
    def state(self) -> FileSetState:
        """The state as of the last event that this object knows of; see :meth:`refresh`."""
        self._refuse_if_newer()
        if self._state is None:
            self._state = self._load()
            self._loaded_position = self._state.position
        return self._state

    def refresh(self) -> FileSetState:
        """Return the state after taking in what others have appended."""
        state = self.state
        if self._draft is None:
            state.advance(self.journal.read(after=state.position))
        return state

    def at(self, position: int) -> FileSetState:
        """Return the state as of `position`; ValueError if the journal has no such position.

        It is one of its own, which no later change touches. The snapshot spares folding what came
        before it, unless it was taken later than that.
        """
        last = self.journal.position
        if not 1 <= position <= last:
            raise ValueError(f"The journal has the positions 1 to {last}, not {position}")
        with no_collecting():
            kept = self._read_snapshot(upto=position)
            state = kept.state if kept else FileSetState()
            return state.advance(self.journal.read(after=state.position, upto=position))

    def folded(self) -> tuple[FileSetState, bool]:
        """Return the state folded from all the events, which no snapshot has a say in.

        And whether the snapshot, if there is one, is what the events up to it amount to.
        """
        self._refuse_if_newer()
        with no_collecting():
            state, is_right = FileSetState(), True
            if (kept := self._read_snapshot()) is not None:
                state.advance(self.journal.read(upto=kept.state.position))
                is_right = snapshot.dump(state, kept.hash) == snapshot.dump(kept.state, kept.hash)
            return state.advance(self.journal.read(after=state.position)), is_right

    def rebuild(self) -> FileSetState:
        """Throw away snapshots and indexes, and return the state folded from the whole journal."""
        with self.exclusively():
            if self.path is not None:
                for name in (_SNAPSHOT, _SUMMARY):
                    (self.path / _CACHE / name).unlink(missing_ok=True)
            self.vault.rebuild_index()
            self._snapshot_position = 0
            with no_collecting():
                self._state = FileSetState.fold(self.journal.read())
            self._keep_snapshot()
            return self._state

    def summary(self) -> Summary:
        """Return what there is to tell of the present state, as it was told before if it was."""
        if self._draft is None:
            told = summary.load(self._read_cache(_SUMMARY), self.journal.head().hash.hex())
            if told is not None:
                return told
        state = self.refresh()
        told = summarise(state)
        self._keep(_SUMMARY, told.position, lambda chain_hash: summary.dump(told, chain_hash))
        return told

    def _load(self) -> FileSetState:
        """Return the state from a snapshot and the events after it, or from all events."""
        with no_collecting():
            kept = self._read_snapshot()
            if kept is None:
                return FileSetState.fold(self.journal.read())
            self._snapshot_position = kept.state.position
            return kept.state.advance(self.journal.read(after=kept.state.position))

    def _read_snapshot(self, upto: int | None = None) -> snapshot.Snapshot | None:
        """Return the snapshot of this journal, ``None`` if there is none or it is beyond `upto`."""
        data = self._read_cache(_SNAPSHOT)
        if upto is not None and snapshot.is_beyond(data, upto):
            return None
        kept = snapshot.load(data)
        if kept is None or (upto is not None and kept.state.position > upto):
            return None
        return kept if kept.hash == self._hash_at(kept.state.position) else None

    def _hash_at(self, position: int) -> str | None:
        for stored in self.journal.stored(after=position - 1, upto=position):
            return stored.hash.hex()
        return None

    def _keep_snapshot(self) -> None:
        """Save the state if the journal has grown by much since the last time.

        That is by an eighth. So all the snapshots ever made cost some nine times the last one,
        which is about what recording the events cost; and the events that come after a snapshot
        are folded in about the time in which it is read.
        """
        state = self._state
        if state is None or self._draft is not None:
            return
        position = state.position
        if position - self._snapshot_position < max(_SNAPSHOT_EVERY, position // 8):
            return
        self._snapshot_position = position  # if it can't be kept now, not at every change from here
        self._keep(_SNAPSHOT, position, lambda chain_hash: snapshot.dump(state, chain_hash))

    def _read_cache(self, name: str) -> bytes:
        """Return what was saved in the cache, nothing where nothing was."""
        if self.path is None:
            return b""
        try:
            return (self.path / _CACHE / name).read_bytes()
        except OSError:
            return b""

    def _keep(self, name: str, position: int, made_of: Callable[[str], bytes]) -> None:
        """Save in the cache what `made_of` makes of the chain hash at `position`.

        It is not saved while a change is open, nor while another process changes the repository
        or where one may not write. Nothing is raised: what is told or was done stays so.
        """
        if self.path is None or self._lock is None or self._draft is not None:
            return
        try:
            with self._lock.acquire(timeout=0):
                chain_hash = self._hash_at(position)
                # Of what came before an erasure, by another process, nothing may be kept.
                if chain_hash is not None and self.journal.position == position:
                    _replace(self.path / _CACHE / name, made_of(chain_hash))
        except Exception:  # noqa: BLE001 - a cache: all that is lost is time, at the next opening
            return

    def forget_caches(self) -> None:
        """Delete all that can be built again; the caller holds the lock."""
        self.vault.close()
        self._snapshot_position = 0
        if self.path is None:
            return
        for path in (self.path / _CACHE).iterdir():
            if path.is_dir():
                shutil.rmtree(path)
            else:
                path.unlink()
        fsync(self.path / _CACHE)

    # --- changes ---------------------------------------------------------------------------------

    @contextmanager
    def change(
        self, reason: str | None = None, actor: str | None = None, origin: str | None = None
    ) -> Iterator[str]:
        """Make everything inside one change, recorded when the block ends; yield its id.

        An exception leaves the journal as it was. Inside another change this is part of it, and an
        exception takes back this part.
        """
        if self._draft is not None:
            begun = len(self._buffer)
            try:
                yield self._draft.id
            except BaseException:
                self._take_back(begun)
                raise
            return
        with self.exclusively():
            state = self.refresh()
            self._base = state.position
            self._draft = Draft(
                id=secrets.token_hex(6),
                actor=actor or self.actor or default_actor(),
                origin=origin or self.origin,
                reason=reason,
            )
            # What the state is told of it: its count and its time are not known before the end.
            self._change = Change(
                self._draft.id, self._base + 1, 0, "", self._draft.actor, self._draft.origin, reason
            )
            try:
                yield self._draft.id
                if self._buffer:
                    self.journal.append(self._buffer, self._draft, expected=self._base)
            except BaseException:
                self._take_back(0)
                raise
            finally:
                self._draft = self._change = None
                self._buffer = []
            self._keep_snapshot()

    def _take_back(self, count: int) -> None:
        """Undo all but the first `count` events of the open change: they never happened."""
        if len(self._buffer) == count:
            return
        kept, self._buffer = self._buffer[:count], []
        self.rollbacks.append(self._base + count)
        self._state = None
        for event in kept:
            self.emit(event)

    def emit(self, event: Event) -> int:
        """Make `event` the next one of the open change and return its position."""
        change = self._change
        if change is None:
            raise JournalError("Events are emitted within a change")
        state = self.state
        position = state.position + 1
        self._buffer.append(event)  # first: a half-applied event is taken back with the others
        state.apply(Recorded(position, change, event))
        return position

    @property
    def is_changing(self) -> bool:
        """Whether a change is open."""
        return self._draft is not None

    def _refuse_if_newer(self) -> None:
        if self.newer is not None:
            raise self.newer

    def exclusively(self) -> AbstractContextManager[Any]:
        """Return a context in which no other process changes the repository.

        Raises :class:`~fileset.errors.RefusedError` if another one holds it for a minute.
        """
        self._refuse_if_newer()
        return self._locked() if self._lock else nullcontext()

    @contextmanager
    def _locked(self) -> Iterator[None]:
        assert self._lock is not None  # noqa: S101 - exclusively() asks before
        try:
            self._lock.acquire()
        except Timeout as exc:
            raise RefusedError(
                f"Another process has been changing {self.path} for {_LOCK_SECONDS} s: "
                "try again when it is done."
            ) from exc
        try:
            yield
        finally:
            self._lock.release()

    def outside_changes(self, what: str) -> None:
        """Raise :class:`~fileset.errors.RefusedError` if a change is open."""
        if self.is_changing:
            raise RefusedError(f"{what} can't be part of another change.")

    # --- the commands that need nothing but the state --------------------------------------------

    def begin(self, uid: str, file_set_id: str | None = None) -> None:
        """Record the creation of a new, empty File-set."""
        with self.change():
            self.emit(FileSetCreated(uid=uid, id=file_set_id))

    def remove(self, handles: Iterable[Handle], *, reason: str | None = None) -> None:
        """Remove instances, all or none.

        Raises :class:`~fileset.errors.NoSuchInstanceError` if one is not part of the File-set.
        """
        with self.change(reason):
            for handle in handles:
                leaf = self.state.hierarchy.leaves.get(handle)
                if leaf is None or not leaf.is_live:
                    raise NoSuchInstanceError("No such instance in the File-set")
                self.emit(InstanceRemoved(handle))

    def set_identity(self, name: str, value: Any, *, reason: str | None = None) -> bool:
        """Set a field of the File-set's identity; ``False`` if it has that value already."""
        with self.change(reason):
            previous = getattr(self.state.identity, name)
            if value == previous:
                return False
            self.emit(_CHANGED_EVENTS[name](value=value, previous=previous))
            return True

    def undo(self, n: int = 1, *, reason: str | None = None) -> list[str]:
        """Take back the newest `n` changes and return their ids, newest first."""
        self.outside_changes("An undo")
        return list(self.step(undoing(n), reason=reason)[0].changes)

    def redo(self, n: int = 1, *, reason: str | None = None) -> list[str]:
        """Do again the `n` changes undone last and return their ids, oldest first."""
        self.outside_changes("A redo")
        return list(self.step(redoing(n), reason=reason)[0].changes)

    def revert(self, start: str, *, reason: str | None = None) -> str:
        """Take back the change whose id begins with `start`, and return its id.

        Raises :class:`~fileset.errors.RevertRefusedError` if later changes stand in the way,
        :class:`~fileset.errors.RefusedError` if there is nothing to take back,
        :class:`~fileset.errors.NoSuchMomentError` if there isn't just one such change.
        """
        (change,) = self.step(reverting(self, change_of(self, start)), reason=reason)[0].changes
        return change

    def step(self, plan: Plan, *, reason: str | None = None) -> tuple[Step, str]:
        """Do what `plan` says to the present state; return that, and the id of the new change."""
        with self.change(reason) as id_:
            step = plan(self.state)
            for event in step.events:
                self.emit(event)
        return step, id_

    def foresee(self, plan: Plan) -> tuple[Step, FileSetState]:
        """Return what `plan` would do to the present state, and the state it would lead to.

        Nothing is recorded.
        """
        self.outside_changes("A preview")
        state = self.at(self.journal.position)
        step = plan(state)
        foreseen = Change("foreseen", state.position + 1, len(step.events), "", "", "", None)
        for event in step.events:
            state.apply(Recorded(state.position + 1, foreseen, event))
        return step, state

    def changes(self) -> list[Change]:
        """Return every change in the journal, oldest first."""
        return list(self.journal.changes())

    def find_change(self, id_: str) -> Change:
        """Return the change whose id begins with `id_`; KeyError if there isn't exactly one."""
        found = self.journal.find_change(id_)
        if found is None:
            raise KeyError(id_)
        return found

    def events_of(self, change: Change) -> Sequence[Recorded]:
        """Return the events of `change`."""
        return list(self.journal.read(after=change.first - 1, upto=change.last))


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


def is_repository(path: Path) -> bool:
    """Whether the folder `path` is a repository."""
    return (path / SETTINGS).is_file()


def open_vault(path: Path, *, writable: bool = True) -> PackVault:
    """Open the vault of the repository in the folder `path`."""
    return PackVault(path / _VAULT, path / _CACHE / _INDEX, writable=writable)


def find_repository(start: Path) -> Path | None:
    """Return the nearest repository at or above the folder `start`."""
    start = start.absolute()
    return next((path for path in (start, *start.parents) if is_repository(path)), None)


def default_actor() -> str:
    """Return who is changing things: the login name, or the number of a user without one."""
    try:
        return getpass.getuser()
    except (KeyError, OSError):
        return f"uid {os.getuid()}"


def default_origin() -> str:
    """Return where changes come from: the program and the host."""
    return f"{Path(sys.argv[0]).name or 'python'}@{socket.gethostname()}"


def _check_settings(path: Path) -> None:
    try:
        settings = tomllib.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as exc:
        raise RepositoryError(f"{path} can't be read: {exc}.") from exc
    version = settings.get("format")
    if version != FORMAT:
        raise UnknownFormatError(
            f"{path.parent} is a repository of format {version}; this version of fileset-ledger "
            f"knows format {FORMAT} and changes nothing. `fileset log`, `show`, `verify` and "
            "`export-journal` work; for all else take the version that made it, or a later one."
        )
