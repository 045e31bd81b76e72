"""A journal on a PostgreSQL server, among those of other File-sets, for several hosts at once.

Writers queue for the journal's own row, the head, and then know what they append after. A change is
one transaction, and when the server answers its COMMIT it is on the server's disk. Where the answer
is lost, the change is looked for by its id. A server that is set to lose commits is not used, and
one that has lost some is found out.
"""

from __future__ import annotations

import hashlib
import secrets
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import closing
from pathlib import Path
from typing import Final

from ledger.errors import (
    ConflictError,
    JournalDamagedError,
    JournalError,
    UnknownOutcomeError,
    UnreachableError,
)
from ledger.events import PayloadErased
from ledger.journal import codec
from ledger.journal.chain import checked, genesis
from ledger.journal.clocks import Clock, utc_now
from ledger.journal.database import (
    BATCH,
    DatabaseJournal,
    EventRow,
    batches,
    event_rows,
    payloads_in,
)
from ledger.journal.entries import Change, Draft, Head, Stored
from ledger.journal.erasures import Erasures
from ledger.journal.gathering import Events
from ledger.journal.high_water import HighWater
from ledger.journal.postgres_connection import (
    Connection,
    Database,
    LostError,
    Query,
    Rows,
    Session,
    errors,
    in_words,
)
from ledger.journal.postgres_rows import (
    LIMITS,
    Statements,
    change_of_row,
    change_row,
    insert_events,
    stored_row,
    to_bytes,
)
from ledger.journal.postgres_schema import (
    PARTITIONS,
    TRIGGERS,
    lay_out,
    missing_triggers,
    refuse_newer,
)
from ledger.journal.protocol import change_of
from ledger.journal.repeated import repeated
from ledger.phrases import some, storable

_PATIENCE: Final = 60.0  # seconds
_FIRST_PAUSE: Final = 0.05  # seconds before a lost server is tried again, then twice as long
_LONGEST_PAUSE: Final = 1.0
_IDLE: Final = 60  # seconds that a transaction may stand still before the server ends it
_UNSAFE: Final = ("fsync", "full_page_writes", "synchronous_commit")


def set_up(database: Database, *, partitions: int = PARTITIONS) -> None:
    """Make the tables for journals in `database`, or bring them to the present version.

    Raises `JournalError` if the server can't hold journals, `UnknownFormatError` if a newer version
    made the tables.
    """
    session = Session(database, f"The server of {database}")
    with closing(session), session.guarded() as connection:
        lay_out(connection, database.schema, partitions)


