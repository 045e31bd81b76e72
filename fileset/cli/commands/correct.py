"""`correct`: values of instances corrected."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from fileset.cli.command import DRY_RUN, PathType, command, pass_session
from fileset.cli.correcting import (
    COERCE,
    FULL,
    KEPT,
    ORIGINAL_ATTRIBUTES,
    REMOVE_SIGNATURES,
    SHAPE,
    ToAtTheEnd,
    held,
    nothing_matches,
)
from fileset.cli.correcting import correct as correct_all
from fileset.cli.matching import LITERAL, matched, parse_query, refuse_ambiguous
from fileset.cli.running import INCOMPLETE
from fileset.cli.screen.output import Answer
from fileset.cli.session import Session
from fileset.correcting.asked import edits_of
from fileset.correcting.correct import Corrector
from fileset.correcting.correction import Correction
from fileset.correcting.table import Row, read_table
from fileset.correcting.wanted import combined, corrections_of
from fileset.criteria import Query
from fileset.errors import NoSuchKeywordError
from fileset.fileset import FileSet
from fileset.values import value_text
from fileset.views.search import Search
from ledger.errors import CorrectionError
from ledger.events import CorrectionReason
from ledger.instances.correcting.edits import REMOVE
from projections.state.nodes import Leaf


@command("correct", SHAPE, changes=True, cls=ToAtTheEnd)
@click.argument("query", metavar="KEYWORD=VALUE...", nargs=-1)
@click.option(
    "--to",
    "values",
    metavar="KEYWORD=VALUE",
    multiple=True,
    help="The new value of an element, named by its keyword, by a tag such as 0010,0010, or by a "
    "path such as RequestAttributesSequence[0].RequestedProcedureID. With nothing after = the "
    "value becomes empty.",
)
@click.option("--remove", "removed", metavar="KEYWORD", multiple=True, help="An element to remove.")
@click.option("--new-uids", is_flag=True, help="Generate new UIDs for the instances.")
@click.option(
    "--csv",
    "table",
    metavar="FILE",
    type=PathType(exists=True, dir_okay=False),
    help="Correct many at once: each line chooses instances by columns named KEYWORD, and gives "
    "new values in columns named `new KEYWORD`.",
)
@LITERAL
@COERCE
@ORIGINAL_ATTRIBUTES
@REMOVE_SIGNATURES
@DRY_RUN
@FULL
@pass_session
def correct(
    session: Session,
    query: tuple[str, ...],
    values: tuple[str, ...],
    removed: tuple[str, ...],
    new_uids: bool,
    table: Path | None,
    literal: bool,
    coerce: bool,
    original_attributes: str | None,
    drop_signatures: bool,
    dry_run: bool,
    full: bool,
    reason: str | None,
) -> Answer:
    """Stage corrected values for the instances whose records have all the given values.

    As in `fileset correct PatientID=1CT1 --to PatientName=Doe^Jane`. Every element can be corrected
    except pixel data and the elements that describe it. The instances keep their place and their
    File IDs; the originals stay in the vault, and undo brings them back. UIDs are replaced wherever
    the File-set has them.

    An instance that can't be corrected is reported and stays as it is; the others are corrected,
    and the exit code is 1. It is also 1 if nothing matches, or no instance matches a line of the
    CSV file.
    """
    if table is not None and (query or values or removed or new_uids):
        raise click.UsageError(
            "--csv says what is corrected: leave out KEYWORD=VALUE, --to, --remove and --new-uids."
        )
    if table is None and not query:
        raise click.UsageError("Name the instances: KEYWORD=VALUE, as in PatientID=1CT1.")
    if table is None and not (values or removed or new_uids):
        raise click.UsageError(
            "Say what to correct: --to KEYWORD=VALUE, --remove KEYWORD or --new-uids."
        )
    how = Correction(
        reason=CorrectionReason.COERCE if coerce else CorrectionReason.CORRECT,
        original_attributes=KEPT[original_attributes],
        drop_signatures=drop_signatures,
    )
    try:
        rows = (
            [(Query.of(row.query, literal=True), row) for row in read_table(table)]
            if table is not None
            else [(parse_query(query, literal=literal), _row(values, removed))]
        )
        with held(session) as fs:
            search = Search()
            wanted, told, missed = _wanted(session, search, fs, rows, how, new_uids=new_uids)
            if not wanted:
                asked = Query(tuple(each for query, _ in rows for each in query.criteria))
                return nothing_matches(
                    session, search, fs, asked, dry_run=dry_run, is_table=table is not None
                )
            answer = correct_all(
                session, wanted, reason=reason, dry_run=dry_run, full=full, told=told
            )
            answer.status = INCOMPLETE if missed else answer.status
            return answer
    except (CorrectionError, NoSuchKeywordError) as exc:
        raise click.UsageError(f"Nothing was corrected: {exc}") from exc


def _wanted(
    session: Session,
    search: Search,
    fs: FileSet,
    rows: list[tuple[Query, Row]],
    how: Correction,
    *,
    new_uids: bool,
) -> tuple[dict[Leaf, Correction], list[dict[str, Any]], int]:
    """Return what corrects the instances that the rows name, all as they are now.

    And what patterns stood for, and how many rows name none.
    """
    corrector = Corrector(fs.repository)
    found, missed, told = [], [], []
    for query, row in rows:
        instances = search.find(fs, query)
        refuse_ambiguous(fs, query, instances)
        told += matched(query, instances)
        if not instances:
            missed.append(row)
        leaves = [fs.state.leaf(instance.handle) for instance in instances]
        if leaves:
            wanted = corrections_of(corrector, fs.state, leaves, row.values, how, new_uids=new_uids)
            found.append((row.name, wanted))
    session.warnings += _told(search, fs, [row for row in missed if row.name])
    return combined(found), told, len(missed)


def _told(search: Search, fs: FileSet, missed: list[Row]) -> list[str]:
    """Return what is told of rows of a table that name no instance.

    Spreadsheets take an ID for a number, and drop the zeros that it begins with.
    """
    keywords = {key for row in missed for key, text in row.query.items() if _is_number(text)}
    there: dict[tuple[str, str], list[str]] = {}
    for keyword, elements in search.values(fs, keywords).items() if keywords else ():
        for text in map(value_text, elements):
            if _is_number(text):
                there.setdefault((keyword, text.lstrip("0")), []).append(text)
    told = []
    for row in missed:
        near = [
            f"{keyword}={others[0]}"
            for keyword, text in row.query.items()
            if text not in (others := there.get((keyword, text.lstrip("0")), [text]))
        ]
        hint = (
            f"; {' and '.join(near)} is there: format the column as text in the spreadsheet, which "
            "else drops leading zeros"
            if near
            else ""
        )
        told.append(f"{row.name}: no instance matches{hint}")
    return told


def _is_number(text: str) -> bool:
    return text.isascii() and text.isdecimal()


def _row(values: tuple[str, ...], removed: tuple[str, ...]) -> Row:
    """Return what the arguments ask for; checked, whether anything matches or not."""
    asked: dict[str, object] = {}
    for text in values:
        path, equals, value = text.partition("=")
        if not equals:
            raise click.UsageError(f"'{text}' is not KEYWORD=VALUE, as in --to PatientSex=F.")
        if path in asked:
            raise click.UsageError(f"{path} has two new values: give one.")
        asked[path] = value
    for path in dict.fromkeys(removed):
        if path in asked:
            raise click.UsageError(f"{path} can't both be removed and have a new value.")
        asked[path] = REMOVE
    edits_of(asked)
    return Row("", {}, asked)
