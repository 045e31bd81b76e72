"""What a medium that is handed out holds: all of a File-set, or a choice as one of its own.

It is a function of the state at a position, of the choice, and of nothing that was written before.
"""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Iterable, Mapping
from typing import Final

from attrs import evolve, frozen

from ledger.digest import Digest
from ledger.events import EVENT_TYPES, Handle
from projections.medium.directory import Icons, encode_directory, no_icons
from projections.medium.layouts import pydicom_layout
from projections.state.nodes import Leaf
from projections.state.recorded import RecordedElements
from projections.state.state import FileSetState

CHECKSUMS: Final = "SHA256.TXT"
"""The file with the digest of every other one, in the format of sha256sum."""

_CHANGING: Final = frozenset(
    ("create", "adopt", "add", "correct", "remove", "set", "undo", "redo", "revert")
)
CHANGING_TYPES: Final = frozenset(
    name for name, cls in EVENT_TYPES.items() if cls.GROUP in _CHANGING
)
"""The types of the events that change what a File-set contains, or what it is called.

What is recorded of instances for a profile is no change: it is the same whenever it is read.
"""

_ID_SIZE: Final = 16  # characters of a File-set ID at most (PS3.3 Table F.3-2)


@frozen
class Handout:
    """A File-set as it is handed out.

    Attributes
    ----------
    state : FileSetState
        With nothing but its instances.
    file_ids : mapping of Leaf to str
        Where the instances are, in the order of the DICOMDIR.
    """

    state: FileSetState
    file_ids: Mapping[Leaf, str]

    def dicomdir(
        self, files: Collection[str] = (), *, icons: Icons = no_icons, with_icons: bool = False
    ) -> bytes:
        """Return its DICOMDIR on a medium with other `files`, given by their paths.

        A descriptor file that is none of them is not named. Icons are as in `encode_directory`.
        """
        identity = self.state.identity
        if "/".join(identity.descriptor_file_id or ()) not in files:
            identity = evolve(identity, descriptor_file_id=None, descriptor_character_set=None)
        self.state.identity = identity
        return encode_directory(self.state, self.file_ids, icons=icons, with_icons=with_icons)


def hand_out(
    state: FileSetState,
    handles: Collection[Handle],
    *,
    uid: str,
    id: str | None,  # noqa: A002 - as everywhere
    profile: str | None = None,
    recorded: RecordedElements | None = None,
) -> Handout:
    """Return the instances `handles` of `state` as a File-set of its own, with that UID and ID.

    `state` is changed: all other instances are taken out of it, so that records say what the
    chosen ones say. They have what the application `profile` asks for, as far as that was
    `recorded`, by default by then.
    """
    for leaf in [leaf for leaf in state.live.values() if leaf.handle not in handles]:
        state.set_rank(leaf.handle, 0)
    state.identity = evolve(state.identity, uid=uid, id=id, profile=profile)
    state.recorded = recorded or state.recorded
    return Handout(state, pydicom_layout(state, ()))


def checksums(files: Iterable[tuple[str, Digest]]) -> bytes:
    """Return the `CHECKSUMS` of files, given by path and digest."""
    lines = (f"{digest.rpartition(':')[2]}  {path}\n" for path, digest in files)
    return "".join(lines).encode("ascii")


def derived_uid(
    journal: str,
    base: int,
    contains: Iterable[tuple[Handle, Handle]],
    profile: str | None,
    volume: int,
    volumes: int,
) -> str:
    """Return the UID of a choice of instances, given as runs, as a File-set of its own.

    It is of the form that PS3.5 Section B.2 gives to UUIDs, and always the same for the same
    choice. The UUID is a digest (version 8 of RFC 9562).
    """
    runs = " ".join(f"{first}-{last}" for first, last in contains)
    told = "\n".join((journal, str(base), runs, profile or "", f"{volume}/{volumes}"))
    number = int.from_bytes(hashlib.sha256(told.encode("utf-8", "surrogateescape")).digest()[:16])
    number = number & ~(0xF << 76) | 8 << 76
    number = number & ~(0x3 << 62) | 2 << 62
    return f"2.25.{number}"


def volume_id(id_: str, volume: int, volumes: int) -> str:
    """Return the File-set ID of one of several volumes, such as `CLINIC_1OF3`, shortened to fit."""
    end = f"_{volume}OF{volumes}"
    return id_[: _ID_SIZE - len(end)] + end
