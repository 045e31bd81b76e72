"""The fold: what each event does, and that one that can't follow does nothing at all."""

from __future__ import annotations

from typing import Any

import pytest
from attrs import evolve
from models import Author, added, spec, tree

from ledger.digest import digest_of
from ledger.elements import Elements
from ledger.errors import JournalDamagedError
from ledger.events import (
    ChangeRedone,
    ChangeUndone,
    Content,
    ContentRecorded,
    Event,
    FileSetCreated,
    FileSetImported,
    InstanceRemoved,
    InstanceRestored,
    Placement,
    Record,
    RecordRef,
    WriteAbandoned,
    WriteCompleted,
    WriteExported,
    WriteStarted,
)
from ledger.journal.entries import Change, Recorded
from projections.kept.snapshot import to_plain
from projections.state.fold import advance, fold
from projections.state.hierarchy import Hierarchy
from projections.state.state import FileSetState

DIGEST = digest_of(b"dicomdir")


def recorded(position: int, event: Any, change: str = "x") -> Recorded:
    return Recorded(position, Change(change, position, 1, "", "me", "here", None), event)


def test_a_new_file_set_is_empty_and_has_its_identity() -> None:
    state = fold([recorded(1, FileSetCreated(uid="1.2", id="ID"))])

    assert (state.identity.uid, state.identity.id) == ("1.2", "ID")
    assert state.written is None
    assert not state.live
    assert state.position == 1


def test_an_imported_file_set_is_as_its_medium_says() -> None:
    imported = FileSetImported(
        root="/m",
        uid="1.2",
        dicomdir=DIGEST,
        id="ID",
        descriptor_file_id=("A", "B"),
        descriptor_character_set="ISO_IR 100",
    )
    first = evolve(added(FileSetState(), spec(0)), placement=Placement.ROOT, file_id="X/Y")
    state = fold([recorded(1, imported), recorded(2, first)])

    assert state.identity.descriptor_file_id == ("A", "B")
    assert state.written is not None
    assert (state.written.root, state.written.dicomdir) == ("/m", DIGEST)
    assert state.live["1.9.0"].file_id == "X/Y"
    assert not state.additions
    assert not state.history.undo


def test_reading_an_adopted_instance_records_its_content_for_good() -> None:
    author = Author().run([("add", 0, 0, 0)])
    content = Content(digest_of(b"read"), 4)

    author.commit([ContentRecorded(2, content, Placement.REFERENCE)])
    author.run([("remove", 0), ("undo", 1)])

    leaf = author.state.leaf(2)
    assert (leaf.content, leaf.placement) == (content, Placement.REFERENCE)


def test_another_content_under_a_uid_on_the_medium_is_an_addition_and_a_removal() -> None:
    author = Author().run([("add", 0, 0, 0), ("write",), ("remove", 0), ("add", 0, 0, 1)])
    state = author.state

    assert state.live["1.9.0"].handle == state.additions["1.9.0"].handle != 2
    assert state.removals["1.9.0"].handle == 2

    author.do(("write",))
    assert not state.additions
    assert not state.removals
    author.do(("undo", 2))
    assert state.live["1.9.0"].handle == state.additions["1.9.0"].handle == 2
    assert state.removals["1.9.0"].handle != 2


def test_what_changes_while_a_write_is_under_way_is_pending_after_it() -> None:
    author = Author().run(
        [
            *[("add", number, 0, 0) for number in (0, 1)],
            ("write",),
            ("remove", 0),
            ("add", 2, 0, 0),
            ("set", "id", "AT START"),
            ("start",),
            ("add", 0, 0, 0),
            ("remove", 2),
            ("add", 3, 0, 0),
            ("set", "id", "LATER"),
            ("complete",),
        ]
    )
    state = author.state

    assert state.additions.keys() == {"1.9.0", "1.9.3"}
    assert state.removals.keys() == {"1.9.2"}
    assert state.written is not None
    assert state.written.identity.id == "AT START"
    assert state.writing is None


def test_an_abandoned_write_leaves_everything_as_it_was() -> None:
    author = Author().run([("add", 0, 0, 0), ("write",), ("remove", 0)])
    before = {**to_plain(author.state), "position": 0}

    author.run([("start",), ("abandon",)])

    assert {**to_plain(author.state), "position": 0} == before


def test_an_export_changes_nothing() -> None:
    author = Author().run([("add", 0, 0, 0)])
    before = {**to_plain(author.state), "position": 0}

    author.commit([WriteExported(root="/out", layout="pydicom", base=2, dicomdir=DIGEST)])

    assert {**to_plain(author.state), "position": 0} == before


# --- what can't follow ---------------------------------------------------------------------------


def standing() -> Author:
    """Return a File-set with something of everything.

    1.9.0 (at 2) is on the medium, 1.9.1 was removed from it, 1.9.2 never got there; a change was
    undone.
    """
    return Author().run(
        [
            ("add", 0, 0, 0),
            ("add", 1, 0, 0),
            ("write",),
            ("remove", 1),
            ("add", 2, 0, 0),
            ("remove", 2),
            ("set", "id", "X"),
            ("undo", 1),
        ]
    )


