"""A journal's author for tests, and the plainest model of what its events amount to.

A *command* is a tuple such as `("add", 3, 1)`; `Author` turns commands into events as the
application does, folds them, and has a `Model` play the same commands on dicts and copies.
"""

from __future__ import annotations

import copy
import hashlib
import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any, NamedTuple

from attrs import Factory, define, evolve, field, fields
from hypothesis import strategies as st

from ledger import elements
from ledger.digest import digest_of
from ledger.elements import Element
from ledger.events import (
    IDENTITY_EVENTS,
    ArrivalWithheld,
    ChangeRedone,
    ChangeReverted,
    ChangeUndone,
    ConflictNoted,
    Content,
    ElementCorrected,
    Event,
    FileSetCreated,
    IconRecorded,
    InstanceAdded,
    InstanceCorrected,
    InstanceRejected,
    InstanceRemoved,
    InstanceRestored,
    InstancesCorrected,
    MismatchSettled,
    Placement,
    PositionTagged,
    Record,
    RecordElementsRecorded,
    RecordRef,
    TagDeleted,
    Variant,
    WriteAbandoned,
    WriteCompleted,
)
from ledger.journal.entries import Change, Recorded
from ledger.journal.erasures import runs_of
from projections.dicomdir.decoder import decode_dicomdir
from projections.dicomdir.tree import DecodedNode, link
from projections.kept.snapshot import dump
from projections.medium.plan import Plan, plan_write
from projections.state.fold import advance
from projections.state.keys import record_key
from projections.state.nodes import Branch, Leaf
from projections.state.revert import inverse
from projections.state.state import FileSetState

PROFILED = ("STD-GEN-CD", "STD-GEN-DVD-J2K")
CT = "1.2.840.10008.5.1.4.1.1.2"
EXPLICIT = "1.2.840.10008.1.2.1"

Command = tuple[Any, ...]
Thing = int | str | RecordRef
"""An instance by its handle, a field of the identity by its name, a PATIENT record."""


# --- instances -----------------------------------------------------------------------------------


class Spec(NamedTuple):
    """An instance that can be added: its UID, the records from the top to its own, its bytes."""

    uid: str
    records: tuple[Record, ...]
    data: bytes

    @property
    def content(self) -> Content:
        return Content(digest_of(self.data), len(self.data))

    @property
    def keys(self) -> tuple[str, ...]:
        """What tells the records above the instance's own from their siblings."""
        return tuple(record_key(record) or "" for record in self.records[:-1])


def record(kind: str, **values: tuple[int, str, str]) -> Record:
    """Return a record of type `kind`; each value is a tag, a VR and a text."""
    found = (Element(tag, vr, text.encode("utf-8")) for tag, vr, text in values.values())
    return Record(kind, elements.encode(found))


def patient(number: int, name: str = "Doe^J", born: str = "") -> Record:
    made = record("PATIENT", id=(0x00100020, "LO", f"P{number}"), name=(0x00100010, "PN", name))
    date = [Element(0x00100030, "DA", born.encode("ascii"))] if born else []
    return evolve(made, unwritten=elements.encode(date))


def study(uid: str, day: int = 2) -> Record:
    date = (0x00080020, "DA", f"202001{day:02}")
    return record("STUDY", uid=(0x0020000D, "UI", uid), date=date)


def series(uid: str, modality: str = "CT") -> Record:
    return record("SERIES", uid=(0x0020000E, "UI", uid), modality=(0x00080060, "CS", modality))


def image(number: int) -> Record:
    return record("IMAGE", number=(0x00200013, "IS", str(number)))


def private(uid: str) -> Record:
    return record("PRIVATE", uid=(0x00041432, "UI", uid))


