"""``index``: a DICOMDIR for a folder of instances, where they lie."""

from __future__ import annotations

from pathlib import Path
from typing import Final

import click

from fileset.cli.command import Command, PathType, command, pass_session
from fileset.cli.documents import short
from fileset.cli.identity import check_id
from fileset.cli.output import Answer, Line, Span
from fileset.cli.progress import bar
from fileset.cli.reports import RESULTS, key_of, reconciled, report_document, report_notes
from fileset.cli.running import INCOMPLETE, OK
from fileset.cli.session import Session, absolute, origin
from fileset.cli.text import count
from fileset.indexing import Choice, Criterion, Indexer
from fileset.ingest import Outcome, Report, Result
from fileset.repository import Repository
from fileset.writing import WriteResult
from projections.state import FileSetState

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
        "results": RESULTS,
    },
    repository=False,
)
@click.argument("root", type=PathType(file_okay=False))
@click.option("--id", "id_", metavar="ID", help="The File-set ID.")
@click.option(
    "--include",
    metavar="KEYWORD=VALUE",
    multiple=True,
    help="Index only instances with this value. Of several values for one keyword, one has to "
    "match; each keyword given has to.",
)
@click.option(
    "--exclude", metavar="KEYWORD=VALUE", multiple=True, help="Leave out instances with this value."
)
@click.option(
    "--min-instances",
    type=click.IntRange(min=1),
    default=1,
    metavar="N",
    help="Leave out series of fewer instances.",
)
@click.option(
    "--complete",
    is_flag=True,
    help="Invent values that directory records must have and an instance lacks: in the DICOMDIR "
    "only, and told in the report.",
)
@click.option(
    "--rename", is_flag=True, help="Give files whose names are no File IDs names that are."
)
@click.option("--replace", is_flag=True, help="Replace a DICOMDIR that is there.")
@click.option(
    "--keep",
    type=PathType(),
    metavar="REPO",
    help="Keep the journal in a new repository; without, it goes when the command ends.",
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
    rename: bool,
    replace: bool,
    keep: Path | None,
) -> Answer:
    """Make a DICOMDIR for the instances in the folder ROOT and below, where they lie.

    Nothing is moved or copied. A file that can't be listed is reported on standard error and the
    others are; the exit code is then 1.
    """
    root = absolute(root)
    if keep is not None and absolute(keep).is_relative_to(root):
        raise click.UsageError("--keep names a folder within ROOT: it would be indexed itself.")
    choice = Choice(_criteria(include), _criteria(exclude), min_instances)
    report = Report()

    def stage(repository: Repository) -> None:
        nonlocal report
        repository.actor = session.actor
        report = indexer(repository).stage(
            file_set_id=check_id(id_) if id_ else None, progress=progress
        )

    def indexer(repository: Repository) -> Indexer:
        return Indexer(repository, root, choice, complete=complete, rename=rename, replace=replace)

    with bar("Reading") as advance:
        done = 0

        def progress(_: Result) -> None:
            nonlocal done
            done += 1
            advance(done, done)

        if keep is None:
            repository = Repository.ephemeral()
            stage(repository)
        else:
            repository = Repository.create(absolute(keep), stage, origin=origin())
    session.use(repository)
    with bar("Writing") as advance:
        result = indexer(repository).write(progress=advance) if repository.state.live else None
    state = repository.state
    document = {
        "root": str(root),
        "repository": str(repository.path) if repository.path else None,
        "dicomdir": str(result.dicomdir) if result and result.dicomdir else None,
        "renamed": _renamed(result),
        **report_document(report, state, _OUTCOMES),
    }
    return Answer(
        document,
        [*_told(root, state, result), *reconciled(report, _OUTCOMES)],
        report_notes(report),
        INCOMPLETE if report.has_failures or result is None else OK,
    )


def _criteria(texts: tuple[str, ...]) -> tuple[Criterion, ...]:
    if not texts:
        return ()
    from fileset.cli.matching import parse_criteria  # noqa: PLC0415 - it needs pydicom

    return tuple(parse_criteria(texts))


def _told(root: Path, state: FileSetState, result: WriteResult | None) -> list[Line]:
    if result is None:
        return [(Span(f"No instance in {root} could be indexed: no DICOMDIR was made.", "bad"),)]
    size = count(len(result.plan.dicomdir), "byte")
    return [
        *(f"  > {before} -> {after}" for before, after in _renamed(result).items()),
        (Span(f"Indexed {count(len(state.live), 'instance')} in {root}.", "good"),),
        f"DICOMDIR of {size} ({short(result.dicomdir)})",
    ]


def _renamed(result: WriteResult | None) -> dict[str, str]:
    """Return the former File IDs of the files that were renamed, with the new ones."""
    if result is None:
        return {}
    return {
        leaf.adopted_as: path
        for leaf, path in result.plan.placed.items()
        if leaf.adopted_as is not None
    }


COMMANDS: Final[dict[str, Command]] = {"index": index}
