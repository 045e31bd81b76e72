"""The hierarchy of directory records: PATIENT / STUDY / SERIES / instance, or as the records say.

Every node stands under its `home`, the record that the journal put it under, and among its
siblings in the order in which the journal brought them in, whatever was removed and restored
since. So a restored instance comes back to its own place, below its own records. A node's `order`
is the position of the event that introduced it; no two siblings share one.

What instances say of the record above them may differ. The record that is shown, searched and
written is that of the earliest live instance below it (`projections.state.variants`).
"""

from __future__ import annotations

from collections.abc import Callable, Container, Iterable, Iterator, Mapping, Sequence
from typing import Final

from attrs import evolve

from ledger import elements
from ledger.errors import ElementsError
from ledger.events import Erased, Handle, InstanceAdded, Record, RecordRef, Variant
from ledger.tags import RECORD_IDENTIFIERS
from projections.errors import MisfitError
from projections.state.deferred import AnyDict, Deferred
from projections.state.facts import kind, pack, split
from projections.state.keys import record_key
from projections.state.nodes import Branch, Leaf

_KEY_HEADERS: Final = {
    record_type: elements.tag_bytes(tag)
    for record_type, tag in RECORD_IDENTIFIERS.items()
    if record_type != "PRIVATE"
}


def _below(home: Branch, position: int, records: Iterable[Record]) -> list[Branch]:
    """Return `records`, which the event at `position` introduced, one below the other."""
    new: list[Branch] = []
    try:
        for index, record in enumerate(records):
            new.append(Branch(record, RecordRef(position, index), new[-1] if new else home))
    except ElementsError as exc:
        raise MisfitError("a record can't be read") from exc
    return new


def leaf_of(handle: Handle, event: InstanceAdded, home: Branch) -> Leaf:
    """Return the leaf of an instance that an event adds below `home`, outside the tree."""
    record = event.record
    folder, name = (None, "") if event.source is None else split(event.source)
    return Leaf(
        order=handle,
        home=home,
        uid=event.sop_instance_uid,
        kind=kind(event.sop_class_uid, event.transfer_syntax_uid, record.type, event.placement),
        packed=pack(record, event.content, name),
        folder=folder,
        adopted_as=event.file_id,
        file_id=event.file_id,
    )


def may_stray(record: bytes, named: str | None = None) -> bool:
    """Whether a record, which is `named` for one of its type, may have the key of another type."""
    for other, header in _KEY_HEADERS.items():
        if record.find(header) >= 0 and other != named:
            return True
    return False


