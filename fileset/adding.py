"""Adding instances: from what was read of a file to the event that records it."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator
from functools import lru_cache
from itertools import takewhile
from pathlib import Path
from typing import Final, TypeAlias

from attrs import frozen

from fileset.collecting import collecting_seldom
from fileset.contents import Contents
from fileset.finding import FoundFile
from fileset.ingest import (
    Candidate,
    Outcome,
    Report,
    Result,
    absolute,
    read_path,
    same_data_set,
)
from fileset.reading import read_ahead
from fileset.recorders import overridden_recorders
from fileset.repository import Repository
from ledger.digest import digest_of
from ledger.errors import (
    ConflictError,
    ContentMissingError,
    InstanceError,
    LedgerError,
    NotDicomError,
    RecordError,
)
from ledger.events import (
    ConflictNoted,
    Content,
    Handle,
    InstanceAdded,
    InstanceRejected,
    InstanceRestored,
    PatientNameNoted,
    Placement,
    Record,
    RecordRef,
)
from ledger.files import file_content
from ledger.instance import differs
from ledger.vault import Batch
from projections.hierarchy import Branch, Leaf, record_key
from projections.outline import patient_name
from projections.state import FileSetState

_ATTEMPTS: Final = 20

Offered: TypeAlias = Candidate | Result
"""What reading a file gave: an instance that can be added, or the account of why not."""

OnResult: TypeAlias = Callable[[Result], None]
"""Called with the account of each file."""


def offer(
    files: Iterable[FoundFile],
    *,
    complete: bool = False,
    contents: bool = True,
    headers: bool = False,
) -> Iterator[Offered]:
    """Yield what reading each of `files` gives; a bad file is an account, not an exception.

    With `complete`, what the directory records must have and an instance lacks is invented.
    Without `contents` or `headers` the candidates may lack them: that makes it faster.
    """
    recorders = overridden_recorders()
    if recorders or headers:
        ahead: Iterable[tuple[FoundFile, Candidate | None]] = ((file, None) for file in files)
    else:
        ahead = read_ahead(files, complete=complete, contents=contents)
    for (path, skipped), candidate in ahead:
        if candidate is not None:
            yield candidate
            continue
        if skipped is not None:
            yield Result(path, Outcome.SKIPPED, reason=skipped)
            continue
        try:
            # Values of elements that records don't hold may be asked for.
            yield read_path(
                path, complete=complete, contents=contents or headers, recorders=recorders
            )
        except NotDicomError as exc:
            yield Result(path, Outcome.NOT_DICOM, reason=exc.reason)
        except RecordError as exc:
            yield Result(path, Outcome.REJECTED, reason=exc.reason, completable=not complete)
        except InstanceError as exc:
            yield Result(path, Outcome.REJECTED, reason=exc.reason)


@frozen
class Offers:
    """What is offered, made anew each time that it is gone over."""

    make: Callable[[], Iterable[Offered]]

    def __iter__(self) -> Iterator[Offered]:
        """Yield what is offered now."""
        return iter(self.make())


class Adder:
    """Adds instances to a repository."""

    def __init__(self, repository: Repository, contents: Contents) -> None:
        self._repository = repository
        self._contents = contents

    def add_in_place(
        self, offered: Iterable[Offered], root: Path, *, progress: OnResult | None = None
    ) -> Report:
        """Add what is `offered` of files that lie below `root`, where they stay.

        Their content is recorded if the repository is kept.
        """

        def add(candidate: Candidate) -> Result:
            return self._add_one(candidate, lambda: self._in_place(candidate, root))

        return self._account(offered, add, progress)

    def _in_place(self, candidate: Candidate, root: Path) -> InstanceAdded:
        content, source = None, candidate.source or ""
        if self._repository.path is not None:
            content = Content(digest_of(candidate.data), len(candidate.data))
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
    ) -> Report:
        """Add what is `offered` as one change and return the account of each.

        Rejections are recorded in the same change. The content is durable in the vault before
        the change is in the journal. `stop` is asked each time whether to leave all that follows.

        Where a journal without a lock lets another writer in between, all is decided again on what
        is there by then. :class:`~ledger.errors.ConflictError` if that happens time and again, or
        `offered` is an iterator, which can be gone over but once.
        """
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
    ) -> Report:
        with self._repository.change(reason), self._repository.vault.batch() as batch:

            def add(candidate: Candidate) -> Result:
                return self._add_one(
                    candidate, lambda: self._event(candidate, placement, batch), batch
                )

            wanted = offered if stop is None else takewhile(lambda _: not stop(), offered)
            return self._account(wanted, add, progress)

    def _event(self, candidate: Candidate, placement: Placement, batch: Batch) -> InstanceAdded:
        if placement is Placement.REFERENCE and candidate.source is not None:
            content = Content(digest_of(candidate.data), len(candidate.data))
        else:
            placement, content = Placement.VAULT, batch.add(candidate.data)
        return added_event(self._repository.state, candidate, content, placement)

    def _account(
        self,
        offered: Iterable[Offered],
        add: Callable[[Candidate], Result],
        progress: OnResult | None,
    ) -> Report:
        report = Report()
        with collecting_seldom():
            for item in offered:
                if isinstance(item, Result):
                    result = item
                    if item.outcome.is_failure:
                        self._repository.emit(
                            InstanceRejected(absolute(item.source), item.reason or "")
                        )
                else:
                    result = add(item)
                report.results.append(result)
                if progress:
                    progress(result)
        return report

    def _add_one(
        self,
        candidate: Candidate,
        event: Callable[[], InstanceAdded],
        batch: Batch | None = None,
    ) -> Result:
        emit, state = self._repository.emit, self._repository.state
        uid = candidate.instance.sop_instance_uid
        shown = candidate.name or f"SOP Instance {uid}"
        if (standing := state.live.get(uid)) is not None:
            how = self._differs(standing, candidate)
            if how is None:
                note = self._store_anew(standing, candidate, batch)
                return Result(shown, Outcome.ALREADY_THERE, standing.handle, note=note)
            content = Content(digest_of(candidate.data), len(candidate.data))
            emit(ConflictNoted(standing.handle, candidate.source, content))
            return Result(
                shown,
                Outcome.CONFLICTING,
                standing.handle,
                f"the File-set holds the SOP Instance {uid}{_whence(standing)} with other content "
                f"({how}); remove that one first to have this one instead",
            )
        removed = state.removals.get(uid)
        if removed is not None and self._differs(removed, candidate) is None:
            note = self._store_anew(removed, candidate, batch)
            emit(InstanceRestored(removed.handle))
            return Result(shown, Outcome.ADDED, removed.handle, note=note)
        handle = emit(event())
        note = self._note_name(handle, candidate)
        return Result(shown, Outcome.ADDED, handle, invented=candidate.invented, note=note)

    @staticmethod
    def _store_anew(leaf: Leaf, candidate: Candidate, batch: Batch | None) -> str | None:
        """Put the instance's bytes into the vault if what it has of them is damaged or lost."""
        content = leaf.content
        if batch is None or content is None or leaf.placement is not Placement.VAULT:
            return None
        if batch.has(content.digest) or digest_of(candidate.data) != content.digest:
            return None
        batch.add(candidate.data)
        return "its content in the vault was damaged or lost, and was stored anew"

    def _note_name(self, handle: Handle, candidate: Candidate) -> str | None:
        """Record it if the instance's PATIENT record, there before it, has another name."""
        patient = candidate.records[0]
        if patient.type != "PATIENT":
            return None
        branch = top_of(self._repository.state.leaf(handle))
        if branch is None or branch.order == handle:
            return None
        name, standing = patient_name(patient), patient_name(branch.record)
        if name == standing:
            return None
        self._repository.emit(PatientNameNoted(handle, branch.ref, name, standing))
        return f"its patient is '{name}', but that Patient ID stands for '{standing}'"

    def _differs(self, leaf: Leaf, candidate: Candidate) -> str | None:
        """Return how `candidate` differs from the instance that stands, ``None`` if it doesn't.

        Files that hold the same data set in another encoding do not differ.
        """
        try:
            if self._contents.content(leaf).digest == digest_of(candidate.data):
                return None
            there = self._read(leaf)
        except (OSError, LedgerError):
            return "it can't be read to compare"
        how = differs(there, candidate.data)
        if how == "nothing" or (how == "metadata" and same_data_set(there, candidate.data)):
            return None
        return f"its {how} differs"

    def _read(self, leaf: Leaf) -> bytes:
        """Return the instance's bytes, of one in the same batch from where they were just read."""
        try:
            return self._contents.read(leaf)
        except ContentMissingError:
            source = leaf.source
            if source is None or leaf.content != file_content(Path(source)):
                raise
            return Path(source).read_bytes()


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
    under, new = share(state.hierarchy.root, parents)
    instance = candidate.instance
    return InstanceAdded(
        sop_instance_uid=instance.sop_instance_uid,
        sop_class_uid=instance.sop_class_uid,
        transfer_syntax_uid=instance.transfer_syntax_uid,
        record=leaf,
        parents=new,
        under=under,
        content=content,
        placement=placement,
        source=candidate.source if file_id is None else None,
        file_id=file_id,
        invented=dict(candidate.invented),
    )


def share(root: Branch, parents: list[Record]) -> tuple[RecordRef | None, tuple[Record, ...]]:
    """Return the deepest record in the tree that `parents` lead to, and those that are new.

    Records with the same key are one (PS3.3 F.5.1): the one that is there stays as it is.
    """
    branch = root
    for depth, record in enumerate(parents):
        known = branch.find(record_key(record) or "")
        if known is None:
            return _ref(branch), tuple(parents[depth:])
        branch = known
    return _ref(branch), ()


def _ref(branch: Branch) -> RecordRef | None:
    return branch.ref if branch.home is not None else None


def top_of(leaf: Leaf) -> Branch | None:
    """Return the record at the top of the tree above `leaf`, ``None`` if that is its own."""
    branch = leaf.home
    if branch.home is None:
        return None
    while branch.home is not None and branch.home.home is not None:
        branch = branch.home
    return branch
