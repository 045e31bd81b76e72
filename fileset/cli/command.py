"""How the commands are declared: their common options, their JSON document, their module."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Mapping, Sequence
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, cast

import click
from click.core import ParameterSource

from fileset.cli.running import USAGE, OutputError, run
from fileset.cli.screen.output import Answer, Shape
from fileset.cli.screen.text import IN_UTC, did_you_mean
from fileset.cli.session import COMPLETING, ENVIRONMENT_VARIABLE, Session
from fileset.python_gc import gc_paused
from ledger.phrases import storable

if TYPE_CHECKING:
    from click.shell_completion import CompletionItem

COMMON: Final[Shape] = {
    "format": "what the document is of: the words of the command, such as `fileset media make`",
    "version": "the version of that format, which rises when a key is taken away or changes",
    "warnings": "a list of texts",
}
"""What every document holds besides its own."""

ERROR: Final[Shape] = {
    "kind": '"usage", "refused" or "interrupted"',
    "type": "the name of the error",
    "message": "the message as people see it",
    "exit_code": "2, 3 or 130",
}

DRY_RUN: Final = click.option("--dry-run", is_flag=True, help="Show what it would do, and stop.")
COMPLETE: Final = click.option(
    "--complete",
    is_flag=True,
    help="Invent values that directory records must have and an instance lacks: in the DICOMDIR "
    "only, and listed in the report.",
)

IGNORE: Final = click.option(
    "--ignore",
    "ignore",
    metavar="PATTERN",
    multiple=True,
    help="Pass over what has such a name in folders and archives, or with a / such a path, besides "
    "hidden and incomplete files and those of the system, such as Thumbs.db.",
)
NO_IGNORE: Final = click.option(
    "--no-ignore", is_flag=True, help="Pass over nothing because of its name."
)

REJECT: Final = "reject"
ON_MISMATCH: Final = click.option(
    "--on-mismatch",
    type=click.Choice([REJECT, "accept"]),
    default="accept",
    show_default=True,
    help="What to do with a file that may belong to a different person from others with its "
    "Patient ID: another name, birth date, sex or issuer of the ID. It is reported either way.",
)

pass_session = click.make_pass_decorator(Session)


def text_for_journal(ctx: click.Context, param: click.Parameter, value: str | None) -> str | None:
    """Return an option's value as it can be kept in the journal: the option's callback."""
    del ctx, param
    return None if value is None else storable(value)


def chosen_patterns(ignore: tuple[str, ...], no_ignore: bool) -> tuple[str, ...] | None:
    """Return what `IGNORE` and `NO_IGNORE` ask for: patterns, or `None` to pass over nothing."""
    if ignore and no_ignore:
        raise click.UsageError("--no-ignore passes over nothing: leave out --ignore.")
    return None if no_ignore else ignore


class PathType(click.Path):
    """A path on the command line; an empty one, as of a variable never set, is refused."""

    def __init__(self, **options: Any) -> None:
        """Take a path, as click's own type does with the same options."""
        super().__init__(path_type=Path, **options)

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        """Return `value` as a `Path`."""
        if value == "":
            self.fail("An empty path names nothing.", param, ctx)
        return super().convert(value, param, ctx)


class RepositoryType(PathType):
    """A repository on the command line: its path, or a short name that is configured."""

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        """Return the path of the repository."""
        if ctx is not None and isinstance(value, str) and value:
            value = os.fspath(ctx.ensure_object(Session).named(value))
        return super().convert(value, param, ctx)


class Number(click.FloatRange):
    """A number in a range; messages call it so."""

    name = "number"


class WholeNumber(click.IntRange):
    """A whole number in a range; messages call it so."""

    name = "whole number"


class OneOf(click.Choice[str]):
    """One of several words; a message on any other names the nearest."""

    def get_invalid_choice_message(self, value: Any, ctx: click.Context | None) -> str:
        """Return what is said of a `value` that is none of them."""
        return super().get_invalid_choice_message(value, ctx) + did_you_mean(
            str(value), map(str, self.choices)
        )


_COMPLETED: Final = {
    "MOMENT": "moment",
    "[MOMENT]": "moment",
    "[A]": "moment",
    "[B]": "moment",
    "CHANGE": "change",
    "[NAME]": "tag",
    "KEYWORD...": "keyword",
    "KEYWORD=VALUE": "criterion",
    "KEYWORD=VALUE...": "criterion",
    "[KEYWORD=VALUE]...": "criterion",
    "PatientID=VALUE": "criterion",
}
"""What texts are, by how the help calls them, that a shell completes from the repository."""


