"""`audit`: the audit trail, its own commands."""

from __future__ import annotations

from typing import Final

from fileset.cli.command import Group

SUMMARIES: Final = {
    "Commands": {
        "send": "Send what was not sent yet.",
        "show": "Show messages as they are sent.",
        "status": "Show how far each receiver is.",
    }
}
"""What each command does in a few words; it is in the module `audit_` and its name."""

audit = Group(
    SUMMARIES,
    within="audit_",
    name="audit",
    help="""Send audit messages of what came in, went out, was corrected or erased (PS3.15 A.5).

    They are made from the journal, so none is missing, and one that can't be sent yet is sent
    later. Nothing else waits for that.
    """,
)
