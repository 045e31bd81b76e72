"""Where an instance's bytes are now, and how to read them."""

from __future__ import annotations

import os
import tempfile
import weakref
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from weakref import WeakSet

from fileset.repository.named_roots import unnamed
from fileset.repository.repository import Repository
from ledger.disk import private
from ledger.errors import ContentDamagedError, ContentMissingError
from ledger.events import Content, Placement
from ledger.files import file_content, naming, open_regular, read_file
from ledger.vault.protocol import Batch
from projections.state.nodes import Leaf

_ALL: WeakSet[Contents] = WeakSet()


class Contents:
    """Reads instances from the medium, the vault, or where they were left."""

    def __init__(self, repository: Repository) -> None:
        self._repository = repository
        self._folder: Path | None = None
        _ALL.add(self)

    def on_medium(self, leaf: Leaf) -> Path | None:
        """Return the path of the instance's file on the medium, `None` if it isn't there."""
        written, now = self._repository.state.written, self._now(leaf)
        if written is None or now.file_id is None or not self._repository.roots.knows(written.root):
            return None
        return Path(written.root) / now.file_id

    def path(self, leaf: Leaf) -> Path:
        """Return a path where the instance can be read.

        One that is only in the vault is extracted, once, to a temporary folder that goes with
        this object.
        """
        if (path := self.on_medium(leaf)) is not None:
            return path
        now = self._now(leaf)
        if now.placement is Placement.REFERENCE and now.source is not None:
            return Path(now.source)
        written = self._repository.state.written
        if now.placement is Placement.ROOT and written is not None:
            raise ContentMissingError(
                f"The instance {leaf.uid} is on a medium that was not looked at: "
                f"{unnamed(written.root)}"
            )
        return self._copy(leaf)

    def readable(self, leaf: Leaf) -> Path:
        """Return as `path`, but of what is not there any more the copy that the vault has."""
        path = self.path(leaf)
        is_kept = self._now(leaf).placement is Placement.VAULT
        return self._copy(leaf) if is_kept and not path.exists() else path

    @contextmanager
    def place(self, leaf: Leaf) -> Iterator[Path]:
        """Give where the instance's file is: of one in the vault, a copy that goes afterwards."""
        now = self._now(leaf)
        if now.placement is not Placement.VAULT or now.content is None:
            yield self.path(leaf)
            return
        with tempfile.NamedTemporaryFile(prefix="fileset-one-", buffering=0) as file:
            with naming(file.name):
                self._repository.vault.copy_to(now.content.digest, file.fileno())
            yield Path(file.name)

    def read(self, leaf: Leaf) -> bytes:
        """Return the instance's bytes, checked against their digest where it is known.

        Raises OSError, `ContentMissingError` or
        `ContentDamagedError`.
        """
        now = self._now(leaf)
        if now.placement is Placement.VAULT:
            return self._repository.vault.read(self._known(leaf).digest)
        path = self.path(leaf)
        if now.content is not None and file_content(path) != now.content:
            raise ContentDamagedError(f"{path} has changed since it was added.")
        return read_file(path)

    def content(self, leaf: Leaf) -> Content:
        """Return the instance's digest and size, read from its file if it is not recorded yet."""
        return self._now(leaf).content or file_content(self.path(leaf))

    def forget(self) -> None:
        """Delete what was extracted: paths that were given out lead nowhere any more.

        That is all that this process has extracted from the repository, for whatever object.
        """
        for other in list(_ALL):
            if other is self or other.is_of(self._repository):
                other._delete()  # noqa: SLF001 - one of its own kind

    def is_of(self, repository: Repository) -> bool:
        """Whether it reads from `repository`, opened there or anew."""
        return self._repository.store.is_same(repository.store)

    def _delete(self) -> None:
        for path in self._folder.iterdir() if self._folder is not None else ():
            path.unlink()

    def _now(self, leaf: Leaf) -> Leaf:
        """Return the instance as it stands now: `leaf` may be of a past state."""
        now = self._repository.state.hierarchy.leaves.get(leaf.handle)
        if now is None and leaf.handle > self._repository.state.position:
            # Another process added it, and this one has not looked since.
            now = self._repository.refresh().hierarchy.leaves.get(leaf.handle)
        if now is None:
            raise ContentMissingError(f"The instance added at position {leaf.handle} was erased.")
        return now

    def _known(self, leaf: Leaf) -> Content:
        content = self._now(leaf).content
        if content is None:
            raise ContentMissingError(f"The content of the instance {leaf.uid} was never read.")
        return content

    def _copy(self, leaf: Leaf) -> Path:
        """Return where the instance's content is extracted to from the vault."""
        digest = self._known(leaf).digest
        path = self._extracted() / digest.rpartition(":")[2]
        if not path.exists():
            building = path.with_name(f".{path.name}.new")
            with naming(building), open(building, "wb", opener=private) as file:
                self._repository.vault.copy_to(digest, file.fileno())
            building.replace(path)
        return path

    def _extracted(self) -> Path:
        if self._folder is None:
            folder = tempfile.TemporaryDirectory(prefix="fileset-staged-")
            weakref.finalize(self, folder.cleanup)
            self._folder = Path(folder.name)
        return self._folder


def take_in(path: Path, batch: Batch) -> Content:
    """Put the file at `path` into the vault, as it is; OSError if it can't be read."""
    with naming(path):
        fd = open_regular(path)
        try:
            return batch.add_file(fd)
        finally:
            os.close(fd)
