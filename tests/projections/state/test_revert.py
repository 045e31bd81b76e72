"""Revert: what a change taken back in the middle of others makes of the state."""

from __future__ import annotations

import pytest
from models import Author, calls, effective, iteration

from ledger.errors import JournalDamagedError
from ledger.events import ChangeReverted
from ledger.journal.entries import Change, Recorded
from projections.errors import MisfitError
from projections.kept.snapshot import to_plain
from projections.state.fold import advance
from projections.state.revert import inverse


def revert(author: Author, index: int) -> None:
    """Revert the change at `index` of those that can be undone."""
    author.commit([ChangeReverted(author.state.history.undo[index].change)])


def test_what_came_after_a_reverted_change_stays() -> None:
    author = Author().run(
        [("set", "id", "A"), ("add", 0, 0, 0), ("set", "uid", "1.2.4"), ("add", 1, 0, 0)]
    )
    revert(author, 1)

    assert [leaf.uid for leaf in author.state.live.values()] == ["1.9.1"]
    assert (author.state.identity.id, author.state.identity.uid) == ("A", "1.2.4")


def test_an_instance_whose_removal_is_reverted_is_back_in_its_place() -> None:
    author = Author().run([("add", number, 0, 0) for number in range(3)])
    before, order = effective(author.state), iteration(author.state)
    author.run([("remove", 0), ("set", "id", "A"), ("set", "id", "SET")])

    revert(author, 3)

    assert effective(author.state) == before
    assert iteration(author.state) == order


def test_a_replacement_in_one_change_is_reverted_both_ways() -> None:
    author = Author().run([("add", 0, 0, 0)])
    before = effective(author.state)
    author.do(("many", [("remove", 0), ("add", 0, 0, 1)]))
    author.do(("add", 1, 2, 0))
    after = effective(author.state)

    revert(author, 1)
    author.do(("remove", 1))
    assert effective(author.state) == before

    author.do(("undo", 2))
    assert effective(author.state) == after


@pytest.mark.parametrize(
    ("then", "in_the_way"),
    [
        ([("remove", 0)], [1]),
        ([("set", "id", "A"), ("remove", 0), ("set", "id", "B")], [2]),
        ([("remove", 0), ("add", 0, 0, 1)], [1]),
        ([("write",), ("many", [("remove", 0), ("set", "id", "A")])], [1]),
    ],
)
def test_an_addition_is_not_reverted_when_the_instance_was_removed_since(
    then: list[tuple[object, ...]], in_the_way: list[int]
) -> None:
    author = Author().run([("add", 0, 0, 0), *then])
    ids = [entry.change for entry in author.state.history.undo]

    found = inverse(author.state, ids[0])

    assert found.in_the_way == tuple(ids[index] for index in in_the_way)
    assert not found.effects


def test_a_removal_is_not_reverted_when_another_instance_of_that_uid_came() -> None:
    author = Author().run([("add", 0, 0, 0), ("remove", 0), ("add", 1, 2, 0), ("add", 0, 0, 1)])
    ids = [entry.change for entry in author.state.history.undo]

    assert inverse(author.state, ids[1]).in_the_way == (ids[3],)

    author.do(("remove", 0))
    revert(author, 1)
    assert [leaf.handle for leaf in author.state.live.values()] == [4, 2]


def test_a_removal_is_not_reverted_when_the_patient_came_anew_since() -> None:
    author = Author().run([("add", 0, 0, 0), ("remove", 0), ("add", 1, 1, 0), ("add", 2, 2, 0)])
    ids = [entry.change for entry in author.state.history.undo]

    # Both would be below a PATIENT record of their own, with one Patient ID.
    assert inverse(author.state, ids[1]).in_the_way == (ids[2],)

    author.do(("remove", 1))
    revert(author, 1)
    assert sorted(author.state.live) == ["1.9.0", "1.9.2"]


def test_a_removal_is_reverted_below_the_records_that_stand_still() -> None:
    author = Author().run([("add", 0, 0, 0), ("remove", 0), ("undo", 1), ("write",)])
    author.run([("remove", 0), ("add", 1, 1, 0)])  # below the PATIENT that is on the medium still

    revert(author, -2)

    top = [node for depth, node in author.state.hierarchy.walk() if depth == 0]
    assert len(top) == 1


def test_a_replacement_that_brought_the_patient_anew_is_reverted() -> None:
    author = Author().run([("add", 0, 0, 0)])
    before = effective(author.state)
    author.do(("many", [("remove", 0), ("add", 1, 0, 1)]))
    revert(author, 1)
    assert effective(author.state) == before


def test_a_setting_is_reverted_while_it_has_that_value() -> None:
    author = Author().run([("set", "id", "A"), ("set", "id", "B"), ("set", "uid", "1.2.4")])
    ids = [entry.change for entry in author.state.history.undo]

    assert inverse(author.state, ids[0]).in_the_way == (ids[1],)
    revert(author, 1)
    assert author.state.identity.id == "A"
    assert inverse(author.state, ids[1]).in_the_way == (author.events[-1].change.id,)
    revert(author, 0)
    assert author.state.identity.id == "SET"


def test_a_revert_is_undone_redone_and_reverted_as_any_change() -> None:
    author = Author().run([("add", 0, 0, 0), ("add", 1, 0, 0)])
    both = effective(author.state)
    revert(author, 0)
    one = effective(author.state)

    author.do(("undo", 1))
    assert effective(author.state) == both
    author.do(("redo", 1))
    assert effective(author.state) == one
    revert(author, -1)
    assert effective(author.state) == both


def test_a_revert_costs_what_the_change_did_whatever_the_size_of_the_file_set() -> None:
    costs = []
    for size in (20, 400):
        author = Author().run([("add", number, 0, 0) for number in range(size)])
        author.do(("many", [("remove", 7), ("add", size, 0, 0)]))
        author.do(("set", "id", "A"))
        revision = author.state.revision
        costs.append(calls(lambda: revert(author, -2)))  # noqa: B023 - it is called here
        assert author.state.revision == revision + 2
    assert costs[1] <= costs[0] * 1.5


def test_only_what_is_in_force_has_an_inverse() -> None:
    author = Author().run([("add", 0, 0, 0), ("undo", 1)])
    undone = author.state.history.redo[0].change
    before = to_plain(author.state)
    for change in (undone, "c0001", "nothing"):
        with pytest.raises(MisfitError, match="not in force"):
            inverse(author.state, change)
        with pytest.raises(JournalDamagedError):
            author.commit([ChangeReverted(change)])
        assert to_plain(author.state) == before


def test_an_event_that_reverts_its_own_change_or_nothing_is_refused() -> None:
    author = Author().run([("many", [("set", "id", "A"), ("set", "id", "SET")])])
    (entry,) = author.state.history.undo
    own = Change(entry.change, 4, 1, "", "me", "here", None)
    with pytest.raises(JournalDamagedError):
        advance(author.state, [Recorded(4, own, ChangeReverted(entry.change))])
    with pytest.raises(JournalDamagedError):
        author.commit([ChangeReverted(entry.change)])
