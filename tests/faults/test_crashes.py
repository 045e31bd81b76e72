"""Faults at the file system calls of each command: a sample of the matrix in tests/faults."""

from __future__ import annotations

import errno
import os
import random
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from functools import cache
from itertools import takewhile
from pathlib import Path
from typing import Any
from unittest import mock

import pytest
import soak_time
from attrs import evolve
from by_commit import commit_number

from faults import tracing
from faults.checks import Outcome, check, reference, restore
from faults.matrix import FORMS, Bench, BrokenPromiseError, Row, table
from faults.points import Call, HarnessError, Kind, Point
from faults.scenarios import COPY, MEDIUM, SCENARIOS, Scenario, acknowledge
from fileset.medium.materializer import Materializer
from fileset.repository.origin import default_actor
from ledger.disk import new_folder
from ledger.errors import LedgerError
from ledger.files import copy_file, file_content, read_file

SEED = int(os.environ.get("FILESET_FAULTS_SEED", commit_number() % 1_000_003))
"""Which sample: another one for each commit, told where it fails."""

SAMPLE = 3
"""Points of each operation."""

UNTRACED = tracing.why_not()
OTHERS = list(SCENARIOS)[SEED % 3 :: 3] if UNTRACED is None else list(SCENARIOS)
"""The operations that are tried in Python in this sample: all where nothing can be traced."""


@pytest.fixture(params=list(FORMS))
def form(request: pytest.FixtureRequest) -> str:
    if request.param == "strace" and UNTRACED is not None:
        pytest.skip(f"{UNTRACED}: only the form in Python is tried")
    return str(request.param)


@pytest.fixture(scope="module")
def bench() -> Iterator[Callable[[str, str], Bench]]:
    """Benches by the names of their scenario and form, each set up once."""
    with ExitStack() as stack:
        yield cache(lambda name, form: stack.enter_context(Bench.of(SCENARIOS[name], FORMS[form])))


@pytest.fixture(scope="module")
def rows(request: pytest.FixtureRequest) -> Iterator[list[Row]]:
    """What was tried, counted in print at the end."""
    tried: list[Row] = []
    yield tried
    count, of = sum(sum(row.tried.values()) for row in tried), sum(row.points for row in tried)
    capture = request.config.pluginmanager.getplugin("capturemanager")
    with capture.global_and_fixture_disabled():
        print(f"\n{count:,} of {of:,} points of the crash matrix tried, seed {SEED}")  # noqa: T201


def refuse_broken(row: Row) -> None:
    told = "\n\n".join(row.broken)
    assert not row.broken, f"with FILESET_FAULTS_SEED={SEED}\n{told}"


@pytest.mark.parametrize(
    ("name", "form"),
    [*((name, "strace") for name in SCENARIOS), *((name, "python") for name in OTHERS)],
    indirect=["form"],
)
def test_a_fault_leaves_the_old_or_the_new_state_or_one_that_the_command_completes(
    name: str, form: str, bench: Callable[[str, str], Bench], rows: list[Row]
) -> None:
    set_up = bench(name, form)
    every = len(set_up.points) // SAMPLE
    rows.append(set_up.try_points(set_up.points[SEED % every :: every]))
    refuse_broken(rows[-1])


@pytest.mark.soak
@pytest.mark.parametrize("name", list(SCENARIOS))
def test_every_fault_leaves_the_old_or_the_new_state_or_one_that_the_command_completes(
    name: str, form: str
) -> None:
    with Bench.of(SCENARIOS[name], FORMS[form]) as bench:
        points = random.Random(SEED).sample(bench.points, len(bench.points))  # noqa: S311 - no secret
        row = bench.try_points(takewhile(lambda _: not soak_time.is_over(), points))
    print(table([row]))  # noqa: T201 - shown with -s
    refuse_broken(row)


# --- the harness itself --------------------------------------------------------------------------


def _in_place(folder: Path) -> None:
    """Write the DICOMDIR as it must not be: over itself."""

    def commit(self: Materializer, dicomdir: bytes) -> None:
        fd = os.open(folder / MEDIUM / "DICOMDIR", os.O_WRONLY | os.O_TRUNC)
        os.write(fd, dicomdir)
        os.close(fd)

    with mock.patch.object(Materializer, "_commit", commit):
        SCENARIOS["write-id"].act(folder)


def broken(name: str, act: Callable[[Path], None]) -> Scenario:
    return evolve(SCENARIOS[name], act=act)


def first(bench: Bench, kind: Kind, path: str, *, changes: bool = True) -> Point:
    return next(
        point
        for point in bench.points
        if point.kind is kind and path in point.call.text and point.call.changes is changes
    )