def spec(number: int, home: int = 0, variant: int = 0) -> Spec:
    """Return instance `number` of the pool.

    `home` chooses the records above it: images of two patients with two studies each, then
    a HANGING PROTOCOL at the top, PRIVATE ones at two depths, and an IMAGE below a PATIENT.
    `variant` gives other bytes under the same UID, another name to the patient, and another date
    to a study; 2 that of 0, and a birth date besides; 3 that of 1, another modality to a series,
    and another number to an image.
    """
    uid = f"1.9.{number}"
    data = f"{uid} {home} {variant}".encode() * 20
    above: list[Record]
    match home:
        case 4:
            return Spec(uid, (record("HANGING PROTOCOL"),), data)
        case 5:
            return Spec(uid, (private(f"1.5.{number}"),), data)
        case 6:
            above = [patient(0, f"Name^{variant}"), private("1.6"), private(f"1.6.{number}")]
            return Spec(uid, tuple(above), data)
        case 7:
            return Spec(uid, (patient(1, f"Name^{variant}"), image(number)), data)
    who, what = divmod(home, 2)
    above = [
        patient(who, f"Name^{variant % 2}", "19700101" if variant == 2 else ""),
        study(f"1.2.{who}.{what}", 2 + variant % 2),
        series(f"1.3.{who}.{what}", "MR" if variant == 3 else "CT"),
    ]
    return Spec(uid, (*above, image(number + 10 * (variant == 3))), data)


# --- the model -----------------------------------------------------------------------------------


@define
class Entry:
    """An instance as the model knows it; `where` are the positions that brought its records.

    `said` is what it says of them: those of an adopted instance are the ones on the medium. One
    that corrects another one `replaces` that.
    """

    handle: int
    spec: Spec
    where: tuple[int, ...]
    said: tuple[Record, ...] = field(default=Factory(lambda it: it.spec.records, takes_self=True))
    replaces: int | None = None


@define
class Wanted:
    """What undo and redo go back to: who is part since when, the identity, and what was settled."""

    ranks: dict[int, int] = field(factory=dict)
    identity: dict[str, Any] = field(factory=dict)
    settled: dict[RecordRef, int] = field(factory=dict)


