"""What instances have for the records of application profiles, in few bytes.

There may be a million instances, each with values of its own, and only a DICOMDIR needs these: they
are kept compressed, many together, and unfolded where they are asked for.
"""

from __future__ import annotations

import zlib
from array import array
from bisect import bisect_left, bisect_right
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any, Final, TypeVar

from ledger.digest import Digest, from_raw, to_raw
from ledger.elements import Elements
from ledger.events import Handle, IconRecorded, RecordElementsRecorded
from projections.errors import MisfitError
from projections.state.handles import runs_of, unrolled

_TOGETHER: Final = 64  # values that are compressed together
_LATIN: Final = "latin-1"  # maps bytes to text one to one
_LENGTH: Final = 4  # bytes of a value's length

_K = TypeVar("_K")


class RecordedElements:
    """The facts of `RecordElementsRecorded` events, by profile and type of record, and icons.

    `position` is that of the last such event on an instance that was on the medium by then.
    """

    def __init__(self) -> None:
        self.position = 0
        self._columns: dict[tuple[str, str], _Column] = {}
        self._misfits: dict[str, list[tuple[tuple[str, ...], list[int]]]] = {}
        self._icons: dict[int, _Column] = {}  # digests, by the size of the icon

    def copy(self) -> RecordedElements:
        """Return the same as an object of its own."""
        return RecordedElements.of_rows(self.rows())

    def take_in(self, event: RecordElementsRecorded, is_known: Callable[[Handle], bool]) -> None:
        """Take in an event, as far as its instances are known: others were erased.

        Raises `MisfitError` if it tells again what was told before.
        """
        runs = runs_of(filter(is_known, event.handles()))
        if runs:
            column = self._columns.setdefault((event.profile, event.record_type), _Column())
            column.add(runs, event.elements)
            if event.misfits:
                self._misfits.setdefault(event.profile, []).append((event.misfits, runs))

    def elements(self, profile: str, record_type: str, handle: Handle) -> Elements | None:
        """Return what an instance has for a record of a type, `None` where that is not recorded."""
        column = self._columns.get((profile, record_type))
        value = None if column is None else column.get(handle)
        return None if value is None else Elements(value)

    def take_icon(self, event: IconRecorded) -> None:
        """Take in an event on a known instance; `MisfitError` if it has such an icon already."""
        column = self._icons.setdefault(event.size, _Column())
        column.add([event.instance, 1], to_raw(event.icon.digest))

    def icon(self, size: int, handle: Handle) -> Digest | None:
        """Return the digest of an instance's icon of `size` rows, `None` if it has none."""
        column = self._icons.get(size)
        value = None if column is None else column.get(handle)
        return None if value is None else from_raw(value)

    def icons(self) -> Iterator[tuple[Handle, Digest]]:
        """Yield the instances that have icons, with the digests of these."""
        for column in self._icons.values():
            for handle, value in column.each():
                yield handle, from_raw(value)

    def misfits(self, profile: str) -> Iterator[tuple[tuple[str, ...], list[Handle]]]:
        """Yield what does not fit a profile, in words, with the instances of which that is so."""
        for words, runs in self._misfits.get(profile, ()):
            yield words, list(unrolled(runs))

    def forget(self, is_known: Callable[[Handle], bool]) -> None:
        """Forget all but the instances that are known."""
        self._columns = _of_known(self._columns, is_known)
        self._icons = _of_known(self._icons, is_known)
        for profile, found in list(self._misfits.items()):
            known = [(words, runs_of(filter(is_known, unrolled(runs)))) for words, runs in found]
            self._misfits[profile] = [each for each in known if each[1]]
            if not self._misfits[profile]:
                del self._misfits[profile]

    def rows(self) -> dict[str, Any]:
        """Return all of it as lists, dicts, text and numbers."""
        return {
            "position": self.position,
            "columns": [[*key, *column.rows()] for key, column in self._columns.items()],
            "misfits": [
                [profile, [[list(words), list(runs)] for words, runs in found]]
                for profile, found in self._misfits.items()
            ],
            "icons": [[size, *column.rows()] for size, column in self._icons.items()],
        }

    @classmethod
    def of_rows(cls, rows: Mapping[str, Any]) -> RecordedElements:
        """Return what `rows` was made of."""
        made = cls()
        made.position = rows["position"]
        for profile, record_type, *column in rows["columns"]:
            made._columns[profile, record_type] = _Column.of_rows(*column)
        for profile, found in rows["misfits"]:
            made._misfits[profile] = [(tuple(words), list(runs)) for words, runs in found]
        for size, *column in rows["icons"]:
            made._icons[size] = _Column.of_rows(*column)
        return made


