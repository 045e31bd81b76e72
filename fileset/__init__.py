"""A DICOM File-set over a journal: stage, undo, explain, write.

The public names of `pydicom.fileset` are all here, so that a program that uses that module needs
only its import changed.
"""

from __future__ import annotations

import sys
from importlib import import_module
from typing import TYPE_CHECKING, Any, Final

# Durable writes rest on flock(2), on flushing folders, and on renaming over open files.
if sys.platform == "win32":
    raise ImportError(
        "fileset-ledger does not run on Windows, which lacks what its guarantees rest on: "
        "use it on Linux, also in WSL 2 on a file system of Linux's (not below /mnt/c)"
    )

if TYPE_CHECKING:
    from fileset.adding.given import DSPathType
    from fileset.adding.recorders import DIRECTORY_RECORDERS
    from fileset.adoption.make_dicomdir import Indexer
    from fileset.fileset import FileSet
    from fileset.repository.repository import Repository
    from fileset.views.filenames import generate_filename, is_conformant_file_id
    from fileset.views.instance import FileInstance
    from fileset.views.records import RecordNode, RootNode

__version__ = "0.1.0"

__all__ = [
    "DIRECTORY_RECORDERS",
    "DSPathType",
    "FileInstance",
    "FileSet",
    "Indexer",
    "RecordNode",
    "Repository",
    "RootNode",
    "generate_filename",
    "is_conformant_file_id",
]

# Imported when they are first asked for: the command answers `fileset --help` without pydicom.
_HOMES: Final = {
    "DIRECTORY_RECORDERS": "fileset.adding.recorders",
    "DSPathType": "fileset.adding.given",
    "FileInstance": "fileset.views.instance",
    "FileSet": "fileset.fileset",
    "Indexer": "fileset.adoption.make_dicomdir",
    "RecordNode": "fileset.views.records",
    "Repository": "fileset.repository.repository",
    "RootNode": "fileset.views.records",
    "generate_filename": "fileset.views.filenames",
    "is_conformant_file_id": "fileset.views.filenames",
    # Programs import these of pydicom.fileset although they are not public.
    "_PREFIXES": "fileset.views.filenames",
    "_define_image": "fileset.adding.recorders",
    "_define_patient": "fileset.adding.recorders",
    "_define_series": "fileset.adding.recorders",
    "_define_study": "fileset.adding.recorders",
}


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module '{__name__}' has no attribute '{name}'")
    value = globals()[name] = getattr(import_module(_HOMES[name]), name)
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
