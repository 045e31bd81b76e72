"""Where a DICOMDIR puts its instances: each record that references a file, and those above it."""

from __future__ import annotations

import warnings
from collections.abc import Iterable, Iterator
from itertools import groupby
from operator import itemgetter
from typing import Final

from attrs import define, frozen

from fileset.medium.file_ids import RootFolder
from ledger.events import Record, RecordRef
from ledger.names import clash_with_dicomdir, one_name
from projections.dicomdir.decoded_directory import DecodedRecord
from projections.dicomdir.definitions import DicomdirError
from projections.dicomdir.tree import DecodedNode, Tree
from projections.state.keys import record_key

MAX_DEPTH: Final = 64
"""Levels of directory records beyond which a DICOMDIR is refused: File-sets have four or fewer."""


@define(eq=False)
class Level:
    """A record above instances; `ref` is known once an event has introduced it."""

    record: Record
    above: Level | None
    depth: int
    offset: int | None = None
    ref: RecordRef | None = None


@frozen
class Place:
    """An instance's record and the level it is under."""

    record: DecodedRecord
    level: Level | None

    @property
    def depth(self) -> int:
        """How many records are above."""
        return self.level.depth if self.level else 0

    @property
    def top(self) -> Level | None:
        """The record at the top of those above."""
        level = self.level
        while level is not None and level.above is not None:
            level = level.above
        return level

    def above(self) -> tuple[RecordRef | None, list[Level]]:
        """Return the nearest record that is introduced already, and the levels below it."""
        new: list[Level] = []
        level = self.level
        while level is not None and level.ref is None:
            new.append(level)
            level = level.above
        return (level.ref if level else None), new[::-1]


def instances(tree: Tree) -> Iterator[Place]:
    """Yield every record that references a file, in the order of the tree.

    A record that has others below it as well is taken apart. It keeps its file, and they are put
    beside it, below one like it without a file. Where a record of its type is nothing without one,
    they are put below the record above.
    """
    stack: list[tuple[Iterator[DecodedNode], Level | None]] = [(iter(tree.roots), None)]
    while stack:
        nodes, level = stack[-1]
        node = next(nodes, None)
        if node is None:
            stack.pop()
            continue
        if node.record.file_id:
            yield Place(node.record, level)
        if node.children:
            if len(stack) >= MAX_DEPTH:
                raise DicomdirError(f"its records are nested more than {MAX_DEPTH} levels deep")
            record = Record(node.record.type or "", node.record.elements)
            if node.record.file_id:
                warnings.warn(
                    f"The {record.type} directory record at offset {node.record.offset} references "
                    "a file and has records below it: they are put beside it",
                    UserWarning,
                    stacklevel=2,
                )
            if not node.record.file_id or record_key(record) is not None:
                depth = level.depth + 1 if level else 1
                level = Level(record, level, depth, node.record.offset)
            stack.append((iter(node.children), level))


def depth_of(tree: Tree) -> int:
    """Return how many levels `tree` has."""
    depth, level = 0, list(tree.roots)
    while level:
        depth += 1
        level = [child for node in level for child in node.children]
    return depth


def are_plain(root: RootFolder, file_ids: Iterable[str]) -> bool:
    """Whether each File ID is that of a regular file below the root, and no two are of one.

    None of them may be taken for the DICOMDIR, or for one another on any medium.
    """
    taken: dict[str, set[str]] = {}
    parts = (file_id.rpartition("/") for file_id in file_ids)
    for folder, of_folder in groupby(parts, itemgetter(0)):
        names = [name for _, _, name in of_folder]
        if not root.has_files(tuple(folder.split("/")) if folder else (), names):
            return False
        file_ids = [f"{folder}/{names[0]}"] if folder else names  # of a path its top decides
        if any(clash_with_dicomdir(each) is not None for each in file_ids):
            return False
        known = taken.setdefault(one_name(folder), set())
        before = len(known)
        known.update(one_name("/".join(names)).split("/"))
        if len(known) != before + len(names):
            return False
    return True
