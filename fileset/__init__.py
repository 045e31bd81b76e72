"""A DICOM File-set over a journal: stage, undo, explain, write.

The public names of ``pydicom.fileset`` are all here, so that a program that uses that module needs
only its import changed.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from fileset.filenames import generate_filename, is_conformant_file_id
    from fileset.fileset import DSPathType, FileSet
    from fileset.indexing import Indexer
    from fileset.instance import FileInstance
    from fileset.recorders import DIRECTORY_RECORDERS
    from fileset.records import RecordNode, RootNode
    from fileset.repository import Repository

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
    "DIRECTORY_RECORDERS": "fileset.recorders",
    "DSPathType": "fileset.fileset",
    "FileInstance": "fileset.instance",
    "FileSet": "fileset.fileset",
    "Indexer": "fileset.indexing",
    "RecordNode": "fileset.records",
    "Repository": "fileset.repository",
    "RootNode": "fileset.records",
    "generate_filename": "fileset.filenames",
    "is_conformant_file_id": "fileset.filenames",
    # Programs import these of pydicom.fileset although they are not public.
    "_PREFIXES": "fileset.filenames",
    "_define_image": "fileset.recorders",
    "_define_patient": "fileset.recorders",
    "_define_series": "fileset.recorders",
    "_define_study": "fileset.recorders",
}


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module '{__name__}' has no attribute '{name}'")
    value = globals()[name] = getattr(import_module(_HOMES[name]), name)
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
