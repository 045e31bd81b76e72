"""`media show`: a medium, and what is on it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator
from typing import Any

import click

from fileset.cli.command import WholeNumber, command, pass_session
from fileset.cli.screen.listing import record_label
from fileset.cli.screen.media import medium_document, medium_lines
from fileset.cli.screen.output import Answer, Line, columns
from fileset.cli.session import Session
from fileset.errors import RefusedError
from fileset.media.list import medium, other_files
from fileset.media.prepare import Part, prepare_again
from fileset.timeline.naming import sop_class_name
from ledger.events import OtherFile
from ledger.phrases import count
from projections.past.diff import above
from projections.state.nodes import Branch, Leaf


@command(
    "show",
    {
        "medium": "the medium, see below",
        "patients": "[{patient_id, instances}] of those whose instances are on it, null if "
        "some were erased since",
        "instances": "what is on it: [{sop_instance_uid, sop_class, handle, file_id, digest, "
        "size}] in the order of the DICOMDIR, null if some were erased since",
        "files": "what else is on it: [{path, digest, size}]",
    },
    pages=True,
)
@click.argument("number", metavar="MEDIUM", type=WholeNumber(min=1))
@pass_session
def media_show(session: Session, number: int) -> Answer:
    """Show for whom, when and why a medium was made, and which instances are on it.

    MEDIUM is a number that `fileset media list` gives.
    """
    repository = session.repository()
    found = medium(repository, number)
    files = other_files(repository, found)
    document: dict[str, Any] = {
        "medium": medium_document(found),
        "patients": None,
        "instances": None,
        "files": [
            {"path": file.path, "digest": str(file.content.digest), "size": file.content.size}
            for file in files
        ],
    }
    try:
        parts = prepare_again(repository, found, sizes=lambda _: 0).parts
    except RefusedError as exc:
        return Answer(document, [*medium_lines(found), "", str(exc)])
    instances = [(part, part.leaf) for part in parts if part.leaf is not None]
    patients = Counter(_patient(leaf) for _, leaf in instances)
    document["patients"] = [
        {"patient_id": branch.key if branch else None, "instances": number}
        for branch, number in patients.items()
    ]
    document["instances"] = [_instance(part, leaf) for part, leaf in instances]
    return Answer(document, [*medium_lines(found), *_contents(patients, instances, files)])


def _patient(leaf: Leaf) -> Branch | None:
    return next((each for each in above(leaf.home) if each.record.type == "PATIENT"), None)


def _instance(part: Part, leaf: Leaf) -> dict[str, Any]:
    return {
        "sop_instance_uid": leaf.uid,
        "sop_class": sop_class_name(leaf.sop_class_uid),
        "handle": leaf.handle,
        "file_id": part.path,
        "digest": str(part.content.digest),
        "size": part.content.size,
    }


def _contents(
    patients: Counter[Branch | None], instances: list[tuple[Part, Leaf]], files: Iterable[OtherFile]
) -> Iterator[Line]:
    yield ""
    for branch, number in patients.items():
        label = record_label(branch) if branch else ("without a patient",)
        yield (*label, f"  {count(number, 'instance')}")
    yield ""
    rows = [(part.path, leaf.uid, sop_class_name(leaf.sop_class_uid)) for part, leaf in instances]
    yield from columns([*rows, *((file.path, "", "") for file in files)])
