"""Adding files to the repository: one change for what has arrived of a study."""

from __future__ import annotations

import os
from collections import OrderedDict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import closing, suppress
from functools import cached_property
from pathlib import Path
from typing import Final, TypeAlias

from attrs import astuple, evolve

from fileset.adding.add import Adder, other_version
from fileset.adding.candidate import Candidate, LargeFile, absolute, read_path
from fileset.adding.coercing import Coercer
from fileset.adding.find import FoundFile
from fileset.adding.offer import Offered, offer
from fileset.adding.outcome import Outcome, Result
from fileset.adding.recorders import overridden_recorders
from fileset.adding.report import AddReport
from fileset.errors import RefusedError
from fileset.fileset import FileSet
from fileset.quarantine.quarantine import WITHHELD, WITHHELD_OTHER, Quarantine
from fileset.repository.repository import Repository
from fileset.repository.store import open_journal
from fileset.watching.account import MISMATCHED, UNCOERCED, Account, Committed, Refusal
from fileset.watching.known_files import JournalMark
from fileset.watching.log import FAILURES
from fileset.watching.mounts import overlap
from fileset.watching.settling import Observation
from fileset.watching.studies import Study
from fileset.watching.unfinished import NO_PIXELS, is_being_written, lacks_pixels
from fileset.watching.withheld_before import WithheldBefore
from ledger.digest import Digest
from ledger.errors import InstanceError
from ledger.events import ArrivalWithheld, Content, Handle, InstanceRejected, Placement
from ledger.files import LARGE, FileStamp, stamp_of, viewed
from ledger.phrases import storable
from projections.medium.late import is_written
from projections.state.keys import record_key
from projections.state.nodes import Leaf

HadContent: TypeAlias = Callable[[str, Callable[[], Digest]], bool]
"""Whether the file that was kept at a path had the content of that digest."""

_SMALL: Final = 1 << 16  # bytes of a file that reading its head reads whole
_MOST_READ: Final = 20_000  # files of which what was read is kept until they are committed


