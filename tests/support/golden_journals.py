"""The golden journals: how they were made, and what they have to come to for ever.

`python tests/support/golden_journals.py VERSION [NAME ...]` makes those of a release, in
`golden/journals`: an exported journal (`.jsonl`), and the state that it was folded to
(`.txt`). With those of `WITH_VAULT` goes what their vault holds, in `golden/vaults` (`.zip`). A
release adds its own and leaves the others as they are. Before a release, what its journals lack can
be added below and its files be made anew.
"""

from __future__ import annotations

import shutil
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import closing, suppress
from pathlib import Path
from typing import Any
from unittest import mock
from zipfile import ZIP_DEFLATED, ZipFile

from angiography import angiogram
from pydicom import dcmread, examples
from pydicom.data import get_testdata_file

from fileset import FileSet
from fileset.correcting.convert import Converter
from fileset.erasure.erase import Eraser
from fileset.media import make as making
from fileset.media.extras import Extras
from fileset.pictures.picture import PictureError
from fileset.profiles import icons, recording
from fileset.recovery.recover import recover
from fileset.repository.contents import Contents
from fileset.repository.repository import Repository
from fileset.watching import Settings, Watcher
from ledger.digest import digest_of
from ledger.events import MediumBurnt
from ledger.events.media import KINDS
from ledger.journal.entries import Head
from ledger.journal.lines import JournalFile, write_journal
from ledger.journal.sqlite import SqliteJournal
from projections.medium.pending import pending
from projections.medium.plan import plan_export
from projections.state.fold import advance
from projections.state.nodes import Leaf
from projections.state.outline import record_line
from projections.state.state import FileSetState

FOLDER = Path(__file__).parents[1] / "golden" / "journals"
VAULTS = FOLDER.parent / "vaults"
GOLDEN = sorted(FOLDER.glob("*.jsonl"))
CT, MR, RT_DOSE = (examples.get_path(name) for name in ("ct", "mr", "rt_dose"))

_UID_OF_MR = str(dcmread(MR, specific_tags=["SOPInstanceUID"]).SOPInstanceUID).encode("ascii")


# --- what a journal comes to ---------------------------------------------------------------------


def replayed(exported: Path, folder: Path) -> str:
    """Return what the journal in the file `exported` comes to, replayed in a new `folder`."""
    with exported.open("rb") as file:
        lines = JournalFile(file, exported.name)
        journal = SqliteJournal.restore(folder / "journal", lines.journal_id, lines.events())
    with closing(journal):
        state = FileSetState()
        dicomdirs = []
        for recorded in journal.read():
            advance(state, [recorded])
            if recorded.position == recorded.change.last:
                dicomdirs.append(f"  {state.position}: {_dicomdir(state)}")
        return "\n".join((*_told(state, journal.head()), "DICOMDIR at", *dicomdirs, ""))


def _dicomdir(state: FileSetState) -> str:
    plan = plan_export(state, "", now=state, icons=lambda digest: digest.encode("ascii"))
    return digest_of(plan.dicomdir)


def _told(state: FileSetState, head: Head) -> Iterator[str]:
    yield f"position {head.position}, hash {head.hash.hex()}"
    for name in ("id", "uid", "descriptor_file_id", "descriptor_character_set"):
        yield f"{name}: {getattr(state.identity, name)}"
    if state.identity.profile is not None:
        yield f"profile: {state.identity.profile}"
    written = state.written
    yield f"medium: {(written.layout, written.dicomdir, written.position) if written else None}"
    yield f"staged: {pending(state).summary()}"
    yield f"undo: {[entry.change for entry in state.history.undo]}"
    yield f"redo: {[entry.change for entry in state.history.redo]}"
    yield f"tags: {dict(state.tags)}"
    for depth, node in state.hierarchy.walk():
        told = record_line(node.record, node.key or "")
        yield f"{'  ' * (depth + 1)}{told}{_leaf(node) if isinstance(node, Leaf) else ''}"


def _leaf(leaf: Leaf) -> str:
    content = f"{leaf.content.digest} {leaf.content.size}" if leaf.content else None
    return (
        f" [{leaf.handle} {leaf.rank} {leaf.uid} {leaf.file_id} {leaf.placement.value} {content}]"
    )


# --- how they were made --------------------------------------------------------------------------


def changed(source: Path, target: Path, **elements: Any) -> Path:
    """Save the instance at `source` as `target` with other values."""
    ds = dcmread(source)
    for keyword, value in elements.items():
        setattr(ds, keyword, value)
    ds.save_as(target)
    return target


