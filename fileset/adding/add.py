"""Adding instances: from what was read of a file to the event that records it."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import nullcontext
from functools import lru_cache
from itertools import takewhile
from pathlib import Path
from types import MappingProxyType
from typing import Final, TypeAlias

from fileset.adding.candidate import Candidate, absolute
from fileset.adding.coercing import Coerced, Coercer, Coercing
from fileset.adding.faults import Fault, faults_of
from fileset.adding.members import Offered
from fileset.adding.outcome import Outcome, Result
from fileset.adding.report import AddReport
from fileset.adding.standing import reading
from fileset.profiles.recording import ProfileRecorder, warn_unread
from fileset.python_gc import gc_seldom
from fileset.repository.contents import Contents, take_in
from fileset.repository.repository import Repository
from ledger.errors import (
    ConflictError,
    ContentMissingError,
    CorrectionError,
    InstanceError,
    LedgerError,
)
from ledger.events import (
    ConflictNoted,
    Content,
    ContentRecorded,
    Handle,
    InstanceAdded,
    InstanceRejected,
    InstanceRestored,
    MismatchNoted,
    Placement,
    Record,
    Variant,
)
from ledger.instances.compare import differs
from ledger.vault.protocol import Batch
from projections.past.diff import above
from projections.state.differences import differences, in_words, keyword_of
from projections.state.keys import record_key
from projections.state.namesakes import namesakes_above
from projections.state.nodes import Branch, Leaf
from projections.state.persons import other_person
from projections.state.state import FileSetState

_ATTEMPTS: Final = 20
_PATIENT: Final = "PATIENT"
_NONE: Final[Mapping[str, str]] = MappingProxyType({})

OnResult: TypeAlias = Callable[[Result], None]
"""Called with the account of each file."""


class _ForeseenError(Exception):
    """All was tried, and is to be taken back; the `report` says what would be."""

    def __init__(self, report: AddReport) -> None:
        super().__init__()
        self.report = report


class Adder:
    """Adds instances to a repository.

    Those that may belong to a different person from others with their Patient ID are added and
    noted, or rejected with `reject_mismatched`. With `coerce`, what is new is added as it arrived
    and corrected in the same change; one that can't be is rejected.
    """

    def __init__(
        self,
        repository: Repository,
        *,
        reject_mismatched: bool = False,
        coerce: Coercer | None = None,
    ) -> None:
        self._repository = repository
        self._reject_mismatched = reject_mismatched
        self._coerce = coerce
        self._contents = Contents(repository)
        self._profile: ProfileRecorder | None = None

    @property
    def state(self) -> FileSetState:
        """The state of the repository."""
        return self._repository.state

    def add_in_place(
        self, offered: Iterable[Offered], root: Path, *, progress: OnResult | None = None
    ) -> AddReport:
        """Add what is `offered` of files that lie below `root`, where they stay.

        Their content is recorded if the repository is kept.
        """

        def add(candidate: Candidate) -> Result:
            return self._add_one(candidate, lambda: self._in_place(candidate, root))

        return self._account(offered, add, progress)

    def _in_place(self, candidate: Candidate, root: Path) -> InstanceAdded:
        content, source = None, candidate.source or ""
        if self._repository.is_kept:
            content = candidate.content
        return added_event(
            self._repository.state, candidate, content, Placement.ROOT, file_id=below(root, source)
        )

    def add(
        self,
        offered: Iterable[Offered],
        *,
        placement: Placement = Placement.VAULT,
        reason: str | None = None,
        progress: OnResult | None = None,
        stop: Callable[[], bool] | None = None,
        dry_run: bool = False,
    ) -> AddReport:
        """Add what is `offered` as one change and return the account of each.

        Rejections are recorded in the same change. The content is durable in the vault before
        the change is in the journal. `stop` is asked each time whether to leave all that follows.
        With `dry_run` all is tried, and taken back.

        If a journal without a lock lets another writer in between, everything is decided again on
        the new state. `ConflictError` if that keeps happening, or if `offered` is an iterator,
        which can be gone over only once.
        """
        if dry_run:
            try:
                return self._add(offered, placement, reason, progress, stop, dry_run=True)
            except _ForeseenError as foreseen:
                return foreseen.report
        for _ in range(_ATTEMPTS if iter(offered) is not offered else 0):
            try:
                return self._add(offered, placement, reason, progress, stop)
            except ConflictError:
                progress = None  # it has been told
        return self._add(offered, placement, reason, progress, stop)

    def _add(
        self,
        offered: Iterable[Offered],
        placement: Placement,
        reason: str | None,
        progress: OnResult | None,
        stop: Callable[[], bool] | None,
        *,
        dry_run: bool = False,
    ) -> AddReport:
        later = self._repository.is_changing  # then others may follow before anything names it
        with self._repository.change(reason):  # what the batch knows is gone before it is appended
            self._profile = ProfileRecorder(self._repository)
            report = self._add_to_vault(
                offered, placement, progress, stop, later=later, dry_run=dry_run
            )
            if self._profile.is_needed:
                added = (result.handle for result in report if result.outcome is Outcome.ADDED)
                unread = self._profile.complete(h for h in added if h is not None)
                warn_unread(unread, self._profile.unfit)
            return report

    def _add_to_vault(
        self,
        offered: Iterable[Offered],
        placement: Placement,
        progress: OnResult | None,
        stop: Callable[[], bool] | None,
        *,
        later: bool,
        dry_run: bool,
    ) -> AddReport:
        with self._repository.vault.batch(later=later) as batch:
            coercing = self._coerce(self._repository, batch) if self._coerce else None

            def add(candidate: Candidate) -> Result:
                copies = placement is Placement.VAULT or candidate.source is None
                return self._add_one(
                    candidate,
                    lambda: self._event(candidate, placement, batch),
                    lambda leaf: self._secure(leaf, candidate, batch, copies=copies),
                    coercing,
                )

            wanted = offered if stop is None else takewhile(lambda _: not stop(), offered)
            report = self._account(wanted, add, progress)
            if coercing is not None:
                report.elements = coercing.complete()
            if dry_run:
                report.foreseen = self._repository.state.copy()
                raise _ForeseenError(report)
            return report

    def _event(self, candidate: Candidate, placement: Placement, batch: Batch) -> InstanceAdded:
        if placement is Placement.REFERENCE and candidate.source is not None:
            content = candidate.content
        else:
            placement, content = Placement.VAULT, candidate.store(batch)
        return added_event(self._repository.state, candidate, content, placement)

    def _account(
        self,
        offered: Iterable[Offered],
        add: Callable[[Candidate], Result],
        progress: OnResult | None,
    ) -> AddReport:
        report = AddReport()
        with gc_seldom():
            for item in offered:
                if isinstance(item, Result):
                    result = item
                    if item.outcome.is_failure:
                        self._repository.emit(
                            InstanceRejected(absolute(item.source), item.reason or "")
                        )
                else:
                    result = self._added(item, add)
                report.results.append(result)
                if progress:
                    progress(result)
        return report

    def _added(self, candidate: Candidate, add: Callable[[Candidate], Result]) -> Result:
        """Add `candidate`; the file of a large one is read now, which may go wrong."""
        try:
            return add(candidate)
        except InstanceError as exc:
            source = candidate.name or candidate.source or ""
            self._repository.emit(InstanceRejected(absolute(source), exc.reason))
            coerced = False if isinstance(exc, CorrectionError) else None
            return Result(source, Outcome.REJECTED, reason=exc.reason, coerced=coerced)

    def _add_one(
        self,
        candidate: Candidate,
        event: Callable[[], InstanceAdded],
        secure: Callable[[Leaf], str | None] = lambda _: None,
        coercing: Coercing | None = None,
    ) -> Result:
        emit, state = self._repository.emit, self._repository.state
        uid = candidate.instance.sop_instance_uid
        shown = candidate.name or f"SOP Instance {uid}"
        if (version := other_version(state, candidate)) is not None:
            became = _became(state, candidate, version)
            return Result(shown, Outcome.ALREADY_THERE, version.handle, note=became)
        if (standing := state.live.get(uid)) is not None:
            how = self._differs(standing, candidate)
            if how is None:
                note = secure(standing)
                return Result(shown, Outcome.ALREADY_THERE, standing.handle, note=note)
            content = candidate.content
            emit(ConflictNoted(standing.handle, candidate.source, content))
            return Result(
                shown,
                Outcome.CONFLICTING,
                standing.handle,
                f"the File-set holds the SOP Instance {uid}{_whence(standing)} with different "
                f"content "
                f"({how}); remove that one first to add this one instead",
            )
        with coercing.coerced(candidate) if coercing else nullcontext() as coerced:
            return self._add_new(candidate, shown, event, secure, coerced)

    def _add_new(
        self,
        candidate: Candidate,
        shown: str,
        event: Callable[[], InstanceAdded],
        secure: Callable[[Leaf], str | None],
        coerced: Coerced | None,
    ) -> Result:
        """Add what is no part of the File-set, and have it `coerced`."""
        emit, state = self._repository.emit, self._repository.state
        taken = coerced.candidate if coerced else candidate
        other = other_person(state, taken.records[0])
        if other is not None and self._reject_mismatched:
            found = differences(taken.records[0], other)
            why = in_words(_PATIENT, found)
            # The journal has no values of a person whom an erasure could not find by them.
            noted = f"another person may have its Patient ID: {', '.join(map(keyword_of, found))}"
            emit(InstanceRejected(absolute(candidate.name or candidate.source or ""), noted))
            return Result(shown, Outcome.REJECTED, reason=why, mismatch=True)
        removed = state.removals.get(candidate.instance.sop_instance_uid)
        faults: Iterable[Fault] = ()
        if coerced is None and removed is not None and self._differs(removed, candidate) is None:
            stored = secure(removed)
            handle, invented = removed.handle, _NONE
            emit(InstanceRestored(handle))
        else:
            stored, added, invented = None, event(), taken.invented or _NONE
            handle = emit(added)
            if coerced is not None:
                added = coerced.correct(handle)
                handle = emit(added)
            faults = faults_of(taken, added)
        faults = (*faults, *_namesakes(state, handle))
        differing = self._note_mismatches(handle, taken, other)
        notes = [
            stored, *(coerced.notes if coerced else ()), *differing,
            *(fault for fault, _ in faults), self._record_elements(handle, taken),
        ]  # fmt: skip
        note = "; ".join(filter(None, notes)) or None
        return Result(
            shown,
            Outcome.ADDED,
            handle,
            invented=invented,
            note=note,
            mismatch=other is not None,
            faulty=any(is_error for _, is_error in faults),
            coerced=True if coerced else None,
        )

    def _record_elements(self, handle: Handle, candidate: Candidate) -> str | None:
        """Record what the File-set's profile asks of an instance; return what doesn't fit it."""
        if self._profile is None or not self._profile.is_needed:
            return None
        facts = self._profile.facts(candidate.read, candidate.records)
        return self._profile.told(handle, facts)

    def _secure(
        self, leaf: Leaf, candidate: Candidate, batch: Batch, *, copies: bool
    ) -> str | None:
        """Put the bytes of a known instance into the vault, if they should be there and are not.

        With `copies` they should. They are the candidate's or, if that has the data set in a
        different encoding, those in the file where the instance was found.
        """
        content = self._contents.content(leaf)
        is_kept = leaf.placement is Placement.VAULT
        if not (is_kept or copies) or (is_kept and batch.has(content.digest)):
            return None
        if candidate.content == content:
            candidate.store(batch)
        elif is_kept or not self._take_in(leaf, content, batch):
            return None
        if is_kept:
            return "its content in the vault was damaged or lost, and was stored again"
        self._repository.emit(ContentRecorded(leaf.handle, content, Placement.VAULT))
        return "its content was not in the vault, and was stored there"

    def _take_in(self, leaf: Leaf, content: Content, batch: Batch) -> bool:
        """Put the instance's file where it lies into the vault; return whether it is `content`."""
        try:
            return take_in(self._contents.path(leaf), batch) == content
        except (OSError, ContentMissingError):
            return False

    def _note_mismatches(
        self, handle: Handle, candidate: Candidate, other: Record | None
    ) -> Iterator[str]:
        """Record it, and yield it in words, if the instance differs from the records above it.

        Of the patient that is `other`, what another person with its Patient ID has.
        """
        for branch, said in zip(
            above(self._repository.state.leaf(handle).home), candidate.records, strict=False
        ):
            standing = other if said.type == _PATIENT else branch.record
            if standing is None or said == standing or said.type != standing.type:
                continue
            if found := differences(said, standing):
                keywords = tuple(map(keyword_of, found))
                self._repository.emit(MismatchNoted(handle, branch.ref, keywords))
                yield in_words(said.type, found)

    def _differs(self, leaf: Leaf, candidate: Candidate) -> str | None:
        """Return how `candidate` differs from the instance that stands, `None` if it doesn't.

        Files that hold the same data set in another encoding do not differ.
        """
        try:
            content = self._contents.content(leaf)
            if content.digest == candidate.content.digest:
                return None
            with reading(self._contents, leaf, content) as there, candidate.read() as offered:
                how = differs(there, offered)
        except (OSError, LedgerError):
            return "it can't be read to compare"
        return None if how == "nothing" else f"its {how} differs"


