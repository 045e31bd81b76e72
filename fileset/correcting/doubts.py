"""Values that an element can have, and that are hardly what was meant."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Final

from ledger.tags import PATIENT_SEX

_SEXES: Final = ("M", "F", "O")  # the enumerated values of PS3.3 Section C.7.1.1
_MEANT: Final = {
    **dict.fromkeys(("m", "male", "man", "männlich", "mann"), "M"),
    **dict.fromkeys(("f", "female", "woman", "w", "weiblich", "frau"), "F"),
    **dict.fromkeys(("o", "other", "d", "divers"), "O"),
}
_COMMA: Final = re.compile(r"\s*,\s*")


def doubts_of(tag: int, vr: str, text: str) -> Iterator[str]:
    """Yield what makes a new value of an element doubtful; several values are joined by `\\`."""
    if tag == PATIENT_SEX and (sex := text.strip()) and sex not in _SEXES:
        meant = _MEANT.get(sex.lower())
        yield f"the sex {sex!r} is none of M, F and O{f': is {meant} meant?' if meant else ''}"
    if vr == "PN":
        for name in text.split("\\"):
            parts = _COMMA.split(name.strip())
            if len(parts) > 1 and "^" not in name:
                meant = f": is {'^'.join(parts)} meant?" if len(parts) == 2 and all(parts) else ""
                yield f"the name {name!r} has no ^ between family name and given name{meant}"
