"""What a write does or would do, and what damage it finds: for people and as JSON."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, Final

from fileset.cli.screen.output import ALL_LISTS_THEM, Line, Shape, Span, first
from fileset.medium.damage import MediumDamage
from ledger.digest import Digest, short
from ledger.events import Handle
from ledger.phrases import count
from projections.medium.plan import Plan
from projections.state.nodes import Leaf

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
    "dicomdir": "missing, sha256:... of a different one that is there, or null",
    "files": "[{sop_instance_uid, path, fault, why_not}]: the fault is missing, changed or "
    "unreadable; why_not is null for those that are put back",
    "returned": "the paths of files that a write had removed and that an older copy still has",
    "unkept": "the SOP Instance UIDs of those whose copy in the vault was damaged or gone, and is "
    "restored from the medium",
}

_SHOWN: Final = 20
"""Paths of each kind that are listed unless all are asked for."""


def file_ids(leaves: Iterable[Leaf]) -> dict[Handle, str]:
    """Return where instances are on the medium, those that are."""
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


def plan_lines(plan: dict[str, Any], show_all: bool) -> list[Line]:
    """Return what would be written: each path, or the first ones of each kind."""
    lines: list[Line] = [
        (Span(f"Would write to {plan['root']}", "title"), f", layout {plan['layout']}:")
    ]
    plus, arrow, minus = Span("  + ", "good"), Span("  > ", "careful"), Span("  - ", "bad")
    for kind in (
        [(plus, item["file_id"]) for item in plan["placed"]],
        [(arrow, f"{item['from']} -> {item['to']}") for item in plan["moved"]],
        [(minus, item["file_id"] or "") for item in plan["removed"]],
    ):
        lines += first(kind, None if show_all else _SHOWN, ALL_LISTS_THEM)
    return [*lines, _figures(plan), *_hint(plan, "would move")]


def written_lines(plan: dict[str, Any], dicomdir: Digest | None) -> list[Line]:
    """Return what was written."""
    return [
        (Span(f"Wrote {count(plan['instances'], 'instance')} to {plan['root']}.", "good"),),
        f"{_figures(plan)} ({short(dicomdir)})",
        *_hint(plan, "moved"),
    ]


def _hint(plan: dict[str, Any], verb: str) -> list[Line]:
    """Return why more files move than come and go, and how to have them stay."""
    moved = len(plan["moved"])
    if plan["layout"] != "pydicom" or moved <= len(plan["placed"]) + len(plan["removed"]):
        return []
    files = count(moved, "file")
    why = "because the layout pydicom leaves no gaps: with `--layout existing` they stay"
    return [f"{files} {verb}, {why}."]


def _figures(plan: dict[str, Any]) -> str:
    numbers = {what: len(plan[what]) for what in ("placed", "moved", "removed") if plan[what]}
    (first, number), *others = numbers.items() or [("", 0)]
    files = [f"{count(number, 'file')} {first}", *(f"{n:,} {what}" for what, n in others)]
    size = f"DICOMDIR of {count(plan['dicomdir_size'], 'byte')}"
    return f"{', '.join(files)}; {size}" if number else size


def damage_document(damage: MediumDamage) -> dict[str, Any]:
    """Return what was found on a medium that was to be repaired."""
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


def damage_lines(damage: MediumDamage | None, *, dry_run: bool) -> list[Line]:
    """Return what is wrong with a medium, and what was or would be done about it."""
    if damage is None:
        return []
    would, was = ("Would put", "is") if dry_run else ("Put", "was")
    lines: list[Line] = []
    if damage.of_dicomdir:
        what = "There was no DICOMDIR" if damage.no_dicomdir else "The DICOMDIR was a different one"
        lines.append((Span(f"{what}: it is rewritten.", "careful"),))
    repairable, left = damage.repairable, damage.unrepairable
    put_back = [
        (Span(f"{would} back", "good"), f" {each.path}, which {was} {each.fault.value}")
        for each in repairable
    ]
    lines += first(put_back, _SHOWN, "  ... and {:,} more")
    if damage.returned:
        files = count(len(damage.returned), "file")
        verb = "Would remove" if dry_run else "Removed"
        lines.append(f"{verb} {files} again that an older copy of the medium still has.")
    if damage.unkept:
        verb = "Would store" if dry_run else "Stored"
        lines.append(f"{verb} {count(len(damage.unkept), 'content')} again in the vault.")
    lines += [(Span(f"Not put back: {each.path}", "bad"), f": {each.why}.") for each in left]
    return lines or ["The medium is as it was written."]
