"""What an application profile asks of instances, read from their bytes and recorded."""

from __future__ import annotations

from collections.abc import Collection

from attrs import field, frozen

from ledger.elements import EMPTY, Elements
from ledger.events.event import AboutInstance, Content, Event, Handle, Naming
from ledger.phrases import count


@frozen
class RecordElementsRecorded(Event):
    """What some instances have for a record of `record_type` that an application profile asks for.

    Those are the instances of `runs` of first and last handles. By the `profile`, such a
    record has `elements` besides those of PS3.3 Section F.5, unless the instances have none of
    them. Of the records that reference the instances, `misfits` tell in words what of the instances
    does not fit the profile, by PS3.11.
    """

    TYPE = "record-elements-recorded"
    GROUP = "note"
    COUNTED = ("addition", "to directory records, as the profile asks")

    profile: str
    record_type: str
    runs: tuple[tuple[Handle, Handle], ...]
    elements: Elements = field(default=EMPTY)
    misfits: tuple[str, ...] = ()

    def handles(self) -> Collection[Handle]:
        return [h for first, last in self.runs for h in range(first, last + 1)]

    def line(self, naming: Naming, position: int) -> str:
        of = count(sum(last - first + 1 for first, last in self.runs), "instance")
        line = f"{self.record_type} record elements for {self.profile} recorded of {of}"
        return "; ".join((line, *self.misfits))


@frozen
class IconRecorded(AboutInstance):
    """The icon for the record that references the instance (PS3.3 Section F.7).

    The vault has it as `icon`: the grey tones of `size` rows of as many pixels, a byte each, from
    the top left.
    """

    TYPE = "icon-recorded"
    GROUP = "note"
    COUNTED = ("icon", "recorded")
    ERASED_WITH_INSTANCE = True

    size: int
    icon: Content

    def in_vault(self) -> tuple[Content, ...]:
        return (self.icon,)

    def line(self, naming: Naming, position: int) -> str:
        of = naming.instance(self.instance)
        return f"icon recorded of {of}: {self.size} by {self.size}, {self.icon.in_words()}"
