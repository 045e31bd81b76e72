"""A repository: the journal, the vault and the state of one File-set, kept together.

On disk it is a folder: see `fileset.repository.folder`. An *ephemeral* repository has its
journal in memory and its vault in a temporary folder, and goes with the object.

Every change runs in `Repository.change`: its events are applied to the state as they come
and appended to the journal together at the end, or not at all.

`fileset.repository.lock` decides who may change it, and when.

The fold, and all that works on a state, is imported when a state is asked for: `fileset status` and
`fileset log` mostly do without.
"""

from __future__ import annotations

import secrets
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import AbstractContextManager, closing, contextmanager
from functools import cached_property
from pathlib import Path
from threading import get_ident
from typing import TYPE_CHECKING, Any

from fileset.errors import NoSuchInstanceError, RefusedError, StaleError
from fileset.repository.caches import Caches
from fileset.repository.find_change import change_of
from fileset.repository.origin import default_actor, default_origin
from fileset.repository.store import Restored, Store, new_store, open_store, store_in_memory
from ledger.errors import JournalError
from ledger.events import IDENTITY_EVENTS, Event, FileSetCreated, Handle, InstanceRemoved
from ledger.journal.clocks import Clock, utc_now
from ledger.journal.entries import Change, Draft, Recorded
from ledger.journal.gathering import Gathering
from ledger.journal.protocol import Journal

if TYPE_CHECKING:
    from fileset.repository.states import States
    from fileset.repository.undo import UndoPlan, UndoStep, Verb
    from ledger.vault.protocol import Vault
    from projections.kept.summary import Summary
    from projections.medium.plan import Plan
    from projections.state.listed import Listed
    from projections.state.state import FileSetState, Written


class OpenChange:
    """A change that is being made: its events so far."""

    def __init__(self, draft: Draft, base: int, events: Gathering) -> None:
        self.draft = draft
        self.base = base
        self.events = events
        self.thread = get_ident()


