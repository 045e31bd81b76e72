"""`rebuild`: indexes and snapshots, rebuilt."""

from __future__ import annotations

from fileset.cli.command import command, pass_session
from fileset.cli.screen.output import Answer, Span
from fileset.cli.screen.progress import spinner
from fileset.cli.session import Session
from ledger.phrases import count


@command(
    "rebuild",
    {
        "events": "how many were folded",
        "instances": "how many the File-set has",
        "position": "the position of the last event",
    },
)
@pass_session
def rebuild(session: Session) -> Answer:
    """Discard indexes and snapshots, and rebuild them from the journal and the vault.

    Nothing that can't be rebuilt is touched.
    """
    repository = session.repository()
    with repository.exclusively(), spinner("Folding the journal"):
        state = repository.rebuild()
    events, instances = count(state.position, "event"), count(len(state.live), "instance")
    return Answer(
        {"events": state.position, "instances": len(state.live), "position": state.position},
        [(Span(f"Rebuilt from {events}: {instances}.", "good"),)],
    )
