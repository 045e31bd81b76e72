"""The report of a recovery."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, TypeAlias

from attrs import Factory, asdict, define

from fileset.recovery.evidence import Evidence
from ledger.events import ErasureCompleted, PayloadErased
from ledger.salvage.proof import Proof

ContentDetails: TypeAlias = dict[str, Any]
"""One content: its digest, size (bytes), SOP Instance UID, and what is wrong with it."""


@define
class RecoveryReport:
    """What came of a recovery.

    Attributes
    ----------
    damage : list of str
        What was wrong. Empty if there was nothing to recover.
    dry_run : bool
        Whether nothing was changed.
    journal : str or None
        The id of the recovered journal.
    begun_anew : bool
        Whether nothing could be proven, so that a new journal was begun.
    events : int
        How many events were proven: all up to that position.
    recorded_at : str or None
        When the last of them was recorded.
    sources : dict of str to int
        How many of them come from where.
    lost : list of int
        The first and the last position that is known to be lost; empty if none is.
    ended : bool
        Whether the database shows that nothing came after these events.
    unproven : int
        How many events beyond could be read and not be proven.
    missing : list of dict
        Contents that instances of the recovered File-set need and that the vault has lost, or
        damaged.
    unnamed : list of dict
        Contents of the vault that no proven event names.
    notes : list of str
        What else people have to know.
    erasing : bool
        Whether an erasure may not be complete: what no event names may be what it erases.
    kept : str or None
        The folder where the damaged files are.
    change : str or None
        The id of the change that added instances from the vault.
    added : int
        How many these are.
    not_added : list of dict
        The unnamed contents that were not added, with a reason.
    """

    damage: list[str] = Factory(list)
    dry_run: bool = False
    journal: str | None = None
    begun_anew: bool = False
    events: int = 0
    recorded_at: str | None = None
    sources: dict[str, int] = Factory(dict)
    lost: list[int] = Factory(list)
    ended: bool = True
    unproven: int = 0
    missing: list[ContentDetails] = Factory(list)
    unnamed: list[ContentDetails] = Factory(list)
    notes: list[str] = Factory(list)
    erasing: bool = False
    kept: str | None = None
    change: str | None = None
    added: int = 0
    not_added: list[ContentDetails] = Factory(list)

    def document(self) -> dict[str, Any]:
        """Return all of it as JSON has it."""
        return asdict(self)

    def tell_of_proof(
        self, proof: Proof | None, evidence: Evidence, unproven: Mapping[str, int]
    ) -> None:
        """Report where the events come from and what is lost; `unproven` counts events by type."""
        self.sources = proof.sources if proof else {}
        self.unproven = sum(unproven.values())
        lasts = [each.last for each in evidence.databases] + [
            each.last for each in evidence.exports
            if proof and each.journal_id == proof.journal_id and each.name not in proof.forks
        ]  # fmt: skip
        last = max(lasts, default=0)
        self.lost = [self.events + 1, last] if last > self.events else []
        self.tell_of_exports(proof, evidence)
        if unproven.get(PayloadErased.TYPE, 0) > unproven.get(ErasureCompleted.TYPE, 0):
            self.erasing = True
            self.notes.append(
                "An incomplete erasure is among what is lost: content in the vault that no event "
                "names may be what it erased."
            )
        if proof and proof.erasures_lost:
            self.notes.append(
                f"The event at position {self.events + 1} was erased, and the event that erased "
                "it is not proven: so the recovered journal ends before it."
            )

    def tell_of_exports(self, proof: Proof | None, evidence: Evidence) -> None:
        """Report which exports were not used, or not all of them."""
        for export in evidence.exports:
            if proof is None or export.journal_id != proof.journal_id:
                self.notes.append(
                    f"{export.name} is of another journal, {export.journal_id}: nothing of it was "
                    f"used."
                )
            elif export.trouble:
                self.notes.append(f"{export.trouble} It was used up to there.")
        for name, position in (proof.forks if proof else {}).items():
            self.notes.append(
                f"{name} has a different history from position {position} on: it was made from a "
                f"copy that was changed separately. That part was not used."
            )
