"""Comparing instances with an application profile: what does not fit, and by which table."""

from __future__ import annotations

import struct
from collections.abc import Iterator, Mapping
from typing import Final, TypeAlias

from attrs import frozen

from ledger.elements import TEXT_VRS, Element, find, iterate_items
from ledger.errors import ElementsError
from ledger.instances.record_keys import Need
from ledger.instances.sop_classes import KNOWN_TYPES
from ledger.phrases import count
from projections.dicomdir.profiles.attributes import ATTRIBUTES, OVERLAYS
from projections.dicomdir.profiles.profile import (
    AtMost,
    Less,
    NoOverlay,
    OneOf,
    Profile,
    Rule,
    Takes,
    There,
)
from projections.dicomdir.profiles.record_keys import keys_of
from projections.dicomdir.profiles.syntaxes import syntax_name

Values: TypeAlias = tuple[str | int, ...]

_NUMBERS: Final = {"US": "H", "FD": "d"}


@frozen
class InstanceFacts:
    """What a profile may ask of an instance.

    `record_types` are those of its directory records, from the top down. `elements` are those of
    its data set that a profile speaks of (`record_keys.WANTED`), by tag, encoded as in
    `ledger.instances.instance.Instance`.
    """

    sop_class_uid: str
    transfer_syntax_uid: str
    record_types: tuple[str, ...]
    elements: Mapping[int, Element]

    def values(self, keyword: str) -> Values:
        """Return the values of an attribute, none if it has none or they are of another VR."""
        if keyword == "TransferSyntaxUID":
            return (self.transfer_syntax_uid,)
        return _values(ATTRIBUTES[keyword].vr, self.elements.get(ATTRIBUTES[keyword].tag))


@frozen
class Misfit:
    """What does not fit, said of the instance, and the `table` or section of PS3.11 that says so.

    `convertible` tells that only the encoding is wrong, which can be changed without a loss.
    """

    what: str
    table: str
    convertible: bool = False

    @property
    def reference(self) -> str:
        """Where PS3.11 says so."""
        return f"PS3.11 {'Table' if '-' in self.table else 'Section'} {self.table}"

    def in_words(self) -> str:
        """Return it as people read it."""
        return f"{self.what} ({self.reference})"


def fits(instance: InstanceFacts, profile: Profile) -> tuple[Misfit, ...]:
    """Return what of `instance` does not fit `profile`: nothing if it fits.

    Whether an icon that its record needs can be made is another question (`without_icon`).
    """
    found = (_encoding, _attributes, _keys)
    return tuple(misfit for each in found for misfit in each(instance, profile))


def without_icon(profile: Profile, why: str) -> Misfit:
    """Return what is said of an instance of whose record's icon only is known why it has none."""
    section = "" if profile.icon is None else profile.icon.section
    return Misfit(f"its record needs an icon, and {why}", section)


def _encoding(instance: InstanceFacts, profile: Profile) -> Iterator[Misfit]:
    sop_class = instance.sop_class_uid
    of_class = [takes for takes in profile.takes if _has_class(takes, sop_class)]
    if not of_class:
        known = "is none of the profile's" if sop_class in KNOWN_TYPES else "is not known"
        yield Misfit(f"its SOP Class {sop_class} {known}", profile.table)
        return
    syntax = instance.transfer_syntax_uid
    of_syntax = [each for each in of_class if each.syntaxes is None or syntax in each.syntaxes]
    if not of_syntax:
        allowed = sorted({uid for each in of_class for uid in each.syntaxes or ()})
        which = " or ".join(map(syntax_name, allowed))
        yield Misfit(
            f"its transfer syntax is {syntax_name(syntax)}, and not {which}",
            profile.table,
            convertible=is_convertible(syntax) and any(not each.frames for each in of_class),
        )
    elif all(takes.frames for takes in of_syntax) and not instance.values("NumberOfFrames"):
        which = syntax_name(syntax)
        yield Misfit(f"only multi-frame images may be in {which}, and it is none", profile.table)


def _has_class(takes: Takes, sop_class: str) -> bool:
    return sop_class in (KNOWN_TYPES if takes.classes is None else takes.classes)


