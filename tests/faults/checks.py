"""What has to be so after a fault, and after a user gave the command again."""

from __future__ import annotations

import hashlib
import os
import shutil
from collections.abc import Mapping
from contextlib import closing
from enum import Enum
from pathlib import Path
from typing import Final

from attrs import evolve, field, frozen
from pydicom import dcmread

from fileset.checking.findings import RepositoryFinding, RepositoryFindingKind
from fileset.checking.repository import verify
from fileset.repository.folder import is_repository
from fileset.repository.repository import Repository
from ledger.errors import LedgerError
from ledger.journal.chain import verify_journal
from projections.medium.pending import pending
from projections.state.fold import fold
from projections.state.state import FileSetState

from .scenarios import (
    ACKNOWLEDGED,
    COPY,
    INBOX,
    INPUTS,
    MEDIUM,
    REPOSITORY,
    TEMPORARY,
    Scenario,
    acknowledged,
)

Tree = Mapping[str, str | None]
"""Paths below a folder, of files with their digests, of folders with `None`."""

Change = tuple[str, ...]
"""The types of a change's events."""

_ROOTS: Final = (MEDIUM, COPY)
_OUR_STATE: Final = frozenset((REPOSITORY, TEMPORARY, ACKNOWLEDGED))
_ABANDONED: Final = ("write-abandoned",)
_OF_AN_INTERRUPTED_WRITE: Final = frozenset(
    (
        RepositoryFindingKind.DICOMDIR,
        RepositoryFindingKind.FILE_MISSING,
        RepositoryFindingKind.FILE_CHANGED,
    )
)
_MENDED: Final = frozenset(
    (RepositoryFindingKind.WRITE_INTERRUPTED, RepositoryFindingKind.ERASURE_INTERRUPTED)
)


class Outcome(Enum):
    """In what state a fault left things, before anything was mended."""

    OLD = "old"
    """As if the operation had never begun."""

    NEW = "new"
    """As if the fault had never been."""

    BETWEEN = "to be completed"
    """Neither: the command, given again, completes it."""


@frozen
class Picture:
    """All that can be seen from outside in the folder of a scenario at some time.

    Attributes
    ----------
    tree : mapping
        Everything but the repository.
    hashes : tuple
        The chain hashes of the events.
    changes : tuple
        The changes in the journal.
    told : tuple or None
        What the state of the File-set comes to; `None` where there is no repository.
    kept : frozenset
        The digests of what the vault and the quarantine hold.
    names : frozenset
        The names of the files of the repository.
    """

    tree: Tree
    hashes: tuple[bytes, ...] = ()
    changes: tuple[Change, ...] = ()
    told: tuple[object, ...] | None = None
    kept: frozenset[str] = frozenset()
    names: frozenset[str] = frozenset()


@frozen
class Reference:
    """What an operation does when nothing comes between: from `old` to `new`.

    `contents` are the digests that each SOP Instance UID has on a medium, in either.
    """

    old: Picture
    new: Picture
    contents: Mapping[str, frozenset[str]] = field(factory=dict)


def reference(scenario: Scenario, folder: Path, pristine: Path) -> Reference:
    """Prepare the scenario in `folder`, copy that to `pristine`, act, and return what came of it.

    `folder` is there and empty, `pristine` is not there. `restore` takes `folder` back.
    """
    scenario.prepare(folder)
    shutil.copytree(folder, pristine)
    old, contents = picture(folder), _contents(folder)
    scenario.act(folder)
    new = picture(folder)
    for uid, digests in _contents(folder).items():
        contents[uid] = contents.get(uid, frozenset()) | digests
    assert (old.tree, old.told, old.names) != (new.tree, new.told, new.names) or (
        old.kept != new.kept or old.changes != new.changes or scenario.name == "rebuild"
    ), "The operation does nothing"
    return Reference(old, new, contents)


def restore(pristine: Path, folder: Path) -> None:
    """Have in `folder` what a scenario prepared: a journal names its media by absolute paths."""
    shutil.rmtree(folder)
    shutil.copytree(pristine, folder)


