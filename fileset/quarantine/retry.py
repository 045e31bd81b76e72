"""Trying again to add what is in the quarantine."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable

from attrs import evolve

from fileset.adding.add import Adder
from fileset.adding.candidate import read_path
from fileset.adding.coercing import Coercer
from fileset.adding.outcome import Outcome, Result
from fileset.adding.report import AddReport
from fileset.quarantine.quarantine import Quarantine, Quarantined
from fileset.repository.repository import Repository
from ledger.errors import InstanceError
from ledger.events import ElementCorrected


def retry(
    repository: Repository,
    quarantine: Quarantine,
    entries: Iterable[Quarantined],
    *,
    complete: bool,
    coerce: Coercer | None = None,
    reason: str | None,
) -> AddReport:
    """Try to add `entries`, all as one change, and drop those that are part of the File-set then.

    With `coerce` they get other values in the same change. The others stay, with the new reason.
    Return the account of each, in their order.
    """
    report = AddReport()
    elements: Counter[ElementCorrected] = Counter()
    done: list[Quarantined] = []
    with repository.change(reason or "quarantine: retry"):
        adder = Adder(repository, coerce=coerce)
        for entry in entries:
            result = _retry(adder, quarantine, entry, elements, complete=complete)
            report.results.append(result)
            if result.outcome in {Outcome.ADDED, Outcome.ALREADY_THERE}:
                done.append(entry)
            else:
                quarantine.save(
                    evolve(
                        entry,
                        outcome=result.outcome.value,
                        reason=result.reason or "",
                        tries=entry.tries + 1,
                    )
                )
    for entry in done:
        quarantine.drop(entry)
    report.elements = tuple(elements.items())
    return report


def _retry(
    adder: Adder,
    quarantine: Quarantine,
    entry: Quarantined,
    elements: Counter[ElementCorrected],
    *,
    complete: bool,
) -> Result:
    """Try to add `entry`; count what was coerced in `elements`."""
    try:
        candidate = read_path(quarantine.bytes_of(entry), complete=complete)
    except InstanceError as exc:
        return Result(entry.source, Outcome.of(exc), reason=exc.reason)
    candidate = evolve(candidate, name=entry.source, source=entry.source)
    report = adder.add([candidate])
    elements.update(dict(report.elements))
    (result,) = report
    return result