class PostgresJournal(DatabaseJournal):
    """The `Journal` called `title` in a `Database`.

    A new journal is made with `create`, in tables that `set_up` makes. Several threads can use an
    object: it does one thing after another. A forked process has to open the journal again.

    Attributes
    ----------
    patience : float
        Seconds to wait for other writers, and for a server that went away with a change of ours.
    """

    def __init__(
        self, database: Database, title: str, *, clock: Clock = utc_now, seen_in: Path | None = None
    ) -> None:
        """Open an existing journal.

        What is seen of it is remembered in the folder `seen_in`, if one is given. Raises
        `JournalError` if there is no such journal or the server is set to lose commits,
        `UnknownFormatError` if a newer version made its tables, and `JournalDamagedError` if the
        server has lost what was seen before.
        """
        self.name = f"The journal {title} in {database}"
        self.clock = clock
        self.patience = _PATIENCE
        self._sql = Statements(database.schema)
        self._session = Session(database, self.name)
        self._epoch: int | None = None
        try:
            refuse_newer(self._ask(self._sql.version)[0][0], database.schema)
            found = self._ask(self._sql.find, storable(title))
            if not found:
                raise JournalError(f"There is no journal called {title} in {database}.")  # noqa: TRY301
            self._sid, journal_id = found[0]
            self.id: str = journal_id.decode()
            self._seen = HighWater(self.id, seen_in)
            self.head()
        except BaseException:
            self._session.close()
            raise

    @classmethod
    def create(cls, database: Database, title: str, *, clock: Clock = utc_now) -> PostgresJournal:
        """Make a new, empty journal; JournalError if there is one of that title."""
        return cls.restore(database, title, secrets.token_hex(16), (), clock=clock)

    @classmethod
    def restore(
        cls,
        database: Database,
        title: str,
        journal_id: str,
        events: Iterable[Stored],
        *,
        clock: Clock = utc_now,
    ) -> PostgresJournal:
        """Make a journal again, as it was, of all that another one of the same id had stored.

        The chain is checked on the way: `JournalDamagedError` with the first position that is bad.
        Then, and where `events` raises, there is no journal. JournalError if there is one of that
        title or of that id.
        """
        sql = Statements(database.schema)
        session = Session(database, f"The server of {database}")
        try:
            with closing(session), session.transaction() as connection:
                ((version,),) = connection.execute(sql.version).fetchall()
                refuse_newer(version, database.schema)
                row = (storable(title), to_bytes(journal_id), genesis(journal_id))
                made = connection.execute(sql.new_journal, row).fetchall()
                if not made:
                    raise JournalError(
                        f"There is a journal called {title}, or this very one, in {database} "
                        "already."
                    )
                _restore(connection, sql, made[0][0], checked(journal_id, events))
        except LostError as exc:
            raise JournalError(f"{exc} See whether the journal {title} was made.") from exc
        return cls(database, title, clock=clock)

    # --- reading ---------------------------------------------------------------------------------

    def head(self) -> Head:
        """Return the last position and hash.

        JournalDamagedError if the server has lost what was seen before.
        """
        seen = self._seen.head
        return self._checked(seen, self._ask(self._sql.head, seen.position, self._sid))[0]

    def hash_at(self, position: int) -> bytes | None:
        if not position:
            return genesis(self.id)
        rows = self._ask(self._sql.hash_at, self._sid, position)
        return rows[0][0] if rows else None

    def stored(self, after: int = 0, upto: int | None = None) -> Iterator[Stored]:
        limit = upto if upto is not None else self.head().position
        while after < limit:
            rows = self._ask(self._sql.events, self._sid, after, limit, BATCH)
            if not rows:
                if after < self.head().position:
                    raise self._damaged(after + 1, "is missing")
                return
            first, last = rows[0][0], rows[-1][0]
            over = self._ask(self._sql.changes_over, self._sid, last, self._sid, first)
            changes = map(change_of_row, over)
            change: Change | None = None
            for position, type_name, version, payload, link, kept in rows:
                while change is None or position > change.last:
                    change = next(changes, None)
                    if change is None:
                        raise self._damaged(position, "belongs to no change")
                digest = kept if kept and not payload else hashlib.sha256(payload).digest()
                yield Stored(position, change, type_name, version, payload, digest, link)
            after = last

    def changes(self, after: int = 0) -> Iterator[Change]:
        while rows := self._ask(self._sql.changes, self._sid, after, BATCH):
            changes = list(map(change_of_row, rows))
            yield from changes
            after = changes[-1].first

    def find_change(self, start: str) -> Change | None:
        low = to_bytes(start)
        # No text in UTF-8 has the byte 0xFF.
        rows = self._ask(self._sql.changes_by_id, self._sid, low, low + b"\xff")
        found = list(map(change_of_row, rows))
        if not found or (len(found) > 1 and found[0].id != start):
            return None
        return found[0]

    def check(self) -> None:
        """Check that the tables refuse what they are to refuse, and that the end is sound.

        What the server keeps them in is for its own tools, such as `pg_amcheck`.
        """
        if missing := missing_triggers(self._ask(TRIGGERS, self._sql.schema)):
            raise JournalDamagedError(
                f"{self.name} is not protected: its tables lack the triggers {some(missing)}, or "
                "they are switched off."
            )
        self._sound_head = b""
        self._refuse_damaged_end(self.head())

    def _erasures(self) -> Erasures:
        return Erasures(codec.decode(*row) for row in self._ask(self._sql.erasures, self._sid))

    def _ask(self, query: Query, *parameters: object) -> Rows:
        return self._session.ask(query, parameters)

    def _checked(self, seen: Head, rows: Rows) -> tuple[Head, int]:
        """Return the head and the epoch that the server tells, if it can be relied upon.

        It was asked for what it has where `seen` is; another thread may have seen more since.
        """
        if not rows:
            raise self._damaged(None, "its row is gone")
        position, link, epoch, hash_there, *settings = rows[0]
        off = [name for name, value in zip(_UNSAFE, settings, strict=True) if value == "off"]
        if off:
            raise JournalError(
                f"{self.name} can't be used: its server may lose what it has confirmed. Have its "
                f"administrator switch on {some(off)}."
            )
        head = Head(position, link)
        self._seen.check(self.name, seen, hash_there)
        self._seen.rise(head)
        return head, epoch

    # --- appending -------------------------------------------------------------------------------

    def append(self, events: Events, draft: Draft, *, expected: int) -> Change:
        """Append `events` as one change, as the protocol says.

        `UnknownOutcomeError` if the server went away before it answered, and then stayed away or
        could not be asked, for whatever reason: the same draft, appended again, is recorded once.
        """
        if not len(events):
            raise ValueError("A change has at least one event")
        change = change_of(draft, first=expected + 1, count=len(events), clock=self.clock)
        end, pause = time.monotonic() + self.patience, _FIRST_PAUSE
        may_be_there = was_tried = False
        while True:
            try:
                return self._append_once(events, change, draft)
            except ConflictError:  # it was looked for, and it is not there
                raise
            except Exception as exc:
                may_be_there = may_be_there or (isinstance(exc, LostError) and exc.committing)
                may_pass = isinstance(exc, LostError | UnreachableError | _BusyError)
                is_over = isinstance(exc, _BusyError) or time.monotonic() >= end
                if may_be_there and (is_over or not may_pass):
                    raise UnknownOutcomeError(
                        f"Whether the change {change.id} was recorded is not known: {self.name} "
                        f"was lost meanwhile ({exc}). See `fileset log` before you try again."
                    ) from exc
                if not may_pass:
                    raise
                if is_over or (was_tried and not may_be_there):
                    raise JournalError(f"{exc} Nothing was recorded.") from exc
            time.sleep(pause)
            pause, was_tried = min(2 * pause, _LONGEST_PAUSE), True

    def _append_once(self, events: Events, change: Change, draft: Draft) -> Change:
        try:
            with self._session.transaction() as connection:
                end = self._record(connection, events, change)
        except (ConflictError, _TakenError):
            if (known := repeated(self, events, draft)) is not None:
                return known
            raise
        self._seen.rise(end)
        return change

    def _record(self, connection: Connection, events: Events, change: Change) -> Head:
        """Insert a change and its events, and return the head that it has moved on to."""
        head = self._lock_head(connection)
        if head.position != change.first - 1:
            raise ConflictError(change.first - 1, head.position)
        if not self._sound_head:  # what came later, the tables' triggers have let pass
            self._refuse_damaged_end(head)
        erasing: list[PayloadErased] = []
        link = head.hash

        def rows() -> Iterator[EventRow]:
            nonlocal link
            for row in event_rows(payloads_in(events, erasing), change, head.hash):
                link = row[-1]
                yield row

        try:
            connection.execute(self._sql.new_change, change_row(self._sid, change))
            insert_events(connection, self._sql.new_events, self._sid, rows())
            for each in erasing:
                self._erase(connection, each, change)
            connection.execute(self._sql.move_head, (change.last, link, self._sid))
        except errors.UniqueViolation as exc:
            raise _TakenError(f"There is a change with the id {change.id} already.") from exc
        except errors.RestrictViolation as exc:
            # The tables say otherwise than the head that was found in them.
            raise self._damaged(change.first, f"can't be appended: {in_words(exc)}") from exc
        return Head(change.last, link)

    def _lock_head(self, connection: Connection) -> Head:
        """Return the head, which nobody else moves until the transaction ends."""
        wait = f"{max(1, round(self.patience * 1000))}ms"
        seen = self._seen.head
        try:
            with connection.pipeline():
                connection.execute(LIMITS, (wait, f"{_IDLE}s"))
                found = connection.execute(
                    self._sql.lock_head, (seen.position, self._sid), binary=True
                )
            head, epoch = self._checked(seen, found.fetchall())
        except errors.LockNotAvailable as exc:
            raise _BusyError(
                f"{self.name} has been in use by another writer for {self.patience:g} s: try again "
                "when it is done."
            ) from exc
        if self._epoch not in (None, epoch):
            raise JournalError(
                f"{self.name} was taken over by another writer, who may have gone on from what it "
                "was then: open it again."
            )
        return head

    def _erase(self, connection: Connection, event: PayloadErased, change: Change) -> None:
        """Erase what `event`, just inserted, names; the triggers see to that it may."""
        for first, last in event.positions:
            count = last - first + 1
            if last >= change.first or (
                connection.execute(self._sql.erase, (self._sid, first, last)).rowcount != count
            ):
                raise JournalError(f"There is nothing to be erased at position {last}.")

    def take_over(self) -> int:
        """Begin a new epoch and return its number: who began an earlier one appends nothing more.

        So a writer that stood still for long can't go on where another one has taken its place.
        """
        try:
            with self._session.transaction() as connection:
                self._lock_head(connection)
                ((self._epoch,),) = connection.execute(self._sql.take_over, (self._sid,)).fetchall()
        except LostError as exc:
            raise JournalError(str(exc)) from exc
        return self._epoch

    def make_durable(self) -> None:
        """Do nothing: a server shows nobody a commit that is not on its disk."""

    def scrub(self) -> None:
        """Have the server write the table anew, without what was erased of this and other journals.

        JournalError if the tables are another user's. In its write-ahead log, on its replicas and
        in its backups the server has what was erased for as long as these are kept.
        """
        for part, is_ours in self._ask(self._sql.part, self._sid):
            if not is_ours:
                raise JournalError(
                    f"{self.name} can't be rid of erased data: only the owner of its tables can "
                    f"write them anew, with `VACUUM (FULL) {self._sql.schema}.{part}`."
                )
            with self._session.guarded() as connection:
                connection.execute(self._sql.vacuum(part))

    def scrub_room(self) -> Mapping[Path, int]:
        """Return nothing: no disk of this host has any of it."""
        return {}

    def close(self) -> None:
        """Close the connection; a forked process leaves that to the one that opened it."""
        self._session.close()


