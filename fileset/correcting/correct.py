"""Correcting instances: from what is asked to corrected content and the events that record it.

The instance as it was goes into the vault first, wherever it was, so that undo restores its very
bytes. What is corrected becomes an instance of its own that takes the place of the other one.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, ExitStack, contextmanager, suppress
from enum import Enum
from pathlib import Path
from typing import Final

from attrs import evolve, field, frozen

from fileset.adding.candidate import Candidate, LargeFile
from fileset.correcting.correction import (
    Account,
    Correction,
    MadeFile,
    Making,
    candidate_of,
    corrected_event,
    moment_of,
    notes_on,
    ranked,
    read_corrected,
    refuse_taken,
)
from fileset.correcting.merging import merged
from fileset.correcting.words import text_of_body
from fileset.profiles.recording import ProfileRecorder, warn_unread
from fileset.python_gc import gc_seldom
from fileset.repository.contents import Contents, take_in
from fileset.repository.repository import Repository
from ledger.errors import (
    ContentDamagedError,
    ContentMissingError,
    CorrectionError,
    ElementsError,
    InstanceError,
    RecordError,
)
from ledger.events import (
    ContentRecorded,
    ElementCorrected,
    Event,
    Handle,
    InstanceCorrected,
    Placement,
    Record,
)
from ledger.files import LARGE, FileStamp, FileView
from ledger.instances.correcting.correct import Corrected
from ledger.instances.correcting.edits import path_of
from ledger.instances.correcting.present import values_of
from ledger.vault.protocol import Batch
from projections.dicomdir.profiles.fitting import InstanceFacts
from projections.past.diff import above, place_of
from projections.state.nodes import Leaf

ITS_OWN: Final = (InstanceError, ElementsError, ContentMissingError, ContentDamagedError)
"""What is wrong with one instance: others can be corrected all the same."""


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
    ones have together, `uids` are those that were replaced wherever they occurred, with the new
    ones, and `change` is the id of the change, `None` if nothing was recorded. The `events` are
    those that would be recorded, if nothing was.
    """

    results: tuple[CorrectionResult, ...]
    elements: tuple[tuple[ElementCorrected, int], ...] = ()
    size: int = 0
    change: str | None = None
    events: tuple[Event, ...] = field(default=(), repr=False)
    uids: Mapping[str, str] = field(factory=dict, repr=False)

    def of(self, outcome: CorrectionOutcome) -> list[CorrectionResult]:
        """Return the results with `outcome`."""
        return [result for result in self.results if result.outcome is outcome]

    @property
    def is_incomplete(self) -> bool:
        """Whether any instance could not be corrected."""
        return bool(self.of(CorrectionOutcome.FAILED))


class _ForeseenError(Exception):
    """All was tried, and is to be taken back."""


