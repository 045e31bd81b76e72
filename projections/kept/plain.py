"""Values as dicts, lists, text and numbers, which is what can be kept as JSON; and back."""

from __future__ import annotations

from typing import Any, Final

from attrs import asdict

from ledger.elements import Elements
from projections.dicomdir.definitions import FileSetIdentity

LATIN: Final = "latin-1"  # maps bytes to text one to one


def plain(value: Any) -> dict[str, Any] | None:
    """Return an attrs value as dicts, lists, text and numbers, its bytes as text."""
    return None if value is None else asdict(value, value_serializer=_plain_value)


def _plain_value(_: Any, __: Any, value: Any) -> Any:
    return value.decode(LATIN) if isinstance(value, bytes) else value


def identity_of(row: dict[str, Any]) -> FileSetIdentity:
    """Return the identity that `plain` made `row` of."""
    return FileSetIdentity(
        **{
            **row,
            "descriptor_file_id": frozen_value(row["descriptor_file_id"]),
            "elements": Elements(row["elements"].encode(LATIN)),
            "file_meta": Elements(row["file_meta"].encode(LATIN)),
        }
    )


def frozen_value(value: Any) -> Any:
    """Return a field's value as an identity holds it: descriptor components are a tuple."""
    return tuple(value) if isinstance(value, list) else value
