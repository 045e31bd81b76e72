"""What is asked of the tables of journals in PostgreSQL, and the rows that go into them."""

from __future__ import annotations

from collections.abc import Iterable
from itertools import islice
from typing import Any, Final

from psycopg.sql import SQL, Composed, Identifier

from ledger.journal.database import BATCH, EventRow
from ledger.journal.entries import Change, Stored
from ledger.journal.erasures import TYPES
from ledger.journal.postgres_connection import Connection

LIMITS: Final = (
    "SELECT set_config('lock_timeout', %s, true),"
    " set_config('idle_in_transaction_session_timeout', %s, true)"
)
_HEAD: Final = """
    SELECT j.position, j.hash, j.epoch,
        (SELECT e.hash FROM {schema}.event AS e WHERE e.sid = j.sid AND e.position = %s),
        current_setting('fsync'), current_setting('full_page_writes'),
        current_setting('synchronous_commit')
    FROM {schema}.journal AS j WHERE j.sid = %s
"""
_CHANGE: Final = "SELECT id, first, count, recorded_at, actor, origin, reason FROM {schema}.change"
_CHANGES_OVER: Final = """
    WHERE sid = %s AND first <= %s AND first >= (
        SELECT max(c.first) FROM {schema}.change AS c WHERE c.sid = %s AND c.first <= %s)
    ORDER BY first
"""


class Statements:
    """The statements on the journals in a schema, each with the places of its parameters."""

    def __init__(self, schema: str) -> None:
        self.schema = schema

        def made(text: str) -> Composed:
            return SQL(text).format(schema=Identifier(schema), types=SQL(", ").join(TYPES))

        self.version = made("SELECT coalesce(max(version), 0) FROM {schema}.layout")
        self.find = made("SELECT sid, id FROM {schema}.journal WHERE name = %s")
        self.new_journal = made(
            "INSERT INTO {schema}.journal (name, id, hash) VALUES (%s, %s, %s)"
            " ON CONFLICT DO NOTHING RETURNING sid"
        )
        self.head = made(_HEAD)
        self.lock_head = made(_HEAD + "FOR UPDATE OF j")
        self.move_head = made("UPDATE {schema}.journal SET position = %s, hash = %s WHERE sid = %s")
        self.take_over = made(
            "UPDATE {schema}.journal SET epoch = epoch + 1 WHERE sid = %s RETURNING epoch"
        )
        self.new_change = made(
            "INSERT INTO {schema}.change"
            " (sid, id, first, count, recorded_at, actor, origin, reason)"
            " VALUES (%s, %s, %s, %s, %s, %s, %s, %s)"
        )
        self.taken_ids = made("SELECT id FROM {schema}.change WHERE sid = %s AND id = ANY(%s)")
        self.new_events = made(
            "INSERT INTO {schema}.event (sid, position, type, version, payload, hash)"
            " SELECT %b, * FROM unnest("
            "%b::bigint[], %b::text[], %b::bigint[], %b::bytea[], %b::bytea[])"
        )
        self.erase = made(
            "INSERT INTO {schema}.erased SELECT e.sid, e.position, sha256(e.payload)"
            " FROM {schema}.event AS e WHERE e.sid = %s AND e.position BETWEEN %s AND %s"
            " AND octet_length(e.payload) > 0"
        )
        self.new_erased = made(
            "INSERT INTO {schema}.erased SELECT %s, unnest(%s::bigint[]), unnest(%s::bytea[])"
        )
        self.hash_at = made("SELECT hash FROM {schema}.event WHERE sid = %s AND position = %s")
        self.events = made(
            "SELECT e.position, e.type, e.version, e.payload, e.hash, x.digest"
            " FROM {schema}.event AS e"
            " LEFT JOIN {schema}.erased AS x ON x.sid = e.sid AND x.position = e.position"
            " WHERE e.sid = %s AND e.position > %s AND e.position <= %s"
            " ORDER BY e.position LIMIT %s"
        )
        # From the change that the first of these events is in.
        self.changes_over = made(_CHANGE + _CHANGES_OVER)
        self.changes = made(_CHANGE + " WHERE sid = %s AND first > %s ORDER BY first LIMIT %s")
        self.changes_by_id = made(
            _CHANGE + " WHERE sid = %s AND id >= %s AND id < %s ORDER BY id LIMIT 2"
        )
        self.erasures = made(
            "SELECT type, version, payload FROM {schema}.event WHERE sid = %s"
            " AND type IN ({types}) AND octet_length(payload) > 0 ORDER BY position"
        )
        self.part = made(
            "SELECT p.relname, pg_has_role(p.relowner, 'USAGE') FROM pg_class AS p WHERE p.oid = ("
            "SELECT e.tableoid FROM {schema}.event AS e WHERE e.sid = %s LIMIT 1)"
        )

    def vacuum(self, part: str) -> Composed:
        """Return the statement that writes one of the tables with events anew."""
        return SQL("VACUUM (FULL) {}.{}").format(Identifier(self.schema), Identifier(part))


def change_row(sid: int, change: Change) -> tuple[object, ...]:
    """Return a change as `Statements.new_change` takes it."""
    return (
        sid, to_bytes(change.id), change.first, change.count, change.recorded_at,
        to_bytes(change.actor), to_bytes(change.origin),
        None if change.reason is None else to_bytes(change.reason),
    )  # fmt: skip


def change_of_row(row: tuple[Any, ...]) -> Change:
    """Return the change that was read."""
    id_, first, count, recorded_at, actor, origin, reason = row
    return Change(
        _text(id_), first, count, recorded_at, _text(actor), _text(origin),
        None if reason is None else _text(reason),
    )  # fmt: skip


def stored_row(stored: Stored) -> EventRow:
    """Return an event as it was stored elsewhere."""
    return stored.position, stored.type, stored.version, stored.payload, stored.hash


def insert_events(
    connection: Connection, statement: Composed, sid: int, rows: Iterable[EventRow]
) -> None:
    """Insert events, some at a time.

    COPY takes less time, but while it waits for a client that stands still, no timeout of the
    server's ends it: all other writers would have to wait, too.
    """
    rows = iter(rows)
    while some := list(islice(rows, BATCH)):
        # Prepared, it is one message: what comes after a first one has no timeout either.
        connection.execute(statement, (sid, *map(list, zip(*some, strict=True))), prepare=True)


def to_bytes(text: str) -> bytes:
    """Return a text as the tables keep it."""
    return text.encode("utf-8", "surrogatepass")


def _text(data: bytes) -> str:
    return data.decode("utf-8", "surrogatepass")
