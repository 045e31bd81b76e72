"""What an application profile is made of (PS3.11 Section 8): all of it data.

`catalogue` has the profiles, `fitting` compares instances with them, and `record_keys` makes the
keys that they add to directory records.
"""

from __future__ import annotations

from collections.abc import Mapping
from enum import Enum
from typing import TypeAlias

from attrs import frozen

from ledger.instances.record_keys import Key, Need


class MediaKind(Enum):
    """What a profile is for, as far as it decides how a medium is made."""

    CD = "CD-R"
    DVD = "DVD"
    BD = "BD"
    FLASH = "USB, MMC, CF or SD"
    OTHER_DISK = "magneto-optical disk"
    ZIP = "ZIP in mail"
    MIME = "MIME message"


@frozen
class Takes:
    """SOP Classes with the transfer syntaxes that their instances may have, all by UID.

    `None` stands for all Media Storage SOP Classes, and for any transfer syntax. With `frames`,
    only multi-frame images.
    """

    classes: frozenset[str] | None
    syntaxes: frozenset[str] | None
    frames: bool = False


@frozen
class OneOf:
    """An attribute that has one of some values."""

    keyword: str
    values: tuple[str | int, ...]


@frozen
class AtMost:
    """A number that is not more than `most`."""

    keyword: str
    most: int


@frozen
class Less:
    """A number that is another attribute's less `by`."""

    keyword: str
    other: str
    by: int


@frozen
class There:
    """An attribute that has to be there; `filled` also with a value, in each item of `within`."""

    keyword: str
    filled: bool = False
    within: str = ""


@frozen
class NoOverlay:
    """There is no overlay."""


Rule: TypeAlias = OneOf | AtMost | Less | There | NoOverlay


@frozen
class Rules:
    """What the attributes of instances of `classes` (UIDs) must be, by a `table` of PS3.11.

    `when` gives values that some attribute has to have for that, by its keyword.
    """

    classes: frozenset[str]
    table: str
    rules: tuple[Rule, ...]
    when: tuple[tuple[str, tuple[str | int, ...]], ...] = ()


@frozen
class ProfileKey:
    """An element that directory records have beside those of PS3.3 Section F.5.

    `classes` are the SOP Classes whose instances need it as `need` says; for all others it is as of
    type 1C: there if the instance has a value. `shared` is the sequence in the shared functional
    groups that has it if the header has not, 0 for the groups' own item, `None` for neither.
    """

    key: Key
    need: Need
    classes: frozenset[str] | None = None
    shared: int | None = None

    def need_of(self, sop_class_uid: str) -> Need:
        """Return what it is for an instance of a SOP Class."""
        if self.classes is not None and sop_class_uid not in self.classes:
            return Need.TYPE_1C
        return self.need


@frozen
class KeyTable:
    """The additional keys of directory records by a `table` of PS3.11, by record type."""

    table: str
    keys: Mapping[str, tuple[ProfileKey, ...]]

    def of(self, record_type: str) -> tuple[ProfileKey, ...]:
        """Return the keys of a record type."""
        return self.keys.get(record_type, ())


class IconNeed(Enum):
    """Whether records of images have icons."""

    OPTIONAL = "optional"
    REQUIRED = "required"


@frozen
class Icon:
    """An icon of `size` rows and columns in the records of `classes` (PS3.3 Section F.7)."""

    size: int
    need: IconNeed
    section: str
    classes: frozenset[str]

    def is_required_of(self, sop_class_uid: str) -> bool:
        """Whether the records of instances of a SOP Class must have one."""
        return self.need is IconNeed.REQUIRED and sop_class_uid in self.classes


@frozen
class Profile:
    """An application profile: its identifier, its annex in PS3.11, and what it asks for.

    `takes` is by `table`. `one_patient_id` says that no two PATIENT records have one Patient ID.
    `not_offered` tells why media of it are not made here; empty if they are.
    """

    identifier: str
    annex: str
    media: MediaKind
    table: str
    takes: tuple[Takes, ...]
    keys: KeyTable
    rules: tuple[Rules, ...] = ()
    icon: Icon | None = None
    one_patient_id: bool = True
    not_offered: str = ""
