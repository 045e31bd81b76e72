"""Persons who share a Patient ID: as comparing each with each other one has them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import product
from typing import NamedTuple

from attrs import evolve
from hypothesis import given
from hypothesis import strategies as st
from models import Author, Spec, added, calls, record, series, study

from ledger.elements import Element, encode
from ledger.events import InstanceRemoved, MismatchSettled, Record
from ledger.tags import PATIENT_BIRTH_DATE, PATIENT_ID, PATIENT_NAME, PATIENT_SEX
from projections.state.nodes import Branch, Leaf
from projections.state.persons import mismatch, mismatches, other_person, seen
from projections.state.state import FileSetState

TAGS = (PATIENT_NAME, PATIENT_BIRTH_DATE, PATIENT_SEX)
NAMES = {
    "": ("",),
    "A": ("a",),
    "a^^": ("a",),
    "B": ("b",),
    "A=X": ("a", "x"),
    "A=Y": ("a", "y"),
    "=X": ("", "x"),
    "B==Z": ("b", "", "z"),
}
"""What each of some names tells, by its groups."""
BORN = {"": "", "19700101": "1970", "1970.01.01": "1970", "19811231": "1981"}
SEX = {"": "", "F": "f", "M": "m"}


class Said(NamedTuple):
    """What an instance says of the patient, and under which spelling of the one Patient ID."""

    name: str
    born: str = ""
    sex: str = ""
    blank: str = ""

    @property
    def record(self) -> Record:
        texts = ((PATIENT_BIRTH_DATE, "DA", self.born), (PATIENT_SEX, "CS", self.sex))
        held = (Element(tag, vr, text.encode()) for tag, vr, text in texts if text)
        shown = {
            "name": (PATIENT_NAME, "PN", self.name),
            "id": (PATIENT_ID, "LO", f"{self.blank}P1"),
        }
        return evolve(record("PATIENT", **shown), unwritten=encode(held))


def differing(one: Said, other: Said) -> set[int]:
    """Return the tags of what two say otherwise: the plain definition."""
    pairs = (
        (PATIENT_NAME, *pair) for pair in zip(NAMES[one.name], NAMES[other.name], strict=False)
    )
    others = (
        (PATIENT_BIRTH_DATE, BORN[one.born], BORN[other.born]),
        (PATIENT_SEX, SEX[one.sex], SEX[other.sex]),
    )
    return {tag for tag, ours, theirs in (*pairs, *others) if ours and theirs and ours != theirs}


def top(leaf: Leaf) -> Branch:
    branch = leaf.home
    while branch.home is not None and branch.home.home is not None:
        branch = branch.home
    return branch


class Story:
    """What some instances said, which were removed, and when it was settled."""

    def __init__(self) -> None:
        self.author = Author()
        self.said: dict[int, Said] = {}

    @property
    def state(self) -> FileSetState:
        return self.author.state

    def add(self, said: Said) -> None:
        number = len(self.said) + 1
        records = (
            said.record,
            study(f"1.2.{number}"),
            series(f"1.3.{number}"),
            Record("IMAGE", encode(())),
        )
        handle = len(self.author.events) + 1
        self.author.commit([added(self.state, Spec(f"1.9.{number}", records, b"bytes"))])
        self.said[handle] = said

    def remove(self, number: int) -> None:
        if live := sorted(leaf.handle for leaf in self.state.live.values()):
            self.author.commit([InstanceRemoved(live[number % len(live)])])

    def settle(self) -> None:
        found = mismatch(self.state, "P1")
        branches = found.branches if found else ()
        self.author.commit([MismatchSettled(branch.ref) for branch in branches])

    def live(self) -> list[Leaf]:
        return sorted(self.state.live.values(), key=lambda leaf: leaf.rank)

    def persons(self) -> list[Said]:
        return list(dict.fromkeys(self.said[leaf.handle] for leaf in self.live()))

    def is_accepted(self, said: Said) -> bool:
        there = {top(leaf) for leaf in self.live()}
        return any(
            not differing(said, self.said[leaf.handle])
            for leaf in self.state.hierarchy.leaves.values()
            if top(leaf) in there and leaf.handle < self.state.settled.get(top(leaf).ref, 0)
        )

    def others(self, said: Said) -> Iterator[Said]:
        """Yield the persons of whom one is told when an instance says `said`."""
        if not self.live() or self.is_accepted(said):
            return
        first = next(iter(self.state.hierarchy.named["PATIENT", "P1"]))
        standing = next(self.said[leaf.handle] for leaf in self.live() if top(leaf) is first)
        for person in self.persons():
            if differing(said, person) and (
                differing(said, standing) or not differing(standing, person)
            ):
                yield person


SAID = st.builds(
    Said,
    st.sampled_from([*NAMES]),
    st.sampled_from([*BORN]),
    st.sampled_from([*SEX]),
    st.sampled_from(["", " "]),
)
STEPS = st.lists(SAID | st.integers(0, 9) | st.just("settle"), max_size=16)


def told(steps: Sequence[Said | int | str]) -> Story:
    story = Story()
    for step in steps:
        if isinstance(step, Said):
            story.add(step)
        elif isinstance(step, int):
            story.remove(step)
        else:
            story.settle()
        mismatches(story.state)  # what is remembered of this must not outlive it
    return story


@given(STEPS, SAID)
def test_the_persons_found_are_those_of_comparing_each_with_each_other_one(
    steps: Sequence[Said | int | str], new: Said
) -> None:
    story = told(steps)
    persons = story.persons()
    pairs = [(one, other, differing(one, other)) for one, other in product(persons, persons)]
    found = mismatch(story.state, "P1")
    if not any(tags for *_, tags in pairs):
        assert found is None
    else:
        assert found is not None
        assert set(found.persons) == {person.record for person in persons}
        values = {
            tag: {one[TAGS.index(tag)] for one, _, tags in pairs if tag in tags} for tag in TAGS
        }
        assert {tag: set(texts) for tag, texts in found.values().items()} == {
            tag: texts for tag, texts in values.items() if texts
        }
        first = {story.said[handle].record for handle in seen(story.state, found)}
        assert first == set(found.persons)
    unsettled = [one for one, _, tags in pairs if tags and not story.is_accepted(one)]
    assert bool(mismatches(story.state)) == bool(unsettled)
    others = {person.record for person in story.others(new)}
    other = other_person(story.state, new.record)
    assert (other in others) if others else (other is None)


FIRST = (Said("Name0", "1970"), Said("NAME0^"), Said("", "1970", blank=" "))
"""What files say of the first of these persons: as it stands, in another way, and less."""


def costs(number: int) -> tuple[int, int, int, int]:
    """Return what it takes to find so many persons, to find them settled, and to know two.

    These are the first, when nobody has settled anything, and one who was settled.
    """
    story = told([Said(f"Name{each}", "1970") for each in range(number)])
    first = [said.record for said in FIRST]
    assert [other_person(story.state, said) for said in first] == [None] * len(first)
    known_first = calls(lambda: [other_person(story.state, said) for said in first])
    known = Said(f"Name{number - 1}").record
    find = calls(lambda: [each.values() for each in mismatches(story.state)])
    story.settle()
    assert not mismatches(story.state)
    assert other_person(story.state, known) is None
    find_settled = calls(lambda: mismatches(story.state))
    return find, find_settled, calls(lambda: other_person(story.state, known)), known_first


def test_persons_are_found_at_a_cost_for_each_and_not_for_each_pair() -> None:
    few, many = costs(100), costs(400)
    assert many[0] < 5 * few[0]
    assert many[1] < 5 * few[1]
    assert many[2] == few[2], "one who is known is looked up"
    assert many[3] < 2 * few[3], "the person whose values stand is held against these alone"
