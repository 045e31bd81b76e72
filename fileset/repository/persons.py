"""Settling that several persons have one Patient ID."""

from __future__ import annotations

from fileset.repository.repository import Repository
from ledger.events import MismatchSettled
from projections.state.persons import Mismatch, mismatches, seen


def settle(
    repository: Repository, patient_id: str, *, reason: str | None = None
) -> Mismatch | None:
    """Accept what is known of the persons with `patient_id`; `None` if nothing is to be settled.

    It is one change. Instances of further persons are noted again.
    """
    with repository.change(reason):
        wanted = patient_id.strip()
        found = next((m for m in mismatches(repository.state) if m.patient_id == wanted), None)
        if found is not None:
            instances = tuple(seen(repository.state, found))
            for branch in found.branches:
                repository.emit(MismatchSettled(branch.ref, instances))
        return found
