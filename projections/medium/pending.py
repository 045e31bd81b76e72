"""What is staged: the state now compared with what the last completed write left.

Pending is a comparison and not a list of what was done: an ID set and set back is not pending,
and undoing what was written stages its inverse.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator

from attrs import fields, frozen

from ledger.names import is_conformant
from projections.dicomdir.definitions import FileSetIdentity
from projections.medium.layouts import component, file_id, is_alphanumeric, usual_layout
from projections.medium.staged import Staged
from projections.state.nodes import Branch, Leaf
from projections.state.state import FileSetState


@frozen
class Pending:
    """The difference that the next write would make.

    `creation`: there is no DICOMDIR yet. `metadata`: the identity's fields that differ. `moves`:
    instances on the medium that the default layout would put elsewhere. `mends`: whether the
    DICOMDIR there was mended on adoption, and is still the old one. `records`: those on the medium
    whose values there are not those of now, since they come from instances that are gone.
    `corrections`: instances on the medium that were corrected, or whose correction was undone,
    each with what replaces it; they are no additions and removals. `elements`: whether more was
    recorded since of what the application profile adds to records.
    """

    creation: bool
    metadata: tuple[str, ...]
    additions: tuple[Leaf, ...]
    removals: tuple[Leaf, ...]
    moves: tuple[Leaf, ...]
    mends: bool = False
    records: tuple[Branch, ...] = ()
    corrections: tuple[tuple[Leaf, Leaf], ...] = ()
    elements: bool = False

    def __bool__(self) -> bool:
        """Whether anything is staged."""
        return bool(self.counted())

    def counted(self) -> Staged:
        """Return how much is staged."""
        return Staged(
            creation=self.creation,
            metadata=bool(self.metadata) or self.elements,
            additions=len(self.additions),
            removals=len(self.removals),
            moves=len(self.moves),
            mends=self.mends,
            records=len(self.records),
            corrections=len(self.corrections),
        )

    def summary(self) -> str:
        """Return what is staged in pydicom's words, `""` if nothing is."""
        return self.counted().summary()


def staged(state: FileSetState, layout: str = "pydicom") -> Staged:
    """Return how much is staged, as `pending(...).counted()`, at the cost of what has changed."""
    return Staged(
        creation=_is_creation(state),
        metadata=bool(changed_metadata(state)) or _has_elements(state),
        additions=len(state.additions) - len(state.corrections),
        removals=len(state.removals) - len(state.corrections),
        moves=sum(_moves_below(state, layout)),
        mends=_has_mends(state),
        records=len(changed_records(state)),
        corrections=len(state.corrections),
    )


def _is_creation(state: FileSetState) -> bool:
    return state.written is None or state.written.dicomdir is None


def _has_mends(state: FileSetState) -> bool:
    return state.written is not None and state.written.mends > 0


def _has_elements(state: FileSetState) -> bool:
    written = state.written
    if written is None or state.identity.profile is None:
        return False
    return state.recorded.position > written.position


def pending(state: FileSetState, layout: str = "pydicom") -> Pending:
    """Return what is staged in `state` for a write in `layout`."""
    replaced = set(state.corrections.values())
    return Pending(
        creation=_is_creation(state),
        metadata=changed_metadata(state),
        additions=in_order(
            leaf for leaf in state.additions.values() if leaf not in state.corrections
        ),
        removals=in_order(leaf for leaf in state.removals.values() if leaf not in replaced),
        moves=moves(state, layout),
        mends=_has_mends(state),
        records=changed_records(state),
        corrections=tuple((state.corrections[new], new) for new in in_order(state.corrections)),
        elements=_has_elements(state),
    )


def usually_staged(state: FileSetState) -> Staged:
    """Return how much is staged for a write as the command does it: in the usual layout."""
    return staged(state, usual_layout(state))


def usually_moved(state: FileSetState) -> Callable[[Leaf], bool]:
    """Return what tells whether an instance is among the moves of a write in the usual layout.

    That is of the tree as it stands now: what is the same of many is found once.
    """
    layout = usual_layout(state)
    if layout != "pydicom":
        keeps = layout == "existing"
        return lambda leaf: not (keeps or leaf.file_id is None or is_conformant(leaf.file_id))
    alphanumeric = is_alphanumeric(state)
    folders: dict[Branch, tuple[str, int]] = {}

    def is_moved(leaf: Leaf) -> bool:
        above = leaf.parent
        if leaf.file_id is None or above is None:
            return False
        if above not in folders:
            above.renumber()
            folder = f"{path}/" if (path := file_id(above, state)) else ""
            folders[above] = folder, folder.count("/")
        folder, depth = folders[above]
        name = component(leaf.record_type, depth, leaf.index, alphanumeric=alphanumeric)
        return leaf.file_id != folder + name

    return is_moved


def changed_records(state: FileSetState) -> tuple[Branch, ...]:
    """Return the records on the medium that have other values there than now."""
    return tuple(
        branch
        for branch in state.hierarchy.varied
        if branch.live
        and branch.record.elements != (branch.on_medium or branch.own).elements
        and branch.is_on_medium
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


def moves(state: FileSetState, layout: str = "pydicom") -> tuple[Leaf, ...]:
    """Return the instances on the medium that `layout` has elsewhere.

    In the default one, those staged for removal count until a write has taken them off, as in
    pydicom: they keep their places in the numbering, and a File-set all of whose instances go is
    still told to be moved.
    """
    if layout == "existing":
        return ()
    if layout == "conformant":
        there = ((leaf, leaf.file_id) for leaf in state.live.values())
        return tuple(leaf for leaf, path in there if path and not is_conformant(path))
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


def _moves_below(state: FileSetState, layout: str) -> Iterator[int]:
    """Yield how many `moves` there are directly below each record.

    The tallies remember those of the default layout by the folder that it has for the record.
    """
    if layout == "conformant":
        yield from (tally.misnamed for tally in state.hierarchy.root.tallies())
    stack = [(state.hierarchy.root, 0, "")] if layout == "pydicom" else []
    alphanumeric = is_alphanumeric(state)
    while stack:
        branch, depth, folder = stack.pop()
        moved, key = branch.tally.moved, f"{folder}*{alphanumeric:d}"
        if branch.tally.on_medium:
            if key not in moved:
                moved[key] = _count_moved(branch, depth, folder, alphanumeric=alphanumeric)
            yield moved[key]
        for child in branch.branches():
            name = component(child.record.type, depth, child.index, alphanumeric=alphanumeric)
            stack.append((child, depth + 1, f"{folder}{name}/"))


def _count_moved(branch: Branch, depth: int, folder: str, *, alphanumeric: bool) -> int:
    return sum(
        child.file_id
        != folder + component(child.record.type, depth, child.index, alphanumeric=alphanumeric)
        for child in branch.ordered()
        if isinstance(child, Leaf) and child.file_id is not None
    )
