"""Whatever is done to a File-set on disk, in any order: it is what the plainest model says.

The model is dicts, and whole copies of them for what undo goes back to. The File-set is a real
one: a repository in a folder, a medium beside it, opened anew now and then.
"""

from __future__ import annotations

import copy
import shutil
import tempfile
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from functools import cache
from itertools import count
from pathlib import Path
from typing import Any, Final
from unittest import mock

import pytest
from attrs import evolve
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)
from models import Model, Spec, Wanted, spec
from pydicom import Dataset, dcmread
from pydicom.dataset import FileMetaDataset
from pydicom.uid import CTImageStorage, ExplicitVRLittleEndian

from fileset import FileSet
from fileset.correcting import coercion
from fileset.correcting.correction import Correction
from fileset.correcting.merging import merged
from fileset.errors import NothingToUndoError, RefusedError, RevertRefusedError
from fileset.media import make as making
from fileset.media.extras import Extras
from fileset.medium.errors import WriteFailedError
from fileset.medium.materializer import Materializer
from fileset.profiles import icons as module_of_icons
from fileset.repository import caches as module
from fileset.views.preview import Preview
from ledger import elements
from ledger.digest import digest_of
from ledger.events import Record
from projections.state.persons import mismatches_among

CORRECTED: Final = (
    "SOPInstanceUID", "PatientID", "PatientName", "StudyInstanceUID", "SeriesInstanceUID",
    "InstanceNumber", "ImageComments",
)  # fmt: skip
FIELDS: Final = (
    "id", "uid", "descriptor_file_id", "descriptor_character_set", "profile"
)  # fmt: skip
ATTRIBUTES: Final = {"id": "ID", "uid": "UID"}

numbers = st.integers(0, 3)


_ICONS: Final = count(1)


@contextmanager
def with_icons() -> Iterator[None]:
    """Have icons be made without the extra, each one different from all before."""

    def icon(source: object, size: int) -> bytes:
        return next(_ICONS).to_bytes(8).ljust(size**2, b".")

    with mock.patch.object(module_of_icons, "icon", icon), mock.patch.object(making, "needed"):
        yield


homes = st.integers(0, 3)
variants = st.integers(0, 1)
adds = st.tuples(st.just("add"), numbers, homes, variants)
removals = st.tuples(st.just("remove"), numbers)
identities = st.one_of(
    st.tuples(st.just("set"), st.just("id"), st.sampled_from([None, "SET", "OTHER"])),
    st.tuples(st.just("set"), st.just("uid"), st.sampled_from(["1.2.3", "1.2.4"])),
    st.tuples(st.just("set"), st.just("descriptor_file_id"), st.sampled_from([None, "README"])),
    st.tuples(st.just("set"), st.just("profile"), st.sampled_from([None, "STD-GEN-CD"])),
)
corrections = st.tuples(
    st.just("correct"), numbers, st.sampled_from([None, None, 2, 3]), homes, variants
)
coercions = st.tuples(st.just("coerce"), numbers, homes, variants, homes, variants)
commands = st.one_of(adds, adds, corrections, coercions, removals, identities)


@pytest.fixture(scope="module")
def pool(tmp_path_factory: pytest.TempPathFactory) -> Callable[[int, int, int], Path]:
    """Gives the file of an instance, the same whenever it is asked for."""
    folder = tmp_path_factory.mktemp("pool")

    @cache
    def file(number: int, home: int, variant: int) -> Path:
        who, what = divmod(home, 2)
        ds = Dataset()
        ds.file_meta = FileMetaDataset()
        ds.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
        ds.SOPClassUID = CTImageStorage
        ds.SOPInstanceUID = f"1.9.{number}"
        ds.PatientID, ds.PatientName = f"P{who}", f"Name^{variant}"
        ds.StudyInstanceUID, ds.SeriesInstanceUID = f"1.2.{who}.{what}", f"1.3.{who}.{what}"
        ds.StudyDate, ds.StudyTime, ds.StudyID = "20200102", "1200", "1"
        ds.Modality, ds.SeriesNumber, ds.InstanceNumber = "CT", 1, number
        ds.ImageComments = f"{home} {variant}"
        path = folder / f"{number}-{home}-{variant}"
        ds.save_as(path, enforce_file_format=True)
        return path

    return file


