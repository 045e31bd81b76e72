"""The audit trail: messages of PS3.15 Section A.5 made from the journal, and sent.

from fileset.audit import Collector, Cursors, Sender, Spool, audit_messages
"""

from __future__ import annotations

from fileset.audit.collector import Collector
from fileset.audit.cursors import Cursor, Cursors
from fileset.audit.destination import DeliveryError, Destination
from fileset.audit.message import AuditMessage
from fileset.audit.sender import Sender
from fileset.audit.spool import Spool
from fileset.audit.trail import audit_messages

__all__ = [
    "AuditMessage",
    "Collector",
    "Cursor",
    "Cursors",
    "DeliveryError",
    "Destination",
    "Sender",
    "Spool",
    "audit_messages",
]
