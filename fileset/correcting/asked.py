"""What is asked of a correction, as people give it: keywords, tags or paths, with values."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, Final, TypeAlias

from pydicom.tag import Tag

from fileset.correcting.doubts import doubts_of
from fileset.values import known_tag, text_of
from ledger.errors import CorrectionError
from ledger.instances.correcting.edits import (
    REMOVE,
    Edit,
    ElementPath,
    check_edits,
    describe_path,
    path_of,
)
from ledger.instances.correcting.elements import encoded_value
from ledger.instances.correcting.structure import dictionary_vrs
from ledger.instances.correcting.values import NotInCharacterSetError

Name: TypeAlias = str | int | tuple[int, int]
"""What an element is called: a keyword, a path, or a tag."""

_ANY_TEXT: Final = "ISO_IR 192"  # the character set that has every character
_TAG: Final = re.compile(r"\(?[0-9A-Fa-f]{4},?[0-9A-Fa-f]{4}\)?")


def edits_of(values: Mapping[Any, Any]) -> tuple[Edit, ...]:
    """Return what `values` ask for, by keyword, tag or path, checked as far as they can be.

    A value is text or a number, several as a list, `None` or `""` for an empty value, or `REMOVE`.
    Raises `NoSuchKeywordError` (ValueError) or `CorrectionError`.
    """
    edits = tuple(_edit(name, value) for name, value in values.items())
    check_edits(edits)
    for edit in edits:
        _check_value(edit)
    return edits


def path_asked(name: Name) -> ElementPath:
    """Return the path of the element that is called `name`; raises as `edits_of`."""
    if not isinstance(name, str):
        return (int(Tag(name)),)
    for step in name.split("."):
        keyword = step.partition("[")[0]
        if keyword and keyword[0].isalpha() and not _TAG.fullmatch(keyword):
            known_tag(keyword)  # which tells of near keywords
    return path_of(name)


def _edit(name: Name, value: Any) -> Edit:
    if value is not None and value is not REMOVE and not isinstance(value, bytes):
        value = text_of(value) or None
    return Edit(path_asked(name), value)


def _check_value(edit: Edit) -> None:
    """Raise `CorrectionError` for a value that the element can't have, whatever the instance is."""
    vrs = dictionary_vrs(edit.path[-1]) if len(edit.path) % 2 else ()
    if len(vrs) == 1 and edit.value is not REMOVE:
        try:
            encoded_value(edit, vrs[0], _ANY_TEXT)
        except NotInCharacterSetError:
            raise CorrectionError(
                f"{describe_path(edit.path)} can't have this value: it is not text in UTF-8"
            ) from None
        except CorrectionError as exc:
            text = edit.value if isinstance(edit.value, str) else ""
            hints = "".join(f"; {doubt}" for doubt in doubts_of(edit.path[-1], vrs[0], text))
            raise CorrectionError(f"{exc}{hints}") from exc
