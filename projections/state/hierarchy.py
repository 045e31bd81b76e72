"""The hierarchy of directory records: PATIENT / STUDY / SERIES / instance, or as the records say.

Every node stands under its `home`, the record that the journal put it under, and among its
siblings in the order in which the journal brought them in, whatever was removed and restored
since. So a restored instance comes back to its own place, below its own records. A node's `order`
is the position of the event that introduced it; no two siblings share one.

What instances say of the record above them may differ. The record that is shown, searched and
written is that of the earliest live instance below it (`projections.state.variants`).
"""

from __future__ import annotations

import struct
from collections.abc import Container, Iterable, Iterator, Mapping
from typing import Final

from attrs import define, evolve, field

from ledger import elements
from ledger.errors import ElementsError
from ledger.events import (
    Content,
    Erased,
    Handle,
    InstanceAdded,
    Placement,
    Record,
    RecordRef,
    Variant,
)
from ledger.tags import RECORD_IDENTIFIERS
from projections.errors import MisfitError
from projections.state.keys import record_key
from projections.state.variants import Variants

_KEY_HEADERS: Final = {
    record_type: struct.pack("<HH", tag >> 16, tag & 0xFFFF)
    for record_type, tag in RECORD_IDENTIFIERS.items()
    if record_type != "PRIVATE"
}

_Name = tuple[str, str]
"""The type of a record and its key, which tell it from its siblings."""


class Branch:
    """A directory record with records below it; the root has an empty type and no home.

    `live` counts those of its children that are live instances or have some below them.
    """

    __slots__ = (
        "_by_name",
        "_namesakes",
        "_stale",
        "children",
        "home",
        "index",
        "key",
        "live",
        "name",
        "on_medium",
        "order",
        "own",
        "parent",
        "ref",
        "variants",
    )

    def __init__(self, record: Record, ref: RecordRef, home: Branch | None) -> None:
        self.own = record
        """What the event that introduced it holds for it."""
        self.variants: Variants | None = None
        self.on_medium: Record | None = None
        """What the medium has of it as of the last completed write, where that is not its own."""
        self.ref = ref
        self.key = record_key(record) or ""
        self.name: _Name = (record.type, self.key)
        self.order = ref.position
        self.home = home
        """The branch that the journal put it under."""
        self.parent: Branch | None = None
        """Its home while it is in the tree, else `None`."""
        self.children: dict[int, Branch | Leaf] = {}
        self.index = 0
        self.live = 0
        self._by_name: dict[_Name, Branch] = {}
        self._namesakes: dict[_Name, dict[int, Branch]] = {}
        self._stale = False

    @property
    def record(self) -> Record:
        """What the earliest live instance below it says of it.

        With none, that is what the medium has of it, if it does.
        """
        if self.variants is None:
            return self.own
        return self.variants.standing or self.on_medium or self.own

    def vary(self, leaf: Leaf, said: Record) -> None:
        """Remember that `leaf`, an instance below it, says something else of it."""
        if self.variants is None:
            self.variants = Variants(self.own, self.leaves)
        self.variants.add(leaf, said)

    def keep(self, record: Record) -> None:
        """Hold `record` for it from now on, which each instance below says that has no variant."""
        self.own = record
        if self.variants is not None:
            self.variants.keep(record)
        if self.on_medium is not None and self.on_medium.elements == record.elements:
            self.on_medium = None

    def records(self) -> Iterator[Record]:
        """Yield what the journal holds for it, and whatever else instances say of it."""
        yield self.own
        if self.variants is not None:
            yield from dict.fromkeys(self.variants.by_leaf.values())

    def find(self, record_type: str, key: str) -> Branch | None:
        """Return the record of a type below it in the tree with `key`: where new instances go.

        Two may have one key: adopted media may hold such, and a record whose instances undo
        brought back can stand beside one that came in its place. The first with live instances
        then answers to the key, or simply the first.
        """
        name = (record_type, key)
        found = self._by_name.get(name)
        if found is None and (namesakes := self._namesakes.get(name)):
            found = min(namesakes.values(), key=lambda branch: (not branch.live, branch.order))
            self._by_name[name] = found
        return found

    def reconsider(self, child: Branch) -> None:
        """Have `find` choose anew between `child`, which has changed, and its namesakes."""
        if child.name in self._namesakes:
            self._by_name.pop(child.name, None)

    def leaves(self) -> Iterator[Leaf]:
        """Yield the instances in the tree below it, in no particular order."""
        stack = [self]
        while stack:
            for child in stack.pop().children.values():
                if isinstance(child, Leaf):
                    yield child
                else:
                    stack.append(child)

    def ordered(self) -> list[Branch | Leaf]:
        """Return the children in order, their `index` up to date."""
        self.renumber()
        return list(self.children.values())

    def renumber(self) -> None:
        """Bring the order and the `index` of the children up to date."""
        if self._stale:
            self.children = dict(sorted(self.children.items()))
            for index, child in enumerate(self.children.values()):
                child.index = index
            self._stale = False

    def attach(self, child: Branch | Leaf) -> None:
        """Put `child` among the children, at the place of its order."""
        if self.children and not self._stale and next(reversed(self.children)) > child.order:
            self._stale = True
        child.index = len(self.children)
        self.children[child.order] = child
        child.parent = self
        if isinstance(child, Branch):
            if (namesakes := self._namesakes.get(child.name)) is not None:
                namesakes[child.order] = child
                self.reconsider(child)
            elif (other := self._by_name.setdefault(child.name, child)) is not child:
                self._namesakes[child.name] = {other.order: other, child.order: child}
                self.reconsider(child)

    def detach(self, child: Branch | Leaf) -> None:
        """Take `child` away."""
        if child.order != next(reversed(self.children)):
            self._stale = True
        del self.children[child.order]
        child.parent = None
        if isinstance(child, Branch):
            namesakes = self._namesakes.get(child.name)
            if namesakes is None:
                del self._by_name[child.name]
                return
            del namesakes[child.order]
            self.reconsider(child)
            if len(namesakes) == 1:
                (self._by_name[child.name],) = namesakes.values()
                del self._namesakes[child.name]


