"""A difference between two states for people: as a tree, and in numbers."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from typing import Any, Final, TypeAlias

from attrs import asdict

from fileset.cli.screen.documents import element_lines, record_difference
from fileset.cli.screen.listing import leaf_line, record_label
from fileset.cli.screen.output import Line, Node, Span, first
from fileset.cli.screen.reports import SHOWN
from fileset.timeline.naming import sop_class_name
from ledger.digest import short
from ledger.events import ElementCorrected
from ledger.phrases import count
from projections.past.diff import Side, compare
from projections.past.diff_tree import INSTANCES, KINDS, OTHER, DiffNode, InstanceDifference, tree
from projections.state.nodes import Leaf
from projections.state.state import FileSetState

_FEW: Final = 5
"""Instances of a kind in one record that are listed, rather than counted, without `--all`."""

_SIGNS: Final[dict[str | None, Span]] = {
    "added": Span("+ ", "good"),
    "removed": Span("- ", "bad"),
    "changed": Span("~ ", "careful"),
}
_NOUNS: Final = {
    "patients": ("patient", "patients"),
    "studies": ("study", "studies"),
    "series": ("series", "series"),
    OTHER: ("other record", "other records"),
    INSTANCES: ("instance", "instances"),
}


CORRECTED: Final = (
    "[{path, before, after, instances}]: what was corrected in how many instances; a value is null "
    "where there is no such element"
)
"""What the list of corrected elements in a document is."""

_Corrected: TypeAlias = Sequence[tuple[ElementCorrected, int]]


def corrections_document(corrected: _Corrected) -> list[dict[str, Any]]:
    """Return elements that were corrected, each in how many instances."""
    return [{**asdict(element), "instances": number} for element, number in corrected]


def correction_lines(corrected: _Corrected, uids: int = 0) -> Iterator[Line]:
    """Yield the same for people, and how many `uids` were replaced wherever they occurred."""
    lines = [f"  {each.in_words()} in {count(number, 'instance')}" for each, number in corrected]
    yield from first(lines, SHOWN, "  ... and {:,} more: --json lists them")
    if uids:
        yield f"  {count(uids, 'UID')} replaced"


def counted(counts: dict[str, dict[str, int]], others_differ: bool) -> Iterator[str | Span]:
    """Yield what differs in numbers, by kind."""
    between = ""
    for kind in KINDS:
        *numbers, last = _numbers({level: kinds[kind] for level, kinds in counts.items()}) or [""]
        if last:
            yield between
            listed = f"{', '.join(numbers)} and {last}" if numbers else last
            yield Span(f"{listed} {kind}", _SIGNS[kind].style)
            between = "; "
    if not between:
        yield "the same instances" if others_differ else "no difference"


def _numbers(by_level: dict[str, int]) -> list[str]:
    return [
        f"{number:,} {_NOUNS[level][number != 1]}" for level, number in by_level.items() if number
    ]


def foreseen(now: FileSetState, then: FileSetState, *, full: bool = False) -> Node:
    """Return what would be different in the state `then`."""
    differences = tree(compare(Side.of(now), Side.of(then)))
    return Node(
        ("Then: ", *counted(differences.counted(), False)), nodes(differences, then, full=full)
    )


def nodes(node: DiffNode, state: FileSetState, *, full: bool) -> Iterator[Node]:
    """Yield what is to be printed below a node."""
    for below in node.below.values():
        assert below.branch is not None  # noqa: S101 - all but the root have one
        kind = below.kind
        label = (*((_SIGNS[kind],) if kind else ()), *record_label(below.branch))
        if kind in {"added", "removed"} and not full:
            yield Node((*label, f": {_contents(below)}"))
            continue
        elements = map(Node, _element_lines(below))
        yield Node(label, [*elements, *nodes(below, state, full=full)])
    for kind in KINDS:
        instances = [found for found in node.instances if found.kind == kind]
        if len(instances) > _FEW and not full and node.branch is not None:
            types = Counter(found.leaf.record_type for found in instances)
            for record_type, number in types.items():
                yield Node((_SIGNS[kind], f"{record_type}: {count(number, 'instance')}"))
        else:
            for found in instances:
                yield _instance_node(found, state)


def _contents(node: DiffNode) -> str:
    """Return how much is in a record that came or went as a whole."""
    counts = {level: sum(kinds.values()) for level, kinds in node.counted().items()}
    return ", ".join(_numbers(counts))


def _element_lines(node: DiffNode) -> list[str]:
    difference = node.difference
    if difference is None or difference.before is None or difference.after is None:
        return []
    return element_lines(record_difference(difference.before.record, difference.after.record))


def _instance_node(found: InstanceDifference, state: FileSetState) -> Node:
    parts = leaf_line(found.leaf, state)
    below: list[Node] = []
    if found.before is not None and found.after is not None:
        below = [Node(line) for line in _changes_of(found.before, found.after)]
    return Node((_SIGNS[found.kind], *parts), below)


def _changes_of(before: Leaf, after: Leaf) -> Iterator[Line]:
    """Yield how an instance differs that both sides have."""
    if before.content and after.content and before.content != after.content:
        yield f"content: {short(before.content.digest)} -> {short(after.content.digest)}"
    if before.sop_class_uid != after.sop_class_uid:
        one, other = (sop_class_name(leaf.sop_class_uid) for leaf in (before, after))
        yield f"SOP class: {one} -> {other}"
    if before.transfer_syntax_uid != after.transfer_syntax_uid:
        one, other = (sop_class_name(leaf.transfer_syntax_uid) for leaf in (before, after))
        yield f"transfer syntax: {one} -> {other}"
    yield from element_lines(record_difference(before.record, after.record))
