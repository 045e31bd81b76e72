"""`watch`: folders whose files are added as they arrive."""

from __future__ import annotations

import logging
import shlex
import signal
import sys
import warnings
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, TextIO

import click

from fileset.cli.coercing import COERCE, read_coercer
from fileset.cli.command import (
    ON_MISMATCH,
    REJECT,
    Number,
    PathType,
    WholeNumber,
    command,
    pass_session,
)
from fileset.cli.running import INCOMPLETE, OK
from fileset.cli.screen.output import Answer, Line, Span, is_screen
from fileset.cli.screen.reports import faulty_line, mismatched_line
from fileset.cli.screen.text import in_commands, instant
from fileset.cli.session import Session
from fileset.cli.session import absolute as absolute_path
from fileset.errors import RefusedError

if TYPE_CHECKING:
    from fileset.watching import Settings, Watcher


def _program(ctx: click.Context, param: click.Parameter, value: str | None) -> tuple[str, ...]:
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
        "watchers": "with --status the watchers of the repository, running or not; otherwise the "
        "one that has ended; see below"
    },
)
@click.argument("folders", metavar="FOLDER...", nargs=-1, type=PathType())
@click.option(
    "--quiet",
    type=Number(min=0),
    default=60.0,
    show_default=True,
    metavar="SECONDS",
    help="Commit what arrived of a study when no more of it has arrived for this long.",
)
@click.option(
    "--settle",
    type=Number(min=0),
    default=5.0,
    show_default=True,
    metavar="SECONDS",
    help="Add a file when two looks this far apart find it unchanged.",
)
@click.option(
    "--max-study",
    type=WholeNumber(min=1),
    default=20_000,
    show_default=True,
    metavar="FILES",
    help="Commit a study without waiting when this many of its files have arrived.",
)
@click.option(
    "--poll",
    is_flag=True,
    help="Scan the folders at intervals instead of waiting for notifications from the system. "
    "Network file "
    "systems are always polled.",
)
@click.option(
    "--poll-every",
    type=Number(min=0.1),
    metavar="SECONDS",
    help="With --poll, how often.  [default: 10]",
)
@click.option(
    "--after",
    type=click.Choice(["keep", "delete", "move"]),
    default="keep",
    show_default=True,
    help="What to do with files that were added.",
)
@click.option("--move-to", type=PathType(), metavar="DIR", help="Where --after move puts them.")
@click.option(
    "--ignore",
    multiple=True,
    metavar="GLOB",
    help="Ignore files and folders with such names, or paths below FOLDER, in addition to "
    "unfinished copies. Can be repeated.",
)
@click.option(
    "--complete",
    is_flag=True,
    help="Invent values that directory records must have and an instance lacks: in the DICOMDIR "
    "only.",
)
@ON_MISMATCH
@COERCE
@click.option(
    "--tries",
    type=WholeNumber(min=1),
    default=4,
    show_default=True,
    metavar="N",
    help="How often to try a file that can't be added before it goes into the quarantine.",
)
@click.option("--write", type=PathType(), metavar="ROOT", help="Write to ROOT after each study.")
@click.option(
    "--write-every",
    type=Number(min=0),
    default=0.0,
    metavar="SECONDS",
    help="Let at least this much time pass between two writes.",
)
@click.option(
    "--on-study",
    metavar="COMMAND",
    callback=_program,
    help="Run a program after each study, without a shell; it gets a JSON document on its "
    "standard input.",
)
@click.option(
    "--await-folders",
    "wait",
    is_flag=True,
    help="Wait for a FOLDER that is not there yet, such as a share that is mounted later.",
)
@click.option("--once", is_flag=True, help="Add what is there without waiting for more, and end.")
@click.option(
    "--metrics",
    type=WholeNumber(0, 65535),
    metavar="PORT",
    help="Serve numbers for Prometheus at http://127.0.0.1:PORT/metrics; 0 picks a free port, "
    "which is in the log.",
)
@click.option("--status", "show_status", is_flag=True, help="Show what the watchers are doing.")
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

    A file is added when it is complete; `fileset undo` takes back an arrival. What can't be added
    goes into the quarantine: see `fileset quarantine`. SIGTERM and Ctrl-C end it after the current
    change; everything else is found again at the next start.

    It logs to standard error, with --json as JSON Lines; on a terminal it shows what it does. With
    --once, the exit code is 1 if any file was put into the quarantine, or anything was left undone.
    With --status it is 1 if a watcher was killed, has long been silent, can't look at a folder, or
    keeps failing at something: a commit, a write of the medium, the removal of a source, or a
    program.
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
    return Answer({"watchers": [_without_format(document)]}, [_sum(document)], status=status)


