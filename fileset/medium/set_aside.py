"""Setting aside what lies where a File-set is to be written: as a whole, by one rename."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from itertools import count
from pathlib import Path

from fileset.medium.errors import MediumError
from fileset.medium.guards import refuse_place, whole
from fileset.medium.paths import is_in, lexists
from fileset.repository.folder import SETTINGS
from fileset.repository.repository import Repository
from ledger.disk import fsync


@contextmanager
def set_aside(root: Path, repository: Repository) -> Iterator[Path | None]:
    """Have nothing at `root` in the block; yield where what was there is, `None` if nothing was.

    That is beside it, under a name of its own, and no file of it is looked at or changed. If the
    block fails, and no write that it began can be completed, it is put back. Raises `MediumError`
    if it can't be moved, or has in it the medium of this File-set, a repository, the folder that
    this program works in, or the user's home folder.
    """
    root = whole(root)
    refuse_place(root, repository.path)
    written = repository.state.written
    if not lexists(str(root)) or not (root.is_symlink() or any(root.iterdir())):
        yield None
        return
    if root.is_symlink():
        raise MediumError(f"{root} is a link: name the folder that it leads to.")
    if written is not None and (is_in(Path(written.root), root) or is_in(root, written.root)):
        raise MediumError(
            f"{root} and the medium of this File-set, {written.root}, overlap: write to another "
            "folder."
        )
    _refuse_lived_in(root)
    aside = _moved(root)
    try:
        yield aside
    except BaseException as exc:
        is_begun = repository.state.writing is not None  # and can be completed
        if not is_begun:
            with suppress(OSError):
                root.rmdir()  # if it is empty
        if is_begun or lexists(str(root)):
            exc.add_note(f"What was at {root} before is at {aside}.")
        else:
            aside.rename(root)
            fsync(root.parent)
        raise


def _refuse_lived_in(root: Path) -> None:
    """Refuse to move a folder in which people and programs expect to find what is theirs."""
    for what, find in (("folder that this program works in", Path.cwd), ("home folder", Path.home)):
        with suppress(OSError, RuntimeError):  # where there is none
            if is_in(find(), root):
                raise MediumError(
                    f"{root} is, or has in it, the {what}, {find()}, and is not set aside: write "
                    "to another folder."
                )
    for above, _, names in os.walk(root):
        if SETTINGS in names:
            raise MediumError(
                f"{root} has the repository {above} in it, which would no longer be where it is "
                "looked for: write to another folder, or move that one first."
            )


def _moved(root: Path) -> Path:
    """Move what is at `root`, and return where it is now."""
    names = (root.with_name(f"{root.name}.replaced-{number}") for number in count(1))
    aside = next(name for name in names if not lexists(str(name)))
    try:
        root.rename(aside)
        fsync(root.parent)
    except OSError as exc:
        raise MediumError(
            f"{root} can't be set aside ({exc.strerror}), as it can't if it is a disk of its own: "
            "empty it, or write to another folder."
        ) from exc
    return aside
