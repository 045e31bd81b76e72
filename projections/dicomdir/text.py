"""The text of elements, for checks and for people to read.

What an element holds stays bytes, whatever they are.
"""

from __future__ import annotations

import warnings
from collections.abc import Iterable, Iterator, Mapping
from typing import Final

from ledger.elements import CHARSET_VRS, Element, character_set, format_tag, iterate, iterate_items
from ledger.instances.character_sets import PLAIN, TERMS, decoded
from projections.dicomdir.findings import FindingKind

_REPLACED: Final = "\ufffd"  # in the place of what pydicom can't decode


def readable(element: Element | None, charset: str) -> str:
    """Return an element's text for people, `""` where there is no such element.

    Of what is no text in `charset`, the bytes that are not ASCII are escaped.
    """
    if element is None:
        return ""
    value = element.value.rstrip(b"\0 ")
    text = decoded(value, charset if element.vr in CHARSET_VRS else "")
    return value.decode("ascii", "backslashreplace") if text is None else text


def text_of(element: Element | None, of_record: bytes) -> str:
    """Return an element's value as pydicom prints it, escaped where it is no text."""
    if element is None:
        return ""
    if element.vr == "IS" and not element.value.strip(b"\0 "):
        return "None"
    if element.value.isascii() and b"\x1b" not in element.value and b"\\" not in element.value:
        text = element.value.decode("ascii").rstrip("\0 ")
        return text.rstrip("=") if element.vr == "PN" else text
    from ledger.instances.datasets import to_dataset  # noqa: PLC0415 - pydicom only where it is needed

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # they would not say of which record they are
        try:
            text = str(to_dataset(of_record)[element.tag].value)
        except Exception:  # noqa: BLE001 - pydicom raises many things on values it can't decode
            text = _REPLACED
    return readable(element, character_set(of_record)) if _REPLACED in text else text


def faults_of_text(
    held: bytes, elements: Mapping[int, Element], common: str = ""
) -> Iterator[tuple[FindingKind, str]]:
    """Yield what is wrong with the text of a record, to be read after "The record ...".

    `elements` are those of the encoded record `held`, by tag; `common` is the Specific Character
    Set that applies where the record declares none.
    """
    declared = character_set(held) or common
    terms = [term.strip() for term in declared.split("\\")]
    unknown = [term for term in terms if term not in TERMS]
    if unknown:
        fault = (
            "has a Specific Character Set (0008,0005) that the Standard doesn't know, "
            f"{unknown[0]!r}: give it the right one"
        )
        yield FindingKind.BAD_CHARACTER_SET, fault
    if unknown or (held.isascii() and b"\x1b" not in held):
        return
    for element in _texts(elements.values()):
        if decoded(element.value.rstrip(b"\0 "), declared) is not None:
            continue
        tag = format_tag(element.tag)
        if b"\x1b" in element.value and not any("2022" in term for term in terms):
            yield _undeclared(f"{tag} switches character sets by escape sequences")
        elif PLAIN.issuperset(terms):
            yield _undeclared(f"{tag} has text that is not ASCII")
        else:
            fault = f"has text in {tag} that is not in its character set, {declared}"
            yield FindingKind.BAD_CHARACTER_SET, f"{fault}: correct the text or (0008,0005)"


def _undeclared(why: str) -> tuple[FindingKind, str]:
    return (
        FindingKind.UNDECLARED_CHARACTER_SET,
        f"does not declare it in Specific Character Set (0008,0005), but {why}: add (0008,0005)",
    )


def _texts(elements: Iterable[Element]) -> Iterator[Element]:
    """Yield the elements whose text a character set decides on, also those in sequences."""
    for element in elements:  # nested no deeper than the decoder lets pass
        if element.vr in CHARSET_VRS:
            yield element
        elif element.vr == "SQ":
            for item in iterate_items(element.value):
                yield from _texts(iterate(item))
