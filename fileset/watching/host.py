"""What the watchers of a repository keep on their machine: none of it is shared."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

from fileset.quarantine.quarantine import Quarantine
from fileset.watching.folders import Folder
from fileset.watching.known_files import KnownFiles, refuse_other
from fileset.watching.locks import WatcherLock, is_held
from fileset.watching.watcher_status import StatusFile, read_status, what_is_wrong

_REMEMBERED: Final = "remembered.sqlite"


class HostState:
    """Locks, status and known files, in the folder `watch` of a repository; its quarantine."""

    def __init__(self, repository: Path) -> None:
        self.quarantine = Quarantine(repository)
        self._folder = repository / "watch"

    def lock(self, folder: Folder) -> WatcherLock:
        """Become the one watcher of `folder` here; RefusedError if there is another."""
        self._folder.mkdir(mode=0o700, exist_ok=True)
        return WatcherLock(self._folder / f"{folder.key}.lock", folder.path)

    def known_files(self) -> KnownFiles:
        """Open the memory of files that were dealt with; sqlite3.Error or OSError if that fails."""
        return KnownFiles(self._folder / _REMEMBERED)

    def refuse_other(self) -> None:
        """Refuse what is in the place of that memory and is no file."""
        refuse_other(self._folder / _REMEMBERED)

    def status_file(self, folder: Folder) -> StatusFile:
        """Return the status file of a watcher whose first folder is `folder`."""
        return StatusFile(self._folder / f"{folder.key}.json")

    def statuses(self) -> Iterator[dict[str, Any]]:
        """Yield the last status of each watcher, with whether it runs and what is wrong."""
        for path in sorted(self._folder.glob("*.json")):
            document = read_status(path)
            document["running"] = is_held(path.with_suffix(".lock"))
            yield {"wrong": what_is_wrong(document), **document}
