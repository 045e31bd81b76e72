"""`media make`: a medium that is handed out."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, BinaryIO, Final

import click

from fileset.cli.command import DRY_RUN, PathType, command, pass_session, text_for_journal
from fileset.cli.identity import named_profile
from fileset.cli.matching import (
    LITERAL,
    MATCHED,
    UNREADABLE,
    advice,
    matched,
    matched_lines,
    parse_query,
    refuse_ambiguous,
    tell_nothing,
    unreadable_document,
    unreadable_notes,
)
from fileset.cli.moments import AT, file_set_at
from fileset.cli.running import INCOMPLETE, OK, piped
from fileset.cli.screen.media import medium_document
from fileset.cli.screen.output import Answer, Line, Span
from fileset.cli.screen.progress import phases
from fileset.cli.screen.text import of_several
from fileset.cli.session import Session, absolute
from fileset.criteria import Query
from fileset.fileset import FileSet
from fileset.media.choice import Choice, medium_kind
from fileset.media.extras import Extras
from fileset.media.make import Made, Maker
from fileset.media.prepare import Prepared
from fileset.media.words import LANGUAGES
from fileset.views.search import Search
from ledger.digest import short
from ledger.events.media import KINDS
from ledger.phrases import count, some
from projections.medium.volumes import CAPACITIES, SPLITS, VolumesError, capacity_of
from projections.state.nodes import Leaf

STDOUT: Final = Path("-")
_UNSHOWN: Final = "can't be shown"


def _capacity(ctx: click.Context, param: click.Parameter, value: str | None) -> int | None:
    """Return how many bytes a capacity is: the option's callback."""
    del ctx, param
    try:
        return None if value is None else capacity_of(value)
    except VolumesError as exc:
        raise click.BadParameter(str(exc)) from exc


