"""Columns of numbers and texts as bytes, from which a row is read without the others.

A sealed document is a digest, the length of some JSON, the JSON, and the columns one after the
other. What was damaged or edited is not believed. That is no signature: who can write here can make
the digest anew, and `verify` folds the events.
"""

from __future__ import annotations

import json
import sys
from array import array
from collections.abc import Iterable, Iterator, Sequence
from hashlib import sha256
from typing import Any, Final, overload

import orjson

_DIGEST: Final = 32
_LENGTH: Final = 8
HEAD: Final = _DIGEST + _LENGTH
"""The offset at which the JSON begins."""

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
) -> list[bytes | bytearray]:
    """Return `document` and `columns` as bytes behind a digest, in pieces.

    Each column is gone through once and needs no more room than its bytes.
    """
    packed = [_packed(name, values) for name, values in (columns or {}).items()]
    if columns is not None:
        document = {**document, "columns": [each for each, _ in packed]}
    try:
        head = orjson.dumps(document)
    except TypeError:  # orjson takes no lone surrogates
        head = json.dumps(document).encode("ascii")
    body: list[bytes | bytearray] = [len(head).to_bytes(_LENGTH), head]
    body += (part for _, parts in packed for part in parts)
    hasher = sha256()
    for part in body:
        hasher.update(part)
    return [hasher.digest(), *body]


def unseal(data: bytes) -> tuple[Any, dict[str, Column]]:
    """Return the document and the columns that `seal` was given.

    The document is `None` if `data` is not as it was made. Raises ValueError or another of the
    errors of wrong types if the columns are not what the document says.
    """
    body = memoryview(data)[_DIGEST:]
    if len(body) < _LENGTH or data[:_DIGEST] != sha256(body).digest():
        return None, {}
    rest = _LENGTH + int.from_bytes(body[:_LENGTH])
    document = _parsed(body[_LENGTH:rest])
    columns: dict[str, Column] = {}
    for name, *form, size in document.pop("columns", ()) if isinstance(document, dict) else ():
        columns[name] = _unpacked(bytes(body[rest : rest + size]), *form)
        rest += size
    return document, columns


def _parsed(head: memoryview) -> Any:
    try:
        return orjson.loads(head)
    except ValueError:
        pass
    try:
        return json.loads(bytes(head))  # which takes lone surrogates
    except (ValueError, RecursionError):
        return None


def _packed(name: str, values: Iterable[Any]) -> tuple[list[Any], list[bytes | bytearray]]:
    """Return a column as its row in the document, and its bytes in pieces.

    The row has the name, how many texts it holds or -1 for numbers, the width of the numbers or of
    the places where the texts end, and how many bytes it is.
    """
    numbers, missing, text = array("q"), bytearray(), bytearray()
    for value in values:
        if type(value) is int:
            numbers.append(value)
            continue
        missing.append(value is None)
        if value is not None:
            text += value.encode("utf-8", "surrogatepass")
        numbers.append(len(text))
    rows = len(missing) or -1
    if rows not in (-1, len(numbers)):
        raise TypeError("a column is of numbers or of texts")
    narrow = _array(numbers)
    parts: list[bytes | bytearray] = [_bytes_of(narrow), missing, text]
    return [name, rows, narrow.itemsize, sum(map(len, parts))], parts


def _unpacked(data: bytes, rows: int, width: int) -> Column:
    """Return the column that is in `data`."""
    if rows < 0:
        return _numbers(data, width)
    ends = rows * width
    return Texts(_numbers(data[:ends], width), data[ends : ends + rows], data[ends + rows :])


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
