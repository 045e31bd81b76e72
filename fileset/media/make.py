"""Making media that are handed out, each a fact in the journal.

In this order: what the vault lacks is taken into it; pages and the like are made and put there; an
event says what is about to be made; the bytes go out, each file checked against its digest; under
the lock, what came meanwhile is looked at; the finished file gets its name; an event says that it
is there. A process that is killed so leaves a medium that was started, and never one that counts
and is not there.
"""

from __future__ import annotations

import calendar
import os
import warnings
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, nullcontext
from functools import partial
from pathlib import Path
from typing import BinaryIO, NamedTuple

from attrs import evolve

from fileset.errors import RefusedError
from fileset.media.choice import Choice, chosen_of, volumes_of
from fileset.media.comparing import differences
from fileset.media.fitting import Fit, convert_misfits, fit, refuse_kind
from fileset.media.keeping import Keeper, Keeping, Measuring
from fileset.media.list import media
from fileset.media.prepare import FOLDER, Prepared, outline, read_part
from fileset.media.reading.folder import read_folder
from fileset.media.securing import secure, size_of
from fileset.media.stream import write_image
from fileset.medium.errors import MediumError
from fileset.medium.guards import refuse_own_media
from fileset.medium.guards import refuse_place as refuse_root
from fileset.output import (
    clear_leftovers,
    in_words,
    is_direct,
    new_medium_folder,
    opened,
    refuse_taken,
    refuse_without_room,
)
from fileset.pictures.picture import NoImageError, needed
from fileset.profiles.icons import make_icons
from fileset.progress import PhasedProgress, Progress, no_progress
from fileset.repository.repository import Repository
from ledger.disk import fsync, fsync_all
from ledger.errors import ContentMissingError, InstanceError, LedgerError
from ledger.events import Content, Handle, MediumAddressed, MediumFilled, MediumProduced
from ledger.files import naming, write_all
from ledger.phrases import count, some
from projections.dicomdir.profiles.icons import icon_size
from projections.medium.directory import check_icons
from projections.medium.images.tree import CivilTime
from projections.past.media import Medium
from projections.state.nodes import Leaf
from projections.state.persons import mismatches_among
from projections.state.state import FileSetState


class Made(NamedTuple):
    """A medium that was made, where it is, and what it consists of."""

    medium: Medium
    place: Path | BinaryIO
    prepared: Prepared


