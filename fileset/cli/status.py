"""``status``: the File-set at a glance, at the cost of a glance where nothing has changed."""

from __future__ import annotations

from typing import Final

from fileset.cli.command import Command, command, pass_session
from fileset.cli.documents import staged_numbers
from fileset.cli.moments import AT, state_at
from fileset.cli.output import Answer, Line, Span
from fileset.cli.session import Session
from fileset.cli.text import count
from projections.summary import summarise


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
        "instances": "how many there are, as staged",
        "staged": "what is staged, see below",
        "late": "{instances, studies}: additions to studies that are on the medium already",
        "undo": "how many changes can be undone",
        "redo": "how many changes can be redone",
        "write_interrupted": "the root of a write that did not end, or null",
    },
)
@AT
@pass_session
def status(session: Session, moment: str | None) -> Answer:
    """Show the File-set as it would be written, and what is staged."""
    repository = session.repository()
    past = moment is not None
    told = summarise(state_at(repository, moment)) if past else repository.summary()
    now = told.identity
    lines: list[Line] = [f"As of position {told.position}:"] if past else []
    lines += told.lines()
    if told.late.instances:
        additions = count(told.late.instances, "addition")
        lines.append((Span("Late: ", "careful"), f"{additions} to studies already on the medium"))
    if told.interrupted and not past:
        interrupted = f"A write to {told.interrupted} was interrupted: "
        lines.append((Span(interrupted, "bad"), "`fileset write` completes it."))
    return Answer(
        {
            "repository": str(repository.path),
            "position": told.position,
            "root": told.root,
            "id": now.id,
            "uid": now.uid,
            "descriptor_file_id": "/".join(now.descriptor_file_id or ()) or None,
            "descriptor_character_set": now.descriptor_character_set,
            "instances": told.instances,
            "staged": staged_numbers(told.staged, told.written or now, now),
            "late": {"instances": told.late.instances, "studies": told.late.studies},
            "undo": told.undo,
            "redo": told.redo,
            "write_interrupted": told.interrupted,
        },
        lines,
    )


COMMANDS: Final[dict[str, Command]] = {"status": status}