def created(folder: Path) -> Repository:
    """A File-set from nothing: every kind of change, written, moved to another medium, tagged."""
    fs = FileSet(repository=folder / "repository")
    fs.repository.actor = "anna"
    fs.add_many([CT, MR, RT_DOSE, folder / "missing.dcm"], reason="first delivery")
    fs.add_many([RT_DOSE], complete=True)
    conflict = changed(CT, folder / "conflict.dcm", PatientName="Another^Name")
    namesake = changed(
        CT, folder / "namesake.dcm", PatientName="山田^太郎", SOPInstanceUID="1.2.3.4",
        SpecificCharacterSet="ISO_IR 192",
    )  # fmt: skip
    fs.add_many([conflict, namesake])
    added = fs.history[-1]
    fs.tag("delivered", reason="for the clinic")
    with fs.change(reason="labels", actor="bert"):
        fs.ID = "GOLDEN"
        fs.UID = "1.2.826.0.1.3680043.8.498.1"  # type: ignore[assignment]  # a UID is text
        fs.descriptor_file_id = ["DOCS", "README"]
        fs.descriptor_character_set = "ISO_IR 100"
    fs.remove(fs.find(PatientID="4MR1"))
    fs.undo(reason="not that one")
    fs.redo()
    fs.write(folder / "medium")
    fs.remove(fs.find(PatientID="1CT1", SOPInstanceUID="1.2.3.4"))
    fs.add(namesake)  # still on the medium: it is restored
    fs.revert(added, reason="whose is it?")
    fs.add_many([MR], reference=True)
    _abandon_a_write(fs)
    shutil.rmtree(folder / "medium")
    fs.write(folder / "second", new_medium=True, layout="existing")
    fs.at(4).copy(folder / "copy")
    fs.tag("delivered", move=True)
    fs.tag("mistaken")
    fs.delete_tag("mistaken")
    fs.ID = None
    fs.undo()
    return fs.repository


def adopted(folder: Path) -> Repository:
    """A damaged File-set that was mended, of which files were damaged again meanwhile."""
    with FileSet() as made:
        made.ID = "ADOPTED"
        made.add_many([CT, MR])
        made.add_many([RT_DOSE], complete=True)
        made.write(folder / "cd")
    dicomdir = folder / "cd" / "DICOMDIR"
    dicomdir.write_bytes(dicomdir.read_bytes().replace(_UID_OF_MR, _UID_OF_MR[:-1] + b"0"))
    fs = FileSet(dicomdir, repository=folder / "repository", repair=True)
    fs.repository.actor = "anna"
    (ct,) = fs.find(PatientID="1CT1")
    (mr,) = fs.find(PatientID="4MR1")
    Path(mr.path).write_bytes(b"damaged")
    fs.remove([ct, mr])
    fs.write()
    fs.add(CT)
    fs.write()
    (ct,) = fs.find(PatientID="1CT1")
    Path(ct.path).unlink()
    fs.write(repair=True)
    return fs.repository


def erased(folder: Path) -> Repository:
    """A File-set of which an instance was erased that had brought the records of another."""
    fs = FileSet(repository=folder / "repository")
    fs.repository.actor = "anna"
    fs.add(CT)
    fs.add(MR)
    fs.add(changed(CT, folder / "second.dcm", SOPInstanceUID="1.2.3.4", InstanceNumber=2))
    eraser = Eraser(fs.repository, Contents(fs.repository))
    first = {"SOPInstanceUID": str(dcmread(CT).SOPInstanceUID)}
    eraser.erase(first, reason="asked for", take_off=True)
    fs.ID = "ERASED"
    return fs.repository


def corrected(folder: Path) -> Repository:
    """A File-set with a misspelt name that is corrected, and two persons of one Patient ID."""
    fs = FileSet(repository=folder / "repository")
    fs.repository.actor = "anna"
    misspelt = [
        changed(
            CT, folder / f"misspelt{number}.dcm", SOPInstanceUID=f"1.2.3.{number}",
            PatientName="Wrnog^Anna", StudyDescription="Thorxa",
        )
        for number in (1, 2)
    ]  # fmt: skip
    right = [
        changed(
            CT, folder / f"right{number}.dcm", SOPInstanceUID=f"1.2.3.{number}",
            PatientName="Wrong^Anna", StudyDescription="Thorax",
        )
        for number in (1, 2)
    ]  # fmt: skip
    fs.add(misspelt[0])
    fs.add_many([right[1]])
    fs.write(folder / "medium")
    with fs.change(reason="misspelt"):
        fs.remove(fs.find(SOPInstanceUID="1.2.3.1"))
    fs.write()
    fs.undo()
    fs.redo()
    fs.add(right[0])
    fs.write()
    other = changed(
        CT, folder / "other.dcm", SOPInstanceUID="1.2.3.3",
        PatientName="Wrong^Berta", PatientBirthDate="19800102", StudyDescription="Thorax",
    )  # fmt: skip
    fs.add_many([other])
    fs.settle("1CT1", reason="they are twins")
    fs.undo()
    fs.redo()
    fs.write()
    eraser = Eraser(fs.repository, Contents(fs.repository))
    eraser.erase({"SOPInstanceUID": "1.2.3.1"}, reason="asked for", take_off=True)
    return fs.repository


