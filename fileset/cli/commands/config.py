"""`config`: what is to be so without saying it each time."""

from __future__ import annotations

import os
from pathlib import Path

import click

from fileset.cli.command import command, pass_session
from fileset.cli.configuration import change_configuration, key_named
from fileset.cli.running import INCOMPLETE, OK
from fileset.cli.screen.output import Answer, Parts, Span, columns
from fileset.cli.session import CONFIGURATION, Session, absolute, user_configuration
from fileset.errors import RefusedError


@command(
    "config",
    {
        "settings": "what is set, and counts: [{key, value, file}], all as texts; after `get`, "
        "that key alone",
        "changed": "whether something was set or unset",
        "file": "the file that was or would be changed",
    },
    configured=False,
)
@click.argument("action", type=click.Choice(["list", "get", "set", "unset"]), default="list")
@click.argument("key", required=False)
@click.argument("value", required=False)
@click.option("--local", is_flag=True, help="Change the file of the repository, not your own.")
@pass_session
def config(
    session: Session, action: str, key: str | None, value: str | None, local: bool
) -> Answer:
    """Set what is to be so without saying it each time, in your own file or the repository's.

    The command line counts first, then the environment, the repository's file and your own, which
    is fileset/config.toml in XDG_CONFIG_HOME or ~/.config.

    \b
    actor        who makes changes
    wait         seconds to wait for others who change the repository
    layout       the layout of exports, copies and the first write to a medium
    language     the language of the pages of media
    institution  whose media they are, as their pages have it
    color        always, never, or auto where a terminal is
    utc          true if times are to be printed in UTC
    pager        the command that shows long answers; empty for none
    repo         the repository where none is named or around
    repos.NAME   what --repo NAME stands for

    The last three can't be set in a repository: it may come from elsewhere, and must not choose
    what is run or opened here. `get` ends with exit code 1 if the key is not set.
    """
    if action == "list":
        if key is not None:
            raise click.UsageError("list takes no KEY: get shows one.")
    elif key is None or (value is None) == (action == "set"):
        raise click.UsageError(f"{action} takes a KEY{' and a VALUE' * (action == 'set')}.")
    path = session.place() / CONFIGURATION if local else user_configuration()
    if path is None:
        raise RefusedError("You have no home folder: name one in XDG_CONFIG_HOME.")
    changed = False
    if action in {"set", "unset"}:
        assert key is not None  # noqa: S101 - looked at above
        if action == "set" and key_named(key).own and local:
            raise RefusedError(
                f"{key} can't be set in a repository, which may come from elsewhere and must not "
                "choose what is run or opened here: leave out --local."
            )
        kept = None if value is None else _kept(session, key, value)
        changed = change_configuration(path, key, kept)
        return Answer(
            {"settings": [], "changed": changed, "file": str(path)},
            [] if changed else ["That is so already."],
        )
    found = [
        (name, value, file)
        for name, value, file in session.settings()
        if key is None or name == key
    ]
    if key is not None:
        key_named(key)
    rows: list[Parts] = [
        (Span(name, "title"), _shown(value), Span(str(file), "faint"))
        for name, value, file in found
    ]
    return Answer(
        {
            "settings": [{"key": n, "value": _shown(v), "file": str(f)} for n, v, f in found],
            "changed": False,
            "file": str(path),
        },
        [_shown(found[0][1])] if key is not None and found else columns(rows) if rows else (),
        [] if rows else [f"{key} is not set." if key else "Nothing is set."],
        status=OK if found or key is None else INCOMPLETE,
    )


def _kept(session: Session, key: str, value: str) -> str:
    """Return a value as it is kept: where a repository is does not depend on the folder."""
    is_name = key == "repo" and session.setting(f"repos.{value}") is not None
    if not value or value.startswith("~") or is_name or not key.startswith("repo"):
        return value
    return os.fspath(absolute(Path(value)))


def _shown(value: object) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)
