"""The DICOMDIR of a state: its hierarchy as directory records."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Final, TypeAlias

from attrs import evolve

from ledger.digest import Digest
from ledger.elements import EMPTY, Elements, encode, iterate
from ledger.events import Record
from projections.dicomdir.definitions import DicomdirError, Reference
from projections.dicomdir.encoder import DirectoryRecord, encode_dicomdir
from projections.dicomdir.profiles.catalogue import PROFILES
from projections.dicomdir.profiles.icons import icon_sequence, icon_size
from projections.dicomdir.profiles.record_keys import with_extra
from projections.state.nodes import Branch, Leaf
from projections.state.state import FileSetState

Icons: TypeAlias = Callable[[Digest], bytes]
"""Gives the pixels of an icon by its digest."""

MAX_ICONS: Final = 1 << 30
"""Bytes of icons that a DICOMDIR may have: all of it is in memory while it is made."""

_BESIDE: Final = 130  # bytes of an icon's elements besides its pixels, about


def no_icons(digest: Digest) -> bytes:
    """Give the pixels of no icon: for states without any."""
    raise LookupError(f"There is no icon {digest} at hand.")


def encode_directory(
    state: FileSetState,
    file_ids: Mapping[Leaf, str],
    *,
    implicit_vr: bool = False,
    icons: Icons = no_icons,
    with_icons: bool = False,
) -> bytes:
    """Return the DICOMDIR of the live instances of `state`, which lie at `file_ids`.

    It has those of the recorded icons that the profile requires, or all `with_icons`; `icons` give
    their pixels, and what they raise is passed on. `DicomdirError` if these are too many.
    """
    extra = _Additional(state, icons, asked=with_icons)
    check_icons(extra.icon_sizes(file_ids))
    records = _directory_records(state, file_ids, extra)
    return encode_dicomdir(state.identity, records, implicit_vr=implicit_vr)


def check_icons(sizes: Iterable[int]) -> None:
    """Raise `DicomdirError` if a DICOMDIR would have too many icons, with so many rows each."""
    number = total = 0
    for size in sizes:
        number += 1
        total += size**2 + _BESIDE
    if total > MAX_ICONS:
        raise DicomdirError(
            f"The icons of {number:,} instances are too many for a DICOMDIR: it would take about "
            f"{_megabytes(total)} on the medium, and as much memory to make; icons may have "
            f"{_megabytes(MAX_ICONS)}. Hand out fewer instances, or several volumes "
            "(`fileset media make --capacity`), or take a profile with smaller icons or none."
        )


def _megabytes(size: int) -> str:
    return f"{-(-size // 10**6):,} MB"


def _directory_records(
    state: FileSetState, file_ids: Mapping[Leaf, str], extra: _Additional
) -> Iterator[DirectoryRecord]:
    """Yield the records in preorder; a record with no live instance below it is left out."""
    above: list[DirectoryRecord] = []
    emitted = 0
    for depth, node in state.hierarchy.walk():
        record = node.record
        if isinstance(node, Branch):
            del above[depth:]
            emitted = min(emitted, depth)
            above.append(DirectoryRecord(depth, record.type, extra.of_branch(node, record)))
        elif node.is_live:
            emitted = min(emitted, depth)
            yield from above[emitted:depth]
            emitted = depth
            yield DirectoryRecord(
                depth,
                record.type,
                extra.of_leaf(node, record),
                Reference(file_ids[node], node.sop_class_uid, node.uid, node.transfer_syntax_uid),
            )


def as_written(state: FileSetState, icons: Icons) -> FileSetState:
    """Return `state`, changed so that the records of what is live are as its DICOMDIR has them."""
    extra = _Additional(state, icons)
    for _, node in state.hierarchy.walk():
        if not node.is_live:
            continue
        record = node.record
        if isinstance(node, Branch):
            node.own = evolve(record, elements=extra.of_branch(node, record))
            node.variants = None
        else:
            node.say(evolve(record, elements=extra.of_leaf(node, record)))
    return state


class _Additional:
    """The elements that the File-set's application profile adds to records, and icons."""

    def __init__(self, state: FileSetState, icons: Icons, *, asked: bool = False) -> None:
        profile = PROFILES.get(state.identity.profile or "")
        self._types = frozenset() if profile is None else frozenset(profile.keys.keys)
        self._name = "" if profile is None else profile.identifier
        self._profile = profile
        self._recorded = state.recorded
        self._icons = icons
        self._asked = asked

    def of_leaf(self, leaf: Leaf, record: Record) -> Elements:
        """Return the elements of the record that references an instance."""
        elements = record.elements
        if record.type in self._types:
            extra = self._recorded.elements(self._name, record.type, leaf.handle)
            elements = with_extra(elements, extra or EMPTY)
        size = icon_size(self._profile, record.type, leaf.sop_class_uid, asked=self._asked)
        icon = None if size is None else self._recorded.icon(size, leaf.handle)
        if size is None or icon is None:
            return elements
        return encode((*iterate(elements), icon_sequence(size, self._icons(icon))))

    def icon_sizes(self, leaves: Iterable[Leaf]) -> Iterator[int]:
        """Yield how many rows each of the icons in the records of `leaves` has."""
        for leaf in leaves:
            record_type, sop_class = leaf.record_type, leaf.sop_class_uid
            size = icon_size(self._profile, record_type, sop_class, asked=self._asked)
            if size is not None and self._recorded.icon(size, leaf.handle) is not None:
                yield size

    def of_branch(self, branch: Branch, record: Record) -> Elements:
        """Return the elements of a record above instances.

        As for its other values, the earliest instance that is part of the File-set decides.
        """
        if record.type not in self._types:
            return record.elements
        live = sorted((leaf for leaf in branch.leaves() if leaf.rank), key=lambda leaf: leaf.rank)
        for leaf in live:
            extra = self._recorded.elements(self._name, record.type, leaf.handle)
            if extra is not None:
                return with_extra(record.elements, extra)
        return record.elements
