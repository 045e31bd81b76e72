"""Making directory records from an instance, as PS3.3 Section F.5 lists their keys.

The bytes of a record are those that pydicom writes for it. Plain values, nearly all there are, get
their padding trimmed here and nothing else; where a value is multi-valued, in a character set that
needs care, a sequence, or simply odd, the record is made by way of a pydicom dataset.
"""

from __future__ import annotations

import re
import warnings
from collections.abc import Callable, Mapping
from functools import lru_cache
from typing import TYPE_CHECKING, Final, TypeAlias

from ledger.elements import (
    CHARSET_VRS,
    SPECIFIC_CHARACTER_SET,
    Element,
    encode,
    find,
    format_tag,
    iterate,
    iterate_items,
)
from ledger.errors import ElementsError, RecordError
from ledger.events import Record
from ledger.instance import Instance
from ledger.record_keys import (
    ENCAPSULATED_DOCUMENT,
    LEAF_TYPES,
    MODALITY,
    RECORD_KEYS,
    RT_PLAN_LABEL,
    SINGLE_LEVEL_TYPES,
    UPPER_TYPES,
    VERIFICATION_DATE_TIME,
    VERIFYING_OBSERVERS,
    WANTED,
    Key,
    Need,
)

if TYPE_CHECKING:
    from pydicom.dataset import Dataset

__all__ = [
    "MANAGED",
    "RECORD_TYPES",
    "WANTED",
    "build_records",
    "default_recorder",
    "is_usable",
    "leaf_type",
    "record_types",
]

Recorder: TypeAlias = "Callable[[Dataset], Dataset]"
"""Makes a directory record of one type from an instance, both as pydicom datasets."""

MANAGED: Final = frozenset(
    (
        0x00041400, 0x00041410, 0x00041420, 0x00041430,
        0x00041500, 0x00041510, 0x00041511, 0x00041512,
    )
)  # fmt: skip
"""The elements of a record that the DICOMDIR's writer sets: links, type and reference."""

RECORD_TYPES: Final = tuple(RECORD_KEYS)
"""The 31 standard record types, in the order of pydicom's ``DIRECTORY_RECORDERS``."""

# How bytes come through pydicom's decoding and encoding unchanged, by the first value of Specific
# Character Set: whatever they are, if they are valid UTF-8, or if they are ASCII.
_ANY, _UTF_8, _ASCII = range(3)
_REPERTOIRES: Final = (
    dict.fromkeys((b"", b"ISO_IR 6", b"ISO_IR 100"), _ANY)
    | {b"ISO_IR 192": _UTF_8}
    | dict.fromkeys(
        (b"ISO_IR %d" % number for number in (101, 109, 110, 126, 127, 138, 144, 148, 166, 203)),
        _ASCII,
    )
    | dict.fromkeys((b"ISO 2022 IR %d" % number for number in (6, 100)), _ASCII)
)
_UID: Final = re.compile(rb"[0-9.]*").fullmatch
_INTEGER: Final = re.compile(rb"[-+]?[0-9]{1,9}").fullmatch
_ASCII_VRS: Final = frozenset(("CS", "DA", "DT", "TM"))
_NUMBER_SIZES: Final = {"UL": 4, "US": 2}


def record_types(instance: Instance) -> tuple[str, ...]:
    """Return the types of the records that `instance` has, from the top down."""
    single = SINGLE_LEVEL_TYPES.get(instance.sop_class_uid)
    return (single,) if single else (*UPPER_TYPES, leaf_type(instance))


def leaf_type(instance: Instance) -> str:
    """Return the type of the record that references `instance` from below a SERIES."""
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
    return LEAF_TYPES.get(instance.sop_class_uid, "IMAGE")


def build_records(
    instance: Instance,
    recorders: Mapping[str, Recorder] | None = None,
    dataset_factory: Callable[[], Dataset] | None = None,
) -> tuple[Record, ...]:
    """Return the directory records of `instance`, from the top down; the last references it.

    A type in `recorders` is made by that function instead, from the instance's whole dataset,
    which `dataset_factory` is called for at most once.

    Raises :class:`~ledger.errors.RecordError` where a required element is missing or empty.
    """
    builder = _Builder(instance, dataset_factory)
    if not recorders:
        upper = builder.plain_upper()
        if upper is not None:
            return (*upper, builder.default(leaf_type(instance)))
        return tuple(map(builder.default, record_types(instance)))
    return tuple(
        builder.custom(name, recorders[name]) if name in recorders else builder.default(name)
        for name in record_types(instance)
    )


