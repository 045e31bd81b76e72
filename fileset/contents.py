"""Where an instance's bytes are now, and how to get at them."""

from __future__ import annotations

import tempfile
import weakref
from pathlib import Path

from fileset.repository import Repository
from ledger.errors import ContentDamagedError, ContentMissingError
from ledger.events import Content, Placement
from ledger.files import file_content
from projections.hierarchy import Leaf


class Contents:
    """Reads instances from the medium, the vault, or where they were left."""

    def __init__(self, repository: Repository) -> None:
        self._repository = repository
        self._folder: Path | None = None

    def on_medium(self, leaf: Leaf) -> Path | None:
        """Return the path of the instance's file on the medium, ``None`` if it isn't there."""
        written = self._repository.state.written
        if written is None or leaf.file_id is None:
            return None
        return Path(written.root) / leaf.file_id

    def path(self, leaf: Leaf) -> Path:
        """Return a path where the instance can be read.

        One that is only in the vault is extracted, once, to a temporary folder that goes with
        this object.
        """
        if (path := self.on_medium(leaf)) is not None:
            return path
        if leaf.placement is Placement.REFERENCE and leaf.event.source is not None:
            return Path(leaf.event.source)
        path = self._extracted() / f"{leaf.handle:08}"
        if not path.exists():
            path.write_bytes(self._repository.vault.read(_known(leaf).digest))
        return path

    def read(self, leaf: Leaf) -> bytes:
        """Return the instance's bytes, checked against their digest where it is known.

        Raises OSError, :class:`~ledger.errors.ContentMissingError` or
        :class:`~ledger.errors.ContentDamagedError`.
        """
        if leaf.placement is Placement.VAULT:
            return self._repository.vault.read(_known(leaf).digest)
        path = self.path(leaf)
        if leaf.content is not None and file_content(path) != leaf.content:
            raise ContentDamagedError(f"{path} has changed since it was added.")
        return path.read_bytes()

    def content(self, leaf: Leaf) -> Content:
        """Return the instance's digest and size, read from its file if it is not recorded yet."""
        return leaf.content or file_content(self.path(leaf))

    def _extracted(self) -> Path:
        if self._folder is None:
            folder = tempfile.TemporaryDirectory(prefix="fileset-staged-")
            weakref.finalize(self, folder.cleanup)
            self._folder = Path(folder.name)
        return self._folder


def _known(leaf: Leaf) -> Content:
    if leaf.content is None:
        raise ContentMissingError(f"The content of the instance {leaf.uid} was never read.")
    return leaf.content
