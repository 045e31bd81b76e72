"""The vault: the bytes of instances, kept by their SHA-256, added to and never changed.

`Vault` is what every store of content does; `ledger.vault.vault` is the one in a local folder.
"""

from __future__ import annotations

from collections.abc import Container, Iterable, Iterator
from contextlib import AbstractContextManager
from typing import Protocol

from attrs import field, frozen

from ledger.digest import Digest
from ledger.events import Content
from ledger.files import FileView


class Batch(Protocol):
    """Adds content to a vault. What was added can be read once the batch was left."""

    def has(self, digest: Digest) -> bool:
        """Return whether the vault has the content whole, which is read, or this batch has it."""

    def add(self, data: bytes | memoryview) -> Content:
        """Add `data`, unless the vault or this batch has it; return what it is."""

    def add_file(self, fd: int, *, size: int | None = None) -> Content:
        """Add what an open file holds from its position to its end, never all of it in memory.

        `size` is about how many bytes to expect; it defaults to the size of the file. An error in
        reading the file is passed on, and leaves the batch as it was.
        """

    def add_chunks(self, chunks: Iterable[bytes], *, size: int) -> Content:
        """Add the content of `size` bytes that `chunks` make up, never all of it in memory.

        An error that `chunks` raise is passed on, and leaves the batch as it was.
        """


@frozen
class ContentDamage:
    """Something wrong that a vault found in itself.

    `digest` is the content that is lost by it, `None` where that is unknown. `problem` says where
    it is, and what to do. `may_be_torn` where a crash can have left it, and it was never part of a
    batch that was kept: the caller knows what it needs.
    """

    digest: Digest | None
    problem: str
    may_be_torn: bool = False


@frozen
class Excess:
    """How much nobody needs: entries, and all their bytes in the packs.

    `scraps` are bytes that belong to no whole entry: nobody knows what they were. To drop all this
    takes `room`: bytes that are free on the disk meanwhile.
    """

    entries: int = 0
    bytes: int = 0
    scraps: int = 0
    room: int = field(default=0, eq=False)

    def __bool__(self) -> bool:
        """Whether there is any."""
        return bool(self.entries or self.scraps)


class Vault(Protocol):
    """Keeps content by its digest.

    Methods raise VaultError where the store fails, ContentMissingError for a digest that it does
    not have, and ContentDamagedError for content that no longer is what it was.
    """

    def batch(self, *, later: bool = False) -> AbstractContextManager[Batch]:
        """Return a context in which to add content: all of it is kept when the context is left.

        An exception leaves the vault as it was. One batch at a time, in one process at a time: the
        caller holds a lock. With `later` it need not be durable before `make_durable`.
        """

    def make_durable(self) -> None:
        """Make durable what batches have left for later: before anything names their content."""

    def __contains__(self, digest: Digest) -> bool:
        """Return whether the vault has the content. Its bytes are not looked at."""

    def is_sound(self, digest: Digest) -> bool:
        """Return whether the content can be read and is what it was: all of it is read."""

    def content(self, digest: Digest) -> Content:
        """Return the digest together with the size of the content in bytes."""

    def contents(self) -> Iterator[Content]:
        """Yield all content, ordered by digest."""

    def read(self, digest: Digest) -> bytes:
        """Return the content, checked."""

    def copy_to(self, digest: Digest, fd: int) -> None:
        """Write the content to an open file; syncing is left to the caller.

        It is checked on the way: after an error the file holds bytes that must not be used.
        """

    def view(self, digest: Digest) -> AbstractContextManager[FileView]:
        """Return a context that gives the content as it is, unchecked, never all of it in memory.

        VaultError where it can't be read on.
        """

    def verify(self) -> Iterator[ContentDamage]:
        """Read everything, and yield what is wrong."""

    def excess(self, needed: Container[Digest], *, scraps: bool = False) -> Excess:
        """Return how much `drop_excess` would drop."""

    def drop_excess(self, needed: Container[Digest], *, scraps: bool = False) -> Excess:
        """Drop all content that is not `needed`, and copies; return how much that was.

        With `scraps` that includes bytes that belong to no whole entry. Killed or failed
        at any point, all that is needed is still there, and what was dropped by then is gone. The
        caller holds a lock; readers in other processes read on.
        """

    def rebuild_index(self) -> None:
        """Build anew what the vault keeps besides the content itself; the caller holds a lock."""

    def close(self) -> None:
        """Close the files. Using the vault again opens them again."""
