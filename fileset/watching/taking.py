"""Taking files: of which study each is, and one change for what has arrived of a study."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Final, NamedTuple, TypeAlias

from attrs import astuple, define, field, frozen

from fileset.adding import Adder, Offered, offer
from fileset.contents import Contents
from fileset.errors import RefusedError
from fileset.fileset import FileSet
from fileset.finding import FoundFile
from fileset.ingest import Candidate, Outcome, Result, read_path
from fileset.recorders import overridden_recorders
from fileset.repository import Repository
from fileset.repository_folder import JOURNAL
from fileset.watching import pixels
from fileset.watching.mounts import overlap
from fileset.watching.quarantine import outcome_of
from fileset.watching.remembered import Mark
from fileset.watching.settling import Look
from fileset.watching.signature import signature
from fileset.watching.studies import Study
from fileset.watching.writers import is_being_written
from ledger.digest import Digest, digest_of
from ledger.errors import InstanceError, RecordError
from ledger.events import Handle, InstanceRejected, Placement
from ledger.sqlite import SqliteJournal
from projections.hierarchy import Leaf, record_key
from projections.late import is_written

Had: TypeAlias = Callable[[str, Callable[[], Digest]], bool]

_SMALL: Final = 1 << 16  # bytes of a file that reading its head reads whole


class Refusal(NamedTuple):
    """Why a file could not be taken: `outcome` as in an account of files, and the reason."""

    outcome: str
    reason: str


@frozen
class Committed:
    """What was made of the files of one study, in numbers.

    `change` is the id of the change, ``None`` if nothing was recorded. `late` is whether the study
    had been written to the medium before. `taken_back` files were ingested from where they lie
    before, and undone or removed since: they are not added again.
    """

    change: str | None
    folder: str
    study: str
    added: int
    already_there: int
    taken_back: int
    conflicting: int
    late: bool


@define
class Account:
    """What became of each file of a study."""

    settled: list[Look] = field(factory=list)
    """Those that are part of the File-set, or need not be."""
    referenced: list[Look] = field(factory=list)
    """Those whose bytes the vault may not have: nothing may become of them."""
    conflicts: list[tuple[Look, Refusal]] = field(factory=list)
    failed: list[tuple[Look, Refusal]] = field(factory=list)
    changed: list[Look] = field(factory=list)
    """Those that are no longer what they were when they had settled."""
    contents: dict[str, Digest] = field(factory=dict)
    """What files that are kept hold, by path."""
    committed: Committed | None = None


class Taker:
    """Reads files for the repository in the folder `path` and commits them to it.

    It is of the one thread that uses it. The repository is opened when there is something to
    commit, so that a watcher with nothing to do holds no state in memory that others have changed.
    `patience` is how many seconds to wait for others who are changing it, ``None`` as always.
    """

    def __init__(
        self, path: Path, *, actor: str | None, complete: bool, keeps: bool, patience: float | None
    ) -> None:
        self._path = path
        self._patience = patience
        self._actor = actor
        self._complete = complete
        self._keeps = keeps
        self._file_set: FileSet | None = None

    def file_set(self, origin: str | None = None) -> FileSet:
        """Open the repository, if it isn't, and return its File-set."""
        if self._file_set is None:
            self._file_set = FileSet.open(self._path)
            if self._patience is not None:
                self._file_set.repository.patience = self._patience
        repository = self._file_set.repository
        repository.actor = self._actor
        if origin is not None:
            repository.origin = _storable(origin)
        return self._file_set

    def close(self) -> None:
        """Let go of the repository; it is opened anew, which is the safe way on after a failure."""
        if self._file_set is not None:
            file_set, self._file_set = self._file_set, None
            file_set.close()

    def study_of(self, path: str) -> str:
        """Return the Study Instance UID of the file at `path`, or ``""``; InstanceError if bad."""
        candidate = read_path(
            path, complete=self._complete, contents=False, recorders=overridden_recorders()
        )
        # All files are looked at again with their pixels before they are committed.
        if os.stat(path).st_size < _SMALL and pixels.lacks_pixels(candidate.data):
            raise InstanceError(pixels.REASON, name=path)
        for record in candidate.records:
            if record.type == "STUDY":
                return record_key(record) or ""
        return ""

    def commit(self, study: Study, origin: str, had: Had) -> Account:
        """Add the files of `study` as one change, and return what became of each.

        `had` tells whether a file that was kept is of the same content as it was then.
        """
        account = Account()
        file_set = self.file_set(origin)
        repository = file_set.repository
        _refuse_medium(repository, study.key.folder)
        adder = Adder(repository, Contents(repository))
        offered: list[Look] = []
        taken_back = 0

        def candidates() -> Iterator[Offered]:
            nonlocal taken_back
            gone = _taken_back(repository) if self._keeps else {}
            for look, item in self._read(study.files.values()):
                is_same = _is_same(look)
                refusal = _refusal(item, is_same)
                if is_same is False:
                    account.changed.append(look)
                elif isinstance(item, Result) or refusal is not None:
                    account.failed.append((look, refusal or Refusal("rejected", "")))
                elif _was_ingested(item, gone) or self._was_kept(item, look, had):
                    taken_back += 1
                    account.settled.append(look)
                    self._note(account, look, item)
                else:
                    if item.instance.sop_instance_uid in repository.state.live:
                        self._note(account, look, item)
                    offered.append(look)
                    yield item

        with repository.exclusively():  # nothing comes between what is asked and what is done
            late = self._is_late(repository, study.key.uid)
            reason = f"watch: {study.key.folder}" + ("; late: the study has been written" * late)
            before = repository.refresh().position
            with repository.change(_storable(reason), origin=_storable(origin)) as id_:
                report = adder.add(candidates())
            recorded = repository.state.position > before
        for look, result in zip(offered, report, strict=True):
            if result.outcome is Outcome.CONFLICTING:
                refusal = Refusal(result.outcome.value, _conflict(repository, look, result))
                account.conflicts.append((look, refusal))
            elif result.handle is not None and not self._is_stored(repository, result.handle):
                account.referenced.append(look)
            else:
                account.settled.append(look)
            self._note_added(account, look, repository, result)
        counts = report.counts
        account.committed = Committed(
            id_ if recorded else None,
            study.key.folder,
            study.key.uid,
            counts[Outcome.ADDED],
            counts[Outcome.ALREADY_THERE],
            taken_back,
            counts[Outcome.CONFLICTING],
            late,
        )
        return account

    def _read(self, looks: Iterable[Look]) -> Iterator[tuple[Look, Offered]]:
        waiting = list(looks)
        files = (FoundFile(look.path) for look in waiting)
        return zip(waiting, offer(files, complete=self._complete), strict=True)

    def _note(self, account: Account, look: Look, item: Candidate) -> None:
        if self._keeps:
            account.contents[look.path] = digest_of(item.data)

    def _note_added(
        self, account: Account, look: Look, repository: Repository, result: Result
    ) -> None:
        """Note what a file holds that was added, which need not be hashed again."""
        if self._keeps and result.outcome is Outcome.ADDED and result.handle is not None:
            content = repository.state.leaf(result.handle).content
            if content is not None:
                account.contents[look.path] = content.digest

    def _was_kept(self, item: Candidate, look: Look, had: Had) -> bool:
        """Whether a file was dealt with as it is, and the File-set does not have it any more.

        Then it was erased: of what was removed, the journal tells.
        """
        live = self.file_set().repository.state.live
        if not self._keeps or item.instance.sop_instance_uid in live:
            return False
        return had(look.path, lambda: digest_of(item.data))

    def _is_stored(self, repository: Repository, handle: Handle) -> bool:
        """Whether the vault has the bytes of an instance; that they are sound if a file may go."""
        leaf = repository.state.leaf(handle)
        if leaf.placement is Placement.VAULT:
            return True  # adding has looked at what is stored, and stored it anew if need be
        if leaf.content is None:
            return False
        digest = leaf.content.digest
        return digest in repository.vault if self._keeps else repository.vault.is_sound(digest)

    @staticmethod
    def _is_late(repository: Repository, uid: str) -> bool:
        return bool(uid) and is_written(repository.refresh(), uid)

    def has(self, digest: Digest) -> bool:
        """Whether an instance of the File-set has that content, and the vault has it sound."""
        repository = self.file_set().repository
        if digest not in repository.vault:
            return False
        live = repository.refresh().live.values()
        if all(leaf.content is None or leaf.content.digest != digest for leaf in live):
            return False
        return repository.vault.is_sound(digest)

    def mark(self) -> Mark:
        """Return the end of the journal."""
        journal = self.file_set().repository.journal
        return Mark(journal.id, *astuple(journal.head()))

    def goes_on_from(self, mark: Mark) -> bool:
        """Whether the journal, as it is on the disk now, goes on from `mark`."""
        with closing(SqliteJournal(self._path / JOURNAL, read_only=True)) as journal:
            if journal.id != mark.journal:
                return False
            there = journal.stored(mark.position - 1, mark.position)
            return any(event.hash == mark.hash for event in there)

    def record_rejections(
        self, folder: str, origin: str, rejected: Iterable[tuple[str, str]]
    ) -> None:
        """Record that files were not taken: their paths, and the reasons."""
        repository = self.file_set(origin).repository
        with repository.change(_storable(f"watch: {folder}"), origin=_storable(origin)):
            for source, reason in rejected:
                repository.emit(InstanceRejected(_storable(source), _storable(reason)))


