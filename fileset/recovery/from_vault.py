"""Adding again the instances in the vault that no event of a recovered journal names."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Final

from fileset.adding.add import Adder
from fileset.adding.candidate import read_content
from fileset.adding.offer import Offered
from fileset.adding.outcome import Outcome, Result
from fileset.recovery.report import ContentDetails, RecoveryReport
from fileset.repository.repository import Repository
from ledger.errors import InstanceError, VaultError
from ledger.vault.protocol import Vault

_REASON: Final = "recovered from the vault"


def add_unnamed(repository: Repository, report: RecoveryReport) -> None:
    """Add the instances that the vault holds and no event names, as one change."""
    before = repository.journal.position
    results = Adder(repository).add(_offered(repository.vault, report.unnamed), reason=_REASON)
    if (position := repository.journal.position) > before:
        (last,) = repository.journal.stored(after=position - 1)
        report.change = last.change.id
    report.added = len(results.of(Outcome.ADDED))
    for content, result in zip(report.unnamed, results, strict=True):
        if result.outcome is not Outcome.ADDED:
            reason = result.reason or result.outcome.value
            report.not_added.append({**content, "reason": reason})


def _offered(vault: Vault, contents: Iterable[ContentDetails]) -> Iterator[Offered]:
    for content in contents:
        name = f"the content {content['digest']}"
        try:
            yield read_content(vault, vault.content(content["digest"]), name)
        except InstanceError as exc:
            yield Result(name, Outcome.SKIPPED, reason=exc.reason)
        except VaultError as exc:
            yield Result(name, Outcome.SKIPPED, reason=str(exc))
