"""Repositories made again from exported journals, and the content that they need.

A journal says what happened; the bytes of the instances are not part of it. They are copied from
where they still are: another repository, the packs of a vault, or a folder of files. Whatever has
the digest that the journal names is the right content.
"""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from itertools import islice
from pathlib import Path
from typing import BinaryIO, Final, Protocol

from attrs import define, field

from fileset.errors import RefusedError
from fileset.repository.folder import is_repository, open_vault
from fileset.repository.repository import Repository
from ledger.digest import Digest
from ledger.errors import ContentDamagedError, ContentMissingError, UnknownFormatError
from ledger.events import Content
from ledger.files import copy_file, file_content
from ledger.journal.lines import JournalFile
from ledger.journal.protocol import Journal, decoded
from ledger.vault.packs import list_packs
from ledger.vault.protocol import Batch, Vault
from ledger.vault.vault import PackVault
from projections.state.fold import fold

_BATCH: Final = 1000  # contents that are made durable together
_IN_MEMORY: Final = 1 << 26  # bytes; larger content goes by way of a file


class ContentSource(Protocol):
    """Where content comes from: a vault, or what can stand for one."""

    def copy_to(self, digest: Digest, fd: int) -> None:
        """Write content to an open file; ContentMissingError or ContentDamagedError if it can't."""

    def read(self, digest: Digest) -> bytes:
        """Return content; raises the same."""


@define
class Imported:
    """What came of an import.

    `needed` counts the additions whose content belongs into the vault, `lacking` those of them
    whose content could not be had, and `unknown` the events that only a newer version can read.
    """

    repository: Repository
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
    No root that its events name counts until it is named.
    There is no repository if the file is damaged (`JournalFileError`) or
    anything else fails.
    """
    exported = JournalFile(file, name)
    if not exported.head.position:
        raise RefusedError(f"{name} holds a journal without an event: there is nothing to import.")

    done: list[Imported] = []

    def fill(repository: Repository) -> None:
        repository.roots.begin()
        repository.roots.keep()
        with suppress(UnknownFormatError):  # it can be kept, and only be read
            fold(repository.journal.read())
        done.append(_fill(repository, source))

    restored = exported.journal_id, exported.events()
    with exported.naming_lines():
        made = Repository.create(path, fill, origin=origin, restored=restored)
    (imported,) = done
    imported.repository = made
    return imported


@contextmanager
def source_of(path: Path) -> Iterator[ContentSource]:
    """Yield the content of the repository, the vault's folder or the folder of files at `path`."""
    if is_repository(path):
        vault = open_vault(path, writable=False)
    elif list_packs(path):
        vault = PackVault(path, path / "no-index", writable=False)
    else:
        yield _InFolder(path)
        return
    with closing(vault):
        yield vault


# --- what content a journal needs ----------------------------------------------------------------


def _fill(repository: Repository, source: ContentSource | None) -> Imported:
    imported = Imported(repository)
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
            event = decoded(stored)
        except UnknownFormatError:
            imported.unknown += 1
            continue
        yield from event.in_vault()


def _copy(source: ContentSource, content: Content, vault: Vault, batch: Batch) -> bool:
    """Copy content into the vault, unless it has it; `False` if the source does not have it."""
    if content.digest in vault:
        return True
    try:
        if content.size <= _IN_MEMORY:
            return batch.add(source.read(content.digest)) == content
        with tempfile.TemporaryFile() as file:
            source.copy_to(content.digest, file.fileno())
            file.seek(0)
            return batch.add_file(file.fileno()) == content
    except (ContentMissingError, ContentDamagedError):
        return False


# --- where it comes from -------------------------------------------------------------------------


@define
class _InFolder:
    """The files below a folder, a medium for example, by their digests."""

    _folder: Path
    _files: dict[Digest, tuple[Path, Content]] | None = field(default=None, init=False)

    def copy_to(self, digest: Digest, fd: int) -> None:
        if self._files is None:
            self._files = {content.digest: (path, content) for path, content in self._walk()}
        if digest not in self._files:
            raise ContentMissingError(f"{self._folder} has no file {digest}")
        path, content = self._files[digest]
        copy_file(path, fd, expected=content)

    def read(self, digest: Digest) -> bytes:
        with tempfile.TemporaryFile() as file:
            self.copy_to(digest, file.fileno())
            file.seek(0)
            return file.read()

    def _walk(self) -> Iterator[tuple[Path, Content]]:
        for parent, _, names in os.walk(self._folder):
            for path in (Path(parent, name) for name in names):
                try:
                    yield path, file_content(path)
                except OSError:
                    continue  # as if it were not there: the import reports what is missing
