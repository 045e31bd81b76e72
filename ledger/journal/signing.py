"""Ed25519 keys in PEM files, and signatures with them.

The package `cryptography` does it. It comes with `fileset-ledger[signing]` and is imported when
a key is made or used, so that everything else works without it.
"""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING, Any

from attrs import frozen

from ledger.digest import Digest, from_raw
from ledger.errors import SigningError
from ledger.phrases import needs

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.ed25519 import (
        Ed25519PrivateKey,
        Ed25519PublicKey,
    )


@frozen
class PublicKey:
    """A key that signatures are checked with."""

    _key: Ed25519PublicKey

    @classmethod
    def load(cls, pem: bytes, name: str) -> PublicKey:
        """Return the key of a PEM file (SubjectPublicKeyInfo), which messages call `name`."""
        crypto = _cryptography()
        try:
            key = crypto.serialization.load_pem_public_key(pem)
        except crypto.unreadable:
            private = " but a private key" if b"PRIVATE KEY-----" in pem else ""
            raise SigningError(f"{name} is not a public key in PEM{private}.") from None
        if not isinstance(key, crypto.ed25519.Ed25519PublicKey):
            raise SigningError(f"{name} is not an Ed25519 key.")
        return cls(key)

    @property
    def fingerprint(self) -> Digest:
        """What the key is known by: the SHA-256 of its SubjectPublicKeyInfo in DER."""
        form = _cryptography().serialization
        der = self._key.public_bytes(form.Encoding.DER, form.PublicFormat.SubjectPublicKeyInfo)
        return from_raw(hashlib.sha256(der).digest())

    def to_pem(self) -> bytes:
        """Return the key as a PEM file."""
        form = _cryptography().serialization
        return self._key.public_bytes(form.Encoding.PEM, form.PublicFormat.SubjectPublicKeyInfo)

    def has_signed(self, signature: bytes, message: bytes) -> bool:
        """Whether `signature` is that of `message` by the private half of the key."""
        try:
            self._key.verify(signature, message)
        except _cryptography().InvalidSignature:
            return False
        return True


@frozen
class PrivateKey:
    """A key that signs. Its `repr` reveals nothing of it."""

    _key: Ed25519PrivateKey

    @classmethod
    def generate(cls) -> PrivateKey:
        """Make a new key."""
        return cls(_cryptography().ed25519.Ed25519PrivateKey.generate())

    @classmethod
    def load(cls, pem: bytes, name: str) -> PrivateKey:
        """Return the key of a PEM file (PKCS#8, no passphrase), which messages call `name`."""
        crypto = _cryptography()
        try:
            key = crypto.serialization.load_pem_private_key(pem, password=None)
        except TypeError:
            raise SigningError(
                f"{name} is protected by a passphrase, which is not supported."
            ) from None
        except crypto.unreadable:
            public = " but a public key" if b"PUBLIC KEY-----" in pem else ""
            raise SigningError(f"{name} is not a private key in PEM{public}.") from None
        if not isinstance(key, crypto.ed25519.Ed25519PrivateKey):
            raise SigningError(f"{name} is not an Ed25519 key.")
        return cls(key)

    @property
    def public(self) -> PublicKey:
        """The public half."""
        return PublicKey(self._key.public_key())

    def to_pem(self) -> bytes:
        """Return the key as a PEM file, which must be kept secret."""
        form = _cryptography().serialization
        return self._key.private_bytes(
            form.Encoding.PEM, form.PrivateFormat.PKCS8, form.NoEncryption()
        )

    def sign(self, message: bytes) -> bytes:
        """Return the signature of `message`, 64 bytes."""
        return self._key.sign(message)


@frozen
class _Cryptography:
    """What is used of the package."""

    serialization: Any
    ed25519: Any
    InvalidSignature: type[Exception]
    unreadable: tuple[type[Exception], ...]


def _cryptography() -> _Cryptography:
    try:
        from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm  # noqa: PLC0415 - an extra: see above
        from cryptography.hazmat.primitives import serialization  # noqa: PLC0415
        from cryptography.hazmat.primitives.asymmetric import ed25519  # noqa: PLC0415
    except ImportError:
        raise SigningError(needs("Signing needs", "cryptography", "signing")) from None
    return _Cryptography(
        serialization, ed25519, InvalidSignature, (ValueError, UnsupportedAlgorithm)
    )
