"""What was corrected in an element, as text for events and people."""

from __future__ import annotations

from typing import Any

from ledger.dicom_json import name_text
from ledger.events import ElementCorrected
from ledger.instances.correcting.bodies import SIZE, Body
from ledger.instances.correcting.edits import text_of_path
from ledger.instances.correcting.outcome import Change
from ledger.phrases import count

_LONGEST = 1000
"""Characters of a value that an event tells; the instance itself has all of it."""


def element_of(change: Change) -> ElementCorrected:
    """Return what changed in an element, with its path by keywords and its values as text."""
    return ElementCorrected(
        text_of_path(change.path), text_of_body(change.before), text_of_body(change.after)
    )


def text_of_body(body: Body | None) -> str | None:
    """Return the value of an element as text, `None` if it isn't there."""
    if body is None:
        return None
    if (size := body.get(SIZE)) is not None:
        return f"({count(size, 'byte')})"
    if (binary := body.get("InlineBinary")) is not None:
        return _shortened(f"(base64) {binary}")
    values = body.get("Value", [])
    if body.get("vr") == "SQ":
        return f"({len(values)} items)" if len(values) != 1 else "(1 item)"
    return _shortened("\\".join(map(_one, values)))


def _one(value: Any) -> str:
    if value is None:
        return ""
    if isinstance(value, dict):  # a name, in up to three representations (PS3.5 Section 6.2.1)
        return name_text(value)
    return str(value)


def _shortened(text: str) -> str:
    return text if len(text) <= _LONGEST else f"{text[:_LONGEST]}..."
