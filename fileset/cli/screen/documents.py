"""The parts that several commands' JSON documents have in common."""

from __future__ import annotations

from collections.abc import Callable, Collection
from typing import TYPE_CHECKING, Any, Final

from attrs import fields

from fileset.cli.screen.output import Shape
from ledger.dicom_json import name_text, to_json
from ledger.events import IDENTITY_EVENTS, Record
from ledger.journal.entries import Change, Stored
from ledger.journal.protocol import body_of
from ledger.phrases import count
from projections.dicomdir.definitions import FileSetIdentity
from projections.medium.staged import Staged

if TYPE_CHECKING:
    from projections.state.nodes import Branch, Leaf
    from projections.state.state import FileSetState

CHANGE: Final[Shape] = {
    "id": "the change's id",
    "first": "the position of its first event",
    "last": "the position of its last event",
    "recorded_at": "RFC 3339, UTC",
    "actor": "who made it",
    "origin": "the program and host",
    "reason": "why, or null",
    "summary": "what it did, in words",
}

_KEYS: Final = {
    "PATIENT": "patient_id",
    "STUDY": "study_instance_uid",
    "SERIES": "series_instance_uid",
}

INSTANCE: Final[Shape] = {
    "sop_instance_uid": "a UID",
    "sop_class_uid": "a UID",
    "sop_class": "its name, or the UID again",
    "transfer_syntax_uid": "a UID",
    "record_type": "such as IMAGE",
    "patient_id": "the key of the PATIENT record above it, or null",
    "study_instance_uid": "that of the STUDY record, or null",
    "series_instance_uid": "that of the SERIES record, or null",
    "file_id": "where it is on the medium, or null",
    "digest": "sha256:... of the file, or null",
    "size": "in bytes, or null",
    "staged": '"addition", "correction", "move", "removal" or null',
    "handle": "the position of the event that added it",
}

STAGED: Final[Shape] = {
    "summary": "in words; empty if nothing is staged",
    "creation": "whether there is no DICOMDIR yet",
    "metadata": "the fields that differ from the medium's: {name: {from, to}}",
    "corrections": "how many instances on the medium are to be replaced by what corrects them",
    "additions": "how many other instances",
    "removals": "how many other instances",
    "moves": "how many instances are not where the default layout has them",
}

WATCHER: Final[Shape] = {
    "running": "whether it runs",
    "ready": "whether the first scan of everything is done",
    "folders": "[{path, state, file_system, trouble}], the state being watching, polling or away",
    "seen": "how many new files were seen",
    "pending": "how many are not added yet: the sum of settling, waiting and retrying",
    "ingested": "how many were added",
    "duplicates": "how many were in the File-set already",
    "taken_back": "how many are of instances that were undone, removed or erased before, and are "
    "not added again",
    "mismatched": "how many of these may belong to a different person from others with their "
    "Patient ID",
    "faulty": "how many of those added break the Standard",
    "quarantined": "how many went into the quarantine",
    "vanished": "how many were gone before they could be added",
    "owed": "how many were added but could not be deleted or moved yet",
    "lag": "for how many seconds the oldest pending file has been pending",
    "changes, late": "how many changes were recorded, and how many of them to studies that had "
    "been written before",
    "writes": "how often the medium was written",
    "hooks, hooks_failed": "how often the program was run, and how often it failed",
    "scans, scan_seconds": "how often everything was scanned, and how long the last scan took",
    "overflows": "how often there were more notifications than can be kept",
    "errors": "how many errors there were",
    "last_error": "{at, event, reason} or null",
    "failing": "what keeps failing, until it succeeds: {event: {since, reason}}",
    "pid": "its process",
    "since, updated, last_change_at": "times in RFC 3339, UTC",
    "last_turn": "when it last completed a round",
    "ended": "when it was stopped or done; null while it runs, and if it was killed",
    "wrong": "why somebody should look at it, or null",
}
"""What the document of a watcher holds: `fileset.watching.watcher_status.Status.document`."""


def change_document(change: Change, summary: str) -> dict[str, Any]:
    """Return a change and what it did."""
    return {
        "id": change.id,
        "first": change.first,
        "last": change.last,
        "recorded_at": change.recorded_at,
        "actor": change.actor,
        "origin": change.origin,
        "reason": change.reason,
        "summary": summary,
    }


def event_document(stored: Stored) -> dict[str, Any]:
    """Return an event as the journal keeps it."""
    return {
        "position": stored.position,
        "type": stored.type,
        "version": stored.version,
        "digest": f"sha256:{stored.digest.hex()}",
        "hash": f"sha256:{stored.hash.hex()}",
        "payload": body_of(stored) if stored.payload else None,
    }


