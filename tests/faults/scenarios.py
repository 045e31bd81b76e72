"""The operations that faults are tried on.

A scenario works in one folder, which has to be at the same path whenever it acts, since a journal
names media by their absolute paths:

    repository/     the repository, unless the operation makes it
    medium/, copy/  what is or will be written, with files that are not ours
    disc.iso, drive a disc that is handed out, and what it is burnt on
    inbox/          the watched folder
    spool/          audit messages
    inputs/         source files and all else that the operation reads
    temporary/      the folder for temporary files
    acknowledged    the id of each change, once the journal has said that it has it

No operation depends on the time, and none on random numbers where they could show on a medium. Each
can be given again, as a user gives a command again, and then does what is left to do.
"""

from __future__ import annotations

import os
import shutil
import tempfile
import warnings
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Executor, Future
from contextlib import ExitStack, closing, contextmanager
from functools import partial
from pathlib import Path
from typing import Any, Final
from unittest import mock
from zipfile import ZIP_DEFLATED, ZipFile

from attrs import frozen
from pydicom import dcmread, examples
from pydicom.data import get_testdata_file

from fileset import FileSet
from fileset.adding.outcome import Outcome
from fileset.adding.report import AddReport
from fileset.adoption.index_journal import begin_index, complete_index, end_index, kept_index
from fileset.adoption.make_dicomdir import Indexer
from fileset.audit import Cursors, Sender, Spool
from fileset.checking.findings import RepositoryFindingKind
from fileset.correcting.convert import Converter
from fileset.correcting.correct import CorrectionOutcome, CorrectionReport
from fileset.erasure.erase import Eraser
from fileset.errors import RefusedError
from fileset.media import burn
from fileset.media.extras import Extras
from fileset.media.xorriso import place_of
from fileset.medium.export import Exporter
from fileset.medium.write import Writer
from fileset.profiles import icons, recording
from fileset.profiles.recording import set_profile
from fileset.recovery.import_journal import import_journal, source_of
from fileset.repository.contents import Contents
from fileset.repository.folder import is_repository
from fileset.repository.garbage import collect
from fileset.repository.named_roots import Roots
from fileset.repository.repository import Repository
from fileset.watching import After, Settings, Watcher
from fileset.watching.wakeup import WakeUp
from ledger.errors import LedgerError
from ledger.events import (
    ChangeRedone,
    ChangeUndone,
    MediumBurnt,
    MediumProduced,
    MediumVerified,
    WriteExported,
)
from ledger.files import naming
from ledger.journal.entries import Draft, Recorded
from ledger.journal.lines import write_journal
from tests.support.angiography import PROFILE, angiogram

REPOSITORY: Final = "repository"
MEDIUM: Final = "medium"
COPY: Final = "copy"
DISC: Final = "disc.iso"
OWN: Final = "own"
DRIVE: Final = "drive"
INBOX: Final = "inbox"
INPUTS: Final = "inputs"
RULES: Final = "rules.toml"
TEMPORARY: Final = "temporary"
ACKNOWLEDGED: Final = "acknowledged"
SPOOL: Final = "spool"

_UID: Final = "1.2.826.0.1.3680043.8.498.6"
_PATIENT: Final = "77654033"
_OTHER: Final = "98890234"

_TREE: Final = Path(str(get_testdata_file("dicomdirtests/DICOMDIR"))).parent
_CT: Final = tuple(f"77654033/CT2/{name}" for name in ("17106", "17136", "17166", "17196"))
_CR: Final = ("77654033/CR1/6154",)
_MR: Final = tuple(f"98892003/MR1/{name}" for name in ("15820", "4919", "5641"))

_FOREIGN: Final = {
    "README.TXT": b"not ours",
    ".DICOMDIR-0123456789abcdef": b"named as if it were ours",
    ".DICOMDIR-0123456789abcdef.files/files/00000002": b"named as if it were ours, below",
    ".DICOMDIR.new": b"",
    "PT000000/NOTE.TXT": b"in a folder that we make, too",
    "PT000000/ST000000/SE000000/.IM000000": b"beside what we make",
    "STAGING/00000000": b"in a folder that might be ours",
    "EMPTY.DIR/IM000000.bak": b"a copy that someone made",
}
"""Files on media that belong to nobody here."""


class PartlyError(LedgerError):
    """The command has done what it could, told what it could not, and has the exit code 1."""


