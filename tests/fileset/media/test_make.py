"""Media that are handed out: the same state and choice give the same bytes, each made once only."""

from __future__ import annotations

import hashlib
import io
import itertools
import os
import shutil
import subprocess
import sys
import threading
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from cli_runs import CT, MR, OVERLAY
from golden_journals import changed
from pydicom import dcmread

from fileset import FileSet, output
from fileset.conformance import examine_root
from fileset.errors import NoSuchInstanceError, RefusedError
from fileset.media import make as making
from fileset.media.choice import Choice
from fileset.media.extras import Extras
from fileset.media.make import Maker
from fileset.medium.errors import MediumError
from fileset.output import refuse_without_room
from fileset.repository.garbage import collect
from fileset.repository.repository import Repository
from ledger.errors import ContentDamagedError, ContentMissingError
from ledger.events import ContentRecorded, OtherFile
from projections.medium.handout import CHECKSUMS
from projections.medium.pending import pending


def digest(path: Path) -> str:
    return f"sha256:{hashlib.sha256(path.read_bytes()).hexdigest()}"


def seconds_of(recorded_at: str) -> float:
    return datetime.fromisoformat(recorded_at).timestamp()


def files(root: Path) -> dict[str, bytes]:
    return {
        path.relative_to(root).as_posix(): path.read_bytes()
        for path in sorted(root.rglob("*"))
        if path.is_file()
    }


@pytest.fixture
def filled(fs: FileSet) -> FileSet:
    """Two patients, and an ID."""
    fs.add_many([CT, MR])
    fs.ID = "CLINIC"
    return fs


# --- what is on it -------------------------------------------------------------------------------


def test_a_medium_is_recorded_with_its_digest_its_size_and_for_whom_it_is(
    filled: FileSet, tmp_path: Path
) -> None:
    (made,) = filled.media.make(
        tmp_path / "disc.iso", recipient="Dr. Weiss", label="second opinion", reason="asked for"
    )
    assert made.produced is not None
    assert made.produced.image.digest == digest(tmp_path / "disc.iso")
    assert made.produced.image.size == (tmp_path / "disc.iso").stat().st_size
    assert (made.number, made.recipient, made.started.count) == (1, "Dr. Weiss", 2)
    assert made.change.reason == "asked for"
    assert filled.media.list() == [made]


def test_a_folder_has_the_instances_a_dicomdir_and_their_digests(
    filled: FileSet, tmp_path: Path
) -> None:
    filled.media.make(tmp_path / "out")
    found = files(tmp_path / "out")
    ct, mr = "PT000000/ST000000/SE000000/IM000000", "PT000001/ST000000/SE000000/IM000000"
    assert list(found) == ["DICOMDIR", ct, mr, CHECKSUMS]
    assert (found[ct], found[mr]) == (Path(CT).read_bytes(), Path(MR).read_bytes())
    lines = [
        f"{hashlib.sha256(found[path]).hexdigest()}  {path}\n" for path in ("DICOMDIR", ct, mr)
    ]
    assert found[CHECKSUMS].decode() == "".join(lines)
    assert not examine_root(tmp_path / "out").findings


@pytest.mark.skipif(shutil.which("sha256sum") is None, reason="there is no sha256sum")
def test_sha256sum_checks_a_medium(filled: FileSet, tmp_path: Path) -> None:
    filled.media.make(tmp_path / "out")
    subprocess.run(
        ["sha256sum", "--check", "--strict", CHECKSUMS], cwd=tmp_path / "out", check=True
    )


def test_files_have_the_time_at_which_they_were_recorded(tmp_path: Path) -> None:
    seconds = itertools.count(1_700_000_000, 100)
    repository = Repository.ephemeral(clock=lambda: datetime.fromtimestamp(next(seconds), UTC))
    fs = FileSet(repository=repository)
    fs.add(CT)
    fs.add(MR)
    fs.ID = "CLINIC"
    fs.tag("sent")
    fs.media.make(tmp_path / "out")
    ct, mr, identified = (
        change.recorded_at for change in itertools.islice(repository.journal.changes(), 3)
    )
    times = {
        path.relative_to(tmp_path / "out").as_posix(): path.stat().st_mtime
        for path in (tmp_path / "out").rglob("*")
    }
    assert times["PT000000/ST000000/SE000000/IM000000"] == seconds_of(ct)
    assert times["PT000001/ST000000/SE000000/IM000000"] == seconds_of(mr)
    for name in ("DICOMDIR", CHECKSUMS, "PT000000", "PT000000/ST000000"):
        assert times[name] == seconds_of(identified)


