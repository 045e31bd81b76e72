"""A disc counts as burnt once it was read back and is equal to the image; never before."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest
from cli_runs import CT, MR
from fake_xorriso import fail, install

from fileset import FileSet
from fileset.errors import RefusedError
from fileset.media import burn as burning
from fileset.media.burn import Burner, Difference
from fileset.media.xorriso import Settings
from fileset.medium.errors import MediumError
from ledger.events import MediumBurnt

HAS_XORRISO = shutil.which("xorriso") is not None
needs_xorriso = pytest.mark.skipif(not HAS_XORRISO, reason="xorriso is not installed")


@pytest.fixture
def disc(fs: FileSet, tmp_path: Path) -> Path:
    """The image of two patients."""
    fs.add_many([CT, MR])
    fs.media.make(tmp_path / "disc.iso")
    return tmp_path / "disc.iso"


def burnt(fs: FileSet) -> list[MediumBurnt]:
    return [e.event for e in fs.repository.journal.read() if isinstance(e.event, MediumBurnt)]


@needs_xorriso
def test_xorriso_burns_a_disc_that_is_then_recorded(
    fs: FileSet, disc: Path, tmp_path: Path
) -> None:
    told: list[str] = []
    done = fs.media.burn(
        disc, f"stdio:{tmp_path / 'drive'}", reason="for the ward",
        progress=lambda what, *_: told.append(what),
    )  # fmt: skip
    assert (tmp_path / "drive").read_bytes().startswith(disc.read_bytes())
    (medium,) = fs.media.list()
    assert done.medium is not None
    assert done.difference is None
    ((change, event),) = medium.burnt
    assert (event.device, event.image) == (f"stdio:{tmp_path / 'drive'}", done.image.digest)
    assert change.reason == "for the ward"
    assert told[0] == "Reading the image"
    assert told[-1] == "Reading back"


@needs_xorriso
@pytest.mark.parametrize(
    ("device", "why"),
    [("/dev/null", ".*put `stdio:` before the path"), ("stdio:/dev/full", "It is full")],
)
def test_what_xorriso_says_is_told_with_what_to_do(
    fs: FileSet, disc: Path, device: str, why: str
) -> None:
    with pytest.raises(MediumError, match=f"The disc was not burnt: {why}"):
        fs.media.burn(disc, device)
    assert not burnt(fs)


@pytest.mark.parametrize("device", ["/nowhere/sr0", "NAME", "disc.iso"])
def test_a_device_that_is_none_gets_no_file_and_no_record(
    fs: FileSet, disc: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, device: str
) -> None:
    monkeypatch.chdir(tmp_path)
    install(tmp_path, monkeypatch)
    with pytest.raises(RefusedError, match=f"There is no such device as {device}: .* `stdio:`"):
        fs.media.burn(disc, device)
    assert not Path("NAME").exists()
    assert not burnt(fs)


@pytest.mark.parametrize(
    ("message", "why"),
    [
        ("Cannot open busy device '/dev/sr0'", "Another program uses the drive"),
        ("No media detected in drive", "no disc in the drive"),
        ("Image size 400s exceeds free space on media 100s", "takes 819,200 bytes, .* has 204,800"),
        ("Media is not blank", "not empty: .*--blank"),
        ("SCSI error on write(12345,16)", r"xorriso: SCSI error on write\(12345,16\)"),
    ],
)
def test_each_failure_of_a_drive_is_told_with_what_to_do(
    fs: FileSet, disc: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, message: str, why: str
) -> None:
    install(tmp_path, monkeypatch, begin=fail(message, "Job could not be performed properly."))
    with pytest.raises(MediumError, match=why):
        fs.media.burn(disc, f"stdio:{tmp_path / 'drive'}")
    assert not burnt(fs)


def test_a_killed_xorriso_is_told(
    fs: FileSet, disc: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    install(tmp_path, monkeypatch, end="os.kill(os.getpid(), signal.SIGKILL)")
    with pytest.raises(MediumError, match="xorriso was killed by signal 9"):
        fs.media.burn(disc, f"stdio:{tmp_path / 'drive'}")
    assert not burnt(fs)


def test_speed_and_blanking_are_passed_on(
    fs: FileSet, disc: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    calls = install(tmp_path, monkeypatch)
    device = f"stdio:{tmp_path / 'drive'}"
    fs.media.burn(disc, device)
    fs.media.burn(disc, device, speed=8, blank=True)
    assert calls.read_text().splitlines() == [
        f"-as cdrecord -v dev={device} -data {disc}",
        f"-as cdrecord -v dev={device} speed=8 blank=as_needed -data {disc}",
    ]
    assert len(burnt(fs)) == 2


def test_the_disc_is_put_out_after_it_was_recorded(
    fs: FileSet, disc: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    calls = install(tmp_path, monkeypatch, end="if '-eject' in sys.argv: sys.exit(5)")
    with pytest.raises(MediumError, match="was burnt and read back, and not put out"):
        Burner(fs.repository).burn(disc, f"stdio:{tmp_path / 'drive'}", Settings(), put_out=True)
    assert calls.read_text().endswith("-eject\n")
    assert burnt(fs)


# --- reading back --------------------------------------------------------------------------------


@pytest.mark.parametrize("in_file", [True, False])
def test_a_disc_that_differs_is_told_with_the_byte_and_the_file_and_not_recorded(
    fs: FileSet, disc: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, in_file: bool
) -> None:
    at = disc.read_bytes().index(Path(MR).read_bytes()) + 500 if in_file else 17
    install(
        tmp_path, monkeypatch,
        end=f"data = bytearray(open(place, 'rb').read()); data[{at}] ^= 1; "
        "open(place, 'wb').write(data)",
    )  # fmt: skip
    done = fs.media.burn(disc, f"stdio:{tmp_path / 'drive'}")
    path = "PT000001/ST000000/SE000000/IM000000" if in_file else None
    assert done.difference == Difference(at, path)
    assert not burnt(fs)


def test_a_disc_that_ends_early_is_told(
    fs: FileSet, disc: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    install(tmp_path, monkeypatch, end="os.truncate(place, 60_000)")
    done = fs.media.burn(disc, f"stdio:{tmp_path / 'drive'}")
    assert done.difference is not None
    assert (done.difference.at, done.difference.ends) == (60_000, True)
    assert not burnt(fs)


def test_a_disc_that_can_not_be_read_back_is_not_recorded(
    fs: FileSet, disc: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    install(tmp_path, monkeypatch, end="os.unlink(place)")
    with pytest.raises(MediumError, match=r"not read back: .*drive can't be opened: No such file"):
        fs.media.burn(disc, f"stdio:{tmp_path / 'drive'}")
    assert not burnt(fs)


def test_an_image_that_changes_while_it_is_burnt_is_not_recorded(
    fs: FileSet, disc: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    change = "for each in (image, place): f = open(each, 'r+b'); f.write(b'other'); f.close()"
    install(tmp_path, monkeypatch, end=change)
    with pytest.raises(MediumError, match=r"disc\.iso has changed while it was burnt"):
        fs.media.burn(disc, f"stdio:{tmp_path / 'drive'}")
    assert not burnt(fs)


def test_an_erasure_that_comes_meanwhile_is_seen_before_it_is_recorded(
    fs: FileSet, disc: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    install(tmp_path, monkeypatch)
    read_back = burning._is_there

    def erase_first(*arguments: object) -> bool:
        with FileSet.open(fs.repository.path) as other:  # type: ignore[arg-type]
            other.erase(PatientID="4MR1", reason="asked for", take_off=True)
        return read_back(*arguments)  # type: ignore[arg-type]

    monkeypatch.setattr(burning, "_is_there", erase_first)
    with pytest.raises(RefusedError, match="Data on medium 1 was erased"):
        fs.media.burn(disc, f"stdio:{tmp_path / 'drive'}")
    assert not burnt(fs)
    with pytest.raises(RefusedError, match="Data on medium 1 was erased"):
        Burner(fs.repository).find(disc)


def test_others_can_change_the_file_set_while_a_disc_is_burnt(
    fs: FileSet, disc: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    install(
        tmp_path,
        monkeypatch,
        end=f"while not os.path.exists({str(tmp_path / 'go')!r}): time.sleep(0.01)",
    )
    writer = threading.Thread(target=lambda: _tag_and_go(fs.repository.path, tmp_path / "go"))
    writer.start()
    fs.media.burn(disc, f"stdio:{tmp_path / 'drive'}")
    writer.join()
    assert len(burnt(fs)) == 1
    assert "meanwhile" in fs.tags


def _tag_and_go(repository: Path | None, go: Path) -> None:
    assert repository is not None
    with FileSet.open(repository) as other:
        other.tag("meanwhile")
    go.touch()


@pytest.mark.parametrize("sent", [signal.SIGINT, signal.SIGTERM, signal.SIGKILL])
def test_a_burn_that_is_stopped_is_not_recorded_and_stops_the_drive(
    fs: FileSet, disc: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, sent: signal.Signals
) -> None:
    begun = tmp_path / "begun"
    install(
        tmp_path, monkeypatch,
        end=f"open({str(begun)!r}, 'w').write(str(os.getpid())); time.sleep(60)",
    )  # fmt: skip
    process = subprocess.Popen(
        [sys.executable, "-m", "fileset", "--repo", fs.repository.path, "media", "burn", disc,
         "--device", f"stdio:{tmp_path / 'drive'}"],
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip
    while not (begun.exists() and begun.read_text()):
        assert process.poll() is None
        time.sleep(0.01)
    xorriso = int(begun.read_text())
    process.send_signal(sent)
    _, err = process.communicate()
    assert not burnt(fs)
    if sent is signal.SIGINT:
        assert process.returncode == 130
        assert "Interrupted" in err
        with pytest.raises(ProcessLookupError):
            os.kill(xorriso, 0)
    else:
        os.kill(xorriso, signal.SIGKILL)


# --- what is refused -----------------------------------------------------------------------------


def test_another_file_is_refused_unless_it_is_burnt_anyway_and_then_not_recorded(
    fs: FileSet, disc: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    install(tmp_path, monkeypatch)
    other = tmp_path / "other.iso"
    other.write_bytes(disc.read_bytes() + b"more")
    device = f"stdio:{tmp_path / 'drive'}"
    with pytest.raises(RefusedError, match=r"other\.iso is no medium that this journal tells of"):
        fs.media.burn(other, device)
    assert not (tmp_path / "drive").exists()
    done = Burner(fs.repository).burn(other, device, Settings(), anyway=True)
    assert (done.medium, done.difference) == (None, None)
    assert (tmp_path / "drive").read_bytes().startswith(other.read_bytes())
    assert not burnt(fs)


def test_of_media_with_the_same_bytes_the_named_one_is_burnt_or_the_newest(
    fs: FileSet, disc: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    install(tmp_path, monkeypatch)
    fs.media.make(tmp_path / "again.iso", recipient="another one")
    device = f"stdio:{tmp_path / 'drive'}"
    fs.media.burn(disc, device)
    fs.media.burn(disc, device, number=1, blank=True)
    first, second = (medium.position for medium in fs.media.list())
    assert [event.started for event in burnt(fs)] == [second, first]
    with pytest.raises(RefusedError, match=r"disc\.iso is not medium 3"):
        fs.media.burn(disc, device, number=3, blank=True)


def test_a_stick_is_burnt_over_only_where_that_was_said(
    fs: FileSet, disc: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    install(tmp_path, monkeypatch)
    monkeypatch.setattr("stat.S_ISBLK", lambda _: True)
    with pytest.raises(RefusedError, match="All that is on /dev/null would go: --blank"):
        fs.media.burn(disc, "stdio:/dev/null")


def test_the_image_of_a_stick_is_not_burnt(fs: FileSet, disc: Path, tmp_path: Path) -> None:
    fs.media.make(tmp_path / "stick.img")
    with pytest.raises(RefusedError, match="is not the image of a disc"):
        Burner(fs.repository).find(tmp_path / "stick.img")


def test_a_file_is_burnt_over_only_where_that_was_said(
    fs: FileSet, disc: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    install(tmp_path, monkeypatch)
    (tmp_path / "mine").write_text("mine")
    assert fs.repository.path is not None
    for device, why in (
        (f"stdio:{tmp_path / 'mine'}", "is not empty"),
        (f"stdio:{disc}", "is the image itself"),
        (f"stdio:{fs.repository.path / 'drive'}", "is in the repository"),
        (os.fspath(tmp_path), "is a folder"),
    ):
        with pytest.raises(RefusedError, match=why):
            fs.media.burn(disc, device)
    assert (tmp_path / "mine").read_text() == "mine"


def test_without_xorriso_it_is_one_sentence(
    fs: FileSet, disc: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", os.fspath(tmp_path))
    with pytest.raises(RefusedError, match="needs the program xorriso: install it"):
        fs.media.burn(disc, f"stdio:{tmp_path / 'drive'}")
