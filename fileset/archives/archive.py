"""What archives of all kinds have in common: their members, and how those are read."""

from __future__ import annotations

import os
import stat
from abc import ABC, abstractmethod
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, suppress
from types import TracebackType
from typing import Any, Final, Self

from attrs import evolve, frozen

from ledger.errors import InstanceError, NotDicomError
from ledger.files import FileStamp, FileView, open_regular
from ledger.instances.walker import Buffer
from ledger.sources import BETWEEN

MOST_MEMBERS: Final = 1 << 20
"""Members that are looked at: an archive that says it has more is damaged, or made to harm."""

_ARCHIVE: Final = b"PK\3\4"  # how a ZIP file begins

LINK: Final = "a link within an archive, which is not followed"
SPECIAL: Final = "is neither a file nor a folder"
TWICE: Final = "another member of the archive has the same name: only the first is looked at"
CHANGED: Final = "the archive changed while it was read; add it when it is complete"


@frozen
class Member:
    """A file in an archive, of `size` bytes; its `name` has slashes between its components.

    `where` is what the archive reads it by. `skipped` says why it is passed over, `fault` why it
    can't be read.
    """

    name: str
    size: int
    where: Any
    skipped: str | None = None
    fault: str | None = None

    def but(self, fault: str) -> Member:
        """Return the same with `fault`, unless it has one already."""
        return evolve(self, fault=self.fault or fault)


class Archive(ABC):
    """An open archive. OSError if it can't be opened, InstanceError if it can't be read."""

    def __init__(self, path: str | os.PathLike[str]) -> None:
        self.path = os.fspath(path)
        self._fd = open_regular(self.path)
        try:
            self.stamp = self._now()
            self._begin()
        except BaseException:
            self.close()
            raise

    @abstractmethod
    def _begin(self) -> None:
        """Read what tells where the members are; InstanceError if that can't be done."""

    @abstractmethod
    def members(self) -> Iterator[Member]:
        """Yield the files in it, in the order of the archive."""

    @abstractmethod
    def _read(self, member: Member) -> AbstractContextManager[Buffer | FileView]:
        """Give the bytes of a member that has no fault; see `read`."""

    @contextmanager
    def read(self, member: Member) -> Iterator[Buffer | FileView]:
        """Give the bytes of `member`; those of a large one are read as long as this lasts.

        Only the beginning of one that is no DICOM file. InstanceError if it can't be read whole.
        NotDicomError if it is an archive.
        """
        if member.fault is not None:
            raise InstanceError(member.fault)
        with self._read(member) as found:
            self.check()
            if found[: len(_ARCHIVE)] == _ARCHIVE:
                raise NotDicomError("is an archive itself: unpack that, and add the folder")
            yield found

    def name_of(self, member: Member) -> str:
        """Return what the member is called: the path of the archive, and its name there."""
        return f"{self.path}{BETWEEN}{member.name}"

    def check(self, stamp: FileStamp | None = None) -> None:
        """Raise InstanceError if it has another stamp than when it was opened, or than `stamp`."""
        if self._now().of_content != (stamp or self.stamp).of_content:
            raise InstanceError(CHANGED)

    def _now(self) -> FileStamp:
        return FileStamp.of(os.fstat(self._fd))

    def close(self) -> None:
        """Close the file."""
        with suppress(OSError):  # it was read
            os.close(self._fd)

    def __enter__(self) -> Self:
        """Return the archive itself, to be closed at the end of a `with` block."""
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """Close the archive."""
        self.close()


def fault_of_name(name: str) -> str | None:
    """Return why a member can't be called `name`, `None` if it can.

    Nothing is ever made under that name, but who named it so meant harm, or it is damaged.
    """
    if not name or name[0] == "/" or name[1:2] == ":" or ".." in name.split("/"):
        return "its name leads out of the archive"
    if any(ord(char) < 32 or ord(char) == 127 for char in name):
        return "its name has control characters in it"
    return None


def fault_of_mode(mode: int) -> tuple[str | None, str | None]:
    """Return why what has the Unix `mode` is passed over and can't be read, as `Member` has it."""
    kind = stat.S_IFMT(mode)
    if kind in {0, stat.S_IFREG}:
        return None, None
    return (LINK, None) if kind == stat.S_IFLNK else (None, SPECIAL)
