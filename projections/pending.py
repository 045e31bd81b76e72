"""What is staged: the state now compared with what the last completed write left.

Pending is a comparison and not a list of what was done: an ID set and set back is not pending,
and undoing what was written stages its inverse.
"""

from __future__ import annotations

from collections.abc import Iterable

from attrs import fields, frozen

from projections.dicomdir import FileSetIdentity
from projections.hierarchy import Branch, Leaf
from projections.layouts import component, is_alphanumeric
from projections.state import FileSetState


@frozen
class Staged:
    """How much is staged; see :class:`Pending`."""

    creation: bool
    metadata: bool
    additions: int
    removals: int
    moves: int
    mends: bool = False

    def __bool__(self) -> bool:
        """Whether anything is staged."""
        return bool(
            self.creation
            or self.metadata
            or self.additions
            or self.removals
            or self.moves
            or self.mends
        )

    def summary(self) -> str:
        """Return what is staged in pydicom's words, ``""`` if nothing is."""
        if not self:
            return ""
        parts = ["DICOMDIR creation" if self.creation else "DICOMDIR update"]
        if self.moves:
            parts.append("directory structure update")
        if self.additions:
            parts.append(_count(self.additions, "addition"))
        if self.removals:
            parts.append(_count(self.removals, "removal"))
        return ", ".join(parts)


@frozen
class Pending:
    """The difference that the next write would make.

    `creation`: there is no DICOMDIR yet. `metadata`: the identity's fields that differ. `moves`:
    instances on the medium that the default layout would put elsewhere. `mends`: whether the
    DICOMDIR there was mended on adoption, and is still the old one.
    """

    creation: bool
    metadata: tuple[str, ...]
    additions: tuple[Leaf, ...]
    removals: tuple[Leaf, ...]
    moves: tuple[Leaf, ...]
    mends: bool = False

    def __bool__(self) -> bool:
        """Whether anything is staged."""
        return bool(self.counted())

    def counted(self) -> Staged:
        """Return how much is staged."""
        return Staged(
            creation=self.creation,
            metadata=bool(self.metadata),
            additions=len(self.additions),
            removals=len(self.removals),
            moves=len(self.moves),
            mends=self.mends,
        )

    def summary(self) -> str:
        """Return what is staged in pydicom's words, ``""`` if nothing is."""
        return self.counted().summary()


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}{'s' if number > 1 else ''}"


def pending(state: FileSetState) -> Pending:
    """Return what is staged in `state`."""
    return Pending(
        creation=state.written is None or state.written.dicomdir is None,
        metadata=changed_metadata(state),
        additions=in_order(state.additions.values()),
        removals=in_order(state.removals.values()),
        moves=moves(state),
        mends=state.written is not None and state.written.mends > 0,
    )


def in_order(leaves: Iterable[Leaf]) -> tuple[Leaf, ...]:
    """Return `leaves` in the order in which they were first added."""
    return tuple(sorted(leaves, key=lambda leaf: leaf.order))


def changed_metadata(state: FileSetState) -> tuple[str, ...]:
    """Return the names of the identity's fields that differ from the medium's."""
    if state.written is None:
        return ()
    before, now = state.written.identity, state.identity
    return tuple(
        f.name for f in fields(FileSetIdentity) if getattr(before, f.name) != getattr(now, f.name)
    )


def moves(state: FileSetState) -> tuple[Leaf, ...]:
    """Return the instances on the medium that the default layout has elsewhere.

    Those staged for removal count until a write has taken them off, as in pydicom: they keep their
    places in the numbering, and a File-set all of whose instances go is still told to be moved.
    """
    alphanumeric = is_alphanumeric(state)
    found = []
    folders = [""]
    for depth, node in state.hierarchy.walk():
        if isinstance(node, Leaf) and node.file_id is None:
            continue
        place = folders[depth] + component(
            node.record.type, depth, node.index, alphanumeric=alphanumeric
        )
        if isinstance(node, Branch):
            folders[depth + 1 :] = [f"{place}/"]
        elif node.file_id != place:
            found.append(node)
    return tuple(found)
