"""Committing: each study is one change, whatever others do meanwhile."""

from __future__ import annotations

import errno
import os
import shutil
from pathlib import Path
from typing import Any

import pytest
from cli_runs import CT, MR, changed
from watched import House, drop, instance, synthetic, until

from fileset import FileSet
from fileset.errors import RefusedError
from fileset.quarantine.quarantine import Quarantine
from fileset.watching import After, committing, ingesting, intake, rounds
from ledger.files import FileStamp, stamp_of


def test_each_study_is_one_change_that_undo_takes_back(home: House) -> None:
    for study in (1, 2):
        for number in range(3):
            name = f"{study}-{number}"
            drop(home.inbox, name, instance(10 * study + number, study=study))
    home.drain()
    with home.file_set() as fs:
        first, second = fs.history[-2:]
        assert {first.reason, second.reason} == {f"watch: {home.inbox}"}
        assert {entry.origin for entry in (first, second)} == {"watch:inbox"}
        assert len(fs) == 6
        fs.undo()
        assert len(fs) == 3
    assert [(c.added, c.late) for c in home.committed] == [(3, False), (3, False)]


def test_a_study_is_one_change_however_slowly_it_is_read(
    home: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(intake, "_SLICE", 0.0)  # a file a turn
    for number, data in enumerate(synthetic(5)):
        drop(home.inbox, f"{number}", data)
    with home.watched(quiet=0.0) as watcher:
        until(lambda: watcher.status["ingested"] == 5)
    assert [committed.added for committed in home.committed] == [5]


def test_a_study_is_committed_in_parts_when_it_gets_too_large(home: House) -> None:
    with home.watched(max_study=4, quiet=1000.0) as watcher:
        for number, data in enumerate(synthetic(4)):
            drop(home.inbox, f"{number}", data)
        until(lambda: watcher.status["ingested"] == 4)


def test_instances_without_a_study_are_taken_too(home: House) -> None:
    palette = shutil.copy(CT, home.path / "palette.dcm")
    changed(
        Path(palette), Path(palette), SOPClassUID="1.2.840.10008.5.1.4.39.1", ContentLabel="LABEL",
        ContentDescription="", InstanceNumber=1, PaletteColorLookupTableUID="1.2.3",
    )  # fmt: skip
    drop(home.inbox, "a", Path(palette).read_bytes())
    assert home.drain()["ingested"] == 1


def test_names_that_are_not_utf8_are_taken_set_aside_and_told(home: House) -> None:
    folder = os.fsdecode(b"Patient \xff\x1b[31m")
    drop(home.inbox, f"{folder}/good", CT.read_bytes())
    drop(home.inbox, f"{folder}/bad", CT.read_bytes()[:5000])
    assert (home.drain()["ingested"], len(Quarantine(home.repository))) == (1, 1)
    with home.file_set() as fs:
        fs.undo()
    assert home.drain()["seen"] == 0


def test_a_study_that_is_full_does_not_wait_for_all_to_be_read(
    home: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(intake, "_SLICE", 0.0)  # a file a turn
    for number in range(6):
        drop(home.inbox, f"{number}", instance(number))
    watcher = home.watcher(settle=0.0, quiet=0.0, max_study=2)
    turns = watcher._rounds
    while not turns.status.ingested:
        turns.turn()
    assert len(turns.intake.settling) > 0
    turns.close()


def test_files_that_are_to_be_read_do_not_hold_back_changes_for_ever(
    home: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(intake, "_SLICE", 0.0)
    clock = [0.0]
    for number in range(6):
        drop(home.inbox, f"{number}", instance(number, study=number))
    watcher = home.watcher(clock=lambda: clock[0], settle=0.0, quiet=1.0)
    turns = watcher._rounds
    turns.turn()
    turns.turn()
    assert turns.status.ingested == 0
    clock[0] = committing._BEHIND + 1
    turns.turn()
    assert turns.status.ingested > 0
    assert len(turns.intake.settling) > 0
    turns.close()


def test_a_file_that_can_not_be_looked_at_does_not_hold_back_its_study(
    home: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refusing(path: str) -> FileStamp | None:
        if path.endswith("bad"):
            raise OSError(errno.EIO, "Input/output error")
        return stamp_of(path)

    monkeypatch.setattr(ingesting, "stamp_of", refusing)
    for name, number in (("good", 1), ("bad", 2)):
        drop(home.inbox, name, instance(number))
    assert home.drain()["ingested"] == 1


def test_the_change_of_a_study_is_its_own_though_others_come_between(
    home: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    is_late, left = ingesting.Ingester._is_late, [1]

    def others_first(repository: Any, uid: str) -> bool:
        late = is_late(repository, uid)
        if left[0]:
            left[0] -= 1
            with FileSet.open(home.repository) as fs:
                fs.repository.patience = 0.05
                with pytest.raises(RefusedError):
                    fs.add(MR)
        return late

    monkeypatch.setattr(ingesting.Ingester, "_is_late", staticmethod(others_first))
    drop(home.inbox, "a", CT.read_bytes())
    assert home.drain()["ingested"] == 1
    assert left == [0]


def test_while_others_have_the_repository_it_answers_and_loses_nothing(
    home: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(rounds, "_PATIENCE", 0.05)
    for number in range(5):
        drop(home.inbox, f"{number}", instance(number, study=number))
    watcher = home.watcher(settle=0.0, quiet=0.0)
    turns = watcher._rounds
    with home.file_set() as fs, fs.repository.change("long"):
        turns.turn()
        turns.turn()
        assert len(turns.intake.studies) == 5
        assert turns.status.errors == 2  # one a turn
    turns.close()
    assert home.drain()["ingested"] == 5


def test_the_file_set_is_changed_written_and_collected_while_it_is_watched(home: House) -> None:
    with home.watched() as watcher, home.file_set() as fs:
        drop(home.inbox, "a", CT.read_bytes())
        until(lambda: watcher.status["ingested"] == 1)
        fs.refresh()
        assert len(fs) == 1
        fs.add(MR)
        fs.gc(dry_run=False)
        fs.write(home.path / "disc")
        drop(home.inbox, "b", instance(1))
        until(lambda: watcher.status["ingested"] == 2)
        fs.refresh()
        fs.undo()
        assert len(fs) == 2
        assert fs.verify() == []


def test_a_full_disk_keeps_the_sources_and_is_got_over(
    home: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    commit, left = ingesting.Ingester.commit, [1]

    def failing(*arguments: Any) -> Any:
        if left[0]:
            left[0] -= 1
            raise OSError(errno.ENOSPC, "No space left on device", "/repo/Smith")
        return commit(*arguments)

    monkeypatch.setattr(ingesting.Ingester, "commit", failing)
    drop(home.inbox, "a", CT.read_bytes())
    with home.watched(after=After.DELETE) as watcher:
        until(lambda: watcher.status["errors"] == 1)
        assert home.names() == ["a"]
        error = watcher.status["last_error"]
        assert (error["event"], error["reason"]) == ("commit failed", "No space left on device")
        until(lambda: watcher.status["ingested"] == 1)
    assert home.names() == []
