"""The time at which a change was recorded, and clocks that ran backwards.

Times only inform, since the order of things is by position; but whoever relies on them has to know.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta

from ledger.journal.entries import Change

Clock = Callable[[], datetime]


def utc_now() -> datetime:
    """Return the present time in UTC: the default clock of a journal."""
    return datetime.now(UTC)


def timestamp(clock: Clock) -> str:
    """Return the clock's time in RFC 3339, in UTC, to the microsecond."""
    return clock().astimezone(UTC).isoformat(timespec="microseconds").replace("+00:00", "Z")


def time_back(before: Change | None, change: Change) -> timedelta | None:
    """Return by how much `change` was recorded before the one `before` it, `None` if it wasn't."""
    if before is None:
        return None
    try:
        was, is_ = (datetime.fromisoformat(each.recorded_at) for each in (before, change))
        return was - is_ if is_ < was else None
    except (TypeError, ValueError):  # damaged: the chain tells
        return None
