"""Unfinished files: open for writing, or broken off right before the pixels."""

from __future__ import annotations

import errno
import os
from pathlib import Path

import pytest
from cli_runs import CT, MR, Cli, changed
from watched import House, added, digests, drop, until

from fileset.watching import After, delete_or_move, intake, unfinished
from fileset.watching.unfinished import lacks_pixels
from ledger.files import stamp_of

PIXEL_DATA = b"\xe0\x7f\x10\x00OW"


def before_pixels(data: bytes) -> bytes:
    return data[: data.rindex(PIXEL_DATA)]


@pytest.fixture(autouse=True)
def _leases(tmp_path: Path) -> None:
    path = tmp_path / "probe"
    path.touch()
    if unfinished.is_being_written(os.fspath(path)) is None:
        pytest.skip("the file system knows no leases")


def test_whether_a_file_is_open_for_writing_is_known(tmp_path: Path) -> None:
    path = tmp_path / "a"
    path.write_bytes(b"one")
    with path.open("rb"):
        assert unfinished.is_being_written(os.fspath(path)) is False
    with path.open("r+b"):
        assert unfinished.is_being_written(os.fspath(path)) is True
    assert unfinished.is_being_written(os.fspath(path)) is False
    with pytest.raises(FileNotFoundError):
        unfinished.is_being_written(os.fspath(tmp_path / "none"))


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
        assert unfinished.is_being_written(os.fspath(path)) is None
    found = stamp_of(os.fspath(path))
    assert found is not None
    assert delete_or_move.delete(os.fspath(path), found)


def test_a_file_of_its_final_size_that_is_still_being_written_is_not_taken(home: House) -> None:
    path = home.inbox / "pre"
    with home.watched(after=After.DELETE) as watcher:
        with path.open("wb", buffering=0) as file:
            file.truncate(len(MR.read_bytes()))
            file.write(MR.read_bytes()[:4000])
            scans = watcher.status["scans"]
            for _ in range(3):  # long after it would have settled
                watcher._folders[0].next_scan = 0.0
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
    assert len(turns.intake.studies) == 1
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
    home: House, after: After
) -> None:
    path = drop(home.inbox, "a", CT.read_bytes())
    known = stamp_of(os.fspath(path))
    assert known is not None
    done = home.path / "done"
    with path.open("r+b"):
        refused = pytest.raises(BlockingIOError, match="open for writing")
        if after is After.DELETE:
            with refused:
                delete_or_move.delete(os.fspath(path), known)
        else:
            with refused:
                delete_or_move.move(os.fspath(path), known, os.fspath(home.inbox), done)
    assert home.names() == ["a"]
    assert not (done / "a").exists()
    home.drain(after=after, move_to=done if after is After.MOVE else None)
    assert home.names() == []


def test_once_leaves_a_file_that_nobody_closes(
    home: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(intake, "_CHANGING_ONCE", 0.2)
    drop(home.inbox, "b", MR.read_bytes())
    with drop(home.inbox, "a", CT.read_bytes()).open("r+b"):
        watcher = home.watcher(once=True, after=After.DELETE)
        assert not watcher.run()
    assert (watcher.status["ingested"], watcher.status["pending"]) == (1, 1)
    assert home.names() == ["a"]


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