def _namesakes(state: FileSetState, handle: Handle) -> Iterator[Fault]:
    """Yield which records above an instance have the name of others, in other places."""
    for each in namesakes_above(state, state.leaf(handle)):
        yield f"its {each.branch.own.type} record {each.text}", each.is_error


def _whence(leaf: Leaf) -> str:
    if leaf.source:
        return f", added from {leaf.source},"
    return f", at {leaf.file_id}," if leaf.file_id else ""


def below(root: Path, path: str) -> str:
    """Return the File ID of the file at `path`, which lies below the folder `root`."""
    folder = _with_separator(root)
    if not path.startswith(folder):
        raise ValueError(f"{path} is not below {root}")
    return path[len(folder) :]


@lru_cache(maxsize=16)
def _with_separator(folder: Path) -> str:
    return os.path.join(folder, "")


def added_event(
    state: FileSetState,
    candidate: Candidate,
    content: Content | None,
    placement: Placement,
    *,
    file_id: str | None = None,
) -> InstanceAdded:
    """Return the event that adds `candidate`, below the records of `state` that it shares.

    With a `file_id` it lies there on the medium already.
    """
    *parents, leaf = candidate.records
    shared, new = share(state.hierarchy.root, parents)
    instance = candidate.instance
    return InstanceAdded(
        sop_instance_uid=instance.sop_instance_uid,
        sop_class_uid=instance.sop_class_uid,
        transfer_syntax_uid=instance.transfer_syntax_uid,
        record=leaf,
        parents=new,
        under=shared[-1].ref if shared else None,
        content=content,
        placement=placement,
        source=candidate.source if file_id is None else None,
        file_id=file_id,
        invented=dict(candidate.invented),
        differing=variants(shared, parents),
    )


