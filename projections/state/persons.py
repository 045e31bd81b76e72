"""Patient IDs that more than one person has: found by comparing instances, and settled.

Two live instances below PATIENT records of one Patient ID are of two persons if what they say of
the patient differs (`projections.state.differences`). Somebody can settle that for what was seen:
it covers what the instances of before then say, and whatever agrees with that.
"""

from __future__ import annotations

from collections.abc import Container, Iterable, Iterator
from typing import Final

from attrs import evolve, frozen

from ledger.events import Handle, Record
from projections.state.differences import Aspect, Known, differences, values_of
from projections.state.keys import record_key
from projections.state.nodes import Branch
from projections.state.state import FileSetState

_PATIENT: Final = "PATIENT"


@frozen
class Mismatch:
    """Several persons have one Patient ID: `persons` are what live instances say, each once.

    `branches` are the PATIENT records with that ID: an adopted medium may have several.
    """

    patient_id: str
    persons: tuple[Record, ...]
    branches: tuple[Branch, ...]

    def values(self) -> dict[int, list[str]]:
        """Return the values of each element that differs, by tag."""
        found: dict[int, set[str]] = {}
        for person, aspects in self.differing():
            for tag, _ in aspects:
                found.setdefault(tag, set()).add(values_of(person).texts[tag])
        return {tag: sorted(values) for tag, values in sorted(found.items())}

    def differing(self) -> Iterator[tuple[Record, list[Aspect]]]:
        """Yield the persons who differ from another one, and in what."""
        disputed = _disputed(self.persons)
        for person in self.persons:
            if found := [aspect for aspect in values_of(person).forms if aspect in disputed]:
                yield person, found


def mismatches(state: FileSetState) -> list[Mismatch]:
    """Return the Patient IDs of several persons that nobody has settled, in the order of IDs."""
    named = state.hierarchy.named
    keys = {branch.key.strip() for branch in state.hierarchy.varied if branch.own.type == _PATIENT}
    keys |= {key for (kind, key), found in named.items() if kind == _PATIENT and len(found) > 1}
    found = (mismatch(state, key) for key in sorted(keys))
    return [each for each in found if each is not None and not _is_settled(state, each)]


def mismatches_among(state: FileSetState, handles: Container[Handle]) -> list[Mismatch]:
    """Return `mismatches` as far as the instances `handles` alone are of several persons."""
    among = []
    for each in mismatches(state):
        said = {
            branch.said_by(leaf)
            for branch in each.branches
            for leaf in branch.leaves()
            if leaf.is_live and leaf.handle in handles
        }
        if _disputed(said):
            among.append(evolve(each, persons=tuple(sorted(said, key=_text))))
    return among


def mismatch(state: FileSetState, patient_id: str) -> Mismatch | None:
    """Return the persons of `patient_id` if they are several, settled or not."""
    named = state.hierarchy.named.get((_PATIENT, patient_id.strip()), ())
    branches = tuple(sorted(named, key=lambda branch: branch.place))
    said = {person for branch in branches for person in said_of(branch)}
    persons = tuple(sorted(said, key=_text))
    if not _disputed(persons):
        return None
    return Mismatch(patient_id.strip(), persons, branches)


def other_person(state: FileSetState, said: Record) -> Record | None:
    """Return what live instances say of another person who has the Patient ID of `said`.

    `None` if there is none, it was settled, or it is the other one who differs from the person
    whose values stand: that was told when the other one came.
    """
    branches = _of(state, said)
    standing = next((branch.record for branch in branches if branch.live), None)
    if standing is None:
        return None
    if differences(said, standing):
        return None if _is_accepted(state, branches, said) else standing
    if values_of(said).forms.keys() <= values_of(standing).forms.keys():
        return None  # whoever differs from it differs from the person whose values stand
    others = (
        person
        for branch in branches
        for person in said_of(branch)
        if differences(said, person) and not differences(standing, person)
    )
    found = min(others, key=_text, default=None)
    return None if found is None or _is_accepted(state, branches, said) else found


def _text(person: Record) -> tuple[bytes, bytes]:
    """Return what the order of persons hangs on: nothing that came before."""
    return person.elements, person.unwritten


def seen(state: FileSetState, found: Mismatch) -> list[Handle]:
    """Return for each of the persons the first instance that says so."""
    first: dict[Record, Handle] = {}
    for branch in found.branches:
        for leaf in sorted(branch.leaves(), key=lambda leaf: leaf.order):
            if leaf.is_live:
                first.setdefault(branch.said_by(leaf), leaf.handle)
    return sorted(first.values())


def _of(state: FileSetState, said: Record) -> list[Branch]:
    key = record_key(said) if said.type == _PATIENT else None
    named = state.hierarchy.named.get((_PATIENT, key.strip()), ()) if key else ()
    return sorted(named, key=lambda branch: branch.place)


def said_of(branch: Branch) -> Iterable[Record]:
    """Return what live instances say of a PATIENT record, each once and in an order of its own."""
    if not branch.live:
        return ()
    if branch.variants is None:
        return (branch.own,)
    return branch.variants.said()


def _disputed(persons: Iterable[Record]) -> set[Aspect]:
    """Return of what there are several values, so that whoever has one differs from another."""
    first: dict[Aspect, str] = {}
    return {
        aspect
        for person in persons
        for aspect, form in values_of(person).forms.items()
        if first.setdefault(aspect, form) != form
    }


def _is_settled(state: FileSetState, found: Mismatch) -> bool:
    """Whether each of the persons who differs from another one was accepted."""
    return all(_is_accepted(state, found.branches, person) for person, _ in found.differing())


def _is_accepted(state: FileSetState, branches: Iterable[Branch], said: Record) -> bool:
    """Whether it agrees with something that was said when a mismatch was settled."""
    return any(
        _known_before(settled, branch).agrees(said)
        for branch in branches
        if (settled := state.settled.get(branch.ref, 0))
    )


def _known_before(position: int, branch: Branch) -> Known:
    if branch.variants is None:
        return Known((branch.own,))
    return branch.variants.known_before(position)
