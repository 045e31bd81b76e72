"""File-sets on the command line: by their folder, or by the DICOMDIR in it."""

from __future__ import annotations

import os
import shlex
from pathlib import Path
from typing import Any

import click

from fileset.archives.opening import split_member
from fileset.cli.command import PathType
from fileset.medium.other_names import OtherNames
from ledger.names import is_of_dicomdir
from projections.dicomdir.definitions import DICOMDIR


class RootType(PathType):
    """The folder of a File-set, which may be named by its DICOMDIR."""

    def __init__(self) -> None:
        """Take what is there."""
        super().__init__(exists=True, readable=False)  # whoever opens it says if it can't be read

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        """Return the folder."""
        path = super().convert(value, param, ctx)
        if path.is_dir():
            return path
        if is_of_dicomdir(path.name):
            return path.parent
        return self.fail(f"'{path}' is neither a folder nor a DICOMDIR.", param, ctx)


def dicomdir_at(path: Path) -> Path:
    """Return the DICOMDIR that `path` names, itself or by its folder; click's error if none is.

    One in an archive is left as it is named.
    """
    if split_member(os.fspath(path)) is not None:
        return path
    if path.is_dir():
        folder = path
        there = OtherNames(path).find((DICOMDIR,)) or DICOMDIR
        path = path / there
    else:
        folder = path.parent
    if not path.exists() and not path.is_symlink():
        named = shlex.quote(os.fspath(folder))
        raise click.ClickException(
            f"File '{path}' does not exist. To take in the files there, which stay as they are, "
            "make an empty repository with `fileset init REPO`, and "
            f"`fileset --repo REPO add {named}` adds them. "
            f"`fileset index {named}` would make a DICOMDIR in that folder."
        )
    return path