@define
class Model:
    """A File-set, with a whole copy of everything for each change that can be undone."""

    entries: dict[int, Entry] = field(factory=dict)
    now: Wanted = field(factory=Wanted)
    undo: list[Wanted] = field(factory=list)
    redo: list[Wanted] = field(factory=list)
    medium: set[int] = field(factory=set)
    written: dict[str, Any] | None = None
    on_medium: dict[tuple[int, ...], Record] = field(factory=dict)
    settled: int = 0
    writing: Wanted | None = None
    tags: dict[str, int] = field(factory=dict)
    recorded: dict[tuple[str, str, int], bytes] = field(factory=dict)
    """What was recorded for profiles, by profile, type of record and instance."""
    icons: dict[int, Content] = field(factory=dict)
    """The icons of instances."""
    steads: dict[tuple[int, ...], int] = field(factory=dict)
    """Whose place among its siblings takes what a correction brought."""

    def live(self) -> set[int]:
        return set(self.now.ranks)

    def records(self, ranks: dict[int, int] | None = None) -> dict[tuple[int, ...], Record]:
        """Return the records above live instances, by the positions that brought them.

        Each is what the earliest of the instances below it says.
        """
        ranks = self.now.ranks if ranks is None else ranks
        found: dict[tuple[int, ...], Record] = {}
        for handle in sorted(ranks, key=ranks.__getitem__, reverse=True):
            entry = self.entries[handle]
            for depth in range(1, len(entry.where)):
                found[entry.where[:depth]] = entry.said[depth - 1]
        return found

    def records_of(self, entry: Entry) -> tuple[Record, ...]:
        """Return the records of a live instance, from the top down."""
        shown = self.records()
        depths = range(1, len(entry.where))
        return (*(shown[entry.where[:depth]] for depth in depths), entry.said[-1])

    def changed_records(self) -> set[tuple[int, ...]]:
        """Return the records above instances on the medium that have other values there."""
        there = {
            self.entries[h].where[:depth]
            for h in self.medium
            for depth in range(len(self.entries[h].where))
        }
        now = self.records()
        return {
            at
            for at in there & now.keys()
            if self.on_medium.get(at, now[at]).elements != now[at].elements
        }

    def in_tree_order(self) -> list[Entry]:
        """Return the live instances in the order of the tree: that in which the records came.

        What a correction brought stands where that was which it took the place of, once nothing
        below that is live.
        """
        alive = {
            self.entries[h].where[:depth]
            for h in self.now.ranks
            for depth in range(1, len(self.entries[h].where) + 1)
        }

        def place(entry: Entry) -> list[tuple[int, int]]:
            found = []
            for depth, order in enumerate(entry.where):
                above = entry.where[:depth]
                stead = self.steads.get((*above, order), order)
                is_vacant = (*above, stead) not in alive
                found.append((stead if is_vacant else order, order))
            return found

        return sorted((self.entries[h] for h in self.now.ranks), key=place)

    def versions(self, handle: int) -> set[int]:
        """Return an instance and all that it corrects or that correct it."""
        found, size = {handle}, 0
        while len(found) > size:
            size = len(found)
            links = [(h, e.replaces) for h, e in self.entries.items() if e.replaces]
            found |= {end for link in links if found & set(link) for end in link}
        return found

    def corrections(self) -> dict[int, int]:
        """Return the additions that correct a removal, or that one corrects, each with that."""
        found = {}
        for handle in sorted(self.additions()):
            others = sorted(self.versions(handle) & self.removals())
            if others and others[0] not in found.values():
                found[handle] = others[0]
        return found

    def in_iteration_order(self) -> list[Entry]:
        ranks = self.now.ranks

        def since(entry: Entry) -> int:
            return ranks[entry.handle] if ranks[entry.handle] > self.settled else 0

        return sorted(self.in_tree_order(), key=since)

    def additions(self) -> set[int]:
        return self.live() - self.medium

    def removals(self) -> set[int]:
        return self.medium - self.live()

    def reverted(self, index: int) -> Wanted | list[int]:
        """Return what there would be without the change at `index` of `undo`.

        Or, where it can't be taken back, the indexes of the later changes in the way.
        """
        copies = [*(things(wanted) for wanted in self.undo), things(self.now)]
        before, after, now = copies[index], copies[index + 1], copies[-1]
        changed = differing(before, after)
        without = {**now, **{thing: before.get(thing) for thing in changed}}
        lost = {
            thing
            for thing in changed
            if (
                (thing in now) != (thing in after)
                if isinstance(thing, int)
                else now.get(thing) != after.get(thing)
            )
        }
        uids = {
            self.entries[thing].spec.uid: thing
            for thing in changed
            if isinstance(thing, int) and before.get(thing)
        }
        lost |= {
            thing
            for thing in now
            if isinstance(thing, int)
            and without[thing]
            and uids.get(self.entries[thing].spec.uid, thing) != thing
        }
        coming = [thing for thing in changed if isinstance(thing, int) and before.get(thing)]
        beside = {
            other
            for thing in coming
            if thing not in now
            for other in self.in_their_place(thing)
            if without[other]
        }
        in_the_way = [
            later
            for later in range(index + 1, len(self.undo))
            if (lost | beside) & differing(copies[later], copies[later + 1])
        ]
        if in_the_way:
            return in_the_way
        return Wanted(
            {thing: rank for thing, rank in without.items() if isinstance(thing, int) and rank},
            {thing: value for thing, value in without.items() if isinstance(thing, str)},
            {at: upto for at, upto in without.items() if isinstance(at, RecordRef) and upto},
        )

    def in_their_place(self, handle: int) -> set[int]:
        """Return the live instances below a record with the key of one that is not there now.

        That is the first from the top of those above the instance `handle`.
        """
        entry = self.entries[handle]
        standing = [self.entries[h].where for h in self.live() | self.medium]
        for depth in range(len(entry.where) - 1):
            if not any(where[: depth + 1] == entry.where[: depth + 1] for where in standing):
                others = [self.entries[h] for h in self.live()]
                return {
                    other.handle
                    for other in others
                    if len(other.where) > depth + 1
                    and other.where[:depth] == entry.where[:depth]
                    and other.spec.keys[depth] == entry.spec.keys[depth]
                }
        return set()

    def place(self, handle: int, spec_: Spec) -> Entry:
        """Return the entry of a new instance: records with equal keys are shared."""
        standing = [self.entries[h] for h in sorted(self.live() | self.medium)]
        where: tuple[int, ...] = ()
        for depth, key in enumerate(spec_.keys):
            same = [
                entry
                for entry in standing
                if len(entry.where) > depth + 1
                and entry.where[:depth] == where
                and entry.spec.keys[depth] == key
            ]
            alive = [entry for entry in same if entry.handle in self.now.ranks]
            chosen = min(alive or same, key=lambda e: e.where[depth], default=None)
            where += (chosen.where[depth] if chosen else handle,)
        return Entry(handle, spec_, (*where, handle))

    def correct(self, handle: int, spec_: Spec, replaced: int) -> None:
        """Have a new instance take the place of the one `replaced`, which it corrects."""
        entry = self.place(handle, spec_)
        entry.replaces = replaced
        self.entries[handle] = entry
        above = entry.where[: entry.where.index(handle)]
        before: int | None = replaced
        while before is not None:
            where = self.entries[before].where
            if where[: len(above)] == above:
                other = where[len(above)]
                self.steads[*above, handle] = self.steads.get((*above, other), other)
                break
            before = self.entries[before].replaces
        first = self.joins(entry, replaced)
        rank = self.now.ranks.pop(replaced)
        self.now.ranks[handle] = handle if first else rank

    def joins(self, entry: Entry, replaced: int) -> bool:
        """Whether an instance comes to others, and does not say what is in a record above both.

        It is where it says otherwise than others that it has the say, whoever is live.
        """
        before, ranks = self.entries[replaced], self.now.ranks
        above = {entry.where[:depth] for depth in range(1, len(entry.where))}
        own = {before.where[:depth] for depth in range(1, len(before.where))}
        for prefix in above & own:
            below = [each for each in self.entries.values() if each.where[: len(prefix)] == prefix]
            said = {each.said[len(prefix) - 1] for each in below if each is not entry}
            first = min((h for h in ranks if self.entries[h] in below), key=ranks.__getitem__)
            if len(said) > 1 and first == replaced:
                return False
        there = {
            self.entries[h].where[:depth]
            for h in self.live() - {replaced}
            for depth in range(1, len(self.entries[h].where))
        }
        return bool((above - own) & there)


