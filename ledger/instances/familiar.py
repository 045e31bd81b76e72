"""Runs of data elements that look as they did in a file before, stepped over at once.

The files of a series have nearly the same layout: the same tags, VRs and lengths, one after the
other. So a scan remembers short runs of element headers, as numbers with the values masked out.
Where the bytes of a file at the same tag are the same under the mask, a walk would go from header
to header in just the same way; the values of the wanted elements are where they were, and one
comparison takes the place of the walk. What this changes is only how long a scan takes.
"""

from __future__ import annotations

from collections.abc import Callable
from struct import Struct
from typing import Final, NamedTuple

from ledger.elements import Element
from ledger.instances.walker import Buffer

RUN: Final = 48
"""Elements of a run: enough for a comparison to be cheap, few enough for most to be alike."""

MAX_MISSES: Final = 2
"""Runs in a row that a file may not have before the rest of it is walked, as unlike all others."""

_MAX_SPAN: Final = 4096  # bytes that are compared
_BEGIN: Final = 64  # of these, those that are compared first
_MAX_VALUE: Final = 1024  # bytes of a value beyond which an element is the last one of its run
_VARIANTS: Final = 4  # of a run, the newest first
_PRICE: Final = 64  # of remembering a run: a file unlike all others has one learned now and then
_SAVED: Final = 4  # by stepping over a run
_CREDIT: Final = 64 * _PRICE  # at the beginning, and at most
_OFTEN: Final = 64  # misses at one tag, after as many: a series may have begun
_STARTS: Final = 2048  # tags that runs may begin with

_from_bytes = int.from_bytes
_new = tuple.__new__  # of a named tuple: its own constructor takes twice as long
_raw_tag = Struct("<I").unpack_from


class Plain(NamedTuple):
    """An element that a run may hold: where its value starts and ends, and what it is if wanted."""

    start: int
    end: int
    tag: int | None
    vr: str


class Run(NamedTuple):
    """A run of `size` bytes; `wanted` holds the (tag, VR, start, end) of values, from its start.

    The last element's value, which may be long, is not compared: only the first `span` bytes are.
    Few bytes of another run are as those that the headers `begin` with.
    """

    size: int
    span: int
    mask: int
    begin: int
    headers: int
    wanted: tuple[tuple[int, str, int, int], ...]


class Familiar:
    """What is remembered of the files scanned so far, in one encoding."""

    __slots__ = ("_credit", "_misses", "_plain", "starts")

    def __init__(self, plain: Callable[[Buffer, int], Plain | None]) -> None:
        """Remember runs of elements that `plain` takes, given the data and an element's offset."""
        self._plain = plain
        self._misses: dict[int, int] = {}
        self._credit = _CREDIT
        self.starts: dict[int, tuple[Run, ...]] = {}
        """The runs by the tag that they begin with, as it is in the file."""

    def step(self, data: Buffer, offset: int, elements: dict[int, Element]) -> tuple[int, int]:
        """Step over the runs that `data` has at `offset`, one after the other, as far as known.

        Takes the wanted elements out of them into `elements`. Returns where that led to, which may
        be beyond the data, and the tag that is there as a number, or -1 at the end of the data.
        """
        starts, misses = self.starts, self._misses
        last = len(data) - 4
        plain = type(data) is bytes
        while offset <= last:
            (raw,) = _raw_tag(data, offset)
            runs = starts.get(raw)
            if runs is None:
                return offset, raw
            begin = _from_bytes(data[offset : offset + _BEGIN], "little")
            for size, span, mask, begins, headers, wanted in runs:
                alike = begin & mask == begins
                if alike and _from_bytes(data[offset : offset + span], "little") & mask == headers:
                    for tag, vr, start, end in wanted:
                        value = data[offset + start : offset + end]
                        elements[tag] = _new(Element, (tag, vr, value if plain else bytes(value)))
                    offset += size
                    break
            else:
                return offset, raw
            misses[raw] = 0
            self._credit += _SAVED
        return offset, -1

    def learn(self, data: Buffer, offset: int, raw: int) -> None:
        """Remember the run at `offset`, now and then: what never comes again costs little so.

        It costs what stepping over many saves, and is not done more often than that makes up for.
        """
        misses = self._misses[raw] = self._misses.get(raw, 0) + 1
        self._credit = min(self._credit + 1, _CREDIT)
        is_due = not misses & (misses - 1) or not misses % _OFTEN
        if not is_due or self._credit < _PRICE:
            return
        self._credit -= _PRICE
        if len(self._misses) > _STARTS:
            self.starts.clear()
            self._misses.clear()
        run = self._run(data, offset)
        if run is not None:
            self.starts[raw] = (run, *self.starts.get(raw, ())[: _VARIANTS - 1])

    def _run(self, data: Buffer, begin: int) -> Run | None:
        offset = begin
        mask = bytearray()
        wanted = []
        for _ in range(RUN):
            element = self._plain(data, offset)
            if element is None:
                break
            start, end, tag, vr = element
            mask += bytes(offset - begin - len(mask)) + b"\xff" * (start - offset)
            if tag is not None:
                wanted.append((tag, vr, start - begin, end - begin))
            offset = end
            if end - start > _MAX_VALUE or end - begin > _MAX_SPAN:
                break
        if not mask:
            return None
        number = _from_bytes(mask, "little")
        headers = _from_bytes(data[begin : begin + len(mask)], "little") & number
        begins = headers & (1 << 8 * _BEGIN) - 1
        return Run(offset - begin, len(mask), number, begins, headers, tuple(wanted))
