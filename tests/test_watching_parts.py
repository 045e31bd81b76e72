"""The parts of watching that need neither a folder nor a clock."""

from __future__ import annotations

import logging
import os
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from watchdog.events import DirCreatedEvent, FileCreatedEvent, FileMovedEvent

from fileset.watching.ignoring import Ignored
from fileset.watching.live import view
from fileset.watching.log import JsonLines, Lines, reason_of
from fileset.watching.looking import Hints, Ways
from fileset.watching.metrics import render
from fileset.watching.mounts import file_system, overlap
from fileset.watching.remembered import Remembered
from fileset.watching.settings import After, Settings
from fileset.watching.settling import Look, Retries, Settling, delays
from fileset.watching.signature import Signature, signature
from fileset.watching.sources import delete, move
from fileset.watching.status import Status
from fileset.watching.studies import Studies, StudyKey

A, B = Signature(10, 1, 7, 1), Signature(10, 1, 7, 2)


def look(path: str, at: float = 0.0) -> Look:
    return Look(path, A, at, at)


# --- when a file has settled ----------------------------------------------------------------------


def test_a_file_is_due_when_it_was_the_same_for_the_quiet_delay() -> None:
    settling = Settling(5)
    assert settling.see("a", A, 0)
    assert not settling.see("a", A, 4)  # a second look before the time is none
    assert list(settling.take_due(4.9)) == []
    assert settling.next_due() == 5
    assert [found.path for found in settling.take_due(5)] == ["a"]
    assert len(settling) == 0


def test_any_change_begins_the_delay_anew_even_one_of_the_status_time_alone() -> None:
    settling = Settling(5)
    settling.see("a", A, 0)
    settling.see("a", B, 4)
    assert list(settling.take_due(8)) == []
    (found,) = settling.take_due(9)
    assert (found.signature, found.first) == (B, 0)


def test_files_are_due_in_the_order_in_which_they_were_last_seen_to_change() -> None:
    settling = Settling(5)
    for number, path in enumerate("abc"):
        settling.see(path, A, number)
    settling.see("a", B, 3)
    assert [found.path for found in settling.take_due(100)] == ["b", "c", "a"]


@given(st.lists(st.tuples(st.sampled_from("abc"), st.sampled_from([A, B]), st.integers(0, 4))))
def test_nothing_is_due_sooner_than_its_delay_after_its_last_change(
    looks: list[tuple[str, Signature, int]],
) -> None:
    settling, now = Settling(3), 0
    last: dict[str, tuple[Signature, int]] = {}
    for path, found, wait in looks:
        now += wait
        for taken in settling.take_due(now):
            known, since = last.pop(taken.path)
            assert taken.signature == known
            assert now - since >= 3
        settling.see(path, found, now)
        if path not in last or last[path][0] != found:
            last[path] = (found, now)
    assert {taken.path for taken in settling.take_due(now + 3)} == set(last)


# --- trying again ---------------------------------------------------------------------------------


def test_tries_are_bounded_and_further_and_further_apart() -> None:
    waits = delays(5, 4)
    assert waits == [10, 40, 160]
    retries = Retries(waits)
    now = 0.0
    for before, wait in enumerate(waits):
        assert retries.fail(look("a"), "rejected", "why", now, before) is None
        assert retries.take_due(now + wait - 0.1) == []
        now += wait
        (trouble,) = retries.take_due(now)
        assert trouble.tried == before + 1
    given_up = retries.fail(look("a"), "rejected", "why", now, 3)
    assert given_up is not None
    assert (given_up.tried, given_up.reason, len(retries)) == (4, "why", 0)


# --- one study, one change ------------------------------------------------------------------------

S, T = StudyKey("/in", "1.2"), StudyKey("/in", "1.3")


def test_a_study_is_committed_when_it_was_quiet_and_not_before() -> None:
    studies = Studies(60, 100)
    studies.arrive(S, look("a"), 0)
    studies.arrive(T, look("b"), 10)
    studies.arrive(S, look("c"), 30)
    assert studies.take_due(69) == []
    assert studies.next_due() == 70
    (first,) = studies.take_due(89)
    assert (first.key, list(first.files)) == (T, ["b"])
    (second,) = studies.take_due(90)
    assert (second.key, list(second.files)) == (S, ["a", "c"])
    assert (len(studies), studies.count) == (0, 0)


