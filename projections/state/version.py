"""Which fold made a state: what is kept of one is void for another.

It stands by itself, so that a summary which fits can be shown without the fold.
"""

from __future__ import annotations

from typing import Any, Final

from ledger.events import EVENT_TYPES

VERSION: Final = 7
"""Raise it when the fold gives another state for the same events: snapshots of before are void."""


def fold_version() -> list[Any]:
    """Return what tells this fold from others: its number, and the events that it knows.

    So what a later version made, of events that would be refused here, is not taken from it.
    """
    return [VERSION, *sorted([name, cls.VERSION] for name, cls in EVENT_TYPES.items())]
