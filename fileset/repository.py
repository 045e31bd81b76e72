"""A repository: the journal, the vault and the state of one File-set, kept together.

On disk it is a folder: see :mod:`fileset.repository_folder`. An *ephemeral* repository has its
journal in memory and its vault in a temporary folder, and goes with the object.

Every change runs in :meth:`Repository.change`: its events are applied to the state as they come
and appended to the journal together at the end, or not at all.

Who may change it, and when, is the business of :mod:`fileset.exclusion`.
"""

from __future__ import annotations

import getpass
import os
import secrets
import shutil
import socket
import sys
import tempfile
import weakref
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import AbstractContextManager, closing, contextmanager
from pathlib import Path
from threading import get_ident
from typing import Any, Final, Literal

from fileset.caches import Caches
from fileset.collecting import no_collecting
from fileset.errors import (
    NoSuchInstanceError,
    RefusedError,
    RepositoryError,
    StaleError,
)
from fileset.exclusion import Exclusion
from fileset.moments import change_of
from fileset.repository_folder import (
    CACHE,
    INDEX,
    JOURNAL,
    SETTINGS,
    VAULT,
    find_repository,
    is_repository,
    open_vault,
    read_settings,
    write_settings,
)
from fileset.stepping import Plan, Step, redoing, reverting, undoing
from ledger.disk import fsync, make_folders, new_folder
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
from projections import snapshot
from projections.state import FileSetState
from projections.summary import Summary, summarise

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

    Notes
    -----
    An object can be handed from thread to thread. Changes that several threads make with it come
    one after another, and the state is not given away while another thread changes it. To look at
    one for longer while others change it, take an object for each thread. A process that was forked
    has to open the repository anew.
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
        self._exclusion = Exclusion(path)
        self._caches = Caches(path, journal, self._exclusion)
        self.newer: UnknownFormatError | None = None
        """Why the state can't be told: a newer version made the folder. It is only to be read."""
        self._state: FileSetState | None = None
        self._loaded_position = 0
        self._draft: Draft | None = None
        self._changer = 0  # the thread whose draft it is
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
        make_folders(path.parent)
        try:
            with new_folder(path, 0o700) as building:
                for name in (VAULT, CACHE):
                    (building / name).mkdir(mode=0o700)
                with closing(make_journal(building / JOURNAL)) as journal:
                    write_settings(building / SETTINGS, journal.id)
                repository = cls.open(building, clock=clock, origin=origin)
                try:
                    begin(repository)
                finally:
                    repository.close()
                for name in (JOURNAL, SETTINGS, "."):
                    fsync(building / name)
        except OSError as exc:
            if f".{path.name}." not in str(exc):
                raise  # a file that is read
            raise RepositoryError(f"The repository {path} can't be made: {exc.strerror}.") from exc
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
            if (path / JOURNAL).is_file():
                raise RepositoryError(
                    f"{path} has lost its {SETTINGS}: `fileset recover` makes it anew."
                )
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
        if named is not None and journal.id != named:
            journal.close()
            raise RepositoryError(
                f"{path / JOURNAL} is another repository's: its id is {journal.id}, and that of "
                f"the journal that belongs here {named}. Put that one back; if nobody moved it, "
                "it is damaged: `fileset recover` tells."
            )
        repository = cls(
            path,
            journal,
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
            PackVault(folder / VAULT, folder / INDEX, durable=False),
            durable=False,
            origin=default_origin(),
        )
        weakref.finalize(repository, _remove_own, folder, os.getpid())
        return repository

    def close(self) -> None:
        """Let go of the files.

        A snapshot is kept if the journal has grown by much, a summary if it has grown at all.
        """
        self._keep_snapshot()
        state = self._state
        if state is not None and state.position > self._loaded_position and not self.is_changing:
            self._caches.keep_summary(summarise(state))
        self.journal.close()
        self.vault.close()

    # --- the state -------------------------------------------------------------------------------

    @property
    def state(self) -> FileSetState:
        """The state as of the last event that this object knows of; see :meth:`refresh`."""
        state = self._state
        if state is not None and (self._draft is None or self._changer == get_ident()):
            return state
        self._refuse_if_newer()
        with self._exclusion.own_turn():  # not while another thread loads or changes it
            if self._state is None:
                self._state = self._load()
                self._loaded_position = self._state.position
                self._secure_others()
            return self._state

    def refresh(self) -> FileSetState:
        """Return the state after taking in what others have appended."""
        with self._exclusion.own_turn():
            state = self.state
            if self._draft is None:
                known = state.position
                state.advance(self.journal.read(after=known))
                if state.position > known:
                    self._secure_others()
            return state

    def _secure_others(self) -> None:
        """Make durable what others have recorded, before anything is made to rest on it.

        A process that was killed may have come to commit a change, and not to wait for the disk.
        What SQLite does last is to delete its rollback journal, or to sync its WAL. The database
        itself is not opened: closing it would let go of SQLite's locks.
        """
        if self.path is None or self.newer is not None:
            return
        wal = self.path / f"{JOURNAL}-wal"
        try:
            if wal.exists():
                fsync(wal)
            fsync(self.path)
        except OSError as exc:
            raise RepositoryError(
                f"What is in {self.path} can't be made durable ({exc.strerror}): check the disk."
            ) from exc

    def at(self, position: int) -> FileSetState:
        """Return the state as of `position`; ValueError if the journal has no such position.

        It is one of its own, which no later change touches. The snapshot spares folding what came
        before it, unless it was taken later than that.
        """
        last = self.journal.position
        if not 1 <= position <= last:
            raise ValueError(f"The journal has the positions 1 to {last}, not {position}")
        with no_collecting():
            kept = self._caches.snapshot(upto=position)
            state = kept.state if kept else FileSetState()
            return state.advance(self.journal.read(after=state.position, upto=position))

    def folded(self) -> tuple[FileSetState, bool]:
        """Return the state folded from all the events, which no snapshot has a say in.

        And whether the snapshot, if there is one, is what the events up to it amount to.
        """
        self._refuse_if_newer()
        with no_collecting():
            state, is_right = FileSetState(), True
            if (kept := self._caches.snapshot()) is not None:
                state.advance(self.journal.read(upto=kept.state.position))
                is_right = snapshot.dump(state, kept.hash) == snapshot.dump(kept.state, kept.hash)
            return state.advance(self.journal.read(after=state.position)), is_right

    def rebuild(self) -> FileSetState:
        """Throw away snapshots and indexes, and return the state folded from the whole journal."""
        with self.exclusively():
            self._caches.drop_states()
            self.vault.rebuild_index()
            with no_collecting():
                self._state = FileSetState.fold(self.journal.read())
            self._keep_snapshot()
            return self._state

    def summary(self) -> Summary:
        """Return what there is to tell of the present state, as it was told before if it was."""
        if not self.is_changing and (told := self._caches.summary()) is not None:
            return told
        told = summarise(self.refresh())
        if not self.is_changing:
            self._caches.keep_summary(told)
        return told

    def _load(self) -> FileSetState:
        """Return the state from a snapshot and the events after it, or from all events."""
        with no_collecting():
            kept = self._caches.snapshot()
            if kept is None:
                return FileSetState.fold(self.journal.read())
            self._caches.loaded(kept)
            return kept.state.advance(self.journal.read(after=kept.state.position))

    def _keep_snapshot(self) -> None:
        if self._state is not None and not self.is_changing:
            self._caches.keep_snapshot(self._state)

    def forget_caches(self) -> None:
        """Delete all that can be built again; the caller keeps others out."""
        self.vault.close()
        self._caches.drop_all()

    # --- changes ---------------------------------------------------------------------------------

    @contextmanager
    def change(
        self, reason: str | None = None, actor: str | None = None, origin: str | None = None
    ) -> Iterator[str]:
        """Make everything inside one change, recorded when the block ends; yield its id.

        An exception leaves the journal as it was. Inside another change this is part of it, and an
        exception takes back this part.
        """
        with self._exclusion.own_turn():
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
                self._changer = get_ident()
                self._draft = Draft(
                    id=secrets.token_hex(6),
                    actor=actor or self.actor or default_actor(),
                    origin=origin or self.origin,
                    reason=reason,
                )
                # What the state is told of it: count and time are not known before the end.
                draft = self._draft
                self._change = Change(
                    draft.id, self._base + 1, 0, "", draft.actor, draft.origin, reason
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

    def exclusively(self) -> AbstractContextManager[None]:
        """Return a context in which nobody else changes the repository.

        Raises :class:`~fileset.errors.RefusedError` if someone else is, and not done within
        :attr:`patience`; :class:`~fileset.errors.RepositoryError` if the folder was moved, deleted
        or replaced, or this process was forked.
        """
        self._refuse_if_newer()
        return self._exclusion.alone(self.origin)

    @property
    def patience(self) -> float:
        """Seconds to wait for others who are changing the repository."""
        return self._exclusion.patience

    @patience.setter
    def patience(self, seconds: float) -> None:
        self._exclusion.patience = seconds

    def last_holder(self) -> str | None:
        """Return who changed the repository last, and when; ``None`` while someone else does.

        As long as that is the same, all that was seen was whole.
        """
        return "" if self.newer is not None else self._exclusion.last_holder()

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
        """Take back the newest `n` changes and return their ids, newest first.

        Raises :class:`~fileset.errors.StaleError` if they are others than this object knew of.
        """
        self.outside_changes("An undo")
        return self._step_as_known("undo", n, undoing(n), reason)

    def redo(self, n: int = 1, *, reason: str | None = None) -> list[str]:
        """Do again the `n` changes undone last and return their ids, oldest first.

        Raises as :meth:`undo`.
        """
        self.outside_changes("A redo")
        return self._step_as_known("redo", n, redoing(n), reason)

    def _step_as_known(
        self, which: Literal["undo", "redo"], n: int, plan: Plan, reason: str | None
    ) -> list[str]:
        """Do what `plan` says, unless others have put other changes in the place of its own.

        Who has not looked at the state yet asks for what is newest, whoever made it.
        """
        known = None if self._state is None else self._newest(which, n)
        with self.exclusively():
            self.refresh()
            now = self._newest(which, n)
            if known is not None and now != known:
                raise StaleError(_what_came_between(which, now))
            return list(self.step(plan, reason=reason)[0].changes)

    def _newest(self, which: Literal["undo", "redo"], n: int) -> list[str]:
        """Return the ids of the newest `n` changes that can be undone or redone."""
        history = self.state.history
        stack = history.undo if which == "undo" else history.redo
        return [entry.change for entry in stack[-n:]] if n > 0 else []

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


def _what_came_between(which: str, now: Sequence[str]) -> str:
    """Return what to tell of changes that others made before an undo or redo."""
    newest = f"the change to {which} is {now[-1]} by now" if now else f"nothing is left to {which}"
    return (
        f"Others have changed the File-set meanwhile, and {newest}. That was taken in and nothing "
        f"else done: look at it, and {which} again if that is what you want."
    )


def _remove_own(folder: Path, owner: int) -> None:
    """Delete `folder`, unless this process was only forked from the `owner` of it."""
    if os.getpid() == owner:
        shutil.rmtree(folder, ignore_errors=True)


def default_actor() -> str:
    """Return who is changing things: the login name, or the number of a user without one."""
    try:
        return getpass.getuser()
    except (KeyError, OSError):
        return f"uid {os.getuid()}"


def default_origin() -> str:
    """Return where changes come from: the program and the host."""
    return f"{Path(sys.argv[0]).name or 'python'}@{socket.gethostname()}"
