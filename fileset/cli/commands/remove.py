"""`remove`: instances staged to be removed."""

from __future__ import annotations

import click

from fileset.cli.command import DRY_RUN, command, pass_session
from fileset.cli.matching import (
    LITERAL,
    MATCHED,
    advice,
    matched,
    matched_lines,
    parse_query,
    refuse_ambiguous,
    tell_nothing,
)
from fileset.cli.running import INCOMPLETE
from fileset.cli.screen.documents import instance_document, staged_document, staged_line
from fileset.cli.screen.listing import instance_lines
from fileset.cli.screen.output import Answer, Span
from fileset.cli.session import Recording, Session
from fileset.views.search import Search
from ledger.events import InstanceRemoved
from ledger.phrases import count
from projections.state.fold import after


@command(
    "remove",
    {
        "removed": "the instances, see below",
        **MATCHED,
        "dry_run": "whether nothing was done, and this only shows what would be",
        "change": "the id of the change, or null if nothing was recorded",
        "staged": "what is staged afterwards, see below",
    },
    changes=True,
)
@click.argument("query", metavar="KEYWORD=VALUE...", nargs=-1, required=True)
@LITERAL
@DRY_RUN
@pass_session
def remove(
    session: Session, query: tuple[str, ...], literal: bool, dry_run: bool, reason: str | None
) -> Answer:
    """Stage the instances whose directory records have all the values to be removed.

    As in `fileset remove PatientID=98890234 Modality=MR`; `fileset find` shows what matches, and
    takes the same values. What patterns, ranges and lists stood for is told; undo takes it back.
    One that is itself a value that is there, and finds others, is refused without --literal. If
    nothing matches, the exit code is 1.
    """
    fs = session.file_set()
    wanted = parse_query(query, literal=literal)
    search = Search()
    with Recording(fs.repository, reason) as change:
        found = search.find(fs, wanted)
        refuse_ambiguous(fs, wanted, found)
        if found and not dry_run:
            fs.remove(found)
    session.warnings += advice(search, wanted, "`fileset find --load`")
    state = fs.state
    if dry_run:
        state = after(state, (InstanceRemoved(each.handle) for each in found), "foreseen")
    leaves = [state.leaf(instance.handle) for instance in found]
    told = matched(wanted, found)
    document = {
        "removed": [instance_document(leaf, state) for leaf in leaves],
        "matched": told,
        "dry_run": dry_run,
        "change": change.id,
        "staged": staged_document(state),
    }
    if not found:
        return Answer(
            document, notes=[tell_nothing(session, search, fs, wanted)], status=INCOMPLETE
        )
    number = count(len(found), "instance")
    title = f"Would remove {number}:" if dry_run else f"{number} removed:"
    return Answer(
        document,
        [
            (Span(title, "title"),),
            *instance_lines(leaves, state),
            *matched_lines(told),
            staged_line(state),
        ],
    )
