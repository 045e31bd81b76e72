"""`tree`: the hierarchy down to the instances."""

from __future__ import annotations

from pathlib import Path

from fileset.cli.command import command, pass_session
from fileset.cli.moments import AT, FROM, state_at
from fileset.cli.screen.listing import whole
from fileset.cli.screen.output import Answer, Line, Node, Span
from fileset.cli.screen.reports import UNNAMED_ROOTS, unnamed_line
from fileset.cli.session import Session
from ledger.phrases import count
from projections.state.state import FileSetState


@command(
    "tree",
    {
        "position": "the position of the journal that this shows",
        "records": "nested: {record_type, key, elements, records}, with instances as leaves, see "
        "below, which have `elements` as well: those of the record in the DICOM JSON model",
        "instances": "how many the File-set has, with what is staged",
        "erased": "how many more there were then that were erased since",
        "unnamed_roots": UNNAMED_ROOTS,
    },
    pages=True,
)
@FROM
@AT
@pass_session
def tree(session: Session, moment: str | None) -> Answer:
    """Show the hierarchy of directory records down to the instances.

    Each is shown with its File ID on the medium, its SOP Class, the beginning of its digest, and
    what is staged for it.
    """
    repository = session.repository()
    state = state_at(repository, moment)
    forest = whole(state)
    root = Node(_title(state, past=moment is not None), forest.nodes())
    unnamed_roots = [each for each in state.roots() if not repository.roots.knows(each)]
    document = {
        "position": state.position,
        "records": forest.document() if session.as_json else [],  # much work
        "instances": len(state.live),
        "erased": state.erased,
        "unnamed_roots": unnamed_roots,
    }
    return Answer(document, [root, *map(unnamed_line, unnamed_roots)])


def _title(state: FileSetState, *, past: bool) -> Line:
    name = state.identity.id or "File-set"
    where = f" at {Path(state.written.root)}" if state.written else ""
    when = f", as of position {state.position}" if past else ""
    erased = f", {state.erased:,} more erased since" if state.erased else ""
    return (Span(name, "title"), f"{where}{when}: {count(len(state.live), 'instance')}{erased}")
