"""Audit messages as files in a folder, from which something else takes them."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import count
from pathlib import Path

from fileset.audit.destination import DeliveryError
from fileset.audit.message import AuditMessage
from fileset.errors import RefusedError
from fileset.repository.folder import whose_folder
from ledger.disk import fsync, replace_file


class Spool:
    """Writes each message to a file of its own: whole and durable, or not at all.

    Names sort in the order of the journal, and the same message has the same name again. A file
    that is there is never replaced by another message. Whoever takes the files away takes those
    that end in `.xml`; other names are of files in the making.
    RefusedError if `folder` can't be one for them.
    """

    def __init__(self, folder: Path) -> None:
        if (whose := whose_folder(folder / "message")) is not None:
            raise RefusedError(f"{folder} is in {whose}: name another folder for the messages.")
        folder.mkdir(mode=0o700, exist_ok=True)
        fsync(folder.parent)  # whoever made it: the cursor is not to outlive it
        self._folder = folder

    @property
    def name(self) -> str:
        return str(self._folder)

    def deliver(self, messages: Sequence[AuditMessage]) -> None:
        try:
            for message in messages:
                replace_file(self._place(message), message.xml)
        except OSError as exc:
            raise DeliveryError(f"{exc.filename or self._folder}: {exc.strerror}.") from exc

    def _place(self, message: AuditMessage) -> Path:
        """Return the path for a message: free, or of a file with the same content.

        A message that comes once more after an erasure tells less than before.
        """
        names = (f"_{number}" if number > 1 else "" for number in count(1))
        paths = (self._folder / f"{message.name}{end}.xml" for end in names)
        return next(path for path in paths if _is_free(path, message.xml))


def _is_free(path: Path, data: bytes) -> bool:
    try:
        return path.read_bytes() == data
    except FileNotFoundError:
        return True
