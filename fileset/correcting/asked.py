"""What is asked of a correction, as people give it: keywords, tags or paths, with values."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pydicom.tag import Tag

from fileset.values import known_tag, text_of
from ledger.instances.correcting.edits import REMOVE, Edit, check_edits, path_of


def edits_of(values: Mapping[str, Any]) -> tuple[Edit, ...]:
    """Return what `values` ask for, by keyword, tag or path, checked as far as they can be.

    A value is text or a number, several as a list, `None` or `""` for an empty value, or `REMOVE`.
    Raises `NoSuchKeywordError` (ValueError) or `CorrectionError`.
    """
    edits = tuple(_edit(path, value) for path, value in values.items())
    check_edits(edits)
    return edits


def _edit(path: str | int | tuple[int, int], value: Any) -> Edit:
    if isinstance(path, str) and path.isalpha():
        known_tag(path)  # which tells of near keywords
    if value is not None and value is not REMOVE and not isinstance(value, bytes):
        value = text_of(value) or None
    return Edit(path_of(path) if isinstance(path, str) else (int(Tag(path)),), value)
