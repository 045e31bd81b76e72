"""Events to payload bytes and back: the only place that knows their serialisation.

A payload is one JSON object: the event's fields that differ from their defaults, in the DICOM
JSON model where they are data elements, and a random `nonce`. The nonce keeps the digest of an
erased payload from giving away what it was. Nothing unknown is ever dropped and nothing is
converted to fit: an extra key, an unknown type, a newer version or a value of another type is an
error.

Text from outside may hold bytes that are no characters, as lone surrogates (a file name, an ill
DICOMDIR). Such a payload is JSON in ASCII, with those surrogates as `\\udcXX` escapes.
"""

from __future__ import annotations

import json
from enum import Enum
from functools import cache
from types import ModuleType
from typing import TYPE_CHECKING, Any, TypeVar

import orjson

from ledger.dicom_json import from_json, to_json, to_json_text
from ledger.digest import Digest, to_raw
from ledger.elements import Elements, is_canonical
from ledger.errors import ElementsError, JournalDamagedError, UnknownFormatError
from ledger.events import (
    EVENT_TYPES,
    Content,
    Erased,
    Event,
    InstanceAdded,
    InstanceCorrected,
    Placement,
    Record,
    RecordRef,
)
from ledger.journal import upcasters
from ledger.journal.placing import misplaced

if TYPE_CHECKING:
    from cattrs import Converter

T = TypeVar("T")

_NONCE = "nonce"
# Nearly every event of a large journal is an InstanceAdded: its keys are kept short.
_SHORT_KEYS = {
    "sop_instance_uid": "instance",
    "sop_class_uid": "class",
    "transfer_syntax_uid": "syntax",
}


@cache
def _converter() -> Converter:
    # cattrs takes long to import and to set up: many a command converts no event.
    from cattrs.gen import make_dict_structure_fn, make_dict_unstructure_fn, override  # noqa: PLC0415
    from cattrs.preconf.orjson import make_converter  # noqa: PLC0415

    short_keys: dict[str, Any] = {name: override(rename=key) for name, key in _SHORT_KEYS.items()}
    converter = make_converter(
        forbid_extra_keys=True, omit_if_default=True, detailed_validation=False
    )
    for primitive in (str, int, bool):
        converter.register_structure_hook(primitive, _exactly)
    converter.register_unstructure_hook(Elements, to_json)
    converter.register_structure_hook(Elements, lambda model, _: from_json(model))
    converter.register_unstructure_hook(Digest, str)
    converter.register_structure_hook(Digest, _digest)
    converter.register_unstructure_hook(Erased, _refuse_erased)
    converter.register_unstructure_hook(RecordRef, lambda ref: [ref.position, ref.index])
    converter.register_structure_hook(RecordRef, _record_ref)
    of_content = make_dict_structure_fn(Content, converter, _cattrs_forbid_extra_keys=True)
    converter.register_structure_hook(Content, lambda body, _: _sized(of_content(body, Content)))
    for cls in (InstanceAdded, InstanceCorrected):
        converter.register_unstructure_hook(
            cls,
            make_dict_unstructure_fn(cls, converter, _cattrs_omit_if_default=True, **short_keys),
        )
        converter.register_structure_hook(
            cls,
            make_dict_structure_fn(cls, converter, _cattrs_forbid_extra_keys=True, **short_keys),
        )
    return converter


@cache
def _cattrs() -> ModuleType:
    import cattrs  # noqa: PLC0415 - as in _converter

    return cattrs


def _refuse_erased(_: Erased) -> object:
    raise TypeError("What stands for an erased event is never written")


def _exactly(value: T, cls: type[T]) -> T:
    """Return `value`, which must be of the type `cls`: cattrs itself would convert it."""
    if type(value) is not cls:
        raise TypeError(f"{type(value).__name__} where {cls.__name__} belongs")
    return value


def _sized(content: Content) -> Content:
    if content.size < 0:
        raise ValueError("Content has no negative size")
    return content


def _digest(text: str, _: object) -> Digest:
    to_raw(text)
    return Digest(text)


def _record_ref(pair: list[int], _: object) -> RecordRef:
    position, index = pair
    return RecordRef(_exactly(position, int), _exactly(index, int))


def encode(event: Event, nonce: str) -> bytes:
    """Return the payload of `event`; TypeError or ValueError where a field can't be written."""
    if type(event) is InstanceAdded or type(event) is InstanceCorrected:
        try:
            return orjson.dumps({**_added(event), **_correcting(event), _NONCE: nonce})
        except TypeError:
            pass  # text that is none, or what can't be written: the same is found below
    return encode_any(event, nonce)


def _added(event: InstanceAdded) -> dict[str, Any]:
    """Return the payload of nearly every event of a large journal, its elements as text."""
    body: dict[str, Any] = {
        "instance": event.sop_instance_uid,
        "class": event.sop_class_uid,
        "syntax": event.transfer_syntax_uid,
        "record": _record(event.record),
    }
    if event.parents != ():
        body["parents"] = list(map(_record, event.parents))
    if (under := event.under) is not None:
        body["under"] = [under.position, under.index]
    if (content := event.content) is not None:
        body["content"] = {"digest": str(content.digest), "size": content.size}
    if event.placement is not Placement.VAULT:
        body["placement"] = event.placement
    if event.source is not None:
        body["source"] = event.source
    if event.file_id is not None:
        body["file_id"] = event.file_id
    if event.invented != {}:
        body["invented"] = dict(event.invented.items())
    if event.differing != ():
        body["differing"] = [
            {"of": [each.of.position, each.of.index], "record": _record(each.record)}
            for each in event.differing
        ]
    return body


