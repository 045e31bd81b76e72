"""`audit status`: how far each receiver of audit messages is."""

from __future__ import annotations

from attrs import asdict

from fileset.cli.command import command, pass_session
from fileset.cli.running import INCOMPLETE, OK
from fileset.cli.screen.output import Answer, Line, Span
from fileset.cli.screen.text import instant
from fileset.cli.session import Session
from ledger.phrases import count


@command(
    "status",
    {
        "destinations": "[{destination, sent, position, backlog, updated, error}]: how many "
        "messages each has got, up to which position it was told everything, how many events come "
        "after that, when this was last known, and why the last attempt failed, or null"
    },
)
@pass_session
def audit_status(session: Session) -> Answer:
    """Show how far each receiver and each folder of audit messages is.

    If the last attempt to send to any of them has failed, the exit code is 1.
    """
    from fileset.audit.cursors import Cursors  # noqa: PLC0415

    repository = session.repository(newer_too=True)
    path, journal = repository.path, repository.journal
    assert path is not None  # noqa: S101 - the command line opens none in memory
    documents, lines = [], list[Line]()
    for cursor in Cursors(path):
        told = cursor.position if cursor.is_in(journal) else 0
        backlog = journal.position - told
        documents.append(
            {
                **asdict(cursor, filter=lambda each, _: each.name not in {"journal", "hash"}),
                "position": told,
                "backlog": backlog,
            }
        )
        left = f"{count(backlog, 'event')} of the journal to tell" if backlog else "up to date"
        when = f", {instant(cursor.updated)}" if cursor.updated else ""
        style = "careful" if backlog else "good"
        sent = f": {count(cursor.sent, 'message')} sent, "
        lines.append((Span(cursor.destination, "title"), sent, Span(left, style), when))
        if cursor.error:
            lines.append(("  ", Span("last error: ", "bad"), cursor.error))
    status = INCOMPLETE if any(each["error"] for each in documents) else OK
    nothing = "Nothing was ever sent: `fileset audit send` does so."
    return Answer({"destinations": documents}, lines or [nothing], status=status)
