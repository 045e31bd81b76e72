"""Files that look complete and are not, and folders that look empty and are away."""

from __future__ import annotations

import errno
import os
from pathlib import Path

import pytest
from cli_runs import CT, MR, RT_DOSE, Cli, changed
from watched import House, added, digests, drop, house, until

from fileset.errors import RefusedError
from fileset.watching import After, Watcher, folders, rounds, sources, writers
from fileset.watching.pixels import lacks_pixels
from fileset.watching.quarantine import Quarantine
from fileset.watching.signature import signature

PIXEL_DATA = b"\xe0\x7f\x10\x00OW"


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> House:
    monkeypatch.setattr(rounds, "_TEND", 0.05)
    monkeypatch.setattr(rounds, "_TELL", 0.02)
    return house(tmp_path)


@pytest.fixture(autouse=True)
def _leases(tmp_path: Path) -> None:
    path = tmp_path / "probe"
    path.touch()
    if writers.is_being_written(os.fspath(path)) is None:
        pytest.skip("the file system knows no leases")


def before_pixels(data: bytes) -> bytes:
    return data[: data.rindex(PIXEL_DATA)]


# --- files that others still have open ------------------------------------------------------------


def test_whether_a_file_is_open_for_writing_is_known(tmp_path: Path) -> None:
    path = tmp_path / "a"
    path.write_bytes(b"one")
    with path.open("rb"):
        assert writers.is_being_written(os.fspath(path)) is False
    with path.open("r+b"):
        assert writers.is_being_written(os.fspath(path)) is True
    assert writers.is_being_written(os.fspath(path)) is False
    with pytest.raises(FileNotFoundError):
        writers.is_being_written(os.fspath(tmp_path / "none"))


@pytest.mark.parametrize("number", [errno.EACCES, errno.EINVAL])
def test_without_leases_it_is_not_known(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, number: int
) -> None:
    def refuse(*_: object) -> int:
        raise OSError(number, os.strerror(number))

    path = tmp_path / "a"
    path.write_bytes(b"one")
    monkeypatch.setattr("fcntl.fcntl", refuse)
    with path.open("r+b"):
        assert writers.is_being_written(os.fspath(path)) is None
    found = signature(os.fspath(path))
    assert found is not None
    assert sources.delete(os.fspath(path), found)


def test_a_file_of_its_final_size_that_is_still_being_written_is_not_taken(home: House) -> None:
    path = home.inbox / "pre"
    with home.watched(after=After.DELETE) as watcher:
        with path.open("wb", buffering=0) as file:
            file.truncate(len(MR.read_bytes()))
            file.write(MR.read_bytes()[:4000])
            scans = watcher.status["scans"]
            for _ in range(3):  # long after it would have settled
                watcher._rounds._folders[0].next_scan = 0.0
                until(lambda: watcher.status["scans"] > scans)  # noqa: B023 - it is called at once
                scans = watcher.status["scans"]
                os.utime(path)
            until(lambda: watcher.status["settling"] == 1)
            assert added(home.repository) == []
            file.write(MR.read_bytes()[4000:])
        until(lambda: watcher.status["ingested"] == 1)
        until(lambda: home.names() == [])
    assert added(home.repository) == digests([MR.read_bytes()])
    assert watcher.status["seen"] == 1


def test_a_file_that_is_opened_while_its_study_waits_is_not_committed(home: House) -> None:
    clock = [0.0]
    watcher = home.watcher(clock=lambda: clock[0], settle=1.0, quiet=60.0, poll=1e9)
    turns = watcher._rounds
    path = drop(home.inbox, "a", CT.read_bytes())
    for clock[0] in (0.0, 1.0):
        turns.turn()
    assert len(turns._studies) == 1
    with path.open("r+b"):
        for clock[0] in (61.0, 62.0, 200.0):
            turns.turn()
            assert added(home.repository) == []
    for clock[0] in (300.0, 301.0, 400.0):
        turns.turn()
    turns.close()
    assert added(home.repository) == digests([CT.read_bytes()])