class Repository:
    """A File-set's journal, vault and state; see `create`, `open`, `ephemeral`.

    Attributes
    ----------
    store : Store
        Where it is, and what it is made of; `journal`, `vault` and `roots` are the store's.
    path : Path or None
        The folder, if it is in one.
    newer : UnknownFormatError or None
        Why the state can't be told: a newer version made the repository.
    actor : str or None
        Who makes the changes that name nobody; `None` for whoever runs the program.

    Notes
    -----
    An object can be passed between threads. Changes by several threads run one after another, and a
    thread can't get at the state while another one changes it. For a longer look while others make
    changes, use an object for each thread. A forked process has to open the repository again.
    """

    def __init__(self, store: Store, *, origin: str | None = None) -> None:
        self.store = store
        self.path = store.path
        self.journal = store.journal
        self.roots = store.roots
        self.newer = store.newer
        self.origin = origin or default_origin()
        self.actor: str | None = None
        self._lock = store.lock
        self._caches = Caches(store)
        self._open: OpenChange | None = None
        self.rollbacks: list[int] = []
        """The positions that changes were taken back to: later ones were given out again."""

    @cached_property
    def _states(self) -> States:
        from fileset.repository.states import States

        # Two threads that are the first to ask get the same.
        states: States = vars(self).setdefault("_states", States(self.store, self._caches))
        return states

    # --- making and opening ----------------------------------------------------------------------

    @classmethod
    def create(
        cls,
        path: Path,
        begin: Callable[[Repository], object],
        *,
        clock: Clock = utc_now,
        origin: str | None = None,
        restored: Restored | None = None,
    ) -> Repository:
        """Make a new repository in the folder `path`, with what `begin` records in its journal.

        Its journal is new, or the one that is to be `restored`. If that or `begin` fails there is
        no repository. Raises `RepositoryError` if something is at `path` already.
        """
        path = Path(path).absolute()
        with (
            new_store(path, restored) as building,
            closing(cls.open(building, clock=clock, origin=origin)) as repository,
        ):
            begin(repository)
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

        Raises `RepositoryError` if there is none,
        `UnknownFormatError` if a newer version made it. With `newer_too` such
        a one is opened for reading what was recorded; its state can't be told.
        """
        return cls(open_store(Path(path).absolute(), clock, newer_too=newer_too), origin=origin)

    @classmethod
    def ephemeral(cls, *, clock: Clock = utc_now, journal: Journal | None = None) -> Repository:
        """Make a repository that lasts as long as the object, but for a `journal` that is given."""
        return cls(store_in_memory(clock, journal))

    @property
    def vault(self) -> Vault:
        """The content of the instances, by digest."""
        return self.store.vault

    @property
    def is_kept(self) -> bool:
        """Whether it outlives the object, so that a change is on the disk when it returns."""
        return self.store.is_kept

    def close(self) -> None:
        """Close the files, which also happens when the object is dropped.

        A snapshot is kept if the journal has grown by much, a summary if it has grown at all.
        What needs the files or the state raises `ClosedError` from then on.
        """
        try:
            if not self.is_changing and "_states" in vars(self):
                self._states.keep()
        finally:
            if "_states" in vars(self):
                self._states.present = None
            self.store.close()

    # --- the state -------------------------------------------------------------------------------

    @property
    def state(self) -> FileSetState:
        """The state as of the last event that this object knows of; see `refresh`."""
        state, change = self._states.present, self._open
        if state is not None and (change is None or change.thread == get_ident()):
            return state
        self.store.refuse_if_closed()
        self.store.refuse_if_newer()
        with self._lock.own_turn():  # not while another thread loads or changes it
            return self._states.load()

    def refresh(self) -> FileSetState:
        """Return the state after taking in what others have appended."""
        with self._lock.own_turn():
            state = self.state
            if self._open is None:
                self._states.advance(state)
            return state

    def at(self, position: int) -> FileSetState:
        """Return the state as of `position`; ValueError if the journal has no such position.

        It is a separate one, which no later change touches.
        """
        return self._states.at(position)

    def folded(self) -> tuple[FileSetState, bool]:
        """Return the state folded from all the events, ignoring what is kept in caches.

        And whether the snapshot and the summary, if there are any, match it.
        """
        return self._states.folded()

    def written(self, written: Written) -> Plan | None:
        """Return the plan of the write that `written` tells of, as the events themselves have it.

        `None` where it can't be told: the medium was adopted, or its events were erased since.
        """
        return self._states.written(written)

    def rebuild(self) -> FileSetState:
        """Throw away snapshots and indexes, and return the state folded from the whole journal."""
        with self.exclusively():
            self.vault.rebuild_index()
            return self._states.rebuild()

    def summary(self) -> Summary:
        """Return the summary of the present state: the one that is kept, if there is one."""
        if not self.is_changing and (summary := self._caches.summary()) is not None:
            return summary
        self.refresh()
        return self._states.summary(keep=not self.is_changing)

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
        with self._lock.own_turn():
            if self._open is not None:
                begun = len(self._open.events)
                try:
                    yield self._open.draft.id
                except BaseException:
                    self._take_back(self._open, begun)
                    raise
                return
            with self.exclusively():
                draft = Draft(
                    id=secrets.token_hex(6),
                    actor=actor or self.actor or default_actor(),
                    origin=origin or self.origin,
                    reason=reason,
                )
                base = self.refresh().position
                self._open = change = OpenChange(draft, base, self.journal.gather())
                try:
                    yield draft.id
                    if len(change.events):
                        self.vault.make_durable()
                        self.journal.append(change.events, draft, expected=change.base)
                except BaseException:
                    self._take_back(change, 0)
                    raise
                finally:
                    self._open = None
                self._states.keep_snapshot()

    def _take_back(self, change: OpenChange, count: int) -> None:
        """Undo all but the first `count` events of the open change: they never happened."""
        if len(change.events) == count:
            return
        change.events.cut(count)
        self.rollbacks.append(change.base + count)
        self._states.present = None
        for event in change.events:
            self._states.take_in(event, change.draft.id)

    def emit(self, event: Event) -> int:
        """Make `event` the next one of the open change and return its position."""
        change = self._open
        if change is None:
            raise JournalError("Events are emitted within a change")
        change.events.append(event)  # first: a half-applied event is taken back with the others
        return self._states.take_in(event, change.draft.id)

    def emit_listed(self, listed: Listed) -> None:
        """Make the events `listed` the next ones of the open change, of which none is made now."""
        change = self._open
        if change is None:
            raise JournalError("Events are emitted within a change")
        change.events.defer(listed)
        self._states.take_listed(listed)

    @property
    def is_changing(self) -> bool:
        """Whether a change is open."""
        return self._open is not None

    def exclusively(self) -> AbstractContextManager[None]:
        """Return a context in which nobody else changes the repository.

        Raises `RefusedError` if someone else is, and not done within
        `patience`; `RepositoryError` if the repository was moved, deleted
        or replaced, or this process was forked.
        """
        self.store.refuse_if_closed()
        self.store.refuse_if_newer()
        return self._lock.alone(self.origin)

    @property
    def patience(self) -> float:
        """Seconds to wait for others who are changing the repository."""
        return self._lock.patience

    @patience.setter
    def patience(self, seconds: float) -> None:
        self._lock.patience = seconds

    def last_holder(self) -> str | None:
        """Return who changed the repository last, and when; `None` while someone else does.

        As long as that is the same, all that was seen was whole.
        """
        return "" if self.newer is not None else self._lock.last_holder()

    def outside_changes(self, what: str) -> None:
        """Raise `RefusedError` if a change is open."""
        if self.is_changing:
            raise RefusedError(f"{what} can't be part of another change.")

    # --- the commands that need nothing but the state --------------------------------------------

    def begin(self, uid: str, file_set_id: str | None = None) -> None:
        """Record the creation of a new, empty File-set."""
        with self.change():
            self.emit(FileSetCreated(uid=uid, id=file_set_id))

    def remove(self, handles: Iterable[Handle], *, reason: str | None = None) -> None:
        """Remove instances, all or none.

        Raises `NoSuchInstanceError` if one is not part of the File-set.
        """
        with self.change(reason):
            for handle in handles:
                leaf = self.state.hierarchy.leaves.get(handle)
                if leaf is None or not leaf.is_live:
                    raise NoSuchInstanceError("No such instance in the File-set")
                self.emit(InstanceRemoved(handle))

    def set_identity(self, name: str, value: Any, *, reason: str | None = None) -> bool:
        """Set a field of the File-set's identity; `False` if it has that value already."""
        with self.change(reason):
            previous = getattr(self.state.identity, name)
            if value == previous:
                return False
            self.emit(IDENTITY_EVENTS[name](value=value, previous=previous))
            return True

    def undo(self, n: int = 1, *, reason: str | None = None) -> list[str]:
        """Take back the newest `n` changes and return their ids, newest first.

        Raises `StaleError` if they are others than this object knew of.
        """
        from fileset.repository.undo import undoing

        self.outside_changes("An undo")
        return self._step_as_known("undo", n, undoing(n), reason)

    def redo(self, n: int = 1, *, reason: str | None = None) -> list[str]:
        """Do again the `n` changes undone last and return their ids, oldest first.

        Raises as `undo`.
        """
        from fileset.repository.undo import redoing

        self.outside_changes("A redo")
        return self._step_as_known("redo", n, redoing(n), reason)

    def _step_as_known(self, which: Verb, n: int, plan: UndoPlan, reason: str | None) -> list[str]:
        """Carry out `plan`, unless others have made newer changes than this object knows of.

        An object that has not read the state yet means the newest changes, whoever made them.
        """
        from fileset.repository.undo import newest, what_came_between

        known = None if self._states.present is None else newest(self.state, which, n)
        with self.exclusively():
            self.refresh()
            now = newest(self.state, which, n)
            if known is not None and now != known:
                raise StaleError(what_came_between(which, now))
            return list(self.step(plan, reason=reason)[0].changes)

    def revert(self, start: str, *, reason: str | None = None) -> str:
        """Take back the change whose id begins with `start`, and return its id.

        Raises `RevertRefusedError` if later changes stand in the way,
        `RefusedError` if there is nothing to take back,
        `NoSuchMomentError` if there isn't just one such change.
        """
        from fileset.repository.undo import reverting

        (change,) = self.step(
            reverting(self.journal, change_of(self.journal, start)), reason=reason
        )[0].changes
        return change

    def step(self, plan: UndoPlan, *, reason: str | None = None) -> tuple[UndoStep, str]:
        """Carry out `plan` on the present state; return what it did, and the new change's id."""
        with self.change(reason) as id_:
            step = plan(self.state)
            for event in step.events:
                self.emit(event)
        return step, id_

    def foresee(self, plan: UndoPlan) -> tuple[UndoStep, FileSetState]:
        """Return what `plan` would do to the present state, and the state it would lead to.

        Nothing is recorded.
        """
        self.outside_changes("A preview")
        with self._lock.own_turn():
            state = self.refresh()
            step = plan(state)
            return step, self._states.foresee(step.events)

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
