"""What all events share: the base class, and the values that they are made of."""

from __future__ import annotations

from collections.abc import Collection
from enum import Enum
from typing import ClassVar, Final, Protocol, TypeAlias

from attrs import frozen

from ledger.digest import Digest, short
from ledger.elements import Elements
from ledger.phrases import count

Handle: TypeAlias = int
"""The position of the `InstanceAdded` event that brought an instance in."""


class Placement(Enum):
    """Where an instance's bytes are, apart from the written File-set."""

    VAULT = "vault"
    """In the vault, copied when it was added."""

    REFERENCE = "reference"
    """Left where it was found; checked against its digest when it is written."""

    ROOT = "root"
    """On the medium that was adopted, under the File ID it has there."""


@frozen
class Record:
    """A directory record less its links: what PS3.3 Section F.5 lists for its type.

    `elements` holds neither the offsets, the in-use flag, the type nor the Referenced ... elements.
    `unwritten` is what instances say besides and no DICOMDIR gets: of a patient, what tells persons
    apart.
    """

    type: str
    elements: Elements
    unwritten: Elements = Elements(b"")  # noqa: RUF009 - bytes don't change


@frozen
class RecordRef:
    """The record that the event at `position` introduced as number `index` of its `parents`."""

    position: int
    index: int


@frozen
class Variant:
    """What an instance says of a record above it, where the record `of` says something else.

    Its `record` has the same type and the same key.
    """

    of: RecordRef
    record: Record


@frozen
class Content:
    """What an instance's bytes are: their digest and how many there are."""

    digest: Digest
    size: int

    def in_words(self) -> str:
        return f"{short(self.digest)} of {count(self.size, 'byte')}"


class Naming(Protocol):
    """Words for what an event names by a number or an id."""

    def instance(self, handle: Handle) -> str:
        """Return what people know an instance by."""
        ...

    def change_by_id(self, id_: str) -> str:
        """Return what the change with this id did."""
        ...


@frozen
class Event:
    """One fact. A subclass with a `TYPE` is known to the codec as soon as it is defined."""

    TYPE: ClassVar[str]
    """Its name in journals, stable for ever."""

    VERSION: ClassVar[int] = 1
    """Raise it when the fields change, and add an upcaster."""

    STORED: ClassVar[bool] = True
    """Whether a journal keeps it."""

    GROUP: ClassVar[str]
    """The word by which people choose it and what is like it."""

    UNDOABLE: ClassVar[bool] = False
    """Whether undo and revert take back what it did."""

    ERASED_WITH_INSTANCE: ClassVar[bool] = False
    """Whether its payload goes when the data of an instance that it names is erased."""

    TOUCH: ClassVar[str | None] = None
    """What it did to the instances that it names, for `fileset blame`: a value of `TouchKind`."""

    COUNTED: ClassVar[tuple[str, str] | None] = None
    """A noun and a verb, if the words for a change give only the number of such events."""

    @classmethod
    def __attrs_init_subclass__(cls) -> None:
        if cls.STORED and "TYPE" in vars(cls):
            EVENT_TYPES[cls.TYPE] = cls

    def handles(self) -> Collection[Handle]:
        """Return the instances that its fields name, which earlier events added."""
        return ()

    def told(self) -> tuple[str | None, ...]:
        """Return the texts into which people put names, of an event from which nothing follows.

        Its payload goes when one of them tells of a person whose data is erased.
        """
        return ()

    def in_vault(self) -> tuple[Content, ...]:
        """Return the content that the vault has from this event on."""
        return ()

    def summary(self, naming: Naming) -> str:
        """Return its part in the words for its change, unless such events are `COUNTED`."""
        raise NotImplementedError

    def line(self, naming: Naming, position: int) -> str:
        """Return a line on it alone, at its `position`."""
        return self.summary(naming)


EVENT_TYPES: Final[dict[str, type[Event]]] = {}
"""Every class of events that a journal keeps, by its type name."""


@frozen
class AboutInstance(Event):
    """What happened to `instance`, which an earlier event added."""

    instance: Handle

    def handles(self) -> Collection[Handle]:
        return (self.instance,)
