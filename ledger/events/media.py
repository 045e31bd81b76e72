"""Media that are handed out: a disc, a stick, a ZIP file, a mail or a folder.

None of these events changes the File-set, and none can be undone: what was handed out is out. Texts
about persons are in an event of their own, which can be erased while the medium stays a fact; and
so is what is on it besides instances, which can stay when these texts go.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator
from typing import ClassVar

from attrs import Factory, frozen

from ledger.digest import Digest, short
from ledger.events.event import Content, Event, Handle, Naming
from ledger.phrases import count

KINDS = {
    "iso": "ISO image",
    "usb": "USB image",
    "zip": "ZIP file",
    "eml": "mail",
    "folder": "folder",
}
"""The kinds of media, with what people call them."""


@frozen
class MediumStarted(Event):
    """A medium with the state at `base` is about to be made; this event says all that it will be.

    It comes before the first byte goes anywhere. A medium that no `MediumProduced` follows was not
    finished, as far as the journal knows.

    Attributes
    ----------
    kind : str
        One of `KINDS`.
    format : int
        The version of the format of that kind: it and the other fields determine every byte.
    uid, id : str
        The File-set UID and the File-set ID that the medium has.
    contains : tuple of pairs of int
        The instances on it, as runs of their handles, first and last, in order.
    left_out : tuple of pairs of int
        Those that were chosen and don't fit the profile.
    profile : str or None
        The application profile (PS3.11) that it conforms to.
    volume, volumes : int
        Which one it is of how many that were made together.
    options : dict of str to str
        What else it was made with.
    """

    TYPE = "medium-started"
    GROUP = "medium"

    kind: str
    format: int
    base: int
    uid: str
    contains: tuple[tuple[Handle, Handle], ...]
    writer: str
    id: str | None = None
    profile: str | None = None
    left_out: tuple[tuple[Handle, Handle], ...] = ()
    volume: int = 1
    volumes: int = 1
    options: dict[str, str] = Factory(dict)

    def handles(self) -> Collection[Handle]:
        return [each for first, last in self.contains for each in range(first, last + 1)]

    @property
    def count(self) -> int:
        """How many instances are on it."""
        return sum(last - first + 1 for first, last in self.contains)

    def is_of_base(self) -> bool:
        """Whether the runs can be of instances that there were at `base`, each once."""
        for runs in (self.contains, self.left_out):
            ends = [0, *(end for run in runs for end in run)]
            if ends[-1] > self.base or any(last < first for first, last in runs):
                return False
            if any(first <= before for before, first in zip(ends[::2], ends[1::2], strict=False)):
                return False
        return True

    def summary(self, naming: Naming) -> str:
        volume = f", volume {self.volume:,} of {self.volumes:,}" if self.volumes > 1 else ""
        what = f"{KINDS.get(self.kind, self.kind)} of {count(self.count, 'instance')}"
        return f"{what} as of position {self.base}{volume} started"


@frozen
class PixelScript:
    """The frames of an instance, from `first` up to and without `last`, as the viewer has them.

    `format` is the version of how they are written: the instance and it determine every byte.
    """

    instance: Handle
    first: int
    last: int
    format: int = 1


@frozen
class OtherFile:
    """A file on a medium that is no instance, at `path` from its root.

    The vault has its bytes, unless they are `made_from` an instance.
    """

    path: str
    content: Content
    made_from: PixelScript | None = None


def kept_files(files: Iterable[OtherFile]) -> Iterator[OtherFile]:
    """Yield those whose bytes the vault has; the others are made from instances again."""
    return (file for file in files if file.made_from is None)


@frozen
class AboutMedium(Event):
    """What happened to the medium that the event at `started` began."""

    GROUP = "medium"

    started: int


@frozen
class MediumAddressed(AboutMedium):
    """For whom a medium is, and what was asked for: all that names persons.

    `asked` is the choice of instances as pairs of keyword and value, `institution` who hands it
    out, if that was said. It is erased with the data of a person whom it tells of, or who alone is
    on the medium. In version 1 it has the `files` that `MediumFilled` tells of since, and is erased
    as that is.
    """

    TYPE = "medium-addressed"
    VERSION = 2

    recipient: str | None = None
    label: str | None = None
    asked: tuple[tuple[str, str], ...] = ()
    files: tuple[OtherFile, ...] = ()
    institution: str | None = None

    def in_vault(self) -> tuple[Content, ...]:
        return tuple(file.content for file in kept_files(self.files))

    def told(self) -> tuple[str | None, ...]:
        asked = (value for _, value in self.asked)
        paths = (file.path for file in kept_files(self.files))
        return (self.recipient, self.label, self.institution, *asked, *paths)

    def summary(self, naming: Naming) -> str:
        return f"medium for {self.recipient}" if self.recipient else "medium described"


@frozen
class MediumFilled(AboutMedium):
    """What is on a medium besides instances, or the next `MOST` of it: Non-DICOM objects.

    (PS3.3 Section C.22.1 calls them so.) It is erased with the data of any person on the medium:
    pages and pictures may show each of them.
    """

    TYPE = "medium-filled"
    COUNTED = ("other file", "on it")
    MOST: ClassVar[int] = 1000

    files: tuple[OtherFile, ...]

    def in_vault(self) -> tuple[Content, ...]:
        return tuple(file.content for file in kept_files(self.files))

    def told(self) -> tuple[str | None, ...]:
        return tuple(file.path for file in kept_files(self.files))

    def line(self, naming: Naming, position: int) -> str:
        return f"medium with {count(len(self.files), 'file')} besides instances"


@frozen
class MediumProduced(AboutMedium):
    """A medium is finished: every byte of it was written, with the content that the journal has.

    `image` is the digest and the size (bytes) of the file; of a folder, the digest of its
    `SHA256.TXT` and the size of all files together.
    """

    TYPE = "medium-produced"
    TOUCH = "handed-out"

    image: Content
    dicomdir: Digest

    def summary(self, naming: Naming) -> str:
        return f"medium finished: {self.image.in_words()}"


@frozen
class MediumVerified(AboutMedium):
    """A medium at the path `where` was read back and compared with the journal.

    `problems` counts the files that are missing, too many, or not what they should be, and `first`
    is the path of the first of them on the medium. It is 1, without a path, if the image differs
    but for its files, or could not be read to its end.
    """

    TYPE = "medium-verified"
    TOUCH = "medium-verified"

    where: str
    problems: int = 0
    first: str | None = None

    def told(self) -> tuple[str | None, ...]:
        return (self.where, self.first)

    def summary(self, naming: Naming) -> str:
        if not self.problems:
            return f"medium at {self.where} verified"
        return f"medium at {self.where} differs: {count(self.problems, 'problem')}"


@frozen
class MediumBurnt(AboutMedium):
    """The image with the digest `image` was burnt on the `device`, and read back from there."""

    TYPE = "medium-burnt"
    TOUCH = "medium-burnt"

    device: str
    image: Digest

    def told(self) -> tuple[str | None, ...]:
        return (self.device,)

    def summary(self, naming: Naming) -> str:
        return f"medium burnt on {self.device}: {short(self.image)}"
