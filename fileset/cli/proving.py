"""``verify``, ``keygen`` and ``checkpoint``: showing that nothing was changed."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, Final

import click

from fileset.cli import conformance
from fileset.cli.command import Command, PathType, command, pass_session, text_for_journal
from fileset.cli.output import Answer, Line, Span
from fileset.cli.progress import phases, spinner
from fileset.cli.running import INCOMPLETE, OK
from fileset.cli.session import Session, absolute
from fileset.cli.text import count
from fileset.errors import RefusedError
from fileset.repository_folder import find_repository
from fileset.verification import Finding, FindingKind, Proof, Report, Signed, examine
from ledger import checkpoint as checkpoints
from ledger.checkpoint import Checkpoint
from ledger.disk import new_file
from ledger.errors import JournalDamagedError, LedgerError, SigningError
from ledger.files import read_file
from ledger.journal import verify_journal
from ledger.signing import PrivateKey, PublicKey

_OPEN_TO_OTHERS: Final = 0o077
_PUBLIC_MODE: Final = 0o644
_FILE: Final = PathType(dir_okay=False)

# --- verify --------------------------------------------------------------------------------------


@command(
    "verify",
    {
        "findings": "[{kind, where, position, message}], see below; with ROOT "
        "[{kind, severity, where, offset, message}]: offset is that of the directory record, or "
        "null",
        "events": "how many of the journal are as they were appended, up to the first bad one; "
        "null with ROOT",
        "instances": "how many the File-set has; null with ROOT",
        "checkpoints": "what each one shows: its keys as `checkpoint` made them, the `file`, "
        "and whether it is `proven`",
        **conformance.SHAPE,
    },
)
@click.argument("root", type=PathType(exists=True, file_okay=False), required=False)
@click.option(
    "--checkpoint",
    "files",
    type=_FILE,
    metavar="FILE",
    multiple=True,
    help="Prove that the journal has the history this was signed for. Can be repeated.",
)
@click.option(
    "--public-key", type=_FILE, metavar="FILE", help="The key that checkpoints are checked with."
)
@click.option(
    "--all", "show_all", is_flag=True, help="List every finding, however many there are of a kind."
)
@pass_session
def verify(
    session: Session,
    root: Path | None,
    files: tuple[Path, ...],
    public_key: Path | None,
    show_all: bool,
) -> Answer:
    """Check the journal's chain, the vault's content and the medium against each other.

    Every file is read. What is wrong is listed, and the exit code is 1.

    With ROOT, check the File-set at that folder against the Standard instead, whoever made it: its
    DICOMDIR, its files and each against the other. That takes no repository and changes nothing.
    Errors give the exit code 1; warnings alone don't.

    A chain alone is as consistent when its end was cut off, or when somebody made it anew.
    Checkpoints that were kept elsewhere show that: make them with `fileset checkpoint`.
    """
    if bool(files) != (public_key is not None):
        raise click.UsageError("--checkpoint and --public-key go together.")
    if root is not None:
        if files:
            raise click.UsageError("A checkpoint is for a journal, and not for ROOT.")
        return _with_hint(conformance.verify_root(absolute(root), show_all=show_all), session, root)
    signed = list(_signed(files, public_key)) if public_key else []
    try:
        repository = session.repository(newer_too=True)
        with phases() as show:
            report = examine(repository, signed, show)
    except JournalDamagedError as exc:  # so damaged that it can't be opened
        damage = Finding(FindingKind.JOURNAL, "the journal", str(exc), exc.position)
        report = Report(0, 0, [damage], [Proof(each, damage) for each in signed])
    return Answer(
        {
            "findings": [_finding(each) for each in report.findings],
            "events": report.events,
            "instances": report.instances,
            "checkpoints": [_proof(each) for each in report.proofs],
            **dict.fromkeys(conformance.SHAPE),
        },
        _report_lines(report, show_all=show_all),
        status=INCOMPLETE if report.findings else OK,
    )


def _with_hint(answer: Answer, session: Session, root: Path) -> Answer:
    """Say what was not checked of a repository's medium, where somebody may have expected it."""
    try:
        repository = session.path or find_repository(Path.cwd())
        written = session.repository().state.written if repository is not None else None
        if written is not None and root.samefile(written.root):
            checks = f"`fileset verify` without ROOT checks it by {repository}"
            answer.notes = [f"Only the folder was checked: {checks}."]
    except (LedgerError, OSError):  # the repository has no say in a check of a folder
        pass
    return answer


def _signed(files: Sequence[Path], public_key: Path) -> Iterator[Signed]:
    key = PublicKey.load(read_file(public_key), str(public_key))
    for file in files:
        yield Signed(str(file), checkpoints.load(read_file(file), str(file)), key)


def _finding(finding: Finding) -> dict[str, Any]:
    return {
        "kind": finding.kind.value,
        "where": finding.where,
        "position": finding.position,
        "message": finding.message,
    }


def _proof(proof: Proof) -> dict[str, Any]:
    return {
        "file": proof.signed.name,
        "proven": proof.finding is None,
        **proof.signed.checkpoint.to_plain(),
    }


