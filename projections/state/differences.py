"""Where two records of one patient, study or series differ, as a person would see it.

A value that is missing or empty is unknown, and agrees with any other. Text is compared in the
composed form of Unicode and without blanks around it; names without case, repeated blanks and
trailing delimiters, and in the groups (alphabetic, ideographic, phonetic) that both have; dates,
times and numbers as what they mean. Of a patient the elements are compared that tell persons apart;
of a study and a series all that the records have in common, but for sequences.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Iterable, Mapping
from functools import lru_cache
from typing import Final, NamedTuple, TypeAlias

from ledger import elements
from ledger.events import Record
from ledger.tags import (
    ISSUER_OF_PATIENT_ID,
    PATIENT_BIRTH_DATE,
    PATIENT_NAME,
    PATIENT_SEX,
    SPECIFIC_CHARACTER_SET,
)
from projections.dicomdir.text import text_of

OF_PERSONS: Final = {
    PATIENT_NAME: "PN",
    PATIENT_BIRTH_DATE: "DA",
    PATIENT_SEX: "CS",
    ISSUER_OF_PATIENT_ID: "LO",
}
"""What tells persons apart who have one Patient ID, with the VRs."""

Differences: TypeAlias = Mapping[int, tuple[str, str]]
"""Both values, as text, of the elements that differ, by tag."""

Aspect: TypeAlias = tuple[int, int]
"""What is compared: the tag of an element, and the number of a group in it, 0 but for names."""

_TYPES: Final = frozenset(("PATIENT", "STUDY", "SERIES"))
_NOT_TEXT: Final = frozenset(("SQ", "OB", "OW", "UN"))


class Values(NamedTuple):
    """What a record says of the elements that are compared."""

    texts: Mapping[int, str]
    """Their values, by tag."""
    forms: Mapping[Aspect, str]
    """All that is known, in the form in which it is compared."""


@lru_cache(maxsize=256)  # the instances of a series say the same one after the other
def differences(said: Record, standing: Record) -> Differences:
    """Return how two records of one type and key differ; of other types than these three, `{}`."""
    if said.type not in _TYPES or said == standing:
        return {}
    ours, theirs = values_of(said), values_of(standing)
    differ = {
        tag
        for (tag, number), form in ours.forms.items()
        if form != theirs.forms.get((tag, number), form)
    }
    tags = OF_PERSONS if said.type == "PATIENT" else sorted(differ)
    return {tag: (ours.texts[tag], theirs.texts[tag]) for tag in tags if tag in differ}


@lru_cache(maxsize=4096)  # each is compared with many others
def values_of(record: Record) -> Values:
    """Return what `record` says of the elements that are compared."""
    found = {
        element.tag: (OF_PERSONS.get(element.tag, element.vr), text_of(element, beside))
        for beside in (record.elements, record.unwritten)  # the latter counts if both have it
        for element in elements.iterate(beside)
        if element.vr not in _NOT_TEXT and element.tag != SPECIFIC_CHARACTER_SET
        if record.type != "PATIENT" or element.tag in OF_PERSONS
    }
    return Values(
        {tag: text for tag, (_, text) in found.items()},
        {
            (tag, number): form
            for tag, (vr, text) in found.items()
            for number, form in enumerate(_forms(vr, text))
            if form
        },
    )


class Known:
    """What several records say, which another one can be held against at the cost of a look-up."""

    def __init__(self, records: Iterable[Record]) -> None:
        self._alike: dict[tuple[Aspect, ...], list[Mapping[Aspect, str]]] = {}
        self._shared: dict[tuple[tuple[Aspect, ...], ...], set[tuple[str, ...]]] = {}
        for record in records:
            forms = values_of(record).forms
            self._alike.setdefault(tuple(forms), []).append(forms)

    def agrees(self, said: Record) -> bool:
        """Whether `said` differs in nothing from one of the records."""
        ours = values_of(said).forms
        for known, alike in self._alike.items():
            both = tuple([aspect for aspect in known if aspect in ours])
            shared = self._shared.get((known, both))
            if shared is None:
                shared = {tuple([forms[aspect] for aspect in both]) for forms in alike}
                self._shared[known, both] = shared
            if tuple([ours[aspect] for aspect in both]) in shared:
                return True
        return False


def agree(vr: str, one: str, other: str) -> bool:
    """Whether two values, as text, are one to people, or one of them is unknown."""
    pairs = zip(_forms(vr, one), _forms(vr, other), strict=False)
    return all(not ours or not theirs or ours == theirs for ours, theirs in pairs)


def _forms(vr: str, text: str) -> list[str]:
    """Return the form in which each group of a value is compared, empty where it is unknown."""
    return list(map(_name, text.split("="))) if vr == "PN" else [_normal(vr, text)]


def _name(group: str) -> str:
    parts = (" ".join(part.split()) for part in _composed(group).casefold().split("^"))
    return "^".join(parts).rstrip("^")


def _normal(vr: str, text: str) -> str:
    text = _composed(text)
    match vr:
        case "DA":
            return text.replace(".", "")  # as before PS3.5-1993
        case "TM":
            seconds, _, fraction = text.replace(":", "").partition(".")
            return text and f"{seconds:0<6}.{fraction.rstrip('0')}"
        case "IS" | "DS":
            return _number(text)
    return text


def _number(text: str) -> str:
    if text == "None":  # what pydicom makes of an empty one
        return ""
    try:
        return repr(float(text))
    except ValueError:
        return text


def _composed(text: str) -> str:
    return unicodedata.normalize("NFC", text).strip()


def keyword_of(tag: int) -> str:
    """Return the keyword of an element, or its number."""
    from pydicom.datadict import keyword_for_tag  # noqa: PLC0415 - seldom needed

    return keyword_for_tag(tag) or elements.format_tag(tag)


def in_words(record_type: str, found: Differences) -> str:
    """Return how what an instance says differs from the record above it."""
    values = ", ".join(
        f"{keyword_of(tag)} is '{said}' and not '{standing}'"
        for tag, (said, standing) in found.items()
    )
    if record_type == "PATIENT":
        return f"another person may have its Patient ID: {values}"
    return f"other values of its {record_type.lower()} stand: {values}"