@command(
    "make",
    {
        "media": "the media that were made, one for each volume, see below",
        "plan": "what goes where: [{out, id, uid, volume, volumes, instances, left_out, size}]; "
        "left_out counts the instances that don't fit the profile, size is in bytes",
        "converted": "how many instances were converted to Explicit VR Little Endian",
        "unconverted": "what should have been converted and can't be: [{uid, reason}]",
        "dry_run": "whether nothing was done, and this only shows what would be",
        **UNREADABLE,
        **MATCHED,
        "without_icon": "of what no icon can be made, if icons were asked for: [{uid, reason}]",
        "unshown": "what the pages and the viewer can't show: [{uid, reason}]",
    },
    changes=True,
)
@click.argument("out", type=PathType(allow_dash=True))
@click.argument("query", metavar="[KEYWORD=VALUE]...", nargs=-1)
@click.option(
    "--format",
    "kind",
    type=click.Choice(list(KINDS)),
    help="What to make.  [default: by OUT's ending, .iso, .img or .usb, .zip or .eml; "
    "a folder without one]",
)
@AT
@LITERAL
@click.option(
    "--load", is_flag=True, help="Look for values in the instances, not only in their records."
)
@click.option(
    "--profile",
    metavar="PROFILE",
    help="The application profile that it conforms to, such as STD-GEN-CD.  [default: the "
    "File-set's]",
)
@click.option("--leave-out", is_flag=True, help="Leave out instances that do not fit the profile.")
@click.option(
    "--convert",
    is_flag=True,
    help="Convert those that only have to be in Explicit VR Little Endian.",
)
@click.option("--icons", is_flag=True, help="Put icons of all images into the DICOMDIR.")
@click.option("--recipient", metavar="TEXT", callback=text_for_journal, help="For whom it is.")
@click.option("--label", metavar="TEXT", callback=text_for_journal, help="What is written on it.")
@click.option(
    "--capacity",
    callback=_capacity,
    metavar="|".join([*CAPACITIES, "SIZE"]),
    help="Make as many volumes of at most that size as it takes: bytes, 4.7GB or 650MiB.",
)
@click.option(
    "--split",
    type=click.Choice(SPLITS),
    help="What stays together on a volume; series: studies do, unless one is larger than a volume. "
    "[default: study]",
)
@click.option("--pdi", is_flag=True, help="Add pages for a web browser, as IHE PDI has them.")
@click.option("--viewer", is_flag=True, help="Add a viewer that runs in a web browser.")
@click.option(
    "--language",
    type=click.Choice(sorted(LANGUAGES)),
    help="The language of the pages and of the viewer.  [default: en]",
)
@click.option(
    "--institution", metavar="TEXT", callback=text_for_journal,
    help="What the pages and the label call yours.",
)  # fmt: skip
@click.option("--contact", metavar="TEXT", default="", help="Whom the pages tell people to ask.")
@click.option(
    "--templates",
    type=PathType(exists=True, file_okay=False),
    help="A folder with your own README.TXT, INDEX.HTM, STUDY.HTM, HEAD.HTM or STYLE.CSS.",
)
@click.option(
    "--include",
    type=PathType(exists=True, file_okay=False),
    help="A folder whose files go on the medium as well; their names are 8.3.",
)
@click.option("--include-programs", is_flag=True, help="Allow programs among these.")
@click.option("--replace", is_flag=True, help="Replace a file, or what is on a device.")
@DRY_RUN
@pass_session
def media_make(
    session: Session,
    out: Path,
    query: tuple[str, ...],
    kind: str | None,
    moment: str | None,
    literal: bool,
    load: bool,
    profile: str | None,
    leave_out: bool,
    convert: bool,
    icons: bool,
    recipient: str | None,
    label: str | None,
    capacity: int | None,
    split: str | None,
    pdi: bool,
    viewer: bool,
    language: str | None,
    institution: str | None,
    contact: str,
    templates: Path | None,
    include: Path | None,
    include_programs: bool,
    replace: bool,
    dry_run: bool,
    reason: str | None,
) -> Answer:
    """Make a medium with the File-set, or with the instances that have all the values.

    OUT is a file, a folder, a device, or - for standard output. What is staged counts as it is. The
    bytes come from the repository: what it has only by reference, or on its medium, is copied into
    it first. The same state of the File-set and the same choice give the same bytes, on any day and
    machine. The whole File-set keeps its File-set UID; a part of it gets one of its own.

    With --capacity, studies go on as many volumes as it takes, each a File-set of its own; OUT gets
    their numbers, as in disc_1OF3.iso.

    With an application profile, instances that do not fit it prevent the medium, unless --leave-out
    makes it without them; `fileset media check --profile PROFILE` tells which these are, and why.
    With --convert, those in Implicit VR, Big Endian or deflated become Explicit VR Little Endian
    first: that loses nothing, is a change of the File-set of its own, and can be undone.

    --icons makes a small picture of every image for viewers to list; with a profile that requires
    them (STD-XABC-CD, STD-XA1K), it is not needed. Icons need the extra [pictures].

    --pdi adds README.TXT, INDEX.HTM and IHE_PDI with a page for each study and previews. --viewer
    adds VIEWER: its INDEX.HTM shows the images in a web browser, with nothing to install. Previews,
    and images that are compressed, need the extra [pictures]; what can't be
    shown is reported. All of it is kept, so that the medium can be made again.

    A medium is recorded when it is begun and when it is finished. One that was interrupted is
    listed as not finished. The exit code is 1 if an image can't be shown or gets no icon, if an
    instance can't be converted, and if none matches: then nothing is made.
    """
    kind = _kind_of(out, kind)
    if split is not None and capacity is None:
        raise click.UsageError("--split needs a --capacity.")
    if convert and dry_run:
        raise click.UsageError("--convert changes the File-set, so it has no --dry-run.")
    if out == STDOUT and session.as_json:
        raise click.UsageError("Standard output can't take both the medium and --json.")
    fs = file_set_at(session, moment)
    search = Search(load)
    wanted = parse_query(query, literal=literal)
    found = search.find(fs, wanted) if wanted else None
    session.warnings += advice(search, wanted) if wanted else []
    _refuse_idle(
        {"--institution": institution, "--contact": contact, "--templates": templates},
        "--pdi",
        is_there=pdi,
    )
    _refuse_idle({"--language": language}, "--pdi or --viewer", is_there=pdi or viewer)
    _refuse_idle({"--include-programs": include_programs}, "--include", is_there=bool(include))
    if found == [] or not fs.state.live:
        return _nothing(session, search, fs, wanted, dry_run=dry_run)
    refuse_ambiguous(fs, wanted, found or ())
    told = matched(wanted, found or ())
    extras = Extras(
        pdi,
        viewer,
        language or session.setting("language") or "en",
        institution or (session.setting("institution") if pdi else None) or "",
        contact,
        templates,
        include,
        include_programs,
    )
    choice = Choice(
        kind,
        None if found is None else [instance.handle for instance in found],
        tuple((each.keyword, each.text) for each in wanted.criteria),
        recipient,
        label,
        capacity,
        split or "study",
        extras=extras,
        profile=None if profile is None else named_profile(profile, to_set=True),
        leave_out=leave_out,
        convert=convert,
        icons=icons,
    )
    maker = Maker(session.repository())
    place = _place(out)
    if dry_run:
        with phases() as show:
            planned = maker.plan(place, fs.state, choice, replace=replace, progress=show)
        return _telling(told, _foreseen(planned, search, maker))
    with piped(is_stream=out == STDOUT), phases() as show:
        made = maker.make(place, fs.state, choice, replace=replace, reason=reason, progress=show)
    return _telling(told, _made(made, search, maker))


def _telling(told: list[dict[str, Any]], answer: Answer) -> Answer:
    """Return the answer with what patterns stood for, which is on the media as well."""
    answer.document["matched"] = told
    answer.notes = [*matched_lines(told), *answer.notes]
    return answer