def things(wanted: Wanted) -> dict[Thing, Any]:
    """Return all there is to a File-set by one key each: an instance, a field, or a patient."""
    return {**wanted.ranks, **wanted.identity, **wanted.settled}


def differing(one: dict[Thing, Any], other: dict[Thing, Any]) -> set[Thing]:
    return {thing for thing in one.keys() | other.keys() if one.get(thing) != other.get(thing)}


# --- the author ----------------------------------------------------------------------------------


class Author:
    """Writes a journal, command by command, and folds it on the way.

    `on_write` is called with each plan that is begun, the state still being that of before.
    """

    def __init__(
        self, *, root: str = "/medium", on_write: Callable[[Plan, FileSetState], None] | None = None
    ) -> None:
        self.events: list[Recorded] = []
        self.state = FileSetState()
        self.model = Model()
        self.root = root
        self.plan: Plan | None = None
        self.plan_done: Plan | None = None
        self._on_write = on_write
        self._started = 0
        self._changes = 0
        self.commit([FileSetCreated(uid="1.2.3", id="SET")])
        self.model.now.identity = {
            "uid": "1.2.3",
            "id": "SET",
            "descriptor_file_id": None,
            "descriptor_character_set": None,
            "profile": None,
        }

    def commit(self, events: Iterable[Event]) -> list[Recorded]:
        """Append `events` as one change."""
        self._changes += 1
        return [self._append(event) for event in events]

    def _append(self, event: Event) -> Recorded:
        position = len(self.events) + 1
        change = Change(f"c{self._changes:04}", position, 1, "", "me", "here", None)
        recorded = Recorded(position, change, event)
        advance(self.state, [recorded])
        self.events.append(recorded)
        return recorded

    def run(self, commands: Iterable[Command]) -> Author:
        for command in commands:
            self.do(command)
        return self

    def do(self, command: Command) -> int:
        """Carry out `command` and return by how many changes the history has grown."""
        before = len(self.model.undo)
        name, *args = command
        if name == "undo":
            self._step(args[0], self.model.undo, self.model.redo, ChangeUndone)
        elif name == "redo":
            self._step(args[0], self.model.redo, self.model.undo, ChangeRedone)
        elif name in ("add", "add_spec", "correct", "remove", "set", "settle", "many"):
            self._change(args[0] if name == "many" else [command])
        else:
            getattr(self, f"_{name}")(*args)
        return len(self.model.undo) - before

    def _change(self, commands: Sequence[Command]) -> None:
        self._changes += 1
        before, effects = copy.deepcopy(self.model.now), len(self.events)
        for name, *args in commands:
            getattr(self, f"_{name}")(*args)
        if len(self.events) > effects:
            self.model.undo.append(before)
            self.model.redo.clear()

    def _add(self, number: int, home: int = 0, variant: int = 0) -> None:
        self._add_spec(spec(number, home, variant))

    def _add_spec(self, wanted: Spec) -> None:
        model = self.model
        if wanted.uid in self.state.live:
            return
        since = [
            handle
            for handle, entry in model.entries.items()
            if entry.spec.uid == wanted.uid and model.versions(handle) & model.live()
        ]
        assert bool(self.state.other_version(wanted.uid, wanted.content.digest)) == bool(since)
        if since:  # it was corrected since, or its correction was undone
            return
        on_medium = [h for h in model.removals() if model.entries[h].spec == wanted]
        if on_medium:
            self._append(InstanceRestored(on_medium[0]))
            model.now.ranks[on_medium[0]] = len(self.events)
            return
        handle = len(self.events) + 1
        entry = model.place(handle, wanted)
        self._append(added(self.state, wanted))
        model.entries[handle] = entry
        model.now.ranks[handle] = handle

    def _correct(self, number: int, to: int, home: int = 0, variant: int = 0) -> None:
        """Have an instance be the one `to` of the pool, unless it is, or another has its UID."""
        leaf, wanted = self.state.live.get(f"1.9.{number}"), spec(to, home, variant)
        if leaf is None or wanted == self.model.entries[leaf.handle].spec:
            return
        if self.state.live.get(wanted.uid, leaf) is not leaf:
            return
        handle = len(self.events) + 1
        event = corrected(self.state, wanted, leaf.handle)
        self.model.correct(handle, wanted, leaf.handle)
        self._append(event)
        name = ElementCorrected("PatientName", f"Name^{number}", f"Name^{variant}")
        self._append(InstancesCorrected((leaf.handle,), (name,)))

    def _remove(self, number: int) -> None:
        leaf = self.state.live.get(f"1.9.{number}")
        if leaf is not None:
            self._append(InstanceRemoved(leaf.handle))
            del self.model.now.ranks[leaf.handle]

    def _set(self, name: str, value: Any) -> None:
        identity = self.model.now.identity
        if identity[name] != value:
            self._append(IDENTITY_EVENTS[name](value=value, previous=identity[name]))
            identity[name] = value

    def _record(self) -> None:
        """Record what instances have for the profile's records that has not been, in groups."""
        profile = self.model.now.identity["profile"]
        lacking = [
            h
            for h in sorted(self.model.now.ranks)
            if (profile, self.model.entries[h].spec.records[-1].type, h) not in self.model.recorded
        ]
        groups: dict[tuple[str, bytes], list[int]] = {}
        for handle in lacking if profile else ():
            for what in self.model.entries[handle].spec.records:
                value = extra(what.type, handle)
                groups.setdefault((what.type, value), []).append(handle)
                self.model.recorded[profile, what.type, handle] = value
        self.commit(
            RecordElementsRecorded(profile, kind, runs_of(handles), elements.Elements(value))
            for (kind, value), handles in groups.items()
        )
        for handle in lacking if profile else ():
            if handle % 2 and handle not in self.model.icons:
                icon = self.model.icons[handle] = Content(digest_of(b"%d" % handle), 16)
                self.commit([IconRecorded(handle, 4, icon)])

    def _settle(self, who: int) -> None:
        branch = self.state.hierarchy.root.find("PATIENT", f"P{who}")
        if branch is not None:
            self._append(MismatchSettled(branch.ref))
            self.model.now.settled[branch.ref] = len(self.events)

    def _note(self) -> None:
        self.commit([InstanceRejected(source="/a", reason="none")])
        for leaf in self.state.live.values():
            self.commit([ConflictNoted(leaf.handle, None, Content(digest_of(b""), 0))])
            break
        for leaf in self.state.hierarchy.leaves.values():
            if leaf.uid not in self.state.live:
                content = Content(digest_of(leaf.uid.encode()), 0)
                self.commit([ArrivalWithheld(leaf.handle, leaf.uid, content, "/a")])
                break

    def _revert(self, back: int) -> None:
        """Take back the newest change, or that so many before it, if nothing is in the way."""
        model = self.model
        if back > len(model.undo):
            return
        ids = [entry.change for entry in self.state.history.undo]
        index = len(ids) - back
        without, found = model.reverted(index), inverse(self.state, ids[index])
        in_the_way = without if isinstance(without, list) else []
        assert found.in_the_way == tuple(ids[later] for later in in_the_way)
        assert bool(found.effects) == (without != model.now and not in_the_way)
        if found.effects and isinstance(without, Wanted):
            self.commit([ChangeReverted(ids[index])])
            model.undo.append(model.now)
            model.now = without
            model.redo.clear()

    def _tag(self, name: str, back: int) -> None:
        position = max(len(self.events) - back, 1)
        self.commit([PositionTagged(name, position, self.model.tags.get(name))])
        self.model.tags[name] = position

    def _untag(self, name: str) -> None:
        if name in self.model.tags:
            self.commit([TagDeleted(name, self.model.tags.pop(name))])

    def _step(
        self,
        n: int,
        source: list[Wanted],
        target: list[Wanted],
        event: type[ChangeUndone | ChangeRedone],
    ) -> None:
        self._changes += 1
        history = self.state.history
        for _ in range(min(n, len(source))):
            stack = history.undo if event is ChangeUndone else history.redo
            self._append(event(stack[-1].change))
            target.append(self.model.now)
            self.model.now = source.pop()

    def _write(self, layout: str = "pydicom") -> None:
        self._complete()
        self._start(layout)
        self._complete()

    def _start(self, layout: str = "pydicom") -> None:
        if self.plan is None:
            self.plan = plan_write(self.state, self.root, layout)
            if self._on_write is not None:
                self._on_write(self.plan, self.state)
            self._started = self.commit([self.plan.started()])[0].position
            self.model.writing = copy.deepcopy(self.model.now)

    def _complete(self) -> None:
        writing, self.model.writing = self.model.writing, None
        if self.plan is not None and writing is not None:
            self.commit([WriteCompleted(self._started, digest_of(self.plan.dicomdir))])
            self.plan, self.plan_done = None, self.plan
            self.model.medium = set(writing.ranks)
            self.model.on_medium = self.model.records(writing.ranks)
            self.model.written = writing.identity
            self.model.settled = len(self.events)

    def _abandon(self) -> None:
        if self.plan is not None:
            self.commit([WriteAbandoned(self._started, "no space")])
            self.plan = self.model.writing = None


