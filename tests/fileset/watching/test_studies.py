"""Studies: what arrives of one is grouped until it is quiet."""

from __future__ import annotations

from watched import STAMP, observed

from fileset.watching.settling import Observation
from fileset.watching.studies import Studies, StudyKey

S, T = StudyKey("/in", "1.2"), StudyKey("/in", "1.3")


def test_a_study_is_committed_when_it_was_quiet_and_not_before() -> None:
    studies = Studies(60, 100)
    studies.arrive(S, observed("a"), 0)
    studies.arrive(T, observed("b"), 10)
    studies.arrive(S, observed("c"), 30)
    assert studies.take_due(69) == []
    assert studies.next_due() == 70
    (first,) = studies.take_due(89)
    assert (first.key, list(first.files)) == (T, ["b"])
    (second,) = studies.take_due(90)
    assert (second.key, list(second.files)) == (S, ["a", "c"])
    assert (len(studies), studies.count) == (0, 0)


def test_a_study_that_is_full_does_not_wait() -> None:
    studies = Studies(60, 2)
    studies.arrive(S, observed("a"), 0)
    assert studies.take_due(0) == []
    studies.arrive(S, observed("b"), 0)
    assert [study.key for study in studies.take_due(0)] == [S]


def test_a_file_that_changes_or_goes_leaves_its_study() -> None:
    studies = Studies(60, 100)
    studies.arrive(S, observed("a"), 0)
    studies.forget("a")
    assert studies.get("a") is None
    assert studies.take_due(1000) == []


def test_a_study_that_could_not_be_committed_waits_with_what_came_meanwhile() -> None:
    studies = Studies(60, 100)
    studies.arrive(S, observed("a"), 0)
    (failed,) = studies.take_due(60)
    studies.arrive(S, observed("b"), 61)
    studies.postpone(failed, 61, 100)
    assert studies.take_due(160) == []
    (study,) = studies.take_due(161)
    assert (sorted(study.files), study.tried) == (["a", "b"], 1)


def test_a_study_of_which_files_go_on_arriving_is_committed_nevertheless() -> None:
    studies = Studies(60, 10_000)
    key = StudyKey("/in", "1.2")
    taken: list[float] = []
    for number in range(100):
        at = number * 50.0
        studies.arrive(key, Observation(f"/in/{number}", STAMP, at, at), at)
        studies.put_back([])
        taken += [at for _ in studies.take_due(at)]
    assert taken == [600.0 + 650 * n for n in range(7)]
    assert studies.next_due() is not None
