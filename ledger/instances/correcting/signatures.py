"""Digital signatures of a data set, and which of them a change breaks (PS3.3 C.12.1.1.3)."""

from __future__ import annotations

import struct
from collections.abc import Collection, Iterator
from typing import Final, NamedTuple

from attrs import frozen

from ledger.instances.correcting.edits import ElementPath
from ledger.instances.correcting.skimming import Found
from ledger.instances.correcting.structure import DataSet

_MAC_ID: Final = 0x04000005
_SIGNED: Final = 0x04000020
_UID: Final = 0x04000100


@frozen
class Signature:
    """A digital signature that a correction breaks: its item's path, its UID, if it is removed."""

    path: ElementPath
    uid: str
    is_removed: bool


class Broken(NamedTuple):
    """The signatures of a data set that a change breaks, by the numbers of their items.

    `uids` has their UIDs by number. `macs` are the items of MAC Parameters Sequence that no other
    signature needs.
    """

    uids: dict[int, str]
    macs: frozenset[int]


def broken(
    ds: DataSet, signatures: Found, parameters: Found | None, changed: Collection[int]
) -> Broken:
    """Return which `signatures` of `ds` cover an element with a tag in `changed`.

    A signature whose Data Elements Signed can't be told may cover any.
    """
    signed: dict[bytes, frozenset[int] | None] = {}
    numbers: dict[int, bytes] = {}
    if parameters is not None:
        for number, values in _items(ds, parameters):
            numbers[number] = mac = values.get(_MAC_ID, b"")
            signed[mac] = _tags(values.get(_SIGNED, b""), big_endian=ds.big_endian)
    uids: dict[int, str] = {}
    needed = set()
    for number, values in _items(ds, signatures):
        mac = values.get(_MAC_ID, b"")
        covered = signed.get(mac)
        if covered is None or not covered.isdisjoint(changed):
            uids[number] = values.get(_UID, b"").decode("ascii", "replace").rstrip("\0 ")
        else:
            needed.add(mac)
    return Broken(uids, frozenset(n for n, mac in numbers.items() if mac not in needed))


def _items(ds: DataSet, sequence: Found) -> Iterator[tuple[int, dict[int, bytes]]]:
    """Yield the values in each item of a sequence that matter here."""
    for number, item in enumerate(ds.items(sequence)):
        wanted = {_MAC_ID, _SIGNED, _UID}
        yield number, {each.tag: item.value(each) for each in item.elements() if each.tag in wanted}


def _tags(value: bytes, *, big_endian: bool) -> frozenset[int] | None:
    """Return the tags that are the values of an AT element, `None` where there are none."""
    if not value or len(value) % 4:
        return None
    words = struct.unpack(f"{'>' if big_endian else '<'}{len(value) // 2}H", value)
    return frozenset(
        group << 16 | number for group, number in zip(words[::2], words[1::2], strict=True)
    )
