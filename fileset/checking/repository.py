"""Checking a repository: the journal's chain, the vault's content, and the medium against both."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Final

from attrs import define

from fileset.checking.findings import RepositoryFinding, RepositoryFindingKind
from fileset.checking.journal import (
    CheckpointProof,
    SignedCheckpoint,
    backward_clocks,
    check_chain,
    journal_finding,
    newer_events,
    prove_checkpoints,
)
from fileset.checking.vault_content import content_on_media, verify_content
from fileset.checking.written_medium import verify_medium
from fileset.progress import PhasedProgress, no_progress
from fileset.repository.repository import Repository
from ledger.errors import (
    ContentDamagedError,
    ContentMissingError,
    JournalDamagedError,
    UnknownFormatError,
)
from ledger.phrases import count
from projections.medium.plan import Plan
from projections.state.state import FileSetState


@define
class VerificationReport:
    """What was checked: how many events and instances, and what was found wrong.

    `instances` is 0 where the state of the File-set is unknown.
    """

    events: int
    instances: int
    findings: list[RepositoryFinding]
    proofs: list[CheckpointProof]

    @property
    def has_errors(self) -> bool:
        """Whether anything was found that is more than a warning."""
        return not all(finding.is_warning for finding in self.findings)


def verify(repository: Repository) -> Iterator[RepositoryFinding]:
    """Yield what is wrong with the journal, the vault and the medium; nothing if all is well."""
    yield from examine(repository).findings


def examine(
    repository: Repository,
    signed: Sequence[SignedCheckpoint] = (),
    progress: PhasedProgress | None = None,
) -> VerificationReport:
    """Check the journal, also against the checkpoints `signed`, then the vault and the medium.

    `progress` is called with what is checked, and how much of how much of it is. What seems wrong
    while others change the repository or its medium is looked at again when they are done;
    `RefusedError` if that takes too long.
    """
    show = progress or no_progress
    quiet = repository.last_holder()
    report = _examine(repository, signed, show)
    if not report.has_errors or (quiet is not None and repository.last_holder() == quiet):
        return report
    with repository.exclusively():
        return _examine(repository, signed, show)


def _examine(
    repository: Repository, signed: Sequence[SignedCheckpoint], show: PhasedProgress
) -> VerificationReport:
    chain = check_chain(repository.journal, show)
    report = VerificationReport(chain.events, 0, [], list(prove_checkpoints(chain, signed)))
    if chain.damage:
        report.findings.append(chain.damage)
    else:
        report.findings += backward_clocks(repository.journal)
    report.findings += [proof.finding for proof in report.proofs if proof.finding]
    state = None if chain.damage else _state(repository, report)
    if state is not None:
        report.instances = len(state.live)
    show("Checking the vault", 0, 1)
    others = content_on_media(repository.journal) if state is not None else ()
    report.findings += verify_content(repository.vault, state, others)
    if state is not None:
        report.findings += verify_medium(state, _written(repository, state), repository.roots, show)
        report.findings += _of_profile(state)
        if state.erasing is not None:
            report.findings.append(_interrupted_erasure(state.erasing))
    return report


def _written(repository: Repository, state: FileSetState) -> Plan | None:
    """Return the plan of the last write, `None` if there was none or its icons are lost."""
    try:
        return None if state.written is None else repository.written(state.written)
    except (ContentDamagedError, ContentMissingError):  # of which the check of the vault tells
        return None


_WRONG_SNAPSHOT: Final = RepositoryFinding(
    RepositoryFindingKind.SNAPSHOT,
    "the snapshot in cache/",
    "The state kept in cache/ does not match the events, so what was shown and written since it "
    "was altered may be wrong: `fileset rebuild` rebuilds it, then `fileset write --repair` "
    "repairs what was written.",
)


def _of_profile(state: FileSetState) -> Iterator[RepositoryFinding]:
    """Yield what is recorded not to fit the application profile, and what is not recorded."""
    profile = state.identity.profile
    if profile is None:
        return
    found = [f"{count(number, 'instance')}: {words}" for words, number in state.misfits()]
    lacking = [
        leaf
        for leaf in state.live.values()
        if state.recorded.elements(profile, leaf.record_type, leaf.handle) is None
    ]
    if lacking:
        found.append(
            f"{count(len(lacking), 'instance')}: not read for the profile, such as "
            f"{lacking[0].uid}; `fileset write` reads what can be read"
        )
    for message in found:
        yield RepositoryFinding(RepositoryFindingKind.PROFILE, profile, message)


def _interrupted_erasure(position: int) -> RepositoryFinding:
    return RepositoryFinding(
        RepositoryFindingKind.ERASURE_INTERRUPTED,
        f"position {position}",
        f"The erasure at position {position} was interrupted: bytes that it erases may still be in "
        "the repository. `fileset erase --complete` completes it.",
        position,
    )


def _state(repository: Repository, report: VerificationReport) -> FileSetState | None:
    """Return the state folded from the events themselves, without a snapshot."""
    try:
        folded, is_snapshot_right = repository.folded()
        if not is_snapshot_right:
            report.findings.append(_WRONG_SNAPSHOT)
        return repository.refresh() if repository.is_changing else folded
    except JournalDamagedError as exc:  # the chain is good, but its events contradict each other
        report.findings.append(journal_finding(exc))
    except UnknownFormatError as exc:
        report.findings += newer_events(repository.journal, exc)
    return None
