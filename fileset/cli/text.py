"""Text that is safe to print: file names and DICOM values may hold anything."""

from __future__ import annotations

import unicodedata


def clean(text: str) -> str:
    """Return `text` with every character that could act on a terminal or break a line escaped.

    Those are the control, format and separator characters other than spaces, and the bytes of a
    file name that is not UTF-8.
    """
    if text.isprintable():
        return text
    return "".join(char if _is_harmless(char) else _escape(char) for char in text)


def _is_harmless(char: str) -> bool:
    return char.isprintable() or unicodedata.category(char) == "Zs"


def _escape(char: str) -> str:
    code = ord(char)
    if 0xDC80 <= code <= 0xDCFF:  # a byte that Python could not decode (PEP 383)
        return f"\\x{code - 0xDC00:02x}"
    if char in "\n\r\t":
        return {"\n": "\\n", "\r": "\\r", "\t": "\\t"}[char]
    if code < 0x100:
        return f"\\x{code:02x}"
    return f"\\u{code:04x}" if code < 0x10000 else f"\\U{code:08x}"


def storable(text: str) -> str:
    """Return `text` as it can be kept in the journal: bytes that are not UTF-8 escaped."""
    return text.encode("utf-8", "backslashreplace").decode("utf-8")


def count(number: int, noun: str) -> str:
    """Return `number` and `noun`, which takes an s in the plural."""
    return f"{number:,} {noun}" if number == 1 else f"{number:,} {noun}s"


def some(items: list[str], limit: int = 3) -> str:
    """Return the first `limit` of `items`, and how many more there are."""
    more = len(items) - limit
    return ", ".join(items[:limit]) + (f" and {more:,} more" if more > 0 else "")
