"""`move`: studies filed under the wrong patient moved to the right one."""

from __future__ import annotations

from typing import Any

import click

from fileset.cli.command import DRY_RUN, command, pass_session
from fileset.cli.correcting import (
    FULL,
    ORIGINAL_ATTRIBUTES,
    REMOVE_SIGNATURES,
    SHAPE,
    ToAtTheEnd,
    to_patient,
)
from fileset.cli.matching import LITERAL, parse_query
from fileset.cli.screen.output import Answer
from fileset.cli.session import Session


@command("move", SHAPE, changes=True, cls=ToAtTheEnd)
@click.argument("query", metavar="KEYWORD=VALUE...", nargs=-1, required=True)
@click.option(
    "--to", "into", required=True, metavar="PatientID=VALUE", help="The patient they belong to."
)
@LITERAL
@ORIGINAL_ATTRIBUTES
@REMOVE_SIGNATURES
@DRY_RUN
@FULL
@pass_session
def move(
    session: Session, /, query: tuple[str, ...], into: str, literal: bool, **options: Any
) -> Answer:
    """Stage a move of the instances whose records have all the values to another patient.

    As in `fileset move StudyInstanceUID=1.2.3 --to PatientID=4711`, for a study that is filed under
    the wrong patient. They get the other patient's values from the File-set, as with
    `fileset merge`; a name, a birth date or a sex that it doesn't know is emptied.
    """
    return to_patient(session, parse_query(query, literal=literal), into, **options)
