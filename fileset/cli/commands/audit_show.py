"""`audit show`: audit messages as they are sent."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from fileset.cli.command import WholeNumber, command, pass_session
from fileset.cli.screen.output import Answer, Line, Span
from fileset.cli.screen.text import instant
from fileset.cli.session import Session

if TYPE_CHECKING:
    from fileset.audit.message import AuditMessage


@command(
    "show",
    {
        "messages": "[{position, change, recorded_at, kind, part, parts, xml}]: the last position "
        "of the change that a message tells of, what it tells, and which it is of how many "
        "messages that tell of this change",
        "more": "whether others follow",
    },
    pages=True,
)
@click.option(
    "--after",
    type=WholeNumber(min=0),
    default=0,
    show_default=True,
    metavar="POSITION",
    help="Begin with the first change after this position of the journal.",
)
@click.option(
    "--limit",
    type=WholeNumber(min=1),
    default=20,
    show_default=True,
    metavar="N",
    help="Show so many messages, and all of the last change.",
)
@pass_session
def audit_show(session: Session, after: int, limit: int) -> Answer:
    """Show audit messages as they are sent, whether that was done or not.

    What was erased since is left out of them, and they say so.
    """
    from fileset.audit.trail import audit_messages  # noqa: PLC0415

    changes = audit_messages(session.repository(), after)
    shown: list[AuditMessage] = []
    for _, messages in changes:  # whole changes, so that --after goes on from there
        shown += messages
        if len(shown) >= limit:
            break
    more = any(messages for _, messages in changes)
    document: dict[str, Any] = {
        "messages": [
            {
                "position": message.change.last,
                "change": message.change.id,
                "recorded_at": message.change.recorded_at,
                "kind": message.kind.value,
                "part": message.part,
                "parts": message.parts,
                "xml": message.xml.decode("utf-8"),
            }
            for message in shown
        ],
        "more": more,
    }
    lines: list[Line] = []
    for message in shown:
        part = f", part {message.part} of {message.parts}" if message.parts > 1 else ""
        head = f" position {message.change.last}, {instant(message.change.recorded_at)}"
        lines.append((Span(message.kind.value, "title"), head, part))
        lines.append(f"  {message.xml.decode('utf-8')}")
    if more:
        lines.append(f"More follow: --after {shown[-1].change.last} shows them.")
    return Answer(document, lines or ["There is nothing to tell."])