class Maker:
    """Makes media of a repository's File-set."""

    def __init__(self, repository: Repository) -> None:
        self._repository = repository
        self.unshown: dict[Leaf, str] = {}
        """The instances that pages and viewers can't show, with the reason."""
        self.without_icon: dict[Leaf, str] = {}
        """The instances of which no icon can be made, with the reason, if icons were asked for."""
        self.failed: set[Leaf] = set()
        """Those of both of which there should be a picture: they are images."""
        self.converted = 0
        """How many instances were converted for it."""
        self.unconverted: Mapping[Leaf, str] = {}
        """The instances that should have been converted and can't be, with the reason."""

    def plan(
        self,
        out: Path | BinaryIO,
        state: FileSetState,
        choice: Choice,
        *,
        replace: bool = False,
        progress: PhasedProgress = no_progress,
    ) -> list[tuple[Path | BinaryIO, Prepared]]:
        """Return where which volume would go, after checking that it may; nothing is changed.

        Sizes are right, but for values and icons that records get and that were never read or made;
        digests are unknown as far as content was not. Raises as `make`.
        """
        self._repository.refresh()
        fits = self._fit(state, choice, record=False)
        return self._planned(
            out, state, choice, fits, Measuring(), replace=replace, progress=progress
        )

    def make(
        self,
        out: Path | BinaryIO,
        state: FileSetState,
        choice: Choice,
        *,
        replace: bool = False,
        reason: str | None = None,
        progress: PhasedProgress = no_progress,
    ) -> list[Made]:
        """Hand out a choice of `state`, and return the media that were made, one for each volume.

        `out` is a path, or a stream for an image. Several volumes go to paths with their number.
        An image replaces a file only with `replace`. `progress` is told of instances that are shown
        on pages and in the viewer, and of bytes that are written.

        Raises
        ------
        RefusedError
            If nothing is chosen, instances don't fit the profile, something is in the way, or the
            disk has too little room: no medium was recorded. If instances were erased meanwhile:
            the medium is not finished.
        ContentMissingError, ContentDamagedError, VaultError
            If the bytes of instances are nowhere, or damaged.
        VolumesError, ImageError
            If it can't be split so that it fits, or the format can't hold it (ValueError).
        DicomdirError
            If the icons of a volume are too many for memory. No medium was recorded.
        NotInstalledError
            If icons are asked for, and the extra `[pictures]` is missing.
        MediumError
            If `out` can't be written. The medium is not finished.
        """
        repository = self._repository
        repository.outside_changes("Handing out a medium")
        repository.refresh()
        if choice.icons:
            needed()
        chosen = sorted(chosen_of(state, choice))
        self._refuse_gone(chosen, "Nothing was made")
        if choice.convert:
            refuse_kind(choice.profile, choice.kind, is_asked=True)
            if choice.capacity is None:
                self._refuse_out(out, is_folder=choice.kind == FOLDER, replace=replace)
        # A refusal takes the conversion back. Else others can change the repository meanwhile.
        with repository.change(reason) if choice.convert else nullcontext():
            if choice.convert:
                conversion = convert_misfits(repository, state, chosen, choice.profile)
                self.converted, self.unconverted = len(conversion.new), conversion.failed
                chosen = sorted(conversion.new.get(handle, handle) for handle in chosen)
                state, choice = repository.state, evolve(choice, handles=chosen)
            secure(repository, chosen, reason=reason)
            fits = self._fit(state, choice, record=True)
            refuse_persons(state, chosen)
        state = repository.state if choice.convert else state
        try:
            return self._hand_out(
                out, state, choice, fits, replace=replace, reason=reason, progress=progress
            )
        except LedgerError:
            if self.converted:
                warnings.warn(
                    f"{count(self.converted, 'instance')} converted to Explicit VR Little Endian "
                    "for it; `fileset undo` takes that back.",
                    stacklevel=2,
                )
            raise

    def _hand_out(
        self,
        out: Path | BinaryIO,
        state: FileSetState,
        choice: Choice,
        fits: Fit,
        *,
        replace: bool,
        reason: str | None,
        progress: PhasedProgress,
    ) -> list[Made]:
        """Make the media of a choice, whose instances are in the vault, from `state`."""
        repository = self._repository
        chosen = sorted(chosen_of(state, choice))
        if choice.icons:
            handles = [handle for handle in chosen if handle not in fits.left_out]
            self._make_icons(choice, fits, handles, partial(progress, "Making icons"))
        keeping = Keeping(repository)
        with self._seeing_erasures(chosen, "Nothing was made"):
            planned = self._planned(
                out, state, choice, fits, keeping, replace=replace, progress=progress
            )
            keeping.done()
        with repository.change(reason):
            for _, prepared in planned:
                self._refuse_gone(prepared.started.handles(), "Nothing was made")
                keeping.refuse_dropped(prepared.files)
            positions = [self._begin(prepared, choice) for _, prepared in planned]
        for place, _ in planned:
            clear_leftovers(place)
        done = 0
        total = sum(prepared.size for _, prepared in planned)
        for (place, prepared), position in zip(planned, positions, strict=True):

            def advance(here: int, _: int, before: int = done) -> None:
                progress("Writing", before + here, total)

            self._produce(place, prepared, position, replace=replace, progress=advance)
            done += prepared.size
        known = {medium.position: medium for medium in media(repository)}
        return [
            Made(known[position], *planned_)
            for position, planned_ in zip(positions, planned, strict=True)
        ]

    def _make_icons(
        self, choice: Choice, fits: Fit, handles: Iterable[Handle], progress: Progress
    ) -> None:
        """Make the icons of what is handed out, as a change of its own; take down why not."""
        leaves = map(self._repository.state.leaf, handles)
        sizes = (
            (leaf, icon_size(fits.profile, leaf.record_type, leaf.sop_class_uid, asked=True))
            for leaf in leaves
        )
        wanted = [(leaf, size) for leaf, size in sizes if size is not None]
        if choice.capacity is None:  # else there may be several DICOMDIRs
            check_icons(size for _, size in wanted)
        failed = make_icons(self._repository, wanted, progress=progress)
        for leaf, why in failed.items():
            self._take_down(self.without_icon, leaf, why)

    def _take_down(self, reasons: dict[Leaf, str], leaf: Leaf, why: Exception) -> None:
        """Take down why there is no picture of an instance, and whether there should be one."""
        reasons[leaf] = why.reason if isinstance(why, InstanceError) else str(why)
        if not isinstance(why, NoImageError):
            self.failed.add(leaf)

    def _begin(self, prepared: Prepared, choice: Choice) -> int:
        """Record that a medium is begun; return the position of the event."""
        position = self._repository.emit(prepared.started)
        institution = choice.extras.institution or None
        if choice.recipient or choice.label or choice.asked or institution:
            self._repository.emit(
                MediumAddressed(
                    position, choice.recipient, choice.label, choice.asked, institution=institution
                )
            )
        files, most = tuple(prepared.files), MediumFilled.MOST
        for at in range(0, len(files), most):
            self._repository.emit(MediumFilled(position, files[at : at + most]))
        return position

    def _fit(self, state: FileSetState, choice: Choice, *, record: bool) -> Fit:
        return fit(
            self._repository,
            state,
            sorted(chosen_of(state, choice)),
            choice.kind,
            choice.profile,
            leave_out=choice.leave_out,
            record=record,
            unconverted=self.unconverted,
        )

    def _planned(
        self,
        out: Path | BinaryIO,
        state: FileSetState,
        choice: Choice,
        fits: Fit,
        keeper: Keeper,
        *,
        replace: bool,
        progress: PhasedProgress,
    ) -> list[tuple[Path | BinaryIO, Prepared]]:
        repository = self._repository
        sizes = partial(size_of, repository)
        started = volumes_of(repository, state, choice, fits, sizes)
        to = places(out, len(started))
        for place in to:
            if choice.kind != FOLDER or not _is_taken(place):  # else it may be this very medium
                self._refuse_out(place, is_folder=choice.kind == FOLDER, replace=replace)
        planned = []
        for place, each in zip(to, started, strict=True):
            what = f"Preparing volume {each.volume}" if each.volumes > 1 else "Preparing"
            medium = outline(repository, each)
            extras = choice.extras.files(
                repository,
                medium,
                keeper,
                partial(self._take_down, self.unshown),
                partial(progress, what),
            )
            planned.append((place, medium.prepared((*choice.files, *extras), sizes=sizes)))
        for place, prepared in planned:
            if choice.capacity is not None and prepared.size > choice.capacity:
                raise RefusedError(
                    f"Volume {prepared.started.volume} has {prepared.size:,} bytes, which is more "
                    f"than {choice.capacity:,}: take a smaller --capacity for this kind of medium."
                )
            self.refuse_place(place, prepared, replace=replace)
        _refuse_without_room(planned)
        return planned

    def refuse_place(self, place: Path | BinaryIO, prepared: Prepared, *, replace: bool) -> None:
        """Raise `RefusedError` if a medium can't go to `place`; nothing is changed."""
        self._refuse_out(place, prepared, is_folder=prepared.layout is None, replace=replace)

    def _refuse_out(
        self,
        place: Path | BinaryIO,
        prepared: Prepared | None = None,
        *,
        is_folder: bool,
        replace: bool,
    ) -> None:
        if not isinstance(place, Path) or is_direct(place):
            if is_folder:
                raise RefusedError("A folder can't go to a pipe or a device: name a folder.")
            if isinstance(place, Path):
                refuse_taken(place, replace=replace)
            return
        root = place if is_folder else place.parent
        refuse_root(root, self._repository.path if is_folder else None)
        if not is_folder:
            refuse_taken(place, replace=replace)
        elif _is_taken(place) and (prepared is None or not _is_there(place, prepared)):
            raise RefusedError(f"{place} is there already: name a new folder.")
        known = filter(self._repository.roots.knows, self._repository.state.roots())
        for own in known:
            if Path(own) in (place, *place.parents):
                refuse_own_media(place, [own])

    def _produce(
        self,
        place: Path | BinaryIO,
        prepared: Prepared,
        position: int,
        *,
        replace: bool,
        progress: Progress,
    ) -> None:
        """Write a medium that was started, and record that it is there."""
        handles = prepared.started.handles()
        outcome = "The medium is not finished, and must not be handed out"
        written = writing(place, prepared, self._repository, replace=replace, progress=progress)
        with (
            self._seeing_erasures(handles, outcome),
            written as (image, keep),
            self._repository.change(),
        ):
            self._refuse_gone(handles, outcome)
            keep()
            self._repository.emit(MediumProduced(position, image, prepared.dicomdir.digest))

    @contextmanager
    def _seeing_erasures(self, handles: Collection[Handle], outcome: str) -> Iterator[None]:
        """Where content is missing that was erased meanwhile, raise `RefusedError` instead."""
        try:
            yield
        except ContentMissingError:
            self._repository.refresh()
            self._refuse_gone(handles, outcome)
            raise

    def _refuse_gone(self, handles: Collection[Handle], outcome: str) -> None:
        known = self._repository.state.hierarchy.leaves
        if gone := sum(handle not in known for handle in handles):
            were = "was" if gone == 1 else "were"
            raise RefusedError(
                f"{outcome}: {count(gone, 'instance')} of it {were} erased meanwhile."
            )


