"""What the browser says of records, data sets, changes and what is staged: lines of text."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from itertools import islice
from typing import Any, Final

from pydicom.datadict import keyword_for_tag
from pydicom.dataelem import DataElement, RawDataElement
from pydicom.dataset import Dataset

from fileset.cli.screen.differences import correction_lines, counted, nodes
from fileset.cli.screen.documents import identity_difference, identity_lines, staged_line, standing
from fileset.cli.screen.listing import instance_lines
from fileset.cli.screen.output import Line, Node, Span
from fileset.cli.screen.text import instant
from fileset.cli.screen.wording import Wording, told_of
from fileset.repository.origin import is_arrival
from fileset.repository.repository import Repository
from fileset.timeline.compare import sides
from fileset.timeline.corrections import corrected_between
from fileset.timeline.naming import sop_class_name
from fileset.values import readable_element, value_text
from ledger.elements import format_tag, iterate
from ledger.errors import LedgerError
from ledger.journal.entries import Change
from projections.medium.layouts import usual_layout
from projections.medium.pending import moves, pending, usually_staged
from projections.past.diff import compare
from projections.past.diff_tree import tree
from projections.state.nodes import Branch, Leaf
from projections.state.outline import record_line
from projections.state.state import FileSetState

MOST: Final = 2000
"""Lines of one kind that are shown: more are counted where that is possible."""

_LONGEST: Final = 1000  # characters of a value


def record_lines(node: Branch | Leaf, state: FileSetState) -> Iterator[Line]:
    """Yield what is known of an instance or record, and of the records above it."""
    if isinstance(node, Leaf):
        yield from _instance_lines(node, state)
        yield ""
    level: Branch | Leaf | None = node
    while level is not None and level.record.type:
        if level is not node:
            yield ""
        yield (Span(record_line(level.record, level.key), "title"),)
        for element in iterate(level.record.elements):
            yield _element_line(element.tag, readable_element(level.record.elements, element.tag))
        level = level.home


def standings(state: FileSetState) -> Callable[[Leaf], str | None]:
    """Return what tells what is staged for an instance, as `standing` does.

    It looks at others, whose number decides where they go, only if any are to be moved.
    """
    any_moves = bool(usually_staged(state).moves)

    def told(leaf: Leaf) -> str | None:
        is_plain = leaf.is_live and leaf.file_id is not None and leaf not in state.corrections
        return None if is_plain and not any_moves else standing(leaf, state)

    return told


def _instance_lines(leaf: Leaf, state: FileSetState) -> Iterator[Line]:
    content = leaf.content
    told = {
        "SOP class": sop_class_name(leaf.sop_class_uid),
        "SOP Instance UID": leaf.uid,
        "Transfer syntax": sop_class_name(leaf.transfer_syntax_uid),
        "File ID": leaf.file_id or "(not on the medium)",
        "Digest": str(content.digest) if content else "(not read)",
        "Size": f"{content.size:,} bytes" if content else "(not read)",
        "Staged": standings(state)(leaf) or "(nothing)",
    }
    for name, text in told.items():
        yield (Span(f"{name}: ", "faint"), text)


def data_set_lines(ds: Dataset) -> Iterator[Line]:
    """Yield the elements of a data set and its File Meta Information, those in items indented."""
    lines = _elements([ds.file_meta, ds] if hasattr(ds, "file_meta") else [ds], "")
    yield from islice(lines, MOST)
    if next(lines, None) is not None:
        yield (Span(f"... and more: the first {MOST:,} lines are shown", "faint"),)


def _elements(levels: Iterable[Dataset], indent: str) -> Iterator[Line]:
    for ds in levels:
        for tag in sorted(ds.keys()):
            element = _read(ds, tag)
            line = _element_line(int(tag), element)
            yield (indent, *line)
            if isinstance(element, DataElement) and element.VR == "SQ":
                for number, item in enumerate(element.value, 1):
                    yield (f"{indent}  ", Span(f"Item {number}", "faint"))
                    yield from _elements([item], f"{indent}    ")


def _read(ds: Dataset, tag: Any) -> DataElement | str:
    """Return an element, or what is said in place of it."""
    raw = ds.get_item(tag, keep_deferred=True)
    if isinstance(raw, RawDataElement) and raw.value is None and raw.length:
        return f"({raw.length:,} bytes)"
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            found: DataElement = ds[tag]
    except Exception as exc:  # noqa: BLE001 - pydicom raises many things on values it can't decode
        return f"(can't be read: {exc})"
    return found


def _element_line(tag: int, element: DataElement | str | None) -> tuple[str | Span, ...]:
    name = keyword_for_tag(tag) or "private" if tag >> 16 & 1 == 0 else "private"
    head = (Span(format_tag(tag), "faint"), " ", Span(name, "command"), " ")
    if element is None or isinstance(element, str):
        return (*head, element or "")
    value = element.value
    if element.VR == "SQ":
        return (*head, Span(f"{len(value)} item{'' if len(value) == 1 else 's'}", "faint"))
    if isinstance(value, bytes):
        return (*head, f"({len(value):,} bytes)")
    text = value_text(element)
    return (*head, text if len(text) <= _LONGEST else f"{text[:_LONGEST]}...")


# --- changes -------------------------------------------------------------------------------------


def pending_lines(state: FileSetState) -> Iterator[Line | Node]:
    """Yield what the next write would do."""
    yield staged_line(state)
    found = pending(state, "existing")  # what is to be moved is looked for only if there is any
    moved = moves(state, usual_layout(state)) if usually_staged(state).moves else ()
    there = state.written.identity if state.written else state.identity
    yield from (f"  {line}" for line in identity_lines(identity_difference(there, state.identity)))
    kinds: tuple[tuple[str, str, Sequence[Leaf]], ...] = (
        ("To be added", "good", found.additions),
        ("To be removed", "bad", found.removals),
        ("To be corrected", "careful", [new for _, new in found.corrections]),
        ("To be moved", "careful", moved),
    )
    for title, style, leaves in kinds:
        if leaves:
            yield ""
            yield (Span(f"{title}: {len(leaves):,}", style),)
            for line in instance_lines(leaves[:MOST], state):
                yield ("  ", *line)
            if len(leaves) > MOST:
                yield f"  ... and {len(leaves) - MOST:,} more: `fileset tree` lists them"


def change_lines(repository: Repository, change: Change, wording: Wording) -> Iterator[Line | Node]:
    """Yield a change as `show` does, and what is different since, as `diff` does."""
    stored = list(islice(repository.journal.stored(after=change.first - 1, upto=change.last), MOST))
    yield (Span(f"Change {change.id}", "title"), f": {wording.change(change)}")
    for name, text in told_of(change).items():
        yield (Span(f"  {name}: ", "faint"), text)
    yield ""
    yield from _difference(repository, change)
    yield ""
    yield from map(wording.event_line, stored)
    if change.count > len(stored):
        yield f"  ... and {change.count - len(stored):,} more: `fileset show {change.id}`"


def whose_lines(change: Mapping[str, Any]) -> Iterator[Line]:
    """Yield who made a change, given as its document, and whether it arrived by itself."""
    yield f"Change {change['id']}: {instant(change['recorded_at'])} by {change['actor']}"
    if is_arrival(change["origin"]):
        yield (Span(f"  It arrived by itself: {change['origin']}", "careful"),)


def _difference(repository: Repository, change: Change) -> Iterator[Line | Node]:
    if change.first == 1:
        yield "This is how the File-set began."
        return
    try:
        before, after = sides(repository, change.first - 1, change.last)
        found = compare(before, after)
        differences = tree(found)
        corrected = corrected_between(repository, before, after)
    except LedgerError as exc:
        yield (Span(f"What it changed can't be told: {exc}", "careful"),)
        return
    identity = identity_difference(before.identity, after.identity, only=found.identity)
    yield from identity_lines(identity)
    yield Node(
        ("Difference: ", *counted(differences.counted(), bool(identity))),
        nodes(differences, repository.state, full=False),
    )
    yield from correction_lines(corrected)
