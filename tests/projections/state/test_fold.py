"""Whatever happens to a File-set: the folds agree with each other and with the plainest model."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections import Counter
from itertools import groupby
from pathlib import Path

import pytest
from attrs import asdict, evolve
from hypothesis import example, given
from hypothesis import strategies as st
from models import (
    Author,
    Command,
    changes,
    effective,
    fingerprint,
    iteration,
    prefixes,
    programs,
    records_above,
    reverts,
    standings,
    tree,
    writes,
)

from projections.kept import summary
from projections.kept.snapshot import dump, is_cheap, load, to_plain
from projections.kept.summarise import summarise
from projections.medium.late import late
from projections.medium.layouts import LAYOUTS, file_id, usual_layout
from projections.medium.pending import changed_metadata, moves, pending, staged
from projections.medium.plan import plan_write
from projections.state.fold import advance, after, fold
from projections.state.nodes import Branch, Leaf
from projections.state.state import FileSetState


@given(programs())
def test_folding_at_once_step_by_step_and_from_any_snapshot_gives_one_state(
    program: list[Command],
) -> None:
    author = Author().run(program)
    final, seen = to_plain(author.state), tree(author.state)

    for events in prefixes(author.events):
        state = fold(events)
        kept = load(dump(state, "ab"))
        assert kept is not None
        assert kept.hash == "ab"
        assert to_plain(kept.state) == to_plain(state)
        assert tree(kept.state) == tree(state)
        assert standings(kept.state) == standings(state)
        for name in ("live", "additions", "removals"):
            assert list(getattr(kept.state, name)) == list(getattr(state, name))
        resumed = advance(kept.state, author.events[len(events) :])
        assert to_plain(resumed) == final
        assert tree(resumed) == seen
        assert standings(resumed) == standings(author.state)
        assert summarise(resumed) == summarise(author.state)
        assert resumed.additions.keys() == author.state.additions.keys()
        assert resumed.removals.keys() == author.state.removals.keys()


@given(programs())
def test_a_snapshot_that_takes_over_most_of_another_is_one_of_the_state(
    program: list[Command],
) -> None:
    author = Author().run(program)
    final, seen = to_plain(author.state), tree(author.state)

    for events in prefixes(author.events):
        kept, rest = load(dump(fold(events), "ab")), author.events[len(events) :]
        for some in (rest[: len(rest) // 2], rest[len(rest) // 2 :]):
            assert kept is not None
            erasures, count = kept.state.erasures, len(kept.state.hierarchy.leaves)
            state = advance(kept.state, some)
            assert is_cheap(state) == (state.erasures == erasures and count > 0)
            kept = load(dump(state, "cd"))
        assert kept is not None
        for name in ("live", "additions", "removals"):
            assert list(getattr(kept.state, name)) == list(getattr(author.state, name))
        assert summarise(kept.state) == summarise(author.state)
        assert to_plain(kept.state) == final
        assert tree(kept.state) == seen
        assert standings(kept.state) == standings(author.state)


@given(programs())
def test_a_state_with_events_after_it_is_a_state_of_its_own(program: list[Command]) -> None:
    author = Author().run(program)

    for events in prefixes(author.events):
        state = fold(events)
        seen, shape, stood = to_plain(state), tree(state), standings(state)
        for change, group in groupby(author.events[len(events) :], key=lambda r: r.change.id):
            later = after(state, [recorded.event for recorded in group], change)
            expected = fold(author.events[: later.position])
            assert to_plain(later) == to_plain(expected)
            assert tree(later) == tree(expected)
            assert standings(later) == standings(expected)
            break
        assert (to_plain(state), tree(state), standings(state)) == (seen, shape, stood)


@given(programs())
def test_what_is_counted_as_changes_come_is_what_counting_everything_gives(
    program: list[Command],
) -> None:
    author = Author()

    for command in program:
        author.run([command])
        for layout in LAYOUTS:
            assert staged(author.state, layout) == pending(author.state, layout).counted()
        anew = fold(author.events)
        assert summarise(author.state) == summarise(anew)
        assert late(author.state) == late_additions(anew)
        assert usual_layout(author.state) == usual_layout(anew)
        assert set(author.state.hierarchy.resting) == {
            handle for handle, leaf in anew.hierarchy.leaves.items() if not leaf.is_live
        }


def late_additions(state: FileSetState) -> tuple[int, int]:
    studies = Counter(study_of(leaf) for leaf in state.additions.values())
    on_medium = {study_of(leaf) for leaf in state.hierarchy.walk_leaves() if leaf.file_id}
    found = [count for study, count in studies.items() if study in on_medium and study]
    return sum(found), len(found)


def study_of(leaf: Leaf) -> Branch | None:
    branch: Branch | None = leaf.home
    while branch is not None and branch.own.type != "STUDY":
        branch = branch.home
    return branch


@given(programs(40))
def test_what_was_withdrawn_is_found_by_its_uid_whatever_happens_after(
    program: list[Command],
) -> None:
    author = Author()
    for command in program:
        author.do(command)
        for state in (author.state, author.state.copy()):
            leaves = state.hierarchy.leaves.values()
            for uid in {leaf.uid for leaf in leaves}:
                assert state.withdrawn(uid) == [
                    leaf
                    for leaf in sorted(leaves, key=lambda leaf: leaf.handle)
                    if leaf.uid == uid and uid not in state.live
                ], command
        assert all(
            author.state.withdrawn(uid)
            for uid in author.state.removals.keys() - author.state.live.keys()
        )


@given(programs(40))
def test_the_state_is_what_the_plainest_model_says(program: list[Command]) -> None:
    author = Author()
    model = author.model
    for command in program:
        author.do(command)
        state = author.state

        assert {leaf.handle for leaf in state.live.values()} == model.live()
        assert all(state.live[leaf.uid] is leaf for leaf in state.live.values())
        assert [
            (leaf.handle, leaf.uid, leaf.content, (*records_above(leaf), leaf.record))
            for leaf in state.hierarchy.walk_leaves()
            if leaf.is_live
        ] == [
            (entry.handle, entry.spec.uid, entry.spec.content, model.records_of(entry))
            for entry in model.in_tree_order()
        ]
        assert iteration(state) == [entry.handle for entry in model.in_iteration_order()]
        identity = asdict(state.identity)
        assert {name: identity[name] for name in model.now.identity} == model.now.identity
        for (profile, kind, handle), value in model.recorded.items():
            assert author.state.recorded.elements(profile, kind, handle) == value
        assert dict(state.recorded.icons()) == {h: c.digest for h, c in model.icons.items()}
        assert len(state.history.undo) == len(model.undo)
        assert len(state.history.redo) == len(model.redo)
        assert state.tags == model.tags
        assert state.settled == model.now.settled


@given(programs(40))
def test_each_record_knows_how_many_live_below_it_and_which_of_its_children_takes_new_ones(
    program: list[Command],
) -> None:
    author = Author()
    for command in program:
        author.do(command)
        hierarchy = author.state.hierarchy

        for branch in (hierarchy.root, *hierarchy.branches.values()):
            alive = [
                child
                for child in (*hierarchy.branches.values(), *hierarchy.leaves.values())
                if child.home is branch
                and (child.is_live if isinstance(child, Leaf) else child.live)
            ]
            assert branch.live == len(alive)
            below = [child for child in branch.children.values() if isinstance(child, Branch)]
            for name in {child.name for child in below}:
                namesakes = sorted((c for c in below if c.name == name), key=lambda c: c.order)
                living = [c for c in namesakes if any(leaf.is_live for leaf in c.leaves())]
                assert branch.find(*name) is (living or namesakes)[0]


@given(programs(40))
def test_a_summary_says_the_same_from_the_state_from_a_snapshot_and_when_it_was_kept(
    program: list[Command],
) -> None:
    state = Author().run(program).state
    told = summarise(state)
    kept = load(dump(state, "ab"))

    assert kept is not None
    assert summarise(kept.state) == told
    assert summary.load(summary.dump(told, "ab"), "ab") == told
    staged = pending(state, usual_layout(state))
    assert told.staged.summary() == staged.summary()
    assert told.staged.moves == len(staged.moves)


@given(programs(40))
@example([("add", 0, 0, 0), ("add", 1, 0, 0), ("write",), ("remove", 0), ("write", "existing")])
def test_what_would_move_is_what_the_default_layout_has_elsewhere(program: list[Command]) -> None:
    state = Author().run(program).state

    assert moves(state) == tuple(
        leaf
        for leaf in state.hierarchy.walk_leaves()
        if leaf.file_id is not None and leaf.file_id != file_id(leaf, state)
    )


@given(programs(40))
@example([("add", 0, 0, 0), ("write", "pydicom"), ("remove", 0), ("add", 0, 0, 1)])
@example(
    [
        ("add", 0, 0, 0),
        ("add", 1, 0, 1),
        ("write", "existing"),
        ("remove", 0),
        ("write", "existing"),
    ]
)
def test_pending_is_what_a_comparison_with_the_medium_gives(program: list[Command]) -> None:
    author = Author()
    model = author.model
    for command in program:
        author.do(command)
        state, staged = author.state, pending(author.state)

        corrections = model.corrections()
        assert [leaf.handle for leaf in staged.additions] == sorted(
            model.additions() - corrections.keys()
        )
        assert [leaf.handle for leaf in staged.removals] == sorted(
            model.removals() - set(corrections.values())
        )
        assert {new.handle: old.handle for old, new in staged.corrections} == corrections
        leaves = state.hierarchy.leaves.values()
        assert {leaf.handle for leaf in leaves if leaf.file_id is not None} == model.medium
        assert {leaf.handle for leaf in leaves if leaf.is_addition} == model.additions()
        assert {leaf.handle for leaf in leaves if leaf.is_removal} == model.removals()
        in_tree = {leaf.handle for leaf in state.hierarchy.walk_leaves()}
        assert in_tree == model.live() | model.medium
        assert all(uid == leaf.uid for uid, leaf in state.additions.items())
        assert all(uid == leaf.uid for uid, leaf in state.removals.items())
        if model.written is None:
            assert staged.creation
            assert staged
        else:
            differs = {k for k, v in model.written.items() if model.now.identity[k] != v}
            assert set(changed_metadata(state)) == differs
            changed = model.changed_records()
            assert {branch.order for branch in staged.records} == {where[-1] for where in changed}
            assert bool(staged) == bool(
                differs or model.additions() or model.removals() or moves(state) or changed
            )


some_writes = st.lists(st.one_of(changes, changes, reverts, writes), min_size=1, max_size=8)


@given(programs(12), some_writes)
@example([("add", 0, 0, 1)], [("remove", 0), ("add", 0, 0, 0), ("write", "pydicom")])
def test_as_many_undos_as_commands_give_back_what_was_before_even_across_writes(
    before: list[Command], then: list[Command]
) -> None:
    author = Author().run(before)
    was, had = effective(author.state), iteration(author.state)

    grown = [author.do(command) for command in then]
    is_, has = effective(author.state), iteration(author.state)
    settled = author.state.written
    if sum(grown):
        author.do(("undo", sum(grown)))

    assert effective(author.state) == was
    same_medium = settled is None or all(c[0] not in ("write", "complete") for c in then)
    if same_medium:
        assert iteration(author.state) == had

    if sum(grown):
        author.do(("redo", sum(grown)))
    assert effective(author.state) == is_
    assert iteration(author.state) == has


@given(programs(12), changes)
def test_undoing_what_was_written_stages_the_inverse(
    before: list[Command], change: Command
) -> None:
    author = Author().run([*before, ("write",)])
    medium = set(author.model.medium)
    grown = author.do(change)
    author.do(("write",))
    if grown:
        author.do(("undo", 1))

    staged = pending(author.state)
    now = {leaf.handle for leaf in author.state.live.values()}
    assert now == medium
    corrections = author.model.corrections()
    assert {leaf.handle for leaf in staged.additions} | corrections.keys() == (
        medium - author.model.medium
    )
    assert {leaf.handle for leaf in staged.removals} | set(corrections.values()) == (
        author.model.medium - medium
    )
    author.do(("write",))
    assert not pending(author.state)


@given(programs(15), st.integers(0, 4))
@example([("add", 0, 0, 0), ("add", 1, 0, 1)], 0)
def test_removing_and_adding_again_what_is_on_the_medium_stages_no_more_than_whose_values_stand(
    before: list[Command], number: int
) -> None:
    author = Author().run([*before, ("write",)])
    was, plan = effective(author.state), plan_write(author.state, "/medium", "existing")
    leaf = author.state.live.get(f"1.9.{number}")
    if leaf is None:
        return
    spec = author.model.entries[leaf.handle].spec

    author.run([("remove", number), ("add_spec", spec)])

    staged = pending(author.state)
    assert not staged.additions
    assert not staged.removals
    assert {node.order for node in staged.records} == {
        where[-1] for where in author.model.changed_records()
    }
    if staged.records:  # it is not the earliest any more, and another one has other values
        return
    assert effective(author.state) == was
    again = plan_write(author.state, "/medium", "existing")
    assert evolve(again, base=0) == evolve(plan, base=0)


@given(programs())
def test_the_same_effect_is_written_as_the_same_file_set(program: list[Command]) -> None:
    # What was recorded for a profile is of other handles there.
    author = Author().run([*program, ("set", "profile", None)])
    plan = plan_write(author.state, "/medium", "pydicom")
    fresh = Author()
    identity = author.model.now.identity
    fresh.run([("set", name, value) for name, value in identity.items()])
    for entry in author.model.in_tree_order():
        fresh.do(("add_spec", entry.spec._replace(records=author.model.records_of(entry))))

    anew = plan_write(fresh.state, "/medium", "pydicom")

    # Two records with one key, which can stand beside each other, become one in the fresh File-set.
    if effective(fresh.state) == effective(author.state):
        assert anew.dicomdir == plan.dicomdir
        assert {p: leaf.uid for p, leaf in anew.files.items()} == {
            p: leaf.uid for p, leaf in plan.files.items()
        }


PROGRAM: list[Command] = [
    *[("add", number, home, 0) for number, home in enumerate([0, 1, 2, 4, 5])],
    ("write", "existing"),
    ("remove", 0),
    ("set", "id", "OTHER"),
    ("many", [("remove", 3), ("add", 3, 6, 1)]),
    ("write", "pydicom"),
    ("undo", 2),
    ("start", "pydicom"),
    ("add", 0, 7, 1),
    ("redo", 1),
    ("complete",),
    ("revert", 4),
    ("tag", "sent", 3),
]


@pytest.mark.parametrize(("seed", "zone"), [("0", "UTC"), ("1", "Asia/Tokyo"), ("77", "EST5EDT")])
def test_a_journal_gives_the_same_bytes_in_any_process(seed: str, zone: str) -> None:
    script = (
        "import json, sys; from models import fingerprint; print(fingerprint(json.load(sys.stdin)))"
    )
    done = subprocess.run(
        [sys.executable, "-c", script],
        input=json.dumps(PROGRAM),
        env={
            **os.environ,
            "PYTHONHASHSEED": seed,
            "TZ": zone,
            "PYTHONPATH": str(Path(__file__).parents[2] / "support"),
        },
        capture_output=True,
        text=True,
        check=True,
    )

    assert done.stdout.strip() == fingerprint(PROGRAM)
