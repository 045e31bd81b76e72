"""Files that are like none before them: every way of scanning finds the same, in few steps."""

from __future__ import annotations

import random
import struct
from collections.abc import Iterable
from functools import partial
from typing import Any
from unittest import mock

import pytest
from attrs import frozen
from hypothesis import given, settings
from hypothesis import strategies as st
from models import calls
from scans import EXPLICIT, IMPLICIT, WANTED, file_of, outcome, scan_as_file

from ledger.elements import KNOWN_VRS, LONG_VRS, MAX_DEPTH, encode_element
from ledger.errors import InstanceError
from ledger.instances import scanner
from ledger.instances.familiar import Familiar
from ledger.instances.open_sequences import skip_open
from ledger.instances.scanner import Scan, Wanted, scan, scan_generally
from ledger.instances.walker import Walker
from ledger.tags import SPECIFIC_CHARACTER_SET

OPEN = 0xFFFFFFFF
ITEM, END_OF_ITEM, END_OF_SEQUENCE = 0xFFFEE000, 0xFFFEE00D, 0xFFFEE0DD


@frozen
class Sequence:
    """A sequence: the elements of each item, with whether the item's length is undefined."""

    tag: int
    items: list[tuple[list[Any], bool]]
    is_open: bool


Value = tuple[int, str, bytes] | Sequence


def header(tag: int, length: int) -> bytes:
    return struct.pack("<HHI", tag >> 16, tag & 0xFFFF, length)


def encoded(elements: Iterable[Value], syntax: str) -> bytes:
    return b"".join(one(element, syntax) for element in elements)


def one(element: Value, syntax: str) -> bytes:
    if isinstance(element, Sequence):
        value = b"".join(
            header(ITEM, OPEN) + encoded(item, syntax) + header(END_OF_ITEM, 0)
            if is_open
            else header(ITEM, len(encoded(item, syntax))) + encoded(item, syntax)
            for item, is_open in element.items
        )
        end = header(END_OF_SEQUENCE, 0) if element.is_open else b""
        length = OPEN if element.is_open else len(value)
        head = header(element.tag, length)
        if syntax == EXPLICIT:
            head = head[:4] + b"SQ\0\0" + head[4:]
        return head + value + end
    tag, vr, content = element
    if syntax == EXPLICIT:
        return encode_element(tag, vr, content)
    return header(tag, len(content)) + content


tags = st.sampled_from(sorted(WANTED.vrs)) | st.builds(
    lambda group, number: group << 16 | number,
    st.sampled_from([0x0008, 0x0009, 0x0010, 0x0029, 0x0043, 0x7FE1]),
    st.integers(0, 0xFFFF),
)
vrs = st.sampled_from(sorted(vr.decode() for vr in KNOWN_VRS - {b"SQ"}))
plain = st.builds(
    lambda tag, vr, content: (tag, WANTED.vrs.get(tag, vr), content * 2),
    tags.filter(lambda tag: WANTED.vrs.get(tag) != "SQ" and tag != SPECIFIC_CHARACTER_SET),
    vrs,
    st.binary(max_size=12),
)
of_sequences = tags.filter(lambda tag: WANTED.vrs.get(tag, "SQ") == "SQ")
sequences = st.recursive(
    st.builds(Sequence, of_sequences, st.just([]), st.booleans()),
    lambda inner: st.builds(
        Sequence,
        of_sequences,
        st.lists(
            st.tuples(st.lists(plain | inner, max_size=4), st.booleans()), min_size=1, max_size=3
        ),
        st.booleans(),
    ),
    max_leaves=6,
)
data_sets = st.lists(plain | plain | sequences, max_size=30)
damage = st.lists(st.tuples(st.integers(0, 2000), st.integers(0, 255)), max_size=4)
cuts = st.sampled_from([0, 0, 0, 1, 8, 30])
syntaxes = st.sampled_from([EXPLICIT, IMPLICIT])


def damaged(data: bytes, changes: list[tuple[int, int]], cut: int, first: int) -> bytes:
    mutated = bytearray(data)
    for at, byte in changes:
        if first + at < len(mutated):
            mutated[first + at] = byte
    return bytes(mutated[: len(mutated) - cut])


