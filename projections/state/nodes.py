"""The nodes of the hierarchy: a directory record with others below it, and an instance.

A node's `order` is the position of the event that introduced it; no two siblings share one.
"""

from __future__ import annotations

from collections.abc import Iterator
from operator import itemgetter
from typing import cast

from attrs import define, field

from ledger.digest import Digest, to_raw
from ledger.events import Content, Handle, Placement, Record, RecordRef
from projections.state.deferred import AnyDict, Deferred
from projections.state.facts import Kind, content_in, kind, name_in, pack, record_in
from projections.state.keys import record_key
from projections.state.tally import Tally
from projections.state.variants import Variants

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
        "_tally",
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
        "steads",
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
        self.children: AnyDict[int, Branch | Leaf] = {}
        self.index = 0
        self.live = 0
        self._by_name: dict[_Name, Branch] = {}
        self._namesakes: dict[_Name, dict[int, Branch]] = {}
        self._stale = False
        self._tally: Tally | None = None
        self.steads: dict[int, int] = {}
        """Whose place a child takes, by the orders of both, once that one has nothing live."""

    def upwards(self) -> Iterator[Branch]:
        """Yield it and the records above it."""
        branch: Branch | None = self
        while branch is not None and branch.home is not None:
            yield branch
            branch = branch.home

    @property
    def is_live(self) -> bool:
        """Whether any instance below it is part of the File-set."""
        return self.live > 0

    @property
    def place(self) -> tuple[int, int]:
        """What records come in the order of, wherever they are: that of the journal."""
        return self.ref.position, self.ref.index

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

    def said_by(self, leaf: Leaf) -> Record:
        """Return what `leaf`, an instance below it, says of it."""
        return self.own if self.variants is None else self.variants.said_by(leaf)

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

    def branches(self) -> list[Branch]:
        """Return the records directly below it, in order."""
        if not self._by_name and not self._namesakes:
            return []  # all of what may be many are instances: they need not be looked at
        return [child for child in self.ordered() if isinstance(child, Branch)]

    def tallies(self) -> Iterator[Tally]:
        """Yield what is counted of the instances below it, from each record that has some."""
        stack = [self]
        while stack:
            branch = stack.pop()
            yield branch.tally
            stack += branch.branches()

    @property
    def is_on_medium(self) -> bool:
        """Whether any instance below it is on the medium as of the last completed write."""
        return any(tally.on_medium for tally in self.tallies())

    @property
    def tally(self) -> Tally:
        """What is counted of the instances directly below it; they are gone through once."""
        if self._tally is None:
            self._tally = Tally()
            for child in self.children.values():
                if isinstance(child, Leaf):
                    self._tally.count(child, 1)
        return self._tally

    @tally.setter
    def tally(self, known: Tally) -> None:
        self._tally = known

    def count(self, leaf: Leaf, step: int) -> None:
        """Take in that `leaf`, directly below it, is (1) or no longer is (-1) what it is."""
        if self._tally is not None:
            self._tally.count(leaf, step)

    def ordered(self) -> list[Branch | Leaf]:
        """Return the children in order, their `index` up to date."""
        self.renumber()
        return list(self.children.values())

    def some(self, first: int, last: int) -> list[Branch | Leaf]:
        """Return the children from one place in their order to another; others are not made."""
        if self.steads:
            return self.ordered()[first:last]
        return [self.children[order] for order in sorted(self.children)[first:last]]

    def renumber(self) -> None:
        """Bring the order and the `index` of the children up to date."""
        if not self._stale:
            return
        self.children = dict(sorted(self.children.items()))
        if self.steads:
            self._number_steads()
        else:
            for index, child in enumerate(self.children.values()):
                child.index = index
        self._stale = False

    def _number_steads(self) -> None:
        """Order and number the children where some take the places of others.

        What was there and has nothing live keeps its number until a write has taken it off; what
        takes its place has the same one.
        """
        children = self.children

        def place(child: Branch | Leaf) -> tuple[int, int]:
            stead = self.steads.get(child.order, child.order)
            other = children.get(stead, child)
            is_vacant = other is child or not other.is_live
            return (stead if is_vacant else child.order), child.order

        ordered = sorted(((place(child), child) for child in children.values()), key=itemgetter(0))
        index, before, occupied = -1, -1, True
        for (stead, _), child in ordered:
            if occupied or stead != before:
                index += 1
            child.index, before, occupied = index, stead, child.is_live
        self.children = {child.order: child for _, child in ordered}

    def _count_other(self, leaf: Leaf, step: int) -> None:
        self.count(leaf, step)
        if leaf.file_id is not None:
            self.forget_moved()

    def disorder(self) -> None:
        """Take in that the children may have another order and other numbers now."""
        self._stale = True
        self.forget_moved()

    def forget_moved(self) -> None:
        """Take in that order or File IDs of the instances directly below it have changed."""
        if self._tally is not None:
            self._tally.moved.clear()

    def defer(self, leaves: Deferred[Handle, Leaf]) -> None:
        """Have the instances `leaves`, which are in order, directly below it."""
        self.children = cast("Deferred[int, Branch | Leaf]", leaves)
        self._stale = True  # their `index` isn't known yet

    def attach(self, child: Branch | Leaf) -> None:
        """Put `child` among the children, at the place of its order."""
        if self.steads or (self.children and next(reversed(self.children)) > child.order):
            self.disorder()
        child.index = len(self.children)
        self.children[child.order] = child
        child.parent = self
        if not isinstance(child, Branch):
            self._count_other(child, 1)
        elif (namesakes := self._namesakes.get(child.name)) is not None:
            namesakes[child.order] = child
            self.reconsider(child)
        elif (other := self._by_name.setdefault(child.name, child)) is not child:
            self._namesakes[child.name] = {other.order: other, child.order: child}
            self.reconsider(child)

    def detach(self, child: Branch | Leaf) -> None:
        """Take `child` away."""
        if self.steads or child.order != next(reversed(self.children)):
            self.disorder()
        del self.children[child.order]
        child.parent = None
        if not isinstance(child, Branch):
            self._count_other(child, -1)
        else:
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

    Of the event that added it this keeps what a File-set is made of; the journal has the rest. Most
    of that is packed: who needs it twice keeps what he got.

    Attributes
    ----------
    order : int
        Its handle: the position of the event that added it.
    home : Branch
        The branch that the journal put it under.
    kind : Kind
        What it has in common with many.
    packed : bytes
        Its record, content and the name of its source, as `facts.pack` makes them.
    folder : str or None
        The folder of its source, with the separator at its end.
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
    kind: Kind
    packed: bytes = field(repr=False)
    folder: str | None
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
    def sop_class_uid(self) -> str:
        """Its SOP Class UID."""
        return self.kind.sop_class_uid

    @property
    def transfer_syntax_uid(self) -> str:
        """The Transfer Syntax UID of its file."""
        return self.kind.transfer_syntax_uid

    @property
    def record_type(self) -> str:
        """The type of its record."""
        return self.kind.record_type

    @property
    def placement(self) -> Placement:
        """Where its bytes are."""
        return self.kind.placement

    @property
    def record(self) -> Record:
        """The directory record that references it."""
        return record_in(self.packed, self.kind.record_type)

    @property
    def content(self) -> Content | None:
        """What its bytes are, `None` for one of an adopted medium that was never read."""
        return content_in(self.packed)

    @property
    def source(self) -> str | None:
        """Where its file was when it was added."""
        return None if self.folder is None else self.folder + name_in(self.packed)

    def has(self, digest: Digest) -> bool:
        """Whether its bytes are those of `digest`, at less cost than to ask for its content."""
        if to_raw(digest) not in self.packed:
            return False
        content = self.content
        return content is not None and content.digest == digest

    def secure(self, content: Content, placement: Placement) -> None:
        """Take in what its bytes are, and where."""
        self.packed = pack(self.record, content, name_in(self.packed))
        self.kind = kind(*self.kind[:-1], placement)

    def say(self, record: Record) -> None:
        """Have `record`, of the same type, reference it."""
        self.packed = pack(record, self.content, name_in(self.packed))

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
