"""Keeping in the vault what is made for media, a little at a time, so that nobody waits long.

What takes long, such as decoding images, is done while others can change the repository. Only to
put what came of it into the vault are they kept out.
"""

from __future__ import annotations

import tempfile
from collections.abc import Iterable
from pathlib import Path
from typing import Final, Protocol

from attrs import define, field

from fileset.errors import RefusedError
from fileset.repository.contents import take_in
from fileset.repository.repository import Repository
from ledger.digest import digest_of
from ledger.events import Content, OtherFile
from ledger.events.media import kept_files
from ledger.files import content_of, file_content, naming, read_file, write_all

_TOGETHER: Final = 16 << 20  # bytes that are put into the vault at a time


class Keeper(Protocol):
    """Takes in content and returns what it is."""

    def add(self, data: bytes) -> Content:
        """Take in a few bytes."""
        ...

    def add_chunks(self, chunks: Iterable[bytes], size: int) -> Content:
        """Take in `size` bytes in chunks, never all of many in memory."""
        ...

    def add_file(self, path: Path) -> Content:
        """Take in a file; OSError if it can't be read."""
        ...


class Measuring:
    """A keeper that keeps nothing: what is taken in is only looked at."""

    def add(self, data: bytes) -> Content:
        return Content(digest_of(data), len(data))

    def add_chunks(self, chunks: Iterable[bytes], size: int) -> Content:
        return content_of(chunks)

    def add_file(self, path: Path) -> Content:
        return file_content(path)


@define
class Keeping:
    """A keeper that puts into the vault what it was given, in full when it is `done`.

    No event names it until then: `refuse_dropped` makes sure of it once others are kept out.
    """

    _repository: Repository
    _waiting: list[bytes] = field(factory=list, init=False)
    _size: int = field(default=0, init=False)

    def add(self, data: bytes) -> Content:
        self._waiting.append(data)
        self._size += len(data)
        if self._size >= _TOGETHER:
            self.done()
        return Content(digest_of(data), len(data))

    def add_chunks(self, chunks: Iterable[bytes], size: int) -> Content:
        if size < _TOGETHER:
            return self.add(b"".join(chunks))
        with tempfile.TemporaryFile(prefix="fileset-medium-", buffering=0) as file:
            for chunk in chunks:
                write_all(file.fileno(), chunk)
            file.seek(0)
            with self._repository.exclusively(), self._repository.vault.batch() as batch:
                return batch.add_file(file.fileno(), size=size)

    def add_file(self, path: Path) -> Content:
        with naming(path):
            size = path.stat().st_size
        if size < _TOGETHER:
            return self.add(read_file(path))
        with self._repository.exclusively(), self._repository.vault.batch() as batch:
            return take_in(path, batch)

    def done(self) -> None:
        """Put into the vault what waits for it. VaultError where the vault fails."""
        if self._waiting:
            with self._repository.exclusively(), self._repository.vault.batch() as batch:
                for data in self._waiting:
                    batch.add(data)
        self._waiting, self._size = [], 0

    def refuse_dropped(self, files: Iterable[OtherFile]) -> None:
        """Raise `RefusedError` if others dropped from the vault what no event named yet."""
        vault = self._repository.vault
        if any(file.content.digest not in vault for file in kept_files(files)):
            raise RefusedError(
                "Nothing was made: what was prepared for the medium was dropped meanwhile, by "
                "`fileset gc` or an erasure. Make it again."
            )