class TaskFailedError(Exception):
    """What a program inside a change may raise."""


class OnDisk(RuleBasedStateMachine):
    """A File-set on disk, and the model of it."""

    file: Callable[[int, int, int], Path]

    def __init__(self) -> None:
        super().__init__()
        self.folder = Path(tempfile.mkdtemp())
        self.root = self.folder / "medium"
        self.model = Model()
        self.past: dict[int, Any] = {}
        self.handed_out: dict[int, Path] = {}

    @initialize(adopted=st.lists(st.tuples(homes, variants), max_size=3))
    def begin(self, adopted: list[tuple[int, int]]) -> None:
        """Begin with nothing, or with a File-set that is on a medium already."""
        path = self.folder / "repository"
        if not adopted:
            self.fs = FileSet(repository=path)
        else:
            other = FileSet()
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")  # of another name, or another person
                for number, (home, variant) in enumerate(adopted):
                    other.add(self.file(number, home, variant))
                other.write(self.root)
                self.fs = FileSet(self.root / "DICOMDIR", repository=path)
            self.adopted(adopted)
        self.model.now.identity = self.identity(self.fs)
        if adopted:
            self.model.written = self.identity(self.fs)
        self.note()

    def adopted(self, specs: list[tuple[int, int]]) -> None:
        handles = {str(i.SOPInstanceUID): i.handle for i in self.fs}
        order = sorted(range(len(specs)), key=lambda n: handles[f"1.9.{n}"])
        # The records on the medium are those of the first that brought them; of the patient, what
        # each file says is recorded.
        on_medium: dict[tuple[str, ...], Record] = {}
        for number, (home, variant) in enumerate(specs):
            new = spec(number, home, variant)
            for depth, record in enumerate(new.records[:-1], start=1):
                on_medium.setdefault(new.keys[:depth], record)
        for number in order:
            new = spec(number, *specs[number])
            above = (on_medium[new.keys[:depth]] for depth in range(2, len(new.records)))
            said = (new.records[0], *above, new.records[-1])[-len(new.records) :]
            self.enter(handles[f"1.9.{number}"], new, said)
        self.model.medium = set(self.model.now.ranks)
        self.model.settled = 1

    def enter(self, handle: int, new: Spec, said: tuple[Record, ...] | None = None) -> None:
        entry = self.model.place(handle, new)
        self.model.entries[handle] = evolve(entry, said=said) if said else entry
        self.model.now.ranks[handle] = handle

    def teardown(self) -> None:
        """Look at every position of the journal once more, with snapshots and without."""
        if self.past:
            self.look_back(self.fs)
            self.fs.repository.rebuild()
            findings = self.fs.verify()  # a descriptor file that is set is never put there
            assert [each for each in findings if Path(each.where).name != "README"] == []
            self.fs.close()
            shutil.rmtree(self.folder / "repository" / "cache")
            (self.folder / "repository" / "cache").mkdir()
            with FileSet.open(self.folder / "repository") as opened:
                self.look_back(opened)
                self.make_again(opened)
                assert self.seen(opened) == self.past[opened.state.position]
        shutil.rmtree(self.folder)

    def make_again(self, fs: FileSet) -> None:
        """Make all that was handed out once more: it has the same bytes."""
        for number, out in self.handed_out.items():
            again = out.with_name("again")
            fs.media.remake(number, again)
            if out.is_dir():
                assert _files(again) == _files(out)
                shutil.rmtree(again)
            else:
                assert again.read_bytes() == out.read_bytes()
                again.unlink()

    def look_back(self, fs: FileSet) -> None:
        for position in range(1, fs.state.position + 1):
            past = fs.at(position)
            if position in self.past:
                assert self.seen(past) == self.past[position]

    # --- changes ---------------------------------------------------------------------------------

    def do(self, command: tuple[Any, ...]) -> bool:
        """Carry out `command` on both; return whether it had an effect that can be undone."""
        name, *args = command
        effect: bool = getattr(self, f"do_{name}")(*args)
        return effect

    def do_add(self, number: int, home: int, variant: int) -> bool:
        model, new = self.model, spec(number, home, variant)
        position, live = self.fs.state.position, self.standing(new)
        on_medium = [h for h in model.removals() if model.entries[h].spec == new]
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of a conflict, or of another name
            instance = self.fs.add(self.file(number, home, variant))
        if live:
            assert instance.handle == live[0]
            return False
        if on_medium:
            assert instance.handle == on_medium[0]
            model.now.ranks[on_medium[0]] = position + 1
            return True
        assert instance.handle == position + 1
        self.enter(instance.handle, new)
        return True

    def standing(self, new: Spec) -> list[int]:
        """Return the instance that is part of the File-set with the UID of `new`, or was it."""
        model = self.model
        return [h for h in model.live() if model.entries[h].spec.uid == new.uid] or [
            version
            for h, entry in model.entries.items()
            if entry.spec.uid == new.uid
            for version in model.versions(h) & model.live()
        ]

    def do_coerce(self, number: int, home: int, variant: int, to: int, other: int) -> bool:
        """Have an instance become another one of the pool when it arrives."""
        arriving, new = spec(number, home, variant), spec(number, to, other)
        if arriving == new or self.standing(arriving):
            return self.do_add(number, home, variant)
        wanted = dcmread(self.bytes_path(new))
        rules = self.folder / "rules.toml"
        values = (f'{keyword} = "{wanted[keyword].value}"' for keyword in CORRECTED[1:])
        rules.write_text(f"[[rule]]\nset = {{{', '.join(values)}}}\n")
        position = self.fs.state.position
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            report = self.fs.add_many([self.file(number, home, variant)], coerce=rules)
        (result,) = report.results
        assert result.handle == position + 2
        self.enter(position + 1, arriving)
        self.model.correct(position + 2, new, position + 1)
        return True

    def do_correct(self, number: int, to: int | None, home: int, variant: int) -> bool:
        """Have an instance be one of the pool, byte for byte, unless another one is that."""
        model = self.model
        there = sorted(self.fs, key=lambda i: str(i.SOPInstanceUID))
        if not there:
            return False
        instance = there[number % len(there)]
        entry = model.entries[instance.handle]
        mine, _, _ = _drawn(entry.spec)
        new = spec(mine if to is None else to, home, variant)
        taken = {model.entries[h].spec.uid for h in model.live()} - {entry.spec.uid}
        wanted = dcmread(self.bytes_path(new))
        report = self.fs.correct(
            instance,
            {keyword: str(wanted[keyword].value) for keyword in CORRECTED},
            original_attributes=False,
        )
        (result,) = report.results
        if new.uid in taken or new == entry.spec:
            assert result.corrected is None
            return False
        assert result.corrected is not None, result.reason
        model.correct(result.corrected, new, instance.handle)
        said = merged(entry.spec.records, entry.said, new.records)
        model.entries[result.corrected].said = said
        return True

    def do_remove(self, number: int) -> bool:
        there = sorted(self.fs, key=lambda i: str(i.SOPInstanceUID))
        found = there[number % len(there) :][:1] if there else []
        self.fs.remove(found)
        for instance in found:
            del self.model.now.ranks[instance.handle]
        return bool(found)

    def do_set(self, name: str, value: Any) -> bool:
        setattr(self.fs, ATTRIBUTES.get(name, name), value)
        differs: bool = self.model.now.identity[name] != value
        self.model.now.identity[name] = value
        return differs

    @rule(command=commands)
    def change(self, command: tuple[Any, ...]) -> None:
        before = copy.deepcopy(self.model.now)
        if self.do(command):
            self.model.undo.append(before)
            self.model.redo.clear()

    @rule(several=st.lists(commands, min_size=2, max_size=4))
    def change_of_several_things(self, several: list[tuple[Any, ...]]) -> None:
        before = copy.deepcopy(self.model.now)
        with self.fs.change(reason="several", actor="anna"):
            effects = [self.do(command) for command in several]
        if any(effects):
            self.model.undo.append(before)
            self.model.redo.clear()

    @rule(several=st.lists(commands, min_size=1, max_size=4))
    def change_that_fails(self, several: list[tuple[Any, ...]]) -> None:
        kept, position = copy.deepcopy(self.model), self.fs.repository.journal.position
        with suppress(TaskFailedError), self.fs.change():
            for command in several:
                self.do(command)
            raise TaskFailedError
        self.model = kept
        assert self.fs.repository.journal.position == position

    # --- undo, redo, revert ----------------------------------------------------------------------

    @rule(n=st.integers(1, 3))
    def undo(self, n: int) -> None:
        self.step(n, "undo", self.model.undo, self.model.redo)

    @rule(n=st.integers(1, 3))
    def redo(self, n: int) -> None:
        self.step(n, "redo", self.model.redo, self.model.undo)

    def step(self, n: int, verb: str, source: list[Wanted], target: list[Wanted]) -> None:
        method = getattr(self.fs, verb)
        if len(source) < n:
            for options in ({}, {"dry_run": True}):
                with pytest.raises(NothingToUndoError):
                    method(n, **options)
            return
        preview = method(n, dry_run=True)
        now = self.model.now
        for _ in range(n):
            target.append(self.model.now)
            self.model.now = source.pop()
        method(n)
        self.foreseen(preview, now)

    @precondition(lambda self: self.model.undo)
    @rule(data=st.data())
    def revert(self, data: st.DataObject) -> None:
        index = len(self.model.undo) - data.draw(st.integers(1, min(len(self.model.undo), 5)))
        ids = [entry.change for entry in self.fs.state.history.undo]
        without = self.model.reverted(index)
        if isinstance(without, list):
            for options in ({}, {"dry_run": True}):
                with pytest.raises(RevertRefusedError) as refused:
                    self.fs.revert(ids[index], **options)  # type: ignore[call-overload]
                assert refused.value.in_the_way == tuple(ids[later] for later in without)
        elif without == self.model.now:
            with pytest.raises(RefusedError, match="nothing to revert"):
                self.fs.revert(ids[index])
        else:
            preview = self.fs.revert(ids[index], dry_run=True)
            assert self.fs.revert(ids[index]).id == ids[index]
            now, self.model.now = self.model.now, without
            self.model.undo.append(now)
            self.model.redo.clear()
            self.foreseen(preview, now)

    def foreseen(self, preview: Preview, before: Wanted) -> None:
        """The preview has said what came of it."""
        now = self.model.now
        assert {i.handle for i in preview.added} == now.ranks.keys() - before.ranks.keys()
        assert {i.handle for i in preview.removed} == before.ranks.keys() - now.ranks.keys()
        assert {name: values[1] for name, values in preview.identity.items()} == {
            name: _components(name, value)
            for name, value in now.identity.items()
            if before.identity[name] != value
        }
        assert self.seen(preview.after) == self.seen(self.fs)

    # --- tags, writing, restarting ---------------------------------------------------------------

    @rule(name=st.sampled_from(["first", "sent"]), data=st.data())
    def tag(self, name: str, data: st.DataObject) -> None:
        position = data.draw(st.integers(1, self.fs.state.position))
        assert self.fs.tag(name, position, move=True) == position
        self.model.tags[name] = position

    @precondition(lambda self: self.model.tags)
    @rule(data=st.data())
    def delete_tag(self, data: st.DataObject) -> None:
        name = data.draw(st.sampled_from(sorted(self.model.tags)))
        self.fs.delete_tag(name)
        del self.model.tags[name]

    @rule(layout=st.sampled_from(["pydicom", "existing"]))
    def write(self, layout: str) -> None:
        before = self.fs.state.position
        self.fs.write(self.root if self.fs.path is None else None, layout=layout)
        model = self.model
        if self.fs.state.position > before:
            model.medium = set(model.now.ranks)
            model.written = copy.deepcopy(model.now.identity)
            model.settled = self.fs.state.position
        on_medium = [path for path in self.root.rglob("*") if path.is_file()]
        digests = [digest_of(path.read_bytes()) for path in on_medium if path.name != "DICOMDIR"]
        wanted = [digest_of(self.bytes_of(model.entries[handle].spec)) for handle in model.live()]
        assert sorted(digests) == sorted(wanted)
        assert (
            str(dcmread(self.root / "DICOMDIR").file_meta.MediaStorageSOPInstanceUID)
            == (model.now.identity["uid"])
        )

    @precondition(lambda self: self.fs.path is not None)
    @rule(layout=st.sampled_from(["pydicom", "existing"]), came_to=st.booleans())
    def leave_the_medium(self, layout: str, came_to: bool) -> None:
        """Give the File-set a new home, or fail to."""
        before = {path: path.read_bytes() for path in self.root.rglob("*") if path.is_file()}
        new = self.root.with_name(f"medium{self.fs.state.position}")
        home = self.fs.path
        if not came_to:
            with (
                mock.patch.object(Materializer, "_commit", side_effect=OSError("no room")),
                pytest.raises(WriteFailedError),
            ):
                self.fs.write(new, layout=layout, new_medium=True)
            assert self.fs.path == home
            assert not new.exists()
        else:
            self.fs.write(new, layout=layout, new_medium=True)
            model = self.model
            model.medium = set(model.now.ranks)
            model.written = copy.deepcopy(model.now.identity)
            model.settled = self.fs.state.position
            assert self.fs.path == str(new)
        assert {p: p.read_bytes() for p in self.root.rglob("*") if p.is_file()} == before
        self.root = Path(self.fs.path)

    @precondition(lambda self: self.model.now.ranks)
    @rule(
        kind=st.sampled_from(["iso", "usb", "zip", "folder"]), icons=st.booleans(), data=st.data()
    )
    def hand_out(self, kind: str, icons: bool, data: st.DataObject) -> None:
        """Hand out all of it, or a choice, as it is or was: nothing changes but what is told."""
        position = data.draw(st.sampled_from(sorted(self.past)))
        past = self.fs.at(position)
        live = [instance.handle for instance in past]
        if not live:
            return
        chosen = set(data.draw(st.lists(st.sampled_from(live), min_size=1, unique=True)))
        out = self.folder / f"handed-out-{len(self.handed_out)}"
        wanted = [instance for instance in past if instance.handle in chosen]
        kind = "folder" if past.profile else kind  # there any profile may be
        if mismatches_among(past.state, chosen):
            with pytest.raises(RefusedError, match="Several persons"):
                past.media.make(out, wanted, kind=kind)
            return
        extras = Extras(pages=data.draw(st.booleans()), institution="Clinic")
        with with_icons():
            (medium,) = past.media.make(out, wanted, kind=kind, icons=icons, extras=extras)
        self.fs.refresh()
        found = self.fs.media.verify(out)
        assert found.medium is not None
        assert (found.medium.started, found.is_sound) == (medium.started, True)
        assert set(medium.started.handles()) == chosen
        assert (medium.started.uid == str(past.UID)) == (chosen == set(live))
        self.handed_out[medium.number] = out

    def bytes_path(self, wanted: Spec) -> Path:
        number, home, variant = _drawn(wanted)
        return self.file(number, home, variant)

    def bytes_of(self, wanted: Spec) -> bytes:
        return self.bytes_path(wanted).read_bytes()

    @rule(rebuild=st.booleans())
    def restart(self, rebuild: bool) -> None:
        self.fs.close()
        self.fs = FileSet.open(self.folder / "repository")
        if rebuild:
            self.fs.repository.rebuild()

    # --- what there is to see --------------------------------------------------------------------

    @staticmethod
    def identity(fs: FileSet) -> dict[str, Any]:
        return {
            name: str(value) if (value := getattr(fs, ATTRIBUTES.get(name, name))) else None
            for name in FIELDS
        }

    def seen(self, fs: FileSet) -> dict[str, Any]:
        """Return all that a File-set shows."""
        pending = fs.pending
        return {
            "instances": [(i.handle, str(i.PatientName), str(i.SOPInstanceUID)) for i in fs],
            "tree": [leaf.handle for leaf in fs.state.hierarchy.walk_leaves() if leaf.is_live],
            "identity": self.identity(fs),
            "additions": {i.handle for i in pending.additions},
            "removals": {i.handle for i in pending.removals},
            "corrections": {new.handle: old.handle for old, new in pending.corrections},
            "metadata": set(pending.metadata),
            "creation": pending.creation,
        }

    def note(self) -> None:
        self.past[self.fs.state.position] = self.seen(self.fs)

    @invariant()
    def is_what_the_model_says(self) -> None:
        model, fs = self.model, self.fs
        seen = self.seen(fs)
        assert seen["instances"] == [
            (entry.handle, _name(model.records_of(entry)), entry.spec.uid)
            for entry in model.in_iteration_order()
        ]
        assert seen["tree"] == [entry.handle for entry in model.in_tree_order()]
        assert seen["identity"] == model.now.identity
        corrections = model.corrections()
        assert seen["corrections"] == corrections
        assert seen["additions"] == model.additions() - corrections.keys()
        assert seen["removals"] == model.removals() - set(corrections.values())
        assert seen["creation"] == (model.written is None)
        written = model.written or model.now.identity
        assert seen["metadata"] == {n for n, v in written.items() if model.now.identity[n] != v}
        assert len(fs.state.history.undo) == len(model.undo)
        assert len(fs.state.history.redo) == len(model.redo)
        assert dict(fs.tags) == model.tags
        assert self.past.setdefault(fs.state.position, seen) == seen


