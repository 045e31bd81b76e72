"""Reading an instance of the File-set again, to compare it with one that is offered."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from fileset.adding.candidate import LargeFile
from fileset.archives.opening import open_archive, split_member
from fileset.repository.contents import Contents
from ledger.digest import digest_of
from ledger.errors import ContentDamagedError, ContentMissingError, InstanceError
from ledger.events import Content
from ledger.files import LARGE, FileStamp, FileView, content_of, file_content
from projections.state.nodes import Leaf


@contextmanager
def reading(contents: Contents, leaf: Leaf, content: Content) -> Iterator[bytes | FileView]:
    """Give the instance's bytes, of one in the same batch from where they were just read.

    OSError or LedgerError if they can't be read, or are not the `content` any more.
    """
    try:
        there = contents.read(leaf) if content.size < LARGE else contents.path(leaf)
    except ContentMissingError:
        if leaf.source is None:
            raise
        if (of_archive := split_member(leaf.source)) is not None:
            with _reading_member(*of_archive, content) as member:
                yield member
            return
        there = Path(leaf.source)
    if isinstance(there, bytes):
        yield there
        return
    stamp = FileStamp.of(there.stat())
    if file_content(there) != content:
        raise ContentDamagedError(f"{there} has changed since it was added.")
    with LargeFile(os.fspath(there), stamp).view() as view:
        yield view


@contextmanager
def _reading_member(path: str, name: str, content: Content) -> Iterator[bytes | FileView]:
    """Give the member `name` of the archive at `path`, which was `content` when it was added.

    OSError or LedgerError if it can't be read, or is not what it was.
    """
    with open_archive(path) as archive:
        member = next((each for each in archive.members() if each.name == name), None)
        if member is None:
            raise InstanceError(f"has no {name} any more", name=path)
        with archive.read(member) as found:
            data = found if isinstance(found, FileView) else bytes(found)
            if _content(data) != content:
                raise InstanceError("has changed since it was added", name=archive.name_of(member))
            yield data


def _content(data: bytes | FileView) -> Content:
    return (
        content_of(data.pieces())
        if isinstance(data, FileView)
        else Content(digest_of(data), len(data))
    )
