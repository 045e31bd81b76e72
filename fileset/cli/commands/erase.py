"""`erase`: a person's data, for good."""

from __future__ import annotations

from typing import Any, Final

import click
from attrs import asdict

from fileset.cli.command import command, pass_session
from fileset.cli.matching import parse_exactly
from fileset.cli.running import INCOMPLETE
from fileset.cli.screen.output import Answer, Line, Span, first
from fileset.cli.screen.progress import spinner
from fileset.cli.screen.reports import EXCESS, excess_document, excess_line
from fileset.cli.screen.text import instant
from fileset.cli.session import Session
from fileset.erasure.erase import Eraser
from fileset.erasure.handed_out import HandedOut, OtherFiles
from fileset.erasure.mentions import Mention
from fileset.erasure.plan import Erasure
from fileset.repository.contents import Contents
from ledger.events.media import KINDS
from ledger.phrases import count, some
from projections.state.erasing import KEYWORDS

_MENTIONS: Final = 20  # of what stays that are told to people


@command(
    "erase",
    {
        "dry_run": "whether nothing was done, and this only shows what would be",
        "completed": "whether an erasure that was interrupted before was completed",
        "change": "the id of the change that states it, or null if nothing was erased",
        "instances": "how many are or would be erased, of all that were ever part of the File-set",
        "present": "how many of them are, or were, part of it or on its medium",
        "corrected": "[{sop_instance_uid, elements}]: instances that were moved to another "
        "patient and still name the person in these elements or items: they are corrected",
        "events": "how many events lose their payload",
        "records": "how many records above them are kept for other instances below them",
        "tags": "the tags that are deleted, because their names identify the person",
        "rejected": "the paths of rejected files whose events are among them",
        **EXCESS,
        "quarantined": "the sources of the files that are deleted from the quarantine",
        "unclear": "how many files there can't be attributed to anybody: they stay",
        "other_files": "{files, bytes, media}: what of the content that goes was on media besides "
        "instances, such as pages and a viewer, and the numbers of these media",
        "media": "where they were written to, other than the medium of the File-set",
        "handed_out": "[{number, kind, finished_at, instances, recipient, is_forgotten, "
        "can_be_remade}]: the media that were handed out with them: how many of them each has, for "
        "whom it is or null, whether the journal no longer tells that after the erasure, and "
        "whether the medium can be made again then",
        "mentions": "[{position, what, text, certain}]: texts and files that stay although they "
        "hold, or may hold, the Patient ID, the name or a UID; the position is null for a file",
        "too_short": "Patient IDs that are too short to be looked for in texts",
        "room": "[{folder, needed, free}]: how many bytes have to be free on each disk, and how "
        "many are",
    },
    changes=True,
)
@click.argument("query", metavar="KEYWORD=VALUE...", nargs=-1)
@click.option(
    "--take-off",
    is_flag=True,
    help="First remove the instances from the File-set, correct those of other patients that still "
    "name the person, and write the medium without them.",
)
@click.option("--dry-run", is_flag=True, help="Show what would be erased, and stop.")
@click.option("--complete", is_flag=True, help="Only complete an erasure that was interrupted.")
@pass_session
def erase(
    session: Session,
    query: tuple[str, ...],
    take_off: bool,
    dry_run: bool,
    complete: bool,
    reason: str | None,
) -> Answer:
    """Erase a person's data from the repository for good: no undo brings it back.

    KEYWORD is PatientID, StudyInstanceUID, SeriesInstanceUID or SOPInstanceUID; all instances that
    were ever part of the File-set are covered. Their events keep their place in the journal and
    lose what they held, and their bytes are removed from the vault. --reason is required and stays
    in the journal: don't name the person in it. If no instance matches, the exit code is 1.

    Instances that are still part of the File-set or on its medium are refused without --take-off.
    So are instances that were moved to another patient and still name the person.
    What is on other media and in backups stays there; media that were written are listed, and those
    that were handed out with their recipients, which the erasure may erase. So is
    every text that stays and identifies the person. Nothing is erased unless each disk has enough
    room: --dry-run says how much is needed.
    """
    wanted = parse_exactly(query)
    _check(wanted, reason, dry_run=dry_run, complete=complete)
    repository = session.repository()
    eraser = Eraser(repository, Contents(repository))
    if complete:
        done = Erasure(completed=eraser.complete())
    elif dry_run:
        done = eraser.foresee(wanted)
    else:
        with spinner("Erasing"):
            done = eraser.erase(wanted, reason=reason or "", take_off=take_off)
    document = {"dry_run": dry_run, **_document(done)}
    if complete:
        return Answer(
            document,
            ["The erasure is complete." if done.completed else "No erasure was interrupted."],
        )
    if not (done.events or done.quarantined or done.telling):
        notes: list[Line] = ["No instance matches."]
        notes += ["An interrupted erasure was completed."] if done.completed else []
        notes += _notes(done, dry_run=dry_run)
        return Answer(document, notes=notes, status=INCOMPLETE)
    return Answer(document, _lines(done, dry_run=dry_run), _notes(done, dry_run=dry_run))


def _check(wanted: dict[str, str], reason: str | None, *, dry_run: bool, complete: bool) -> None:
    """Raise a usage error where what was asked for makes no sense."""
    if complete:
        if wanted or dry_run:
            raise click.UsageError("--complete takes no KEYWORD=VALUE and no --dry-run.")
        return
    if not wanted or any(not value.strip() for value in wanted.values()):
        raise click.UsageError("Name whose data is to be erased, as in PatientID=1CT1.")
    for keyword in wanted.keys() - KEYWORDS.keys():
        raise click.UsageError(
            f"'{keyword}' does not say whose data it is: {', '.join(KEYWORDS)} do."
        )
    if not dry_run and not (reason and reason.strip()):
        raise click.UsageError(
            "An erasure needs a --reason: nothing else will say why it was done."
        )


