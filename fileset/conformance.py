"""Checking a File-set as it lies at its root against the Standard, with no repository.

The DICOMDIR's own faults are found in :mod:`projections.dicomdir_checks`, its records' in
:mod:`projections.record_checks`; here its records are held
against the files that they reference, and the root is searched for what no record references.
Nothing is changed. Only regular files below the root are opened.
"""

from __future__ import annotations

import os
import warnings
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from functools import partial
from pathlib import Path
from typing import Final, TypeAlias

from attrs import Factory, define

from fileset.collecting import no_collecting
from fileset.referenced import ReferencedFile, RootFolder
from fileset.root_walk import Entry, What, walk_root
from fileset.soundness import sound_instance
from ledger.elements import SPECIFIC_CHARACTER_SET, Element, character_set, encode_element
from ledger.errors import InstanceError, NotDicomError, TruncatedError
from ledger.files import open_regular, read_file
from ledger.instance import Instance
from ledger.record_keys import (
    ENCAPSULATED_DOCUMENT,
    LEAF_TYPES,
    RECORD_KEYS,
    RT_PLAN_LABEL,
    SINGLE_LEVEL_TYPES,
    UPPER_TYPES,
)
from ledger.recorders import record_types
from projections.conformance import DICOMDIR, Finding, FindingKind, Severity, finding
from projections.dicomdir import (
    MEDIA_STORAGE_DIRECTORY,
    MEDIA_STORAGE_SOP_CLASS_UID,
    NotDicomdirError,
)
from projections.dicomdir_checks import check_dicomdir
from projections.dicomdir_decoder import (
    DecodedRecord,
    Tree,
    decode_dicomdir,
    link,
)
from projections.dicomdir_encoder import MAX_SIZE
from projections.record_checks import PRIVATE, Placed, elements_of, name_of, walk

__all__ = ["Finding", "FindingKind", "Report", "Severity", "examine_root"]

Progress: TypeAlias = Callable[[int, int], None]

_PREFIX_START: Final = 128
_PREFIX_END: Final = 132  # of "DICM" behind the preamble (PS3.10 Section 7.1)
_START: Final = 1024  # bytes in which the SOP Class of a file stands, if it is a DICOMDIR
_OF_DICOMDIR: Final = encode_element(
    MEDIA_STORAGE_SOP_CLASS_UID, "UI", MEDIA_STORAGE_DIRECTORY.encode()
)


@define
class Report:
    """What was checked: how many records and files that they reference, and what was found."""

    root: Path
    records: int = 0
    files: int = 0
    findings: list[Finding] = Factory(list)

    @property
    def counts(self) -> Mapping[FindingKind, int]:
        """How many findings there are of each kind."""
        return Counter(each.kind for each in self.findings)

    @property
    def has_errors(self) -> bool:
        """Whether any finding is more than a warning."""
        return any(each.severity is Severity.ERROR for each in self.findings)


@no_collecting()
def examine_root(root: str | os.PathLike[str], progress: Progress | None = None) -> Report:
    """Check the File-set at the folder `root` against PS3.10 and PS3.3 Annex F.

    `progress` is called with how many of how many referenced files are checked. Whatever is wrong
    with the File-set is a finding; OSError if `root` is no folder that can be read.
    """
    resolved = Path(root).resolve(strict=True)
    with os.scandir(resolved):
        pass  # it can be read
    report = Report(resolved)
    data = _read_dicomdir(resolved, report)
    if data is None:
        report.findings += _Search(resolved, set()).leftovers()
        return report
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # pydicom's: what is wrong becomes a finding
            directory = decode_dicomdir(data, name=DICOMDIR)
    except (InstanceError, MemoryError) as exc:
        report.findings.append(_undecodable(exc))
        return report
    tree = link(directory)
    report.records = len(directory.records)
    report.findings += check_dicomdir(data, directory, tree)
    files = _Files(RootFolder(resolved), report)
    files.check(tree, progress)
    # What is below a record that no reader finds was told with that record.
    files.listed.update(each.file_id for each in directory.records if each.file_id)
    descriptor = directory.identity.descriptor_file_id
    if descriptor:
        files.descriptor(descriptor)
    report.findings += _Search(resolved, files.listed).findings()
    report.findings = _without_consequences(report.findings)
    return report


