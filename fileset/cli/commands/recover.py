"""`recover`: the journal, rebuilt from what can be proven."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Final

import click

from fileset.cli.command import PathType, command, pass_session, text_for_journal
from fileset.cli.running import INCOMPLETE, OK
from fileset.cli.screen.output import Answer, Line, Span, first
from fileset.cli.screen.progress import spinner
from fileset.cli.screen.text import instant
from fileset.cli.session import Session, absolute, origin
from fileset.recovery.recover import looks_like_repository
from fileset.recovery.recover import recover as recover_journal
from fileset.recovery.report import ContentDetails, RecoveryReport
from fileset.repository.folder import find_repository
from fileset.repository.lock import PATIENCE
from ledger.digest import short
from ledger.phrases import count

_LISTED: Final = 20  # contents that are told to people one by one


@command(
    "recover",
    {
        "damage": "a list of texts: what was wrong; empty if there was nothing to recover",
        "dry_run": "whether nothing was done, and this only shows what would be",
        "journal": "the id of the recovered journal, or null",
        "begun_anew": "whether nothing could be proven, so that a new journal was begun",
        "events": "how many events were proven, all up to that position",
        "recorded_at": "when the last of them was recorded, or null",
        "sources": "{name: number}: how many of them come from each source",
        "lost": "[first, last] position known to be lost, or []",
        "ended": "whether the database shows that nothing came after these events",
        "unproven": "how many later events could be read but not proven",
        "missing": "[{digest, size, sop_instance_uid, position, problem}]: contents that "
        "instances need and that are missing from the vault or damaged",
        "unnamed": "[{digest, size, sop_instance_uid}]: contents of the vault that no event names",
        "notes": "a list of texts: what else there is to know",
        "erasing": "whether an erasure may not be complete, so that nothing is added from the "
        "vault",
        "kept": "the folder where the damaged files are, or null",
        "change": "the id of the change that added instances from the vault, or null",
        "added": "how many instances that change added",
        "not_added": "[{digest, size, sop_instance_uid, reason}]: unnamed contents that were not "
        "added",
    },
)
@click.option(
    "--journal",
    "exports",
    type=PathType(exists=True, dir_okay=False),
    metavar="FILE",
    multiple=True,
    help="Fill gaps from this exported journal. Can be repeated.",
)
@click.option(
    "--journal-id",
    metavar="ID",
    callback=text_for_journal,
    help="The journal's id, if the damaged journal has lost it.",
)
@click.option(
    "--from-vault",
    is_flag=True,
    help="Add the instances of the vault that no recovered event names, as one change.",
)
@click.option("--dry-run", is_flag=True, help="Show what would be recovered, and stop.")
@pass_session
def recover(
    session: Session,
    exports: tuple[Path, ...],
    journal_id: str | None,
    from_vault: bool,
    dry_run: bool,
) -> Answer:
    """Rebuild a damaged journal from the events that can be proven to belong to it.

    All that can still be read is taken from the damaged database, and gaps are filled from the
    exported journals that --journal names. The hash chain proves which events belong to the
    journal: the new one has them up to the first lost event, and only complete changes. The damaged
    one is kept in a folder damaged-TIME in the repository, together with the events that could be
    read but not proven.

    If something is or may be lost, or the vault lacks content or holds content that the recovered
    journal does not name, this is reported and the exit code is 1. --from-vault adds such content;
    `fileset undo` takes that back. If nothing can be proven, --from-vault begins a new journal. An
    intact journal is left alone, unless an exported one continues where it ends.
    """
    path = absolute(session.path or _nearest())
    with session.telling_who_named_it(), spinner("Recovering the journal"):
        report = recover_journal(
            path,
            [absolute(each) for each in exports],
            journal_id=journal_id,
            from_vault=from_vault,
            dry_run=dry_run,
            origin=origin(),
            actor=session.actor,
            patience=PATIENCE if session.wait is None else session.wait,
        )
    notes: list[Line] = [(Span("note: ", "careful"), note) for note in report.notes]
    return Answer(report.document(), _lines(report), notes, INCOMPLETE if _lacks(report) else OK)


def _nearest() -> Path:
    here = Path.cwd()
    return find_repository(here) or next(
        (each for each in (here, *here.parents) if looks_like_repository(each)), here
    )


def _lacks(report: RecoveryReport) -> bool:
    """Whether something is lost, may be, is missing, or was not taken."""
    if report.missing or report.notes or report.not_added:
        return True
    open_ = len(report.unnamed) > report.added
    lost = report.lost or report.begun_anew or not report.ended or open_
    return bool(report.damage and lost)


def _lines(report: RecoveryReport) -> Iterator[Line]:
    if not report.damage:
        whole = "The journal is intact: nothing to recover."
        yield (Span(whole, "good"), " `fileset verify` checks the content.")
    else:
        for each in report.damage:
            yield f"Found: {each}"
        yield (Span(_title(report), "title"),)
        if report.begun_anew:
            yield "To make a new repository from an intact medium: `fileset init REPO --from ROOT`."
        yield from _proof(report)
    yield from _contents("missing from the vault", report.missing, "")
    if not report.damage and not report.unnamed:
        return
    kept = "" if report.added else " --from-vault adds them; `fileset gc` drops them."
    yield from _contents("in the vault that no event names", report.unnamed, kept)
    if report.change:
        yield (
            Span(
                f"Added {count(report.added, 'instance')} of these, in change {report.change}.",
                "good",
            ),
        )
    for content in report.not_added:
        yield f"  not added: {short(content['digest'])}: {content['reason']}"


def _title(report: RecoveryReport) -> str:
    verb = "Would recover" if report.dry_run else "Recovered"
    if report.begun_anew:
        began = "Would begin" if report.dry_run else "Began"
        return f"{began} a new journal, {report.journal}: nothing of the old one can be proven."
    when = f", the last of {instant(report.recorded_at)}" if report.recorded_at else ""
    return f"{verb} {count(report.events, 'event')} of the journal {report.journal}{when}."


def _proof(report: RecoveryReport) -> Iterator[Line]:
    for name, number in report.sources.items():
        yield f"  {number:,} from {name}"
    if report.lost:
        first, last = report.lost
        what = f"position {first}" if first == last else f"positions {first} to {last}"
        read = f"; {report.unproven:,} of them could be read" if report.unproven else ""
        yield (Span(f"Not proven, and not used: {what}{read}.", "bad"),)
    elif not report.ended:
        yield "What came after, if anything did, has left no trace."
    if report.kept:
        yield f"The damaged files are kept in {report.kept}."


def _contents(title: str, contents: list[ContentDetails], then: str) -> Iterator[Line]:
    if not contents:
        return
    yield (Span(f"{count(len(contents), 'content')} {title}:{then}", "careful"),)
    lines = []
    for each in contents:
        uid = each["sop_instance_uid"] or "no instance that can be read"
        why = f": {each['problem']}" if "problem" in each else ""
        lines.append(f"  {short(each['digest'])}, {count(each['size'], 'byte')}, {uid}{why}")
    yield from first(lines, _LISTED, "  and {:,} more: --json lists them.")
