"""`media list`: the media that were handed out."""

from __future__ import annotations

from fileset.cli.command import command, pass_session
from fileset.cli.screen.media import medium_document, medium_row
from fileset.cli.screen.output import Answer, columns
from fileset.cli.session import Session
from fileset.media.list import media


@command("list", {"media": "the media by number, the oldest first, see below"}, pages=True)
@pass_session
def media_list(session: Session) -> Answer:
    """List the media that were made, with their numbers, for whom, and whether they were verified.

    One whose making was interrupted is listed as not finished. One with data that was erased since
    is marked: it is out, and can't be made again.
    """
    found = media(session.repository())
    rows = [medium_row(medium) for medium in found]
    return Answer(
        {"media": [medium_document(medium) for medium in found]},
        columns(rows) if rows else (),
        [] if rows else ["No medium was made yet: `fileset media make` makes one."],
    )