def _files(root: Path) -> dict[str, bytes]:
    return {str(p.relative_to(root)): p.read_bytes() for p in root.rglob("*") if p.is_file()}


def _components(name: str, value: Any) -> Any:
    return (value,) if name == "descriptor_file_id" and value is not None else value


def _name(records: tuple[Record, ...]) -> str:
    held = records[0].elements
    return elements.plain_text(elements.find(held, 0x00100010), "ascii") or ""


@cache
def _specs() -> dict[Spec, tuple[int, int, int]]:
    return {spec(n, h, v): (n, h, v) for n in range(4) for h in range(4) for v in range(2)}


def _drawn(wanted: Spec) -> tuple[int, int, int]:
    return _specs()[wanted]


def test_a_file_set_on_disk_is_what_the_plainest_model_says(
    pool: Callable[[int, int, int], Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "_SNAPSHOT_EVERY", 5)  # so that many of them play a part

    def silent(*args: Any, **options: Any) -> Correction:
        return evolve(Correction(*args, **options), original_attributes=False)

    monkeypatch.setattr(coercion, "Correction", silent)  # so that it gives the pool's very bytes

    class Machine(OnDisk):
        file = staticmethod(pool)  # type: ignore[assignment]

    examples = settings().max_examples
    run_state_machine_as_test(  # type: ignore[no-untyped-call]
        Machine,
        settings=settings(
            max_examples=max(examples // 3, 1),
            stateful_step_count=20,
            deadline=None,
            suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
        ),
    )
