"""Listing: which names are passed over."""

from __future__ import annotations

import os

import pytest
from cli_runs import CT, MR
from watched import House, added, digests, drop

from fileset import FileSet
from fileset.adding.ignoring import Ignored
from fileset.watching.listing import Reach


def test_links_devices_ignored_names_and_other_repositories_are_passed_over(home: House) -> None:
    (home.inbox / "link.dcm").symlink_to(CT)
    (home.inbox / "linked").symlink_to(CT.parent)
    os.mkfifo(home.inbox / "pipe")
    for name in ("a.part", ".b", "c.bak", "logs/d", "DICOMDIR"):
        drop(home.inbox, name, CT.read_bytes())
    FileSet(repository=home.path / "other").close()
    (home.path / "other").rename(home.inbox / "other")
    drop(home.inbox, "other/e", CT.read_bytes())
    drop(home.inbox, "good", MR.read_bytes())
    assert home.drain(ignore=("*.bak", "logs"))["seen"] == 1
    assert added(home.repository) == digests([MR.read_bytes()])


def test_names_are_passed_over_in_any_case(home: House) -> None:
    for name in ("X.TMP", "AUTORUN.INF", "thumbs.DB"):
        drop(home.inbox, name, b"x")
    assert home.drain(ignore="autorun.inf")["seen"] == 0


@pytest.mark.parametrize(
    "name",
    [".hidden", "a.part", "a.tmp", "a.crdownload", ".syncthing.a.tmp", "@eaDir", "Thumbs.db", "a~"],
)
def test_names_of_unfinished_copies_are_passed_over(name: str) -> None:
    assert Ignored().name(name)
    reach = Reach("/in", Ignored())
    assert not reach.has_file(f"/in/deep/{name}/file")
    assert not reach.has_file(f"/in/{name}")


def test_names_of_unfinished_files_are_passed_over_in_any_case() -> None:
    ignored = Ignored()
    names = ["X.TMP", "a.PART", "THUMBS.DB", "a.download", "~$x", "A.Filepart"]
    assert [name for name in names if not ignored.name(name)] == []
    assert not ignored.name("IM000001.dcm")


def test_patterns_are_of_names_and_with_a_slash_of_paths() -> None:
    reach = Reach("/in", Ignored(["*.bak", "logs/*"]))
    assert not reach.has_file("/in/a/b.bak")
    assert not reach.has_file("/in/logs/x")
    assert reach.has_file("/in/a/logs")
    assert reach.has_file("/in/IM000000")
    assert not reach.has_file("/elsewhere/IM000000")
