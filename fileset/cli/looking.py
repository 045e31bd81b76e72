"""``tree``, ``find`` and ``values``: looking into the File-set."""

from __future__ import annotations

from pathlib import Path
from typing import Final

import click

from fileset.cli.command import Command, command, pass_session
from fileset.cli.documents import instance_document
from fileset.cli.listing import instance_lines, whole
from fileset.cli.matching import Search, check_keyword, parse_query, value_json
from fileset.cli.moments import AT, file_set_at, state_at
from fileset.cli.output import Answer, Line, Node, Span
from fileset.cli.running import INCOMPLETE, OK
from fileset.cli.session import Session
from fileset.cli.text import count
from fileset.search import value_text
from projections.state import FileSetState


@command(
    "tree",
    {
        "position": "that of the journal which this is as of",
        "records": "nested: {record_type, key, records}, with instances as leaves, see below",
        "instances": "how many there are, as staged",
        "erased": "how many more there were then, and were erased since",
    },
)
@AT
@pass_session
def tree(session: Session, moment: str | None) -> Answer:
    """Show the hierarchy of directory records down to the instances.

    Each comes with its File ID on the medium, its SOP class, the beginning of its digest, and what
    is staged for it.
    """
    state = state_at(session.repository(), moment)
    forest = whole(state)
    root = Node(_title(state, past=moment is not None), forest.nodes())
    document = {
        "records": forest.document(),
        "instances": len(state.live),
        "erased": state.erased,
    }
    return Answer({"position": state.position, **document}, [root])


def _title(state: FileSetState, *, past: bool) -> Line:
    name = state.identity.id or "File-set"
    where = f" at {Path(state.written.root)}" if state.written else ""
    when = f", as of position {state.position}" if past else ""
    erased = f", {state.erased:,} more erased since" if state.erased else ""
    return (Span(name, "title"), f"{where}{when}: {count(len(state.live), 'instance')}{erased}")


_LOAD: Final = click.option(
    "--load", is_flag=True, help="Search all elements of the instances, not their records alone."
)


@command(
    "find",
    {
        "instances": "those that match, see below",
        "unreadable": "[{sop_instance_uid, reason}] of files that --load could not read",
    },
)
@click.argument("query", metavar="KEYWORD=VALUE...", nargs=-1, required=True)
@_LOAD
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
            "unreadable": _unreadable(search),
        },
        instance_lines(found, fs.state),
        [*_notes(search), *([] if found else ["No instance matches."])],
        status=INCOMPLETE if search.unreadable else OK,
    )


@command(
    "values",
    {
        "values": "by keyword, the list of distinct values",
        "unreadable": "[{sop_instance_uid, reason}] of files that --load could not read",
    },
)
@click.argument("keywords", metavar="KEYWORD...", nargs=-1, required=True)
@_LOAD
@AT
@pass_session
def values(session: Session, keywords: tuple[str, ...], load: bool, moment: str | None) -> Answer:
    """List the distinct values of elements, as KEYWORD=VALUE, the way `fileset find` takes them."""
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
            "unreadable": _unreadable(search),
        },
        [
            f"{keyword}={value_text(element)}"
            for keyword, elements in found.items()
            for element in elements
        ],
        _notes(search),
        status=INCOMPLETE if search.unreadable else OK,
    )


def _unreadable(search: Search) -> list[dict[str, str]]:
    return [{"sop_instance_uid": uid, "reason": reason} for uid, reason in search.unreadable]


def _notes(search: Search) -> list[Line]:
    return [(Span(uid, "bad"), f": can't be read: {reason}") for uid, reason in search.unreadable]


COMMANDS: Final[dict[str, Command]] = {
    "tree": tree,
    "find": find,
    "values": values,
}
