"""A DICOM File-set over a journal: stage, undo, explain, write.

The public names of ``pydicom.fileset`` are all here, so that a program that uses that module needs
only its import changed.
"""

from fileset.filenames import generate_filename, is_conformant_file_id
from fileset.fileset import FileSet
from fileset.instance import FileInstance
from fileset.recorders import DIRECTORY_RECORDERS
from fileset.records import RecordNode, RootNode
from fileset.repository import Repository

__all__ = [
    "DIRECTORY_RECORDERS",
    "FileInstance",
    "FileSet",
    "RecordNode",
    "Repository",
    "RootNode",
    "generate_filename",
    "is_conformant_file_id",
]