def _of_known(columns: dict[_K, _Column], is_known: Callable[[Handle], bool]) -> dict[_K, _Column]:
    """Return columns with the known instances alone, those that have any."""
    known = ((key, column.of_known(is_known)) for key, column in columns.items())
    return {key: column for key, column in known if column}


class _Column:
    """Values of instances, each with the runs of handles that have it."""

    def __init__(self) -> None:
        # Runs in order, and the number of the value that each has.
        self._firsts, self._lasts, self._numbers = array("q"), array("q"), array("q")
        self._values = _Values()

    def __bool__(self) -> bool:
        return bool(self._firsts)

    def add(self, runs: list[int], value: bytes) -> None:
        """Have the instances of `runs` have a value; `MisfitError` if one of them has one."""
        spans = [
            (first, first + count - 1) for first, count in zip(runs[::2], runs[1::2], strict=True)
        ]
        for first, last in spans:
            at = bisect_right(self._firsts, last)
            if at and self._lasts[at - 1] >= first:
                raise MisfitError("what an instance has for a record is recorded once")
        number = self._values.append(value)
        for first, last in spans:
            at = bisect_left(self._firsts, first)
            self._firsts.insert(at, first)
            self._lasts.insert(at, last)
            self._numbers.insert(at, number)

    def each(self) -> Iterator[tuple[Handle, bytes]]:
        """Yield the instances in the order of their handles, each with its value."""
        for first, last, number in zip(self._firsts, self._lasts, self._numbers, strict=True):
            for handle in range(first, last + 1):
                yield handle, self._values[number]

    def get(self, handle: Handle) -> bytes | None:
        """Return the value of an instance, `None` if there is none."""
        at = bisect_right(self._firsts, handle) - 1
        if at < 0 or self._lasts[at] < handle:
            return None
        return self._values[self._numbers[at]]

    def of_known(self, is_known: Callable[[Handle], bool]) -> _Column:
        """Return the column of the known instances alone, its values in the same order."""
        by_number: dict[int, list[Handle]] = {}
        spans = zip(self._firsts, self._lasts, self._numbers, strict=True)
        for first, last, number in spans:
            handles = by_number.setdefault(number, [])
            handles += filter(is_known, range(first, last + 1))
        left = _Column()
        for number in sorted(by_number):
            if by_number[number]:
                left.add(runs_of(by_number[number]), self._values[number])
        return left

    def rows(self) -> list[Any]:
        """Return all of it as lists, text and numbers."""
        return [list(self._firsts), list(self._lasts), list(self._numbers), self._values.rows()]

    @classmethod
    def of_rows(
        cls, firsts: list[int], lasts: list[int], numbers: list[int], values: list[Any]
    ) -> _Column:
        """Return what `rows` was made of."""
        made = cls()
        made._firsts, made._lasts, made._numbers = (
            array("q", each) for each in (firsts, lasts, numbers)
        )
        made._values = _Values.of_rows(*values)
        return made


class _Values:
    """Values by number, many of them compressed together."""

    def __init__(self) -> None:
        self._packed: list[bytes] = []
        self._last: list[bytes] = []
        self._unpacked: tuple[int, list[bytes]] | None = None

    def append(self, value: bytes) -> int:
        """Add a value and return its number."""
        self._last.append(value)
        number = len(self._packed) * _TOGETHER + len(self._last) - 1
        if len(self._last) == _TOGETHER:
            self._packed.append(_pack(self._last))
            self._last = []
        return number

    def __getitem__(self, number: int) -> bytes:
        block, at = divmod(number, _TOGETHER)
        if block == len(self._packed):
            return self._last[at]
        if self._unpacked is None or self._unpacked[0] != block:
            self._unpacked = block, _unpack(self._packed[block])
        return self._unpacked[1][at]

    def rows(self) -> list[Any]:
        """Return all of it as lists and text."""
        return [[each.decode(_LATIN) for each in part] for part in (self._packed, self._last)]

    @classmethod
    def of_rows(cls, packed: list[str], last: list[str]) -> _Values:
        """Return what `rows` was made of."""
        made = cls()
        made._packed = [each.encode(_LATIN) for each in packed]
        made._last = [each.encode(_LATIN) for each in last]
        return made


def _pack(values: Iterable[bytes]) -> bytes:
    return zlib.compress(b"".join(len(each).to_bytes(_LENGTH) + each for each in values))


def _unpack(packed: bytes) -> list[bytes]:
    data, start, values = zlib.decompress(packed), 0, []
    while start < len(data):
        start, size = start + _LENGTH, int.from_bytes(data[start : start + _LENGTH])
        values.append(data[start : start + size])
        start += size
    return values