class Text(click.types.StringParamType):
    """A text of a kind that `fileset.cli.completing` knows values of."""

    def __init__(self, what: str) -> None:
        """Take such a text."""
        self._what = what

    def shell_complete(
        self, ctx: click.Context, param: click.Parameter, incomplete: str
    ) -> list[CompletionItem]:
        """Return what the text could be."""
        from fileset.cli.completing import complete  # noqa: PLC0415 - for Tab alone

        del param
        return complete(self._what, ctx, incomplete)


class Command(click.Command):
    """A command whose function takes a session and returns an `Answer`.

    Attributes
    ----------
    shape : mapping
        What its JSON document holds, by key.
    pages : bool
        Whether its answer is shown a screen at a time on a terminal.
    version : int
        The version of that document.
    configured : bool
        Whether what is configured counts for it, or it works whatever that is.
    """

    shape: Shape
    pages: bool
    version: int
    configured: bool

    def format_epilog(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write examples at the end of the help."""
        from fileset.cli.examples import EXAMPLES  # noqa: PLC0415 - for the help alone

        examples = EXAMPLES.get(ctx.command_path.partition(" ")[2], {})
        if examples:
            with formatter.section("Examples"):
                for line, what in examples.items():
                    formatter.write(f"{'':{formatter.current_indent}}{line}\n")
                    with formatter.indentation():
                        formatter.write_text(what)
        super().format_epilog(ctx, formatter)

    def invoke(self, ctx: click.Context) -> int:
        """Run the command, print its answer and return the exit code."""
        session = ctx.find_object(Session)
        assert session is not None  # noqa: S101 - the group has made one
        if self.configured:
            session.configure()
            ctx.meta[IN_UTC] = session.utc
        answer: Answer = super().invoke(ctx)
        try:
            session.answer(answer, ctx.command_path, self.version, pages=self.pages)
        except OSError as exc:  # no error of what was asked: that was done
            raise OutputError from exc
        return answer.status


def command(
    name: str,
    shape: Shape,
    *,
    repository: bool = True,
    changes: bool = False,
    pages: bool = False,
    version: int = 1,
    configured: bool = True,
    cls: type[Command] = Command,
) -> Callable[[Callable[..., Answer]], Command]:
    """Declare a command; its function's docstring is its help.

    It takes `--repo` and `--wait` if it works on a `repository` that is there already, `--reason`
    and `--actor` if it `changes` it, `--utc` and `--no-pager` if its answer `pages`.
    """

    def declare(function: Callable[..., Answer]) -> Command:
        made = click.command(name, cls=cls)(function)
        made.shape, made.pages, made.version = shape, pages, version
        made.configured = configured
        if changes:
            made.params.append(
                click.Option(
                    ["--reason"], callback=text_for_journal, help="Why; kept in the journal."
                )
            )
            made.params.append(_actor())
        if repository:
            made.params += [_repo(), _wait()]
        if pages:
            made.params += [_flag("utc"), _flag("no_pager")]
        if not any("--quiet" in param.opts for param in made.params):
            made.params.append(_flag("quiet"))
        made.params.append(_flag("as_json"))
        for param in made.params:
            if isinstance(param.type, click.Choice):
                param.type = OneOf(param.type.choices)
            elif param.type is click.STRING and (what := _COMPLETED.get(param.metavar or "")):
                param.type = Text(what)
        return made

    return declare


def _store(name: str) -> Callable[[click.Context, click.Parameter, Any], None]:
    """Return a callback that puts an option's value into the session, if it was given."""

    def callback(ctx: click.Context, param: click.Parameter, value: Any) -> None:
        if value:
            kept = storable(value) if isinstance(value, str) else value
            session = ctx.ensure_object(Session)
            setattr(session, name, kept)
            ctx.meta[f"fileset.cli.{name}"] = kept  # for what is worded and drawn without a session
            if name == "path":
                source = ctx.get_parameter_source(param.name or "")
                session.is_path_from_environment = source is ParameterSource.ENVIRONMENT

    return callback


def _repo(**extra: Any) -> click.Option:
    return click.Option(
        ["--repo"],
        type=RepositoryType(readable=False),  # whoever opens it says if it can't be read
        metavar="DIR",
        expose_value=False,
        callback=_store("path"),
        help="The repository.  [default: the nearest one upwards]",
        **extra,
    )


def _actor(**extra: Any) -> click.Option:
    return click.Option(
        ["--actor"],
        metavar="NAME",
        expose_value=False,
        callback=_store("actor"),
        help="Who makes the change.  [default: the login name]",
        **extra,
    )


def _wait() -> click.Option:
    return click.Option(
        ["--wait"],
        type=Number(min=0, min_open=True),
        metavar="SECONDS",
        expose_value=False,
        callback=_store("wait"),
        help="How long to wait while others change the repository.  [default: 60]",
    )


_FLAGS: Final = {
    "utc": (["--utc"], "Print times in UTC, not in your time zone."),
    "no_pager": (["--no-pager"], "Print a long answer at once, even on a terminal."),
    "quiet": (["--quiet", "-q"], "Print only what went wrong; the exit code tells the rest."),
    "as_json": (["--json"], "Print one JSON document."),
}
"""The options that say how to print, by the attribute of the session."""


def _flag(name: str) -> click.Option:
    names, what = _FLAGS[name]
    return click.Option(names, is_flag=True, expose_value=False, callback=_store(name), help=what)


_ALIASES: Final = {"search": "find"}
"""Other names of commands: in Python `find` is pydicom's, and `search` what the command does."""


class Group(click.Group):
    """Commands, each imported when it is needed, from the module of its name.

    Attributes
    ----------
    summaries : mapping
        What each command does in a few words, by section.
    """

    def __init__(
        self, summaries: Mapping[str, Mapping[str, str]], *, within: str = "", **attributes: Any
    ) -> None:
        """Make the group; the names of the modules begin with `within`."""
        super().__init__(**attributes)
        self.summaries = summaries
        self._within = within

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Parse the arguments; without any, show the help."""
        if not args and not ctx.resilient_parsing:
            click.echo(ctx.get_help(), err=True)
            ctx.exit(USAGE)
        return super().parse_args(ctx, args)

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """Return the command that is meant; a usage error naming the nearest if there is none."""
        args = [_ALIASES.get(args[0], args[0]), *args[1:]]
        name, known = args[0], self.list_commands(ctx)
        if name not in known and not name.startswith("-") and not ctx.resilient_parsing:
            raise click.UsageError(f"No such command '{name}'.{did_you_mean(name, known)}", ctx)
        return super().resolve_command(ctx, args)

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Return the commands' names, in the order of the sections."""
        del ctx
        return [name for section in self.summaries.values() for name in section]

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Import and return a command: what is called as the module that it is in."""
        if cmd_name not in self.list_commands(ctx):
            return None
        name = f"{self._within}{cmd_name}".replace("-", "_")
        with gc_paused():
            module = import_module(f"fileset.cli.commands.{name}")
        return cast("click.Command", getattr(module, name))

    def shell_complete(self, ctx: click.Context, incomplete: str) -> list[CompletionItem]:
        """Return the commands and options that begin so, without importing any command."""
        from click.shell_completion import CompletionItem  # noqa: PLC0415 - for Tab alone

        return [
            CompletionItem(name, help=what)
            for section in self.summaries.values()
            for name, what in section.items()
            if name.startswith(incomplete)
        ] + click.Command.shell_complete(self, ctx, incomplete)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """List the commands by section, without importing any."""
        del ctx
        for title, section in self.summaries.items():
            with formatter.section(title):
                formatter.write_dl(list(section.items()))


class Commands(Group):
    """The group of all commands, which takes the options that they have in common."""

    def __init__(self, summaries: Mapping[str, Mapping[str, str]], **attributes: Any) -> None:
        """Make the group; `summaries` tells what each command does, by section."""
        super().__init__(summaries, **attributes)
        self.params += [
            _repo(envvar=ENVIRONMENT_VARIABLE, show_envvar=True),
            _actor(envvar="FILESET_ACTOR", show_envvar=True),
            _wait(),
            *map(_flag, _FLAGS),
        ]

    def main(
        self,
        args: Sequence[str] | None = None,
        prog_name: str | None = None,
        complete_var: str | None = None,
        standalone_mode: bool = True,
        windows_expand_args: bool = True,
        **extra: Any,
    ) -> Any:
        """Run the command line and exit with its code, or return it without `standalone_mode`."""
        arguments = list(sys.argv[1:] if args is None else args)

        if COMPLETING in os.environ:
            import fileset.cli.completing  # noqa: F401, PLC0415 - it knows our shells

        def invoke(session: Session) -> Any:
            return super(Commands, self).main(
                arguments,
                prog_name or "fileset",
                complete_var,
                standalone_mode=False,
                windows_expand_args=windows_expand_args,
                **{**extra, "obj": session},
            )

        status = run(invoke, arguments)
        if standalone_mode:
            sys.exit(status)
        return status
