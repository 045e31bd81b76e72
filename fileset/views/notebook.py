"""What a notebook shows: HTML that is escaped, bounded, and in the notebook's own colours."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from html import escape
from itertools import islice
from typing import Final

ROWS: Final = 30
"""How many rows of a table are shown."""

_LINES: Final = 60
_LONGEST: Final = 200  # characters of a text


def table(head: Sequence[str], rows: Iterable[Sequence[object]], *, title: str = "") -> str:
    """Return a table of the first `ROWS` of `rows`; what more there is is counted."""
    left = iter(rows)
    shown = "".join(_row("td", cells) for cells in islice(left, ROWS))
    more = sum(1 for _ in left)
    if more:
        shown += _row("td", [f"... and {more:,} more", *[""] * (len(head) - 1)])
    top = f"<thead>{_row('th', head)}</thead>" if any(head) else ""
    return f"<div>{_title(title)}<table>{top}<tbody>{shown}</tbody></table></div>"


def outline(title: str, facts: Iterable[tuple[str, object]], lines: Iterator[str]) -> str:
    """Return `facts` as a table of two columns, and below it the first of `lines`."""
    rows = "".join(_row("td", fact) for fact in facts)
    text = "\n".join(map(shown, islice(lines, _LINES)))
    if next(lines, None) is not None:
        text += "\n..."
    below = f"<pre>{text}</pre>" if text else ""
    return f"<div>{_title(title)}<table><tbody>{rows}</tbody></table>{below}</div>"


def shown(value: object) -> str:
    """Return a value as text of an HTML document: cut, and nothing in it acts."""
    text = "" if value is None else str(value)
    if len(text) > _LONGEST:
        text = f"{text[:_LONGEST]}..."
    if not text.isprintable():
        text = "".join(c if c.isprintable() else ascii(c)[1:-1] for c in text)
    return escape(text)


def _title(title: str) -> str:
    return f"<p><strong>{shown(title)}</strong></p>" if title else ""


def _row(cell: str, values: Sequence[object]) -> str:
    left = ' style="text-align: left"'
    return f"<tr>{''.join(f'<{cell}{left}>{shown(value)}</{cell}>' for value in values)}</tr>"
