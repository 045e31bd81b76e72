"""What an audit trail is told of changes: it agrees with their events, whatever came later."""

from __future__ import annotations

from collections.abc import Iterable
from itertools import groupby

from attrs import evolve
from hypothesis import given
from models import Author, programs

from ledger.digest import digest_of
from ledger.events import (
    Content,
    Event,
    InstanceAdded,
    InstanceCorrected,
    MediumAddressed,
    MediumBurnt,
    MediumProduced,
    MediumStarted,
    WriteCompleted,
    WriteStarted,
)
from ledger.journal.entries import Change, Recorded
from projections.past.audit import Audited, AuditFact, AuditTrail, MediaKind
from projections.past.diff import above
from projections.state.fold import fold
from projections.state.state import FileSetState


def journal(author: Author) -> list[Recorded]:
    """Return the events as a journal has them: those of a change share it."""
    events: list[Recorded] = []
    for _, group in groupby(author.events, key=lambda recorded: recorded.change.id):
        run = list(group)
        change = evolve(run[0].change, first=run[0].position, count=len(run))
        events += [evolve(recorded, change=change) for recorded in run]
    return events


def told(
    events: list[Recorded], state: FileSetState, after: int = 0
) -> list[tuple[Change, list[AuditFact]]]:
    def between(first: int, last: int) -> Iterable[Event]:
        return [recorded.event for recorded in events[first - 1 : last]]

    def state_at(position: int) -> FileSetState:
        return fold(events[:position])

    trail = AuditTrail(state.hierarchy.leaves.get, between, state_at)
    return list(trail.facts(events[after:]))


def of(facts: list[AuditFact], kind: Audited) -> int:
    return sum(fact.instances for fact in facts if fact.kind is kind)


@given(programs())
def test_every_change_is_told_with_what_it_added_corrected_and_wrote(
    program: list[tuple[object, ...]],
) -> None:
    author = Author().run(program)
    events = journal(author)
    leaves = author.state.hierarchy.leaves
    of_patients = {
        handle
        for handle, leaf in leaves.items()
        if any(branch.record.type == "PATIENT" for branch in above(leaf.home))
    }
    for change, facts in told(events, author.state):
        added, corrected, placed = set(), set(), 0
        for recorded in events[change.first - 1 : change.last]:
            event = recorded.event
            if isinstance(event, InstanceCorrected):
                corrected.add(recorded.position)
            elif isinstance(event, InstanceAdded):
                added.add(recorded.position)
            elif isinstance(event, WriteCompleted):
                write = events[event.started - 1].event
                assert isinstance(write, WriteStarted)
                placed += len(of_patients.intersection(write.file_ids()))
        assert of(facts, Audited.IMPORTED) == len(added & of_patients)
        assert of(facts, Audited.EXPORTED) == placed
        assert len(corrected & of_patients) <= of(facts, Audited.UPDATED) <= 2 * len(corrected)
        for fact in facts:
            assert fact.change == change
            assert not fact.erased
            assert sum(patient.instances for patient in fact.patients) == fact.instances
            assert len(fact.patients) == 1 or fact.kind in {Audited.IMPORTED, Audited.EXPORTED}
            for patient in fact.patients:
                counts = [n for study in patient.studies for _, n in study.sop_classes]
                assert sum(counts) <= patient.instances


@given(programs())
def test_what_is_told_of_a_change_depends_on_nothing_that_came_later(
    program: list[tuple[object, ...]],
) -> None:
    author = Author().run(program)
    events = journal(author)
    later = told(events, author.state)
    for change, facts in later[-5:]:
        state = fold(events[: change.last])
        assert told(events[: change.last], state, change.first - 1) == [(change, facts)]


def test_a_disc_that_was_made_and_burnt_went_out_twice_and_is_a_cd_or_a_dvd_by_its_size() -> None:
    for size, kind in ((600_000_000, MediaKind.CD), (800_000_000, MediaKind.DVD)):
        author = Author().run([("add", 1), ("add", 2)])
        first, last = (leaf.handle for leaf in author.state.live.values())
        runs = ((first, first), (last, last))
        made = MediumStarted("iso", 1, last, "1.2.9", runs, "fileset", "DISC", volume=2, volumes=3)
        started = author.commit([made])[0].position
        author.commit([MediumAddressed(started, recipient="Dr. Who")])
        author.commit([MediumProduced(started, Content(digest_of(b""), size), digest_of(b""))])
        author.commit([MediumBurnt(started, "/dev/sr0", digest_of(b""))])
        events = journal(author)
        produced, burnt = (
            fact for _, facts in told(events, author.state, started) for fact in facts
        )
        for fact in (produced, burnt):
            assert fact.kind is Audited.EXPORTED
            assert (fact.instances, fact.recipient) == (2, "Dr. Who")
            assert fact.medium is not None
            assert (fact.medium.kind, fact.medium.uid) == (kind, "1.2.9")
            assert fact.medium.where.startswith("ISO image 'DISC', volume 2 of 3")
        assert burnt.medium is not None
        assert burnt.medium.where.endswith(", burnt on /dev/sr0")
