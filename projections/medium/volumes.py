"""Several volumes: which studies go on which disc, each of them a File-set of its own.

A study stays whole, and so does a patient if that is asked for (PS3.11 Section D.2.1.1). They are
taken in the order of the DICOMDIR, and each goes on the first volume that has room for it.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from fractions import Fraction
from itertools import groupby
from typing import Final, TypeAlias

from ledger.errors import LedgerError
from ledger.events import Handle
from ledger.phrases import some
from projections.state.nodes import Branch, Leaf

CAPACITIES: Final[Mapping[str, int]] = {
    "cd74": 630_000_000,
    "cd80": 700_000_000,
    "dvd": 4_700_372_992,
    "dvd-dl": 8_543_666_176,
}
"""Bytes that discs have at least, by what they are called: CDs by PS3.12 Annex F."""

_SIZE: Final = re.compile(r"(\d{1,18}(?:\.\d{1,9})?) ?(?:([KMGT])(I?)B)?", re.ASCII | re.IGNORECASE)
_UNITS: Final = ("", "K", "M", "G", "T")

SPLITS: Final = ("patient", "study", "series")
"""What may be put on a volume without the rest; a series only where its study fits on none."""

_RECORD: Final = 300  # bytes of a directory record besides its own elements, at most
_LISTED: Final = 250  # bytes of an instance in folders, tables and lists of digests, at most
_ALWAYS: Final = 1 << 19  # bytes of a disc or a stick for everything that is there once


class VolumesError(LedgerError, ValueError):
    """The instances can't be split so that they fit."""


def capacity_of(text: str) -> int:
    """Return how many bytes a capacity is: a disc of `CAPACITIES`, or a number as in `4.7GB`.

    KB, MB, GB and TB are powers of 1,000, KiB and so on of 1,024. `VolumesError` for all else.
    """
    found = _SIZE.fullmatch(text.strip())
    if text.lower() in CAPACITIES:
        return CAPACITIES[text.lower()]
    if found is not None:
        number, unit, binary = found.groups(default="")
        size = int(Fraction(number) * (1024 if binary else 1000) ** _UNITS.index(unit.upper()))
        if size and (unit or "." not in number):
            return size
    raise VolumesError(
        f"{text!r} is neither a number of bytes, such as 4.7GB or 650MiB, nor "
        f"{', '.join(CAPACITIES)}."
    )


def split(
    leaves: Iterable[Leaf],
    sizes: Callable[[Leaf], int],
    capacity: int,
    *,
    by: str = "study",
    block: int = 2048,
    always: int = _ALWAYS,
) -> list[list[Handle]]:
    """Return instances, in the tree's order, on as many volumes of `capacity` bytes as needed.

    `sizes` tells how many bytes an instance has, `by` is one of `SPLITS`, and a file takes up
    whole blocks of `block` bytes. What the volumes hold besides is estimated, and never too low:
    `always` is what is on each of them.
    Raises `VolumesError` if what has to stay together fits on none.
    """
    volumes: list[list[Handle]] = []
    room: list[int] = []
    free = capacity - always
    too_large: list[str] = []

    def blocks(leaf: Leaf) -> int:
        return -(-sizes(leaf) // block) * block

    for what, together, size in _units(leaves, blocks, by, free):
        if size > free:
            too_large.append(f"{what} ({size:,} bytes)")
            continue
        index = next((i for i, left in enumerate(room) if left >= size), len(room))
        if index == len(room):
            room.append(free)
            volumes.append([])
        room[index] -= size
        volumes[index] += [leaf.handle for leaf in together]
    if too_large:
        raise VolumesError(
            f"A volume of {capacity:,} bytes has no room for {some(too_large)}, with the "
            f"{always:,} bytes that each volume needs besides. {_INSTEAD[by]}"
        )
    return volumes


_INSTEAD: Final = {
    "patient": "Take a larger --capacity; or `--split study` keeps only studies together.",
    "study": "Take a larger --capacity; or `--split series` puts the series of such a study on "
    "several volumes.",
    "series": "Take a larger --capacity.",
}

_Unit: TypeAlias = tuple[str, list[Leaf], int]
"""What stays together: what it is called, its instances, and how many bytes they take."""


def _units(
    leaves: Iterable[Leaf], sizes: Callable[[Leaf], int], by: str, free: int
) -> Iterator[_Unit]:
    """Yield what stays together: series only of a study that is larger than `free` bytes."""
    level = SPLITS.index(by)
    for unit in _grouped(leaves, sizes, min(level, 1)):
        if level > 1 and unit[2] > free:
            yield from _grouped(unit[1], sizes, level)
        else:
            yield unit


def _grouped(leaves: Iterable[Leaf], sizes: Callable[[Leaf], int], level: int) -> Iterator[_Unit]:
    """Yield the instances below each record of a level, or below the lowest one above that."""
    for node, group in groupby(leaves, lambda leaf: _node_at(leaf, level)):
        together = list(group)
        above = {branch for leaf in together for branch in _above(leaf)}
        size = sum(len(branch.record.elements) + _RECORD for branch in above)
        for leaf in together:
            size += sizes(leaf) + len(leaf.record.elements) + _RECORD + _LISTED
        yield f"{node.record.type} {node.key or ''}".rstrip(), together, size


def _node_at(leaf: Leaf, level: int) -> Branch | Leaf:
    above = _above(leaf)
    return above[min(level, len(above) - 1)] if above else leaf


def _above(leaf: Leaf) -> list[Branch]:
    """Return the records above an instance, from the top."""
    found: list[Branch] = []
    node = leaf.parent
    while node is not None and node.home is not None:
        found.append(node)
        node = node.parent
    return found[::-1]
