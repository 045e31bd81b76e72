"""Where a path lies: in which folder, and on what file system.

Network file systems tell of no change that another machine makes.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterable
from typing import Final

_MOUNTS: Final = "/proc/self/mountinfo"
_NETWORK: Final = frozenset(
    {
        "9p", "acfs", "afs", "beegfs", "ceph", "cifs", "coda", "davfs", "gfs2", "glusterfs", "gpfs",
        "lustre", "ncp", "ncpfs", "nfs", "nfs4", "ocfs2", "orangefs", "prl_fs", "smb3", "smbfs",
        "vboxsf", "virtiofs", "vmhgfs",
    }
)  # fmt: skip
_ESCAPED: Final = re.compile(r"\\([0-7]{3})")


def network_file_system(path: str) -> str | None:
    """Return the type of the file system at `path` if others may change its files unnoticed.

    `None` for a local one, and where the system does not tell (proc(5), mountinfo).
    """
    try:
        with open(_MOUNTS, encoding="utf-8", errors="surrogateescape") as file:
            kind = file_system(path, file)
    except OSError:
        return None
    # Others of FUSE lead to another machine more often than not; `fuseblk` is a local disk.
    return kind if kind in _NETWORK or kind.startswith("fuse.") else None


def file_system(path: str, mounts: Iterable[str]) -> str:
    """Return the type of the file system at `path` by the lines of a mountinfo, or `""`."""
    found, kind = "", ""
    for line in mounts:
        before, _, behind = line.partition(" - ")
        fields, types = before.split(" "), behind.split(" ")
        if len(fields) < 5:
            continue
        point = _ESCAPED.sub(lambda match: chr(int(match[1], 8)), fields[4])
        if is_below(path, point) and len(point) >= len(found):  # later mounts hide earlier ones
            found, kind = point, types[0]
    return kind


def mount_point(path: str) -> str:
    """Return the outermost folder above `path`, or itself, on the same file system as it.

    That is where the file system is mounted, but for parts of it that are bound elsewhere. OSError
    where `path` can't be looked at.
    """
    device = os.stat(path).st_dev
    while path != "/":
        above = os.path.dirname(path)
        try:
            if os.stat(above).st_dev != device:
                break
        except OSError:
            break
        path = above
    return path


def is_below(path: str, folder: str) -> bool:
    """Whether `path` is `folder` or below it; both are absolute."""
    return path == folder or path.startswith(os.path.join(folder, ""))


def overlap(one: str, other: str) -> bool:
    """Whether one of two folders is the other or lies in it."""
    return is_below(one, other) or is_below(other, one)


def below(path: str, root: str) -> str:
    """Return the path below `root`, empty for itself and what is not below it."""
    prefix = os.path.join(root, "")
    return path[len(prefix) :] if path.startswith(prefix) else ""