def _correcting(event: InstanceAdded) -> dict[str, Any]:
    """Return what the payload of an instance that corrects another one has besides."""
    if type(event) is not InstanceCorrected:
        return {}
    found = {"replaces": event.replaces, "stead": event.stead, "rank": event.rank}
    return {key: position for key, position in found.items() if position != 0}


def _record(record: Record) -> dict[str, Any]:
    body = {"type": record.type, "elements": orjson.Fragment(to_json_text(record.elements))}
    if record.unwritten != b"":
        body["unwritten"] = orjson.Fragment(to_json_text(record.unwritten))
    return body


def encode_any(event: Event, nonce: str) -> bytes:
    """Return what `encode` does, by the rules for the fields of any class."""
    body: dict[str, Any] = _converter().unstructure(event)
    body[_NONCE] = nonce
    try:
        return orjson.dumps(body)
    except TypeError:
        return json.dumps(body, separators=(",", ":"), allow_nan=False, default=_enum).encode(
            "ascii"
        )


def _enum(value: object) -> object:
    """Return what orjson makes of an enumeration's member; TypeError for what is none."""
    if isinstance(value, Enum):
        return value.value
    raise TypeError(f"{type(value).__name__} can't be written")


def check(event: Event) -> None:
    """Raise what `encode` would, for most events without the work of encoding."""
    if type(event) is InstanceAdded and _is_plain(event):
        return
    encode(event, "")


def _is_plain(event: InstanceAdded) -> bool:
    """Whether an event holds what its fields say, so that nothing keeps it from being written."""
    return (
        type(event.sop_instance_uid) is str
        and type(event.sop_class_uid) is str
        and type(event.transfer_syntax_uid) is str
        and (event.source is None or type(event.source) is str)
        and (event.file_id is None or type(event.file_id) is str)
        and type(event.placement) is Placement
        and not event.invented
        and type(event.parents) is tuple
        and (event.under is None or _is_plain_ref(event.under))
        and (event.content is None or _is_plain_content(event.content))
        and _is_plain_record(event.record)
        and (not event.parents or all(map(_is_plain_record, event.parents)))
        and not event.differing
    )


def _is_plain_ref(ref: RecordRef) -> bool:
    return type(ref) is RecordRef and type(ref.position) is int and type(ref.index) is int


def _is_plain_content(content: Content) -> bool:
    return type(content) is Content and type(content.size) is int and type(content.digest) is str


def _is_plain_record(record: Record) -> bool:
    return (
        type(record.type) is str
        and is_canonical(record.elements)
        and (not record.unwritten or is_canonical(record.unwritten))
    )


def _newer(what: str) -> UnknownFormatError:
    return UnknownFormatError(
        f"A newer version of fileset-ledger has written to the journal ({what}): this version "
        "can't tell what the File-set is now, and changes nothing. `fileset log`, `show`, `verify` "
        "and `export-journal` work; for all else take the version that wrote it, or a later one.",
        what=what,
    )


def parse(payload: bytes) -> dict[str, Any]:
    """Return the JSON object of a payload; ValueError if it is none."""
    try:
        body = orjson.loads(payload)
    except orjson.JSONDecodeError:
        if b"\\ud" not in payload:
            raise
        try:
            body = json.loads(payload)
        except RecursionError:
            raise ValueError("The payload is nested too deeply") from None
    if not isinstance(body, dict):
        raise ValueError("The payload is not a JSON object")  # noqa: TRY004 - of a value's kind
    return body


def decode(type_name: str, version: int, payload: bytes) -> Event:
    """Return the event of a payload of any known version, a bare `Erased` of an erased one.

    Raises
    ------
    UnknownFormatError
        If the type, the version or a key of the payload is not known here: a newer version of
        this software wrote it.
    JournalDamagedError
        If the payload is not what its type and version say.
    """
    cls = EVENT_TYPES.get(type_name)
    if cls is None:
        raise _newer(f"unknown event type '{type_name}'")
    if version > cls.VERSION:
        raise _newer(f"event '{type_name}' of version {version}, newer than {cls.VERSION}")
    if not payload:
        return Erased(type_name)
    try:
        body = parse(payload)
        body.pop(_NONCE, None)
        body = upcasters.upcast(type_name, version, cls.VERSION, body)
        event: Event = _converter().structure(body, cls)
        if (wrong := misplaced(event)) is not None:
            raise JournalDamagedError(f"The payload of an event '{type_name}' names {wrong}.")
    except _cattrs().ForbiddenExtraKeysError as exc:
        keys = ", ".join(sorted(exc.extra_fields))
        raise _newer(f"event '{type_name}' with unknown keys: {keys}") from exc
    except (
        _cattrs().BaseValidationError,
        ElementsError,
        ValueError,
        TypeError,
        KeyError,
        AttributeError,
        RecursionError,
    ) as exc:
        raise JournalDamagedError(f"The payload of an event '{type_name}' is malformed.") from exc
    return event
