"""What stays though it identifies a person: texts in the journal, and files that are not ours."""

from __future__ import annotations

import base64
import os
from collections.abc import Container, Iterable, Iterator
from functools import cache
from pathlib import Path
from typing import Any, Final

from attrs import fields

from fileset.erasure.content import file_tells
from fileset.erasure.mentions import Mention, Mentions, decoded
from fileset.quarantine.quarantine import FOLDER as QUARANTINE
from fileset.repository.folder import CACHE, JOURNAL, VAULT
from ledger.events import EVENT_TYPES
from ledger.journal.entries import Stored
from ledger.journal.protocol import Journal, body_of
from ledger.vault.packs import is_pack

_RECORDS: Final = frozenset(("record", "parents", "differing", "elements", "file_meta"))
_JOURNALS: Final = frozenset(f"{JOURNAL}{end}" for end in ("", "-journal", "-wal", "-shm"))
_SHOWN: Final = 1000  # characters of a text that are told


def mentions_that_stay(
    journal: Journal, mentions: Mentions, erased: Container[int]
) -> Iterator[Mention]:
    """Yield what stays in the journal though it identifies the person, or may do so."""
    for stored in journal.stored():
        change = stored.change
        if stored.position == change.first:
            for what, text in (
                ("reason", change.reason), ("actor", change.actor), ("origin", change.origin),
            ):  # fmt: skip
                yield from _mention(stored.position, what, text or "", mentions)
        if stored.payload and stored.position not in erased:
            yield from _of_event(stored, mentions)


def _of_event(stored: Stored, mentions: Mentions) -> Iterator[Mention]:
    """Yield the first text of an event that tells of the person, or may."""
    if not mentions.may_be_in(stored.payload):
        return
    perhaps: Mention | None = None
    keyed = _keyed(stored.type)
    for key, value in body_of(stored).items():
        # What a record of somebody else has in part is no hint.
        hints = key not in _RECORDS
        for text in _texts(value, keyed=key in keyed):
            for found in _mention(stored.position, stored.type, text, mentions, hints=hints):
                if found.certain:
                    yield found
                    return
                perhaps = perhaps or found
    if perhaps is not None:
        yield perhaps


def _mention(
    position: int | None, what: str, text: str, mentions: Mentions, *, hints: bool = True
) -> Iterator[Mention]:
    certain = mentions.of_any(text)
    if certain or (hints and mentions.hint(text)):
        yield Mention(position, what, text[:_SHOWN], certain)


@cache
def _keyed(event_type: str) -> frozenset[str]:
    """Return the fields of an event with keys that somebody chose, such as File IDs.

    The keys of all others are names of fields, and tags.
    """
    of_type = fields(EVENT_TYPES[event_type]) if event_type in EVENT_TYPES else ()
    return frozenset(each.name for each in of_type if str(each.type).startswith("dict["))


def _texts(value: Any, before: str = "", *, keyed: bool) -> Iterator[str]:
    """Yield the texts in a value of a payload: File IDs whole, bytes as whatever they may say.

    Keys are texts if the value is `keyed`.
    """
    match value:
        case str():
            yield value
        case list():
            for each in value:
                yield from _texts(each, keyed=keyed)
        case {"InlineBinary": str(encoded)}:
            yield from decoded(base64.b64decode(encoded))
        case dict():
            for key, each in value.items():
                path = f"{before}{key}"
                if keyed:
                    yield path
                yield from _texts(each, f"{path}/", keyed=keyed)


def files_that_stay(path: Path | None, mentions: Mentions) -> Iterator[Mention]:
    """Yield the files in the folder of a repository that are not its own, and tell of the person.

    They may be exported journals, checkpoints or backups, put there by somebody.
    """
    for file in sorted(_foreign(path)) if path is not None else ():
        try:
            certain = mentions.of_any(str(file.relative_to(path or ""))) or file_tells(
                file, mentions
            )
        except OSError:
            continue  # nobody can read it
        if certain:
            yield Mention(None, "file", os.fspath(file))


def _foreign(path: Path) -> Iterable[Path]:
    """Yield the files in a repository's folder but for journal, packs, caches and quarantine."""
    for folder, names, files in os.walk(path):
        here = Path(folder)
        if here == path:
            names[:] = [name for name in names if name not in {CACHE, QUARANTINE}]
        for name in files:
            is_journal = here == path and name in _JOURNALS
            if not is_journal and not (here == path / VAULT and is_pack(name)):
                yield here / name
