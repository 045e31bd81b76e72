"""Tables for other programs: what is in them comes out again as it was."""

from __future__ import annotations

import csv
import io
import math

from hypothesis import given
from hypothesis import strategies as st

from fileset.cli.screen.output import columns, in_blocks, shortened
from fileset.cli.screen.tables import csv_lines, tsv_lines
from fileset.cli.screen.text import clean

CELLS = st.text(max_size=12) | st.sampled_from(["=1+1", "-5", "+4711", "@x", '"', "a,b", "1.2.840"])
TABLES = st.lists(st.lists(CELLS, min_size=2, max_size=2), max_size=4)


@given(TABLES)
def test_what_a_spreadsheet_reads_is_what_was_there_and_never_a_formula(
    rows: list[list[str]],
) -> None:
    written = "".join(csv_lines(["A", "B"], rows))
    assert written.endswith("\r\n")
    _, *found = csv.reader(io.StringIO(written, newline=""))
    for row, cells in zip(rows, found, strict=True):
        for text, cell in zip(row, cells, strict=True):
            assert cell in {clean(text), "'" + clean(text)}
            if cell[:1] in {"=", "@", "+", "-"}:
                assert math.isfinite(float(cell.replace(",", "")))


@given(TABLES)
def test_tabs_are_only_between_values(rows: list[list[str]]) -> None:
    lines = "".join(tsv_lines(["A", "B"], rows)).split("\n")
    assert [line.split("\t") for line in lines[1:-1]] == [[*map(clean, row)] for row in rows]


@given(st.text("ab 1.", max_size=30), st.integers(8, 20))
def test_a_shortened_text_fits_and_keeps_the_beginning_or_of_a_uid_the_end(
    text: str, width: int
) -> None:
    short = shortened(text, width)
    assert len(short) <= width
    left = short.strip("\u2026")
    assert text.startswith(left) or text.endswith(left)
    assert (short == text) == (len(text) <= width)


def test_rows_come_in_blocks_that_grow_and_columns_stay_aligned() -> None:
    sizes = [len(block) for block in in_blocks(range(3000))]
    assert sizes == [25, 50, 100, 200, 400, 800, 1000, 425]
    lines = ["".join(map(str, row)) for row in columns((str(10**n), "x") for n in range(30))]
    first, second = {line.rindex("x") for line in lines[:25]}, {len(line) for line in lines[25:]}
    assert (first, second) == ({27}, {33})
