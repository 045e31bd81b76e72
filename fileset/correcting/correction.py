"""What corrects an instance, the corrected instance, and the account of what was corrected."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from datetime import UTC
from pathlib import Path
from typing import Final, Protocol

from attrs import evolve, fields, frozen

from fileset.adding.add import added_event
from fileset.adding.candidate import Candidate, read_bytes, read_path
from fileset.correcting.doubts import doubts_of
from fileset.correcting.words import element_of, text_of_body
from fileset.repository.repository import Repository
from ledger.errors import CorrectionError, RecordError
from ledger.events import (
    Content,
    CorrectionReason,
    ElementCorrected,
    Handle,
    InstanceAdded,
    InstanceCorrected,
    InstancesCorrected,
    Placement,
)
from ledger.files import LARGE, FileView
from ledger.instances.correcting.bodies import SIZE
from ledger.instances.correcting.correct import Corrected, Correcting
from ledger.instances.correcting.edits import (
    ORIGINAL_ATTRIBUTES,
    REMOVE,
    Edit,
    OriginalAttributes,
    UIDsReplaced,
)
from ledger.instances.correcting.outcome import Change
from ledger.instances.correcting.present import items_of, values_of
from ledger.phrases import count
from ledger.tags import PATIENT_BIRTH_DATE, PATIENT_ID
from projections.past.diff import above
from projections.state.keys import record_key
from projections.state.nodes import Leaf
from projections.state.state import FileSetState

_ID: Final = (PATIENT_ID,)
_PAST: Final = (ORIGINAL_ATTRIBUTES,)

SYSTEM: Final = "fileset-ledger"
"""Modifying System (0400,0563) of what is corrected."""


@frozen
class Correction:
    """What corrects an instance: the edits, and how they are made.

    Where it `is_of_references` alone, an instance that has none is not worth telling of. With
    `original_attributes` each instance says in an item of Original Attributes Sequence what was
    there before (PS3.3 Section C.12.1.1.9); with `None` those do that don't get another Patient ID,
    since else the medium of one patient would tell of another. `drop_signatures` removes digital
    signatures that no longer fit.
    """

    edits: tuple[Edit | UIDsReplaced, ...] = ()
    reason: CorrectionReason = CorrectionReason.CORRECT
    is_of_references: bool = False
    original_attributes: bool | None = None
    drop_signatures: bool = False

    def may_change(self, source: bytes | FileView) -> bool:
        """Whether there may be anything to correct: a quick test of a small instance."""
        if not self.is_of_references or not isinstance(source, bytes):
            return True
        replaced = (edit.uids for edit in self.edits if isinstance(edit, UIDsReplaced))
        return any(old.encode() in source for uids in replaced for old in uids)

    def asked_of(
        self, source: bytes | FileView, when: str
    ) -> tuple[tuple[Edit | UIDsReplaced, ...], OriginalAttributes | None]:
        """Return the edits of an instance that is corrected at the time `when`, and its note."""
        former = None if self.original_attributes else self._former(source)
        if self.original_attributes or (self.original_attributes is None and former is None):
            note = OriginalAttributes(when=when, system=SYSTEM, reason=self.reason.value)
            return self.edits, note
        return (*self.edits, *(former or ())), None

    def _former(self, source: bytes | FileView) -> Sequence[Edit] | None:
        """Return what removes items that tell of earlier corrections, perhaps of another person.

        `None` if the instance doesn't get another Patient ID.
        """
        asked = {edit.path: edit for edit in self.edits if isinstance(edit, Edit)}
        if (new := asked.get(_ID)) is None:
            return None
        there = values_of(source, (_ID, _PAST))
        value = new.value if isinstance(new.value, str) else ""
        if (text_of_body(there[_ID]) or "").strip() == value.strip():
            return None
        past = there[_PAST] or {}
        number = len(past.get("Value", ()))
        if SIZE in past:  # too large to be told
            number = sum(1 for _ in items_of(source, ORIGINAL_ATTRIBUTES))
        items = [(*_PAST, each) for each in range(number)]
        return [Edit(item, REMOVE) for item in items if item not in asked]


class Making:
    """Makes corrected instances at the time `when`; many in a row get the same correction."""

    def __init__(self, when: str) -> None:
        self.when = when
        self._last: tuple[object, Correcting] | None = None

    def made(
        self, correction: Correction, source: bytes | FileView
    ) -> AbstractContextManager[Corrected]:
        """Give an instance corrected; `CorrectionError` if it can't be."""
        edits, note = correction.asked_of(source, self.when)
        asked = (edits, note, correction.drop_signatures)
        if self._last is None or self._last[0] != asked:
            correcting = Correcting(edits, note, drop_signatures=correction.drop_signatures)
            self._last = asked, correcting
        return self._last[1].corrected(source)


def moment_of(repository: Repository) -> str:
    """Return the present time as a DT value (PS3.5 Section 6.2)."""
    return repository.journal.clock().astimezone(UTC).strftime("%Y%m%d%H%M%S.%f+0000")


# --- the corrected instance ----------------------------------------------------------------------


class MadeFile(Protocol):
    """A file that is made piece by piece: its size in bytes, and its chunks."""

    @property
    def size(self) -> int: ...
    def chunks(self) -> Iterator[bytes]: ...


