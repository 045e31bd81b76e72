"""Text in the character sets of the Standard: whether bytes are text, and which (PS3.3 C.12.1.1.2).

This is for checks and for people to read. What an element holds stays bytes, whatever they are.
"""

from __future__ import annotations

import re
import warnings
from collections.abc import Iterable, Iterator, Mapping
from functools import lru_cache
from typing import Final, NamedTuple

from ledger.elements import (
    CHARSET_VRS,
    CODECS,
    Element,
    character_set,
    format_tag,
    iterate,
    iterate_items,
)
from projections.dicomdir.findings import FindingKind

_NUMBERS: Final = (100, 101, 109, 110, 126, 127, 138, 144, 148, 166, 203, 13)
_SINGLE_BYTE: Final = {str(n): CODECS.get(f"ISO_IR {n}", "shift_jis") for n in _NUMBERS}
_WHOLE: Final = {"ISO_IR 192": "utf-8", "GB18030": "gb18030", "GBK": "gbk"}
_EXTENSIONS: Final = frozenset(
    ("ISO 2022 IR 6", "ISO 2022 IR 58", "ISO 2022 IR 87", "ISO 2022 IR 149", "ISO 2022 IR 159")
)
_TERMS: Final = frozenset(
    (
        "", "ISO_IR 6", *_WHOLE, *_EXTENSIONS,
        *(f"ISO_IR {number}" for number in _NUMBERS),
        *(f"ISO 2022 IR {number}" for number in _NUMBERS),
    )
)  # fmt: skip
_REPLACED: Final = "\ufffd"  # in the place of what pydicom can't decode
_SHORT: Final = 1024  # bytes of a value that is remembered
_PLAIN: Final = frozenset(("", "ISO_IR 6", "ISO 2022 IR 6"))


class _Switch(NamedTuple):
    """What an escape sequence switches to: a half of the code table, its codec, who declares it."""

    half: int
    codec: str
    numbers: tuple[str, ...]


_JAPANESE: Final = ("13", "87", "159")
_SWITCHES: Final = {
    b"(B": _Switch(0, "ascii", ()),
    b"(J": _Switch(0, "ascii", _JAPANESE),
    b")I": _Switch(1, "shift_jis", _JAPANESE),
    b"$B": _Switch(0, "iso2022_jp", ("87",)),
    b"$(D": _Switch(0, "iso2022_jp_2", ("159",)),
    b"$)C": _Switch(1, "euc_kr", ("149",)),
    b"$)A": _Switch(1, "gb2312", ("58",)),
    **{
        b"-" + final: _Switch(1, _SINGLE_BYTE[number], (number,))
        for final, number in (
            (b"A", "100"), (b"B", "101"), (b"C", "109"), (b"D", "110"), (b"F", "126"),
            (b"G", "127"), (b"H", "138"), (b"L", "144"), (b"M", "148"), (b"T", "166"),
            (b"b", "203"),
        )
    },
}  # fmt: skip
_PARTS: Final = re.compile(rb"\x1b(\$?[()\-]?[A-Za-z])|([^\x1b\x80-\xff]+)|([\x80-\xff]+)|(\x1b)")


def decoded(value: bytes, charset: str) -> str | None:
    """Return the text that `value` is in the Specific Character Set `charset`.

    `None` where it is none, or a term of the character set is not one of the Standard.
    """
    if value.isascii() and b"\x1b" not in value:
        return value.decode("ascii")
    return _known(value, charset) if len(value) <= _SHORT else _decoded(value, charset)


def _decoded(value: bytes, charset: str) -> str | None:
    first, *others = (term.strip() for term in charset.split("\\"))
    if not _TERMS.issuperset((first, *others)):
        return None
    try:
        if codec := _WHOLE.get(first):
            return None if b"\x1b" in value else value.decode(codec)
        return _by_parts(value, first, others)
    except UnicodeDecodeError:
        return None


_known: Final = lru_cache(maxsize=4096)(_decoded)


def _by_parts(value: bytes, first: str, others: list[str]) -> str | None:
    """Return the text of a value in one or several single-byte and escaped repertoires."""
    numbers = {term.rpartition(" ")[2] for term in (first, *others) if "2022" in term}
    halves = ["ascii", _SINGLE_BYTE.get(first.rpartition(" ")[2], "ascii")]
    prefix = b""
    text = []
    for part in _PARTS.finditer(value):
        escape, low, high, stray = part.groups()
        if stray is not None:
            return None
        if escape is not None:
            switch = _SWITCHES.get(escape)
            if switch is None or not numbers or not numbers.issuperset(_any(switch, numbers)):
                return None
            halves[switch.half] = switch.codec
            if not switch.half:
                prefix = b"\x1b" + escape if switch.codec.startswith("iso2022") else b""
        elif low is not None:
            text.append((prefix + low).decode(halves[0]))
        else:
            text.append(high.decode(halves[1]))
    return "".join(text)


def _any(switch: _Switch, numbers: set[str]) -> set[str]:
    """Return one of what declares a switch that is declared, or all of it."""
    declared = numbers.intersection(switch.numbers)
    return declared or set(switch.numbers)


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
    unknown = [term for term in terms if term not in _TERMS]
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
        elif _PLAIN.issuperset(terms):
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
