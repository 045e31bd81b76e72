"""The DICOMDIR of a medium as a file, and the temporary name of a new one."""

from __future__ import annotations

import os
import re
import secrets
from collections.abc import Iterator
from contextlib import suppress
from os.path import basename, join, samefile, samestat
from pathlib import Path
from stat import S_ISREG
from typing import Final

from fileset.medium.file_ids import RootFolder
from fileset.medium.paths import mode_of
from ledger.digest import Digest, digest_of
from ledger.disk import abandoned_folder, fsync
from ledger.errors import LedgerError
from ledger.files import dicomdirs, file_content, read_file
from ledger.names import is_of_dicomdir
from projections.dicomdir.decoder import decode_dicomdir
from projections.dicomdir.definitions import DICOMDIR, DicomdirError, NotDicomdirError

PRIVATE: Final = ".files"
"""What the name of a writer's own folder ends with, which begins as that of its DICOMDIR."""


_SECTOR: Final = 512
_OWNER: Final = re.compile("(copy[0-9a-f]{8})|[0-9a-f]{16}")
"""How `new_name` is told the writer: a copy's, or a write's and `index`'s own."""


def read_dicomdir(root: Path) -> bytes | None:
    """Return the DICOMDIR at `root`, `None` if there is none."""
    try:
        return read_file(root / DICOMDIR)
    except (FileNotFoundError, NotADirectoryError):
        return None


def dicomdir_digest(root: Path) -> Digest | None:
    """Return the digest of the DICOMDIR at `root`, which is not held in memory; `None` for none."""
    try:
        return file_content(root / DICOMDIR).digest
    except (FileNotFoundError, NotADirectoryError):
        return None


def dicomdirs_at(root: Path) -> list[str]:
    """Return the names of the DICOMDIRs at `root`, in whatever form a system shows them."""
    try:
        with os.scandir(root) as entries:
            return dicomdirs(entries)
    except PermissionError:  # it can't be listed, and can be entered maybe
        return [DICOMDIR] if os.path.lexists(root / DICOMDIR) else []


def remove_others(root: Path) -> None:
    """Delete what is a DICOMDIR at `root` under another form of the name than the one in place.

    Where these are one name there is but one file. What has such a name and is no DICOMDIR stays.
    """
    in_place = os.lstat(root / DICOMDIR)
    for name in dicomdirs_at(root):
        path, found = root / name, os.lstat(root / name)
        if S_ISREG(found.st_mode) and not samestat(found, in_place) and _holds_dicomdir(path):
            path.unlink()
            fsync(root)


def _holds_dicomdir(path: Path) -> bool:
    """Whether the file at `path` is a DICOMDIR by what it holds, damaged or not."""
    try:
        decode_dicomdir(read_file(path), name=os.fspath(path))
    except LedgerError as exc:
        return isinstance(exc, DicomdirError) and not isinstance(exc, NotDicomdirError)
    return True


def leads_out(root: Path) -> bool:
    """Whether the DICOMDIR at `root` is a link that leads out of it, which is not followed."""
    try:
        RootFolder(Path(os.path.realpath(root))).find((DICOMDIR,))
    except PermissionError as exc:
        if exc.errno is not None:
            raise
        return True
    return False


def remove_leftovers(root: Path) -> None:
    """Delete what killed writes that no journal knows have left of a new DICOMDIR at `root`.

    It lies beside the folder of its writer, which one that is at work holds and which a power
    failure can have lost.
    """
    for path in root.glob(f".{DICOMDIR}-{'[0-9a-f]' * 16}-*"):
        if not path.name.endswith(PRIVATE):
            folder = path.with_name(f"{path.name}{PRIVATE}")
            is_ours = _OWNER.fullmatch(path.name.rpartition("-")[2]) is not None
            if is_ours and not os.path.lexists(folder) and _is_left(path):
                path.unlink(missing_ok=True)
            continue
        with abandoned_folder(path) as is_abandoned:
            if not is_abandoned:
                continue
            left = path.with_name(path.name.removesuffix(PRIVATE))
            if _is_left(left):
                left.unlink()
            with suppress(OSError):  # files of an instance are in it, which a journal may tell of
                path.rmdir()


def _is_left(path: Path) -> bool:
    """Whether the file at `path` holds what a new DICOMDIR can that has not taken its place.

    Its name tells the digest. After a kill it can hold nothing yet, after a power failure zeros in
    the place of some sectors: where its head is one of them, nothing else tells what it was.
    """
    if not S_ISREG(mode_of(os.fspath(path), follow=False)):
        return False
    try:
        data = read_file(path)
    except OSError:
        return False
    is_named = path.name.startswith(f"{new_name(data)}-")
    return is_named or not data[:_SECTOR].strip(b"\0") or _holds_dicomdir(path)


def new_name(dicomdir: bytes, owner: str = "") -> str:
    """Return what a new DICOMDIR is called until it takes its place; `owner` tells one write apart.

    Two writers of one DICOMDIR must not take each other's files for their own.
    """
    name = f".{DICOMDIR}-{digest_of(dicomdir).partition(':')[2][:16]}"
    return f"{name}-{owner}" if owner else name


def copy_owner() -> str:
    """Return what tells the writer of a copy, of which no journal tells, from all others."""
    return f"copy{secrets.token_hex(4)}"


def killed_copies(root: Path, dicomdir: bytes) -> Iterator[str]:
    """Yield the owners of copies with `dicomdir` to `root` whose processes were killed."""
    for path in root.glob(f"{new_name(dicomdir, 'copy')}*{PRIVATE}"):
        with abandoned_folder(path) as is_abandoned:
            if is_abandoned:
                yield path.name.removesuffix(PRIVATE).rpartition("-")[2]


def is_dicomdir(path: str, root: str) -> bool:
    """Whether `path` is the DICOMDIR of `root`, however media write its name."""
    if not is_of_dicomdir(basename(path)):
        return False
    try:
        return samefile(path, join(root, DICOMDIR))
    except OSError:
        return False
