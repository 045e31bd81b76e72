"""Corrections of many instances, as a table in a CSV file."""

from __future__ import annotations

import csv
import io
from pathlib import Path
from typing import Any, Final

from attrs import frozen

from fileset.correcting.asked import edits_of, path_asked
from fileset.errors import NoSuchKeywordError
from fileset.values import known_tag
from ledger.errors import CorrectionError
from ledger.phrases import count

_NEW: Final = "new "
"""What the name of a column begins with whose values the instances are to have."""

_WRONG_SEPARATORS: Final = {";": "semicolons", "\t": "tabs"}


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

    A cell of a `new` column that is empty leaves the element as it is. Blanks around a cell are
    left out unless they are in quotes. Raises `CorrectionError`, which names the file, the line and
    what to do, or OSError.
    """
    lines = csv.reader(io.StringIO(_text(path), newline=""), strict=True, skipinitialspace=True)
    try:
        header = _Header(f"{path}, line 1", [name.strip() for name in next(lines, [])])
        rows = [
            header.row(f"{path}, line {lines.line_num}", cells)
            for cells in lines
            if any(cell.strip() for cell in cells)
        ]
    except csv.Error as exc:
        raise CorrectionError(
            f"{path}, line {lines.line_num}: not a line of CSV: {exc}: check the double quotes"
        ) from exc
    if not rows:
        raise CorrectionError(f"{path}: there are no lines below the names of the columns")
    return rows


def _text(path: Path) -> str:
    data = path.read_bytes()
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as exc:
        line = data.count(b"\n", 0, exc.start) + 1
        raise CorrectionError(
            f"{path}, line {line}: not text in UTF-8: save the table as CSV in UTF-8"
        ) from exc


class _Header:
    """The columns of a table; `where` is their line."""

    def __init__(self, where: str, names: list[str]) -> None:
        for separator, what in _WRONG_SEPARATORS.items():
            if any(separator in name for name in names):
                raise CorrectionError(
                    f"{where}: the columns are separated by {what}: save the table with commas "
                    "between them"
                )
        self._names = names
        self._new: dict[str, str] = {}
        self._known: list[str] = []
        met: dict[tuple[bool, Any], str] = {}
        for name in filter(None, names):
            is_new = name.lower().startswith(_NEW)
            keyword = name[len(_NEW) :].strip() if is_new else name
            try:
                tag = path_asked(keyword) if is_new else known_tag(keyword)
            except (CorrectionError, NoSuchKeywordError) as exc:
                raise CorrectionError(f"{where}, column '{name}': {exc}") from exc
            if (other := met.setdefault((is_new, tag), name)) is not name:
                same = "it is there twice" if other == name else f"it is the same as '{other}'"
                raise CorrectionError(f"{where}, column '{name}': {same}")
            if is_new:
                self._new[name] = keyword
            else:
                self._known.append(name)
        if not self._known or not self._new:
            raise CorrectionError(
                f"{where}: name the columns here, with commas between them: keywords such as "
                "PatientID to choose the instances, and `new PatientID` and the like for the new "
                "values"
            )

    def row(self, where: str, cells: list[str]) -> Row:
        """Return the row that has `cells`."""
        if len(cells) != len(self._names):
            raise CorrectionError(
                f"{where}: {count(len(cells), 'value')} for {count(len(self._names), 'column')}: "
                "put a value that has commas in double quotes"
            )
        if any(cell.strip() for name, cell in zip(self._names, cells, strict=True) if not name):
            raise CorrectionError(f"{where}: there is a value in a column without a name")
        row = dict(zip(self._names, cells, strict=True))
        query = {name: text for name in self._known if (text := row[name].strip())}
        values = {keyword: row[name] for name, keyword in self._new.items() if row[name].strip()}
        if not query:
            raise CorrectionError(f"{where}: give a value for {' or '.join(self._known)}")
        if not values:
            raise CorrectionError(f"{where}: give a value for {' or '.join(self._new)}")
        try:
            edits_of(values)
        except CorrectionError as exc:
            raise CorrectionError(f"{where}: {exc}") from exc
        return Row(where, query, values)
