"""Audit messages as files in a folder, from which something else takes them."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from fileset.audit.destination import DeliveryError
from fileset.audit.message import AuditMessage
from fileset.errors import RefusedError
from fileset.repository.folder import whose_folder
from ledger.disk import fsync, replace_file


class Spool:
    """Writes each message to a file of its own: whole and durable, or not at all.

    Names sort in the order of the journal, and the same message has the same name again. Whoever
    takes the files away takes those that end in `.xml`; other names are of files in the making.
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
                replace_file(self._folder / f"{message.name}.xml", message.xml)
        except OSError as exc:
            raise DeliveryError(f"{exc.filename or self._folder}: {exc.strerror}.") from exc
