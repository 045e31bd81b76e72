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
    from fileset.adding.given import DSPathType, InvalidFileError
    from fileset.adding.recorders import DIRECTORY_RECORDERS
    from fileset.adoption.make_dicomdir import Indexer
    from fileset.audit.destination import DeliveryError
    from fileset.errors import (
        ClosedError,
        EndingError,
        InvalidTagError,
        InvalidUIDError,
        MatchingError,
        MissingExtraError,
        NoSuchInstanceError,
        NoSuchKeywordError,
        NoSuchMomentError,
        NoSuchProfileError,
        NothingToUndoError,
        RefusedError,
        RepositoryError,
        RevertRefusedError,
        StaleError,
        StillThereError,
    )
    from fileset.fileset import FileSet
    from fileset.media.errors import SourceChangedError, UnreadableMediumError
    from fileset.medium.errors import DicomdirReplacedError, MediumError, WriteFailedError
    from fileset.pictures.picture import NoImageError, NotInstalledError, PictureError
    from fileset.repository.repository import Repository
    from fileset.views.filenames import generate_filename, is_conformant_file_id
    from fileset.views.instance import FileInstance
    from fileset.views.records import RecordNode, RootNode
    from ledger.elements import EncapsulatedError
    from ledger.errors import (
        ConflictError,
        ContentDamagedError,
        ContentMissingError,
        CorrectionError,
        ElementsError,
        InstanceError,
        JournalDamagedError,
        JournalError,
        JournalFileError,
        LedgerError,
        NotDicomError,
        RecordError,
        SigningError,
        TemporaryFolderError,
        TruncatedError,
        UnknownFormatError,
        UnknownOutcomeError,
        UnreachableError,
        VaultError,
    )
    from projections.dicomdir.definitions import DicomdirError, NotDicomdirError
    from projections.medium.images.tree import ImageError
    from projections.medium.plan import PlanError
    from projections.medium.volumes import VolumesError

__version__ = "0.1.0"

__all__ = [
    "DIRECTORY_RECORDERS",
    "ClosedError",
    "ConflictError",
    "ContentDamagedError",
    "ContentMissingError",
    "CorrectionError",
    "DSPathType",
    "DeliveryError",
    "DicomdirError",
    "DicomdirReplacedError",
    "ElementsError",
    "EncapsulatedError",
    "EndingError",
    "FileInstance",
    "FileSet",
    "ImageError",
    "Indexer",
    "InstanceError",
    "InvalidFileError",
    "InvalidTagError",
    "InvalidUIDError",
    "JournalDamagedError",
    "JournalError",
    "JournalFileError",
    "LedgerError",
    "MatchingError",
    "MediumError",
    "MissingExtraError",
    "NoImageError",
    "NoSuchInstanceError",
    "NoSuchKeywordError",
    "NoSuchMomentError",
    "NoSuchProfileError",
    "NotDicomError",
    "NotDicomdirError",
    "NotInstalledError",
    "NothingToUndoError",
    "PictureError",
    "PlanError",
    "RecordError",
    "RecordNode",
    "RefusedError",
    "Repository",
    "RepositoryError",
    "RevertRefusedError",
    "RootNode",
    "SigningError",
    "SourceChangedError",
    "StaleError",
    "StillThereError",
    "TemporaryFolderError",
    "TruncatedError",
    "UnknownFormatError",
    "UnknownOutcomeError",
    "UnreachableError",
    "UnreadableMediumError",
    "VaultError",
    "VolumesError",
    "WriteFailedError",
    "generate_filename",
    "is_conformant_file_id",
]

# Imported when they are first asked for: the command answers `fileset --help` without pydicom.
# Programs import those with an underscore of pydicom.fileset, although they are not public.
_NAMES: Final = {
    "fileset.adding.given": "DSPathType InvalidFileError",
    "fileset.adding.recorders": (
        "DIRECTORY_RECORDERS _define_image _define_patient _define_series _define_study"
    ),
    "fileset.adoption.make_dicomdir": "Indexer",
    "fileset.audit.destination": "DeliveryError",
    "fileset.errors": (
        "ClosedError EndingError InvalidTagError InvalidUIDError MatchingError MissingExtraError "
        "NoSuchInstanceError NoSuchKeywordError NoSuchMomentError NoSuchProfileError "
        "NothingToUndoError RefusedError RepositoryError RevertRefusedError StaleError "
        "StillThereError"
    ),
    "fileset.fileset": "FileSet",
    "fileset.media.errors": "SourceChangedError UnreadableMediumError",
    "fileset.medium.errors": "DicomdirReplacedError MediumError WriteFailedError",
    "fileset.pictures.picture": "NoImageError NotInstalledError PictureError",
    "fileset.repository.repository": "Repository",
    "fileset.views.filenames": "generate_filename is_conformant_file_id _PREFIXES",
    "fileset.views.instance": "FileInstance",
    "fileset.views.records": "RecordNode RootNode",
    "ledger.elements": "EncapsulatedError",
    "ledger.errors": (
        "ConflictError ContentDamagedError ContentMissingError CorrectionError ElementsError "
        "InstanceError JournalDamagedError JournalError JournalFileError LedgerError "
        "NotDicomError RecordError SigningError TemporaryFolderError TruncatedError "
        "UnknownFormatError UnknownOutcomeError UnreachableError VaultError"
    ),
    "projections.dicomdir.definitions": "DicomdirError NotDicomdirError",
    "projections.medium.images.tree": "ImageError",
    "projections.medium.plan": "PlanError",
    "projections.medium.volumes": "VolumesError",
}
_HOMES: Final = {name: module for module, names in _NAMES.items() for name in names.split()}


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module '{__name__}' has no attribute '{name}'")
    value = globals()[name] = getattr(import_module(_HOMES[name]), name)
    return value


def __dir__() -> list[str]:
    return sorted([*__all__, "__version__"])
