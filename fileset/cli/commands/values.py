"""`values`: the values that elements have."""

from __future__ import annotations

import click

from fileset.cli.command import command, pass_session
from fileset.cli.matching import LOAD, UNREADABLE, Search, check_keyword, value_json
from fileset.cli.moments import AT, file_set_at
from fileset.cli.running import INCOMPLETE, OK
from fileset.cli.screen.output import Answer
from fileset.cli.session import Session
from fileset.values import value_text


@command("values", {"values": "by keyword, the list of distinct values", **UNREADABLE})
@click.argument("keywords", metavar="KEYWORD...", nargs=-1, required=True)
@LOAD
@AT
@pass_session
def values(session: Session, keywords: tuple[str, ...], load: bool, moment: str | None) -> Answer:
    """List the distinct values of elements, as KEYWORD=VALUE, as `fileset find` takes them."""
    fs = file_set_at(session, moment)
    wanted = [check_keyword(keyword) for keyword in keywords]
    search = Search(load)
    found = search.values(fs, wanted)
    session.warnings += search.advice(wanted)
    return Answer(
        {
            "values": {
                keyword: [value_json(element) for element in elements]
                for keyword, elements in found.items()
            },
            "unreadable": search.unreadable_document(),
        },
        [
            f"{keyword}={value_text(element)}"
            for keyword, elements in found.items()
            for element in elements
        ],
        search.notes(),
        status=INCOMPLETE if search.unreadable else OK,
    )
