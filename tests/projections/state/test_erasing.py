"""Folds of journals with erased events: what is erased is nowhere, and all else as it was."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import pytest
from attrs import evolve
from hypothesis import given
from hypothesis import strategies as st
from models import Author, Command, Spec, added, effective, programs, spec, standings, tree

from ledger.digest import digest_of
from ledger.errors import JournalDamagedError
from ledger.events import (
    ChangeRedone,
    ChangeUndone,
    ConflictNoted,
    Event,
    Handle,
    IconRecorded,
    InstanceAdded,
    InstanceCorrected,
    InstanceRemoved,
    InstancesCorrected,
    PayloadErased,
    Record,
    RecordElementsRecorded,
    RecordsKept,
    WriteCompleted,
)
from ledger.journal.entries import Recorded
from ledger.journal.erasures import Erasures, runs_of
from projections.kept.snapshot import dump, load, to_plain
from projections.medium.plan import plan_write
from projections.past.diff import above
from projections.state.erasing import RecordsLeft, identifiers, matching, records_left
from projections.state.fold import advance, fold
from projections.state.nodes import Leaf
from projections.state.state import FileSetState

wanted = st.one_of(
    st.integers(0, 1).map(lambda n: {"PatientID": f"P{n}"}),
    st.integers(0, 4).map(lambda n: {"SOPInstanceUID": f"1.9.{n}"}),
    st.sampled_from(["1.2.0.0", "1.2.0.1", "1.2.1.0"]).map(lambda uid: {"StudyInstanceUID": uid}),
    st.just({"SeriesInstanceUID": "1.3.0.0", "PatientID": "P0"}),
)


def settle(author: Author, gone: Iterable[Handle]) -> None:
    """Have nothing of `gone` in the File-set nor on its medium."""
    author.do(("complete",))
    live = [h for h in gone if author.state.leaf(h).is_live]
    if live:
        author.commit(InstanceRemoved(handle) for handle in live)
    plan = plan_write(author.state, author.root, "existing")
    started = author.commit([plan.started()])[0].position
    author.commit([WriteCompleted(started, digest_of(plan.dicomdir))])


def concerns(event: Event, position: int, gone: set[Handle], left: RecordsLeft) -> bool:
    match event:
        case InstanceAdded():
            return position in gone
        case ConflictNoted() | InstancesCorrected() | IconRecorded():
            return bool(gone.intersection(event.handles()))
        case RecordElementsRecorded():
            return gone.issuperset(event.handles())
        case RecordsKept():
            return event.of in left.staying
    return False


def erase(author: Author, query: dict[str, str]) -> set[Handle]:
    """Erase as the application does, in the state and in the events."""
    gone = matching(author.state, query)
    settle(author, gone)
    left = records_left(author.state, gone)
    positions = [r.position for r in author.events if concerns(r.event, r.position, gone, left)]
    corrected = tuple(
        (r.position, r.event.replaces, r.event.stead)
        for r in author.events
        if isinstance(r.event, InstanceCorrected) and r.position in gone
    )
    staying = tuple(left.staying.items())
    author.commit([*left.kept, PayloadErased(runs_of(positions), (), staying, corrected)])
    author.state.erasing = None  # completed, which is no part of these tests
    return gone


def as_read(events: Sequence[Recorded]) -> list[Recorded]:
    """Return a journal as it is read once its payloads are erased."""
    named = {p for r in events if isinstance(r.event, PayloadErased) for p in r.event.each()}
    erasures = Erasures(r.event for r in events if r.position not in named)
    return [
        evolve(r, event=erasures.in_place_of(r.position, r.event.TYPE))
        if r.position in named
        else r
        for r in events
    ]


def folded(events: Sequence[Recorded]) -> FileSetState:
    state = FileSetState()
    for recorded in events:
        advance(state, [recorded])
        state.erasing = None
    return state


def said_above(leaf: Leaf) -> list[Record]:
    """Return what the instance itself says of the records above it, from the top."""
    return [
        branch.own if branch.variants is None else branch.variants.said_by(leaf)
        for branch in above(leaf.home)
    ]


def without(state: FileSetState, gone: set[Handle]) -> list[Any]:
    return [
        (leaf.handle, *said_above(leaf), leaf.record, leaf.uid, leaf.content, leaf.file_id)
        for leaf in state.hierarchy.walk_leaves()
        if leaf.is_live and leaf.handle not in gone
    ]


def go_on(author: Author, specs: Iterable[Spec]) -> None:
    for each in specs:
        if each.uid not in author.state.live:
            author.commit([added(author.state, each)])


def step_all(author: Author) -> None:
    while author.state.history.undo:
        author.commit([ChangeUndone(author.state.history.undo[-1].change)])
    while author.state.history.redo:
        author.commit([ChangeRedone(author.state.history.redo[-1].change)])


@given(programs(), wanted, wanted)
def test_what_is_folded_anew_is_what_the_erasure_left(
    program: list[Command], first: dict[str, str], second: dict[str, str]
) -> None:
    author = Author().run(program)
    gone = erase(author, first)
    go_on(author, [spec(7, 0), spec(8, 2, 1)])
    gone |= erase(author, second)
    go_on(author, [spec(9, 0)])
    step_all(author)

    again = folded(as_read(author.events))
    assert standings(again) == standings(author.state)
    assert tree(again) == tree(author.state)
    assert dump(again, "00") == dump(author.state, "00")
    assert not again.ghosts
    assert not gone & again.hierarchy.leaves.keys()


@given(programs(), wanted)
def test_at_every_position_all_else_is_as_it_was(
    program: list[Command], query: dict[str, str]
) -> None:
    author = Author().run(program)
    gone = erase(author, query)
    go_on(author, [spec(7, 0)])
    original, erased = FileSetState(), FileSetState()
    for before, after in zip(author.events, as_read(author.events), strict=True):
        advance(original, [before])
        advance(erased, [after])
        assert without(erased, set()) == without(original, gone)
        assert erased.identity == original.identity
        assert erased.written == original.written
        there = sum(leaf.handle in gone for leaf in original.live.values())
        assert erased.erased == there


@given(programs(), wanted)
def test_a_state_of_before_comes_back_from_a_snapshot_with_its_ghosts(
    program: list[Command], query: dict[str, str]
) -> None:
    author = Author().run(program)
    erase(author, query)
    events = as_read(author.events)
    state = FileSetState()
    for index, recorded in enumerate(events):
        advance(state, [recorded])
        kept = load(dump(state, "00"))
        assert kept is not None
        assert to_plain(advance(kept.state, events[index + 1 :])) == to_plain(fold(events))


@given(programs(), wanted)
def test_no_undo_nor_redo_brings_anything_back(
    program: list[Command], query: dict[str, str]
) -> None:
    author = Author().run(program)
    gone = erase(author, query)
    step_all(author)

    assert all(entry.effects for entry in author.state.history.undo)
    assert not gone & {leaf.handle for leaf in author.state.live.values()}


def test_a_record_that_others_stand_under_stays_and_goes_with_the_last_of_them() -> None:
    author = Author()
    go_on(author, [spec(0), spec(1), spec(2, 1)])
    whole = effective(author.state)
    erase(author, {"SOPInstanceUID": "1.9.0"})

    kept = [r.event for r in author.events if isinstance(r.event, RecordsKept)]
    assert [[record.type for record in event.parents] for event in kept] == [
        ["PATIENT", "STUDY", "SERIES"]
    ]
    state = folded(as_read(author.events))
    assert effective(state)["instances"] == whole["instances"][1:]

    erase(author, {"SOPInstanceUID": "1.9.1"})
    (first, second) = (r for r in author.events if isinstance(r.event, RecordsKept))
    assert isinstance(second.event, RecordsKept)
    assert [record.type for record in second.event.parents] == ["PATIENT"]
    assert any(
        first.position in r.event.each()
        for r in author.events
        if isinstance(r.event, PayloadErased)
    )
    erase(author, {"SOPInstanceUID": "1.9.2"})
    state = folded(as_read(author.events))
    assert not state.hierarchy.branches
    assert b"P0" not in dump(state, "00")


def test_what_is_part_of_the_file_set_or_on_its_medium_is_not_erased() -> None:
    author = Author()
    go_on(author, [spec(0)])
    with pytest.raises(JournalDamagedError, match="does not fit"):
        author.commit([PayloadErased(((2, 2),))])
    author = Author()
    author.run([("add", 0, 0, 0), ("write",), ("remove", 0)])
    with pytest.raises(JournalDamagedError, match="does not fit"):
        author.commit([PayloadErased(((2, 2),))])


def test_no_record_goes_that_others_stand_under() -> None:
    author = Author()
    go_on(author, [spec(0), spec(1)])
    settle(author, {2})
    with pytest.raises(JournalDamagedError, match="does not fit"):
        author.commit([PayloadErased(((2, 2),), records=((2, 2),))])
    author = Author()
    go_on(author, [spec(0), spec(1)])
    settle(author, {2})
    author.commit([PayloadErased(((2, 2),), records=((2, 3),))])


def test_nothing_that_comes_later_is_erased() -> None:
    author = Author()
    with pytest.raises(JournalDamagedError, match="does not fit"):
        author.commit([PayloadErased(((1, 10**15),))])


@pytest.mark.parametrize(
    ("query", "numbers"),
    [
        ({"PatientID": "P0"}, {0, 1, 6}),
        ({"PatientID": " P0 "}, {0, 1, 6}),
        ({"StudyInstanceUID": "1.2.0.1"}, {1}),
        ({"SeriesInstanceUID": "1.3.1.0", "PatientID": "P1"}, {2}),
        ({"SeriesInstanceUID": "1.3.1.0", "PatientID": "P0"}, set()),
        ({"SOPInstanceUID": "1.9.4"}, {4}),
        ({"PatientID": "P"}, set()),
    ],
)
def test_instances_are_named_by_what_tells_whose_they_are(
    query: dict[str, str], numbers: set[int]
) -> None:
    author = Author()
    go_on(author, [spec(home, home) for home in range(8)])
    author.commit([InstanceRemoved(2)])  # also of what is no longer part

    found = {author.state.leaf(handle).uid for handle in matching(author.state, query)}
    assert found == {f"1.9.{number}" for number in numbers}


def test_what_identifies_a_person_is_not_what_others_share() -> None:
    author = Author()
    go_on(author, [spec(0), spec(1), spec(2, 2)])
    one = identifiers(author.state, {2}, {"SOPInstanceUID": "1.9.0"})
    assert one.patients == one.names == set()
    assert one.uids == {"1.9.0"}
    both = identifiers(author.state, {2, 3}, {"PatientID": "P0"})
    assert both.patients == {"P0"}
    assert (both.names, both.shared) == (set(), {"Name^0"})  # another patient's as well
    assert both.uids == {"1.9.0", "1.9.1", "1.2.0.0", "1.3.0.0"}
