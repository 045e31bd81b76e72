"""`audit send`: audit messages to a receiver or a folder."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from fileset.cli.command import PathType, command, pass_session
from fileset.cli.running import INCOMPLETE, OK
from fileset.cli.screen.output import Answer, Span, print_lines
from fileset.cli.session import Session, absolute
from ledger.phrases import count

if TYPE_CHECKING:
    from fileset.audit.destination import Destination
    from fileset.audit.sender import Sender


@command(
    "send",
    {
        "destination": "the receiver, or the folder",
        "sent": "how many messages were delivered",
        "position": "the position up to which everything was told",
        "backlog": "how many events come after it",
        "error": "why not everything was sent, or null",
    },
)
@click.option(
    "--to",
    metavar="HOST[:PORT]",
    help="The receiver: syslog over TLS (RFC 5425).  [default port: 6514]",
)
@click.option(
    "--ca",
    type=PathType(),
    metavar="FILE",
    help="Who signs the receiver's certificate, in PEM.  [default: those whom the system trusts]",
)
@click.option(
    "--cert",
    type=PathType(),
    metavar="FILE",
    help="The certificate of this machine, in PEM, for receivers that ask for one.",
)
@click.option(
    "--key",
    type=PathType(),
    metavar="FILE",
    help="The key of that certificate, if it is not in the same file.",
)
@click.option(
    "--spool",
    type=PathType(),
    metavar="DIR",
    help="Put each message into this folder instead, as an XML file.",
)
@click.option(
    "--follow/--once",
    help="Go on and send what comes, and try again when that fails; or send what there is, and "
    "end.  [default: --once]",
)
@pass_session
def audit_send(
    session: Session,
    to: str | None,
    ca: Path | None,
    cert: Path | None,
    key: Path | None,
    spool: Path | None,
    follow: bool,
) -> Answer:
    """Send the audit messages that a receiver, or a folder, has not got yet.

    Each is sent at least once: one that may not have arrived is sent again, with the same content.
    The first time, all that the journal has is told. If not everything could be sent, the exit code
    is 1. SIGTERM and Ctrl-C end --follow.
    """
    if (to is None) == (spool is None):
        raise click.UsageError("Name the receiver with --to, or a folder with --spool.")
    if spool is not None and (ca or cert or key):
        raise click.UsageError("--ca, --cert and --key are for --to.")
    if key is not None and cert is None:
        raise click.UsageError("--key needs --cert.")
    repository = session.repository()
    path = repository.path
    assert path is not None  # noqa: S101 - the command line opens none in memory
    from fileset.audit import Collector, Cursors, DeliveryError, Sender, Spool  # noqa: PLC0415
    from fileset.repository.store import open_journal  # noqa: PLC0415

    destination: Destination
    if spool is not None:
        destination = Spool(absolute(spool))
    else:
        host, port = _address(to or "")
        destination = Collector(host, port, ca=ca, cert=cert, key=key)
    error = None
    with Cursors(path).alone(destination.name) as cursor:
        sender = Sender(destination, cursor, _say)
        if follow:
            _follow(sender, path)
        else:
            try:
                sender.send(repository)
            except DeliveryError as exc:
                error = str(exc)
        now = cursor.now
    with closing(open_journal(path)) as journal:  # which may be another one by now
        backlog = max(journal.position - now.position, 0)
    document: dict[str, Any] = {
        "destination": destination.name,
        "sent": sender.sent,
        "position": now.position,
        "backlog": backlog,
        "error": error,
    }
    lines = [f"{count(sender.sent, 'message')} sent to {destination.name}."]
    if error is None:
        return Answer(document, lines, status=OK)
    left = f"{count(backlog, 'event')} of the journal are still to be told: try again."
    return Answer(document, lines, [(Span("not sent: ", "bad"), error), left], status=INCOMPLETE)


def _address(text: str) -> tuple[str, int]:
    """Return the host and the port that `text` names; `[::1]:6514` has an IPv6 address."""
    from fileset.audit.collector import PORT  # noqa: PLC0415 - with the other imports

    host, colon, port = text.rpartition(":")
    if not colon or (text.count(":") > 1 and not host.endswith("]")):
        host, port = text, str(PORT)
    with suppress(ValueError):
        if 0 < int(port) < 1 << 16 and (host := host.strip("[]")):
            return host, int(port)
    raise click.UsageError(f"'{text}' is no HOST or HOST:PORT.")


def _say(text: str) -> None:
    print_lines([text], err=True)


def _follow(sender: Sender, path: Path) -> None:
    with _terminated_as_interrupted(), suppress(KeyboardInterrupt):
        sender.follow(path)


@contextmanager
def _terminated_as_interrupted() -> Iterator[None]:
    """Have SIGTERM do what Ctrl-C does: at any instant, since the cursor tells what was sent."""
    before = signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)
