"""File IDs: making names for the files of a File-set, and judging them (PS3.10 Section 8)."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from projections.medium.layouts import ALPHABET, PREFIXES, suffix

_PREFIXES = PREFIXES
_COMPONENT_CHARACTERS = frozenset("ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_")


def generate_filename(
    prefix: str = "", start: int = 0, alphanumeric: bool = False
) -> Iterator[str]:
    """Yield names of 8 characters: `prefix`, then a number that counts up from `start`.

    The digits are decimal, or with `alphanumeric` those of
    `ALPHABET`. The names end where the digits do. ValueError if
    `prefix` leaves no room for one.
    """
    if len(prefix) > 7:
        raise ValueError("The 'prefix' must be less than 8 characters long")
    length = 8 - len(prefix)
    base = len(ALPHABET) if alphanumeric else 10
    for number in range(start, base**length):
        yield prefix + suffix(number, length, alphanumeric=alphanumeric)


def is_conformant_file_id(path: Path) -> bool:
    """Whether `path`, relative to the root, is a File ID that PS3.10 Sections 8.2 and 8.5 allow.

    That is at most 8 components of at most 8 characters each, from `A-Z`, `0-9` and `_`.
    """
    parts = path.parts
    return len(parts) <= 8 and all(
        len(part) <= 8 and _COMPONENT_CHARACTERS.issuperset(part) for part in parts
    )
