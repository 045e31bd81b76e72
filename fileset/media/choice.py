"""What is chosen for a medium, and which volumes it takes."""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Sequence
from importlib.metadata import version
from pathlib import Path
from typing import BinaryIO, Final

from attrs import field, frozen

from fileset.errors import EndingError, NoSuchInstanceError, RefusedError
from fileset.media.extras import Extras
from fileset.media.fitting import Fit
from fileset.media.prepare import FOLDER, FORMATS, ICONS
from fileset.repository.repository import Repository
from ledger.events import Handle, MediumStarted, OtherFile
from ledger.events.media import KINDS
from ledger.journal.erasures import runs_of
from ledger.journal.protocol import Journal
from projections.dicomdir.profiles.icons import icon_sequence, icon_size
from projections.dicomdir.profiles.profile import Profile
from projections.medium.handout import CHANGING_TYPES, derived_uid, volume_id
from projections.medium.volumes import split
from projections.state.nodes import Branch, Leaf
from projections.state.state import FileSetState

_STEP: Final = 1000  # events that are looked at together, from the end

_BLOCKS: Final = {"usb": 4096}
"""Bytes that a file takes up a multiple of, where that is more than a sector of a disc."""

_ALWAYS: Final = {"iso": 3 << 17, "usb": 1 << 20, "zip": 1 << 14, "eml": 1 << 15, "folder": 1 << 14}
"""Bytes that a medium has besides its files: descriptors and padding, tables, a DICOMDIR."""

_BY_ENDING: Final = {".iso": "iso", ".img": "usb", ".usb": "usb", ".zip": "zip", ".eml": "eml"}
_OF_FILE: Final = re.compile(r"\.[a-z][a-z0-9]{1,4}", re.IGNORECASE)  # as no folder's name ends


@frozen
class Choice:
    """What is to be handed out.

    Attributes
    ----------
    kind : str
        One of `ledger.events.media.KINDS`.
    handles : collection of int or None
        The instances; `None` for all.
    asked : tuple of pairs of str
        How they were chosen, by keyword and value.
    recipient, label : str or None
        For whom it is, and what is written on it.
    capacity : int or None
        Bytes that a volume may have; `None` for one volume, whatever it takes.
    by : str
        What stays together on a volume: one of `projections.medium.volumes.SPLITS`.
    files : tuple of OtherFile
        What else goes on each volume; the vault has it.
    extras : Extras
        What else is made for each volume.
    profile : Profile or None
        The application profile that the medium conforms to; `None` for that of the File-set.
    leave_out : bool
        Whether instances that don't fit the profile are left out; else nothing is made then.
    convert : bool
        Whether those that need only be in Explicit VR Little Endian are converted first.
    icons : bool
        Whether the records of all images get icons, and not only where the profile requires them.
    """

    kind: str
    handles: Collection[Handle] | None = None
    asked: tuple[tuple[str, str], ...] = ()
    recipient: str | None = None
    label: str | None = None
    capacity: int | None = None
    by: str = "study"
    files: tuple[OtherFile, ...] = ()
    profile: Profile | None = None
    leave_out: bool = False
    convert: bool = False
    icons: bool = False
    extras: Extras = field(factory=Extras)


def medium_kind(out: Path | BinaryIO, named: str | None = None) -> str:
    """Return the kind of medium that goes to a path: what is `named`, or what its ending says.

    Without an ending it is a folder. `EndingError` (ValueError) if the ending stands for another
    kind than that which is named, if it is a file's and nothing is named, and for a stream.
    """
    if not isinstance(out, Path):
        if named is None:
            raise EndingError("A stream says nothing of what is to be made: name the kind.")
        return named
    by_ending = _BY_ENDING.get(out.suffix.lower())
    if named is None and by_ending is None and _OF_FILE.fullmatch(out.suffix) and not out.is_dir():
        raise EndingError(
            f"What to make at {out}? {', '.join(_BY_ENDING)} are endings of media; a folder with "
            "such a name needs --format folder."
        )
    if named is not None and by_ending not in (None, named):
        fitting = " or ".join(each for each, kind in _BY_ENDING.items() if kind == named)
        raise EndingError(
            f"{out} has the ending of another kind ({KINDS[by_ending]}) than what is to be made "
            f"({KINDS[named]}): "
            + (f"end its name in {fitting}." if fitting else "leave the ending out.")
        )
    return named or by_ending or FOLDER


