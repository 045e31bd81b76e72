"""Settling: when a file is complete, and when one is tried again."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st
from watched import CHANGED, STAMP, observed

from fileset.watching.settling import Retries, Settling, delays
from ledger.files import FileStamp


def test_a_file_is_due_when_it_was_the_same_for_the_quiet_delay() -> None:
    settling = Settling(5)
    assert settling.see("a", STAMP, 0)
    assert not settling.see("a", STAMP, 4)  # a second look before the time is none
    assert list(settling.take_due(4.9)) == []
    assert settling.next_due() == 5
    assert [found.path for found in settling.take_due(5)] == ["a"]
    assert len(settling) == 0


def test_any_change_begins_the_delay_anew_even_one_of_the_status_time_alone() -> None:
    settling = Settling(5)
    settling.see("a", STAMP, 0)
    settling.see("a", CHANGED, 4)
    assert list(settling.take_due(8)) == []
    (found,) = settling.take_due(9)
    assert (found.stamp, found.first) == (CHANGED, 0)


def test_files_are_due_in_the_order_in_which_they_were_last_seen_to_change() -> None:
    settling = Settling(5)
    for number, path in enumerate("abc"):
        settling.see(path, STAMP, number)
    settling.see("a", CHANGED, 3)
    assert [found.path for found in settling.take_due(100)] == ["b", "c", "a"]


@given(
    st.lists(
        st.tuples(st.sampled_from("abc"), st.sampled_from([STAMP, CHANGED]), st.integers(0, 4))
    )
)
def test_nothing_is_due_sooner_than_its_delay_after_its_last_change(
    looks: list[tuple[str, FileStamp, int]],
) -> None:
    settling, now = Settling(3), 0
    last: dict[str, tuple[FileStamp, int]] = {}
    for path, found, wait in looks:
        now += wait
        for taken in settling.take_due(now):
            known, since = last.pop(taken.path)
            assert taken.stamp == known
            assert now - since >= 3
        settling.see(path, found, now)
        if path not in last or last[path][0] != found:
            last[path] = (found, now)
    assert {taken.path for taken in settling.take_due(now + 3)} == set(last)


def test_a_file_that_changes_while_it_waits_has_been_pending_since_it_was_seen() -> None:
    settling = Settling(5)
    settling.see("a", FileStamp(1, 1, 1, 1), 10, first=3)
    assert settling.oldest() == 3


def test_whoever_waits_for_the_end_is_not_kept_waiting_for_minutes() -> None:
    assert delays(5, 4, once=True) == [5, 5, 5]


def test_tries_are_bounded_and_further_and_further_apart() -> None:
    waits = delays(5, 4)
    assert waits == [10, 40, 160]
    retries = Retries(waits)
    now = 0.0
    for before, wait in enumerate(waits):
        assert retries.fail(observed("a"), "rejected", "why", now, before) is None
        assert retries.take_due(now + wait - 0.1) == []
        now += wait
        (trouble,) = retries.take_due(now)
        assert trouble.tried == before + 1
    given_up = retries.fail(observed("a"), "rejected", "why", now, 3)
    assert given_up is not None
    assert (given_up.tried, given_up.reason, len(retries)) == (4, "why", 0)
