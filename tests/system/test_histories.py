"""Random histories of two repositories that know one medium, against the plainest model.

A repository is a dictionary of instances, and a pile of these for undo. Whatever happens, each has
just the instances of its model, byte for byte, and the medium just those that were written last.
A repository whose medium another one has written is refused, and changes nothing.
"""

from __future__ import annotations

import shutil
import tempfile
import warnings
from collections.abc import Callable
from io import BytesIO
from pathlib import Path
from typing import Any, TypeAlias

import pytest
from attrs import define, field
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pydicom import dcmread
from pydicom.fileset import FileSet as PydicomFileSet
from watched import instance

from fileset import FileSet
from fileset.errors import NothingToUndoError
from ledger.digest import digest_of
from ledger.errors import LedgerError

HISTORIES = 1000
NUMBERS, VARIANTS = 5, 2

Live: TypeAlias = dict[str, bytes]
"""What a File-set is made of: the file of each instance, by its UID."""

numbers = st.integers(0, NUMBERS - 1)
commands = st.tuples(
    st.integers(0, 1),
    st.one_of(
        st.tuples(st.just("add"), numbers, st.integers(0, VARIANTS - 1)),
        st.tuples(st.just("remove"), numbers),
        st.tuples(st.just("correct"), numbers, numbers),
        *(
            st.tuples(st.just(name))
            for name in ("undo", "redo", "write", "write", "leave", "adopt", "reopen", "verify")
        ),
    ),
)


def data_of(number: int, variant: int) -> bytes:
    """Return the file of an instance; a variant differs in its last byte alone."""
    return instance(number, study=number % 2)[:-1] + bytes([variant])


def contents(root: Path) -> dict[str, bytes]:
    """Return all files below `root`, by their paths."""
    return {
        path.relative_to(root).as_posix(): path.read_bytes()
        for path in root.rglob("*")
        if path.is_file()
    }


@define(eq=False)
class Side:
    """A repository, and the model of it."""

    path: Path
    fs: FileSet
    live: Live = field(factory=dict)
    undo: list[Live] = field(factory=list)
    redo: list[Live] = field(factory=list)
    added: set[bytes] = field(factory=set)
    """The files that it was given, which its vault has for good."""
    home: Path | None = None
    written: Live = field(factory=dict)
    left: dict[str, bytes] = field(factory=dict)
    """What was at home after its last write, or when it adopted the medium."""

    @property
    def is_stale(self) -> bool:
        """Whether something else is at home than it left there."""
        return self.home is not None and contents(self.home) != self.left

    def change(self, live: Live) -> None:
        """Have the model be `live`; if it is that, nothing happened."""
        if live != self.live:
            self.undo.append(self.live)
            self.redo.clear()
            self.live = live

    def has_written(self, root: Path) -> None:
        self.home, self.written, self.left = root, self.live, contents(root)


