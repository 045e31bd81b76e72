"""Removing a source: exactly the file that was taken, deleted or moved."""

from __future__ import annotations

import errno
import os
from pathlib import Path
from typing import Any

import pytest
from watched import House, drop

from fileset.watching import delete_or_move
from fileset.watching.delete_or_move import delete, move
from ledger.files import FileStamp, copy_file, file_content, stamp_of


def stamp_at(path: Path) -> FileStamp:
    found = stamp_of(os.fspath(path))
    assert found is not None
    return found


def source(home: House, data: bytes = b"new") -> tuple[Path, FileStamp]:
    path = drop(home.inbox, "a", data)
    known = stamp_of(str(path))
    assert known is not None
    return path, known


@pytest.fixture
def across(monkeypatch: pytest.MonkeyPatch) -> None:
    """Have the target on another file system."""
    link = os.link

    def refuse(source: Any, target: Any, **kwargs: Any) -> None:
        if kwargs:
            if os.path.lexists(target):
                raise FileExistsError(errno.EEXIST, "there")
            raise OSError(errno.EXDEV, "another device")
        link(source, target)

    monkeypatch.setattr(os, "link", refuse)


def test_only_the_very_file_that_was_taken_is_deleted(tmp_path: Path) -> None:
    path = tmp_path / "a"
    path.write_bytes(b"one")
    before = stamp_at(path)
    path.write_bytes(b"two")  # as large, and perhaps in the same tick of the clock
    os.utime(path, ns=(before.mtime_ns, before.mtime_ns))
    assert not delete(os.fspath(path), before)
    assert path.read_bytes() == b"two"
    assert delete(os.fspath(path), stamp_at(path))
    assert not path.exists()


def test_deleting_and_moving_follow_no_link(tmp_path: Path) -> None:
    real = tmp_path / "real"
    real.mkdir()
    (real / "a").write_bytes(b"one")
    (tmp_path / "link").symlink_to(real)
    with pytest.raises(OSError, match=r"directory|symbolic"):
        delete(os.fspath(tmp_path / "link" / "a"), stamp_at(real / "a"))
    (real / "b").symlink_to(real / "a")
    assert not delete(os.fspath(real / "b"), stamp_at(real / "a"))
    assert (real / "a").read_bytes() == b"one"


def test_moving_keeps_the_tree_and_overwrites_nothing(tmp_path: Path) -> None:
    inbox, done = tmp_path / "in", tmp_path / "done"
    (inbox / "deep").mkdir(parents=True)
    for content in (b"one", b"two", b"two"):
        path = inbox / "deep" / "a"
        path.write_bytes(content)
        assert move(os.fspath(path), stamp_at(path), os.fspath(inbox), done)
        assert not path.exists()
    found = {path.name: path.read_bytes() for path in (done / "deep").iterdir()}
    assert found == {"a": b"one", "a.1": b"two"}


def test_moving_to_another_file_system_copies_whole(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def link(*_: object, **__: object) -> None:
        raise OSError(18, "Invalid cross-device link")

    monkeypatch.setattr(os, "link", link)
    path = tmp_path / "in" / "a"
    path.parent.mkdir()
    path.write_bytes(b"one")
    assert move(os.fspath(path), stamp_at(path), os.fspath(path.parent), tmp_path / "done")
    assert (tmp_path / "done" / "a").read_bytes() == b"one"
    assert not path.exists()


def test_a_file_is_moved_past_others_without_reading_them(
    home: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    read: list[str] = []
    monkeypatch.setattr(
        delete_or_move, "file_content", lambda p: (read.append(str(p)), file_content(p))[1]
    )
    target = home.path / "done"
    target.mkdir()
    (target / "a").write_bytes(b"old one")
    for number in range(1, 998):
        (target / f"a.{number}").write_bytes(b"another")
    path, known = source(home)
    (target / "a.7").write_bytes(b"odd")  # the same size
    assert move(str(path), known, str(home.inbox), target)
    assert (target / "a.998").read_bytes() == b"new"
    assert sorted(read) == sorted([str(target / "a.7"), str(path)])
    for number in (998, 999):
        (target / f"a.{number}").write_bytes(b"another")
    path, known = source(home)
    with pytest.raises(FileExistsError, match="1000 files of that name"):
        move(str(path), known, str(home.inbox), target)
    assert path.exists()


def test_a_file_with_a_long_name_is_moved_beside_another(home: House) -> None:
    name = "n" * 255
    target = home.path / "done"
    target.mkdir()
    (target / name).write_bytes(b"old one")
    path = home.inbox / name
    path.write_bytes(b"new")
    known = stamp_of(str(path))
    assert known is not None
    assert move(str(path), known, str(home.inbox), target)
    assert (target / f"{name[:253]}.1").read_bytes() == b"new"


def test_a_target_folder_whose_name_a_file_has_is_an_error_that_names_it(home: House) -> None:
    (home.path / "done").mkdir()
    (home.path / "done" / "p").write_bytes(b"a file")
    path = drop(home.inbox, "p/a", b"new")
    known = stamp_of(str(path))
    assert known is not None
    with pytest.raises(OSError, match="done/p"):
        move(str(path), known, str(home.inbox), home.path / "done")
    assert path.exists()


@pytest.mark.usefixtures("across")
def test_a_file_that_moves_to_another_file_system_keeps_its_mode_and_time(home: House) -> None:
    path, _ = source(home)
    path.chmod(0o640)
    os.utime(path, ns=(10**18, 10**18))
    known = stamp_of(str(path))
    assert known is not None
    assert move(str(path), known, str(home.inbox), home.path / "done" / "deep")
    found = (home.path / "done" / "deep" / "a").stat()
    assert (found.st_mode & 0o777, found.st_mtime_ns) == (0o640, 10**18)


@pytest.mark.usefixtures("across")
def test_a_file_that_grows_while_it_is_moved_is_left(
    home: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    def grow(source: str, target: int, **kwargs: Any) -> None:
        with Path(source).open("ab") as file:
            file.write(b"more")
        copy_file(source, target, **kwargs)

    monkeypatch.setattr(delete_or_move, "copy_file", grow)
    path, known = source(home)
    assert not move(str(path), known, str(home.inbox), home.path / "done")
    assert path.read_bytes() == b"newmore"
    assert list((home.path / "done").iterdir()) == []