@define(eq=False, weakref_slot=False)
class Leaf:
    """An instance: the directory record that references it, and its standing.

    Of the event that added it this keeps what a File-set is made of; the journal has the rest.

    Attributes
    ----------
    order : int
        Its handle: the position of the event that added it.
    home : Branch
        The branch that the journal put it under.
    source : str or None
        Where its file was when it was added.
    adopted_as : str or None
        The File ID that it had on the medium it was adopted with.
    file_id : str or None
        Where it lies on the medium as of the last completed write, if it does.
    rank : int
        0 while it is not part of the File-set, else the position of the event that made it part;
        `Hierarchy.rank` sets it.
    parent : Branch or None
        Its home while it is in the tree, else `None`.
    """

    order: Handle
    home: Branch = field(repr=False)
    uid: str
    sop_class_uid: str
    transfer_syntax_uid: str
    record: Record
    content: Content | None
    placement: Placement
    source: str | None
    adopted_as: str | None
    file_id: str | None
    rank: int = 0
    index: int = 0
    parent: Branch | None = field(default=None, repr=False)

    @property
    def handle(self) -> Handle:
        """The position of the event that added the instance."""
        return self.order

    @property
    def key(self) -> str:
        """What tells the record from its siblings."""
        return record_key(self.record, self.uid) or ""

    @property
    def is_live(self) -> bool:
        """Whether the instance is part of the File-set."""
        return self.rank > 0

    @property
    def is_addition(self) -> bool:
        """Whether it is part of the File-set and not yet on the medium."""
        return self.rank > 0 and self.file_id is None

    @property
    def is_removal(self) -> bool:
        """Whether it is on the medium and no longer part of the File-set."""
        return self.rank == 0 and self.file_id is not None


def _below(home: Branch, position: int, records: Iterable[Record]) -> list[Branch]:
    """Return `records`, which the event at `position` introduced, one below the other."""
    new: list[Branch] = []
    try:
        for index, record in enumerate(records):
            new.append(Branch(record, RecordRef(position, index), new[-1] if new else home))
    except ElementsError as exc:
        raise MisfitError("a record can't be read") from exc
    return new


