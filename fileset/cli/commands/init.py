"""`init`: a repository, new or of an existing File-set."""

from __future__ import annotations

import os
import shlex
from collections import Counter
from collections.abc import Collection, Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import click
from attrs import asdict

from fileset.cli.command import PathType, command, pass_session
from fileset.cli.identity import check_id, check_profile, check_uid
from fileset.cli.roots import dicomdir_at
from fileset.cli.running import INCOMPLETE, OK
from fileset.cli.screen.documents import staged_line
from fileset.cli.screen.output import Answer, Line, Span, columns
from fileset.cli.screen.profiles import PROFILE, profile_document, profile_lines
from fileset.cli.screen.progress import bar
from fileset.cli.screen.reports import MISMATCHES, mismatch_document, mismatch_line
from fileset.cli.session import Session, absolute, origin
from fileset.cli.setting_profile import profile_set
from fileset.errors import RefusedError
from fileset.repository.repository import Repository
from ledger.errors import InstanceError, LedgerError, NotDicomError
from ledger.names import is_conformant
from ledger.phrases import count, some
from projections.dicomdir.definitions import DICOMDIR, NotDicomdirError
from projections.dicomdir.form_checks import identity_faults
from projections.dicomdir.mending import MendKind
from projections.kept.summarise import mismatch_summary

if TYPE_CHECKING:
    from fileset.fileset import FileSet

MEND_WORDS: Final[dict[MendKind, str]] = {
    MendKind.UNREADABLE: "DICOMDIR that can't be read: its intact records were used",
    MendKind.ENCODING: "DICOMDIR not encoded in Explicit VR Little Endian",
    MendKind.FILE_SET_UID: "File-set without UID: given one",
    MendKind.CONSISTENCY: "File-set Consistency Flag that was set",
    MendKind.FORM: "wrong or missing element of the DICOMDIR itself",
    MendKind.OFFSET: "wrong offset",
    MendKind.ORPHAN: "record that no offset led to: put where its file belongs",
    MendKind.PLACE: "record in a wrong place: put where its file belongs",
    MendKind.MERGED: "record with the key of another: merged with it",
    MendKind.RECORD_TYPE: "wrong record type",
    MendKind.MISSING_KEY: "record without elements that it must have: taken from its file",
    MendKind.PRIVATE_RECORD_UID: "PRIVATE record without UID: given one",
    MendKind.SOP_CLASS_UID: "SOP Class UID that was not its file's",
    MendKind.SOP_INSTANCE_UID: "SOP Instance UID that was not its file's",
    MendKind.TRANSFER_SYNTAX_UID: "Transfer Syntax UID that was not its file's",
    MendKind.FILE_ID: "File ID of a file that lies elsewhere: found by its SOP Instance UID",
    MendKind.FILE_ID_FORM: "File ID that is not one component for each folder and the name",
    MendKind.UNLISTED: "file that no record named: added",
    MendKind.FILE_MISSING: "record without its file: dropped",
    MendKind.FILE_OUTSIDE: "record of a file outside the root: dropped",
    MendKind.FILE_UNREADABLE: "record of a file that can't be read: dropped",
    MendKind.NAME_OF_DICOMDIR: "record of a file or folder with the DICOMDIR's name: dropped",
    MendKind.SAME_FILE: "second record of a file: dropped",
    MendKind.SAME_INSTANCE: "second record of an instance: dropped, and its file left alone",
}