def instance_document(leaf: Leaf, state: FileSetState) -> dict[str, Any]:
    """Return an instance of `state`."""
    from fileset.timeline.naming import sop_class_name  # noqa: PLC0415 - status names no instance

    keys = {branch.record.type: branch.key for branch in records_above(leaf)}
    return {
        "sop_instance_uid": leaf.uid,
        "sop_class_uid": leaf.sop_class_uid,
        "sop_class": sop_class_name(leaf.sop_class_uid),
        "transfer_syntax_uid": leaf.transfer_syntax_uid,
        "record_type": leaf.record_type,
        **{name: keys.get(kind) for kind, name in _KEYS.items()},
        "file_id": leaf.file_id,
        "digest": str(leaf.content.digest) if leaf.content else None,
        "size": leaf.content.size if leaf.content else None,
        "staged": standing(leaf, state),
        "handle": leaf.handle,
    }


def records_above(leaf: Leaf) -> list[Branch]:
    """Return the records above an instance, from the top down."""
    found = []
    branch: Branch | None = leaf.parent or leaf.home
    while branch is not None and branch.record.type:
        found.append(branch)
        branch = branch.parent or branch.home
    return found[::-1]


def standing(
    leaf: Leaf, state: FileSetState, is_moved: Callable[[Leaf], bool] | None = None
) -> str | None:
    """Return what is staged for an instance; who asks of many gives what `usually_moved` does."""
    from projections.medium.pending import usually_moved  # noqa: PLC0415 - status has no state

    if leaf in state.corrections:
        return "correction"
    if leaf.is_addition:
        return "addition"
    if leaf.is_removal:
        return "removal"
    if leaf.is_live and (is_moved or usually_moved(state))(leaf):
        return "move"
    return None


def staged_document(state: FileSetState) -> dict[str, Any]:
    """Return what is staged in `state`, in numbers."""
    from projections.medium.pending import usually_staged  # noqa: PLC0415 - as above

    there = state.written.identity if state.written else state.identity
    return staged_numbers(usually_staged(state), there, state.identity)


def staged_numbers(staged: Staged, there: FileSetIdentity, now: FileSetIdentity) -> dict[str, Any]:
    """Return what is staged, and what the identity is `there` on the medium and `now`."""
    return {
        "summary": staged.summary(),
        "creation": staged.creation,
        "metadata": identity_difference(there, now),
        "corrections": staged.corrections,
        "additions": staged.additions,
        "removals": staged.removals,
        "moves": staged.moves,
    }


def staged_line(state: FileSetState) -> str:
    """Return what is staged in `state`, in words."""
    from projections.medium.pending import usually_staged  # noqa: PLC0415 - as above

    summary = usually_staged(state).summary()
    return f"Staged for write: {summary}" if summary else "Nothing is staged."


def identity_difference(
    before: FileSetIdentity, now: FileSetIdentity, *, only: Collection[str] | None = None
) -> dict[str, dict[str, Any]]:
    """Return the fields that differ, or `only` some of them, with both values."""
    return {
        field.name: {
            "from": _plain(getattr(before, field.name)),
            "to": _plain(getattr(now, field.name)),
        }
        for field in fields(FileSetIdentity)
        if getattr(before, field.name) != getattr(now, field.name)
        and (only is None or field.name in only)
    }


def identity_lines(difference: dict[str, dict[str, Any]]) -> list[str]:
    """Return the fields that differ, a line each."""
    return [
        f"{IDENTITY_NAMES.get(name, name)}: {_shown(values['from'])} -> {_shown(values['to'])}"
        for name, values in difference.items()
    ]


def record_difference(before: Record, after: Record) -> dict[str, dict[str, Any]]:
    """Return the elements that two records have not in common, by tag, in the DICOM JSON model."""
    from pydicom.datadict import keyword_for_tag  # noqa: PLC0415 - others do without pydicom

    was, is_ = (to_json(record.elements) for record in (before, after))
    return {
        tag: {"keyword": keyword_for_tag(tag) or None, "from": was.get(tag), "to": is_.get(tag)}
        for tag in sorted({*was, *is_})
        if was.get(tag) != is_.get(tag)
    }


def element_lines(difference: dict[str, dict[str, Any]]) -> list[str]:
    """Return the elements that differ, a line each."""
    return [
        f"{values['keyword'] or tag}: {_model_text(values['from'])} -> {_model_text(values['to'])}"
        for tag, values in difference.items()
    ]


def _model_text(element: dict[str, Any] | None) -> str:
    """Return an element of the DICOM JSON model as people read it."""
    if element is None:
        return "(no element)"
    if "InlineBinary" in element:
        return f"(bytes {element['InlineBinary']})"
    values = element.get("Value", [])
    if element["vr"] == "SQ":
        return f"({count(len(values), 'item')})"
    if element["vr"] == "PN":
        values = [name_text(value) for value in values]
    return _shown("\\".join("" if value is None else str(value) for value in values) or None)


IDENTITY_NAMES: Final = {
    **{name: cls.NAME for name, cls in IDENTITY_EVENTS.items()},
    "elements": "Other elements of the DICOMDIR",
}


def _plain(value: Any) -> Any:
    if isinstance(value, tuple):
        return "/".join(value)
    if isinstance(value, bytes):
        return to_json(value)
    return value


def _shown(value: Any) -> str:
    return "(no value)" if value is None else f"'{value}'" if isinstance(value, str) else str(value)
