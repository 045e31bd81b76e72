"""The state of a File-set as of a position of its journal: data, and what keeps it consistent.

Only `projections.state.fold` changes a state, event by event.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable
from copy import copy
from typing import Any

from attrs import define, evolve, frozen

from ledger.digest import Digest
from ledger.events import (
    Handle,
    IconRecorded,
    Record,
    RecordElementsRecorded,
    RecordRef,
    WriteStarted,
)
from projections.dicomdir.definitions import FileSetIdentity
from projections.errors import MisfitError
from projections.state.deferred import AnyDict
from projections.state.hierarchy import Hierarchy
from projections.state.nodes import Leaf
from projections.state.recorded import RecordedElements
from projections.state.undo import UndoHistory


@frozen
class Written:
    """What the last completed write, or the adoption, left on the medium.

    `position` is that of the event that says so. Instances that were part by then are iterated
    in the order of the tree, later ones in the order in which they came. `mends` counts what was
    wrong with an adopted DICOMDIR: it has to be written anew.
    """

    root: str
    layout: str
    identity: FileSetIdentity
    dicomdir: Digest | None
    position: int
    mends: int = 0

    @property
    def is_adopted(self) -> bool:
        """Whether nothing was written there yet: it is as it was found."""
        return self.position == 1


@frozen
class Writing:
    """A write that has begun and not ended, as far as the journal tells.

    `records` are those that it writes otherwise than the journal holds them.
    """

    position: int
    event: WriteStarted
    identity: FileSetIdentity
    records: tuple[tuple[RecordRef, Record], ...] = ()


@define
class Ghost:
    """An instance that a later event erases: of what it was, only its standing is left.

    `rank` and `on_medium` are what they are of a `Leaf`.
    """

    rank: int
    on_medium: bool


class FileSetState:
    """A File-set as of a position of its journal.

    Attributes
    ----------
    position : int
        The position of the last event applied.
    live : dict of str to Leaf
        The instances that are part of the File-set, by SOP Instance UID.
    additions, removals : dict of str to Leaf
        What the next write would add to and take off the medium, by SOP Instance UID.
    corrections : dict of Leaf to Leaf
        Of the additions those that replace a removal, since one corrects the other, with that one.
    tags : dict of str to int
        The positions that have names, by name. They are no part of the File-set: undo and redo
        leave them alone.
    settled : dict of RecordRef to int
        The PATIENT records whose ID several persons are accepted to have, with the position up to
        which somebody had seen what the instances say.
    recorded : RecordedElements
        What instances have for the records of application profiles.
    ghosts : dict of int to Ghost
        The instances known by then that a later event erases. None in the present state.
    erasing : int or None
        The position of an erasure that has begun and not been completed.
    erasures : int
        How many there were.
    touched : int
        Goes up with every instance that an event concerns: what it costs to fold them again.
    revision : int
        Goes up with every change of the tree; caches of what is derived from it compare it.
    """

    def __init__(self) -> None:
        self.position = 0
        self.identity = FileSetIdentity(uid="")
        self.hierarchy = Hierarchy()
        self.live: AnyDict[str, Leaf] = {}
        self.additions: AnyDict[str, Leaf] = {}
        self.removals: AnyDict[str, Leaf] = {}
        self.corrections: dict[Leaf, Leaf] = {}
        self.history = UndoHistory()
        self.written: Written | None = None
        self.writing: Writing | None = None
        self.tags: dict[str, int] = {}
        self.settled: dict[RecordRef, int] = {}
        self.recorded = RecordedElements()
        self.ghosts: dict[Handle, Ghost] = {}
        self.erasing: int | None = None
        self.erasures = 0
        self.revision = 0
        self.touched = 0
        self._withdrawn: dict[str, dict[Handle, Leaf]] | None = None

    def copy(self) -> FileSetState:
        """Return the same state as an object of its own."""
        copied = copy(self)
        copied.hierarchy = self.hierarchy.copy()
        for name in ("live", "additions", "removals"):
            leaves = getattr(self, name).values()
            setattr(copied, name, {leaf.uid: copied.leaf(leaf.handle) for leaf in leaves})
        copied.corrections = {
            copied.leaf(new.handle): copied.leaf(old.handle)
            for new, old in self.corrections.items()
        }
        copied.history = self.history.copy()
        copied.tags = dict(self.tags)
        copied.settled = dict(self.settled)
        copied.recorded = self.recorded.copy()
        copied.ghosts = {handle: copy(ghost) for handle, ghost in self.ghosts.items()}
        copied._withdrawn = None  # noqa: SLF001 - of its own class
        return copied

    def leaf(self, handle: Handle) -> Leaf:
        """Return the instance added by the event at position `handle`."""
        return self.hierarchy.leaves[handle]

    def withdrawn(self, uid: str) -> list[Leaf]:
        """Return the instances of a SOP Instance UID that are no part any more, the oldest first.

        There are none if the UID is part by another addition. All such are gone through once.
        """
        if self._withdrawn is None:
            self._withdrawn = {}
            for leaf in map(self.leaf, self.hierarchy.resting):
                self._withdrawn.setdefault(leaf.uid, {})[leaf.handle] = leaf
        found = {} if uid in self.live else self._withdrawn.get(uid, {})
        return [found[handle] for handle in sorted(found)]

    def live_version(self, handle: Handle) -> Leaf | None:
        """Return the instance of the File-set that an instance is, or was corrected to or from."""
        leaves = self.hierarchy.leaves
        versions = (leaves.get(each) for each in self.hierarchy.versions(handle))
        return next((leaf for leaf in versions if leaf is not None and leaf.is_live), None)

    def other_version(self, uid: str, digest: Digest) -> Leaf | None:
        """Return the instance of the File-set of which a file is another version, if there is one.

        That is so for a file with the content of an instance that was corrected, or with a SOP
        Instance UID that a correction replaced; and for what it was corrected to, if that was
        undone.
        """
        if not self.hierarchy.replaced:
            return None
        live = self.live.get(uid)
        leaves = self.hierarchy.leaves
        if live is not None:
            versions = (leaves[each] for each in self.hierarchy.versions(live.handle))
            contents = (leaf.content for leaf in versions if leaf is not live)
            return live if any(each and each.digest == digest for each in contents) else None
        for leaf in self.withdrawn(uid):
            for each in self.hierarchy.versions(leaf.handle):
                if leaves[each].is_live:
                    return leaves[each]
        return None

    def rank(self, handle: Handle) -> int:
        """Return the rank of an instance, also of one that a later event erases."""
        ghost = self.ghosts.get(handle)
        return self.leaf(handle).rank if ghost is None else ghost.rank

    def roots(self) -> tuple[str, ...]:
        """Return the roots of the medium and of a write that has not ended, each once."""
        found = [self.written.root] if self.written is not None else []
        if self.writing is not None and self.writing.event.root not in found:
            found.append(self.writing.event.root)
        return tuple(found)

    def misfits(self) -> tuple[tuple[str, int], ...]:
        """Return what does not fit the application profile, in words, and of how many instances."""
        found: dict[str, int] = {}
        for words, handles in self.recorded.misfits(self.identity.profile or ""):
            live = sum(self.leaf(handle).is_live for handle in handles)
            for each in words if live else ():
                found[each] = found.get(each, 0) + live
        return tuple(found.items())

    @property
    def erased(self) -> int:
        """How many instances that were part of the File-set were erased later."""
        return sum(ghost.rank > 0 for ghost in self.ghosts.values())

    # --- for the fold ----------------------------------------------------------------------------

    def set_rank(self, handle: Handle, rank: int) -> None:
        """Make an instance part of the File-set with `rank`, or no part of it with 0."""
        if (ghost := self.ghosts.get(handle)) is not None:
            ghost.rank = rank
            return
        leaf = self.leaf(handle)
        self.revision += 1
        self.touched += 1
        self.hierarchy.rank(leaf, rank)
        if self._withdrawn is not None:
            if rank:
                self._withdrawn.get(leaf.uid, {}).pop(handle, None)
            else:
                self._withdrawn.setdefault(leaf.uid, {})[handle] = leaf
        if rank:
            self.live[leaf.uid] = leaf
            self.hierarchy.place(leaf)
            # The one on the medium may be another addition of the same SOP Instance: it has to go.
            if self.removals.get(leaf.uid) is leaf:
                del self.removals[leaf.uid]
            if leaf.file_id is None:
                self.additions[leaf.uid] = leaf
        else:
            del self.live[leaf.uid]
            if leaf.file_id is None:
                del self.additions[leaf.uid]
                self.hierarchy.displace(leaf)
            else:
                self.removals[leaf.uid] = leaf
        self._compare_versions(handle)

    def set_file_id(self, handle: Handle, file_id: str | None) -> None:
        """Have an instance on the medium at `file_id`, or not on it with `None`."""
        if (ghost := self.ghosts.get(handle)) is not None:
            ghost.on_medium = file_id is not None
            return
        leaf = self.leaf(handle)
        self.touched += 1
        self.hierarchy.lay(leaf, file_id)
        if leaf.is_live:
            if file_id is None:  # restored while the write was under way
                self.additions[leaf.uid] = leaf
            else:
                self.additions.pop(leaf.uid, None)
        elif file_id is None:
            self.removals.pop(leaf.uid, None)
            self.hierarchy.displace(leaf)
        else:  # removed while the write was under way
            self.removals[leaf.uid] = leaf
            self.hierarchy.place(leaf)
        self._compare_versions(handle)

    def _compare_versions(self, handle: Handle) -> None:
        """Take in which version of an instance replaces which one on the medium."""
        versions = self.hierarchy.versions(handle)
        if len(versions) == 1:
            return
        leaves = [leaf for each in versions if (leaf := self.hierarchy.leaves.get(each))]
        for leaf in leaves:
            self.corrections.pop(leaf, None)
        new = next((leaf for leaf in leaves if leaf.is_addition), None)
        old = next((leaf for leaf in leaves if leaf.is_removal), None)
        if new is not None and old is not None:
            self.corrections[new] = old

    def forget(self, gone: Collection[Handle], records: Iterable[tuple[int, int]]) -> None:
        """Forget the instances `gone`, no part of the File-set, as `Hierarchy.forget` does."""
        self.hierarchy.forget(gone, records)
        for handle in gone:
            self.ghosts.pop(handle, None)
        self.recorded.forget(self.hierarchy.leaves.__contains__)
        self._withdrawn = None

    def record(self, event: RecordElementsRecorded) -> None:
        """Take in what instances have for the records of a profile; `MisfitError` if it can't be.

        Of those that are erased later nothing is known.
        """
        if any(not 0 < first <= last <= self.position for first, last in event.runs):
            raise MisfitError("what is recorded of instances comes after them")
        leaves, handles = self.hierarchy.leaves, event.handles()
        if not any(handle in leaves or handle in self.ghosts for handle in handles):
            raise MisfitError("there are no such instances")
        self.recorded.take_in(event, leaves.__contains__)
        if any(leaves[handle].file_id is not None for handle in handles if handle in leaves):
            self.recorded.position = self.position + 1

    def record_icon(self, event: IconRecorded) -> None:
        """Take in the icon of an instance; `MisfitError` if it can't be.

        Of one that is erased later nothing is known.
        """
        if event.size < 1 or event.icon.size != event.size**2:
            raise MisfitError("an icon has a byte for each pixel")
        if event.instance in self.ghosts:
            return
        self.leaf(event.instance)
        self.recorded.take_icon(event)

    def settle(self, record: RecordRef, position: int) -> None:
        """Accept the persons of a PATIENT record up to `position`, 0 for not."""
        if position:
            self.settled[record] = position
        else:
            self.settled.pop(record, None)

    def set_identity(self, field: str, value: Any) -> None:
        """Give a field of the identity its `value`."""
        changed: dict[str, Any] = {field: value}
        self.identity = evolve(self.identity, **changed)
