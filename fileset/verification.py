"""Checking a repository: the journal's chain, the vault's content, and the medium against both.

A checkpoint, signed at some time, shows besides whether the journal still has the history that it
had then: a chain alone is as consistent after it was cut or made anew.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from enum import Enum
from pathlib import Path
from typing import Final, TypeAlias

from attrs import Factory, define, frozen

from fileset.damage import Fault, fault_of
from fileset.repository import Repository
from ledger import codec
from ledger.checkpoint import Checkpoint
from ledger.digest import Digest, digest_of, from_raw
from ledger.errors import JournalDamagedError, LedgerError, UnknownFormatError
from ledger.events import Placement
from ledger.files import file_content
from ledger.journal import Journal, Stored, verify_journal
from ledger.signing import PublicKey
from projections.dicomdir_decoder import decode_dicomdir
from projections.hierarchy import Leaf
from projections.materializer import DICOMDIR, read_dicomdir
from projections.state import FileSetState, Written

_REPLACING: Final = "`fileset write --repair` puts right what can be."


class FindingKind(Enum):
    """What a check found wrong."""

    JOURNAL = "journal"
    """The journal is not what was appended."""

    CHECKPOINT = "checkpoint"
    """The journal no longer has the history that a checkpoint was signed for, or nobody signed."""

    NEWER = "newer-version"
    """A newer version wrote events: what they amount to can't be checked here."""

    SNAPSHOT = "snapshot"
    """The snapshot of the state is not what the events amount to."""

    VAULT = "vault"
    """Content in the vault is damaged."""

    CONTENT_MISSING = "content-missing"
    """An instance's bytes are nowhere to be found."""

    MEDIUM = "medium"
    """Nothing of the File-set is where its medium was."""

    DICOMDIR = "dicomdir"
    """The medium's DICOMDIR is gone or another one."""

    FILE_MISSING = "file-missing"
    """A file of the File-set is not on the medium."""

    FILE_UNREADABLE = "file-unreadable"
    """A file of the File-set can't be read."""

    FILE_CHANGED = "file-changed"
    """A file on the medium or a referenced one is not what was added."""

    ERASURE_INTERRUPTED = "erasure-interrupted"
    """Data was erased from the journal and may still be in the vault."""

    WRITE_INTERRUPTED = "write-interrupted"
    """A write began and did not end; the next write completes it."""


@frozen
class Finding:
    """Something wrong: `where` names the position, path or digest.

    `position` is the first bad one of the journal, or that of the event that added the instance
    whose bytes are concerned; ``None`` where neither applies.
    """

    kind: FindingKind
    where: str
    message: str
    position: int | None = None


@frozen
class Signed:
    """A checkpoint to check the journal with: the file's `name`, and the `key` to check it by."""

    name: str
    checkpoint: Checkpoint
    key: PublicKey


@frozen
class Proof:
    """What a checkpoint shows: the `finding` that speaks against it, ``None`` if it is proven."""

    signed: Signed
    finding: Finding | None


@define
class Report:
    """What was checked: how many events and instances, and what was found wrong.

    `instances` is 0 where the state of the File-set can't be told.
    """

    events: int
    instances: int
    findings: list[Finding]
    proofs: list[Proof]


Progress: TypeAlias = Callable[[str, int, int], None]


def _silently(what: str, done: int, total: int) -> None:
    """Show nothing."""


def verify(repository: Repository) -> Iterator[Finding]:
    """Yield what is wrong with the journal, the vault and the medium; nothing if all is well."""
    yield from examine(repository).findings


def examine(
    repository: Repository, signed: Sequence[Signed] = (), progress: Progress | None = None
) -> Report:
    """Check the journal, also against the checkpoints `signed`, then the vault and the medium.

    `progress` is called with what is checked, and how much of how much of it is. What seems wrong
    while others change the repository or its medium is looked at again when they are done;
    :class:`~fileset.errors.RefusedError` if that takes too long.
    """
    show = progress or _silently
    quiet = repository.last_holder()
    report = _examine(repository, signed, show)
    if not report.findings or (quiet is not None and repository.last_holder() == quiet):
        return report
    with repository.exclusively():
        return _examine(repository, signed, show)


def _examine(repository: Repository, signed: Sequence[Signed], show: Progress) -> Report:
    journal = repository.journal
    chain = _Chain({each.checkpoint.position for each in signed}, show, journal.position)
    try:
        chain.events = verify_journal(journal, chain.visit).position
        journal.check()
    except JournalDamagedError as exc:
        chain.damage = _damaged(exc)
    report = Report(chain.events, 0, [], list(_prove(journal, chain, signed)))
    if chain.damage:
        report.findings.append(chain.damage)
    report.findings += [proof.finding for proof in report.proofs if proof.finding]
    state = None if chain.damage else _state(repository, report)
    if state is not None:
        report.instances = len(state.live)
    show("Checking the vault", 0, 1)
    report.findings += _verify_vault(repository, state)
    if state is not None:
        report.findings += verify_medium(state, show)
        if state.erasing is not None:
            report.findings.append(_interrupted_erasure(state.erasing))
    return report


