"""Erasing a person's instances: which these are, and what of their records has to stay.

Pure, as all projections: what is done with it is `fileset.erasure.erase`'s business.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Container, Iterable, Iterator, Mapping
from typing import Final

from attrs import field, frozen

from ledger import elements
from ledger.events import Handle, Record, RecordRef, RecordsKept
from ledger.tags import PATIENT_ID, PATIENT_NAME, SERIES_INSTANCE_UID, STUDY_INSTANCE_UID
from projections.dicomdir.text import text_of
from projections.matching.keys import Kind, key_of, parts_of
from projections.state.nodes import Branch, Leaf
from projections.state.state import FileSetState

KEYWORDS: Final[Mapping[str, int]] = {
    "PatientID": PATIENT_ID,
    "StudyInstanceUID": STUDY_INSTANCE_UID,
    "SeriesInstanceUID": SERIES_INSTANCE_UID,
    "SOPInstanceUID": 0,
}
"""What a person's data can be named by; the last one is no element of a record."""


def matching(state: FileSetState, query: Mapping[str, str]) -> set[Handle]:
    """Return the instances that have all the values of `query`, by keyword: all there ever were.

    With an instance goes what it corrects, and what it was corrected to unless that stands.
    KeyError where a keyword is not one of `KEYWORDS`.
    """
    tags = {KEYWORDS[keyword]: value.strip() for keyword, value in query.items()}
    uid = tags.pop(0, None)
    known: dict[tuple[RecordRef, int], str | None] = {}

    def above(branch: Branch | None, tag: int) -> str | None:
        if branch is None or branch.home is None:
            return None
        key = (branch.ref, tag)
        if key not in known:
            own = _value(branch.own, tag)  # which has the same keys as its variants
            known[key] = above(branch.home, tag) if own is None else own
        return known[key]

    def has(leaf: Leaf, tag: int, value: str) -> bool:
        own = _value(leaf.record, tag)
        return (above(leaf.home, tag) if own is None else own) == value

    found = {
        leaf.handle
        for leaf in state.hierarchy.leaves.values()
        if uid in (None, leaf.uid) and all(has(leaf, tag, value) for tag, value in tags.items())
    }
    return found | _other_versions(state, found)


def _other_versions(state: FileSetState, found: Collection[Handle]) -> set[Handle]:
    """Return what has to go with instances: what they correct, and what they were corrected to.

    They are the same person's data. But what is part of the File-set as corrected is another one's:
    the correction says so.
    """
    hierarchy, going = state.hierarchy, set()
    for handle in found:
        if handle in hierarchy.replaced:
            before = handle
            while before := hierarchy.replaced.get(before, 0):
                going.add(before)
    for new, old in sorted(hierarchy.replaced.items()):
        leaf = hierarchy.leaves[new]
        if (old in found or old in going) and not leaf.is_live:
            going.add(new)
    return going


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
    saying = _saying(state, gone)
    introduced: dict[int, list[Branch]] = defaultdict(list)
    for branch in hierarchy.branches.values():
        introduced[branch.ref.position].append(branch)
    kept: list[RecordsKept] = []
    staying: dict[int, int] = {}
    for position, branches in sorted(introduced.items()):
        branches.sort(key=lambda branch: branch.ref.index)
        stay = [branch for branch in branches if branch.ref in needed]
        records = tuple(_left_of(branch, saying) for branch in stay)
        if (
            position not in gone
            and len(stay) == len(branches)
            and records == tuple(branch.own for branch in stay)
        ):
            continue
        staying[position] = len(stay)
        if stay:
            home = branches[0].home
            under = home.ref if home is not None and home.home is not None else None
            kept.append(RecordsKept(position, records, under))
    return RecordsLeft(tuple(kept), staying)


def _saying(state: FileSetState, gone: Container[Handle]) -> dict[Branch, dict[Record, None]]:
    """Return what all instances but those `gone` say, in order, of records that have variants."""
    found: dict[Branch, dict[Record, None]] = {}
    leaves = state.hierarchy.leaves if state.hierarchy.varied else {}
    for handle in sorted(leaves):
        if handle not in gone:
            for branch in leaves[handle].home.upwards():
                if branch.variants is not None:
                    found.setdefault(branch, {})[branch.variants.said_by(leaves[handle])] = None
    return found


def _left_of(branch: Branch, saying: Mapping[Branch, Mapping[Record, None]]) -> Record:
    """Return what is to be held for `branch`: what is held now, if an instance still says so.

    Else it is what the first one says that is left.
    """
    said = saying.get(branch) or {branch.own: None}
    return branch.own if branch.own in said else next(iter(said))


