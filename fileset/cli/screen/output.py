"""What a command answers, and how it is printed: for people, or as one JSON document.

Everything that is printed passes `clean` here, so that no command
has to remember to.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, Final, NamedTuple, TextIO, TypeAlias

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

ALL_LISTS_THEM: Final = "  ... and {:,} more: --all lists them"

_BLOCK: Final = 1000
_GUIDES: Final = ("├── ", "└── ", "│   ", "    ")
_ASCII_GUIDES: Final = ("+-- ", "`-- ", "|   ", "    ")

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


def print_document(document: dict[str, Any]) -> None:
    """Print a JSON document in ASCII, which no file name or value can break.

    What is long may be given as an iterator: most people don't ask for JSON.
    """
    import json  # noqa: PLC0415 - text for people does without it

    click.echo(json.dumps(document, indent=2, default=list))


def print_lines(lines: Iterable[Line | Node], *, err: bool = False) -> None:
    """Print `lines` on standard output, or standard error, styled where it is a terminal."""
    block: list[str] = []  # click flushes each time, which a long log would feel
    for each in lines:
        for line in _drawn(each) if isinstance(each, Node) else (each,):
            block.append(styled(line))
            if len(block) == _BLOCK:
                click.echo("\n".join(block), err=err)
                block = []
    if block:
        click.echo("\n".join(block), err=err)


def styled(line: Line) -> str:
    """Return a line with the terminal's codes, which click drops where they don't belong."""
    if isinstance(line, str):
        return clean(line)
    plain = bool(os.environ.get("NO_COLOR"))
    return "".join(
        click.style(clean(part.text), **STYLES[part.style])
        if isinstance(part, Span) and not plain
        else clean(_plain(part))
        for part in line
    )


def first(lines: Sequence[Line], limit: int | None, rest: str) -> Iterator[Line]:
    """Yield `limit` of `lines`, all for `None`, and how many are left, in the words of `rest`."""
    shown = lines[:limit]
    yield from shown
    if left := len(lines) - len(shown):
        yield rest.format(left)


def is_terminal(stream: TextIO) -> bool:
    """Whether a person looks at what is printed there."""
    return stream.isatty()


def columns(rows: Iterable[Parts]) -> Iterator[Parts]:
    """Yield `rows`, all as long, as lines with their columns aligned."""
    cleaned = [tuple(map(_cleaned, row)) for row in rows]
    widths = [max(map(len, map(_plain, column))) for column in zip(*cleaned, strict=True)]
    for row in cleaned:
        line: list[str | Span] = []
        gap = 0
        for part, width in zip(row, widths, strict=True):
            if text := _plain(part):
                line += [" " * gap, part]
                gap = 0
            gap += width - len(text) + 2
        yield tuple(line)


def _cleaned(part: str | Span) -> str | Span:
    return part._replace(text=clean(part.text)) if isinstance(part, Span) else clean(part)


def _plain(part: str | Span) -> str:
    return part.text if isinstance(part, Span) else part


def _drawn(root: Node) -> Iterator[Line]:
    """Yield the lines of a tree; those of a branch are made when they are reached."""
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
