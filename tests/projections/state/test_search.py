"""Looking instances up by index: all that match and nearly no others, in the File-set's order."""

from __future__ import annotations

from typing import Any

import pytest
from attrs import evolve
from hypothesis import example, given
from models import Author, Command, iteration, programs, record, spec, study
from pydicom import Dataset, examples
from pydicom.uid import UID

from fileset import FileSet, RecordNode
from ledger import elements
from ledger.elements import Element, find, plain_text
from ledger.events import InstanceAdded, Record
from projections.state.nodes import Branch, Leaf
from projections.state.search import all_in_order, candidates, in_order, telling
from projections.state.state import FileSetState

TAGS = {"PatientID": 0x00100020, "StudyInstanceUID": 0x0020000D, "SeriesInstanceUID": 0x0020000E}
NUMBER = {"InstanceNumber": 0x00200013}


def value(leaf: Leaf, keyword: str) -> str | None:
    """Return what an instance has as `keyword`: the lowest record with the element tells."""
    if keyword == "SOPInstanceUID":
        return leaf.uid
    node: Branch | Leaf | None = leaf
    while node is not None:
        if (element := find(node.record.elements, {**TAGS, **NUMBER}[keyword])) is not None:
            return plain_text(element)
        node = node.parent
    return None


@given(programs())
def test_an_index_finds_what_a_scan_finds_after_anything_that_was_done(
    program: list[Command],
) -> None:
    state = Author().run(program).state
    live = [state.leaf(handle) for handle in iteration(state)]
    for keyword in (*TAGS, "SOPInstanceUID"):
        for wanted in {value(leaf, keyword) for leaf in live} - {None}:
            assert candidates(state, {keyword: wanted}) == [
                leaf for leaf in live if value(leaf, keyword) == wanted
            ]
        assert candidates(state, {keyword: "none has this"}) == []


@given(programs())
@example([("add", 0, 0, 1), ("add", 1), ("correct", 0, 0, 0, 0), ("write", "pydicom")])
def test_instances_are_put_in_the_order_in_which_a_file_set_yields_them(
    program: list[Command],
) -> None:
    state = Author().run(program).state
    shuffled = sorted(state.live.values(), key=lambda leaf: leaf.uid)
    assert [leaf.handle for leaf in in_order(state, shuffled)] == iteration(state)


@given(programs())
def test_those_that_tell_all_values_tell_what_all_instances_have(program: list[Command]) -> None:
    state = Author().run(program).state
    leaves = list(all_in_order(state))
    assert [leaf.handle for leaf in leaves] == iteration(state)
    for keyword, tag in {**TAGS, **NUMBER}.items():
        of_all = dict.fromkeys(value(leaf, keyword) for leaf in leaves)
        told = dict.fromkeys(value(leaf, keyword) for leaf in telling(leaves, tag))
        assert list(told) == list(of_all)


def test_all_values_of_a_query_narrow_it() -> None:
    state = Author().run([("add", n, n % 4, 0) for n in range(12)]).state
    found = candidates(state, {"PatientID": "P1", "StudyInstanceUID": "1.2.1.0", "Rows": 5})
    assert found == [leaf for leaf in state.live.values() if leaf.order and leaf.uid in {
        "1.9.2", "1.9.6", "1.9.10"
    }]  # fmt: skip


@pytest.mark.parametrize(
    "query", [{}, {"PatientName": "Doe^J"}, {"PatientID": 1}, {"PatientID": "a\\b"}, {"X": "山"}]
)
def test_what_no_index_tells_may_be_any_instance(query: dict[str, Any]) -> None:
    assert candidates(Author().run([("add", 0, 0, 0)]).state, query) is None


def test_a_key_in_a_record_of_another_type_is_found_too() -> None:
    author = Author()
    patient, _, series, image = spec(0).records
    stray = evolve(image, elements=elements.encode(
        [*elements.iterate(image.elements), *elements.iterate(study("1.2.77").elements)]
    ))  # fmt: skip
    author.commit([InstanceAdded("1.9.0", "1", "2", stray, parents=(patient, record("X"), series))])
    (leaf,) = author.state.live.values()
    assert candidates(author.state, {"StudyInstanceUID": "1.2.77"}) == [leaf]


def test_a_key_with_escapes_is_found_by_the_text_that_people_see() -> None:
    author = Author()
    _, *others, image = spec(0).records
    patient = Record("PATIENT", elements.encode((
        Element(0x00080005, "CS", b"\\ISO 2022 IR 13"),
        Element(0x00100010, "PN", b"A^B "),
        Element(TAGS["PatientID"], "LO", b"\x1b(JDEF\x1b(B"),
    )))  # fmt: skip
    author.commit([InstanceAdded("1.9.0", "1", "2", image, parents=(patient, *others))])
    (leaf,) = author.state.live.values()
    assert candidates(author.state, {"PatientID": "DEF"}) == [leaf]
    assert candidates(author.state.copy(), {"PatientID": "DEF"}) != []


def test_an_instance_is_found_without_a_look_at_the_others(monkeypatch: pytest.MonkeyPatch) -> None:
    fs = FileSet()
    state: FileSetState = Author().run([("add", n, n % 4, 0) for n in range(60)]).state
    fs._view.fixed = state
    looked_at: set[object] = set()
    real = fs._view.element
    monkeypatch.setattr(
        fs._view, "element", lambda node, tag: looked_at.add(node) or real(node, tag)
    )

    (found,) = fs.find(SOPInstanceUID=UID("1.9.7"))
    assert found.SOPInstanceUID == "1.9.7"
    assert len(looked_at) == 1
    assert [each.SOPInstanceUID for each in fs.find(SeriesInstanceUID="1.3.1.1")] == [
        f"1.9.{n}" for n in range(3, 60, 4)
    ]
    assert len(looked_at) < 20


@pytest.mark.parametrize(
    ("kind", "keyword"),
    [("PATIENT", "PatientID"), ("STUDY", "StudyInstanceUID"), ("SERIES", "SeriesInstanceUID")],
)
def test_an_instance_whose_own_record_is_of_such_a_type_is_found(kind: str, keyword: str) -> None:
    record_ = Dataset()
    record_.DirectoryRecordType = kind
    setattr(record_, keyword, "1.2.3")
    fs = FileSet()
    fs.add_custom(examples.ct, RecordNode(record_))
    assert len(fs.find(**{keyword: "1.2.3"})) == 1
