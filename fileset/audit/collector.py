"""A collector of audit messages: a syslog receiver over TLS (RFC 5425; PS3.15 Section A.6)."""

from __future__ import annotations

import errno
import fcntl
import os
import platform
import select
import socket
import ssl
import termios
import time
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import Final

from fileset.audit.destination import DeliveryError
from fileset.audit.message import AuditMessage
from fileset.errors import RefusedError

PORT: Final = 6514
"""The port of syslog over TLS (RFC 5425 Section 4.1)."""

_SECONDS: Final = 30.0  # for a connection, for a write, and for the receiver to close

_CHUNK: Final = 1 << 16
_MOMENT: Final = 0.005  # seconds
_BROKEN_OFF: Final = frozenset({errno.ECONNRESET, errno.EPIPE, errno.ENOTCONN})


class Collector:
    """Sends messages to the receiver at `host` and `port`, over one connection for each delivery.

    Syslog has no acknowledgement. So the end of each connection is waited for: messages count as
    delivered when the receiver has read on until we closed, and has then closed as well.

    `ca` names who signs the receiver's certificate, else those whom the system trusts; the name
    in it has to be `host`. `cert` and `key` are our own certificate and its key, in PEM; the key
    may be in the same file. They are read again for each delivery, so that new ones can take their
    place. RefusedError if one of them can't be used.
    """

    def __init__(
        self,
        host: str,
        port: int = PORT,
        *,
        ca: Path | None = None,
        cert: Path | None = None,
        key: Path | None = None,
        seconds: float = _SECONDS,
    ) -> None:
        self._host, self._port, self._seconds = host, port, seconds
        self._files = ca, cert, key
        _context(*self._files)

    @property
    def name(self) -> str:
        host = f"[{self._host}]" if ":" in self._host else self._host
        return f"{host}:{self._port}"

    def deliver(self, messages: Sequence[AuditMessage]) -> None:
        sender, context = platform.node(), _context(*self._files)
        try:
            with socket.create_connection((self._host, self._port), self._seconds) as plain:
                connection = _Connection(plain, context, self._host)
                for message in messages:
                    connection.send(message.syslog(sender))
                connection.close()
        except ssl.SSLCertVerificationError as exc:
            raise DeliveryError(
                f"The certificate of {self.name} is not accepted: {exc.verify_message}. --ca names "
                "the certificate of who has signed it."
            ) from exc
        except (OSError, UnicodeError) as exc:
            raise DeliveryError(f"{self.name}: {_reason(exc)}.") from exc


class _Connection:
    """TLS over the connection `plain`, which is read and written here.

    An SSLSocket would not tell a receiver that has closed from one that has broken off.
    """

    def __init__(self, plain: socket.socket, context: ssl.SSLContext, host: str) -> None:
        self._plain = plain
        self._from, self._to = ssl.MemoryBIO(), ssl.MemoryBIO()
        self._tls = context.wrap_bio(self._from, self._to, server_hostname=host)
        while True:
            try:
                self._tls.do_handshake()
                break
            except ssl.SSLWantReadError:
                self._flush()
                self._take(plain.recv(_CHUNK))
            finally:
                self._flush()  # also why we refuse

    def send(self, data: bytes) -> None:
        """Send `data`; OSError if the receiver has broken off."""
        self._tls.write(data)
        self._flush()

    def close(self) -> None:
        """Say that nothing more comes, and wait until the receiver has closed.

        OSError if it broke off, as it does when something is unread, or has refused us. Its own
        farewell may be missing: many leave it out once they have ours.
        """
        self._wait_for_arrival()
        with suppress(ssl.SSLWantReadError):
            self._tls.unwrap()
        self._flush()
        self._plain.shutdown(socket.SHUT_WR)
        while data := self._plain.recv(_CHUNK):
            self._take(data)
        self._take(b"")
        with suppress(ssl.SSLEOFError, ssl.SSLZeroReturnError):
            while self._tls.read(_CHUNK):  # an alert is an error
                pass

    def _wait_for_arrival(self) -> None:
        """Wait until the receiver's system has everything; OSError if it had closed before.

        One that closes later with something unread resets the connection.
        """
        end = time.monotonic() + (self._plain.gettimeout() or 0)
        while _is_under_way(self._plain):
            if time.monotonic() > end:
                raise TimeoutError
            time.sleep(_MOMENT)
        while select.select([self._plain], [], [], 0)[0]:
            data = self._plain.recv(_CHUNK)
            self._take(data)
            try:
                is_open = bool(data and self._tls.read(_CHUNK))
            except ssl.SSLWantReadError:  # a session ticket
                continue
            if not is_open:
                raise ConnectionResetError(errno.ECONNRESET, os.strerror(errno.ECONNRESET))

    def _take(self, data: bytes) -> None:
        if data:
            self._from.write(data)
        else:
            self._from.write_eof()

    def _flush(self) -> None:
        if data := self._to.read():
            self._plain.sendall(data)


def _is_under_way(connection: socket.socket) -> bool:
    """Whether the other side has yet to acknowledge data; `False` where the system can't tell."""
    if number := connection.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR):
        raise OSError(number, os.strerror(number))
    with suppress(OSError):
        return any(fcntl.ioctl(connection, termios.TIOCOUTQ, bytes(4)))
    return False


def _reason(exc: Exception) -> str:
    if isinstance(exc, TimeoutError):
        return "it does not answer in time, or does not close the connection at the end"
    if isinstance(exc, ssl.SSLEOFError) or getattr(exc, "errno", None) in _BROKEN_OFF:
        return "it broke off the connection, and may not accept the certificate of this machine"
    if isinstance(exc, ssl.SSLError):
        return (exc.reason or str(exc)).replace("_", " ").lower()
    return getattr(exc, "strerror", None) or str(exc) or type(exc).__name__


def _context(ca: Path | None, cert: Path | None, key: Path | None) -> ssl.SSLContext:
    try:
        context = ssl.create_default_context(cafile=ca)
    except OSError as exc:
        raise _unusable(ca, exc, "certificates") from exc
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    if cert is not None:
        try:
            context.load_cert_chain(cert, key, password=_no_password)
        except OSError as exc:
            files = cert if key is None else f"{cert} with {key}"
            raise _unusable(files, exc, "a certificate and its key") from exc
    return context


def _no_password() -> str:
    raise RefusedError(
        "The key is encrypted, and nobody is there to type a password: give a file with the plain "
        "key, readable for its owner alone."
    )


def _unusable(files: object, exc: OSError, what: str) -> RefusedError:
    why = exc.reason if isinstance(exc, ssl.SSLError) else exc.strerror
    return RefusedError(f"{files} can't be used: {why or exc}. It has to hold {what} in PEM.")
