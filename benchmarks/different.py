"""Files whose headers are all different: each as of another maker, with elements of its own.

A real CT header is the start. Of its elements some are left out and others have other lengths, and
blocks of private elements and sequences come in between, all of it drawn from a seed.
"""

from __future__ import annotations

import random
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from pydicom import examples

from ledger.elements import Element, encode_element, encode_items
from ledger.instances.file_meta import read_meta
from ledger.instances.walker import walk_elements

_KEPT: Final = frozenset(
    (
        0x00080005, 0x00080016, 0x00080018, 0x00080020, 0x00080030, 0x00080060, 0x00100010,
        0x00100020, 0x0020000D, 0x0020000E, 0x00200010, 0x00200011, 0x00200013,
    )
)  # fmt: skip
"""What a directory record needs of an instance."""

_SOP_INSTANCE_UID: Final = 0x00080018
_PIXELS: Final = 0x7FE00010
_GROWING: Final = ("LO", "SH", "DS", "IS", "CS", "PN")
_PRIVATE: Final = ("LO", "DS", "IS", "UN", "OB", "SH", "UI", "LT", "SQ")
_SEQUENCES: Final = (0x00081111, 0x00081140, 0x00082218, 0x00400275)


def make_different(folder: Path, count: int, *, seed: int) -> Path:
    """Write `count` instances of some 6 KB each to the new folder `folder`."""
    folder.mkdir()
    chance = random.Random(seed)  # noqa: S311 - any files
    for number, data in enumerate(_different(count, chance)):
        (folder / f"{number:06d}").write_bytes(data)
    return folder


def _different(count: int, chance: random.Random) -> Iterator[bytes]:
    data = Path(examples.get_path("ct")).read_bytes()
    _, offset = read_meta(data)
    known = [
        Element(tag, data[header + 4 : header + 6].decode(), data[start:stop])
        for tag, header, start, stop in walk_elements(data, offset, implicit=False)
        if tag < _PIXELS
    ]
    for number in range(count):
        found = [_varied(each, number, chance) for each in known if _stays(each, chance)]
        for _ in range(chance.randrange(1, 5)):
            found += _private_block(chance)
        found += [Element(tag, "SQ", _items(chance)) for tag in _SEQUENCES if chance.random() < 0.5]
        found.append(Element(_PIXELS, "OW", chance.randbytes(1000)))
        ordered = sorted({each.tag: each for each in found}.values())
        yield data[:offset] + b"".join(encode_element(*each) for each in ordered)


def _stays(element: Element, chance: random.Random) -> bool:
    return element.tag in _KEPT or chance.random() < 0.8


def _varied(element: Element, number: int, chance: random.Random) -> Element:
    if element.tag == _SOP_INSTANCE_UID:
        return element._replace(value=b"2.25.%024d" % number)
    if element.tag in _KEPT or element.vr not in _GROWING:
        return element
    return element._replace(value=element.value + b"1" * 2 * chance.randrange(4))


def _private_block(chance: random.Random) -> Iterator[Element]:
    group = 0x0009 + 2 * chance.randrange(40)
    block = chance.randrange(0x10, 0x20)
    yield Element(group << 16 | block, "LO", b"MAKER %04d" % chance.randrange(10_000))
    for number in chance.sample(range(256), chance.randrange(3, 40)):
        vr = chance.choice(_PRIVATE)
        value = _items(chance) if vr == "SQ" else chance.randbytes(2 * chance.randrange(20))
        yield Element(group << 16 | block << 8 | number, vr, value)


def _items(chance: random.Random) -> bytes:
    return encode_items(
        b"".join(
            encode_element(0x00080100 + number, "LO", b"x" * 2 * chance.randrange(10))
            for number in range(chance.randrange(1, 6))
        )
        for _ in range(chance.randrange(3))
    )