class World:
    """Two repositories, a medium that both may write, and the files that they are given."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.root = folder, folder / "medium"
        self.made = 0
        self.on_medium: dict[Path, Live] = {}
        self.sides = [self.new(), self.new()]
        for number in range(NUMBERS):
            for variant in range(VARIANTS):
                self.file(number, variant).write_bytes(data_of(number, variant))

    def file(self, number: int, variant: int) -> Path:
        return self.folder / f"{number}-{variant}"

    def new(self, dicomdir: Path | None = None) -> Side:
        self.made += 1
        path = self.folder / f"repository{self.made}"
        return Side(path, FileSet(dicomdir, repository=path))

    def close(self) -> None:
        for side in self.sides:
            side.fs.close()

    def do(self, side: int, name: str, *arguments: int) -> None:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of conflicts
            getattr(self, f"do_{name}")(self.sides[side], *arguments)
        for each in self.sides:
            self.check_side(each)
        for root in self.on_medium:
            self.check_medium(root)

    # --- what may happen -------------------------------------------------------------------------

    def do_add(self, side: Side, number: int, variant: int) -> None:
        data = data_of(number, variant)
        uid = str(side.fs.add(self.file(number, variant)).SOPInstanceUID)
        if uid not in side.live:  # else it is there, or in conflict with what is there
            side.added.add(data)
        side.change({uid: data, **side.live})

    def do_remove(self, side: Side, number: int) -> None:
        if uids := sorted(side.live):
            gone = uids[number % len(uids)]
            side.fs.remove(side.fs.find(SOPInstanceUID=gone))
            side.change({uid: data for uid, data in side.live.items() if uid != gone})

    def do_correct(self, side: Side, number: int, value: int) -> None:
        """Correct a name, an ID or a UID; the original is in the vault from then on."""
        if not (uids := sorted(side.live)):
            return
        uid = uids[number % len(uids)]
        keyword = ("PatientName", "PatientID", "SOPInstanceUID")[value % 3]
        before = side.live[uid]
        report = side.fs.correct(side.fs.find(SOPInstanceUID=uid), {keyword: f"1.9.7.{value}"})
        (result,) = (each for each in report.results if each.uid == uid)
        if result.corrected is None:
            is_taken = keyword == "SOPInstanceUID" and f"1.9.7.{value}" in side.live
            has_it = dcmread(BytesIO(before))[keyword].value == f"1.9.7.{value}"
            assert is_taken or has_it or (side.is_stale and before not in side.added), result.reason
            return
        leaf = side.fs.state.leaf(result.corrected)
        assert leaf.content is not None
        after = side.fs.repository.vault.read(leaf.content.digest)
        assert dcmread(BytesIO(after))[keyword].value == f"1.9.7.{value}"
        side.added |= {before, after}
        others = {each: data for each, data in side.live.items() if each != uid}
        side.change({**others, leaf.uid: after})

    def do_undo(self, side: Side) -> None:
        self._step(side.fs.undo, side, side.undo, side.redo)

    def do_redo(self, side: Side) -> None:
        self._step(side.fs.redo, side, side.redo, side.undo)

    @staticmethod
    def _step(step: Callable[[], Any], side: Side, source: list[Live], target: list[Live]) -> None:
        if source:
            step()
            target.append(side.live)
            side.live = source.pop()
        else:
            with pytest.raises(NothingToUndoError):
                step()

    def do_write(self, side: Side) -> None:
        """Write to the medium, or to one's own if one has left it.

        What has no instances may be written over: there is nothing to lose.
        """
        root = side.home or self.root
        before = contents(root)
        if side.home is not None and not side.fs.is_staged:
            side.fs.write()
            assert contents(root) == before
            return
        is_ours = side.left.get("DICOMDIR") == before.get("DICOMDIR")
        try:
            side.fs.write(None if side.home else root)
        except LedgerError:
            assert side.is_stale or side.home is None
            assert before
            assert contents(root) == before
        else:
            assert is_ours or not self.on_medium.get(root), "it has written over another File-set"
            self._written(side, root)

    def do_leave(self, side: Side) -> None:
        """Leave a medium that another one has written, for one of its own."""
        if not side.is_stale:
            return
        assert side.home is not None
        before, root = contents(side.home), self.folder / f"own{len(self.on_medium)}"
        try:
            side.fs.write(root, new_medium=True)
        except LedgerError:
            assert not side.added.issuperset(side.live.values())
            assert not contents(root)
        else:
            self._written(side, root)
        assert contents(self.root) == before or side.home != self.root

    def _written(self, side: Side, root: Path) -> None:
        side.has_written(root)
        self.on_medium[root] = side.live

    def do_adopt(self, side: Side) -> None:
        """Begin anew, with the medium as it is."""
        if self.root in self.on_medium:
            side.fs.close()
            new = self.new(self.root / "DICOMDIR")
            new.live = self.on_medium[self.root]
            new.has_written(self.root)
            self.sides[self.sides.index(side)] = new

    def do_reopen(self, side: Side) -> None:
        side.fs.close()
        side.fs = FileSet.open(side.path)

    def do_verify(self, side: Side) -> None:
        found = side.fs.verify()
        assert bool(found) == side.is_stale, found

    # --- what has to be so -----------------------------------------------------------------------

    @staticmethod
    def check_side(side: Side) -> None:
        there = {str(each.SOPInstanceUID): each for each in side.fs}
        assert there.keys() == side.live.keys()
        changed = {uid for uid, data in side.live.items() if side.written.get(uid) != data}
        gone = {uid for uid, data in side.written.items() if side.live.get(uid) != data}
        pending = side.fs.pending
        corrected = pending.corrections
        coming = [*pending.additions, *(after for _, after in corrected)]
        going = [*pending.removals, *(before for before, _ in corrected)]
        assert {str(each.SOPInstanceUID) for each in coming} == changed
        assert {str(each.SOPInstanceUID) for each in going} == gone
        for data in side.added:
            assert side.fs.repository.vault.read(digest_of(data)) == data
        if not side.is_stale:
            assert {uid: Path(each.path).read_bytes() for uid, each in there.items()} == side.live

    def check_medium(self, root: Path) -> None:
        theirs = PydicomFileSet(root / "DICOMDIR")
        listed = {str(each.SOPInstanceUID): Path(each.path).read_bytes() for each in theirs}
        assert listed == self.on_medium[root]
        assert len(contents(root)) == len(listed) + 1


def history_holds(program: list[tuple[int, tuple[Any, ...]]]) -> None:
    folder = Path(tempfile.mkdtemp())
    world = World(folder)
    try:
        for side, command in program:
            world.do(side, *command)
    finally:
        world.close()
        shutil.rmtree(folder)


@settings(deadline=None, max_examples=15, suppress_health_check=[HealthCheck.too_slow])
@given(st.lists(commands, min_size=10, max_size=30))
def test_two_repositories_that_know_one_medium_keep_what_is_theirs(
    program: list[tuple[int, tuple[Any, ...]]],
) -> None:
    history_holds(program)


@pytest.mark.soak
@settings(deadline=None, max_examples=HISTORIES, suppress_health_check=list(HealthCheck))
@given(st.lists(commands, min_size=15, max_size=40))
def test_two_repositories_that_know_one_medium_keep_what_is_theirs_for_a_thousand_histories(
    program: list[tuple[int, tuple[Any, ...]]],
) -> None:
    history_holds(program)
