"""Tables for other programs: CSV for spreadsheets, and lines of values with tabs between."""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Iterable, Iterator, Sequence
from itertools import chain
from typing import Final

from fileset.cli.screen.text import clean

_MARK: Final = "\ufeff"
"""What tells spreadsheets that a file is in UTF-8."""

_FORMULA: Final = re.compile(r"[=+@-](?![0-9.,]*$)")
"""What a spreadsheet takes for a formula at the beginning of a cell that is no number."""


def csv_lines(heading: Sequence[str], rows: Iterable[Sequence[str]]) -> Iterator[str]:
    """Yield a table as CSV (RFC 4180) as spreadsheets read it.

    What they would take for a formula has an apostrophe in front, as they write it themselves:
    what is in a file from elsewhere is not to be run. `fileset correct --csv` takes it off.
    """
    yield _MARK + _csv_line(heading)
    for row in rows:
        yield _csv_line(["'" + text if _FORMULA.match(text) else text for text in row])


def _csv_line(cells: Sequence[str]) -> str:
    line = io.StringIO()
    csv.writer(line).writerow(map(clean, cells))
    return line.getvalue()


def tsv_lines(heading: Sequence[str], rows: Iterable[Sequence[str]]) -> Iterator[str]:
    """Yield a table as lines with tabs between the values, in which there are none."""
    for row in chain([heading], rows):
        yield "\t".join(map(clean, row)) + "\n"
