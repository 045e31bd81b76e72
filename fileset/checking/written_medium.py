"""Checking the medium: how it differs from what the last completed write left on it."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from functools import partial
from pathlib import Path
from typing import Final

from fileset.adding.whole import sound_instance
from fileset.checking.findings import RepositoryFinding, RepositoryFindingKind
from fileset.checking.stored_instance import compare_instance
from fileset.medium.check import (
    CheckedFile,
    Fault,
    check_files,
    is_as_written,
    leaves_on,
    loaded_from,
    missing_descriptor,
    not_loaded,
    owner_of,
)
from fileset.medium.dicomdir import leads_out, read_dicomdir
from fileset.medium.other_names import OtherNames
from fileset.medium.paths import link_above
from fileset.progress import PhasedProgress, Progress
from fileset.repository.named_roots import Roots, unnamed
from ledger.events import Placement
from ledger.names import twins
from projections.dicomdir.definitions import DICOMDIR
from projections.medium.plan import Plan
from projections.state.nodes import Leaf
from projections.state.outline import whose_instance
from projections.state.state import FileSetState

_REPLACING: Final = "`fileset write --repair` repairs what can be."
_UNREADABLE: Final = (
    "Make it readable, or move it away: then `fileset write --repair` repairs what can be."
)


def verify_medium(
    state: FileSetState, plan: Plan | None, roots: Roots, show: PhasedProgress | None = None
) -> Iterator[RepositoryFinding]:
    """Yield how the medium differs from what the last completed write left on it.

    `plan` is that write as the events have it, `None` where that can't be told. Of the roots in
    the state, those that do not count by `roots` are not looked at.
    """
    if (unchecked := _unchecked(state, roots)) is not None:
        yield unchecked
        return
    written = state.written
    if written is None:
        return
    root = Path(written.root)
    try:
        outside = leads_out(root)
        dicomdir = None if outside else read_dicomdir(root)
    except (OSError, MemoryError) as exc:
        why = exc.strerror if isinstance(exc, OSError) else "it is too large for memory"
        message = f"The DICOMDIR at {root} can't be read: {why}. {_UNREADABLE}"
        yield RepositoryFinding(RepositoryFindingKind.DICOMDIR, str(root / DICOMDIR), message)
    else:
        if outside:
            message = (
                f"The DICOMDIR at {root} is a link that leads out of the medium, and was not "
                f"followed. {_REPLACING}"
            )
            yield RepositoryFinding(RepositoryFindingKind.DICOMDIR, str(root / DICOMDIR), message)
        elif not is_as_written(dicomdir, written):
            if dicomdir is not None and (loaded := loaded_from(root, state)) is not None:
                where = str(root / DICOMDIR)
                message = not_loaded(loaded)
                yield RepositoryFinding(RepositoryFindingKind.DICOMDIR, where, message)
                return
            absent = _absent(root, dicomdir, state)
            if absent is not None:
                yield RepositoryFinding(RepositoryFindingKind.MEDIUM, str(root), absent)
                return
            what = (
                f"There is no DICOMDIR at {root}."
                if dicomdir is None
                else f"The DICOMDIR at {root} is not the one that was written last."
            )
            where = str(root if dicomdir is None else root / DICOMDIR)
            yield RepositoryFinding(RepositoryFindingKind.DICOMDIR, where, f"{what} {_REPLACING}")
        elif plan is not None and dicomdir != plan.dicomdir:
            message = (
                f"The DICOMDIR at {root} is unchanged since it was written, but is not what the "
                "events amount to: "
                "`fileset rebuild` discards what is in cache/, then `fileset write --repair` "
                "rewrites it."
            )
            yield RepositoryFinding(RepositoryFindingKind.DICOMDIR, str(root / DICOMDIR), message)
    yield from _of_files(root, state, partial(show, "Checking the medium") if show else None)


def _of_files(
    root: Path, state: FileSetState, progress: Progress | None
) -> Iterator[RepositoryFinding]:
    yield from _of_descriptor(root, state)
    names, sound = OtherNames(root), []
    for checked in check_files(root, state, progress):
        yield from _of_file(checked, names)
        if checked.fault is None:
            sound.append(checked.leaf.file_id or "")
    yield from _of_one_name(root, sound)


def _of_descriptor(root: Path, state: FileSetState) -> Iterator[RepositoryFinding]:
    identity = state.written.identity if state.written is not None else state.identity
    if (missing := missing_descriptor(root, identity)) is not None:
        where = str(root.joinpath(*identity.descriptor_file_id or ()))
        yield RepositoryFinding(RepositoryFindingKind.FILE_MISSING, where, f"{missing}.")


def _of_one_name(root: Path, file_ids: Iterable[str]) -> Iterator[RepositoryFinding]:
    for file_id, other in twins(file_ids).items():
        path = root / file_id
        message = (
            f"{path} has the same name as {other} on media that ignore case or trailing dots: "
            f"`fileset write --layout conformant` renames both."
        )
        yield RepositoryFinding(RepositoryFindingKind.ONE_NAME, str(path), message)


def _unchecked(state: FileSetState, roots: Roots) -> RepositoryFinding | None:
    """Return why the medium can't be checked at all, `None` if it can."""
    if state.writing is not None:
        at = state.writing.event.root
        how = ": write again to complete it." if roots.knows(at) else f". {unnamed(at)}"
        message = f"A write to {at} was interrupted{how}"
        return RepositoryFinding(RepositoryFindingKind.WRITE_INTERRUPTED, at, message)
    if state.written is not None and not roots.knows(at := state.written.root):
        message = f"The medium was not looked at. {unnamed(at)}"
        return RepositoryFinding(RepositoryFindingKind.ROOT_UNNAMED, at, message)
    return None


