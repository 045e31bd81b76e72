"""Corrections: elements of SOP Instances with new values, as events."""

from __future__ import annotations

from collections.abc import Collection
from enum import Enum
from typing import ClassVar

from attrs import frozen

from ledger.events.event import Event, Handle, Naming
from ledger.events.instances import InstanceAdded
from ledger.phrases import count, some


class CorrectionReason(Enum):
    """Why elements were changed: Reason for the Attribute Modification (PS3.3 Table C.12-1)."""

    CORRECT = "CORRECT"
    """A value was wrong."""

    COERCE = "COERCE"
    """A value was replaced by the receiver's own, as on import."""


_LONG = 200  # characters on an element, beyond which a summary leaves the rest out


@frozen
class ElementCorrected:
    """An element before and after a correction; the values as text, several joined by backslashes.

    `path` leads from the data set to the element by keywords, or by tags such as `00091002`, with
    the numbers of items: `RequestAttributesSequence[0].ScheduledProcedureStepID`. A value is `None`
    where there is no such element, and `""` where it is empty.
    """

    path: str
    before: str | None
    after: str | None

    def in_words(self) -> str:
        """Return what happened to it."""
        if self.path.endswith("]"):  # an item
            return f"{self.path} removed"
        if self.after is None:
            return f"{self.path} '{self.before}' removed"
        if self.before is None:
            return f"{self.path} '{self.after}' added"
        return f"{self.path} corrected from '{self.before}' to '{self.after}'"


@frozen
class InstancesCorrected(Event):
    """The same `elements` were corrected alike in some instances: those of the handles `instances`.

    An `InstanceCorrected` of the same change tells of each what it is from then on. `uids`
    are the UIDs that were replaced wherever they occurred, with their new values.
    """

    TYPE = "instances-corrected"
    GROUP = "correct"
    TOUCH = "corrected"
    ERASED_WITH_INSTANCE = True

    instances: tuple[Handle, ...]
    elements: tuple[ElementCorrected, ...] = ()
    uids: tuple[tuple[str, str], ...] = ()
    reason: CorrectionReason = CorrectionReason.CORRECT

    def handles(self) -> Collection[Handle]:
        return self.instances

    def told(self) -> tuple[str | None, ...]:
        elements = (text for each in self.elements for text in (each.before, each.after))
        return (*elements, *(uid for pair in self.uids for uid in pair))

    def in_words(self) -> list[str]:
        """Return what was corrected, each part in words."""
        parts = [element.in_words() for element in self.elements]
        return [*parts, f"{count(len(self.uids), 'UID')} replaced"] if self.uids else parts

    def summary(self, naming: Naming) -> str:
        parts = [part if len(part) <= _LONG else f"{part[:_LONG]}..." for part in self.in_words()]
        return f"{some(parts, 5)} in {count(len(self.instances), 'instance')}"

    def line(self, naming: Naming, position: int) -> str:
        return f"{', '.join(self.in_words())} in {count(len(self.instances), 'instance')}"


@frozen
class InstancesConverted(Event):
    """Instances in the transfer syntax `was` were converted to Explicit VR Little Endian.

    Those are `instances`, by handle. An `InstanceCorrected` of the same change tells of each what
    it is from then on; pixels and all other values are the same.
    """

    TYPE = "instances-converted"
    GROUP = "correct"
    TOUCH = "converted"
    ERASED_WITH_INSTANCE = True

    instances: tuple[Handle, ...]
    was: str

    def handles(self) -> Collection[Handle]:
        return self.instances

    def summary(self, naming: Naming) -> str:
        of = count(len(self.instances), "instance")
        return f"{of} converted to Explicit VR Little Endian"

    def line(self, naming: Naming, position: int) -> str:
        return f"{self.summary(naming)} from {self.was}"


@frozen
class InstanceCorrected(InstanceAdded):
    """A SOP Instance takes the place of the one that it `replaces`, which it corrects.

    It has `content` of its own. `stead` is the position that introduced what stands where it, or
    the first record that it brings, is to stand among its siblings, 0 if it comes last there.
    `rank` is its rank where that isn't 0, else it has that of the one replaced: where it joins
    those of another patient, study or series, it comes after them. Both are told here since what
    was corrected may be erased. All else is as for an instance that was added.
    """

    TYPE = "instance-corrected"
    VERSION = 1
    GROUP = "correct"
    COUNTED = ("instance", "corrected")
    TOUCH = None  # the event for all of them tells

    WORDS: ClassVar[str] = "instance corrected"

    replaces: Handle = 0
    stead: int = 0
    rank: int = 0

    def handles(self) -> Collection[Handle]:
        return (self.replaces,)
