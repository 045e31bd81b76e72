"""Several writers of one repository, or of one medium, and their readers."""

from __future__ import annotations

import os
import shutil
import time
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from attrs import define
from cli_runs import Cli, changed, run
from journals import STORES
from pydicom import examples
from writers import Tally, small_files, soak, start

from fileset import FileSet
from fileset.adding.outcome import Outcome
from fileset.checking.findings import RepositoryFinding
from fileset.errors import NoSuchInstanceError, RefusedError, RepositoryError, StaleError
from fileset.medium.errors import MediumError, WriteFailedError
from fileset.medium.made_files import MadeFiles
from fileset.medium.materializer import Materializer
from fileset.repository.repository import Repository
from fileset.repository.store import Store, store_in_memory
from ledger.errors import ConflictError
from ledger.events import ConflictNoted, WriteStarted
from ledger.journal import sqlite
from ledger.journal.chain import verify_journal
from ledger.journal.clocks import utc_now
from ledger.journal.entries import Change, Draft
from ledger.journal.gathering import Events
from ledger.journal.protocol import Journal
from ledger.journal.sqlite import SqliteJournal

CT, MR = (examples.get_path(name) for name in ("ct", "mr"))
OVERLAY = examples.get_path("overlay")
SOAK_SECONDS = float(os.environ.get("FILESET_SOAK_SECONDS", "600"))


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """A repository of an empty File-set."""
    path = tmp_path / "repository"
    FileSet(repository=path).close()
    return path


@pytest.fixture
def source(tmp_path: Path) -> Path:
    return small_files(tmp_path / "source", 40)


def files(root: Path) -> dict[str, bytes]:
    return {
        found.relative_to(root).as_posix(): found.read_bytes()
        for found in sorted(root.rglob("*"))
        if found.is_file()
    }


def in_a_fork(what: Callable[[], object]) -> str:
    """Return what became of `what` in a forked process, which then ends as any other does."""
    source, target = os.pipe()
    pid = os.fork()
    if not pid:
        try:
            told = f"{what()!r}"
        except BaseException as exc:  # noqa: BLE001 - it is told
            told = f"{type(exc).__name__}: {exc}"
        os.write(target, told.encode())
        os._exit(0)
    os.close(target)
    with open(source, encoding="utf-8") as told_there:  # noqa: PTH123 - a descriptor
        told = told_there.read()
    os.waitpid(pid, 0)
    return told


# --- threads -------------------------------------------------------------------------------------


def test_threads_with_an_object_each_lose_nothing_and_do_nothing_twice(
    path: Path, source: Path
) -> None:
    def add(number: int) -> None:
        with FileSet.open(path) as fs:
            for file in sorted(source.iterdir())[number::4]:
                fs.add(file)
            fs.ID = f"BY_{number}"

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(add, range(4)))

    with FileSet.open(path) as fs:
        assert len(fs) == 40
        assert len(fs.history) == 1 + 40 + 4
        assert fs.verify() == []


def test_threads_that_share_an_object_make_their_changes_one_after_another(
    path: Path, source: Path
) -> None:
    with FileSet.open(path) as fs:

        def add(number: int) -> None:
            for first, second in zip(*[iter(sorted(source.iterdir())[number::4])] * 2, strict=True):
                with fs.change(reason=f"{number}"):
                    fs.add(first)
                    fs.add(second)

        with ThreadPoolExecutor(4) as pool:
            list(pool.map(add, range(4)))

        assert len(fs) == 40
        changes = [entry for entry in fs.history if entry.reason is not None]
        assert Counter(entry.reason for entry in changes) == Counter(dict.fromkeys("0123", 5))
        for change in fs.repository.changes()[1:]:
            assert len(fs.repository.events_of(change)) == 2
        assert fs.verify() == []


def test_a_file_set_can_be_handed_to_another_thread(path: Path) -> None:
    fs = FileSet.open(path)
    fs.add(CT)
    with ThreadPoolExecutor(1) as pool:
        pool.submit(fs.add, MR).result()
        assert pool.submit(lambda: len(fs.history)).result() == 3
        pool.submit(fs.close).result()


def test_what_another_thread_is_changing_is_seen_when_it_is_done(path: Path) -> None:
    with FileSet.open(path) as fs, ThreadPoolExecutor(1) as pool:
        with fs.change():
            fs.add(CT)
            seen = pool.submit(len, fs)
            while not seen.running():
                time.sleep(0.001)
            fs.add(MR)
            assert not seen.done()
        assert seen.result() == 2


