"""The quarantine: files that can't be added, each with the reason.

It is the folder `quarantine` of the repository. `ID.json` describes a file, `ID.file` holds its
bytes, unless these could not be read: then the file is still where it came from. The bytes are
durable here before the source is deleted or moved.
"""

from __future__ import annotations

import fcntl
import hashlib
import json
import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

from attrs import asdict, evolve, frozen

from fileset.adding.outcome import Outcome
from fileset.errors import RefusedError
from ledger.digest import Digest
from ledger.disk import fsync, replace_file
from ledger.events import Content
from ledger.files import FileStamp, copy_file, file_content, read_file, stamp_of
from ledger.phrases import storable

FOLDER: Final = "quarantine"
WITHHELD: Final = "withheld"
"""The outcome of an arrival of what was undone or removed."""
WITHHELD_OTHER: Final = "withheld, other content"
"""The outcome of one that has the SOP Instance UID of what was withdrawn and other content."""
_VERSION: Final = 1


@frozen
class Quarantined:
    """One file in the quarantine.

    `outcome` is that of the last try: `rejected`, `not DICOM`, `conflicting`, `mismatched`,
    `not coerced`, or that it was withheld: then `sop_instance_uid` tells under which UID. `digest`
    and `size` (bytes) are `None` if the file could not be read. `recorded` is whether the journal
    has an event of it.
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
    sop_instance_uid: str | None = None
    recorded: bool = False
    version: int = _VERSION

    @property
    def content(self) -> Content | None:
        """What its bytes are, `None` if they could not be read."""
        return None if self.digest is None else Content(Digest(self.digest), self.size or 0)

    @property
    def is_withheld(self) -> bool:
        """Whether it could be taken, and is an instance that was undone or removed."""
        return self.outcome in {WITHHELD, WITHHELD_OTHER}


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
            document: dict[str, Any] = json.loads(read_file(path))
            return Quarantined(**document) if document.get("version") == _VERSION else None
        except (OSError, ValueError, TypeError, AttributeError, RecursionError):
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
        self,
        path: str,
        known: FileStamp,
        *,
        folder: str,
        outcome: str,
        reason: str,
        tries: int,
        sop_instance_uid: str | None = None,
    ) -> Quarantined:
        """Copy the file at `path` here with the reason why, durably; one that is here whole stays.

        If it stays and is here for something else now, the journal has no event of that.

        Raises `SourceChangedError` if it is not as `known`, OSError if there is no room, or if it
        can't be read and was not rejected for that.
        """
        self.path.mkdir(mode=0o700, exist_ok=True)
        try:
            content = file_content(path)
        except FileNotFoundError:
            raise SourceChangedError from None
        except OSError:
            if outcome != Outcome.REJECTED.value:
                raise  # it was read just now, for what it is, and may be again
            content = None  # nobody can read it; it stays where it is
        if stamp_of(path) != known:
            raise SourceChangedError
        source = path.encode("utf-8", "surrogateescape")
        what = source + b"\0" + (content.digest.encode() if content else b"")
        id_ = hashlib.sha256(what).hexdigest()[:12]
        there = self.get(id_)
        if there is not None and self.is_whole(there):
            if there.outcome != outcome:
                there = evolve(
                    there,
                    outcome=outcome,
                    reason=reason,
                    tries=tries,
                    sop_instance_uid=sop_instance_uid,
                    recorded=False,
                )
                self.save(there)
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
            storable(path),
            storable(folder),
            outcome,
            reason,
            datetime.now(UTC).isoformat(timespec="seconds"),
            tries,
            content.digest if content else None,
            content.size if content else None,
            sop_instance_uid=sop_instance_uid,
        )
        self.save(entry)
        self._index(entry)
        return entry

    def _link(self, content: Content, id_: str) -> bool:
        """Keep the bytes of a file that is here already under another id, too."""
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
        """Whether the bytes of `entry` are here, as they were; or it never had any."""
        if entry.digest is None:
            return True
        try:
            return file_content(self._file(entry.id)) == entry.content
        except OSError:
            return False

    def record(self, entry: Quarantined) -> bool:
        """Note that the journal has an event of `entry`; `False` if it was dropped meanwhile."""
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
        """Write what describes `entry`."""
        text = json.dumps(asdict(entry), indent=2) + "\n"
        replace_file(self._json(entry.id), text.encode("utf-8"))

    def has_only_copy(self, entry: Quarantined) -> bool:
        """Whether what `entry` holds does not lie where it came from any more."""
        if entry.digest is None:
            return False
        try:
            return file_content(entry.source) != entry.content
        except OSError:
            return True

    def outdated_by(self, path: str) -> list[Quarantined]:
        """Return what was put here of an unfinished copy that is the file at `path` now.

        That is what came from there, and is the beginning of what lies there.
        """
        source = storable(path)
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

    def _json(self, id_: str) -> Path:
        return self.path / f"{id_}.json"

    def _file(self, id_: str) -> Path:
        return self.path / f"{id_}.file"
