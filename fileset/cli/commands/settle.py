"""`settle`: several persons accepted under one Patient ID."""

from __future__ import annotations

import click

from fileset.cli.command import command, pass_session
from fileset.cli.running import INCOMPLETE
from fileset.cli.screen.output import Answer
from fileset.cli.screen.reports import values_line
from fileset.cli.session import Recording, Session
from ledger.phrases import count
from projections.kept.summarise import mismatch_summary


@command(
    "settle",
    {
        "patient_id": "the Patient ID",
        "persons": "how many persons the instances seem to be of",
        "values": "{keyword: [value]} of the elements that differ",
        "change": "the id of the change, or null if nothing is to be settled",
    },
    changes=True,
)
@click.argument("query", metavar="PatientID=VALUE")
@pass_session
def settle(session: Session, query: str, reason: str | None) -> Answer:
    """Accept that the persons shown by `fileset status` have one Patient ID.

    This is one change, which undo takes back. What is added later and differs from everything seen
    so far is reported again. If there is nothing to settle, the exit code is 1.
    """
    keyword, equals, patient_id = query.partition("=")
    if keyword != "PatientID" or not equals or not patient_id.strip():
        raise click.UsageError("Name the patient whose instances were compared: PatientID=VALUE.")
    fs = session.file_set()
    with Recording(fs.repository, reason) as change:
        found = fs.settle(patient_id)
    document = {"patient_id": patient_id.strip(), "change": change.id}
    if found is None:
        return Answer(
            {**document, "persons": 0, "values": {}},
            notes=[f"There is nothing to settle for the Patient ID {patient_id.strip()}."],
            status=INCOMPLETE,
        )
    summary = mismatch_summary(found)
    persons = f"{count(len(found.persons), 'person')} may have the Patient ID {found.patient_id}"
    return Answer(
        {**document, "persons": len(found.persons), "values": summary.values},
        [f"Settled: {persons}: {values_line(summary)}"],
    )