_WRONG_SNAPSHOT: Final = Finding(
    FindingKind.SNAPSHOT,
    "the snapshot in cache/",
    "The snapshot of the state in cache/ is not what the events amount to, so what was shown and "
    "written since it was altered may be wrong: `fileset rebuild` makes it anew; then write again.",
)


def _interrupted_erasure(position: int) -> Finding:
    return Finding(
        FindingKind.ERASURE_INTERRUPTED,
        f"position {position}",
        f"The erasure at position {position} was interrupted: bytes that it erases may still be in "
        "the repository. `fileset erase --complete` completes it.",
        position,
    )


# --- the journal ---------------------------------------------------------------------------------


@define
class _Chain:
    """What a walk along the chain came by: how far it is good, and some of its hashes."""

    wanted: set[int]
    show: Progress
    total: int
    events: int = 0
    hashes: dict[int, Digest] = Factory(dict)
    damage: Finding | None = None

    def visit(self, stored: Stored) -> None:
        self.events = stored.position
        self.show("Checking the journal", stored.position, self.total)
        if stored.position in self.wanted:
            self.hashes[stored.position] = from_raw(stored.hash)


def _damaged(exc: JournalDamagedError) -> Finding:
    where = "the journal" if exc.position is None else f"position {exc.position}"
    return Finding(FindingKind.JOURNAL, where, str(exc), exc.position)


def _state(repository: Repository, report: Report) -> FileSetState | None:
    """Return the state folded from the events themselves, which no snapshot has a say in."""
    try:
        folded, is_snapshot_right = repository.folded()
        if not is_snapshot_right:
            report.findings.append(_WRONG_SNAPSHOT)
        return repository.refresh() if repository.is_changing else folded
    except JournalDamagedError as exc:  # the chain is good, but tells of what can't have been
        report.findings.append(_damaged(exc))
    except UnknownFormatError as exc:
        report.findings += _newer(repository.journal, exc)
    return None


def _newer(journal: Journal, why: UnknownFormatError) -> Iterator[Finding]:
    """Yield what is new in the journal, each kind of it once."""
    first: dict[str, int] = {}
    counts: dict[str, int] = {}
    for stored in journal.stored():
        if not stored.payload:  # it was erased
            continue
        try:
            codec.decode(stored.type, stored.version, stored.payload)
        except UnknownFormatError as exc:
            first.setdefault(exc.what, stored.position)
            counts[exc.what] = counts.get(exc.what, 0) + 1
    if not first:  # it is the folder that is of a newer format
        yield Finding(FindingKind.NEWER, "the repository", str(why))
    for what, position in first.items():
        times = f", and {counts[what] - 1:,} more" if counts[what] > 1 else ""
        yield Finding(
            FindingKind.NEWER,
            f"position {position}",
            f"{what} at position {position}{times}: a newer version wrote it. The chain is whole, "
            "and the vault's content was checked against its digests; what the File-set is now, "
            "and its medium, can only be checked by that version.",
            position,
        )


# --- checkpoints ---------------------------------------------------------------------------------


def _prove(journal: Journal, chain: _Chain, signed: Sequence[Signed]) -> Iterator[Proof]:
    proven = 0  # up to here the history is as it was signed
    for each in sorted(signed, key=lambda each: each.checkpoint.position):
        finding = _against(journal, chain, each, proven)
        if finding is None:
            proven = each.checkpoint.position
        yield Proof(each, finding)


def _against(journal: Journal, chain: _Chain, signed: Signed, proven: int) -> Finding | None:
    """Return what speaks against a checkpoint, ``None`` if it proves the history up to it."""
    checkpoint, name = signed.checkpoint, signed.name
    position = checkpoint.position
    told = f"{name}, of {checkpoint.signed_at} at position {position}"

    def finding(message: str, at: int | None, where: str | None = None) -> Finding:
        return Finding(FindingKind.CHECKPOINT, where or f"position {at}", f"{told}: {message}", at)

    if not checkpoint.is_signed_by(signed.key):
        if checkpoint.key != signed.key.fingerprint:
            return finding("it was signed with another key than the given one.", None, name)
        return finding("the signature is not that of what it says: it was altered.", None, name)
    if checkpoint.journal != journal.id:
        return finding("it is a checkpoint of another journal.", None, name)
    if position <= chain.events:
        if chain.hashes.get(position) == checkpoint.hash:
            return None
        after = f" Up to position {proven} it is: an earlier checkpoint shows." if proven else ""
        return finding(
            f"the journal was rewritten: its history up to position {position} is not the one "
            f"that was signed.{after}",
            position,
        )
    if chain.damage is not None:
        return finding("the journal is damaged before that position.", chain.damage.position)
    return finding(
        f"the journal was cut: it ends at position {chain.events}, and the events from "
        f"{chain.events + 1} to {position} are gone.",
        chain.events + 1,
    )


# --- the vault -----------------------------------------------------------------------------------


