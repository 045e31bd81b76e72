"""Where instances came from, as events have it: the path of a file, or of an archive and a member.

A member is called by the path of the archive, `BETWEEN` and its name in there, such as
`/in/study.zip!CT/IM1`.
"""

from __future__ import annotations

import posixpath
from typing import Final

BETWEEN: Final = "!"
"""What stands between the path of an archive and the name of a member in it."""


def folder_of(source: str) -> str:
    """Return the folder in which the file at `source` is, or the archive if it is at its top.

    A file whose own name has `BETWEEN` in it counts as a member of what is before that: from the
    text alone, nobody can tell.
    """
    folder, name = posixpath.split(source)
    return posixpath.join(folder, name.rpartition(BETWEEN)[0]) if BETWEEN in name else folder