class Corrector:
    """Corrects instances of a repository."""

    def __init__(self, repository: Repository) -> None:
        self._repository = repository
        self._contents = Contents(repository)
        self._foreseen: list[Event] | None = None
        self._making = Making("")
        self._profile = ProfileRecorder(repository)

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
        self._making = Making(moment_of(repository))
        done = Account()
        with suppress(_ForeseenError), repository.change(reason) as change, gc_seldom():
            self._profile = ProfileRecorder(repository)
            with repository.vault.batch() as batch:
                for result in self._corrected(wanted, batch, done):
                    results.append(result)
                    if progress is not None:
                        progress(result)
                for event in done.events():
                    self._emit(event)
                if dry_run:
                    raise _ForeseenError
            made = (each.corrected for each in results)
            unread = self._profile.complete(handle for handle in made if handle is not None)
            warn_unread(unread, self._profile.unfit)
        return CorrectionReport(
            tuple(results),
            done.elements(),
            done.size,
            change if done and not dry_run else None,
            tuple(self._foreseen or ()),
            done.uids(),
        )

    def _corrected(
        self, wanted: Mapping[Leaf, Correction], batch: Batch, done: Account
    ) -> Iterator[CorrectionResult]:
        for leaf in sorted(wanted, key=place_of):
            result = self._correct_one(leaf, wanted[leaf], batch, done)
            is_changed = result.outcome is not CorrectionOutcome.UNCHANGED
            if is_changed or not wanted[leaf].is_of_references:
                yield result

    def _emit(self, event: Event) -> Handle:
        if self._foreseen is not None:
            self._foreseen.append(event)
        return self._repository.emit(event)

    def value_of(self, leaf: Leaf, keyword: str) -> str | None:
        """Return the value that an instance has for `keyword`, as text; `None` without one.

        So it is with an instance that can't be read: correcting it says so.
        """
        path = path_of(keyword)
        try:
            with self._original(leaf) as source:
                return text_of_body(values_of(source, [path])[path])
        except ITS_OWN:
            return None

    def _correct_one(
        self, leaf: Leaf, correction: Correction, batch: Batch, done: Account
    ) -> CorrectionResult:
        unchanged = CorrectionResult(leaf.handle, leaf.uid, CorrectionOutcome.UNCHANGED)
        try:
            with self._original(leaf) as source:
                if not correction.may_change(source):
                    return unchanged
                with self._making.made(correction, source) as made:
                    if not made.is_changed:
                        return unchanged
                    event, facts = self._event(leaf, made, source, batch)
                secured = self._secure(leaf, source, batch)
        except ITS_OWN as exc:
            return CorrectionResult(
                leaf.handle, leaf.uid, CorrectionOutcome.FAILED, reason=str(exc)
            )
        handle = self._take_place(event, facts, secured)
        done.add(leaf.handle, made, correction.reason)
        return CorrectionResult(
            leaf.handle,
            leaf.uid,
            CorrectionOutcome.CORRECTED,
            handle,
            notes=tuple(notes_on(made, self._making.when)),
        )

    def _take_place(
        self, event: InstanceCorrected, facts: InstanceFacts | None, secured: ContentRecorded | None
    ) -> Handle:
        """Record an instance in the place of another one, which was `secured` if it had to be."""
        if secured is not None:
            self._emit(secured)
        handle = self._emit(ranked(self._repository.state, event))
        self._profile.told(handle, facts)
        return handle

    @contextmanager
    def _original(self, leaf: Leaf) -> Iterator[bytes | FileView]:
        """Give the instance's bytes, those of a large one without reading all.

        `CorrectionError` if it can't be read, `ContentMissingError`, or `ContentDamagedError` if a
        small one's bytes are not what was recorded.
        """
        large: AbstractContextManager[FileView] | None = None
        with _unread():
            if self._contents.content(leaf).size < LARGE:
                data = self._contents.read(leaf)
            elif leaf.placement is Placement.VAULT and leaf.content is not None:
                large = self._repository.vault.view(leaf.content.digest)
            else:
                path = self._contents.path(leaf)
                large = LargeFile(os.fspath(path), FileStamp.of(path.stat())).view()
        if large is None:
            yield data
            return
        with large as view:
            yield view

    def _secure(self, leaf: Leaf, source: bytes | FileView, batch: Batch) -> ContentRecorded | None:
        """Have the instance as it was in the vault; return the event, if it wasn't said to be."""
        if leaf.placement is Placement.VAULT and leaf.content is not None:
            if not isinstance(source, bytes) and not batch.has(leaf.content.digest):
                raise ContentDamagedError(f"The vault has no complete copy of {leaf.uid}.")
            return None
        if isinstance(source, bytes):
            stored = batch.add(source)
        else:
            with _unread():
                stored = take_in(self._contents.path(leaf), batch)
        if leaf.content not in (None, stored):
            raise ContentDamagedError(
                f"{self._contents.path(leaf)} has changed since it was added."
            )
        return ContentRecorded(leaf.handle, stored, Placement.VAULT)

    def _event(
        self, leaf: Leaf, made: Corrected, source: bytes | FileView, batch: Batch
    ) -> tuple[InstanceCorrected, InstanceFacts | None]:
        """Return the event that puts what was `made` in place of `leaf`; it goes into the vault.

        And what the File-set's profile asks of it, if there is one.
        """
        with self._read(leaf, made, source) as candidate:
            return self._event_of(leaf, candidate, source, batch)

    @contextmanager
    def _read(self, leaf: Leaf, made: MadeFile, source: bytes | FileView) -> Iterator[Candidate]:
        """Give what was `made` of an instance as one that can be added.

        Values that its records must have are invented if they were before, else RecordError.
        """
        with ExitStack() as stack:
            try:
                made_of = stack.enter_context(read_corrected(made, leaf.uid, complete=False))
            except RecordError:
                if not candidate_of(self._file_of(leaf, source), leaf.uid).invented:
                    raise
                made_of = stack.enter_context(read_corrected(made, leaf.uid))
            yield made_of

    def _file_of(self, leaf: Leaf, source: bytes | FileView) -> bytes | Path:
        return source if isinstance(source, bytes) else self._contents.path(leaf)

    def _event_of(
        self, leaf: Leaf, candidate: Candidate, source: bytes | FileView, batch: Batch
    ) -> tuple[InstanceCorrected, InstanceFacts | None]:
        state = self._repository.state
        refuse_taken(state, candidate, leaf)
        first = state.hierarchy.leaves.get(state.hierarchy.first_version(leaf.handle), leaf)
        if first.adopted_as is not None:  # its DICOMDIR says what our records need not
            said = _said_by(leaf)
            before = candidate_of(self._file_of(leaf, source), leaf.uid).records
            candidate = evolve(candidate, records=merged(before, said, candidate.records))
        content = candidate.store(batch)
        event = corrected_event(state, candidate, content, leaf.handle, leaf.source)
        return event, self._profile.facts(candidate.read, candidate.records)


@contextmanager
def _unread() -> Iterator[None]:
    """Have what the system says of a file that can't be read be a `CorrectionError`."""
    try:
        yield
    except OSError as exc:
        raise CorrectionError(f"can't be read: {exc.strerror}") from exc


def _said_by(leaf: Leaf) -> list[Record]:
    """Return what an instance says of the records above it, from the top down, and its own."""
    return [*(branch.said_by(leaf) for branch in above(leaf.home)), leaf.record]
