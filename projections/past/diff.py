"""The difference between two states of a File-set, or between a state and a medium.

A record is the same on both sides if it has the same type and key below the same records, and an
instance if it is below the same ones.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Final, TypeAlias

from attrs import evolve, frozen

from ledger.events import Handle
from projections.dicomdir.definitions import FileSetIdentity
from projections.past.effects import Effects
from projections.state.nodes import Branch, Leaf
from projections.state.state import FileSetState

Path: TypeAlias = tuple[tuple[str, str], ...]
"""The types and keys of the records above something, from the top down."""

_IDENTITY: Final = (
    "id",
    "uid",
    "descriptor_file_id",
    "descriptor_character_set",
    "profile",
    "elements",
)  # not who wrote the DICOMDIR, which its File Meta Information tells


@frozen
class Side:
    """What is compared: the identity, and the instances by SOP Instance UID.

    `position` is that in the journal, `None` for a medium. `erased` counts further instances,
    which have been erased since.
    """

    position: int | None
    identity: FileSetIdentity
    live: Mapping[str, Leaf]
    erased: int = 0

    @classmethod
    def of(cls, state: FileSetState) -> Side:
        """Return what `state` is; it may change afterwards, unless records of it have variants."""
        return cls(state.position, state.identity, dict(state.live), state.erased)

    def before(self, effects: Effects, position: int, leaves: Mapping[Handle, Leaf]) -> Side:
        """Return the side at an earlier `position`, given the `effects` since then.

        `leaves` are the instances that are still known.
        """
        live = dict(self.live)
        gone: list[Leaf] = []
        erased = self.erased
        for handle, (was, is_) in effects.members.items():
            leaf = leaves.get(handle)
            if leaf is None:
                erased += was - is_
            elif is_ and not was:
                del live[leaf.uid]
            elif was and not is_:
                gone.append(leaf)
        live.update((leaf.uid, leaf) for leaf in gone)
        then: dict[str, Any] = {name: was for name, (was, _) in effects.identity.items()}
        return Side(position, evolve(self.identity, **then), live, erased)


@frozen
class RecordDifference:
    """A record that one side lacks, or that has other elements there; `path` is its own place."""

    path: Path
    before: Branch | None
    after: Branch | None

    @property
    def kind(self) -> str:
        """`"added"`, `"removed"` or `"changed"`."""
        return kind_of(self.before, self.after)


@frozen
class Diff:
    """What differs between two sides.

    Attributes
    ----------
    identity : mapping of str to tuple
        The fields that differ, with both values.
    records : tuple of RecordDifference
        The records above instances.
    added, removed : tuple of Leaf
        The instances that only the later or only the earlier side has, in the order of the tree.
    changed : tuple of tuple of Leaf
        The instances that both have with another content or other elements in their records.
    """

    identity: Mapping[str, tuple[Any, Any]]
    records: tuple[RecordDifference, ...]
    added: tuple[Leaf, ...]
    removed: tuple[Leaf, ...]
    changed: tuple[tuple[Leaf, Leaf], ...]

    def __bool__(self) -> bool:
        """Whether anything differs."""
        return bool(self.identity or self.records or self.added or self.removed or self.changed)


def kind_of(before: object | None, after: object | None) -> str:
    """Return `"added"`, `"removed"` or `"changed"`, given what each side has."""
    if before is None:
        return "added"
    return "removed" if after is None else "changed"


def compare(before: Side, after: Side) -> Diff:
    """Return how `after` differs from `before`.

    Contents are compared where both are known; a DICOMDIR alone does not say what they are.
    """
    related = before.position is not None and after.position is not None
    added: list[Leaf] = []
    removed: list[Leaf] = []
    changed: list[tuple[Leaf, Leaf]] = []
    for uid, leaf in after.live.items():
        other = before.live.get(uid)
        if other is None:
            added.append(leaf)
        elif related and other.handle == leaf.handle:
            continue
        elif path_of(leaf.home) != path_of(other.home):
            added.append(leaf)
            removed.append(other)
        elif not _same(other, leaf):
            changed.append((other, leaf))
    removed += [leaf for uid, leaf in before.live.items() if uid not in after.live]
    return Diff(
        identity={
            name: (was, is_)
            for name in _IDENTITY
            if (related or name != "profile")  # of which no DICOMDIR tells
            and (was := getattr(before.identity, name)) != (is_ := getattr(after.identity, name))
        },
        records=tuple(_records(before, after)),
        added=tuple(sorted(added, key=place_of)),
        removed=tuple(sorted(removed, key=place_of)),
        changed=tuple(sorted(changed, key=lambda pair: place_of(pair[1]))),
    )


def _same(one: Leaf, other: Leaf) -> bool:
    content, others = one.content, other.content
    return (
        (content is None or others is None or content == others)
        and one.record.elements == other.record.elements
        and one.record_type == other.record_type
        and one.sop_class_uid == other.sop_class_uid
        and one.transfer_syntax_uid == other.transfer_syntax_uid
    )


def place_of(node: Branch | Leaf) -> tuple[int, ...]:
    """Return the key that sorts the nodes of one journal into the order of the tree."""
    if isinstance(node, Leaf):
        return (*place_of(node.home), node.order)
    return tuple(branch.order for branch in above(node))


def above(branch: Branch) -> list[Branch]:
    """Return `branch` and the records above it, from the top down."""
    return list(branch.upwards())[::-1]


def path_of(branch: Branch) -> Path:
    """Return the place of `branch`, empty for the root."""
    return tuple((node.record.type, node.key) for node in above(branch))


def _records(before: Side, after: Side) -> Iterator[RecordDifference]:
    """Yield the records that differ, a record before those below it."""
    was, is_ = _standing(before), _standing(after)
    for path, branch in is_.items():
        other = was.get(path)
        if other is None:
            yield RecordDifference(path, None, branch)
        elif other is not branch and other.record.elements != branch.record.elements:
            yield RecordDifference(path, other, branch)
    for path, branch in was.items():
        if path not in is_:
            yield RecordDifference(path, branch, None)


def _standing(side: Side) -> dict[Path, Branch]:
    """Return the records with instances below them by their places, in the order of the tree.

    Of two with the same place, the first one stands for both.
    """
    homes = dict.fromkeys(leaf.home for leaf in side.live.values())
    branches = {branch: None for home in homes for branch in above(home)}
    found: dict[Path, Branch] = {}
    for branch in sorted(branches, key=place_of):
        found.setdefault(path_of(branch), branch)
    return found
