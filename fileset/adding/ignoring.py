"""Names that are passed over in folders and archives: what is no instance, or not complete yet."""

from __future__ import annotations

import re
from collections.abc import Iterable
from fnmatch import translate
from typing import Final

IGNORED: Final = (
    ".*",
    "*~",
    "*.part",
    "*.partial",
    "*.filepart",
    "*.tmp",
    "*.temp",
    "*.crdownload",
    "*.download",
    "~$*",
    "*.swp",
    "@eaDir",
    "__MACOSX",
    "lost+found",
    "Thumbs.db",
    "desktop.ini",
    "$RECYCLE.BIN",
    "System Volume Information",
)
"""Patterns of names that are passed over: files that others are still writing, and no instances."""

_NOTHING: Final = re.compile(r"(?!)")


class Ignored:
    """Says which names are passed over: the usual ones and those that fit `patterns`."""

    def __init__(self, patterns: Iterable[str] = ()) -> None:
        wanted = [*IGNORED, *patterns]
        self._names = _any_of(p for p in wanted if "/" not in p)
        self._paths = _any_of(p.strip("/") for p in wanted if "/" in p)
        self._by_path = self._paths is not _NOTHING

    def name(self, name: str) -> bool:
        """Whether a file or folder called `name` is passed over wherever it is."""
        return self._names.match(name) is not None

    def path(self, below: str) -> bool:
        """Whether what is at the path `below` the folder in question is passed over."""
        return self._by_path and self._paths.match(below) is not None

    def member(self, path: str) -> bool:
        """Whether the member at `path` of an archive is passed over, or a folder that it is in."""
        parts = path.split("/")
        return any(
            self.name(part) or self.path("/".join(parts[: number + 1]))
            for number, part in enumerate(parts)
            if part.strip(".")  # not what leads out of the archive, which is told of
        )


def _any_of(patterns: Iterable[str]) -> re.Pattern[str]:
    found = "|".join(translate(pattern) for pattern in patterns)
    return re.compile(found, re.IGNORECASE) if found else _NOTHING
