"""What a walk through an instance finds: what replaces what, and what is to be told of it."""

from __future__ import annotations

from collections.abc import Collection, Mapping

from attrs import define, field, frozen

from ledger.instances.correcting.bodies import Body
from ledger.instances.correcting.edits import ORIGINAL_ATTRIBUTES, ElementPath
from ledger.instances.correcting.signatures import Signature
from ledger.instances.correcting.skimming import Found
from ledger.instances.correcting.splices import Piece, Splices
from ledger.instances.correcting.structure import DataSet


@frozen
class Change:
    """What an edit changes: the element's body before and after, `None` where it is not there."""

    path: ElementPath
    before: Body | None
    after: Body | None


@frozen
class Result:
    """What becomes of an instance's data set: `pieces`, in the offsets of the file.

    For the rest see `Outcome` and `Corrected`.
    """

    changes: tuple[Change, ...]
    uids: Mapping[str, str]
    identity: Mapping[int, bytes]
    switched: tuple[ElementPath, ...]
    encoded_anew: tuple[ElementPath, ...]
    signatures: tuple[Signature, ...]
    pieces: tuple[Piece, ...]

    @property
    def is_change(self) -> bool:
        """Whether anything changes."""
        return bool(self.changes or self.uids)


@define
class Outcome:
    """What a walk through an instance finds, as it goes on."""

    splices: Splices
    changes: list[Change] = field(factory=list)

    before: dict[int, Found | None] = field(factory=dict)
    """The elements of the instance's data set that change, as they are; `None` if not there."""

    uids: dict[str, str] = field(factory=dict)
    """Those of the UIDs to be replaced that occur."""

    identity: dict[int, bytes] = field(factory=dict)
    """New values in the instance's data set that File Meta Information may have as well, by tag."""

    encoded_anew: list[ElementPath] = field(factory=list)
    """The text elements whose bytes follow the new character set."""

    signatures: list[Signature] = field(factory=list)
    """Those that are broken."""

    @property
    def is_change(self) -> bool:
        """Whether anything changes."""
        return bool(self.changes or self.uids)

    def note(self, ds: DataSet, found: Found | None, tag: int, value: bytes = b"") -> None:
        """Note that the element `tag` of `ds`, or `found` in it, gets a `value`.

        What was there is noted of the element of the instance's data set that it is, or is in.
        """
        top = ds.top or found
        if ds.top is None:
            self.identity[tag] = value
        if (tag if top is None else top.tag) != ORIGINAL_ATTRIBUTES:
            self.before[tag if top is None else top.tag] = top

    def result(self, begin: int, switched: Collection[ElementPath]) -> Result:
        """Return all of it, once the walk has ended, for the data set that begins at `begin`."""
        return Result(
            tuple(self.changes),
            self.uids,
            self.identity,
            tuple(sorted(switched)),
            tuple(self.encoded_anew),
            tuple(self.signatures),
            tuple(self.splices.pieces(begin)) if self.is_change else (),
        )
