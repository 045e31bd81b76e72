"""`merge`: all instances of a patient moved to another patient."""

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
from fileset.cli.screen.output import Answer
from fileset.cli.session import Session
from fileset.criteria import Query


@command("merge", SHAPE, changes=True, cls=ToAtTheEnd)
@click.argument("query", metavar="PatientID=VALUE")
@click.option("--into", required=True, metavar="PatientID=VALUE", help="The patient they become.")
@ORIGINAL_ATTRIBUTES
@REMOVE_SIGNATURES
@DRY_RUN
@FULL
@pass_session
def merge(session: Session, /, query: str, into: str, **options: Any) -> Answer:
    """Stage a move of all instances of a patient to another patient.

    They get that patient's ID and other values from the File-set: name, birth date, sex, issuer of
    the ID. What it doesn't know of that patient they keep, since both are one person.
    `fileset correct` explains what a correction is.
    """
    if not query.removeprefix("PatientID=").strip() or not query.startswith("PatientID="):
        raise click.UsageError("Name the patient whose instances change: PatientID=VALUE.")
    if query.partition("=")[2].strip() == into.partition("=")[2].strip():
        raise click.UsageError("Name two different patients.")
    wanted = Query.of({"PatientID": query.partition("=")[2]}, literal=True)
    return to_patient(session, wanted, into, is_same=True, **options)