def righted(folder: Path) -> Repository:
    """A written File-set whose values are corrected: a name, an ID, a UID, one of them erased."""
    fs = FileSet(repository=folder / "repository")
    fs.repository.actor = "anna"
    fs.add_many([CT, MR])
    fs.add(changed(CT, folder / "second.dcm", SOPInstanceUID="1.2.3.4", InstanceNumber=2))
    fs.write(folder / "medium")
    fs.correct(fs.find(PatientID="1CT1"), {"PatientName": "Right^Name"}, reason="misspelt")
    fs.undo()
    fs.redo()
    fs.write()
    fs.correct(fs.find(SOPInstanceUID="1.2.3.4"), {"PatientID": "2CT2"}, coerce=True)
    fs.write(layout="existing")
    fs.correct(fs.find(PatientID="4MR1"), {"SOPInstanceUID": "1.2.3.5"})
    eraser = Eraser(fs.repository, Contents(fs.repository))
    fs.write(layout="existing")
    eraser.erase({"PatientID": "2CT2"}, reason="asked for", take_off=True)
    fs.correct(fs.find(PatientID="1CT1"), {"StudyDescription": None})
    return fs.repository


def withheld(folder: Path) -> Repository:
    """An adopted disc that was left for a new home; what was removed from that arrived again."""
    with FileSet() as made:
        made.add_many([CT, MR])
        made.write(folder / "cd")
    inbox = folder / "inbox"
    inbox.mkdir()
    shutil.copy(CT, inbox / "again.dcm")
    fs = FileSet(folder / "cd" / "DICOMDIR", repository=folder / "repository")
    fs.repository.actor = "anna"
    fs.write(folder / "home", new_medium=True)
    fs.remove(fs.find(PatientID="1CT1"))
    fs.write()
    Watcher(fs, inbox, Settings(once=True, settle=0.0, quiet=0.0)).run()
    fs = FileSet(repository=Repository.open(folder / "repository"))
    fs.repository.actor = "anna"
    return fs.repository


def profiled(folder: Path) -> Repository:
    """A File-set with an application profile, set, taken back and set again; one doesn't fit."""
    fs = FileSet(repository=folder / "repository")
    fs.repository.actor = "anna"
    fs.add_many([changed(CT, folder / "ct.dcm"), changed(MR, folder / "mr.dcm")])
    fs.profile = "STD-GEN-DVD-JPEG"
    fs.write(folder / "medium")
    fs.undo()
    fs.profile = "STD-GEN-CD"
    fs.add(changed(examples.get_path("jpeg2k"), folder / "us.dcm"))
    source = Path(str(get_testdata_file("MR_small_implicit.dcm")))
    fs.add(changed(source, folder / "implicit.dcm", SOPInstanceUID="1.2.3.5"))
    Converter(fs.repository).convert(list(fs.state.live.values()))
    fs.profile = None
    fs.revert(fs.history[-1])
    return fs.repository


def pictured(folder: Path) -> Repository:
    """A File-set whose profile asks for icons, of which one can't be made, and one was erased."""

    def icon(source: Any, size: int) -> bytes:
        if b"UNDECODABLE" in bytes(source[: len(source)]):
            raise PictureError("its pixels can't be decoded: they are damaged")
        return bytes([1]) * size**2

    fs = FileSet(repository=folder / "repository")
    fs.repository.actor = "anna"
    fs.add(angiogram(folder / "1", PatientID="1", PatientName="One"))
    needed = [mock.patch.object(module, "needed") for module in (recording, making)]
    with mock.patch.object(icons, "icon", icon), needed[0], needed[1]:
        fs.profile = "STD-XABC-CD"
        fs.add_many(
            [
                angiogram(folder / "2", PatientID="2", PatientName="Two"),
                angiogram(folder / "3", ImageComments="UNDECODABLE"),
            ]
        )
        fs.media.make(folder / "disc", leave_out=True, icons=True)
        fs.profile = None
        fs.profile = "STD-XA1K-CD"
    Eraser(fs.repository, Contents(fs.repository)).erase(
        {"PatientID": "1"}, reason="asked for", take_off=True
    )
    return fs.repository


