"""``init`` and ``rebuild``: making and mending a repository."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import click

from fileset.cli.command import Command, PathType, command, pass_session
from fileset.cli.documents import staged_line
from fileset.cli.identity import check_id, check_uid
from fileset.cli.output import Answer, Line, Span
from fileset.cli.progress import bar, spinner
from fileset.cli.running import INCOMPLETE, OK
from fileset.cli.session import Session, absolute, origin
from fileset.cli.text import count
from fileset.errors import RefusedError
from fileset.repository import Repository
from ledger.errors import LedgerError
from projections.dicomdir import DicomdirError

if TYPE_CHECKING:
    from fileset.fileset import FileSet


@command(
    "init",
    {
        "repository": "the path of its folder",
        "id": "the File-set ID, or null",
        "uid": "the File-set UID",
        "root": "where the adopted File-set is, or null",
        "instances": "how many were adopted",
        "left_out": "how many the DICOMDIR lists that were not",
    },
    repository=False,
)
@click.argument("path", metavar="REPO", type=PathType())
@click.option("--id", "id_", metavar="ID", help="The File-set ID.")
@click.option("--uid", metavar="UID", help="The File-set UID.  [default: a new one]")
@click.option(
    "--from",
    "dicomdir",
    type=PathType(exists=True, dir_okay=False),
    metavar="DICOMDIR",
    help="Adopt the File-set that this file lists; its files stay where they are.",
)
@pass_session
def init(
    session: Session, path: Path, id_: str | None, uid: str | None, dicomdir: Path | None
) -> Answer:
    """Make a repository in the new folder REPO.

    It begins with an empty File-set, or with one that exists: every file that its DICOMDIR lists is
    read, and its digest recorded. Files that are missing are warned about and left out.
    """
    settings: dict[str, Any] = {}
    if id_ is not None:
        settings["id"] = check_id(id_)
    if uid is not None:
        settings["uid"] = check_uid(uid)
    path = absolute(path)
    if dicomdir is None:
        return _init_empty(session, path, settings)
    fs, listed = _adopt(session, path, dicomdir)
    with fs.repository.change():
        for name, value in settings.items():
            fs.repository.set_identity(name, value)
    left_out = listed - len(fs)
    title = (
        f"Made the repository {path} from the File-set at {fs.path}: {count(len(fs), 'instance')}."
    )
    lines: list[Line] = [
        (Span(title, "title"),),
        *_identity_lines(fs.repository),
        staged_line(fs.state),
    ]
    if left_out:
        lines.append((Span(f"{count(left_out, 'instance')} left out.", "bad"),))
    return Answer(
        {**_identity(path, fs.repository), "instances": len(fs), "left_out": left_out},
        lines,
        status=INCOMPLETE if left_out else OK,
    )


def _init_empty(session: Session, path: Path, settings: dict[str, Any]) -> Answer:
    uid = settings.get("uid")
    if uid is None:
        from pydicom.uid import generate_uid  # noqa: PLC0415 - not needed with --uid

        uid = str(generate_uid())

    def begin(repository: Repository) -> None:
        repository.actor = session.actor
        repository.begin(uid, settings.get("id"))

    repository = Repository.create(path, begin, origin=origin())
    session.use(repository)
    return Answer(
        {**_identity(path, repository), "instances": 0, "left_out": 0},
        [(Span(f"Made the repository {path}.", "title"),), *_identity_lines(repository)],
    )


def _adopt(session: Session, path: Path, dicomdir: Path) -> tuple[FileSet, int]:
    """Return the adopted File-set, and how many instances its DICOMDIR lists."""
    from fileset.fileset import FileSet  # noqa: PLC0415 - a new File-set needs no pydicom

    listed = 0
    with bar("Reading instances") as advance:

        def progress(done: int, total: int) -> None:
            nonlocal listed
            listed = total
            advance(done, total)

        try:
            fs = FileSet(dicomdir, repository=path, progress=progress)
        except DicomdirError as exc:
            raise RefusedError(f"{dicomdir} can't be adopted: {exc.reason}.") from exc
        except LedgerError:
            raise
        except ValueError as exc:  # pydicom's type for a DICOMDIR that can't be followed
            raise RefusedError(f"{dicomdir} can't be adopted: {exc}.") from exc
    fs.repository.origin = origin()
    session.use(fs.repository)
    return fs, listed


def _identity(path: Path, repository: Repository) -> dict[str, Any]:
    state = repository.state
    return {
        "repository": str(path),
        "id": state.identity.id,
        "uid": state.identity.uid,
        "root": state.written.root if state.written else None,
    }


def _identity_lines(repository: Repository) -> list[Line]:
    identity = repository.state.identity
    lines: list[Line] = [f"File-set ID: {identity.id}"] if identity.id else []
    return [*lines, f"File-set UID: {identity.uid}"]


@command(
    "rebuild",
    {
        "events": "how many were folded",
        "instances": "how many the File-set has",
        "position": "the position of the last event",
    },
)
@pass_session
def rebuild(session: Session) -> Answer:
    """Throw away indexes and snapshots, and build them anew from the journal and the vault.

    Nothing that can't be built again is touched.
    """
    repository = session.repository()
    with repository.exclusively(), spinner("Folding the journal"):
        state = repository.rebuild()
    told = (
        f"Built anew from {count(state.position, 'event')}: {count(len(state.live), 'instance')}."
    )
    return Answer(
        {"events": state.position, "instances": len(state.live), "position": state.position},
        [(Span(told, "good"),)],
    )


COMMANDS: Final[dict[str, Command]] = {"init": init, "rebuild": rebuild}