@frozen
class Scenario:
    """An operation.

    `prepare` fills an empty folder. `act` is the one operation in it, through the public API as the
    command does it; it has no effect once it was done.
    """

    name: str
    prepare: Callable[[Path], None]
    act: Callable[[Path], None]
    finds: frozenset[RepositoryFindingKind] = frozenset()
    """What `verify` finds before, and the operation mends."""

    moves: bool = False
    """Whether it moves a folder of somebody else's, as a whole."""

    tries_again: bool = False
    """Whether what fails is tried again: changes come in any order then, or once more."""


# --- what operations are made of -----------------------------------------------------------------


def acknowledged(folder: Path) -> list[str]:
    """Return the ids of the changes that the journal has acknowledged in `folder`."""
    try:
        # Only whole lines: nobody was told the rest.
        return (folder / ACKNOWLEDGED).read_text("ascii").split("\n")[:-1]
    except FileNotFoundError:
        return []


def acknowledge(folder: Path, change: str) -> None:
    """Write down that a change was committed, in one call."""
    fd = os.open(folder / ACKNOWLEDGED, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    try:
        os.write(fd, f"{change}\n".encode())
    finally:
        os.close(fd)


def acknowledging(repository: Repository, folder: Path) -> Repository:
    """Have each change of `repository` acknowledged as soon as the journal has returned."""
    append = repository.journal.append

    def told(events: Sequence[Any], draft: Draft, *, expected: int) -> list[Recorded]:
        recorded = append(events, draft, expected=expected)
        acknowledge(folder, draft.id)
        return recorded

    repository.journal.append = told  # type: ignore[method-assign] # of this one object
    return repository


@contextmanager
def opened(folder: Path) -> Iterator[FileSet]:
    """Open the repository as the command does, closing it at the end."""
    with _temporary(folder):
        repository = acknowledging(Repository.open(folder / REPOSITORY), folder)
        try:
            with FileSet(repository=repository) as fs:
                yield fs
        finally:
            repository.close()


@contextmanager
def _temporary(folder: Path) -> Iterator[None]:
    """Have temporary files made within the folder; what pydicom warns about is not told."""
    made_in = mock.patch.object(tempfile, "tempdir", str(folder / TEMPORARY))
    with made_in, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield


def _inputs(folder: Path, *names: str) -> list[Path]:
    """Copy instances of pydicom's example File-set to the inputs."""
    made = []
    for name in names:
        path = folder / INPUTS / name
        path.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(_TREE / name, path)
        made.append(path)
    return made


def _strew(root: Path) -> None:
    """Put others' files on a medium."""
    for name, data in _FOREIGN.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)


