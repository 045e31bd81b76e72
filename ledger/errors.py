"""The errors of the ledger: one base class, and one class per thing that a caller can act upon.

Messages name the file or position concerned and what to do. They carry no patient's data.
"""

from __future__ import annotations


class LedgerError(Exception):
    """The root of every error that this project raises on purpose."""


class InstanceError(LedgerError, ValueError):
    """A file or dataset can't be taken as a SOP Instance: `name` says which, the message why."""

    def __init__(self, message: str, *, name: str | None = None) -> None:
        super().__init__(f"{name}: {message}" if name else message)
        self.name = name
        self.reason = message


class NotDicomError(InstanceError):
    """The file is no DICOM file in the format of PS3.10 Section 7."""


class TruncatedError(InstanceError):
    """The file ends before a length that it declares."""


class CorrectionError(InstanceError):
    """An instance can't be corrected as asked: the message names the element and the reason."""


class RecordError(InstanceError):
    """A directory record can't be built: a required element is missing or empty (PS3.3 F.5).

    The message is pydicom's to the letter, so `name` does not stand in front of it.
    """

    def __init__(self, message: str, *, name: str | None = None) -> None:
        super().__init__(message)
        self.name = name


class TemporaryFolderError(LedgerError):
    """The temporary folder is full or can't be used, which is no fault of the file that is read."""


class ElementsError(LedgerError, ValueError):
    """Encoded data elements are malformed."""


class JournalError(LedgerError):
    """The journal can't do what was asked."""


class ConflictError(JournalError):
    """Another writer has appended since: the expected position is no longer the last one."""

    def __init__(self, expected: int, actual: int) -> None:
        super().__init__(
            f"The journal has moved on: expected to append after position {expected}, "
            f"but the last one is {actual}. Read the new events and try again."
        )
        self.expected = expected
        self.actual = actual


class UnreachableError(JournalError):
    """There is no connection to the server that has the journal."""


class UnknownOutcomeError(JournalError):
    """Whether a change was recorded is not known: the same one can be appended again."""


class JournalDamagedError(JournalError):
    """The journal holds what was not appended; `position` is the first bad one, if known."""

    def __init__(self, message: str, *, position: int | None = None) -> None:
        super().__init__(message)
        self.position = position


class JournalFileError(JournalError):
    """An exported journal is damaged or cut: `line` is the first bad one, `position` its event."""

    def __init__(self, message: str, *, line: int, position: int | None = None) -> None:
        super().__init__(message)
        self.line = line
        self.position = position


class SigningError(LedgerError):
    """A key or a checkpoint can't be used, or what signing needs is not installed."""


class UnknownFormatError(JournalError):
    """The journal holds something that a newer version wrote: read it with that version.

    `what` says in a few words what that is, where it is an event; `position` is the event's, if
    known.
    """

    def __init__(self, message: str, *, what: str = "", position: int | None = None) -> None:
        super().__init__(message)
        self.what = what
        self.position = position


class VaultError(LedgerError):
    """The vault can't store or give back content."""


class ContentMissingError(VaultError):
    """The vault has no content with that digest."""


class ContentDamagedError(VaultError):
    """Stored bytes no longer have the digest that they are kept under."""