def extra(record_type: str, handle: int) -> bytes:
    """Return the elements that a profile adds to a record: a few instances have the same."""
    match record_type:
        case "PATIENT":
            return elements.encode([Element(0x00100030, "DA", f"2000010{handle % 3}".encode())])
        case "IMAGE":
            values = (f"ORIGINAL\\{handle % 2}", f"{handle}")
            return elements.encode(
                [
                    Element(0x00080008, "CS", values[0].encode()),
                    Element(0x00200052, "UI", f"1.2.{values[1]}".encode()),
                ][: 1 + handle % 2]
            )
    return b""


def added(state: FileSetState, spec_: Spec) -> InstanceAdded:
    """Return the event that adds an instance, sharing the records that stand in the tree."""
    branch = state.hierarchy.root
    *parents, own = spec_.records
    differing = []
    while parents:
        known = branch.find(parents[0].type, record_key(parents[0]) or "")
        if known is None:
            break
        branch = known
        if parents[0] != branch.own:
            differing.append(Variant(branch.ref, parents[0]))
        del parents[0]
    return InstanceAdded(
        sop_instance_uid=spec_.uid,
        sop_class_uid=CT,
        transfer_syntax_uid=EXPLICIT,
        record=own,
        parents=tuple(parents),
        under=branch.ref if branch.home is not None else None,
        content=spec_.content,
        placement=Placement.VAULT,
        source="/in/file.dcm",
        differing=tuple(differing),
    )


