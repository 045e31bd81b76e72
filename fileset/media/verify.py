"""Reading back a medium that was handed out, and comparing it with the journal."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Final

from attrs import define, field, frozen

from fileset.errors import RefusedError
from fileset.media.comparing import (
    Digests,
    Left,
    Problem,
    differences,
    differences_of_left,
    listed,
    shown,
)
from fileset.media.errors import UnreadableMediumError
from fileset.media.list import is_listed, media, other_files
from fileset.media.list import medium as medium_of
from fileset.media.prepare import FOLDER, prepare_again
from fileset.media.reading.medium import MediumFile, ReadMedium
from fileset.media.reading.read import read_medium
from fileset.progress import Progress
from fileset.repository.repository import Repository
from ledger.digest import Digest, digest_of, from_raw
from ledger.errors import LedgerError
from ledger.events import Content, MediumVerified
from ledger.files import naming
from ledger.names import is_of_dicomdir
from projections.dicomdir.decoder import decode_dicomdir
from projections.dicomdir.definitions import DICOMDIR
from projections.dicomdir.encoder import MAX_SIZE
from projections.medium.handout import CHECKSUMS
from projections.past.media import Medium

_CHUNK: Final = 1 << 20
_WRONG: Final = frozenset(("different", "unreadable"))


@frozen
class Verified:
    """What reading back a medium has shown.

    Attributes
    ----------
    where : str
        The absolute path of what was read.
    medium : Medium or None
        Which medium it is, `None` if it is none that the journal tells of.
    also : tuple of Medium
        Others that it is as well: they have the same bytes, or the same files.
    same_image : bool
        Whether it has the very bytes of the image that was made, and so every file.
    compared : int
        How many files were compared one by one.
    problems : tuple of Problem
        What differs, in the order of the medium; what is extra comes last.
    differs_outside : bool
        Whether the image differs from the one that was made, and no file does that was compared.
    erased : bool
        Whether data on it was erased since, so that not every file could be compared.
    unreadable : str or None
        Why it could not be read, or not to its end.
    """

    where: str
    medium: Medium | None
    also: tuple[Medium, ...] = ()
    same_image: bool = False
    compared: int = 0
    problems: tuple[Problem, ...] = ()
    differs_outside: bool = False
    erased: bool = False
    unreadable: str | None = None

    @property
    def is_sound(self) -> bool:
        """Whether it is a medium that was finished, and all of it is as it was then."""
        was_finished = self.medium is not None and self.medium.produced is not None
        return was_finished and not self.faults and (self.same_image or not self.erased)

    @property
    def faults(self) -> int:
        """How many faults were found: files, or one of the image or of reading it."""
        return len(self.problems) or int(self.differs_outside or self.unreadable is not None)


class Verifier:
    """Reads back media of a repository."""

    def __init__(self, repository: Repository) -> None:
        self._repository = repository

    def verify(
        self,
        where: Path,
        *,
        number: int | None = None,
        reason: str | None = None,
        progress: Progress | None = None,
    ) -> Verified:
        """Compare what is at `where`, an image, a device, a ZIP or a folder, with the journal.

        What follows an image on a device doesn't matter. Of several media that it may be, it is the
        one of that `number`, or the newest of those that match best. It is recorded if it is a
        medium that the journal tells of, unless nothing differs but not all could be compared,
        since data on it was erased. OSError if it can't be read, `RefusedError` if it is not the
        medium of that number.
        """
        repository = self._repository
        repository.outside_changes("Verifying a medium")
        repository.refresh()
        found = self._verified(where, number, progress)
        if found.medium is not None and (found.is_sound or found.faults or not found.erased):
            with repository.change(reason):
                repository.emit(
                    MediumVerified(
                        found.medium.position,
                        found.where,
                        found.faults,
                        found.problems[0].path if found.problems else None,
                    )
                )
        return found

    def _verified(self, where: Path, number: int | None, progress: Progress | None) -> Verified:
        repository = self._repository
        known = media(repository)
        meant = known if number is None else [medium_of(repository, number)]
        place = os.fspath(where)
        if where.is_file() or where.is_block_device():
            same = _same_images(where, meant, progress)
            if same:
                *also, newest = same
                erased = self._is_erased(newest)
                return Verified(place, newest, tuple(also), same_image=True, erased=erased)
        try:
            with read_medium(where) as found:
                met = _Met.of(found, can_seek=not where.is_fifo() and not where.is_char_device())
                candidates = _candidates(known, met)
                if number is not None:
                    candidates = _only(place, number, meant, candidates, met)
                return self._best(place, candidates, met, progress)
        except UnreadableMediumError as exc:
            return Verified(place, None, unreadable=str(exc))

    def _is_erased(self, medium: Medium) -> bool:
        return medium.erased > 0 or not is_listed(self._repository, medium)

    def _best(
        self, place: str, candidates: Sequence[Medium], met: _Met, progress: Progress | None
    ) -> Verified:
        """Compare files with the media that they may be those of; tell the one that fits best."""
        alike: dict[object, list[Medium]] = {}
        for candidate in candidates:
            alike.setdefault(self._files_of(candidate), []).append(candidate)
        best: Verified | None = None
        for group in reversed(alike.values()):
            found = self._compared(place, group, met, progress)
            if best is None or len(found.problems) < len(best.problems):
                best = found
            if not found.problems and not found.erased:
                break
        if best is None or best.compared == sum(p.what in _WRONG for p in best.problems):
            return Verified(place, None, unreadable=met.unreadable)
        return best

    def _compared(
        self, place: str, alike: Sequence[Medium], met: _Met, progress: Progress | None
    ) -> Verified:
        """Compare files with those of media that are `alike`; it is the one of the same kind."""
        *others, chosen = sorted(alike, key=lambda each: _likeness(each, met))
        erased = self._is_erased(chosen)
        if erased:
            left = self._left(chosen)
            problems, compared = differences_of_left(
                left, met.files, met.names, met.digests, progress
            )
        else:
            prepared = prepare_again(self._repository, chosen)
            problems = differences(prepared, met.files, progress, met.digests)
            missing = sum(problem.what == "missing" for problem in problems)
            compared = len(prepared.parts) - missing
        is_image = chosen.started.kind == met.kind != FOLDER and chosen.produced is not None
        same_image = is_image and not problems and met.has_image(chosen)
        also = tuple(
            other
            for other in others
            if (other.produced is None) == (chosen.produced is None)
            and (not is_image or other.started.kind == met.kind)
        )
        return Verified(
            place,
            chosen,
            also,
            same_image=same_image,
            compared=compared,
            problems=tuple(problems),
            differs_outside=is_image and not (problems or same_image or met.unreadable),
            erased=erased,
            unreadable=met.unreadable,
        )

    def _files_of(self, medium: Medium) -> object:
        """Return what is equal for media with the same files."""
        started, produced = medium.started, medium.produced
        state = produced.dicomdir if produced else (started.base, started.id, started.profile)
        return started.uid, started.contains, state, other_files(self._repository, medium)

    def _left(self, medium: Medium) -> Left:
        known = self._repository.refresh().hierarchy.leaves
        return Left(
            [known[handle] for handle in medium.started.handles() if handle in known],
            other_files(self._repository, medium),
            medium.produced,
            medium.started.kind == FOLDER,
        )


@define
class _Met:
    """The files of a medium of some kind that was read, and why it could not be read on."""

    kind: str
    files: list[MediumFile] = field(factory=list)
    can_seek: bool = True
    dicomdir: bytes | None = None
    unreadable: str | None = None
    digests: Digests = field(factory=Digests)
    content: Callable[[int | None], Content] | None = None

    @classmethod
    def of(cls, medium: ReadMedium, *, can_seek: bool) -> _Met:
        """Return what is found on a medium; only its DICOMDIR is read for that."""
        met = cls(medium.format, can_seek=can_seek, content=medium.content)
        try:
            for file in medium.files:
                met.files.append(file)
                if is_of_dicomdir(file.path):
                    met.dicomdir = met.read(file)
        except UnreadableMediumError as exc:
            met.unreadable = str(exc)
        return met

    def read(self, file: MediumFile) -> bytes | None:
        """Return the bytes of a small file, `None` if it is none or can't be read."""
        if file.size > MAX_SIZE:
            return None
        try:
            data = b"".join(file.chunks())
        except UnreadableMediumError:
            return None
        self.digests.know(file, digest_of(data))
        return data

    def has_image(self, medium: Medium) -> bool:
        """Whether a pipe has given the image of a medium; a file was compared with it before."""
        if self.can_seek or self.content is None or medium.produced is None:
            return False
        image = medium.produced.image
        try:
            return self.content(image.size) == image
        except UnreadableMediumError:
            return False

    def names(self) -> dict[Digest, str]:
        """Return the paths of files by their digests, as the list of these on the medium has them.

        It is the last file, and so not read from a pipe, which gives none of the others then.
        """
        for file in self.files if self.can_seek else ():
            if shown(file.path) == CHECKSUMS:
                return {digest: path for path, digest in listed(self.read(file) or b"")}
        return {}

    @property
    def uid(self) -> str | None:
        """The File-set UID in the DICOMDIR, `None` if that can't be read."""
        if self.dicomdir is None:
            return None
        try:
            return decode_dicomdir(self.dicomdir, name=DICOMDIR).identity.uid
        except LedgerError:
            return None


