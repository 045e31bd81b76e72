"""`help`: what a command does, with its options and examples."""

from __future__ import annotations

import click

from fileset.cli.command import command
from fileset.cli.screen.output import Answer


@command(
    "help",
    {"command": "its words, such as media make; empty for the whole", "text": "the help"},
    repository=False,
    configured=False,
    pages=True,
)
@click.argument("words", metavar="[COMMAND]...", nargs=-1)
@click.pass_context
def help(ctx: click.Context, words: tuple[str, ...]) -> Answer:  # noqa: A001 - as it is called
    """Show the help of a COMMAND, such as `add` or `media make`, or of all."""
    context = ctx.find_root()
    for word in words:
        group = context.command
        if not isinstance(group, click.Group):
            raise click.UsageError(f"'{context.command_path}' has no commands of its own.")
        _, found, _ = group.resolve_command(context, [word])
        assert found is not None  # noqa: S101 - one that is not there is an error
        context = click.Context(found, context, info_name=word)
    text = context.command.get_help(context)
    return Answer({"command": " ".join(words), "text": text}, text.splitlines())
