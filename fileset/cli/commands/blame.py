"""`blame`: all that happened to a patient, study, series or instance, and where it went."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import groupby
from typing import TYPE_CHECKING, Any, Final

import click
from attrs import evolve

from fileset.cli.command import command, pass_session
from fileset.cli.screen.documents import change_document
from fileset.cli.screen.listing import record_label
from fileset.cli.screen.output import Answer, Line, Span, first
from fileset.cli.screen.wording import DIGITS, Wording, time_of
from fileset.cli.session import Session
from fileset.timeline.blame import blame as touches_of
from fileset.timeline.blame import ever_known
from fileset.timeline.naming import sop_class_name
from ledger.digest import short
from ledger.events import (
    ArrivalWithheld,
    ChangeStep,
    ConflictNoted,
    Handle,
    InstanceAdded,
    InstancesCorrected,
    MediumLeft,
    MismatchNoted,
    PatientNameNoted,
)
from ledger.phrases import count, some
from ledger.sources import folder_of
from projections.past.diff import above
from projections.past.provenance import Touch, TouchKind
from projections.state.nodes import Leaf
from projections.state.state import FileSetState

if TYPE_CHECKING:
    from fileset.criteria import Query


@command(
    "blame",
    {
        "instances": "[{sop_instance_uid, sop_class, handle, corrects, live}], those that were "
        "found, including removed ones, what they correct and what they were corrected to; "
        "corrects is the handle of the version that it took the place of, or null, and live is "
        "whether it is part of the File-set now",
        "events": "[{position, event, instances, came, went, of, root, file_ids, dicomdir, source, "
        "medium, change}], oldest first, see below; medium is the number of one handed out, or "
        "null",
        "media": "[{root, how, medium, recipient, position, recorded_at, instances, file_ids, "
        'dicomdir, still_there}], in order; how is "adopted", "written", "exported" or "handed '
        'out", still_there how many lie there still, as far as the journal knows, or null for a '
        "copy, a medium that was handed out and one that was left as it was",
    },
    pages=True,
)
@click.argument("query", metavar="KEYWORD=VALUE...", nargs=-1, required=True)
@click.option("--all", "full", is_flag=True, help="List every event and File ID.")
@pass_session
def blame(session: Session, query: tuple[str, ...], full: bool) -> Answer:
    """Show who added, removed and wrote what, when and why.

    The instances, including those that are no longer part of the File-set, are found by the
    elements of their directory records, by values as `fileset find` takes them. Every event that
    touched one of them is listed, newest last, and then every medium that they were written
    to. A file that was rejected is not known to be an instance, and is not listed.
    """
    from fileset.cli.matching import parse_query  # noqa: PLC0415 - it needs pydicom

    repository = session.repository()
    wanted = parse_query(query)
    state = repository.refresh()
    leaves = ever_known(state, wanted)
    found = list(touches_of(repository, [leaf.handle for leaf in leaves])) if leaves else []
    wording = Wording(repository)
    notes = [] if leaves else [_nothing(state, wanted, query)]
    if session.as_json:
        return Answer(
            {
                "instances": [_instance(leaf, state) for leaf in leaves],
                "events": [_event(touch, state, wording) for touch in found],
                "media": [_medium(touch, found, state) for touch in _placed(found)],
            }
        )
    return Answer(
        {},
        [
            *_heading(leaves, state),
            *_event_lines(found, wording, state, full=full),
            *_media_lines(found, leaves, state, full),
        ],
        notes,
    )


def _nothing(state: FileSetState, wanted: Query, query: Sequence[str]) -> str:
    if (doubt := wanted.doubt()) is not None:
        raise click.UsageError(doubt)
    compared = f"No instance has, or had, in its directory records {' and '.join(query)}."
    erased = " Nothing is known of instances whose data was erased." if state.erasures else ""
    hint = " `fileset values KEYWORD` lists what values there are."
    return f"{compared}{erased}{hint}"


# --- for people ----------------------------------------------------------------------------------


def _heading(leaves: list[Leaf], state: FileSetState) -> Iterator[Line]:
    """Yield what was found: the lowest record that all are below, and how many they are.

    Of one that was corrected that is the version that stands, or else the last one.
    """
    if not leaves:
        return
    earlier, all_ = len(leaves), leaves
    found = sorted(all_, key=lambda leaf: leaf.is_live)
    leaves = list({state.hierarchy.first_version(leaf.handle): leaf for leaf in found}.values())
    earlier -= len(leaves)
    paths = [above(leaf.home) for leaf in leaves]
    for level in zip(*paths, strict=False):
        if any(branch is not level[0] for branch in level):
            break
        yield record_label(level[0])
    if len(leaves) == 1:
        (leaf,) = leaves
        yield (
            Span(leaf.record_type, "title"),
            f": {leaf.uid}  {sop_class_name(leaf.sop_class_uid)}",
        )
    live = sum(leaf.is_live for leaf in leaves)
    gone = len(leaves) - live
    there = f"{count(live, 'instance')} in the File-set"
    there = f"{there}, {gone:,} no longer" if gone else there
    yield f"{there}; {count(earlier, 'other version')}" if earlier else there
    yield ""


def _event_lines(
    found: list[Touch], wording: Wording, state: FileSetState, *, full: bool
) -> Iterator[Line]:
    one = state.hierarchy.first_version
    alone = len({one(handle) for touch in found for handle in touch.instances}) == 1
    found = list(_without_replaced(found, one))
    groups: Iterable[list[Touch]] = (
        [[touch] for touch in found]
        if full
        else (list(g) for _, g in groupby(found, key=lambda t: (t.change.id, t.kind, t.of)))
    )
    for group in groups:
        change = group[-1].change
        line: list[str | Span] = [
            Span(change.id, "command"),
            f"  {group[-1].position:>{DIGITS}}  ",
            Span(time_of(change), "faint"),
            f"  {change.actor}  {_done(group, wording, one, alone=alone)}",
        ]
        if change.reason:
            line.append(Span(f"  ({change.reason})", "faint"))
        yield tuple(line)


def _without_replaced(found: list[Touch], one: Callable[[Handle], Handle]) -> Iterator[Touch]:
    """Yield what happened, but for versions taken off a medium to which another one was written."""
    written = {
        (touch.position, one(handle))
        for touch in found
        if touch.kind is TouchKind.WRITTEN
        for handle in touch.instances
    }
    for touch in found:
        if touch.kind is not TouchKind.TAKEN_OFF:
            yield touch
        elif left := tuple(h for h in touch.instances if (touch.position, one(h)) not in written):
            yield evolve(touch, instances=left)


def _done(
    group: list[Touch], wording: Wording, one: Callable[[Handle], Handle], *, alone: bool
) -> str:
    """Return in words what one or several events of a change and kind did.

    If all is about one instance `alone`, it is not named again. The versions of an instance are
    `one`.
    """
    first = group[0]
    if isinstance(first.event, ChangeStep):
        return f"{_moved(first, one, alone=alone)}: {first.event.summary(wording)}"
    handles = {one(handle) for touch in group for handle in touch.instances}
    return _TEMPLATES[first.kind].format(
        what="" if alone else f"{count(len(handles), 'instance')} ",
        root=first.root,
        sources=_from(group),
        names=_names(group),
        medium=first.medium.number if first.medium else None,
        recipient=_recipient(first),
    )


_TEMPLATES: Final = {
    TouchKind.ADDED: "{what}added{sources}",
    TouchKind.ADOPTED: "{what}adopted with the medium at {root}",
    TouchKind.CORRECTED: "{what}corrected{names}",
    TouchKind.CONVERTED: "{what}converted to Explicit VR Little Endian",
    TouchKind.REMOVED: "{what}removed",
    TouchKind.RESTORED: "{what}taken back in",
    TouchKind.READ: "{what}read for the first time",
    TouchKind.STRANGER: "{what}not found on the medium, but something else, which was kept",
    TouchKind.CONFLICT: "{what}offered with different content{sources}, which was not added",
    TouchKind.WITHHELD: "{what}withheld, as it arrived again{sources}",
    TouchKind.NAMED: "{what}came with a different patient name{names}",
    TouchKind.MISMATCH: "{what}came with different values from the records{names}",
    TouchKind.SETTLED: "{what}accepted as belonging to one of several persons with the Patient ID",
    TouchKind.MENDED: "{what}repaired in the DICOMDIR",
    TouchKind.WRITTEN: "{what}written to {root}",
    TouchKind.TAKEN_OFF: "{what}taken off {root}",
    TouchKind.ABANDONED: "{what}not written to {root}: the write was given up",
    TouchKind.EXPORTED: "{what}copied to {root}",
    TouchKind.HANDED_OUT: "{what}handed out on medium {medium}{recipient}",
    TouchKind.MEDIUM_VERIFIED: "{what}on medium {medium}, which was read back",
    TouchKind.MEDIUM_BURNT: "{what}burnt on medium {medium}",
    TouchKind.MEDIUM_LEFT: "{what}left behind on the medium at {root}",
    TouchKind.MEDIUM_LOST: "{what}lost with the medium at {root}",
    TouchKind.DAMAGED: "{what}found damaged at {root}",
    TouchKind.REPAIRED: "{what}repaired on the medium",
}


def _moved(touch: Touch, one: Callable[[Handle], Handle], *, alone: bool) -> str:
    """Return which instances came back, which went, and which of them in another version."""
    came = {one(handle): handle for handle in touch.came}
    went = {one(handle): handle for handle in touch.went}
    moves = [
        ("back in", came.keys() - went),
        ("out again", went.keys() - came),
        (
            "as before its correction",
            {each for each in went if came.get(each, went[each]) < went[each]},
        ),
        ("as corrected", {each for each in went if came.get(each, 0) > went[each]}),
    ]
    return ", ".join(
        how if alone else f"{count(len(handles), 'instance')} {how}"
        for how, handles in moves
        if handles
    )


def _from(group: list[Touch]) -> str:
    """Return where the files came from: the one file, or the folders."""
    sources = [source for touch in group if (source := _source(touch))]
    if not sources:
        return ""
    if len(sources) == 1:
        return f" from {sources[0]}"
    return f" from {some(list(dict.fromkeys(map(folder_of, sources))), 3)}"


_WITH_SOURCE: Final = (InstanceAdded, ConflictNoted, ArrivalWithheld)


def _source(touch: Touch) -> str | None:
    event = touch.event
    return event.source if isinstance(event, _WITH_SOURCE) else None


def _names(group: list[Touch]) -> str:
    names: dict[str, None] = {}
    for touch in group:
        if isinstance(touch.event, PatientNameNoted):
            names[f"'{touch.event.name}'"] = None
        elif isinstance(touch.event, InstancesCorrected):
            names.update(dict.fromkeys(touch.event.in_words()))
        elif isinstance(touch.event, MismatchNoted):
            names.update(dict.fromkeys(touch.event.keywords))
    return f": {some(list(names), 3)}" if names else ""


def _recipient(touch: Touch) -> str:
    recipient = touch.medium.recipient if touch.medium else None
    return f" for {recipient}" if recipient else ""


_HOW: Final = {
    TouchKind.ADOPTED: "adopted",
    TouchKind.WRITTEN: "written",
    TouchKind.EXPORTED: "exported",
    TouchKind.HANDED_OUT: "handed out",
}


def _placed(found: list[Touch]) -> Iterator[Touch]:
    """Yield the touches that put instances on media; those of one change and medium as one."""
    placing = [touch for touch in found if touch.kind in _HOW]

    def which(touch: Touch) -> tuple[str, str | None, int | None]:
        return touch.change.id, touch.root, touch.medium.number if touch.medium else None

    for _, group in groupby(placing, key=which):
        touches = list(group)
        if touches[-1].kind is TouchKind.HANDED_OUT:
            yield touches[-1]
            continue
        file_ids = {handle: path for touch in touches for handle, path in touch.file_ids.items()}
        yield evolve(touches[-1], instances=tuple(file_ids), file_ids=file_ids)


def _media_lines(
    found: list[Touch], leaves: list[Leaf], state: FileSetState, full: bool
) -> Iterator[Line]:
    media = list(_placed(found))
    if not media:
        if found:
            yield ""
            yield "Never written to a medium."
        return
    yield ""
    yield (Span("Media", "title"),)
    for touch in media:
        paths = list(touch.file_ids.values())
        where = f"medium {touch.medium.number}" if touch.medium else touch.root
        line: list[str | Span] = [
            f"{where}  {_HOW[touch.kind]}{_recipient(touch)} ",
            Span(time_of(touch.change), "faint"),
            f"  {count(len(touch.instances), 'instance')}",
            f"  DICOMDIR {short(touch.dicomdir)}" if touch.dicomdir else "",
        ]
        if what := _what_became(touch, found, state):
            line.append(Span(f"  {what}", "careful"))
        yield tuple(line)
        lines = [("  ", Span(path, "command")) for path in paths]
        yield from first(lines, None if full else 1, "  and {:,} more: --all lists them")
    here = sum(leaf.file_id is not None for leaf in leaves)
    if state.written is not None and here and state.written.root not in {t.root for t in media}:
        yield f"{state.written.root}  where the medium is now  {count(here, 'instance')}"


def _what_became(touch: Touch, found: list[Touch], state: FileSetState) -> str:
    """Return what became of the instances on a medium, `""` if they are there or it is a copy."""
    still = _still_there(touch, found, state)
    if still is None:
        left = _left(touch, found)
        return f"left: {left.why}" if left is not None else ""
    if still == len(touch.file_ids):
        return ""
    return f"{still:,} still there" if still else "no longer there"


def _left(touch: Touch, found: list[Touch]) -> MediumLeft | None:
    """Return how the medium was left with some of the instances on it, unless it was lost."""
    for later in found:
        is_it = later.root == touch.root and later.position > touch.position
        if is_it and isinstance(later.event, MediumLeft):
            return later.event if later.event.why != "lost" else None
    return None


def _still_there(touch: Touch, found: list[Touch], state: FileSetState) -> int | None:
    """Return how many of the instances lie there still, as far as the journal knows."""
    if touch.kind in (TouchKind.EXPORTED, TouchKind.HANDED_OUT) or _left(touch, found) is not None:
        return None
    if state.written is None or state.written.root != touch.root:
        return 0
    return sum(state.leaf(handle).file_id == path for handle, path in touch.file_ids.items())


# --- for machines --------------------------------------------------------------------------------


def _instance(leaf: Leaf, state: FileSetState) -> dict[str, Any]:
    return {
        "sop_instance_uid": leaf.uid,
        "sop_class": sop_class_name(leaf.sop_class_uid),
        "handle": leaf.handle,
        "corrects": state.hierarchy.replaced.get(leaf.handle),
        "live": leaf.is_live,
    }


def _event(touch: Touch, state: FileSetState, wording: Wording) -> dict[str, Any]:
    return {
        "position": touch.position,
        "event": touch.kind.value,
        "instances": [state.leaf(handle).uid for handle in touch.instances],
        "came": [state.leaf(handle).uid for handle in touch.came],
        "went": [state.leaf(handle).uid for handle in touch.went],
        "of": touch.of,
        "root": touch.root,
        "file_ids": _file_ids(touch, state),
        "dicomdir": str(touch.dicomdir) if touch.dicomdir else None,
        "source": _source(touch),
        "medium": touch.medium.number if touch.medium else None,
        "change": change_document(touch.change, wording.change(touch.change)),
    }


def _medium(touch: Touch, found: list[Touch], state: FileSetState) -> dict[str, Any]:
    return {
        "root": touch.root,
        "how": _HOW[touch.kind],
        "medium": touch.medium.number if touch.medium else None,
        "recipient": touch.medium.recipient if touch.medium else None,
        "position": touch.position,
        "recorded_at": touch.change.recorded_at,
        "instances": len(touch.instances),
        "file_ids": _file_ids(touch, state),
        "dicomdir": str(touch.dicomdir) if touch.dicomdir else None,
        "still_there": _still_there(touch, found, state),
    }


def _file_ids(touch: Touch, state: FileSetState) -> dict[str, str]:
    return {state.leaf(handle).uid: path for handle, path in touch.file_ids.items()}
