"""Exported journals: what is written, what is taken back in, and what is refused, and where."""

from __future__ import annotations

import hashlib
import io
import json
import random
import re
import struct
import tracemalloc
from collections.abc import Callable, Iterator
from contextlib import closing
from itertools import islice
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest
from attrs import evolve
from hypothesis import given
from hypothesis import strategies as st
from strategies import drafts, events

from ledger.errors import JournalDamagedError, JournalError, JournalFileError, UnknownFormatError
from ledger.events import Event, FileSetCreated, FileSetIDChanged, InstanceRemoved
from ledger.journal.chain import genesis, verify_journal
from ledger.journal.entries import Change, Draft, Head, Stored
from ledger.journal.lines import JournalFile, write_journal
from ledger.journal.memory import MemoryJournal
from ledger.journal.protocol import Journal
from ledger.journal.sqlite import SqliteJournal

PAGE = Path(__file__).parents[3] / "docs" / "reference" / "journal-format.md"
SIZES = (1, 3, 2)
TOTAL = sum(SIZES)


def written() -> MemoryJournal:
    journal = MemoryJournal()
    journal.append([FileSetCreated("1.2.3", "A")], Draft("first", "anna", "host"), expected=0)
    removed: list[Event] = [InstanceRemoved(n) for n in range(3)]
    journal.append(removed, Draft("second", "山\n\0", "host", "why"), expected=1)
    named: list[Event] = [FileSetIDChanged("B", "A"), FileSetIDChanged(None, "B")]
    journal.append(named, Draft("third", "anna", "", ""), expected=4)
    return journal


def exported(journal: Journal) -> bytes:
    out = io.BytesIO()
    assert write_journal(journal, out.write) == journal.head()
    return out.getvalue()


def imported(data: bytes, folder: Path) -> SqliteJournal:
    lines = JournalFile(io.BytesIO(data), "j.jsonl")
    with lines.naming_lines():
        return SqliteJournal.restore(folder / "journal", lines.journal_id, lines.events())


@pytest.fixture(scope="module")
def data() -> bytes:
    return exported(written())


# --- the format ----------------------------------------------------------------------------------


def sample() -> list[dict[str, Any]]:
    return [json.loads(line) for line in sample_text().splitlines()]


def sample_text() -> str:
    (block,) = re.findall(
        r"^```json\n(.*?)^```$", PAGE.read_text("utf-8"), re.MULTILINE | re.DOTALL
    )
    return str(block)


def test_the_journal_on_the_page_is_one_and_is_exported_again_as_it_stands(tmp_path: Path) -> None:
    with closing(imported(sample_text().encode(), tmp_path)) as journal:
        assert exported(journal) == sample_text().encode()


def test_the_page_names_every_key_and_no_other() -> None:
    named = re.findall(r"^\| (`[^|]+) \|", PAGE.read_text("utf-8"), re.MULTILINE)
    keys = {key for cell in named for key in re.findall(r"`(\w+)`", cell)}
    assert keys == {key for line in sample() for key in line}


def test_the_page_s_journal_can_be_checked_with_a_sha_256_alone() -> None:
    """What the page says of the chain, put into code that shares nothing with ours."""
    header, *lines = sample()

    def sha(data: bytes) -> bytes:
        return hashlib.sha256(data).digest()

    def framed(text: str | None) -> bytes:
        raw = b"" if text is None else text.encode()
        return (-1 if text is None else len(raw)).to_bytes(8, "big", signed=True) + raw

    link = sha(b"fileset-ledger journal 1\0" + header["journal"].encode())
    for line in lines:
        assert line["digest"] == "sha256:" + sha(line["payload"].encode()).hex()
        fields = ("change", "recorded_at", "actor", "origin", "reason")
        said = b"".join(framed(line[field]) for field in fields)
        of_change = sha(struct.pack(">QQ", line["first"], line["count"]) + said)
        numbers = struct.pack(">QII", line["position"], line["version"], len(line["type"]))
        digest = bytes.fromhex(line["digest"].removeprefix("sha256:"))
        link = sha(link + of_change + numbers + line["type"].encode() + digest)
        assert line["hash"] == "sha256:" + link.hex()
    assert header["head"] == "sha256:" + link.hex()
    assert header["events"] == len(lines)