def _verify_vault(repository: Repository, state: FileSetState | None) -> Iterator[Finding]:
    damages = list(repository.vault.verify())
    owners = _owners(state, {damage.digest for damage in damages if damage.digest}) if state else {}
    for damage in damages:
        leaf = owners.get(damage.digest) if damage.digest else None
        whose = f" (the instance {leaf.uid}, added at position {leaf.handle})" if leaf else ""
        yield Finding(
            FindingKind.VAULT,
            damage.digest or "a pack",
            f"{damage.problem}{whose}",
            leaf.handle if leaf else None,
        )
    bad = {damage.digest for damage in damages}
    for leaf in state.hierarchy.leaves.values() if state else ():
        if leaf.placement is Placement.REFERENCE:
            yield from _verify_reference(leaf)
        elif leaf.placement is Placement.VAULT or leaf.is_addition:
            if leaf.content is None:
                yield _missing(leaf.uid, f"The instance {leaf.uid} was never read.", leaf)
            elif (digest := leaf.content.digest) not in bad and digest not in repository.vault:
                told = f"The vault has no content {digest}, that of the instance {leaf.uid}"
                yield _missing(digest, f"{told}, added at position {leaf.handle}.", leaf)


def _owners(state: FileSetState, digests: set[Digest]) -> Mapping[Digest, Leaf]:
    """Return the first instance that has each of the `digests`."""
    owners: dict[Digest, Leaf] = {}
    for leaf in state.hierarchy.leaves.values() if digests else ():
        if leaf.content is not None and leaf.content.digest in digests:
            owners.setdefault(leaf.content.digest, leaf)
    return owners


def _missing(where: str, message: str, leaf: Leaf) -> Finding:
    return Finding(FindingKind.CONTENT_MISSING, where, message, leaf.handle)


def _verify_reference(leaf: Leaf) -> Iterator[Finding]:
    source = leaf.source or ""
    try:
        if file_content(Path(source)) != leaf.content:
            told = f"{source} has changed since it was added."
            yield Finding(FindingKind.FILE_CHANGED, source, told, leaf.handle)
    except OSError as exc:
        if leaf.file_id is None:
            yield Finding(
                FindingKind.CONTENT_MISSING,
                source,
                f"{source}, that was added by reference, can't be read: {exc.strerror}.",
                leaf.handle,
            )


# --- the medium ----------------------------------------------------------------------------------


def verify_medium(state: FileSetState, show: Progress | None = None) -> Iterator[Finding]:
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
    there = [leaf for leaf in state.hierarchy.walk_leaves() if leaf.file_id is not None]
    try:
        dicomdir = read_dicomdir(root)
    except (OSError, MemoryError) as exc:
        why = exc.strerror if isinstance(exc, OSError) else "it is too large for the memory"
        told = f"The DICOMDIR at {root} can't be read: {why}. {_REPLACING}"
        yield Finding(FindingKind.DICOMDIR, str(root / DICOMDIR), told)
    else:
        is_right = dicomdir is not None and digest_of(dicomdir) == written.dicomdir
        absent = None if is_right else _absent(root, written, state, dicomdir, there)
        if absent is not None:
            yield Finding(FindingKind.MEDIUM, str(root), absent)
            return
        if dicomdir is None and written.dicomdir is not None:
            told = f"There is no DICOMDIR at {root}. {_REPLACING}"
            yield Finding(FindingKind.DICOMDIR, str(root), told)
        elif dicomdir is not None and not is_right:
            told = f"The DICOMDIR at {root} is not the one that was written last. {_REPLACING}"
            yield Finding(FindingKind.DICOMDIR, str(root / DICOMDIR), told)
    for number, leaf in enumerate(there):
        if show is not None:
            show("Checking the medium", number + 1, len(there))
        yield from _verify_file(root / (leaf.file_id or ""), leaf)


def _absent(
    root: Path,
    written: Written,
    state: FileSetState,
    dicomdir: bytes | None,
    there: Sequence[Leaf],
) -> str | None:
    """Return why `root` is not the medium at all, ``None`` if something of the File-set is there.

    A medium that is out, or another one, is no damage to each of its files.
    """
    if any(os.path.lexists(root / (leaf.file_id or "")) for leaf in there):
        return None
    if dicomdir is None:
        if written.dicomdir is None or (root / DICOMDIR).is_symlink():
            return None
        return f"Nothing of the File-set is at {root}: is the medium there?"
    try:
        uid = decode_dicomdir(dicomdir, name=DICOMDIR).identity.uid
    except LedgerError:
        return None
    if uid in {written.identity.uid, state.identity.uid}:
        return None
    return (
        f"The DICOMDIR at {root} is that of another File-set, {uid}, and no file of this one is "
        "there: is it the right medium?"
    )


def _verify_file(path: Path, leaf: Leaf) -> Iterator[Finding]:
    found = fault_of(path, leaf)
    if found is None:
        return
    fault, error = found
    if fault is Fault.CHANGED:
        kind, told = FindingKind.FILE_CHANGED, f"{path} is not the file that was written."
    elif fault is Fault.MISSING:
        kind, told = FindingKind.FILE_MISSING, f"{path} is missing."
    else:
        why = error.strerror if error else "it can't be read"
        kind, told = FindingKind.FILE_UNREADABLE, f"{path}: {why}."
    yield Finding(kind, str(path), f"{told} {_REPLACING}", leaf.handle)
