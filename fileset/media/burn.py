"""Burning a medium that was made: from its image to a disc that was read back."""

from __future__ import annotations

import hashlib
import os
import stat
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from functools import partial
from pathlib import Path
from typing import Final

from attrs import frozen

from fileset.errors import RefusedError
from fileset.media.list import media
from fileset.media.prepare import prepare_again
from fileset.media.xorriso import STDIO, Settings, burn_image, eject, place_of, program
from fileset.medium.errors import MediumError
from fileset.progress import PhasedProgress, Progress, no_progress
from fileset.repository.folder import whose_folder
from fileset.repository.repository import Repository
from ledger.digest import from_raw
from ledger.disk import fsync
from ledger.events import Content, MediumBurnt
from ledger.files import file_content, naming
from ledger.phrases import storable
from projections.past.media import Medium

_CHUNK: Final = 1 << 20
_DISC: Final = "iso"


@frozen
class Difference:
    """Where a disc differs from its image first.

    `at` is the byte, `path` the file on the medium in which it is, if it is in one. `ends` if there
    is nothing to read any more.
    """

    at: int
    path: str | None = None
    ends: bool = False


@frozen
class Burnt:
    """What was burnt: which medium, `None` for what the journal doesn't tell of, and its image.

    `difference` is what reading it back has shown. If there is one, nothing was recorded.
    """

    medium: Medium | None
    device: str
    image: Content
    difference: Difference | None = None


class Burner:
    """Burns images of the media of a repository."""

    def __init__(self, repository: Repository) -> None:
        self._repository = repository

    def find(
        self,
        image: Path,
        *,
        number: int | None = None,
        anyway: bool = False,
        progress: Progress | None = None,
    ) -> tuple[Medium | None, Content]:
        """Return which medium a file is the image of, after reading it, and its content.

        Of several with the same bytes it is the one with that `number`, or the newest. It may be
        none with `anyway`. Raises `RefusedError` for another file than the image of a
        disc that was finished, and for one with data that was erased since. OSError if it can't be
        read.
        """
        content = file_content(image)
        if progress is not None:
            progress(content.size, content.size)
        found = [
            medium
            for medium in media(self._repository)
            if medium.produced is not None
            and medium.produced.image == content
            and number in (None, medium.number)
        ]
        if anyway:
            return None, content
        if not found:
            which = (
                "no medium that this journal tells of" if number is None else f"not medium {number}"
            )
            raise RefusedError(
                f"{image} is {which}, or not as it was made: `fileset "
                "media remake` makes one again. --anyway burns it, and records nothing."
            )
        medium = found[-1]
        if medium.started.kind != _DISC:
            raise RefusedError(
                f"{image} is not the image of a disc: make one with `fileset media make --format "
                "iso`."
            )
        self._refuse_erased(medium)
        return medium, content

    def burn(
        self,
        image: Path,
        device: str,
        settings: Settings,
        *,
        number: int | None = None,
        anyway: bool = False,
        put_out: bool = False,
        reason: str | None = None,
        progress: PhasedProgress = no_progress,
    ) -> Burnt:
        """Burn an image on a device, read back exactly its length, and record that they are equal.

        With `anyway` it may be any file, and nothing is recorded. `put_out` has the drive put out
        the disc in the end.

        Raises
        ------
        RefusedError
            As `find`; if xorriso is missing, or the device is a file that is not empty.
        MediumError
            If it can't be burnt or read back. Nothing is recorded.
        """
        repository = self._repository
        repository.outside_changes("Burning a medium")
        program()
        medium, content = self.find(
            image, number=number, anyway=anyway, progress=partial(progress, "Reading the image")
        )
        refuse_device(device, image, blank=settings.blank)
        place = place_of(device)
        burn_image(image, device, settings, progress=partial(progress, "Burning (MB)"))
        if not _is_there(place, content, partial(progress, "Reading back")):
            at, ends = _first_difference(image, place, content)
            where = self._path_at(medium, at) if medium is not None else None
            return Burnt(medium, device, content, Difference(at, where, ends))
        if medium is not None:
            with repository.change(reason):
                self._refuse_erased(medium)
                repository.emit(MediumBurnt(medium.position, storable(device), content.digest))
        if put_out:
            eject(device)
        return Burnt(medium, device, content)

    def _refuse_erased(self, medium: Medium) -> None:
        known = self._repository.refresh().hierarchy.leaves
        if any(handle not in known for handle in medium.started.handles()):
            raise RefusedError(
                f"Data on medium {medium.number} was erased since it was made: destroy its image, "
                "and whatever was burnt of it."
            )

    def _path_at(self, medium: Medium, at: int) -> str | None:
        """Return which file of a disc has the byte at an offset, `None` if none has it."""
        layout = prepare_again(self._repository, medium).layout
        assert layout is not None  # noqa: S101 - it is an image
        end = 0
        for piece in layout.pieces(lambda _: 0):
            end += len(piece) if isinstance(piece, bytes) else layout.files[piece].size
            if at < end:
                return None if isinstance(piece, bytes) else layout.files[piece].path
        return None


