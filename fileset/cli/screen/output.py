"""What a command answers, and how it is printed: for people, or as one JSON document.

Everything that is printed passes `clean` here, so that no command
has to remember to.
"""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from functools import cache
from itertools import islice
from typing import IO, Any, Final, NamedTuple, TextIO, TypeAlias, TypeVar

import click

from fileset.cli.screen.text import clean


class Span(NamedTuple):
    """A piece of a line that stands out on a terminal; `style` is a key of `STYLES`."""

    text: str
    style: str


STYLES: Final[dict[str, dict[str, Any]]] = {
    "title": {"bold": True},
    "command": {"fg": "cyan", "bold": True},
    "good": {"fg": "green"},
    "bad": {"fg": "red"},
    "careful": {"fg": "yellow"},
    "faint": {"dim": True},
}

QUIET: Final = "fileset.cli.quiet"
"""What says in the context of a command that nothing is printed but what went wrong."""

ALL_LISTS_THEM: Final = "  ... and {:,} more: --all lists them"

_COLORS: Final = {"always": True, "never": False}
_BLOCK: Final = 1000  # lines printed at once: click flushes each time, which a long log would feel
_FIRST_BLOCK: Final = 25
_NARROWEST: Final = 8  # characters of a column that is shortened
_GUIDES: Final = ("├── ", "└── ", "│   ", "    ")
_ASCII_GUIDES: Final = ("+-- ", "`-- ", "|   ", "    ")

_BETWEEN: Final = 2  # spaces between columns
_NO_WORDS: Final = re.compile(r"[0-9.]+")

T = TypeVar("T")
Parts: TypeAlias = tuple[str | Span, ...]
Line: TypeAlias = str | Parts


Shape: TypeAlias = Mapping[str, str]
"""What each key of a JSON document holds."""


# Plain classes, as the session is: `fileset --version` and `--help` need not import attrs for them.
class Node:
    """A branch of a tree that is to be printed, and, gone through once, those below it."""

    def __init__(self, label: Line, children: Iterable[Node] = ()) -> None:
        self.label = label
        self.children = children


class Answer:
    """What a command has to say.

    Attributes
    ----------
    document : dict
        All of it, for `--json`.
    lines : iterable of Line or Node
        The same for people, on standard output.
    notes : iterable of Line
        What people have to know besides, on standard error.
    status : int
        The exit code.
    data : iterable of str, optional
        What other programs read, in the place of lines, with its ends of lines.
    ending : callable, optional
        Called when all lines were printed, if notes and exit code are known only then. They are
        printed last.
    """

    def __init__(
        self,
        document: dict[str, Any],
        lines: Iterable[Line | Node] = (),
        notes: Iterable[Line] = (),
        status: int = 0,
    ) -> None:
        self.document = document
        self.lines = lines
        self.notes = notes
        self.status = status
        self.data: Iterable[str] | None = None
        self.ending: Callable[[], None] | None = None


def print_document(document: dict[str, Any]) -> None:
    """Print a JSON document in ASCII, which no file name or value can break.

    What is long may be given as an iterator: most people don't ask for JSON.
    """
    import json  # noqa: PLC0415 - text for people does without it

    click.echo(json.dumps(document, indent=2, default=list))


def print_lines(
    lines: Iterable[Line | Node],
    *,
    err: bool = False,
    pager: IO[str] | None = None,
    color: str | None = None,
) -> None:
    """Print `lines` on standard output, standard error or a `pager`, styled as `styling` says."""
    styles = styling(color)
    if styles is None and pager is not None:  # which shows them on a terminal
        styles = True
    each_line = (
        styled(line)
        for each in lines
        for line in (drawn(each) if isinstance(each, Node) else (each,))
    )
    for block in in_blocks(each_line):
        click.echo("\n".join(block), file=pager, err=err, color=styles)


def styling(configured: str | None = None) -> bool | None:
    """Whether what is printed has the terminal's codes: `None` where that depends on the stream.

    NO_COLOR takes them out and FORCE_COLOR leaves them in, whatever their values, if these are not
    empty. Otherwise it is as `configured`, always or never, or they are where a terminal is, other
    than one that calls itself dumb.
    """
    if os.environ.get("NO_COLOR"):
        return False
    if os.environ.get("FORCE_COLOR"):
        return True
    if configured in _COLORS:
        return _COLORS[configured]
    return False if os.environ.get("TERM") == "dumb" else None


def print_data(data: Iterable[str]) -> None:
    """Print what other programs read on standard output, in UTF-8."""
    for block in in_blocks(data):
        click.echo("".join(block).encode("utf-8", "backslashreplace"), nl=False)


def in_blocks(items: Iterable[T]) -> Iterator[list[T]]:
    """Yield items in blocks: small ones at first, since somebody waits for the first of them."""
    left = iter(items)
    size = _FIRST_BLOCK
    while block := list(islice(left, size)):
        yield block
        size = min(2 * size, _BLOCK)


def styled(line: Line) -> str:
    """Return a line with the terminal's codes, which click drops where they don't belong."""
    if isinstance(line, str):
        return clean(line)
    pieces: list[str] = []
    for part in line:
        if isinstance(part, Span):
            begin, end = _codes(part.style)
            pieces += (begin, clean(part.text), end)
        else:
            pieces.append(clean(part))
    return "".join(pieces)