@settings(max_examples=200, deadline=None)
@given(st.lists(st.tuples(syntaxes, data_sets, damage, cuts), min_size=1, max_size=6))
def test_each_way_of_scanning_finds_the_same(
    files: list[tuple[str, list[Value], list[tuple[int, int]], int]],
) -> None:
    experienced = Wanted(WANTED.vrs, WANTED.presence_only)
    for syntax, elements, changes, cut in files:
        data = damaged(file_of(syntax, encoded(elements, syntax)), changes, cut, 160)
        found = outcome(scan, data, experienced)
        assert found == outcome(scan, data, Wanted(WANTED.vrs, WANTED.presence_only))
        assert found == outcome(scan_as_file, data)
        if not changes and not cut:
            general = outcome(scan_generally, data)
            assert general == found or not isinstance(general, Scan)


@settings(max_examples=300, deadline=None)
@given(sequences, syntaxes, damage, cuts)
def test_open_sequences_end_where_the_thorough_walk_says(
    sequence: Sequence, syntax: str, changes: list[tuple[int, int]], cut: int
) -> None:
    start = 12 if syntax == EXPLICIT else 8
    data = one(Sequence(sequence.tag, sequence.items, is_open=True), syntax) + bytes(40)
    data = damaged(data, changes, cut, start)
    vr = b"SQ" if syntax == EXPLICIT else None

    def thorough() -> int:
        return Walker(data).skip(sequence.tag, vr, OPEN, start, implicit=vr is None)

    assert _outcome(partial(skip_open, data, sequence.tag, vr, start)) == _outcome(thorough)


def _outcome(function: Any) -> Any:
    try:
        return function()
    except InstanceError as exc:
        return type(exc), str(exc)


@pytest.mark.parametrize("syntax", [EXPLICIT, IMPLICIT])
@pytest.mark.parametrize("depth", [1, MAX_DEPTH - 1, MAX_DEPTH, MAX_DEPTH + 1])
def test_nesting_is_refused_where_the_thorough_walk_refuses_it(syntax: str, depth: int) -> None:
    sequence = Sequence(0x00081115, [], is_open=True)
    for _ in range(depth - 1):
        sequence = Sequence(0x00081115, [([sequence], True)], is_open=True)
    data = file_of(syntax, one(sequence, syntax))

    assert outcome(scan, data) == outcome(scan_as_file, data)


# --- counted ------------------------------------------------------------------------------------


def unlike(number: int, size: int) -> bytes:
    """Return a file of so many elements, in an order and of lengths that no other one has."""
    chance = random.Random(number)  # noqa: S311 - any files
    short = sorted(vr.decode() for vr in KNOWN_VRS - LONG_VRS)
    found = [(0x00080018, "UI", b"1.2.%06d" % number)]
    for index in range(size):
        tag = chance.choice([0x00090000, 0x00290000, 0x00430000]) + 0x1000 + index
        found.append((tag, chance.choice(short), bytes(2 * chance.randrange(20))))
    return file_of(EXPLICIT, encoded(found, EXPLICIT))


def test_a_file_like_no_other_takes_few_calls_for_each_element() -> None:
    wanted = Wanted(WANTED.vrs, WANTED.presence_only)
    for number in range(300):
        scan(unlike(number, 100), wanted)

    few, many = (calls(partial(scan, unlike(1000, size), wanted)) for size in (200, 1200))

    assert many - few <= 1.1 * 1000


def test_what_never_comes_again_is_seldom_remembered_and_a_series_is_all_the_same() -> None:
    wanted = Wanted(WANTED.vrs, WANTED.presence_only)
    learned = []
    with mock.patch.object(Familiar, "_run", autospec=True, side_effect=Familiar._run) as run:
        for number in range(1500):
            before = run.call_count
            scan(unlike(number, 100), wanted)
            learned.append(run.call_count - before)
    assert sum(learned[1000:]) <= 500 / 20

    with mock.patch.object(scanner, "_walk_explicit", wraps=scanner._walk_explicit) as walk:
        for _ in range(400):
            walk.reset_mock()
            scan(unlike(5000, 100), wanted)
    assert walk.call_count == 0
