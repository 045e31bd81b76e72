"""`correct`: values of instances put right."""

from __future__ import annotations

from pathlib import Path

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
from fileset.cli.matching import Search, parse_query
from fileset.cli.screen.output import Answer
from fileset.cli.session import Session
from fileset.correcting.correct import Corrector
from fileset.correcting.correction import Correction
from fileset.correcting.table import Row, read_table
from fileset.correcting.wanted import combined, corrections_of
from fileset.errors import NoSuchKeywordError
from fileset.fileset import FileSet
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
    help="What an element is to be: a keyword, a tag such as 0010,0010, or a path such as "
    "RequestAttributesSequence[0].RequestedProcedureID. Nothing after = is an empty value.",
)
@click.option(
    "--remove", "removed", metavar="KEYWORD", multiple=True, help="An element that is to go."
)
@click.option("--new-uids", is_flag=True, help="Replace the UIDs of the instances by new ones.")
@click.option(
    "--csv",
    "table",
    metavar="FILE",
    type=PathType(exists=True, dir_okay=False),
    help="Correct many at once: a line for each, with columns KEYWORD for what the instances have, "
    "and `new KEYWORD` for what they are to have.",
)
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
    coerce: bool,
    original_attributes: str | None,
    drop_signatures: bool,
    dry_run: bool,
    full: bool,
    reason: str | None,
) -> Answer:
    """Stage other values for elements of the instances whose records have all the given values.

    As in `fileset correct PatientID=1CT1 --to PatientName=Doe^Jane`: every element can be corrected
    but those that are or describe pixels. The instances keep their place and their File IDs; what
    they were stays in the vault, and undo brings it back. UIDs are replaced wherever the File-set
    has them.

    An instance that can't be corrected is reported and stays as it is; the others are corrected,
    and the exit code is 1. If nothing matches it is 1, too.
    """
    if table is not None and (query or values or removed or new_uids):
        raise click.UsageError("--csv says what is corrected: give no KEYWORD=VALUE besides.")
    if table is None and not query:
        raise click.UsageError("Name the instances: KEYWORD=VALUE, as in PatientID=1CT1.")
    if table is None and not (values or removed or new_uids):
        raise click.UsageError("Say what is to be corrected: --to KEYWORD=VALUE, --remove KEYWORD.")
    how = Correction(
        reason=CorrectionReason.COERCE if coerce else CorrectionReason.CORRECT,
        original_attributes=KEPT[original_attributes],
        drop_signatures=drop_signatures,
    )
    try:
        rows = (
            read_table(table)
            if table is not None
            else [Row("", parse_query(query), _asked(values, removed))]
        )
        with held(session) as fs:
            wanted = _wanted(session, fs, rows, how, new_uids=new_uids)
            if not wanted:
                return nothing_matches(fs.repository, dry_run=dry_run)
            return correct_all(session, wanted, reason=reason, dry_run=dry_run, full=full)
    except (CorrectionError, NoSuchKeywordError) as exc:
        raise click.UsageError(f"Nothing was corrected: {exc}") from exc


def _wanted(
    session: Session, fs: FileSet, rows: list[Row], how: Correction, *, new_uids: bool
) -> dict[Leaf, Correction]:
    """Return what corrects the instances that the rows name, all as they are now."""
    corrector, search = Corrector(fs.repository), Search(load=False)
    found = []
    for row in rows:
        instances = search.find(fs, row.query)
        if not instances and row.name:
            session.warnings.append(f"{row.name}: no instance matches")
        leaves = [fs.state.leaf(instance.handle) for instance in instances]
        if leaves:
            wanted = corrections_of(corrector, fs.state, leaves, row.values, how, new_uids=new_uids)
            found.append((row.name, wanted))
    session.warnings += search.advice(rows[0].query if rows else {}, "`fileset find --load`")
    return combined(found)


def _asked(values: tuple[str, ...], removed: tuple[str, ...]) -> dict[str, object]:
    asked: dict[str, object] = {}
    for text in values:
        path, equals, value = text.partition("=")
        if not equals:
            raise click.UsageError(f"'{text}' is not KEYWORD=VALUE, as in --to PatientSex=F.")
        if path in asked:
            raise click.UsageError(f"{path} is given twice: it can have one value.")
        asked[path] = value
    for path in removed:
        if path in asked:
            raise click.UsageError(f"{path} can't be removed and have a value.")
        asked[path] = REMOVE
    return asked