class Ingester:
    """Reads files for the repository in the folder `path` and commits them to it.

    Only one thread may use it. The repository is opened when there is something to commit, so that
    an idle watcher holds no outdated state in memory. `keeps` is whether files stay where they are
    afterwards. `patience` is how many seconds to wait for others who are changing the repository,
    `None` as always. `coerce` gives what arrives other values.
    """

    def __init__(
        self,
        path: Path,
        *,
        actor: str | None,
        complete: bool,
        reject_mismatched: bool,
        coerce: Coercer | None,
        keeps: bool,
        patience: float | None,
    ) -> None:
        self._path = path
        self._patience = patience
        self._actor = actor
        self._complete = complete
        self._reject_mismatched = reject_mismatched
        self._coerce = coerce
        self._keeps = keeps
        self._file_set: FileSet | None = None
        self._before: WithheldBefore | None = None
        self._origin: str | None = None
        self._read: OrderedDict[str, tuple[FileStamp, Candidate]] = OrderedDict()

    def file_set(self, origin: str | None = None) -> FileSet:
        """Return the File-set of the repository, which is opened if it isn't.

        Its changes come from `origin`; if that is not given, from where the last ones came.
        """
        if self._file_set is None:
            self._file_set = FileSet.open(self._path)
            self._file_set.repository.actor = self._actor
            if self._patience is not None:
                self._file_set.repository.patience = self._patience
        self._origin = origin or self._origin
        if self._origin is not None:
            self._file_set.repository.origin = self._origin
        return self._file_set

    def close(self) -> None:
        """Close the repository, to be opened again: the safe thing to do after a failure."""
        if self._file_set is not None:
            file_set, self._file_set, self._before = self._file_set, None, None
            with suppress(*FAILURES):
                file_set.close()

    def study_of(self, file: Observation) -> str:
        """Return the Study Instance UID of a file, or `""`; InstanceError or OSError if bad.

        What was read of it, but not its bytes, is kept for when it is committed.
        """
        path = file.path
        self._read.pop(path, None)
        candidate = read_path(
            path, complete=self._complete, contents=False, recorders=overridden_recorders()
        )
        if _lacks_pixels(candidate, file):
            raise InstanceError(NO_PIXELS, name=path)
        self._read[path] = (
            file.stamp,
            evolve(
                candidate,
                data=None,
                instance=evolve(candidate.instance, header={}),
                large=LargeFile(absolute(path), file.stamp),
            ),
        )
        if len(self._read) > _MOST_READ:
            self._read.popitem(last=False)
        for record in candidate.records:
            if record.type == "STUDY":
                return record_key(record) or ""
        return ""

    def _read_before(self, files: Iterable[Observation]) -> Mapping[str, Candidate]:
        """Return, and forget, what was read of those of `files` that were read as they are."""
        found = {}
        for file in files:
            stamp, candidate = self._read.pop(file.path, (None, None))
            if candidate is not None and stamp == file.stamp:
                found[file.path] = candidate
        return found

    def commit(self, study: Study, origin: str, had: HadContent) -> tuple[Committed, Account]:
        """Add the files of `study` as one change, and return what became of each.

        RefusedError if the study lies on the medium; InstanceError, OSError and others as adding.
        """
        repository, folder = self.file_set(origin).repository, study.key.folder
        _refuse_medium(repository, folder)
        self._before = self._before or WithheldBefore(repository)
        files = [*study.files.values()]
        commit = _StudyCommit(
            repository, had, self._before, self._read_before(files), keeps=self._keeps
        )
        adder = Adder(repository, reject_mismatched=self._reject_mismatched, coerce=self._coerce)
        with repository.exclusively():  # nothing comes between what is asked and what is done
            late = self._is_late(repository, study.key.uid)
            reason = f"watch: {folder}" + "; late: the study has been written" * late
            before = repository.refresh().position
            with repository.change(reason) as id_:
                report = adder.add(commit.candidates(files, self._complete))
            is_recorded = repository.state.position > before
        commit.settle(report)
        committed = Committed(
            id_ if is_recorded else None,
            folder,
            study.key.uid,
            report.counts[Outcome.ADDED],
            report.counts[Outcome.ALREADY_THERE],
            commit.taken_back,
            report.counts[Outcome.CONFLICTING],
            late,
            sum(result.mismatch for result in report),
            report.faulty,
            report.coerced,
        )
        return committed, commit.account

    @staticmethod
    def _is_late(repository: Repository, uid: str) -> bool:
        return bool(uid) and is_written(repository.refresh(), uid)

    def has(self, digest: Digest) -> bool:
        """Whether an instance of the File-set has that content, and the vault has it sound."""
        repository = self.file_set().repository
        if digest not in repository.vault:
            return False
        if not any(leaf.has(digest) for leaf in repository.refresh().live.values()):
            return False
        return repository.vault.is_sound(digest)

    def mark(self) -> JournalMark:
        """Return the end of the journal."""
        journal = self.file_set().repository.journal
        return JournalMark(journal.id, *astuple(journal.head()))

    def goes_on_from(self, mark: JournalMark) -> bool:
        """Whether the journal that is there now, perhaps another one, goes on from `mark`."""
        with closing(open_journal(self._path)) as journal:
            return journal.id == mark.journal and journal.hash_at(mark.position) == mark.hash

    def record_withheld(
        self, folder: str, origin: str, withheld: Iterable[tuple[str, str, Content]]
    ) -> list[bool]:
        """Record that files were withheld: their paths, SOP Instance UIDs, and contents.

        Return for each whether it was: somebody may have taken or erased the instance meanwhile.
        """
        repository = self.file_set(origin).repository
        done = []
        with repository.exclusively(), repository.change(f"watch: {folder}"):
            for source, uid, content in withheld:
                leaves = repository.state.withdrawn(uid)
                if leaves:
                    handle = _of_content(leaves, content.digest).handle
                    repository.emit(ArrivalWithheld(handle, uid, content, storable(source)))
                done.append(bool(leaves))
        return done

    def record_rejections(
        self, folder: str, origin: str, rejected: Iterable[tuple[str, str]]
    ) -> None:
        """Record that files were not taken: their paths, and the reasons."""
        repository = self.file_set(origin).repository
        with repository.change(f"watch: {folder}"):
            for source, reason in rejected:
                repository.emit(InstanceRejected(storable(source), storable(reason)))