def _absent(root: Path, dicomdir: bytes | None, state: FileSetState) -> str | None:
    """Return why `root` is not the medium at all, `None` if something of the File-set is there.

    If the medium is absent, or another one is there, that is not damage to each of its files.
    """
    if any(os.path.lexists(root / (leaf.file_id or "")) for leaf in leaves_on(state)):
        return None
    if dicomdir is None:
        if (root / DICOMDIR).is_symlink():
            return None
        return f"Nothing of the File-set is at {root}: is the medium there?"
    uid, is_ours = owner_of(dicomdir, state)
    if is_ours or not uid:
        return None
    return (
        f"The DICOMDIR at {root} is that of another File-set, {uid}, and no file of this one is "
        "there: is it the right medium?"
    )


def _of_file(checked: CheckedFile, names: OtherNames) -> Iterator[RepositoryFinding]:
    leaf, path, fault, error = checked
    if fault is None:
        # Of other instances the vault's bytes, which have the same digest, were looked at.
        if leaf.placement is Placement.ROOT:
            yield from _compare(leaf, str(path))
        return
    advice = _REPLACING
    if fault is Fault.CHANGED:
        kind, message = (
            RepositoryFindingKind.FILE_CHANGED,
            f"{path} is not the file that was written.",
        )
    elif fault is Fault.OUTSIDE:
        kind = RepositoryFindingKind.FILE_CHANGED
        link = link_above(path, names.root)
        if link is None:
            message = f"{path} is a link that leads out of the medium, and was not followed."
        else:
            message = (
                f"{path} is below the link {link} and leads out of the medium, and was not "
                "followed. Remove that link:"
            )
            advice = f"then {_REPLACING}"
    elif fault is Fault.OTHERS:
        kind = RepositoryFindingKind.FILE_CHANGED
        message = (
            f"{path} is not the file that was written: that of another instance, whose File ID "
            f"differs only in case or the like, is found under this name."
        )
    elif fault is Fault.MISSING:
        kind = RepositoryFindingKind.FILE_MISSING
        said = whose_instance(leaf)
        other = names.advise((leaf.file_id or "").split("/"))
        message = f"{path} is missing{said and f', of {said}'}.{other}"
    else:
        why = error.strerror if error else "it can't be read"
        kind, message = RepositoryFindingKind.FILE_UNREADABLE, f"{path}: {why}."
        advice = _REPLACING if path.is_symlink() else _UNREADABLE
    yield RepositoryFinding(kind, str(path), f"{message} {advice}", leaf.handle)


def _compare(leaf: Leaf, path: str) -> Iterator[RepositoryFinding]:
    try:
        yield from compare_instance(leaf, path, partial(sound_instance, path))
    except OSError as exc:
        message = f"{path}: {exc.strerror}. {_UNREADABLE}"
        yield RepositoryFinding(RepositoryFindingKind.FILE_UNREADABLE, path, message, leaf.handle)