@contextmanager
def read_corrected(made: MadeFile, name: str, *, complete: bool = True) -> Iterator[Candidate]:
    """Give a corrected instance as one that can be added; one of a large file from a file.

    See `candidate_of`.
    """
    if made.size < LARGE:
        yield candidate_of(b"".join(made.chunks()), name, complete=complete)
        return
    with tempfile.NamedTemporaryFile(prefix="fileset-corrected-") as file:
        for chunk in made.chunks():
            file.write(chunk)
        file.flush()
        candidate = candidate_of(Path(file.name), name, complete=complete)
        yield evolve(candidate, name=None, source=None)


def candidate_of(file: bytes | Path, name: str, *, complete: bool = True) -> Candidate:
    """Return the instance in `file`, its bytes or where it is; messages call it `name`.

    With `complete`, values that records must have are invented: it may have been added so.
    """

    def read(*, complete: bool) -> Candidate:
        if isinstance(file, bytes):
            return read_bytes(file, name, complete=complete)
        return read_path(file, complete=complete)

    try:
        return read(complete=False)
    except RecordError:
        if not complete:
            raise
        return read(complete=True)


def notes_on(made: Corrected, when: str) -> Iterator[str]:
    """Yield what else changed that nobody asked for, and what can't be right at the time `when`."""
    for change in made.changes:
        born = text_of_body(change.after) if change.path == (PATIENT_BIRTH_DATE,) else None
        if born is not None and born > when[:8]:
            yield f"the birth date {born} is in the future"
        if change.after is not None and len(change.path) % 2:
            text = text_of_body(change.after) or ""
            yield from doubts_of(change.path[-1], change.after.get("vr", ""), text)
    if made.switched:
        others = count(len(made.encoded_anew), "other text element")
        also = f", and {others} re-encoded" if made.encoded_anew else ""
        yield f"the character set was switched to ISO_IR 192 (UTF-8){also}"
    for signature in made.signatures:
        what = "was removed" if signature.is_removed else "is no longer valid"
        yield f"digital signature {signature.uid} {what}"


def refuse_taken(state: FileSetState, candidate: Candidate, leaf: Leaf | None) -> None:
    """Raise `CorrectionError` if an instance other than `leaf` has the SOP Instance UID."""
    uid = candidate.instance.sop_instance_uid
    if (other := state.live.get(uid, leaf)) is not None and other is not leaf:
        raise CorrectionError(
            f"its SOP Instance UID would be {uid}, which another instance has, in series "
            f"{other.home.key}"
        )


def corrected_event(
    state: FileSetState,
    candidate: Candidate,
    content: Content,
    replaced: Handle,
    source: str | None,
) -> InstanceCorrected:
    """Return the event that puts `candidate`, whose `content` is kept, in place of another one.

    The `source` is that of the instance as it was, and may tell whose it was: so it is told of no
    other patient's instance.
    """
    top = above(state.leaf(replaced).home)[:1]
    if top and top[0].key != record_key(candidate.records[0]):
        source = None
    added = added_event(state, candidate, content, Placement.VAULT)
    values = {each.name: getattr(added, each.name) for each in fields(InstanceAdded)}
    stead = state.hierarchy.stead(replaced, added.under)
    return InstanceCorrected(**{**values, "source": source}, replaces=replaced, stead=stead)


def ranked(state: FileSetState, event: InstanceCorrected) -> InstanceCorrected:
    """Return an event that is to be recorded next with the rank that its instance gets by then."""
    rank = state.hierarchy.rank_for(state.position + 1, event.replaces, event.under)
    return evolve(event, rank=rank) if rank else event


# --- the account ---------------------------------------------------------------------------------


@frozen
class _Alike:
    """What was corrected in instances, and why."""

    elements: tuple[ElementCorrected, ...]
    reason: CorrectionReason


class Account:
    """What was corrected in which instances; `size` is how many bytes they have then."""

    def __init__(self) -> None:
        self.size = 0
        self._instances: dict[_Alike, list[Handle]] = {}
        self._uids: dict[_Alike, dict[str, str]] = {}
        self._last: tuple[tuple[Change, ...], _Alike] | None = None

    def __bool__(self) -> bool:
        """Whether anything was."""
        return bool(self._instances)

    def add(self, replaced: Handle, made: Corrected, reason: CorrectionReason) -> None:
        """Take in what was corrected in the instance that is `replaced`."""
        last = self._last
        if last is not None and last[0] is made.changes and last[1].reason is reason:
            alike = last[1]  # telling them apart by their values takes longer
        else:
            alike = _Alike(tuple(map(element_of, made.changes)), reason)
            self._last = made.changes, alike
        self._instances.setdefault(alike, []).append(replaced)
        self._uids.setdefault(alike, {}).update(made.uids)
        self.size += made.size

    def events(self) -> Iterator[InstancesCorrected]:
        """Yield an event for all instances in which the same was corrected alike."""
        for each, handles in self._instances.items():
            uids = tuple(self._uids[each].items())
            yield InstancesCorrected(tuple(handles), each.elements, uids, each.reason)

    def uids(self) -> dict[str, str]:
        """Return the UIDs that were replaced wherever they occurred, with the new ones."""
        return {old: new for uids in self._uids.values() for old, new in uids.items()}

    def elements(self) -> tuple[tuple[ElementCorrected, int], ...]:
        """Return what was corrected in how many instances."""
        counts: dict[ElementCorrected, int] = {}
        for each, handles in self._instances.items():
            for element in each.elements:
                counts[element] = counts.get(element, 0) + len(handles)
        return tuple(counts.items())
