"""The keys that an application profile adds to directory records, from what an instance has."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Final

from ledger.elements import EMPTY, Element, Elements, encode, find, iterate, iterate_items
from ledger.errors import ElementsError
from ledger.instances.record_keys import Need
from ledger.instances.record_values import element_for
from ledger.tags import SPECIFIC_CHARACTER_SET
from projections.dicomdir.profiles.attributes import ATTRIBUTES, OVERLAYS
from projections.dicomdir.profiles.profile import KeyTable, ProfileKey

_SHARED: Final = ATTRIBUTES["SharedFunctionalGroupsSequence"].tag

WANTED: Final[dict[int, str]] = {
    SPECIFIC_CHARACTER_SET: "CS",
    **{key.tag: key.vr for key in ATTRIBUTES.values() if key.tag >> 16 > 2},
    **dict.fromkeys(OVERLAYS, "US"),
}
"""The VRs of what profiles need of a data set, by tag."""


def keys_of(
    table: KeyTable, record_type: str, sop_class_uid: str, elements: Mapping[int, Element]
) -> Iterator[tuple[ProfileKey, Element | None]]:
    """Yield the additional keys of a record, each with the element that it has.

    `elements` are those of the instance. A value that no record can hold counts as none; a key
    without value is `None` unless it is of type 2, and then is empty.
    """
    charset = elements.get(SPECIFIC_CHARACTER_SET)
    for key in table.of(record_type):
        source = elements.get(key.key.tag)
        if source is None and key.shared is not None:
            source = _shared(elements, key.shared, key.key.tag)
        made = None if source is None else element_for(key.key, source, charset)
        if made is not None and not made.value:
            made = None
        if made is None and key.need_of(sop_class_uid) is Need.TYPE_2:
            made = Element(key.key.tag, key.key.vr, b"")
        yield key, made


def extra_elements(
    table: KeyTable, record_type: str, sop_class_uid: str, elements: Mapping[int, Element]
) -> Elements:
    """Return the additional elements of a record, with the character set of text that needs one."""
    made = [e for _, e in keys_of(table, record_type, sop_class_uid, elements) if e is not None]
    if not made:
        return EMPTY
    charset = elements.get(SPECIFIC_CHARACTER_SET)
    if charset is not None and not all(e.vr == "SQ" or _is_basic(e) for e in made):
        value = charset.value.rstrip(b"\0 ")
        made.append(Element(SPECIFIC_CHARACTER_SET, "CS", value))
    return encode(made)


def _is_basic(element: Element) -> bool:
    return element.value.isascii() and b"\x1b" not in element.value


def _shared(elements: Mapping[int, Element], sequence: int, tag: int) -> Element | None:
    """Return an element of the shared functional groups: all frames have it."""
    groups = elements.get(_SHARED)
    try:
        item = None if groups is None else next(iterate_items(bytes(groups.value)), None)
        if item is not None and sequence:
            group = find(item, sequence)
            item = None if group is None else next(iterate_items(group.value), None)
        return None if item is None else find(item, tag)
    except ElementsError:
        return None


def with_extra(elements: Elements, extra: Elements) -> Elements:
    """Return the elements of a record with additional ones in place of those of the same tags.

    Text that the record's character set can't express is left out: that of another instance.
    """
    if not extra:
        return elements
    own = find(elements, SPECIFIC_CHARACTER_SET)
    more = list(iterate(extra))
    theirs = find(extra, SPECIFIC_CHARACTER_SET)
    if theirs is not None and own is not None and own.value != theirs.value:
        more = [e for e in more if _is_basic(e) and e.tag != SPECIFIC_CHARACTER_SET]
    return encode((*iterate(elements), *more))
