"""What a host remembers of a journal on a server."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from ledger.errors import JournalDamagedError
from ledger.journal.entries import Head
from ledger.journal.high_water import HighWater

ID, HASH, OTHER = "11" * 16, b"a" * 32, b"b" * 32


@pytest.fixture(params=[True, False], ids=["kept", "not kept"])
def folder(request: pytest.FixtureRequest, tmp_path: Path) -> Path | None:
    return tmp_path if request.param else None


def test_what_was_seen_has_to_be_there(folder: Path | None) -> None:
    seen = HighWater(ID, folder)
    seen.check("The journal", seen.head, None)  # nothing was seen yet
    seen.rise(Head(5, HASH))
    seen.check("The journal", seen.head, HASH)
    for hash_there in (None, OTHER, b""):
        with pytest.raises(JournalDamagedError, match="has seen its position 5") as caught:
            seen.check("The journal", seen.head, hash_there)
        assert ("delete" in str(caught.value)) == (folder is not None)


def test_only_what_is_higher_is_remembered(folder: Path | None) -> None:
    seen = HighWater(ID, folder)
    for position in (5, 3, 5, 0):
        seen.rise(Head(position, HASH if position == 5 else OTHER))
        assert seen.head == Head(5, HASH)
    seen.rise(Head(6, OTHER))
    assert seen.head == Head(6, OTHER)


def test_each_journal_is_remembered_by_the_next_one_who_looks(tmp_path: Path) -> None:
    HighWater(ID, tmp_path).rise(Head(5, HASH))
    HighWater("22", tmp_path).rise(Head(7, OTHER))
    assert HighWater(ID, tmp_path).head == Head(5, HASH)
    assert HighWater("22", tmp_path).head == Head(7, OTHER)
    assert HighWater("33", tmp_path).head.position == 0


@pytest.mark.parametrize(
    "data", [b"", b"\xff", b"[]", b"{}", b'{"position": 5, "hash": 5}', b'{"position": "x"}', b"5"]
)
def test_what_can_t_be_read_is_as_if_nothing_was_seen(tmp_path: Path, data: bytes) -> None:
    HighWater(ID, tmp_path).rise(Head(5, HASH))
    (path,) = tmp_path.iterdir()
    path.write_bytes(data)
    seen = HighWater(ID, tmp_path)
    seen.check("The journal", seen.head, None)
    seen.rise(Head(1, HASH))
    assert HighWater(ID, tmp_path).head == Head(1, HASH)


def test_where_nothing_can_be_kept_it_is_remembered_as_long_as_it_is_used(tmp_path: Path) -> None:
    seen = HighWater(ID, tmp_path / "missing")
    seen.rise(Head(5, HASH))
    assert seen.head == Head(5, HASH)
    assert HighWater(ID, tmp_path / "missing").head.position == 0


def test_it_never_falls_however_many_remember_it(tmp_path: Path) -> None:
    ahead, behind = HighWater(ID, tmp_path), HighWater(ID, tmp_path)
    ahead.rise(Head(10, HASH))
    behind.rise(Head(6, OTHER))
    assert HighWater(ID, tmp_path).head == Head(10, HASH)
    assert behind.head == Head(10, HASH)
    behind.rise(Head(11, OTHER))
    assert HighWater(ID, tmp_path).head == Head(11, OTHER)


def test_whoever_looks_meanwhile_sees_the_old_or_the_new(tmp_path: Path) -> None:
    seen = HighWater(ID, tmp_path)
    seen.rise(Head(1, HASH))
    (path,) = tmp_path.iterdir()
    with path.open("rb") as opened_before:
        seen.rise(Head(2, OTHER))
        assert b'"position": 1' in opened_before.read()
    assert list(tmp_path.iterdir()) == [path]


def test_threads_and_objects_together_leave_the_highest(tmp_path: Path) -> None:
    several = [HighWater(ID, tmp_path) for _ in range(3)]
    with ThreadPoolExecutor(6) as pool:
        list(pool.map(lambda at: several[at % 3].rise(Head(at * 7 % 101, HASH)), range(101)))
    assert HighWater(ID, tmp_path).head == Head(100, HASH)


@pytest.mark.parametrize("journal_id", ["", "../../x", "a/b", "ab\n", "AB", "\0", "f" * 65])
def test_an_id_that_is_no_journal_s_names_no_file(tmp_path: Path, journal_id: str) -> None:
    with pytest.raises(JournalDamagedError, match="is not the id of a journal"):
        HighWater(journal_id, tmp_path / "in")