def _document(done: Erasure) -> dict[str, Any]:
    return {
        "completed": done.completed,
        "change": done.change,
        "instances": done.instances,
        "present": done.present,
        "corrected": [
            {"sop_instance_uid": each.uid, "elements": list(each.elements)} for each in done.telling
        ],
        "events": done.events,
        "records": done.records,
        "tags": list(done.tags),
        "rejected": list(done.rejected),
        **excess_document(done.excess),
        "quarantined": list(done.quarantined),
        "unclear": done.unclear,
        "other_files": asdict(done.other_files),
        "media": list(done.media),
        "handed_out": [asdict(each) for each in done.handed_out],
        "mentions": [asdict(mention) for mention in done.mentions],
        "too_short": list(done.too_short),
        "room": [asdict(room) for room in done.room],
    }


def _lines(done: Erasure, *, dry_run: bool) -> list[Line]:
    verb = "Would erase" if dry_run else "Erased"
    what = f"{count(done.instances, 'instance')}, and the data of {count(done.events, 'event')}"
    lines: list[Line] = [(Span(f"{verb} {what}.", "title"),)]
    if done.present:
        gone = "--take-off takes them off" if dry_run else "they were taken off"
        lines.append(f"Part of the File-set or on its medium: {done.present:,}; {gone}.")
    if done.telling:
        others = f"{count(len(done.telling), 'instance')} of other patients naming the person"
        lines.append(
            f"{'--take-off would correct' if dry_run else 'Corrected'} {others}: "
            f"{some([each.in_words() for each in done.telling], 3)}."
        )
    if done.rejected:
        lines.append(f"{count(len(done.rejected), 'rejected file')}: {some(done.rejected, 3)}.")
    if done.tags:
        tags = f"{count(len(done.tags), 'tag')}: {some(done.tags, 3)}"
        lines.append(f"{'Would delete' if dry_run else 'Deleted'} {tags}.")
    if done.quarantined:
        files = f"{count(len(done.quarantined), 'file')} in the quarantine"
        lines.append(f"{files}: {some(done.quarantined, 3)}.")
    if done.records:
        records = f"{count(done.records, 'record')} above them"
        verb = "Would keep" if dry_run else "Kept"
        lines.append(f"{verb} {records} for other instances.")
    lines.append(excess_line(done.excess, dry_run=dry_run))
    if done.other_files.files:
        lines.append(_other_files_line(done.other_files))
    if dry_run:
        lines += [
            (Span(f"It takes {room.in_words()}.", "title" if room.suffices else "bad"),)
            for room in done.room
        ]
    return lines


def _other_files_line(others: OtherFiles) -> str:
    files = f"{'is' if others.files == 1 else 'are'} {count(others.files, 'file')}"
    media = "medium" if len(others.media) == 1 else "media"
    numbers = some([str(number) for number in others.media])
    return (
        f"Among these {files}, {count(others.bytes, 'byte')}, that {media} {numbers} had besides "
        "instances, such as pages and a viewer."
    )


def _handed_out_line(medium: HandedOut, *, dry_run: bool) -> str:
    """Return which medium has the data, and whom to ask for it."""
    whom = f"for {medium.recipient}" if medium.recipient else "for whom is not recorded"
    what = f"{KINDS.get(medium.kind, medium.kind)} of {instant(medium.finished_at)}"
    line = f"Medium {medium.number} ({what}), {whom}"
    if medium.instances:
        line += f", has {count(medium.instances, 'instance')} of them and stays where it is."
    else:
        line += ": what is recorded of it identifies the person."
    if not medium.can_be_remade:
        line += f" It can't be made again{' then' if dry_run else ''}."
    if medium.is_forgotten and medium.recipient:
        line += (
            " The recipient is erased as well: write it down before."
            if dry_run
            else " The recipient was erased as well, and is told here for the last time."
        )
    return line


def _notes(done: Erasure, *, dry_run: bool) -> list[Line]:
    notes: list[Line] = [
        f"{root} was written with them: what is there, and any copies of it, stay."
        for root in done.media
    ]
    notes += [_handed_out_line(medium, dry_run=dry_run) for medium in done.handed_out]
    if done.unclear:
        notes.append(
            f"{count(done.unclear, 'file')} in the quarantine can't be attributed to anybody, and "
            f"may be theirs. Look at them with `fileset quarantine list`, and drop what is theirs."
        )
    notes += [
        f"The Patient ID {patient} is too short to be looked for in texts, except as the name of "
        f"a file or folder: look through the paths and reasons with `fileset log --events`."
        for patient in done.too_short
    ]
    mentions = [_mention_line(mention) for mention in done.mentions]
    return [*notes, *first(mentions, _MENTIONS, "and {:,} more: --json lists them all")]


_OF_CHANGES: Final = {"reason", "actor", "origin"}


def _mention_line(mention: Mention) -> str:
    tells = "identifies" if mention.certain else "may identify"
    if mention.position is None:
        return f"{mention.what} {tells} the person, and stays: {mention.text}"
    what = mention.what if mention.what in _OF_CHANGES else f"event '{mention.what}'"
    return f"position {mention.position}: the {what} {tells} the person, and stays: {mention.text}"