def _settings(options: dict[str, Any]) -> Settings:
    from fileset.watching.settings import POLL, After, Settings  # noqa: PLC0415

    coerce = options.pop("coerce")
    move_to, write = options.pop("move_to"), options.pop("write")
    if (options["after"] == "move") != (move_to is not None):
        raise click.UsageError("--after move and --move-to DIR go together.")
    poll, poll_every = options.pop("poll"), options.pop("poll_every")
    if poll_every is not None and not poll:
        raise click.UsageError("--poll-every needs --poll.")
    return Settings(
        reject_mismatched=options.pop("on_mismatch") == REJECT,
        coerce=None if coerce is None else read_coercer(coerce),
        poll=(poll_every or POLL) if poll else None,
        after=After(options.pop("after")),
        move_to=None if move_to is None else absolute_path(move_to),
        write=None if write is None else absolute_path(write),
        **options,
    )


class _Handler(logging.StreamHandler[TextIO]):
    def format(self, record: logging.LogRecord) -> str:
        return in_commands(super().format(record))


@contextmanager
def _shown(session: Session, *, verbose: bool) -> Iterator[Callable[[dict[str, Any]], None]]:
    """Log, or show on a terminal, what goes on."""
    from fileset.watching.log import LOGGER, JsonLines, Lines  # noqa: PLC0415

    if is_screen(sys.stderr) and not session.as_json and not verbose:
        from fileset.cli.screen.live_watcher import LiveView  # noqa: PLC0415

        with LiveView() as view:
            yield view.show
        return
    handler = _Handler(sys.stderr)
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
    stopping = False

    def stop(number: int, frame: Any) -> None:
        nonlocal stopping
        if stopping:
            signal.default_int_handler(number, frame)
        stopping = True
        watcher.stop(wait=False)

    before = {number: signal.signal(number, stop) for number in (signal.SIGTERM, signal.SIGINT)}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _without_format(status: dict[str, Any]) -> dict[str, Any]:
    """Return a status without the format of the file that it is kept in."""
    return {key: value for key, value in status.items() if key != "format"}


def _status(session: Session) -> Answer:
    from fileset.watching.host import HostState  # noqa: PLC0415

    path = session.repository().path
    assert path is not None  # noqa: S101 - the command line opens none in memory
    found = list(HostState(path).statuses())
    lines: list[Line] = []
    for document in found:
        style, word = ("good", "running") if document["running"] else ("careful", "not running")
        lines.append(
            (Span(word, style), f" (process {document['pid']}, {instant(document['updated'])})")
        )
        for folder in document["folders"]:
            trouble = f": {folder['trouble']}" if folder["trouble"] else ""
            lines.append(f"  {folder['state']} {folder['path']}{trouble}")
        lines.append(("  ", _sum(document)))
        if document.get("faulty"):
            lines.append(f"  {faulty_line(document['faulty'])}")
        if document.get("mismatched"):
            lines.append(f"  {mismatched_line(document['mismatched'])}`fileset status` shows them")
        if document["taken_back"]:
            lines.append("  withdrawn before: `fileset quarantine retry ID` or `fileset add FILE`")
        if document["wrong"] and not document["running"]:
            lines.append(f"  {document['wrong']}: start it again")
        elif document["wrong"]:
            lines.append(f"  to look at: {document['wrong']}")
        if error := document["last_error"]:
            lines.append(
                f"  last error, {instant(error['at'])}: {error['event']}: {error['reason']}"
            )
    status = INCOMPLETE if any(document["wrong"] for document in found) else OK
    return Answer(
        {"watchers": [*map(_without_format, found)]},
        lines or ["No watcher has ever been started here."],
        status=status,
    )


def _sum(document: dict[str, Any]) -> str:
    parts = [f"{number:,} {words}" for key, words in _COUNTED.items() if (number := document[key])]
    return f"seen {document['seen']:,}{' = ' if parts else ''}{' + '.join(parts)}"


_COUNTED = {
    "ingested": "ingested",
    "duplicates": "duplicates",
    "taken_back": "taken back before",
    "quarantined": "quarantined",
    "vanished": "vanished",
    "pending": "pending",
}
