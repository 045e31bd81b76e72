"""Going quickly past the elements of a data set that nothing is asked of.

That serves Little Endian data in memory. At anything unusual it stops: the thorough way goes on.
"""

from __future__ import annotations

from bisect import bisect
from collections.abc import Collection, Generator
from functools import lru_cache
from typing import Final, NamedTuple

from ledger.elements import UNDEFINED_LENGTH
from ledger.instances.familiar import RUN
from ledger.instances.file_meta import EXPLICIT, IMPLICIT, LENGTH, LONG, SHORT
from ledger.instances.walker import Buffer, Walker

_NO_TAG: Final = 1 << 32  # beyond all tags
_MAX_VALUE: Final = 1024  # bytes of a value beyond which an element is the last one of its run
_MAX_SPAN: Final = 4096  # bytes that are compared
_VARIANTS: Final = 4  # of a run, the newest first
_OFTEN: Final = 64  # misses at one tag, after as many: a series may have begun
_TAGS: Final = 512  # that runs may begin with

_from_bytes = int.from_bytes


class Found(NamedTuple):
    """An element in the file: header, value and end are the offsets `header`, `start` and `stop`.

    `code` is the VR in the file, `None` where the header has none. A value of undefined length
    ends with a delimiter, which is before `stop`.
    """

    tag: int
    code: bytes | None
    length: int
    header: int
    start: int
    stop: int

    @property
    def is_open(self) -> bool:
        """Whether the length is undefined."""
        return self.length == UNDEFINED_LENGTH

    @property
    def value_stop(self) -> int:
        """Where the value ends, and a delimiter may begin."""
        return self.stop - 8 * self.is_open


class _Run(NamedTuple):
    """A run of elements in `size` bytes; the last one has the `tag` and begins at `last`.

    Their first `span` bytes are `headers` under the `mask`. `told` are those of the elements that
    matter, with offsets from where the run begins.
    """

    size: int
    tag: int
    last: int
    span: int
    mask: int
    headers: int
    told: tuple[Found, ...]


class _Runs:
    """The runs that were met where the same elements were wanted, by the tag they begin with.

    The files of a series have nearly the same layout: one comparison takes the place of a walk
    through a run, as in `ledger.instances.familiar`. What this changes is only how long it takes.
    """

    def __init__(self, wanted: Collection[int]) -> None:
        self._wanted, self._places = wanted, sorted(wanted)
        self._misses: dict[int, int] = {}
        self.known: dict[int, tuple[_Run, ...]] = {}

    def is_worth(self, raw: int) -> bool:
        """Whether to learn the run that begins with the tag `raw`: what never comes is, seldom."""
        if len(self._misses) > _TAGS:
            self._misses.clear()
            self.known.clear()
        misses = self._misses[raw] = self._misses.get(raw, 0) + 1
        return not misses & (misses - 1) or not misses % _OFTEN

    def learn(self, data: Buffer, raw: int, passed: list[Found]) -> None:
        """Remember the elements that were `passed` as a run that begins with the tag `raw`."""
        begin, last = passed[0].header, passed[-1]
        mask, told, before = bytearray(), [], -1
        for found in passed:
            header, start = found.header - begin, found.start - begin
            mask += bytes(header - len(mask)) + b"\xff" * (start - header)
            # Of the first one nobody knows what comes before: it may be next to a wanted one.
            place = bisect(self._places, found.tag)
            if place != before or found.tag in self._wanted:
                told.append(found._replace(header=header, start=start, stop=found.stop - begin))
            before = place
        number = _from_bytes(mask, "little")
        headers = _from_bytes(data[begin : begin + len(mask)], "little") & number
        run = _Run(
            last.stop - begin,
            last.tag,
            last.header - begin,
            len(mask),
            number,
            headers,
            tuple(told),
        )
        self.known[raw] = (run, *self.known.get(raw, ())[: _VARIANTS - 1])


@lru_cache(maxsize=64)
def _runs(wanted: frozenset[int], implicit: bool) -> _Runs:
    del implicit
    return _Runs(wanted)


def skim(  # noqa: C901, PLR0912, PLR0915 - the innermost loop: a call for each takes as long again
    data: Buffer, offset: int, wanted: Collection[int], walker: Walker, *, implicit: bool
) -> Generator[Found, None, tuple[int, int]]:
    """Yield the elements from `offset` on with a tag in `wanted`, and of the others some.

    These are at least the first ones with a greater tag than one of the `wanted`: that one's place
    is before them. Returns the offsets of the last element that was passed and of what it stopped
    at.
    """
    runs = _runs(frozenset(wanted), implicit)
    known = runs.known
    targets = iter(sorted(wanted))
    target = next(targets, _NO_TAG)
    previous, end = offset, len(data)
    left = 0  # of the elements of a run that is being walked through
    passed: list[Found] | None = None  # of a run that is learnt, which begins with the tag `begun`
    begun = 0
    while offset <= end - 12:
        raw, vr, length = EXPLICIT(data, offset)
        for run in known.get(raw, ()):
            size, last_tag, last, span, mask, headers, told = run
            if (
                _from_bytes(data[offset : offset + span], "little") & mask == headers
                and offset + size <= end
            ):
                break
        else:
            run = None
        if run is not None:
            if passed:
                runs.learn(data, begun, passed)
            left, passed = 0, None
            for tag, code, length, header, start, stop in told:
                yield Found(tag, code, length, offset + header, offset + start, offset + stop)
            while last_tag >= target:
                target = next(targets, _NO_TAG)
            previous, offset = offset + last, offset + size
            continue
        start = offset + 8
        if implicit:
            raw, length = IMPLICIT(data, offset)
        elif vr in LONG:
            (length,) = LENGTH(data, start)
            start += 4
        elif vr not in SHORT:
            break
        # Groups 0000 and FFFE are none of a data set, and lengths of groups are to be measured.
        if (raw + 2) & 0xFFFF <= 2 or raw <= 0xFFFF:
            break
        if not left:
            left = RUN
            passed, begun = ([] if runs.is_worth(raw) else None), raw
        tag = (raw & 0xFFFF) << 16 | raw >> 16
        stop = start + length
        if length == UNDEFINED_LENGTH:
            code = None if implicit else vr.to_bytes(2, "little")
            stop = walker.skip(tag, code, length, start, implicit=implicit)
        if stop > end:
            break
        left -= 1
        if passed is not None or tag >= target or tag in wanted:
            code = None if implicit else vr.to_bytes(2, "little")
            found = Found(tag, code, length, offset, start, stop)
            if tag >= target or tag in wanted:
                yield found
                while tag >= target:
                    target = next(targets, _NO_TAG)
            if passed is not None:
                is_open = length == UNDEFINED_LENGTH
                if not is_open:
                    passed.append(found)
                if (
                    not left
                    or is_open
                    or length > _MAX_VALUE
                    or (passed and stop - passed[0].header > _MAX_SPAN)
                ):
                    if passed:
                        runs.learn(data, begun, passed)
                    left, passed = 0, None
        previous, offset = offset, stop
    return previous, offset