# --- there and back ------------------------------------------------------------------------------


def test_a_journal_comes_back_as_it_was(data: bytes, tmp_path: Path) -> None:
    journal = written()
    data = exported(journal)
    with closing(imported(data, tmp_path)) as back:
        assert (back.id, back.head()) == (journal.id, journal.head())
        assert list(back.stored()) == list(journal.stored())
        assert list(back.changes()) == list(journal.changes())
        assert list(back.read()) == list(journal.read())
        assert verify_journal(back) == journal.head()
        assert exported(back) == data


@given(changes=st.lists(st.tuples(st.lists(events, min_size=1, max_size=3), drafts), max_size=4))
def test_any_journal_comes_back_as_it_was(changes: list[tuple[list[Event], Draft]]) -> None:
    journal = MemoryJournal()
    for of_change, draft in changes:
        journal.append(of_change, draft, expected=journal.position)
    with TemporaryDirectory() as folder, closing(imported(exported(journal), Path(folder))) as back:
        assert list(back.stored()) == list(journal.stored())
        assert (back.id, back.head()) == (journal.id, journal.head())


def test_a_restored_journal_goes_on_and_refuses_what_any_journal_does(
    data: bytes, tmp_path: Path
) -> None:
    imported(data, tmp_path).close()
    with closing(SqliteJournal(tmp_path / "journal")) as journal:
        journal.append([InstanceRemoved(9)], Draft("next", "", ""), expected=TOTAL)
        assert verify_journal(journal).position == TOTAL + 1
        for statement in ("UPDATE event SET version = 2", "DELETE FROM change"):
            with pytest.raises(Exception, match="append-only"):
                journal._connection.execute(statement)


def test_an_empty_journal_comes_back_empty(tmp_path: Path) -> None:
    journal = MemoryJournal()
    with closing(imported(exported(journal), tmp_path)) as back:
        assert back.head() == Head(0, genesis(journal.id))


class Payloads(MemoryJournal):
    """A journal of one event with a given payload."""

    def __init__(self, payload: bytes) -> None:
        super().__init__()
        self.append([InstanceRemoved(1)], Draft("one", "", ""), expected=0)
        self._payload = payload

    def stored(self, after: int = 0, upto: int | None = None) -> Iterator[Stored]:
        for stored in super().stored(after, upto):
            digest = hashlib.sha256(self._payload).digest()
            yield evolve(stored, payload=self._payload, digest=digest)


