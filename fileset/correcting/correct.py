"""Correcting instances: from what is asked to corrected content and the events that record it.

The instance as it was goes into the vault first, wherever it was, so that undo restores its very
bytes. What is corrected becomes an instance of its own that takes the place of the other one.
"""

from __future__ import annotations

import os
import tempfile
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager, suppress
from datetime import UTC
from enum import Enum
from pathlib import Path
from typing import Final

from attrs import evolve, field, fields, frozen

from fileset.adding.add import added_event
from fileset.adding.candidate import LARGE, Candidate, LargeFile, read_bytes, read_path
from fileset.correcting.merging import merged
from fileset.correcting.words import element_of, text_of_body
from fileset.repository.contents import Contents, take_in
from fileset.repository.repository import Repository
from ledger.errors import ContentDamagedError, CorrectionError, LedgerError, RecordError
from ledger.events import (
    ContentRecorded,
    CorrectionReason,
    ElementCorrected,
    Event,
    Handle,
    InstanceAdded,
    InstanceCorrected,
    InstancesCorrected,
    Placement,
    Record,
)
from ledger.files import FileStamp, FileView
from ledger.instances.correcting.correct import Corrected, corrected
from ledger.instances.correcting.edits import Edit, OriginalAttributes, UIDsReplaced, path_of
from ledger.instances.correcting.present import values_of
from ledger.phrases import count
from ledger.tags import PATIENT_ID
from ledger.vault.protocol import Batch
from projections.past.diff import above, place_of
from projections.state.nodes import Leaf

SYSTEM: Final = "fileset-ledger"
"""Modifying System (0400,0563) of what is corrected."""


class CorrectionOutcome(Enum):
    """What became of an instance that was to be corrected."""

    CORRECTED = "corrected"
    UNCHANGED = "unchanged"
    """It has these values already."""
    FAILED = "failed"
    """It can't be corrected, and is as it was."""


@frozen
class CorrectionResult:
    """The account of one instance.

    Attributes
    ----------
    handle : int
        The instance as it was.
    uid : str
        Its SOP Instance UID then.
    outcome : CorrectionOutcome
        What became of it.
    corrected : int or None
        The instance that took its place.
    reason : str or None
        Why it can't be corrected.
    notes : tuple of str
        What else there is to know of it.
    """

    handle: Handle
    uid: str
    outcome: CorrectionOutcome
    corrected: Handle | None = None
    reason: str | None = None
    notes: tuple[str, ...] = ()


@frozen
class CorrectionReport:
    """The account of a correction.

    `elements` says what was corrected in how many instances, `size` how many bytes the corrected
    ones have together, and `change` is the id of the change, `None` if nothing was recorded. The
    `events` are those that would be recorded, if nothing was.
    """

    results: tuple[CorrectionResult, ...]
    elements: tuple[tuple[ElementCorrected, int], ...] = ()
    size: int = 0
    change: str | None = None
    events: tuple[Event, ...] = field(default=(), repr=False)

    def of(self, outcome: CorrectionOutcome) -> list[CorrectionResult]:
        """Return the results with `outcome`."""
        return [result for result in self.results if result.outcome is outcome]

    @property
    def is_incomplete(self) -> bool:
        """Whether any instance could not be corrected."""
        return bool(self.of(CorrectionOutcome.FAILED))


@frozen
class _Done:
    """What was corrected in an instance, why, and how many bytes it has then."""

    elements: tuple[ElementCorrected, ...]
    uids: tuple[tuple[str, str], ...]
    reason: CorrectionReason
    size: int = field(eq=False)


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

    @property
    def _moves(self) -> bool:
        """Whether the instance gets another Patient ID."""
        return any(isinstance(edit, Edit) and edit.path == (PATIENT_ID,) for edit in self.edits)

    def may_change(self, source: bytes | FileView) -> bool:
        """Whether there may be anything to correct: a quick test of a small instance."""
        if not self.is_of_references or not isinstance(source, bytes):
            return True
        replaced = (edit.uids for edit in self.edits if isinstance(edit, UIDsReplaced))
        return any(old.encode() in source for uids in replaced for old in uids)

    def made(self, source: bytes | FileView, when: str) -> AbstractContextManager[Corrected]:
        """Give an instance corrected at the time `when`; `CorrectionError` if it can't be."""
        note = None
        if self.original_attributes or (self.original_attributes is None and not self._moves):
            note = OriginalAttributes(when=when, system=SYSTEM, reason=self.reason.value)
        return corrected(source, self.edits, note, drop_signatures=self.drop_signatures)