def corrected(state: FileSetState, spec_: Spec, replaced: int) -> InstanceCorrected:
    """Return the event that puts an instance in place of the one `replaced`."""
    event = added(state, spec_)
    values = {each.name: getattr(event, each.name) for each in fields(InstanceAdded)}
    stead = state.hierarchy.stead(replaced, event.under)
    rank = state.hierarchy.rank_for(state.position + 1, replaced, event.under)
    return InstanceCorrected(**values, replaces=replaced, stead=stead, rank=rank)


# --- looking at states ---------------------------------------------------------------------------


def records_above(leaf: Leaf) -> tuple[Record, ...]:
    """Return the records above an instance in the tree, from the top."""
    found: list[Record] = []
    node: Branch | None = leaf.parent
    while node is not None and node.home is not None:
        found.append(node.record)
        node = node.parent
    return tuple(reversed(found))


def written(of: Record) -> Record:
    """Return what a DICOMDIR has of a record."""
    return Record(of.type, of.elements)


def effective(state: FileSetState) -> dict[str, Any]:
    """Return what a File-set is, apart from what was ever written: its live instances, in order.

    Two states with the same effect are written as the same File-set.
    """
    return {
        "identity": state.identity,
        "instances": [
            (*map(written, records_above(leaf)), leaf.record, leaf.uid, leaf.content)
            for leaf in state.hierarchy.walk_leaves()
            if leaf.is_live
        ],
    }


