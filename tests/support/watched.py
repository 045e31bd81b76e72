"""What the tests of watched folders have in common."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import cache
from io import BytesIO
from pathlib import Path
from typing import Any

from attrs import define, field
from pydicom import dcmread, examples

from fileset import FileSet
from fileset.quarantine.quarantine import Quarantine
from fileset.watching import Committed, Settings, Watcher
from fileset.watching.settling import Observation
from ledger.digest import digest_of
from ledger.events import InstanceAdded
from ledger.files import FileStamp

PATIENCE = 60.0
"""Seconds that a test waits for what should take a moment: a laden machine is no failure."""


STAMP, CHANGED = FileStamp(10, 1, 7, 1), FileStamp(10, 1, 7, 2)
"""What a file looks like, and what it does after chmod."""

_STUDY, _SERIES, _INSTANCE = "2.25.1000000000", "2.25.2000000000", "2.25.3000000000"


@cache
def _template() -> bytes:
    """Return the CT instance that pydicom ships, with fewer pixels and UIDs to be replaced."""
    ds = dcmread(examples.get_path("ct"))
    ds.StudyInstanceUID, ds.SeriesInstanceUID, ds.SOPInstanceUID = _STUDY, _SERIES, _INSTANCE
    ds.file_meta.MediaStorageSOPInstanceUID = _INSTANCE
    ds.Rows = ds.Columns = 8
    ds.PixelData = bytes(128)
    buffer = BytesIO()
    ds.save_as(buffer)
    return buffer.getvalue()


def instance(number: int, *, study: int = 0) -> bytes:
    """Return the file of CT instance `number`, of the study with that number."""
    data = _template()
    for uid, value in ((_STUDY, study), (_SERIES, study), (_INSTANCE, number)):
        data = data.replace(uid.encode(), f"{uid[:6]}{value:09d}".encode())
    return data


def synthetic(count: int, *, study: int = 0, first: int = 0) -> list[bytes]:
    """Return the files of so many CT instances of one study."""
    return [instance(number, study=study) for number in range(first, first + count)]


CUT_SHORT = instance(1)[:5000]
"""A file whose end is in the middle of an element."""


def observed(path: str, at: float = 0.0) -> Observation:
    """Return a file as it was seen first at some time, and looked at no more since."""
    return Observation(path, STAMP, at, at)


def adds_up(status: dict[str, Any]) -> bool:
    """Whether each file that was seen is in just one of the counts."""
    ends = ("ingested", "duplicates", "taken_back", "quarantined", "vanished", "pending")
    return status["seen"] == sum(status[end] for end in ends)


def until(what: Callable[[], Any], *, patience: float = PATIENCE) -> None:
    """Wait until `what` is so."""
    end = time.monotonic() + patience
    while not what():
        assert time.monotonic() < end, "it did not happen"
        time.sleep(0.01)


def drop(folder: Path, name: str, data: bytes) -> Path:
    """Put a file into a watched folder, whole: by a rename from beside it."""
    outside = folder.parent / f"{folder.name}.outside"
    outside.mkdir(exist_ok=True)
    made = outside / name.replace("/", "_")
    made.write_bytes(data)
    target = folder / name
    target.parent.mkdir(parents=True, exist_ok=True)
    return made.rename(target)


def added(repository: Path) -> list[str]:
    """Return the digests of the instances that the journal says were added, as often as it does."""
    with FileSet.open(repository) as fs:
        return [
            str(recorded.event.content.digest)
            for recorded in fs.repository.journal.read()
            if isinstance(recorded.event, InstanceAdded) and recorded.event.content
        ]


def digests(files: list[bytes]) -> list[str]:
    """Return the digests of these files."""
    return [str(digest_of(data)) for data in files]


@define
class House:
    """A repository and a folder beside it that is watched."""

    path: Path
    committed: list[Committed] = field(factory=list)

    @property
    def repository(self) -> Path:
        """The repository."""
        return self.path / "repo"

    @property
    def inbox(self) -> Path:
        """The watched folder."""
        return self.path / "inbox"

    def watcher(self, clock: Callable[[], float] = time.monotonic, **settings: Any) -> Watcher:
        """Return a watcher that is quick."""
        quick = Settings(**{"settle": 0.05, "quiet": 0.15, "tries": 2, **settings})
        fs = FileSet.open(self.repository)
        return Watcher(fs, self.inbox, quick, on_change=self.committed.append, clock=clock)

    @contextmanager
    def watched(self, **settings: Any) -> Iterator[Watcher]:
        """Watch the folder in the block, once all of it was looked at."""
        with self.watcher(**settings) as watcher:
            until(lambda: watcher.status["ready"])
            yield watcher

    def drain(self, **settings: Any) -> dict[str, Any]:
        """Take what is there, and return the status."""
        watcher = self.watcher(once=True, **settings)
        watcher.run()
        return watcher.status

    def quarantined(self) -> dict[str, tuple[str, str]]:
        """Return the outcome and the reason of what is in the quarantine, by its path."""
        return {
            os.path.relpath(entry.source, self.inbox): (entry.outcome, entry.reason)
            for entry in Quarantine(self.repository)
        }

    def events(self, kind: type) -> list[Any]:
        """Return the events of one type."""
        with self.file_set() as fs:
            found = [recorded.event for recorded in fs.repository.journal.read()]
        return [event for event in found if isinstance(event, kind)]

    def file_set(self) -> FileSet:
        """Open the File-set anew."""
        return FileSet.open(self.repository)

    def names(self) -> list[str]:
        """Return the files in the watched folder."""
        found = (Path(at) / name for at, _, names in os.walk(self.inbox) for name in names)
        return sorted(os.fspath(path.relative_to(self.inbox)) for path in found)


def house(path: Path) -> House:
    """Make an empty File-set and a folder to be watched."""
    made = House(path)
    FileSet(repository=made.repository).close()
    made.inbox.mkdir()
    return made
