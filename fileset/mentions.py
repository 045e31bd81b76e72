"""Texts that tell who a person is: paths, reasons and the like, in which people put names."""

from __future__ import annotations

import re
import warnings
from functools import cached_property
from io import BytesIO
from pathlib import Path
from typing import Final

from attrs import define

from projections.erasing import KEYWORDS, Identifiers

_SHORTEST: Final = 3  # of a Patient ID or a name: a shorter one is found in any text
_UID: Final = re.compile(r"[0-9]+(?:\.[0-9]+)+")


@define(slots=False)
class Mentions:
    """Looks for a person in texts, whatever the case and what stands between the parts of a name.

    A name is found where its family and given name are, as words.
    """

    identifiers: Identifiers

    def of_person(self, text: str) -> bool:
        """Whether the Patient ID or the name is in `text`."""
        folded = text.casefold()
        return any(all(self._has(folded, word) for word in words) for words in self._wanted)

    def of_any(self, text: str) -> bool:
        """Whether the Patient ID, the name, or a UID of the person's data is in `text`."""
        return self.of_person(text) or not self.identifiers.uids.isdisjoint(_UID.findall(text))

    def is_of_person(self, value: str) -> bool:
        """Whether `value` is the very Patient ID or a UID of the person's data."""
        return value in self.identifiers.patients or value in self.identifiers.uids

    @staticmethod
    def _has(text: str, word: str) -> bool:
        if word not in text:
            return False
        return re.search(rf"(?<![^\W_]){re.escape(word)}(?![^\W_])", text) is not None

    @cached_property
    def _wanted(self) -> list[tuple[str, ...]]:
        """The words that have to be there together, for the ID and each way to write the name."""
        wanted: list[tuple[str, ...]] = [
            (patient.casefold(),) for patient in sorted(self.identifiers.patients)
        ]
        for name in sorted(self.identifiers.names):
            for group in name.casefold().split("="):
                parts = tuple(part.strip() for part in group.split("^")[:2] if part.strip())
                wanted.append(parts)
        return [words for words in wanted if words and max(map(len, words)) >= _SHORTEST]


def ids_in(file: Path | bytes) -> list[str]:
    """Return what a file says of whose it is, however damaged it is: IDs and UIDs."""
    from pydicom import dcmread  # noqa: PLC0415 - slow to import, seldom needed

    source = BytesIO(file) if isinstance(file, bytes) else file
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            found = dcmread(source, stop_before_pixels=True, force=True, specific_tags=[*KEYWORDS])
            told = [str(found.get(keyword, "")).strip() for keyword in KEYWORDS]
        except Exception:  # noqa: BLE001 - pydicom may stumble over a damaged file with any
            return []
    return [text for text in told if text]