class Hierarchy:
    """The tree of what is in the File-set or still on its medium, and all that ever was.

    The tree holds every live instance, and every removed one until a write has taken it off the
    medium. What left the tree is kept by its handle and record reference: undo brings it back.
    """

    def __init__(self) -> None:
        self.root = Branch(Record("", elements.EMPTY), RecordRef(0, 0), None)
        self.branches: dict[RecordRef, Branch] = {}
        self.leaves: AnyDict[Handle, Leaf] = {}
        self.resting: dict[Handle, None] = {}
        """The instances that are no part of the File-set."""
        self.named: dict[tuple[str, str], dict[Branch, None]] = {}
        """The branches in the tree by type and key, blanks around the key left out."""
        self.varied: dict[Branch, None] = {}
        """The branches about which some instances say something else."""
        self.strays: dict[Branch | Leaf, None] = {}
        """Those in the tree that may have a key that `named` lacks, such as another type's."""
        self.replaced: dict[Handle, Handle] = {}
        """What each instance that corrects another one took the place of."""
        self._versions: dict[Handle, list[Handle]] = {}

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
        for branch, counterpart in counterparts.items():
            if branch.steads:
                counterpart.steads = dict(branch.steads)
                counterpart.disorder()
        copied.replaced = dict(self.replaced)
        copied._versions = {first: list(all_) for first, all_ in self._versions.items()}
        return copied

    def take_in(
        self,
        leaves: Deferred[Handle, Leaf],
        below: Iterable[tuple[Branch, Deferred[Handle, Leaf], int]],
        resting: Iterable[Handle],
        strays: Iterable[Handle],
    ) -> None:
        """Know all instances at once, in a hierarchy that has only its `branches`.

        `below` gives each record that has some in the tree directly below it, with them, in order,
        and how many of them are live.
        """
        self.leaves, self.resting = leaves, dict.fromkeys(resting)
        present = set()
        for branch, children, live in below:
            branch.defer(children)
            branch.live = live
            present.add(branch)
        for branch in reversed(self.branches.values()):
            if branch in present and branch.home is not None:
                present.add(branch.home)
                branch.home.live += branch.live > 0
        for branch in self.branches.values():
            if branch in present and branch.home is not None:
                branch.home.attach(branch)
                self._list(branch)
        self.strays.update((leaves[handle], None) for handle in strays)

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
        leaf = leaf_of(handle, event, branch)
        differing = [
            (self._described_by(leaf, variant), variant.record) for variant in event.differing
        ]
        for above, said in differing:
            self.vary(above, leaf, said)
        self.branches.update((branch.ref, branch) for branch in new)
        self.leaves[handle] = leaf
        self.resting[handle] = None
        return leaf

    def stead(self, replaced: Handle, under: RecordRef | None) -> int:
        """Return whose stead that takes which comes below a record with a correction, 0 for none.

        It is that of the instance `replaced`, or of what is above it there; if that is elsewhere,
        of the one before that it corrected itself.
        """
        home, handle = self._standing(under), replaced
        while (leaf := self.leaves.get(handle)) is not None:
            order, above = leaf.order, leaf.home
            while above is not home and above.home is not None:
                order, above = above.order, above.home
            if above is home:
                return home.steads.get(order, order)
            handle = self.replaced.get(handle, 0)
        return 0

    def rank_for(self, handle: Handle, replaced: Handle, under: RecordRef | None) -> int:
        """Return the rank of the instance `handle`, a correction that comes below a record.

        It is 0 for that of the one `replaced`. Where it joins others below a record it comes after
        them, and does not say what is in that record; unless it says that of one that it stays
        under, where others would say it then.
        """
        leaf = self.leaves[replaced]
        own, there = list(leaf.home.upwards()), list(self._standing(under).upwards())
        staying = [branch.variants for branch in there if branch in own and branch.variants]
        if any(branch.is_live for branch in there if branch not in own) and not any(
            variants.first is leaf for variants in staying
        ):
            return handle
        # Told once more: what told it may be erased.
        return leaf.rank if leaf.rank in self.versions(replaced)[1:] else 0

    def succeed(self, handle: Handle, replaced: Handle) -> None:
        """Know that an instance, outside the tree yet, corrects the one `replaced`."""
        self.replaced[handle] = replaced
        first = self.first_version(replaced)
        self._versions.setdefault(first, [first]).append(handle)

    def take_stead(self, order: int, stead: int, home: Branch | None) -> None:
        """Have what was introduced at `order` take the place among its siblings of another one.

        It does once that has no live instances any more: so nothing else is numbered anew. That is
        an instance directly below `home`, or the first of the records that came with it. With
        neither left, nothing takes a place.
        """
        top = self.branches.get(RecordRef(order, 0))
        home = home if top is None else top.home
        if home is not None and stead:
            home.steads[order] = stead

    def first_version(self, handle: Handle) -> Handle:
        """Return the instance that was added, of one that corrections took the place of."""
        while handle in self.replaced:
            handle = self.replaced[handle]
        return handle

    def first_versions(self, handles: Container[Handle]) -> set[Handle]:
        """Return the first versions of those of the instances `handles` that have several."""
        return {
            self.first_version(new)
            for new, old in self.replaced.items()
            if new in handles or old in handles
        }

    def versions(self, handle: Handle) -> Sequence[Handle]:
        """Return an instance and all that it corrects or that correct it, in order."""
        return self._versions.get(self.first_version(handle), (handle,))

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
        for handle in [handle for handle in self.leaves if handle in gone]:
            del self.leaves[handle]
            self.resting.pop(handle, None)
        for ref in going:
            self.varied.pop(self.branches.pop(ref), None)
        self._forget_versions(gone)
        for branch in list(self.varied):
            if branch.variants is not None and not branch.variants.forget(gone):
                branch.variants = None
                del self.varied[branch]

    def _forget_versions(self, gone: Container[Handle]) -> None:
        for branch in (self.root, *self.branches.values()):
            if branch.steads:
                branch.steads = {
                    order: stead
                    for order, stead in branch.steads.items()
                    if order not in gone or RecordRef(order, 0) in self.branches
                }
        kept = {
            new: old for new, old in self.replaced.items() if new not in gone and old not in gone
        }
        if len(kept) == len(self.replaced):
            return
        self.replaced, self._versions = {}, {}
        for new, old in kept.items():
            self.succeed(new, old)

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
        parent = leaf.parent
        if parent is not None:
            parent.count(leaf, -1)
        before, leaf.rank = leaf.rank, rank
        if parent is not None:
            parent.count(leaf, 1)
        if rank:
            self.resting.pop(leaf.handle, None)
        else:
            self.resting[leaf.handle] = None
        step = bool(rank) - bool(before)
        if self.varied:
            self._rank_variants(leaf, before)
        if leaf.home.steads and step:
            leaf.home.disorder()
        branch: Branch | None = leaf.home if step else None
        while branch is not None:
            branch.live += step
            if branch.live != max(step, 0):
                return  # neither the first nor the last: those above know it already
            if branch.home is not None:
                branch.home.reconsider(branch)
                if branch.home.steads:
                    branch.home.disorder()
            branch = branch.home

    def lay(self, leaf: Leaf, file_id: str | None) -> None:
        """Have `leaf` on the medium at `file_id`, or not on it with `None`."""
        parent = leaf.parent
        if parent is not None:
            parent.count(leaf, -1)
        leaf.file_id = file_id
        if parent is not None:
            parent.count(leaf, 1)
            parent.forget_moved()

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
        elif may_stray(node.packed):
            self._note_stray(node, (node.record,))

    def _note_stray(self, node: Branch | Leaf, records: Iterable[Record]) -> None:
        named = node.own.type if isinstance(node, Branch) else None  # leaves are not named
        if any(may_stray(held.elements, named) for held in records):
            self.strays[node] = None

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
        return self._walk(Branch.ordered)

    def walk_records(self) -> Iterator[tuple[int, Branch | Leaf]]:
        """Yield as `walk` does, without the instances that are below a record."""
        return self._walk(Branch.branches)

    def _walk(
        self, below: Callable[[Branch], Iterable[Branch | Leaf]]
    ) -> Iterator[tuple[int, Branch | Leaf]]:
        stack: list[Iterator[Branch | Leaf]] = [iter(self.root.ordered())]
        while stack:
            for node in stack[-1]:
                yield len(stack) - 1, node
                if isinstance(node, Branch):
                    stack.append(iter(below(node)))
                    break
            else:
                stack.pop()

    def walk_leaves(self) -> Iterator[Leaf]:
        """Yield the instances in the tree, in its order."""
        return (node for _, node in self.walk() if isinstance(node, Leaf))
