"""``watch`` and ``quarantine``: folders that are watched, and what could not be taken from them."""

from __future__ import annotations

import logging
import os
import shlex
import signal
import sys
import warnings
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import click
from attrs import asdict

from fileset.cli.command import Command, PathType, Shape, command, pass_session
from fileset.cli.output import Answer, Line, Span, columns, is_terminal
from fileset.cli.running import INCOMPLETE, OK
from fileset.cli.session import Session
from fileset.cli.session import absolute as absolute_path
from fileset.cli.text import count
from fileset.errors import RefusedError
from fileset.ingest import Outcome, Report

if TYPE_CHECKING:
    from fileset.watching import Settings, Watcher
    from fileset.watching.quarantine import Quarantine, Quarantined

WATCHER: Final[Shape] = {
    "running": "whether it runs",
    "ready": "whether everything was looked at once",
    "folders": "[{path, state, file_system, trouble}], the state being watching, polling or away",
    "seen": "how many files were met and not known",
    "pending": "how many were not taken yet: the sum of settling, waiting and retrying",
    "ingested": "how many were added",
    "duplicates": "how many the File-set had already",
    "taken_back": "how many were ingested from there before, and undone or removed since",
    "quarantined": "how many went into the quarantine",
    "vanished": "how many were gone before they were taken",
    "owed": "how many were taken and could not be deleted or moved yet",
    "lag": "seconds since the file was seen that has been pending longest",
    "changes, late": "how many changes were recorded, and to studies that had been written before",
    "writes": "how often the medium was written",
    "hooks, hooks_failed": "how often the program was run, and did not go well",
    "scans, scan_seconds": "how often everything was looked at, and how long that took at last",
    "overflows": "how often there were more hints than are kept",
    "errors": "how many errors were met",
    "last_error": "{at, event, reason} or null",
    "pid": "its process",
    "since, updated, last_change_at": "times in RFC 3339, UTC",
    "last_turn": "when it last went through all that it has to do",
    "ended": "when it was stopped or done; null while it runs, and if it was killed",
    "wrong": "why somebody should look at it, or null",
}
"""What the document of a watcher holds: :meth:`fileset.watching.status.Status.document`."""


def _watching(ctx: click.Context, param: click.Parameter, value: str | None) -> tuple[str, ...]:
    del ctx, param
    try:
        command = tuple(shlex.split(value or ""))
    except ValueError as exc:
        raise click.BadParameter(f"{exc}.") from exc
    if value is not None and not command:
        raise click.BadParameter("a program is needed.")
    return command


