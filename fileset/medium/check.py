"""One check of the medium, for those who verify, repair or write it: its DICOMDIR and each file.

What follows from what is found is theirs to say.
"""

from __future__ import annotations

import errno
import os
import stat
import warnings
from collections.abc import Iterable, Iterator
from contextlib import suppress
from enum import Enum
from pathlib import Path
from typing import Final, NamedTuple

from fileset.medium.file_ids import RootFolder
from fileset.medium.paths import are_one
from fileset.progress import Progress
from ledger.digest import Digest, digest_of
from ledger.errors import LedgerError
from ledger.files import file_content
from ledger.names import twins
from projections.dicomdir.definitions import DICOMDIR, FileSetIdentity
from projections.dicomdir.mending import decode_damaged
from projections.state.nodes import Leaf
from projections.state.state import FileSetState, Written

GONE: Final = (errno.ENOENT, errno.ENOTDIR)
"""The error numbers that say that there is nothing at a path."""


class Fault(Enum):
    """What is wrong with a file of the medium."""

    MISSING = "missing"
    CHANGED = "changed"
    UNREADABLE = "unreadable"
    OUTSIDE = "outside"
    """It is or is below a link that leads out of the medium, and is not followed."""
    OTHERS = "others"
    """The file of another instance answers to its name, as names in two cases may be one."""


class CheckedFile(NamedTuple):
    """An instance's file on the medium, what is wrong with it, and the error that showed it."""

    leaf: Leaf
    path: Path
    fault: Fault | None
    error: OSError | None


def leaves_on(state: FileSetState) -> list[Leaf]:
    """Return the instances that the last write left on the medium, in the order of the tree."""
    return [leaf for leaf in state.hierarchy.walk_leaves() if leaf.file_id is not None]


def check_files(
    root: Path, state: FileSetState, progress: Progress | None = None
) -> Iterator[CheckedFile]:
    """Read the file of every instance that the last write left at `root`, and yield each."""
    leaves = leaves_on(state)
    names = Names(root, (leaf.file_id or "" for leaf in leaves))
    for number, leaf in enumerate(leaves):
        path = root / (leaf.file_id or "")
        fault = error = None
        try:
            if names.leads_out(leaf.file_id or ""):
                fault = Fault.OUTSIDE
            elif (content := file_content(path)) != (leaf.content or content):
                fault = Fault.OTHERS if names.is_others(leaf.file_id or "") else Fault.CHANGED
        except OSError as exc:
            error = exc
            fault = Fault.MISSING if exc.errno in GONE else Fault.UNREADABLE
        yield CheckedFile(leaf, path, fault, error)
        if progress:
            progress(number + 1, len(leaves))


class Names:
    """Where the names of files of the medium at `root` lead."""

    def __init__(self, root: Path, file_ids: Iterable[str]) -> None:
        self._root = os.fspath(root)
        self._folder = RootFolder(Path(os.path.realpath(root)))
        self._twins = twins(file_ids)

    def leads_out(self, file_id: str) -> bool:
        """Whether a link leads from there out of the root; OSError if it can't be looked at."""
        try:
            self._folder.find(tuple(file_id.split("/")))
        except PermissionError as exc:
            if exc.errno is not None:
                raise
            return True
        return False

    def is_others(self, file_id: str) -> bool:
        """Whether the file there is that of another File ID, which is the same name there."""
        twin, root = self._twins.get(file_id), self._root
        if twin is None:
            return False
        return are_one(os.path.join(root, file_id), os.path.join(root, twin), root)


def how_altered(path: str, leaf: Leaf) -> str | None:
    """Return what is wrong with an instance's file as far as that shows without reading it."""
    try:
        status = os.stat(path)
    except (FileNotFoundError, NotADirectoryError):
        return "is missing"
    if not stat.S_ISREG(status.st_mode):
        return "is no longer a file"
    if leaf.content is not None and status.st_size != leaf.content.size:
        return f"has {status.st_size:,} bytes instead of {leaf.content.size:,}"
    return None


def is_as_written(dicomdir: bytes | None, written: Written) -> bool:
    """Whether `dicomdir`, that of the medium now, is what the last write left there."""
    return (digest_of(dicomdir) if dicomdir is not None else None) == written.dicomdir


def missing_descriptor(root: Path, identity: FileSetIdentity) -> str | None:
    """Return that the descriptor file, which a File-set may name, is not at `root`, if so."""
    file_id = identity.descriptor_file_id
    if not file_id or any(part in {"", ".", ".."} or "/" in part for part in file_id):
        return None
    try:
        is_there = RootFolder(Path(os.path.realpath(root))).find(file_id).identity is not None
    except OSError:  # it is a link, or may not be looked at
        return None
    if is_there:
        return None
    return (
        f"The descriptor file {'/'.join(file_id)} is not at {root}: put it there, or leave it out "
        "with `fileset set descriptor=`"
    )


def loaded_from(root: Path, state: FileSetState) -> Path | None:
    """Return the file beside the DICOMDIR that an adopted File-set was loaded from instead of it.

    `None` where it was written since, or there is no such file any more.
    """
    written = state.written
    if written is None or not written.is_adopted or written.dicomdir is None:
        return None
    others = {DICOMDIR, *(leaf.file_id for leaf in leaves_on(state))}
    with suppress(OSError):
        for path in (root / name for name in sorted(set(os.listdir(root)) - others)):
            if path.is_file() and _digest(path) == written.dicomdir:
                return path
    return None


def _digest(path: Path) -> Digest | None:
    """Return the digest of the file at `path`, `None` if it can't be read."""
    with suppress(OSError):
        return file_content(path).digest
    return None


def not_loaded(loaded: Path) -> str:
    """Return that the DICOMDIR beside the file `loaded` is not ours, and what to do about that."""
    return (
        f"The File-set was loaded from {loaded}, and the DICOMDIR beside that is another one, "
        "which is not overwritten: `fileset write ROOT --new-medium` writes everything to another "
        "folder."
    )


def owner_of(dicomdir: bytes, state: FileSetState) -> tuple[str, bool]:
    """Return the File-set UID in a DICOMDIR, however damaged, and whether it is that of `state`.

    The UID is `""` if it can't be read.
    """
    ours = {state.identity.uid}
    if state.written is not None:
        ours.add(state.written.identity.uid)
    if state.writing is not None:
        ours.add(state.writing.identity.uid)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            uid = decode_damaged(dicomdir, name=DICOMDIR)[0].identity.uid
        except LedgerError:
            uid = ""
    return uid, uid in ours
