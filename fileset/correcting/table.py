"""Corrections of many instances, as a table in a CSV file."""

from __future__ import annotations

import csv
import io
import re
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

_SEPARATORS: Final = {",": "commas", ";": "semicolons", "\t": "tabs"}
"""What can be between columns; spreadsheets write semicolons where numbers have decimal commas."""

_LINE_END: Final = re.compile(r"\r\n|\r|\n")
_DECLARED: Final = re.compile(r'"?sep=(.?)"?[,;\t]*', re.IGNORECASE)
_NOT_BETWEEN: Final = re.compile(r'"(?:[^"]|"")*"|[0-9A-F]{4},[0-9A-F]{4}', re.IGNORECASE)
"""What is in quotes, and tags: a comma in them separates no columns."""

_NO_FORMULA: Final = re.compile(r"'[=+@-]")
"""What a text begins with that would be a formula, as `fileset find --csv` writes it."""

_OTHER_FILES: Final = {
    b"PK\x03\x04": "an Excel workbook",
    b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1": "an Excel workbook",
}
"""What files that are no text begin with (.xlsx is a ZIP file, .xls a compound file)."""


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

    What is between the names, commas, semicolons or tabs, is between the values too; a line `sep=;`
    above them may say it. A cell of a `new` column that is empty leaves the element as it is.
    Blanks around a cell are left out unless they are in quotes. Raises `CorrectionError`, which
    names the file, the line and what to do, or OSError.
    """
    text, declared, above = _declared(path, _text(path))
    where = f"{path}, line {above + 1}"
    separator = declared or _separator(where, _LINE_END.split(text, maxsplit=1)[0])
    lines = csv.reader(
        io.StringIO(text, newline=""), delimiter=separator, strict=True, skipinitialspace=True
    )
    try:
        header = _Header(where, [name.strip() for name in next(lines, [])], separator)
        rows = [
            header.row(f"{path}, line {above + lines.line_num}", cells)
            for cells in lines
            if any(cell.strip() for cell in cells)
        ]
    except csv.Error as exc:
        raise CorrectionError(
            f"{path}, line {above + lines.line_num}: not a line of CSV: {exc}: check the double "
            "quotes"
        ) from exc
    if not rows:
        raise CorrectionError(f"{path}: there are no lines below the names of the columns")
    return rows


def _text(path: Path) -> str:
    data = path.read_bytes()
    for start, what in _OTHER_FILES.items():
        if data.startswith(start):
            raise CorrectionError(f"{path}: this is {what}: save the table as CSV UTF-8")
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as exc:
        line = data.count(b"\n", 0, exc.start) + 1
        raise CorrectionError(
            f"{path}, line {line}: not text in UTF-8: save the table as CSV in UTF-8"
        ) from exc


def _declared(path: Path, text: str) -> tuple[str, str | None, int]:
    """Return the table in `text`, the separator that its first line declares, and how many do.

    Spreadsheets write and read such a line, `sep=;`.
    """
    first, *rest = _LINE_END.split(text, maxsplit=1)
    declared = _DECLARED.fullmatch(first.strip(" "))
    if declared is None:
        return text, None, 0
    if declared[1] not in _SEPARATORS:
        raise CorrectionError(
            f"{path}, line 1: {first!r} is no separator of columns: separate them by commas, "
            "semicolons or tabs"
        )
    return "".join(rest), declared[1], 1


def _separator(where: str, names: str) -> str:
    """Return what is between the `names`; a comma, if there is nothing."""
    between = _NOT_BETWEEN.sub("", names)
    found = [separator for separator in _SEPARATORS if separator in between]
    if len(found) > 1:
        what = " and ".join(_SEPARATORS[each] for each in found)
        raise CorrectionError(
            f"{where}: there are {what} between the columns: separate them all by one of these, or "
            "put a line above that says which it is, such as sep=;"
        )
    return found[0] if found else ","


def _as_meant(cell: str) -> str:
    """Return a cell without the apostrophe that keeps a spreadsheet from running it."""
    return cell[1:] if _NO_FORMULA.match(cell) else cell


class _Header:
    """The columns of a table, with `separator` between them; `where` is their line."""

    def __init__(self, where: str, names: list[str], separator: str) -> None:
        self._names = names
        self._between = _SEPARATORS[separator]
        self._new: dict[str, str] = {}
        self._known: list[str] = []
        met: dict[tuple[bool, Any], str] = {}
        for name in filter(None, names):
            is_new = name.lower().startswith(_NEW)
            keyword = name[len(_NEW) :].strip() if is_new else name
            try:
                tag = path_asked(keyword) if is_new else known_tag(keyword)
            except NoSuchKeywordError as exc:
                raise CorrectionError(
                    f"{where}, column '{name}': {exc} If it is a remark, delete the column"
                ) from exc
            except CorrectionError as exc:
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
                f"{where}: name the columns here, with {self._between} between them: keywords "
                "such as PatientID to choose the instances, and `new PatientID` and the like for "
                "the new values"
            )

    def row(self, where: str, cells: list[str]) -> Row:
        """Return the row that has `cells`."""
        if len(cells) != len(self._names):
            raise CorrectionError(
                f"{where}: {count(len(cells), 'value')} for {count(len(self._names), 'column')}: "
                f"put a value that has {self._between} in double quotes"
            )
        if any(cell.strip() for name, cell in zip(self._names, cells, strict=True) if not name):
            raise CorrectionError(f"{where}: there is a value in a column without a name")
        row = dict(zip(self._names, map(_as_meant, cells), strict=True))
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
