"""`index`: a DICOMDIR for a folder of instances, where they lie."""

from __future__ import annotations

import os
import shlex
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from typing import Final

import click

from fileset.adding.ignoring import Ignored
from fileset.adding.outcome import Outcome
from fileset.adding.report import AddReport
from fileset.adoption.index_journal import (
    account_of,
    begin_index,
    complete_index,
    end_index,
    indexing,
    kept_index,
)
from fileset.adoption.make_dicomdir import Choice, Indexer
from fileset.cli.command import (
    COMPLETE,
    IGNORE,
    NO_IGNORE,
    ON_MISMATCH,
    REJECT,
    PathType,
    WholeNumber,
    chosen_patterns,
    command,
    pass_session,
)
from fileset.cli.identity import check_id
from fileset.cli.roots import RootType
from fileset.cli.running import INCOMPLETE, OK
from fileset.cli.screen.output import Answer, Line, Span
from fileset.cli.screen.progress import bar, counter
from fileset.cli.screen.reports import (
    FAULTY,
    MISMATCHED,
    RESULTS,
    key_of,
    reconciled,
    report_document,
    report_notes,
)
from fileset.cli.session import Session, absolute, origin
from fileset.errors import RefusedError
from fileset.medium.guards import is_same_place
from fileset.medium.paths import is_in
from fileset.medium.write import WriteResult
from fileset.repository.repository import Repository
from ledger.digest import short
from ledger.phrases import count
from projections.state.state import FileSetState

_OUTCOMES: Final = list(Outcome)


@command(
    "index",
    {
        "root": "the path of the folder",
        "repository": "the path of the repository that was kept, or null",
        "dicomdir": "sha256:... of the DICOMDIR",
        "renamed": "{former File ID: File ID} of the files that were renamed",
        "found": "how many files were looked at; the sum of the counts that follow",
        **dict.fromkeys((key_of(outcome) for outcome in _OUTCOMES), "how many"),
        "mismatched": MISMATCHED,
        "faulty": FAULTY,
        "results": RESULTS,
    },
    repository=False,
)
@click.argument("root", type=RootType())
@click.option("--id", "id_", metavar="ID", help="The File-set ID.")
@click.option(
    "--include",
    metavar="KEYWORD=VALUE",
    multiple=True,
    help="Index only instances with this value. If a keyword is given several values, one has to "
    "match; every keyword has to.",
)
@click.option(
    "--exclude", metavar="KEYWORD=VALUE", multiple=True, help="Leave out instances with this value."
)
@click.option(
    "--min-instances",
    type=WholeNumber(min=1),
    default=1,
    metavar="N",
    help="Leave out series with fewer instances.",
)
@COMPLETE
@ON_MISMATCH
@IGNORE
@NO_IGNORE
@click.option("--rename", is_flag=True, help="Rename files whose names are not File IDs.")
@click.option("--replace", is_flag=True, help="Replace an existing DICOMDIR.")
@click.option(
    "--keep",
    type=PathType(),
    metavar="REPO",
    help="Keep the journal in a new repository; otherwise it is discarded when the command ends.",
)
@pass_session
def index(
    session: Session,
    root: Path,
    id_: str | None,
    include: tuple[str, ...],
    exclude: tuple[str, ...],
    min_instances: int,
    complete: bool,
    on_mismatch: str,
    ignore: tuple[str, ...],
    no_ignore: bool,
    rename: bool,
    replace: bool,
    keep: Path | None,
) -> Answer:
    """Make a DICOMDIR for the instances in the folder ROOT and below, where they lie.

    Nothing is moved or copied. A file that can't be listed is reported on standard error and the
    others are listed; the exit code is then 1. Folders with a DICOMDIR of their own are left alone.
    If a command with --rename was killed, giving it again completes it.
    """
    root = absolute(root)
    if keep is not None and is_in(keep, root):
        raise click.UsageError("--keep names a folder within ROOT: it would be indexed itself.")
    _refuse_medium(session, root)
    patterns = chosen_patterns(ignore, no_ignore)
    choice = Choice(_criteria(include), _criteria(exclude), min_instances)
    with indexing(root):
        with bar("Completing what was interrupted") as advance:
            completed = complete_index(root, advance)
        indexer = partial(
            Indexer,
            root=root,
            choice=choice,
            complete=complete,
            reject_mismatched=on_mismatch == REJECT,
            rename=rename,
            replace=replace,
            completed=completed,
            ignored=None if patterns is None else Ignored(patterns),
        )
        repository = begin_index(root) if rename and keep is None else Repository.ephemeral()
        try:
            repository, report = _staged(session, indexer, id_, repository, keep)
            with bar("Writing") as advance:
                result = (
                    indexer(repository).write(progress=advance) if repository.state.live else None
                )
            state = repository.state
        finally:
            if rename and keep is None:
                end_index(root, repository)
    session.use(repository)
    renamed = {**(completed.renamed if completed else {}), **_renamed(result)}
    document = {
        "root": str(root),
        "repository": str(repository.path) if repository.path else None,
        "dicomdir": str(result.dicomdir) if result and result.dicomdir else None,
        "renamed": renamed,
        **report_document(report, state, _OUTCOMES),
    }
    return Answer(
        document,
        [
            *_lines(root, state, result, renamed),
            *reconciled(report, _OUTCOMES, _settling(repository)),
        ],
        report_notes(report),
        INCOMPLETE if report.is_incomplete or result is None else OK,
    )