def refuse_persons(state: FileSetState, handles: Collection[Handle]) -> None:
    """Raise `RefusedError` if instances of several persons have one Patient ID.

    A medium for one of them would carry what is the other one's.
    """
    found = mismatches_among(state, frozenset(handles))
    if found:
        ids = some([repr(each.patient_id) for each in found])
        raise RefusedError(
            f"Several persons seem to have one Patient ID: {ids}; `fileset status` tells in what "
            "they differ. Nothing was made: choose the studies of one person, give the other one "
            "another ID with `fileset move`, or accept them with `fileset settle`."
        )


def places(out: Path | BinaryIO, volumes: int) -> list[Path | BinaryIO]:
    """Return where each of the volumes goes; `RefusedError` for several to a stream or a device."""
    if volumes == 1:
        return [out]
    if not isinstance(out, Path) or is_direct(out):
        raise RefusedError(
            f"{volumes} volumes can't go to one pipe or device: name a file, which each of them "
            "gets a number for."
        )
    return [
        out.with_name(f"{out.stem}_{number}OF{volumes}{out.suffix}")
        for number in range(1, volumes + 1)
    ]


def _refuse_without_room(planned: Sequence[tuple[Path | BinaryIO, Prepared]]) -> None:
    together = sum(p.size for place, p in planned if isinstance(place, Path))
    first = planned[0][0]
    if isinstance(first, Path):
        refuse_without_room(first, together)


