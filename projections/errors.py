"""What is raised if an event can't follow those before it, or a value is asked for wrongly."""

from __future__ import annotations


class MisfitError(ValueError):
    """The event does not fit the events before it; nothing was changed by it."""


class UnreadableKeyError(ValueError):
    """What is asked of an element can't be asked of its VR, or is not written as that."""