@pytest.mark.parametrize(
    "payload", ['{"a": "é\\u2028"}'.encode(), b'{"a":"\\udc80"}', b" { } \n", b"\xff\0\n"]
)
def test_the_stored_bytes_of_a_payload_survive_whatever_they_are(
    payload: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("ledger.journal.lines.checked", lambda _, events: events)
    lines = JournalFile(io.BytesIO(exported(Payloads(payload))), "j")
    assert next(lines.events()).payload == payload


def test_line_ends_of_other_systems_and_a_missing_last_one_do_no_harm(
    data: bytes, tmp_path: Path
) -> None:
    imported(data.replace(b"\n", b"\r\n"), tmp_path).close()
    (tmp_path / "journal").unlink()
    imported(data.rstrip(b"\n"), tmp_path).close()


# --- what is refused -----------------------------------------------------------------------------


def refused(data: bytes, folder: Path) -> JournalFileError:
    with pytest.raises(JournalFileError) as caught:
        imported(data, folder)
    assert list(folder.iterdir()) == []
    assert f"j.jsonl, line {caught.value.line}" in str(caught.value)
    return caught.value


def edited(data: bytes, line: int, edit: Callable[[dict[str, Any]], None]) -> bytes:
    lines = data.splitlines()
    body = json.loads(lines[line - 1])
    edit(body)
    lines[line - 1] = json.dumps(body).encode()
    return b"\n".join(lines) + b"\n"


def test_a_file_that_is_cut_anywhere_is_refused_at_the_line_where_it_ends(
    data: bytes, tmp_path: Path
) -> None:
    for size in [*range(0, len(data) - 1, 29), *(m.end() for m in re.finditer(b"\n", data[:-1]))]:
        whole = data[:size].count(b"\n") + data[size:].startswith(b"\n")
        assert refused(data[:size], tmp_path).line == whole + 1


def test_an_altered_byte_is_refused_by_line_or_changes_nothing(data: bytes, tmp_path: Path) -> None:
    randomly = random.Random(5)  # noqa: S311 - the same bytes in every run
    told: dict[int, int] = {}
    for offset in randomly.sample(range(len(data)), 400):
        altered = bytearray(data)
        altered[offset] ^= 1 << randomly.randrange(8)
        try:
            with closing(imported(bytes(altered), tmp_path)) as journal:
                assert exported(journal) == data
            (tmp_path / "journal").unlink()
        except JournalFileError as exc:
            told[offset] = exc.line
        except UnknownFormatError:  # the byte was that of the format's version
            told[offset] = 1
    assert len(told) > 390
    for offset, line in told.items():
        assert line - data[:offset].count(b"\n") in {1, 2} or line <= 2


def test_a_file_cut_where_a_change_ends_tells_how_many_events_there_were(
    data: bytes, tmp_path: Path
) -> None:
    cut = b"".join(data.splitlines(keepends=True)[:5])
    error = refused(cut, tmp_path)
    assert (error.line, error.position) == (6, 5)
    assert "line 6 (position 5) is missing: line 1 announces 6 events" in str(error)


FIELDS: dict[str, Any] = {
    "position": 99, "change": "x", "first": 3, "count": 9, "recorded_at": "x", "actor": "x",
    "origin": "x", "reason": "x", "type": "instance-restored", "version": 2,
    "digest": "sha256:" + "0" * 64, "hash": "sha256:" + "0" * 64, "payload": "{}",
}  # fmt: skip


@pytest.mark.parametrize("field", FIELDS)
@pytest.mark.parametrize("line", range(2, TOTAL + 2))
def test_an_altered_field_is_refused_at_its_line(
    data: bytes, tmp_path: Path, line: int, field: str
) -> None:
    altered = edited(data, line, lambda body: body.update({field: FIELDS[field]}))
    error = refused(altered, tmp_path)
    assert (error.line, error.position) == (line, line - 1)


@pytest.mark.parametrize("field", FIELDS)
@pytest.mark.parametrize("value", [None, 1.5, True, -1, 2**64, [], {}, "\\"], ids=repr)
def test_a_value_of_another_type_or_size_is_refused_at_its_line(
    data: bytes, tmp_path: Path, field: str, value: Any
) -> None:
    assert refused(edited(data, 4, lambda body: body.update({field: value})), tmp_path).line == 4


@pytest.mark.parametrize("line", range(1, TOTAL + 2))
@pytest.mark.parametrize("bad", [b"", b"null", b"[]", b"{", b'{"a": 1}', b"\xff", b"[" * 5000])
def test_a_line_that_is_no_line_of_ours_is_refused(
    data: bytes, tmp_path: Path, line: int, bad: bytes
) -> None:
    lines = data.splitlines()
    lines[line - 1] = bad
    assert refused(b"\n".join(lines) + b"\n", tmp_path).line == line


@pytest.mark.parametrize("line", range(2, TOTAL + 2))
def test_a_line_too_many_too_few_or_out_of_place_is_refused(
    data: bytes, tmp_path: Path, line: int
) -> None:
    lines = data.splitlines(keepends=True)
    missing = b"".join(lines[: line - 1] + lines[line:])
    twice = b"".join(lines[:line] + lines[line - 1 :])
    assert refused(missing, tmp_path).line == line
    assert refused(twice, tmp_path).line == line + 1


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("format", "another"), ("version", 0.5), ("version", None), ("journal", ""),
        ("journal", 5), ("journal", "x" * 1000), ("events", -1), ("events", "6"), ("head", "x"),
        ("head", "sha256:" + "0" * 64), ("more", 1),
    ],
)  # fmt: skip
def test_a_header_that_is_none_or_not_the_journal_s_is_refused(
    data: bytes, tmp_path: Path, key: str, value: Any
) -> None:
    assert refused(edited(data, 1, lambda body: body.update({key: value})), tmp_path).line == 1