def test_the_order_of_files_is_that_of_the_dicomdir(filled: FileSet, tmp_path: Path) -> None:
    filled.add(OVERLAY)
    planned = Maker(filled.repository).plan(tmp_path / "a.iso", filled.state, Choice("iso"))
    paths = [part.path for part in planned[0][1].parts]
    records = dcmread(io.BytesIO(planned[0][1].parts[0].data or b"")).DirectoryRecordSequence
    listed = ["/".join(r.ReferencedFileID) for r in records if "ReferencedFileID" in r]
    assert paths == ["DICOMDIR", *listed, CHECKSUMS]


def test_other_files_on_a_medium_are_named_with_their_content(
    filled: FileSet, tmp_path: Path
) -> None:
    with filled.repository.vault.batch() as batch:
        content = batch.add(b"read me")
    choice = Choice("folder", files=(OtherFile("README.TXT", content),))
    Maker(filled.repository).make(tmp_path / "out", filled.state, choice)
    assert (tmp_path / "out" / "README.TXT").read_bytes() == b"read me"
    assert b"README.TXT" in (tmp_path / "out" / CHECKSUMS).read_bytes()
    assert not collect(filled.repository)  # the event names it


def test_a_descriptor_file_is_named_only_where_it_is_on_the_medium(
    filled: FileSet, tmp_path: Path
) -> None:
    filled.descriptor_file_id = "README"
    filled.media.make(tmp_path / "without")
    with filled.repository.vault.batch() as batch:
        content = batch.add(b"read me")
    choice = Choice("folder", files=(OtherFile("README", content),))
    Maker(filled.repository).make(tmp_path / "with", filled.state, choice)
    named = [
        "FileSetDescriptorFileID" in dcmread(tmp_path / root / "DICOMDIR")
        for root in ("without", "with")
    ]
    assert named == [False, True]


# --- the same bytes ------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["disc.iso", "folder"])
def test_making_twice_in_a_row_gives_the_same_bytes(
    filled: FileSet, tmp_path: Path, name: str
) -> None:
    for folder in ("1", "2"):
        (tmp_path / folder).mkdir()
    (first,) = filled.media.make(tmp_path / "1" / name)
    filled.write(tmp_path / "medium")
    filled.tag("sent")
    (second,) = filled.media.make(tmp_path / "2" / name)
    assert first.produced is not None
    assert second.produced is not None
    assert first.produced.image == second.produced.image
    assert first.started.base == second.started.base


def test_what_was_written_before_does_not_show(filled: FileSet, tmp_path: Path) -> None:
    filled.media.make(tmp_path / "before.iso")
    filled.write(tmp_path / "medium")
    filled.remove(filled.find(PatientID="1CT1"))
    filled.write(layout="existing")
    filled.undo()
    filled.write()
    (after,) = filled.media.make(tmp_path / "after")
    assert sorted(files(tmp_path / "after"))[1].startswith("PT000000/")
    assert after.started.uid == filled.UID


def test_neither_time_zone_nor_python_s_hash_seed_shows(filled: FileSet, tmp_path: Path) -> None:
    (made,) = filled.media.make(tmp_path / "here.iso")
    script = (
        "import sys; from fileset import FileSet; FileSet.open(sys.argv[1]).media.make(sys.argv[2])"
    )
    for number, zone in enumerate(("Asia/Tokyo", "America/Lima")):
        subprocess.run(
            [sys.executable, "-c", script, filled.repository.path, tmp_path / f"{number}.iso"],
            env={**os.environ, "TZ": zone, "PYTHONHASHSEED": str(number)},
            check=True,
        )
        assert made.produced is not None
        assert digest(tmp_path / f"{number}.iso") == made.produced.image.digest


def test_a_stream_gets_the_bytes_of_the_file(filled: FileSet, tmp_path: Path) -> None:
    filled.media.make(tmp_path / "disc.iso")
    stream = io.BytesIO()
    filled.media.make(stream, kind="iso")
    assert stream.getvalue() == (tmp_path / "disc.iso").read_bytes()