GOOD = spec(7)
new = added(standing().state, GOOD)
unreadable = Record("PATIENT", Elements(b"\x10\x00\x20\x00LO\xff\x00short"))


@pytest.mark.parametrize(
    "event",
    [
        pytest.param(FileSetCreated(uid="1.5"), id="a second beginning"),
        pytest.param(
            FileSetImported(root="/", uid="1.5", dicomdir=DIGEST), id="an import into a File-set"
        ),
        pytest.param(evolve(new, sop_instance_uid="1.9.0"), id="a UID that is there already"),
        pytest.param(evolve(new, under=RecordRef(99, 0)), id="a record that never was"),
        pytest.param(evolve(new, under=RecordRef(2, 3)), id="a record beyond those of its event"),
        pytest.param(
            evolve(new, parents=(GOOD.records[1], unreadable)), id="a record that can't be read"
        ),
        pytest.param(
            evolve(new, file_id="A", placement=Placement.ROOT), id="adoption after a change"
        ),
        pytest.param(InstanceRemoved(99), id="removal of what never was"),
        pytest.param(InstanceRemoved(3), id="removal of what is removed"),
        pytest.param(InstanceRestored(99), id="restoring what never was"),
        pytest.param(InstanceRestored(2), id="restoring what is there"),
        pytest.param(ContentRecorded(99, GOOD.content, Placement.VAULT), id="content of nothing"),
        pytest.param(ChangeUndone("zzz"), id="undoing what never was"),
        pytest.param(ChangeUndone("c0002"), id="undoing out of order"),
        pytest.param(ChangeUndone("c0009"), id="undoing what is undone"),
        pytest.param(ChangeRedone("c0002"), id="redoing what is in force"),
        pytest.param(WriteCompleted(4, DIGEST), id="a completion without a start"),
        pytest.param(WriteAbandoned(4, "x"), id="an end without a start"),
        pytest.param(
            WriteStarted("/", "pydicom", 1, placed={"A": {"B": 99}}), id="writing what never was"
        ),
        pytest.param(WriteStarted("/", "pydicom", 1, dropped=(99,)), id="dropping what never was"),
    ],
)
def test_an_event_that_can_not_follow_is_damage_and_changes_nothing(event: Event) -> None:
    author = standing()
    before, seen = to_plain(author.state), tree(author.state)
    position = author.state.position + 1

    with pytest.raises(JournalDamagedError, match=event.TYPE) as caught:
        advance(author.state, [recorded(position, event)])

    assert caught.value.position == position
    assert str(caught.value) == (
        f"The event '{event.TYPE}' at position {position} does not fit the events before it."
    )
    assert to_plain(author.state) == before
    assert tree(author.state) == seen
    # The state goes on as if nothing had been tried.
    author.run([("redo", 1), ("add", 7, 0, 0), ("write",)])
    assert author.state.identity.id == "X"


def test_removing_one_that_another_has_replaced_is_damage() -> None:
    author = Author().run([("add", 0, 0, 0), ("write",), ("remove", 0), ("add", 0, 0, 1)])

    with pytest.raises(JournalDamagedError):
        author.commit([InstanceRemoved(2)])
    with pytest.raises(JournalDamagedError):
        author.commit([InstanceRestored(2)])

    assert author.state.live["1.9.0"].handle == author.state.additions["1.9.0"].handle


@pytest.mark.parametrize("event", [WriteCompleted(1, DIGEST), WriteAbandoned(1, "x")])
def test_a_write_ends_with_the_position_at_which_it_started(event: Event) -> None:
    author = Author().run([("start",)])

    with pytest.raises(JournalDamagedError):
        advance(author.state, [recorded(3, event)])
    assert author.state.writing is not None
    with pytest.raises(JournalDamagedError):
        advance(author.state, [recorded(3, WriteStarted("/", "pydicom", 2))])
    author.do(("complete",))
    assert author.state.writing is None


@pytest.mark.parametrize("position", [0, 1, 3, 99])
def test_an_event_out_of_its_place_is_damage(position: int) -> None:
    state = fold([recorded(1, FileSetCreated(uid="1.2"))])

    with pytest.raises(JournalDamagedError, match=f"{position} does not follow position 1") as e:
        advance(state, [recorded(position, InstanceRemoved(1))])

    assert e.value.position == position
    assert state.position == 1


def test_what_is_no_event_is_damage() -> None:
    class Other:
        TYPE = "other"

    with pytest.raises(JournalDamagedError, match="other"):
        advance(FileSetState(), [recorded(1, Other())])


@pytest.mark.parametrize("error", [KeyError, ValueError, AttributeError, TypeError])
def test_a_fault_of_the_program_is_not_told_as_damage_of_the_journal(
    error: type[Exception], monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object) -> None:
        raise error("a mistake in the code")

    monkeypatch.setattr(Hierarchy, "place", fail)

    with pytest.raises(error, match="a mistake in the code"):
        Author().do(("add", 0, 0, 0))
