"""Signs that a file is not complete: it is open for writing, or ends before the pixels.

Linux tells the first by leases (fcntl(2), "Leases"): one for reading is granted while nobody has
the file open for writing, and refused with EAGAIN otherwise. They are for the owner of the file,
and for processes with CAP_LEASE; network file systems and some others know none.
"""

from __future__ import annotations

import errno
import fcntl
import os
import signal
from typing import Final

from ledger.errors import InstanceError
from ledger.files import FileView
from ledger.instances.scanner import Wanted, scan, scan_file

_LEASE: Final[int | None] = getattr(fcntl, "F_SETLEASE", None)

_IMAGE: Final = {0x00280010: "US", 0x00280100: "US"}  # Rows, Bits Allocated (PS3.3 C.7.6.3)
_PIXELS: Final = {
    0x00287FE0: "UR",  # Pixel Data Provider URL
    0x7FE00008: "OF",  # Float Pixel Data
    0x7FE00009: "OD",  # Double Float Pixel Data
    0x7FE00010: "OW",  # Pixel Data
}
_WANTED: Final = Wanted({**_IMAGE, **_PIXELS}, presence_only=tuple(_PIXELS))

NO_PIXELS: Final = (
    "it may be incomplete: it has Rows or Bits Allocated but no Pixel Data; if that is intended, "
    "`fileset quarantine retry ID` adds it"
)
"""Why a file that `lacks_pixels` is not taken."""


def is_being_written(path: str, *, folder: int | None = None) -> bool | None:
    """Return whether any program has the file at `path` open for writing, `None` if unknown.

    With `folder`, an open folder, `path` is the name of a file in it. Links are not followed.
    FileNotFoundError if it is not there.
    """
    if _LEASE is None:
        return None
    flags = os.O_RDONLY | os.O_NONBLOCK | os.O_NOFOLLOW | os.O_CLOEXEC
    try:
        fd = os.open(path, flags, dir_fd=folder)
    except FileNotFoundError:
        raise
    except OSError:
        return None
    try:
        # Who opens it meanwhile waits for us, and we get a signal: one that does nothing.
        fcntl.fcntl(fd, fcntl.F_SETSIG, signal.SIGURG)
        fcntl.fcntl(fd, _LEASE, fcntl.F_RDLCK)
        fcntl.fcntl(fd, _LEASE, fcntl.F_UNLCK)
    except OSError as exc:
        return True if exc.errno == errno.EAGAIN else None
    else:
        return False
    finally:
        os.close(fd)


def lacks_pixels(data: bytes | FileView) -> bool:
    """Whether the DICOM file `data` describes pixels and holds none, nor says where they are."""
    try:
        scanned = scan_file(data, _WANTED) if isinstance(data, FileView) else scan(data, _WANTED)
    except InstanceError:
        return False  # reading it tells what is wrong
    found = scanned.elements.keys()
    return not found.isdisjoint(_IMAGE) and found.isdisjoint(_PIXELS)
