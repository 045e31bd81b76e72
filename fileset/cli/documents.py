"""The parts that several commands' JSON documents have in common."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any, Final

from attrs import fields

from fileset.cli.command import Shape
from fileset.cli.text import count
from fileset.damage import Damage
from ledger.elements import to_json
from ledger.events import Handle, Record
from ledger.journal import Change, Stored, body_of
from projections.dicomdir import FileSetIdentity
from projections.hierarchy import Leaf
from projections.layouts import file_id
from projections.pending import Staged, pending
from projections.plan import Plan
from projections.state import FileSetState

CHANGE: Final[Shape] = {
    "id": "what the change is called",
    "first": "the position of its first event",
    "last": "the position of its last event",
    "recorded_at": "RFC 3339, UTC",
    "actor": "who made it",
    "origin": "the program and host",
    "reason": "why, or null",
    "summary": "what it did, in words",
}

INSTANCE: Final[Shape] = {
    "sop_instance_uid": "a UID",
    "sop_class_uid": "a UID",
    "sop_class": "its name, or the UID again",
    "transfer_syntax_uid": "a UID",
    "record_type": "such as IMAGE",
    "file_id": "where it is on the medium, or null",
    "digest": "sha256:... of the file, or null",
    "size": "in bytes, or null",
    "staged": '"addition", "move", "removal" or null',
    "handle": "the position of the event that added it",
}

STAGED: Final[Shape] = {
    "summary": "in words; empty if nothing is",
    "creation": "whether there is no DICOMDIR yet",
    "metadata": "the fields that differ from the medium's: {name: {from, to}}",
    "additions": "how many instances",
    "removals": "how many instances",
    "moves": "how many instances lie elsewhere than the default layout has them",
}

PLAN: Final[Shape] = {
    "root": "a path",
    "layout": "its name",
    "base": "the position of the state that is written",
    "instances": "how many there are afterwards",
    "placed": "[{sop_instance_uid, file_id}]",
    "moved": "[{sop_instance_uid, from, to}]",
    "removed": "[{sop_instance_uid, file_id}]",
    "dicomdir_size": "in bytes",
}

DAMAGE: Final[Shape] = {
    "dicomdir": "missing, sha256:... of another one that is there, or null",
    "files": "[{sop_instance_uid, path, fault, why_not}]: the fault is missing, changed or "
    "unreadable; why_not is null for those that are put back",
    "returned": "the paths of files that a write had taken off and an older copy has again",
    "unkept": "the SOP Instance UIDs of those whose copy in the vault was damaged or gone, and is "
    "made anew from the medium",
}

FINDING: Final[Shape] = {
    "kind": "such as file-changed",
    "where": "a position, path or digest",
    "position": "the first bad one, or that of the event that added the instance, or null",
    "message": "in words",
}


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
    return {
        "sop_instance_uid": leaf.uid,
        "sop_class_uid": leaf.sop_class_uid,
        "sop_class": sop_class_name(leaf.sop_class_uid),
        "transfer_syntax_uid": leaf.transfer_syntax_uid,
        "record_type": leaf.record.type,
        "file_id": leaf.file_id,
        "digest": str(leaf.content.digest) if leaf.content else None,
        "size": leaf.content.size if leaf.content else None,
        "staged": standing(leaf, state),
        "handle": leaf.handle,
    }


def standing(leaf: Leaf, state: FileSetState) -> str | None:
    """Return what is staged for an instance."""
    if leaf.is_addition:
        return "addition"
    if leaf.is_removal:
        return "removal"
    if leaf.is_live and leaf.parent is not None and leaf.file_id != file_id(leaf, state):
        return "move"
    return None


def staged_document(state: FileSetState) -> dict[str, Any]:
    """Return what is staged in `state`, in numbers."""
    there = state.written.identity if state.written else state.identity
    return staged_numbers(pending(state).counted(), there, state.identity)


def staged_numbers(staged: Staged, there: FileSetIdentity, now: FileSetIdentity) -> dict[str, Any]:
    """Return what is staged, and what the identity is `there` on the medium and `now`."""
    return {
        "summary": staged.summary(),
        "creation": staged.creation,
        "metadata": identity_difference(there, now),
        "additions": staged.additions,
        "removals": staged.removals,
        "moves": staged.moves,
    }


def staged_line(state: FileSetState) -> str:
    """Return what is staged in `state`, in words."""
    summary = pending(state).summary()
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
        values = ["=".join(v for v in (value or {}).values()) for value in values]
    return _shown("\\".join("" if value is None else str(value) for value in values) or None)


IDENTITY_NAMES: Final = {
    "id": "File-set ID",
    "uid": "File-set UID",
    "descriptor_file_id": "Descriptor file ID",
    "descriptor_character_set": "Descriptor file character set",
    "elements": "Other elements of the DICOMDIR",
}


def file_ids(state: FileSetState) -> dict[Handle, str]:
    """Return where the instances of `state` are on the medium."""
    leaves = state.hierarchy.walk_leaves()
    return {leaf.handle: leaf.file_id for leaf in leaves if leaf.file_id is not None}


def plan_document(plan: Plan, before: Mapping[Handle, str]) -> dict[str, Any]:
    """Return what a write does, or has done; `before` is where the instances were."""
    placed, moved = [], []
    for leaf, path in plan.placed.items():
        if (there := before.get(leaf.handle)) is None:
            placed.append({"sop_instance_uid": leaf.uid, "file_id": path})
        else:
            moved.append({"sop_instance_uid": leaf.uid, "from": there, "to": path})
    return {
        "root": plan.root,
        "layout": plan.layout,
        "base": plan.base,
        "instances": len(plan.files),
        "placed": placed,
        "moved": moved,
        "removed": [
            {"sop_instance_uid": leaf.uid, "file_id": before.get(leaf.handle)}
            for leaf in plan.dropped
        ],
        "dicomdir_size": len(plan.dicomdir),
    }


def damage_document(damage: Damage) -> dict[str, Any]:
    """Return what was found on a medium that was to be put right."""
    return {
        "dicomdir": "missing" if damage.no_dicomdir else damage.dicomdir,
        "files": [
            {
                "sop_instance_uid": each.leaf.uid,
                "path": str(each.path),
                "fault": each.fault.value,
                "why_not": each.why,
            }
            for each in damage.files
        ],
        "returned": [str(path) for _, path in damage.returned],
        "unkept": [leaf.uid for leaf, _ in damage.unkept],
    }


def sop_class_name(uid: str) -> str:
    """Return the name of a SOP class, or the UID of one that has none."""
    from pydicom.uid import UID  # noqa: PLC0415 - the log does without pydicom

    return UID(uid).name or uid


def short(digest: object) -> str:
    """Return the beginning of a digest, enough to tell two apart by eye."""
    return str(digest)[: len("sha256:") + 8]


def _plain(value: Any) -> Any:
    if isinstance(value, tuple):
        return "/".join(value)
    if isinstance(value, bytes):
        return to_json(value)
    return value


def _shown(value: Any) -> str:
    return "(no value)" if value is None else f"'{value}'" if isinstance(value, str) else str(value)