@cache
def _codes(style: str) -> tuple[str, str]:
    """Return the terminal's codes before and behind text of a style."""
    begin, _, end = click.style("|", **STYLES[style]).partition("|")
    return begin, end


def first(lines: Sequence[Line], limit: int | None, rest: str) -> Iterator[Line]:
    """Yield `limit` of `lines`, all for `None`, and how many are left, in the words of `rest`."""
    shown = lines[:limit]
    yield from shown
    if left := len(lines) - len(shown):
        yield rest.format(left)


def is_terminal(stream: TextIO) -> bool:
    """Whether a person looks at what is printed there."""
    return stream.isatty()


def is_screen(stream: TextIO) -> bool:
    """Whether a person looks there who wants to see progress, which is drawn over."""
    context = click.get_current_context(silent=True)
    if context is not None and context.meta.get(QUIET):
        return False
    return is_terminal(stream) and os.environ.get("TERM") != "dumb"


def fitted(line: Parts) -> Parts:
    """Return a line that fits the terminal, shortened between words if anybody looks at it."""
    if not is_terminal(sys.stdout):
        return line
    left = _width()
    kept: list[str | Span] = []
    for number, part in enumerate(cleaned := [_cleaned(part) for part in line]):
        kept.append(_cut(part, left))
        left -= len(_plain(kept[-1]))
        if left <= 1 and number + 1 < len(cleaned):
            break
    return tuple(kept)


def _width() -> int:
    """Return how many characters a line of the terminal has."""
    from shutil import get_terminal_size  # noqa: PLC0415 - most output goes elsewhere

    return get_terminal_size().columns


def columns(rows: Iterable[Parts]) -> Iterator[Parts]:
    """Yield `rows`, all as long, as lines with their columns aligned.

    They come block by block, and a column is as wide as it has been so far. On a terminal, what is
    longer than a line is shortened in its widest columns.
    """
    room = _width() if is_terminal(sys.stdout) else None
    widths: list[int] = []
    for block in in_blocks(rows):
        cleaned = [tuple(map(_cleaned, row)) for row in block]
        found = [max(map(len, map(_plain, column))) for column in zip(*cleaned, strict=True)]
        widths = [max(pair) for pair in zip(found, widths or found, strict=True)]
        if room is not None:
            widths = _fitting(widths, room)
        for row in cleaned:
            yield _aligned(
                [_cut(part, width) for part, width in zip(row, widths, strict=True)], widths
            )


def _aligned(row: Sequence[str | Span], widths: Sequence[int]) -> Parts:
    line: list[str | Span] = []
    gap = 0
    for part, width in zip(row, widths, strict=True):
        if text := _plain(part):
            line += [" " * gap, part]
            gap = 0
        gap += width - len(text) + _BETWEEN
    return tuple(line)


def _fitting(widths: Sequence[int], room: int) -> list[int]:
    """Return widths of columns that have room in a line, the widest shortened, if they can."""
    widths = list(widths)
    over = sum(widths) + _BETWEEN * (len(widths) - 1) - room
    while over > 0 and (widest := max(widths)) > _NARROWEST:
        at = widths.index(widest)
        others = [width for width in widths if width < widest]
        step = min(over, widest - max([*others, _NARROWEST]) or 1)
        widths[at] -= step
        over -= step
    return widths


def _cut(part: str | Span, width: int) -> str | Span:
    text = _plain(part)
    if len(text) <= width:
        return part
    short = shortened(text, width)
    return part._replace(text=short) if isinstance(part, Span) else short


def shortened(text: str, width: int) -> str:
    """Return a text of at most `width` characters: of a UID its end, of others whole words."""
    if len(text) <= width:
        return text
    if _NO_WORDS.fullmatch(text):  # what tells one UID from others is at its end
        return f"…{text[len(text) - width + 1 :]}"
    kept = text[: width - 1]
    words = kept if text[width - 1] == " " else kept.rpartition(" ")[0]
    return f"{(words if len(words) > width // 2 else kept).rstrip()}…"


def _cleaned(part: str | Span) -> str | Span:
    return part._replace(text=clean(part.text)) if isinstance(part, Span) else clean(part)


def _plain(part: str | Span) -> str:
    return part.text if isinstance(part, Span) else part


def drawn(root: Node, *, is_unicode: bool | None = None) -> Iterator[Line]:
    """Yield the lines of a tree; those of a branch are made when they are reached."""
    if is_unicode is None:
        is_unicode = (sys.stdout.encoding or "").lower().startswith("utf")
    fork, end, through, gap = _GUIDES if is_unicode else _ASCII_GUIDES
    yield root.label
    levels = [("", _with_last(root.children))]
    while levels:
        indent, below = levels[-1]
        node, is_last = next(below, (None, True))
        if node is None:
            levels.pop()
            continue
        parts = (node.label,) if isinstance(node.label, str) else node.label
        yield (Span(indent + (end if is_last else fork), "faint"), *parts)
        levels.append((indent + (gap if is_last else through), _with_last(node.children)))


def _with_last(nodes: Iterable[Node]) -> Iterator[tuple[Node, bool]]:
    """Yield each with whether it is the last."""
    waiting: Node | None = None
    for node in nodes:
        if waiting is not None:
            yield waiting, False
        waiting = node
    if waiting is not None:
        yield waiting, True