def _candidates(known: Sequence[Medium], met: _Met) -> list[Medium]:
    """Return the media that one may be: by its DICOMDIR, by the digest of that, or by its UID."""
    digest = None if met.dicomdir is None else digest_of(met.dicomdir)
    by_digest: dict[Digest | None, list[Medium]] = {}
    for medium in known:
        if medium.produced is not None:
            by_digest.setdefault(medium.produced.dicomdir, []).append(medium)
    if digest in by_digest:
        return by_digest[digest]
    names = met.names()
    for each, path in names.items():
        if is_of_dicomdir(path) and each in by_digest:
            return by_digest[each]
    # A DICOMDIR that is listed as it is belongs to another medium, if not to an unfinished one.
    is_whole = digest in names
    uid = met.uid
    return [m for m in known if m.started.uid == uid and not (is_whole and m.produced)]


def _only(
    place: str, number: int, meant: list[Medium], candidates: list[Medium], met: _Met
) -> list[Medium]:
    """Return the medium `meant`, of that number; `RefusedError` if it is known to be another."""
    if any(each.number == number for each in candidates) or (not candidates and met.uid is None):
        return meant
    numbers = ", ".join(f"medium {each.number}" for each in candidates)
    raise RefusedError(f"{place} is not medium {number}, but {numbers or 'none of this journal'}.")


def _likeness(medium: Medium, met: _Met) -> tuple[bool, bool, int]:
    return medium.produced is not None, medium.started.kind == met.kind, medium.number


def _same_images(where: Path, known: Iterable[Medium], progress: Progress | None) -> list[Medium]:
    """Return the media whose image a file or device begins with; it is read once at most.

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
            if same := [
                m for m in by_size[end] if m.produced and m.produced.image.digest == digest
            ]:
                return same
    return []
