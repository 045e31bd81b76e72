"""``log``, ``show`` and ``diff``: what happened."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any, Final

import click

from fileset.cli.command import Command, command, pass_session
from fileset.cli.documents import (
    change_document,
    identity_difference,
    identity_lines,
    instance_document,
)
from fileset.cli.listing import Forest, leaf_line
from fileset.cli.output import Answer, Line, Node, Span
from fileset.cli.session import Session
from fileset.cli.text import count
from fileset.cli.wording import Wording
from fileset.repository import Repository
from ledger import codec
from ledger.journal import Change, Stored
from projections.hierarchy import Leaf
from projections.state import FileSetState

_DIGITS: Final = 6  # of a position, so that the columns of a log of a million events stand


@command(
    "log",
    {"changes": "oldest first, see below; with --events each has its events, as in `show`"},
)
@click.option("--events", "with_events", is_flag=True, help="List the events of each change.")
@pass_session
def log(session: Session, with_events: bool) -> Answer:
    """List the changes, newest last.

    A line gives the change's id, the position of its last event, when and by whom it was made, what
    it did, and why.
    """
    wording = Wording(session.repository())
    if session.as_json:
        changes = [
            _document(change, told, events, with_events)
            for change, told, events in wording.changes()
        ]
        return Answer({"changes": changes})
    return Answer({}, _log_lines(wording, with_events))


def _document(change: Change, told: str, events: list[Stored], with_events: bool) -> dict[str, Any]:
    extra = {"events": [_event(stored) for stored in events]} if with_events else {}
    return {**change_document(change, told), **extra}


def _log_lines(wording: Wording, with_events: bool) -> Iterator[Line]:
    for change, told, events in wording.changes():
        parts: list[str | Span] = [
            Span(change.id, "command"),
            f"  {change.last:>{_DIGITS}}  ",
            Span(_time(change), "faint"),
            f"  {change.actor}  {told}",
        ]
        if change.reason:
            parts.append(Span(f"  ({change.reason})", "faint"))
        yield tuple(parts)
        if with_events:
            for stored in events:
                yield _event_line(wording, stored)


def _time(change: Change) -> str:
    return f"{change.recorded_at[:19]}Z"


def _event_line(wording: Wording, stored: Stored) -> Line:
    return (f"{stored.position:>{12 + 2 + _DIGITS}}  ", wording.event(stored))


def _event(stored: Stored) -> dict[str, Any]:
    return {
        "position": stored.position,
        "type": stored.type,
        "version": stored.version,
        "digest": f"sha256:{stored.digest.hex()}",
        "hash": f"sha256:{stored.hash.hex()}",
        "payload": codec.parse(stored.payload),
    }


@command(
    "show",
    {
        "change": "the change, see below",
        "events": "[{position, type, version, digest, hash, payload}], the payload as recorded",
    },
)
@click.argument("id_", metavar="CHANGE")
@pass_session
def show(session: Session, id_: str) -> Answer:
    """Show a change and its events; CHANGE is its id, or the beginning of it."""
    repository = session.repository()
    change = _find(repository, id_)
    wording = Wording(repository)
    events = list(repository.journal.stored(after=change.first - 1, upto=change.last))
    told = wording.change(change)
    fields = {
        "Recorded at": change.recorded_at,
        "Actor": change.actor,
        "Origin": change.origin,
        "Reason": change.reason or "(none given)",
        "Positions": f"{change.first} to {change.last}" if change.count > 1 else str(change.last),
    }
    lines: Iterable[Line] = [
        (Span(f"Change {change.id}", "title"), f": {told}"),
        *(f"  {name}: {value}" for name, value in fields.items()),
        "",
        *(
            (Span(f"{stored.position:>{_DIGITS}}", "faint"), f"  {wording.event(stored)}")
            for stored in events
        ),
    ]
    return Answer(
        {
            "change": change_document(change, told),
            "events": [_event(stored) for stored in events] if session.as_json else [],
        },
        lines,
    )


def _find(repository: Repository, id_: str) -> Change:
    """Return the one change whose id begins so; a usage error if there isn't exactly one."""
    found = [change for change in repository.changes() if id_ and change.id.startswith(id_)]
    if not found:
        raise click.UsageError(f"No change has an id that begins with '{id_}': see `fileset log`.")
    if len(found) > 1:
        ids = ", ".join(change.id for change in found[:5])
        raise click.UsageError(f"{len(found)} changes have ids that begin with '{id_}': {ids}.")
    return found[0]


@command(
    "diff",
    {
        "from": "a position",
        "to": "a position",
        "identity": "the fields that differ: {name: {from, to}}",
        "added": "the instances that only the later state has, see below",
        "removed": "the instances that only the earlier state has, see below",
    },
)
@click.argument("earlier", metavar="A", type=click.IntRange(min=1))
@click.argument("later", metavar="[B]", type=click.IntRange(min=1), required=False)
@pass_session
def diff(session: Session, earlier: int, later: int | None) -> Answer:
    """Compare the File-set at the positions A and B of the journal, or A and now.

    `fileset log` lists the positions.
    """
    repository = session.repository()
    before = state_at(repository, earlier)
    after = repository.refresh() if later is None else state_at(repository, later)
    added = _only_in(after, before)
    removed = _only_in(before, after)
    identity = identity_difference(before.identity, after.identity)
    return Answer(
        {
            "from": before.position,
            "to": after.position,
            "identity": identity,
            "added": [instance_document(leaf, after) for leaf in added],
            "removed": [instance_document(leaf, before) for leaf in removed],
        },
        [
            *identity_lines(identity),
            Node(
                _diff_title(before, after, len(added), len(removed)),
                _changed(before, after, added, removed).nodes(),
            ),
        ],
    )


def state_at(repository: Repository, position: int) -> FileSetState:
    """Return the state at `position`; a usage error if there is no such position."""
    try:
        return repository.at(position)
    except ValueError as exc:
        raise click.UsageError(f"{exc}.") from exc


def _only_in(one: FileSetState, other: FileSetState) -> list[Leaf]:
    """Return the instances of `one` that `other` has not, or has with other content."""
    return [
        leaf
        for leaf in one.hierarchy.walk_leaves()
        if leaf.is_live and not _same(leaf, other.live.get(leaf.uid))
    ]


def _same(leaf: Leaf, other: Leaf | None) -> bool:
    if other is None:
        return False
    # One whose content is known only later is told by its handle.
    return leaf.handle == other.handle or (
        leaf.content is not None and leaf.content == other.content
    )


def _diff_title(before: FileSetState, after: FileSetState, added: int, removed: int) -> Line:
    if not added and not removed:
        return (f"Position {before.position} to {after.position}: the same instances",)
    return (
        f"Position {before.position} to {after.position}: ",
        Span(f"{count(added, 'instance')} added", "good"),
        ", ",
        Span(f"{removed:,} removed", "bad"),
    )


def _changed(
    before: FileSetState, after: FileSetState, added: list[Leaf], removed: list[Leaf]
) -> Forest:
    forest = Forest()
    for sign, style, leaves, state in (
        ("-", "bad", removed, before),
        ("+", "good", added, after),
    ):
        for leaf in leaves:
            line = leaf_line(leaf, state, staged=False)
            parts = (line,) if isinstance(line, str) else line
            forest.add(leaf, (Span(f"{sign} ", style), *parts), {})
    return forest


COMMANDS: Final[dict[str, Command]] = {"log": log, "show": show, "diff": diff}
