"""The audit messages of a repository, in the order of its journal."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from functools import cache

from fileset.audit.message import AuditMessage
from fileset.audit.xml import messages_of
from fileset.repository.repository import Repository
from ledger.events import Event
from ledger.journal.entries import Change
from projections.past.audit import AuditTrail


def audit_messages(
    repository: Repository, after: int = 0
) -> Iterator[tuple[Change, list[AuditMessage]]]:
    """Yield each change that begins after the position `after`, with the messages that tell of it.

    Most changes have none or one. It ends where the journal ended when it began.
    """
    state, journal = repository.refresh(), repository.journal
    first = next((change.first for change in journal.changes(after=after)), None)
    if first is None or first > state.position:
        return

    def events(start: int, stop: int) -> Iterable[Event]:
        return (recorded.event for recorded in journal.read(after=start - 1, upto=stop))

    trail = AuditTrail(state.hierarchy.leaves.get, events, cache(repository.at))
    source = f"fileset-ledger {journal.id}"
    # No further than the state has come: what it doesn't know would be taken for erased.
    recorded = journal.read(after=first - 1, upto=state.position)
    for change, facts in trail.facts(recorded):
        yield change, list(messages_of(facts, source))