def test_a_header_of_another_journal_is_refused_at_the_first_event(
    data: bytes, tmp_path: Path
) -> None:
    altered = edited(data, 1, lambda body: body.update(journal="0" * 32))
    assert refused(altered, tmp_path).position == 1


def test_a_file_of_a_newer_format_is_not_guessed_at(data: bytes, tmp_path: Path) -> None:
    newer = edited(data, 1, lambda body: body.update(version=2, more="keys"))
    with pytest.raises(UnknownFormatError, match=r"format 2.*up to 1"):
        imported(newer, tmp_path)


def test_two_changes_of_one_id_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    journal = MemoryJournal()
    for position in range(3):
        monkeypatch.setattr(journal, "_by_id", {})
        journal.append([InstanceRemoved(1)], Draft("same", "", ""), expected=position)
    error = refused(exported(journal), tmp_path)
    assert (error.line, error.position) == (3, 2)


def test_a_line_without_an_end_is_not_read_into_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("ledger.journal.lines._MAX_LINE", 1000)
    with pytest.raises(JournalFileError, match="line 1 is longer than any line can be"):
        JournalFile(io.BytesIO(b" " * 5000), "j")


def test_a_damaged_journal_is_not_exported() -> None:
    journal = written()
    journal._store(TOTAL)
    journal._stored[3] = evolve(journal._stored[3], payload=b"{}")
    with pytest.raises(JournalDamagedError) as caught:
        exported(journal)
    assert caught.value.position == 4


def test_nothing_is_restored_over_what_is_there(data: bytes, tmp_path: Path) -> None:
    (tmp_path / "journal").write_text("mine")
    with pytest.raises(JournalError, match="already"):
        imported(data, tmp_path)
    assert (tmp_path / "journal").read_text() == "mine"


# --- size ----------------------------------------------------------------------------------------


class Long(MemoryJournal):
    """A journal of many events, none of which it keeps."""

    def __init__(self, events: int) -> None:
        super().__init__()
        self._made = events
        self._source = written()

    def head(self) -> Head:
        return Head(self._made, bytes(32))

    def stored(self, after: int = 0, upto: int | None = None) -> Iterator[Stored]:
        (stored,) = self._source.stored(0, 1)
        change = Change("id", 1, self._made, "", "", "", None)
        for position in range(1, self._made + 1):
            yield evolve(stored, position=position, change=change)


@pytest.mark.parametrize("events", [2_000, 20_000])
def test_a_journal_of_any_length_passes_through_little_memory(
    tmp_path: Path, events: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("ledger.journal.lines.checked", lambda _, stored: stored)
    monkeypatch.setattr("ledger.journal.sqlite.BATCH", 200)
    path = tmp_path / "j.jsonl"
    tracemalloc.start()
    try:
        with path.open("wb") as out:
            write_journal(Long(events), out.write)
        with path.open("rb") as file:
            read = sum(1 for _ in islice(JournalFile(file, "j").events(), events))
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert read == events
    assert peak < 1_000_000