def check(
    scenario: Scenario,
    folder: Path,
    reference: Reference,
    *,
    partly: bool = False,
    folders_stay: bool = False,
) -> Outcome:
    """Assert all that is promised after a fault in `folder`, then give the command again.

    With `partly` the user was told that only a part could be done, and what not. With
    `folders_stay` empty folders that could not be deleted may be left.

    Raises AssertionError with what is not so. In the end all is as if there had been no fault.
    """
    _check_media(folder, reference)
    _check_others_files(folder, reference, folders=not scenario.moves)
    found = picture(folder)
    _check_arrivals(found, reference)
    again = scenario.tries_again
    _check_journal(folder, found, reference, partly=partly, tries_again=again)
    findings = _check_repository(folder, scenario.finds)
    outcome = _outcome(found, reference)
    if outcome is Outcome.NEW and findings:
        outcome = Outcome.BETWEEN
    if partly and reference.old.told is None and found.told is not None:
        shutil.rmtree(folder / REPOSITORY)  # the user was told that it lacks something
    _complete(scenario, folder)
    _check_completed(folder, reference, folders_stay=folders_stay)
    return outcome


def picture(folder: Path) -> Picture:
    """Return what is in the folder of a scenario."""
    seen = Picture(tree(folder))
    path = folder / REPOSITORY
    if not is_repository(path):
        return seen
    with closing(Repository.open(path)) as repository:
        stored = list(repository.journal.stored())
        types: dict[str, list[str]] = {}
        for each in stored:
            types.setdefault(each.change.id, []).append(each.type)
        state = fold(repository.journal.read())
        return evolve(
            seen,
            hashes=tuple(each.hash for each in stored),
            changes=tuple(map(tuple, types.values())),
            told=_told(state),
            kept=frozenset(str(content.digest) for content in repository.vault.contents())
            | {f"sha256:{_digest(each)}" for each in (path / "quarantine").glob("*.file")},
            names=frozenset(
                found.relative_to(path).as_posix() for found in path.rglob("*") if found.is_file()
            ),
        )


def tree(folder: Path) -> dict[str, str | None]:
    """Return all that is below `folder` but the repository and what goes with it."""
    found: dict[str, str | None] = {}
    for parent, folders, files in os.walk(folder):
        below = Path(parent).relative_to(folder)
        if parent == str(folder):
            folders[:] = [name for name in folders if name not in _OUR_STATE]
            files[:] = [name for name in files if name not in _OUR_STATE]
        found.update(((below / name).as_posix(), None) for name in folders)
        found.update(((below / name).as_posix(), _digest(Path(parent, name))) for name in files)
    return found


