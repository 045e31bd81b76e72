"""Snapshots: disposable, and equal to what they stand for."""

from __future__ import annotations

import sys
import threading
import tracemalloc
from collections.abc import Callable, Iterable
from hashlib import sha256
from typing import Any

import pytest
from attrs import evolve
from hypothesis import given
from hypothesis import strategies as st
from models import Author, Command, added, spec, standings, tree

from ledger.digest import digest_of
from ledger.elements import Element, encode
from ledger.events import FileSetImported, InstanceRemoved, Placement
from projections.kept.columns import Rows, Texts, extended, seal, unseal
from projections.kept.snapshot import dump, load, to_plain
from projections.state import version
from projections.state.fold import apply
from projections.state.nodes import Leaf
from projections.state.state import FileSetState

EVENTFUL: list[Command] = [
    *[("add", number, number, 0) for number in range(8)],
    ("set", "descriptor_file_id", ("A", "B")),
    ("write", "existing"),
    ("remove", 0),
    ("remove", 4),
    ("add", 4, 4, 1),
    ("undo", 1),
    ("start", "pydicom"),
    ("set", "id", None),
    ("many", [("remove", 5), ("remove", 6), ("set", "uid", "1.2.4")]),
    ("undo", 1),
]


def test_a_state_comes_back_with_its_chain_hash() -> None:
    state = Author().run(EVENTFUL).state

    kept = load(dump(state, "c0ffee"))

    assert kept is not None
    assert kept.hash == "c0ffee"
    assert to_plain(kept.state) == to_plain(state)
    assert tree(kept.state) == tree(state)
    assert standings(kept.state) == standings(state)
    assert kept.state.identity == state.identity
    assert kept.state.written == state.written
    assert kept.state.writing == state.writing
    assert kept.state.additions.keys() == state.additions.keys()
    assert kept.state.removals.keys() == state.removals.keys()


def test_an_instance_comes_back_as_the_fold_has_it_whatever_else_its_event_told() -> None:
    author = Author()
    event = evolve(added(author.state, spec(0)), invented={"StudyID": "1"}, source="/in/a")
    author.commit([event, InstanceRemoved(2)])

    kept = load(dump(author.state, ""))

    assert kept is not None
    assert standings(kept.state) == standings(author.state)


def test_equal_records_are_kept_once_and_runs_of_additions_are_one_row() -> None:
    author = Author()
    events = [added(author.state, spec(number)) for number in range(50)]
    author.commit(evolve(event, record=events[0].record, parents=()) for event in events)

    data = dump(author.state, "")
    plain = to_plain(author.state)
    assert plain["undo"] == [["c0002", [[2, 51]]]]
    assert plain["live"] == plain["additions"] == plain["columns"]["handle"] == [2, 50]
    assert len(data) / 50 < 180  # of which the digest takes 73


def test_an_adopted_state_comes_back_with_all_bytes_of_its_dicomdir() -> None:
    author = Author()
    author.events.clear()
    author.state = FileSetState()
    all_bytes = encode([Element(0x00091001, "OB", bytes(range(256)))])
    author.commit(
        [
            FileSetImported(
                root="/m",
                uid="1.2",
                dicomdir=digest_of(b""),
                descriptor_file_id=("A",),
                elements=all_bytes,
                file_meta=all_bytes,
            ),
            evolve(
                added(FileSetState(), spec(0)),
                content=None,
                placement=Placement.ROOT,
                file_id="A/B",
                source=None,
            ),
        ]
    )

    kept = load(dump(author.state, ""))

    assert kept is not None
    assert kept.state.identity == author.state.identity
    assert to_plain(kept.state) == to_plain(author.state)
    assert kept.state.live["1.9.0"].content is None
    assert not kept.state.additions


def test_an_empty_state_comes_back() -> None:
    kept = load(dump(FileSetState(), ""))

    assert kept is not None
    assert to_plain(kept.state) == to_plain(FileSetState())


