"""Which folders a repository takes for its media: all that it wrote to, or those that were named.

A journal that was made elsewhere names folders, too: nothing is made, deleted or read below one of
those until somebody names it here. If a journal came from outside, by an import or in a recovery,
the repository therefore has a list of the folders that were named since. The list is not part of
the journal, because whoever made the journal could have written it. Without a list, as in a
repository whose journal was made in it, every root counts.
"""

from __future__ import annotations

import os
import shlex
from collections.abc import Iterable
from pathlib import Path

import orjson

from fileset.errors import RefusedError
from fileset.repository.folder import ROOTS
from ledger.disk import replace_file
from ledger.files import read_file


class Roots:
    """The roots that count in the repository in the folder `path`, `None` for one in memory."""

    def __init__(self, path: Path | None) -> None:
        self._path = path / ROOTS if path is not None else None
        self._begun: set[str] | None = None  # a list that is not kept yet
        self._named: set[str] = set()  # by this process
        self._known: set[str] = set()  # found to count: looked up once

    def knows(self, root: str | os.PathLike[str]) -> bool:
        """Whether `root`, which the journal names, counts: a link leads to what was named."""
        root = os.fspath(root)
        if root in self._known:
            return True
        kept = self._kept()
        if kept is not None:
            real = {os.path.realpath(each) for each in kept | self._named}
            if not Path(root).is_absolute() or os.path.realpath(root) not in real:
                return False
        self._known.add(root)
        return True

    def name(self, root: Path) -> None:
        """Let `root`, an absolute path that a person gave, count as long as this object lasts."""
        self._named.add(os.fspath(root))

    @property
    def are_to_be_kept(self) -> bool:
        """Whether any was named that is not in the list yet."""
        kept = self._kept() if self._named else None
        return kept is not None and not self._named <= kept

    def keep(self) -> None:
        """Add the roots that were named to the list; the caller keeps others out."""
        if self._begun is not None or self.are_to_be_kept:
            roots = sorted((self._kept() or set()) | self._named)
            if self._path is not None:
                replace_file(self._path, orjson.dumps(roots, option=orjson.OPT_APPEND_NEWLINE))
            self._begun = None

    def begin(self, roots: Iterable[str] = ()) -> None:
        """Have none count but `roots` and what is named, unless there is such a list already."""
        if self._kept() is None:
            self._begun = set(roots)
            self._known.clear()

    def refuse_unnamed(self, root: str) -> None:
        """Raise `RefusedError` unless `root`, which the journal names, counts."""
        if not self.knows(root):
            raise RefusedError(unnamed(root))

    def _kept(self) -> set[str] | None:
        """Return the roots in the list; none of one that is damaged, `None` without a list.

        OSError if it can't be read: an unreadable list must not count as an empty one.
        """
        if self._path is None:
            return self._begun
        try:
            return {each for each in orjson.loads(read_file(self._path)) if isinstance(each, str)}
        except FileNotFoundError:
            return self._begun
        except (ValueError, TypeError):
            return set()


def unnamed(root: str) -> str:
    """Return that only a journal made elsewhere names `root`, and what to do about that."""
    take = ""
    if Path(root).is_absolute():
        take = f"`fileset write {shlex.quote(root)}` accepts it as the medium, and "
    return (
        f"The root {root} is named only by the journal, which was made elsewhere, and by nobody "
        f"here: "
        f"{take}`fileset write ROOT --new-medium` leaves it alone and writes to another folder."
    )
