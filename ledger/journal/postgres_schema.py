"""The tables of journals in PostgreSQL, what they refuse, and making them, version by version.

A schema holds the journals of many File-sets, each known by a `sid`. All that is appended to one
goes by way of its row in `journal`, the head: a writer locks it, adds a change and its events, and
moves it on. Like the tables of `ledger.journal.sqlite_schema`, these refuse by triggers what would
change or tear a history, whoever tries; only the tables' owner can drop the triggers.
"""

from __future__ import annotations

from typing import Final

from psycopg.sql import SQL, Composed, Identifier

from ledger.errors import JournalError, UnknownFormatError
from ledger.events import PayloadErased
from ledger.journal.erasures import TYPES
from ledger.journal.postgres_connection import Connection, Rows

PARTITIONS: Final = 16
"""Into how many tables events are spread, by a hash of their File-set: that can't be changed."""

_OLDEST: Final = 140000  # the first server with multiranges
_ONE_AT_A_TIME: Final = 0x46534C47  # the key of the lock that setting up holds: "FSLG"

# Ids, texts and payloads are bytes, since a text may hold every character but NUL.
_TABLES: Final = SQL("""
CREATE TABLE {schema}.journal (
    sid bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    name text NOT NULL UNIQUE,
    id bytea NOT NULL UNIQUE,
    position bigint NOT NULL DEFAULT 0,
    hash bytea NOT NULL,
    epoch bigint NOT NULL DEFAULT 0
) WITH (fillfactor = 50);
CREATE TABLE {schema}.change (
    sid bigint NOT NULL REFERENCES {schema}.journal,
    first bigint NOT NULL,
    count bigint NOT NULL CHECK (count > 0),
    id bytea NOT NULL,
    recorded_at text NOT NULL,
    actor bytea NOT NULL,
    origin bytea NOT NULL,
    reason bytea,
    PRIMARY KEY (sid, first),
    UNIQUE (sid, id)
);
CREATE TABLE {schema}.event (
    sid bigint NOT NULL,
    position bigint NOT NULL,
    type text NOT NULL,
    version bigint NOT NULL,
    payload bytea NOT NULL,
    hash bytea NOT NULL,
    PRIMARY KEY (sid, position)
) PARTITION BY HASH (sid);
CREATE INDEX event_of_erasure ON {schema}.event (sid, position) WHERE type IN ({types});
CREATE TABLE {schema}.erased (
    sid bigint NOT NULL,
    position bigint NOT NULL,
    digest bytea NOT NULL,
    PRIMARY KEY (sid, position)
);
""")
_PARTITION: Final = SQL(
    "CREATE TABLE {schema}.{name} PARTITION OF {schema}.event"
    " FOR VALUES WITH (MODULUS {modulus}, REMAINDER {remainder});"
)