def _without_consequences(findings: list[Finding]) -> list[Finding]:
    """Leave out which keys a record lacks if it is of the wrong type: those of another type."""
    misfits = {f.offset for f in findings if f.kind is FindingKind.RECORD_TYPE_DIFFERS}
    if not misfits:
        return findings
    return [f for f in findings if f.kind is not FindingKind.MISSING_KEY or f.offset not in misfits]


# --- the DICOMDIR --------------------------------------------------------------------------------


def _read_dicomdir(root: Path, report: Report) -> bytes | None:
    """Return the bytes of the DICOMDIR, ``None`` where the report says why there are none."""

    def tell(kind: FindingKind, message: str) -> None:
        report.findings.append(finding(kind, message))

    try:
        found = RootFolder(root).find((DICOMDIR,))
    except (PermissionError, OSError):
        tell(
            FindingKind.DICOMDIR_UNREADABLE,
            "The DICOMDIR is a link that leads out of the root, which is not followed, or can't be "
            "looked at: put the file itself there.",
        )
        return None
    if found.identity is None and (root / DICOMDIR).is_symlink():
        tell(
            FindingKind.DICOMDIR_UNREADABLE,
            "The DICOMDIR is a link that leads nowhere: put the file itself there.",
        )
    elif found.identity is None:
        tell(
            FindingKind.NO_DICOMDIR,
            "There is no file named DICOMDIR, so this is no File-set: `fileset index` makes one."
            + _hint(RootFolder(root), (DICOMDIR,)),
        )
    elif not found.is_regular:
        tell(
            FindingKind.DICOMDIR_UNREADABLE,
            "The DICOMDIR is not a regular file, and was not opened: put the file itself there.",
        )
    else:
        try:
            return _dicomdir_at(found.path, tell)
        except OSError as exc:
            tell(FindingKind.DICOMDIR_UNREADABLE, f"The DICOMDIR can't be read: {exc.strerror}.")
        except MemoryError:
            tell(
                FindingKind.DICOMDIR_MALFORMED,
                "The DICOMDIR is too large for the memory: move it away, and `fileset index ROOT` "
                "makes another one of the files.",
            )
    return None


def _hint(root: RootFolder, file_id: tuple[str, ...]) -> str:
    """Return what to add where a file is missing, which some systems show in lower case."""
    lower = tuple(part.lower() for part in file_id)
    try:
        there = lower != file_id and root.find(lower).identity is not None
    except OSError:
        there = False
    name = "/".join(lower)
    return f" There is {name}: mount the medium so that names keep their case." if there else ""


def _dicomdir_at(path: str, tell: Callable[[FindingKind, str], None]) -> bytes | None:
    """Return the bytes of the DICOMDIR at `path` unless they are plainly none."""
    head = _start_of(path)
    if Path(path).stat().st_size > MAX_SIZE:
        tell(
            FindingKind.DICOMDIR_MALFORMED,
            "The DICOMDIR has more than 4 GiB, which its offsets can't address.",
        )
    elif head[_PREFIX_START:_PREFIX_END] != b"DICM":
        tell(
            FindingKind.DICOMDIR_NOT_DICOM,
            "The DICOMDIR is no DICOM file: there is no 'DICM' behind a preamble of 128 bytes "
            f"(PS3.10 Section 7.1).{_REPAIR}",
        )
    else:
        return read_file(path)
    return None


def _start_of(path: str) -> bytes:
    fd = open_regular(path)
    try:
        return os.read(fd, _START)
    finally:
        os.close(fd)


_REPAIR: Final = (
    " `fileset init REPO --from ROOT/DICOMDIR --repair` adopts what is there, and `fileset index "
    "ROOT --replace` makes another one of the files."
)


