"""``erase`` and ``gc``: what goes for good."""

from __future__ import annotations

from typing import Any, Final

import click

from fileset.cli.command import Command, command, pass_session
from fileset.cli.matching import parse_query
from fileset.cli.output import Answer, Line, Span
from fileset.cli.progress import spinner
from fileset.cli.running import INCOMPLETE
from fileset.cli.session import Session
from fileset.cli.text import count, some
from fileset.contents import Contents
from fileset.erasure import Eraser, Erasure
from fileset.garbage import collect
from ledger.repacking import Excess
from projections.erasing import KEYWORDS

_MENTIONS: Final = 20  # of what stays that are told to people

_EXCESS: Final = {
    "entries": "how many contents go from the vault",
    "bytes": "how large they are in its packs",
    "scraps": "bytes in the packs that are no whole content, and go, too",
}


def _excess_document(excess: Excess) -> dict[str, int]:
    return {"entries": excess.entries, "bytes": excess.bytes, "scraps": excess.scraps}


@command(
    "erase",
    {
        "dry_run": "whether this only tells what would be",
        "completed": "whether an erasure that was interrupted before was completed",
        "change": "the id of the change that states it, or null if nothing was erased",
        "instances": "how many, of all that ever were part of the File-set",
        "present": "how many of them are, or were, part of it or on its medium",
        "events": "how many events lose their payload",
        "records": "how many records above them are carried on for others that stand under them",
        "rejected": "the paths of rejected files whose events are among them",
        **_EXCESS,
        "quarantined": "where the files came from that go from the quarantine",
        "unclear": "how many others there nobody can tell whose they are: they stay",
        "media": "where they were written to besides the medium of the File-set",
        "mentions": "[{position, what}]: texts that stay and hold the Patient ID or name",
    },
    changes=True,
)
@click.argument("query", metavar="KEYWORD=VALUE...", nargs=-1)
@click.option(
    "--take-off",
    is_flag=True,
    help="Remove the instances from the File-set first, and write the medium without them.",
)
@click.option("--dry-run", is_flag=True, help="Tell what would go, and stop.")
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

    KEYWORD is PatientID, StudyInstanceUID, SeriesInstanceUID or SOPInstanceUID; all instances count
    that ever were part of the File-set. Their events keep their place in the journal and lose what
    they held, and their bytes go from the vault. --reason is required and stays in the journal:
    don't name the person in it. If no instance matches, the exit code is 1.

    What is still part of the File-set or on its medium is refused without --take-off. What is on
    other media and in backups stays there; media that were written are listed.
    """
    wanted = parse_query(query)
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
        told = "The erasure is complete." if done.completed else "No erasure was interrupted."
        return Answer(document, [told])
    if not done.events:
        notes = ["No instance matches."]
        notes += ["An interrupted erasure was completed."] if done.completed else []
        return Answer(document, notes=notes, status=INCOMPLETE)
    return Answer(document, _told(done, dry_run=dry_run), _notes(done))


def _check(wanted: dict[str, str], reason: str | None, *, dry_run: bool, complete: bool) -> None:
    """Raise a usage error where what was asked for makes no sense."""
    if complete:
        if wanted or dry_run:
            raise click.UsageError("--complete takes no KEYWORD=VALUE and no --dry-run.")
        return
    if not wanted or any(not value.strip() for value in wanted.values()):
        raise click.UsageError("Name whose data is to be erased, as in PatientID=1CT1.")
    for keyword in wanted.keys() - KEYWORDS.keys():
        raise click.UsageError(f"'{keyword}' tells not whose data it is: {', '.join(KEYWORDS)} do.")
    if not dry_run and not (reason and reason.strip()):
        raise click.UsageError("An erasure needs a --reason: it is all that will tell of it.")


def _document(done: Erasure) -> dict[str, Any]:
    return {
        "completed": done.completed,
        "change": done.change,
        "instances": done.instances,
        "present": done.present,
        "events": done.events,
        "records": done.records,
        "rejected": list(done.rejected),
        **_excess_document(done.excess),
        "quarantined": list(done.quarantined),
        "unclear": done.unclear,
        "media": list(done.media),
        "mentions": [{"position": m.position, "what": m.what} for m in done.mentions],
    }


def _told(done: Erasure, *, dry_run: bool) -> list[Line]:
    verb = "Would erase" if dry_run else "Erased"
    what = f"{count(done.instances, 'instance')}, with what {count(done.events, 'event')} held"
    lines: list[Line] = [(Span(f"{verb} {what}.", "title"),)]
    if done.present:
        told = "--take-off takes them from there" if dry_run else "they were taken from there"
        lines.append(f"Part of the File-set or on its medium: {done.present:,}; {told}.")
    if done.rejected:
        lines.append(f"{count(len(done.rejected), 'rejected file')}: {some(list(done.rejected))}.")
    if done.quarantined:
        files = f"{count(len(done.quarantined), 'file')} in the quarantine"
        lines.append(f"{files}: {some(list(done.quarantined))}.")
    if done.records:
        lines.append(f"{count(done.records, 'record')} above them carried on for other instances.")
    lines.append(_excess_line(done.excess, dry_run=dry_run))
    return lines


def _excess_line(excess: Excess, *, dry_run: bool) -> str:
    verb = "Would drop" if dry_run else "Dropped"
    size = f"{count(excess.entries, 'content')} of {count(excess.bytes, 'byte')}"
    scraps = f", and {count(excess.scraps, 'byte')} in no whole one" if excess.scraps else ""
    return f"{verb} {size} from the vault{scraps}."


def _notes(done: Erasure) -> list[Line]:
    notes: list[Line] = [
        f"{root} was written with them: what is there, and was copied from there, stays."
        for root in done.media
    ]
    if done.unclear:
        notes.append(
            f"{count(done.unclear, 'file')} in the quarantine may be theirs: nothing tells whose. "
            "Look with `fileset quarantine list`, and drop what is."
        )
    notes += [
        f"position {mention.position}: the {mention.what} tells who it is, and stays"
        for mention in done.mentions[:_MENTIONS]
    ]
    if (more := len(done.mentions) - _MENTIONS) > 0:
        notes.append(f"and {more:,} more: --json lists them all")
    return notes


@command("gc", {"dry_run": "whether this only tells what would be", **_EXCESS})
@click.option("--apply", is_flag=True, help="Drop it; without this it is only told.")
@pass_session
def gc(session: Session, apply: bool) -> Answer:
    """Tell what the vault holds that no event names, and with --apply drop it.

    That is left by adds that were broken off, and copies of what was damaged and stored anew.
    Whatever undo and time travel need is named by events, and stays.
    """
    repository = session.repository()
    with spinner("Looking through the vault"):
        excess = collect(repository, dry_run=not apply)
    if not excess:
        told = "The vault holds nothing that no event names."
    else:
        told = _excess_line(excess, dry_run=not apply)
    return Answer({"dry_run": not apply, **_excess_document(excess)}, [told])


COMMANDS: Final[dict[str, Command]] = {"erase": erase, "gc": gc}
