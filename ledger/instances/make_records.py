"""Making directory records from an instance, as PS3.3 Section F.5 lists their keys."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import lru_cache
from typing import TYPE_CHECKING, Final, TypeAlias

from ledger.elements import CHARSET_VRS, Element, encode, find, format_tag, iterate, iterate_items
from ledger.errors import ElementsError, RecordError
from ledger.events import Record
from ledger.instances.instance import Instance
from ledger.instances.record_keys import (
    ENCAPSULATED_DOCUMENT,
    KEYS,
    MODALITY,
    RECORD_KEYS,
    RT_PLAN_LABEL,
    UPPER_TYPES,
    VERIFICATION_DATE_TIME,
    VERIFYING_OBSERVERS,
    WANTED,
    Key,
    Need,
)
from ledger.instances.record_values import invalid, put, value_of
from ledger.instances.sop_classes import LEAF_TYPES, SINGLE_LEVEL_TYPES
from ledger.tags import MANAGED, SPECIFIC_CHARACTER_SET

if TYPE_CHECKING:
    from pydicom.dataset import Dataset

__all__ = [
    "RECORD_TYPES",
    "WANTED",
    "build_records",
    "default_recorder",
    "leaf_type",
    "record_types",
]

Recorder: TypeAlias = "Callable[[Dataset], Dataset]"
"""Makes a directory record of one type from an instance, both as pydicom datasets."""

RECORD_TYPES: Final = tuple(RECORD_KEYS)
"""The standard record types: pydicom's in the order of its `DIRECTORY_RECORDERS`, then others."""


def record_types(instance: Instance) -> tuple[str, ...]:
    """Return the types of the records that `instance` has, from the top down."""
    single = SINGLE_LEVEL_TYPES.get(instance.sop_class_uid)
    return (single,) if single else (*UPPER_TYPES, leaf_type(instance))


def leaf_type(instance: Instance) -> str:
    """Return the type of the record that references `instance` from below a SERIES.

    pydicom asks the instance itself first, then its SOP Class, and so does this. An IMAGE record is
    what a class gets that is not known, and a plan without a label or a document without content.
    """
    header = instance.header
    if element := header.get(MODALITY):
        modality = element.value.rstrip(b"\0 ")
        if modality in {b"RTINTENT", b"RTSEGANN", b"RTRAD"}:
            return "RADIOTHERAPY"
        if modality == b"PLAN":
            return "PLAN"
    if ENCAPSULATED_DOCUMENT in header:
        return "ENCAP DOC"
    if RT_PLAN_LABEL in header:
        return "RT PLAN"
    found = LEAF_TYPES.get(instance.sop_class_uid, "IMAGE")
    return "IMAGE" if found in {"ENCAP DOC", "RT PLAN"} else found


def build_records(
    instance: Instance,
    recorders: Mapping[str, Recorder] | None = None,
    dataset_factory: Callable[[], Dataset] | None = None,
) -> tuple[Record, ...]:
    """Return the directory records of `instance`, from the top down; the last references it.

    A type in `recorders` is made by that function instead, from the instance's whole dataset,
    which `dataset_factory` is called for at most once.

    Raises `RecordError` where a required element is missing or empty.
    """
    builder = _Builder(instance, dataset_factory)
    if not recorders:
        return builder.all_default(record_types(instance))
    return tuple(
        builder.custom(name, recorders[name]) if name in recorders else builder.default(name)
        for name in record_types(instance)
    )


def default_recorder(record_type: str) -> Recorder:
    """Return the function that makes records of `record_type` from pydicom datasets.

    It raises `ValueError` where the dataset lacks a required element or its value.
    """
    keys = RECORD_KEYS[record_type].keys

    def recorder(ds: Dataset) -> Dataset:
        from pydicom.dataset import Dataset  # noqa: PLC0415  # slow to import, seldom needed

        for key, need in keys:
            if need is Need.TYPE_1:
                if key.keyword not in ds:
                    raise ValueError(_missing(key))
                if not _multiplicity(ds, key):
                    raise ValueError(_empty(key))
        record = Dataset()
        for key, need in keys:
            if need is Need.TYPE_1C:
                if key.keyword not in ds:
                    continue
                if not _multiplicity(ds, key):
                    raise ValueError(_empty(key))
            put(record, ds, key)
        return record

    recorder.__name__ = recorder.__qualname__ = record_type.lower().replace(" ", "_")
    recorder.__doc__ = f"Return the {record_type} directory record of an instance."
    return recorder


def _multiplicity(ds: Dataset, key: Key) -> int:
    """Return how many values `ds` has for `key`; ValueError if they can't be read."""
    try:
        return ds[key.keyword].VM
    except Exception as exc:
        raise ValueError(invalid(key, exc)) from exc


