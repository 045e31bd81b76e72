"""Skimming past elements finds what a walk does, whatever layouts it has met before."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from corrections import FILES, plain
from hypothesis import given
from hypothesis import strategies as st

from ledger.instances.correcting import skimming
from ledger.instances.correcting.skimming import Found, skim
from ledger.instances.file_meta import meta_of_file
from ledger.instances.walker import Walker
from ledger.uids import EXPLICIT_VR_LITTLE_ENDIAN, IMPLICIT_VR_LITTLE_ENDIAN

LITTLE = {EXPLICIT_VR_LITTLE_ENDIAN: False, IMPLICIT_VR_LITTLE_ENDIAN: True}
WANTED = (0x00080005, 0x00080090, 0x00100010, 0x00100011, 0x00101000, 0x0020000D, 0x04000561)


def skimmed(
    data: bytes, offset: int, wanted: tuple[int, ...], *, implicit: bool
) -> tuple[list[Found], int]:
    """Return what skimming tells, and where it stops, for others to go on."""

    def run() -> Iterator[Found]:
        ends.append((yield from skim(data, offset, wanted, walker, implicit=implicit)))

    walker, ends = Walker(data, big_endian=False), list[tuple[int, int]]()
    found = list(run())
    return found, ends[0][1]


def walked(data: bytes, offset: int, *, implicit: bool) -> list[tuple[int, int, int, int]]:
    """Return tag, header, start and stop of all elements."""
    return list(Walker(data, big_endian=False).walk(offset, implicit=implicit))


def check(data: bytes, offset: int, wanted: tuple[int, ...], *, implicit: bool) -> None:
    """Check that the wanted elements are told, and those next to the places of missing ones."""
    told, end = skimmed(data, offset, wanted, implicit=implicit)
    all_ = [each for each in walked(data, offset, implicit=implicit) if each[1] < end]
    found = [(each.tag, each.header, each.start, each.stop) for each in told]
    assert [each for each in all_ if each in set(found)] == found
    assert [each for each in found if each[0] in wanted] == [e for e in all_ if e[0] in wanted]
    for tag in set(wanted) - {each[0] for each in all_}:
        after = next((each for each in all_ if each[0] > tag), None)
        assert after is None or after in found


def test_real_files_one_after_the_other_are_told_right() -> None:
    skimming._runs.cache_clear()
    seen = 0
    for _ in range(3):
        for path in FILES:
            data = path.read_bytes()
            try:
                meta, offset = meta_of_file(data)
            except ValueError:
                continue
            implicit = LITTLE.get(meta.transfer_syntax_uid)
            if implicit is None:
                continue
            try:
                all_ = walked(data, offset, implicit=implicit)
                whole = not all_ or all_[-1][3] == len(data)
                usual = all(tag & 0xFFFF and tag >> 16 not in {0, 0xFFFE} for tag, *_ in all_)
            except ValueError:
                continue
            if whole and usual:
                seen += 1
                check(data, offset, WANTED, implicit=implicit)
    assert seen > 60


elements = st.lists(
    st.tuples(
        st.sampled_from([0x00080005, 0x00080050, 0x00100010, 0x00100020, 0x00181000, 0x00204000]),
        st.integers(0, 3).map(lambda n: b"AB" * n),
    ),
    unique_by=lambda each: each[0],
)


@pytest.mark.parametrize("wanted", [(), (0x00080060,), (0x00100010, 0x00101000)])
@given(layouts=st.lists(elements, min_size=1, max_size=6))
def test_files_of_any_layouts_after_each_other_are_told_right(
    wanted: tuple[int, ...], layouts: list[list[tuple[int, bytes]]]
) -> None:
    for layout in layouts * 3:
        data = plain(*((tag, "LO", value) for tag, value in layout))
        _, offset = meta_of_file(data)
        check(data, offset, wanted, implicit=False)
