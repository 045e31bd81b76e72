"""Elements of records, one by one: what pydicom makes of all of the record."""

from __future__ import annotations

import warnings
from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydicom import dcmread
from pydicom.data import get_testdata_files
from pydicom.dataelem import DataElement
from pydicom.valuerep import PersonName

from fileset.values import readable_element, value_text
from ledger.elements import (
    CHARSET_VRS,
    KNOWN_VRS,
    Element,
    Elements,
    character_set,
    encode,
    find,
    iterate,
)
from ledger.instances.datasets import to_dataset, to_elements
from projections.dicomdir.text import readable

pytestmark = pytest.mark.filterwarnings("ignore")  # pydicom's, of values that break the Standard

CHARSETS = (
    b"ISO_IR 100", b"ISO_IR 192", b"\\ISO 2022 IR 87", b"GB18030", b"ISO_IR 166", b"nonsense", b"",
)  # fmt: skip

TAGS = (0x00080060, 0x00100010, 0x00200013, 0x00280106, 0x00091002, 0x70FF0010)
VALUES = (b"1.2 ", b"A^B=\x1b$B;3ED ", b"12\\7", b"\xe4 ")


def of_the_whole(held: bytes, tag: int) -> DataElement | None:
    """Return the element of the decoded record, and readable text where it can't be."""
    kept = find(held, tag)
    if kept is None:
        return None
    with suppress(Exception):
        element = to_dataset(held)[tag]
        if element.VR not in CHARSET_VRS or "\ufffd" not in value_text(element):
            return element
    text = readable(kept, character_set(held))
    value = PersonName(text) if kept.vr == "PN" else text
    return DataElement(tag, kept.vr, value, already_converted=True)


def told(element: DataElement | None) -> tuple[object, ...] | None:
    if element is None:
        return None
    return element.tag, element.VR, type(element.value), repr(element.value), element.VM


def assert_alike(held: Elements) -> None:
    for each in iterate(held):
        assert told(readable_element(held, each.tag)) == told(of_the_whole(held, each.tag))


@given(
    st.sampled_from(CHARSETS),
    st.lists(
        st.tuples(
            st.sampled_from(TAGS),
            st.sampled_from(sorted(vr.decode() for vr in KNOWN_VRS - {b"SQ"})),
            st.binary(max_size=12) | st.sampled_from(VALUES),
        ),
        max_size=4,
    ),
)  # fmt: skip
def test_an_element_alone_is_what_it_is_in_its_record(
    charset: bytes, elements: list[tuple[int, str, bytes]]
) -> None:
    own = [Element(0x00080005, "CS", charset)] if charset else []
    assert_alike(encode([*own, *(Element(*each) for each in elements)]))


@pytest.mark.parametrize("path", sorted(get_testdata_files("*/DICOMDIR*")))
def test_each_element_of_real_records_is_alike(path: str) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        records = dcmread(path).DirectoryRecordSequence
        for record in records:
            assert_alike(to_elements(record))


def test_there_is_none_where_the_record_has_none() -> None:
    assert readable_element(encode([Element(0x00100010, "PN", b"A^B ")]), 0x00100020) is None
