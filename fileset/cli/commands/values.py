"""`values`: the values that elements have."""

from __future__ import annotations

import click

from fileset.cli.command import command, pass_session
from fileset.cli.matching import (
    LOAD,
    UNREADABLE,
    advice,
    check_keyword,
    parse_query,
    tell_nothing,
    unreadable_document,
    unreadable_notes,
    value_json,
)
from fileset.cli.moments import AT, FROM, file_set_at
from fileset.cli.running import INCOMPLETE, OK
from fileset.cli.screen.output import Answer
from fileset.cli.session import Session
from fileset.criteria import Query
from fileset.values import value_text
from fileset.views.search import Search


@command("values", {"values": "by keyword, the list of distinct values", **UNREADABLE}, pages=True)
@click.argument("keywords", metavar="KEYWORD... [KEYWORD=VALUE]...", nargs=-1, required=True)
@LOAD
@FROM
@AT
@pass_session
def values(session: Session, keywords: tuple[str, ...], load: bool, moment: str | None) -> Answer:
    """List the distinct values of elements, as KEYWORD=VALUE, as `fileset find` takes them.

    With KEYWORD=VALUE among the arguments, those of instances that match.
    """
    fs = file_set_at(session, moment)
    asked = [each for each in keywords if not {"=", "<", ">"}.isdisjoint(each)]
    wanted = [check_keyword(keyword) for keyword in keywords if keyword not in asked]
    if not wanted:
        raise click.UsageError("Name the elements whose values are listed, as in PatientID.")
    search, query = Search(load), parse_query(asked)
    found = search.values(fs, wanted, query)
    session.warnings += advice(search, Query.of(dict.fromkeys(wanted)))
    notes = unreadable_notes(search)
    if query and not any(found.values()) and not any(Search(load).matching(fs, query)):
        notes.append(tell_nothing(session, search, fs, query))
    return Answer(
        {
            "values": {
                keyword: [value_json(element) for element in elements]
                for keyword, elements in found.items()
            },
            "unreadable": unreadable_document(search),
        },
        [
            f"{keyword}={value_text(element)}"
            for keyword, elements in found.items()
            for element in elements
        ],
        notes,
        status=INCOMPLETE if search.unreadable else OK,
    )
