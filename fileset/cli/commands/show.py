"""`show`: one change and its events."""

from __future__ import annotations

from collections.abc import Iterable

import click

from fileset.cli.command import command, pass_session
from fileset.cli.moments import usage_of_moments
from fileset.cli.screen.documents import change_document, event_document
from fileset.cli.screen.output import Answer, Line, Span
from fileset.cli.screen.wording import Wording, told_of
from fileset.cli.session import Session
from fileset.repository.find_change import change_of


@command(
    "show",
    {
        "change": "the change, see below",
        "events": "[{position, type, version, digest, hash, payload}], the payload as recorded",
    },
    pages=True,
)
@click.argument("id_", metavar="CHANGE")
@pass_session
def show(session: Session, id_: str) -> Answer:
    """Show a change and its events; CHANGE is its id, the beginning of it, or a position."""
    repository = session.repository(newer_too=True)
    with usage_of_moments():
        change = change_of(repository.journal, id_)
    wording = Wording(repository)
    events = list(repository.journal.stored(after=change.first - 1, upto=change.last))
    summary = wording.tell(change, events)
    lines: Iterable[Line] = [
        (Span(f"Change {change.id}", "title"), f": {summary}"),
        *(f"  {name}: {value}" for name, value in told_of(change).items()),
        "",
        *map(wording.event_line, events),
    ]
    return Answer(
        {
            "change": change_document(change, summary),
            "events": [event_document(stored) for stored in events] if session.as_json else [],
        },
        lines,
    )
