"""Text in the character sets of the Standard (PS3.3 C.12.1.1.2): which bytes are which text."""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import lru_cache
from typing import Final, NamedTuple

from ledger.elements import CODECS

_NUMBERS: Final = (100, 101, 109, 110, 126, 127, 138, 144, 148, 166, 203, 13)
_SINGLE_BYTE: Final = {str(n): CODECS.get(f"ISO_IR {n}", "shift_jis") for n in _NUMBERS}
_WHOLE: Final = {"ISO_IR 192": "utf-8", "GB18030": "gb18030", "GBK": "gbk"}
_EXTENSIONS: Final = frozenset(
    ("ISO 2022 IR 6", "ISO 2022 IR 58", "ISO 2022 IR 87", "ISO 2022 IR 149", "ISO 2022 IR 159")
)
TERMS: Final = frozenset(
    (
        "", "ISO_IR 6", *_WHOLE, *_EXTENSIONS,
        *(f"ISO_IR {number}" for number in _NUMBERS),
        *(f"ISO 2022 IR {number}" for number in _NUMBERS),
    )
)  # fmt: skip
_SHORT: Final = 1024  # bytes of a value that is remembered
PLAIN: Final = frozenset(("", "ISO_IR 6", "ISO 2022 IR 6"))


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
_DELIMITERS: Final = frozenset(b"\\^=\t\n\f\r")
_UPPER: Final = {switch.codec: escape for escape, switch in _SWITCHES.items() if switch.half}
_TO_ASCII: Final = b"\x1b(B"
_PIECES: Final = re.compile(r"[^\\^=\t\n\f\r]+|[\\^=\t\n\f\r]+")
_PARTS: Final = re.compile(rb"\x1b(\$?[()\-]?[A-Za-z])|([^\x1b\x80-\xff]+)|([\x80-\xff]+)|(\x1b)")


def fault_of_charset(charset: str) -> str | None:
    """Return why `charset` is no Specific Character Set (PS3.3 C.12.1.1.2), `None` if it is one."""
    terms = [term.strip() for term in charset.split("\\")]
    if unknown := [term for term in terms if term not in TERMS]:
        return f"the Standard has no character set {unknown[0]!r}; that of UTF-8 is 'ISO_IR 192'"
    if len(terms) > 1:
        others = [term for term in terms if term and not term.startswith("ISO 2022")]
        if others:
            return f"{others[0]!r} can't be one of several: those begin with 'ISO 2022'"
    return None


def decoded(value: bytes, charset: str) -> str | None:
    """Return the text that `value` is in the Specific Character Set `charset`.

    `None` where it is none, or a term of the character set is not one of the Standard.
    """
    if value.isascii() and b"\x1b" not in value:
        return value.decode("ascii")
    return _known(value, charset) if len(value) <= _SHORT else _decoded(value, charset)


def _decoded(value: bytes, charset: str) -> str | None:
    first, *others = (term.strip() for term in charset.split("\\"))
    if not TERMS.issuperset((first, *others)):
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
    initial = _initial(first)
    halves = ["ascii", initial]
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
            # A delimiter brings the first repertoire back (PS3.5 Section 6.1.2.5.3). Where that is
            # ASCII, what comes without its escape sequence is still understood.
            if not prefix and initial != "ascii" and _DELIMITERS.intersection(low):
                halves[1] = initial
        else:
            text.append(high.decode(halves[1]))
    return "".join(text)


def _any(switch: _Switch, numbers: set[str]) -> set[str]:
    """Return one of what declares a switch that is declared, or all of it."""
    declared = numbers.intersection(switch.numbers)
    return declared or set(switch.numbers)


def _initial(first: str) -> str:
    """Return the codec of the upper half of the code table that the term `first` begins with."""
    return _SINGLE_BYTE.get(first.rpartition(" ")[2], "ascii")


def encoded(text: str, charset: str) -> bytes | None:
    """Return `text` in the Specific Character Set `charset`, `None` if it has no such characters.

    With code extensions, every delimiter begins anew with the first repertoire (PS3.5 Section
    6.1.2.5.3). `None` also where a term of the character set is not one of the Standard.
    """
    if text.isascii():
        return text.encode("ascii")
    first, *others = (term.strip() for term in charset.split("\\"))
    if not TERMS.issuperset((first, *others)):
        return None
    if codec := _WHOLE.get(first):
        return _one(text, codec)
    numbers = {term.rpartition(" ")[2] for term in (first, *others) if "2022" in term}
    switches = [(b"", _Switch(1, _initial(first), ()))]
    switches += [each for each in _SWITCHES.items() if numbers.intersection(each[1].numbers)]
    pieces = [_by_switches(piece, first, switches) for piece in _PIECES.findall(text)]
    return None if None in pieces else b"".join(filter(None, pieces))


def _by_switches(piece: str, first: str, switches: list[tuple[bytes, _Switch]]) -> bytes | None:
    """Return `piece`, without delimiters, with escape sequences where they are needed."""
    to_ascii = b"\x1b(J" if first.endswith(" 13") else _TO_ASCII
    to_initial = b"\x1b" + _UPPER.get(_initial(first), b"")
    low, high = b"", b""  # what the halves of the code table were switched to
    made = b""
    for character in piece:
        found = next(_ways(character, switches), None)
        if character.isascii():
            made += to_ascii * bool(low) + character.encode("ascii")
            low = b""
        elif found is None:
            return None
        else:
            escape, half, code = found
            if escape != (high if half else low):
                made += b"\x1b" + escape if escape else to_initial
            made += code
            low, high = (low, escape) if half else (escape, high)
    # In some VRs a reader takes fewer of the delimiters for such.
    return made + to_ascii * bool(low) + to_initial * (len(to_initial) > 1 and bool(high))


def _ways(
    character: str, switches: list[tuple[bytes, _Switch]]
) -> Iterator[tuple[bytes, int, bytes]]:
    """Yield how `character` is encoded: the escape sequence, the half of the table, the code."""
    for escape, (half, codec, _) in switches:
        code = _one(character, codec)
        if code is None:
            continue
        if not half and code[1 : 1 + len(escape)] == escape:
            yield escape, half, code[1 + len(escape) : -len(_TO_ASCII)]
        elif half and min(code) > 0x7F and (codec != "shift_jis" or len(code) == 1):
            yield escape, half, code


def _one(text: str, codec: str) -> bytes | None:
    try:
        return text.encode(codec)
    except UnicodeEncodeError:
        return None