def content_position(journal: Journal, upto: int) -> int:
    """Return the last position up to `upto` of an event that changes content or identity."""
    while upto > 0:
        after = max(upto - _STEP, 0)
        found = [e.position for e in journal.stored(after, upto) if e.type in CHANGING_TYPES]
        if found:
            return found[-1]
        upto = after
    raise RefusedError("Nothing was recorded yet that could be handed out.")


def chosen_of(state: FileSetState, choice: Choice) -> set[Handle]:
    """Return the instances of `state` that are chosen.

    Raises `RefusedError` if there are none, `NoSuchInstanceError` if one is not part of the
    File-set (ValueError).
    """
    everything = {leaf.handle for leaf in state.live.values()}
    chosen = everything if choice.handles is None else set(choice.handles)
    if not chosen:
        raise RefusedError("No instance matches: there is nothing to hand out.")
    if not chosen <= everything:
        raise NoSuchInstanceError("No such instance in the File-set")
    return chosen


def volumes_of(
    repository: Repository,
    state: FileSetState,
    choice: Choice,
    fit: Fit,
    sizes: Callable[[Handle], int],
) -> list[MediumStarted]:
    """Return the volumes that a choice from `state` takes, as the events that will tell of them.

    `fit` tells what of it is left out. Raises `RefusedError` if that is all, and as `chosen_of`;
    `VolumesError` if it can't be split so that it fits.
    """
    chosen = chosen_of(state, choice) - fit.left_out.keys()
    if not chosen:
        raise RefusedError("None of the instances fits: there is nothing to hand out.")
    profile = fit.profile.identifier if fit.profile else None
    base = content_position(repository.journal, state.position)
    parts: Sequence[Collection[Handle]] = [chosen]
    if choice.capacity is not None:
        parts = split(
            [leaf for leaf in state.hierarchy.walk_leaves() if leaf.handle in chosen],
            _sized(sizes, choice, fit.profile),
            choice.capacity,
            by=choice.by,
            block=_BLOCKS.get(choice.kind, 2048),
            always=_around(choice.kind, choice.capacity)
            + choice.extras.once(_BLOCKS.get(choice.kind, 2048)),
        )
    whole = len(parts) == 1 and len(chosen) == len(state.live) and state.identity.uid != ""
    id_, journal = state.identity.id, repository.journal.id
    if len(parts) > 1 and not id_:
        id_ = f"FS{derived_uid(journal, base, (), None, 0, len(parts))[-8:]}"
    return [
        MediumStarted(
            kind=choice.kind,
            format=max(number for kind, number in FORMATS if kind == choice.kind),
            base=base,
            uid=state.identity.uid
            if whole
            else derived_uid(journal, base, runs_of(part), profile, volume, len(parts)),
            contains=runs_of(part),
            writer=f"fileset-ledger {version('fileset-ledger')}",
            id=id_ if len(parts) == 1 or id_ is None else volume_id(id_, volume, len(parts)),
            profile=profile,
            left_out=runs_of(fit.left_out),
            volume=volume,
            volumes=len(parts),
            options=choice.extras.options() | _splitting(choice) | _with_icons(choice),
        )
        for volume, part in enumerate(parts, 1)
    ]


def _around(kind: str, capacity: int) -> int:
    """Return how many bytes of a medium are not those of its files."""
    base64 = capacity - capacity // 78 * 57 if kind == "eml" else 0  # in lines of 57 bytes
    return _ALWAYS[kind] + base64


def _splitting(choice: Choice) -> dict[str, str]:
    if choice.capacity is None:
        return {}
    return {"capacity": str(choice.capacity), "split": choice.by}


def _with_icons(choice: Choice) -> dict[str, str]:
    return {ICONS: "yes"} if choice.icons else {}


def _sized(
    sizes: Callable[[Handle], int], choice: Choice, profile: Profile | None
) -> Callable[[Leaf], int]:
    """Return what tells how many bytes an instance takes, with what is made of it besides."""
    firsts: dict[Branch, Leaf] = {}
    extras, asked = choice.extras, choice.icons

    def size(leaf: Leaf) -> int:
        own = sizes(leaf.handle)
        is_first = firsts.setdefault(leaf.home, leaf) is leaf
        rows = icon_size(profile, leaf.record_type, leaf.sop_class_uid, asked=asked)
        icon = 0 if rows is None else len(icon_sequence(rows, bytes(rows**2)).value)
        return own + icon + extras.beside(leaf, own, is_first=is_first)

    return size
