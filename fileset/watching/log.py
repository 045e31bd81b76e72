"""The log of a watcher: events by name, with fields, and no data of patients.

Paths of files and reasons of rejections, which may hold names and UIDs, are logged at DEBUG only.
The paths of the watched folders are the administrator's choice, and are logged.
"""

from __future__ import annotations

import json
import logging
import sqlite3
from datetime import UTC, datetime
from typing import Any, Final

from fileset.errors import RefusedError
from fileset.medium.errors import MediumError
from ledger.errors import LedgerError, TemporaryFolderError

LOGGER: Final = logging.getLogger("fileset.watching")
LOGGER.addHandler(logging.NullHandler())

FAILURES: Final = (LedgerError, OSError, sqlite3.Error)
"""Errors of disks and repositories, which may occur at any time: the watcher goes on."""


def tell(level: int, event: str, **fields: Any) -> None:
    """Log `event` with its `fields`."""
    if LOGGER.isEnabledFor(level):
        LOGGER.log(level, event, extra={"fields": fields})


def info(event: str, **fields: Any) -> None:
    """Log what goes as it should."""
    tell(logging.INFO, event, **fields)


def warning(event: str, **fields: Any) -> None:
    """Log what somebody may have to look at."""
    tell(logging.WARNING, event, **fields)


def debug(event: str, **fields: Any) -> None:
    """Log what may hold a patient's data."""
    tell(logging.DEBUG, event, **fields)


class Lines(logging.Formatter):
    """A line for people: time, level, event, and the fields as `name=value`."""

    def format(self, record: logging.LogRecord) -> str:
        """Return the line of `record`."""
        fields = getattr(record, "fields", {})
        shown = " ".join(f"{name}={_plain(value)}" for name, value in fields.items())
        return f"{_time(record)} {record.levelname:<7} {record.getMessage()} {shown}".rstrip()


class JsonLines(logging.Formatter):
    """A JSON object a line: `time`, `level`, `event` and the fields."""

    def format(self, record: logging.LogRecord) -> str:
        """Return the line of `record`."""
        return json.dumps(
            {
                "time": _time(record),
                "level": record.levelname.lower(),
                "event": record.getMessage(),
                **getattr(record, "fields", {}),
            },
            default=str,
        )


def _plain(value: Any) -> str:
    if isinstance(value, bool | int):
        return str(value).lower()
    return f"{value:.3f}" if isinstance(value, float) else json.dumps(value, default=str)


def _time(record: logging.LogRecord) -> str:
    return datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds")


def reason_of(exc: BaseException) -> str:
    """Return what went wrong without the path of a file, which may hold names.

    What is wrong with a medium, a repository or the temporary folder is told with its path.
    """
    if isinstance(exc, OSError):
        return exc.strerror or type(exc).__name__
    if isinstance(exc, sqlite3.Error):
        return f"{type(exc).__name__}: {exc}"
    if isinstance(exc, RefusedError | MediumError | TemporaryFolderError):
        return str(exc)  # paths of the medium, the repository and the system, no patient's data
    cause = exc.__cause__ or exc.__context__
    return type(exc).__name__ if cause is None else f"{type(exc).__name__}: {reason_of(cause)}"
