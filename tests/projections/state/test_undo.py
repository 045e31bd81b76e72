"""Undo and redo: last in first out, as in an editor, and at the cost of the change."""

from __future__ import annotations

import pytest
from models import Author, effective, iteration

from projections.state.undo import AdditionEffect, IdentityEffect, MembershipEffect, UndoHistory


def effect(after: str) -> IdentityEffect:
    return IdentityEffect("id", None, after)


def test_effects_of_one_change_are_undone_together() -> None:
    history = UndoHistory()
    for change, name in (("a", "1"), ("a", "2"), ("b", "3")):
        history.record(change, effect(name))

    assert [(u.change, len(u.effects)) for u in history.undo] == [("a", 2), ("b", 1)]


def test_the_newest_change_is_undone_first_and_redone_last() -> None:
    history = UndoHistory()
    for change in "abc":
        history.record(change, effect(change))

    assert history.take_undo("c").change == "c"
    assert history.take_undo("b").change == "b"
    assert [u.change for u in history.undo] == ["a"]
    assert history.take_redo("b").change == "b"
    assert [u.change for u in history.redo] == ["c"]


def test_a_new_change_ends_what_could_be_redone() -> None:
    history = UndoHistory()
    history.record("a", effect("1"))
    history.take_undo("a")

    history.record("b", effect("2"))

    assert not history.redo
    assert [u.change for u in history.undo] == ["b"]


@pytest.mark.parametrize("wrong", ["a", "zzz"])
def test_only_the_next_change_can_be_taken(wrong: str) -> None:
    history = UndoHistory()
    for change in "ab":
        history.record(change, effect(change))

    with pytest.raises(ValueError, match=f"Change {wrong} is not the next one"):
        history.take_undo(wrong)
    with pytest.raises(ValueError, match="is not the next one to undo or redo"):
        history.take_redo("b")
    assert [u.change for u in history.undo] == ["a", "b"]


def test_a_change_of_several_things_is_undone_backwards() -> None:
    author = Author().run([("add", 0, 0, 0), ("add", 1, 0, 0)])
    before, had = effective(author.state), iteration(author.state)
    author.do(
        (
            "many",
            [
                ("remove", 0),
                ("add", 0, 2, 1),
                ("set", "id", "A"),
                ("set", "id", "B"),
                ("remove", 1),
                ("remove", 0),
                ("add", 1, 4, 0),
            ],
        )
    )
    after = effective(author.state)

    author.do(("undo", 1))
    assert effective(author.state) == before
    assert iteration(author.state) == had
    author.do(("redo", 1))
    assert effective(author.state) == after


def test_writes_and_notes_can_not_be_undone_and_leave_redo_alone() -> None:
    author = Author().run([("add", 0, 0, 0), ("add", 1, 0, 0), ("undo", 1)])

    author.run([("note",), ("write",), ("start",), ("abandon",)])

    assert len(author.state.history.undo) == 1
    assert len(author.state.history.redo) == 1
    author.do(("redo", 1))
    assert len(author.state.live) == 2


def test_additions_that_follow_on_from_each_other_are_one_effect() -> None:
    author = Author()
    adds = [("add", number, 0, 0) for number in range(50)]
    author.do(("many", [*adds[:20], ("remove", 5), *adds[20:]]))
    before = effective(author.state)

    (change,) = author.state.history.undo
    assert change.effects == [
        AdditionEffect(2, 21), MembershipEffect(7, 7, 0), AdditionEffect(23, 52),
    ]  # fmt: skip

    author.do(("undo", 1))
    assert not author.state.live
    author.do(("redo", 1))
    assert effective(author.state) == before


def test_undo_plays_no_more_than_the_change_did() -> None:
    author = Author().run([("add", number, 0, 0) for number in range(50)])
    author.do(("many", [("remove", 7), ("add", 60, 0, 0)]))

    (*_, newest) = author.state.history.undo

    assert [type(e) for e in newest.effects] == [MembershipEffect, AdditionEffect]
    revision = author.state.revision
    author.do(("undo", 1))
    assert author.state.revision == revision + 2