def _report_lines(report: Report, *, show_all: bool) -> Iterator[Line]:
    shown: Counter[str] = Counter()
    for finding in report.findings:
        kind = finding.kind.value
        shown[kind] += 1
        if show_all or shown[kind] <= conformance.SHOWN:
            yield (Span(kind, "bad"), f": {finding.message}")
    for kind, number in shown.items():
        if not show_all and number > conformance.SHOWN:
            yield conformance.more(kind, number, "bad")
    proven = [proof.signed.checkpoint for proof in report.proofs if proof.finding is None]
    if proven:
        yield from _proven_lines(proven[-1], report.events)
    checked = f"{count(report.events, 'event')} and {count(report.instances, 'instance')} checked"
    if report.findings:
        yield (Span(f"{checked}: {count(len(report.findings), 'finding')}.", "bad"),)
    else:
        yield (Span(f"{checked}: all is well.", "good"),)


def _proven_lines(newest: Checkpoint, events: int) -> Iterator[Line]:
    told = (
        f": the journal has exactly the history up to position {newest.position} that it had at "
        f"{newest.signed_at}, by the clock of whoever signed with the key {newest.key}."
    )
    yield (Span("Proven", "good"), told)
    if newest.note is not None:
        yield f"The checkpoint's note: {newest.note}"
    later = ""
    if events > newest.position:
        later = f"what came after position {newest.position} (up to {events}); "
    yield f"Not proven: {later}that actors and times are true; whose that key is."


# --- keys ----------------------------------------------------------------------------------------


@command(
    "keygen",
    {
        "private_key": "the path of the file to sign with",
        "public_key": "the path of the file to check with",
        "key": "sha256:... of the public key, which checkpoints name",
    },
    repository=False,
)
@click.argument("file", metavar="FILE", type=_FILE)
@pass_session
def keygen(session: Session, file: Path) -> Answer:
    """Make an Ed25519 key: FILE, which signs and is to be kept secret, and FILE.pub, which checks.

    Both are PEM files, as other tools write and read them. Keep FILE where those who can change the
    repository can't read it. Nothing is overwritten.
    """
    del session
    private = absolute(file)
    public = private.with_name(f"{private.name}.pub")
    key = PrivateKey.generate()
    for path in (private, public):
        _refuse_if_there(path)
    _write_new(private, key.to_pem())
    try:
        _write_new(public, key.public.to_pem(), _PUBLIC_MODE)
    except BaseException:
        private.unlink()
        raise
    fingerprint = key.public.fingerprint
    return Answer(
        {"private_key": str(private), "public_key": str(public), "key": fingerprint},
        [
            (Span(f"Made the key {fingerprint}.", "title"),),
            f"To sign with, and to be kept secret: {private}",
            f"To check with: {public}",
        ],
    )


# --- checkpoints ---------------------------------------------------------------------------------


@command(
    "checkpoint",
    {
        "checkpoint": "the signed statement: {format, version, journal, position, hash, signed_at, "
        "note, key, signature}",
        "out": "the path of its file, or null",
    },
)
@click.option(
    "--key", "key_file", type=_FILE, metavar="FILE", required=True, help="The key to sign with."
)
@click.option(
    "--out", type=_FILE, metavar="FILE", help="A new file for it.  [default: standard output]"
)
@click.option("--note", callback=text_for_journal, help="What else is to be signed.")
@pass_session
def checkpoint(session: Session, key_file: Path, out: Path | None, note: str | None) -> Answer:
    """Sign the journal's id, last position and hash, after checking its chain.

    Keep the checkpoint, with the public key, where those who can change the repository can't reach
    it: `fileset verify --checkpoint` shows later whether the journal still has this history. The
    journal itself stays as it is.
    """
    key = PrivateKey.load(read_file(key_file), str(key_file))
    if key_file.stat().st_mode & _OPEN_TO_OTHERS:
        session.warnings.append(f"{key_file} can be read by others: `chmod 600` it.")
    path = absolute(out) if out else None
    if path:
        _refuse_if_there(path)
    journal = session.repository(newer_too=True).journal
    with spinner("Checking the journal"):
        head = verify_journal(journal)
    made = checkpoints.sign(journal.id, head, key, note=note)
    document = {"checkpoint": made.to_plain(), "out": str(path) if path else None}
    if path is None:
        return Answer(document, made.to_json().decode("utf-8").splitlines())
    _write_new(path, made.to_json(), _PUBLIC_MODE)
    title = f"Signed the journal up to position {head.position}: {path}"
    return Answer(document, [(Span(title, "title"),), f"Hash: {made.hash}", f"Key: {made.key}"])


def _refuse_if_there(path: Path) -> None:
    if path.is_symlink() or path.exists():
        raise RefusedError(f"There is something at {path} already: name a new file.")


def _write_new(path: Path, data: bytes, mode: int = 0o600) -> None:
    try:
        with new_file(path, mode) as file:
            file.write(data)
    except OSError as exc:
        raise SigningError(f"{path} can't be made: {exc.strerror}.") from exc


COMMANDS: Final[dict[str, Command]] = {
    "verify": verify,
    "keygen": keygen,
    "checkpoint": checkpoint,
}
