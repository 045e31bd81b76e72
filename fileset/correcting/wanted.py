"""Which instances are corrected in what: those that are named, and those that refer to them.

The UIDs of instances, of studies and series that go with all their instances, and of frames of
reference are replaced wherever the File-set has them, so that whatever refers to them still does.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from typing import Any, Final

from attrs import evolve
from pydicom.uid import generate_uid

from fileset.correcting.asked import edits_of
from fileset.correcting.correct import Corrector
from fileset.correcting.correction import Correction
from fileset.values import text_of
from ledger.errors import CorrectionError
from ledger.instances.correcting.edits import UIDsReplaced
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
    edits_of(values)  # all of them can be asked for
    uids = dict(_replaced(corrector, leaves, values))
    if new_uids:
        uids = {old: generate_uid() for old in _uids_of(corrector, leaves)} | uids
    uids = {old: new for old, new in uids.items() if old != new}
    replaced = (UIDsReplaced(uids),) if uids else ()
    made: dict[tuple[str, ...], Correction] = {}

    def correction(leaf: Leaf) -> Correction:
        paths = tuple(path for path in values if path != _FRAME and _own(leaf, path) not in uids)
        if paths not in made:
            edits = edits_of({path: values[path] for path in paths})
            made[paths] = evolve(how, edits=(*edits, *replaced))
        return made[paths]

    found = {leaf: correction(leaf) for leaf in leaves}
    if not uids:
        return found
    references = evolve(how, edits=replaced, is_of_references=True)
    return dict.fromkeys(state.live.values(), references) | found


def _replaced(
    corrector: Corrector, leaves: Collection[Leaf], values: Mapping[str, Any]
) -> Iterator[tuple[str, str]]:
    """Yield the UIDs that are replaced wherever they occur, with their new values."""
    if (uid := values.get("SOPInstanceUID")) is not None:
        if len(leaves) > 1:
            raise CorrectionError(
                f"{len(leaves):,} instances can't have the same SOP Instance UID: choose one, or "
                "have new ones generated"
            )
        yield from ((leaf.uid, text_of(uid)) for leaf in leaves)
    for keyword, record_type in _RECORDS.items():
        if (uid := values.get(keyword)) is not None:
            for branch in _whole(leaves, record_type):
                yield branch.key, text_of(uid)
    if (uid := values.get(_FRAME)) is not None:
        for old in _frames(corrector, leaves):
            yield old, text_of(uid)


def _uids_of(corrector: Corrector, leaves: Collection[Leaf]) -> dict[str, None]:
    """Return the UIDs of instances, and those that all instances with them are among `leaves`."""
    whole = [branch.key for kind in _RECORDS.values() for branch in _whole(leaves, kind)]
    return dict.fromkeys([*whole, *_frames(corrector, leaves), *(leaf.uid for leaf in leaves)])


def _frames(corrector: Corrector, leaves: Collection[Leaf]) -> dict[str, None]:
    found = dict.fromkeys(corrector.value_of(leaf, _FRAME) for leaf in leaves)
    return {uid: None for uid in found if uid}


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

    Raises `CorrectionError`, which says where, if two name the same instance.
    """
    together: dict[Leaf, Correction] = {}
    for where, each in found:
        for leaf, correction in each.items():
            known = together.get(leaf, correction)
            if known is correction:
                together[leaf] = correction
            elif known.is_of_references or correction.is_of_references:
                named = correction if known.is_of_references else known
                together[leaf] = evolve(named, edits=(*known.edits, *correction.edits))
            else:
                raise CorrectionError(f"{where}: a line before names the SOP Instance {leaf.uid}")
    return together
