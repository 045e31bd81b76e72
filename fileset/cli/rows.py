"""Rows of what was found: instances, or the series, studies or patients they are of, in columns."""

from __future__ import annotations

import string
from collections.abc import Callable, Iterable, Iterator, Sequence
from decimal import Decimal, InvalidOperation
from typing import Any, Final, TypeAlias

import click
from attrs import define, field, frozen
from pydicom.dataelem import DataElement

from fileset.cli.matching import path_typed
from fileset.cli.screen.documents import records_above, standing
from fileset.cli.screen.listing import described_instance, record_document
from fileset.criteria import element_of
from fileset.timeline.naming import sop_class_name
from fileset.values import value_text
from fileset.views.instance import FileInstance
from projections.state.nodes import Branch, Leaf
from projections.state.state import FileSetState

Found: TypeAlias = tuple[FileInstance, Any]
"""An instance, and what has its elements."""

LEVELS: Final = {"patient": "PATIENT", "study": "STUDY", "series": "SERIES", "instance": ""}
"""What a row can be of, and the type of its directory record."""

_OF_INSTANCE: Final[dict[str, Callable[[Leaf, FileSetState], str]]] = {
    "file_id": lambda leaf, _: leaf.file_id or "",
    "sop_class": lambda leaf, _: sop_class_name(leaf.sop_class_uid),
    "staged": lambda leaf, state: standing(leaf, state) or "",
    "size": lambda leaf, _: str(leaf.content.size) if leaf.content else "",
    "digest": lambda leaf, _: str(leaf.content.digest) if leaf.content else "",
}
_COUNTED: Final = {"studies": "STUDY", "series": "SERIES", "instances": ""}

DEFAULT_COLUMNS: Final = {
    "patient": (
        "PatientID", "PatientName", "PatientBirthDate", "PatientSex", "studies", "instances",
    ),
    "study": (
        "StudyDate", "PatientID", "PatientName", "Modality", "StudyDescription", "series",
        "instances", "StudyInstanceUID",
    ),
    "series": (
        "StudyDate", "PatientID", "Modality", "SeriesNumber", "SeriesDescription", "instances",
        "SeriesInstanceUID",
    ),
    "instance": (
        "PatientID", "StudyDate", "Modality", "SeriesNumber", "InstanceNumber", "file_id",
        "SOPInstanceUID",
    ),
}  # fmt: skip
"""What is shown of each level where nothing else is asked for."""

_BRACES: Final = string.Formatter()


@frozen
class Column:
    """A column: the tag of its element, or `None` for a value of ours, which `name` says."""

    name: str
    tag: int | None


@define
class Row:
    """What was found of one instance, or of one record and the instances below it.

    Attributes
    ----------
    cells : list of dict
        The different values of each column, as text.
    below : dict
        The keys of the records below it, by their type.
    """

    node: Leaf | Branch
    cells: list[dict[str, None]]
    below: dict[str, set[tuple[str, ...]]] = field(factory=dict)
    instances: int = 0

    def texts(self) -> list[str]:
        """Return the text of each column, different values joined by backslashes."""
        return ["\\".join(cell) for cell in self.cells]


def columns_named(level: str, names: Sequence[str]) -> list[Column]:
    """Return columns by name; a usage error if there is no such element, or not at that level."""
    own = _OF_INSTANCE if level == "instance" else _COUNTED
    made = []
    for name in names:
        if name in own:
            made.append(Column(name, None))
        elif name in _COUNTED or name in _OF_INSTANCE:
            raise click.UsageError(f"There is no column {name} of {level}: {', '.join(own)} are.")
        else:
            path = path_typed(name)
            if len(path) > 1:
                raise click.UsageError(f"{name} is within a sequence, which has no column.")
            made.append(Column(name, path[0]))
    return made


