"""`quarantine`: files from watched folders that could not be added."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

import click
from attrs import asdict, evolve

from fileset.adding.outcome import Outcome
from fileset.adding.report import AddReport
from fileset.cli.coercing import COERCE, COERCED, coerced_document, coerced_lines, read_coercer
from fileset.cli.command import command, pass_session
from fileset.cli.running import INCOMPLETE, OK
from fileset.cli.screen.output import Answer, Line, Span, columns
from fileset.cli.screen.text import in_commands, instant
from fileset.cli.session import Session
from fileset.errors import RefusedError
from ledger.phrases import count

if TYPE_CHECKING:
    from fileset.adding.coercing import Coercer
    from fileset.quarantine.quarantine import Quarantine, Quarantined


@command(
    "quarantine",
    {
        "quarantined": "what is in it afterwards, the oldest first: [{id, source, folder, outcome, "
        "reason, at, tries, digest, size, sop_instance_uid, recorded}]; the UID is that under "
        "which a file is withheld, or null",
        "done": "the ids of those that were added or dropped",
        **COERCED,
        "change": "the id of the change, or null if nothing was recorded",
    },
    changes=True,
    pages=True,
)
@click.argument("action", type=click.Choice(["list", "retry", "drop"]))
@click.argument("ids", metavar="[ID]...", nargs=-1)
@click.option("--all", "everything", is_flag=True, help="Everything that is in it.")
@click.option(
    "--complete",
    is_flag=True,
    help="With retry: invent values that directory records must have and an instance lacks.",
)
@COERCE
@click.option(
    "--only-copies",
    is_flag=True,
    help="With drop: also delete copies whose source is gone, as after `fileset watch --after "
    "delete`.",
)
@pass_session
def quarantine(
    session: Session,
    action: str,
    ids: tuple[str, ...],
    everything: bool,
    complete: bool,
    coerce: Path | None,
    only_copies: bool,
    reason: str | None,
) -> Answer:
    """List the files from watched folders that could not be added, try them again, or drop them.

    `retry` adds files, all as one change, and takes those that were added out of the quarantine; if
    any was not, the exit code is 1. `drop` deletes the copies that the quarantine holds, with the
    reasons; it touches no file in a watched folder. It is refused for copies whose source is gone,
    unless --only-copies is given. An ID may be abbreviated.
    """
    from fileset.quarantine.quarantine import Quarantine  # noqa: PLC0415

    path = session.repository().path
    assert path is not None  # noqa: S101 - as above
    kept = Quarantine(path)
    if action == "list":
        if ids or everything or complete or coerce or only_copies:
            raise click.UsageError("list takes no IDs and no options.")
        return _quarantine_answer(kept, [], None, "")
    if coerce is not None and action != "retry":
        raise click.UsageError("--coerce is only for retry.")
    rules = None if coerce is None else read_coercer(coerce)
    if only_copies and action != "drop":
        raise click.UsageError("--only-copies is only for drop.")
    if everything == bool(ids):
        raise click.UsageError(f"{action} takes IDs, or --all.")
    chosen = list(kept) if everything else [kept.find(id_) for id_ in dict.fromkeys(ids)]
    if action == "drop":
        if not only_copies:
            _refuse_only_copies(kept, chosen)
        for entry in chosen:
            kept.drop(entry)
        return _quarantine_answer(kept, chosen, None, "deleted from")
    return _retried(session, kept, chosen, complete=complete, coerce=rules, reason=reason)


def _refuse_only_copies(kept: Quarantine, chosen: list[Quarantined]) -> None:
    only = [entry for entry in chosen if kept.has_only_copy(entry)]
    if only:
        them = count(len(only), "file")
        raise RefusedError(
            f"Nothing was deleted: the source of {them} is gone or has changed, so the copy in "
            f"the quarantine may be the only one: {only[0].id}, from {only[0].source}"
            f"{' and others' * (len(only) > 1)}. Take what you need from {kept.path}; "
            "--only-copies deletes them."
        )


def _retried(
    session: Session,
    kept: Quarantine,
    chosen: list[Quarantined],
    *,
    complete: bool,
    coerce: Coercer | None,
    reason: str | None,
) -> Answer:
    from fileset.quarantine.retry import retry  # noqa: PLC0415

    repository = session.repository()
    before = repository.refresh().position
    report: AddReport = retry(
        repository, kept, chosen, complete=complete, coerce=coerce, reason=reason
    )
    done = [
        entry
        for entry, result in zip(chosen, report, strict=True)
        if result.outcome in {Outcome.ADDED, Outcome.ALREADY_THERE}
    ]
    change = None
    if repository.state.position > before:
        change = next(iter(repository.journal.changes(after=before))).id
    answer = _quarantine_answer(kept, done, change, "added from", report)
    answer.status = OK if len(done) == len(chosen) else INCOMPLETE
    return answer


def _quarantine_answer(
    kept: Quarantine,
    done: list[Quarantined],
    change: str | None,
    what: str,
    report: AddReport | None = None,
) -> Answer:
    report = report or AddReport()
    left = [evolve(entry, reason=in_commands(entry.reason)) for entry in kept]
    lines: list[Line] = []
    if done:
        lines.append(f"{count(len(done), 'file')} {what} the quarantine.")
    lines += coerced_lines(report)
    rows: list[tuple[str | Span, ...]] = [
        (
            Span(entry.id, "command"),
            instant(entry.at),
            entry.outcome,
            os.fspath(entry.source),
            entry.reason,
        )
        for entry in left
    ]
    lines += columns(rows) if rows else ["Nothing is in the quarantine."]
    return Answer(
        {
            "quarantined": [asdict(e) for e in left],
            "done": [e.id for e in done],
            **coerced_document(report),
            "change": change,
        },
        lines,
    )