def recovered(folder: Path) -> Repository:
    """A File-set whose journal was damaged, and recovered up to there."""
    fs = FileSet(repository=folder / "repository")
    fs.repository.actor = "anna"
    fs.add(CT)
    fs.ID = "LOST"
    fs.repository.close()
    journal = folder / "repository" / "journal.sqlite"
    journal.write_bytes(journal.read_bytes().replace(b"LOST", b"XXXX"))
    recover(folder / "repository", actor="anna")
    fs = FileSet(repository=Repository.open(folder / "repository"))
    fs.repository.actor = "anna"
    fs.ID = "RECOVERED"
    return fs.repository


def handed_out(folder: Path) -> Repository:
    """A File-set of which discs were made, verified and burnt, and one person on them erased."""
    fs = FileSet(repository=folder / "repository")
    fs.repository.actor = "anna"
    fs.add_many([CT, MR])
    fs.ID = "CLINIC"
    (disc,) = fs.media.make(folder / "disc.iso", recipient="Dr. Weiss", reason="second opinion")
    fs.media.verify(folder / "disc.iso")
    with fs.change(actor="bert"):
        assert disc.produced is not None
        fs.repository.emit(MediumBurnt(disc.position, "/dev/sr0", disc.produced.image.digest))
    fs.media.make(folder / "out", fs.find(PatientID="1CT1"), label="CT only")
    (folder / "out" / "SHA256.TXT").unlink()
    fs.media.verify(folder / "out")
    fs.media.make(folder / "volume", capacity=61_384)
    fs.undo()
    eraser = Eraser(fs.repository, Contents(fs.repository))
    eraser.erase({"PatientID": "1CT1"}, reason="asked for", take_off=True)
    return fs.repository


def filled(folder: Path) -> Repository:
    """A File-set of which a medium of each kind was made, with pages, a viewer and a letter."""
    fs = FileSet(repository=folder / "repository")
    fs.repository.actor = "anna"
    fs.add_many([CT, MR])
    fs.ID = "CLINIC"
    (folder / "own").mkdir()
    (folder / "own" / "letter.txt").write_text("Call us.")
    extras = Extras(
        pages=True, viewer=True, language="de", institution="Klinik", include=folder / "own"
    )
    for kind in KINDS:
        fs.media.make(folder / kind, kind=kind, recipient="Dr. Weiss", extras=extras)
    fs.media.make(folder / "volume.iso", capacity=750_000, extras=Extras(pages=True))
    return fs.repository


def _abandon_a_write(fs: FileSet) -> None:
    """Begin a write that is interrupted, and give it up."""

    class Interrupted(BaseException):
        pass

    def interrupt(done: int, total: int) -> None:
        raise Interrupted

    with suppress(Interrupted):
        fs.write(progress=interrupt)
    fs.abandon(reason="another medium")


BUILDERS: dict[str, Callable[[Path], Repository]] = {
    "created": created,
    "adopted": adopted,
    "erased": erased,
    "corrected": corrected,
    "withheld": withheld,
    "recovered": recovered,
    "righted": righted,
    "profiled": profiled,
    "pictured": pictured,
    "handed-out": handed_out,
    "filled": filled,
}
WITH_VAULT = frozenset(("filled",))


def make(version: str, *names: str) -> None:
    """Make the golden journals of a release, or those of `names`, in the place of what is there."""
    for name in names or BUILDERS:
        build = BUILDERS[name]
        with tempfile.TemporaryDirectory(prefix="golden-") as folder:
            repository = build(Path(folder))
            target = FOLDER / f"{version}-{name}.jsonl"
            with closing(repository), target.open("wb") as file:
                write_journal(repository.journal, file.write)
                if name in WITH_VAULT:
                    _keep_vault(repository, VAULTS / f"{version}-{name}.zip")
            target.with_suffix(".txt").write_text(replayed(target, Path(folder)), encoding="utf-8")


def _keep_vault(repository: Repository, path: Path) -> None:
    """Keep what a vault holds as a ZIP of files that are called by their digests."""
    path.parent.mkdir(exist_ok=True)
    with ZipFile(path, "w", ZIP_DEFLATED) as file:
        for content in repository.vault.contents():
            file.writestr(content.digest.rpartition(":")[2], repository.vault.read(content.digest))


if __name__ == "__main__":
    make(*sys.argv[1:])
