"""Columns of numbers and texts as bytes, from which a row is read without the others.

A sealed document is its columns one after the other, some JSON, the length of that, and a digest of
it all: so it can be written as it is made. What was damaged or edited is not believed. That is no
signature: who can write here can make the digest anew, and `verify` folds the events.
"""

from __future__ import annotations

import json
import sys
from array import array
from collections.abc import Generator, Iterable, Iterator, Mapping, Sequence
from hashlib import sha256
from itertools import accumulate
from typing import Any, Final, Literal, TypeAlias, cast, overload

import orjson

_DIGEST: Final = 32
_LENGTH: Final = 8
_PIECE: Final = 1 << 20
_FEW: Final = 8
_BLOCK: Final = 1024  # rows that are read together

Numbers: TypeAlias = "memoryview[int] | array[int]"
"""A column of numbers; `itemsize` is 8 if any is negative or has more than 32 bits."""


class Texts(Sequence[str | None]):
    """A column of texts, each of which may be missing: `None`."""

    def __init__(self, ends: Numbers, missing: memoryview, text: memoryview) -> None:
        self._ends, self._missing, self._text = ends, missing, text
        if len(missing) != len(ends) or (ends[-1] if ends else 0) != len(text):
            raise ValueError("a column is not as long as its ends say")

    def __len__(self) -> int:
        return len(self._ends)

    @overload
    def __getitem__(self, row: int) -> str | None: ...
    @overload
    def __getitem__(self, row: slice) -> list[str | None]: ...
    def __getitem__(self, row: int | slice) -> str | list[str | None] | None:
        if isinstance(row, slice):
            return self._block(range(*row.indices(len(self))))
        return None if self._missing[row] else _text(self.raw(row))

    def _block(self, rows: range) -> list[str | None]:
        if not rows or rows.step != 1:
            return [self[row] for row in rows]
        before = self._ends[rows.start - 1] if rows.start else 0
        ends = self._ends[rows.start : rows.stop]
        data = bytes(self._text[before : ends[-1]])
        if not data.isascii():
            return [self[row] for row in rows]
        text, texts, start = data.decode("ascii"), [], 0  # a place in the bytes is one in the text
        for end, missing in zip(ends, self._missing[rows.start : rows.stop], strict=True):
            texts.append(None if missing else text[start : end - before])
            start = end - before
        return texts

    def __iter__(self) -> Iterator[str | None]:
        return self.between(0, len(self))

    def between(self, first: int, end: int) -> Iterator[str | None]:
        """Yield the texts of the rows from `first` to before `end`, of which few are held."""
        for start in range(first, end, _BLOCK):
            yield from self._block(range(start, min(start + _BLOCK, end)))

    def is_missing(self, row: int) -> bool:
        """Whether there is no text in a row."""
        return self._missing[row] != 0

    def raw(self, row: int) -> bytes:
        """Return the bytes of a text; they are ordered as the texts are."""
        return bytes(self._text[self._ends[row - 1] if row else 0 : self._ends[row]])

    def followed_by(self, texts: Sequence[str | None]) -> Texts:
        """Return this column with `texts` behind it; what is there is copied as it is."""
        encoded = list(map(_bytes, texts))
        ends = accumulate(map(len, encoded), initial=len(self._text))
        next(ends)
        return Texts(
            extended(self._ends, {}, list(ends)),
            memoryview(b"".join((self._missing, bytes(text is None for text in texts)))),
            memoryview(b"".join((self._text, *encoded))),
        )

    def packed(self) -> tuple[memoryview, memoryview, array[int]]:
        """Return the texts, which of them are missing, and where they end."""
        return self._text, self._missing, extended(self._ends, {}, ())


Column: TypeAlias = "Numbers | Texts"


class Rows:
    """The rows of several columns: those that are asked for one after the other are read together.

    Of very many rows only a few are held as objects. How many are read goes up with each that
    follows on what was read, so that little is read in vain if that comes to an end.
    """

    def __init__(self, *columns: Column) -> None:
        self._columns = columns
        self._next = -1
        self._read: tuple[int, list[tuple[Any, ...]]] = 0, []  # replaced at once, for threads

    def __len__(self) -> int:
        return min(map(len, self._columns))

    def __getitem__(self, row: int) -> tuple[Any, ...]:
        first, rows = self._read
        if first <= row < first + len(rows):
            return rows[row - first]
        goes_on = row == first + len(rows)
        if row != self._next and not goes_on:
            self._next = row + 1
            return tuple([column[row] for column in self._columns])
        end = row + min(_BLOCK, 2 * len(rows) if rows and goes_on else _FEW)
        rows = list(zip(*(column[row:end] for column in self._columns), strict=True))
        self._read = row, rows
        return rows[0]


def _text(data: bytes) -> str:
    return data.decode("utf-8", "surrogatepass")  # paths hold what is no text as surrogates


def _bytes(text: str | None) -> bytes:
    return b"" if text is None else text.encode("utf-8", "surrogatepass")


@overload
def extended(column: Numbers, changed: Mapping[int, int], more: Sequence[int]) -> array[int]: ...
@overload
def extended(column: Column, changed: Mapping[int, Any], more: Sequence[Any]) -> Iterable[Any]: ...
def extended(column: Column, changed: Mapping[int, Any], more: Sequence[Any]) -> Iterable[Any]:
    """Return a column for `seal`, with other values in some rows and `more` rows behind it.

    What stays is copied as bytes, unless texts change among those that stay.
    """
    if isinstance(column, Texts):
        if not changed:
            return column.followed_by(more)
        texts = list(column)
        for row, text in changed.items():
            texts[row] = text
        return [*texts, *more]
    code = column.typecode if isinstance(column, array) else column.format
    numbers = array(code, column.tobytes())
    try:
        for row, number in changed.items():
            numbers[row] = number
        numbers.extend(more)
    except OverflowError:  # they need more bytes each
        values = column.tolist()
        for row, number in changed.items():
            values[row] = number
        return _array([*values, *more])
    return numbers


