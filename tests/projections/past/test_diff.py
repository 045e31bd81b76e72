"""The difference of two states: what has to be added, removed and changed to come to the other."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from hypothesis import given
from hypothesis import strategies as st
from models import Author, Command, changes, commands, programs

from ledger.elements import iterate
from ledger.events import Handle
from ledger.journal.codec import encode
from ledger.journal.entries import Recorded, Stored
from ledger.journal.protocol import decoded
from projections.past.diff import Diff, Side, compare, path_of
from projections.past.diff_tree import DiffNode, InstanceDifference, tree
from projections.past.effects import Effects, effects_of
from projections.state.fold import fold
from projections.state.nodes import Leaf

Told = tuple[Any, ...]


def told(leaf: Leaf) -> Told:
    """Return all that a DICOMDIR and the vault have of an instance, but for the records above."""
    where = path_of(leaf.home)
    return (where, leaf.uid, leaf.sop_class_uid, leaf.record, leaf.content)


def members(side: Side) -> set[Told]:
    return {told(leaf) for leaf in side.live.values()}


def records(side: Side) -> set[Told]:
    """Return the places of the records above instances."""
    found: set[Told] = set()
    for leaf in side.live.values():
        path = path_of(leaf.home)
        found |= {path[:depth] for depth in range(1, len(path) + 1)}
    return found


def at(author: Author, position: int) -> Side:
    return Side.of(fold(author.events[:position]))


@st.composite
def pairs(draw: st.DrawFn) -> tuple[Author, Side, Side]:
    """A journal, and what was at two of its positions."""
    author = Author().run(draw(programs()))
    first, second = (draw(st.integers(1, len(author.events))) for _ in range(2))
    return author, at(author, first), at(author, second)


@given(pairs())
def test_a_state_does_not_differ_from_itself(pair: tuple[Author, Side, Side]) -> None:
    _, one, _ = pair
    assert not compare(one, one)
    assert not tree(compare(one, one)).below


@given(pairs())
def test_a_difference_leads_from_one_state_to_the_other(pair: tuple[Author, Side, Side]) -> None:
    _, one, other = pair
    diff = compare(one, other)
    gone = {told(leaf) for leaf in (*diff.removed, *(before for before, _ in diff.changed))}
    come = {told(leaf) for leaf in (*diff.added, *(after for _, after in diff.changed))}
    assert gone <= members(one)
    assert (members(one) - gone) | come == members(other)
    was = {d.path for d in diff.records if d.kind == "removed"}
    is_ = {d.path for d in diff.records if d.kind == "added"}
    assert (records(one) - was) | is_ == records(other)
    for name, (_, now) in diff.identity.items():
        assert getattr(other.identity, name) == now


@given(pairs())
def test_nothing_that_is_the_same_is_told(pair: tuple[Author, Side, Side]) -> None:
    _, one, other = pair
    diff = compare(one, other)
    assert not members(one) & {told(leaf) for leaf in diff.added}
    assert not members(other) & {told(leaf) for leaf in diff.removed}
    assert all(told(before) != told(after) for before, after in diff.changed)
    assert all(was != now for was, now in diff.identity.values())


def mirrored(diff: Diff) -> Diff:
    return Diff(
        identity={name: (now, was) for name, (was, now) in diff.identity.items()},
        records=diff.records,
        added=diff.removed,
        removed=diff.added,
        changed=tuple((after, before) for before, after in diff.changed),
    )


def summary(diff: Diff) -> tuple[Mapping[str, Any], list[Any], list[Any], set[Any]]:
    return (
        diff.identity,
        [leaf.handle for leaf in diff.added],
        [leaf.handle for leaf in diff.removed],
        {(before.handle, after.handle) for before, after in diff.changed},
    )


@given(pairs())
def test_swapped_sides_mirror(pair: tuple[Author, Side, Side]) -> None:
    _, one, other = pair
    there, back = compare(one, other), compare(other, one)
    assert summary(back) == summary(mirrored(there))
    assert {(d.path, d.before, d.after) for d in back.records} == {
        (d.path, d.after, d.before) for d in there.records
    }


@given(pairs())
def test_a_tree_holds_every_difference_below_its_records(pair: tuple[Author, Side, Side]) -> None:
    _, one, other = pair
    diff = compare(one, other)
    root = tree(diff)
    nodes = list(root.walk())
    assert sorted((i.kind, i.leaf.handle) for node in nodes for i in node.instances) == sorted(
        [
            *(("added", leaf.handle) for leaf in diff.added),
            *(("removed", leaf.handle) for leaf in diff.removed),
            *(("changed", after.handle) for _, after in diff.changed),
        ]
    )
    assert {n.difference.path for n in nodes if n.difference} == {d.path for d in diff.records}
    for node in nodes:
        assert all(_is_within(found, node) for found in node.instances)
        if node.kind in {"added", "removed"}:  # as a whole: all that is in it came or went with it
            kinds = {below.kind for below in node.walk()} | {
                instance.kind for below in node.walk() for instance in below.instances
            }
            assert kinds == {node.kind}


def _is_within(found: InstanceDifference, node: DiffNode) -> bool:
    return path_of(found.leaf.home) == (path_of(node.branch) if node.branch else ())


# --- going back by what happened -----------------------------------------------------------------


def of_change(events: list[Recorded]) -> Any:
    def effects(id_: str) -> Effects:
        return effects_of(stored(r for r in events if r.change.id == id_), decoded, effects)

    return effects


def stored(events: Iterable[Recorded]) -> Iterator[Stored]:
    for position, change, event in ((r.position, r.change, r.event) for r in events):
        payload = encode(event, "00")
        yield Stored(position, change, event.TYPE, event.VERSION, payload, b"", b"")


@given(st.lists(st.one_of(commands, changes), max_size=25), st.data())
def test_what_was_is_told_from_what_happened_since(
    program: list[Command], data: st.DataObject
) -> None:
    author = Author().run(program)
    position = data.draw(st.integers(1, len(author.events)))
    since = effects_of(stored(author.events[position:]), decoded, of_change(author.events))
    state = author.state

    before = Side.of(state).before(since, position, state.hierarchy.leaves)

    folded = fold(author.events[:position])
    assert handles(before) == handles(Side.of(folded))
    assert before.identity == folded.identity


def test_an_instance_of_which_nothing_is_known_any_more_is_counted() -> None:
    author = Author().run([("add", 0, 0, 0), ("add", 1, 0, 0), ("remove", 0)])
    since = effects_of(stored(author.events[3:]), decoded, of_change(author.events))
    known = {h: leaf for h, leaf in author.state.hierarchy.leaves.items() if h != 2}

    before = Side.of(author.state).before(since, 3, known)

    assert (list(before.live), before.erased) == (["1.9.1"], 1)


def handles(side: Side) -> dict[str, Handle]:
    return {uid: leaf.handle for uid, leaf in side.live.items()}


# --- cases ---------------------------------------------------------------------------------------


def test_another_content_of_one_instance_is_a_change_and_so_is_its_patients_name() -> None:
    author = Author().run([("add", 0, 0, 0), ("remove", 0), ("add", 0, 0, 1)])
    diff = compare(at(author, 2), at(author, 4))
    assert (diff.added, diff.removed) == ((), ())
    ((before, after),) = diff.changed
    assert before.content != after.content
    record, study = diff.records
    assert (record.kind, record.path) == ("changed", (("PATIENT", "P0"),))
    assert (study.kind, study.path) == ("changed", (("PATIENT", "P0"), ("STUDY", "1.2.0.0")))
    assert record.before is not None
    assert record.after is not None
    was, now = (
        {element.tag: element.value for element in iterate(side.record.elements)}
        for side in (record.before, record.after)
    )
    assert {tag: (was[tag], now[tag]) for tag in was if was[tag] != now[tag]} == {
        0x00100010: (b"Name^0", b"Name^1")
    }


def test_an_instance_that_moved_below_another_patient_left_one_and_came_to_the_other() -> None:
    author = Author().run([("add", 0, 0, 0), ("remove", 0), ("add", 0, 2, 0)])
    diff = compare(at(author, 2), at(author, 4))
    assert [path_of(leaf.home)[0] for leaf in diff.removed] == [("PATIENT", "P0")]
    assert [path_of(leaf.home)[0] for leaf in diff.added] == [("PATIENT", "P1")]
    assert not diff.changed


def test_a_whole_study_counts_with_all_that_is_in_it() -> None:
    author = Author().run([("add", 0, 0, 0), ("many", [("add", 1, 1, 0), ("add", 2, 1, 0)])])
    diff = compare(at(author, 2), at(author, 4))
    counts = tree(diff).counted()
    assert {level: kinds["added"] for level, kinds in counts.items()} == {
        "patients": 0,
        "studies": 1,
        "series": 1,
        "instances": 2,
    }
    assert [each.path[-1][0] for each in diff.records if each.kind == "added"].count("STUDY") == 1
    assert not any(each.path[-1][0] == "PATIENT" for each in diff.records if each.kind == "added")
