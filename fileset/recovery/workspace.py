"""The folder of a repository where its journal is recovered, and what is kept there.

In this order, so that killed at any point another run completes it:

1. The new journal is built in the folder `recovering`.
2. The damaged files are kept there, too, and the report.
3. The new journal takes the damaged one's place in one step.
4. What was made of the damaged one, in the cache, goes, and the folder gets its name,
   `damaged-TIME`.
"""

from __future__ import annotations

import os
import re
import shutil
from contextlib import suppress
from pathlib import Path
from typing import Final

import orjson

from fileset.recovery.evidence import LOGS, logs_of
from fileset.recovery.report import RecoveryReport
from fileset.repository.folder import (
    CACHE,
    JOURNAL,
    KEPT_DAMAGED,
    PASSING,
    RECOVERING,
    SNAPSHOT,
    SUMMARY,
    VAULT,
)
from ledger.disk import fsync, replace_file
from ledger.files import file_content, read_file
from ledger.journal.clocks import Clock, timestamp

_KEPT: Final = "damaged"
_REPORT: Final = "report.json"


class RecoveryFolder:
    """Where the journal of `repository`, a folder, is recovered.

    Attributes
    ----------
    path : Path
        The folder itself.
    journal : Path
        Where the new journal is built.
    """

    def __init__(self, repository: Path, clock: Clock) -> None:
        """Delete the copies that a run left which was killed."""
        self._repository = repository
        self._in_place = repository / JOURNAL
        self._clock = clock
        self.path = repository / RECOVERING
        self.journal = self.path / JOURNAL
        self._kept = self.path / _KEPT
        for left in repository.glob(f"{PASSING}*"):
            shutil.rmtree(left, ignore_errors=True)

    @property
    def damaged(self) -> Path:
        """The damaged journal: where it always was, or kept by a run that was killed."""
        return self._kept / JOURNAL if self._has_kept() else self._in_place

    def _has_kept(self) -> bool:
        """Whether an earlier run has kept all that there was, and nobody changed it since."""
        kept = self._kept / JOURNAL
        return kept.is_file() and (not self._in_place.exists() or _same(kept, self._in_place))

    def completed(self, *, dry_run: bool) -> RecoveryReport | None:
        """Complete a run that was killed, if it had come to put the journal in place.

        Returns its report. The journal in place is one that looks whole.
        """
        try:
            saved = orjson.loads(read_file(self.path / _REPORT))
        except (OSError, orjson.JSONDecodeError):
            return None
        was = saved.pop("was", None)
        # Without the logs beside it what was damaged can look whole.
        if dry_run or (self.journal.exists() and was != _signature(self._in_place)):
            return None
        report = RecoveryReport(**saved)
        if self.journal.exists():
            self._put_in_place()
        self._give_name(report)
        return report

    def prepare(self) -> list[str]:
        """Make the folder ready for a new journal; return notes on what was done for that."""
        notes = []
        if (self._kept / JOURNAL).exists() and not self._has_kept():
            # Kept by a run that was killed, and another file has come in the place of it since.
            notes = self.put_away()
        self.path.mkdir(mode=0o700, exist_ok=True)
        for end in ("", *LOGS):
            self.journal.with_name(f"{JOURNAL}{end}").unlink(missing_ok=True)
        return notes

    def put_away(self) -> list[str]:
        """Have nothing left of a run that was broken off, but what it had kept.

        Returns notes on that.
        """
        if not self.path.exists():
            return []
        if not self._kept.is_dir() or not any(self._kept.iterdir()):
            shutil.rmtree(self.path, ignore_errors=True)
            return []
        free = self.free_name(KEPT_DAMAGED)
        self.path.rename(free)
        fsync(self._repository)
        return [
            f"An earlier recovery was interrupted; the damaged files that it kept are in {free}."
        ]

    def remove_if_empty(self) -> None:
        """Remove the folder unless something is in it."""
        with suppress(OSError):
            self.path.rmdir()

    def replace_journal(self, report: RecoveryReport) -> None:
        """Keep the damaged journal and `report`, and put the new journal in the place of it."""
        self._keep()
        if self._kept.exists():
            report.kept = str(self.free_name(KEPT_DAMAGED))
        saved = {**report.document(), "was": _signature(self._in_place)}
        replace_file(self.path / _REPORT, orjson.dumps(saved, option=orjson.OPT_INDENT_2))
        fsync(self.path)
        self._put_in_place()
        self._give_name(report)

    def _keep(self) -> None:
        """Keep the damaged files in the folder; the database comes last, and says that all are."""
        if self._has_kept():
            return
        files = [*logs_of(self._in_place), self._in_place]
        for each in files if self._in_place.is_file() else files[:-1]:
            self._kept.mkdir(mode=0o700, exist_ok=True)
            target, beside = self._kept / each.name, self._kept / f".{each.name}"
            beside.unlink(missing_ok=True)
            if target.exists() and target.samefile(each):  # kept by a run that was killed
                continue
            try:
                os.link(each, beside)
            except OSError:  # a file system without hard links
                shutil.copy2(each, beside)
            fsync(beside)
            beside.rename(target)
            fsync(self._kept)

    def _put_in_place(self) -> None:
        for name in (VAULT, CACHE):
            (self._repository / name).mkdir(mode=0o700, exist_ok=True)
        # SQLite would play the log of the damaged database back into the new one.
        for end in (*LOGS, "-shm"):
            self._in_place.with_name(f"{JOURNAL}{end}").unlink(missing_ok=True)
        fsync(self._repository)
        self.journal.replace(self._in_place)
        fsync(self._repository)

    def _give_name(self, report: RecoveryReport) -> None:
        for name in (SNAPSHOT, SUMMARY):
            with suppress(FileNotFoundError):
                (self._repository / CACHE / name).replace(self.path / name)
        if not self._kept.exists():  # there was none to keep
            report.kept = None
            shutil.rmtree(self.path)
            return
        if report.kept is None or Path(report.kept).exists():
            report.kept = str(self.free_name(KEPT_DAMAGED))
        self.path.rename(report.kept)
        fsync(self._repository)

    def free_name(self, start: str) -> Path:
        """Return a path in the repository that nothing has, of `start` and the time."""
        name = start + re.sub(r"[-:]|\.\d+", "", timestamp(self._clock))
        path, number = self._repository / name, 1
        while path.exists():
            number += 1
            path = self._repository / f"{name}-{number}"
        return path


def _signature(path: Path) -> list[int] | None:
    try:
        status = path.stat()
    except FileNotFoundError:
        return None
    return [status.st_size, status.st_mtime_ns]


def _same(one: Path, two: Path) -> bool:
    """Whether two files hold the same bytes."""
    return one.samefile(two) or file_content(one) == file_content(two)