def _large(folder: Path, number: int) -> Path:
    """Make an instance of more than 1 MB among the inputs."""
    ds = dcmread(examples.get_path("ct"))
    ds.SOPInstanceUID = ds.file_meta.MediaStorageSOPInstanceUID = f"{_UID}.{number}"
    ds.InstanceNumber = number
    ds.Rows = ds.Columns = 800
    ds.PixelData = bytes(range(256)) * (800 * 800 * 2 // 256)
    path = folder / INPUTS / f"large{number}"
    path.parent.mkdir(parents=True, exist_ok=True)
    ds.save_as(path)
    return path


@contextmanager
def _made(folder: Path, *names: str) -> Iterator[FileSet]:
    """Make the repository with the instances `names`, and have it open."""
    (folder / TEMPORARY).mkdir()
    path = folder / REPOSITORY
    Repository.create(path, lambda new: new.begin(_UID, "CRASH")).close()
    with opened(folder) as fs:
        if names:
            fs.add_many(_inputs(folder, *names))
        yield fs


@contextmanager
def _written(folder: Path, *names: str) -> Iterator[FileSet]:
    """Make the repository and write it to the medium, which has others' files on it."""
    with _made(folder, *names) as fs:
        fs.write(folder / MEDIUM)
        _strew(folder / MEDIUM)
        yield fs


def _foreign(folder: Path, names: Sequence[str]) -> None:
    """Make a File-set of pydicom's layout of folders on the medium, with others' files there."""
    (folder / TEMPORARY).mkdir()
    for name in names:
        path = folder / MEDIUM / name
        path.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(_TREE / name, path)
    _index(folder)
    _strew(folder / MEDIUM)


def _write(folder: Path, layout: str = "pydicom", root: Path | None = None) -> None:
    with opened(folder) as fs:
        writer = Writer(fs.repository)
        writer.resume()
        if fs.is_staged:
            writer.write(root, layout)


def _prepare_repair(folder: Path) -> None:
    with _written(folder, *_CT, *_MR) as fs:
        first, second = (Path(found.path) for found in fs.find(Modality="CT")[:2])
        first.write_bytes(b"scratched")
        second.write_bytes(first.read_bytes() * 2)


def _repair(folder: Path) -> None:
    with opened(folder) as fs:
        damage = Writer(fs.repository).write(repair=True).damage
        if damage is not None and damage.unrepairable:
            raise PartlyError("; ".join(f"{each.path}: {each.why}" for each in damage.unrepairable))


def _write_new(folder: Path) -> None:
    _write(folder, root=folder / MEDIUM)


def _write_replace(folder: Path) -> None:
    with opened(folder) as fs, warnings.catch_warnings(action="ignore"):  # of what was moved
        fs.write(None if fs.path else folder / MEDIUM, replace=True)


def _write_onto(folder: Path) -> None:
    _write(folder, "existing", folder / MEDIUM)


# --- the operations ------------------------------------------------------------------------------


def _prepare_empty(folder: Path) -> None:
    (folder / TEMPORARY).mkdir()
    (folder / INPUTS).mkdir()


def _init(folder: Path) -> None:
    path = folder / REPOSITORY
    if not is_repository(path):
        Repository.create(path, lambda new: new.begin(_UID, "CRASH")).close()


def _prepare_add(folder: Path) -> None:
    with _made(folder, *_CR):
        _inputs(folder, *_CT, *_MR)
        (folder / INPUTS / "notes.txt").write_bytes(b"no DICOM file")


def _add(folder: Path) -> None:
    with opened(folder) as fs:
        _complete(fs.add_many(folder / INPUTS))


def _add_together(folder: Path) -> None:
    """Add files one by one, in one change."""
    with opened(folder) as fs, fs.change():
        for name in (*_CT, *_MR):
            fs.add(folder / INPUTS / name)


def _complete(report: AddReport) -> None:
    """Raise what stands for exit code 1."""
    if failed := report.of(Outcome.REJECTED):
        raise PartlyError("; ".join(f"{each.source}: {each.reason}" for each in failed))


def _prepare_coerce(folder: Path) -> None:
    _prepare_add(folder)
    (folder / RULES).write_text(
        f'[[rule]]\nmatch = {{PatientID = "{_PATIENT}"}}\nprefix = "X-"\nissuer = "OTHERS"\n'
        'set = {PatientName = "Right^Name"}\n[[rule]]\nnew_uids = true\n'
    )


def _coerce(folder: Path) -> None:
    with _correcting(folder) as fs:
        _complete(fs.add_many(folder / INPUTS, coerce=folder / RULES))


def _prepare_add_again(folder: Path) -> None:
    with _made(folder) as fs:
        fs.add_many(_inputs(folder, *_CT, *_MR), reference=True)


def _prepare_add_together(folder: Path) -> None:
    with _made(folder, *_CR):
        _inputs(folder, *_CT, *_MR)


def _prepare_add_large(folder: Path) -> None:
    with _made(folder):
        _inputs(folder, *_CR)
        _large(folder, 1)
        _large(folder, 2)


def _prepare_add_archive(folder: Path) -> None:
    with _made(folder, *_CR):
        pass
    (folder / INPUTS).mkdir(exist_ok=True)
    with ZipFile(folder / INPUTS / "study.zip", "w", ZIP_DEFLATED) as study:
        for name in (*_CT, *_MR):
            study.write(_TREE / name, name)
        study.writestr("notes.txt", b"no DICOM file")


def _add_archive(folder: Path) -> None:
    """Add what is in an archive that compresses it; what is large in it goes by way of a file."""
    with opened(folder) as fs, mock.patch("fileset.archives.zip_archive.LARGE", 1 << 12):
        report = fs.add_many(folder / INPUTS / "study.zip")
        failed = [each for each in report if each.outcome.is_failure]
        if len(report.results) < len(_CT) + len(_MR) + 1 or len(failed) > 1:
            raise PartlyError("; ".join(f"{each.source}: {each.reason}" for each in failed))


def _prepare_init_archive(folder: Path) -> None:
    _foreign(folder, (*_CT[:2], *_MR))
    (folder / INPUTS).mkdir()
    shutil.make_archive(str(folder / INPUTS / "disc"), "zip", folder / MEDIUM)
    shutil.rmtree(folder / MEDIUM)


def _prepare_remove(folder: Path) -> None:
    with _written(folder, *_CT, *_CR, *_MR):
        pass


def _remove(folder: Path) -> None:
    with opened(folder) as fs:
        if found := fs.find(Modality="CT"):
            fs.remove(found)


def _prepare_undo(folder: Path) -> None:
    with _written(folder, *_CT, *_MR) as fs:
        fs.remove(fs.find(Modality="CT"))


def _undo(folder: Path) -> None:
    with opened(folder) as fs:
        if not _last_is(fs, ChangeUndone):
            fs.undo()


def _prepare_settle(folder: Path) -> None:
    _prepare_undo(folder)
    with opened(folder) as fs:
        first = next(iter(fs))
        ds = first.load()
        ds.SOPInstanceUID = ds.file_meta.MediaStorageSOPInstanceUID = "1.2.3.77"
        ds.PatientName = "Another^Person"
        ds.save_as(folder / "other.dcm")
        fs.add_many([folder / "other.dcm"])


def _settle(folder: Path) -> None:
    with opened(folder) as fs:
        for found in fs.mismatches:
            fs.settle(found.patient_id)


def _set_profile(folder: Path) -> None:
    with opened(folder) as fs:
        if unread := set_profile(fs.repository, "STD-GEN-DVD-J2K").unread:
            raise PartlyError("; ".join(each.reason for each in unread))


def _prepare_icons(folder: Path) -> None:
    with _written(folder) as fs:
        fs.add_many([angiogram(folder / f"{INPUTS}-{number}.dcm") for number in range(2)])
        fs.write()


def _set_profile_with_icons(folder: Path) -> None:
    """Set a profile that asks for icons; how these are made is no part of what is tested."""
    made = mock.patch.object(icons, "icon", lambda _, size: bytes([size]) * size**2)
    with opened(folder) as fs, made, mock.patch.object(recording, "needed"):
        if unread := set_profile(fs.repository, PROFILE).unread:
            raise PartlyError("; ".join(each.reason for each in unread))


def _prepare_write_icons(folder: Path) -> None:
    _prepare_icons(folder)
    _set_profile_with_icons(folder)


def _convert(folder: Path) -> None:
    with opened(folder) as fs:
        report = Converter(fs.repository).convert(list(fs.state.live.values()))
        if report.is_incomplete:
            raise PartlyError("; ".join(each.reason or "" for each in report.results))


def _prepare_convert(folder: Path) -> None:
    with _written(folder, *_CT) as fs:
        fs.profile = "STD-GEN-CD"
        fs.add_many([get_testdata_file("MR_small_implicit.dcm")])


def _prepare_redo(folder: Path) -> None:
    _prepare_undo(folder)
    _undo(folder)


def _redo(folder: Path) -> None:
    with opened(folder) as fs:
        if not _last_is(fs, ChangeRedone):
            fs.redo()


def _last_is(fs: FileSet, kind: type[Any]) -> bool:
    *_, last = fs.repository.journal.read(after=fs.repository.journal.position - 1)
    return isinstance(last.event, kind)


def _adopt(folder: Path, source: str = f"{MEDIUM}/DICOMDIR") -> None:
    path = folder / REPOSITORY
    if is_repository(path):
        return
    listed = 0

    def progress(_: int, total: int) -> None:
        nonlocal listed
        listed = total

    with _temporary(folder), FileSet(folder / source, repository=path, progress=progress) as fs:
        if len(fs) < listed:
            raise PartlyError(f"{listed - len(fs)} instances left out")
        if fs.doubts:
            unread = ", ".join(name for names in fs.doubts.values() for name in names)
            raise PartlyError(f"taken as listed: {unread}")


def _prepare_import(folder: Path) -> None:
    other = folder / INPUTS / "archive"
    other.mkdir(parents=True)
    with _made(other, *_CT, *_CR) as fs, (folder / INPUTS / "journal.jsonl").open("wb") as file:
        write_journal(fs.repository.journal, file.write)
    (folder / TEMPORARY).mkdir()


def _import(folder: Path) -> None:
    path = folder / REPOSITORY
    if is_repository(path):
        return
    exported = folder / INPUTS / "journal.jsonl"
    archive = source_of(folder / INPUTS / "archive" / REPOSITORY)
    # As the command opens it.
    with _temporary(folder), archive as source, naming(exported), exported.open("rb") as file:
        import_journal(path, file, str(exported), source=source).repository.close()


def _prepare_write_new(folder: Path) -> None:
    with _made(folder, *_CT[:2], *_CR, *_MR[:2]):
        pass


def _prepare_write_onto(folder: Path) -> None:
    _prepare_write_new(folder)
    _strew(folder / MEDIUM)
    # Where a file would go: the layout has to find another name.
    (folder / MEDIUM / "PT000000/ST000000/SE000000").mkdir(parents=True, exist_ok=True)
    (folder / MEDIUM / "PT000000/ST000000/SE000000/IM000000").write_bytes(b"was here first")


def _prepare_write_replace(folder: Path) -> None:
    _prepare_write_new(folder)
    with FileSet() as other:
        for name in _MR:
            other.add(_TREE / name)
        other.write(folder / MEDIUM)
    (folder / MEDIUM / "README.TXT").write_bytes(b"not ours")


def _prepare_write_large(folder: Path) -> None:
    with _made(folder, *_CR) as fs:
        fs.add_many([_large(folder, 1), _large(folder, 2)])


def _prepare_write_changed(folder: Path) -> None:
    with _written(folder, *_CT[:2], *_MR[:2]) as fs:
        fs.add_many(_inputs(folder, *_CR, *_CT[2:]))
        fs.remove(fs.find(SOPInstanceUID=fs.find(Modality="MR")[1].SOPInstanceUID))
        fs.ID = "CHANGED"


def _prepare_write_id(folder: Path) -> None:
    with _written(folder, *_CT[:2], *_MR[:1]) as fs:
        fs.ID = "CHANGED"


def _prepare_write_swap(folder: Path) -> None:
    with _written(folder, *_CT, *_MR) as fs:
        first = fs.find(Modality="CT")[0]
        fs.remove([first, fs.find(Modality="MR")[0]])
        fs.add_many(_inputs(folder, *_CR))


def _prepare_write_removal(folder: Path) -> None:
    with _written(folder, *_CT, *_MR) as fs:
        fs.remove(fs.find(Modality="MR"))


def _prepare_restructure(folder: Path) -> None:
    _foreign(folder, (*_CT[:3], *_MR[:2]))
    _adopt(folder)
    with opened(folder) as fs:
        fs.add_many(_inputs(folder, *_CR))
        fs.remove(fs.find(Modality="CT")[0])


def _prepare_resume(folder: Path) -> None:
    """Leave a write behind that was interrupted, with a File-set that swaps File IDs."""
    _prepare_write_swap(folder)
    with opened(folder) as fs, mock.patch("os.replace", side_effect=_Killed), _killed():
        fs.write()


def _prepare_named(folder: Path) -> None:
    """Leave the same behind as an import does: nobody has named the root."""
    _prepare_resume(folder)
    roots = Roots(folder / REPOSITORY)
    roots.begin()
    roots.keep()


def _write_named(folder: Path) -> None:
    with opened(folder) as fs:
        Writer(fs.repository).write(folder / MEDIUM)


class _Killed(BaseException):
    """Stands for a kill where no process is to end."""


@contextmanager
def _killed() -> Iterator[None]:
    with mock.patch("fileset.medium.made_files.MadeFiles.roll_back", return_value=False):
        try:
            yield
        except _Killed:
            return
    raise AssertionError("It was not interrupted")


def _abandon(folder: Path) -> None:
    with opened(folder) as fs:
        Writer(fs.repository).abandon(reason="of no use")


def _prepare_export(folder: Path) -> None:
    with _written(folder, *_CT[:2], *_MR[:2]) as fs:
        fs.remove(fs.find(Modality="CT")[0])


def _export(folder: Path) -> None:
    with opened(folder) as fs:
        if not _last_is(fs, WriteExported):
            state = fs.repository.at(fs.repository.journal.position)
            Exporter(fs.repository).export(folder / COPY, state)


def _prepare_export_onto(folder: Path) -> None:
    _prepare_export(folder)
    (folder / COPY).mkdir()
    (folder / COPY / "README.TXT").write_bytes(b"not ours")


@contextmanager
def _correcting(folder: Path) -> Iterator[FileSet]:
    """Have the repository open, and whatever is corrected corrected at one time."""
    names = ("correct", "coercion")
    with ExitStack() as stack:
        for name in names:
            when = f"fileset.correcting.{name}.moment_of"
            stack.enter_context(mock.patch(when, return_value="20260301120000"))
        yield stack.enter_context(opened(folder))


def _corrected(report: CorrectionReport) -> None:
    """Raise what stands for exit code 1."""
    if failed := report.of(CorrectionOutcome.FAILED):
        raise PartlyError("; ".join(f"{each.uid}: {each.reason}" for each in failed))


def _correct(folder: Path) -> None:
    """Correct values of a patient and of a study."""
    with _correcting(folder) as fs:
        found = fs.find(PatientID=_PATIENT)
        _corrected(fs.correct(found, {"PatientName": "Right^Name", "StudyID": "CORRECTED"}))


def _prepare_move(folder: Path) -> None:
    with _written(folder, *_CT[:2], *_CR, *_MR[:2]):
        pass


def _move(folder: Path, **options: Any) -> None:
    """Give a study to another patient."""
    with _correcting(folder) as fs:
        _corrected(fs.move(fs.find(PatientID=_PATIENT, Modality="CT"), _OTHER, **options))


def _prepare_merge(folder: Path) -> None:
    with _made(folder, *_CT[:2], *_CR, *_MR[:2]):
        pass


def _merge(folder: Path) -> None:
    with _correcting(folder) as fs:
        if fs.find(PatientID=_PATIENT):
            _corrected(fs.merge(_PATIENT, _OTHER))


def _prepare_erase_moved(folder: Path) -> None:
    """Have instances of another patient that tell whose they were."""
    _prepare_move(folder)
    _move(folder, original_attributes=True)
    _write(folder)


def _prepare_correct_adopted(folder: Path) -> None:
    _foreign(folder, (*_CT[:2], *_CR, *_MR[:2]))
    _adopt(folder)


def _prepare_write_corrected(folder: Path) -> None:
    with _written(folder, *_CT[:2], *_CR, *_MR[:2]):
        pass
    _correct(folder)


def _prepare_gc(folder: Path) -> None:
    with _made(folder, *_CT[:2]) as fs:
        for path in _inputs(folder, *_MR):
            with fs.repository.vault.batch() as batch:
                batch.add(path.read_bytes())
        fs.add_many(_inputs(folder, *_CR))


def _gc(folder: Path) -> None:
    with opened(folder) as fs:
        collect(fs.repository, dry_run=False)


def _prepare_erase(folder: Path) -> None:
    with _made(folder, *_CT[:2], *_CR, *_MR[:2]):
        pass
    with opened(folder) as fs:
        fs.write(folder / MEDIUM)
        _strew(folder / MEDIUM)


def _erase(folder: Path) -> None:
    with _correcting(folder) as fs:
        Writer(fs.repository).resume()
        eraser = Eraser(fs.repository, Contents(fs.repository))
        eraser.erase({"PatientID": _PATIENT}, reason="asked for", take_off=True)


def _prepare_audit(folder: Path) -> None:
    with _written(folder, *_CT, *_MR) as fs:
        fs.correct(fs.find(Modality="MR"), {"PatientName": "Right^Name"})


def _spool(folder: Path) -> None:
    """Send the audit messages to a folder, as `fileset audit send --spool` does."""
    destination = Spool(folder / SPOOL)
    with (
        closing(Repository.open(folder / REPOSITORY)) as repository,
        Cursors(folder / REPOSITORY).alone("the spool") as cursor,
    ):
        Sender(destination, cursor).send(repository)


def _rebuild(folder: Path) -> None:
    with opened(folder) as fs:
        fs.repository.rebuild()


def _prepare_snapshot(folder: Path) -> None:
    with _made(folder, *_CT[:2]) as fs, fs.change():
        for number in range(997 - fs.repository.journal.position):
            fs.ID = f"CRASH{number % 2}"


def _snapshot(folder: Path) -> None:
    with opened(folder) as fs:
        if fs.ID != "LAST":
            with fs.change():
                for number in range(5):
                    fs.ID = f"CRASH{number}"
                fs.ID = "LAST"


def _prepare_index(folder: Path) -> None:
    (folder / TEMPORARY).mkdir()
    for name in (*_CT[:3], *_MR[:2]):
        path = folder / MEDIUM / name
        path.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(_TREE / name, path)
    _strew(folder / MEDIUM)


def _prepare_index_replace(folder: Path) -> None:
    _prepare_index(folder)
    shutil.copyfile(_TREE / "DICOMDIR", folder / MEDIUM / "dicomdir")


def _index(folder: Path, **options: Any) -> None:
    with (
        _temporary(folder),
        mock.patch("fileset.adoption.make_dicomdir.new_uid", return_value=_UID),
    ):
        repository = Repository.ephemeral()
        indexer = Indexer(repository, folder / MEDIUM, replace=True, **options)
        report = indexer.stage(file_set_id="CRASH")
        if repository.state.live:
            indexer.write()
        repository.close()
        _complete(report)


def _prepare_index_rename(folder: Path) -> None:
    """Have one file to be renamed: what several would be called depends on which can be read."""
    _prepare_index(folder)
    path = folder / MEDIUM / _CT[0]
    path.rename(path.with_name("the first.dcm"))


def _index_rename(folder: Path) -> None:
    root = folder / MEDIUM
    with (
        _temporary(folder),
        mock.patch("fileset.adoption.make_dicomdir.new_uid", return_value=_UID),
    ):
        completed = complete_index(root)
        repository = begin_index(root)
        try:
            indexer = Indexer(repository, root, rename=True, replace=True, completed=completed)
            report = indexer.stage(file_set_id="CRASH")
            if repository.state.live:
                indexer.write()
        finally:
            end_index(root, repository)
            repository.close()
        _complete(report)


def _index_keep(folder: Path) -> None:
    root, keep = folder / MEDIUM, folder / REPOSITORY

    def indexer(repository: Repository) -> Indexer:
        return Indexer(repository, root, rename=True)

    with (
        _temporary(folder),
        mock.patch("fileset.adoption.make_dicomdir.new_uid", return_value=_UID),
    ):
        repository = kept_index(keep, root)
        if repository is None and is_repository(keep):
            return
        if repository is None:
            repository = Repository.create(keep, lambda made: _complete(indexer(made).stage()))
        try:
            indexer(repository).write()
        finally:
            repository.close()


def _prepare_new_medium(folder: Path) -> None:
    _prepare_restructure(folder)
    (folder / COPY).mkdir()
    (folder / COPY / "README.TXT").write_bytes(b"not ours")


def _write_new_medium(folder: Path) -> None:
    with opened(folder) as fs, warnings.catch_warnings():
        warnings.simplefilter("error")
        try:
            Writer(fs.repository).write(folder / COPY, "conformant", new_medium=True)
        except UserWarning as exc:  # of a removed instance that can't be kept
            raise PartlyError(str(exc)) from exc


def _prepare_watch(folder: Path) -> None:
    """Have a withdrawn instance arrive again with one byte changed, and another one."""
    with _made(folder, *_CT[:1], *_CR) as fs:
        fs.remove(fs.find(Modality="CT"))
    for name, source in (("again", _CT[0]), ("new", _MR[0])):
        path = folder / INBOX / name
        path.parent.mkdir(exist_ok=True)
        data = (_TREE / source).read_bytes()
        path.write_bytes(data if name == "new" else data[:-1] + bytes([data[-1] ^ 1]))


def _prepare_watch_coercing(folder: Path) -> None:
    _prepare_coerce(folder)
    shutil.rmtree(folder / INPUTS)
    for source in (*_CT[:1], *_MR[:1]):
        path = folder / INBOX / source
        path.parent.mkdir(parents=True)
        shutil.copyfile(_TREE / source, path)


def _watch(folder: Path, coerce: str | None = None) -> None:
    """Take what is there and delete it, with a clock that goes on while the watcher waits."""
    time = 0.0

    def wait(_: WakeUp, seconds: float) -> bool:
        nonlocal time
        time += max(seconds, 0.1)
        return False

    rules = folder / coerce if coerce is not None else None
    settings = Settings(once=True, after=After.DELETE, poll=10.0, coerce=rules)
    with _correcting(folder) as fs, mock.patch.object(WakeUp, "wait", wait):
        watcher = Watcher(fs, folder / INBOX, settings=settings, clock=lambda: time)
        watcher.run()
        if any(path.is_file() for path in (folder / INBOX).rglob("*")):
            raise PartlyError(f"{folder / INBOX}: {watcher.status['last_error']}")


class _Inline(Executor):
    """Does at once what a thread would do: hashing, which touches no file.

    Calls of a process with threads can neither be traced nor replayed.
    """

    def __init__(self, *_: object) -> None:
        pass

    def submit(self, fn: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Future[Any]:
        done: Future[Any] = Future()
        done.set_result(fn(*args, **kwargs))
        return done


_one_thread: Final = partial(mock.patch, "fileset.media.stream.ThreadPoolExecutor", _Inline)


def _prepare_media(folder: Path) -> None:
    with _made(folder, *_CT[:2], *_MR[:2]):
        pass
    (folder / OWN).mkdir(exist_ok=True)
    (folder / OWN / "letter.txt").write_bytes(b"Call us.")


def _make_image(folder: Path) -> None:
    """Make a disc, in the place of one that was there when its event was not."""
    out = folder / DISC
    with opened(folder) as fs, _one_thread():
        if not _last_is(fs, MediumProduced):
            own = folder / OWN
            extras = Extras(pages=True, viewer=True, include=own if own.is_dir() else None)
            fs.media.make(out, recipient="Dr. Weiss", extras=extras, replace=out.exists())


def _make_folder(folder: Path) -> None:
    with opened(folder) as fs:
        if not _last_is(fs, MediumProduced):
            fs.media.make(folder / COPY, fs.find(Modality="CT"))


def _prepare_made(folder: Path) -> None:
    _prepare_media(folder)
    _make_image(folder)


def _verify_medium(folder: Path) -> None:
    with opened(folder) as fs:
        if not _last_is(fs, MediumVerified):
            fs.media.verify(folder / DISC)


def _remake_medium(folder: Path) -> None:
    out = folder / f"again-{DISC}"
    with opened(folder) as fs, _one_thread():
        try:
            fs.media.remake(1, out)
        except RefusedError:  # it is there
            if not out.exists():
                raise


def _burn(folder: Path) -> None:
    """Burn the disc again and again until it is recorded; a drive that works stands for xorriso."""

    def copied(image: Path, device: str, *_: object, **__: object) -> None:
        place = place_of(device)
        with naming(image):
            data = image.read_bytes()
        with naming(place):
            place.write_bytes(data)

    drive = mock.patch.multiple(burn, burn_image=copied, program=lambda: "xorriso")
    with opened(folder) as fs, drive:
        if not _last_is(fs, MediumBurnt):
            burnt = fs.media.burn(folder / DISC, f"stdio:{folder / DRIVE}", blank=True)
            assert burnt.difference is None, f"The disc differs: {burnt.difference}"


_FINDS: Final = {
    "set-profile": frozenset({RepositoryFindingKind.PROFILE}),
    "set-profile-icons": frozenset({RepositoryFindingKind.PROFILE}),
    "convert": frozenset({RepositoryFindingKind.PROFILE}),
    "repair": frozenset((RepositoryFindingKind.FILE_CHANGED,)),
}

SCENARIOS: Final[dict[str, Scenario]] = {
    name: Scenario(
        name,
        prepare,
        act,
        _FINDS.get(name, frozenset()),
        moves=name == "write-replace",
        tries_again=name.startswith("watch"),
    )
    for name, prepare, act in (
        ("init", _prepare_empty, _init),
        ("add", _prepare_add, _add),
        ("add-again", _prepare_add_again, _add),
        ("add-large", _prepare_add_large, _add),
        ("add-coerced", _prepare_coerce, _coerce),
        ("add-archive", _prepare_add_archive, _add_archive),
        ("add-together", _prepare_add_together, _add_together),
        ("remove", _prepare_remove, _remove),
        ("undo", _prepare_undo, _undo),
        ("redo", _prepare_redo, _redo),
        ("settle", _prepare_settle, _settle),
        ("set-profile", _prepare_remove, _set_profile),
        ("set-profile-icons", _prepare_icons, _set_profile_with_icons),
        ("write-icons", _prepare_write_icons, _write),
        ("convert", _prepare_convert, _convert),
        ("correct", _prepare_remove, _correct),
        ("move", _prepare_move, _move),
        ("merge", _prepare_merge, _merge),
        ("correct-adopted", _prepare_correct_adopted, _correct),
        ("import-file-set", partial(_foreign, names=(*_CT, *_MR)), _adopt),
        ("init-archive", _prepare_init_archive, partial(_adopt, source=f"{INPUTS}/disc.zip")),
        ("import-journal", _prepare_import, _import),
        ("write-new", _prepare_write_new, _write_new),
        ("write-onto", _prepare_write_onto, _write_onto),
        ("write-replace", _prepare_write_replace, _write_replace),
        ("write-large", _prepare_write_large, _write_new),
        ("write-changed", _prepare_write_changed, _write),
        ("write-id", _prepare_write_id, _write),
        ("write-swap", _prepare_write_swap, _write),
        ("write-removal", _prepare_write_removal, _write),
        ("write-restructure", _prepare_restructure, _write),
        ("write-corrected", _prepare_write_corrected, _write),
        ("write-existing", _prepare_restructure, partial(_write, layout="existing")),
        ("write-resume", _prepare_resume, _write),
        ("write-named", _prepare_named, _write_named),
        ("write-abandon", _prepare_resume, _abandon),
        ("write-new-medium", _prepare_new_medium, _write_new_medium),
        ("repair", _prepare_repair, _repair),
        ("export", _prepare_export, _export),
        ("export-onto", _prepare_export_onto, _export),
        ("gc", _prepare_gc, _gc),
        ("erase", _prepare_erase, _erase),
        ("erase-moved", _prepare_erase_moved, _erase),
        ("erase-handed-out", _prepare_made, _erase),
        ("rebuild", _prepare_remove, _rebuild),
        ("snapshot", _prepare_snapshot, _snapshot),
        ("audit-spool", _prepare_audit, _spool),
        ("index", _prepare_index_replace, _index),
        ("index-rename", _prepare_index_rename, _index_rename),
        ("index-keep", _prepare_index_rename, _index_keep),
        ("watch", _prepare_watch, _watch),
        ("watch-coerced", _prepare_watch_coercing, partial(_watch, coerce=RULES)),
        ("media-make", _prepare_media, _make_image),
        ("media-folder", _prepare_media, _make_folder),
        ("media-adopted", _prepare_correct_adopted, _make_image),
        ("media-verify", _prepare_made, _verify_medium),
        ("media-remake", _prepare_made, _remake_medium),
        ("media-burn", _prepare_made, _burn),
    )
}
