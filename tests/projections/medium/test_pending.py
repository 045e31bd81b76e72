"""What is staged: a comparison of now with the medium, told in pydicom's words."""

from __future__ import annotations

import pytest
from hypothesis import given
from models import Author, Command, programs

from projections.medium.layouts import usual_layout
from projections.medium.pending import changed_metadata, moves, pending, usually_moved


def summary(*commands: Command) -> str:
    return pending(Author().run(commands).state).summary()


THREE = tuple(("add", number, 0, 0) for number in range(3))
WRITTEN = (*THREE, ("write",))


@pytest.mark.parametrize(
    ("commands", "told"),
    [
        ((), "DICOMDIR creation"),
        (THREE[:1], "DICOMDIR creation, 1 addition"),
        (THREE, "DICOMDIR creation, 3 additions"),
        ((*THREE, ("undo", 3)), "DICOMDIR creation"),
        (WRITTEN, ""),
        ((*WRITTEN, ("add", 3, 0, 0)), "DICOMDIR update, 1 addition"),
        ((*WRITTEN, ("remove", 0)), "DICOMDIR update, 1 removal"),
        ((*WRITTEN, ("remove", 0), ("remove", 2)), "DICOMDIR update, 2 removals"),
        ((*WRITTEN, ("remove", 0), ("add", 0, 0, 1)), "DICOMDIR update, 1 addition, 1 removal"),
        ((*WRITTEN, ("remove", 0), ("add", 0, 0, 0)), ""),
        ((*WRITTEN, ("remove", 0), ("undo", 1)), ""),
        ((*WRITTEN, ("add", 3, 0, 0), ("remove", 3)), ""),
        ((*WRITTEN, ("undo", 2)), "DICOMDIR update, 2 removals"),
        ((*WRITTEN, ("set", "id", "A")), "DICOMDIR update"),
        ((*WRITTEN, ("set", "id", "A"), ("set", "id", "SET")), ""),
        (
            (*WRITTEN, ("remove", 0), ("write", "existing")),
            "DICOMDIR update, directory structure update",
        ),
        (
            (*WRITTEN, ("remove", 0), ("write", "existing"), ("add", 4, 0, 0)),
            "DICOMDIR update, directory structure update, 1 addition",
        ),
        ((*WRITTEN, ("remove", 0), ("write", "existing"), ("write",)), ""),
    ],
)
def test_what_is_staged_is_told_as_by_pydicom(commands: tuple[Command, ...], told: str) -> None:
    assert summary(*commands) == told
    assert bool(pending(Author().run(commands).state)) is bool(told)


def test_a_removal_keeps_its_place_so_nothing_moves_before_the_write() -> None:
    author = Author().run([*WRITTEN, ("remove", 0)])

    assert moves(author.state) == ()
    assert [leaf.uid for leaf in pending(author.state).removals] == ["1.9.0"]


def test_members_come_in_the_order_in_which_they_were_first_added() -> None:
    author = Author().run([*WRITTEN, ("remove", 2), ("remove", 0), ("remove", 1), ("undo", 1)])

    assert [leaf.uid for leaf in pending(author.state).removals] == ["1.9.0", "1.9.2"]


def test_only_the_fields_of_the_identity_that_differ_are_metadata() -> None:
    author = Author().run(
        [
            ("write",),
            ("set", "uid", "1.2.9"),
            ("set", "descriptor_file_id", ("A",)),
            ("set", "id", "A"),
            ("set", "id", "SET"),
        ]
    )

    assert changed_metadata(author.state) == ("uid", "descriptor_file_id")
    assert pending(author.state).metadata == ("uid", "descriptor_file_id")


def test_no_metadata_differ_from_a_medium_that_is_not_there() -> None:
    assert changed_metadata(Author().run([("set", "id", "A")]).state) == ()


@given(programs())
def test_an_instance_is_told_to_be_moved_if_a_write_in_the_usual_layout_moves_it(
    program: list[Command],
) -> None:
    state = Author().run(program).state
    is_moved = usually_moved(state)
    moved = [leaf for leaf in state.live.values() if is_moved(leaf)]
    assert set(moved) == {leaf for leaf in moves(state, usual_layout(state)) if leaf.is_live}