def test_a_path_that_is_no_text_comes_back() -> None:
    author = Author()
    author.commit([evolve(added(author.state, spec(0)), source="/in/caf\udce9.dcm")])

    kept = load(dump(author.state, ""))

    assert kept is not None
    assert kept.state.leaf(2).source == "/in/caf\udce9.dcm"


def test_the_same_state_gives_the_same_bytes() -> None:
    assert dump(Author().run(EVENTFUL).state, "x") == dump(Author().run(EVENTFUL).state, "x")


def test_a_snapshot_of_another_version_of_the_fold_is_void(monkeypatch: pytest.MonkeyPatch) -> None:
    data = dump(Author().run(EVENTFUL).state, "x")
    monkeypatch.setattr(version, "VERSION", version.VERSION + 1)

    assert load(data) is None


def test_a_snapshot_that_the_disk_has_damaged_is_as_good_as_none() -> None:
    data = dump(Author().run(EVENTFUL).state, "x")

    assert b"Name^0" in data
    assert load(data.replace(b"Name^0", b"Name^1", 1)) is None


@pytest.mark.parametrize("cut", [0, 1, 10, 100, 1000, -1])
def test_a_snapshot_that_was_cut_short_is_as_good_as_none(cut: int) -> None:
    assert load(dump(Author().run(EVENTFUL).state, "x")[:cut]) is None


DOCUMENT, COLUMNS = unseal(dump(Author().run(EVENTFUL).state, "x"))


@pytest.mark.parametrize("key", [*DOCUMENT, *COLUMNS])
@pytest.mark.parametrize("value", ["missing", "text", 7, [], [1], [[1]], {}, {"a": 1}, ["a"]])
def test_a_snapshot_with_other_things_in_it_is_never_an_exception(key: str, value: object) -> None:
    document, columns = dict(DOCUMENT), {name: list(column) for name, column in COLUMNS.items()}
    if value == "missing":
        document.pop(key, None)
        columns.pop(key, None)
    elif key in document:
        document[key] = value
    elif value in ([], [1], ["a"]):
        columns[key] = value

    kept = load(b"".join(seal(document, columns)))

    assert kept is None or kept.state.position is not None
    assert kept is None or tree(kept.state) is not None