@frozen
class Identifiers:
    """What tells who a person is, where it stands in a text: Patient IDs, names, and UIDs.

    `others` are the IDs and names of those who stay, `shared` the names of the person that one of
    them has, too. `records` are the PATIENT records of the person, `records_that_stay` the others.
    """

    patients: frozenset[str]
    names: frozenset[str]
    uids: frozenset[str] = field(repr=False)
    shared: frozenset[str] = frozenset()
    others: frozenset[str] = field(default=frozenset(), repr=False)
    records: tuple[Record, ...] = field(default=(), repr=False)
    records_that_stay: tuple[Record, ...] = field(default=(), repr=False)

    def are_meant(self, tag: int, text: str) -> bool:
        """Whether `text`, which was asked of the element `tag`, is a description of the person.

        It is if one of the values, or patterns, in it matches the person and nobody who stays. What
        asks for any value, or for none, describes nobody.
        """
        mine = list(_said(self.records, tag))
        for vr in {vr for vr, _ in mine}:
            for key in (key_of(vr, part) for part in parts_of(vr, text)):
                if key.kind in {Kind.EMPTY, Kind.PRESENT}:
                    continue
                if any(key.matches(values) for _, values in mine) and not any(
                    key.matches(values) for _, values in _said(self.records_that_stay, tag)
                ):
                    return True
        return False


def _said(records: Iterable[Record], tag: int) -> Iterator[tuple[str, list[str]]]:
    """Yield the VR and the values of an element in records, be it written to media or not."""
    for record in records:
        for held in (record.elements, record.unwritten):
            if (element := elements.find(held, tag)) is not None:
                yield element.vr, text_of(element, held).split("\\")


def identifiers(
    state: FileSetState, gone: Container[Handle], query: Mapping[str, str]
) -> Identifiers:
    """Return what identifies the instances `gone` and no other one of `state`."""
    needed = state.hierarchy.needed(gone)
    leaves = [leaf for leaf in state.hierarchy.leaves.values() if leaf.handle in gone]
    patients = {query["PatientID"].strip()} if "PatientID" in query else set()
    names: set[str] = set()
    records: dict[Record, None] = {}
    former = _with_former(state, gone)
    uids = {leaf.uid for leaf in leaves} | {v for k, v in query.items() if k != "PatientID"}
    saying = _saying(state, former)
    for branch in {branch for leaf in leaves for branch in leaf.home.upwards()}:
        if branch.own.type == "PATIENT":
            records |= dict.fromkeys(branch.records())
        if branch.ref in needed:
            if branch.own.type == "PATIENT":  # perhaps of two persons, one of whom stays
                said = _names(branch.records())
                names |= said - _names(saying.get(branch, (branch.own,)))
            continue
        if branch.own.type == "PATIENT":
            patients.add(branch.key.strip())
            names |= _names(branch.records())
        else:
            uids.add(branch.key)
    ids, that_stay = _who_stay(state, state.hierarchy.needed(former), saying)
    others = _names(that_stay)
    return Identifiers(
        frozenset(patients - {""}),
        frozenset(names - others - {""}),
        frozenset(uids - _uids_that_stay(state, gone, needed)),
        frozenset((names & others) - {""}),
        frozenset((ids | others) - patients - {""}),
        tuple(records),
        tuple(that_stay),
    )


def _with_former(state: FileSetState, gone: Container[Handle]) -> set[Handle]:
    """Return `gone`, and what other instances were since they were one of these.

    What they say of persons they say no more.
    """
    hierarchy = state.hierarchy
    found = {handle for handle in hierarchy.leaves if handle in gone}
    for handle in hierarchy.first_versions(gone):
        for each in hierarchy.versions(handle):
            leaf = hierarchy.leaves.get(each)
            if leaf is not None and not leaf.is_live and leaf.file_id is None:
                found.add(each)
    return found


def _uids_that_stay(
    state: FileSetState, gone: Container[Handle], needed: Container[RecordRef]
) -> set[str]:
    """Return the UIDs of what stays: an instance that became another patient's keeps its own."""
    hierarchy = state.hierarchy
    uids = {leaf.uid for leaf in hierarchy.leaves.values() if leaf.handle not in gone}
    return uids.union(branch.key for branch in hierarchy.branches.values() if branch.ref in needed)


def _who_stay(
    state: FileSetState,
    needed: Container[RecordRef],
    saying: Mapping[Branch, Mapping[Record, None]],
) -> tuple[set[str], list[Record]]:
    """Return the Patient IDs and the records of the persons whose records are needed."""
    ids: set[str] = set()
    records: list[Record] = []
    for branch in state.hierarchy.branches.values():
        if branch.own.type == "PATIENT" and branch.ref in needed:
            ids.add(branch.key.strip())
            records += saying.get(branch, (branch.own,))
    return ids, records


def _names(records: Iterable[Record]) -> set[str]:
    """Return the names in PATIENT records, and those that instances say besides."""
    return {
        text_of(elements.find(held, PATIENT_NAME), held)
        for record in records
        for held in (record.elements, record.unwritten)
    }
