"""The quarantine: what was offered and can't be taken, with the reason in a JSON file beside it.

It is the folder ``quarantine`` of the repository. ``ID.json`` tells of a file, ``ID.file`` holds
its bytes, unless they could not be read: then what there is of it is still where it came from. The
bytes are durable here before anything becomes of the source.
"""

from __future__ import annotations

import fcntl
import hashlib
import json
import os
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

from attrs import asdict, evolve, frozen

from fileset.adding import Adder
from fileset.contents import Contents
from fileset.errors import RefusedError
from fileset.ingest import Outcome, Report, Result, read_path
from fileset.mentions import Mentions, ids_in
from fileset.recorders import overridden_recorders
from fileset.repository import Repository
from fileset.watching.signature import Signature, signature
from ledger.digest import Digest
from ledger.disk import fsync, replace_file
from ledger.errors import InstanceError
from ledger.events import Content
from ledger.files import copy_file, file_content

FOLDER: Final = "quarantine"
_VERSION: Final = 1


@frozen
class Quarantined:
    """One file in the quarantine.

    `outcome` is that of the last try: ``rejected``, ``not DICOM`` or ``conflicting``. `digest` and
    `size` (bytes) are ``None`` if the file could not be read. `recorded` tells whether the journal
    says so, too.
    """

    id: str
    source: str
    folder: str
    outcome: str
    reason: str
    at: str
    tries: int
    digest: str | None
    size: int | None
    recorded: bool = False
    version: int = _VERSION


class SourceChangedError(Exception):
    """The file is no longer the one that could not be taken."""