@pytest.mark.parametrize("kept", [True, False], ids=["kept", "ephemeral"])
def test_a_thread_that_would_wait_for_itself_is_told(tmp_path: Path, *, kept: bool) -> None:
    fs = FileSet(repository=tmp_path / "repository" if kept else None)
    fs.repository.patience = 0.05
    told = pytest.raises(RefusedError, match="Another thread has been changing")
    with fs:
        with fs.change(), ThreadPoolExecutor(1) as pool, told:
            pool.submit(fs.add, CT).result()  # the change waits for what waits for the change
        assert len(fs) == 0


def test_two_objects_can_not_be_changed_within_each_other(path: Path) -> None:
    with FileSet.open(path) as one, FileSet.open(path) as other:
        with one.change():
            one.add(CT)
            with pytest.raises(RefusedError, match="begun with another object"):
                other.add(MR)
        other.add(MR)
        assert len(other) == 2


def test_that_goes_for_a_repository_by_whatever_name(path: Path, tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to(path)
    with FileSet.open(path) as one, FileSet.open(tmp_path / "link") as other, one.change():
        told = pytest.raises(RefusedError, match="begun with another object")
        with told:
            other.ID = "OTHER"


# --- forked processes ----------------------------------------------------------------------------


def test_a_forked_process_has_to_open_the_repository_anew(path: Path) -> None:
    with FileSet.open(path) as fs:
        fs.add(CT)
        assert in_a_fork(lambda: len(fs)) == "1"  # what is in memory is there
        for what in (lambda: fs.add(MR), fs.undo, fs.refresh, lambda: fs.history):
            told = in_a_fork(what)
            assert told.startswith("RepositoryError: "), told
            assert "was forked: open it again" in told
        assert "was forked" in in_a_fork(fs.repository.journal.head)

        def anew() -> int:
            with FileSet.open(path) as other:
                other.add(MR)
                return len(other)

        assert in_a_fork(anew) == "2"
        assert in_a_fork(fs.close) == "None"
        fs.ID = "PARENT"
        assert len(fs) == 2
        assert fs.verify() == []


def test_a_process_forked_within_a_change_does_not_let_others_in(path: Path) -> None:
    with FileSet.open(path) as fs, fs.change():
        fs.add(CT)

        def other() -> None:
            with FileSet.open(path) as again:
                again.repository.patience = 0.05
                again.ID = "OTHER"

        for _ in range(2):  # not after the first has ended, either
            told = in_a_fork(other)
            assert told.startswith("RefusedError: Another process has been changing"), told


def test_the_end_of_a_forked_process_leaves_an_ephemeral_file_set_alone() -> None:
    fs = FileSet()
    fs.add(CT)
    finalizers = _finalizers_of(fs.repository.store)
    assert len(finalizers) == 2
    for finalizer in finalizers:
        in_a_fork(finalizer)  # as at the end of a process
    assert fs.find()[0].load().PatientID == "1CT1"


def _finalizers_of(store: Store) -> list[Any]:
    import weakref

    registry = weakref.finalize._registry  # type: ignore[attr-defined]
    return [found for found, info in registry.items() if info.weakref() is store]


# --- stale objects -------------------------------------------------------------------------------


@define
class Two:
    """Two objects of one repository; `stale` has not looked since `other` did something."""

    stale: FileSet
    other: FileSet


@pytest.fixture
def two(path: Path) -> Two:
    with FileSet.open(path) as fs:
        fs.add(CT)
    pair = Two(FileSet.open(path), FileSet.open(path))
    assert len(pair.stale) == len(pair.other) == 1
    return pair


ACTS: dict[str, Callable[[FileSet], object]] = {
    "add": lambda fs: fs.add(OVERLAY),
    "remove": lambda fs: fs.remove(next(iter(fs))),
    "set": lambda fs: setattr(fs, "ID", "STALE"),
    "write": lambda fs: fs.write(medium_of(fs)),
    "tag": lambda fs: fs.tag("then"),
    "refresh": lambda fs: fs.refresh(),
    "history": lambda fs: fs.history,
    "at": lambda fs: fs.at(1),
    "preview": lambda fs: fs.undo(dry_run=True),
}


def medium_of(fs: FileSet) -> Path:
    assert fs.repository.path is not None
    return fs.repository.path.with_name("medium")


@pytest.mark.parametrize("act", ACTS.values(), ids=ACTS.keys())
def test_who_acts_takes_in_what_others_did(two: Two, act: Callable[[FileSet], object]) -> None:
    assert [i.PatientID for i in two.stale] == ["1CT1"]
    assert len(two.stale._tree.children) == 1  # views of both are kept
    two.other.add(MR)
    two.other.UID = "1.2.3"
    assert len(two.stale) == 1

    act(two.stale)

    assert two.stale.UID == "1.2.3"
    assert [i.PatientID for i in two.stale.find(PatientID="4MR1")] == ["4MR1"]
    with FileSet.open(two.stale.repository.path or "") as fresh:
        assert str(fresh) == str(two.stale)
        assert [i.SOPInstanceUID for i in fresh] == [i.SOPInstanceUID for i in two.stale]
        assert len(fresh._tree.children) == len(two.stale._tree.children)
        assert fresh.verify() == []


def test_removing_what_another_has_removed_is_refused(two: Two) -> None:
    (instance,) = two.stale
    two.other.remove(two.other.find())
    with pytest.raises(NoSuchInstanceError, match="No such instance"):
        two.stale.remove(instance)
    assert len(two.stale) == 0
    two.stale.add(CT)
    assert len(two.stale) == 1


def test_adding_what_another_has_added_finds_it_there(two: Two) -> None:
    two.other.add(MR)
    report = two.stale.add_many([MR])
    assert [result.outcome for result in report] == [Outcome.ALREADY_THERE]
    assert len(two.stale) == 2


def test_adding_other_content_than_another_has_added_is_a_conflict(
    two: Two, tmp_path: Path
) -> None:
    two.other.add(MR)
    altered = changed(MR, tmp_path / "altered.dcm", StudyDescription="other")
    with pytest.warns(UserWarning, match="with different content"):
        two.stale.add(altered)
    *_, last = two.stale.repository.journal.read()
    assert isinstance(last.event, ConflictNoted)


def test_setting_the_uid_back_is_not_skipped_where_another_has_changed_it(two: Two) -> None:
    uid = two.stale.UID
    two.other.UID = "1.2.3"
    two.stale.UID = uid
    two.other.refresh()
    assert uid == two.other.UID


@pytest.mark.parametrize("which", ["undo", "redo"])
def test_an_undo_of_what_one_has_not_seen_is_refused_once(two: Two, which: str) -> None:
    if which == "redo":
        two.other.ID = "ONE"
        two.other.ID = "TWO"
        two.other.undo()
        two.stale.refresh()
        two.other.undo()
    else:
        two.other.remove(two.other.find())
    before = two.other.repository.journal.position
    step = two.stale.undo if which == "undo" else two.stale.redo

    with pytest.raises(StaleError, match=f"the change to {which} is now [0-9a-f]+"):
        step()

    assert two.other.repository.journal.position == before
    step()  # it was taken in
    two.other.refresh()
    assert (two.other.ID, len(two.other)) == (("ONE", 1) if which == "redo" else (None, 1))


def test_an_undo_goes_ahead_where_others_did_what_is_not_undone(two: Two) -> None:
    two.stale.ID = "MINE"
    two.other.tag("mine")
    two.other.write(medium_of(two.other))
    two.stale.undo()
    assert two.stale.ID is None


def test_what_history_has_shown_can_be_undone(two: Two) -> None:
    two.other.ID = "OTHERS"
    newest = two.stale.history[-1]
    assert two.stale.undo().id == newest.id


def test_the_command_undoes_what_is_newest_and_tells_whose_it_was(two: Two, path: Path) -> None:
    two.stale.ID = "MINE"
    with two.other.change(actor="bob", reason="his"):
        two.other.ID = "BOBS"
    document = Cli(path).json("undo")
    assert [(each["actor"], each["reason"]) for each in document["undone"]] == [("bob", "his")]


def test_an_instance_that_another_has_erased_is_gone(two: Two) -> None:
    (instance,) = two.stale
    assert instance.PatientID == "1CT1"
    two.other.erase(reason="asked", take_off=True, PatientID="1CT1")
    two.stale.refresh()
    with pytest.raises(NoSuchInstanceError, match="erased"):
        instance.PatientID  # noqa: B018 - reading it is the test


# --- adds commute --------------------------------------------------------------------------------


def test_processes_that_add_many_files_at_once_add_each_file_once(
    path: Path, tmp_path: Path
) -> None:
    source = small_files(tmp_path / "many", 150)
    adding = [start("add", path, source) for _ in range(2)]
    told = [process.communicate() for process in adding]
    assert [process.returncode for process in adding] == [0, 0], told
    with FileSet.open(path) as fs:
        assert len(fs) == 150
        assert fs.verify() == []
        added = [e for e in fs.repository.journal.read() if e.event.TYPE == "instance-added"]
        assert len(added) == 150


@define
class Crowded:
    """A journal without a lock, to which another writer appends just before this one does."""

    journal: Journal
    others: list[Callable[[], object]]

    def __getattr__(self, name: str) -> Any:
        return getattr(self.journal, name)

    def append(self, events: Events, draft: Draft, *, expected: int) -> Change:
        if self.others:
            self.others.pop(0)()
        return self.journal.append(events, draft, expected=expected)


@pytest.fixture(params=STORES)
def crowded(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Two]:
    """Two File-sets on one journal, of which nobody holds a lock."""
    journal: Journal = request.param(tmp_path).create()
    made = []
    for number in range(2):
        store = store_in_memory(utc_now)
        store.journal = Crowded(journal, [])
        repository = Repository(store)
        if number == 0:
            repository.begin("1.2.3")
        made.append(FileSet(repository=repository))
    yield Two(*made)
    journal.close()


def crowd(two: Two, *others: Callable[[], object]) -> None:
    two.stale.repository.journal = Crowded(two.other.repository.journal, list(others))


def test_adds_that_another_writer_came_before_are_decided_again(crowded: Two, source: Path) -> None:
    first, second, third, *_ = sorted(source.iterdir())[::3]  # of one series
    crowd(crowded, lambda: crowded.other.add(first), lambda: crowded.other.add(second))
    told: list[str] = []
    report = crowded.stale.add_many([second, third], progress=lambda r: told.append(r.source))
    assert [result.outcome for result in report] == [Outcome.ALREADY_THERE, Outcome.ADDED]
    assert told == [str(second), str(third)]  # once
    crowded.other.refresh()
    assert [i.InstanceNumber for i in crowded.other] == [1, 4, 7]
    for fs in (crowded.stale, crowded.other):
        assert len(fs._tree.children) == 1
        assert len(fs.find(PatientID="P0")) == 3
    assert crowded.stale.add(first).SOPInstanceUID == "1.2.3.0.1.1"
    verify_journal(crowded.other.repository.journal)


def test_an_add_of_a_dataset_is_decided_again_too(crowded: Two) -> None:
    crowd(crowded, lambda: crowded.other.add(MR))
    assert crowded.stale.add(examples.ct).PatientID == "1CT1"
    assert len(crowded.stale) == 2


def test_adds_give_up_where_others_are_always_faster(crowded: Two) -> None:
    numbers = iter(range(1000))
    crowd(crowded, *[lambda: setattr(crowded.other, "ID", f"{next(numbers)}")] * 1000)
    with pytest.raises(ConflictError):
        crowded.stale.add(CT)
    crowded.other.refresh()
    assert len(crowded.stale) == len(crowded.other) == 0


@pytest.mark.parametrize("what", ["remove", "set", "undo", "group"])
def test_what_does_not_commute_is_a_conflict_and_leaves_nothing(crowded: Two, what: str) -> None:
    crowded.other.add(CT)
    crowded.stale.refresh()
    crowd(crowded, lambda: crowded.other.add(MR))

    def act() -> None:
        if what == "remove":
            crowded.stale.remove(crowded.stale.find(PatientID="1CT1"))
        elif what == "set":
            crowded.stale.ID = "STALE"
        elif what == "undo":
            crowded.stale.undo()
        else:
            with crowded.stale.change():
                crowded.stale.add(OVERLAY)

    with pytest.raises(ConflictError, match="Read the new events and try again"):
        act()
    assert crowded.stale.ID is None
    assert {i.PatientID for i in crowded.stale} == {"1CT1", "4MR1"}  # it was taken in
    act()
    crowded.other.refresh()
    assert str(crowded.other) == str(crowded.stale)
    assert bool(crowded.other.find(PatientID="4MR1")) == (what != "undo")


def test_who_waits_in_vain_is_told_for_whom(path: Path) -> None:
    with start("hold", path) as holder:
        assert holder.stdout is not None
        assert holder.stdin is not None
        holder.stdout.readline()
        with FileSet.open(path) as fs:
            fs.repository.patience = 0.05
            told = rf"changing {path} for 0.05 s \(process {holder.pid}, writers.py@.*, since 20"
            with pytest.raises(RefusedError, match=told):
                fs.add(CT)
            assert len(fs) == 0  # reading needs no lock
        told = run("--wait", 0.05, "--repo", path, "add", CT, "--json", code=3).document["error"]
        assert f"for 0.05 s (process {holder.pid}, " in told["message"]
        with FileSet.open(path) as fs:
            holder.stdin.close()
            holder.wait()
            fs.add(CT)


# --- readers -------------------------------------------------------------------------------------


def test_who_reads_the_journal_goes_on_while_others_append_and_erase(
    path: Path, source: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sqlite, "BATCH", 3)
    with FileSet.open(path) as fs, closing(SqliteJournal(path / "journal.sqlite")) as journal:
        fs.add_many(source)
        reading = journal.read()
        seen = [next(reading).position for _ in range(4)]
        fs.ID = "LATER"
        fs.erase(reason="asked", take_off=True, PatientID="P1")  # which ends with a VACUUM
        seen += [recorded.position for recorded in reading]
        assert seen == list(range(1, 42))  # what there was when it began
        assert journal.position > 42
        verify_journal(journal)


def test_a_summary_kept_by_a_reader_is_never_that_of_an_older_state(path: Path) -> None:
    with FileSet.open(path) as reader, FileSet.open(path) as writer:
        for number in range(3):
            assert reader.repository.summary().position == writer.repository.journal.position
            writer.ID = f"{number}"
            assert writer.repository.summary().position == writer.repository.journal.position
            with FileSet.open(path) as fresh:
                assert fresh.repository.summary().position == writer.repository.journal.position


def test_a_write_that_goes_on_is_no_damage(bench: Bench) -> None:
    other = FileSet.open(bench.fs.repository.path or "")
    other.repository.patience = 0.05

    def meanwhile(done: int, total: int) -> None:
        told = pytest.raises(RefusedError, match="Another process has been changing")
        with ThreadPoolExecutor(1) as pool, told:
            pool.submit(other.verify).result()
        other.repository.patience = 60
        waiting.append(verifier.submit(other.verify))

    waiting: list[Future[list[RepositoryFinding]]] = []
    with ThreadPoolExecutor(1) as verifier:
        bench.fs.write(progress=meanwhile)
        assert [each.result() for each in waiting] == [[]]
    other.close()


# --- media that were changed behind our back -----------------------------------------------------


@define
class Bench:
    """A File-set on its medium, with an instance more to be written."""

    fs: FileSet
    root: Path
    aside: Path

    def writes_started(self) -> int:
        events = self.fs.repository.journal.read()
        return sum(isinstance(recorded.event, WriteStarted) for recorded in events)


@pytest.fixture
def bench(path: Path, tmp_path: Path) -> Bench:
    fs = FileSet.open(path)
    root = tmp_path / "medium"
    fs.add(CT)
    fs.add(MR)
    fs.write(root)
    fs.add(changed(CT, tmp_path / "next.dcm", SOPInstanceUID="1.2.3", InstanceNumber=2))
    return Bench(fs, root, tmp_path / "aside")


def edit(bench: Bench) -> None:
    data = (bench.root / "DICOMDIR").read_bytes()
    (bench.root / "DICOMDIR").write_bytes(data.replace(b"1CT1", b"2CT2"))


def rewrite(bench: Bench) -> None:
    FileSet(bench.root / "DICOMDIR").copy(bench.aside)
    shutil.copy(bench.aside / "DICOMDIR", bench.root / "DICOMDIR")


def write_from_another_repository(bench: Bench) -> None:
    with FileSet(bench.root / "DICOMDIR", repository=bench.aside) as other:
        other.remove(other.find(PatientID="1CT1"))
        other.write()


def empty(bench: Bench) -> None:
    shutil.rmtree(bench.root)
    bench.root.mkdir()


def link_to_another(bench: Bench) -> None:
    other = FileSet()
    other.add(CT)
    other.write(bench.aside)
    bench.root.rename(bench.root.with_name("moved"))
    bench.root.symlink_to(bench.aside)


def file_of(bench: Bench, patient: str = "1CT1") -> Path:
    return Path(bench.fs.find(PatientID=patient)[0].path)


def folder_in_its_place(bench: Bench) -> None:
    file = file_of(bench)
    file.unlink()
    file.mkdir()


def foreign_file(bench: Bench) -> None:
    (file_of(bench).parent / "IM000001").write_bytes(b"somebody else's")


BEHIND_OUR_BACK: dict[str, tuple[Callable[[Bench], object], str]] = {
    "DICOMDIR edited": (edit, "is not the one that was .* written last"),
    "DICOMDIR made anew": (
        lambda b: (b.root / "DICOMDIR").write_bytes(examples.get_path("dicomdir").read_bytes()),
        r"is not the one that was .* written last but that of another .*.* Insert the right medium",
    ),
    "DICOMDIR deleted": (
        lambda b: (b.root / "DICOMDIR").unlink(),
        "is gone .* `fileset write --repair` repairs that",
    ),
    "written by another repository": (
        write_from_another_repository,
        "is not the one that was .* written last",
    ),
    "not mounted": (empty, r"is gone \(is the medium there\?\), and so .* Bring the medium back"),
    "no folder": (lambda b: shutil.rmtree(b.root), r"is gone .* Bring the medium back"),
    "root replaced by a link": (link_to_another, "is not the one that was .* written last"),
    "file deleted": (lambda b: file_of(b).unlink(), "is missing: put it back"),
    "file cut": (lambda b: os.truncate(file_of(b), 100), "has 100 bytes instead of 39,206"),
    "file replaced by a folder": (folder_in_its_place, "is no longer a file"),
    "folder renamed": (
        lambda b: file_of(b).parent.rename(file_of(b).parent.with_name("OTHER")),
        "is missing: put it back",
    ),
    "foreign file where a new one goes": (foreign_file, "not part of the File-set"),
}


@pytest.mark.parametrize(("behind", "told"), BEHIND_OUR_BACK.values(), ids=BEHIND_OUR_BACK.keys())
def test_a_medium_that_was_changed_is_not_written_to(
    bench: Bench, behind: Callable[[Bench], object], told: str
) -> None:
    behind(bench)
    before = files(bench.root) if bench.root.exists() else None

    with pytest.raises(MediumError, match=told):
        bench.fs.write()

    assert (files(bench.root) if bench.root.exists() else None) == before
    assert bench.writes_started() == 1
    assert bench.fs.state.writing is None


def test_content_of_the_same_size_is_left_to_verify(bench: Bench) -> None:
    file = file_of(bench)
    data = bytearray(file.read_bytes())
    data[-1] ^= 1
    file.write_bytes(data)
    bench.fs.write()  # to read every file at every write would take too long
    assert file.read_bytes() == data
    assert [finding.kind.value for finding in bench.fs.verify()] == ["file-changed"]


@pytest.mark.parametrize("was_there", [True, False], ids=["rewritten", "new root"])
def test_a_dicomdir_that_someone_puts_in_place_during_a_write_stays(
    bench: Bench, tmp_path: Path, *, was_there: bool
) -> None:
    fs = bench.fs
    root = bench.root
    if not was_there:
        fs = FileSet(repository=tmp_path / "another")
        fs.add(CT)
        root = tmp_path / "new"
    before = files(root) if was_there else {}
    theirs = examples.get_path("dicomdir").read_bytes()

    def meanwhile(done: int, total: int) -> None:
        (root / "DICOMDIR").write_bytes(theirs)

    with pytest.raises(WriteFailedError, match="someone else has put another DICOMDIR") as caught:
        fs.write(None if was_there else root, progress=meanwhile)

    assert caught.value.rolled_back
    assert files(root) == before | {"DICOMDIR": theirs}
    assert fs.state.writing is None


def test_of_two_repositories_that_write_to_a_new_root_at_once_one_is_refused(
    tmp_path: Path, source: Path
) -> None:
    one, other = (FileSet(repository=tmp_path / name) for name in ("one", "other"))
    one.add(CT)
    other.add_many(source)
    root = tmp_path / "medium"

    def meanwhile(done: int, total: int) -> None:
        if other.path is None:
            other.write(root)

    with pytest.raises(WriteFailedError, match="Nothing was changed"):
        one.write(root, progress=meanwhile)

    assert one.path is None
    assert other.verify() == []
    with pytest.raises(MediumError, match="holds another File-set"):
        one.write(root)


def test_a_refused_write_leaves_the_files_that_the_dicomdir_of_another_names(
    tmp_path: Path, source: Path
) -> None:
    one = FileSet(repository=tmp_path / "one")
    one.add_many(source)
    other = FileSet(repository=tmp_path / "other")
    other.add_many(source)
    root, elsewhere = tmp_path / "medium", tmp_path / "elsewhere"
    other.write(elsewhere)
    theirs = (elsewhere / "DICOMDIR").read_bytes()
    flush = MadeFiles.flush

    def another_is_faster(made: MadeFiles) -> None:
        flush(made)
        (root / "DICOMDIR").write_bytes(theirs)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(MadeFiles, "flush", another_is_faster)
        with pytest.raises(WriteFailedError, match="someone else has put another DICOMDIR"):
            one.write(root)
    assert files(root) == files(elsewhere)


def test_a_file_put_at_a_file_id_that_is_being_freed_stays(bench: Bench) -> None:
    fs = bench.fs
    instance = next(iter(fs))
    path = Path(instance.path)
    fs.remove(instance)
    stranger = b"somebody's only copy"

    commit = Materializer._commit

    def meanwhile(self: Materializer, dicomdir: bytes) -> None:
        commit(self, dicomdir)
        path.unlink()
        path.write_bytes(stranger)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Materializer, "_commit", meanwhile)
        fs.write(layout="existing")
    assert path.read_bytes() == stranger