def _undecodable(exc: InstanceError | MemoryError) -> Finding:
    if isinstance(exc, MemoryError):
        kind, told = FindingKind.DICOMDIR_MALFORMED, "it takes more than there is of memory"
    elif isinstance(exc, NotDicomdirError):
        kind, told = (
            FindingKind.DICOMDIR_OTHER_CLASS,
            "it is a DICOM file, but no instance of the Media Storage Directory class",
        )
    elif isinstance(exc, TruncatedError):
        kind, told = FindingKind.DICOMDIR_TRUNCATED, exc.reason
    else:
        kind, told = FindingKind.DICOMDIR_MALFORMED, exc.reason
    return finding(
        kind,
        f"The DICOMDIR can't be read: {told}. Nothing else was checked.{_REPAIR}",
    )


# --- the referenced files ------------------------------------------------------------------------


class _Files:
    """Holds the records of a tree against the files that they reference, each once."""

    def __init__(self, root: RootFolder, report: Report) -> None:
        self._root = root
        self._report = report
        self._keys: dict[int | None, _Keys] = {}
        self.listed: set[tuple[str, ...]] = set()

    def check(self, tree: Tree, progress: Progress | None) -> None:
        """Check every file that a record of `tree` references."""
        referencing = [placed for placed in walk(tree) if placed.record.file_id]
        for number, placed in enumerate(referencing, 1):
            file_id = placed.record.file_id or ()
            if file_id not in self.listed:
                self.listed.add(file_id)
                self._report.files += 1
                self._report.findings += self._check(placed)
            if progress is not None:
                progress(number, len(referencing))

    def descriptor(self, file_id: tuple[str, ...]) -> None:
        """Check that the descriptor file, which may hold anything, is there."""
        self.listed.add(file_id)
        found = self._find(file_id, None)
        if isinstance(found, Finding):
            self._report.findings.append(found)

    def _find(
        self, file_id: tuple[str, ...], record: DecodedRecord | None
    ) -> ReferencedFile | Finding | None:
        """Return the regular file at `file_id`, or what is wrong with it; ``None`` if that's told.

        A File ID that is none for its dots or slashes is not followed.
        """
        name = "/".join(file_id)
        offset = record.offset if record else None
        if any(part in {"", ".", ".."} or "/" in part for part in file_id):
            return None
        tell = partial(finding, where=name, offset=offset)
        try:
            found = self._root.find(file_id)
        except PermissionError as exc:
            if exc.errno is not None:
                told = f"{name} can't be looked at: {exc.strerror}."
                return tell(FindingKind.FILE_UNREADABLE, told)
            told = f"{name} is or is below a link that leads out of the root, and was not followed"
            return tell(FindingKind.LINK_OUTSIDE, f"{told}: put the file itself there.")
        except OSError as exc:
            return tell(FindingKind.FILE_UNREADABLE, f"{name} can't be looked at: {exc.strerror}.")
        if found.identity is None:
            told = f"{name} is missing; the record at offset {offset} references it"
            told = told if record else f"{name} is missing; it is to be the descriptor file"
            told = f"{told}: put it back, or leave the record out.{_hint(self._root, file_id)}"
            return tell(FindingKind.FILE_MISSING, told)
        if not found.is_regular:
            told = f"{name} is no regular file, and was not opened: put the file itself there."
            return tell(FindingKind.FILE_NOT_REGULAR, told)
        return found

    def _check(self, placed: Placed) -> Iterator[Finding]:
        record = placed.record
        found = self._find(record.file_id or (), record)
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
        yield from _compare_uids(record, instance)
        yield from _compare_type(record, instance)
        yield from self._compare_keys(placed, instance)

    def _compare_keys(self, placed: Placed, instance: Instance) -> Iterator[Finding]:
        said = placed.record.sop_instance_uid
        is_other = said not in {None, "", instance.sop_instance_uid}
        for record in (*placed.above(), *(() if is_other else (placed.record,))):
            keys = self._keys.get(record.offset)
            if keys is None:
                keys = _Keys(record)
                if record is not placed.record:  # those of a leaf are needed once
                    self._keys[record.offset] = keys
            yield from keys.compare(placed.record, instance)


def _unreadable(exc: InstanceError | OSError, record: DecodedRecord) -> Finding:
    kind = FindingKind.FILE_MALFORMED
    if isinstance(exc, OSError):
        told = f"it can't be read: {exc.strerror}"
        return _about(record, FindingKind.FILE_UNREADABLE, told)
    if isinstance(exc, NotDicomError):
        kind = FindingKind.FILE_NOT_DICOM
    elif isinstance(exc, TruncatedError):
        kind = FindingKind.FILE_TRUNCATED
    return _about(record, kind, f"{exc.reason}. Replace it by a good copy")