def iteration(state: FileSetState) -> list[int]:
    """Return the handles in the order in which a FileSet iterates."""
    settled = state.written.position if state.written else 0
    leaves = [leaf for leaf in state.hierarchy.walk_leaves() if leaf.is_live]
    leaves.sort(key=lambda leaf: leaf.rank if leaf.rank > settled else 0)
    return [leaf.handle for leaf in leaves]


def tree(state: FileSetState) -> list[Any]:
    """Return all there is to see of the tree: order, numbers, and what answers to which key."""
    seen: list[Any] = []
    for depth, node in state.hierarchy.walk():
        if isinstance(node, Branch):
            names = {child.name for child in node.children.values() if isinstance(child, Branch)}
            known = [(name, found.ref) for name in sorted(names) if (found := node.find(*name))]
            seen.append((depth, node.ref, node.index, known))
        else:
            seen.append((depth, node.handle, node.index, node.rank, node.file_id))
    return seen


def standings(state: FileSetState) -> list[dict[str, Any]]:
    """Return all that a state knows of each instance there ever was, in its order.

    Numbers among siblings apart, which are brought up to date when the tree is walked.
    """
    apart = {"home", "parent", "index"}
    return [
        {
            **{f.name: getattr(leaf, f.name) for f in fields(Leaf) if f.name not in apart},
            "home": leaf.home.ref,
            "parent": leaf.parent and leaf.parent.ref,
        }
        for leaf in state.hierarchy.leaves.values()
    ]


def calls(function: Callable[[], object]) -> int:
    """Return how many functions of Python are called while `function` runs: work, not time."""
    counted = 0

    def count(_: object, event: str, __: object) -> None:
        nonlocal counted
        counted += event in ("call", "c_call")

    sys.setprofile(count)
    try:
        function()
    finally:
        sys.setprofile(None)
    return counted