def test_a_dicomdir_that_is_written_in_place_is_caught(form: str) -> None:
    with Bench.of(broken("write-id", _in_place), FORMS[form]) as bench:
        point = next(
            point
            for point in bench.points
            if point.call.name == "write" and point.call.text == f"/{MEDIUM}/DICOMDIR"
        )
        with pytest.raises(BrokenPromiseError, match="DICOMDIR"):
            bench.try_point(evolve(point, kind=Kind.KILL))


def test_an_error_that_tells_the_user_nothing_is_caught(form: str) -> None:
    def act(folder: Path) -> None:
        try:
            SCENARIOS["remove"].act(folder)
        except (OSError, LedgerError) as exc:
            raise KeyError("lost") from exc

    with Bench.of(broken("remove", act), FORMS[form]) as bench:
        point = first(bench, Kind.EIO, "/repository/journal.sqlite")
        with pytest.raises(BrokenPromiseError, match="KeyError: 'lost'"):
            bench.try_point(point)


def test_a_claim_to_be_done_that_is_wrong_is_caught(form: str) -> None:
    def act(folder: Path) -> None:
        try:
            SCENARIOS["remove"].act(folder)
        except (OSError, LedgerError):
            return

    with Bench.of(broken("remove", act), FORMS[form]) as bench:
        point = first(bench, Kind.EIO, "/repository/journal.sqlite")
        with pytest.raises(BrokenPromiseError, match="was said to be done, and is old"):
            bench.try_point(point)


def test_a_file_of_others_that_goes_is_caught(form: str) -> None:
    def act(folder: Path) -> None:
        SCENARIOS["write-removal"].act(folder)
        # An undisturbed run has it back, so that nothing shows in the end.
        data = (folder / MEDIUM / "README.TXT").read_bytes()
        (folder / MEDIUM / "README.TXT").unlink()
        (folder / MEDIUM / "README.TXT").write_bytes(data)

    with Bench.of(broken("write-removal", act), FORMS[form]) as bench:
        points = [p for p in bench.points if p.kind is Kind.KILL and "README.TXT" in p.call.text]
        with pytest.raises(BrokenPromiseError, match=r"README\.TXT is gone"):
            bench.try_point(points[1])


def test_a_change_that_was_acknowledged_and_is_lost_is_caught(tmp_path: Path) -> None:
    folder = tmp_path / "folder"
    folder.mkdir()
    undisturbed = reference(SCENARIOS["remove"], folder, tmp_path / "pristine")
    acknowledge(folder, "no such change")
    with pytest.raises(AssertionError, match="Acknowledged changes are lost"):
        check(SCENARIOS["remove"], folder, undisturbed)


def test_a_fault_that_does_not_come_to_pass_is_no_pass(
    form: str, bench: Callable[[str, str], Bench]
) -> None:
    set_up = bench("remove", form)
    absent = Point(Call("fsync", 999, "/nowhere", changes=True, takes_space=True), Kind.KILL)
    with pytest.raises(HarnessError, match="did not come to pass"):
        set_up.try_point(absent)
    point = first(set_up, Kind.EIO, "/repository")
    elsewhere = evolve(point, call=evolve(point.call, text="/somewhere/else"))
    restore(set_up.pristine, set_up.folder)
    with pytest.raises(HarnessError, match="did not come to pass"):
        set_up.form.act(set_up.scenario, set_up.folder, elsewhere)


def test_a_fault_comes_to_pass_where_a_call_has_another_number_by_now(
    form: str, bench: Callable[[str, str], Bench]
) -> None:
    set_up = bench("remove", form)
    points = [point for point in set_up.points if point.kind is Kind.EIO]
    # The next one looks the same, but for what came before it.
    point = next(
        point
        for point in points
        for other in points
        if other.call == evolve(point.call, number=other.call.number, before=other.call.before)
        and other.call.number == point.call.number + 1
    )
    listed = evolve(point, call=evolve(point.call, number=point.call.number + 1))
    restore(set_up.pristine, set_up.folder)
    with pytest.raises(HarnessError, match="did not come to pass"):
        set_up.form.act(set_up.scenario, set_up.folder, listed)
    set_up.try_point(listed)


@pytest.mark.skipif(UNTRACED is not None, reason=str(UNTRACED))
def test_what_the_c_library_does_to_find_the_name_of_the_user_is_not_counted(
    tmp_path: Path,
) -> None:
    def act(_: Path) -> None:
        for _ in range(101):  # at each hundredth time it does more
            default_actor()

    _, calls, _ = tracing._traced(broken("remove", act), tmp_path)
    assert not [call for call in calls if call.name in {"openat", "close"}]


# --- points that broke a promise once ------------------------------------------------------------