class _Builder:
    """Makes the records of one instance, with what they share made once."""

    __slots__ = ("_charset", "_factory", "_header", "_single", "_whole")

    def __init__(self, instance: Instance, factory: Callable[[], Dataset] | None) -> None:
        self._header = instance.header
        if VERIFYING_OBSERVERS in self._header and VERIFICATION_DATE_TIME not in self._header:
            self._header = _with_verification(self._header)
        self._charset = self._header.get(SPECIFIC_CHARACTER_SET)
        self._single = instance.sop_class_uid in SINGLE_LEVEL_TYPES
        self._factory = factory
        self._whole: Dataset | None = None

    def all_default(self, types: tuple[str, ...]) -> tuple[Record, ...]:
        """Return the records of these `types`, from the top down, as the tables have them."""
        if self._single:
            return tuple(map(self.default, types))
        upper = _upper_records(tuple(map(self._header.get, _UPPER_TAGS)), self._charset)
        return (*upper, self.default(types[-1]))

    def default(self, record_type: str) -> Record:
        """Return the record of `record_type` as the tables have it."""
        get = self._header.get
        elements = tuple([get(tag) for tag in RECORD_KEYS[record_type].tags])
        charset = self._charset
        make = _record if record_type in _CACHED else _record.__wrapped__
        return make(record_type, elements, charset, self._single)

    def custom(self, record_type: str, recorder: Recorder) -> Record:
        """Return the record of `record_type` as a user's function has it."""
        if self._whole is None:
            if self._factory is None:
                raise TypeError("A recorder of one's own needs a 'dataset_factory'")
            self._whole = self._factory()
        try:
            record = recorder(self._whole)
        except ValueError as exc:
            raise _unusable(record_type, exc) from exc
        if not self._single and "SpecificCharacterSet" in self._whole:
            record.SpecificCharacterSet = self._whole.SpecificCharacterSet
        return self._encode(record_type, record, self._whole)

    def _encode(self, record_type: str, record: Dataset, ds: Dataset) -> Record:
        """Return a user's `record` encoded; what it has from the instance keeps its bytes."""
        from ledger.instances.datasets import to_elements  # noqa: PLC0415  # imports pydicom

        same_charset = record.get("SpecificCharacterSet") == ds.get("SpecificCharacterSet")
        try:
            made = {e.tag: e for e in iterate(to_elements(record, without=MANAGED))}
            for tag in made.keys() & KEYS.keys() & self._header.keys() if same_charset else ():
                if record[tag].value == ds[tag].value:
                    value = value_of(KEYS[tag], self._header[tag], self._charset)
                    made[tag] = Element(tag, KEYS[tag].vr, value)
            return Record(record_type, encode(made.values()))
        except (ElementsError, ValueError) as exc:
            raise _unusable(record_type, exc) from exc


def _with_verification(header: Mapping[int, Element]) -> Mapping[int, Element]:
    """Add the time of a document's last verification, which its record needs (PS3.3 Section F.5).

    The document itself has it for each observer.
    """
    observers = header[VERIFYING_OBSERVERS].value
    times = [
        found.value
        for item in iterate_items(bytes(observers))
        if (found := find(item, VERIFICATION_DATE_TIME)) is not None and found.value.strip(b"\0 ")
    ]
    if not times:
        return header
    return {**header, VERIFICATION_DATE_TIME: Element(VERIFICATION_DATE_TIME, "DT", max(times))}


# Series after series repeats these; the other types are nearly unique to an instance, or large.
_CACHED: Final = frozenset((*UPPER_TYPES, "IMAGE"))


_UPPER_TAGS: Final = tuple({tag: None for kind in UPPER_TYPES for tag in RECORD_KEYS[kind].tags})


@lru_cache(maxsize=1024)
def _upper_records(
    elements: tuple[Element | None, ...], charset: Element | None
) -> tuple[Record, ...]:
    """Return the records of the upper types made from `elements`, given by `_UPPER_TAGS`."""
    of_tag = dict(zip(_UPPER_TAGS, elements, strict=True))
    return tuple(
        _record(kind, tuple([of_tag[tag] for tag in RECORD_KEYS[kind].tags]), charset, False)
        for kind in UPPER_TYPES
    )


@lru_cache(maxsize=4096)
def _record(
    record_type: str, elements: tuple[Element | None, ...], charset: Element | None, single: bool
) -> Record:
    """Return a record of the type.

    `elements` are those of the record type's keys, in their order. In a `single`-level record
    pydicom leaves Specific Character Set out; so does this one as long as it has no text in it.
    """
    made: list[Element] = []
    for (key, need), element in zip(RECORD_KEYS[record_type].keys, elements, strict=True):
        if element is None:
            if need is Need.TYPE_1:
                raise _unusable(record_type, _missing(key))
            if need is Need.TYPE_1C:
                continue
            made.append(Element(key.tag, key.vr, b""))
            continue
        try:
            value = value_of(key, element, charset)
        except (ValueError, ElementsError) as exc:
            raise _unusable(record_type, exc) from exc
        if not value and need is not Need.TYPE_2 and key.vr != "SQ":
            raise _unusable(record_type, _empty(key))
        made.append(Element(key.tag, key.vr, value))
    if charset is not None and (not single or _is_needed(charset, elements)):
        made.append(Element(SPECIFIC_CHARACTER_SET, "CS", charset.value.rstrip(b"\0 ")))
    try:
        return Record(record_type, encode(made))
    except ElementsError as exc:
        raise _unusable(record_type, exc) from exc


def _is_needed(charset: Element, elements: tuple[Element | None, ...]) -> bool:
    """Return whether a record with the values of `elements` has to declare `charset`."""
    return bool(charset.value.strip(b"\0 ")) and not all(map(_is_basic, elements))


def _is_basic(element: Element | None) -> bool:
    """Return whether an element's text is all of the default repertoire."""
    if element is None:
        return True
    if element.vr == "SQ":
        items = iterate_items(element.value)
        return all(_is_basic(nested) for item in items for nested in iterate(item))
    if element.vr not in CHARSET_VRS and element.vr != "UN":
        return True
    return element.value.isascii() and b"\x1b" not in element.value


def _missing(key: Key) -> str:
    return f"The instance's {format_tag(key.tag)} '{key.name}' element is missing"


def _empty(key: Key) -> str:
    return f"The instance's {format_tag(key.tag)} '{key.name}' element cannot be empty"


def _unusable(record_type: str, why: object) -> RecordError:
    return RecordError(
        f"Unable to use the default '{record_type}' record creator: {why}. See DICOM PS3.3 "
        "Section F.5. Either update the instance, define your own record creation function or "
        "use 'FileSet.add_custom()' instead"
    )
