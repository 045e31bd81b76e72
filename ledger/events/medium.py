"""Writing the medium, its damage, and its loss."""

from __future__ import annotations

from collections.abc import Collection, Iterator

from attrs import Factory, frozen

from ledger.digest import Digest, short
from ledger.events.event import Event, Handle, Naming
from ledger.phrases import count


@frozen
class WriteStarted(Event):
    """A write of the state at `base` is about to begin; this event is the plan to roll forward.

    `placed` gives the File IDs that change, grouped by folder: `{folder: {name: handle}}`;
    `dropped` are the instances that leave the medium. Where a File ID passes from one instance to
    another, the files lie under the folder `staging` for a moment, so that no DICOMDIR ever names
    a file with other content. With `leaving`, the File-set gets a new home, and leaves the medium
    that it was on, which is "handed out", "read-only" or "lost", once the write is completed.
    """

    TYPE = "write-started"
    GROUP = "write"
    VERSION = 2

    root: str
    layout: str
    base: int
    placed: dict[str, dict[str, Handle]] = Factory(dict)
    dropped: tuple[Handle, ...] = ()
    staging: str | None = None
    implicit_vr: bool = False
    leaving: str | None = None

    def file_ids(self) -> dict[Handle, str]:
        """Return the File IDs that change, by instance."""
        return dict(self.placements())

    def placements(self) -> Iterator[tuple[Handle, str]]:
        """Yield the same, an instance at a time."""
        for folder, names in self.placed.items():
            for name, handle in names.items():
                yield handle, f"{folder}/{name}" if folder else name

    def handles(self) -> Collection[Handle]:
        return (*self.file_ids(), *self.dropped)

    def summary(self, naming: Naming) -> str:
        placed = sum(map(len, self.placed.values()))
        what = f"{count(placed, 'file')} to place or move, {len(self.dropped):,} to remove"
        return f"write to {self.root} started: {what}"


@frozen
class WriteEnded(Event):
    """The write that the event at `started` began has come to its end."""

    GROUP = "write"

    started: int


@frozen
class WriteCompleted(WriteEnded):
    """The write that the event at `started` began is done; `dicomdir` is what it left."""

    TYPE = "write-completed"
    TOUCH = "written"

    dicomdir: Digest

    def summary(self, naming: Naming) -> str:
        return "write completed"

    def line(self, naming: Naming, position: int) -> str:
        return f"write completed: DICOMDIR {short(self.dicomdir)}"


@frozen
class WriteAbandoned(WriteEnded):
    """The write that the event at `started` began is over, and nothing that it did counts.

    It failed or was given up and the medium is as it was before, or there is no medium any more.
    """

    TYPE = "write-abandoned"
    TOUCH = "abandoned"

    reason: str

    def summary(self, naming: Naming) -> str:
        return f"write abandoned: {self.reason}"


@frozen
class WriteExported(Event):
    """The state at `base` was written to `root`, a folder of its own; nothing pending changed."""

    TYPE = "write-exported"
    GROUP = "write"
    TOUCH = "exported"

    root: str
    layout: str
    base: int
    dicomdir: Digest

    def summary(self, naming: Naming) -> str:
        return f"position {self.base} exported to {self.root}"


@frozen
class MediumLost(Event):
    """The medium at `root` is gone or no longer ours: from here on the File-set is on no medium."""

    TYPE = "medium-lost"
    GROUP = "write"
    TOUCH = "medium-lost"

    root: str

    def summary(self, naming: Naming) -> str:
        return f"medium at {self.root} given up"


@frozen
class MediumLeft(Event):
    """The File-set gets a new home; the medium at `root` stays as it is and no longer counts.

    `why` says what became of it: "handed out", "read-only", "lost", "taken in from an archive", or
    "not named here", where the journal came from elsewhere and nobody has looked.
    """

    TYPE = "medium-left"
    GROUP = "write"
    TOUCH = "medium-left"

    root: str
    why: str

    def summary(self, naming: Naming) -> str:
        return f"medium at {self.root} left: {self.why}"


@frozen
class DamageNoted(Event):
    """The medium at `root` is not as the last write left it; what can be is repaired.

    Attributes
    ----------
    missing, changed, unreadable : tuple of int
        The instances whose file is gone, is another one, or can't be read.
    returned : tuple of int
        Those that a write had taken off, and that are there again: it is an older copy.
    dicomdir : Digest or None
        What another DICOMDIR there holds; the vault has it, unless the journal can make it again.
    no_dicomdir : bool
        Whether there is none.
    """

    TYPE = "damage-noted"
    GROUP = "note"
    TOUCH = "damaged"

    root: str
    missing: tuple[Handle, ...] = ()
    changed: tuple[Handle, ...] = ()
    unreadable: tuple[Handle, ...] = ()
    returned: tuple[Handle, ...] = ()
    dicomdir: Digest | None = None
    no_dicomdir: bool = False

    def handles(self) -> Collection[Handle]:
        return (*self.missing, *self.changed, *self.unreadable, *self.returned)

    def summary(self, naming: Naming) -> str:
        files = {
            "missing": self.missing,
            "changed": self.changed,
            "unreadable": self.unreadable,
            "there again that had been taken off": self.returned,
        }
        found = [f"{count(len(those), 'file')} {what}" for what, those in files.items() if those]
        if self.no_dicomdir:
            found.append("no DICOMDIR")
        if self.dicomdir is not None:
            found.append("another DICOMDIR")
        return f"damage found on the medium at {self.root}: {', '.join(found)}"


@frozen
class DamageRepaired(Event):
    """Of the damage that the event at `noted` tells, the `instances` are at their File IDs again.

    Those `taken_off` are gone again.
    """

    TYPE = "damage-repaired"
    GROUP = "note"
    TOUCH = "repaired"

    noted: int
    instances: tuple[Handle, ...] = ()
    taken_off: tuple[Handle, ...] = ()

    def handles(self) -> Collection[Handle]:
        return (*self.instances, *self.taken_off)

    def summary(self, naming: Naming) -> str:
        put_back = count(len(self.instances), "file")
        return f"{put_back} put back, {len(self.taken_off):,} taken off"