@command(
    "watch",
    {
        "watchers": "with --status those of the repository, running or not, else the one that has "
        "ended; see below"
    },
)
@click.argument("folders", metavar="FOLDER...", nargs=-1, type=PathType())
@click.option(
    "--quiet",
    type=click.FloatRange(min=0),
    default=60.0,
    show_default=True,
    metavar="SECONDS",
    help="Commit what came of a study when nothing more of it came for so long.",
)
@click.option(
    "--settle",
    type=click.FloatRange(min=0),
    default=5.0,
    show_default=True,
    metavar="SECONDS",
    help="Take a file when it was the same at two looks so long apart.",
)
@click.option(
    "--max-study",
    type=click.IntRange(min=1),
    default=20_000,
    show_default=True,
    metavar="FILES",
    help="Commit so many files of a study without waiting.",
)
@click.option(
    "--poll",
    is_flag=True,
    help="Look at everything every so often rather than wait for hints of the system. Network file "
    "systems are always polled.",
)
@click.option(
    "--poll-every",
    type=click.FloatRange(min=0.1),
    metavar="SECONDS",
    help="With --poll, how often.  [default: 10]",
)
@click.option(
    "--after",
    type=click.Choice(["keep", "delete", "move"]),
    default="keep",
    show_default=True,
    help="What becomes of files that were taken.",
)
@click.option("--move-to", type=PathType(), metavar="DIR", help="Where --after move puts them.")
@click.option(
    "--ignore",
    multiple=True,
    metavar="GLOB",
    help="Pass over files and folders of such names, or paths below FOLDER, besides those of "
    "unfinished copies. Can be repeated.",
)
@click.option(
    "--complete",
    is_flag=True,
    help="Invent values that directory records must have and an instance lacks: in the DICOMDIR "
    "only.",
)
@click.option(
    "--tries",
    type=click.IntRange(min=1),
    default=4,
    show_default=True,
    help="How often to read a file that can't be taken before it goes into the quarantine.",
)
@click.option("--write", type=PathType(), metavar="ROOT", help="Write to ROOT after each study.")
@click.option(
    "--write-every",
    type=click.FloatRange(min=0),
    default=0.0,
    metavar="SECONDS",
    help="Let so much time pass between two writes at least.",
)
@click.option(
    "--on-study",
    metavar="COMMAND",
    callback=_watching,
    help="Run a program after each study, without a shell; it gets a JSON document on its "
    "standard input.",
)
@click.option(
    "--await-folders",
    "wait",
    is_flag=True,
    help="Wait for a FOLDER that is not there yet, such as a share that is mounted later.",
)
@click.option("--once", is_flag=True, help="Take what is there, not waiting for quiet, and end.")
@click.option(
    "--metrics",
    type=click.IntRange(0, 65535),
    metavar="PORT",
    help="Serve numbers for Prometheus at http://127.0.0.1:PORT/metrics; 0 takes a free port, "
    "which the log tells.",
)
@click.option("--status", "show_status", is_flag=True, help="Tell what the watchers are doing.")
@click.option("--verbose", "-v", is_flag=True, help="Log paths, UIDs and reasons, too.")
@pass_session
def watch(
    session: Session,
    /,
    folders: tuple[Path, ...],
    metrics: int | None,
    show_status: bool,
    verbose: bool,
    **options: Any,
) -> Answer:
    """Add what arrives in folders, each study as one change, until it is told to stop.

    A file is taken when it is complete; `fileset undo` takes back an arrival. What can't be taken
    goes into the quarantine: see `fileset quarantine`. SIGTERM and Ctrl-C end it when the change in
    hand is made; all else is found again at the next start.

    It logs to standard error, with --json as JSON Lines; on a terminal it shows what it does. With
    --once, the exit code is 1 if any file was put into the quarantine, or anything was left undone.
    With --status it is 1 if a watcher was killed, is silent for long, or can't look at a folder.
    """
    if show_status:
        if folders:
            raise click.UsageError("--status takes no FOLDER.")
        return _status(session)
    if not folders:
        raise click.UsageError("Name a FOLDER to watch.")
    settings = _settings(options)
    from fileset.watching import Watcher  # noqa: PLC0415 - --status can do without

    with ExitStack() as stack:
        # They would be kept in memory for months, and may hold patients' data.
        stack.enter_context(warnings.catch_warnings())
        warnings.simplefilter("ignore")
        show = stack.enter_context(_shown(session, verbose=verbose))
        watcher = Watcher(session.file_set(), folders, settings, on_status=show)
        if metrics is not None:
            stack.callback(_serve(watcher, metrics))
        stack.enter_context(_stopped_by_signals(watcher))
        went_well = watcher.run()
    document = {**watcher.status, "running": False, "wrong": None}
    status = INCOMPLETE if settings.once and not went_well else OK
    return Answer({"watchers": [document]}, [_sum(document)], status=status)


def _settings(options: dict[str, Any]) -> Settings:
    from fileset.watching.settings import POLL, After, Settings  # noqa: PLC0415

    move_to, write = options.pop("move_to"), options.pop("write")
    if (options["after"] == "move") != (move_to is not None):
        raise click.UsageError("--after move and --move-to DIR go together.")
    poll, poll_every = options.pop("poll"), options.pop("poll_every")
    if poll_every is not None and not poll:
        raise click.UsageError("--poll-every goes with --poll.")
    return Settings(
        poll=(poll_every or POLL) if poll else None,
        after=After(options.pop("after")),
        move_to=None if move_to is None else absolute_path(move_to),
        write=None if write is None else absolute_path(write),
        **options,
    )


