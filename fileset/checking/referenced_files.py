"""The records of a DICOMDIR compared with the files that they reference, each file once."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from pathlib import Path

from fileset.adding.faults import faults_of_file
from fileset.adding.whole import sound_instance
from fileset.checking.every_element import faults_of_every_element
from fileset.checking.record_comparison import ComparedKeys, about, compare_type, compare_uids
from fileset.medium.file_ids import ReferencedFile, RootFolder
from fileset.medium.other_names import OtherNames
from fileset.progress import Progress
from ledger.errors import InstanceError, NotDicomError, TruncatedError
from ledger.events import Record
from ledger.instances.instance import Instance
from projections.dicomdir.decoded_directory import DecodedRecord
from projections.dicomdir.findings import Finding, FindingKind, finding
from projections.dicomdir.record_checks import Placed, walk
from projections.dicomdir.tree import Tree
from projections.state.outline import whose


class ReferencedFiles:
    """Holds the records of a tree against the files that they reference, each once.

    With `deep`, every element of the files is checked, and not only what records need.

    Attributes
    ----------
    listed : set of tuple of str
        The File IDs that were looked at.
    """

    def __init__(self, root: Path, *, deep: bool = False) -> None:
        self._deep = deep
        self._root = RootFolder(root)
        self._names = OtherNames(root)
        self._keys: dict[int | None, ComparedKeys] = {}
        self.listed: set[tuple[str, ...]] = set()

    def check(self, tree: Tree, progress: Progress | None) -> Iterator[Finding]:
        """Check every file that a record of `tree` references."""
        referencing = [placed for placed in walk(tree) if placed.record.file_id]
        for number, placed in enumerate(referencing, 1):
            file_id = placed.record.file_id or ()
            if file_id not in self.listed:
                self.listed.add(file_id)
                yield from self._check(placed)
            if progress is not None:
                progress(number, len(referencing))

    def check_descriptor(self, file_id: tuple[str, ...]) -> Iterator[Finding]:
        """Check that the descriptor file, which may hold anything, is there."""
        self.listed.add(file_id)
        found = self._find(file_id, None)
        if isinstance(found, Finding):
            yield found

    def _find(
        self, file_id: tuple[str, ...], placed: Placed | None
    ) -> ReferencedFile | Finding | None:
        """Return the regular file at `file_id`, or what is wrong with it; `None` if that is
        reported elsewhere: a File ID with dots or slashes is not followed.
        """
        name = "/".join(file_id)
        offset = placed.record.offset if placed else None
        if any(part in {"", ".", ".."} or "/" in part for part in file_id):
            return None
        problem = partial(finding, where=name, offset=offset)
        try:
            found = self._root.find(file_id)
        except OSError as exc:
            if exc.errno is not None:
                message = f"{name} can't be looked at: {exc.strerror}."
                return problem(FindingKind.FILE_UNREADABLE, message)
            return problem(  # the root folder itself refuses
                FindingKind.LINK_OUTSIDE,
                f"{name} is or is below a link that leads out of the root, and was not followed: "
                "put the file itself there.",
            )
        if found.identity is None:
            why = f"{_whose(placed)}the record at offset {offset} references it"
            what = "put it back, or leave the record out"
            if placed is None:
                why, what = "it should be the descriptor file", "put it there, or name none"
            other = self._names.advise(file_id)
            message = f"{name} is missing; {why}: {what}.{other}"
            return problem(FindingKind.FILE_MISSING, message)
        if not found.is_regular:
            message = f"{name} is not a regular file, and was not opened: put the file there."
            return problem(FindingKind.FILE_NOT_REGULAR, message)
        return found

    def _check(self, placed: Placed) -> Iterator[Finding]:
        record = placed.record
        found = self._find(record.file_id or (), placed)
        if found is None:
            return
        if isinstance(found, Finding):
            yield found
            return
        try:
            instance = sound_instance(found.path)
        except (InstanceError, OSError) as exc:
            yield _unreadable(exc, record)
            return
        for kind, fault in faults_of_file(instance):
            yield about(record, kind, fault)
        yield from compare_uids(record, instance)
        yield from compare_type(record, instance)
        yield from self._compare_keys(placed, instance)
        if self._deep:
            yield from _every_element(record, found.path)

    def _compare_keys(self, placed: Placed, instance: Instance) -> Iterator[Finding]:
        said = placed.record.sop_instance_uid
        is_other = said not in {None, "", instance.sop_instance_uid}
        for record in (*placed.above(), *(() if is_other else (placed.record,))):
            keys = self._keys.get(record.offset)
            if keys is None:
                keys = ComparedKeys(record)
                if record is not placed.record:  # those of a leaf are needed once
                    self._keys[record.offset] = keys
            yield from keys.compare(placed.record, instance)


def _every_element(record: DecodedRecord, path: str) -> Iterator[Finding]:
    try:
        for kind, fault in faults_of_every_element(path):
            yield about(record, kind, fault)
    except OSError as exc:
        yield _unreadable(exc, record)


def _unreadable(exc: InstanceError | OSError, record: DecodedRecord) -> Finding:
    kind = FindingKind.FILE_MALFORMED
    if isinstance(exc, OSError):
        message = f"it can't be read: {exc.strerror}"
        return about(record, FindingKind.FILE_UNREADABLE, message)
    if isinstance(exc, NotDicomError):
        kind = FindingKind.FILE_NOT_DICOM
    elif isinstance(exc, TruncatedError):
        kind = FindingKind.FILE_TRUNCATED
    return about(record, kind, f"{exc.reason}. Replace it with a good copy")


def _whose(placed: Placed | None) -> str:
    """Return whose instance a missing file had, with a comma behind it."""
    if placed is None:
        return ""
    said = whose(Record(each.type or "", each.elements) for each in placed.above())
    return f"it is of {said}, and " if said else ""
