"""`tree`: the hierarchy down to the instances."""

from __future__ import annotations

from pathlib import Path

import click

from fileset.cli.command import command, pass_session
from fileset.cli.moments import AT, FROM, file_set_at, state_at
from fileset.cli.screen.listing import Forest, whole
from fileset.cli.screen.output import Answer, Line, Node, Span
from fileset.cli.screen.reports import UNNAMED_ROOTS, unnamed_line
from fileset.cli.session import Session
from ledger.phrases import count
from projections.state.state import FileSetState


@command(
    "tree",
    {
        "position": "the position of the journal that this shows",
        "records": "those that match, nested: {record_type, key, elements, records}, with "
        "instances as leaves, see below, which have `elements` as well: those of the record in the "
        "DICOM JSON model",
        "instances": "how many the File-set has, with what is staged",
        "erased": "how many more there were then that were erased since",
        "unnamed_roots": UNNAMED_ROOTS,
    },
    pages=True,
)
@click.argument("query", metavar="[KEYWORD=VALUE]...", nargs=-1)
@FROM
@AT
@pass_session
def tree(session: Session, query: tuple[str, ...], moment: str | None) -> Answer:
    """Show the hierarchy of directory records down to the instances, or to those that match.

    Each is shown with its File ID on the medium, its SOP Class, the beginning of its digest, and
    what is staged for it. Values are given as `fileset find` takes them.
    """
    repository = session.repository()
    state = state_at(repository, moment)
    forest, notes = _matching(session, query, moment) if query else (whole(state), [])
    root = Node(_title(state, past=moment is not None), forest.nodes())
    unnamed_roots = [each for each in state.roots() if not repository.roots.knows(each)]
    document = {
        "position": state.position,
        "records": forest.document() if session.as_json else [],  # much work
        "instances": len(state.live),
        "erased": state.erased,
        "unnamed_roots": unnamed_roots,
    }
    lines = [root] if forest.roots or not query else []
    return Answer(document, [*lines, *map(unnamed_line, unnamed_roots)], notes)


def _matching(
    session: Session, query: tuple[str, ...], moment: str | None
) -> tuple[Forest, list[Line]]:
    """Return the instances that match, and what is to be told of the search."""
    # The whole tree does without pydicom.
    from fileset.cli.matching import advice, parse_query, tell_nothing  # noqa: PLC0415
    from fileset.views.search import Search  # noqa: PLC0415

    fs, wanted, search = file_set_at(session, moment), parse_query(query), Search()
    forest = Forest(fs.state)
    for instance in search.find(fs, wanted):
        forest.add(fs.state.leaf(instance.handle))
    session.warnings += advice(search, wanted, "`fileset find --load`")
    return forest, [] if forest.roots else [tell_nothing(session, search, fs, wanted)]


def _title(state: FileSetState, *, past: bool) -> Line:
    name = state.identity.id or "File-set"
    where = f" at {Path(state.written.root)}" if state.written else ""
    when = f", as of position {state.position}" if past else ""
    erased = f", {state.erased:,} more erased since" if state.erased else ""
    return (Span(name, "title"), f"{where}{when}: {count(len(state.live), 'instance')}{erased}")