class _TakenError(JournalError):
    """There is a change of that id."""


class _BusyError(JournalError):
    """Another writer did not finish in time."""


def _restore(connection: Connection, sql: Statements, sid: int, events: Iterable[Stored]) -> None:
    """Insert all that another journal had stored, which was checked."""
    last: Stored | None = None
    erased: list[tuple[int, bytes]] = []
    for batch in batches(events):
        first = batch[0].position
        changes = [each.change for each in batch if each.position == each.change.first]
        try:
            _refuse_taken(connection, sql, sid, changes)
            with connection.cursor() as cursor:
                cursor.executemany(sql.new_change, [change_row(sid, each) for each in changes])
            insert_events(connection, sql.new_events, sid, map(stored_row, batch))
        except (errors.DataError, errors.ProgramLimitExceeded) as exc:
            raise JournalDamagedError(
                f"The journal is damaged: what begins at position {first} can't be events: "
                f"{in_words(exc)}.",
                position=first,
            ) from exc
        erased += ((each.position, each.digest) for each in batch if not each.payload)
        last = batch[-1]
    if erased:
        connection.execute(sql.new_erased, (sid, *map(list, zip(*erased, strict=True))))
    if last is not None:
        connection.execute(sql.move_head, (last.position, last.hash, sid))


def _refuse_taken(
    connection: Connection, sql: Statements, sid: int, changes: Sequence[Change]
) -> None:
    """Raise JournalDamagedError at the first of `changes` that has the id of another one."""
    ids = [to_bytes(change.id) for change in changes]
    taken = {id_ for (id_,) in connection.execute(sql.taken_ids, (sid, ids)).fetchall()}
    for change, id_ in zip(changes, ids, strict=True):
        if id_ in taken:
            raise JournalDamagedError(
                f"The journal is damaged: the change at position {change.first} has the id of "
                "another one.",
                position=change.first,
            )
        taken.add(id_)