def _refuse_medium(session: Session, root: Path) -> None:
    """Refuse the medium of the repository that is at hand: with a new UID it would be another's."""
    home = session.home()
    session.close()
    if home is not None and is_same_place(root, os.fspath(home[1])):
        raise RefusedError(
            f"{root} is the medium of the repository {home[0]}, which could not write there any "
            "more: `fileset write --repair` rewrites its DICOMDIR. To index it all the same, "
            "work from outside that repository, without --repo and FILESET_REPO."
        )


def _staged(
    session: Session,
    indexer: Callable[[Repository], Indexer],
    id_: str | None,
    repository: Repository,
    keep: Path | None,
) -> tuple[Repository, AddReport]:
    """Return the repository that the folder's instances are recorded in, and the account."""
    report = AddReport()

    def stage(repository: Repository) -> None:
        nonlocal report
        repository.actor = session.actor
        with counter("Reading") as one_more:
            report = indexer(repository).stage(
                file_set_id=check_id(id_) if id_ else None, progress=one_more
            )

    if keep is not None and (begun := kept_index(absolute(keep), indexer(repository).root)):
        begun.actor = session.actor
        return begun, account_of(begun)
    if keep is not None:
        return Repository.create(absolute(keep), stage, origin=origin()), report
    stage(repository)
    return repository, report


def _criteria(texts: tuple[str, ...]) -> tuple[tuple[str, str], ...]:
    if not texts:
        return ()
    from fileset.cli.matching import parse_criteria  # noqa: PLC0415 - it needs pydicom

    return tuple(parse_criteria(texts))


def _lines(
    root: Path, state: FileSetState, result: WriteResult | None, renamed: Mapping[str, str]
) -> list[Line]:
    if result is None or result.plan is None:
        return [(Span(f"No instance in {root} could be indexed: no DICOMDIR was made.", "bad"),)]
    size = count(len(result.plan.dicomdir), "byte")
    return [
        *(f"  > {before} -> {after}" for before, after in renamed.items()),
        (Span(f"Indexed {count(len(state.live), 'instance')} in {root}.", "good"),),
        f"DICOMDIR of {size} ({short(result.dicomdir)})",
    ]


def _settling(repository: Repository) -> str:
    """Return what can be done where instances may be of other persons."""
    if repository.path is None:
        return (
            "with --replace, --on-mismatch reject leaves them out, and --keep REPO keeps a "
            "repository in which `fileset settle` accepts them"
        )
    named = f"fileset --repo {shlex.quote(str(repository.path))}"
    return f"`{named} status` shows them, `{named} settle PatientID=...` accepts them"


def _renamed(result: WriteResult | None) -> dict[str, str]:
    """Return the former File IDs of the files that were renamed, with the new ones."""
    if result is None or result.plan is None:
        return {}
    return {
        leaf.adopted_as: path
        for leaf, path in result.plan.placed.items()
        if leaf.adopted_as is not None
    }
