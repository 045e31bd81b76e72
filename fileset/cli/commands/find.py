"""`find`: instances by their elements."""

from __future__ import annotations

import click

from fileset.cli.command import command, pass_session
from fileset.cli.matching import LOAD, UNREADABLE, Search, parse_query
from fileset.cli.moments import AT, file_set_at
from fileset.cli.running import INCOMPLETE, OK
from fileset.cli.screen.documents import instance_document
from fileset.cli.screen.listing import instance_lines
from fileset.cli.screen.output import Answer
from fileset.cli.session import Session


@command("find", {"instances": "those that match, see below", **UNREADABLE})
@click.argument("query", metavar="KEYWORD=VALUE...", nargs=-1, required=True)
@LOAD
@AT
@pass_session
def find(session: Session, query: tuple[str, ...], load: bool, moment: str | None) -> Answer:
    """List the instances whose elements have all the values.

    Values are compared as text, and numbers as numbers; several values of one element are joined
    by backslashes, as in 'ImageType=ORIGINAL\\PRIMARY'.
    """
    fs = file_set_at(session, moment)
    wanted = parse_query(query)
    search = Search(load)
    found = [fs.state.leaf(instance.handle) for instance in search.find(fs, wanted)]
    session.warnings += search.advice(wanted)
    return Answer(
        {
            "instances": [instance_document(leaf, fs.state) for leaf in found],
            "unreadable": search.unreadable_document(),
        },
        instance_lines(found, fs.state),
        [*search.notes(), *([] if found else [search.nothing(wanted)])],
        status=INCOMPLETE if search.unreadable else OK,
    )
