"""Different names that are the same on some media or for people, such as those of a DICOMDIR.

FAT and exFAT, Joliet, NTFS and the usual disks of Macs and Windows take names for one that differ
in case, in Unicode's forms or in a last dot. ISO 9660 puts a version behind them, people an
extension.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable
from typing import Final

_VERSION: Final = re.compile(r";\d+$")
_EXTENSION: Final = re.compile(r"\.(dcm|dicom|ima)$")

_CONFORMANT: Final = re.compile(r"[A-Z0-9_]{1,8}(?:/[A-Z0-9_]{1,8}){0,7}")


def is_conformant(file_id: str) -> bool:
    """Whether `file_id` has 1-8 components of 1-8 characters from A-Z, 0-9 and _ (PS3.10 8.2)."""
    return _CONFORMANT.fullmatch(file_id) is not None


def one_name(path: str) -> str:
    """Return the same text for all paths that some medium takes for the one `path`."""
    if path.isascii():
        folded = path.upper()
    else:
        folded = unicodedata.normalize("NFC", unicodedata.normalize("NFD", path).casefold()).upper()
    if not folded.endswith((".", " ")) and "./" not in folded and " /" not in folded:
        return path if folded == path else folded  # one object, as most paths are in capitals
    return "/".join(name.rstrip(". ") or name for name in folded.split("/"))


def with_folders(path: str) -> list[str]:
    """Return `path` and the folders above it, each as `one_name` has them."""
    parts = one_name(path).split("/")
    return ["/".join(parts[:n]) for n in range(1, len(parts) + 1)]


def twins(paths: Iterable[str]) -> dict[str, str]:
    """Return those of `paths` that are one with others, each with another one of these."""
    first: dict[str, str] = {}
    found: dict[str, str] = {}
    for path in paths:
        other = first.setdefault(one_name(path), path)
        if other != path:
            found[path] = other
            found.setdefault(other, path)
    return found


def bare(name: str) -> str:
    """Return the name of a file without what systems and people put behind it, in lower case.

    That is the version that ISO 9660 has (`;1`), a full stop in front of an extension that isn't
    there, and `.dcm` or the like.
    """
    bare = _VERSION.sub("", name.casefold()).rstrip(". ")
    return _EXTENSION.sub("", bare).rstrip(". ") or name


def is_of_dicomdir(name: str) -> bool:
    """Whether the file `name` is a DICOMDIR by its name, however a system shows that."""
    return bare(name) == "dicomdir"


def clash_with_dicomdir(path: str) -> str | None:
    """Return why a file can't have `path` below a root beside the DICOMDIR; `None` if it can.

    A folder may have another form of that name, unless some media take it for the same.
    """
    top, _, below = path.partition("/")
    if not below and is_of_dicomdir(top):
        return "has the name of the DICOMDIR"
    if below and one_name(top) == "DICOMDIR":
        return "is in a folder that some media take for the DICOMDIR, by its name"
    return None