class _StudyCommit:
    """The files of one study on their way into `repository`, and the account of them."""

    def __init__(
        self,
        repository: Repository,
        had: HadContent,
        before: WithheldBefore,
        read: Mapping[str, Candidate],
        *,
        keeps: bool,
    ) -> None:
        self.account = Account()
        self.taken_back = 0
        self._repository = repository
        self._had = had
        self._before = before
        self._read = read
        self._keeps = keeps
        self._offered: list[Observation] = []

    def candidates(self, files: Sequence[Observation], complete: bool) -> Iterator[Candidate]:
        """Yield those of `files` that are to be added; the account of all others is complete then.

        With `complete`, values that directory records must have are invented.
        """
        withdrawn = self._repository.state.withdrawn
        unread = (FoundFile(file.path) for file in files if file.path not in self._read)
        offered = offer(unread, complete=complete)
        for file in files:
            known = self._read.get(file.path)
            item = next(offered) if known is None else _with_bytes(known, file)
            is_same = _is_same(file)
            refusal = _refusal(item, is_same, is_known=known is not None)
            if is_same is False:
                self.account.changed.append(file)
            elif isinstance(item, Result) or refusal is not None:
                self.account.failed.append((file, refusal or Refusal("rejected", "")))
            elif other_version(self._repository.state, item) is not None:
                self._note(item, file)
                self._offered.append(file)
                yield item
            elif leaves := withdrawn(uid := item.instance.sop_instance_uid):
                self.taken_back += 1
                if self._was_dropped(item):
                    self.account.settled.append(file)
                else:
                    self.account.withheld.append((file, _withheld(leaves, item), uid))
                self._note(item, file)
            elif self._was_kept(item, file):
                self.taken_back += 1
                self.account.settled.append(file)
                self._note(item, file)
            else:
                if item.instance.sop_instance_uid in self._repository.state.live:
                    self._note(item, file)
                self._offered.append(file)
                yield item

    def settle(self, report: AddReport) -> None:
        """Complete the account by what became of the files that were offered."""
        for file, result in zip(self._offered, report, strict=True):
            if result.outcome is Outcome.CONFLICTING:
                refusal = Refusal(result.outcome.value, self._conflict(file, result))
                self.account.conflicts.append((file, refusal))
            elif result.mismatch and result.outcome.is_failure:
                self.account.conflicts.append((file, Refusal(MISMATCHED, result.reason or "")))
            elif result.coerced is False:
                self.account.conflicts.append((file, Refusal(UNCOERCED, result.reason or "")))
            elif result.outcome.is_failure:  # a large file is read once more when it is added
                refusal = Refusal(result.outcome.value, result.reason or "")
                self.account.failed.append((file, refusal))
            elif result.handle is not None and not self._is_stored(result.handle):
                self.account.referenced.append(file)
            else:
                self.account.settled.append(file)
            self._note_added(file, result)

    def _note(self, item: Candidate, file: Observation) -> None:
        """Note what a file holds that stays."""
        if self._keeps:
            self.account.contents[file.path] = item.content.digest

    def _note_added(self, file: Observation, result: Result) -> None:
        """Note what a file holds that was added, which need not be hashed again."""
        if self._keeps and result.outcome is Outcome.ADDED and result.handle is not None:
            hierarchy, handle = self._repository.state.hierarchy, result.handle
            if result.coerced:
                handle = hierarchy.first_version(handle)
            content = hierarchy.leaves[handle].content
            if content is not None:
                self.account.contents[file.path] = content.digest

    def _was_kept(self, item: Candidate, file: Observation) -> bool:
        """Whether a file was dealt with as it is, and the File-set does not have it any more.

        Then it was erased: of what was removed, the journal tells.
        """
        if not self._keeps or item.instance.sop_instance_uid in self._repository.state.live:
            return False
        return self._had(file.path, lambda: item.content.digest)

    def _was_dropped(self, item: Candidate) -> bool:
        """Whether a withheld file was dropped from the quarantine, and nothing is lost by that.

        Its bytes are where they were, or the vault has them.
        """
        uid, digest = item.instance.sop_instance_uid, item.content.digest
        if digest not in self._before.contents(uid) or (uid, digest) in self._quarantined:
            return False
        return self._keeps or self._repository.vault.is_sound(digest)

    @cached_property
    def _quarantined(self) -> set[tuple[str | None, str | None]]:
        assert self._repository.path is not None  # noqa: S101 - what is watched for has a folder
        kept = Quarantine(self._repository.path)
        return {(entry.sop_instance_uid, entry.digest) for entry in kept}

    def _is_stored(self, handle: Handle) -> bool:
        """Whether the vault has the bytes of an instance; that they are sound if a file may go."""
        vault, leaf = self._repository.vault, self._repository.state.leaf(handle)
        if leaf.placement is Placement.VAULT:
            return True  # adding has looked at what is stored, and stored it anew if need be
        if leaf.content is None:
            return False
        digest = leaf.content.digest
        return digest in vault if self._keeps else vault.is_sound(digest)

    def _conflict(self, file: Observation, result: Result) -> str:
        """Return why a file is in conflict; that it was rewritten, where it was that very file."""
        reason, handle = result.reason or "", result.handle
        state = self._repository.state
        versions = state.hierarchy.versions(handle) if handle is not None else ()
        leaves = (state.hierarchy.leaves.get(each) for each in versions)  # some may be erased
        if any(leaf is not None and leaf.source == file.path for leaf in leaves):
            return f"the file was rewritten after it was added: {reason}"
        return reason


