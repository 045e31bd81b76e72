"""Erasing a person's data from a repository, so that it is nowhere in it and all else is as before.

What an erasure does, in this order:

1. Nothing of the data may be part of the File-set or on its medium. With `take_off` it is removed
   and the medium written first, as changes of their own.
2. Snapshots and the like go, which can be built again, and the person's files in the quarantine.
3. One change, in one transaction, states what is erased (:class:`~ledger.events.PayloadErased`) and
   takes these payloads away. From here on nothing reads them.
4. The journal's file is built anew without its free space; the vault drops what no event names any
   more; caches go once more.
5. :class:`~ledger.events.ErasureCompleted` says that this is done.

Stopped after the third step, the erasure is known to be incomplete, and the next one completes it.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Final

from attrs import define, field, frozen

from fileset.contents import Contents
from fileset.errors import RefusedError, StillThereError
from fileset.garbage import needed
from fileset.mentions import Mentions, ids_in
from fileset.repository import Repository
from fileset.repository_folder import KEPT_DAMAGED, PASSING, RECOVERING
from fileset.writing import Writer
from ledger.digest import Digest
from ledger.erasures import runs_of
from ledger.errors import VaultError
from ledger.events import (
    ConflictNoted,
    ContentRecorded,
    DamageNoted,
    ErasureCompleted,
    Event,
    FileSetImported,
    Handle,
    InstanceAdded,
    InstanceRejected,
    PatientNameNoted,
    PayloadErased,
    RecordMended,
    RecordsKept,
    StrangerKept,
    WriteCompleted,
    WriteExported,
    WriteStarted,
)
from ledger.journal import Recorded
from ledger.repacking import Excess
from projections.erasing import KEYWORDS, RecordsLeft, identifiers, matching, records_left
from projections.hierarchy import Leaf
from projections.materializer import Progress
from projections.pending import pending
from projections.state import FileSetState

_SEARCHED: Final = 1 << 24  # bytes of a kept file that are searched as text


if TYPE_CHECKING:  # which imports the File-set, and that imports this
    from fileset.watching.quarantine import Quarantined


@frozen
class Mention:
    """A text that stays and holds the person's ID or name: `where` in the journal it is.

    `what` names the event's type, or the part of its change that it is.
    """

    position: int
    what: str


@frozen
class Erasure:
    """What an erasure erased, or would erase.

    Attributes
    ----------
    instances : int
        How many, of all that there ever were.
    present : int
        Of those, how many are part of the File-set, or on its medium.
    events : int
        How many events lose their payload.
    records : int
        How many records above the instances are carried on, since others stand under them.
    rejected : tuple of str
        The paths of files that were offered and not taken, whose events are among them.
    excess : Excess
        What goes from the vault, with all else there that no event names.
    quarantined : tuple of str
        Where the files in the quarantine came from that go with it.
    unclear : int
        How many others in the quarantine nobody can tell whose they are: they stay.
    media : tuple of str
        Where the instances were written to, apart from the File-set's own medium: those who have
        what was written there have the data.
    mentions : tuple of Mention
        What stays and still tells who the person is.
    change : str or None
        The id of the change that states it; ``None`` where nothing was erased.
    completed : bool
        Whether an earlier erasure, which was interrupted, was completed.
    """

    instances: int = 0
    present: int = 0
    events: int = 0
    records: int = 0
    rejected: tuple[str, ...] = ()
    excess: Excess = field(factory=Excess)
    quarantined: tuple[str, ...] = ()
    unclear: int = 0
    media: tuple[str, ...] = ()
    mentions: tuple[Mention, ...] = ()
    change: str | None = None
    completed: bool = False


@define
class _Found:
    """What in the journal concerns the instances `gone`, and the records that `left` tells of."""

    gone: set[Handle]
    left: RecordsLeft
    positions: set[int] = field(factory=set)
    adopted: set[Handle] = field(factory=set)
    sources: set[str] = field(factory=set)
    rejected: list[tuple[int, InstanceRejected]] = field(factory=list)
    mended: list[tuple[int, RecordMended]] = field(factory=list)
    strangers: list[tuple[int, Digest]] = field(factory=list)
    media: dict[str, None] = field(factory=dict)
    exports: list[WriteExported] = field(factory=list)
    _root: str = ""
    _writing: WriteStarted | None = None

    def take(self, recorded: Recorded) -> None:
        """Take down what an event has to do with the instances."""
        position, event = recorded.position, recorded.event
        match event:
            case InstanceAdded() if position in self.gone:
                self._take_added(position, event)
            case DamageNoted() if event.dicomdir is not None:
                self.strangers.append((position, event.dicomdir))
            case ContentRecorded() | StrangerKept() | ConflictNoted() | PatientNameNoted():
                if isinstance(event, StrangerKept):
                    self.strangers.append((position, event.content.digest))
                if event.instance in self.gone:
                    self.positions.add(position)
                    if isinstance(event, ConflictNoted) and event.source is not None:
                        self.sources.add(event.source)
            case RecordsKept() if event.of in self.left.staying:
                self.positions.add(position)
            case InstanceRejected():
                self.rejected.append((position, event))
            case RecordMended():
                self.mended.append((position, event))
            case _:
                self._take_written(event)

    def _take_added(self, position: int, event: InstanceAdded) -> None:
        self.positions.add(position)
        if event.source is not None:
            self.sources.add(event.source)
        if event.file_id is not None:
            self.adopted.add(position)
            self.media[self._root] = None

    def _take_written(self, event: Event) -> None:
        match event:
            case FileSetImported(root=root):
                self._root = root
            case WriteStarted():
                self._writing = event
            case WriteCompleted() if self._writing is not None:
                placed = self._writing.placed.values()
                if any(handle in self.gone for names in placed for handle in names.values()):
                    self.media[self._writing.root] = None
            case WriteExported():
                self.exports.append(event)


@frozen
class _Plan:
    erasure: Erasure
    positions: frozenset[int]
    adopted: frozenset[Handle]
    left: RecordsLeft
    quarantined: list[Quarantined]


class Eraser:
    """Erases from a repository."""

    def __init__(self, repository: Repository, contents: Contents) -> None:
        self._repository = repository
        self._contents = contents
        self._writer = Writer(repository, contents)

    def foresee(self, query: Mapping[str, str]) -> Erasure:
        """Return what :meth:`erase` would erase; nothing is changed.

        ValueError if `query` is empty or has other keywords than
        :data:`~projections.erasing.KEYWORDS`.
        """
        _check(query)
        state = self._repository.refresh()
        return self._plan(state, matching(state, query), query).erasure

    def erase(
        self,
        query: Mapping[str, str],
        *,
        reason: str,
        take_off: bool = False,
        progress: Progress | None = None,
    ) -> Erasure:
        """Erase all data of the instances that have all the values of `query`.

        An erasure that was interrupted is completed first. With `take_off`, instances that are part
        of the File-set are removed from it, and its medium is written if it has any of them.

        Raises
        ------
        StillThereError
            Without `take_off`, if any is part of the File-set or on its medium.
        RefusedError
            If a write was interrupted, other changes would be written with `take_off`, or the
            reason, which stays for ever, holds what is to be erased. If a damaged journal was
            kept in the repository.
        MediumError
            If the medium can't be written. The instances are removed from the File-set by then.
        """
        _check(query)
        repository = self._repository
        repository.outside_changes("An erasure")
        with repository.exclusively():
            completed = self.complete()
            state = repository.refresh()
            gone = matching(state, query)
            if not gone and not self._plan(state, gone, query).positions:
                return Erasure(completed=completed)
            _refuse_if_kept(repository.path)
            _refuse_telling(Mentions(identifiers(state, gone, query)), reason)
            present = self._take_off(state, gone, reason, progress, allowed=take_off)
            self._writer.clear_leftovers()
            state = repository.refresh()
            plan = self._plan(state, gone, query)
            _drop_quarantined(repository.path, plan.quarantined)
            repository.forget_caches()
            with repository.change(reason) as change:
                for kept in plan.left.kept:
                    repository.emit(kept)
                repository.emit(
                    PayloadErased(
                        runs_of(plan.positions),
                        runs_of(plan.adopted),
                        tuple(plan.left.staying.items()),
                    )
                )
            excess = self._purge()
        told = plan.erasure
        return Erasure(
            told.instances, present, told.events, told.records, told.rejected, excess,
            told.quarantined, told.unclear, told.media, told.mentions, change, completed,
        )  # fmt: skip

    def complete(self) -> bool:
        """Complete an erasure that was interrupted; ``False`` if there is none."""
        repository = self._repository
        repository.outside_changes("An erasure")
        with repository.exclusively():
            if repository.refresh().erasing is None:
                return False
            self._purge()
        return True

    def _purge(self) -> Excess:
        """Take what was erased from everywhere, and record that this is done."""
        repository = self._repository
        started = repository.state.erasing
        assert started is not None  # noqa: S101 - callers look
        repository.journal.scrub()
        self._contents.forget()
        repository.forget_caches()
        excess = repository.vault.drop_excess(needed(repository.journal), scraps=True)
        with repository.change():
            repository.emit(ErasureCompleted(started))
        return excess

    # --- what is in the way ----------------------------------------------------------------------

    def _take_off(
        self,
        state: FileSetState,
        gone: set[Handle],
        reason: str,
        progress: Progress | None,
        *,
        allowed: bool,
    ) -> int:
        """Have none of `gone` in the File-set nor on its medium; return how many were."""
        if state.writing is not None:
            raise RefusedError(
                f"A write to {state.writing.event.root} was interrupted: complete it with "
                "`fileset write`, or give it up with `fileset write --abandon`, before data is "
                "erased."
            )
        present = [leaf for leaf in map(state.leaf, sorted(gone)) if _is_present(leaf)]
        on_medium = [leaf for leaf in present if leaf.file_id is not None]
        live = [leaf.handle for leaf in present if leaf.is_live]
        if not present:
            return 0
        if not allowed:
            raise StillThereError(_still_there(state, len(live), len(on_medium)))
        if on_medium:
            _refuse_others_staged(state, gone)
        if live:
            self._repository.remove(live, reason=reason)
        if on_medium and state.written is not None:
            self._writer.write(None, state.written.layout, reason=reason, progress=progress)
        return len(present)

    # --- what goes -------------------------------------------------------------------------------

    def _plan(self, state: FileSetState, gone: set[Handle], query: Mapping[str, str]) -> _Plan:
        repository = self._repository
        left = records_left(state, gone)
        found = _Found(gone, left)
        for recorded in repository.journal.read():
            found.take(recorded)
        for export in found.exports:
            if _has_any(repository.at(export.base), gone):
                found.media[export.root] = None
        if state.written is not None:
            found.media.pop(state.written.root, None)
        mentions = Mentions(identifiers(state, gone, query))
        rejected = list(_rejected(state, gone, found, mentions)) if gone else []
        found.positions.update(position for position, _ in rejected)
        found.positions.update(_mended(gone, found, mentions))
        found.positions.update(self._strange(found, mentions))
        positions = frozenset(found.positions)
        excess = Excess()
        if positions:
            excess = repository.vault.excess(needed(repository.journal, positions), scraps=True)
        quarantined, unclear = _quarantined(repository.path, mentions)
        erasure = Erasure(
            instances=len(gone),
            present=sum(_is_present(state.leaf(handle)) for handle in gone),
            events=len(positions),
            records=sum(len(kept.parents) for kept in left.kept),
            rejected=tuple(event.source for _, event in rejected),
            excess=excess,
            quarantined=tuple(entry.source for entry in quarantined),
            unclear=unclear,
            media=tuple(found.media),
            mentions=tuple(self._mentions(mentions, positions)) if gone else (),
        )
        return _Plan(erasure, positions, frozenset(found.adopted), left, quarantined)

    def _strange(self, found: _Found, mentions: Mentions) -> Iterator[int]:
        """Yield the events that tell of other files kept from a medium, if these are the person's.

        A file that was in the wrong place says itself whose it is; a DICOMDIR lists many.
        """
        for position, digest in found.strangers:
            try:
                data = self._repository.vault.read(digest)
            except VaultError:  # it is gone, or damaged: nobody can read it
                continue
            if told := ids_in(data):
                owned = any(map(mentions.is_of_person, told))
            else:
                owned = mentions.of_any(data[:_SEARCHED].decode("latin-1"))
            if owned:
                yield position

    def _mentions(self, mentions: Mentions, erased: frozenset[int]) -> Iterator[Mention]:
        """Yield what tells who the person is, though it stays."""
        for stored in self._repository.journal.stored():
            change = stored.change
            if stored.position == change.first:
                for what, text in (
                    ("reason", change.reason), ("actor", change.actor), ("origin", change.origin),
                ):  # fmt: skip
                    if text and mentions.of_person(text):
                        yield Mention(stored.position, what)
            if stored.position not in erased and mentions.of_person(
                stored.payload.decode("utf-8", "replace")
            ):
                yield Mention(stored.position, stored.type)


def _check(query: Mapping[str, str]) -> None:
    if not query or any(not value.strip() for value in query.values()):
        raise ValueError("Name whose data is to be erased, by values that are not empty")
    for keyword in query.keys() - KEYWORDS.keys():
        raise ValueError(
            f"Data is erased by {', '.join(KEYWORDS)}, and not by {keyword}: these alone tell "
            "whose it is"
        )


def _refuse_if_kept(path: Path | None) -> None:
    """Refuse as long as what a recovery kept, or one that was killed has left, is there."""
    if path is None:
        return
    if left := sorted([*path.glob(RECOVERING), *path.glob(f"{PASSING}*")]):
        raise RefusedError(
            f"Nothing was erased: {left[0]} was left by a recovery that was broken off, and what "
            "is to be erased may be in it. `fileset recover` completes it."
        )
    if kept := sorted(path.glob(f"{KEPT_DAMAGED}*")):
        raise RefusedError(
            f"Nothing was erased: {kept[0]} holds a damaged journal, kept when it was recovered, "
            "and what is to be erased may be in it. Move such folders away, or delete them."
        )


def _refuse_telling(mentions: Mentions, reason: str) -> None:
    if not reason.strip():
        raise ValueError("An erasure needs a reason: it is all that will tell of it")
    if mentions.of_any(reason):
        raise RefusedError(
            "The reason holds the ID or the name of the person, and stays in the journal for ever: "
            "give one without, such as the number of the request."
        )


def _quarantined(path: Path | None, mentions: Mentions) -> tuple[list[Quarantined], int]:
    """Return what in the quarantine goes, and of how much else nobody can tell."""
    from fileset.watching.quarantine import Quarantine  # noqa: PLC0415 - it imports FileSet's way

    return ([], 0) if path is None else Quarantine(path).of_person(mentions)


def _drop_quarantined(path: Path | None, entries: list[Quarantined]) -> None:
    from fileset.watching.quarantine import Quarantine  # noqa: PLC0415 - as above

    for entry in entries:
        Quarantine(path or Path()).drop(entry)


def _is_present(leaf: Leaf) -> bool:
    return leaf.is_live or leaf.file_id is not None


def _has_any(state: FileSetState, handles: set[Handle]) -> bool:
    leaves = state.hierarchy.leaves
    return any(handle in leaves and leaves[handle].is_live for handle in handles)


def _still_there(state: FileSetState, live: int, on_medium: int) -> str:
    parts = [f"part of the File-set ({live:,})"] if live else []
    if on_medium and state.written is not None:
        parts.append(f"on the medium at {state.written.root} ({on_medium:,})")
    return (
        f"Nothing was erased: instances are still {' and '.join(parts)}. With --take-off they are "
        "removed and the medium is written first; or use `fileset remove` and `fileset write`."
    )


def _refuse_others_staged(state: FileSetState, gone: set[Handle]) -> None:
    """Refuse to write more than what is to be taken off."""
    staged = pending(state)
    others = [leaf for leaf in (*staged.additions, *staged.removals) if leaf.handle not in gone]
    if others or staged.metadata:
        raise RefusedError(
            f"Nothing was erased: other changes are staged ({staged.summary()}), and taking the "
            "instances off the medium would write them. Write or undo them first."
        )


def _mended(gone: set[Handle], found: _Found, mentions: Mentions) -> Iterator[int]:
    """Yield the positions of mends of the person's records, or that tell whose they were."""
    for position, event in found.mended:
        told = f"{event.file_id} {event.was} {event.now}"
        if event.instance in gone or (gone and mentions.of_any(told)):
            yield position


def _rejected(
    state: FileSetState, gone: set[Handle], found: _Found, mentions: Mentions
) -> Iterator[tuple[int, InstanceRejected]]:
    """Yield the rejected files that were the person's as far as anyone can tell.

    Those are files that lay where only the person's instances came from, or whose path or reason
    says whose they were.
    """
    others = {
        os.path.dirname(leaf.source)  # noqa: PTH120 - a text, perhaps of another system
        for leaf in state.hierarchy.leaves.values()
        if leaf.source is not None and leaf.handle not in gone
    }
    own = {os.path.dirname(source) for source in found.sources} - others  # noqa: PTH120
    for position, event in found.rejected:
        beside = os.path.dirname(event.source) in own  # noqa: PTH120
        told = f"{event.source} {event.reason}"
        if beside or event.source in found.sources or mentions.of_any(told):
            yield position, event
