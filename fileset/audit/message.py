"""An audit message, and how it is sent by syslog (RFC 5424, RFC 5425; PS3.15 Section A.6)."""

from __future__ import annotations

import re
from typing import Final

from attrs import frozen

from ledger.journal.entries import Change
from projections.past.audit import Audited

LONGEST: Final = 32_768
"""Octets of a syslog message that every receiver takes (PS3.15 Section A.6)."""

HEADER_ROOM: Final = 768
"""Octets that are kept free for what stands before the XML."""

_PRIORITY: Final = 10 * 8 + 5  # security messages, normal but significant
_APPLICATION: Final = "fileset-ledger"
_MESSAGE_ID: Final = "DICOM+RFC3881"
_BOM: Final = b"\xef\xbb\xbf"  # which has to tell that the rest is UTF-8
_NOT_IN_HEADER: Final = re.compile(r"[^!-~]")


@frozen
class AuditMessage:
    """One message: its `xml` tells what `change` did; it is the `part` of `parts` about that.

    Parts are counted through the whole change, whatever its messages tell of: one that moves
    instances from one patient to another has a message for each.

    The same position of a journal gives the same bytes, unless something was erased in between.
    """

    change: Change
    kind: Audited
    part: int
    parts: int
    xml: bytes

    @property
    def name(self) -> str:
        """Its name in the journal, of which no two have the same; they sort in its order."""
        return f"{self.change.last:012}-{self.process}"

    @property
    def process(self) -> str:
        """What stands in the place of a process in the header: the change, and which part of it."""
        return f"{self.change.id}-{self.part:04}"

    def syslog(self, host: str) -> bytes:
        """Return the message as a receiver gets it from the machine `host`, framed by its length.

        `process` tells messages that belong together, and one that comes twice (RFC 5424 Section
        6.2.6). Its time is that of the journal.
        """
        header = (
            f"<{_PRIORITY}>1 {_field(self.change.recorded_at, 64)} {_field(host, 255)} "
            f"{_APPLICATION} {_field(self.process, 128)} {_MESSAGE_ID} - "
        )
        message = header.encode("ascii") + _BOM + self.xml
        return f"{len(message)} ".encode("ascii") + message


def _field(value: str, most: int) -> str:
    """Return a field of the header: printable ASCII without spaces, `-` for nothing."""
    return _NOT_IN_HEADER.sub("_", value)[:most] or "-"
