"""`set`: the File-set's ID, UID and descriptor file."""

from __future__ import annotations

import click

from fileset.cli.command import command, pass_session
from fileset.cli.identity import parse_settings
from fileset.cli.running import INCOMPLETE, OK
from fileset.cli.screen.documents import (
    identity_difference,
    identity_lines,
    staged_document,
    staged_line,
)
from fileset.cli.screen.output import Answer, Line
from fileset.cli.screen.profiles import PROFILE, profile_document, profile_lines
from fileset.cli.session import Recording, Session
from fileset.cli.setting_profile import profile_set


@command(
    "set",
    {
        "changed": "what was set to another value: {name: {from, to}}",
        "change": "the id of the change, or null if all had its value already",
        "staged": "what is staged now, see below",
        **PROFILE,
    },
    changes=True,
)
@click.argument(
    "settings",
    metavar="id=... uid=... descriptor=... charset=... profile=...",
    nargs=-1,
    required=True,
)
@pass_session
def set(  # noqa: A001 - as the command is called
    session: Session, settings: tuple[str, ...], reason: str | None
) -> Answer:
    """Set the File-set ID or UID, the descriptor file's ID or character set, or the profile.

    Everything given is one change. An empty value, as in `id=`, clears a field; the UID can't be
    cleared, and uid=new gives the File-set a new one. A descriptor file in folders is given as
    DOCS/README.

    With an application profile of PS3.11, such as STD-GEN-CD, directory records have the keys that
    it asks for. The instances are read for them; those that can't be read are named, and the exit
    code is 1. What does not fit the profile is told of, and stays in the File-set: see `fileset
    media check`.
    """
    values = parse_settings(settings)
    repository = session.repository()
    before = repository.refresh().identity
    with Recording(repository, reason) as change:
        account = None
        for name, value in values.items():
            if name == "profile":
                account = profile_set(repository, value)
            else:
                repository.set_identity(name, value)
    changed = identity_difference(before, repository.state.identity)
    lines: list[Line] = [*identity_lines(changed)] or ["That is so already."]
    document = {
        "changed": changed,
        "change": change.id,
        "staged": staged_document(repository.state),
        **profile_document(account),
    }
    lines += profile_lines(account)
    unread = account is not None and account.unread
    status = INCOMPLETE if unread else OK
    return Answer(document, [*lines, staged_line(repository.state)], status=status)
