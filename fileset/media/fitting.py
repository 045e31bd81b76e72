"""Whether what is handed out fits its application profile, and what is left out otherwise."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable, Mapping
from contextlib import nullcontext
from types import MappingProxyType
from typing import Final, NamedTuple

from attrs import frozen

from fileset.correcting.convert import Converter
from fileset.errors import RefusedError
from fileset.profiles.facts import FactsReader
from fileset.profiles.recording import ProfileRecorder, Unread
from fileset.repository.repository import Repository
from ledger.errors import LedgerError
from ledger.events import Handle
from ledger.events.media import KINDS
from ledger.phrases import count, some
from projections.dicomdir.profiles.catalogue import PROFILES
from projections.dicomdir.profiles.fitting import InstanceFacts, fits
from projections.dicomdir.profiles.profile import MediaKind, Profile
from projections.past.diff import above
from projections.state.nodes import Leaf
from projections.state.state import FileSetState

_MEDIA: Final[Mapping[str, frozenset[MediaKind]]] = {
    "iso": frozenset((MediaKind.CD, MediaKind.DVD)),
    "usb": frozenset((MediaKind.FLASH,)),
    "zip": frozenset((MediaKind.ZIP,)),
    "eml": frozenset((MediaKind.ZIP,)),
    "folder": frozenset(MediaKind),
}
"""The kinds of media that profiles are for; what becomes of a folder, nobody knows."""


@frozen
class Fit:
    """What of a choice goes on a medium of `profile`: all but those `left_out`, with why not."""

    profile: Profile | None
    left_out: Mapping[Handle, tuple[str, ...]]


class Conversion(NamedTuple):
    """What replaces each instance that was converted, and why others can't be."""

    new: Mapping[Handle, Handle]
    failed: Mapping[Leaf, str]


def refuse_kind(profile: Profile | None, kind: str, *, is_asked: bool) -> None:
    """Raise `RefusedError` for a profile of other media, by whether it was asked for."""
    if profile is not None and profile.media not in _MEDIA[kind]:
        remedy = "another --format" if is_asked else "another --format, or a --profile for this one"
        raise RefusedError(
            f"The application profile {profile.identifier} is for media of the kind "
            f"{profile.media.value}, and the {KINDS[kind]} is none: take {remedy}."
        )


def fit(
    repository: Repository,
    state: FileSetState,
    handles: Collection[Handle],
    kind: str,
    profile: Profile | None,
    *,
    leave_out: bool,
    record: bool,
    unconverted: Mapping[Leaf, str] = MappingProxyType({}),
) -> Fit:
    """Return what of the instances `handles` of `state` goes on a medium of that kind.

    The `profile` is by default that of the File-set. What it asks of the instances is read, and
    with `record` recorded. `unconverted` tells why instances that should be converted can't be.
    Raises `RefusedError` if the profile is not for that kind, if instances can't be read or don't
    fit without `leave_out`, or if several patients have one Patient ID though the profile forbids
    that; nothing is recorded then but icons.
    """
    is_asked, profile = profile is not None, profile or PROFILES.get(state.identity.profile or "")
    if profile is None:
        return Fit(None, {})
    refuse_kind(profile, kind, is_asked=is_asked)
    recorder = ProfileRecorder(repository, profile)
    if record:
        recorder.prepare(handles)
    with repository.change() if record else nullcontext():
        found = _misfits(repository, recorder, handles, profile, record=record)
        for leaf, why in unconverted.items():
            if leaf.handle in found:
                found[leaf.handle] = (*found[leaf.handle], f"it can't be converted: {why}")
        if found and not leave_out:
            whose = [
                f"{repository.state.leaf(handle).uid}: {', and '.join(words)}"
                for handle, words in found.items()
            ]
            raise RefusedError(
                f"{count(len(found), 'instance')} can't go on a medium of {profile.identifier}: "
                f"{some(whose, 3)}. Nothing was made: `fileset media check --profile "
                f"{profile.identifier}` tells all, and --leave-out makes it without them."
            )
        _refuse_namesakes(state, profile, (h for h in handles if h not in found))
    return Fit(profile, found)


def convert_misfits(
    repository: Repository, state: FileSetState, handles: Iterable[Handle], profile: Profile | None
) -> Conversion:
    """Convert the instances that fit `profile` only in Explicit VR Little Endian, as one change.

    Those that can't be converted stay as they are.
    `RefusedError` unless `state` is that of now, or if there is no profile.
    """
    profile = profile or PROFILES.get(state.identity.profile or "")
    if profile is None:
        raise RefusedError(
            "What has to be converted follows from an application profile: name one with --profile."
        )
    if state.position != repository.refresh().position:
        raise RefusedError("Only the File-set as it is now can be converted, and no earlier one.")
    leaves = [repository.state.leaf(handle) for handle in handles]
    report = Converter(repository).convert(
        leaf for leaf in leaves if _is_convertible(leaf, profile)
    )
    new = {each.handle: each.corrected for each in report.results if each.corrected is not None}
    failed = {each.handle: each.reason for each in report.results if each.corrected is None}
    return Conversion(
        new, {leaf: failed[leaf.handle] or "" for leaf in leaves if leaf.handle in failed}
    )


def _is_convertible(leaf: Leaf, profile: Profile) -> bool:
    """Whether nothing but its encoding keeps an instance of its class out of a profile."""
    facts = InstanceFacts(leaf.sop_class_uid, leaf.transfer_syntax_uid, (), {})
    return any(misfit.convertible for misfit in fits(facts, profile))


def _misfits(
    repository: Repository,
    recorder: ProfileRecorder,
    handles: Collection[Handle],
    profile: Profile,
    *,
    record: bool,
) -> dict[Handle, tuple[str, ...]]:
    """Return which instances don't fit, and why, in the order of their handles."""
    found: dict[Handle, tuple[str, ...]] = {}
    if record:
        found.update(_unread(recorder.complete(handles)))
    else:
        reader = FactsReader(repository)
        for handle in filter(recorder.lacks, handles):
            try:
                misfits = fits(reader.read(repository.state.leaf(handle)), profile)
            except (OSError, LedgerError) as exc:
                found[handle] = (f"it can't be read: {exc}",)
            else:
                if misfits:
                    found[handle] = tuple(misfit.in_words() for misfit in misfits)
    wanted = frozenset(handles)
    for words, told in repository.state.recorded.misfits(profile.identifier):
        found.update((handle, words) for handle in told if handle in wanted)
    return dict(sorted(found.items()))


def _unread(unread: Iterable[Unread]) -> dict[Handle, tuple[str, ...]]:
    return {each.leaf.handle: (f"it can't be read: {each.reason}",) for each in unread}


def _refuse_namesakes(state: FileSetState, profile: Profile, handles: Iterable[Handle]) -> None:
    """Refuse two PATIENT records with one Patient ID, where a profile forbids that."""
    if not profile.one_patient_id:
        return
    above_any = {branch for handle in handles for branch in above(state.leaf(handle).home)}
    ids = Counter(branch.key for branch in above_any if branch.record.type == "PATIENT")
    for patient_id, number in ids.items():
        if number > 1:
            raise RefusedError(
                f"{number} PATIENT records have the Patient ID {patient_id!r}, which "
                f"{profile.identifier} does not allow (PS3.11 Section {profile.annex}.3.3): hand "
                "them out on media of their own."
            )
