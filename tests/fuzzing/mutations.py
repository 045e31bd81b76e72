"""Changing bytes: as a bad disc would, and as someone would who knows the format."""

from __future__ import annotations

import re
import struct
from collections.abc import Callable, Sequence
from random import Random
from typing import TypeAlias

Mutation: TypeAlias = Callable[[bytearray, Random, Sequence[bytes]], bytearray]

_EXTREMES = (0, 1, 2, 3, 7, 8, 0x7F, 0xFF, 0x100, 0x7FFF, 0x8000, 0xFFFE, 0xFFFF)
_LONG = (*_EXTREMES, 0x10000, 0x7FFFFFFF, 0x80000000, 0xFFFFFFFE, 0xFFFFFFFF)
_PIECES = (
    b"\xfe\xff\0\xe0\0\0\0\0", b"\xfe\xff\0\xe0\xff\xff\xff\xff", b"\xfe\xff\x0d\xe0\0\0\0\0",
    b"\xfe\xff\xdd\xe0\0\0\0\0", b"\x08\0\x15\x11SQ\0\0\xff\xff\xff\xff", b"\x08\0\x18\0UI\0\0",
    b"\x10\0\x20\0LO\4\0AB\\C", b"\x08\0\5\0CS\x0a\0ISO_IR 192", b"\x08\0\5\0CS\x08\0\\ISO 2022",
    b"\4\0\0\x14UL\4\0\0\0\0\0", b"\4\0\x30\x14CS\6\0IMAGE ", b"\2\0\x10\0UI\0\0", b"\x1b$)C",
    b"\\", b"\xe0\x7f\x10\0OB\0\0\xff\xff\xff\xff", b"\x09\0\x10\0LO\2\0X ", b"\xff\xff\xff\xff",
    b"{}", b"null", b"1e999", b"-0",
    b'"\\ud800"', b"[[[[[[[[", b'{"a":', b"\n", b"99999999999999999999",
)  # fmt: skip
_HEADER = re.compile(rb"[A-Z]{2}[\0-\xff]{2}", re.DOTALL)
_DELIMITERS = re.compile(rb"\xfe\xff(?:\0\xe0|\x0d\xe0|\xdd\xe0)")
_NUMBER = re.compile(rb"\d+")


def _at(data: bytearray, random: Random) -> int:
    # What decides is mostly in the head of a file.
    return random.randrange(min(len(data), random.choice((200, 600, 2000, 1 << 20))) or 1)


def flip(data: bytearray, random: Random, _: Sequence[bytes]) -> bytearray:
    """Flip bits."""
    for _ in range(random.choice((1, 1, 1, 4, 32))):
        data[_at(data, random)] ^= 1 << random.randrange(8)
    return data


def overwrite(data: bytearray, random: Random, _: Sequence[bytes]) -> bytearray:
    """Overwrite some bytes by random ones or a piece that means something."""
    at = _at(data, random)
    piece = random.choice((random.randbytes(random.choice((1, 2, 4, 64))), *_PIECES))
    data[at : at + len(piece)] = piece
    return data


def insert(data: bytearray, random: Random, _: Sequence[bytes]) -> bytearray:
    """Put a piece in between."""
    at = _at(data, random)
    data[at:at] = random.choice((random.randbytes(random.choice((1, 2, 64))), *_PIECES))
    return data


def delete(data: bytearray, random: Random, _: Sequence[bytes]) -> bytearray:
    """Leave something out."""
    at = _at(data, random)
    del data[at : at + random.choice((1, 2, 4, 8, 12, 200))]
    return data


def cut(data: bytearray, random: Random, _: Sequence[bytes]) -> bytearray:
    """Cut the end off."""
    del data[_at(data, random) :]
    return data


def repeat(data: bytearray, random: Random, _: Sequence[bytes]) -> bytearray:
    """Have a stretch several times."""
    at = _at(data, random)
    stretch = data[at : at + random.choice((2, 8, 20, 100, 400))]
    data[at:at] = stretch * random.choice((1, 2, 70, 300))
    return data


def splice(data: bytearray, random: Random, corpus: Sequence[bytes]) -> bytearray:
    """Go on with another file."""
    other = random.choice(corpus)
    data[_at(data, random) :] = other[random.randrange(len(other)) :]
    return data


def set_length(data: bytearray, random: Random, _: Sequence[bytes]) -> bytearray:
    """Have an element claim another length."""
    found = list(_HEADER.finditer(data, 0, 4096))
    if found:
        at = random.choice(found).end() - 2
        if data[at : at + 2] == b"\0\0" and at + 6 <= len(data):
            struct.pack_into("<I", data, at + 2, random.choice(_LONG))
        else:
            struct.pack_into("<H", data, at, random.choice(_EXTREMES))
    return data


def set_number(data: bytearray, random: Random, _: Sequence[bytes]) -> bytearray:
    """Have another number somewhere: an offset or a length, in binary or in text."""
    found = list(_NUMBER.finditer(data, 0, 1 << 16)) if data[:1] == b"{" else []
    if found:
        match = random.choice(found)
        data[match.start() : match.end()] = b"%d" % random.choice((*_LONG, 10**20, -1))
    elif len(data) >= 4:
        at = min(_at(data, random), len(data) - 4)
        struct.pack_into("<I", data, at, random.choice((*_LONG, len(data), at)))
    return data


def swap(data: bytearray, random: Random, _: Sequence[bytes]) -> bytearray:
    """Swap two headers of elements, or what follows them."""
    found = [match.start() for match in _HEADER.finditer(data, 0, 4096) if match.start() >= 4]
    if len(found) >= 2:
        one, other = sorted(random.sample(found, 2))
        size = random.choice((4, 6, 8))
        if other - one >= size:
            first, second = data[one - 4 : one - 4 + size], data[other - 4 : other - 4 + size]
            data[one - 4 : one - 4 + size], data[other - 4 : other - 4 + size] = second, first
    return data


def drop_delimiter(data: bytearray, random: Random, _: Sequence[bytes]) -> bytearray:
    """Leave an item or a delimiter out."""
    found = list(_DELIMITERS.finditer(data))
    if found:
        at = random.choice(found).start()
        del data[at : at + 8]
    return data


def swap_lines(data: bytearray, random: Random, _: Sequence[bytes]) -> bytearray:
    """Have two lines in each other's place, or one of them twice."""
    lines = data.split(b"\n")
    one, other = random.randrange(len(lines)), random.randrange(len(lines))
    lines[one], lines[other] = lines[other], lines[random.choice((one, other))]
    return bytearray(b"\n".join(lines))


ALL: tuple[Mutation, ...] = (
    flip, overwrite, insert, delete, cut, repeat, splice, set_length, set_length, set_number, swap,
    drop_delimiter, swap_lines,
)  # fmt: skip


def mutated(random: Random, corpus: Sequence[bytes]) -> bytes:
    """Return one of the `corpus` with one or some changes."""
    data = bytearray(random.choice(corpus))
    for _ in range(random.choice((1, 1, 1, 2, 3, 6))):
        if data:
            data = random.choice(ALL)(data, random, corpus)
    return bytes(data[: 1 << 19])
