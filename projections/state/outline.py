"""The hierarchy as the lines that people read, in the form that pydicom prints it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from operator import add

from ledger import elements
from ledger.events import Record
from ledger.tags import PATIENT_ID, PATIENT_NAME
from projections.dicomdir.text import text_of
from projections.state.nodes import Branch, Leaf

_PATIENT = (("PatientID", PATIENT_ID, True), ("PatientName", PATIENT_NAME, True))
_STUDY = (("StudyDate", 0x00080020, False), ("StudyTime", 0x00080030, False))
_STUDY_DESCRIPTION = ("StudyDescription", 0x00081030, True)
_SERIES = (("Modality", 0x00080060, False), ("SeriesNumber", 0x00200011, False))
_SERIES_DESCRIPTION = ("SeriesDescription", 0x0008103E, True)
_KNOWN_BY = {"PATIENT": (PATIENT_ID, PATIENT_NAME), "SERIES": (0x00200011, 0x00080060, 0x0008103E)}
_IMAGE = (("InstanceNumber", 0x00200013, False),)


def record_line(record: Record, key: str) -> str:
    """Return one line on a record: its type and what people know it by.

    A study or series is shown with its description if it has one.
    """
    found = {element.tag: element for element in elements.iterate(record.elements)}

    def shown(fields: Iterable[tuple[str, int, bool]], *, always: bool = True) -> Iterator[str]:
        for name, tag, quoted in fields:
            value = text_of(found.get(tag), record.elements)
            if value or always:
                yield f"{name}='{value}'" if quoted else f"{name}={value}"

    match record.type:
        case "PATIENT":
            parts = [*shown(_PATIENT)]
        case "STUDY":
            parts = [*shown(_STUDY), *shown([_STUDY_DESCRIPTION], always=False)]
        case "SERIES":
            parts = [*shown(_SERIES), *shown([_SERIES_DESCRIPTION], always=False)]
        case "IMAGE":
            parts = [*shown(_IMAGE)]
        case _:
            parts = [key]
    return f"{record.type}: {', '.join(parts)}"


def whose_instance(leaf: Leaf) -> str:
    """Return what people know the patient and the series of an instance by."""
    above: list[Record] = []
    branch: Branch | None = leaf.home
    while branch is not None:
        above.insert(0, branch.record)
        branch = branch.home
    return whose(above)


def whose(records: Iterable[Record]) -> str:
    """Return what people know the patient and the series among `records` by."""
    parts = []
    for record in records:
        found = {element.tag: element for element in elements.iterate(record.elements)}
        tags = _KNOWN_BY.get(record.type, ())
        first, *others = [text_of(found.get(tag), record.elements) for tag in tags] or [""]
        if tags:
            about = ", ".join(filter(None, others))
            parts.append(f"{record.type.lower()} '{first}'{f' ({about})' if about else ''}")
    return ", ".join(parts)


def outline(
    nodes: Iterable[tuple[int, Branch | Leaf]], corrections: Mapping[Leaf, Leaf], indent: str = "  "
) -> Iterator[str]:
    """Yield the lines for `nodes`, which come with their depths from the top down.

    `corrections` are the instances that replace others on the medium: below one record they are
    neither additions nor removals. Instances are counted by record type below the record that
    holds them; an instance at the top level has a line of its own.
    """
    corrected = _corrected(corrections)
    for depth, node in nodes:
        if isinstance(node, Branch):
            yield f"{indent * depth}{record_line(node.record, node.key)}"
            if node.tally.kinds:
                yield from _counts(node, depth + 1, indent, corrected.get(node, {}))
        elif depth == 0:
            yield f"{node.record.type}: 1 SOP Instance{_standing(node)}"


def _standing(leaf: Leaf) -> str:
    if leaf.is_addition:
        return " (to be added)"
    return " (to be removed)" if leaf.is_removal else ""


def _corrected(corrections: Mapping[Leaf, Leaf]) -> dict[Branch, Counter[str]]:
    """Return how many instances below each record replace others there, by record type."""
    found: dict[Branch, Counter[str]] = {}
    for new, old in corrections.items():
        if new.record_type != old.record_type:
            continue
        there = list(old.home.upwards())
        for branch in new.home.upwards():
            if branch in there:
                found.setdefault(branch, Counter())[new.record_type] += 1
    return found


def _counts(branch: Branch, depth: int, indent: str, corrected: Mapping[str, int]) -> Iterator[str]:
    counts: dict[str, list[int]] = {}
    for tally in branch.tallies():
        for kind, numbers in tally.kinds.items():
            sums = counts.setdefault(kind, [0, 0, 0])
            sums[:] = map(add, sums, numbers)
    for kind in sorted(counts):
        total, added, removed = counts[kind]
        line = _count_line(total, added, removed, corrected.get(kind, 0))
        yield f"{indent * depth}{kind}: {line}"


def _count_line(total: int, added: int, removed: int, corrected: int) -> str:
    result, initial = total - removed, total - added
    added, removed = added - corrected, removed - corrected
    changes = []
    if (added or removed or corrected) and initial > 0:
        changes.append(f"{initial} initial")
    if added:
        changes.append(f"{added} addition{'s' if added > 1 else ''}")
    if removed:
        changes.append(f"{removed} removal{'s' if removed > 1 else ''}")
    if corrected:
        changes.append(f"{corrected} correction{'s' if corrected > 1 else ''}")
    line = f"{result} SOP Instance{'' if result == 1 else 's'}"
    return f"{line} ({', '.join(changes)})" if changes else line
