"""`verify`: whether a repository, or any File-set, is as it should be."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Final

import click

from fileset.checking.conformance import examine_root
from fileset.checking.journal import CheckpointProof, SignedCheckpoint, journal_finding
from fileset.checking.repository import VerificationReport, examine
from fileset.cli.command import PathType, command, pass_session
from fileset.cli.roots import RootType
from fileset.cli.running import INCOMPLETE, OK
from fileset.cli.screen.findings import (
    CONFORMANCE,
    conformance_document,
    conformance_lines,
    verification_document,
    verification_lines,
)
from fileset.cli.screen.output import Answer
from fileset.cli.screen.progress import bar, phases
from fileset.cli.session import Session, absolute
from fileset.medium.guards import is_same_place
from ledger.errors import JournalDamagedError
from ledger.files import read_file
from ledger.journal import checkpoint as checkpoints
from ledger.journal.signing import PublicKey

_FILE: Final = PathType(dir_okay=False)


@command(
    "verify",
    {
        "findings": "[{kind, where, position, message}], see below; with ROOT "
        "[{kind, severity, where, offset, message}]: offset is that of the directory record, or "
        "null",
        "events": "how many events are intact, up to the first bad one; null with ROOT",
        "instances": "how many the File-set has; null with ROOT",
        "checkpoints": "one for each: the keys that `checkpoint` wrote, the `file`, and whether "
        "it is `proven`",
        **CONFORMANCE,
    },
)
@click.argument("root", type=RootType(), required=False)
@click.option(
    "--checkpoint",
    "files",
    type=_FILE,
    metavar="FILE",
    multiple=True,
    help="Prove that the journal has the history that this was signed for. Can be repeated.",
)
@click.option(
    "--public-key", type=_FILE, metavar="FILE", help="The key that checkpoints are checked with."
)
@click.option(
    "--all", "show_all", is_flag=True, help="List every finding, however many there are of a kind."
)
@click.option(
    "--deep",
    is_flag=True,
    help="With ROOT: check every element of every file, not only those that records hold.",
)
@pass_session
def verify(
    session: Session,
    root: Path | None,
    files: tuple[Path, ...],
    public_key: Path | None,
    show_all: bool,
    deep: bool,
) -> Answer:
    """Check the journal's chain, the vault's content and the medium against each other.

    Every file is read. What is wrong is listed, and the exit code is 1. A clock that ran backwards
    is a warning, which doesn't change the exit code.

    With ROOT, a folder or its DICOMDIR, check the File-set there against the Standard instead,
    whoever made it: its DICOMDIR, its files, and each against the other. That needs no repository
    and changes nothing. Errors give the exit code 1; warnings, such as values that are invalid for
    their VR, don't.

    A chain whose end was cut off, or that somebody rewrote, is still consistent. Checkpoints that
    were kept elsewhere reveal that: make them with `fileset checkpoint`.
    """
    if bool(files) != (public_key is not None):
        raise click.UsageError("--checkpoint and --public-key go together.")
    if root is not None:
        if files:
            raise click.UsageError("A checkpoint is for a journal, and not for ROOT.")
        answer = _folder(absolute(root), show_all=show_all, deep=deep)
        return _with_hint(answer, session, root)
    if deep:
        raise click.UsageError("--deep is for a ROOT: name the folder to check.")
    return _repository(session, list(_signed(files, public_key)) if public_key else [], show_all)


def _repository(session: Session, signed: Sequence[SignedCheckpoint], show_all: bool) -> Answer:
    """Return what a check of the repository gives; its status is 1 if anything is wrong."""
    try:
        repository = session.repository(newer_too=True)
        with phases() as show:
            report = examine(repository, signed, show)
    except JournalDamagedError as exc:  # so damaged that it can't be opened
        damage = journal_finding(exc)
        proofs = [CheckpointProof(each, damage) for each in signed]
        report = VerificationReport(0, 0, [damage], proofs)
    return Answer(
        {**verification_document(report), **dict.fromkeys(CONFORMANCE)},
        verification_lines(report, show_all=show_all),
        status=INCOMPLETE if report.has_errors else OK,
    )


def _folder(root: Path, *, show_all: bool, deep: bool) -> Answer:
    """Return what a check of the File-set at `root` gives; its status is 1 if any is an error."""
    with bar("Checking the referenced files") as advance:
        report = examine_root(root, advance, deep=deep)
    return Answer(
        {**conformance_document(report), "events": None, "instances": None, "checkpoints": []},
        conformance_lines(report, show_all=show_all),
        status=INCOMPLETE if report.has_errors else OK,
    )


def _with_hint(answer: Answer, session: Session, root: Path) -> Answer:
    """Say what was not checked of a repository's medium, where somebody may have expected it."""
    home = session.home()
    if home is not None and is_same_place(root, os.fspath(home[1])):
        checks = f"`fileset verify` without ROOT checks it by {home[0]}"
        answer.notes = [f"Only the folder was checked: {checks}."]
    return answer


def _signed(files: Sequence[Path], public_key: Path) -> Iterator[SignedCheckpoint]:
    key = PublicKey.load(read_file(public_key), str(public_key))
    for file in files:
        yield SignedCheckpoint(str(file), checkpoints.load(read_file(file), str(file)), key)
