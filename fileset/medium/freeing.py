"""Files that leave a medium: moved away first, checked, and only then deleted or put back.

If somebody puts a file at a File ID while a write frees it, the file is either moved away with it
and put back, or it comes later and is never touched.
"""

from __future__ import annotations

import errno
import os
import warnings
from collections.abc import Iterable
from contextlib import suppress
from os.path import dirname, join, relpath
from pathlib import Path

from fileset.medium.dicomdir import is_dicomdir
from fileset.medium.made_files import identity_of
from fileset.medium.paths import is_within, isdir, islink, lexists, walk
from ledger.disk import give_name
from ledger.files import file_content
from ledger.vault.protocol import Vault
from projections.state.nodes import Leaf


class FreedFiles:
    """Frees File IDs below `root`; what lay there is looked at in `folder`, one of our own."""

    def __init__(self, root: str, folder: str, vault: Vault) -> None:
        self._root = root
        self._folder = folder
        self._vault = vault

    def free(self, file_id: str, leaf: Leaf, elsewhere: Iterable[str] = ()) -> bool:
        """Delete the file at `file_id`, where `leaf` lay; `False` if it is another's and stays.

        It goes if it has the instance's bytes, if the vault has what it holds, or if it has one of
        the names `elsewhere` as well.
        """
        path, freed = join(self._root, file_id), join(self._folder, file_id)
        if not is_within(path, self._root) or is_dicomdir(path, self._root):
            return False
        if not lexists(path):
            return True
        if (isdir(path) and not islink(path)) or lexists(freed):
            return False  # what could not be put back is never overwritten
        # A link may lead elsewhere, or nowhere, from another folder; it holds nothing itself.
        link_goes = islink(path) and self._is_kept(path, leaf)
        if not isdir(dirname(freed)):
            os.makedirs(dirname(freed))
        with suppress(FileNotFoundError):
            os.rename(path, freed)
            if islink(freed):
                goes = link_goes
            else:
                goes = any(is_file_at(freed, other) for other in elsewhere)
                goes = goes or self._is_kept(freed, leaf)
            if not goes:
                return self._put_back(file_id)
            os.unlink(freed)
        return True

    def put_all_back(self) -> None:
        """Put back what a write that was killed had taken away, to be looked at once more."""
        for folder, _, names in walk(self._folder):
            for name in names:
                self._put_back(relpath(join(folder, name), self._folder))

    def _put_back(self, file_id: str) -> bool:
        """Return `False`, for a file that stays."""
        path, freed = join(self._root, file_id), join(self._folder, file_id)
        if not isdir(dirname(path)):
            os.makedirs(dirname(path))
        try:
            give_name(freed, Path(path))
        except FileExistsError:
            # To rename one name of a file to another of its names does nothing.
            if is_file_at(freed, path):
                os.unlink(freed)
                return False
            if self._is_kept(freed, None):
                os.unlink(freed)
                return True
            warnings.warn(
                f"What was at {path} is not known to be part of the File-set, and another file has "
                f"its name now: it was kept as {freed}",
                stacklevel=2,
            )
            return False
        with suppress(FileNotFoundError):  # renamed, where there are no hard links
            os.unlink(freed)
        return False

    def _is_kept(self, path: str, leaf: Leaf | None) -> bool:
        """Whether the file at `path` has the content of `leaf`, or one that the vault has."""
        try:
            content = file_content(path)
        except OSError as exc:
            if exc.errno == errno.EIO:
                raise  # what it holds is not known for now
            return False
        if leaf is not None and leaf.content == content:
            return True
        return self._vault.is_sound(content.digest)


def is_file_at(path: str, other: str) -> bool:
    """Whether `other` is another name of the file at `path`."""
    return identity_of(path) == identity_of(other) is not None
