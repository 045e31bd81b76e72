"""Reading back a medium that was handed out, and comparing it with the journal."""

from __future__ import annotations

import hashlib
import os
import re
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Final

from attrs import frozen

from fileset.media.errors import UnreadableMediumError
from fileset.media.list import media
from fileset.media.prepare import FOLDER, Prepared, prepare
from fileset.media.reading.medium import MediumFile, ReadMedium
from fileset.media.reading.read import read_medium
from fileset.progress import Progress
from fileset.repository.repository import Repository
from ledger.digest import digest_of, from_raw
from ledger.errors import LedgerError
from ledger.events import Content, MediumVerified
from ledger.files import naming
from ledger.names import is_of_dicomdir, one_name
from projections.dicomdir.decoder import decode_dicomdir
from projections.dicomdir.definitions import DICOMDIR
from projections.dicomdir.encoder import MAX_SIZE
from projections.past.media import Medium

_CHUNK: Final = 1 << 20
_VERSION: Final = re.compile(r"\.?;\d+$")


@frozen
class Problem:
    """A file that is not as it should be: "missing", "different", "unreadable" or "extra"."""

    path: str
    what: str


@frozen
class Verified:
    """What reading back a medium has shown.

    Attributes
    ----------
    where : str
        The absolute path of what was read.
    medium : Medium or None
        Which medium it is, `None` if it is none that the journal tells of.
    same_image : bool
        Whether it has the very bytes of the image that was made, and so every file.
    compared : int
        How many files were compared one by one.
    problems : tuple of Problem
        What differs, in the order of the medium; what is extra comes last.
    unreadable : str or None
        Why it could not be read, or not to its end.
    """

    where: str
    medium: Medium | None
    same_image: bool = False
    compared: int = 0
    problems: tuple[Problem, ...] = ()
    unreadable: str | None = None

    @property
    def is_sound(self) -> bool:
        """Whether it is a medium that was finished, as it was then."""
        was_finished = self.medium is not None and self.medium.produced is not None
        return was_finished and not self.problems and self.unreadable is None


class Verifier:
    """Reads back media of a repository."""

    def __init__(self, repository: Repository) -> None:
        self._repository = repository

    def verify(
        self, where: Path, *, reason: str | None = None, progress: Progress | None = None
    ) -> Verified:
        """Compare what is at `where`, an image, a device, a ZIP or a folder, with the journal.

        What follows an image on a device doesn't matter. It is recorded if it is a medium that the
        journal tells of. OSError if it can't be read, `RefusedError` if it is one that can't be
        compared, since data on it was erased.
        """
        repository = self._repository
        repository.outside_changes("Verifying a medium")
        repository.refresh()
        found = self._verified(where, progress)
        if found.medium is not None:
            with repository.change(reason):
                repository.emit(
                    MediumVerified(
                        found.medium.position,
                        found.where,
                        len(found.problems),
                        found.problems[0].path if found.problems else None,
                    )
                )
        return found

    def _verified(self, where: Path, progress: Progress | None) -> Verified:
        known = media(self._repository)
        place = os.fspath(where)
        if where.is_file() or where.is_block_device():
            same = _same_image(where, known, progress)
            if same is not None:
                return Verified(place, same, same_image=True)
        try:
            with read_medium(where) as found:
                return self._compared(place, known, _met(found), progress)
        except UnreadableMediumError as exc:
            return Verified(place, None, unreadable=str(exc))

    def _compared(
        self, place: str, known: Sequence[Medium], met: _Met, progress: Progress | None
    ) -> Verified:
        """Tell which medium files are those of, by their DICOMDIR, and compare them with it."""
        medium = _by_dicomdir(known, met.dicomdir)
        if medium is None:
            return Verified(place, None, unreadable=met.unreadable)
        prepared = prepare(self._repository, medium.started, medium.files)
        problems = differences(prepared, met.files, progress)
        missing = sum(problem.what == "missing" for problem in problems)
        return Verified(
            place,
            medium,
            compared=len(prepared.parts) - missing,
            problems=tuple(problems),
            unreadable=met.unreadable,
        )


