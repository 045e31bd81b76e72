"""The status of a watcher while it runs: numbers, and no data of patients.

It is a JSON file in the repository, for `fileset watch --status` and for monitoring.
"""

from __future__ import annotations

import json
import os
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

from attrs import asdict, define, field

from fileset.watching import log
from fileset.watching.folders import Folder
from ledger.disk import replace_file
from ledger.files import read_file
from ledger.phrases import storable

FORMAT: Final = 1
HEARTBEAT: Final = 60.0
"""Seconds after which the file is written again though nothing is new."""
SILENCE: Final = 5 * HEARTBEAT
"""Seconds without a sign of life after which a watcher that runs may hang."""
_EVERY: Final = 1.0  # seconds between two writes of the file
_MOVING: Final = frozenset({"updated", "lag", "last_turn"})
_INNER: Final = frozenset({"folders", "hook_trouble", "stopping", "failed", "gave_up"})


def now() -> str:
    """Return the time in RFC 3339, UTC."""
    return datetime.now(UTC).isoformat(timespec="seconds")


@define
class Status:
    """The account of a watcher since it was started.

    Attributes
    ----------
    seen : int
        Files that were found and not known.
    ingested, duplicates, taken_back : int
        Files that were added; that the File-set had already; of instances that were withdrawn
        before (undone, removed or erased), which are not added again.
    mismatched : int
        Files that were added, or put into the quarantine, and may be of another person than others
        with their Patient ID.
    faulty : int
        Files that were added, and with which the File-set breaks the Standard.
    quarantined : int
        Files that went into the quarantine.
    vanished : int
        Files that disappeared before they were taken.
    settling, waiting, retrying, owed : int
        Files that may still be changing; that wait until their study is quiet; that wait to be
        tried again; and files that were taken and could not be deleted or moved yet.
    lag : float
        Seconds since the file that has been pending longest was found.
    failing : dict
        What failed the last time that it was tried, until it goes well: by the name of the error,
        since when and why.
    last_turn, ended : str or None
        When it last completed a round; when it was stopped or done.
    hook_trouble : str or None
        Why the program that was run last failed, if it did.
    stopping, failed, gave_up : bool
        Whether it was told to stop; whether something failed for good; whether going on is of no
        use. None of these four is in the document.
    """

    since: str = field(factory=now)
    seen: int = 0
    ingested: int = 0
    duplicates: int = 0
    taken_back: int = 0
    mismatched: int = 0
    faulty: int = 0
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
    failing: dict[str, dict[str, str]] = field(factory=dict)
    last_change_at: str | None = None
    last_turn: str | None = None
    ended: str | None = None
    ready: bool = False
    folders: list[Folder] = field(factory=list)
    hook_trouble: str | None = None
    stopping: bool = False
    failed: bool = False
    gave_up: bool = False

    @property
    def pending(self) -> int:
        """Files that were found and are not taken yet."""
        return self.settling + self.waiting + self.retrying

    def fail(self, event: str, reason: str, **fields: Any) -> None:
        """Count an error, and log it."""
        log.warning(event, reason=reason, **fields)
        self.errors += 1
        self.last_error = {"at": now(), "event": event, "reason": reason}

    def keep_failing(self, event: str, reason: str, **fields: Any) -> None:
        """Keep an error that stands until `recovered` says that it has passed."""
        self.fail(event, reason, **fields)
        self.still_failing(event, reason)

    def still_failing(self, event: str, reason: str) -> None:
        """Keep what failed as wrong, without a word in the log."""
        since = self.failing.get(event, {}).get("since") or now()
        self.failing = {**self.failing, event: {"since": since, "reason": reason}}

    def recovered(self, event: str) -> None:
        """Clear what `event` says has failed: it went well now."""
        self.failing = {name: failure for name, failure in self.failing.items() if name != event}

    def give_up(self) -> None:
        """End with what there is."""
        self.failed = self.gave_up = True

    def document(self) -> dict[str, Any]:
        """Return the status as a JSON object."""
        return {
            "format": FORMAT,
            "pid": os.getpid(),
            "updated": now(),
            **asdict(self, filter=lambda attribute, _: attribute.name not in _INNER),
            "pending": self.pending,
            "lag": round(self.lag, 3),
            "scan_seconds": round(self.scan_seconds, 3),
            "folders": [
                {
                    "path": storable(folder.path),
                    "state": folder.state,
                    "file_system": folder.network,
                    "trouble": folder.trouble,
                }
                for folder in self.folders
            ],
        }


class StatusFile:
    """The file that a status is kept in, written when it has changed and not too often."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._written: dict[str, Any] = {}
        self._at = 0.0

    def keep(self, status: Status, clock: float, *, at_once: bool = False) -> float:
        """Write the status if it has changed, or after a while; return when to try again."""
        document = status.document()
        news = {name: value for name, value in document.items() if name not in _MOVING}
        if news == self._written and not status.pending and not at_once:
            if clock < self._at + HEARTBEAT:
                return self._at + HEARTBEAT
        elif clock < self._at + _EVERY and not at_once:
            return self._at + _EVERY
        data = (json.dumps(document, indent=2) + "\n").encode("utf-8")
        replace_file(self._path, data, durable=False)
        self._written, self._at = news, clock
        return clock + (_EVERY if status.pending else HEARTBEAT)


def read_status(path: Path) -> dict[str, Any]:
    """Return the document in a status file; what is `wrong` in it, if it can't be read."""
    document = Status().document()
    try:
        kept = json.loads(read_file(path))
        if kept.keys() & {"updated", "folders"} != {"updated", "folders"}:
            raise ValueError("it is not a watcher's status")  # noqa: TRY301
        datetime.fromisoformat(kept["updated"])
    except (OSError, ValueError, TypeError, AttributeError, RecursionError) as exc:
        why = exc.strerror if isinstance(exc, OSError) else "it is not a watcher's status"
        return {**document, "pid": None, "wrong": f"{path} can't be read: {why}"}
    return {**document, **kept}


def what_is_wrong(document: dict[str, Any], at: datetime | None = None) -> str | None:
    """Return why somebody should look at the watcher with this status, `None` if nobody need."""
    failing = "; ".join(
        f"{event} since {failure['since']}: {failure['reason']}"
        for event, failure in document.get("failing", {}).items()
    )
    if not document["running"]:
        if not document.get("ended"):
            return "it was killed or has crashed"
        return f"it ended before this was done: {failing}" if failing else None
    for folder in document["folders"]:
        if folder["trouble"] or folder["state"] == "away":
            return f"{folder['path']}: {folder['trouble']}"
    silent = (at or datetime.now(UTC)) - datetime.fromisoformat(document["updated"])
    seconds = silent.total_seconds()
    if seconds > SILENCE:
        return f"no sign of life for {seconds:.0f} seconds"
    return failing or None