def _about(record: DecodedRecord, kind: FindingKind, told: str) -> Finding:
    name = name_of(record)
    return finding(
        kind,
        f"{name}, of the {record.type} record at offset {record.offset}: {told}.",
        where=name,
        offset=record.offset,
    )


_REMEDY: Final = "put the right file there, or index the files anew"


def _compare_uids(record: DecodedRecord, instance: Instance) -> Iterator[Finding]:
    for kind, what, said, found in (
        (
            FindingKind.SOP_CLASS_DIFFERS,
            "SOP Class UID",
            record.sop_class_uid,
            instance.sop_class_uid,
        ),
        (
            FindingKind.SOP_INSTANCE_DIFFERS,
            "SOP Instance UID",
            record.sop_instance_uid,
            instance.sop_instance_uid,
        ),
        (
            FindingKind.TRANSFER_SYNTAX_DIFFERS,
            "Transfer Syntax UID",
            record.transfer_syntax_uid,
            instance.transfer_syntax_uid,
        ),
    ):
        if said and said != found:
            told = f"its {what} is {found}, and the record says {said}: {_REMEDY}"
            yield _about(record, kind, told)


def _compare_type(record: DecodedRecord, instance: Instance) -> Iterator[Finding]:
    expected = record_types(instance)[-1]
    if record.type in {expected, PRIVATE} or not record.type or not _is_sure(expected, instance):
        return
    # An unknown type is told as such, and a place as such.
    if record.type not in RECORD_KEYS or record.type in UPPER_TYPES:
        return
    yield _about(
        record,
        FindingKind.RECORD_TYPE_DIFFERS,
        f"its SOP Class {instance.sop_class_uid} takes a record of type {expected}, and this one "
        f"is of type {record.type}: index the files anew",
    )


def _is_sure(expected: str, instance: Instance) -> bool:
    """Return whether an instance takes a record of the `expected` type whatever else is known.

    The tables have ``IMAGE`` for every class that they don't name, and some of a later edition are
    none; what has Rows is one.
    """
    header = instance.header
    if expected == "IMAGE":
        return _ROWS in header
    known = instance.sop_class_uid in LEAF_TYPES or instance.sop_class_uid in SINGLE_LEVEL_TYPES
    return known or ENCAPSULATED_DOCUMENT in header or RT_PLAN_LABEL in header


_ROWS: Final = 0x00280010
_IDENTIFYING: Final = {
    "PATIENT": (0x00100020, FindingKind.PATIENT_DIFFERS),
    "STUDY": (0x0020000D, FindingKind.STUDY_DIFFERS),
    "SERIES": (0x0020000E, FindingKind.SERIES_DIFFERS),
}
_NUMBERS: Final = frozenset(("UL", "US"))


class _Keys:
    """The keys of a record, to be compared with the instances that it stands for."""

    def __init__(self, record: DecodedRecord) -> None:
        self._record = record
        tag, self._kind = _IDENTIFYING.get(record.type or "", (0, FindingKind.KEY_DIFFERS))
        elements = elements_of(record)
        self._charset = character_set(record.elements)
        known = RECORD_KEYS[record.type].keys if record.type in RECORD_KEYS else ()
        self._values = [
            (key, key.tag == tag, elements[key.tag], _plain(elements[key.tag]))
            for key, _ in known
            if key.tag in elements and key.vr != "SQ" and elements[key.tag].value.strip(b" \0")
        ]
        self._values.sort(key=lambda value: not value[1])  # what identifies comes first
        self._told: set[int] = set()

    def compare(self, leaf: DecodedRecord, instance: Instance) -> Iterator[Finding]:
        """Yield what `instance`, which `leaf` references, has otherwise than the record.

        What either lacks can't differ: writers may invent keys, or know them from elsewhere. Of
        another patient, study or series nothing else is told.
        """
        header = instance.header
        for key, names, element, value in self._values:
            found = header.get(key.tag)
            if found is None or found.value == element.value or key.tag in self._told:
                continue
            own = _plain(found)
            if own == value or not own or not self._is_comparable(element, found, header):
                continue
            if names:
                told = (
                    f"its {key.name} is not that of the {self._record.type} record at offset "
                    f"{self._record.offset} which it is listed under: {_REMEDY}"
                )
                yield _about(leaf, self._kind, told)
                return  # its other keys are those of another
            self._told.add(key.tag)
            told = (
                f"its {key.name} is not that of the {self._record.type} record at offset "
                f"{self._record.offset}, perhaps in other files below it, too: if the file is "
                "right, index the files anew"
            )
            yield _about(leaf, FindingKind.KEY_DIFFERS, told)

    def _is_comparable(
        self, element: Element, found: Element, header: Mapping[int, Element]
    ) -> bool:
        """Whether two values are in one encoding, so that other bytes are another value."""
        if element.vr != found.vr:
            return False
        if element.value.isascii() and found.value.isascii():
            return True
        declared = header.get(SPECIFIC_CHARACTER_SET)
        charset = "" if declared is None else str(declared.value, "latin-1").strip(" \0")
        return element.vr in _NUMBERS or charset == self._charset


