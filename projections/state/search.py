"""Looking instances up by what identifies them and the records above them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from operator import attrgetter
from typing import Final

from ledger.elements import tag_bytes
from projections.state.nodes import Branch, Leaf
from projections.state.state import FileSetState

_TYPES: Final = {"PatientID": "PATIENT", "StudyInstanceUID": "STUDY", "SeriesInstanceUID": "SERIES"}
_INSTANCE: Final = "SOPInstanceUID"
_NO_TEXT: Final = frozenset(
    "\\~"
)  # ASCII that Japanese repertoires have something else in place of


def candidates(state: FileSetState, query: Mapping[str, object]) -> list[Leaf] | None:
    """Return the instances of the File-set that may have all the values of `query`, in order.

    `query` gives values by keyword, or tuples of values of which one will do. All instances that
    have them are returned, and few others; `None` if nothing in `query` is indexed, so that any
    instance may match.
    """
    known = [_known(state, keyword, value) for keyword, value in query.items()]
    sets = sorted((each for each in known if each is not None), key=len)
    if not sets:
        return None
    fewest = sets[0]
    return in_order(state, [leaf for leaf in fewest if all(leaf in each for each in sets[1:])])


def _known(state: FileSetState, keyword: str, value: object) -> dict[Leaf, None] | None:
    """Return the live instances that may have `value`, `None` where no index tells."""
    if isinstance(value, tuple):
        known = [_known(state, keyword, each) for each in value]
        return None if None in known else {leaf: None for each in known if each for leaf in each}
    if not isinstance(value, str) or not _is_plain(value):
        return None
    if keyword == _INSTANCE:
        leaf = state.live.get(value)
        return {} if leaf is None else {leaf: None}
    if keyword not in _TYPES:
        return None
    hierarchy = state.hierarchy
    nodes = [*hierarchy.named.get((_TYPES[keyword], value.strip()), ()), *hierarchy.strays]
    found: dict[Leaf, None] = {}
    for node in nodes:
        below = node.leaves() if isinstance(node, Branch) else (node,)
        found.update((leaf, None) for leaf in below if leaf.is_live)
    return found


def _is_plain(value: str) -> bool:
    """Whether a text is the same bytes in every repertoire of PS3.3 C.12.1.1.2."""
    return value.isascii() and value.isprintable() and _NO_TEXT.isdisjoint(value)


def in_order(state: FileSetState, leaves: Iterable[Leaf]) -> list[Leaf]:
    """Return live instances in the order of the File-set.

    That is the tree's for those that the last write wrote; what came since is behind them, in the
    order in which it came.
    """
    last_write = state.written.position if state.written else 0

    def place(leaf: Leaf) -> tuple[int, list[int]]:
        node: Branch | Leaf | None = leaf
        orders = []
        while node is not None:
            above = node.parent
            if above is not None and above.steads:
                above.renumber()  # some of its children take the places of others
                orders.append(node.index)
            else:
                orders.append(node.order)
            node = above
        return leaf.rank if leaf.rank > last_write else 0, orders[::-1]

    return sorted(leaves, key=place)


def all_in_order(state: FileSetState) -> Iterator[Leaf]:
    """Yield all instances of the File-set in its order, as `in_order` has it."""
    last_write = state.written.position if state.written else 0
    later = []
    for leaf in state.hierarchy.walk_leaves():
        if leaf.is_live and leaf.rank > last_write:
            later.append(leaf)
        elif leaf.is_live:
            yield leaf
    yield from sorted(later, key=attrgetter("rank"))


def telling(leaves: Iterable[Leaf], tag: int) -> Iterator[Leaf]:
    """Yield those of `leaves` that tell all values of an element which their records hold.

    Those are each with one of its own, and of the others the first below each record: what that
    one has of the records above it, so have the rest. A few may have no such element at all.
    """
    header, met = tag_bytes(tag), set()
    for leaf in leaves:
        if header not in leaf.packed:
            home = leaf.parent or leaf.home
            if home in met:
                continue
            met.add(home)
        yield leaf


def one_by_one(state: FileSetState) -> Iterator[Leaf]:
    """Yield the instances of the File-set as they were added; those not come to are not made."""
    leaves = map(state.leaf, state.hierarchy.leaves)
    return (leaf for leaf in leaves if leaf.is_live)
