"""Checkpoints: signed statements of a journal's last position and hash at some time.

The hash chain has no secret in it: whoever can write the journal can write another one that is as
consistent. A checkpoint is kept where that person can't reach it. The hash at its position covers
every event up to there, so a journal with another history does not match it.

A checkpoint is a small JSON file. What is signed is the same object without its `signature`, as
compact JSON in ASCII with the keys in order, so that it can be checked with any tool.
"""

from __future__ import annotations

import base64
import binascii
import json
from typing import Any, Final

import orjson
from attrs import asdict, evolve, frozen

from ledger.digest import from_raw, to_raw
from ledger.errors import SigningError, UnknownFormatError
from ledger.journal.clocks import Clock, timestamp, utc_now
from ledger.journal.entries import Head
from ledger.journal.signing import PrivateKey, PublicKey

FORMAT: Final = "fileset-ledger checkpoint"
VERSION: Final = 1

_KEYS: Final[dict[str, tuple[type, ...]]] = {
    "format": (str,), "version": (int,), "journal": (str,), "position": (int,), "hash": (str,),
    "signed_at": (str,), "note": (str, type(None)), "key": (str,), "signature": (str,),
}  # fmt: skip


@frozen
class Checkpoint:
    """A signed statement: the journal `journal` had the chain hash `hash` at `position`.

    `version` is that of its format, and signed as all else is: one that an older version signed is
    checked as that version wrote it. `signed_at` is the time by the signer's clock, `key` the
    fingerprint of the key that signed, and `note` a text of the signer's. Digests are written
    `sha256:...`.
    """

    journal: str
    position: int
    hash: str
    signed_at: str
    note: str | None
    key: str
    signature: bytes
    version: int = VERSION

    def is_signed_by(self, key: PublicKey) -> bool:
        """Whether all that the checkpoint says was signed with the private half of `key`."""
        return self.key == key.fingerprint and key.has_signed(self.signature, _message(self))

    def to_json(self) -> bytes:
        """Return the checkpoint as a file."""
        return f"{json.dumps(self.to_plain(), indent=2)}\n".encode("ascii")

    def to_plain(self) -> dict[str, Any]:
        """Return the object that the file holds."""
        signature = base64.b64encode(self.signature).decode("ascii")
        return {**_statement(self), "signature": signature}


def sign(
    journal_id: str, head: Head, key: PrivateKey, *, note: str | None = None, clock: Clock = utc_now
) -> Checkpoint:
    """Return a checkpoint of a journal; the caller has checked that `head` is its head."""
    unsigned = Checkpoint(
        journal=journal_id,
        position=head.position,
        hash=from_raw(head.hash),
        signed_at=timestamp(clock),
        note=note,
        key=key.public.fingerprint,
        signature=b"",
    )
    return evolve(unsigned, signature=key.sign(_message(unsigned)))


def load(data: bytes, name: str) -> Checkpoint:
    """Return the checkpoint of a file, which messages call `name`; its signature is not checked.

    Raises `SigningError` if it is none, and
    `UnknownFormatError` if a newer version made it.
    """
    none = SigningError(f"{name} is not a checkpoint of a journal.")
    try:
        body = orjson.loads(data)
    except orjson.JSONDecodeError:
        raise none from None
    if not isinstance(body, dict) or body.get("format") != FORMAT:
        raise none
    if type(body.get("version")) is not int or body["version"] < 1:
        raise none
    if body["version"] > VERSION:
        raise UnknownFormatError(
            f"{name} is a checkpoint of format {body['version']}; this version of fileset-ledger "
            f"knows formats up to {VERSION}. Check it with the version that made it, or a later "
            "one."
        )
    if body.keys() != _KEYS.keys() or any(type(body[k]) not in t for k, t in _KEYS.items()):
        raise none
    try:
        to_raw(body["hash"])
        signature = base64.b64decode(body["signature"], validate=True)
    except (ValueError, binascii.Error):
        raise none from None
    fields = {key: body[key] for key in _KEYS if key not in {"format", "signature"}}
    return Checkpoint(**fields, signature=signature)


def _statement(checkpoint: Checkpoint) -> dict[str, Any]:
    statement = {"format": FORMAT, "version": checkpoint.version, **asdict(checkpoint)}
    del statement["signature"]
    return statement


def _message(checkpoint: Checkpoint) -> bytes:
    return json.dumps(_statement(checkpoint), sort_keys=True, separators=(",", ":")).encode("ascii")