def default_recorder(record_type: str) -> Recorder:
    """Return the function that makes records of `record_type` from pydicom datasets.

    It raises :class:`ValueError` where the dataset lacks a required element or its value.
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
            _put(record, ds, key)
        return record

    recorder.__name__ = recorder.__qualname__ = record_type.lower().replace(" ", "_")
    recorder.__doc__ = f"Return the {record_type} directory record of an instance."
    return recorder


def is_usable(key: Key, element: Element, charset: Element | None) -> bool:
    """Return whether a record can hold as `key` what the instance's `element` holds.

    Of a sequence that is not asked, which can be large.
    """
    if key.vr == element.vr == "SQ":
        return True
    if _plain_value(key.vr, element, _repertoire(charset)) is not None:
        return True
    from pydicom.dataset import Dataset  # noqa: PLC0415  # slow to import, seldom needed

    from ledger.datasets import to_dataset, to_elements  # noqa: PLC0415

    record = Dataset()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            _put(record, to_dataset(encode([e for e in (charset, element) if e])), key)
            to_elements(record)
        except Exception:  # noqa: BLE001 - see _put()
            return False
    return True


def _multiplicity(ds: Dataset, key: Key) -> int:
    """Return how many values `ds` has for `key`; ValueError if they can't be read."""
    try:
        return ds[key.keyword].VM
    except Exception as exc:
        raise ValueError(_invalid(key, exc)) from exc


def _put(record: Dataset, ds: Dataset, key: Key) -> None:
    """Set what `ds` has for `key` in `record`; ValueError if it is no value for it."""
    try:
        setattr(record, key.keyword, ds.get(key.keyword, [] if key.vr == "SQ" else None))
    except Exception as exc:
        # pydicom may stumble over a malformed value with any exception.
        raise ValueError(_invalid(key, exc)) from exc


class _Builder:
    """Makes the records of one instance, with what they share made once."""

    __slots__ = ("_charset", "_factory", "_header", "_part", "_single", "_whole")

    def __init__(self, instance: Instance, factory: Callable[[], Dataset] | None) -> None:
        self._header = instance.header
        if VERIFYING_OBSERVERS in self._header and VERIFICATION_DATE_TIME not in self._header:
            self._header = _with_verification(self._header)
        self._charset = self._header.get(SPECIFIC_CHARACTER_SET)
        self._single = instance.sop_class_uid in SINGLE_LEVEL_TYPES
        self._factory = factory
        self._whole: Dataset | None = None
        self._part: Dataset | None = None

    def plain_upper(self) -> tuple[Record, ...] | None:
        """Return the records above the instance's own, ``None`` where they take a closer look."""
        if self._single:
            return None
        return _plain_upper(tuple(map(self._header.get, _UPPER_TAGS)), self._charset)

    def default(self, record_type: str) -> Record:
        """Return the record of `record_type` as the tables have it."""
        get = self._header.get
        elements = tuple([get(tag) for tag in RECORD_KEYS[record_type].tags])
        charset = self._charset
        make = _plain_record if record_type in _CACHED else _plain_record.__wrapped__
        record = make(record_type, elements, charset, self._single)
        return record or self._general(record_type, elements)

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
        return self._encode(record_type, record, self._whole, keep_charset=not self._single)

    def _general(self, record_type: str, elements: tuple[Element | None, ...]) -> Record:
        from ledger.datasets import to_dataset  # noqa: PLC0415  # imports pydicom

        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            try:
                if self._part is None:
                    self._part = to_dataset(encode(self._header.values()))
                record = default_recorder(record_type)(self._part)
            except Exception as exc:
                # pydicom may stumble over a malformed value with any exception.
                raise _unusable(record_type, exc) from exc
            declared = self._charset is not None and bool(self._charset.value.strip(b"\0 "))
            keep = not self._single or (declared and not all(map(_is_basic, elements)))
            return self._encode(record_type, record, self._part, keep_charset=keep)

    @staticmethod
    def _encode(record_type: str, record: Dataset, ds: Dataset, *, keep_charset: bool) -> Record:
        from ledger.datasets import to_elements  # noqa: PLC0415  # imports pydicom

        if keep_charset and "SpecificCharacterSet" in ds:
            record.SpecificCharacterSet = ds.SpecificCharacterSet
        try:
            return Record(record_type, to_elements(record, without=MANAGED))
        except ElementsError as exc:
            raise _unusable(record_type, exc) from exc