@contextmanager
def _shown(session: Session, *, verbose: bool) -> Iterator[Callable[[dict[str, Any]], None]]:
    """Log, or show on a terminal, what goes on."""
    from fileset.watching.log import LOGGER, JsonLines, Lines  # noqa: PLC0415

    if is_terminal(sys.stderr) and not session.as_json and not verbose:
        from fileset.watching.live import LiveView  # noqa: PLC0415

        with LiveView() as view:
            yield view.show
        return
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(JsonLines() if session.as_json else Lines())
    before = LOGGER.level
    LOGGER.addHandler(handler)
    LOGGER.setLevel(logging.DEBUG if verbose else logging.INFO)
    try:
        yield lambda _: None
    finally:
        LOGGER.removeHandler(handler)
        LOGGER.setLevel(before)


def _serve(watcher: Watcher, port: int) -> Callable[[], None]:
    from fileset.watching import log  # noqa: PLC0415
    from fileset.watching.metrics import MetricsServer  # noqa: PLC0415

    try:
        server = MetricsServer(port, lambda: watcher.status)
    except OSError as exc:
        raise RefusedError(f"127.0.0.1:{port} can't be served at: {exc.strerror}.") from exc
    log.info("metrics served", url=f"http://127.0.0.1:{server.port}/metrics")
    return server.close


@contextmanager
def _stopped_by_signals(watcher: Watcher) -> Iterator[None]:
    """Have SIGTERM and Ctrl-C stop the watcher; the second one breaks off what is in hand."""
    told = False

    def stop(number: int, frame: Any) -> None:
        nonlocal told
        if told:
            signal.default_int_handler(number, frame)
        told = True
        watcher.stop(wait=False)

    before = {number: signal.signal(number, stop) for number in (signal.SIGTERM, signal.SIGINT)}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _status(session: Session) -> Answer:
    from fileset.watching.status import statuses  # noqa: PLC0415

    path = session.repository().path
    assert path is not None  # noqa: S101 - the command line opens none in memory
    found = list(statuses(path))
    lines: list[Line] = []
    for document in found:
        style, word = ("good", "running") if document["running"] else ("careful", "not running")
        lines.append((Span(word, style), f" (process {document['pid']}, {document['updated']})"))
        for folder in document["folders"]:
            trouble = f": {folder['trouble']}" if folder["trouble"] else ""
            lines.append(f"  {folder['state']} {folder['path']}{trouble}")
        lines.append(("  ", _sum(document)))
        if document["taken_back"]:
            lines.append("  taken back before: `fileset add FILE` adds it all the same")
        if document["wrong"] and not document["running"]:
            lines.append(f"  {document['wrong']}: start it again")
        elif document["wrong"]:
            lines.append(f"  to look at: {document['wrong']}")
        if error := document["last_error"]:
            lines.append(f"  last error, {error['at']}: {error['event']}: {error['reason']}")
    status = INCOMPLETE if any(document["wrong"] for document in found) else OK
    return Answer(
        {"watchers": found}, lines or ["No watcher was ever started here."], status=status
    )


def _sum(document: dict[str, Any]) -> str:
    return (
        f"seen {document['seen']:,} = {document['ingested']:,} ingested + "
        f"{document['duplicates']:,} duplicates + {document['taken_back']:,} taken back before + "
        f"{document['quarantined']:,} quarantined + {document['vanished']:,} vanished + "
        f"{document['pending']:,} pending"
    )


# --- the quarantine ------------------------------------------------------------------------------