def _plain(element: Element) -> object:
    """Return a value without what makes no difference: padding, empty ends, a number's form."""
    if element.vr in _NUMBERS:
        return element.value
    value = element.value.strip(b" \0")
    if element.vr == "IS":
        try:
            return int(value) if value else b""
        except ValueError:
            return value
    return value.rstrip(b"^= ") if element.vr == "PN" else value


# --- what else lies at the root ------------------------------------------------------------------


class _Search:
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
            if entry.what is What.LEFTOVER:
                yield from self._check(entry)

    def _check(self, entry: Entry) -> Iterator[Finding]:
        tell = partial(finding, where=entry.name)
        if entry.what is What.FILE:
            yield from _check_unlisted(entry)
        elif entry.what is What.LEFTOVER:
            yield tell(
                FindingKind.LEFTOVER,
                f"{entry.name} is what an interrupted write left, or what a write needs that still "
                "goes on. If none does, have the program that wrote it complete the write "
                "(`fileset write`), or delete it.",
            )
        elif entry.what is What.FILE_SET:
            yield tell(
                FindingKind.NESTED_FILE_SET,
                f"The folder {entry.name} has a DICOMDIR of its own: it is the root of another "
                "File-set, which was not checked.",
            )
        elif entry.error is not None:
            why = f"so not all was checked: {entry.error.strerror}"
            told = f"The folder {entry.name} can't be read, {why}."
            yield tell(FindingKind.FOLDER_UNREADABLE, told)
        elif not self._leads_inside(entry.path):
            told = f"{entry.name} is a link that leads out of the root: it was not followed."
            yield tell(FindingKind.LINK_OUTSIDE, told, severity=Severity.WARNING)

    def _leads_inside(self, path: str) -> bool:
        return Path(os.path.realpath(path)).is_relative_to(self._root)


def _check_unlisted(entry: Entry) -> Iterator[Finding]:
    """Yield that a file no record references is a DICOM file, if it is."""
    name = entry.name
    try:
        head = _start_of(entry.path)
    except OSError as exc:
        told = f"{name}, which no record references, can't be read: {exc.strerror}."
        yield finding(FindingKind.FILE_UNREADABLE, told, where=name, severity=Severity.WARNING)
        return
    if head[_PREFIX_START:_PREFIX_END] != b"DICM":
        return
    if _OF_DICOMDIR in head:
        told = f"{name} is a DICOMDIR, but not at the name that readers look for: delete or move it"
        yield finding(FindingKind.STRAY_DICOMDIR, f"{told}.", where=name)
        return
    if entry.is_hidden:
        told = f"{name} is a DICOM file with a hidden name, which no record references: delete it"
        told = f"{told}, or give it a name that is not hidden."
        yield finding(FindingKind.UNLISTED_FILE, told, where=name, severity=Severity.WARNING)
        return
    told = f"{name} is a DICOM file that no record references, so readers don't find it"
    yield finding(
        FindingKind.UNLISTED_FILE, f"{told}: index the files anew, or delete it.", where=name
    )