@define
class Rows:
    """Makes rows of what is found of the instances of `state`."""

    state: FileSetState
    level: str
    columns: Sequence[Column]
    _last: dict[int, tuple[DataElement, str]] = field(factory=dict, init=False)

    def of(self, found: Iterable[Found]) -> Iterator[Row]:
        """Yield a row for each instance as it is found, or for each record once all are."""
        if self.level != "instance":
            yield from self._of_records(found)
            return
        for instance, elements in found:
            leaf = self.state.leaf(instance.handle)
            row = self._row(leaf)
            row.instances = 1
            self._fill(row, elements)
            for at, column in enumerate(self.columns):
                if column.tag is None and (text := _OF_INSTANCE[column.name](leaf, self.state)):
                    row.cells[at][text] = None
            yield row

    def _of_records(self, found: Iterable[Found]) -> Iterator[Row]:
        groups: dict[tuple[str, ...], Row] = {}
        for instance, elements in found:
            row = self._of_record(groups, self.state.leaf(instance.handle))
            if row is not None:  # or no such record is above it
                row.instances += 1
                self._fill(row, elements)
        for row in groups.values():
            for at, column in enumerate(self.columns):
                if column.tag is None:
                    kind = _COUNTED[column.name]
                    number = len(row.below.get(kind, ())) if kind else row.instances
                    row.cells[at][str(number)] = None
            yield row

    def _of_record(self, groups: dict[tuple[str, ...], Row], leaf: Leaf) -> Row | None:
        """Return the row of the record above an instance, which is told what is between them."""
        keys: tuple[str, ...] = ()
        row = None
        for branch in records_above(leaf):
            keys += (branch.record.type, branch.key)
            if branch.record.type == LEVELS[self.level]:
                row = groups.get(keys)
                if row is None:
                    row = groups[keys] = self._row(branch)
            if row is not None:
                row.below.setdefault(branch.record.type, set()).add(keys)
        return row

    def _row(self, node: Leaf | Branch) -> Row:
        return Row(node, [{} for _ in self.columns])

    def _fill(self, row: Row, elements: Any) -> None:
        """Take over the values of an instance; those of a series share what is above them."""
        for at, column in enumerate(self.columns):
            element = None if column.tag is None else element_of(elements, column.tag)
            if element is None:
                continue
            if at not in self._last or self._last[at][0] is not element:
                self._last[at] = element, value_text(element)
            if text := self._last[at][1]:
                row.cells[at][text] = None


def sorted_rows(rows: Iterable[Row], names: Sequence[str], columns: Sequence[Column]) -> list[Row]:
    """Return rows by the values of columns, a name with `-` in front from the last to the first.

    Numbers are in their own order and before texts, and what has no value comes last.
    """
    found = list(rows)
    places = {column.name: at for at, column in enumerate(columns)}
    for name in reversed(names):
        at = places[name.removeprefix("-")]
        found.sort(key=lambda row, at=at: _place("\\".join(row.cells[at])), reverse=name[0] == "-")  # type: ignore[misc]
        found.sort(key=lambda row, at=at: not row.cells[at])  # type: ignore[misc]
    return found


def _place(text: str) -> tuple[int, Decimal, str]:
    try:
        number = Decimal(text)
    except InvalidOperation:
        return 1, Decimal(), text.casefold()
    return (0, number, text) if number.is_finite() else (1, Decimal(), text.casefold())


def template_fields(template: str) -> list[str]:
    """Return the names in a template such as `{PatientID} {Rows}`; a usage error if it is bad."""
    try:
        parts = list(_BRACES.parse(template))
    except ValueError as exc:
        raise click.UsageError(f"--template: {exc}: braces are around names of columns.") from exc
    for _, name, spec, conversion in parts:
        if name is not None and (spec or conversion or not name):
            raise click.UsageError(
                f"--template: {{{name}}}: only names of columns are between braces, as in "
                "'{PatientID} {StudyDate}'."
            )
    return list(dict.fromkeys(name for _, name, _, _ in parts if name))


def filled(template: str, names: Sequence[str], texts: Sequence[str]) -> str:
    r"""Return a template with values for names, and tabs and ends of lines for `\t` and `\n`."""
    values = dict(zip(names, texts, strict=True))
    return "".join(
        text.replace("\\t", "\t").replace("\\n", "\n") + (values[name] if name else "")
        for text, name, _, _ in _BRACES.parse(template)
    )


def row_document(row: Row, state: FileSetState, columns: Sequence[Column] | None) -> dict[str, Any]:
    """Return a row as JSON, with the values of `columns` if they were asked for."""
    if isinstance(row.node, Leaf):
        document = described_instance(row.node, state)
    else:
        document = {
            **record_document(row.node),
            "studies": len(row.below.get("STUDY", ())),
            "series": len(row.below.get("SERIES", ())),
            "instances": row.instances,
        }
    if columns is not None:
        document["columns"] = {
            column.name: text or None for column, text in zip(columns, row.texts(), strict=True)
        }
    return document