def _lacks_pixels(candidate: Candidate, file: Observation) -> bool:
    if file.stamp.size < _SMALL:
        return lacks_pixels(candidate.data)
    with viewed(file.path) as view:
        return lacks_pixels(view)


def _with_bytes(candidate: Candidate, file: Observation) -> Offered:
    """Return what was read before of a file, with its bytes unless it is large."""
    if file.stamp.size >= LARGE:
        return candidate
    try:
        return evolve(candidate, data=candidate.data, large=None)
    except InstanceError as exc:
        return Result(file.path, Outcome.of(exc), reason=exc.reason)


def _refusal(item: Offered, is_same: bool | None, *, is_known: bool) -> Refusal | None:
    """Return why what was read of a file is not taken, `None` if it is.

    If it `is_known`, it was looked at for its pixels before.
    """
    if is_same is None:
        return Refusal(Outcome.REJECTED.value, "can't be looked at")
    if isinstance(item, Result):
        return Refusal(item.outcome.value, item.reason or "")
    if is_known:
        return None
    try:
        with item.read() as data:
            lacks = lacks_pixels(data)
    except InstanceError as exc:  # it had to be read again
        return Refusal.of(exc)
    return Refusal(Outcome.REJECTED.value, NO_PIXELS) if lacks else None


def _is_same(file: Observation) -> bool | None:
    """Whether a file is as it had settled and nobody writes it, `None` if nobody can tell."""
    try:
        return stamp_of(file.path) == file.stamp and not is_being_written(file.path)
    except FileNotFoundError:
        return False
    except OSError:
        return None


def _refuse_medium(repository: Repository, folder: str) -> None:
    """Refuse to take files from the medium, which somebody may have written since the start."""
    written = repository.refresh().written
    if written is not None and overlap(os.path.realpath(written.root), folder):
        raise RefusedError(f"The File-set was written to {written.root}, which is being watched.")


def _of_content(leaves: Sequence[Leaf], digest: Digest) -> Leaf:
    """Return the one of `leaves`, the oldest first, that has that content, else the newest."""
    same = (leaf for leaf in leaves if leaf.content is not None and leaf.content.digest == digest)
    return next(same, leaves[-1])


def _withheld(leaves: Sequence[Leaf], item: Candidate) -> Refusal:
    """Return why a file is withheld whose instances, `leaves`, were withdrawn."""
    digest = item.content.digest
    leaf = _of_content(leaves, digest)
    is_same = leaf.content is not None and leaf.content.digest == digest
    whence = f", added from {leaf.source}," if leaf.source else ""
    reason = f"its SOP Instance{whence} was undone or removed"
    if not is_same:
        reason += ", and had different content: this may be a corrected one"
    return Refusal(
        WITHHELD if is_same else WITHHELD_OTHER, f"{reason}; `fileset quarantine retry ID` adds it"
    )
