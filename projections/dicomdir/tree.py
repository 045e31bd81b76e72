"""The tree that directory records form by their offsets, and what is wrong with these.

Nothing is raised for a damaged DICOMDIR: the caller judges it.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from enum import Enum
from typing import NamedTuple

from attrs import define, field, frozen

from projections.dicomdir.decoded_directory import DecodedDirectory, DecodedRecord


class DecodingFindingKind(Enum):
    """What can be wrong with the links between records."""

    BAD_OFFSET = "bad-offset"
    """An offset leads to no record: what it should have led to is lost, or an orphan."""

    CYCLE = "cycle"
    """An offset leads to a record that has its place already, perhaps above or before this one."""

    NO_FIRST_OFFSET = "no-first-offset"
    """There are records, but no first one of the root directory entity: all are orphans."""

    LAST_OFFSET = "last-offset"
    """(0004,1202) isn't the offset of the last record of the root directory entity."""

    NOT_IN_USE = "not-in-use"
    """The record's in-use flag is 0000H, so it's left out with all below it (PS3.3 F.3.2.2)."""

    SAME_OFFSET = "same-offset"
    """Several records claim one offset: the last one has it, the others are orphans."""

    SHIFTED = "shifted"
    """All offsets are wrong by one number of bytes, and were followed less that number."""


class DecodingFinding(NamedTuple):
    """Something wrong with the record at `offset`; `None` stands for the top level."""

    offset: int | None
    kind: DecodingFindingKind
    text: str


@define(eq=False)
class DecodedNode:
    """A record and the nodes right below it, in order."""

    record: DecodedRecord
    # Left out of the text: a chain of records can be longer than Python's stack is deep.
    children: Sequence[DecodedNode] = field(default=(), repr=False)


@frozen(eq=False)
class Tree:
    """The records in use as their offsets connect them.

    `orphans` are the records that no offset leads to, in the order of the file.
    """

    roots: list[DecodedNode]
    orphans: list[DecodedRecord]
    findings: list[DecodingFinding]


def link(directory: DecodedDirectory) -> Tree:
    """Return the forest that the offsets in `directory` describe, and what is wrong with them.

    Roots follow from (0004,1200) by next offsets, children from their parent's lower offset. Each
    record is taken once, at the first place that leads to it in preorder. Offsets that are all
    wrong by the same number of bytes are followed less that number. Nothing is raised: a caller
    can judge by the findings' kinds. Linear in the number of records.
    """
    return _Linker(directory).tree()


class _Linker:
    def __init__(self, directory: DecodedDirectory) -> None:
        self._directory = directory
        self._findings: list[DecodingFinding] = []
        self._taken: set[int] = set()
        self._inactive: list[DecodedRecord] = []
        self._by_offset: dict[int, DecodedRecord] = {}
        for record in directory.records:
            if record.offset is not None:
                if record.offset in self._by_offset:
                    self._find(
                        record.offset,
                        DecodingFindingKind.SAME_OFFSET,
                        "several records have this offset",
                    )
                self._by_offset[record.offset] = record
        self._shift = _shift(directory, self._by_offset)
        if self._shift:
            self._find(
                None,
                DecodingFindingKind.SHIFTED,
                f"every offset leads {abs(self._shift):,} bytes too "
                f"{'far' if self._shift > 0 else 'short'}",
            )

    def tree(self) -> Tree:
        directory = self._directory
        roots, last = self._chain(directory.first_offset, None)
        if directory.records and not directory.first_offset:
            self._find(None, DecodingFindingKind.NO_FIRST_OFFSET, "there is no first root record")
        elif last != directory.last_offset - self._shift:
            text = f"the last root record is at {last}, not at {directory.last_offset}"
            self._find(None, DecodingFindingKind.LAST_OFFSET, text)
        self._descend(roots)
        for record in directory.records:
            if not record.in_use and not self._placed(record):
                self._leave_out(record)
        # What is below a record not in use is no orphan; but one in use may claim it first.
        for record in self._inactive:
            below, _ = self._chain(record.lower_offset, record.offset)
            self._descend(below)
        orphans = [r for r in directory.records if r.in_use and not self._placed(r)]
        return Tree(roots, orphans, self._findings)

    def _descend(self, nodes: list[DecodedNode]) -> None:
        pending = nodes[::-1]
        while pending:
            node = pending.pop()
            if node.record.lower_offset:
                node.children, _ = self._chain(node.record.lower_offset, node.record.offset)
                pending.extend(reversed(node.children))

    def _chain(self, offset: int, source: int | None) -> tuple[list[DecodedNode], int]:
        """Return the nodes from `offset` on, to which `source` leads, and the last offset."""
        nodes: list[DecodedNode] = []
        last = 0
        while offset:
            offset -= self._shift
            record = self._by_offset.get(offset)
            if record is None:
                text = f"offset {offset + self._shift} leads to no record"
                self._find(source, DecodingFindingKind.BAD_OFFSET, text)
                break
            if offset in self._taken:
                text = f"offset {offset + self._shift} leads to a record that has its place already"
                self._find(source, DecodingFindingKind.CYCLE, text)
                break
            self._taken.add(offset)
            if record.in_use:
                nodes.append(DecodedNode(record))
            else:
                self._leave_out(record)
            last = source = offset
            offset = record.next_offset
        return nodes, last

    def _leave_out(self, record: DecodedRecord) -> None:
        self._inactive.append(record)
        self._find(
            record.offset, DecodingFindingKind.NOT_IN_USE, "the record is marked as not in use"
        )

    def _placed(self, record: DecodedRecord) -> bool:
        offset = record.offset or 0
        return offset in self._taken and self._by_offset[offset] is record

    def _find(self, offset: int | None, kind: DecodingFindingKind, text: str) -> None:
        self._findings.append(DecodingFinding(offset, kind, text))


def _shift(directory: DecodedDirectory, by_offset: Mapping[int, DecodedRecord]) -> int:
    """Return by how many bytes all offsets of `directory` are too large, 0 if that is not so.

    Programs that put something in front of the records, take it away or count from elsewhere leave
    them so. Less that number, all offsets lead to records, or most of them where none does as it
    is: nothing else gives a row of lengths by chance.
    """
    leading = [offset for offset in _offsets(directory) if offset]
    as_they_are = sum(offset in by_offset for offset in leading)
    if not by_offset or not directory.first_offset or as_they_are == len(leading):
        return 0  # without a first record none is reached, whatever the others say
    first, last = min(by_offset), max(by_offset)
    for shift in (directory.first_offset - first, min(leading) - first, max(leading) - last):
        right = sum(offset - shift in by_offset for offset in leading)
        if right == len(leading) or (not as_they_are and 2 * right > len(leading)):
            return shift
    return 0


def _offsets(directory: DecodedDirectory) -> Iterator[int]:
    """Yield every offset in `directory`, 0 for none."""
    yield directory.first_offset
    yield directory.last_offset
    for record in directory.records:
        yield record.next_offset
        yield record.lower_offset
