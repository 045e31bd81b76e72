"""Repositories made again from exported journals, and the content that they need.

A journal says what happened; the bytes of the instances are in a vault and no part of it. They come
from where they still are: another repository, the packs of a vault, or a folder of files. Whatever
has the digest that the journal names is the right content.
"""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator
from contextlib import suppress
from itertools import islice
from pathlib import Path
from typing import BinaryIO, Final, Protocol

from attrs import define, field

from fileset.errors import RefusedError
from fileset.repository import Repository
from fileset.repository_folder import is_repository, open_vault
from ledger import codec
from ledger.digest import Digest
from ledger.errors import (
    ContentDamagedError,
    ContentMissingError,
    JournalDamagedError,
    UnknownFormatError,
)
from ledger.events import Content, ContentRecorded, InstanceAdded, Placement, StrangerKept
from ledger.files import copy_file, file_content
from ledger.journal import Journal
from ledger.journal_lines import JournalFile
from ledger.packs import list_packs
from ledger.sqlite import SqliteJournal
from ledger.vault import Batch, PackVault, Vault
from projections.state import FileSetState

_BATCH: Final = 1000  # contents that are made durable together
_IN_MEMORY: Final = 1 << 26  # bytes; larger content goes by way of a file


class ContentSource(Protocol):
    """Where content comes from."""

    def copy_to(self, content: Content, fd: int) -> None:
        """Write content to an open file; ContentMissingError or ContentDamagedError if it can't."""

    def read(self, content: Content) -> bytes:
        """Return content; raises the same."""


@define
class Imported:
    """What came of an import.

    `needed` counts the additions whose content belongs into the vault, `lacking` those of them
    whose content could not be had, and `unknown` the events that only a newer version can read.
    """

    repository: Repository
    events: int
    needed: int = 0
    lacking: int = 0
    unknown: int = 0


def import_journal(
    path: Path,
    file: BinaryIO,
    name: str,
    *,
    source: ContentSource | None = None,
    origin: str | None = None,
) -> Imported:
    """Make a repository at `path` with the journal in `file`, which messages call `name`.

    It has the same id, events, times and hashes. Content comes from `source`, where there is one.
    There is no repository if the file is damaged (:class:`~ledger.errors.JournalFileError`) or
    anything else fails.
    """
    exported = JournalFile(file, name)
    if not exported.head.position:
        raise RefusedError(f"{name} holds a journal without an event: there is nothing to import.")

    def make_journal(at: Path) -> Journal:
        with exported.naming_lines():
            return SqliteJournal.restore(at, exported.journal_id, exported.events())

    done: list[Imported] = []

    def fill(repository: Repository) -> None:
        with exported.naming_lines():
            with suppress(UnknownFormatError):  # it can be kept, and only be read
                FileSetState.fold(repository.journal.read())
            done.append(_fill(repository, source))

    made = Repository.create(path, fill, origin=origin, make_journal=make_journal)
    (imported,) = done
    imported.repository = made
    return imported


def source_of(path: Path) -> ContentSource:
    """Return the content of the repository, the vault's folder or the folder of files at `path`."""
    if is_repository(path):
        return _InVault(open_vault(path, writable=False))
    if list_packs(path):
        return _InVault(PackVault(path, path / "no-index", writable=False))
    return _InFolder(path)


# --- what content a journal needs ----------------------------------------------------------------


def _fill(repository: Repository, source: ContentSource | None) -> Imported:
    imported = Imported(repository, repository.journal.position)
    wanted = _wanted(repository.journal, imported)
    while contents := list(islice(wanted, _BATCH)):
        imported.needed += len(contents)
        if source is None:
            imported.lacking += len(contents)
            continue
        with repository.vault.batch() as batch:
            imported.lacking += sum(
                not _copy(source, content, repository.vault, batch) for content in contents
            )
    return imported


def _wanted(journal: Journal, imported: Imported) -> Iterator[Content]:
    """Yield the content that the vault is to have, as often as the events name it."""
    for stored in journal.stored():
        if not stored.payload:  # it was erased
            continue
        try:
            event = codec.decode(stored.type, stored.version, stored.payload)
        except UnknownFormatError:
            imported.unknown += 1
            continue
        except JournalDamagedError as exc:
            raise JournalDamagedError(
                f"The event at position {stored.position} is damaged: {exc}",
                position=stored.position,
            ) from exc
        match event:
            case InstanceAdded(content=Content() as content, placement=Placement.VAULT):
                yield content
            case ContentRecorded(content=content, placement=Placement.VAULT):
                yield content
            case StrangerKept(content=content):
                yield content


def _copy(source: ContentSource, content: Content, vault: Vault, batch: Batch) -> bool:
    """Copy content into the vault, unless it has it; ``False`` if the source has it not."""
    if content.digest in vault:
        return True
    try:
        if content.size <= _IN_MEMORY:
            return batch.add(source.read(content)) == content
        with tempfile.TemporaryFile() as file:
            source.copy_to(content, file.fileno())
            file.seek(0)
            return batch.add_file(file.fileno()) == content
    except (ContentMissingError, ContentDamagedError):
        return False


# --- where it comes from -------------------------------------------------------------------------


@define
class _InVault:
    """The content of a vault."""

    _vault: Vault

    def copy_to(self, content: Content, fd: int) -> None:
        self._vault.copy_to(content.digest, fd)

    def read(self, content: Content) -> bytes:
        return self._vault.read(content.digest)


@define
class _InFolder:
    """The files below a folder, a medium for example, by their digests."""

    _folder: Path
    _paths: dict[Digest, Path] | None = field(default=None, init=False)

    def copy_to(self, content: Content, fd: int) -> None:
        copy_file(self._path(content), fd, expected=content)

    def read(self, content: Content) -> bytes:
        with tempfile.TemporaryFile() as file:
            self.copy_to(content, file.fileno())
            file.seek(0)
            return file.read()

    def _path(self, content: Content) -> Path:
        if self._paths is None:
            self._paths = {digest: path for path, digest in _files(self._folder)}
        try:
            return self._paths[content.digest]
        except KeyError:
            raise ContentMissingError(f"{self._folder} has no file {content.digest}") from None


def _files(folder: Path) -> Iterator[tuple[Path, Digest]]:
    for parent, _, names in os.walk(folder):
        for name in names:
            path = Path(parent, name)
            try:
                yield path, file_content(path).digest
            except OSError:
                continue  # what can't be read is not there: the import tells what it lacks