# --- repositories that were moved ----------------------------------------------------------------


@pytest.mark.parametrize("how", ["moved", "deleted", "replaced"])
def test_a_repository_that_is_not_where_it_was_takes_no_change(
    path: Path, tmp_path: Path, how: str
) -> None:
    with FileSet.open(path) as fs:
        fs.add(CT)
        if how == "deleted":
            shutil.rmtree(path)
        else:
            path.rename(tmp_path / "moved")
        if how == "replaced":
            FileSet(repository=path).close()
        for act in (lambda: fs.add(MR), fs.undo, fs.gc):
            with pytest.raises(RepositoryError, match="moved, deleted or replaced"):
                act()
        assert len(fs) == 1
    assert path.exists() == (how == "replaced")
    if how == "moved":
        with FileSet.open(tmp_path / "moved") as moved:
            moved.add(MR)
            assert moved.verify() == []


# --- all at once ---------------------------------------------------------------------------------


def check(tally: Tally, folder: Path) -> None:
    """What was acknowledged is in the journal once, and all of it fits together."""
    with FileSet.open(folder / "repository") as fs:
        changes = fs.repository.changes()
        recorded = [change.id for change in changes[1:]]  # the first is how it began
        assert len(set(tally.acknowledged)) == len(tally.acknowledged)
        assert Counter(recorded) == Counter(set(recorded))
        assert set(tally.acknowledged) <= set(recorded)
        unacknowledged = set(recorded) - set(tally.acknowledged)
        assert unacknowledged <= set(tally.begun)
        assert len(unacknowledged) <= tally.killed
        if fs.state.writing is None:
            assert fs.verify() == []
        fs.write(None if fs.path else folder / "medium")
        fs.gc(dry_run=False)
        assert fs.verify() == []
        fs.copy(folder / "copy")
        assert files(folder / "medium") == files(folder / "copy")
        assert not list((folder / "medium").glob(".*"))
        print(  # noqa: T201 - the figures of a soak
            f"\n{len(recorded):,} changes recorded, {len(tally.acknowledged):,} acknowledged, "
            f"{tally.killed} writers killed, {len(unacknowledged)} changes recorded and not "
            f"acknowledged; {tally.looks:,} looks of the reader; {fs.state.position:,} events; "
            f"of the writers that were not killed: {dict(sorted(tally.outcomes.items()))}"
        )


def test_two_processes_that_change_and_write_at_once_lose_nothing(tmp_path: Path) -> None:
    check(soak(tmp_path, writers=2, seconds=4, kill_every=1), tmp_path)


@pytest.mark.soak
@pytest.mark.parametrize("writers", [2, 4])
def test_processes_that_change_and_write_for_long_lose_nothing(
    tmp_path: Path, writers: int
) -> None:
    check(soak(tmp_path, writers=writers, seconds=SOAK_SECONDS, kill_every=5), tmp_path)
