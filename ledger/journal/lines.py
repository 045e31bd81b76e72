"""A whole journal as a file of JSON Lines, and back: a header, then one event a line.

Each line carries its event's whole envelope, the payload as the text that was stored, so that the
digests and the hash chain of the journal are those of the file. What a file says is checked when
it is read as when it is written; neither holds more than some events in memory. The format is
described in `docs/reference/journal-format.md`.
"""

from __future__ import annotations

import base64
import binascii
import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, BinaryIO, Final

import orjson

from ledger.digest import from_raw, to_raw
from ledger.errors import JournalDamagedError, JournalFileError, UnknownFormatError
from ledger.files import naming
from ledger.journal.chain import checked
from ledger.journal.entries import Change, Head, Stored
from ledger.journal.protocol import Journal

FORMAT: Final = "fileset-ledger journal"
VERSION: Final = 1
"""The version of the format; it goes up when a reader of the one before would misread it."""

_MAX_LINE: Final = 1 << 30  # no row of SQLite's is longer: more than this is no line of ours
_ID_LENGTH: Final = 200  # far beyond any journal's id

_TEXT: Final = (str,)
_NUMBER: Final = (int,)
_HEADER: Final[dict[str, tuple[type, ...]]] = {
    "format": _TEXT, "version": _NUMBER, "journal": _TEXT, "events": _NUMBER, "head": _TEXT,
}  # fmt: skip
_EVENT: Final[dict[str, tuple[type, ...]]] = {
    "position": _NUMBER, "change": _TEXT, "first": _NUMBER, "count": _NUMBER,
    "recorded_at": _TEXT, "actor": _TEXT, "origin": _TEXT, "reason": (str, type(None)),
    "type": _TEXT, "version": _NUMBER, "digest": _TEXT, "hash": _TEXT,
    "payload": (str, type(None)),
}  # fmt: skip
_BASE64: Final = "payload_base64"
_EVENT_BASE64: Final = {key.replace("payload", _BASE64): types for key, types in _EVENT.items()}


def write_journal(journal: Journal, write: Callable[[bytes], object]) -> Head:
    """Hand all of `journal` to `write`, line by line, and return its head at the beginning.

    Raises `JournalDamagedError` with the first position that is bad: what
    was written by then is of no use.
    """
    head = journal.head()
    write(_line({
        "format": FORMAT, "version": VERSION, "journal": journal.id, "events": head.position,
        "head": from_raw(head.hash),
    }))  # fmt: skip
    for stored in checked(journal.id, journal.stored(upto=head.position)):
        write(_event_line(stored))
    return head


def _event_line(stored: Stored) -> bytes:
    change = stored.change
    return _line({
        "position": stored.position, "change": change.id, "first": change.first,
        "count": change.count, "recorded_at": change.recorded_at, "actor": change.actor,
        "origin": change.origin, "reason": change.reason, "type": stored.type,
        "version": stored.version, "digest": from_raw(stored.digest),
        "hash": from_raw(stored.hash), **_written_payload(stored.payload),
    })  # fmt: skip


def _written_payload(payload: bytes) -> dict[str, str | None]:
    if not payload:  # it was erased
        return {"payload": None}
    try:
        return {"payload": payload.decode("utf-8")}
    except UnicodeDecodeError:
        return {_BASE64: base64.b64encode(payload).decode("ascii")}


def _line(body: dict[str, Any]) -> bytes:
    return orjson.dumps(body, option=orjson.OPT_APPEND_NEWLINE)


