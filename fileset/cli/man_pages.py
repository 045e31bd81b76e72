"""Manual pages, one for each command, made from the commands.

`python -m fileset.cli.man_pages DIR` writes them, as a wheel is built with them.
"""

from __future__ import annotations

import inspect
import re
import sys
import textwrap
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

import click

from fileset import __version__
from fileset.cli import main
from fileset.cli.command import Group
from fileset.cli.examples import EXAMPLES

_EXIT: Final = {
    "0": "All is done.",
    "1": "Done, but something was rejected, or a check failed.",
    "2": "The command line makes no sense.",
    "3": "Refused; the message says why, and what to do instead.",
    "130": "Interrupted; the message says what was done.",
    "141": "Nobody reads the output any more.",
}
_ENVIRONMENT: Final = {
    "FILESET_REPO": "The repository, where no option names one.",
    "FILESET_ACTOR": "Who makes changes, where no option says so.",
    "FILESET_PAGER, PAGER": "The command that shows long answers on a terminal; empty, or cat, for "
    "none. Without them it is less.",
    "NO_COLOR, FORCE_COLOR": "If not empty: no colours even on a terminal, or colours elsewhere, "
    "too. The first one counts.",
    "XDG_CONFIG_HOME": "Where the configuration is, in fileset/config.toml; else in ~/.config.",
}


def pages(on: str) -> Iterator[tuple[str, str]]:
    """Yield the name of the file of each page and its text, dated `on` (YYYY-MM-DD)."""
    context = click.Context(main, info_name="fileset")
    for words, made, below in _commands(main, context):
        yield f"{'-'.join(words)}.1", "\n".join(_page(words, made, below, on)) + "\n"


def _commands(
    made: click.Command, context: click.Context
) -> Iterator[tuple[list[str], click.Command, click.Context]]:
    yield context.command_path.split(), made, context
    if isinstance(made, Group):
        for name in made.list_commands(context):
            below = made.get_command(context, name)
            if below is not None:
                yield from _commands(below, click.Context(below, context, info_name=name))


def _page(words: list[str], made: click.Command, context: click.Context, on: str) -> Iterator[str]:
    name = "-".join(words)
    yield f'.TH {name.upper()} 1 {on} "fileset-ledger {__version__}" "fileset-ledger"'
    yield ".SH NAME"
    yield f"{_text(name)} \\- {_text(_summary(words, made))}"
    yield ".SH SYNOPSIS"
    yield f".B {_text(context.command_path)}"
    yield _text(" ".join(made.collect_usage_pieces(context)))
    yield ".SH DESCRIPTION"
    yield from _paragraphs(made.help or "")
    if isinstance(made, Group):
        for title, section in made.summaries.items():
            yield f".SS {title}"
            yield from _terms({f"{context.command_path} {each}": section[each] for each in section})
    yield ".SH OPTIONS"
    yield from _terms(dict(_options(made, context)))
    if examples := EXAMPLES.get(" ".join(words[1:])):
        yield ".SH EXAMPLES"
        yield from _terms(examples)
    if made is main:
        yield ".SH ENVIRONMENT"
        yield from _terms(_ENVIRONMENT)
    yield ".SH EXIT STATUS"
    yield from _terms(_EXIT)
    if made is not main:
        yield ".SH SEE ALSO"
        yield ".BR fileset (1)"


def _summary(words: list[str], made: click.Command) -> str:
    """Return what it does in a few words, as the lists of commands have it."""
    if len(words) == 1:
        return (made.help or "").partition("\n")[0].rstrip(".")
    group: click.Command | None = main
    for word in words[1:-1]:
        assert isinstance(group, Group)  # noqa: S101 - only these have commands
        group = group.get_command(click.Context(group), word)
    assert isinstance(group, Group)  # noqa: S101 - as above
    sections = group.summaries.values()
    return next(section[words[-1]] for section in sections if words[-1] in section).rstrip(".")


def _options(made: click.Command, context: click.Context) -> Iterator[tuple[str, str]]:
    for param in made.get_params(context):
        record = param.get_help_record(context) if isinstance(param, click.Option) else None
        if record is not None:
            names, what = record
            yield names, " ".join(what.split())


def _paragraphs(help_: str) -> Iterator[str]:
    for number, paragraph in enumerate(re.split(r"\n\s*\n", inspect.cleandoc(help_))):
        if number:
            yield ".PP"
        if paragraph.startswith("\b"):
            yield ".nf"
            yield from map(_plain, paragraph.splitlines()[1:])
            yield ".fi"
        else:
            yield _text(" ".join(paragraph.split()))


def _terms(terms: Mapping[str, str]) -> Iterator[str]:
    for term, what in terms.items():
        yield ".TP"
        yield f"\\fB{_plain(term)}\\fR"
        yield _text(what)


def _text(text: str) -> str:
    """Return text for man(7), with what is between backquotes in bold, in lines that are short."""
    parts = text.split("`")
    if len(parts) % 2 == 0:
        shown = _plain(text)
    else:
        shown = "".join(
            f"\\fB{_plain(part)}\\fR" if number % 2 else _plain(part)
            for number, part in enumerate(parts)
        )
    lines = textwrap.wrap(shown, 78, break_long_words=False, break_on_hyphens=False)
    return "\n".join(f"\\&{line}" if line.startswith(".") else line for line in lines)


def _plain(text: str) -> str:
    escaped = text.replace("\\", "\\e").replace("-", "\\-").replace("'", "\\(aq")
    return escaped.replace("^", "\\(ha").replace("~", "\\(ti").replace("`", "\\(ga")


def write_pages(folder: Path, on: str) -> list[Path]:
    """Write all pages to `folder`, dated `on` (YYYY-MM-DD), and return their paths."""
    folder.mkdir(parents=True, exist_ok=True)
    written = []
    for name, text in pages(on):
        path = folder / name
        path.write_text(text, encoding="utf-8")
        written.append(path)
    return written


if __name__ == "__main__":
    write_pages(Path(sys.argv[1]), datetime.now(UTC).date().isoformat())
