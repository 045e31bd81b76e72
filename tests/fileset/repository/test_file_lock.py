"""The lock on a file: of one thread of one process at a time, and never of a child."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from fileset.repository.file_lock import FileLock

HOLD = (
    "import sys; from pathlib import Path; from fileset.repository.file_lock import FileLock;"
    "FileLock(Path(sys.argv[1])).acquire(0); print('held', flush=True); sys.stdin.read()"
)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "lock"


def test_is_had_by_one_object_at_a_time(path: Path) -> None:
    one, other = FileLock(path), FileLock(path)
    assert one.acquire(0)
    assert not other.acquire(0)
    one.release()
    assert other.acquire(0)
    other.release()


def test_can_be_taken_again_and_goes_with_the_last_release(path: Path) -> None:
    one, other = FileLock(path), FileLock(path)
    assert one.acquire(0)
    assert one.acquire(0)
    one.release()
    assert one.is_mine
    assert not other.acquire(0)
    one.release()
    assert not one.is_mine
    assert other.acquire(0)
    other.release()


def test_is_not_had_by_another_thread_of_the_same_object(path: Path) -> None:
    lock = FileLock(path)
    assert lock.acquire(0)
    had: list[bool] = []
    thread = threading.Thread(target=lambda: had.append(lock.acquire(0)))
    thread.start()
    thread.join()
    assert had == [False]
    lock.release()


def test_is_waited_for(path: Path) -> None:
    held, wanted = threading.Event(), threading.Event()

    def hold() -> None:
        one = FileLock(path)
        one.acquire(0)
        held.set()
        wanted.wait()
        one.release()

    thread = threading.Thread(target=hold)
    thread.start()
    held.wait()
    other = FileLock(path)
    assert not other.acquire(0.01)
    threading.Timer(0.02, wanted.set).start()
    assert other.acquire(60)
    other.release()
    thread.join()


def test_goes_with_its_process_however_that_ends(path: Path) -> None:
    command = [sys.executable, "-c", HOLD, str(path)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as holder:
        assert holder.stdout is not None
        assert holder.stdout.readline() == b"held\n"
        lock = FileLock(path)
        assert not lock.acquire(0)
        holder.kill()
        holder.wait()
        assert lock.acquire(0)
    lock.release()


def test_is_not_kept_by_a_forked_process(path: Path) -> None:
    lock = FileLock(path)
    assert lock.acquire(0)
    ours, theirs = os.pipe()
    child = os.fork()
    if not child:
        os.close(theirs)
        os.read(ours, 1)  # until the parent has looked
        os._exit(0)
    try:
        lock.release()
        assert FileLock(path).acquire(0)
    finally:
        os.close(theirs)
        os.close(ours)
        os.waitpid(child, 0)


def test_one_that_was_deleted_is_made_again(path: Path) -> None:
    one, other = FileLock(path), FileLock(path)
    assert one.acquire(0)
    path.unlink()
    assert other.acquire(0)
    assert path.stat().st_mode & 0o777 == 0o600
    one.release()
    other.release()


def test_what_cannot_be_locked_says_why(path: Path) -> None:
    path.mkdir()
    with pytest.raises(IsADirectoryError):
        FileLock(path).acquire(0)