def test_a_former_state_is_handed_out_as_it_was(filled: FileSet, tmp_path: Path) -> None:
    filled.media.make(tmp_path / "then.iso")
    position = filled.state.position
    filled.add(OVERLAY)
    filled.at(position).media.make(tmp_path / "now.iso")
    assert digest(tmp_path / "then.iso") == digest(tmp_path / "now.iso")


# --- a choice ------------------------------------------------------------------------------------


def test_all_of_a_file_set_keeps_its_uid_and_a_choice_has_one_of_its_own(
    filled: FileSet, tmp_path: Path
) -> None:
    everything, ct, mr, again = (
        filled.media.make(tmp_path / f"{number}.iso", chosen)[0]
        for number, chosen in enumerate(
            (
                list(filled),
                filled.find(PatientID="1CT1"),
                filled.find(PatientID="4MR1"),
                filled.find(PatientID="1CT1"),
            )
        )
    )
    assert everything.started.uid == filled.UID
    assert ct.started.uid == again.started.uid
    assert len({everything.started.uid, ct.started.uid, mr.started.uid}) == 3
    assert ct.started.uid.startswith("2.25.")
    assert digest(tmp_path / "1.iso") == digest(tmp_path / "3.iso")


def test_a_choice_tells_of_nobody_else(fs: FileSet, tmp_path: Path) -> None:
    fs.add(CT)
    other = changed(
        Path(CT), tmp_path / "other.dcm", PatientName="Other^Person", SOPInstanceUID="1.2.3.4"
    )
    fs.add_many([other])  # under the same Patient ID, and the same records
    fs.media.make(tmp_path / "out", fs.find(SOPInstanceUID="1.2.3.4"))
    dicomdir = (tmp_path / "out" / "DICOMDIR").read_bytes()
    assert b"Other^Person" in dicomdir
    assert b"CompressedSamples" not in dicomdir


def test_nothing_chosen_and_no_such_instance_are_refused(filled: FileSet, tmp_path: Path) -> None:
    gone = filled.find(PatientID="1CT1")
    filled.remove(gone)
    with pytest.raises(RefusedError, match="No instance matches"):
        filled.media.make(tmp_path / "a.iso", [])
    with pytest.raises(NoSuchInstanceError):
        filled.media.make(tmp_path / "a.iso", gone)
    assert filled.media.list() == []


# --- what it does not change ---------------------------------------------------------------------


def test_handing_out_is_neither_staged_nor_undone(filled: FileSet, tmp_path: Path) -> None:
    filled.write(tmp_path / "medium")
    filled.media.make(tmp_path / "disc.iso")
    filled.media.verify(tmp_path / "disc.iso")
    assert pending(filled.state).summary() == ""
    filled.undo()
    assert filled.ID is None
    assert len(filled.media.list()) == 1


# --- content from elsewhere ----------------------------------------------------------------------


def test_what_was_added_by_reference_is_taken_into_the_vault_first(
    fs: FileSet, tmp_path: Path
) -> None:
    source = Path(shutil.copy(CT, tmp_path / "ct.dcm"))
    fs.add_many([source], reference=True)
    fs.media.make(tmp_path / "out")
    source.unlink()
    (made,) = fs.media.make(tmp_path / "again")
    assert files(tmp_path / "out") == files(tmp_path / "again")
    assert made.number == 2


def test_an_adopted_medium_is_read_once_and_the_position_stays(tmp_path: Path) -> None:
    with FileSet() as source:
        source.add_many([CT, MR])
        source.write(tmp_path / "cd")
    with FileSet(tmp_path / "cd" / "DICOMDIR", repository=tmp_path / "repository") as fs:
        (made,) = fs.media.make(tmp_path / "disc.iso")
        shutil.rmtree(tmp_path / "cd")
        (again,) = fs.media.make(tmp_path / "again.iso")
        recorded = [
            each.event
            for each in fs.repository.journal.read()
            if isinstance(each.event, ContentRecorded)
        ]
    assert made.produced is not None
    assert again.produced is not None
    assert made.produced.image == again.produced.image
    assert len(recorded) == 2


