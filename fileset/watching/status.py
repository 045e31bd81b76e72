"""What a watcher tells of itself while it runs: numbers, and no data of patients.

It is a JSON file in the repository, for ``fileset watch --status`` and for monitoring.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

from attrs import define, field

from fileset.watching.folders import STATE, Folder, is_held
from ledger.disk import replace_file

FORMAT: Final = 1
HEARTBEAT: Final = 60.0
"""Seconds after which the file is written again though nothing is new."""
SILENCE: Final = 5 * HEARTBEAT
"""Seconds without a sign of life after which a watcher that runs may hang."""
_EVERY: Final = 1.0  # seconds between two writes of the file
_MOVING: Final = frozenset({"updated", "lag", "last_turn"})


def now() -> str:
    """Return the time in RFC 3339, UTC."""
    return datetime.now(UTC).isoformat(timespec="seconds")


@define
class Status:
    """The account of a watcher since it was started.

    Attributes
    ----------
    seen : int
        Files that were met and not known.
    ingested, duplicates, taken_back : int
        Files that were added; that the File-set had already; that were ingested before from where
        they lie, and undone or removed since.
    quarantined : int
        Files that went into the quarantine.
    vanished : int
        Files that were gone before they were taken.
    settling, waiting, retrying, owed : int
        Files that are pending: still changing, until their study is quiet, until they are tried
        again; and those taken that could not be deleted or moved yet.
    lag : float
        Seconds since the file was seen that has been pending longest.
    last_turn, ended : str or None
        When it last went through all that it has to do; when it was stopped or done.
    """

    since: str = field(factory=now)
    seen: int = 0
    ingested: int = 0
    duplicates: int = 0
    taken_back: int = 0
    quarantined: int = 0
    vanished: int = 0
    settling: int = 0
    waiting: int = 0
    retrying: int = 0
    owed: int = 0
    studies_waiting: int = 0
    lag: float = 0.0
    changes: int = 0
    late: int = 0
    writes: int = 0
    hooks: int = 0
    hooks_failed: int = 0
    scans: int = 0
    scan_seconds: float = 0.0
    overflows: int = 0
    errors: int = 0
    last_error: dict[str, str] | None = None
    last_change_at: str | None = None
    last_turn: str | None = None
    ended: str | None = None
    ready: bool = False
    folders: list[Folder] = field(factory=list)

    @property
    def pending(self) -> int:
        """Files that were seen and are not taken yet."""
        return self.settling + self.waiting + self.retrying

    def fail(self, event: str, reason: str) -> None:
        """Take note of an error."""
        self.errors += 1
        self.last_error = {"at": now(), "event": event, "reason": reason}

    def document(self) -> dict[str, Any]:
        """Return all of it as JSON."""
        return {
            "format": FORMAT,
            "pid": os.getpid(),
            "since": self.since,
            "updated": now(),
            "ready": self.ready,
            "folders": [
                {
                    "path": folder.path.encode("utf-8", "backslashreplace").decode("utf-8"),
                    "state": folder.state,
                    "file_system": folder.network,
                    "trouble": folder.trouble,
                }
                for folder in self.folders
            ],
            "seen": self.seen,
            "pending": self.pending,
            "settling": self.settling,
            "waiting": self.waiting,
            "retrying": self.retrying,
            "owed": self.owed,
            "studies_waiting": self.studies_waiting,
            "ingested": self.ingested,
            "duplicates": self.duplicates,
            "taken_back": self.taken_back,
            "quarantined": self.quarantined,
            "vanished": self.vanished,
            "lag": round(self.lag, 3),
            "changes": self.changes,
            "late": self.late,
            "writes": self.writes,
            "hooks": self.hooks,
            "hooks_failed": self.hooks_failed,
            "scans": self.scans,
            "scan_seconds": round(self.scan_seconds, 3),
            "overflows": self.overflows,
            "errors": self.errors,
            "last_error": self.last_error,
            "last_change_at": self.last_change_at,
            "last_turn": self.last_turn,
            "ended": self.ended,
        }


class StatusFile:
    """The file that a status is kept in, written when it has changed and not too often."""

    def __init__(self, repository: Path, folder: Folder) -> None:
        self._path = repository / STATE / f"{folder.key}.json"
        self._told: dict[str, Any] = {}
        self._at = 0.0

    def keep(self, status: Status, clock: float, *, at_once: bool = False) -> float:
        """Write the status if there is anything new, or for long; return when to try again."""
        document = status.document()
        told = {name: value for name, value in document.items() if name not in _MOVING}
        if told == self._told and not status.pending and not at_once:
            if clock < self._at + HEARTBEAT:
                return self._at + HEARTBEAT
        elif clock < self._at + _EVERY and not at_once:
            return self._at + _EVERY
        data = (json.dumps(document, indent=2) + "\n").encode("utf-8")
        replace_file(self._path, data, durable=False)
        self._told, self._at = told, clock
        return clock + (_EVERY if status.pending else HEARTBEAT)


def statuses(repository: Path) -> Iterator[dict[str, Any]]:
    """Yield what each watcher of the repository told last, whether it runs, and what is wrong."""
    for path in sorted((repository / STATE).glob("*.json")):
        try:
            document = json.loads(path.read_text(encoding="utf-8"))
        except (OSError, ValueError):
            continue
        document["running"] = is_held(path.with_suffix(".lock"))
        yield {**document, "wrong": what_is_wrong(document)}


def what_is_wrong(document: dict[str, Any], at: datetime | None = None) -> str | None:
    """Return why somebody should look at the watcher that told `document`, ``None`` if none."""
    if not document["running"]:
        return None if document.get("ended") else "it was killed or has crashed"
    for folder in document["folders"]:
        if folder["trouble"] or folder["state"] == "away":
            return f"{folder['path']}: {folder['trouble']}"
    silent = (at or datetime.now(UTC)) - datetime.fromisoformat(document["updated"])
    seconds = silent.total_seconds()
    return f"no sign of life for {seconds:.0f} seconds" if seconds > SILENCE else None
