"""The memory of files: it survives, begins anew when it is damaged, and holds no name."""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest
from cli_runs import run
from watched import CHANGED, STAMP, House, added, drop, instance

from fileset.watching.known_files import JournalMark, KnownFiles

MARK = JournalMark("journal", 1, b"hash")


def cut(path: Path) -> None:
    os.truncate(path, path.stat().st_size // 2)


def lose_key(path: Path) -> None:
    with closing(sqlite3.connect(path)) as db, db:
        db.execute("DELETE FROM key")


def lose_table(path: Path) -> None:
    with closing(sqlite3.connect(path)) as db, db:
        db.execute("DROP TABLE file")


def scramble(path: Path) -> None:
    data = bytearray(path.read_bytes())
    for offset in range(2 * 4096, len(data)):
        data[offset] = (data[offset] * 7 + 13) & 0xFF
    path.write_bytes(data)


def filled(path: Path) -> KnownFiles:
    memory = KnownFiles(path)
    memory.remember([(f"/in/{n}", STAMP) for n in range(500)], root="/in", mark=MARK)
    return memory


def memory_of(home: House) -> Path:
    return home.repository / "watch" / "remembered.sqlite"


def rows(home: House) -> int:
    with closing(sqlite3.connect(memory_of(home))) as db:
        return int(db.execute("SELECT count(*) FROM file").fetchone()[0])


DAMAGES = pytest.mark.parametrize("damage", [cut, lose_key, lose_table, scramble])


def test_what_is_remembered_survives_and_holds_no_name(tmp_path: Path) -> None:
    path = tmp_path / "remembered.sqlite"
    memory = KnownFiles(path)
    memory.remember([("/in/Smith^John/a.dcm", STAMP)])
    memory.remember([("/in/Smith^John/b.dcm", CHANGED)], owed=True)
    memory.close()
    memory = KnownFiles(path)
    names = ["a.dcm", "b.dcm", "c.dcm"]
    expected = {"a.dcm": (STAMP.packed(), False), "b.dcm": (CHANGED.packed(), True)}
    assert memory.of_names("/in/Smith^John", names) == expected
    memory.forget(["/in/Smith^John/a.dcm"])
    assert list(memory.of_names("/in/Smith^John", names)) == ["b.dcm"]
    memory.close()
    assert b"Smith" not in path.read_bytes()


def test_a_damaged_or_deleted_memory_is_begun_anew(tmp_path: Path) -> None:
    path = tmp_path / "remembered.sqlite"
    path.write_bytes(b"no database at all" * 100)
    memory = KnownFiles(path)
    memory.remember([("/in/a", STAMP)])
    path.unlink()
    memory.refresh()
    assert memory.of_names("/in", ["a"]) == {}
    memory.remember([("/in/a", STAMP)])
    assert list(memory.of_names("/in", ["a"])) == ["a"]
    memory.close()


@DAMAGES
def test_a_damaged_memory_is_begun_anew(tmp_path: Path, damage: Callable[[Path], None]) -> None:
    path = tmp_path / "remembered.sqlite"
    filled(path).close()
    damage(path)
    with closing(KnownFiles(path)) as memory:
        assert (memory.of_names("/in", ["1"]), memory.mark) == ({}, None)
        memory.remember([("/in/1", STAMP)])
        assert list(memory.of_names("/in", ["1"])) == ["1"]


def test_a_memory_that_is_damaged_while_it_is_used_is_begun_anew(tmp_path: Path) -> None:
    path = tmp_path / "remembered.sqlite"
    with closing(filled(path)) as memory:
        lose_table(path)
        assert memory.of_names("/in", ["1"]) == {}
        scramble(path)
        path.write_bytes(b"no database" * 1000)
        memory.remember([("/in/1", STAMP)])
        assert list(memory.of_names("/in", ["1"])) == ["1"]
        memory.forget(["/in/1"])
        assert memory.mark is None


OTHERS: dict[str, Callable[[Path], None]] = {
    "FIFO": os.mkfifo,
    "folder": Path.mkdir,
    "link": lambda path: path.symlink_to(path.with_name("elsewhere")),
    "loop": lambda path: path.symlink_to(path),
}


@pytest.mark.parametrize("put", OTHERS.values(), ids=OTHERS)
@pytest.mark.parametrize("name", ["remembered.sqlite", "remembered.sqlite-journal"])
def test_what_is_in_its_place_and_no_file_is_named_with_what_to_do(
    home: House, put: Callable[[Path], None], name: str
) -> None:
    drop(home.inbox, "a", instance(1))
    path = home.repository / "watch" / name
    path.parent.mkdir()
    put(path)
    watch = "--repo", home.repository, "watch", home.inbox, "--once", "--settle", "0"
    refused = run(*watch, code=3)
    assert refused.err.startswith(f"error: {path} is not a regular file: move it away")
    path.rename(home.path / "away")
    run(*watch)
    assert len(added(home.repository)) == 1


def test_a_full_disk_does_not_cost_the_memory(tmp_path: Path) -> None:
    with closing(filled(tmp_path / "remembered.sqlite")) as memory:
        memory._db._db.execute("PRAGMA max_page_count = 1")
        with pytest.raises(sqlite3.OperationalError, match="full"):
            memory.remember([(f"/in/more{n}", STAMP) for n in range(5000)])
        assert list(memory.of_names("/in", ["1"])) == ["1"]


def test_files_that_are_no_more_are_forgotten_by_looks_at_everything(home: House) -> None:
    for number in range(4):
        drop(home.inbox, f"a{number}", instance(number))
    home.drain()
    for number in range(3):
        (home.inbox / f"a{number}").unlink()
    assert rows(home) == 4
    home.drain()  # finds that
    assert home.drain()["seen"] == 0
    assert rows(home) == 1


def test_a_look_that_something_was_in_the_way_of_forgets_nothing(tmp_path: Path) -> None:
    with closing(filled(tmp_path / "remembered.sqlite")) as memory:
        for _ in range(3):
            memory.sweep("/in")  # and no end of it
        assert list(memory.of_names("/in", ["1"])) == ["1"]
        for _ in range(2):
            memory.sweep("/elsewhere").end()
        assert list(memory.of_names("/in", ["1"])) == ["1"]
        for _ in range(2):
            sweep = memory.sweep("/in")
            sweep.meet("/in", ["1"])
            sweep.end()
        assert list(memory.of_names("/in", ["1", "2"])) == ["1"]