def named_by(dicomdir: bytes) -> dict[str, str]:
    """Return the SOP Instance UID by the File ID of each record that a DICOMDIR leads to."""
    directory = decode_dicomdir(dicomdir, name="DICOMDIR")
    found = link(directory)
    assert not found.findings
    assert not found.orphans
    named: dict[str, str] = {}
    pending: list[DecodedNode] = list(found.roots)
    while pending:
        node = pending.pop()
        if node.record.file_id:
            path = "/".join(node.record.file_id)
            assert path not in named
            named[path] = node.record.sop_instance_uid or ""
        pending += node.children
    return named


def fingerprint(commands: Iterable[Command]) -> str:
    """Return one digest of all that a journal leads to: its state and both DICOMDIRs."""
    author = Author().run(commands)
    hasher = hashlib.sha256(dump(author.state, "00"))
    for layout in ("pydicom", "existing"):
        plan = plan_write(author.state, "/medium", layout)
        hasher.update(plan.dicomdir + (plan.interim or b"") + repr(plan.started()).encode())
    return hasher.hexdigest()


# --- strategies ----------------------------------------------------------------------------------

_numbers = st.integers(0, 4)
_homes = st.sampled_from([0, 0, 0, 1, 2, 3, 4, 5, 6, 7])
_variants = st.integers(0, 3)
adds = st.tuples(st.just("add"), _numbers, _homes, _variants)
corrections = st.integers(0, 4).flatmap(
    lambda number: st.tuples(
        st.just("correct"),
        st.just(number),
        st.sampled_from([number, number, number, 4, 5, 6]),
        _homes,
        _variants,
    )
)
removes = st.tuples(st.just("remove"), _numbers)
settings_ = st.one_of(
    st.tuples(st.just("set"), st.just("id"), st.sampled_from([None, "SET", "OTHER"])),
    st.tuples(st.just("set"), st.just("uid"), st.sampled_from(["1.2.3", "1.2.4"])),
    st.tuples(st.just("set"), st.just("descriptor_file_id"), st.sampled_from([None, ("DOC", "A")])),
    st.tuples(
        st.just("set"), st.just("descriptor_character_set"), st.sampled_from([None, "ISO_IR 100"])
    ),
    st.tuples(st.just("set"), st.just("profile"), st.sampled_from([None, *PROFILED])),
)
settlements = st.tuples(st.just("settle"), st.integers(0, 1))
single = st.one_of(adds, adds, corrections, removes, settings_, settlements)
changes = st.one_of(
    single, single, st.tuples(st.just("many"), st.lists(single, min_size=1, max_size=4))
)
steps = st.tuples(st.sampled_from(["undo", "redo"]), st.integers(1, 3))
layouts = st.sampled_from(["pydicom", "existing"])
writes = st.one_of(
    st.tuples(st.just("write"), layouts),
    st.tuples(st.just("start"), layouts),
    st.just(("complete",)),
    st.just(("abandon",)),
)
reverts = st.tuples(st.just("revert"), st.integers(1, 4))
_names = st.sampled_from(["first", "sent"])
tags = st.one_of(
    st.tuples(st.just("tag"), _names, st.integers(0, 5)), st.tuples(st.just("untag"), _names)
)
notes = st.just(("note",))
recordings = st.just(("record",))
others = st.one_of(notes, tags, recordings)
commands = st.one_of(changes, changes, changes, steps, writes, reverts, others)


def programs(max_size: int = 25) -> st.SearchStrategy[list[Command]]:
    """Strategy for lists of commands, half of them long ones, in which much has happened."""
    some = st.lists(commands, max_size=max_size)
    return st.one_of(some, st.lists(commands, min_size=max_size * 2 // 3, max_size=max_size))


def prefixes(events: Sequence[Recorded]) -> Iterator[Sequence[Recorded]]:
    """Yield every beginning of a journal."""
    for cut in range(len(events) + 1):
        yield events[:cut]