@contextmanager
def writing(
    place: Path | BinaryIO,
    prepared: Prepared,
    repository: Repository,
    *,
    replace: bool,
    progress: Progress | None,
) -> Iterator[tuple[Content, Callable[[], None]]]:
    """Write a medium; yield what was written, and what gives it its place.

    Raises `MediumError` if it can't be written; nothing is left then of what has a name.
    """
    name = os.fspath(place) if isinstance(place, Path) else "the output"
    try:
        if prepared.layout is None:
            assert isinstance(place, Path)  # noqa: S101 - the plan says so
            if _is_taken(place):  # by this very medium: the plan has looked
                fsync(place.parent)
                yield _of_folder(prepared), lambda: None
                return
            with new_medium_folder(place) as (building, keep):
                yield _write_folder(building, prepared, repository, progress), keep
            return
        with opened(place, replace=replace) as output:
            read = prepared.reading(repository.vault)
            image = write_image(prepared.layout, read, output.file, progress=progress)
            output.finish()
            yield image, output.keep
    except OSError as exc:
        raise MediumError(f"The medium is not finished: {in_words(exc, name)}") from exc


def _write_folder(
    folder: Path, prepared: Prepared, repository: Repository, progress: Progress | None
) -> Content:
    """Write the files of a medium into an empty folder, durably; return what it is."""
    done, total = 0, prepared.size
    folders: dict[Path, None] = {folder: None}
    written = []
    for part in prepared.parts:
        path = folder / part.path
        if path.parent not in folders:
            path.parent.mkdir(parents=True)
            folders.update(dict.fromkeys(reversed([*_up_to(path.parent, folder)])))
        with naming(path), path.open("xb", buffering=0) as file:
            for chunk in read_part(part, repository.vault):
                write_all(file.fileno(), chunk)
                done += len(chunk)
                if progress is not None:
                    progress(done, total)
        _set_time(path, part.modified)
        written.append(path)
    for made in reversed(folders):
        _set_time(made, prepared.parts[0].modified)
    fsync_all(written, folders, folder)
    return _of_folder(prepared)


def _of_folder(prepared: Prepared) -> Content:
    return Content(prepared.checksums.digest, prepared.size)


def _is_taken(folder: Path | BinaryIO) -> bool:
    """Whether anything is at the place of a new folder, but for an empty one."""
    if not isinstance(folder, Path):
        return False
    return os.path.lexists(folder) and (not folder.is_dir() or any(folder.iterdir()))


def _is_there(folder: Path, prepared: Prepared) -> bool:
    """Whether a folder is that medium: one that was killed has made it, and not recorded it."""
    return folder.is_dir() and not differences(prepared, read_folder(folder).files)


def _up_to(path: Path, root: Path) -> Iterator[Path]:
    while path != root:
        yield path
        path = path.parent


def _set_time(path: Path, time: CivilTime) -> None:
    seconds = calendar.timegm(time)
    os.utime(path, (seconds, seconds))
