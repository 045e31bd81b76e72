"""What a command answers, and how it is printed: for people, or as one JSON document.

Everything that is printed passes :func:`~fileset.cli.text.clean` here, so that no command has to
remember to.
"""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Iterable, Iterator
from typing import Any, Final, NamedTuple, TextIO, TypeAlias

import click
from attrs import define, field

from fileset.cli.text import clean


class Span(NamedTuple):
    """A piece of a line that stands out on a terminal; `style` is a key of :data:`STYLES`."""

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

_BLOCK: Final = 1000
_NO_EDGE: Final = 1_000_000

Line: TypeAlias = str | tuple[str | Span, ...]


@define
class Node:
    """A branch of a tree that is to be printed."""

    label: Line
    children: list[Node] = field(factory=list)


@define
class Answer:
    """What a command has to say.

    Attributes
    ----------
    document : dict
        All of it, for ``--json``.
    lines : iterable of Line or Node
        The same for people, on standard output.
    notes : iterable of Line
        What people have to know besides, on standard error.
    status : int
        The exit code.
    """

    document: dict[str, Any]
    lines: Iterable[Line | Node] = ()
    notes: Iterable[Line] = ()
    status: int = 0


def print_document(document: dict[str, Any]) -> None:
    """Print a JSON document in ASCII, which no file name or value can break."""
    click.echo(json.dumps(document, indent=2))


def print_lines(lines: Iterable[Line | Node], *, err: bool = False) -> None:
    """Print `lines` on standard output, or standard error, styled where it is a terminal."""
    block: list[str] = []  # click flushes each time, which a long log would feel
    for line in lines:
        if not isinstance(line, Node):
            block.append(styled(line))
        if block and (isinstance(line, Node) or len(block) == _BLOCK):
            click.echo("\n".join(block), err=err)
            block = []
        if isinstance(line, Node):
            _print_tree(line)
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


def is_terminal(stream: TextIO) -> bool:
    """Whether a person looks at what is printed there."""
    return stream.isatty()


def columns(rows: Iterable[tuple[str | Span, ...]]) -> Iterator[Line]:
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


def _print_tree(root: Node) -> None:
    from rich.console import Console  # noqa: PLC0415 - only trees and progress bars need rich
    from rich.text import Text  # noqa: PLC0415
    from rich.tree import Tree  # noqa: PLC0415

    def label(line: Line) -> Text:
        parts = (line,) if isinstance(line, str) else line
        return Text.assemble(
            *(
                (clean(part.text), _rich_style(part.style))
                if isinstance(part, Span)
                else clean(part)
                for part in parts
            )
        )

    top = Tree(label(root.label), guide_style="dim")
    waiting = [(root, top)]
    while waiting:
        node, drawn = waiting.pop()
        waiting.extend((child, drawn.add(label(child.label))) for child in node.children)
    # A tree is cut at the edge of the screen, which would lose File IDs: there is none.
    console = Console(file=sys.stdout, highlight=False, markup=False, emoji=False, width=_NO_EDGE)
    console.print(top, soft_wrap=True)


def _rich_style(name: str) -> str:
    style = STYLES[name]
    words = [word for word in ("bold", "dim") if style.get(word)]
    return " ".join([*words, *([style["fg"]] if "fg" in style else [])])
