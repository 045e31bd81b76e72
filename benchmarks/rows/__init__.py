"""All rows of the table, in its order."""

from __future__ import annotations

from typing import Final

from benchmarks.rows import adding, growth, limits, media, million, starting, using, writing
from benchmarks.rows.row import Row

ROWS: Final[dict[str, Row]] = {
    row.name: row
    for rows in (adding, writing, media, limits, using, starting, growth, million)
    for row in rows.ROWS
}
