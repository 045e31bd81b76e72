"""What a check of a repository can find wrong."""

from __future__ import annotations

from enum import Enum
from typing import Final

from attrs import frozen


class RepositoryFindingKind(Enum):
    """What a check found wrong."""

    JOURNAL = "journal"
    """The journal is not what was appended."""

    CHECKPOINT = "checkpoint"
    """The journal no longer has the history that a checkpoint was signed for, or nobody signed."""

    NEWER = "newer-version"
    """A newer version wrote events: the state that they lead to can't be checked here."""

    SNAPSHOT = "snapshot"
    """The snapshot of the state does not match the events."""

    CLOCK = "clock"
    """A change has an earlier time than the one before it; the order of things is as recorded."""

    VAULT = "vault"
    """Content in the vault is damaged."""

    CONTENT_MISSING = "content-missing"
    """An instance's bytes are nowhere to be found."""

    MEDIUM = "medium"
    """Nothing of the File-set is where its medium was."""

    ROOT_UNNAMED = "root-unnamed"
    """Only a journal that was made elsewhere names the medium, which was not looked at."""

    DICOMDIR = "dicomdir"
    """The medium's DICOMDIR is gone or another one."""

    FILE_MISSING = "file-missing"
    """A file of the File-set is not on the medium."""

    FILE_UNREADABLE = "file-unreadable"
    """A file of the File-set can't be read."""

    FILE_CHANGED = "file-changed"
    """A file on the medium or a referenced one is not what was added."""

    INSTANCE_DIFFERS = "instance-differs"
    """The bytes of an instance are those of another one, or of none, or in another encoding."""

    ONE_NAME = "one-name"
    """Two files of the medium have names that are one on other media."""

    ERASURE_INTERRUPTED = "erasure-interrupted"
    """Data was erased from the journal and may still be in the vault."""

    WRITE_INTERRUPTED = "write-interrupted"
    """A write began and did not end; the next write completes it."""

    PROFILE = "profile"
    """Instances do not fit the File-set's application profile, or were not read for it."""


WARNINGS: Final = frozenset(
    {
        RepositoryFindingKind.CLOCK,
        RepositoryFindingKind.ONE_NAME,
        RepositoryFindingKind.ROOT_UNNAMED,
        RepositoryFindingKind.PROFILE,
    }
)
"""What is told of and is no fault: of clocks, names on other media, a medium not looked at.

Nor is what does not fit a profile, which the File-set has all the same.
"""


@frozen
class RepositoryFinding:
    """Something wrong: `where` names the position, path or digest.

    `position` is the first bad one of the journal, or that of the event that added the instance
    whose bytes are concerned; `None` where neither applies.
    """

    kind: RepositoryFindingKind
    where: str
    message: str
    position: int | None = None

    @property
    def is_warning(self) -> bool:
        """Whether it is reported, and is no fault."""
        return self.kind in WARNINGS
