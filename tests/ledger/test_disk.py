"""New files: there whole or not at all, and never in the place of another; what is flushed."""

from __future__ import annotations

import errno
import os
from collections.abc import Callable
from pathlib import Path

import pytest

from ledger.disk import fsync, held_folder, new_file, replace_file


def make(path: Path, data: bytes = b"new", mode: int = 0o600) -> None:
    with new_file(path, mode) as file:
        file.write(data)


@pytest.mark.parametrize("mode", [0o600, 0o644])
def test_a_new_file_has_its_bytes_and_its_mode(tmp_path: Path, mode: int) -> None:
    make(tmp_path / "file", mode=mode)
    assert (tmp_path / "file").read_bytes() == b"new"
    assert (tmp_path / "file").stat().st_mode & 0o777 == mode
    assert [path.name for path in tmp_path.iterdir()] == ["file"]


def test_nothing_is_overwritten_not_even_a_broken_link(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"old")
    (tmp_path / "link").symlink_to("nowhere")
    for name in ("file", "link"):
        with pytest.raises(FileExistsError):
            make(tmp_path / name)
    assert (tmp_path / "file").read_bytes() == b"old"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["file", "link"]


def without_links(*_: object, **__: object) -> None:
    raise OSError(errno.EPERM, "Operation not permitted")


@pytest.mark.parametrize("links", [True, False])
def test_what_came_there_meanwhile_is_not_overwritten(
    tmp_path: Path, links: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    if not links:
        monkeypatch.setattr(os, "link", without_links)
    path = tmp_path / "file"

    def overtaken() -> None:
        with new_file(path) as file:
            file.write(b"new")
            path.write_bytes(b"another")

    with pytest.raises(FileExistsError):
        overtaken()
    assert path.read_bytes() == b"another"
    assert list(tmp_path.iterdir()) == [path]


def test_where_there_are_no_hard_links_the_file_is_renamed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(os, "link", without_links)
    make(tmp_path / "file")
    assert (tmp_path / "file").read_bytes() == b"new"
    assert len(list(tmp_path.iterdir())) == 1


def test_what_fails_leaves_nothing(tmp_path: Path) -> None:
    def interrupted() -> None:
        with new_file(tmp_path / "file") as file:
            file.write(b"half")
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        interrupted()
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("call", "act"),
    [
        ("fsync", make),
        ("fsync", lambda path: replace_file(path, b"new")),
        ("fstat", lambda path: held_folder(path).__enter__()),
    ],
)
def test_an_error_of_an_open_file_names_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, call: str, act: Callable[[Path], object]
) -> None:
    def fail(*_: object) -> None:
        raise OSError(errno.EIO, "Input/output error")

    def failing() -> None:
        with monkeypatch.context() as patch:  # and not in what tells of failures
            patch.setattr(os, call, fail)
            act(tmp_path / "name")

    with pytest.raises(OSError, match="Input/output error") as caught:
        failing()
    assert caught.value.filename == str(tmp_path / "name")


def test_a_file_system_that_can_not_flush_folders_is_written_to(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(_: int) -> None:
        raise OSError(errno.EINVAL, "Invalid argument")

    monkeypatch.setattr(os, "fsync", refuse)
    (tmp_path / "file").write_bytes(b"data")
    fsync(tmp_path)
    with pytest.raises(OSError, match="Invalid argument"):
        fsync(tmp_path / "file")
