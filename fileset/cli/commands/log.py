"""`log`: the changes, a line each."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Iterator
from functools import partial
from itertools import islice
from typing import Any, Final

import click

from fileset.cli.command import WholeNumber, command, pass_session
from fileset.cli.screen.documents import change_document, event_document
from fileset.cli.screen.graph import Row, draw
from fileset.cli.screen.output import Answer, Line, Shape, Span, fitted
from fileset.cli.screen.wording import DIGITS, Wording, time_of
from fileset.cli.selection import KINDS, Selection
from fileset.cli.session import Session
from fileset.timeline.changelog import ChangeEntry, newest_first, oldest_first, steps_of
from ledger.events import ChangeRedone, ChangeReverted, ChangeUndone
from ledger.journal.entries import Stored
from projections.past.standing import Standing

SHAPE: Final[Shape] = {
    "changes": "oldest first, [described apart](log-format.md); with --events each has its events, "
    "as in `show`",
    "earlier": "whether --limit left out earlier ones",
}


@command("log", SHAPE, pages=True)
@click.option("--events", "with_events", is_flag=True, help="List the events of each change.")
@click.option(
    "--oneline", is_flag=True, help="Only the id, what was done and why, cut to fit a terminal."
)
@click.option("--graph", is_flag=True, help="Draw what was undone, redone and reverted.")
@click.option(
    "--limit", "-n", type=WholeNumber(min=0), metavar="N", help="Only the newest N changes."
)
@click.option("--patient", metavar="ID", help="Only changes to a patient's instances.")
@click.option("--actor", "actors", metavar="NAME", multiple=True, help="Who made them.")
@click.option(
    "--kind",
    "kinds",
    metavar="KIND",
    multiple=True,
    help=f"What they did: an event type, or {', '.join(list(KINDS)[:-1])} or {list(KINDS)[-1]}.",
)
@click.option("--since", metavar="TIME", help="Recorded at or after a date or time.")
@click.option("--until", metavar="TIME", help="Recorded by then; a date includes that whole day.")
@pass_session
def log(
    session: Session,
    with_events: bool,
    oneline: bool,
    graph: bool,
    limit: int | None,
    patient: str | None,
    actors: tuple[str, ...],
    kinds: tuple[str, ...],
    since: str | None,
    until: str | None,
) -> Answer:
    """List the changes, newest last.

    A line gives the change's id, the position of its last event, when and by whom it was made, what
    it did, and why; and if the clock ran backwards since the change before, by how much. --actor
    and --kind can be repeated; a change has to match one of each. Times without a time zone are
    local.

    In the graph a line leads from a change to what undid, redid or reverted it. A hollow dot is a
    change that is no longer in force; a small dot is one that undo does not take back.
    """
    if oneline and with_events:
        raise click.UsageError("--oneline is a line for each change: leave out --events.")
    repository = session.repository(newer_too=True)
    wording = Wording(repository)
    tell = partial(_lines, wording, with_events=with_events, oneline=oneline)
    wanted = Selection(patient, actors, kinds, since, until).judge(repository)
    if limit is None and not graph and not session.as_json:
        found = filter(wanted, oldest_first(repository))
        return Answer({}, tell(found))
    matching = filter(wanted, newest_first(repository))
    entries = list(islice(matching, limit))[::-1]
    if session.as_json:
        return Answer(
            {
                "changes": [_document(wording, entry, with_events) for entry in entries],
                "earlier": limit is not None and next(matching, None) is not None,
            }
        )
    if not graph:
        return Answer({}, tell(entries))
    rows = [_row(entry) for entry in entries]
    drawn = draw(rows, plain=not _can_draw(rows))
    return Answer({}, tell(entries, drawn=drawn))


# --- for people ----------------------------------------------------------------------------------


def _lines(
    wording: Wording,
    entries: Iterable[ChangeEntry],
    *,
    with_events: bool,
    oneline: bool,
    drawn: list[str] | None = None,
) -> Iterator[Line]:
    index = -1
    for index, entry in enumerate(entries):
        change = entry.change
        parts: list[str | Span] = []
        if drawn is not None:
            parts += [Span(drawn[index], _STYLES.get(entry.stand.standing, "faint")), "  "]
        parts += [Span(change.id, "command"), "  "]
        if not oneline:
            when = Span(time_of(change), "faint")
            parts += [f"{change.last:>{DIGITS}}  ", when, f"  {change.actor}  "]
        parts.append(wording.tell(change, entry.events))
        if change.reason:
            parts.append(Span(f"  ({change.reason})", "faint"))
        if entry.back is not None and not oneline:
            parts.append(Span(f"  <- the clock had gone back by {entry.back}", "careful"))
        if drawn is not None and (standing := _standing(entry)):
            parts.append(Span(f"  <- {standing}", "careful"))
        yield fitted(tuple(parts)) if oneline else tuple(parts)
        if with_events:
            indent = " " * (len(drawn[index]) + 2 if drawn is not None else 0)
            for stored in entry.events:
                yield (indent, *_event_line(wording, stored))
    if index < 0:
        yield "No change matches."


def _event_line(wording: Wording, stored: Stored) -> tuple[str | Span, ...]:
    return (f"{stored.position:>{12 + 2 + DIGITS}}  ", wording.event(stored))


_STYLES: Final[dict[Standing | None, str]] = {
    Standing.APPLIED: "good",
    Standing.UNDONE: "bad",
    Standing.DISCARDED: "bad",
    Standing.REVERTED: "bad",
    Standing.ERASED: "bad",
}
_STANDS: Final = {
    Standing.UNDONE: "undone",
    Standing.DISCARDED: "undone for good",
    Standing.REVERTED: "reverted",
    Standing.ERASED: "erased",
}
_NEXT: Final = {"undo": "undo takes this back next", "redo": "redo does this again next"}


def _standing(entry: ChangeEntry) -> str:
    standing, following = entry.stand.standing, entry.stand.next
    words = [_STANDS.get(standing, "") if standing else "", _NEXT[following] if following else ""]
    return "; ".join(filter(None, words))


def _row(entry: ChangeEntry) -> Row:
    steps = steps_of(entry.events)
    symbols = {ChangeUndone: "↶", ChangeRedone: "↷"}
    standing = entry.stand.standing
    if standing is not None:
        symbol = "●" if standing is Standing.APPLIED else "○"
    else:
        symbol = next((symbols[type(s)] for s in steps if type(s) is not ChangeReverted), "·")
    return Row(symbol, entry.change.id, tuple(step.change for step in steps))


def _can_draw(rows: list[Row]) -> bool:
    """Whether standard output takes more than ASCII."""
    try:
        "".join(("│─├┼╭╰┬┴", *(row.symbol for row in rows))).encode(sys.stdout.encoding or "ascii")
    except (UnicodeEncodeError, LookupError):
        return False
    return True


# --- for machines --------------------------------------------------------------------------------


def _document(wording: Wording, entry: ChangeEntry, with_events: bool) -> dict[str, Any]:
    change, stand = entry.change, entry.stand
    counts = {kind: sum(stored.type == kind for stored in entry.events) for kind in entry.types()}
    return {
        **change_document(change, wording.tell(change, entry.events)),
        "types": counts,
        "names": [step.change for step in steps_of(entry.events)],
        "standing": stand.standing.value if stand.standing else None,
        "next": stand.next,
        "clock_back": None if entry.back is None else entry.back.total_seconds(),
        **({"events": [event_document(stored) for stored in entry.events]} if with_events else {}),
    }
