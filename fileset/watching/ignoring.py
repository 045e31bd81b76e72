"""Which names are passed over; pure."""

from __future__ import annotations

import re
from collections.abc import Iterable
from fnmatch import translate
from typing import Final

from fileset.watching.settings import IGNORED

_NOTHING: Final = re.compile(r"(?!)")


class Ignored:
    """Tells the files and folders that are not looked at."""

    def __init__(self, patterns: Iterable[str] = ()) -> None:
        wanted = [*IGNORED, *patterns]
        self._names = _any_of(p for p in wanted if "/" not in p)
        self._paths = _any_of(p.strip("/") for p in wanted if "/" in p)
        self._by_path = self._paths is not _NOTHING

    def name(self, name: str) -> bool:
        """Whether a file or folder called `name` is passed over wherever it is."""
        return self._names.match(name) is not None

    def path(self, below: str) -> bool:
        """Whether what is at the path `below` the watched folder is passed over."""
        return self._by_path and self._paths.match(below) is not None


def _any_of(patterns: Iterable[str]) -> re.Pattern[str]:
    found = "|".join(translate(pattern) for pattern in patterns)
    return re.compile(found, re.IGNORECASE) if found else _NOTHING
