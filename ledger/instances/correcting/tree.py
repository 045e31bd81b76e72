"""The edits of a correction by data set: what is asked of each, and of items in sequences."""

from __future__ import annotations

from collections.abc import Iterable

from ledger.instances.correcting.edits import Edit


class Asked:
    """What is asked of a data set: `edits` by tag, and of the items of sequences, by number."""

    __slots__ = ("edits", "items")

    def __init__(self) -> None:
        self.edits: dict[int, Edit] = {}
        self.items: dict[int, dict[int, Asked]] = {}

    def __bool__(self) -> bool:
        return bool(self.edits or self.items)


NOTHING = Asked()
"""Nothing is asked of a data set."""


def asked(edits: Iterable[Edit]) -> Asked:
    """Return what `edits` ask of the data set of an instance."""
    top = Asked()
    for edit in edits:
        at, path = top, edit.path
        for tag, number in zip(path[:-1:2], path[1::2], strict=True):
            at = at.items.setdefault(tag, {}).setdefault(number, Asked())
        at.edits[path[-1]] = edit
    return top
