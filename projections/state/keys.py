"""What distinguishes directory records from their siblings."""

from __future__ import annotations

from functools import lru_cache

from ledger import elements
from ledger.events import Record
from ledger.tags import RECORD_IDENTIFIERS


def record_key(record: Record, sop_instance_uid: str | None = None) -> str | None:
    """Return what tells `record` from its siblings, `None` if it lacks the element.

    That is Patient ID, the Study, Series or Private Record UID, and for other types and for a
    STUDY without UID the referenced SOP Instance UID (PS3.3 Section F.5).
    """
    return key_of(record.type, record.elements, sop_instance_uid)


def key_of(record_type: str, record: elements.Elements, sop_instance_uid: str | None) -> str | None:
    """Return what `record_key` does, given the record's type and elements."""
    tag = RECORD_IDENTIFIERS.get(record_type)
    if tag is None:
        return sop_instance_uid
    key = _value(record, tag)
    return sop_instance_uid if key is None and record_type == "STUDY" else key


@lru_cache(maxsize=1024)  # the instances of a series bring the same records one after the other
def _value(record: elements.Elements, tag: int) -> str | None:
    return elements.plain_text(elements.find(record, tag), elements.character_set(record))
