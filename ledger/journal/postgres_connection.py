"""A connection to PostgreSQL that is made again when it was lost, and what its errors say.

psycopg comes with `fileset-ledger[cloud]`; without it, importing this module tells how to get it.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any, Final, TypeAlias

from attrs import field, frozen

from ledger.errors import JournalDamagedError, JournalError, UnreachableError
from ledger.journal.database import refuse_unusable
from ledger.owner import Owner
from ledger.phrases import needs

try:
    import psycopg
    from psycopg.conninfo import conninfo_to_dict
    from psycopg.pq import TransactionStatus
    from psycopg.sql import Composed
except ImportError:
    raise JournalError(needs("PostgreSQL needs", "psycopg", "cloud")) from None

errors: Final = psycopg.errors
Query: TypeAlias = Composed
Connection: TypeAlias = psycopg.Connection[tuple[Any, ...]]
Rows: TypeAlias = list[tuple[Any, ...]]

# A server that is gone without a word is noticed within a minute or so.
_DEFAULTS: Final[Mapping[str, str | int]] = {
    "application_name": "fileset-ledger", "connect_timeout": 10, "keepalives_idle": 30,
    "keepalives_interval": 10, "keepalives_count": 3, "tcp_user_timeout": 60_000,
}  # fmt: skip


class LostError(Exception):
    """The connection was lost in a transaction.

    `committing` says whether the server may have been told to commit before that; otherwise the
    transaction never was.
    """

    def __init__(self, why: str, *, committing: bool) -> None:
        super().__init__(why)
        self.committing = committing


@frozen
class Database:
    """Where journals are kept: a `schema` of the database that `conninfo` leads to.

    That is libpq's connection string or URI. It may hold a password, and so is in no message.
    """

    conninfo: str = field(repr=False)
    schema: str = "fileset_ledger"

    def connect(self) -> Connection:
        """Return a new connection, in no transaction; `JournalError` if it can't be had."""
        given = self._given()
        try:
            connection = psycopg.connect(**{**_DEFAULTS, **given}, autocommit=True)
        except psycopg.Error as exc:
            raise UnreachableError(
                f"The server of {self} can't be reached: {in_words(exc)}."
            ) from exc
        # Whoever waited for a lock has to see what was done meanwhile.
        connection.isolation_level = psycopg.IsolationLevel.READ_COMMITTED
        return connection

    def __str__(self) -> str:
        given = self._given()
        host = given.get("host") or given.get("hostaddr") or "this host"
        database = given.get("dbname") or given.get("user")
        return f"the database {f'{database} ' if database else ''}on {host}"

    def _given(self) -> dict[str, Any]:
        try:
            return dict(conninfo_to_dict(self.conninfo))
        except psycopg.ProgrammingError:  # whose message may quote a password
            raise JournalError(
                "The connection string of the database is malformed: it is to be one of libpq's, "
                "such as postgresql://user@host/database."
            ) from None


class Session:
    """A connection that threads take turns with, and that is made again when it was lost.

    `name` is what messages call what it is used for. A forked process can't use it.
    """

    def __init__(self, database: Database, name: str) -> None:
        self._database = database
        self._name = name
        self._turn = threading.RLock()
        self._owner = Owner()
        self._is_closed = False
        self._connection = database.connect()

    def ask(self, query: Query, parameters: Sequence[object]) -> Rows:
        """Return the rows of a query that changes nothing, which is asked twice if need be."""
        with self.guarded() as connection:
            is_alone = connection.info.transaction_status is TransactionStatus.IDLE
            try:
                return list(connection.execute(query, parameters, binary=True))
            except psycopg.OperationalError as exc:
                if not is_alone or not _was_lost(connection, exc):
                    raise
        with self.guarded() as connection:
            return list(connection.execute(query, parameters, binary=True))

    @contextmanager
    def transaction(self) -> Iterator[Connection]:
        """Make what is asked in the context one transaction, which is durable when it is left.

        `LostError` if the connection was lost: the whole transaction is to be tried again.
        """
        with self.guarded() as connection:
            committing = False
            try:
                with connection.transaction():
                    yield connection
                    committing = True
            except psycopg.OperationalError as exc:
                if not _was_lost(connection, exc):
                    raise
                why = f"{self._name} was lost: {in_words(exc)}."
                raise LostError(why, committing=committing) from exc

    @contextmanager
    def guarded(self) -> Iterator[Connection]:
        """Use the connection alone, and turn the database's errors into ours."""
        refuse_unusable(self._name, self._owner, is_closed=self._is_closed)
        with self._turn:
            try:
                if self._connection.closed:
                    self._connection = self._database.connect()
                yield self._connection
            except (errors.InvalidSchemaName, errors.UndefinedTable) as exc:
                raise JournalError(
                    f"There are no tables for journals in the schema {self._database.schema} of "
                    f"{self._database}: its administrator has to make them."
                ) from exc
            except (errors.DataCorrupted, errors.IndexCorrupted) as exc:
                raise JournalDamagedError(f"{self._name} is damaged: {in_words(exc)}.") from exc
            except psycopg.Error as exc:
                if _was_lost(self._connection, exc):
                    raise UnreachableError(f"{self._name} was lost: {in_words(exc)}.") from exc
                full = isinstance(exc, errors.DiskFull)
                hint = " Nothing was recorded: its disk needs more free space." if full else ""
                raise JournalError(f"{self._name} can't be used: {in_words(exc)}.{hint}") from exc

    def close(self) -> None:
        """Close the connection; a forked process leaves that to the one that opened it."""
        if self._owner.is_this_process:
            self._is_closed = True
            self._connection.close()


def _was_lost(connection: Connection, exc: psycopg.Error) -> bool:
    """Whether an error has ended the connection, which is closed then, and not only a statement."""
    is_fatal = isinstance(exc, psycopg.OperationalError) and (
        exc.diag.severity_nonlocalized in {None, "FATAL", "PANIC"}
    )
    if is_fatal:  # which libpq may notice only when it is used again
        connection.close()
    return bool(connection.closed)


def in_words(exc: psycopg.Error) -> str:
    """Return what went wrong: of what the server says, the first sentence."""
    text = exc.diag.message_primary or str(exc).partition("\n")[0] or type(exc).__name__
    return text.strip().rstrip(".")
