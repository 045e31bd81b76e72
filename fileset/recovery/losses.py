"""What a recovered journal means for the vault and for the medium."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import closing, suppress
from pathlib import Path

from fileset.medium.dicomdir import read_dicomdir
from fileset.recovery.report import RecoveryReport
from fileset.repository.folder import open_vault
from fileset.repository.garbage import needed
from fileset.repository.named_roots import Roots, unnamed
from ledger.digest import Digest, digest_of
from ledger.errors import InstanceError, LedgerError, UnknownFormatError, VaultError
from ledger.events import Placement
from ledger.instances.instance import read_large
from ledger.journal.protocol import Journal
from ledger.vault.protocol import Vault
from projections.state.fold import fold
from projections.state.nodes import Leaf
from projections.state.state import FileSetState


def tell_of_losses(
    report: RecoveryReport, journal: Journal, repository: Path, roots: Roots
) -> None:
    """Report what vault and medium lack, or hold beyond what `journal` names."""
    report.journal = journal.id
    report.events = report.events or (0 if report.begun_anew else journal.position)
    if journal.position:
        (last,) = journal.stored(after=journal.position - 1)
        report.recorded_at = last.change.recorded_at
    state: FileSetState | None = None
    with suppress(UnknownFormatError):
        state = fold(journal.read())
    with closing(open_vault(repository, writable=False)) as vault:
        _tell_of_vault(report, journal, vault, state)
    if state is not None:
        _tell_of_medium(report, state, roots)


def _tell_of_vault(
    report: RecoveryReport, journal: Journal, vault: Vault, state: FileSetState | None
) -> None:
    try:
        damaged = {each.digest: each.problem for each in vault.verify()}
        there = {each.digest: each.size for each in vault.contents()}
    except VaultError as exc:
        report.notes.append(str(exc))
        return
    for leaf in state.hierarchy.leaves.values() if state else ():
        if (problem := _problem(leaf, there, damaged)) is not None and leaf.content:
            report.missing.append({
                "digest": leaf.content.digest, "size": leaf.content.size,
                "sop_instance_uid": leaf.uid, "position": leaf.handle, "problem": problem,
            })  # fmt: skip
    named = needed(journal)
    for digest, size in there.items():
        if digest not in named:
            report.unnamed.append({
                "digest": digest, "size": size, "sop_instance_uid": _uid_of(vault, digest),
            })  # fmt: skip
    if state is not None and state.erasing is not None:
        report.erasing = True
        report.notes.append(
            "An erasure was interrupted: content in the vault that no event names may be what it "
            "erases. `fileset erase --complete` completes it."
        )


def _problem(
    leaf: Leaf, there: Mapping[Digest, int], damaged: Mapping[Digest | None, str]
) -> str | None:
    """Return what is wrong with the content of a live instance that the vault should have."""
    if not leaf.is_live or leaf.content is None or leaf.placement is not Placement.VAULT:
        return None
    if leaf.content.digest in damaged:
        return damaged[leaf.content.digest]
    return None if leaf.content.digest in there else "the vault does not have it"


def _uid_of(vault: Vault, digest: Digest) -> str | None:
    """Return the SOP Instance UID of content, `None` if it is no instance or can't be read."""
    try:
        with vault.view(digest) as view:
            return read_large(view).sop_instance_uid
    except (VaultError, InstanceError):
        return None


def _tell_of_medium(report: RecoveryReport, state: FileSetState, roots: Roots) -> None:
    for root in state.roots():
        if not roots.knows(root):
            report.notes.append(unnamed(root))
    written = state.written
    if written is None or written.dicomdir is None or not roots.knows(written.root):
        return
    with suppress(OSError, LedgerError):
        dicomdir = read_dicomdir(Path(written.root))
        if dicomdir is not None and digest_of(dicomdir) != written.dicomdir:
            report.notes.append(
                f"The DICOMDIR at {written.root} is not the one that the recovered journal "
                "records: a later write may be lost. Keep that medium as it is, and write "
                "another one: `fileset write ROOT --new-medium`."
            )