class JournalFile:
    """A journal that is read from an open `file`, which messages call `name`.

    Attributes
    ----------
    journal_id : str
        The id of the journal.
    head : Head
        The last position and hash that the file says it has.
    """

    def __init__(self, file: BinaryIO, name: str) -> None:
        """Read the header.

        Raises `JournalFileError` if it is none, and
        `UnknownFormatError` if a newer version wrote it.
        """
        self._file = file
        self._name = name
        self._number = 0
        body = self._next()
        if body is None or body.get("format") != FORMAT:
            raise self._bad("is not the header of an exported journal")
        if type(body.get("version")) is int and body["version"] > VERSION:
            raise UnknownFormatError(
                f"{name} is an exported journal of format {body['version']}; this version of "
                f"fileset-ledger knows formats up to {VERSION}. Import it with the version that "
                "exported it, or a later one."
            )
        self._check(body, _HEADER)
        if not 0 < len(body["journal"]) <= _ID_LENGTH or body["events"] < 0:
            raise self._bad("is not the header of an exported journal")
        self.journal_id: str = body["journal"]
        self.head = Head(body["events"], self._raw(body["head"]))

    def events(self) -> Iterator[Stored]:
        """Yield the events; `JournalFileError` at the first bad line.

        The hash chain is for the caller to check, within `naming_lines`.
        """
        change: Change | None = None
        link = b""
        while (body := self._next()) is not None:
            self._check(body, _EVENT_BASE64 if _BASE64 in body else _EVENT)
            if self._number - 1 > self.head.position:
                raise self._bad(
                    f"is beyond the {self.head.position:,} events that line 1 announces"
                )
            change = _change_in(body, change)
            link = self._raw(body["hash"])
            yield Stored(
                position=body["position"],
                change=change,
                type=body["type"],
                version=body["version"],
                payload=self._payload(body),
                digest=self._raw(body["digest"]),
                hash=link,
            )
        self._number += 1
        if self._number - 2 < self.head.position:
            raise self._bad(f"is missing: line 1 announces {self.head.position:,} events")
        if self.head.position and link != self.head.hash:
            self._number = 1
            raise self._bad("names another last hash than that of the last event")

    @contextmanager
    def naming_lines(self) -> Iterator[None]:
        """Have damage that is found in the block name the file and the line."""
        try:
            yield
        except JournalDamagedError as exc:
            if exc.position is None:
                raise
            line = exc.position + 1
            raise JournalFileError(
                f"{self._name}, line {line}: {exc}", line=line, position=exc.position
            ) from exc

    def _next(self) -> dict[str, Any] | None:
        """Return the next line's object, `None` at the end of the file."""
        with naming(self._name):
            line = self._file.readline(_MAX_LINE)
        if not line:
            return None
        self._number += 1
        if len(line) == _MAX_LINE and not line.endswith(b"\n"):
            raise self._bad("is longer than any line can be")
        try:
            body = orjson.loads(line)
        except orjson.JSONDecodeError:
            cut = "" if line.endswith(b"\n") else ": the file ends within it"
            raise self._bad(f"is not JSON{cut}") from None
        if not isinstance(body, dict):
            raise self._bad("is not a JSON object")
        # A line that was altered may have a key twice: readers differ in which of them they take.
        try:
            if _line(body).rstrip() != line.rstrip() and _has_twice(line):
                raise self._bad("has a key twice")
        except RecursionError:
            raise self._bad("is nested too deeply") from None
        return body

    def _check(self, body: dict[str, Any], fields: dict[str, tuple[type, ...]]) -> None:
        """Refuse keys that are missing or unknown, and values of another type."""
        if body.keys() != fields.keys():
            missing = sorted(fields.keys() - body.keys())
            what = ("lacks the key", missing[0]) if missing else (
                "has the unknown key", min(body.keys() - fields.keys()))  # fmt: skip
            raise self._bad(f"{what[0]} '{what[1]}'")
        for key, types in fields.items():
            if type(body[key]) not in types:
                raise self._bad(f"has a value of another type for '{key}'")

    def _payload(self, body: dict[str, Any]) -> bytes:
        if _BASE64 not in body:
            return bytes(body["payload"] or "", "utf-8")
        try:
            return base64.b64decode(body[_BASE64], validate=True)
        except (binascii.Error, ValueError):
            raise self._bad(f"has a malformed '{_BASE64}'") from None

    def _raw(self, digest: str) -> bytes:
        try:
            return to_raw(digest)
        except ValueError:
            raise self._bad("has a malformed digest or hash") from None

    def _bad(self, what: str) -> JournalFileError:
        line = max(self._number, 1)  # of an empty file, the header is missing
        position = line - 1 or None
        at = f" (position {position})" if position else ""
        return JournalFileError(
            f"{self._name}, line {line}{at} {what}.", line=line, position=position
        )


def _has_twice(line: bytes) -> bool:
    """Whether an object in the JSON text has a key twice."""

    def check(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        found = dict(pairs)
        if len(found) != len(pairs):
            raise _KeyTwiceError
        return found

    try:
        json.loads(line, object_pairs_hook=check)
    except _KeyTwiceError:
        return True
    return False


class _KeyTwiceError(Exception):
    """An object has a key twice."""


def _change_in(body: dict[str, Any], before: Change | None) -> Change:
    """Return the change that a line names: the object `before` if it is the same change."""
    change = Change(
        id=body["change"],
        first=body["first"],
        count=body["count"],
        recorded_at=body["recorded_at"],
        actor=body["actor"],
        origin=body["origin"],
        reason=body["reason"],
    )
    return before if before == change and before is not None else change
