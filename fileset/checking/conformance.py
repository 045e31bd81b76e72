"""Checking a File-set as it lies at its root against the Standard, with no repository.

The DICOMDIR's own faults are found in `projections.dicomdir.form_checks`, its records' in
`projections.dicomdir.record_checks`; here its records are held
against the files that they reference, and the root is searched for what no record references.
Nothing is changed. Only regular files below the root are opened.
"""

from __future__ import annotations

import os
import warnings
from collections import Counter
from collections.abc import Mapping
from pathlib import Path

from attrs import Factory, define

from fileset.checking.dicomdir_file import read_dicomdir, undecodable
from fileset.checking.referenced_files import ReferencedFiles
from fileset.checking.unlisted_files import UnlistedFiles
from fileset.progress import Progress
from fileset.python_gc import gc_paused
from ledger.errors import InstanceError
from projections.dicomdir.decoder import decode_dicomdir
from projections.dicomdir.definitions import DICOMDIR
from projections.dicomdir.findings import Finding, FindingKind, Severity
from projections.dicomdir.form_checks import check_dicomdir
from projections.dicomdir.tree import link

__all__ = ["ConformanceReport", "Finding", "FindingKind", "Severity", "examine_root"]


@define
class ConformanceReport:
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


@gc_paused()
def examine_root(
    root: str | os.PathLike[str], progress: Progress | None = None, *, deep: bool = False
) -> ConformanceReport:
    """Check the File-set at the folder `root` against PS3.10 and PS3.3 Annex F.

    With `deep`, every element of every referenced file is checked against its VR (PS3.5 Section
    6.2), which takes far longer.

    `progress` is called with how many of how many referenced files are checked. Whatever is wrong
    with the File-set is a finding; OSError if `root` is no folder that can be read.
    """
    resolved = Path(root).resolve(strict=True)
    with os.scandir(resolved):
        pass  # it can be read
    report = ConformanceReport(resolved)
    data = read_dicomdir(resolved)
    if isinstance(data, Finding):
        report.findings += [data, *UnlistedFiles(resolved, set()).leftovers()]
        return report
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # pydicom's: what is wrong becomes a finding
            directory = decode_dicomdir(data, name=DICOMDIR)
    except (InstanceError, MemoryError) as exc:
        report.findings.append(undecodable(exc))
        return report
    tree = link(directory)
    report.records = len(directory.records)
    report.findings += check_dicomdir(data, directory, tree)
    files = ReferencedFiles(resolved, deep=deep)
    report.findings += files.check(tree, progress)
    report.files = len(files.listed)
    # What is below a record that no reader finds was reported with that record.
    files.listed.update(each.file_id for each in directory.records if each.file_id)
    if descriptor := directory.identity.descriptor_file_id:
        report.findings += files.check_descriptor(descriptor)
    report.findings += UnlistedFiles(resolved, files.listed).findings()
    report.findings = _without_consequences(report.findings)
    return report


@gc_paused()
def examine_dicomdir(data: bytes) -> list[Finding]:
    """Return what `examine_root` finds wrong with the DICOMDIR itself that `data` holds.

    InstanceError or MemoryError if it can't be read.
    """
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # pydicom's: what is wrong becomes a finding
        directory = decode_dicomdir(data, name=DICOMDIR)
    return list(check_dicomdir(data, directory, link(directory)))


def _without_consequences(findings: list[Finding]) -> list[Finding]:
    """Leave out which keys a record lacks if it is of the wrong type: those of another type."""
    misfits = {f.offset for f in findings if f.kind is FindingKind.RECORD_TYPE_DIFFERS}
    if not misfits:
        return findings
    return [f for f in findings if f.kind is not FindingKind.MISSING_KEY or f.offset not in misfits]