@frozen
class _Met:
    """The files of a medium that was read, and why it could not be read on."""

    files: Sequence[MediumFile]
    dicomdir: bytes | None
    unreadable: str | None


def _met(medium: ReadMedium) -> _Met:
    """Return what is found on a medium; only its DICOMDIR is read for that."""
    files: list[MediumFile] = []
    dicomdir, unreadable = None, None
    try:
        for file in medium.files:
            files.append(file)
            if is_of_dicomdir(file.path) and file.size <= MAX_SIZE:
                dicomdir = b"".join(file.chunks())
    except UnreadableMediumError as exc:
        unreadable = str(exc)
    return _Met(files, dicomdir, unreadable)


def _same_image(where: Path, known: Iterable[Medium], progress: Progress | None) -> Medium | None:
    """Return the medium whose image a file or device begins with; it is read once at most.

    What comes behind it is what a device has that is larger.
    """
    by_size: dict[int, list[Medium]] = {}
    for medium in known:
        if medium.produced is not None and medium.started.kind != FOLDER:
            by_size.setdefault(medium.produced.image.size, []).append(medium)
    with naming(where), where.open("rb", buffering=0) as file:
        size = file.seek(0, os.SEEK_END)
        file.seek(0)
        sizes = sorted(each for each in by_size if each <= size)
        hasher, at = hashlib.sha256(), 0
        for end in sizes:
            while at < end and (chunk := file.read(min(_CHUNK, end - at))):
                hasher.update(chunk)
                at += len(chunk)
                if progress is not None:
                    progress(at, sizes[-1])
            digest = from_raw(hasher.copy().digest())
            for medium in reversed(by_size[end]):
                if medium.produced is not None and medium.produced.image.digest == digest:
                    return medium
    return None


def _by_dicomdir(known: Iterable[Medium], dicomdir: bytes | None) -> Medium | None:
    """Return the newest medium with that DICOMDIR, else the newest with its File-set UID."""
    if dicomdir is None:
        return None
    try:
        uid = decode_dicomdir(dicomdir, name=DICOMDIR).identity.uid
    except LedgerError:
        return None
    of_file_set = [medium for medium in known if medium.started.uid == uid]
    digest = digest_of(dicomdir)
    same = [m for m in of_file_set if m.produced is not None and m.produced.dicomdir == digest]
    return next(iter((*reversed(same), *reversed(of_file_set))), None)


def differences(
    prepared: Prepared, files: Iterable[MediumFile], progress: Progress | None = None
) -> list[Problem]:
    """Compare files one by one with those that a medium has to have; return what differs."""
    wanted = {part.path: part.content for part in prepared.parts}
    missing = {one_name(path): path for path in wanted}
    differing: dict[str, str] = {}
    extra: list[str] = []
    done, total = 0, sum(content.size for content in wanted.values())
    for file in files:
        path = missing.pop(_shown(file.path), None)
        if path is None:
            extra.append(file.path)
            continue
        if (what := _difference(file, wanted[path])) is not None:
            differing[path] = what
        done += wanted[path].size
        if progress is not None:
            progress(done, total)
    differing.update(dict.fromkeys(missing.values(), "missing"))
    problems = [Problem(path, differing[path]) for path in wanted if path in differing]
    return [*problems, *(Problem(path, "extra") for path in extra)]


def _shown(path: str) -> str:
    """Return a path as the journal has it, which systems show in lower case or with a version."""
    return one_name(_VERSION.sub("", path))


def _difference(file: MediumFile, content: Content) -> str | None:
    """Return how a file differs from what it should be, `None` if it doesn't."""
    if file.size != content.size:
        return "different"
    hasher = hashlib.sha256()
    try:
        for chunk in file.chunks():
            hasher.update(chunk)
    except UnreadableMediumError:
        return "unreadable"
    return None if from_raw(hasher.digest()) == content.digest else "different"