@command(
    "quarantine",
    {
        "quarantined": "what is in it afterwards, the oldest first: [{id, source, folder, outcome, "
        "reason, at, tries, digest, size, recorded}]",
        "done": "the ids of those that were added or dropped",
        "change": "the id of the change, or null if nothing was recorded",
    },
    changes=True,
)
@click.argument("action", type=click.Choice(["list", "retry", "drop"]))
@click.argument("ids", metavar="[ID]...", nargs=-1)
@click.option("--all", "everything", is_flag=True, help="All that is in it.")
@click.option(
    "--complete",
    is_flag=True,
    help="With retry: invent values that directory records must have and an instance lacks.",
)
@click.option(
    "--only-copies",
    is_flag=True,
    help="With drop: delete also what is no longer where it came from, as after --after delete.",
)
@pass_session
def quarantine(
    session: Session,
    action: str,
    ids: tuple[str, ...],
    everything: bool,
    complete: bool,
    only_copies: bool,
    reason: str | None,
) -> Answer:
    """List what watched folders brought that could not be taken, try it again, or drop it.

    `retry` adds files, all as one change, and takes those out that are part of the File-set then;
    if any is not, the exit code is 1. `drop` deletes the copies that the quarantine holds, with the
    reasons; it touches no file in a watched folder. It is refused for copies whose source is gone,
    unless --only-copies is given. An ID may be cut short.
    """
    from fileset.watching.quarantine import Quarantine  # noqa: PLC0415

    path = session.repository().path
    assert path is not None  # noqa: S101 - as above
    kept = Quarantine(path)
    if action == "list":
        if ids or everything or complete or only_copies:
            raise click.UsageError("list takes no ID and no option.")
        return _quarantine_answer(kept, [], None, "")
    if only_copies and action != "drop":
        raise click.UsageError("--only-copies goes with drop.")
    if everything == bool(ids):
        raise click.UsageError(f"{action} takes IDs, or --all.")
    chosen = list(kept) if everything else [kept.find(id_) for id_ in dict.fromkeys(ids)]
    if action == "drop":
        if not only_copies:
            _refuse_only_copies(kept, chosen)
        for entry in chosen:
            kept.drop(entry)
        return _quarantine_answer(kept, chosen, None, "deleted from")
    return _retried(session, kept, chosen, complete=complete, reason=reason)


def _refuse_only_copies(kept: Quarantine, chosen: list[Quarantined]) -> None:
    only = [entry for entry in chosen if kept.has_only_copy(entry)]
    if only:
        them = count(len(only), "file")
        raise RefusedError(
            f"Nothing was deleted: the source of {them} is gone or another by now, so that the "
            f"copy in the quarantine may be the only one: {only[0].id}, from {only[0].source}"
            f"{' and others' * (len(only) > 1)}. Take what you need from {kept.path}; "
            "--only-copies deletes them."
        )


def _retried(
    session: Session,
    kept: Quarantine,
    chosen: list[Quarantined],
    *,
    complete: bool,
    reason: str | None,
) -> Answer:
    from fileset.watching.quarantine import retry  # noqa: PLC0415

    repository = session.repository()
    before = repository.refresh().position
    report: Report = retry(repository, kept, chosen, complete=complete, reason=reason)
    done = [
        entry
        for entry, result in zip(chosen, report, strict=True)
        if result.outcome in {Outcome.ADDED, Outcome.ALREADY_THERE}
    ]
    change = None
    if repository.state.position > before:
        change = next(iter(repository.journal.changes(after=before))).id
    answer = _quarantine_answer(kept, done, change, "added from")
    answer.status = OK if len(done) == len(chosen) else INCOMPLETE
    return answer


def _quarantine_answer(
    kept: Quarantine, done: list[Quarantined], change: str | None, what: str
) -> Answer:
    left = list(kept)
    lines: list[Line] = []
    if done:
        lines.append(f"{count(len(done), 'file')} {what} the quarantine.")
    rows: list[tuple[str | Span, ...]] = [
        (Span(entry.id, "command"), entry.at, entry.outcome, os.fspath(entry.source), entry.reason)
        for entry in left
    ]
    lines += columns(rows) if rows else ["Nothing is in the quarantine."]
    return Answer(
        {"quarantined": [asdict(e) for e in left], "done": [e.id for e in done], "change": change},
        lines,
    )


COMMANDS: Final[dict[str, Command]] = {"watch": watch, "quarantine": quarantine}
