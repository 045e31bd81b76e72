"""What a medium consists of, down to the last byte: a function of its event and of the journal.

Making a medium, making it again and verifying it all start here, and so come to the same.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import partial
from typing import Final

from attrs import evolve, frozen

from fileset.errors import RefusedError
from fileset.media.list import other_files
from fileset.media.stream import Read
from fileset.media.times import Times
from fileset.media.viewer.make import remade
from fileset.repository.repository import Repository
from ledger.digest import digest_of, from_raw
from ledger.errors import ContentDamagedError, ContentMissingError
from ledger.events import Content, Handle, MediumStarted, OtherFile, PixelScript
from ledger.phrases import count
from ledger.vault.protocol import Vault
from projections.dicomdir.definitions import DICOMDIR
from projections.medium.handout import CHECKSUMS, Handout, checksums, hand_out
from projections.medium.images.fat import plan_usb
from projections.medium.images.iso9660 import plan_iso
from projections.medium.images.layout import Layout
from projections.medium.images.mail import Message, plan_mail
from projections.medium.images.tree import CivilTime, ImageFile, Volume, tree_of
from projections.medium.images.zip import plan_zip
from projections.past.media import Medium
from projections.state.nodes import Leaf

FOLDER: Final = "folder"
"""The kind of medium that is no image, but a folder with its files."""


def _plan_mail(files: Sequence[ImageFile], volume: Volume) -> Layout:
    """Lay out a mail with a ZIP; it tells of no person."""
    text = "DICOM.ZIP has a DICOM File-set: unpack it, and open its DICOMDIR with a viewer.\n"
    return plan_mail(plan_zip(files, volume), Message(volume.created, volume.file_set_id, text))


_LARGE: Final = 1 << 24  # bytes of a DICOMDIR that is made again where it is written

ICONS: Final = "icons"
"""The option of a medium whose images all have icons, as far as these can be made."""

FORMATS: Final[dict[tuple[str, int], Callable[[Sequence[ImageFile], Volume], Layout] | None]] = {
    (FOLDER, 1): None,
    ("iso", 1): plan_iso,
    ("usb", 1): plan_usb,
    ("zip", 1): plan_zip,
    ("eml", 1): _plan_mail,
}
"""What lays out the images of a kind, in each version of its format that there ever was."""


@frozen
class Part:
    """A file of a medium.

    `path` is from the root, `content` what it has to be, and `data` its bytes where the vault does
    not have them, or `make` what makes these. It is the instance `leaf`, if it is one, or made `of`
    that instance as `script` says.
    """

    path: str
    content: Content
    modified: CivilTime
    data: bytes | None = None
    leaf: Leaf | None = None
    script: PixelScript | None = None
    of: Leaf | None = None
    make: Callable[[], bytes] | None = None


@frozen
class Prepared:
    """A medium that can be made: the event that tells of it, and its files in their order.

    `layout` is that of the image, `None` for a folder; `files` are those that are no instances.
    """

    started: MediumStarted
    parts: Sequence[Part]
    layout: Layout | None
    files: Collection[OtherFile] = ()

    @property
    def size(self) -> int:
        """How many bytes it has: the image, or the files of a folder together."""
        if self.layout is not None:
            return self.layout.size
        return sum(part.content.size for part in self.parts)

    @property
    def dicomdir(self) -> Content:
        """What the DICOMDIR is."""
        return self.parts[0].content

    @property
    def checksums(self) -> Content:
        """What the file with the digests of all others is."""
        return self.parts[-1].content

    def reading(self, vault: Vault) -> Read:
        """Return what reads the files by number, and checks each against its digest."""

        def read(number: int) -> Iterator[bytes]:
            return read_part(self.parts[number], vault)

        return read


@contextmanager
def naming_lost(what: str) -> Iterator[None]:
    """Have a `ContentMissingError` of the vault say what has lost its content, and what to do."""
    try:
        yield
    except ContentMissingError as exc:
        raise ContentMissingError(
            f"The content of {what} is lost: {exc}. `fileset verify` lists all that is. Add the "
            "files of such instances again, or bring back the repository from a backup."
        ) from exc


def read_part(part: Part, vault: Vault) -> Iterator[bytes]:
    """Yield the bytes of a file; `ContentDamagedError` in the end if they are not what they were.

    `ContentMissingError` where the vault has lost them, VaultError where it can't give them.
    """
    if part.data is not None:
        yield part.data
        return
    hasher = hashlib.sha256()
    with naming_lost(part.path):
        for chunk in _chunks(part, vault):
            hasher.update(chunk)
            yield chunk
    if from_raw(hasher.digest()) != part.content.digest:
        raise ContentDamagedError(
            f"The vault's copy of {part.path} is damaged: it no longer has the digest "
            f"{part.content.digest}. `fileset verify` names the instance; adding its file again "
            "restores it."
        )


def _chunks(part: Part, vault: Vault) -> Iterator[bytes]:
    if part.script is not None and part.of is not None:
        yield from remade(part.path, part.script, part.of, vault)
        return
    if part.make is not None:
        yield part.make()
        return
    with vault.view(part.content.digest) as view:
        yield from view.pieces()


def prepare_again(
    repository: Repository, medium: Medium, *, sizes: Callable[[Handle], int] | None = None
) -> Prepared:
    """Return a medium that was made, as it was.

    Arguments and errors are those of `outline` and `Outline.prepared`.
    """
    files = other_files(repository, medium)
    return outline(repository, medium.started, medium.position).prepared(files, sizes=sizes)


@frozen
class Outline:
    """A medium of which it is not known yet what is on it besides its File-set."""

    started: MediumStarted
    times: Times
    _handout: Handout
    _present: Mapping[Handle, Leaf]
    _vault: Vault

    @property
    def leaves(self) -> Sequence[Leaf]:
        """The instances on it, in the order of its DICOMDIR."""
        return list(self._handout.file_ids)

    def prepared(
        self, files: Collection[OtherFile], *, sizes: Callable[[Handle], int] | None = None
    ) -> Prepared:
        """Return the medium with `files` besides.

        `sizes` tells how many bytes an instance has whose content is not known: such a medium can
        be planned, and not be made. Raises `ContentMissingError` for instances that were never
        read, and `ImageError` for what the format can't hold.
        """
        created = self.times.at(self.started.base)
        make = partial(
            self._handout.dicomdir,
            {file.path for file in files},
            icons=self._vault.read,
            with_icons=ICONS in self.started.options,
        )
        parts = [_own(DICOMDIR, make(), created)]
        if self.started.volumes > 1 and parts[0].content.size > _LARGE:
            parts = [evolve(parts[0], data=None, make=make)]  # not of all volumes in memory at once
        for leaf, path in self._handout.file_ids.items():
            content = self._present[leaf.handle].content
            if content is None and sizes is not None:
                content = Content(parts[0].content.digest, sizes(leaf.handle))
            if content is None:
                raise ContentMissingError(f"The content of the instance {leaf.uid} was never read.")
            parts.append(Part(path, content, self.times.at(leaf.handle), leaf=leaf))
        for file in files:
            script = file.made_from
            of = None if script is None else self._present.get(script.instance)
            parts.append(Part(file.path, file.content, created, script=script, of=of))
        listed = checksums((part.path, part.content.digest) for part in parts)
        parts.append(_own(CHECKSUMS, listed, created))
        return Prepared(self.started, parts, _layout(self.started, parts, created), files)


def outline(repository: Repository, started: MediumStarted, position: int | None = None) -> Outline:
    """Return the File-set of the medium that `started` tells of.

    `position` is where the journal has that event, if it is there. Raises `RefusedError` if some of
    the instances were erased since, or this version can't make that format.
    """
    if (started.kind, started.format) not in FORMATS:
        raise RefusedError(
            f"This version can't make the format {started.format} of the kind {started.kind}: take "
            f"{started.writer} or a later one."
        )
    handles = frozenset(started.handles())
    state = repository.at(started.base)
    present = repository.refresh()
    now = present.hierarchy.leaves
    known = {leaf.handle for leaf in state.live.values()}
    gone = [handle for handle in handles if handle not in known or handle not in now]
    if gone:
        raise RefusedError(
            f"{count(len(gone), 'instance')} of the medium {'was' if len(gone) == 1 else 'were'} "
            "erased since, so it can't be made any more."
        )
    recorded = present.recorded
    if position is not None and ICONS in started.options:  # more may have been made since
        recorded = repository.at(position).recorded
    handout = hand_out(
        state, handles, uid=started.uid, id=started.id, profile=started.profile, recorded=recorded
    )
    return Outline(started, Times(repository.journal), handout, now, repository.vault)


def _own(path: str, data: bytes, modified: CivilTime) -> Part:
    return Part(path, Content(digest_of(data), len(data)), modified, data)


def _layout(started: MediumStarted, parts: Sequence[Part], created: CivilTime) -> Layout | None:
    plan = FORMATS[started.kind, started.format]
    files = [ImageFile(p.path, p.content.size, p.modified) for p in parts]
    if plan is None:
        tree_of(files, Volume("", created))  # a folder may be copied to any medium
        return None
    serial = hashlib.sha256(f"{started.uid} {started.base}".encode("utf-8", "surrogateescape"))
    volume = Volume(started.id or "", created, int.from_bytes(serial.digest()[:4]))
    return plan(files, volume)
