"""What can go wrong for a user of the application, in addition to the errors of the ledger.

Every error that is raised on purpose derives from `LedgerError`. Where
pydicom raises a built-in exception with a certain text, ours derives from that exception too.
"""

from __future__ import annotations

from ledger.errors import JournalDamagedError, LedgerError


def with_remedy(exc: JournalDamagedError) -> str:
    """Return what is wrong with a journal, and what is to be done about it."""
    message = str(exc)
    if "`fileset recover`" in message:
        return message
    return f"{message} `fileset recover` rebuilds what can be proven."


class RepositoryError(LedgerError):
    """There is no repository where one was expected, or one where none may be."""


class RefusedError(LedgerError):
    """What was asked would lose or overwrite something; the message says what to do instead."""


class EndingError(LedgerError, ValueError):
    """The name of a new file does not go with what is to be in it: what to do is said."""


class ClosedError(LedgerError, ValueError):
    """The File-set or its repository was closed: open it again."""


class StillThereError(RefusedError):
    """What is to be erased is part of the File-set or on its medium."""


class NothingToUndoError(RefusedError):
    """There is no change to undo or redo."""


class StaleError(RefusedError):
    """Others have changed what was to be changed; their changes were taken in, nothing was done."""


class RevertRefusedError(RefusedError):
    """Later changes stand in the way of a revert.

    Attributes
    ----------
    in_the_way : tuple of str
        Their ids, oldest first.
    """

    def __init__(self, message: str, in_the_way: tuple[str, ...]) -> None:
        super().__init__(message)
        self.in_the_way = in_the_way


class NoSuchMomentError(LedgerError, ValueError):
    """No position, tag, change or time of the journal is called so, or several are."""


class InvalidTagError(LedgerError, ValueError):
    """A tag can't have that name."""


class NoSuchInstanceError(LedgerError, ValueError):
    """The instance is not part of the File-set."""


class NoSuchKeywordError(LedgerError, ValueError):
    """There is no data element with that keyword."""


class MatchingError(LedgerError, ValueError):
    """What is searched for can't be the value of such an element, and no instance has it."""


class InvalidUIDError(LedgerError, AssertionError, ValueError):
    """A UID does not conform to PS3.5 Section 9; pydicom raises AssertionError here."""


class MissingExtraError(LedgerError, ImportError):
    """What is asked for needs packages that are not installed; the message has the command."""


class NoSuchProfileError(LedgerError, ValueError):
    """No application profile is called so, or media of it are not made."""
