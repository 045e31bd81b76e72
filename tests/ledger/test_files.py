"""Files: read and copied with their digest, flushed to the disk, replaced in one step."""

from __future__ import annotations

import errno
import hashlib
import os
from pathlib import Path

import pytest

from ledger import disk
from ledger.digest import Digest, digest_of
from ledger.disk import fsync, fsync_all, replace_file
from ledger.errors import ContentDamagedError
from ledger.events import Content
from ledger.files import copy_file, file_content, read_file

SIZES = [0, 1, (1 << 20) - 1, 1 << 20, (1 << 20) + 1, 3 << 20]


def content_of(data: bytes) -> Content:
    return Content(digest_of(data), len(data))


def file_of(folder: Path, data: bytes) -> Path:
    path = folder / "source"
    path.write_bytes(data)
    return path


def copied(source: Path, *, expected: Content | None) -> bytes:
    target = source.with_name("target")
    fd = os.open(target, os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
    try:
        copy_file(source, fd, expected=expected)
    finally:
        os.close(fd)
    return target.read_bytes()


# --- content and copies --------------------------------------------------------------------------


@pytest.mark.parametrize("size", SIZES)
def test_the_content_of_a_file_is_its_digest_and_size(tmp_path: Path, size: int) -> None:
    data = os.urandom(size)
    content = file_content(file_of(tmp_path, data))
    assert content == Content(Digest(f"sha256:{hashlib.sha256(data).hexdigest()}"), size)


def test_a_file_that_can_t_be_read_is_an_os_error(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        file_content(tmp_path / "missing")
    with pytest.raises(IsADirectoryError):
        file_content(tmp_path)


@pytest.mark.parametrize("kind", ["fifo", "device"])
def test_only_regular_files_are_read(tmp_path: Path, kind: str) -> None:
    path = tmp_path / "fifo" if kind == "fifo" else Path(os.devnull)
    if kind == "fifo":
        os.mkfifo(path)
    for read in (file_content, read_file, lambda p: copy_file(p, -1, expected=None)):
        with pytest.raises(OSError, match="Not a regular file"):
            read(path)


@pytest.mark.parametrize("size", SIZES)
def test_a_copy_has_the_bytes_of_its_source(tmp_path: Path, size: int) -> None:
    data = os.urandom(size)
    source = file_of(tmp_path, data)
    assert copied(source, expected=content_of(data)) == data
    assert copied(source, expected=None) == data


@pytest.mark.parametrize("found", [b"Other bytes", b"short", b"", b"Some bytes and then some"])
def test_a_source_that_changed_is_not_copied_in_silence(tmp_path: Path, found: bytes) -> None:
    source = file_of(tmp_path, found)
    with pytest.raises(ContentDamagedError, match=f"{source} has changed .* 10 bytes"):
        copied(source, expected=content_of(b"Some bytes"))


def test_a_source_that_has_grown_is_not_read_to_its_end(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    source = file_of(tmp_path, bytes(5 << 20))
    written = []

    def write(_: int, data: memoryview) -> int:
        written.append(len(data))
        return len(data)

    monkeypatch.setattr(os, "write", write)
    with pytest.raises(ContentDamagedError):
        copied(source, expected=content_of(b"Some bytes"))
    assert sum(written) <= 1 << 20


def test_a_copy_goes_on_where_the_system_wrote_only_a_part(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    data = os.urandom(100_000)
    write = os.write
    monkeypatch.setattr(os, "write", lambda fd, data: write(fd, bytes(data[:777])))
    assert copied(file_of(tmp_path, data), expected=content_of(data)) == data


def test_a_full_disk_is_an_os_error(tmp_path: Path) -> None:
    with (
        Path("/dev/full").open("wb", buffering=0) as full,
        pytest.raises(OSError, match="No space"),
    ):
        copy_file(file_of(tmp_path, b"x"), full.fileno(), expected=None)


# --- durability ----------------------------------------------------------------------------------


@pytest.fixture
def synced(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """What was flushed: the inodes of files and folders, or a whole file system."""
    done: list[str] = []
    monkeypatch.setattr(os, "fsync", lambda fd: done.append(str(os.fstat(fd).st_ino)))
    whole = disk._syncfs

    def syncfs(root: Path) -> bool:
        done.append(f"all of {root}")
        return whole(root)

    monkeypatch.setattr(disk, "_syncfs", syncfs)
    return done


def inode(path: Path) -> str:
    return str(path.stat().st_ino)


def files_in(folder: Path, number: int) -> list[Path]:
    paths = [folder / str(i) for i in range(number)]
    for path in paths:
        path.touch()
    return paths


def test_a_file_or_a_folder_is_flushed(tmp_path: Path, synced: list[str]) -> None:
    (file,) = files_in(tmp_path, 1)
    fsync(file)
    fsync(tmp_path)
    assert synced == [inode(file), inode(tmp_path)]
    with pytest.raises(FileNotFoundError):
        fsync(tmp_path / "missing")


def test_a_few_files_are_flushed_before_the_folders_that_name_them(
    tmp_path: Path, synced: list[str]
) -> None:
    files = files_in(tmp_path, 62)
    fsync_all(files, [tmp_path], tmp_path)
    assert synced == [inode(path) for path in [*files, tmp_path]]


def test_many_files_are_flushed_with_their_file_system(tmp_path: Path, synced: list[str]) -> None:
    fsync_all(files_in(tmp_path, 63), [tmp_path], tmp_path)
    assert synced == [f"all of {tmp_path}"]


def test_many_files_are_flushed_one_by_one_where_there_is_no_syncfs(
    tmp_path: Path, synced: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("ctypes.CDLL", lambda *_, **__: object())
    files = files_in(tmp_path, 100)
    fsync_all(files, [tmp_path], tmp_path)
    assert synced == [f"all of {tmp_path}", *(inode(path) for path in [*files, tmp_path])]


def test_a_file_system_that_can_t_be_flushed_is_an_os_error(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Library:
        @staticmethod
        def syncfs(_: int) -> int:
            return -1

    monkeypatch.setattr("ctypes.CDLL", lambda *_, **__: Library)
    monkeypatch.setattr("ctypes.get_errno", lambda: errno.EIO)
    with pytest.raises(OSError, match=str(tmp_path)) as caught:
        fsync_all(files_in(tmp_path, 64), [], tmp_path)
    assert caught.value.errno == errno.EIO


# --- replacing -----------------------------------------------------------------------------------


@pytest.mark.parametrize("durable", [True, False])
def test_a_file_is_replaced_or_made(tmp_path: Path, durable: bool) -> None:
    path = tmp_path / "file"
    for data in (b"old", b"new"):
        replace_file(path, data, durable=durable)
        assert path.read_bytes() == data
    assert list(tmp_path.iterdir()) == [path]


def test_the_new_bytes_are_flushed_before_the_name_and_the_name_before_the_return(
    tmp_path: Path, synced: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    replace = Path.replace

    def noted(self: Path, target: Path) -> Path:
        synced.append("replaced")
        return replace(self, target)

    monkeypatch.setattr(Path, "replace", noted)
    path = tmp_path / "file"
    replace_file(path, b"new")
    assert synced == [inode(path), "replaced", inode(tmp_path)]


def test_one_who_holds_the_old_file_keeps_its_bytes(tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_bytes(b"old")
    with path.open("rb") as file:
        replace_file(path, b"new")
        assert file.read() == b"old"


@pytest.mark.parametrize("failing", ["os.fsync", "pathlib.Path.replace", "ledger.disk.private"])
def test_a_file_that_can_t_be_replaced_is_as_it_was(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, failing: str
) -> None:
    path = tmp_path / "file"
    path.write_bytes(b"old")

    def fail(*_: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(failing, fail)
        with pytest.raises(OSError, match="No space"):
            replace_file(path, b"new")
    assert path.read_bytes() == b"old"
    assert list(tmp_path.iterdir()) == [path]


def test_what_a_crash_left_beside_a_file_is_no_obstacle(tmp_path: Path) -> None:
    path = tmp_path / "file"
    (tmp_path / ".file.new").write_bytes(b"torn, and longer than the new bytes")
    replace_file(path, b"new")
    assert path.read_bytes() == b"new"
    assert list(tmp_path.iterdir()) == [path]
