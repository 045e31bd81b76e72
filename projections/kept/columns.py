"""Columns of numbers and texts as bytes, from which a row is read without the others.

A sealed document is its columns one after the other, some JSON, the length of that, and a digest of
it all: so it can be written as it is made. What was damaged or edited is not believed. That is no
signature: who can write here can make the digest anew, and `verify` folds the events.
"""

from __future__ import annotations

import json
import sys
from array import array
from collections.abc import Generator, Iterable, Iterator, Sequence
from hashlib import sha256
from typing import Any, Final, overload

import orjson

_DIGEST: Final = 32
_LENGTH: Final = 8
_PIECE: Final = 1 << 20

Column = Sequence[int] | Sequence[str | None]


class Texts(Sequence[str | None]):
    """A column of texts, each of which may be missing: `None`."""

    def __init__(self, ends: Sequence[int], missing: bytes, text: bytes) -> None:
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
            return [self[each] for each in range(*row.indices(len(self)))]
        if self._missing[row]:
            return None
        return _text(self._text[self._ends[row - 1] if row else 0 : self._ends[row]])

    def __iter__(self) -> Iterator[str | None]:
        if self._text.isascii():  # then a place in the bytes is one in the text
            text, start = self._text.decode("ascii"), 0
            for end, missing in zip(self._ends, self._missing, strict=True):
                yield None if missing else text[start:end]
                start = end
        else:
            yield from map(self.__getitem__, range(len(self)))


def _text(data: bytes) -> str:
    return data.decode("utf-8", "surrogatepass")  # paths hold what is no text as surrogates


def seal(
    document: dict[str, Any], columns: dict[str, Iterable[Any]] | None = None
) -> Iterator[bytes | bytearray]:
    """Yield `document` and `columns` as bytes, piece by piece, and a digest of them.

    Each column is gone through once; of its texts no more than a piece is held.
    """
    hasher = sha256()
    for piece in _pieces(document, columns):
        hasher.update(piece)
        yield piece
    yield hasher.digest()


def _pieces(
    document: dict[str, Any], columns: dict[str, Iterable[Any]] | None
) -> Iterator[bytes | bytearray]:
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
        columns[name] = _unpacked(bytes(body[start : start + size]), *form)
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


def _packed(values: Iterable[Any]) -> Generator[bytes | bytearray, None, tuple[int, int, int]]:
    """Yield a column as bytes, and return its form.

    That is how many texts it holds or -1 for numbers, the width of the numbers or of the places
    where the texts end, and how many bytes it is.
    """
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
    return rows, packed.itemsize, size


def _unpacked(data: bytes, rows: int, width: int) -> Column:
    """Return the column that is in `data`."""
    if rows < 0:
        return _numbers(data, width)
    ends = len(data) - rows * width
    missing = ends - rows
    return Texts(_numbers(data[ends:], width), data[missing:ends], data[:missing])


_CODES: Final = {array(code).itemsize: code for code in "bhiq"}


def _array(numbers: Sequence[int]) -> array[int]:
    """Return `numbers` in as few bytes each as will do."""
    least, most = (min(numbers), max(numbers)) if numbers else (0, 0)
    enough = (width for width in _CODES if max(most, -1 - least) < 1 << 8 * width - 1)
    return array(_CODES[min(enough)], numbers)


def _bytes_of(numbers: array[int]) -> bytes:
    if sys.byteorder == "big":
        numbers.byteswap()
    return numbers.tobytes()


def _numbers(data: bytes, width: int) -> array[int]:
    numbers = array(_CODES[width])
    numbers.frombytes(data)
    if sys.byteorder == "big":
        numbers.byteswap()
    return numbers
