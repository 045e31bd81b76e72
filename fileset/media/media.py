"""`FileSet.media`: media that are handed out, for Python programs."""

from __future__ import annotations

import os
from collections.abc import Iterable
from pathlib import Path
from typing import BinaryIO, Protocol

from fileset.media.burn import Burner, Burnt
from fileset.media.choice import Choice, medium_kind
from fileset.media.extras import Extras
from fileset.media.label.jobs import Job
from fileset.media.label.make import Labelled, Style, make_label
from fileset.media.list import media, medium, other_files
from fileset.media.make import Maker
from fileset.media.remake import remake
from fileset.media.verify import Verified, Verifier
from fileset.media.xorriso import Settings
from fileset.profiles.names import profile_named
from fileset.progress import PhasedProgress, Progress, no_progress
from fileset.repository.repository import Repository
from ledger.events import Handle, OtherFile
from ledger.files import StrPath
from projections.medium.volumes import capacity_of
from projections.past.media import Medium
from projections.state.state import FileSetState


class HasHandle(Protocol):
    """An instance of a File-set."""

    @property
    def handle(self) -> Handle:
        """The position of the event that added it."""


class HandedOutMedia:
    """Makes media of one state of a File-set, and looks after all that were ever made of it."""

    def __init__(self, repository: Repository, state: FileSetState) -> None:
        self._repository = repository
        self._state = state

    def make(  # noqa: PLR0913 - all but the first two are named
        self,
        out: StrPath | BinaryIO,
        instances: Iterable[HasHandle] | None = None,
        *,
        kind: str | None = None,
        recipient: str | None = None,
        label: str | None = None,
        profile: str | None = None,
        leave_out: bool = False,
        convert: bool = False,
        icons: bool = False,
        capacity: int | str | None = None,
        split: str = "study",
        extras: Extras | None = None,
        replace: bool = False,
        reason: str | None = None,
        progress: PhasedProgress = no_progress,
    ) -> list[Medium]:
        """Make a medium with the File-set, or with some `instances`; return one for each volume.

        `kind` is "iso", "usb", "zip", "eml" or "folder"; by default what the ending of `out` says,
        which has to be named for a stream. `profile` is that which it conforms to, by default the
        File-set's; what does not fit prevents the medium or, with `leave_out`, is left out; with
        `convert`, what only has to be in Explicit VR Little Endian is converted before that. With
        `icons`, the records of all images get icons, where these can be made.
        `capacity` is in bytes, or a text such as "4.7GB" or "cd80" (`capacity_of`); it and `split`
        tell what goes on which volume. `extras` are pages, a viewer and files besides. `progress`
        is told of instances that are shown by these, and of bytes. Raises as
        `fileset.media.make.Maker.make`.
        """
        place = _place(out)
        handles = None if instances is None else [each.handle for each in instances]
        choice = Choice(
            medium_kind(place, kind),
            handles,
            recipient=recipient,
            label=label,
            profile=None if profile is None else profile_named(profile, to_set=True),
            leave_out=leave_out,
            convert=convert,
            icons=icons,
            capacity=capacity_of(capacity) if isinstance(capacity, str) else capacity,
            by=split,
            extras=Extras() if extras is None else extras,
        )
        made = Maker(self._repository).make(
            place, self._state, choice, replace=replace, reason=reason, progress=progress
        )
        return [each.medium for each in made]

    def list(self) -> list[Medium]:
        """Return all media by number, also those that were not finished."""
        return media(self._repository)

    def other_files(self, number: int) -> tuple[OtherFile, ...]:
        """Return what is on the medium of that number besides instances, unless it was erased."""
        return other_files(self._repository, medium(self._repository, number))

    def verify(
        self,
        where: StrPath,
        *,
        number: int | None = None,
        reason: str | None = None,
        progress: Progress | None = None,
    ) -> Verified:
        """Read back a medium and compare it with the journal, which records that.

        Of several media that it may be, it is the one of that `number`, or the newest of those that
        match best. Raises as `fileset.media.verify.Verifier.verify`.
        """
        return Verifier(self._repository).verify(
            Path(where).absolute(), number=number, reason=reason, progress=progress
        )

    def remake(
        self,
        number: int,
        out: StrPath | BinaryIO,
        *,
        replace: bool = False,
        progress: Progress | None = None,
    ) -> Medium:
        """Make the medium of that number again, byte for byte; raises as `fileset.media.remake`."""
        return remake(self._repository, number, _place(out), replace=replace, progress=progress)

    def label(
        self,
        number: int,
        out: StrPath,
        style: Style | None = None,
        *,
        job: Job | None = None,
        replace: bool = False,
    ) -> Labelled:
        """Make the label of the medium of that number, a PDF file, or a picture if `out` is a PNG.

        `job` is for a robot. Raises as `fileset.media.label.make.make_label`.
        """
        return make_label(
            self._repository, number, Path(out).absolute(), style or Style(), job=job,
            replace=replace,
        )  # fmt: skip

    def burn(
        self,
        image: StrPath,
        device: str,
        *,
        number: int | None = None,
        speed: int | None = None,
        blank: bool = False,
        reason: str | None = None,
        progress: PhasedProgress = no_progress,
    ) -> Burnt:
        """Burn the image of a medium, read it back, and record that they are equal, if they are.

        `device` is a drive, or "stdio:" and the path of a file. Of several media with the same
        bytes it is the one of that `number`, or the newest. Raises as
        `fileset.media.burn.Burner.burn`.
        """
        return Burner(self._repository).burn(
            Path(image).absolute(), device, Settings(speed, blank), number=number, reason=reason,
            progress=progress,
        )  # fmt: skip


def _place(out: StrPath | BinaryIO) -> Path | BinaryIO:
    if isinstance(out, str | os.PathLike):
        return Path(out).absolute()
    return out
