"""Checking a repository: the journal's chain, the vault's content, and the medium against both."""

from __future__ import annotations

from collections.abc import Iterator
from enum import Enum
from pathlib import Path

from attrs import frozen

from fileset.repository import Repository
from ledger.digest import digest_of
from ledger.errors import JournalDamagedError
from ledger.events import Placement
from ledger.files import file_content
from ledger.journal import verify_journal
from projections.hierarchy import Leaf
from projections.materializer import read_dicomdir
from projections.state import FileSetState


class FindingKind(Enum):
    """What a check found wrong."""

    JOURNAL = "journal"
    """The journal is not what was appended."""

    VAULT = "vault"
    """Content in the vault is damaged."""

    CONTENT_MISSING = "content-missing"
    """An instance's bytes are nowhere to be found."""

    DICOMDIR = "dicomdir"
    """The medium's DICOMDIR is gone or another one."""

    FILE_MISSING = "file-missing"
    """A file of the File-set is not on the medium."""

    FILE_CHANGED = "file-changed"
    """A file on the medium or a referenced one is not what was added."""

    WRITE_INTERRUPTED = "write-interrupted"
    """A write began and did not end; the next write completes it."""


@frozen
class Finding:
    """Something wrong: `where` names the position, path or digest."""

    kind: FindingKind
    where: str
    message: str


def verify(repository: Repository) -> Iterator[Finding]:
    """Yield what is wrong with the journal, the vault and the medium; nothing if all is well."""
    try:
        verify_journal(repository.journal)
        state = repository.refresh()
    except JournalDamagedError as exc:
        yield Finding(FindingKind.JOURNAL, f"position {exc.position}", str(exc))
        return
    yield from _verify_vault(repository, state)
    yield from verify_medium(state)


def _verify_vault(repository: Repository, state: FileSetState) -> Iterator[Finding]:
    bad = set()
    for damage in repository.vault.verify():
        bad.add(damage.digest)
        yield Finding(FindingKind.VAULT, damage.digest or "a pack", damage.problem)
    for leaf in state.hierarchy.leaves.values():
        if leaf.placement is Placement.REFERENCE:
            yield from _verify_reference(leaf)
        elif leaf.placement is Placement.VAULT or leaf.is_addition:
            if leaf.content is None:
                yield _missing(leaf.uid, f"The instance {leaf.uid} was never read.")
            elif (digest := leaf.content.digest) not in bad and digest not in repository.vault:
                told = f"The vault has no content {digest}, that of the instance {leaf.uid}."
                yield _missing(digest, told)


def _missing(where: str, message: str) -> Finding:
    return Finding(FindingKind.CONTENT_MISSING, where, message)


def _verify_reference(leaf: Leaf) -> Iterator[Finding]:
    source = leaf.source or ""
    try:
        if file_content(Path(source)) != leaf.content:
            yield Finding(
                FindingKind.FILE_CHANGED, source, f"{source} has changed since it was added."
            )
    except OSError as exc:
        if leaf.file_id is None:
            yield Finding(
                FindingKind.CONTENT_MISSING,
                source,
                f"{source}, that was added by reference, can't be read: {exc.strerror}.",
            )


def verify_medium(state: FileSetState) -> Iterator[Finding]:
    """Yield how the medium differs from what the last completed write left on it."""
    if state.writing is not None:
        yield Finding(
            FindingKind.WRITE_INTERRUPTED,
            state.writing.event.root,
            f"A write to {state.writing.event.root} was interrupted: write again to complete it.",
        )
        return
    written = state.written
    if written is None:
        return
    root = Path(written.root)
    dicomdir = read_dicomdir(root)
    if dicomdir is None:
        if written.dicomdir is not None:
            yield Finding(FindingKind.DICOMDIR, str(root), f"There is no DICOMDIR at {root}.")
    elif digest_of(dicomdir) != written.dicomdir:
        yield Finding(
            FindingKind.DICOMDIR,
            str(root / "DICOMDIR"),
            f"The DICOMDIR at {root} is not the one that was written last.",
        )
    for leaf in state.hierarchy.walk_leaves():
        if leaf.file_id is not None:
            yield from _verify_file(root / leaf.file_id, leaf)


def _verify_file(path: Path, leaf: Leaf) -> Iterator[Finding]:
    try:
        content = file_content(path)
    except FileNotFoundError:
        yield Finding(FindingKind.FILE_MISSING, str(path), f"{path} is missing.")
    except OSError as exc:
        yield Finding(FindingKind.FILE_MISSING, str(path), f"{path}: {exc.strerror}.")
    else:
        if leaf.content is not None and content != leaf.content:
            yield Finding(
                FindingKind.FILE_CHANGED, str(path), f"{path} is not the file that was written."
            )