class Hierarchy:
    """The tree of what is in the File-set or still on its medium, and all that ever was.

    The tree holds every live instance, and every removed one until a write has taken it off the
    medium. What left the tree is kept by its handle and record reference: undo brings it back.
    """

    def __init__(self) -> None:
        self.root = Branch(Record("", elements.EMPTY), RecordRef(0, 0), None)
        self.branches: dict[RecordRef, Branch] = {}
        self.leaves: dict[Handle, Leaf] = {}
        self.named: dict[tuple[str, str], dict[Branch, None]] = {}
        """The branches in the tree by type and key, blanks around the key left out."""
        self.varied: dict[Branch, None] = {}
        """The branches about which some instances say something else."""
        self.strays: dict[Branch | Leaf, None] = {}
        """Those in the tree that may have a key that `named` lacks, such as another type's."""

    def copy(self) -> Hierarchy:
        """Return the same hierarchy as an object of its own."""
        copied = Hierarchy()
        counterparts = {self.root: copied.root}
        for ref, branch in self.branches.items():
            assert branch.home is not None  # noqa: S101 - only the root has none
            counterpart = Branch(branch.own, ref, counterparts[branch.home])
            counterpart.on_medium = branch.on_medium
            counterparts[branch] = copied.branches[ref] = counterpart
        for leaf in self.leaves.values():
            copied.hold(evolve(leaf, home=counterparts[leaf.home], rank=0, parent=None), leaf.rank)
        for branch in self.varied:
            if branch.variants is not None:
                for each, said in branch.variants.by_leaf.items():
                    copied.vary(counterparts[branch], copied.leaves[each.order], said)
        return copied

    def vary(self, branch: Branch, leaf: Leaf, said: Record) -> None:
        """Remember that `leaf` says something else of `branch`, which is above it."""
        branch.vary(leaf, said)
        self.varied[branch] = None
        if branch.parent is not None:
            self._note_stray(branch, (said,))

    @staticmethod
    def _described_by(leaf: Leaf, variant: Variant) -> Branch:
        """Return the record above `leaf` that it tells of; `MisfitError` if it is no other one."""
        branch: Branch | None = leaf.home
        while branch is not None and (branch.ref != variant.of or branch.home is None):
            branch = branch.home
        if branch is None or variant.record.type != branch.own.type:
            raise MisfitError("an instance tells of a record that is not above it")
        try:
            if (record_key(variant.record) or "") != branch.key:
                raise MisfitError("an instance tells of a record with another key")
        except ElementsError as exc:
            raise MisfitError("a record can't be read") from exc
        return branch

    def hold(self, leaf: Leaf, rank: int) -> None:
        """Know a new leaf, with its `rank`, and put it into the tree if it belongs there."""
        self.leaves[leaf.handle] = leaf
        self.rank(leaf, rank)
        if rank or leaf.file_id is not None:
            self.place(leaf)

    def introduce(self, handle: Handle, event: InstanceAdded) -> Leaf:
        """Return the leaf of a newly added instance, its new records known, outside the tree.

        Raises `MisfitError`, and nothing is known then, if its records
        can't be.
        """
        branch = self._standing(event.under)
        new = _below(branch, handle, event.parents)
        branch = new[-1] if new else branch
        leaf = Leaf(
            order=handle,
            home=branch,
            uid=event.sop_instance_uid,
            sop_class_uid=event.sop_class_uid,
            transfer_syntax_uid=event.transfer_syntax_uid,
            record=event.record,
            content=event.content,
            placement=event.placement,
            source=event.source,
            adopted_as=event.file_id,
            file_id=event.file_id,
        )
        differing = [
            (self._described_by(leaf, variant), variant.record) for variant in event.differing
        ]
        for above, said in differing:
            self.vary(above, leaf, said)
        self.branches.update((branch.ref, branch) for branch in new)
        self.leaves[handle] = leaf
        return leaf

    def keep(self, handle: Handle, event: Erased) -> None:
        """Know the records that an erased event has left, outside the tree; raises as before."""
        new = _below(self._standing(event.under), handle, event.parents)
        self.branches.update((branch.ref, branch) for branch in new)

    def _standing(self, under: RecordRef | None) -> Branch:
        if under is None:
            return self.root
        if under not in self.branches:
            raise MisfitError("there is no such record to be under")
        return self.branches[under]

    def forget(self, gone: Container[Handle], records: Iterable[tuple[int, int]]) -> None:
        """Forget the instances `gone`, outside the tree, and records that nothing stands under.

        `records` gives positions, and how many of the records introduced there stay. Raises
        `MisfitError`, and nothing is forgotten, if others would go too.
        """
        going: set[RecordRef] = set()
        for position, staying in records:
            ref = RecordRef(position, staying)
            while ref in self.branches:
                going.add(ref)
                ref = RecordRef(position, ref.index + 1)
        if not going.isdisjoint(self.needed(gone)):
            raise MisfitError("instances stand under records that go")
        self.leaves = {h: leaf for h, leaf in self.leaves.items() if h not in gone}
        for ref in going:
            self.varied.pop(self.branches.pop(ref), None)
        for branch in list(self.varied):
            if branch.variants is not None and not branch.variants.forget(gone):
                branch.variants = None
                del self.varied[branch]

    def needed(self, gone: Container[Handle]) -> set[RecordRef]:
        """Return the records that instances stand under which are not `gone`."""
        needed: set[RecordRef] = set()
        for leaf in self.leaves.values():
            branch: Branch | None = None if leaf.handle in gone else leaf.home
            while branch is not None and branch.ref not in needed:
                needed.add(branch.ref)
                branch = branch.home
        return needed

    def set_on_medium(self, written: Mapping[RecordRef, Record]) -> None:
        """Remember what the medium has of the branches: `written`, of all others what they hold."""
        for branch in self.varied:
            branch.on_medium = written.get(branch.ref)

    def rank(self, leaf: Leaf, rank: int) -> None:
        """Give `leaf` the rank `rank`, and count it where it stands."""
        before, leaf.rank = leaf.rank, rank
        step = bool(rank) - bool(before)
        if self.varied:
            self._rank_variants(leaf, before)
        branch: Branch | None = leaf.home if step else None
        while branch is not None:
            branch.live += step
            if branch.live != max(step, 0):
                return  # neither the first nor the last: those above know it already
            if branch.home is not None:
                branch.home.reconsider(branch)
            branch = branch.home

    @staticmethod
    def _rank_variants(leaf: Leaf, before: int) -> None:
        branch: Branch | None = leaf.home
        while branch is not None:
            if branch.variants is not None:
                branch.variants.ranked(leaf, before)
            branch = branch.home

    def place(self, leaf: Leaf) -> None:
        """Put `leaf` and the records above it into the tree, where they aren't yet."""
        node: Branch | Leaf = leaf
        while node.parent is None and node.home is not None:
            node.home.attach(node)
            self._list(node)
            node = node.home

    def displace(self, leaf: Leaf) -> None:
        """Take `leaf` out of the tree, and each record above it that is left without any."""
        node: Branch | Leaf = leaf
        while (parent := node.parent) is not None:
            parent.detach(node)
            self._unlist(node)
            if parent.children:
                return
            node = parent

    def _list(self, node: Branch | Leaf) -> None:
        if isinstance(node, Branch):
            name = (node.own.type, node.key.strip())
            self.named.setdefault(name, {})[node] = None
            self._note_stray(node, node.records())
            if not node.key.isprintable():  # people don't see the escapes of ISO 2022
                self.strays[node] = None
        else:
            self._note_stray(node, (node.record,))

    def _note_stray(self, node: Branch | Leaf, records: Iterable[Record]) -> None:
        named = node.own.type if isinstance(node, Branch) else None  # leaves are not named
        for held in records:
            for other, header in _KEY_HEADERS.items():
                if held.elements.find(header) >= 0 and other != named:
                    self.strays[node] = None
                    return

    def _unlist(self, node: Branch | Leaf) -> None:
        self.strays.pop(node, None)
        if isinstance(node, Branch):
            name = (node.own.type, node.key.strip())
            namesakes = self.named[name]
            del namesakes[node]
            if not namesakes:
                del self.named[name]

    def walk(self) -> Iterator[tuple[int, Branch | Leaf]]:
        """Yield (depth, node) from the top down, siblings in order; the top level has depth 0."""
        stack: list[Iterator[Branch | Leaf]] = [iter(self.root.ordered())]
        while stack:
            for node in stack[-1]:
                yield len(stack) - 1, node
                if isinstance(node, Branch):
                    stack.append(iter(node.ordered()))
                    break
            else:
                stack.pop()

    def walk_leaves(self) -> Iterator[Leaf]:
        """Yield the instances in the tree, in its order."""
        return (node for _, node in self.walk() if isinstance(node, Leaf))
