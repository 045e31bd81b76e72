"""What is appended a second time, because nobody knows whether the first time it was recorded."""

from __future__ import annotations

from ledger.errors import JournalError
from ledger.journal.entries import Change, Draft
from ledger.journal.gathering import Events
from ledger.journal.protocol import Journal
from ledger.phrases import storable


def repeated(journal: Journal, events: Events, draft: Draft) -> Change | None:
    """Return the change that has the id of `draft`, `None` if there is none.

    JournalError unless it is the very same: by the same actor, for the same reason, and of equal
    events. Those that were erased since are not known to be.
    """
    id_ = storable(draft.id)
    change = journal.find_change(id_)
    if change is None or change.id != id_:
        return None
    reason = None if draft.reason is None else storable(draft.reason)
    recorded = journal.read(change.first - 1, change.last)
    if (
        (change.actor, change.reason, change.count) == (storable(draft.actor), reason, len(events))
        and all(ours == each.event for ours, each in zip(events, recorded, strict=True))
    ):  # fmt: skip
        return change
    raise JournalError(f"There is a change with the id {id_} already, and it is another one.")
