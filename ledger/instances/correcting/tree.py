"""The edits of a correction by data set: what is asked of each, and of items in sequences."""

from __future__ import annotations

from collections.abc import Iterable

from ledger.instances.correcting.edits import Edit


class Asked:
    """What is asked of a data set: `edits` by tag, and of the items of sequences, by number.

    Those of a sequence's items that are `gone` are removed.
    """

    __slots__ = ("edits", "gone", "items")

    def __init__(self) -> None:
        self.edits: dict[int, Edit] = {}
        self.items: dict[int, dict[int, Asked]] = {}
        self.gone: dict[int, set[int]] = {}

    def tags(self) -> frozenset[int]:
        """Return the tags of all elements that anything is asked of."""
        return frozenset((*self.edits, *self.items, *self.gone))


def asked(edits: Iterable[Edit]) -> Asked:
    """Return what `edits` ask of the data set of an instance."""
    top = Asked()
    for edit in edits:
        path = edit.path
        *within, last = [path[start : start + 2] for start in range(0, len(path), 2)]
        at = top
        for tag, number in within:
            at = at.items.setdefault(tag, {}).setdefault(number, Asked())
        if len(last) == 1:
            at.edits[last[0]] = edit
        else:
            at.gone.setdefault(last[0], set()).add(last[1])
    return top
