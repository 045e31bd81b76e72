"""`remove`: instances staged to be removed."""

from __future__ import annotations

import click

from fileset.cli.command import command, pass_session
from fileset.cli.matching import MATCHED, advice, matched, matched_lines, nothing, parse_query
from fileset.cli.running import INCOMPLETE
from fileset.cli.screen.documents import instance_document, staged_document, staged_line
from fileset.cli.screen.listing import instance_lines
from fileset.cli.screen.output import Answer, Span
from fileset.cli.session import Recording, Session
from fileset.views.search import Search
from ledger.phrases import count


@command(
    "remove",
    {
        "removed": "the instances, see below",
        **MATCHED,
        "change": "the id of the change, or null if no instance matches",
        "staged": "what is staged now, see below",
    },
    changes=True,
)
@click.argument("query", metavar="KEYWORD=VALUE...", nargs=-1, required=True)
@pass_session
def remove(session: Session, query: tuple[str, ...], reason: str | None) -> Answer:
    """Stage the instances whose directory records have all the values to be removed.

    As in `fileset remove PatientID=98890234 Modality=MR`; `fileset find` shows what matches, and
    takes the same values. What patterns, ranges and lists stood for is told; undo takes it back. If
    nothing matches, the exit code is 1.
    """
    fs = session.file_set()
    wanted = parse_query(query)
    search = Search()
    with Recording(fs.repository, reason) as change:
        found = search.find(fs, wanted)
        if found:
            fs.remove(found)
    session.warnings += advice(search, wanted, "`fileset find --load`")
    leaves = [fs.state.leaf(instance.handle) for instance in found]
    told = matched(wanted, found)
    document = {
        "removed": [instance_document(leaf, fs.state) for leaf in leaves],
        "matched": told,
        "change": change.id,
        "staged": staged_document(fs.state),
    }
    if not found:
        return Answer(document, notes=[nothing(search, fs, wanted)], status=INCOMPLETE)
    title = f"{count(len(found), 'instance')} removed:"
    return Answer(
        document,
        [
            (Span(title, "title"),),
            *instance_lines(leaves, fs.state),
            *matched_lines(told),
            staged_line(fs.state),
        ],
    )