def test_instances_whose_bytes_are_nowhere_are_named_and_nothing_is_made(
    fs: FileSet, tmp_path: Path
) -> None:
    gone, altered = (Path(shutil.copy(p, tmp_path / f"{n}.dcm")) for n, p in enumerate((CT, MR)))
    fs.add_many([gone, altered], reference=True)
    gone.unlink()
    altered.write_bytes(b"something else")
    with pytest.raises(ContentMissingError) as raised:
        fs.media.make(tmp_path / "disc.iso")
    uids = [str(dcmread(p).SOPInstanceUID) for p in (CT, MR)]
    assert all(uid in str(raised.value) for uid in uids)
    assert not (tmp_path / "disc.iso").exists()
    assert fs.media.list() == []


def test_instances_whose_vault_is_gone_are_named_with_where_they_were(
    filled: FileSet, tmp_path: Path
) -> None:
    assert filled.repository.path is not None
    shutil.rmtree(filled.repository.path / "vault")
    with (
        FileSet.open(filled.repository.path) as fs,
        pytest.raises(ContentMissingError, match="not in the repository") as raised,
    ):
        fs.media.make(tmp_path / "disc.iso")
    assert str(raised.value).count(" (the vault had it)") == 2
    assert "bring the medium or the vault back" in str(raised.value)


