"""Finding one change of a journal: by its id, the beginning of it, or one of its positions."""

from __future__ import annotations

from typing import Final

from fileset.errors import NoSuchMomentError
from ledger.journal.entries import Change
from ledger.journal.protocol import Journal
from ledger.phrases import some

_LONGEST_NUMBER: Final = 18
_ID_DIGITS: Final = 7  # that are taken for the beginning of an id: fewer are a mistaken position


def change_of(journal: Journal, named: str) -> Change:
    """Return the change with the id `named`, or the beginning of it, or one of its positions.

    Digits are a position as they are elsewhere. Raises
    `NoSuchMomentError` unless there is just one.
    """
    if named.isascii() and named.isdecimal():
        number = int(named[: _LONGEST_NUMBER + 1])
        if 1 <= number <= journal.position:
            return change_at(journal, number)
        if journal.find_change(named) is None:
            return change_at(journal, numbered_position(journal, named))
    found = change_beginning(journal, named)
    if found is None:
        raise NoSuchMomentError(
            f"No change has an id that begins with '{named}': see `fileset log`."
        )
    return found


def change_at(journal: Journal, position: int) -> Change:
    """Return the change that the event at `position` is of."""
    (stored,) = journal.stored(after=position - 1, upto=position)
    return stored.change


def change_beginning(journal: Journal, start: str) -> Change | None:
    """Return the change whose id begins with `start`, if there is one.

    Raises `NoSuchMomentError` if there are several.
    """
    if not start:
        return None
    if (found := journal.find_change(start)) is not None:
        return found
    several = [change.id for change in journal.changes() if change.id.startswith(start)]
    if several:
        raise NoSuchMomentError(
            f"{len(several)} changes have ids that begin with '{start}': {some(several)}."
        )
    return None


def numbered_position(journal: Journal, digits: str) -> int:
    """Return the position that `digits` are, or that of the change whose id begins with them."""
    try:
        return checked_position(journal, int(digits[: _LONGEST_NUMBER + 1]))
    except NoSuchMomentError:
        change = journal.find_change(digits) if len(digits) >= _ID_DIGITS else None
        if change is None:
            raise
        return change.last


def checked_position(journal: Journal, position: int) -> int:
    """Return `position`; raise `NoSuchMomentError` if the journal has no such one."""
    if not 1 <= position <= journal.position:
        raise NoSuchMomentError(
            f"The journal has the positions 1 to {journal.position}, not {position}."
        )
    return position
