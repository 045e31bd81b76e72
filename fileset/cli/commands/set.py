"""`set`: the File-set's ID, UID and descriptor file."""

from __future__ import annotations

import click

from fileset.cli.command import command, pass_session
from fileset.cli.identity import parse_settings
from fileset.cli.screen.documents import (
    identity_difference,
    identity_lines,
    staged_document,
    staged_line,
)
from fileset.cli.screen.output import Answer, Line
from fileset.cli.session import Recording, Session


@command(
    "set",
    {
        "changed": "what was set to another value: {name: {from, to}}",
        "change": "the id of the change, or null if all had its value already",
        "staged": "what is staged now, see below",
    },
    changes=True,
)
@click.argument(
    "settings", metavar="id=... uid=... descriptor=... charset=...", nargs=-1, required=True
)
@pass_session
def set(  # noqa: A001 - as the command is called
    session: Session, settings: tuple[str, ...], reason: str | None
) -> Answer:
    """Set the File-set ID or UID, or the descriptor file's ID or character set.

    Everything given is one change. An empty value, as in `id=`, clears a field; the UID can't be
    cleared. A descriptor file in folders is given as DOCS/README.
    """
    values = parse_settings(settings)
    repository = session.repository()
    before = repository.refresh().identity
    with Recording(repository, reason) as change:
        for name, value in values.items():
            repository.set_identity(name, value)
    changed = identity_difference(before, repository.state.identity)
    lines: list[Line] = [*identity_lines(changed)] or ["That is so already."]
    return Answer(
        {"changed": changed, "change": change.id, "staged": staged_document(repository.state)},
        [*lines, staged_line(repository.state)],
    )
