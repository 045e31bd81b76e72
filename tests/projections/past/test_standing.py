"""Where changes stand: in force, undone, gone for good or reverted, and what comes next."""

from __future__ import annotations

from itertools import groupby

from hypothesis import given
from models import Author, programs

from ledger.events import (
    ChangeRedone,
    ChangeReverted,
    ChangeStep,
    ChangeUndone,
    Event,
    FileSetIDChanged,
    InstanceRejected,
    PayloadErased,
)
from projections.past.standing import ChangeStanding, Standing, Standings
from projections.state.undo import Undoable, UndoHistory

SET = FileSetIDChanged("A", None)


def stands(*changes: tuple[str, list[Event]]) -> dict[str, ChangeStanding]:
    """Return where `changes` stand, which are given oldest first."""
    standings = Standings()
    return {
        change: standings.take(
            change,
            {event.TYPE for event in events},
            [event for event in events if isinstance(event, ChangeStep)],
        )
        for change, events in reversed(changes)
    }


@given(programs())
def test_they_are_those_that_the_fold_has_on_its_stacks(program: list[tuple[object, ...]]) -> None:
    author = Author().run(program)
    found = stands(
        *(
            (change, [recorded.event for recorded in events])
            for change, events in groupby(author.events, lambda recorded: recorded.change.id)
        )
    )
    history = author.state.history
    undo, redo = ([entry.change for entry in stack] for stack in (history.undo, history.redo))
    in_force = {Standing.APPLIED, Standing.REVERTED}
    assert {id_ for id_, stand in found.items() if stand.standing in in_force} == set(undo)
    assert {id_ for id_, s in found.items() if s.standing is Standing.UNDONE} == set(redo)
    assert [id_ for id_, stand in found.items() if stand.next == "undo"] == undo[-1:]
    assert [id_ for id_, stand in found.items() if stand.next == "redo"] == redo[-1:]


def test_a_change_after_an_undo_ends_what_could_be_redone() -> None:
    found = stands(("a", [SET]), ("u", [ChangeUndone("a")]), ("b", [SET]))
    assert found["a"] == ChangeStanding(Standing.DISCARDED)
    assert found["b"] == ChangeStanding(Standing.APPLIED, "undo")


def test_what_did_nothing_to_the_file_set_stands_nowhere_and_ends_nothing() -> None:
    noted: list[Event] = [InstanceRejected("/a", "none")]
    found = stands(("a", [SET]), ("u", [ChangeUndone("a")]), ("n", noted))
    assert found["a"] == ChangeStanding(Standing.UNDONE, "redo")
    assert found["n"] == found["u"] == ChangeStanding()


def test_a_revert_counts_as_long_as_it_is_in_force() -> None:
    a, b, revert = ("a", [SET]), ("b", [SET]), ("r", [ChangeReverted("a")])
    undone = ("u", [ChangeUndone("r")])
    assert stands(a, b, revert)["a"] == ChangeStanding(Standing.REVERTED)
    assert stands(a, b, revert)["r"] == ChangeStanding(Standing.APPLIED, "undo")
    assert stands(a, b, revert, undone)["a"] == ChangeStanding(Standing.APPLIED)
    assert stands(a, b, revert, undone)["b"] == ChangeStanding(Standing.APPLIED, "undo")
    redone = ("v", [ChangeRedone("r")])
    assert stands(a, b, revert, undone, redone)["a"] == ChangeStanding(Standing.REVERTED)


def test_of_several_undone_at_once_the_oldest_is_redone_first() -> None:
    undone: list[Event] = [ChangeUndone("b"), ChangeUndone("a")]
    found = stands(("a", [SET]), ("b", [SET]), ("u", undone))
    assert found["a"] == ChangeStanding(Standing.UNDONE, "redo")
    assert found["b"] == ChangeStanding(Standing.UNDONE)


def test_a_change_whose_effects_were_erased_stands_for_nothing_any_more() -> None:
    left = UndoHistory(undo=[Undoable("b")])
    standings = Standings(lambda: left)
    assert standings.take("e", {PayloadErased.TYPE}, []) == ChangeStanding()
    assert standings.take("c", {SET.TYPE}, []) == ChangeStanding(Standing.ERASED)
    assert standings.take("b", {SET.TYPE}, []) == ChangeStanding(Standing.APPLIED, "undo")