@command(
    "init",
    {
        "repository": "the path of its folder",
        "id": "the File-set ID, or null",
        "uid": "the File-set UID",
        "root": "where the adopted File-set is, or null if it is new or was in an archive",
        "instances": "how many were adopted",
        "left_out": "how many the DICOMDIR lists that were not",
        "doubts": "without --repair: how many files are not what their records say, by kind: "
        "file-unreadable, sop-instance-uid, place, orphan",
        "mismatches": MISMATCHES,
        "mends": "how many things were repaired, by kind",
        **PROFILE,
        "mended": "[{kind, offset, file_id, was, now, instance}], one for each of "
        "them; instance is the position of the event that added it, or null",
    },
    repository=False,
)
@click.argument("path", metavar="REPO", type=PathType())
@click.option("--id", "id_", metavar="ID", help="The File-set ID.")
@click.option("--uid", metavar="UID", help="The File-set UID.  [default: a new one]")
@click.option(
    "--profile",
    metavar="PROFILE",
    help="The application profile (PS3.11), such as STD-GEN-CD: as with `fileset set profile=`.",
)
@click.option(
    "--from",
    "dicomdir",
    type=PathType(),
    metavar="DICOMDIR",
    help="Adopt the File-set of this DICOMDIR, or of this folder; its files stay where they are. "
    "Those in a ZIP file or disc image are copied into the repository.",
)
@click.option(
    "--repair", is_flag=True, help="Repair what is wrong with that DICOMDIR from its files."
)
@pass_session
def init(
    session: Session,
    path: Path,
    id_: str | None,
    uid: str | None,
    profile: str | None,
    dicomdir: Path | None,
    repair: bool,
) -> Answer:
    """Make a repository in the new folder REPO.

    It begins with an empty File-set, or with an existing one: every file that its DICOMDIR lists is
    read, and its digest recorded. Missing files are reported and left out. Files that can't be
    read, that are not what their records say, or to whose records no offset leads are reported and
    adopted. In either case the exit code is 1, and also if several persons seem to have one Patient
    ID. What `verify ROOT` would find wrong with the DICOMDIR itself is a warning.

    The File-set of a ZIP file or disc image is copied into the repository, with what its DICOMDIR
    says, and has no root until its first write. The DICOMDIR at the top of an archive is taken, or
    the only one; another one is named as ARCHIVE!FOLDER/DICOMDIR.

    A DICOMDIR may be damaged, or wrong about its files. With --repair, the intact records of one
    that can't be read are used, records are moved to where their files belong, completed and
    corrected, and files that no record names are added. Each repair is an event, which `fileset log
    --events` shows. The files are not touched, and the DICOMDIR is changed only by `fileset write`.
    """
    if repair and dicomdir is None:
        raise click.UsageError("--repair is for the DICOMDIR that --from names.")
    settings: dict[str, Any] = {}
    if id_ is not None:
        settings["id"] = check_id(id_)
    if uid is not None:
        settings["uid"] = check_uid(uid)
    if profile is not None:
        settings["profile"] = check_profile(profile)
    named, path = path, absolute(path)
    if dicomdir is None:
        answer = _init_empty(session, path, settings)
        step = f"fileset --repo {shlex.quote(os.fspath(named))} add FOLDER"
        answer.lines = [*answer.lines, f"`{step}` adds the files of a folder to it."]
        return answer
    return _init_from(session, path, dicomdir, settings, repair=repair)


def _init_from(
    session: Session, path: Path, dicomdir: Path, settings: dict[str, Any], *, repair: bool
) -> Answer:
    dicomdir = dicomdir_at(dicomdir)
    fs, listed = _adopt(session, path, dicomdir, repair=repair)
    with fs.repository.change():
        account = None
        for name, value in settings.items():
            if name == "profile":
                account = profile_set(fs.repository, value)
            else:
                fs.repository.set_identity(name, value)
    mended = fs.mends
    lost = sum(MendKind(mend.kind).is_loss for mend in mended)
    left_out = lost if repair else listed - len(fs)
    doubts = {doubt.value: len(file_ids) for doubt, file_ids in fs.doubts.items()}
    kinds = Counter(mend.kind for mend in mended)
    title = f" from the File-set at {fs.path or dicomdir}: {count(len(fs), 'instance')}"
    lines = [staged_line(fs.state), *_adopted_lines(kinds, left_out, sum(doubts.values()), repair)]
    answer = _answer(path, fs.repository, title, lines)
    mismatches = list(map(mismatch_summary, fs.mismatches))
    answer.lines = [*answer.lines, *map(mismatch_line, mismatches)]
    answer.document |= {
        "mismatches": list(map(mismatch_document, mismatches)),
        "left_out": left_out,
        "doubts": doubts,
        "mends": dict(kinds),
        "mended": [asdict(mend) for mend in mended],
        **profile_document(account),
    }
    answer.lines = [*answer.lines, *profile_lines(account)]
    odd = [each.message for each in identity_faults(fs.state.identity)]
    session.warnings += _not_mended(fs) if repair else _adopted_as_it_is(dicomdir, odd)
    session.warnings += [f"{message} `fileset set` does that." for message in odd]
    unread = account is not None and account.unread
    answer.status = INCOMPLETE if left_out or doubts or mismatches or unread else OK
    return answer


def _adopted_lines(
    kinds: Counter[str], left_out: int, doubtful: int, repair: bool
) -> Iterator[Line]:
    """Yield what was not as it should be, and what was done about it."""
    if kinds:
        yield f"Repaired: {count(kinds.total(), 'thing')}; `fileset log --events` shows each."
        yield from columns(
            (f"  {number:,}", MEND_WORDS[MendKind(kind)]) for kind, number in kinds.items()
        )
    elif repair:
        yield "There was nothing to repair."
    if left_out:
        hint = "" if repair else " --repair adopts those whose files can be found."
        yield (Span(f"{count(left_out, 'instance')} left out.", "bad"), hint)
    if doubtful:
        found = f"{count(doubtful, 'file')} not as the DICOMDIR says."
        yield (Span(found, "bad"), " --repair corrects that from the files.")