class Quarantine:
    """The quarantine of the repository in the folder `repository`."""

    def __init__(self, repository: Path) -> None:
        self.path = repository / FOLDER
        self._sources: dict[str, list[str]] | None = None
        self._digests: dict[str, str] = {}

    def __iter__(self) -> Iterator[Quarantined]:
        """Yield what is in it, the oldest first."""
        found = [self._read(path) for path in self.path.glob("*.json")]
        yield from sorted((e for e in found if e is not None), key=lambda e: (e.at, e.id))

    def __len__(self) -> int:
        """Return how many files are in it."""
        return sum(1 for _ in self.path.glob("*.json"))

    def _read(self, path: Path) -> Quarantined | None:
        try:
            told: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
            return Quarantined(**told) if told.get("version") == _VERSION else None
        except (OSError, ValueError, TypeError):
            return None  # someone else's, or half of one that a full disk left

    def find(self, start: str) -> Quarantined:
        """Return the one whose id begins with `start`; RefusedError unless it is just one."""
        found = [entry for entry in self if entry.id.startswith(start)]
        if len(found) != 1:
            what = "No file" if not found else f"{len(found)} files"
            raise RefusedError(
                f"{what} in the quarantine with an id that begins with '{start}': "
                "`fileset quarantine list` shows them."
            )
        return found[0]

    def bytes_of(self, entry: Quarantined) -> Path:
        """Return where the bytes of `entry` are: here, or where they came from."""
        return self._file(entry.id) if entry.digest is not None else Path(entry.source)

    def keep(
        self, path: str, known: Signature, *, folder: str, outcome: str, reason: str, tries: int
    ) -> Quarantined:
        """Copy the file at `path` here with the reason why, durably; one that is here whole stays.

        Raises :class:`SourceChangedError` if it is not as `known`, OSError if there is no room.
        """
        self.path.mkdir(mode=0o700, exist_ok=True)
        try:
            content = file_content(path)
        except OSError:
            content = None  # nobody can read it; it stays where it is
        if signature(path) != known:
            raise SourceChangedError
        source = path.encode("utf-8", "surrogateescape")
        what = source + b"\0" + (content.digest.encode() if content else b"")
        id_ = hashlib.sha256(what).hexdigest()[:12]
        there = self.get(id_)
        if there is not None and self.is_whole(there):
            return there
        if content is not None and not self._link(content, id_):
            temporary = self.path / f".{id_}.new"
            fd = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
            try:
                copy_file(path, fd, expected=content)
                os.fsync(fd)
                temporary.rename(self._file(id_))
            finally:
                os.close(fd)
                with suppress(FileNotFoundError):
                    temporary.unlink()
        entry = Quarantined(
            id_,
            _written(path),
            _written(folder),
            outcome,
            reason,
            datetime.now(UTC).isoformat(timespec="seconds"),
            tries,
            content.digest if content else None,
            content.size if content else None,
        )
        self.save(entry)
        self._index(entry)
        return entry

    def _link(self, content: Content, id_: str) -> bool:
        """Have the bytes of a file that is here already under another id, too."""
        self._by_source()
        same = self._digests.get(content.digest)
        if same is None:
            return False
        try:
            if file_content(self._file(same)) != content:
                return False
            self._file(id_).unlink(missing_ok=True)
            self._file(id_).hardlink_to(self._file(same))
            fsync(self.path)
        except OSError:
            return False  # it was dropped, or the file system knows no links
        return True

    def is_whole(self, entry: Quarantined) -> bool:
        """Whether the bytes that `entry` tells of are here, as they were; or it tells of none."""
        if entry.digest is None:
            return True
        try:
            return file_content(self._file(entry.id)) == Content(
                Digest(entry.digest), entry.size or 0
            )
        except OSError:
            return False

    def record(self, entry: Quarantined) -> bool:
        """Write that the journal tells of `entry`; ``False`` if it was dropped meanwhile."""
        with self._alone():
            there = self.get(entry.id) is not None and (
                entry.digest is None or self._file(entry.id).exists()
            )
            if there:
                self.save(evolve(entry, recorded=True))
            return there

    @contextmanager
    def _alone(self) -> Iterator[None]:
        """Have other processes wait that drop or record something, in the block."""
        fd = os.open(self.path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            with suppress(OSError):  # a file system without such locks
                fcntl.flock(fd, fcntl.LOCK_EX)
            yield
        finally:
            os.close(fd)

    def save(self, entry: Quarantined) -> None:
        """Write what is told of `entry`."""
        text = json.dumps(asdict(entry), indent=2) + "\n"
        replace_file(self._json(entry.id), text.encode("utf-8"))

    def has_only_copy(self, entry: Quarantined) -> bool:
        """Whether what `entry` holds does not lie where it came from any more."""
        if entry.digest is None:
            return False
        try:
            return file_content(entry.source) != Content(Digest(entry.digest), entry.size or 0)
        except OSError:
            return True

    def outdated_by(self, path: str) -> list[Quarantined]:
        """Return what was put here of an unfinished copy that is the file at `path` now.

        That is what came from there, and is the beginning of what lies there.
        """
        source = _written(path)
        found = [e for e in map(self.get, self._by_source().get(source, ())) if e is not None]
        return [entry for entry in found if self._begins(entry, path)]

    def _begins(self, entry: Quarantined, path: str) -> bool:
        if entry.digest is None:
            return True
        if entry.outcome == "conflicting":
            return False
        try:
            with open(path, "rb") as whole, self._file(entry.id).open("rb") as part:
                while chunk := part.read(1 << 20):
                    if whole.read(len(chunk)) != chunk:
                        return False
        except OSError:
            return False
        return True

    def get(self, id_: str) -> Quarantined | None:
        """Return the one with the whole id `id_`, if it is here."""
        return self._read(self._json(id_))

    def _by_source(self) -> dict[str, list[str]]:
        """Return the ids of what is here, or was, by where it came from.

        It is read once: nobody else puts files here that came from the same folders.
        """
        if self._sources is None:
            self._sources = {}
            for entry in self:
                self._index(entry)
        return self._sources

    def _index(self, entry: Quarantined) -> None:
        if self._sources is not None:
            self._sources.setdefault(entry.source, []).append(entry.id)
        if entry.digest is not None:
            self._digests[entry.digest] = entry.id

    def drop(self, entry: Quarantined) -> None:
        """Delete `entry` with its bytes; the source, if it is still there, is left alone."""
        with self._alone():
            self._json(entry.id).unlink(missing_ok=True)
            self._file(entry.id).unlink(missing_ok=True)
            fsync(self.path)

    def of_person(self, mentions: Mentions) -> tuple[list[Quarantined], int]:
        """Return what in it is a person's, and of how many others nobody can tell whose they are.

        What tells is the path, the reason, and the IDs in the file, as far as these can be read.
        """
        found: list[Quarantined] = []
        unclear = 0
        for entry in self:
            owned = mentions.of_any(f"{entry.source} {entry.reason}")
            if not owned and entry.digest is not None:
                told = ids_in(self._file(entry.id))
                unclear += not told
                owned = any(map(mentions.is_of_person, told))
            if owned:
                found.append(entry)
        return found, unclear

    def _json(self, id_: str) -> Path:
        return self.path / f"{id_}.json"

    def _file(self, id_: str) -> Path:
        return self.path / f"{id_}.file"


def _written(path: str) -> str:
    """Return a path as it is written down."""
    return path.encode("utf-8", "backslashreplace").decode("utf-8")


def retry(
    repository: Repository,
    quarantine: Quarantine,
    entries: Iterable[Quarantined],
    *,
    complete: bool,
    reason: str | None,
) -> Report:
    """Try to add `entries`, all as one change, and drop those that are part of the File-set then.

    The others stay, with the new reason. Return the account of each, in their order.
    """
    report = Report()
    contents = Contents(repository)
    done: list[Quarantined] = []
    with repository.change(reason or "quarantine: retry"):
        adder = Adder(repository, contents)
        for entry in entries:
            result = _retry(adder, quarantine, entry, complete=complete)
            report.results.append(result)
            if result.outcome in {Outcome.ADDED, Outcome.ALREADY_THERE}:
                done.append(entry)
            else:
                quarantine.save(
                    evolve(
                        entry,
                        outcome=result.outcome.value,
                        reason=result.reason or "",
                        tries=entry.tries + 1,
                    )
                )
    for entry in done:
        quarantine.drop(entry)
    return report


def _retry(adder: Adder, quarantine: Quarantine, entry: Quarantined, *, complete: bool) -> Result:
    try:
        candidate = read_path(
            quarantine.bytes_of(entry), complete=complete, recorders=overridden_recorders()
        )
    except InstanceError as exc:
        return Result(entry.source, outcome_of(exc), reason=exc.reason)
    candidate = evolve(candidate, name=entry.source, source=entry.source)
    (result,) = adder.add([candidate])
    return result


def outcome_of(exc: InstanceError) -> Outcome:
    """Return what a file is that reading refused."""
    from ledger.errors import NotDicomError  # noqa: PLC0415

    return Outcome.NOT_DICOM if isinstance(exc, NotDicomError) else Outcome.REJECTED
