"""The reference of the commands, made from the commands.

`python -m fileset.cli.reference docs/reference/cli.md` writes it.
"""

from __future__ import annotations

import inspect
import sys
from collections.abc import Iterator
from pathlib import Path

import click

from fileset.cli import main
from fileset.cli.command import COMMON, ERROR, Command, Group
from fileset.cli.screen.documents import CHANGE, INSTANCE, STAGED, WATCHER
from fileset.cli.screen.findings import FINDING
from fileset.cli.screen.media import MEDIUM
from fileset.cli.screen.output import Shape
from fileset.cli.screen.writing import DAMAGE, PLAN

_INTRODUCTION = """\
<!-- Made by `python -m fileset.cli.reference docs/reference/cli.md`: change the commands. -->

# The `fileset` command

A command works on the repository that `--repo` names, else the environment variable `FILESET_REPO`,
else the nearest one in this folder or above it.

Exit codes:

| Code | Meaning |
|---|---|
| 0 | all done |
| 1 | done, but something was rejected, there was nothing to remove, or a check failed |
| 2 | the command line makes no sense |
| 3 | refused: the message says why, and what to do instead |
| 130 | interrupted: the message says what was done |
| 141 | nobody reads the output any more |

Answers go to standard output; warnings, errors and files that were not taken go to standard error,
and so do progress bars, which show on a terminal only. Control characters in file names and DICOM
values are printed escaped.

## JSON

With `--json`, before or after the command's name, standard output is one JSON object and nothing
else. Its keys are listed with each command, and described as [JSON
Schema](documents.schema.json). Later versions may add keys, but under the same `version` none is
taken away or changes its meaning. Every document has:
"""

_AFTER_ERROR = """\
A command that fails prints a document of the format `fileset error`, with `error` in the place of
its own keys:
"""

_PARTS: tuple[tuple[str, Shape], ...] = (
    ("A change", CHANGE),
    ("An instance", INSTANCE),
    ("What is staged", STAGED),
    ("The plan of a write", PLAN),
    ("Damage of a medium", DAMAGE),
    ("A medium", MEDIUM),
    ("A finding", FINDING),
    ("A watcher", WATCHER),
)


def reference() -> str:
    """Return the reference as Markdown."""
    return "\n".join(_lines())


def _lines() -> Iterator[str]:
    yield _INTRODUCTION
    yield from _table(COMMON)
    yield _AFTER_ERROR
    yield from _table({f"error.{key}": what for key, what in ERROR.items()})
    context = click.Context(main, info_name="fileset")
    for section, commands in main.summaries.items():
        yield f"## {section}\n"
        for name in commands:
            yield from _commands(main, name, context)
    yield "## What documents have in common\n"
    for title, shape in _PARTS:
        yield f"### {title}\n"
        yield from _table(shape)


def _commands(group: Group, name: str, context: click.Context) -> Iterator[str]:
    """Yield what is said of a command, or of those in a group."""
    made = group.get_command(context, name)
    if made is None:
        return
    below = click.Context(made, context, info_name=name)
    if isinstance(made, Group):
        yield f"### `{below.command_path}`\n"
        yield f"{inspect.cleandoc(made.help or '')}\n"
        for each in made.list_commands(below):
            yield from _commands(made, each, below)
    elif isinstance(made, Command):
        yield from _command(made, below)


def _command(made: Command, context: click.Context) -> Iterator[str]:
    yield f"### `{context.command_path}`\n"
    yield f"    {context.command_path} {' '.join(made.collect_usage_pieces(context))}\n"
    yield f"{inspect.cleandoc(made.help or '')}\n"
    yield "| Option | |"
    yield "|---|---|"
    for option in made.params:
        record = option.get_help_record(context) if isinstance(option, click.Option) else None
        if record is not None:
            names, what = (" ".join(text.split()).replace("|", "\\|") for text in record)
            what = what.replace("[", "\\[")  # or it would be a reference
            yield f"| `{names}` | {what} |"
    yield ""
    yield "With `--json`:\n"
    yield from _table(made.shape)


def _table(shape: Shape) -> Iterator[str]:
    yield "| Key | Holds |"
    yield "|---|---|"
    for key, what in shape.items():
        yield f"| `{key}` | {what} |"
    yield ""


if __name__ == "__main__":
    Path(sys.argv[1]).write_text(reference(), encoding="utf-8")
