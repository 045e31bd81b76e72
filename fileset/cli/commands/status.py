"""`status`: the File-set at a glance, answered from the summary where nothing has changed."""

from __future__ import annotations

from typing import Any, Final

import click

from fileset.cli.command import command, pass_session
from fileset.cli.moments import AT, state_at
from fileset.cli.running import INCOMPLETE, OK
from fileset.cli.screen.documents import staged_numbers
from fileset.cli.screen.output import Answer, Line, Span
from fileset.cli.screen.profiles import MISFITS, misfit_lines, misfits_document
from fileset.cli.screen.reports import (
    MISMATCHES,
    UNNAMED_ROOTS,
    error_line,
    mismatch_document,
    mismatch_line,
    unnamed_line,
)
from fileset.cli.screen.text import in_commands
from fileset.cli.session import Session
from fileset.quarantine.quarantine import WITHHELD_OTHER, Quarantine, Quarantined
from fileset.repository.repository import Repository
from ledger.phrases import count
from projections.kept.summary import Summary

_HOW_TO_TAKE: Final = "see `fileset quarantine list`; `fileset quarantine retry ID` adds one"


@command(
    "status",
    {
        "repository": "the path of its folder",
        "position": "that of the journal's last event, or of --at",
        "root": "where the File-set was written or adopted, or null",
        "id": "the File-set ID, or null",
        "uid": "the File-set UID",
        "descriptor_file_id": "with / between its components, or null",
        "descriptor_character_set": "a defined term, or null",
        "profile": "the application profile, or null",
        "misfits": MISFITS,
        "instances": "how many the File-set has, with what is staged",
        "staged": "what is staged, see below",
        "mismatches": MISMATCHES,
        "errors": "what is wrong with its patients, studies and series by the Standard, in words",
        "late": "{instances, studies}: additions to studies that are on the medium already",
        "withheld": "{files, other_content}: how many files in the quarantine are of instances "
        "that were undone or removed; how many of these have different content",
        "undo": "how many changes can be undone",
        "redo": "how many changes can be redone",
        "write_interrupted": "the root of a write that did not end, or null",
        "unnamed_roots": UNNAMED_ROOTS,
    },
)
@click.option("--short", is_flag=True, help="One line, for scripts and prompts, or nothing.")
@AT
@pass_session
def status(session: Session, short: bool, moment: str | None) -> Answer:
    """Show the File-set as it would be written, and what is staged.

    With --short, one line has what there is of the following, in this order: `new` where no
    DICOMDIR was written yet, `+N` additions, `-N` removals, `~N` corrections, `>N` moves,
    `set:id,uid` and the like for values that were set, `late:N`, `withheld:N`, `mismatched:N`,
    `errors:N`, `misfits:N` and `interrupted`. Where there is nothing of it, nothing is printed.
    Later versions may add words at the end.

    The exit code is 1 as long as several persons seem to have one Patient ID and nobody has settled
    that, or if a study belongs to two patients, or a series to two studies.
    """
    repository = session.repository()
    past = moment is not None
    summary = _summary_at(repository, moment) if past else repository.summary()
    now = summary.identity
    withheld = [] if past else _withheld(repository)
    others = [entry for entry in withheld if entry.outcome == WITHHELD_OTHER]
    lines: list[Line] = [f"As of position {summary.position}:"] if past else []
    if others:
        have = f"{count(len(others), 'file')} of withdrawn instances with different content"
        lines.append(
            (Span("Withheld: ", "bad"), f"{have}, perhaps a corrected study: {_HOW_TO_TAKE}.")
        )
    lines += map(in_commands, summary.lines())
    if summary.late.instances:
        additions = count(summary.late.instances, "addition")
        lines.append((Span("Late: ", "careful"), f"{additions} to studies already on the medium"))
    if len(withheld) > len(others):
        again = count(len(withheld) - len(others), "file")
        what = f"{again} of instances that were undone or removed arrived again: {_HOW_TO_TAKE}."
        lines.append((Span("Withheld: ", "careful"), what))
    lines += map(mismatch_line, summary.mismatches)
    lines += map(error_line, summary.errors)
    lines += misfit_lines(summary.misfits)
    roots = [root for root in (summary.root, summary.interrupted) if root is not None]
    unnamed_roots = [root for root in dict.fromkeys(roots) if not repository.roots.knows(root)]
    if summary.interrupted and not past:
        interrupted = f"A write to {summary.interrupted} was interrupted"
        how = "." if summary.interrupted in unnamed_roots else ": `fileset write` completes it."
        lines.append((Span(interrupted, "bad"), how))
    if not past:
        lines += map(unnamed_line, unnamed_roots)
    staged = staged_numbers(summary.staged, summary.written or now, now)
    if short:
        lines = _short(summary, staged, 0 if past else len(withheld))
    return Answer(
        {
            "repository": str(repository.path),
            "position": summary.position,
            "root": summary.root,
            "id": now.id,
            "uid": now.uid,
            "descriptor_file_id": "/".join(now.descriptor_file_id or ()) or None,
            "descriptor_character_set": now.descriptor_character_set,
            "profile": now.profile,
            "misfits": misfits_document(summary.misfits),
            "instances": summary.instances,
            "staged": staged,
            "mismatches": list(map(mismatch_document, summary.mismatches)),
            "errors": list(summary.errors),
            "late": {"instances": summary.late.instances, "studies": summary.late.studies},
            "withheld": {"files": len(withheld), "other_content": len(others)},
            "undo": summary.undo,
            "redo": summary.redo,
            "write_interrupted": summary.interrupted,
            "unnamed_roots": unnamed_roots,
        },
        lines,
        status=INCOMPLETE if summary.mismatches or summary.errors else OK,
    )


def _short(summary: Summary, staged: dict[str, Any], withheld: int) -> list[Line]:
    """Return what has to be done or looked at as one line, which scripts and prompts rely on."""
    numbers = {
        "+": staged["additions"],
        "-": staged["removals"],
        "~": staged["corrections"],
        ">": staged["moves"],
        "late:": summary.late.instances,
        "withheld:": withheld,
        "mismatched:": len(summary.mismatches),
        "errors:": len(summary.errors),
        "misfits:": sum(number for _, number in summary.misfits),
    }
    words = {sign: f"{sign}{number}" for sign, number in numbers.items() if number}
    found = ["new"] if staged["creation"] else []
    found += [words.pop(sign) for sign in "+-~>" if sign in words]
    if staged["metadata"]:
        from fileset.cli.identity import FIELDS  # noqa: PLC0415 - it checks values, of which few are set

        names = {field: name for name, field in FIELDS.items()}
        found.append(f"set:{','.join(names.get(each, each) for each in staged['metadata'])}")
    found += words.values()
    found += ["interrupted"] if summary.interrupted else []
    return [" ".join(found)] if found else []


def _summary_at(repository: Repository, moment: str | None) -> Summary:
    from projections.kept.summarise import summarise  # noqa: PLC0415 - for the past alone

    return summarise(state_at(repository, moment))


def _withheld(repository: Repository) -> list[Quarantined]:
    """Return what is in the quarantine of instances that are no part of the File-set."""
    assert repository.path is not None  # noqa: S101 - the command line opens none in memory
    withheld = [entry for entry in Quarantine(repository.path) if entry.is_withheld]
    if not withheld:
        return []
    live = repository.refresh().live
    return [entry for entry in withheld if entry.sop_instance_uid not in live]
