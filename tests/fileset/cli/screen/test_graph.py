"""The graph beside the log: lines from changes to what undid, redid or reverted them."""

from __future__ import annotations

from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from fileset.cli.screen.graph import Row, draw

STORY = [
    Row("·", "created"),
    Row("●", "a"),
    Row("●", "b"),
    Row("↶", "x", ("b",)),
    Row("↶", "y", ("a",)),
    Row("↷", "z", ("a",)),
    Row("·", "written"),
    Row("↷", "v", ("b",)),
    Row("○", "c"),
    Row("○", "d"),
    Row("↶", "u", ("d", "c")),
]


def test_lines_lead_from_a_change_to_what_took_it_back_and_did_it_again() -> None:
    assert draw(STORY) == [
        "   ·",
        "╭──●",
        "│╭─●",
        "│├─↶",
        "├┼─↶",
        "╰┼─↷",
        " │ ·",
        " ╰─↷",
        "╭──○",
        "│╭─○",
        "╰┴─↶",
    ]


def test_a_terminal_that_knows_ascii_alone_gets_the_same_in_ascii() -> None:
    plain = draw(STORY, plain=True)
    assert all(line.isascii() for line in plain)
    assert plain[3] == "|+-<"


def test_where_nothing_was_taken_back_there_are_dots_alone() -> None:
    assert draw([Row("·", "a"), Row("●", "b")]) == ["·", "●"]
    assert draw([]) == []


def test_what_a_change_out_of_sight_is_named_by_has_no_line() -> None:
    assert draw([Row("↶", "x", ("long ago",)), Row("●", "b")]) == ["↶", "●"]


@given(
    st.lists(
        st.builds(
            Row,
            st.sampled_from("●○·↶"),
            st.sampled_from("abcdefghijklmnop"),
            st.lists(st.sampled_from("abcdefghijklmnop"), max_size=3).map(tuple),
        ),
        max_size=40,
    )
)
def test_lines_are_all_as_wide_and_meet(rows: list[Row]) -> None:
    drawn = draw(rows)
    assert len({len(line) for line in drawn}) <= 1
    below, above = set("│├┼╭┬"), set("│├┼╰┴")
    for upper, lower in pairwise(drawn):
        for one, other in zip(upper[:-2], lower[:-2], strict=True):
            assert (one in below) == (other in above)