def test_a_study_that_is_full_does_not_wait() -> None:
    studies = Studies(60, 2)
    studies.arrive(S, look("a"), 0)
    assert studies.take_due(0) == []
    studies.arrive(S, look("b"), 0)
    assert [study.key for study in studies.take_due(0)] == [S]


def test_a_file_that_changes_or_goes_leaves_its_study() -> None:
    studies = Studies(60, 100)
    studies.arrive(S, look("a"), 0)
    studies.forget("a")
    assert studies.get("a") is None
    assert studies.take_due(1000) == []


def test_a_study_that_could_not_be_committed_waits_with_what_came_meanwhile() -> None:
    studies = Studies(60, 100)
    studies.arrive(S, look("a"), 0)
    (failed,) = studies.take_due(60)
    studies.arrive(S, look("b"), 61)
    studies.put_back(failed, 61, 100)
    assert studies.take_due(160) == []
    (study,) = studies.take_due(161)
    assert (sorted(study.files), study.tried) == (["a", "b"], 1)


# --- what is passed over --------------------------------------------------------------------------


@pytest.mark.parametrize(
    "name",
    [".hidden", "a.part", "a.tmp", "a.crdownload", ".syncthing.a.tmp", "@eaDir", "Thumbs.db", "a~"],
)
def test_names_of_unfinished_copies_are_passed_over(name: str) -> None:
    assert Ignored().name(name)
    ways = Ways("/in", Ignored())
    assert not ways.lead_to(f"/in/deep/{name}/file")
    assert not ways.lead_to(f"/in/{name}")


def test_patterns_are_of_names_and_with_a_slash_of_paths() -> None:
    ways = Ways("/in", Ignored(["*.bak", "logs/*"]))
    assert not ways.lead_to("/in/a/b.bak")
    assert not ways.lead_to("/in/logs/x")
    assert ways.lead_to("/in/a/logs")
    assert ways.lead_to("/in/IM000000")
    assert not ways.lead_to("/elsewhere/IM000000")


# --- which file systems tell of changes -----------------------------------------------------------

MOUNTS = [
    "22 1 8:1 / / rw - ext4 /dev/sda1 rw",
    "40 22 0:50 / /mnt/pacs\\040in rw shared:1 - nfs4 server:/x rw",
    "41 40 8:2 / /mnt/pacs\\040in/local rw - ext4 /dev/sdb1 rw",
]


def test_the_innermost_mount_says_what_file_system_a_folder_is_on() -> None:
    assert file_system("/home", MOUNTS) == "ext4"
    assert file_system("/mnt/pacs in/a", MOUNTS) == "nfs4"
    assert file_system("/mnt/pacs in/local/a", MOUNTS) == "ext4"
    assert file_system("/mnt/pacs inside", MOUNTS) == "ext4"


def test_folders_overlap_if_one_holds_the_other() -> None:
    assert overlap("/a", "/a/b")
    assert overlap("/a/b", "/a")
    assert overlap("/", "/a")
    assert not overlap("/a", "/ab")


# --- hints ----------------------------------------------------------------------------------------


def test_more_hints_than_are_kept_mean_that_everything_is_to_be_looked_at() -> None:
    rung: list[None] = []
    hints = Hints(2, lambda: rung.append(None))
    hints.on_any_event(FileCreatedEvent("/in/a"))
    hints.on_any_event(FileMovedEvent("/in/b", "/in/c"))
    hints.on_any_event(DirCreatedEvent("/in/d"))
    taken = hints.take()
    assert len(taken.files) == 2
    assert taken.overflown
    assert len(rung) == 1
    assert hints.take() == (set(), set(), False)


# --- what is remembered ---------------------------------------------------------------------------


def test_what_is_remembered_survives_and_holds_no_name(tmp_path: Path) -> None:
    path = tmp_path / "remembered.sqlite"
    memory = Remembered(path)
    memory.remember([("/in/Smith^John/a.dcm", A)])
    memory.remember([("/in/Smith^John/b.dcm", B)], owed=True)
    memory.close()
    memory = Remembered(path)
    names = ["a.dcm", "b.dcm", "c.dcm"]
    expected = {"a.dcm": (A.packed(), False), "b.dcm": (B.packed(), True)}
    assert memory.of_names("/in/Smith^John", names) == expected
    memory.forget(["/in/Smith^John/a.dcm"])
    assert list(memory.of_names("/in/Smith^John", names)) == ["b.dcm"]
    memory.close()
    assert b"Smith" not in path.read_bytes()