Piece: TypeAlias = bytes | bytearray | memoryview


def seal(
    document: dict[str, Any], columns: dict[str, Iterable[Any]] | None = None
) -> Iterator[Piece]:
    """Yield `document` and `columns` as bytes, piece by piece, and a digest of them.

    Each column is gone through once; of its texts no more than a piece is held.
    """
    hasher = sha256()
    for piece in _pieces(document, columns):
        hasher.update(piece)
        yield piece
    yield hasher.digest()


def _pieces(document: dict[str, Any], columns: dict[str, Iterable[Any]] | None) -> Iterator[Piece]:
    if columns is not None:
        forms = []
        for name, values in columns.items():
            form = yield from _packed(values)
            forms.append((name, *form))
        document = {**document, "columns": forms}
    try:
        head = orjson.dumps(document)
    except TypeError:  # orjson takes no lone surrogates
        head = json.dumps(document).encode("ascii")
    yield head
    yield len(head).to_bytes(_LENGTH)


def unseal(data: bytes) -> tuple[Any, dict[str, Column]]:
    """Return the document and the columns that `seal` was given.

    The document is `None` if `data` is not as it was made. Raises ValueError or another of the
    errors of wrong types if the columns are not what the document says.
    """
    body = memoryview(data)[:-_DIGEST]
    if len(body) < _LENGTH or data[-_DIGEST:] != sha256(body).digest():
        return None, {}
    document = _parsed(body[place_of_document(data) : -_LENGTH])
    columns: dict[str, Column] = {}
    start = 0
    for name, *form, size in document.pop("columns", ()) if isinstance(document, dict) else ():
        columns[name] = _unpacked(body[start : start + size], *form)
        start += size
    return document, columns


def place_of_document(data: bytes) -> int:
    """Return the offset at which the document of sealed `data` begins."""
    end = len(data) - _DIGEST - _LENGTH
    return max(0, end - int.from_bytes(data[max(0, end) : end + _LENGTH]))


def _parsed(head: memoryview) -> Any:
    try:
        return orjson.loads(head)
    except ValueError:
        pass
    try:
        return json.loads(bytes(head))  # which takes lone surrogates
    except (ValueError, RecursionError):
        return None


def _packed(values: Iterable[Any]) -> Generator[Piece, None, tuple[int, str, int]]:
    """Yield a column as bytes, and return its form.

    That is how many texts it holds or -1 for numbers, the type of the numbers or of the places
    where the texts end, and how many bytes it is.
    """
    if isinstance(values, Texts):
        of_texts, absent, ends = values.packed()
        yield from (of_texts, absent, _bytes_of(ends))
        return len(ends), ends.typecode, len(of_texts) + len(ends) * (1 + ends.itemsize)
    if isinstance(values, array):
        yield (data := _bytes_of(values))
        return -1, values.typecode, len(data)
    numbers, missing, text, before = array("q"), bytearray(), bytearray(), 0
    for value in values:
        if type(value) is int:
            numbers.append(value)
            continue
        missing.append(value is None)
        if value is not None:
            text += value.encode("utf-8", "surrogatepass")
        numbers.append(before + len(text))
        if len(text) >= _PIECE:
            before += len(text)
            yield text
            text = bytearray()
    rows = len(missing) or -1
    if rows not in (-1, len(numbers)):
        raise TypeError("a column is of numbers or of texts")
    yield text
    yield missing
    packed = _array(numbers)
    yield _bytes_of(packed)
    size = before + len(text) + len(missing) + len(packed) * packed.itemsize
    return rows, packed.typecode, size


def _unpacked(data: memoryview, rows: int, code: str) -> Column:
    """Return the column that is in `data`."""
    if rows < 0:
        return _numbers(data, code)
    ends = len(data) - rows * _WIDTHS[code]
    missing = ends - rows
    return Texts(_numbers(data[ends:], code), data[missing:ends], data[:missing])


_WIDTHS: Final = {"B": 1, "H": 2, "I": 4, "q": 8}
"""The types of numbers, those that are never negative first: of these only the most is limited."""


def _array(numbers: Sequence[int]) -> array[int]:
    """Return `numbers` in as few bytes each as will do."""
    least, most = (min(numbers), max(numbers)) if numbers else (0, 0)
    unsigned = (code for code in "BHI" if least >= 0 and most < 1 << 8 * _WIDTHS[code])
    return array(next(unsigned, "q"), numbers)


def _bytes_of(numbers: array[int]) -> bytes:
    if sys.byteorder == "big":
        numbers = array(numbers.typecode, numbers)
        numbers.byteswap()
    return numbers.tobytes()


def _numbers(data: memoryview, code: str) -> Numbers:
    """Return the numbers that are in `data`, which is not copied."""
    if code not in _WIDTHS:
        raise ValueError("no numbers of a column are of that type")
    if sys.byteorder == "little":
        return data.cast(cast("Literal['q']", code))
    numbers = array(code)
    numbers.frombytes(data)
    numbers.byteswap()
    return numbers