class _ForeseenError(Exception):
    """All was tried, and is to be taken back."""


class Corrector:
    """Corrects instances of a repository."""

    def __init__(self, repository: Repository) -> None:
        self._repository = repository
        self._contents = Contents(repository)
        self._foreseen: list[Event] | None = None

    def correct(
        self,
        wanted: Mapping[Leaf, Correction],
        *,
        reason: str | None = None,
        progress: Callable[[CorrectionResult], None] | None = None,
        dry_run: bool = False,
    ) -> CorrectionReport:
        """Correct instances of the File-set as one change; return the account.

        With `dry_run` all is tried, and taken back.

        One that can't be corrected is in the account with the reason, and stays as it was. The
        bytes of all others as they were, and the corrected ones, are durable in the vault before
        the change is in the journal.
        """
        repository = self._repository
        results: list[CorrectionResult] = []
        self._foreseen = [] if dry_run else None
        done: dict[Handle, _Done] = {}
        with (
            suppress(_ForeseenError),
            repository.change(reason) as change,
            repository.vault.batch() as batch,
        ):
            for leaf in sorted(wanted, key=place_of):
                result = self._correct_one(leaf, wanted[leaf], batch, done)
                if result.outcome is CorrectionOutcome.UNCHANGED and wanted[leaf].is_of_references:
                    continue
                results.append(result)
                if progress is not None:
                    progress(result)
            for event in _groups(done):
                self._emit(event)
            if dry_run:
                raise _ForeseenError
        return CorrectionReport(
            tuple(results),
            _counted(done.values()),
            sum(each.size for each in done.values()),
            change if done and not dry_run else None,
            tuple(self._foreseen or ()),
        )

    def _when(self) -> str:
        """Return the present time as a DT value (PS3.5 Section 6.2)."""
        return self._repository.journal.clock().astimezone(UTC).strftime("%Y%m%d%H%M%S.%f+0000")

    def _emit(self, event: Event) -> Handle:
        if self._foreseen is not None:
            self._foreseen.append(event)
        return self._repository.emit(event)

    def value_of(self, leaf: Leaf, keyword: str) -> str | None:
        """Return the value that an instance has for `keyword`, as text; `None` without one.

        Raises OSError or LedgerError if it can't be read.
        """
        path = path_of(keyword)
        with self._original(leaf) as source:
            return text_of_body(values_of(source, [path])[path])

    def _correct_one(
        self, leaf: Leaf, correction: Correction, batch: Batch, done: dict[Handle, _Done]
    ) -> CorrectionResult:
        unchanged = CorrectionResult(leaf.handle, leaf.uid, CorrectionOutcome.UNCHANGED)
        try:
            with self._original(leaf) as source:
                if not correction.may_change(source):
                    return unchanged
                with correction.made(source, self._when()) as made:
                    if not made.is_changed:
                        return unchanged
                    with _read(made, leaf.uid) as candidate:
                        event = self._event(leaf, candidate, source, batch)
                secured = self._secure(leaf, source, batch)
        except (LedgerError, OSError) as exc:
            why = str(exc) if isinstance(exc, LedgerError) else f"can't be read: {exc.strerror}"
            return CorrectionResult(leaf.handle, leaf.uid, CorrectionOutcome.FAILED, reason=why)
        if secured is not None:
            self._emit(secured)
        handle = self._emit(event)
        elements, uids = tuple(map(element_of, made.changes)), tuple(made.uids.items())
        done[leaf.handle] = _Done(elements, uids, correction.reason, made.size)
        return CorrectionResult(
            leaf.handle, leaf.uid, CorrectionOutcome.CORRECTED, handle, notes=tuple(_notes(made))
        )

    @contextmanager
    def _original(self, leaf: Leaf) -> Iterator[bytes | FileView]:
        """Give the instance's bytes, those of a large one without reading all.

        OSError, `ContentMissingError`, or `ContentDamagedError` if a small one's are not what was
        recorded.
        """
        is_kept = leaf.placement is Placement.VAULT and leaf.content is not None
        if self._contents.content(leaf).size < LARGE:
            yield self._contents.read(leaf)
        elif is_kept and leaf.content is not None:
            with self._repository.vault.view(leaf.content.digest) as view:
                yield view
        else:
            path = self._contents.path(leaf)
            with LargeFile(os.fspath(path), FileStamp.of(path.stat())).view() as view:
                yield view

    def _secure(self, leaf: Leaf, source: bytes | FileView, batch: Batch) -> ContentRecorded | None:
        """Have the instance as it was in the vault; return the event, if it wasn't said to be."""
        if leaf.placement is Placement.VAULT and leaf.content is not None:
            if not isinstance(source, bytes) and not batch.has(leaf.content.digest):
                raise ContentDamagedError(f"The vault does not have {leaf.uid} whole.")
            return None
        if isinstance(source, bytes):
            stored = batch.add(source)
        else:
            stored = take_in(self._contents.path(leaf), batch)
        if leaf.content not in (None, stored):
            raise ContentDamagedError(
                f"{self._contents.path(leaf)} has changed since it was added."
            )
        return ContentRecorded(leaf.handle, stored, Placement.VAULT)

    def _event(
        self, leaf: Leaf, candidate: Candidate, source: bytes | FileView, batch: Batch
    ) -> InstanceCorrected:
        """Return the event that puts `candidate`, which goes into the vault, in place of `leaf`."""
        state = self._repository.state
        uid = candidate.instance.sop_instance_uid
        if (other := state.live.get(uid, leaf)) is not leaf:
            raise CorrectionError(
                f"its SOP Instance UID would be {uid}, which another instance has: of the series "
                f"{other.home.key}"
            )
        first = state.hierarchy.leaves.get(state.hierarchy.first_version(leaf.handle), leaf)
        if first.adopted_as is not None:  # its DICOMDIR says what our records need not
            said = _said_by(leaf)
            candidate = evolve(
                candidate, records=merged(_records_of(source), said, candidate.records)
            )
        content = candidate.store(batch)
        added = added_event(state, candidate, content, Placement.VAULT)
        values = {each.name: getattr(added, each.name) for each in fields(InstanceAdded)}
        return InstanceCorrected(**{**values, "source": leaf.source}, replaces=leaf.handle)


