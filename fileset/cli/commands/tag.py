"""`tag`: names for positions of the journal."""

from __future__ import annotations

from typing import Any

import click

from fileset.cli.command import command, pass_session
from fileset.cli.moments import usage_of_moments
from fileset.cli.screen.output import Answer, Parts, Span, columns
from fileset.cli.screen.wording import Wording, time_of
from fileset.cli.session import Session
from fileset.errors import InvalidTagError
from fileset.repository.find_change import change_at
from fileset.repository.repository import Repository
from fileset.timeline.moments import position_of
from fileset.timeline.tags import delete_tag, set_tag, tag_name


@command(
    "tag",
    {
        "tagged": "what was done: {name, position, previous}, position being null if the tag was "
        "deleted; null if nothing was done",
        "change": "the id of the change that records it, or null",
        "tags": "all tags: [{name, position, change, recorded_at}], with the change and time of "
        "the position",
    },
    changes=True,
    pages=True,
)
@click.argument("name", metavar="[NAME]", required=False)
@click.argument("moment", metavar="[MOMENT]", required=False)
@click.option("--list", "listing", is_flag=True, help="List the tags, as without a NAME.")
@click.option("--move", is_flag=True, help="Move an existing tag to another position.")
@click.option("--delete", is_flag=True, help="Delete the tag.")
@pass_session
def tag(
    session: Session,
    name: str | None,
    moment: str | None,
    listing: bool,
    move: bool,
    delete: bool,
    reason: str | None,
) -> Answer:
    """Name the current position NAME, or that of MOMENT: a position, change, date or other tag.

    Every --at then accepts the name. It begins with a letter, and has letters, digits, dots,
    hyphens and underscores. Without a NAME, list the tags. They are not part of the File-set: undo
    leaves them alone, and each move is in the log.
    """
    if name is None or listing:
        if name is not None or move or delete:
            raise click.UsageError("--list takes no NAME, --move and --delete need one.")
        return _listed(session.repository())
    if delete and (move or moment is not None):
        raise click.UsageError("--delete takes the NAME alone.")
    repository = session.repository()
    if delete:
        with usage_of_moments():
            deleted = delete_tag(repository, name, reason=reason)
        return _answer(repository, deleted.name, None, deleted.position)
    try:
        name = tag_name(name)
    except InvalidTagError as exc:
        raise click.UsageError(str(exc)) from exc
    with usage_of_moments():
        position = None if moment is None else position_of(repository, moment)
    event = set_tag(repository, name, position, move=move, reason=reason)
    if event is None:
        return Answer(
            {"tagged": None, "change": None, "tags": _document(repository)}, ["That is so already."]
        )
    return _answer(repository, event.name, event.position, event.previous)


def _answer(
    repository: Repository, name: str, position: int | None, previous: int | None
) -> Answer:
    if position is None:
        done = f"Tag '{name}' deleted; it stood for position {previous}."
    elif previous is None:
        done = f"Tag '{name}' stands for position {position}."
    else:
        done = f"Tag '{name}' stands for position {position}, no longer for {previous}."
    return Answer(
        {
            "tagged": {"name": name, "position": position, "previous": previous},
            "change": change_at(repository.journal, repository.state.position).id,
            "tags": _document(repository),
        },
        [done],
    )


def _listed(repository: Repository) -> Answer:
    wording = Wording(repository)
    rows: list[Parts] = [
        (
            Span(name, "title"),
            str(position),
            Span((change := change_at(repository.journal, position)).id, "command"),
            Span(time_of(change), "faint"),
            wording.change(change),
        )
        for name, position in repository.refresh().tags.items()
    ]
    return Answer(
        {"tagged": None, "change": None, "tags": _document(repository)},
        columns(rows) if rows else (),
        [] if rows else ["There are no tags: `fileset tag NAME` makes one."],
    )


def _document(repository: Repository) -> list[dict[str, Any]]:
    return [
        {
            "name": name,
            "position": position,
            "change": (change := change_at(repository.journal, position)).id,
            "recorded_at": change.recorded_at,
        }
        for name, position in repository.state.tags.items()
    ]