def _not_mended(fs: FileSet) -> Iterator[str]:
    """Yield what does not conform and is not for an adoption to change: names, that is."""
    odd = [
        leaf.file_id
        for leaf in fs.state.hierarchy.walk_leaves()
        if leaf.file_id is not None and not is_conformant(leaf.file_id)
    ]
    if odd:
        yield (
            f"{count(len(odd), 'file')} whose name is not a File ID (PS3.10 Section 8.5): "
            f"{some(odd, 3)}. `fileset write --layout conformant` renames them"
        )


def _adopted_as_it_is(dicomdir: Path, told: Collection[str]) -> Iterator[str]:
    """Yield what the check of the File-set will find wrong with its DICOMDIR, but for `told`."""
    # A new File-set needs none of this, which takes long to import.
    from fileset.adoption.archived import read_listing  # noqa: PLC0415
    from fileset.checking.conformance import examine_dicomdir  # noqa: PLC0415
    from fileset.cli.screen.findings import adoption_warnings  # noqa: PLC0415

    try:
        yield from adoption_warnings(examine_dicomdir(read_listing(dicomdir)), told)
    except (OSError, InstanceError, MemoryError):
        return  # it was adopted all the same, and changed or went away since


def _init_empty(session: Session, path: Path, settings: dict[str, Any]) -> Answer:
    uid = settings.get("uid")
    if uid is None:
        from pydicom.uid import generate_uid  # noqa: PLC0415 - not needed with --uid

        uid = str(generate_uid())

    def begin(repository: Repository) -> None:
        repository.actor = session.actor
        with repository.change():
            repository.begin(uid, settings.get("id"))
            repository.set_identity("profile", settings.get("profile"))

    repository = Repository.create(path, begin, origin=origin())
    session.use(repository)
    return _answer(path, repository)


def _adopt(session: Session, path: Path, dicomdir: Path, *, repair: bool) -> tuple[FileSet, int]:
    """Return the adopted File-set, and how many instances its DICOMDIR lists."""
    from fileset.fileset import FileSet  # noqa: PLC0415 - a new File-set needs no pydicom

    listed = 0
    with bar("Reading instances") as advance:

        def progress(done: int, total: int) -> None:
            nonlocal listed
            listed = total
            advance(done, total)

        try:
            fs = FileSet(dicomdir, repository=path, progress=progress, repair=repair)
        except NotDicomdirError as exc:
            raise RefusedError(f"{dicomdir} can't be adopted: {exc.reason}.") from exc
        except InstanceError as exc:
            if isinstance(exc, NotDicomError) and dicomdir.name.upper() != DICOMDIR:
                raise
            raise _refused(dicomdir, exc.reason, repair=repair) from exc
        except LedgerError:
            raise
        except (ValueError, OSError) as exc:  # pydicom's types for what can't be followed
            why = str(exc)
            if isinstance(exc, OSError) and exc.errno is not None:
                if not _is_listed(exc.filename, dicomdir, path):
                    raise
                why = f"{exc.filename}: {exc.strerror}"
            raise _refused(dicomdir, why, repair=repair) from exc
    fs.repository.origin = origin()
    session.use(fs.repository)
    return fs, listed


def _is_listed(filename: str | None, dicomdir: Path, repository: Path) -> bool:
    """Whether a file may be one that the DICOMDIR lists, and is neither that nor one of ours."""
    file = Path(filename or os.sep).absolute()
    dicomdir = Path(os.path.realpath(dicomdir))  # resolve() raises RuntimeError for a loop of links
    return (
        file.is_relative_to(dicomdir.parent)
        and not file.is_relative_to(repository)
        and file != dicomdir
    )


def _refused(dicomdir: Path, why: str, *, repair: bool) -> RefusedError:
    hint = "" if repair else " --repair adopts what can be read of it."
    return RefusedError(f"{dicomdir} can't be adopted: {why}.{hint}")


def _answer(
    path: Path, repository: Repository, title: str = "", lines: Iterable[Line] = ()
) -> Answer:
    """Return the answer about a repository that was just made."""
    state = repository.state
    identity = state.identity
    return Answer(
        {
            "repository": str(path),
            "id": identity.id,
            "uid": identity.uid,
            "root": state.written.root if state.written else None,
            "instances": len(state.live),
            "left_out": 0,
            "doubts": {},
            "mismatches": [],
            "mends": {},
            "mended": [],
            **profile_document(None),
        },
        [
            (Span(f"Made the repository {path}{title}.", "title"),),
            *([f"File-set ID: {identity.id}"] if identity.id else []),
            f"File-set UID: {identity.uid}",
            *lines,
        ],
    )