@pytest.mark.parametrize("after", [After.DELETE, After.MOVE])
def test_a_file_that_is_opened_before_it_is_to_go_stays_until_it_is_closed(
    home: House, after: After, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(rounds, "_LATER", 0.1)
    path = drop(home.inbox, "a", CT.read_bytes())
    known = signature(os.fspath(path))
    assert known is not None
    done = home.path / "done"
    with path.open("r+b"):
        refused = pytest.raises(BlockingIOError, match="open for writing")
        if after is After.DELETE:
            with refused:
                sources.delete(os.fspath(path), known)
        else:
            with refused:
                sources.move(os.fspath(path), known, os.fspath(home.inbox), done)
    assert home.names() == ["a"]
    assert not (done / "a").exists()
    home.drain(after=after, move_to=done if after is After.MOVE else None)
    assert home.names() == []


def test_once_leaves_a_file_that_nobody_closes(
    home: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(rounds, "_CHANGING_ONCE", 0.2)
    drop(home.inbox, "b", MR.read_bytes())
    with drop(home.inbox, "a", CT.read_bytes()).open("r+b"):
        watcher = home.watcher(once=True, after=After.DELETE)
        assert not watcher.run()
    assert (watcher.status["ingested"], watcher.status["pending"]) == (1, 1)
    assert home.names() == ["a"]


# --- files that were broken off right before the pixels -------------------------------------------


def test_an_image_without_pixels_may_be_incomplete() -> None:
    assert lacks_pixels(before_pixels(CT.read_bytes()))
    assert not lacks_pixels(CT.read_bytes())
    assert not lacks_pixels(CT.read_bytes()[:5000])  # which reading refuses
    assert not lacks_pixels(b"no DICOM")


def test_a_pause_right_before_the_pixels_does_not_keep_the_half(home: House) -> None:
    path = home.inbox / "a"
    with home.watched(tries=100) as watcher:
        path.write_bytes(before_pixels(CT.read_bytes()))
        until(lambda: watcher.status["retrying"] == 1)
        with path.open("ab") as file:
            file.write(CT.read_bytes()[len(before_pixels(CT.read_bytes())) :])
        until(lambda: watcher.status["ingested"] == 1)
        assert (watcher.status["seen"], watcher.status["quarantined"]) == (1, 0)
    assert added(home.repository) == digests([CT.read_bytes()])


def test_what_has_no_pixels_goes_into_the_quarantine_and_is_added_if_someone_says_so(
    home: House,
) -> None:
    drop(home.inbox, "a", before_pixels(CT.read_bytes()))
    assert home.drain()["quarantined"] == 1
    assert "may be incomplete" in home.quarantined()["a"][1]
    Cli(home.repository)("quarantine", "retry", "--all")
    assert len(added(home.repository)) == 1


def test_a_long_header_without_pixels_is_not_taken_either(home: House) -> None:
    """Which is not seen before all of the file is read."""
    long = home.path / "long"
    changed(CT, long, RedPaletteColorLookupTableData=bytes(200_000))
    drop(home.inbox, "a", before_pixels(long.read_bytes()))
    status = home.drain()
    assert (status["ingested"], status["quarantined"]) == (0, 1)


def test_a_file_that_was_rewritten_is_told_to_be_the_same(home: House) -> None:
    path = drop(home.inbox, "a", CT.read_bytes())
    home.drain()
    data = bytearray(CT.read_bytes())
    data[-200] ^= 1
    path.write_bytes(data)
    home.drain()
    assert home.quarantined()["a"][1].startswith("the file was rewritten after it was added")


# --- what the quarantine has of them --------------------------------------------------------------


def test_what_was_put_aside_of_a_copy_that_is_complete_by_now_is_dropped(home: House) -> None:
    path = drop(home.inbox, "a", CT.read_bytes()[:5000])
    drop(home.inbox, "b", b"something else")
    assert home.drain()["quarantined"] == 2
    path.write_bytes(CT.read_bytes())
    drop(home.inbox, "b", MR.read_bytes())  # no other part of what was put aside
    assert home.drain()["ingested"] == 2
    assert list(home.quarantined()) == ["b"]


def test_a_file_that_was_added_by_hand_is_not_put_aside_again(home: House) -> None:
    path = drop(home.inbox, "dose", RT_DOSE.read_bytes())
    home.drain()
    assert "retry ID --complete" in home.quarantined()["dose"][1]
    Cli(home.repository)("quarantine", "retry", "--all", "--complete")
    path.chmod(0o600)
    status = home.drain()
    assert (status["duplicates"], status["quarantined"]) == (1, 0)
    assert home.quarantined() == {}


def test_one_content_is_kept_once_however_often_it_is_put_aside(home: House) -> None:
    for name in "abc":
        drop(home.inbox, name, b"AUTORUN")
    home.drain()
    entries = list(Quarantine(home.repository))
    assert len(entries) == 3
    assert len({Quarantine(home.repository).bytes_of(e).stat().st_ino for e in entries}) == 1


def test_files_that_are_given_up_together_are_rejected_in_one_change(home: House) -> None:
    for name in "abc":
        drop(home.inbox, name, name.encode())
    home.drain()
    with home.file_set() as fs:
        assert sum(entry.origin == "watch:inbox" for entry in fs.history) == 1


def test_files_that_are_put_aside_are_moved_like_others(home: House) -> None:
    drop(home.inbox, "a/bad", b"no DICOM")
    home.drain(after=After.MOVE, move_to=home.path / "done")
    assert home.names() == []
    assert (home.path / "done" / "a" / "bad").read_bytes() == b"no DICOM"


def test_the_only_copy_is_deleted_only_if_someone_says_so(home: House) -> None:
    cli = Cli(home.repository)
    drop(home.inbox, "kept", b"kept")
    home.drain()
    drop(home.inbox, "gone", b"gone")
    home.drain(after=After.DELETE)
    message = cli("quarantine", "drop", "--all", code=3).err
    assert "gone" in message
    assert "--only-copies" in message
    assert len(home.quarantined()) == 2
    out = cli("quarantine", "drop", "--all", "--only-copies").out
    assert "2 files deleted from the quarantine" in out
    cli("quarantine", "list", "--only-copies", code=2)
    cli("quarantine", "retry", "--all", "--only-copies", code=2)


# --- folders --------------------------------------------------------------------------------------


def test_a_share_that_is_not_mounted_any_more_is_away(
    home: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    mounted = [os.fspath(home.path)]
    monkeypatch.setattr(folders, "mount_point", lambda _: mounted[0])
    with home.watched() as watcher:
        home.inbox.rename(home.path / "share")
        mounted[0] = "/"
        home.inbox.mkdir()  # the mount point below
        until(lambda: watcher.status["folders"][0]["state"] == "away")
        (told,) = watcher.status["folders"]
        assert told["trouble"] == f"nothing is mounted at {home.path}"
        drop(home.inbox, "a", CT.read_bytes())
        mounted[0] = os.fspath(home.path)
        home.inbox.rename(home.path / "point")
        (home.path / "share").rename(home.inbox)
        until(lambda: watcher.status["folders"][0]["state"] == "watching")
        drop(home.inbox, "b", MR.read_bytes())
        until(lambda: watcher.status["ingested"] == 1)
    assert added(home.repository) == digests([MR.read_bytes()])


def test_a_folder_that_is_not_there_at_the_start_is_waited_for_if_asked(home: House) -> None:
    home.inbox.rmdir()
    with pytest.raises(RefusedError, match="--await-folders"):
        home.watcher()
    with home.watcher(wait=True) as watcher:
        until(lambda: watcher.status["folders"][0]["trouble"])
        home.inbox.mkdir()
        drop(home.inbox, "a", CT.read_bytes())
        until(lambda: watcher.status["ingested"] == 1)
        with pytest.raises(RefusedError, match="watched already"):
            home.watcher().start()


def test_a_folder_that_holds_a_watched_one_is_refused(home: House) -> None:
    outer = home.inbox
    inner = home.inbox / "inner"
    inner.mkdir()
    with Watcher(home.file_set(), inner) as watcher:
        until(lambda: watcher.status["ready"])
        with pytest.raises(RefusedError, match="watched already"):
            Watcher(home.file_set(), outer).start()
