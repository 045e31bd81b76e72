"""Which instances are corrected in what: those that are named, and those that refer to them.

The UIDs of instances, of studies and series that go with all their instances, and of frames of
reference are replaced wherever the File-set has them, so that whatever refers to them still does.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from typing import Any, Final

from attrs import evolve
from pydicom.uid import generate_uid

from fileset.correcting.asked import edits_of
from fileset.correcting.correct import Corrector
from fileset.correcting.correction import Correction
from ledger.errors import CorrectionError
from ledger.instances.correcting.edits import (
    OF_THE_STANDARD,
    Edit,
    UIDsReplaced,
    check_edits,
    text_of_path,
)
from projections.past.diff import above
from projections.state.nodes import Branch, Leaf
from projections.state.state import FileSetState

_RECORDS: Final = {"StudyInstanceUID": "STUDY", "SeriesInstanceUID": "SERIES"}
"""UIDs that instances share, and the records that they are the keys of."""

_FRAME: Final = "FrameOfReferenceUID"


def corrections_of(
    corrector: Corrector,
    state: FileSetState,
    leaves: Collection[Leaf],
    values: Mapping[str, Any],
    how: Correction,
    *,
    new_uids: bool = False,
) -> dict[Leaf, Correction]:
    """Return what corrects `leaves` so that they have `values`, by keyword, tag or path.

    With `new_uids` their UIDs are replaced by generated ones. `how` gives all but the edits. Raises
    `CorrectionError`, `NoSuchKeywordError` (ValueError), or as reading the instances does.
    """
    asked = {text_of_path(edit.path): edit for edit in edits_of(values)}
    uids = dict(_replaced(corrector, leaves, _texts(asked)))
    if new_uids:
        uids = {old: generate_uid() for old in _uids_of(corrector, leaves)} | uids
    uids = {old: new for old, new in uids.items() if old != new}
    replaced = (UIDsReplaced(uids),) if uids else ()
    check_edits(replaced)
    made: dict[tuple[str, ...], Correction] = {}

    def correction(leaf: Leaf) -> Correction:
        names = tuple(name for name in asked if _own(leaf, name) not in uids)
        if names not in made:
            made[names] = evolve(how, edits=(*(asked[name] for name in names), *replaced))
        return made[names]

    found = {leaf: correction(leaf) for leaf in leaves}
    if not uids:
        return found
    references = evolve(how, edits=replaced, is_of_references=True)
    return dict.fromkeys(state.live.values(), references) | found


def _texts(asked: Mapping[str, Edit]) -> dict[str, str]:
    """Return those of the new values that are text, by keyword."""
    return {
        name: edit.value.strip()
        for name, edit in asked.items()
        if isinstance(edit.value, str) and edit.value.strip()
    }


def _replaced(
    corrector: Corrector, leaves: Collection[Leaf], texts: Mapping[str, str]
) -> Iterator[tuple[str, str]]:
    """Yield the UIDs that are replaced wherever they occur, with their new values."""
    if (uid := texts.get("SOPInstanceUID")) is not None:
        if len(leaves) > 1:
            raise CorrectionError(
                f"{len(leaves):,} instances can't share a SOP Instance UID: choose one of them, or "
                "have new UIDs generated"
            )
        yield from ((leaf.uid, uid) for leaf in leaves)
    for keyword, record_type in _RECORDS.items():
        if (uid := texts.get(keyword)) is not None:
            for branch in _whole(leaves, record_type):
                yield branch.key, uid
    if (uid := texts.get(_FRAME)) is not None:
        for old in _frames(corrector, leaves):
            yield old, uid


def _uids_of(corrector: Corrector, leaves: Collection[Leaf]) -> dict[str, None]:
    """Return the UIDs of instances, and those that all instances with them are among `leaves`."""
    whole = [branch.key for kind in _RECORDS.values() for branch in _whole(leaves, kind)]
    return dict.fromkeys([*whole, *_frames(corrector, leaves), *(leaf.uid for leaf in leaves)])


def _frames(corrector: Corrector, leaves: Collection[Leaf]) -> dict[str, None]:
    """Return the frames of reference of instances, but for those that PS3.6 registers."""
    found = dict.fromkeys(corrector.value_of(leaf, _FRAME) for leaf in leaves)
    return {uid: None for uid in found if uid and not uid.startswith(OF_THE_STANDARD)}


def _whole(leaves: Collection[Leaf], record_type: str) -> list[Branch]:
    """Return the records of a type all of whose instances are among `leaves`."""
    counts: dict[Branch, int] = {}
    for leaf in leaves:
        for branch in above(leaf.home):
            if branch.own.type == record_type:
                counts[branch] = counts.get(branch, 0) + 1
    return [
        branch
        for branch, count in counts.items()
        if count == sum(each.is_live for each in branch.leaves())
    ]


def _own(leaf: Leaf, keyword: str) -> str | None:
    """Return the UID that an instance has for one of the keywords that can be replaced."""
    if keyword == "SOPInstanceUID":
        return leaf.uid
    if (record_type := _RECORDS.get(keyword)) is None:
        return None
    return next((b.key for b in above(leaf.home) if b.own.type == record_type), None)


def combined(found: Sequence[tuple[str, Mapping[Leaf, Correction]]]) -> dict[Leaf, Correction]:
    """Return several corrections, each with where it was asked for, as one.

    Raises `CorrectionError`, which says where, if two name the same instance, or have different
    UIDs for what others refer to.
    """
    together: dict[Leaf, Correction] = {}
    named_by: dict[Leaf, str] = {}
    uids: dict[str, tuple[str, str]] = {}
    for where, each in found:
        for old, new in _uids_in(each.values()):
            if (other := uids.setdefault(old, (new, where)))[0] != new:
                raise CorrectionError(
                    f"{where}: {old} can't become {new}: {other[1]} makes it {other[0]}"
                )
        for leaf, correction in each.items():
            if not correction.is_of_references:
                named_by.setdefault(leaf, where)
            known = together.get(leaf, correction)
            if known is correction:
                together[leaf] = correction
            elif known.is_of_references or correction.is_of_references:
                named = correction if known.is_of_references else known
                together[leaf] = evolve(named, edits=(*known.edits, *correction.edits))
            else:
                raise CorrectionError(
                    f"{where}: {named_by[leaf]} also matches the SOP Instance {leaf.uid}: join the "
                    "two lines"
                )
    return together


def _uids_in(corrections: Iterable[Correction]) -> Iterator[tuple[str, str]]:
    """Yield the UIDs that are replaced, with their new values: those of a row are in all of it."""
    first = next(iter(corrections), Correction())
    for edit in first.edits:
        if isinstance(edit, UIDsReplaced):
            yield from edit.uids.items()
