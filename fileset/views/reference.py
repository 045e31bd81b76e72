"""File-sets in other processes: pickled as what leads to them, and opened again there."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any, Final

from fileset.errors import ClosedError, RefusedError, RepositoryError
from fileset.repository.repository import Repository
from fileset.views.view import View

_KEPT: Final = 4  # File-sets that a process keeps open for what is still to come

_opened: dict[tuple[object, ...], Any] = {}


def reference(view: View) -> tuple[str, str, int]:
    """Return the folder of the repository, the journal's id and the position that `view` shows.

    Raises `RefusedError` if that leads to what is shown in no other process.
    """
    repository, why = view.repository, ""
    if repository.path is None:
        why = "is kept in no repository: make it with `repository=`"
    elif repository.is_changing:
        why = "has a change open, which nobody else sees: end it first"
    elif view.is_foreseen:
        why = "is one that an undo would lead to, which nobody else sees"
    if why:
        raise RefusedError(f"A File-set is pickled as the place where it is kept, and this {why}.")
    return os.fspath(repository.path or ""), repository.journal.id, view.state.position


def opened(cls: Any, folder: str, journal_id: str, position: int) -> Any:
    """Return the File-set, a `cls`, in `folder` as of `position`: read-only.

    It is the same object each time. Raises `RepositoryError` if another repository is there by now,
    or none.
    """
    key = (os.getpid(), cls, folder, journal_id, position)  # a forked process can't use it
    found = _opened.pop(key, None)
    if found is None or not _is_open(found):
        repository = Repository.open(Path(folder))
        if repository.journal.id != journal_id:
            repository.close()
            raise RepositoryError(
                f"{folder} is not the repository whose File-set was pickled, but another one."
            )
        found = cls(repository=repository).at(position)
    _opened[key] = found
    if len(_opened) > _KEPT:
        del _opened[next(iter(_opened))]
    return found


def _is_open(file_set: Any) -> bool:
    try:
        return file_set.state is not None
    except ClosedError:
        return False
