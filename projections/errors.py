"""What a fold raises if an event can't follow the events before it."""

from __future__ import annotations


class MisfitError(ValueError):
    """The event does not fit the events before it; nothing was changed by it."""
