"""What became of a file that was offered."""

from __future__ import annotations

from collections.abc import Mapping
from enum import Enum
from typing import Final

from attrs import Factory, frozen

from ledger.errors import InstanceError, NotDicomError, RecordError
from ledger.events import Handle

IGNORED_NAME: Final = "it has a name that is passed over"
"""Why a file is skipped whose name is one of `fileset.adding.ignoring`."""


class Outcome(Enum):
    """What became of one file that was offered."""

    ADDED = "added"
    ALREADY_THERE = "already there"
    CONFLICTING = "conflicting"
    REJECTED = "rejected"
    NOT_DICOM = "not DICOM"
    SKIPPED = "skipped"
    EXCLUDED = "excluded"

    @classmethod
    def of(cls, exc: InstanceError) -> Outcome:
        """Return the outcome for a file that could not be read."""
        return cls.NOT_DICOM if isinstance(exc, NotDicomError) else cls.REJECTED

    @property
    def is_failure(self) -> bool:
        """Whether the user has to look at it."""
        return self is Outcome.CONFLICTING or self is Outcome.REJECTED or self is Outcome.NOT_DICOM


@frozen
class Result:
    """The account of one file: `handle` is the instance concerned, `reason` says why not.

    `invented` are the values that its directory records were given, by keyword; `note` is a remark
    about an instance that was added all the same. `mismatch` is whether it may belong to a
    different person from others with its Patient ID; `faulty` whether it was added although the
    File-set breaks the Standard with it, as the note says. `completable` is whether it was rejected
    over values that its directory records must have, and inventing these may help. `coerced` is
    whether it got other values on arrival, `False` if it was rejected because it can't have them.
    """

    source: str
    outcome: Outcome
    handle: Handle | None = None
    reason: str | None = None
    invented: Mapping[str, str] = Factory(dict)
    note: str | None = None
    mismatch: bool = False
    faulty: bool = False
    completable: bool = False
    coerced: bool | None = None

    @classmethod
    def of_unread(cls, source: str, exc: InstanceError, *, complete: bool) -> Result:
        """Return the account of a file that could not be read; `complete` as it was asked for."""
        lacks = isinstance(exc, RecordError) and not complete
        return cls(source, Outcome.of(exc), reason=exc.reason, completable=lacks)