def other_version(state: FileSetState, candidate: Candidate) -> Leaf | None:
    """Return the instance of the File-set of which `candidate` is another version, if one is.

    See `FileSetState.other_version`. InstanceError if a large file can't be read again.
    """
    if not state.hierarchy.replaced:
        return None  # nor need its digest be known
    return state.other_version(candidate.instance.sop_instance_uid, candidate.content.digest)


def _became(state: FileSetState, candidate: Candidate, version: Leaf) -> str:
    """Return that `candidate` was corrected to `version`, or that this was undone."""
    leaves = [state.leaf(each) for each in state.hierarchy.versions(version.handle)]
    uid, digest = candidate.instance.sop_instance_uid, candidate.content.digest
    same = [leaf for leaf in leaves if leaf.has(digest)] or [
        leaf for leaf in leaves if leaf.uid == uid
    ]
    patients = [each.key for each in above(version.home) if each.own.type == _PATIENT]
    of = f" of patient {patients[0]}" if patients else ""
    if same[0].handle < version.handle:
        return f"it was corrected since: the File-set has it as SOP Instance {version.uid}{of}"
    return f"its correction was undone: the File-set has SOP Instance {version.uid}{of} instead"


def share(root: Branch, parents: list[Record]) -> tuple[list[Branch], tuple[Record, ...]]:
    """Return the records in the tree that `parents` lead to, from the top, and those that are new.

    Records of one type with the same key are one (PS3.3 F.5.1), whatever else they say.
    """
    shared: list[Branch] = []
    branch = root
    for depth, record in enumerate(parents):
        known = branch.find(record.type, record_key(record) or "")
        if known is None:
            return shared, tuple(parents[depth:])
        shared.append(known)
        branch = known
    return shared, ()


def variants(shared: list[Branch], said: Sequence[Record]) -> tuple[Variant, ...]:
    """Return what an instance says of the records `shared` that the journal holds otherwise."""
    return tuple(
        Variant(branch.ref, record)
        for branch, record in zip(shared, said, strict=False)
        if record != branch.own
    )