def test_long_columns_are_written_in_pieces_and_come_back_the_same(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("projections.kept.columns._PIECE", 4)
    texts = ["abc", None, "d\xe9f", "", "ghijkl", "m"]

    pieces = list(seal({"a": 1}, {"texts": texts, "numbers": [1, 300]}))
    document, found = unseal(b"".join(pieces))

    assert max(map(len, pieces[:3])) < 12
    assert document == {"a": 1}
    assert [list(column) for column in found.values()] == [texts, [1, 300]]


def test_columns_come_back_row_by_row_whatever_texts_they_hold() -> None:
    texts = ["a", None, "", "caf\xe9", "x\udce9", "\0", "\n", "z" * 1000]
    columns = {"texts": texts, "plain": ["a", None, "bc"], "numbers": [0, -1, 2**62], "none": []}

    document, found = unseal(b"".join(seal({"a": 1}, columns)))

    assert document == {"a": 1}
    for name, values in columns.items():
        assert list(found[name]) == values
        assert [found[name][row] for row in range(len(values))] == values


NUMBERS = st.sampled_from([0, 1, 255, 256, 65_535, 65_536, 2**32 - 1, 2**32, 2**62, -1])
TEXTS = st.sampled_from([None, "", "a", "caf\xe9", "x\udce9", "z" * 300, "z" * 70_000])


@given(st.data())
@pytest.mark.parametrize("values", [NUMBERS, TEXTS], ids=["numbers", "texts"])
def test_a_column_with_other_rows_and_more_of_them_is_as_if_it_were_made_anew(
    values: st.SearchStrategy[Any], data: st.DataObject
) -> None:
    before = data.draw(st.lists(values, min_size=1, max_size=6))
    rows = st.integers(0, len(before) - 1)
    changed = data.draw(st.dictionaries(rows, values, max_size=2))
    more = data.draw(st.lists(values, max_size=4))
    _, columns = unseal(b"".join(seal({}, {"it": before})))

    _, renewed = unseal(b"".join(seal({}, {"it": extended(columns["it"], changed, more)})))

    assert (
        list(renewed["it"]) == [changed.get(row, value) for row, value in enumerate(before)] + more
    )
    assert list(columns["it"]) == before


@given(st.lists(TEXTS, min_size=1, max_size=30), st.data())
def test_rows_that_are_read_together_are_those_that_are_read_alone(
    texts: list[str | None], data: st.DataObject
) -> None:
    runs = data.draw(st.lists(st.tuples(st.integers(0, len(texts)), st.integers(0, 30))))
    asked = [row for first, end in runs for row in range(first, min(end, len(texts)))]
    _, columns = unseal(b"".join(seal({}, {"texts": texts, "numbers": range(len(texts))})))

    rows = Rows(columns["texts"], columns["numbers"])

    assert [rows[row] for row in asked] == [(texts[row], row) for row in asked]
    assert len(rows) == len(texts)


def test_of_very_many_rows_few_are_held(monkeypatch: pytest.MonkeyPatch) -> None:
    read: list[int] = []
    block = Texts._block
    monkeypatch.setattr(
        Texts, "_block", lambda self, rows: read.append(len(rows)) or block(self, rows)
    )
    _, columns = unseal(b"".join(seal({}, {"texts": list(map(str, range(10_000)))})))

    rows = Rows(columns["texts"])
    in_order = [rows[row][0] for row in range(10_000)]
    read_in_order, read[:] = read[:], []
    scattered = [rows[row][0] for row in range(9_999, -1, -7)]

    assert in_order == list(map(str, range(10_000)))
    assert scattered == list(map(str, range(9_999, -1, -7)))
    assert max(read_in_order) <= 1024
    assert len(read_in_order) < 20
    assert len(read) <= 1


def test_instances_of_a_snapshot_are_held_once_when_all_are_looked_at() -> None:
    many = 2000
    state = FileSetState()
    for number in range(many):
        apply(state, added(state, spec(number, 0, 0)), "one change")
    data = dump(state, "x")
    tracemalloc.start()
    try:
        kept = load(data)
        assert kept is not None
        live, hierarchy = kept.state.live, kept.state.hierarchy
        assert len(list(live.values())) == len(list(hierarchy.walk_leaves())) == many
        held, at_peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()

    assert held < 800 * many
    assert at_peak < 1000 * many


@pytest.mark.parametrize("data", [b"", b"null", b"[]", b"1", b"\xff", b"{}"])
def test_what_is_no_snapshot_is_as_good_as_none(data: bytes) -> None:
    assert load(data) is None
    assert load(data + sha256(data).digest()) is None
    sealed = data + len(data).to_bytes(8)
    assert load(sealed + sha256(sealed).digest()) is None


def look_at_once(state: FileSetState) -> None:
    begin = threading.Barrier(2)

    def look(instances: Callable[[], Iterable[Leaf]]) -> None:
        begin.wait()
        list(instances())

    looks = (state.live.values, state.hierarchy.walk_leaves)
    threads = [threading.Thread(target=look, args=(instances,)) for instances in looks]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()


def test_threads_that_look_at_a_state_at_once_see_the_same_instances() -> None:
    author = Author().run([("add", number, 0, 0) for number in range(8)])
    data, interval = dump(author.state, "x"), sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    try:
        for _ in range(50):
            kept = load(data)
            assert kept is not None
            look_at_once(kept.state)
            for leaf in kept.state.hierarchy.walk_leaves():
                assert leaf is kept.state.leaf(leaf.handle) is kept.state.live[leaf.uid]
    finally:
        sys.setswitchinterval(interval)