def _records_of(source: bytes | FileView) -> Sequence[Record]:
    return _candidate(source if isinstance(source, bytes) else source[:], "").records


def _said_by(leaf: Leaf) -> list[Record]:
    """Return what an instance says of the records above it, from the top down, and its own."""
    said = [
        branch.own if branch.variants is None else branch.variants.said_by(leaf)
        for branch in above(leaf.home)
    ]
    return [*said, leaf.record]


@contextmanager
def _read(made: Corrected, name: str) -> Iterator[Candidate]:
    """Give a corrected instance as one that can be added; one of a large file from a file."""
    if made.size < LARGE:
        yield _candidate(b"".join(made.chunks()), name)
        return
    with tempfile.NamedTemporaryFile(prefix="fileset-corrected-") as file:
        for chunk in made.chunks():
            file.write(chunk)
        file.flush()
        yield evolve(read_path(Path(file.name)), name=None)


def _notes(made: Corrected) -> Iterator[str]:
    """Yield what else changed that nobody asked for."""
    if made.switched:
        others = count(len(made.encoded_anew), "other text element")
        yield f"its character set is ISO_IR 192 now; encoded anew: {others}"
    for signature in made.signatures:
        what = "was removed" if signature.is_removed else "no longer fits"
        yield f"the digital signature {signature.uid} {what}"


def _candidate(data: bytes, name: str) -> Candidate:
    try:
        return read_bytes(data, name)
    except RecordError:  # it was added with values invented
        return read_bytes(data, name, complete=True)


def _groups(done: Mapping[Handle, _Done]) -> Iterator[InstancesCorrected]:
    """Yield an event for all instances in which the same was corrected alike."""
    alike: dict[_Done, list[Handle]] = {}
    for handle, each in done.items():
        alike.setdefault(each, []).append(handle)
    for each, handles in alike.items():
        yield InstancesCorrected(tuple(handles), each.elements, each.uids, each.reason)


def _counted(done: Iterable[_Done]) -> tuple[tuple[ElementCorrected, int], ...]:
    counts: dict[ElementCorrected, int] = {}
    for each in done:
        for element in each.elements:
            counts[element] = counts.get(element, 0) + 1
    return tuple(counts.items())