def _attributes(instance: InstanceFacts, profile: Profile) -> Iterator[Misfit]:
    for rules in profile.rules:
        if instance.sop_class_uid in rules.classes and all(
            set(instance.values(keyword)).intersection(values) for keyword, values in rules.when
        ):
            for rule in rules.rules:
                what = _fault(instance, rule)
                if what is not None:
                    yield Misfit(what, rules.table)


def _fault(instance: InstanceFacts, rule: Rule) -> str | None:
    """Return what is wrong with an attribute, `None` if nothing is."""
    match rule:
        case OneOf(keyword, allowed):
            found = instance.values(keyword)
            if len(found) == 1 and found[0] in allowed:
                return None
            if keyword == "TransferSyntaxUID":
                which = " or ".join(syntax_name(str(uid)) for uid in allowed)
                photometric = _shown(instance.values("PhotometricInterpretation"))
                return f"its pixels are {photometric}, and for these it has to be in {which}"
            return f"its {_name(keyword)} {_is(found)}, and not {_any_of(allowed)}"
        case AtMost(keyword, most):
            found = instance.values(keyword)
            if len(found) == 1 and isinstance(found[0], int) and found[0] <= most:
                return None
            return f"its {_name(keyword)} {_is(found)}, and not at most {most}"
        case Less(keyword, other, by):
            found, others = instance.values(keyword), instance.values(other)
            if found and others and isinstance(others[0], int) and found[0] == others[0] - by:
                return None
            less = f"{by} less than" if by else "the same as"
            return f"its {_name(keyword)} {_is(found)}, and not {less} {_name(other)}"
        case There(keyword, filled, within):
            return _absence(instance, keyword, filled=filled, within=within)
        case NoOverlay():
            there = sum(tag in instance.elements for tag in OVERLAYS)
            return f"it has {count(there, 'overlay')}, and may have none" if there else None


def _absence(instance: InstanceFacts, keyword: str, *, filled: bool, within: str) -> str | None:
    key = ATTRIBUTES[keyword]
    if within:
        sequence = instance.elements.get(ATTRIBUTES[within].tag)
        items = _items(sequence)
        if all(_is_there(find(item, key.tag), filled=filled) for item in items):
            return None
        return f"an item of its {_name(within)} has no {_name(keyword)}"
    if _is_there(instance.elements.get(key.tag), filled=filled):
        return None
    return f"it has no {_name(keyword)}"


def _is_there(element: Element | None, *, filled: bool) -> bool:
    if element is None or not filled:
        return element is not None
    return bool(element.value.strip(b"\0 ") if element.vr in TEXT_VRS else element.value)


def _items(sequence: Element | None) -> tuple[bytes, ...]:
    try:
        return () if sequence is None else tuple(iterate_items(bytes(sequence.value)))
    except ElementsError:
        return ()


def _keys(instance: InstanceFacts, profile: Profile) -> Iterator[Misfit]:
    """Yield which values that its records must have the instance lacks."""
    for record_type in instance.record_types:
        for key, element in keys_of(
            profile.keys, record_type, instance.sop_class_uid, instance.elements
        ):
            if element is None and key.need_of(instance.sop_class_uid) is Need.TYPE_1:
                what = f"its {record_type} record needs {_name(key.key.keyword)}, which it lacks"
                yield Misfit(what, profile.keys.table)


def is_convertible(transfer_syntax_uid: str) -> bool:
    """Whether an instance can be had in Explicit VR Little Endian without decoding its pixels."""
    return transfer_syntax_uid in {
        "1.2.840.10008.1.2",
        "1.2.840.10008.1.2.1.99",
        "1.2.840.10008.1.2.2",
    }


def _values(vr: str, element: Element | None) -> Values:
    if element is None or element.vr not in {vr, "UN"}:
        return ()
    value = bytes(element.value)
    if code := _NUMBERS.get(vr):
        size = struct.calcsize(code)
        return (
            struct.unpack(f"<{len(value) // size}{code}", value) if len(value) % size == 0 else ()
        )
    text = value.decode("latin-1").strip("\0 ")
    return tuple(part.strip(" ") for part in text.split("\\")) if text else ()


def _name(keyword: str) -> str:
    return ATTRIBUTES[keyword].name


def _shown(values: Values) -> str:
    return "\\".join(map(str, values))


def _is(values: Values) -> str:
    return f"is {_shown(values)}" if values else "is missing"


def _any_of(values: Values) -> str:
    *most, last = map(str, values)
    return f"{', '.join(most)} or {last}" if most else last