def _with_verification(header: Mapping[int, Element]) -> Mapping[int, Element]:
    """Add when a document was verified last, which its record has to tell (PS3.3 Section F.5).

    The document itself tells of each observer when that was.
    """
    observers = header[VERIFYING_OBSERVERS].value
    told = [
        found.value
        for item in iterate_items(bytes(observers))
        if (found := find(item, VERIFICATION_DATE_TIME)) is not None and found.value.strip(b"\0 ")
    ]
    if not told:
        return header
    return {**header, VERIFICATION_DATE_TIME: Element(VERIFICATION_DATE_TIME, "DT", max(told))}


# Series after series repeats these; the other types are nearly unique to an instance, or large.
_CACHED: Final = frozenset((*UPPER_TYPES, "IMAGE"))


_UPPER_TAGS: Final = tuple({tag: None for kind in UPPER_TYPES for tag in RECORD_KEYS[kind].tags})


@lru_cache(maxsize=1024)
def _plain_upper(
    elements: tuple[Element | None, ...], charset: Element | None
) -> tuple[Record, ...] | None:
    """Return the records of the upper types made from plain values, given by `_UPPER_TAGS`."""
    of_tag = dict(zip(_UPPER_TAGS, elements, strict=True))
    records = []
    for kind in UPPER_TYPES:
        record = _plain_record(
            kind, tuple([of_tag[tag] for tag in RECORD_KEYS[kind].tags]), charset, False
        )
        if record is None:
            return None
        records.append(record)
    return tuple(records)


@lru_cache(maxsize=4096)
def _plain_record(
    record_type: str, elements: tuple[Element | None, ...], charset: Element | None, single: bool
) -> Record | None:
    """Return the record made from plain values, or ``None`` where one is not plain.

    `elements` are those of the record type's keys, in their order. In a `single`-level record
    pydicom leaves Specific Character Set out; so does this one as long as it has no text in it.
    """
    repertoire = _repertoire(charset)
    made: list[Element] = []
    for (key, need), element in zip(RECORD_KEYS[record_type].keys, elements, strict=True):
        if element is None:
            if need is Need.TYPE_1:
                raise _unusable(record_type, _missing(key))
            if need is Need.TYPE_1C:
                continue
            made.append(Element(key.tag, key.vr, b""))
            continue
        value = _plain_value(key.vr, element, repertoire)
        if value is None or (single and charset and not _is_basic(element)):
            return None
        if not value and need is not Need.TYPE_2:
            raise _unusable(record_type, _empty(key))
        made.append(Element(key.tag, key.vr, value))
    if charset is not None and not single:
        value = _plain_value("CS", charset, _ANY)
        if value is None:
            return None
        made.append(Element(SPECIFIC_CHARACTER_SET, "CS", value))
    return Record(record_type, encode(made))


def _plain_value(vr: str, element: Element, repertoire: int | None) -> bytes | None:
    """Return the value as pydicom writes what it read, or ``None`` where that takes pydicom."""
    _, found_vr, raw = element
    if found_vr != vr or len(raw) > 0xFFFE:
        return None
    if vr in _NUMBER_SIZES:
        return None if len(raw) % _NUMBER_SIZES[vr] else raw
    value = raw.rstrip(b"\0 ")
    if vr == "IS":
        return value if _INTEGER(value) or not value else None
    if vr == "UI":
        return value if _UID(value) else None
    if b"\\" in value or (vr == "PN" and b"=" in value):
        return None
    if vr in _ASCII_VRS:
        return value
    return _plain_text(value, repertoire) if vr in CHARSET_VRS else None


def _plain_text(value: bytes, repertoire: int | None) -> bytes | None:
    """Return `value` if pydicom decodes and encodes it to the same bytes, as far as is known."""
    if repertoire is None or b"\x1b" in value:
        return None
    if repertoire == _ANY or value.isascii():
        return value
    if repertoire == _UTF_8:
        try:
            value.decode("utf-8")
        except UnicodeDecodeError:
            return None
        return value
    return None


def _repertoire(charset: Element | None) -> int | None:
    """Return how text comes through in that Specific Character Set, ``None`` if unknown."""
    if charset is None:
        return _ANY
    first, *others = charset.value.rstrip(b"\0 ").split(b"\\")
    found = _REPERTOIRES.get(first)
    return found if found is None or not others else _ASCII


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


def _invalid(key: Key, why: Exception) -> str:
    return f"The instance's {format_tag(key.tag)} '{key.name}' element has an invalid value: {why}"


def _unusable(record_type: str, why: object) -> RecordError:
    return RecordError(
        f"Unable to use the default '{record_type}' record creator: {why}. See DICOM PS3.3 "
        "Section F.5. Either update the instance, define your own record creation function or "
        "use 'FileSet.add_custom()' instead"
    )