def refusal_of(exc: InstanceError) -> Refusal:
    """Return why a file could not be read, and what may help."""
    hint = "; `fileset quarantine retry ID --complete` invents it" * isinstance(exc, RecordError)
    return Refusal(outcome_of(exc).value, f"{exc.reason}{hint}")


def _refusal(item: Offered, is_same: bool | None) -> Refusal | None:
    """Return why what was read of a file is not taken, ``None`` if it is."""
    if is_same is None:
        return Refusal(Outcome.REJECTED.value, "can't be looked at")
    if isinstance(item, Result):
        return Refusal(item.outcome.value, item.reason or "")
    try:
        lacks = pixels.lacks_pixels(item.data)
    except InstanceError as exc:  # it had to be read again
        return refusal_of(exc)
    return Refusal(Outcome.REJECTED.value, pixels.REASON) if lacks else None


def _is_same(look: Look) -> bool | None:
    """Whether a file is as it had settled and nobody writes it, ``None`` if that can't be told."""
    try:
        return signature(look.path) == look.signature and not is_being_written(look.path)
    except FileNotFoundError:
        return False
    except OSError:
        return None


def _conflict(repository: Repository, look: Look, result: Result) -> str:
    """Return why a file is in conflict; that it was rewritten, where it was that very file."""
    reason = result.reason or ""
    if result.handle is not None and repository.state.leaf(result.handle).source == look.path:
        return f"the file was rewritten after it was added: {reason}"
    return reason


def _refuse_medium(repository: Repository, folder: str) -> None:
    """Refuse to take files from the medium, which somebody may have written since the start."""
    written = repository.refresh().written
    if written is not None and overlap(os.path.realpath(written.root), folder):
        raise RefusedError(f"The File-set was written to {written.root}, which is being watched.")


def _taken_back(repository: Repository) -> dict[str, list[Leaf]]:
    """Return the instances that are no longer part of the File-set, by where they came from."""
    found: dict[str, list[Leaf]] = {}
    state = repository.state
    if len(state.hierarchy.leaves) > len(state.live):
        for leaf in state.hierarchy.leaves.values():
            if not leaf.is_live and leaf.source is not None:
                found.setdefault(leaf.source, []).append(leaf)
    return found


def _was_ingested(item: Candidate, gone: dict[str, list[Leaf]]) -> bool:
    """Whether the very content of a file was ingested from where it lies, and taken back since."""
    leaves = gone.get(item.source or "")
    if not leaves:
        return False
    digest = digest_of(item.data)
    return any(leaf.content is not None and leaf.content.digest == digest for leaf in leaves)


def _storable(text: str) -> str:
    return text.encode("utf-8", "backslashreplace").decode("utf-8")
