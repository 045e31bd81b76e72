"""The hierarchy as the lines that people read, in the form that pydicom prints it."""

from __future__ import annotations

import warnings
from collections.abc import Iterable, Iterator
from functools import lru_cache

from ledger import elements
from ledger.events import Record
from projections.hierarchy import Branch, Leaf

_PATIENT_NAME = 0x00100010
_PATIENT = (("PatientID", 0x00100020, True), ("PatientName", _PATIENT_NAME, True))
_STUDY = (("StudyDate", 0x00080020, False), ("StudyTime", 0x00080030, False))
_STUDY_DESCRIPTION = ("StudyDescription", 0x00081030, True)
_SERIES = (("Modality", 0x00080060, False), ("SeriesNumber", 0x00200011, False))
_SERIES_DESCRIPTION = ("SeriesDescription", 0x0008103E, True)
_IMAGE = (("InstanceNumber", 0x00200013, False),)


def patient_name(record: Record) -> str:
    """Return the Patient's Name of a PATIENT record as text, ``""`` if it has none."""
    return _patient_name(record.elements)


@lru_cache(maxsize=256)  # the instances of a patient are added one after the other
def _patient_name(record: elements.Elements) -> str:
    return _text(elements.find(record, _PATIENT_NAME), record)


def record_line(record: Record, key: str) -> str:
    """Return one line on a record: its type and what people know it by.

    The description of a study or series is told where it has one.
    """
    found = {element.tag: element for element in elements.iterate(record.elements)}

    def told(fields: Iterable[tuple[str, int, bool]], *, always: bool = True) -> Iterator[str]:
        for name, tag, quoted in fields:
            value = _text(found.get(tag), record.elements)
            if value or always:
                yield f"{name}='{value}'" if quoted else f"{name}={value}"

    match record.type:
        case "PATIENT":
            parts = [*told(_PATIENT)]
        case "STUDY":
            parts = [*told(_STUDY), *told([_STUDY_DESCRIPTION], always=False)]
        case "SERIES":
            parts = [*told(_SERIES), *told([_SERIES_DESCRIPTION], always=False)]
        case "IMAGE":
            parts = [*told(_IMAGE)]
        case _:
            parts = [key]
    return f"{record.type}: {', '.join(parts)}"


def _text(element: elements.Element | None, of_record: bytes) -> str:
    """Return an element's value as pydicom prints it."""
    if element is None:
        return ""
    if element.vr == "IS" and not element.value.strip(b"\0 "):
        return "None"
    if element.value.isascii() and b"\x1b" not in element.value and b"\\" not in element.value:
        text = element.value.decode("ascii").rstrip("\0 ")
        return text.rstrip("=") if element.vr == "PN" else text
    from ledger.datasets import to_dataset  # noqa: PLC0415 - pydicom only where it is needed

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # they would not say of which record they are
        try:
            return str(to_dataset(of_record)[element.tag].value)
        except Exception:  # noqa: BLE001 - pydicom raises many things on values it can't decode
            return elements.plain_text(element) or ""


def outline(nodes: Iterable[tuple[int, Branch | Leaf]], indent: str = "  ") -> Iterator[str]:
    """Yield the lines for `nodes`, which come with their depths from the top down.

    Instances are counted by record type below the record that holds them; an instance at the top
    level has a line of its own.
    """
    for depth, node in nodes:
        if isinstance(node, Branch):
            yield f"{indent * depth}{record_line(node.record, node.key)}"
            first = next((c for c in node.children.values() if isinstance(c, Leaf)), None)
            if first is not None:
                yield from _counts(node, depth + 1, indent)
        elif depth == 0:
            yield f"{node.record.type}: 1 SOP Instance{_standing(node)}"


def _standing(leaf: Leaf) -> str:
    if leaf.is_addition:
        return " (to be added)"
    return " (to be removed)" if leaf.is_removal else ""


def _counts(branch: Branch, depth: int, indent: str) -> Iterator[str]:
    counts: dict[str, list[int]] = {}
    for leaf in branch.leaves():
        count = counts.setdefault(leaf.record.type, [0, 0, 0])
        count[0] += 1
        count[1] += leaf.is_addition
        count[2] += leaf.is_removal
    for kind in sorted(counts):
        yield f"{indent * depth}{kind}: {_count_line(*counts[kind])}"


def _count_line(total: int, added: int, removed: int) -> str:
    result, initial = total - removed, total - added
    changes = []
    if (added or removed) and initial > 0:
        changes.append(f"{initial} initial")
    if added:
        changes.append(f"{added} addition{'s' if added > 1 else ''}")
    if removed:
        changes.append(f"{removed} removal{'s' if removed > 1 else ''}")
    line = f"{result} SOP Instance{'' if result == 1 else 's'}"
    return f"{line} ({', '.join(changes)})" if changes else line