# A client's own operators, which its search_path may put first, have no say in them.
_FUNCTIONS: Final = SQL("""
CREATE FUNCTION {schema}.refuse() RETURNS trigger LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    RAISE restrict_violation USING MESSAGE = 'the journal is append-only';
END $$;

CREATE FUNCTION {schema}.head_goes_on() RETURNS trigger LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    IF TG_OP = 'INSERT' THEN
        IF NEW.position <> 0 OR NEW.epoch <> 0 THEN
            RAISE restrict_violation USING MESSAGE = 'a journal begins empty';
        END IF;
    ELSIF (NEW.sid, NEW.name, NEW.id) <> (OLD.sid, OLD.name, OLD.id)
        OR NEW.position < OLD.position OR NEW.epoch < OLD.epoch
        OR (NEW.position = OLD.position AND NEW.hash <> OLD.hash)
        OR (NEW.position > OLD.position AND NOT EXISTS (
            SELECT FROM {schema}.event AS e
            WHERE e.sid = NEW.sid AND e.position = NEW.position AND e.hash = NEW.hash))
    THEN
        RAISE restrict_violation USING MESSAGE = 'the journal is append-only';
    END IF;
    RETURN NEW;
END $$;

CREATE FUNCTION {schema}.change_is_next() RETURNS trigger LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    IF NEW.first <> coalesce((
        SELECT c.first + c.count FROM {schema}.change AS c
        WHERE c.sid = NEW.sid ORDER BY c.first DESC LIMIT 1), 1)
    THEN
        RAISE restrict_violation USING MESSAGE = 'positions are contiguous';
    END IF;
    RETURN NEW;
END $$;

CREATE FUNCTION {schema}.change_is_whole() RETURNS trigger LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    IF NOT EXISTS (
        SELECT FROM {schema}.event AS e
        WHERE e.sid = NEW.sid AND e.position = NEW.first + NEW.count - 1)
    OR NOT EXISTS (
        SELECT FROM {schema}.journal AS j
        WHERE j.sid = NEW.sid AND j.position >= NEW.first + NEW.count - 1)
    THEN
        RAISE restrict_violation USING MESSAGE = 'a change is recorded as a whole';
    END IF;
    RETURN NULL;
END $$;

CREATE FUNCTION {schema}.events_are_next() RETURNS trigger LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    IF EXISTS (
        SELECT FROM (
            SELECT sid, min(position) AS low, max(position) AS high, count(*) AS number
            FROM added GROUP BY sid) AS run
        WHERE run.low < 1 OR run.high - run.low + 1 <> run.number
        OR (run.low > 1 AND NOT EXISTS (
            SELECT FROM {schema}.event AS e
            WHERE e.sid = run.sid AND e.position = run.low - 1))
        OR run.high > coalesce((
            SELECT c.first + c.count - 1 FROM {schema}.change AS c
            WHERE c.sid = run.sid ORDER BY c.first DESC LIMIT 1), 0))
    THEN
        RAISE restrict_violation USING MESSAGE = 'positions are contiguous';
    END IF;
    RETURN NULL;
END $$;

CREATE FUNCTION {schema}.event_is_erased() RETURNS trigger LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    IF octet_length(NEW.payload) > 0
        OR (NEW.sid, NEW.position, NEW.type, NEW.version, NEW.hash)
            <> (OLD.sid, OLD.position, OLD.type, OLD.version, OLD.hash)
        OR NOT EXISTS (
            SELECT FROM {schema}.erased AS x
            WHERE x.sid = OLD.sid AND x.position = OLD.position
            AND (octet_length(OLD.payload) = 0 OR x.digest = sha256(OLD.payload)))
    THEN
        RAISE restrict_violation USING MESSAGE = 'the journal is append-only';
    END IF;
    RETURN NEW;
END $$;

CREATE FUNCTION {schema}.erase() RETURNS trigger LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    gone bigint;
BEGIN
    IF EXISTS (
        SELECT FROM added LEFT JOIN (
            SELECT e.sid, range_agg(int8range(
                (run ->> 0)::bigint, (run ->> 1)::bigint, '[]')) AS runs
            FROM {schema}.event AS e,
                json_array_elements(convert_from(e.payload, 'UTF8')::json -> 'positions') AS run
            WHERE e.sid IN (SELECT a.sid FROM added AS a) AND e.type IN ({types})
            AND e.type = {erasing} AND octet_length(e.payload) > 0
            AND (run ->> 1)::bigint < e.position
            GROUP BY e.sid) AS named USING (sid)
        WHERE (added.position <@ named.runs) IS NOT TRUE)
    THEN
        RAISE restrict_violation USING MESSAGE = 'no event says that it is erased';
    END IF;
    UPDATE {schema}.event AS e SET payload = ''
        FROM added WHERE e.sid = added.sid AND e.position = added.position;
    GET DIAGNOSTICS gone = ROW_COUNT;
    IF gone <> (SELECT count(*) FROM added) THEN
        RAISE restrict_violation USING MESSAGE = 'there is nothing to be erased';
    END IF;
    RETURN NULL;
END $$;
""")

_TRIGGERS: Final = SQL("""
CREATE TRIGGER head_goes_on BEFORE INSERT OR UPDATE ON {schema}.journal
    FOR EACH ROW EXECUTE FUNCTION {schema}.head_goes_on();
CREATE TRIGGER change_is_next BEFORE INSERT ON {schema}.change
    FOR EACH ROW EXECUTE FUNCTION {schema}.change_is_next();
CREATE CONSTRAINT TRIGGER change_is_whole AFTER INSERT ON {schema}.change
    DEFERRABLE INITIALLY DEFERRED
    FOR EACH ROW EXECUTE FUNCTION {schema}.change_is_whole();
CREATE TRIGGER events_are_next AFTER INSERT ON {schema}.event
    REFERENCING NEW TABLE AS added
    FOR EACH STATEMENT EXECUTE FUNCTION {schema}.events_are_next();
CREATE TRIGGER event_is_erased BEFORE UPDATE ON {schema}.event
    FOR EACH ROW EXECUTE FUNCTION {schema}.event_is_erased();
CREATE TRIGGER erase AFTER INSERT ON {schema}.erased
    REFERENCING NEW TABLE AS added
    FOR EACH STATEMENT EXECUTE FUNCTION {schema}.erase();
""")
_REFUSED: Final = SQL(
    "CREATE TRIGGER {name} BEFORE {verbs} ON {schema}.{table}"
    " FOR EACH STATEMENT EXECUTE FUNCTION {schema}.refuse();"
)
_APPEND_ONLY: Final = {
    "journal": SQL("DELETE OR TRUNCATE"),
    "change": SQL("UPDATE OR DELETE OR TRUNCATE"),
    "event": SQL("DELETE OR TRUNCATE"),
    "erased": SQL("UPDATE OR DELETE OR TRUNCATE"),
}


