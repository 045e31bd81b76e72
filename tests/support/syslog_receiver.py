"""A receiver of syslog over TLS (RFC 5425) in a thread, and certificates for it and for senders."""

from __future__ import annotations

import socket
import ssl
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

_PEM = serialization.Encoding.PEM


class Authority:
    """Who signs certificates; those that it makes are in `folder`, each with its key."""

    def __init__(self, folder: Path, name: str = "authority") -> None:
        self._folder, self._name = folder, name
        self._key = ec.generate_private_key(ec.SECP256R1())
        own = self._signed(name, self._key, x509.BasicConstraints(ca=True, path_length=None))
        self.path = folder / f"{name}.pem"
        self.path.write_bytes(own.public_bytes(_PEM))

    def certificate(self, name: str, *, password: bytes | None = None) -> Path:
        """Return a file with a certificate for a host or a person, and its key."""
        key = ec.generate_private_key(ec.SECP256R1())
        certificate = self._signed(name, key, x509.BasicConstraints(ca=False, path_length=None))
        encryption: serialization.KeySerializationEncryption = serialization.NoEncryption()
        if password is not None:
            encryption = serialization.BestAvailableEncryption(password)
        path = self._folder / f"{self._name}-{name}.pem"
        path.write_bytes(
            certificate.public_bytes(_PEM)
            + key.private_bytes(_PEM, serialization.PrivateFormat.PKCS8, encryption)
        )
        return path

    def _signed(
        self, name: str, key: ec.EllipticCurvePrivateKey, kind: x509.BasicConstraints
    ) -> x509.Certificate:
        named: x509.GeneralName = x509.DNSName(name)
        with suppress(ValueError):
            named = x509.IPAddress(ip_address(name))
        now = datetime.now(UTC)
        # Python 3.13 wants what RFC 5280 does: whose key signed it, and what a key may do.
        usage = dict.fromkeys(_USES, False)
        usage["key_cert_sign" if kind.ca else "digital_signature"] = True
        return (
            x509.CertificateBuilder()
            .add_extension(
                x509.AuthorityKeyIdentifier.from_issuer_public_key(self._key.public_key()),
                critical=False,
            )
            .add_extension(
                x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False
            )
            .add_extension(x509.KeyUsage(**usage), critical=True)
            .subject_name(x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)]))
            .issuer_name(x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, self._name)]))
            .public_key(key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(now - timedelta(days=1))
            .not_valid_after(now + timedelta(days=1))
            .add_extension(kind, critical=True)
            .add_extension(x509.SubjectAlternativeName([named]), critical=False)
            .sign(self._key, hashes.SHA256())
        )


_USES = (
    "digital_signature", "content_commitment", "key_encipherment", "data_encipherment",
    "key_agreement", "key_cert_sign", "crl_sign", "encipher_only", "decipher_only",
)  # fmt: skip


def read_all(connection: ssl.SSLSocket, receiver: Receiver) -> None:
    """Take messages until the sender closes, as a receiver does."""
    data = b""
    while chunk := connection.recv(65_536):
        data += chunk
        while b" " in data:
            length, _, rest = data.partition(b" ")
            if len(rest) < int(length):
                break
            message, data = rest[: int(length)], rest[int(length) :]
            receiver.messages.append(message)
    assert not data


Behaviour = Callable[[ssl.SSLSocket, "Receiver"], None]


class Receiver:
    """Takes connections one after another, each by the next of its `behaviours`, then by the last.

    It asks for a certificate of the sender that `authority` has signed.
    """

    def __init__(
        self, authority: Authority, *behaviours: Behaviour, host: str = "127.0.0.1"
    ) -> None:
        self.messages: list[bytes] = []
        self.failures: list[str] = []
        self._behaviours = list(behaviours or (read_all,))
        self._context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self._context.load_cert_chain(authority.certificate(host))
        self._context.load_verify_locations(authority.path)
        self._context.verify_mode = ssl.CERT_REQUIRED
        self._socket = socket.create_server(("127.0.0.1", 0))
        self.port = int(self._socket.getsockname()[1])
        self.over = threading.Event()
        self._thread = threading.Thread(target=self._serve, daemon=True)

    def _serve(self) -> None:
        while not self.over.is_set():
            try:
                plain, _ = self._socket.accept()
            except OSError:
                return
            behave = self._behaviours.pop(0) if len(self._behaviours) > 1 else self._behaviours[0]
            with plain:
                try:
                    with self._context.wrap_socket(plain, server_side=True) as connection:
                        behave(connection, self)
                except (OSError, ssl.SSLError) as exc:
                    self.failures.append(str(exc))

    @property
    def documents(self) -> list[bytes]:
        """The XML of the messages."""
        return [message.partition(b"\xef\xbb\xbf")[2] for message in self.messages]

    @contextmanager
    def running(self) -> Iterator[Receiver]:
        self._thread.start()
        try:
            yield self
        finally:
            self.over.set()
            with suppress(OSError):
                self._socket.shutdown(socket.SHUT_RDWR)
            self._socket.close()
            self._thread.join(10)
            assert not self._thread.is_alive()