def failing_at(name: str, below: str) -> Any:
    """Have the function `name` of `os` fail as on a broken disk for a path with `below`."""
    original = getattr(os, name)

    def call(*args: Any, **kwargs: Any) -> Any:
        path = (
            args[0] if not isinstance(args[0], int) else Path(f"/proc/self/fd/{args[0]}").readlink()
        )
        if below in os.fspath(path):
            raise OSError(errno.EIO, os.strerror(errno.EIO))
        return original(*args, **kwargs)

    return mock.patch.object(os, name, call)


Try = Callable[..., Outcome]


@pytest.fixture
def tried(bench: Callable[[str, str], Bench]) -> Try:
    """Have a fault at one of the calls `call` for `path`, in the form that is always there."""

    def fault(name: str, kind: Kind, call: str, path: str, *, which: int = 0) -> Outcome:
        set_up = bench(name, "python")
        points = [
            point
            for point in set_up.points
            if point.kind is kind and point.call.name == call and path in point.call.text
        ]
        return set_up.try_point(points[which])

    return fault


@pytest.mark.parametrize("which", [0, 1, -1])
@pytest.mark.parametrize("call", ["rename", "unlink"])
def test_a_write_killed_between_the_files_it_deletes_leaves_no_empty_folder(
    which: int, call: str, tried: Try
) -> None:
    assert tried("write-removal", Kind.KILL, call, "/freed/PT", which=which) is Outcome.BETWEEN


def test_a_killed_write_leaves_no_folder_that_its_files_had_left_already(tried: Try) -> None:
    assert tried("write-removal", Kind.KILL, "rmdir", "/medium/PT") is Outcome.BETWEEN


def test_a_private_folder_that_cannot_be_read_is_not_passed_over(tried: Try) -> None:
    tried("write-new", Kind.EIO, "scandir", ".files")


def test_a_killed_init_leaves_nothing_beside_the_repository(tried: Try) -> None:
    tried("init", Kind.KILL, "io.open", ".toml")


def test_a_killed_import_leaves_no_copy_of_the_instances(tried: Try) -> None:
    tried("import-journal", Kind.KILL, "fsync", ".fileset-")


def test_an_export_killed_before_it_was_recorded_can_be_given_again(tried: Try) -> None:
    tried("export", Kind.KILL, "fsync", "/", which=-1)


@pytest.mark.parametrize("which", [0, 1, 2, -1])
def test_an_export_to_a_folder_that_is_there_can_be_given_again(which: int, tried: Try) -> None:
    tried("export-onto", Kind.KILL, "fsync", f"/{COPY}", which=which)


def test_giving_up_a_write_does_not_pass_over_files_that_cannot_be_read(tried: Try) -> None:
    tried("write-abandon", Kind.EIO, "open", "/medium/STG")


@pytest.mark.parametrize("call", ["write", "replace"])
def test_a_killed_index_leaves_nothing_that_the_next_one_stumbles_over(
    call: str, tried: Try
) -> None:
    tried("index", Kind.KILL, call, "/medium/.DICOMDIR-")


def test_a_disk_that_fails_is_not_taken_for_a_folder_that_is_in_the_way(tried: Try) -> None:
    tried("write-onto", Kind.EIO, "stat", "/medium/PT000000/ST000000/SE000000")


def test_an_error_in_reading_names_the_file(tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_bytes(b"data")
    with failing_at("fstat", "/file"):
        for read in (read_file, file_content):
            with pytest.raises(OSError, match="/file"):
                read(path)


def test_a_disk_that_is_full_is_not_blamed_on_the_file_that_is_copied(tmp_path: Path) -> None:
    (tmp_path / "source").write_bytes(b"data")
    with (
        (tmp_path / "target").open("wb") as target,
        failing_at("write", "/target"),
        pytest.raises(OSError, match="Input/output") as caught,
    ):
        copy_file(tmp_path / "source", target.fileno(), expected=None)
    assert caught.value.filename is None


def test_a_folder_that_another_process_is_making_is_left_alone(tmp_path: Path) -> None:
    with new_folder(tmp_path / "made") as theirs:
        (theirs / "file").write_bytes(b"theirs")
        with new_folder(tmp_path / "made") as ours:
            (ours / "file").write_bytes(b"ours")
            assert (theirs / "file").exists()
        (tmp_path / "made").rename(tmp_path / "moved")
    assert (tmp_path / "made" / "file").read_bytes() == b"theirs"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["made", "moved"]


def test_what_a_killed_process_was_making_goes_when_it_is_made_again(tmp_path: Path) -> None:
    left = tmp_path / ".made.fileset-01234567"
    left.mkdir()
    other = tmp_path / ".made.original"
    other.mkdir()
    with new_folder(tmp_path / "made"):
        pass
    assert sorted(path.name for path in tmp_path.iterdir()) == [".made.original", "made"]