def _first(schema: Identifier, partitions: int) -> Composed:
    """Return what makes version 1 of nothing."""
    names = {"schema": schema, "types": SQL(", ").join(TYPES), "erasing": PayloadErased.TYPE}
    refused = list(_APPEND_ONLY.items())
    script = [_TABLES.format(**names)]
    for remainder in range(partitions):
        name = f"event_{remainder}"
        script.append(
            _PARTITION.format(
                schema=schema, name=Identifier(name), modulus=partitions, remainder=remainder
            )
        )
        # A trigger of the whole is not run for what is done to one part by its own name.
        refused.append((name, SQL("INSERT OR DELETE OR TRUNCATE")))
    script += [_FUNCTIONS.format(**names), _TRIGGERS.format(schema=schema)]
    script += [
        _REFUSED.format(
            name=Identifier(f"{table}_is_append_only"),
            verbs=verbs,
            schema=schema,
            table=Identifier(table),
        )
        for table, verbs in refused
    ]
    return Composed(script)


_STEPS: Final = (_first,)
"""What makes each version of the one before it."""

FORMAT: Final = len(_STEPS)
"""The version of the tables' layout, kept in the table `layout`."""


def lay_out(connection: Connection, schema: str, partitions: int) -> None:
    """Make the tables in `schema`, or bring those that are there to the present version.

    All or nothing; the connection is in no transaction. Raises `JournalError` if the server can't
    hold journals, `UnknownFormatError` if a newer version made the tables.
    """
    if connection.info.server_version < _OLDEST:
        raise JournalError(
            f"Journals need PostgreSQL {_OLDEST // 10000} or later: this server is of version "
            f"{connection.info.server_version // 10000}."
        )
    if (encoding := connection.info.parameter_status("server_encoding")) != "UTF8":
        raise JournalError(
            f"Journals need a database in the encoding UTF8, and this one is in {encoding}: make "
            "one with createdb, from template0 and in that encoding."
        )
    where = Identifier(schema)
    with connection.transaction():
        connection.execute("SELECT pg_advisory_xact_lock(%s)", (_ONE_AT_A_TIME,))
        connection.execute(SQL("CREATE SCHEMA IF NOT EXISTS {}").format(where))
        connection.execute(
            SQL(
                "CREATE TABLE IF NOT EXISTS {}.layout"
                " (version integer PRIMARY KEY, made_at timestamptz NOT NULL DEFAULT now())"
            ).format(where)
        )
        query = SQL("SELECT coalesce(max(version), 0) FROM {}.layout").format(where)
        ((version,),) = connection.execute(query).fetchall()
        refuse_newer(version, schema)
        for number, step in enumerate(_STEPS[version:], version + 1):
            connection.execute(step(where, partitions))
            connection.execute(
                SQL("INSERT INTO {}.layout (version) VALUES (%s)").format(where), (number,)
            )


def refuse_newer(version: int, schema: str) -> None:
    """Raise `UnknownFormatError` if tables of `version` are newer than this program."""
    if version > FORMAT:
        raise UnknownFormatError(
            f"The tables in the schema {schema} have the format {version}; this version of "
            f"fileset-ledger knows formats up to {FORMAT}. Use the version that made them, or a "
            "later one."
        )


TRIGGERS: Final = SQL(
    "SELECT t.tgname, t.tgenabled IN ('O', 'A') FROM pg_trigger AS t"
    " JOIN pg_class AS c ON c.oid = t.tgrelid JOIN pg_namespace AS n ON n.oid = c.relnamespace"
    " WHERE n.nspname = %s AND NOT t.tgisinternal"
).format()
"""What asks for the triggers of a schema: their names, and whether they are switched on."""


def missing_triggers(rows: Rows) -> list[str]:
    """Return which of the triggers that refuse changes are not among those that are active."""
    expected = {
        "head_goes_on", "change_is_next", "change_is_whole", "events_are_next", "event_is_erased",
        "erase",
    } | {f"{table}_is_append_only" for table in _APPEND_ONLY}  # fmt: skip
    active = {name for name, is_on in rows} - {name for name, is_on in rows if not is_on}
    return sorted(expected - active)
