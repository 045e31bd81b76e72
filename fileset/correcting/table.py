"""Corrections of many instances, as a table in a CSV file."""

from __future__ import annotations

import csv
from pathlib import Path
from typing import Any, Final

from attrs import frozen

from fileset.values import known_tag
from ledger.errors import CorrectionError

_NEW: Final = "new "
"""What the name of a column begins with whose values the instances are to have."""


@frozen
class Row:
    """A line of the table: the values that instances have, and those they are to have.

    `name` says for messages where it is.
    """

    name: str
    query: dict[str, str]
    values: dict[str, Any]


def read_table(path: Path) -> list[Row]:
    """Return the rows of the CSV file at `path`, in UTF-8, with a line of names at the top.

    A cell of a `new` column that is empty leaves the element as it is. Raises `CorrectionError` if
    it is no such table, with the line; `NoSuchKeywordError` (ValueError), or OSError.
    """
    with path.open(encoding="utf-8-sig", newline="") as file:
        try:
            return list(_rows(path, csv.reader(file, strict=True)))
        except (csv.Error, UnicodeDecodeError) as exc:
            raise CorrectionError(f"{path} is no CSV file in UTF-8: {exc}") from exc


def _rows(path: Path, lines: Any) -> Any:
    names = [name.strip() for name in next(lines, [])]
    selecting = [name for name in names if not name.startswith(_NEW)]
    if not selecting or len(selecting) == len(names):
        raise CorrectionError(
            f"{path}: the first line names the columns, with commas between them: keywords such as "
            "PatientID for what the instances have, and `new PatientID` and the like for what they "
            "are to have"
        )
    if len(set(names)) < len(names):
        raise CorrectionError(f"{path}: two columns have the same name")
    for name in selecting:
        known_tag(name)
    for cells in lines:
        if not any(cells):
            continue
        where = f"{path}, line {lines.line_num}"
        if len(cells) != len(names):
            raise CorrectionError(f"{where}: {len(cells)} values for {len(names)} columns")
        row = dict(zip(names, cells, strict=True))
        query = {name: row[name] for name in selecting if row[name]}
        values = {
            name.removeprefix(_NEW).strip(): value
            for name, value in row.items()
            if name.startswith(_NEW) and value
        }
        if not query or not values:
            raise CorrectionError(f"{where}: says nothing of which instances, or what to correct")
        yield Row(where, query, values)
