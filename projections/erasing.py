"""Erasing a person's instances: which these are, and what of their records has to stay.

Pure, as all projections: what is done with it is :mod:`fileset.erasure`'s business.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Container, Iterator, Mapping
from typing import Final

from attrs import field, frozen

from ledger import elements
from ledger.events import Handle, Record, RecordRef, RecordsKept
from projections.hierarchy import Branch, Leaf
from projections.outline import patient_name
from projections.state import FileSetState

KEYWORDS: Final[Mapping[str, int]] = {
    "PatientID": 0x00100020,
    "StudyInstanceUID": 0x0020000D,
    "SeriesInstanceUID": 0x0020000E,
    "SOPInstanceUID": 0,
}
"""What a person's data can be named by; the last one is no element of a record."""


def matching(state: FileSetState, query: Mapping[str, str]) -> set[Handle]:
    """Return the instances that have all the values of `query`, by keyword: all there ever were.

    KeyError where a keyword is not one of :data:`KEYWORDS`.
    """
    tags = {KEYWORDS[keyword]: value.strip() for keyword, value in query.items()}
    uid = tags.pop(0, None)
    known: dict[tuple[RecordRef, int], str | None] = {}

    def above(branch: Branch | None, tag: int) -> str | None:
        if branch is None or branch.home is None:
            return None
        key = (branch.ref, tag)
        if key not in known:
            own = _value(branch.record, tag)
            known[key] = above(branch.home, tag) if own is None else own
        return known[key]

    def has(leaf: Leaf, tag: int, value: str) -> bool:
        own = _value(leaf.record, tag)
        return (above(leaf.home, tag) if own is None else own) == value

    return {
        leaf.handle
        for leaf in state.hierarchy.leaves.values()
        if uid in (None, leaf.uid) and all(has(leaf, tag, value) for tag, value in tags.items())
    }


def _value(record: Record, tag: int) -> str | None:
    held = record.elements
    text = elements.plain_text(elements.find(held, tag), elements.character_set(held))
    return None if text is None else text.strip()


@frozen
class RecordsLeft:
    """What becomes of the records when instances go.

    `kept` carries on what others stand under. `staying` gives for each event whose records go, or
    are carried on, its position and how many of them stay: what carried them on before is void.
    """

    kept: tuple[RecordsKept, ...]
    staying: Mapping[int, int]


def records_left(state: FileSetState, gone: Container[Handle]) -> RecordsLeft:
    """Return what becomes of the records of `state` without the instances `gone`."""
    hierarchy = state.hierarchy
    needed = state.hierarchy.needed(gone)
    introduced: dict[int, list[Branch]] = defaultdict(list)
    for branch in hierarchy.branches.values():
        introduced[branch.ref.position].append(branch)
    kept: list[RecordsKept] = []
    staying: dict[int, int] = {}
    for position, branches in sorted(introduced.items()):
        branches.sort(key=lambda branch: branch.ref.index)
        stay = [branch.record for branch in branches if branch.ref in needed]
        if position not in gone and len(stay) == len(branches):
            continue
        staying[position] = len(stay)
        if stay:
            home = branches[0].home
            under = home.ref if home is not None and home.home is not None else None
            kept.append(RecordsKept(position, tuple(stay), under))
    return RecordsLeft(tuple(kept), staying)


@frozen
class Identifiers:
    """What tells who a person is, where it stands in a text: Patient IDs, names, and UIDs."""

    patients: frozenset[str]
    names: frozenset[str]
    uids: frozenset[str] = field(repr=False)


def identifiers(
    state: FileSetState, gone: Container[Handle], query: Mapping[str, str]
) -> Identifiers:
    """Return what identifies the instances `gone` and no other one of `state`."""
    needed = state.hierarchy.needed(gone)
    leaves = [leaf for leaf in state.hierarchy.leaves.values() if leaf.handle in gone]
    patients = {query["PatientID"].strip()} if "PatientID" in query else set()
    names: set[str] = set()
    uids = {leaf.uid for leaf in leaves} | {v for k, v in query.items() if k != "PatientID"}
    for branch in {branch for leaf in leaves for branch in _above(leaf)}:
        if branch.ref in needed:
            continue
        if branch.record.type == "PATIENT":
            patients.add(branch.key.strip())
            names.add(patient_name(branch.record))
        else:
            uids.add(branch.key)
    return Identifiers(frozenset(patients - {""}), frozenset(names - {""}), frozenset(uids))


def _above(leaf: Leaf) -> Iterator[Branch]:
    branch: Branch | None = leaf.home
    while branch is not None and branch.home is not None:
        yield branch
        branch = branch.home