def test_damaged_content_makes_no_medium(filled: FileSet, tmp_path: Path) -> None:
    assert filled.repository.path is not None
    (pack,) = (filled.repository.path / "vault").glob("*.pack*")
    data = bytearray(pack.read_bytes())
    data[len(data) // 2] ^= 1
    pack.write_bytes(data)
    with pytest.raises(ContentDamagedError, match="IM000000 is damaged"):
        filled.media.make(tmp_path / "disc.iso")
    assert os.listdir(tmp_path) == ["repository"]  # noqa: PTH208 - hidden files count
    assert [medium.produced for medium in filled.media.list()] == [None]


def test_content_that_is_lost_meanwhile_is_named_with_what_to_do(
    filled: FileSet, tmp_path: Path
) -> None:
    assert filled.repository.path is not None
    vault = filled.repository.path / "vault"

    def lose(what: str, *_: int) -> None:
        if what == phase:
            for pack in vault.glob("*.pack*"):
                pack.unlink()
            filled.repository.vault.close()

    for phase, named in (("Preparing", "the instance "), ("Writing", "PT00000")):
        kept = {path: path.read_bytes() for path in vault.iterdir()}
        with pytest.raises(ContentMissingError) as raised:
            filled.media.make(tmp_path / phase, extras=Extras(viewer=True), progress=lose)
        assert str(raised.value).startswith(f"The content of {named}")
        assert "`fileset verify` lists all that is. Add the files" in str(raised.value)
        for path, data in kept.items():
            path.write_bytes(data)


# --- where it goes -------------------------------------------------------------------------------


def test_a_file_is_replaced_only_if_that_is_asked_for(filled: FileSet, tmp_path: Path) -> None:
    (tmp_path / "disc.iso").write_bytes(b"mine")
    with pytest.raises(RefusedError, match="is there already"):
        filled.media.make(tmp_path / "disc.iso")
    assert (tmp_path / "disc.iso").read_bytes() == b"mine"
    assert filled.media.list() == []
    (made,) = filled.media.make(tmp_path / "disc.iso", replace=True)
    assert made.produced is not None
    assert digest(tmp_path / "disc.iso") == made.produced.image.digest


def test_a_folder_is_never_replaced(filled: FileSet, tmp_path: Path) -> None:
    (tmp_path / "out").mkdir()
    filled.media.make(tmp_path / "out")  # it is empty
    (tmp_path / "out" / "NOTES.TXT").write_text("mine")
    before = files(tmp_path / "out")
    with pytest.raises(RefusedError, match="is there already"):
        filled.media.make(tmp_path / "out", replace=True)
    assert files(tmp_path / "out") == before


def test_a_folder_that_is_that_medium_is_taken_as_it_is(filled: FileSet, tmp_path: Path) -> None:
    (first,) = filled.media.make(tmp_path / "out")
    inode = (tmp_path / "out" / "DICOMDIR").stat().st_ino
    (second,) = filled.media.make(tmp_path / "out")  # as if the first one had not been recorded
    assert (tmp_path / "out" / "DICOMDIR").stat().st_ino == inode
    assert first.produced is not None
    assert second.produced is not None
    assert second.produced.image == first.produced.image


def test_a_file_that_somebody_puts_there_meanwhile_stays(
    filled: FileSet, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_image = making.write_image

    def meanwhile(*args: Any, **options: Any) -> Any:
        (tmp_path / "disc.iso").write_bytes(b"mine")
        return write_image(*args, **options)

    monkeypatch.setattr(making, "write_image", meanwhile)
    with pytest.raises(MediumError, match="not finished"):
        filled.media.make(tmp_path / "disc.iso")
    assert (tmp_path / "disc.iso").read_bytes() == b"mine"
    assert [medium.produced for medium in filled.media.list()] == [None]


@pytest.mark.parametrize("where", ["repository/disc.iso", "medium/disc.iso", "repository/out"])
def test_no_medium_is_made_in_the_repository_or_on_the_file_set_s_own(
    filled: FileSet, tmp_path: Path, where: str
) -> None:
    filled.write(tmp_path / "medium")
    with pytest.raises(MediumError):
        filled.media.make(tmp_path / where)
    assert filled.media.list() == []


def test_a_disk_with_too_little_room_is_told_of_beforehand(
    filled: FileSet, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    filled.media.make(tmp_path / "first.iso")
    small = os.statvfs_result((4096, 4096, 100, 50, 10, 0, 0, 0, 0, 255))
    monkeypatch.setattr(output.os, "statvfs", lambda _: small)
    with pytest.raises(RefusedError, match=r"takes 417,792 bytes, .* has 40,960 free"):
        filled.media.make(tmp_path / "disc.iso")
    with pytest.raises(RefusedError, match=r"takes 417,792 bytes, .* has 40,960 free"):
        filled.media.remake(1, tmp_path / "disc.iso")
    assert len(filled.media.list()) == 1


def test_there_is_room_on_a_disk_that_does_not_say(tmp_path: Path) -> None:
    refuse_without_room(tmp_path / "disc.iso", 1)


def test_a_full_device_and_a_closed_pipe_leave_a_medium_that_is_not_finished(
    filled: FileSet, tmp_path: Path
) -> None:
    with pytest.raises(MediumError, match=r"/dev/full can't be written, as its disk .* is full"):
        filled.media.make("/dev/full", kind="iso")
    reader, writer = os.pipe()
    os.close(reader)
    with (
        os.fdopen(writer, "wb", buffering=0) as stream,
        pytest.raises(MediumError, match="Nobody reads"),
    ):
        filled.media.make(stream, kind="iso")
    assert [medium.produced for medium in filled.media.list()] == [None, None]


def test_a_named_pipe_is_written_to_as_it_is(filled: FileSet, tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    got: list[bytes] = []
    reader = threading.Thread(target=lambda: got.append((tmp_path / "pipe").read_bytes()))
    reader.start()
    filled.media.make(tmp_path / "pipe", kind="iso")
    reader.join()
    filled.media.make(tmp_path / "disc.iso")
    assert got == [(tmp_path / "disc.iso").read_bytes()]


def test_an_interruption_leaves_nothing_but_a_medium_that_is_not_finished(
    filled: FileSet, tmp_path: Path
) -> None:
    def interrupt(what: str, done: int, total: int) -> None:
        raise KeyboardInterrupt

    for name in ("disc.iso", "out"):
        with pytest.raises(KeyboardInterrupt):
            filled.media.make(tmp_path / name, progress=interrupt)
    assert os.listdir(tmp_path) == ["repository"]  # noqa: PTH208 - hidden files count
    assert [medium.produced for medium in filled.media.list()] == [None, None]


def test_what_a_killed_process_left_is_deleted(filled: FileSet, tmp_path: Path) -> None:
    left = tmp_path / ".disc.iso.fileset-00000000"
    left.write_bytes(b"half an image")
    filled.media.make(tmp_path / "disc.iso")
    assert not left.exists()


# --- what comes meanwhile ------------------------------------------------------------------------


def test_an_erasure_meanwhile_is_seen_before_a_medium_is_called_finished(
    filled: FileSet, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    position = filled.state.position
    filled.remove(filled.find(PatientID="1CT1"))
    write_image = making.write_image

    def meanwhile(*args: Any, **options: Any) -> Any:
        written = write_image(*args, **options)
        assert filled.repository.path is not None
        with FileSet.open(filled.repository.path) as other:
            other.erase(PatientID="1CT1", reason="asked for")
        return written

    monkeypatch.setattr(making, "write_image", meanwhile)
    with pytest.raises(RefusedError, match="1 instance of it was erased meanwhile"):
        filled.at(position).media.make(tmp_path / "disc.iso")
    assert not (tmp_path / "disc.iso").exists()
    assert [medium.produced for medium in filled.media.list()] == [None]


def test_other_writers_change_the_file_set_and_not_the_medium(
    filled: FileSet, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    filled.media.make(tmp_path / "before.iso")
    write_image = making.write_image

    def meanwhile(*args: Any, **options: Any) -> Any:
        assert filled.repository.path is not None
        with FileSet.open(filled.repository.path) as other:
            other.remove(other.find(PatientID="1CT1"))
            collect(other.repository, dry_run=False)
        return write_image(*args, **options)

    monkeypatch.setattr(making, "write_image", meanwhile)
    (made,) = filled.media.make(tmp_path / "during.iso")
    assert digest(tmp_path / "during.iso") == digest(tmp_path / "before.iso")
    assert made.started.count == 2
    filled.refresh()
    assert len(filled) == 1


# --- several volumes -----------------------------------------------------------------------------


def test_each_volume_is_a_file_set_of_its_own(filled: FileSet, tmp_path: Path) -> None:
    filled.add(OVERLAY)
    made = filled.media.make(tmp_path / "disc.iso", capacity=718_928)
    assert [each.started.id for each in made] == ["CLINIC_1OF2", "CLINIC_2OF2"]
    assert [(each.started.volume, each.started.volumes) for each in made] == [(1, 2), (2, 2)]
    assert len({each.started.uid for each in made} | {str(filled.UID)}) == 3
    handles = [handle for each in made for handle in each.started.handles()]
    assert sorted(handles) == sorted(i.handle for i in filled)
    for each, name in zip(made, ("disc_1OF2.iso", "disc_2OF2.iso"), strict=True):
        assert each.produced is not None
        assert each.produced.image.digest == digest(tmp_path / name)
        assert each.produced.image.size <= 850_000


def test_what_fits_on_one_volume_is_the_file_set_itself(filled: FileSet, tmp_path: Path) -> None:
    (made,) = filled.media.make(tmp_path / "disc.iso", capacity="cd74")
    assert (made.started.uid, made.started.id) == (filled.UID, "CLINIC")


def test_volumes_of_a_file_set_without_an_id_have_one_in_common(
    fs: FileSet, tmp_path: Path
) -> None:
    fs.add_many([CT, MR])
    one, two = fs.media.make(tmp_path / "out", capacity=61_384)
    assert one.started.id is not None
    assert two.started.id is not None
    assert one.started.id.endswith("_1OF2")
    assert two.started.id == one.started.id.replace("_1OF2", "_2OF2")


def test_a_mail_is_split_by_what_it_takes_in_base64(filled: FileSet, tmp_path: Path) -> None:
    filled.add(OVERLAY)
    filled.media.make(tmp_path / "all.eml")
    capacity = (tmp_path / "all.eml").stat().st_size - 1
    volumes = filled.media.make(tmp_path / "mail.eml", capacity=capacity)
    assert len(volumes) == 2
    sizes = [path.stat().st_size for path in tmp_path.glob("mail_*.eml")]
    assert capacity // 2 < max(sizes) <= capacity


def test_several_volumes_do_not_go_to_one_stream(filled: FileSet) -> None:
    with pytest.raises(RefusedError, match="2 volumes can't go to one pipe"):
        filled.media.make(io.BytesIO(), kind="iso", capacity=443_928)
    assert filled.media.list() == []


def test_a_plan_has_the_sizes_and_changes_nothing(fs: FileSet, tmp_path: Path) -> None:
    source = Path(shutil.copy(CT, tmp_path / "ct.dcm"))
    fs.add_many([source], reference=True)
    position = fs.state.position
    ((place, planned),) = Maker(fs.repository).plan(tmp_path / "a.iso", fs.state, Choice("iso"))
    assert (place, fs.repository.refresh().position) == (tmp_path / "a.iso", position)
    fs.media.make(tmp_path / "a.iso")
    assert (tmp_path / "a.iso").stat().st_size == planned.size
