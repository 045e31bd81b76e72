"""`completion`: what a shell needs to complete words of this command."""

from __future__ import annotations

import click

from fileset.cli.command import command
from fileset.cli.screen.output import Answer


@command(
    "completion",
    {"shell": "its name", "script": "what it has to run"},
    repository=False,
    configured=False,
)
@click.argument("shell", type=click.Choice(["bash", "zsh", "fish"]))
def completion(shell: str) -> Answer:
    """Print what a shell has to run so that Tab completes words of this command.

    Commands, options and their values are completed, and of the repository change ids, tags,
    keywords and values, such as PatientID=1CT1. For Bash, add this to ~/.bashrc:

    \b
        eval "$(fileset completion bash)"

    For zsh, the same with zsh goes into ~/.zshrc, after compinit. For fish, write the script to
    ~/.config/fish/completions/fileset.fish.
    """
    from fileset.cli.completing import script  # noqa: PLC0415 - for this and for Tab alone

    text = script(shell)
    return Answer({"shell": shell, "script": text}, text.splitlines())