def refuse_device(device: str, image: Path, *, blank: bool) -> None:
    """Raise `RefusedError` for what is no drive, or would lose what only `blank` lets go."""
    place = place_of(device)
    try:
        found = place.stat()
    except FileNotFoundError:
        found = None
    if found is not None and stat.S_ISDIR(found.st_mode):
        raise RefusedError(f"{place} is a folder: name a drive, such as /dev/sr0.")
    if not device.startswith(STDIO):
        if found is None or not (stat.S_ISBLK(found.st_mode) or stat.S_ISCHR(found.st_mode)):
            raise RefusedError(
                f"There is no such device as {device}: `xorriso -devices` lists the drives. For a "
                f"file, put `{STDIO}` before its path."
            )
        return
    if found is not None and stat.S_ISBLK(found.st_mode) and not blank:
        raise RefusedError(f"All that is on {place} would go: --blank says that it may.")
    if found is not None and not stat.S_ISREG(found.st_mode):
        return
    if found is not None and place.samefile(image):
        raise RefusedError(f"{place} is the image itself.")
    if (whose := whose_folder(place)) is not None:
        raise RefusedError(f"{place} is in {whose}: name a file elsewhere.")
    if found is not None and found.st_size and not blank:
        raise RefusedError(f"{place} is not empty: name another file, or give --blank.")


def _is_there(place: Path, content: Content, progress: Progress) -> bool:
    """Whether what is at `place` begins with `content`; `MediumError` if it can't be read."""
    hasher, done = hashlib.sha256(), 0
    with _read_back(place) as chunks:
        for chunk in chunks(content.size):
            hasher.update(chunk)
            done += len(chunk)
            progress(done, content.size)
    return from_raw(hasher.digest()) == content.digest


def _first_difference(image: Path, place: Path, content: Content) -> tuple[int, bool]:
    """Return at which byte what is at `place` differs from an image, and whether it ends there.

    Raises `MediumError` if it can't be read, or the image is another one meanwhile; OSError if the
    image can't be read.
    """
    done = 0
    with naming(image), image.open("rb") as file, _read_back(place) as chunks:
        for theirs in chunks(content.size):
            ours = file.read(len(theirs))
            if ours != theirs:
                pairs = enumerate(zip(ours, theirs, strict=False))
                return done + next((n for n, (a, b) in pairs if a != b), len(ours)), False
            done += len(theirs)
    if done < content.size:
        return done, True
    raise MediumError(f"{image} has changed while it was burnt: nothing was recorded.")


@contextmanager
def _read_back(place: Path) -> Iterator[Callable[[int], Iterator[bytes]]]:
    """Open what was burnt, and yield what gives so many bytes of it, or fewer if it ends before.

    Raises `MediumError` if it can't be read.
    """
    with _explained(f"{place} can't be opened"):
        fd = os.open(place, os.O_RDONLY | os.O_CLOEXEC)

    def chunks(size: int) -> Iterator[bytes]:
        done = 0
        while done < size:
            with _explained(f"it can't be read at byte {done:,}"):
                chunk = os.read(fd, min(_CHUNK, size - done))
            if not chunk:
                return
            done += len(chunk)
            yield chunk

    try:
        with suppress(OSError):  # a drive needs none
            os.fsync(fd)
            if place.is_file():
                fsync(place.parent)
        with suppress(OSError, AttributeError):  # what the system has in memory proves nothing
            os.posix_fadvise(fd, 0, 0, os.POSIX_FADV_DONTNEED)
        yield chunks
    finally:
        with _explained(f"{place} can't be closed"):
            os.close(fd)


@contextmanager
def _explained(what: str) -> Iterator[None]:
    try:
        yield
    except OSError as exc:
        raise MediumError(
            f"The disc was burnt and not read back: {what}: {exc.strerror}. Nothing was recorded: "
            "look at the drive, and burn another disc."
        ) from exc
