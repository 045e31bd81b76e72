"""Checking the journal: its hash chain, and signed checkpoints of it.

A checkpoint, signed at some time, shows whether the journal still has the history that it had then:
a chain alone is as consistent after it was cut or made anew.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from attrs import define, frozen

from fileset.checking.findings import RepositoryFinding, RepositoryFindingKind
from fileset.errors import with_remedy
from fileset.progress import PhasedProgress
from ledger.digest import to_raw
from ledger.errors import JournalDamagedError, UnknownFormatError
from ledger.journal.chain import verify_journal
from ledger.journal.checkpoint import Checkpoint
from ledger.journal.clocks import time_back
from ledger.journal.entries import Change, Stored
from ledger.journal.protocol import Journal, decoded
from ledger.journal.signing import PublicKey


@frozen
class SignedCheckpoint:
    """A checkpoint to check the journal with: the file's `name`, and the `key` to check it by."""

    name: str
    checkpoint: Checkpoint
    key: PublicKey


@frozen
class CheckpointProof:
    """What a checkpoint shows: the `finding` that speaks against it, `None` if it is proven."""

    signed: SignedCheckpoint
    finding: RepositoryFinding | None


@define
class CheckedChain:
    """What a check of a journal's chain found: up to which position it is good, and the damage."""

    journal: Journal
    events: int = 0
    damage: RepositoryFinding | None = None


def check_chain(journal: Journal, show: PhasedProgress) -> CheckedChain:
    """Check the chain of `journal`, and the store that holds it."""
    chain = CheckedChain(journal)
    total = journal.position

    def visit(stored: Stored) -> None:
        chain.events = stored.position
        show("Checking the journal", stored.position, total)

    try:
        chain.events = verify_journal(journal, visit).position
        journal.check()
    except JournalDamagedError as exc:
        chain.damage = journal_finding(exc)
    return chain


def journal_finding(exc: JournalDamagedError) -> RepositoryFinding:
    """Return the finding of a damaged journal."""
    where = "the journal" if exc.position is None else f"position {exc.position}"
    return RepositoryFinding(RepositoryFindingKind.JOURNAL, where, with_remedy(exc), exc.position)


def backward_clocks(journal: Journal) -> Iterator[RepositoryFinding]:
    """Yield the changes whose clock had gone back since the change before them."""
    before: Change | None = None
    for change in journal.changes():
        if (back := time_back(before, change)) is not None and before is not None:
            yield RepositoryFinding(
                RepositoryFindingKind.CLOCK,
                f"position {change.first}",
                f"The clock ran backwards: the change {change.id} at position {change.first} has "
                f"the time {change.recorded_at}, {back} before that of the change before it, "
                f"{before.recorded_at}. The order of changes is right, but their times are not.",
                change.first,
            )
        before = change


def newer_events(journal: Journal, why: UnknownFormatError) -> Iterator[RepositoryFinding]:
    """Yield what is new in the journal, each kind of it once."""
    first: dict[str, int] = {}
    counts: dict[str, int] = {}
    for stored in journal.stored():
        if not stored.payload:  # it was erased
            continue
        try:
            decoded(stored)
        except UnknownFormatError as exc:
            first.setdefault(exc.what, stored.position)
            counts[exc.what] = counts.get(exc.what, 0) + 1
    if not first:  # it is the folder that is of a newer format
        yield RepositoryFinding(RepositoryFindingKind.NEWER, "the repository", str(why))
    for what, position in first.items():
        times = f", and {counts[what] - 1:,} more" if counts[what] > 1 else ""
        yield RepositoryFinding(
            RepositoryFindingKind.NEWER,
            f"position {position}",
            f"{what} at position {position}{times}: a newer version wrote it. The chain is "
            f"intact, and the vault's content was checked against its digests; only that version "
            f"can check the state of the File-set and its medium.",
            position,
        )


def prove_checkpoints(
    chain: CheckedChain, signed: Sequence[SignedCheckpoint]
) -> Iterator[CheckpointProof]:
    """Yield what each checkpoint shows of the journal, in the order of their positions."""
    proven = 0  # up to here the history is as it was signed
    for each in sorted(signed, key=lambda each: each.checkpoint.position):
        finding = _against(chain, each, proven)
        if finding is None:
            proven = each.checkpoint.position
        yield CheckpointProof(each, finding)


def _against(
    chain: CheckedChain, signed: SignedCheckpoint, proven: int
) -> RepositoryFinding | None:
    """Return what speaks against a checkpoint, `None` if it proves the history up to it."""
    checkpoint, name = signed.checkpoint, signed.name
    position = checkpoint.position
    what = f"{name}, of {checkpoint.signed_at} at position {position}"

    def finding(message: str, at: int | None, where: str | None = None) -> RepositoryFinding:
        return RepositoryFinding(
            RepositoryFindingKind.CHECKPOINT, where or f"position {at}", f"{what}: {message}", at
        )

    if not checkpoint.is_signed_by(signed.key):
        if checkpoint.key != signed.key.fingerprint:
            return finding("it was signed with a different key from the given one.", None, name)
        return finding("the signature does not match the content: it was altered.", None, name)
    if checkpoint.journal != chain.journal.id:
        return finding("it is a checkpoint of another journal.", None, name)
    if position <= chain.events:
        if chain.journal.hash_at(position) == to_raw(checkpoint.hash):
            return None
        after = f" Up to position {proven} it is, as an earlier checkpoint shows." if proven else ""
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
