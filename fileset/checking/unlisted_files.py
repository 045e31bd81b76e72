"""What lies at the root of a File-set that no record references."""

from __future__ import annotations

import os
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Final

from fileset.medium.root import RootEntry, RootEntryKind, walk_root
from ledger.elements import encode_element
from ledger.files import read_start
from ledger.instances.file_meta import is_dicom
from ledger.tags import MEDIA_STORAGE_SOP_CLASS_UID
from ledger.uids import MEDIA_STORAGE_DIRECTORY
from projections.dicomdir.findings import Finding, FindingKind, Severity, finding

_START: Final = 1024  # bytes in which the SOP Class of a file stands, if it is a DICOMDIR
_OF_DICOMDIR: Final = encode_element(
    MEDIA_STORAGE_SOP_CLASS_UID, "UI", MEDIA_STORAGE_DIRECTORY.encode()
)


class UnlistedFiles:
    """Looks through the root for what no record references."""

    def __init__(self, root: Path, listed: set[tuple[str, ...]]) -> None:
        self._root = os.fspath(root)
        self._listed = listed

    def findings(self) -> Iterator[Finding]:
        """Yield what was found; folders that links lead to are not entered."""
        for entry in walk_root(self._root):
            if entry.file_id not in self._listed:
                yield from self._check(entry)

    def leftovers(self) -> Iterator[Finding]:
        """Yield what writes have left, and nothing else."""
        for entry in walk_root(self._root):
            if entry.kind is RootEntryKind.LEFTOVER:
                yield from self._check(entry)

    def _check(self, entry: RootEntry) -> Iterator[Finding]:
        problem = partial(finding, where=entry.name)
        if entry.kind is RootEntryKind.FILE:
            yield from _check_unlisted(entry)
        elif entry.kind is RootEntryKind.LEFTOVER:
            yield problem(
                FindingKind.LEFTOVER,
                f"{entry.name} was left by an interrupted write, or belongs to one that is still "
                f"running. If none is, complete the write with the program that began it "
                f"(`fileset write`), or delete it.",
            )
        elif entry.kind is RootEntryKind.FILE_SET:
            yield problem(
                FindingKind.NESTED_FILE_SET,
                f"The folder {entry.name} has a DICOMDIR of its own: it is the root of another "
                "File-set, which was not checked.",
            )
        elif entry.error is not None:
            why = f"so not all was checked: {entry.error.strerror}"
            message = f"The folder {entry.name} can't be read, {why}."
            yield problem(FindingKind.FOLDER_UNREADABLE, message)
        elif not self._leads_inside(entry.path):
            message = f"{entry.name} is a link that leads out of the root: it was not followed."
            yield problem(FindingKind.LINK_OUTSIDE, message, severity=Severity.WARNING)

    def _leads_inside(self, path: str) -> bool:
        return Path(os.path.realpath(path)).is_relative_to(self._root)


def _check_unlisted(entry: RootEntry) -> Iterator[Finding]:
    """Yield that a file no record references is a DICOM file, if it is."""
    name = entry.name
    try:
        start = read_start(entry.path, _START)
    except OSError as exc:
        message = f"{name}, which no record references, can't be read: {exc.strerror}."
        yield finding(FindingKind.FILE_UNREADABLE, message, where=name, severity=Severity.WARNING)
        return
    if not is_dicom(start):
        return
    if _OF_DICOMDIR in start:
        message = (
            f"{name} is a DICOMDIR, but not under the name that readers look for: delete or move "
            f"it."
        )
        yield finding(FindingKind.STRAY_DICOMDIR, message, where=name)
        return
    if entry.is_hidden:
        message = (
            f"{name} is a DICOM file with a hidden name, which no record references: delete it, or "
            "give it a name that is not hidden."
        )
        yield finding(FindingKind.UNLISTED_FILE, message, where=name, severity=Severity.WARNING)
        return
    message = f"{name} is a DICOM file that no record references, so readers don't find it"
    yield finding(
        FindingKind.UNLISTED_FILE, f"{message}: re-index the files, or delete it.", where=name
    )
