"""Members of archives on their way in: offering them as files are, and reading one again."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator, Mapping
from itertools import chain
from posixpath import basename
from shutil import disk_usage
from typing import Final, TypeAlias

from fileset.adding.candidate import Candidate, read_opened
from fileset.adding.ignoring import Ignored
from fileset.adding.outcome import IGNORED_NAME, Outcome, Result
from fileset.adding.recorders import Recorder
from fileset.archives.archive import Archive, Member
from fileset.archives.opening import open_archive
from fileset.repository.repository import Repository
from ledger.errors import InstanceError
from ledger.names import is_of_dicomdir

Offered: TypeAlias = Candidate | Result
"""What reading a file gave: an instance that can be added, or the account of why not."""

DICOMDIR_FOUND: Final = "a DICOMDIR lists instances and is not one itself"


def offer_members(
    path: str,
    *,
    room: int | None = None,
    complete: bool = False,
    recorders: Mapping[str, Recorder] | None = None,
    ignored: Ignored | None = None,
) -> Iterator[Offered]:
    """Yield what reading each member of the archive at `path` gives.

    A candidate is to be taken before the next one is asked for. An archive that can't be read, or
    unpacks to more than `room` bytes, is one account.
    """
    try:
        with open_archive(path) as archive:
            refuse_without_room(archive, room)
            members = archive.members()
            first = next(members, None)
            for member in chain((first,) if first else (), members):
                if ignored is not None and ignored.member(member.name):
                    why = IGNORED_NAME
                    yield Result(archive.name_of(member), Outcome.SKIPPED, reason=why)
                    continue
                yield from _offer(archive, member, complete=complete, recorders=recorders)
            if first is None:
                yield Result(path, Outcome.NOT_DICOM, reason="is an archive with no file in it")
    except InstanceError as exc:
        yield Result(path, Outcome.REJECTED, reason=exc.reason)
    except OSError as exc:
        yield Result(path, Outcome.REJECTED, reason=f"can't be read: {exc.strerror}")


def _offer(
    archive: Archive, member: Member, *, complete: bool, recorders: Mapping[str, Recorder] | None
) -> Iterator[Offered]:
    name = archive.name_of(member)
    skipped = DICOMDIR_FOUND if is_of_dicomdir(basename(member.name)) else member.skipped
    if skipped is not None:
        yield Result(name, Outcome.SKIPPED, reason=skipped)
        return
    try:
        with archive.read(member) as found:
            yield read_opened(found, name, archive.check, complete=complete, recorders=recorders)
    except InstanceError as exc:
        yield Result.of_unread(name, exc, complete=complete)


def number_in(path: str) -> int:
    """Return how many accounts `offer_members` gives of the archive at `path`, as it is now."""
    try:
        with open_archive(path) as archive:
            return max(sum(1 for _ in archive.members()), 1)
    except (InstanceError, OSError):
        return 1


def room_of(repository: Repository) -> int:
    """Return how many bytes are free on the disk of the vault."""
    return disk_usage(repository.path or tempfile.gettempdir()).free


def refuse_without_room(archive: Archive, room: int | None) -> None:
    """Raise InstanceError if what is in `archive` comes to more than `room` bytes."""
    if room is None:
        return
    needed = sum(m.size for m in archive.members() if m.fault is None and m.skipped is None)
    if needed > room:
        raise InstanceError(
            f"unpacks to {needed:,} bytes, and {room:,} are free on the disk of the repository: "
            "free room there first"
        )
