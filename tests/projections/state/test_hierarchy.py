"""The tree of directory records: who stands where, and who comes back to which place."""

from __future__ import annotations

import pytest
from attrs import evolve
from models import (
    Author,
    Spec,
    added,
    calls,
    effective,
    image,
    patient,
    private,
    record,
    series,
    spec,
    study,
)

from ledger import elements
from ledger.elements import Element
from ledger.events import ChangeUndone, InstanceRemoved, Record
from projections.state.hierarchy import Hierarchy
from projections.state.keys import record_key
from projections.state.nodes import Branch, Leaf


def order_of(root: Branch) -> int:
    found = root.find("PATIENT", "P0")
    assert found is not None
    return found.order


def shape(hierarchy: Hierarchy) -> list[str]:
    """Return an indented line for each node, with its index."""
    return [
        f"{'  ' * depth}{node.index} {node.key if isinstance(node, Branch) else node.uid}"
        for depth, node in hierarchy.walk()
    ]


# --- keys ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("of", "key"),
    [
        (patient(7), "P7"),
        (study("1.2"), "1.2"),
        (series("1.3"), "1.3"),
        (private("1.4"), "1.4"),
        (record("IMAGE"), "1.9"),
        (record("STUDY"), "1.9"),
        (record("PATIENT"), None),
        (record("SERIES"), None),
        (record("PRIVATE"), None),
    ],
    ids=lambda value: getattr(value, "type", str(value)),
)
def test_what_tells_a_record_from_its_siblings(of: Record, key: str | None) -> None:
    assert record_key(of, "1.9") == key


def test_a_patient_id_is_told_apart_in_its_own_character_set() -> None:
    def identified(charset: bytes, value: bytes) -> Record:
        found = [Element(0x00080005, "CS", charset), Element(0x00100020, "LO", value)]
        return Record("PATIENT", elements.encode(found))

    assert record_key(identified(b"ISO_IR 100", b"J\xf6")) == "Jö"
    assert record_key(identified(b"ISO_IR 192", "Jö".encode())) == "Jö"
    assert record_key(identified(b"ISO_IR 6", b"J\xf6")) != record_key(
        identified(b"ISO_IR 6", b"J\xf7")
    )


# --- order ---------------------------------------------------------------------------------------


def test_siblings_stand_in_the_order_in_which_they_came() -> None:
    author = Author().run([("add", 2, 2, 0), ("add", 0, 0, 0), ("add", 1, 2, 0)])

    assert shape(author.state.hierarchy) == [
        "0 P1",
        "  0 1.2.1.0",
        "    0 1.3.1.0",
        "      0 1.9.2",
        "      1 1.9.1",
        "1 P0",
        "  0 1.2.0.0",
        "    0 1.3.0.0",
        "      0 1.9.0",
    ]


def test_what_undo_brings_back_stands_where_it_stood() -> None:
    author = Author().run([*[("add", number, 0, 0) for number in range(4)], ("add", 4, 2, 0)])
    before = shape(author.state.hierarchy)

    author.run([("remove", 1), ("remove", 0), ("undo", 2)])
    assert shape(author.state.hierarchy) == before

    author.run([("remove", 1), ("remove", 3), ("remove", 2), ("remove", 0)])
    assert shape(author.state.hierarchy)[0] == "0 P1"
    author.run([("undo", 4)])
    assert shape(author.state.hierarchy) == before


def test_records_go_with_their_last_instance_and_come_back_with_it() -> None:
    author = Author().run([("add", 0, 0, 0), ("remove", 0)])
    assert shape(author.state.hierarchy) == []
    assert not author.state.hierarchy.root.children

    author.do(("undo", 1))
    assert [line.strip() for line in shape(author.state.hierarchy)] == [
        "0 P0", "0 1.2.0.0", "0 1.3.0.0", "0 1.9.0",
    ]  # fmt: skip


def test_a_removed_instance_stays_until_a_write_has_taken_it_off_the_medium() -> None:
    author = Author().run([("add", 0, 4, 0), ("write",), ("remove", 0)])
    assert shape(author.state.hierarchy) == ["0 1.9.0"]

    author.do(("write",))
    assert shape(author.state.hierarchy) == []


def test_a_record_is_shared_by_the_instances_with_its_key() -> None:
    author = Author().run([("add", 0, 0, 0), ("add", 1, 0, 1)])

    (branch,) = author.state.hierarchy.root.children.values()
    assert isinstance(branch, Branch)
    assert branch.record == patient(0, "Name^0")  # that of the first one
    assert {leaf.uid for leaf in branch.leaves()} == {"1.9.0", "1.9.1"}


def test_records_of_two_types_with_one_key_stay_two() -> None:
    author = Author()
    first, second = (
        Spec(f"1.9.{number}", (patient(0), above("1.2.7"), image(number)), b"data")
        for number, above in enumerate((private, study))
    )
    for each in (first, second):
        author.commit([added(author.state, each)])

    assert shape(author.state.hierarchy) == [
        "0 P0", "  0 1.2.7", "    0 1.9.0", "  1 1.2.7", "    0 1.9.1",
    ]  # fmt: skip
    (top,) = author.state.hierarchy.root.children.values()
    assert isinstance(top, Branch)
    kinds = [child.record.type for child in top.children.values() if isinstance(child, Branch)]
    assert kinds == ["PRIVATE", "STUDY"]


