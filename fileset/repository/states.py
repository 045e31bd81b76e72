"""The state of a repository as of now and as of any position, folded from its journal."""

from __future__ import annotations

from collections.abc import Iterable

from fileset.python_gc import gc_paused
from fileset.repository.caches import Caches
from fileset.repository.store import Store
from ledger.events import Event, WriteCompleted, WriteStarted
from projections.kept import snapshot
from projections.kept.summarise import summarise
from projections.kept.summary import Summary
from projections.medium.plan import Plan, plan_resumed
from projections.state.fold import advance, after, apply, fold, take_listed
from projections.state.listed import Listed
from projections.state.state import FileSetState, Written


class States:
    """Folds the journal of `store`, from what is kept of it where that spares work.

    `present` is the state as of the last event that was taken in; `None` before anyone asked, and
    after events were taken back from it. `caches` keeps what spares the work.
    """

    def __init__(self, store: Store, caches: Caches) -> None:
        self._store = store
        self._journal = store.journal
        self.caches = caches
        self._loaded_position = 0
        self.present: FileSetState | None = None

    def load(self) -> FileSetState:
        """Return the present state, which is folded if it is not known."""
        if self.present is None:
            with gc_paused():
                kept = self.caches.snapshot()
                if kept is None:
                    state = fold(self._journal.read())
                else:
                    self.caches.loaded(kept)
                    state = advance(kept.state, self._journal.read(after=kept.state.position))
            self.present, self._loaded_position = state, state.position
            self._journal.make_durable()
        return self.present

    def take_in(self, event: Event, change: str) -> int:
        """Apply `event` of the change with that id to the present state; return its position."""
        state = self.load()
        apply(state, event, change)
        return state.position

    def take_listed(self, listed: Listed) -> None:
        """Apply the events `listed` to the present state, of which none is made."""
        take_listed(self.load(), listed)

    def foresee(self, events: Iterable[Event]) -> FileSetState:
        """Return what the present state would be once `events` followed."""
        return after(self.load(), events, "foreseen")

    def advance(self, state: FileSetState) -> None:
        """Take in what others have appended to the journal of the present `state`."""
        known = state.position
        if self._journal.position <= known:
            return  # without looking at the last one again, as reading does
        advance(state, self._journal.read(after=known))
        if state.position > known:
            self._journal.make_durable()

    def at(self, position: int) -> FileSetState:
        """Return the state as of `position`; ValueError if the journal has no such position.

        It is one of its own, which no later change touches. The snapshot spares folding what came
        before it, unless it was taken later than that.
        """
        last = self._journal.position
        if not 1 <= position <= last:
            raise ValueError(f"The journal has the positions 1 to {last}, not {position}")
        with gc_paused():
            kept = self.caches.snapshot(upto=position)
            state = kept.state if kept else FileSetState()
            return advance(state, self._journal.read(after=state.position, upto=position))

    def folded(self) -> tuple[FileSetState, bool]:
        """Return the state folded from all the events, in which nothing that is kept has a say.

        And whether the snapshot and the summary, if there are any, are what the events amount to.
        """
        self._store.refuse_if_newer()
        with gc_paused():
            state, is_right = FileSetState(), True
            if (kept := self.caches.snapshot()) is not None:
                advance(state, self._journal.read(upto=kept.state.position))
                is_right = snapshot.to_plain(state) == snapshot.to_plain(kept.state)
            advance(state, self._journal.read(after=state.position))
            kept_summary = self.caches.summary()
            if kept_summary is not None and kept_summary.position == state.position:
                is_right = is_right and kept_summary == summarise(state)
            return state, is_right

    def written(self, written: Written) -> Plan | None:
        """Return the plan of the write that `written` tells of, as the events themselves have it.

        `None` where it can't be told: the medium was adopted, or its events were erased since.
        """
        completed = self._event(written.position)
        if not isinstance(completed, WriteCompleted):
            return None
        started = self._event(completed.started)
        if not isinstance(started, WriteStarted):
            return None
        with gc_paused():
            base = fold(self._journal.read(upto=started.base))
            if base.ghosts:
                return None
            return plan_resumed(base, started, icons=self._store.vault.read)

    def _event(self, position: int) -> Event:
        return next(iter(self._journal.read(after=position - 1, upto=position))).event

    def rebuild(self) -> FileSetState:
        """Throw away what is kept, and return the state folded from the whole journal."""
        self.caches.drop_states()
        with gc_paused():
            self.present = fold(self._journal.read())
        self.keep_snapshot()
        return self.present

    def summary(self, *, keep: bool) -> Summary:
        """Return the summary of the present state, and `keep` it in the caches."""
        summary = summarise(self.load())
        if keep:
            self.caches.keep_summary(summary)
        return summary

    def keep_snapshot(self) -> None:
        """Keep the present state, if it is known and the journal has grown by much."""
        if self.present is not None:
            self.caches.keep_snapshot(self.present)

    def keep(self) -> None:
        """Keep a snapshot if the journal has grown by much, a summary if it has grown at all."""
        if self.present is None:
            return
        self.caches.keep_snapshot(self.present, closing=True)
        if self.present.position > self._loaded_position:
            self.caches.keep_summary(summarise(self.present))
