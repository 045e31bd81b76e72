"""The DICOMDIR file of a root: its bytes, or what is wrong with it before it can be decoded."""

from __future__ import annotations

import shlex
from pathlib import Path
from typing import Final

from fileset.medium.file_ids import RootFolder
from fileset.medium.other_names import OtherNames
from fileset.repository.folder import find_repository
from ledger.errors import InstanceError, TruncatedError
from ledger.files import read_file, read_start
from ledger.instances.file_meta import PREFIX_END, is_dicom
from projections.dicomdir.definitions import DICOMDIR, NotDicomdirError
from projections.dicomdir.encoder import MAX_SIZE
from projections.dicomdir.findings import Finding, FindingKind, finding

_REPAIR: Final = (
    " `fileset init REPO --from ROOT/DICOMDIR --repair` adopts what can be read, and `fileset "
    "index ROOT --replace` makes a new one from the files."
)


def read_dicomdir(root: Path) -> bytes | Finding:
    """Return the bytes of the DICOMDIR at `root`, or why there are none that could be one's."""
    try:
        found = RootFolder(root).find((DICOMDIR,))
    except OSError:
        return finding(
            FindingKind.DICOMDIR_UNREADABLE,
            "The DICOMDIR is a link that leads out of the root, which is not followed, or can't be "
            "looked at: put the file itself there.",
        )
    if found.identity is None and (root / DICOMDIR).is_symlink():
        return finding(
            FindingKind.DICOMDIR_UNREADABLE,
            "The DICOMDIR is a broken link: put the file itself there.",
        )
    if found.identity is None and (repository := find_repository(root)) is not None:
        named = shlex.quote(str(repository))
        return finding(
            FindingKind.NO_DICOMDIR,
            f"This is {'' if repository == root else 'in '}the repository {repository}, and no "
            f"File-set with a DICOMDIR: `fileset --repo {named} verify` checks it.",
        )
    if found.identity is None:
        return finding(
            FindingKind.NO_DICOMDIR,
            "There is no file named DICOMDIR, so this is not a File-set: `fileset index` makes one."
            + OtherNames(root).advise((DICOMDIR,)),
        )
    if not found.is_regular:
        return finding(
            FindingKind.DICOMDIR_UNREADABLE,
            "The DICOMDIR is not a regular file, and was not opened: put the file itself there.",
        )
    try:
        return _dicomdir_at(found.path)
    except OSError as exc:
        message = f"The DICOMDIR can't be read: {exc.strerror}."
        return finding(FindingKind.DICOMDIR_UNREADABLE, message)
    except MemoryError:
        return finding(
            FindingKind.DICOMDIR_MALFORMED,
            "The DICOMDIR is too large for memory: move it away, and `fileset index ROOT` makes a "
            "new one from the files.",
        )


def _dicomdir_at(path: str) -> bytes | Finding:
    if Path(path).stat().st_size > MAX_SIZE:
        return finding(
            FindingKind.DICOMDIR_MALFORMED,
            "The DICOMDIR has more than 4 GiB, which its offsets can't address.",
        )
    if not is_dicom(read_start(path, PREFIX_END)):
        return finding(
            FindingKind.DICOMDIR_NOT_DICOM,
            "The DICOMDIR is not a DICOM file: there is no 'DICM' after a preamble of 128 bytes "
            f"(PS3.10 Section 7.1).{_REPAIR}",
        )
    return read_file(path)


def undecodable(exc: InstanceError | MemoryError) -> Finding:
    """Return the finding of a DICOMDIR that can't be decoded."""
    match exc:
        case MemoryError():
            kind, why = FindingKind.DICOMDIR_MALFORMED, "it needs more memory than there is"
        case NotDicomdirError():
            kind = FindingKind.DICOMDIR_OTHER_CLASS
            why = "it is a DICOM file, but not an instance of the Media Storage Directory class"
        case TruncatedError():
            kind, why = FindingKind.DICOMDIR_TRUNCATED, exc.reason
        case _:
            kind, why = FindingKind.DICOMDIR_MALFORMED, exc.reason
    return finding(kind, f"The DICOMDIR can't be read: {why}. Nothing else was checked.{_REPAIR}")