def test_a_damaged_or_deleted_memory_is_begun_anew(tmp_path: Path) -> None:
    path = tmp_path / "remembered.sqlite"
    path.write_bytes(b"no database at all" * 100)
    memory = Remembered(path)
    memory.remember([("/in/a", A)])
    path.unlink()
    memory.refresh()
    assert memory.of_names("/in", ["a"]) == {}
    memory.remember([("/in/a", A)])
    assert list(memory.of_names("/in", ["a"])) == ["a"]
    memory.close()


# --- what becomes of the sources ------------------------------------------------------------------


def known(path: Path) -> Signature:
    found = signature(os.fspath(path))
    assert found is not None
    return found


def test_only_the_very_file_that_was_taken_is_deleted(tmp_path: Path) -> None:
    path = tmp_path / "a"
    path.write_bytes(b"one")
    before = known(path)
    path.write_bytes(b"two")  # as large, and perhaps in the same tick of the clock
    os.utime(path, ns=(before.mtime_ns, before.mtime_ns))
    assert not delete(os.fspath(path), before)
    assert path.read_bytes() == b"two"
    assert delete(os.fspath(path), known(path))
    assert not path.exists()


def test_deleting_and_moving_follow_no_link(tmp_path: Path) -> None:
    real = tmp_path / "real"
    real.mkdir()
    (real / "a").write_bytes(b"one")
    (tmp_path / "link").symlink_to(real)
    with pytest.raises(OSError, match=r"directory|symbolic"):
        delete(os.fspath(tmp_path / "link" / "a"), known(real / "a"))
    (real / "b").symlink_to(real / "a")
    assert not delete(os.fspath(real / "b"), known(real / "a"))
    assert (real / "a").read_bytes() == b"one"


def test_moving_keeps_the_tree_and_overwrites_nothing(tmp_path: Path) -> None:
    inbox, done = tmp_path / "in", tmp_path / "done"
    (inbox / "deep").mkdir(parents=True)
    for content in (b"one", b"two", b"two"):
        path = inbox / "deep" / "a"
        path.write_bytes(content)
        assert move(os.fspath(path), known(path), os.fspath(inbox), done)
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
    assert move(os.fspath(path), known(path), os.fspath(path.parent), tmp_path / "done")
    assert (tmp_path / "done" / "a").read_bytes() == b"one"
    assert not path.exists()


# --- telling --------------------------------------------------------------------------------------


def test_settings_that_make_no_sense_are_refused() -> None:
    with pytest.raises(ValueError, match="move"):
        Settings(after=After.MOVE)
    with pytest.raises(ValueError, match="tries"):
        Settings(tries=0)


def test_the_numbers_are_told_as_prometheus_reads_them() -> None:
    text = render(Status(ingested=3).document())
    assert "# TYPE fileset_watch_files_ingested_total counter" in text
    assert "\nfileset_watch_files_ingested_total 3\n" in text


def test_the_live_view_escapes_what_could_act_on_a_terminal() -> None:
    document = Status().document()
    document["folders"] = [{"path": "/in/\x1b[31m", "state": "away", "trouble": "gone"}]
    document["quarantined"] = 2
    document["last_error"] = {"at": "now", "event": "commit failed", "reason": "No space"}
    assert view(document).row_count == 6


def test_log_lines_are_for_people_or_for_machines() -> None:
    record = logging.LogRecord("x", logging.INFO, "", 0, "committed", None, None)
    record.fields = {"added": 3, "late": True, "folder": "/in"}
    assert Lines().format(record).endswith('INFO    committed added=3 late=true folder="/in"')
    assert '"event": "committed", "added": 3' in JsonLines().format(record)


def test_the_reason_of_an_error_names_no_path() -> None:
    assert reason_of(OSError(28, "No space left", "/in/Smith")) == "No space left"
    assert reason_of(ValueError("Smith")) == "ValueError"