def _nothing(
    session: Session, search: Search, fs: FileSet, wanted: Query, *, dry_run: bool
) -> Answer:
    """Answer that there is nothing to hand out."""
    document = {
        "media": [],
        "plan": [],
        "converted": 0,
        "unconverted": [],
        "dry_run": dry_run,
        "unreadable": unreadable_document(search),
        "unshown": [],
        "matched": [],
        "without_icon": [],
    }
    notes = [*unreadable_notes(search), tell_nothing(session, search, fs, wanted)]
    return Answer(document, notes=notes, status=INCOMPLETE)


def _refuse_idle(options: Mapping[str, object], needed: str, *, is_there: bool) -> None:
    """Refuse options that do nothing without one that isn't there."""
    for name, value in options.items():
        if value and not is_there:
            raise click.UsageError(f"{name} needs {needed}.")


def _kind_of(out: Path, named: str | None) -> str:
    if out != STDOUT:
        return medium_kind(out, named)
    if named is None:
        raise click.UsageError("Standard output needs a --format.")
    return named


def _place(out: Path) -> Path | BinaryIO:
    return sys.stdout.buffer if out == STDOUT else absolute(out)


def _reasons_document(reasons: Mapping[Leaf, str]) -> list[dict[str, str]]:
    return [{"uid": leaf.uid, "reason": why} for leaf, why in reasons.items()]


def _notes(reasons: Mapping[Leaf, str], what: str) -> Iterator[Line]:
    """Yield of which instances `what` is so, by the reason."""
    by_reason: dict[str, list[str]] = {}
    for leaf, why in reasons.items():
        by_reason.setdefault(why, []).append(leaf.uid)
    for why, uids in by_reason.items():
        reason = why if len(uids) == 1 else of_several(why)
        number = count(len(uids), "instance")
        yield (Span(f"{number} {what}: {reason} ({some(uids)})", "careful"),)


def _foreseen(
    planned: list[tuple[Path | BinaryIO, Prepared]], search: Search, maker: Maker
) -> Answer:
    plan = [_planned(place, each) for place, each in planned]
    lines: list[Line] = []
    for each in plan:
        what = f"{each['id'] or 'without ID'}, {count(each['instances'], 'instance')}"
        lines.append((Span(str(each["out"]), "command"), f": {what}, {each['size']:,} bytes"))
    return Answer(
        {
            "media": [],
            "plan": plan,
            "converted": 0,
            "unconverted": [],
            "dry_run": True,
            "unreadable": unreadable_document(search),
            "unshown": _reasons_document(maker.unshown),
            "without_icon": [],
        },
        [*lines, "Nothing was made: this was a dry run."],
        [*unreadable_notes(search), *_left_out(planned[0][1]), *_notes(maker.unshown, _UNSHOWN)],
        status=_status(search, maker),
    )


def _status(search: Search, maker: Maker) -> int:
    """Return the exit code: what is no image is nothing that failed."""
    return INCOMPLETE if search.unreadable or maker.failed or maker.unconverted else OK


def _left_out(prepared: Prepared) -> list[Line]:
    """Return what is told of instances that were left out, of all volumes the same."""
    started = prepared.started
    number = sum(last - first + 1 for first, last in started.left_out)
    if not number:
        return []
    what = f"{count(number, 'instance')} left out, not fitting {started.profile}."
    return [
        (Span(what, "careful"), f" `fileset media check --profile {started.profile}` tells why.")
    ]


def _planned(place: Path | BinaryIO, prepared: Prepared) -> dict[str, Any]:
    started = prepared.started
    return {
        "out": str(place) if isinstance(place, Path) else None,
        "id": started.id,
        "uid": started.uid,
        "volume": started.volume,
        "volumes": started.volumes,
        "instances": started.count,
        "left_out": sum(last - first + 1 for first, last in started.left_out),
        "size": prepared.size,
    }


def _made(made: list[Made], search: Search, maker: Maker) -> Answer:
    lines: list[Line] = []
    if maker.converted:
        lines.append(
            f"{count(maker.converted, 'instance')} converted to Explicit VR Little Endian."
        )
    for medium, place, _ in made:
        assert medium.produced is not None  # noqa: S101 - it was finished
        image = medium.produced.image
        lines.append(
            (
                f"Medium {medium.number}: {count(medium.started.count, 'instance')} to ",
                Span(str(place) if isinstance(place, Path) else "standard output", "command"),
                f", {image.size:,} bytes, {short(image.digest)}",
            )
        )
    is_stream = not isinstance(made[0].place, Path)
    return Answer(
        {
            "media": [medium_document(each.medium) for each in made],
            "plan": [_planned(each.place, each.prepared) for each in made],
            "converted": maker.converted,
            "unconverted": _reasons_document(maker.unconverted),
            "dry_run": False,
            "unreadable": unreadable_document(search),
            "unshown": _reasons_document(maker.unshown),
            "without_icon": _reasons_document(maker.without_icon),
        },
        [] if is_stream else lines,
        [
            *unreadable_notes(search),
            *_left_out(made[0].prepared),
            *_notes(maker.unconverted, "can't be converted"),
            *_notes(maker.unshown, _UNSHOWN),
            *_notes(maker.without_icon, "without an icon"),
            *(lines if is_stream else []),
        ],
        status=_status(search, maker),
    )
