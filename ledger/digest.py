"""Content digests: SHA-256, written `sha256:<64 hex digits>`."""

from __future__ import annotations

import hashlib
import re
from typing import Final, NewType

Digest = NewType("Digest", str)
"""A digest in its written form, `sha256:<hex>`."""

_PREFIX: Final = "sha256:"
_WRITTEN: Final = re.compile(r"sha256:[0-9a-f]{64}", re.ASCII)


def digest_of(data: bytes | memoryview) -> Digest:
    """Return the digest of `data`."""
    return Digest(_PREFIX + hashlib.sha256(data).hexdigest())


def from_raw(raw: bytes) -> Digest:
    """Return the written form of a 32-byte SHA-256."""
    if len(raw) != 32:
        raise ValueError(f"A SHA-256 digest has 32 bytes, not {len(raw)}")
    return Digest(_PREFIX + raw.hex())


def to_raw(digest: str) -> bytes:
    """Return the 32 bytes of a written digest; ValueError where it is none."""
    if not _WRITTEN.fullmatch(digest):
        raise ValueError(f"Not a digest of the form 'sha256:<64 hex digits>': {digest!r}")
    return bytes.fromhex(digest[len(_PREFIX) :])


def short(digest: object) -> str:
    """Return the beginning of a digest, enough to tell two apart by eye."""
    return str(digest)[: len(_PREFIX) + 8]