def _digest(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def _told(state: FileSetState) -> tuple[object, ...]:
    """Return what a state comes to, without the positions, which differ after a failure."""
    leaves = sorted(
        (leaf.uid, leaf.file_id, str(leaf.content), leaf.placement.value)
        for leaf in state.live.values()
    )
    written = state.written and (state.written.root, state.written.dicomdir)
    settled = len(state.settled)
    return (state.identity, leaves, written, state.writing is None, bool(pending(state)), settled)


# --- at the instant of the fault -----------------------------------------------------------------


def _listed(root: Path) -> dict[str, Path]:
    """Return the file of each SOP Instance that the DICOMDIR at `root` names, read by pydicom."""
    path = root / "DICOMDIR"
    if not path.exists():
        return {}
    ds = dcmread(path)
    assert ds.FileSetConsistencyFlag == 0, f"{path} is marked as inconsistent"
    found: dict[str, Path] = {}
    for record in ds.DirectoryRecordSequence:
        if "ReferencedFileID" in record:
            uid = record.ReferencedSOPInstanceUIDInFile
            assert uid not in found, f"{path} names {uid} twice"
            parts = record.ReferencedFileID
            found[uid] = root.joinpath(*([parts] if isinstance(parts, str) else parts))
    return found


def _contents(folder: Path) -> dict[str, frozenset[str]]:
    return {
        uid: frozenset((_digest(path),))
        for root in _ROOTS
        for uid, path in _listed(folder / root).items()
    }


def _check_media(folder: Path, reference: Reference) -> None:
    """Every record of a DICOMDIR names a file with what that instance is."""
    for root in _ROOTS:
        for uid, path in _listed(folder / root).items():
            assert path.is_file(), f"The DICOMDIR names {path}, which is missing"
            assert _digest(path) in reference.contents.get(uid, ()), f"{path} is not {uid}"


def _check_others_files(folder: Path, reference: Reference, *, folders: bool) -> None:
    """What is in the old tree and in the new one as well was not touched."""
    now = tree(folder)
    for path, digest in reference.old.tree.items():
        is_dicomdir = path.endswith("/DICOMDIR")
        is_source = path.startswith(f"{INPUTS}/")
        stays = reference.new.tree.get(path, "absent") == digest and not is_dicomdir
        if (is_source or stays) and (folders or digest is not None):
            assert path in now, f"{path} is gone"
            assert now[path] == digest, f"{path} was changed"


def _check_arrivals(found: Picture, reference: Reference) -> None:
    """What has arrived in the watched folder is there, or it is kept."""
    for path, digest in reference.old.tree.items():
        if path.startswith(f"{INBOX}/"):
            assert found.tree.get(path) == digest or f"sha256:{digest}" in found.kept, (
                f"{path} is lost"
            )


def _check_journal(
    folder: Path, found: Picture, reference: Reference, *, partly: bool, tries_again: bool
) -> None:
    """The journal has all it had and whole changes of the operation, all acknowledged ones."""
    old, new = reference.old, reference.new
    if found.told is None:
        assert old.told is None, "The repository is gone"
        assert not (folder / REPOSITORY).exists() or not any((folder / REPOSITORY).iterdir()), (
            "There is a repository, but not a whole one"
        )
        return
    assert found.hashes[: len(old.hashes)] == old.hashes, "The journal has lost events"
    begun = found.changes[len(old.changes) :]
    if begun and begun[-1] == _ABANDONED:
        begun = begun[:-1]
    expected = new.changes[len(old.changes) :]
    is_right = set(begun) <= set(expected) if tries_again else begun == expected[: len(begun)]
    assert partly or is_right, f"The changes were {begun}, not {expected}"
    with closing(Repository.open(folder / REPOSITORY)) as repository:
        head = verify_journal(repository.journal)
        changes = repository.changes()
        assert head.position == (changes[-1].last if changes else 0), "A change is torn"
        lost = set(acknowledged(folder)) - {change.id for change in changes}
        assert not lost, f"Acknowledged changes are lost: {lost}"


def _check_repository(
    folder: Path, more: frozenset[RepositoryFindingKind] = frozenset()
) -> list[RepositoryFinding]:
    """Return what `verify` finds, all of it what the command will mend."""
    if not is_repository(folder / REPOSITORY):
        return []
    with closing(Repository.open(folder / REPOSITORY)) as repository:
        findings = list(verify(repository))
    kinds = {finding.kind for finding in findings}
    mended = _MENDED | more
    if RepositoryFindingKind.WRITE_INTERRUPTED in kinds:
        mended |= _OF_AN_INTERRUPTED_WRITE
    assert kinds <= mended, f"verify found {findings}"
    return findings


def _outcome(found: Picture, reference: Reference) -> Outcome:
    new, old = reference.new, reference.old
    is_same = (new.tree, new.told, new.kept) == (old.tree, old.told, old.kept)
    if is_same and new.changes != old.changes:  # it is only told in the journal
        return Outcome.NEW if found.changes == new.changes else Outcome.OLD
    if (new.tree, new.told) == (old.tree, old.told):  # it is about the vault, or caches
        return Outcome.NEW if found.kept == new.kept else Outcome.OLD
    for outcome, state in ((Outcome.NEW, new), (Outcome.OLD, old)):
        if (found.tree, found.told) == (state.tree, state.told):
            return outcome
    return Outcome.BETWEEN


# --- when the command was given again ------------------------------------------------------------


def _complete(scenario: Scenario, folder: Path) -> None:
    """Do what a user does: the same again."""
    try:
        scenario.act(folder)
    except LedgerError as exc:
        raise AssertionError(f"The command, given again, fails: {exc}") from exc


def _check_completed(folder: Path, reference: Reference, *, folders_stay: bool) -> None:
    """All is as if there had been no fault, with nothing left over."""
    found, new = picture(folder), reference.new
    differing = sorted(
        path
        for path in found.tree.keys() | new.tree.keys()
        if found.tree.get(path, "absent") != new.tree.get(path, "absent")
        and not (folders_stay and path not in new.tree and found.tree[path] is None)
    )
    assert not differing, f"After completion there differ {differing}"
    assert found.told == new.told, f"The state is {found.told}, not {new.told}"
    assert found.kept == new.kept, "The vault holds something else"
    left = [name for name in found.names - new.names if not _is_ours(name)]
    assert not left, f"Left in the repository: {left}"
    assert not _check_repository(folder), "verify still finds something"


def _is_ours(name: str) -> bool:
    """Whether a file may be in a repository although an undisturbed run did not make it."""
    if name in {"lock", "journal.sqlite-journal"}:  # SQLite's goes with the next change
        return True
    if name.startswith("cache/."):
        return name.endswith(("-journal", ".new")) or ".json." in name  # the next one goes over it
    return name.startswith(("vault/", "cache/")) and "/." not in name and ".new" not in name