# --- records that replaced others ----------------------------------------------------------------


def replaced() -> Author:
    """Return a File-set whose only patient was removed, written, and came again with a new name."""
    return Author().run(
        [
            ("add", 0, 0, 0),
            ("add", 9, 4, 0),
            ("write",),
            ("remove", 0),
            ("write",),
            ("add", 1, 0, 1),
            ("write",),
        ]
    )


def test_undo_brings_an_instance_back_below_its_own_records() -> None:
    author = replaced()
    assert [r[0] for r in effective(author.state)["instances"]][-1] == patient(0, "Name^1")

    author.run([("undo", 2)])

    assert effective(author.state) == effective(
        Author().run([("add", 0, 0, 0), ("add", 9, 4, 0)]).state
    )
    # The later patient record stays beside it while its instance is on the medium.
    assert [line for line in shape(author.state.hierarchy) if "P0" in line] == ["0 P0", "2 P0"]
    author.do(("write",))
    assert [line for line in shape(author.state.hierarchy) if "P0" in line] == ["0 P0"]


def test_of_two_records_with_one_key_the_one_with_live_instances_takes_new_ones() -> None:
    author = replaced()
    root = author.state.hierarchy.root
    later = root.find("PATIENT", "P0")

    author.do(("undo", 2))
    first = root.find("PATIENT", "P0")
    assert first is not later
    assert added(author.state, spec(5)).under == author.state.live["1.9.0"].home.ref

    author.do(("redo", 2))
    assert root.find("PATIENT", "P0") is later
    author.do(("remove", 1))
    assert root.find("PATIENT", "P0") is later
    author.do(("write",))
    assert root.find("PATIENT", "P0") is None


def test_two_siblings_with_one_key_are_kept_apart_as_adopted() -> None:
    author = Author()
    for number in (0, 1):
        event = added(author.state, spec(number))
        (recorded,) = author.commit(
            [evolve(event, parents=(patient(0),), under=None, differing=())]
        )
        assert recorded.position == number + 2
    root = author.state.hierarchy.root

    assert shape(author.state.hierarchy) == ["0 P0", "  0 1.9.0", "1 P0", "  0 1.9.1"]
    assert order_of(root) == 2

    author.state.hierarchy.displace(author.state.leaf(2))
    assert order_of(root) == 3
    author.state.hierarchy.place(author.state.leaf(2))
    assert order_of(root) == 2
    author.state.hierarchy.displace(author.state.leaf(3))
    author.state.hierarchy.displace(author.state.leaf(2))
    assert root.find("PATIENT", "P0") is None


def test_of_two_adopted_with_one_key_the_one_that_is_all_removed_takes_no_new_ones() -> None:
    author = Author()
    for number in (0, 1):
        event = evolve(added(author.state, spec(number)), file_id=f"A/B{number}")
        author.commit([evolve(event, parents=(patient(0),), under=None, differing=())])
    root = author.state.hierarchy.root
    assert order_of(root) == 2

    author.commit([InstanceRemoved(2)])
    assert order_of(root) == 3
    author.commit([ChangeUndone(author.state.history.undo[-1].change)])
    assert order_of(root) == 2


def work_of_adding(groups: int, each: int) -> int:
    """Return the calls for ten additions where each of so many keys has so many records."""
    author = Author()
    for number in range(groups * each):
        event = added(author.state, spec(number))
        author.commit([evolve(event, parents=(patient(number // each),), under=None, differing=())])
    new = [evolve(added(author.state, spec(0)), sop_instance_uid=f"1.8.{n}") for n in range(10)]

    def add() -> None:
        for event in new:
            branch = author.state.hierarchy.root.find("PATIENT", "P0")
            assert branch is not None
            author.commit([evolve(event, parents=(), under=branch.ref, differing=())])

    return calls(add)


@pytest.mark.parametrize(("groups", "each"), [(400, 1), (200, 2), (1, 400)])
def test_finding_where_a_new_instance_goes_costs_the_same_among_few_and_many(
    groups: int, each: int
) -> None:
    assert work_of_adding(groups, each) <= work_of_adding(1, 2) + 20


# --- depth ---------------------------------------------------------------------------------------


def test_records_nested_deeper_than_pythons_stack_come_and_go() -> None:
    chain = [private(f"1.7.{level}") for level in range(5000)]
    author = Author()
    author.do(("add_spec", spec(0)._replace(records=tuple(chain))))

    assert max(depth for depth, _ in author.state.hierarchy.walk()) == 4999
    author.run([("remove", 0), ("undo", 1), ("remove", 0)])
    assert list(author.state.hierarchy.walk()) == []


def test_walking_leaves_yields_instances_only_in_tree_order() -> None:
    author = Author().run([("add", 0, 0, 0), ("add", 1, 4, 0), ("add", 2, 0, 0)])

    leaves = list(author.state.hierarchy.walk_leaves())
    assert [leaf.uid for leaf in leaves] == ["1.9.0", "1.9.2", "1.9.1"]
    assert all(isinstance(leaf, Leaf) and leaf.key == leaf.uid for leaf in leaves)
