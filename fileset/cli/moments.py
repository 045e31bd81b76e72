"""`--at` and `--from`: options of commands that can look at the past, and at any disc."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Final

import click

from fileset.cli.command import PathType
from fileset.cli.screen.text import instant
from fileset.cli.session import Session
from fileset.errors import NoSuchMomentError

if TYPE_CHECKING:
    from fileset.fileset import FileSet
    from fileset.repository.repository import Repository
    from projections.state.state import FileSetState

_BEGINNING: Final = re.compile(r"(?<=: the journal begins at )\S+(?=\.$)")
"""When the journal begins, in an error."""

AT: Final = click.option(
    "--at",
    "moment",
    metavar="MOMENT",
    help="As of then: a position, tag, change or date, such as 12, sent or 2026-11-22T14:30+01:00, "
    "or now.",
)
"""Gives a command the parameter `moment`, `None` for now."""


def _disc(ctx: click.Context, param: click.Parameter, value: Path | None) -> None:
    """Have the session look at a disc: the option's callback."""
    del param
    if value is not None:
        from fileset.cli.roots import dicomdir_at  # noqa: PLC0415 - most look at a repository

        ctx.ensure_object(Session).disc = dicomdir_at(value)


FROM: Final = click.option(
    "--from",
    type=PathType(),
    metavar="DICOMDIR",
    expose_value=False,
    callback=_disc,
    help="Look at the File-set of this DICOMDIR, folder, ZIP file or disc image; no repository is "
    "needed.",
)
"""Makes a command look at a disc."""


def state_at(repository: Repository, moment: str | None) -> FileSetState:
    """Return the state at `moment`, the present one for `None`; click's error if it is none."""
    if moment is None:
        return repository.refresh()
    from fileset.timeline.moments import position_of  # noqa: PLC0415 - for the past alone

    with usage_of_moments():
        return repository.at(position_of(repository, moment))


def file_set_at(session: Session, moment: str | None) -> FileSet:
    """Return the File-set as of `moment`, as `state_at` does."""
    fs = session.file_set()
    if moment is None:
        return fs
    with usage_of_moments():
        return fs.at(moment)


@contextmanager
def usage_of_moments() -> Iterator[None]:
    """Turn the error of what names no moment into click's, its time as others are printed."""
    try:
        yield
    except NoSuchMomentError as exc:
        told = _BEGINNING.sub(lambda found: instant(found[0]), str(exc))
        raise click.ClickException(told) from exc  # with no banner: that is no misuse of a command
