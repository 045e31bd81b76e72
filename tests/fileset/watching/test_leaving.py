"""Leaving: sources are kept, deleted or moved once journal and vault have what they hold."""

from __future__ import annotations

import errno
import logging
from pathlib import Path
from typing import Any

import pytest
from cli_runs import CT, MR
from watched import House, added, digests, drop, instance

from fileset import FileSet
from fileset.adding.candidate import Candidate
from fileset.quarantine.quarantine import Quarantine
from fileset.watching import After, ingesting, leaving
from ledger.digest import digest_of
from ledger.errors import InstanceError
from ledger.events import Content
from ledger.vault.protocol import Batch


def findings(home: House) -> list[str]:
    with home.file_set() as fs:
        return [str(finding) for finding in fs.verify()]


def test_files_are_deleted_once_they_are_in_the_journal(home: House) -> None:
    drop(home.inbox, "a/b", CT.read_bytes())
    drop(home.inbox, "bad", CT.read_bytes()[:5000])
    home.drain(after=After.DELETE)
    assert home.names() == []
    assert added(home.repository) == digests([CT.read_bytes()])
    assert list(home.quarantined()) == ["bad"]


def test_files_are_moved_to_the_same_place_elsewhere(home: House) -> None:
    drop(home.inbox, "a/b", CT.read_bytes())
    home.drain(after=After.MOVE, move_to=home.path / "done")
    assert home.names() == []
    assert (home.path / "done" / "a" / "b").read_bytes() == CT.read_bytes()


def test_what_could_not_be_deleted_is_deleted_after_a_restart(
    home: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object) -> bool:
        raise PermissionError(errno.EACCES, "Permission denied", "/in/Smith")

    drop(home.inbox, "a", CT.read_bytes())
    with monkeypatch.context() as patch:
        patch.setattr(leaving, "delete", refuse)
        status = home.drain(after=After.DELETE)
    assert status["owed"] == 1
    assert status["last_error"]["reason"] == "Permission denied"
    assert home.names() == ["a"]
    home.drain(after=After.DELETE)
    assert home.names() == []
    assert len(added(home.repository)) == 1


def test_a_file_that_is_written_again_before_it_is_deleted_is_not(
    home: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = drop(home.inbox, "a", CT.read_bytes())
    commit = ingesting.Ingester.commit

    def commit_and_write(*arguments: Any) -> Any:
        account = commit(*arguments)
        if path.read_bytes() == CT.read_bytes():
            path.write_bytes(MR.read_bytes())
        return account

    monkeypatch.setattr(ingesting.Ingester, "commit", commit_and_write)
    home.drain(after=After.DELETE)
    assert added(home.repository) == digests([CT.read_bytes(), MR.read_bytes()])
    assert home.names() == []


def test_what_the_file_set_has_by_reference_alone_is_in_the_vault_before_it_is_deleted(
    home: House,
) -> None:
    path = drop(home.inbox, "a", CT.read_bytes())
    with home.file_set() as fs:
        fs.add_many(path, reference=True)
    assert home.drain(after=After.DELETE)["duplicates"] == 1
    assert home.names() == []
    with home.file_set() as fs:
        assert fs.repository.vault.is_sound(digest_of(CT.read_bytes()))
        assert not findings(home)


def test_a_duplicate_mends_what_is_damaged_in_the_vault_before_it_is_deleted(home: House) -> None:
    drop(home.inbox, "a", instance(1))
    home.drain(after=After.DELETE)
    for pack in (home.repository / "vault").iterdir():
        data = bytearray(pack.read_bytes())
        data[len(data) // 2] ^= 0xFF
        pack.chmod(0o600)
        pack.write_bytes(data)
    assert findings(home)
    drop(home.inbox, "again", instance(1))
    assert home.drain(after=After.DELETE)["duplicates"] == 1
    assert (home.names(), findings(home)) == ([], [])


def test_a_duplicate_of_what_lay_on_the_medium_alone_is_in_the_vault_before_it_is_deleted(
    home: House, tmp_path: Path
) -> None:
    drop(home.inbox, "a", instance(1))
    home.drain(write=tmp_path / "disc")
    (tmp_path / "other").mkdir()
    other = House(tmp_path / "other")
    FileSet(tmp_path / "disc" / "DICOMDIR", repository=other.repository).close()
    other.inbox.mkdir()
    (lost,) = (tmp_path / "disc").rglob("IM*")
    lost.unlink()
    drop(other.inbox, "sent again", instance(1))
    status = other.drain(after=After.DELETE)
    assert (status["duplicates"], other.names()) == (1, [])
    with other.file_set() as fs:
        assert fs.repository.vault.is_sound(digest_of(instance(1)))


def test_many_sources_that_stay_are_told_of_in_one_line(
    home: House, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def refuse(*_: object) -> bool:
        raise PermissionError(errno.EACCES, "Permission denied")

    monkeypatch.setattr(leaving, "delete", refuse)
    for number in range(5):
        drop(home.inbox, f"{number}", instance(number))
    with caplog.at_level(logging.INFO, "fileset.watching"):
        assert home.drain(after=After.DELETE)["owed"] == 5
    (told,) = (r for r in caplog.records if r.getMessage() == "sources not removed")
    assert vars(told)["fields"]["files"] == 5


def test_once_fails_if_a_source_can_not_be_deleted(
    home: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object) -> bool:
        raise PermissionError(errno.EACCES, "Permission denied")

    monkeypatch.setattr(leaving, "delete", refuse)
    drop(home.inbox, "a", CT.read_bytes())
    watcher = home.watcher(once=True, after=After.DELETE)
    assert not watcher.run()
    assert len(added(home.repository)) == 1


def test_a_file_that_fails_while_it_is_added_is_kept_in_the_quarantine_before_it_is_deleted(
    home: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(candidate: Candidate, _: Batch) -> Content:
        raise InstanceError("changed while it was read", name=candidate.name)

    drop(home.inbox, "a", instance(1))
    monkeypatch.setattr(Candidate, "store", fail)

    home.drain(after=After.DELETE)

    quarantine = Quarantine(home.repository)
    (entry,) = quarantine
    assert quarantine.bytes_of(entry).read_bytes() == instance(1)
    assert "changed while it was read" in entry.reason
    with home.file_set() as fs:
        assert len(fs) == 0
