"""Files on a disk: what a write makes of them, and what a failure or a kill at any step does."""

from __future__ import annotations

import errno
import gc
import hashlib
import os
import shutil
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from attrs import evolve
from models import CT, EXPLICIT, Author, Command, Spec, added, named_by, spec
from stopping import killed_at

from fileset.medium import guards, made_files, materializer
from fileset.medium.dicomdir import read_dicomdir
from fileset.medium.errors import MediumError, WriteFailedError
from fileset.medium.guards import collisions
from fileset.medium.materializer import Materializer
from ledger.digest import digest_of
from ledger.errors import ContentDamagedError, ContentMissingError
from ledger.events import (
    ContentRecorded,
    FileSetImported,
    InstanceAdded,
    InstanceRemoved,
    Placement,
    WriteStarted,
)
from ledger.vault.vault import PackVault
from projections.medium.plan import Plan, plan_export, plan_resumed, plan_write
from projections.state.fold import fold
from projections.state.state import FileSetState

Tree = dict[str, bytes | None]


def tree(root: Path) -> Tree:
    """Return every file below `root` with its bytes, every folder with `None`."""
    found: Tree = {}
    for folder, folders, files in os.walk(root):
        for name in folders:
            found[(Path(folder) / name).relative_to(root).as_posix()] = None
        for name in files:
            path = Path(folder) / name
            found[path.relative_to(root).as_posix()] = path.read_bytes()
    return found


def files(root: Path) -> dict[str, bytes]:
    return {path: data for path, data in tree(root).items() if data is not None}


class Medium:
    """A File-set, its vault and its root, written for real."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.root = folder / "root"
        self.vault = self.open_vault()
        self.author = Author(root=str(self.root))

    def open_vault(self) -> PackVault:
        return PackVault(self.folder / "vault", self.folder / "index.sqlite", durable=False)

    def stage(self, *commands: Command) -> None:
        self.author.run(commands)
        with self.vault.batch() as batch:
            for entry in self.author.model.entries.values():
                batch.add(entry.spec.data)

    def plan(self, layout: str = "pydicom") -> Plan:
        return plan_write(self.author.state, str(self.root), layout)

    def materializer(self, plan: Plan, **options: Any) -> Materializer:
        options.setdefault("durable", False)
        return Materializer(plan, self.vault, **options)

    def write(self, layout: str = "pydicom", **options: Any) -> Plan:
        plan = self.plan(layout)
        assert not collisions(plan)
        self.author.do(("start", layout))
        self.materializer(plan, **options).run()
        self.author.do(("complete",))
        return plan

    def data(self, uid: str) -> bytes:
        """Return the bytes of a live instance."""
        leaf = self.author.state.live[uid]
        return self.author.model.entries[leaf.handle].spec.data

    def expected(self, plan: Plan) -> dict[str, bytes]:
        found = {path: self.data(leaf.uid) for path, leaf in plan.files.items()}
        return {**found, "DICOMDIR": plan.dicomdir}


@pytest.fixture
def medium(tmp_path: Path) -> Iterator[Medium]:
    found = Medium(tmp_path)
    yield found
    found.vault.close()


def adds(*numbers: int, home: int = 0, variant: int = 0) -> list[Command]:
    return [("add", number, home, variant) for number in numbers]


def reshaped(medium: Medium) -> Plan:
    """Write a File-set and stage additions, removals, moves and a replaced instance."""
    medium.stage(*adds(0, 1, 2, 3), *adds(4, 5, 11, home=1), *adds(6, home=2), *adds(7, home=4))
    medium.write()
    medium.stage(
        ("remove", 0),  # 1, 2 and 3 move up, each to where another one lay
        ("remove", 11),
        ("remove", 6),  # its study goes
        *adds(8, 9),
        *adds(10, home=3),
        ("remove", 5),
        ("add", 5, 1, 1),  # another content under the same UID and File ID
        ("set", "id", "RESHAPED"),
    )
    plan = medium.plan()
    assert plan.contested
    assert plan.dropped
    assert plan.obsolete
    assert set(plan.placed) - set(plan.contested)
    return plan


# --- plain writes --------------------------------------------------------------------------------


def test_a_new_root_gets_the_files_and_their_dicomdir(medium: Medium) -> None:
    medium.root = medium.folder / "not" / "there" / "yet"
    medium.author.root = str(medium.root)
    medium.stage(*adds(0, 1), *adds(2, home=2), *adds(3, home=5))

    plan = medium.write(durable=True)

    assert files(medium.root) == medium.expected(plan)
    assert "PT000000/ST000000/SE000000/IM000001" in plan.files


def test_the_digest_of_the_dicomdir_in_place_is_returned(medium: Medium) -> None:
    medium.stage(*adds(0))
    plan = medium.plan()

    assert medium.materializer(plan).run() == digest_of(plan.dicomdir)
    assert read_dicomdir(medium.root) == plan.dicomdir


def test_progress_is_told_file_by_file(medium: Medium) -> None:
    medium.stage(*adds(0, 1, 2))
    told: list[tuple[int, int]] = []

    medium.write(progress=lambda done, total: told.append((done, total)))

    assert told == [(1, 3), (2, 3), (3, 3)]


@pytest.mark.parametrize("durable", [False, True])
def test_additions_removals_and_moves_leave_just_what_is_wanted(
    medium: Medium, *, durable: bool
) -> None:
    plan = reshaped(medium)

    medium.materializer(plan, durable=durable).run()

    assert files(medium.root) == medium.expected(plan)
    folders = {path for path, data in tree(medium.root).items() if data is None}
    assert folders == {
        str(parent) for path in plan.files for parent in Path(path).parents if parent != Path()
    }


@pytest.mark.parametrize("durable", [False, True])
def test_more_files_than_are_flushed_one_by_one(medium: Medium, *, durable: bool) -> None:
    medium.stage(*adds(*range(100)))
    medium.write(durable=durable)
    medium.stage(*[("remove", number) for number in range(0, 100, 2)])

    plan = medium.write(durable=durable)

    assert len(plan.contested) == 50
    assert files(medium.root) == medium.expected(plan)


def test_a_change_of_the_id_touches_no_file(medium: Medium) -> None:
    medium.stage(*adds(0, 1))
    medium.write()
    before = {path: (medium.root / path).stat() for path in files(medium.root)}
    medium.stage(("set", "id", "OTHER"))

    medium.write()

    for path, stat in before.items():
        if path != "DICOMDIR":
            now = (medium.root / path).stat()
            assert (now.st_ino, now.st_mtime_ns) == (stat.st_ino, stat.st_mtime_ns)


def test_what_is_moved_is_linked_and_not_copied(medium: Medium) -> None:
    medium.stage(*adds(0), *adds(1, home=2))
    medium.write()
    inode = (medium.root / "PT000001/ST000000/SE000000/IM000000").stat().st_ino
    medium.stage(("remove", 0))

    medium.write()

    assert (medium.root / "PT000000/ST000000/SE000000/IM000000").stat().st_ino == inode


def swapped(medium: Medium, cycle: list[int]) -> tuple[Plan, dict[str, bytes]]:
    """Return a plan that passes File IDs around in a circle, and what it has to give."""
    medium.stage(*adds(*range(len(cycle))))
    medium.write()
    state = medium.author.state
    leaves = [state.live[f"1.9.{number}"] for number in range(len(cycle))]
    ids = {leaf: leaf.file_id or "" for leaf in leaves}
    new = {leaves[i]: ids[leaves[j]] for i, j in enumerate(cycle) if i != j}
    folder = next(iter(ids.values())).rpartition("/")[0]
    placed = {path.rpartition("/")[2]: leaf.handle for leaf, path in new.items()}
    event = WriteStarted(
        root=str(medium.root),
        layout="pydicom",
        base=state.position,
        placed={folder: placed},
        staging="STG00000",
    )
    plan = plan_resumed(state, event)
    wanted = {(new.get(leaf) or ids[leaf]): medium.data(leaf.uid) for leaf in leaves}
    return plan, {**wanted, "DICOMDIR": plan.dicomdir}


@pytest.mark.parametrize("cycle", [[1, 0], [1, 2, 0], [2, 0, 1, 4, 3], [0, 2, 1]])
def test_file_ids_can_be_swapped_and_go_round_in_cycles(medium: Medium, cycle: list[int]) -> None:
    plan, wanted = swapped(medium, cycle)
    assert plan.contested

    medium.materializer(plan).run()

    assert files(medium.root) == wanted


@pytest.mark.parametrize("code", ["EPERM", "EXDEV", "EMLINK", "EOPNOTSUPP", "ENOSYS", "EACCES"])
def test_a_file_system_without_hard_links_gets_copies(
    medium: Medium, monkeypatch: pytest.MonkeyPatch, code: str
) -> None:
    plan = reshaped(medium)

    def refuse(*_: Any, **__: Any) -> None:
        raise OSError(getattr(errno, code), "no links")

    monkeypatch.setattr(os, "link", refuse)
    medium.materializer(plan).run()

    assert files(medium.root) == medium.expected(plan)


def test_a_file_that_is_referenced_is_copied_from_where_it_lies(medium: Medium) -> None:
    source = medium.folder / "source.dcm"
    source.write_bytes(spec(0).data)
    event = _added(medium, spec(0), placement=Placement.REFERENCE, source=str(source))
    medium.author.commit([event])
    plan = medium.plan()

    medium.materializer(plan).run()

    assert next(data for path, data in files(medium.root).items() if path != "DICOMDIR") == (
        spec(0).data
    )


def test_a_referenced_file_that_has_changed_is_refused_and_nothing_is_left(medium: Medium) -> None:
    source = medium.folder / "source.dcm"
    source.write_bytes(b"something else")
    event = _added(medium, spec(0), placement=Placement.REFERENCE, source=str(source))
    medium.author.commit([event])

    with pytest.raises(WriteFailedError) as caught:
        medium.materializer(medium.plan()).run()

    assert caught.value.rolled_back
    assert isinstance(caught.value.__cause__, ContentDamagedError)
    assert not medium.root.exists()


def test_referenced_files_that_are_gone_are_all_named_with_what_to_do(medium: Medium) -> None:
    sources = [medium.folder / f"{number}.dcm" for number in (0, 1)]
    for number, source in enumerate(sources):
        placed = {"placement": Placement.REFERENCE, "source": str(source)}
        medium.author.commit([_added(medium, spec(number), **placed)])

    with pytest.raises(WriteFailedError) as caught:
        medium.materializer(medium.plan()).run()

    told = str(caught.value)
    assert isinstance(caught.value.__cause__, ContentMissingError)
    assert "can't be read: No such file or directory. Nothing was changed. The content of 2" in told
    assert all(f"1.9.{number} ({source})" in told for number, source in enumerate(sources))
    assert "add their files again, or remove these instances." in told
    assert "Errno" not in told


def _added(medium: Medium, spec_: Spec, **changes: Any) -> InstanceAdded:
    return evolve(added(medium.author.state, spec_), **changes)


# --- what belongs to others ----------------------------------------------------------------------


def test_files_of_others_are_not_touched(medium: Medium) -> None:
    reshaped(medium)
    foreign = {
        "README.TXT": b"read me",
        ".DICOMDIR.new": b"mine",
        "PT000000/.IM000000.new": b"mine too",
        "PT000000/ST000000/SE000000/notes.txt": b"notes",
        "PT000001/ST000000/SE000000/.IM000000.new": b"and this",
    }
    for path, data in foreign.items():
        (medium.root / path).parent.mkdir(parents=True, exist_ok=True)
        (medium.root / path).write_bytes(data)
    (medium.root / "EMPTY").mkdir()

    plan = medium.write()

    assert files(medium.root) == medium.expected(plan) | foreign
    assert (medium.root / "EMPTY").is_dir()


def test_emptied_folders_go_but_none_that_others_use(medium: Medium) -> None:
    medium.stage(*adds(0), *adds(1, home=2), *adds(2, home=1))
    medium.write()
    medium.stage(("remove", 1), ("remove", 2))
    (medium.root / "PT000000/ST000001/theirs").mkdir()

    medium.write()

    assert not (medium.root / "PT000001").exists()
    assert (medium.root / "PT000000/ST000001/theirs").is_dir()
    assert not (medium.root / "PT000000/ST000001/SE000000").exists()


def test_a_file_in_the_way_is_told_with_its_neighbours(medium: Medium) -> None:
    medium.stage(*adds(0, 1))
    folder = "PT000000/ST000000/SE000000"
    (medium.root / folder).mkdir(parents=True)
    (medium.root / folder / "IM000001").write_bytes(b"not ours")
    (medium.root / folder / "OTHER").write_bytes(b"not ours")

    assert collisions(medium.plan()) == [f"{folder}/IM000001", f"{folder}/OTHER"]


@pytest.mark.parametrize("kind", ["folder", "link", "dangling"])
def test_whatever_lies_at_a_file_id_is_in_the_way(medium: Medium, kind: str) -> None:
    medium.stage(*adds(0, home=4))
    medium.root.mkdir()
    target = medium.root / "HG000000"
    elsewhere = medium.folder / "elsewhere"
    if kind == "folder":
        target.mkdir()
    else:
        target.symlink_to(elsewhere)
        if kind == "link":
            elsewhere.write_bytes(spec(0, 4).data)

    assert collisions(medium.plan()) == ["HG000000"]
    with pytest.raises(WriteFailedError) as caught:
        medium.materializer(medium.plan()).run()
    assert caught.value.rolled_back
    assert os.path.lexists(target)


def test_a_file_where_a_folder_has_to_be_is_in_the_way(medium: Medium) -> None:
    medium.stage(*adds(0))
    medium.root.mkdir()
    (medium.root / "PT000000").write_bytes(b"not a folder")

    assert collisions(medium.plan()) == ["PT000000"]


def test_a_staging_folder_that_others_have_is_in_the_way(medium: Medium) -> None:
    plan = reshaped(medium)
    (medium.root / "STG00000").mkdir()

    assert "STG00000" in collisions(plan)
    again = plan_write(medium.author.state, str(medium.root), "pydicom", occupied=collisions(plan))
    assert again.staging == "STG00001"
    assert not collisions(again)


def test_a_name_that_differs_only_in_case_from_one_that_goes_is_in_the_way(medium: Medium) -> None:
    adopt(medium, {"im000001": spec(0, 4).data})
    os.link(medium.root / "im000001", medium.root / "IM000001")  # as one name on FAT
    leaf = medium.author.state.live["1.9.0"]
    event = WriteStarted(
        root=str(medium.root),
        layout="pydicom",
        base=medium.author.state.position,
        placed={"": {"IM000001": leaf.handle}},
    )

    assert "IM000001" in collisions(plan_resumed(medium.author.state, event))


def test_a_file_that_is_just_the_one_to_be_put_there_is_taken_over(medium: Medium) -> None:
    medium.stage(*adds(0, 1))
    target = medium.root / "PT000000/ST000000/SE000000/IM000000"
    target.parent.mkdir(parents=True)
    target.write_bytes(spec(0).data)
    inode = target.stat().st_ino
    plan = medium.plan()

    assert not collisions(plan)
    medium.materializer(plan, durable=True).run()

    assert target.stat().st_ino == inode
    assert files(medium.root) == medium.expected(plan)


def test_a_file_that_was_taken_over_stays_when_the_write_is_rolled_back(
    medium: Medium, monkeypatch: pytest.MonkeyPatch
) -> None:
    medium.stage(*adds(0, 1))
    target = medium.root / "PT000000/ST000000/SE000000/IM000000"
    target.parent.mkdir(parents=True)
    target.write_bytes(spec(0).data)
    before = tree(medium.root)
    fail_at(monkeypatch, "replace")

    with pytest.raises(WriteFailedError):
        medium.materializer(medium.plan()).run()

    assert tree(medium.root) == before


@pytest.mark.parametrize("folder", ["PT000000", "PT000000/ST000000"])
@pytest.mark.parametrize("inside", [False, True])
def test_a_folder_that_is_a_link_is_refused_before_anything_is_made_behind_it(
    medium: Medium, folder: str, *, inside: bool
) -> None:
    medium.stage(*adds(0))
    elsewhere = (medium.root if inside else medium.folder) / "elsewhere"
    elsewhere.mkdir(parents=True)
    link = medium.root / folder
    link.parent.mkdir(parents=True, exist_ok=True)
    link.symlink_to(elsewhere)
    made: list[str] = []
    watch = watching(lambda name, path: made.append(f"{name} {path}"))
    with watch, pytest.raises(WriteFailedError) as caught:
        medium.materializer(medium.plan()).run()

    assert caught.value.rolled_back
    assert isinstance(caught.value.__cause__, MediumError)
    assert not made
    assert not list(elsewhere.iterdir())


def test_nothing_is_deleted_behind_a_link(medium: Medium) -> None:
    elsewhere = medium.folder / "elsewhere"
    elsewhere.mkdir()
    (elsewhere / "IM1").write_bytes(spec(0, 4).data)
    medium.root.mkdir()
    (medium.root / "LINK").symlink_to(elsewhere)
    adopt(medium, {"LINK/IM1": spec(0, 4).data})
    medium.author.commit([InstanceRemoved(medium.author.state.live["1.9.0"].handle)])

    medium.materializer(medium.plan()).run()

    assert (elsewhere / "IM1").exists()
    assert not named_by((medium.root / "DICOMDIR").read_bytes())


def test_a_root_that_is_a_link_is_as_good_as_what_it_leads_to(medium: Medium) -> None:
    (medium.folder / "real").mkdir()
    medium.root.symlink_to(medium.folder / "real")
    medium.stage(*adds(0, 1))
    medium.write()
    medium.stage(("remove", 0))

    plan = medium.write()

    assert files(medium.folder / "real") == medium.expected(plan)


# --- adopted media -------------------------------------------------------------------------------


def adopt(medium: Medium, found: dict[str, bytes], *, read: bool = True) -> None:
    """Record a medium that lies at the root, with a HANGING PROTOCOL for each file."""
    medium.root.mkdir(exist_ok=True)
    specs = [spec(number, 4)._replace(data=data) for number, data in enumerate(found.values())]
    for path, data in found.items():
        target = medium.root / path
        target.parent.mkdir(parents=True, exist_ok=True)
        if not target.exists():
            target.write_bytes(data)
    author = medium.author
    author.events.clear()
    author.state = FileSetState()
    author.commit(
        [
            FileSetImported(root=str(medium.root), uid="1.2.3", dicomdir=digest_of(b""), id="SET"),
            *(
                InstanceAdded(
                    sop_instance_uid=one.uid,
                    sop_class_uid=CT,
                    transfer_syntax_uid=EXPLICIT,
                    record=one.records[-1],
                    content=one.content if read else None,
                    placement=Placement.ROOT,
                    file_id=path,
                )
                for path, one in zip(found, specs, strict=True)
            ),
        ]
    )


def test_an_adopted_file_that_is_a_link_is_moved_as_the_file_that_it_leads_to(
    medium: Medium,
) -> None:
    medium.root.mkdir()
    (medium.root / "DATA").mkdir()
    (medium.root / "DATA" / "real").write_bytes(b"content")
    (medium.root / "IN").mkdir()
    (medium.root / "IN" / "IM1").symlink_to("../DATA/real")
    adopt(medium, {"IN/IM1": b"content"})

    medium.materializer(medium.plan()).run()

    assert (medium.root / "HG000000").read_bytes() == b"content"
    assert not (medium.root / "HG000000").is_symlink()
    assert not (medium.root / "IN").exists()
    assert (medium.root / "DATA" / "real").read_bytes() == b"content"


def test_two_names_of_one_file_can_be_swapped(medium: Medium) -> None:
    medium.root.mkdir()
    (medium.root / "A").write_bytes(b"same")
    os.link(medium.root / "A", medium.root / "HG000000")
    adopt(medium, {"A": b"same", "HG000000": b"same"})
    plan = medium.plan()
    assert plan.contested

    medium.materializer(plan).run()

    assert files(medium.root) == {
        "HG000000": b"same",
        "HG000001": b"same",
        "DICOMDIR": plan.dicomdir,
    }
    assert set(tree(medium.root)) == {"HG000000", "HG000001", "DICOMDIR"}


def test_an_instance_that_was_never_read_is_not_moved(medium: Medium) -> None:
    adopt(medium, {"A": b"content"}, read=False)
    before = tree(medium.root)

    for resume in (False, True):
        with pytest.raises(WriteFailedError) as caught:
            medium.materializer(medium.plan(), resume=resume).run()
        assert isinstance(caught.value.__cause__, ContentMissingError)
        assert caught.value.rolled_back is not resume
        assert tree(medium.root) == before

    leaf = medium.author.state.live["1.9.0"]
    content = spec(0, 4)._replace(data=b"content").content
    medium.author.commit([ContentRecorded(leaf.handle, content, Placement.ROOT)])
    medium.materializer(medium.plan()).run()
    assert (medium.root / "HG000000").read_bytes() == b"content"


def test_an_export_copies_from_medium_and_vault_and_leaves_both(medium: Medium) -> None:
    reshaped(medium)
    before = tree(medium.root)
    state = fold(medium.author.events)
    out = medium.folder / "out"

    plan = plan_export(state, str(out), now=medium.author.state)
    medium.materializer(plan, medium=medium.root).run()

    assert files(out) == medium.expected(plan)
    assert tree(medium.root) == before
    inodes = {path.stat().st_ino for path in medium.root.rglob("*")}
    assert not inodes & {path.stat().st_ino for path in out.rglob("*")}


# --- failures and kills --------------------------------------------------------------------------

CHANGING = ("link", "open", "write", "replace", "rename", "unlink", "fsync", "mkdir", "rmdir")
LOOKING = ("lstat", "stat", "fstat", "listdir", "scandir")


@contextmanager
def watching(
    before: Callable[[str, str], object], names: Sequence[str] = CHANGING
) -> Iterator[None]:
    """Call `before` with the name and first argument of each operation, by default of a change."""
    real = {name: getattr(os, name) for name in names}

    def watched(name: str) -> Callable[..., Any]:
        def call(*args: Any, **kwargs: Any) -> Any:
            if name == "open" and not args[1] & os.O_CREAT:
                return real[name](*args, **kwargs)
            outcome = before(name, str(args[0]))
            if name == "write" and outcome == "half":
                real[name](args[0], bytes(args[1])[: len(args[1]) // 2])
                raise OSError(errno.ENOSPC, "No space left on device")
            return real[name](*args, **kwargs)

        return call

    collects = gc.isenabled()
    gc.disable()  # it might let go of what other tests have left, which is not to be watched
    try:
        with pytest.MonkeyPatch.context() as patch:
            for name in names:
                patch.setattr(os, name, watched(name))
            yield
    finally:
        if collects:
            gc.enable()


def fail_at(monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    def fail(*_: Any, **__: Any) -> None:
        raise OSError(errno.EIO, "Input/output error")

    monkeypatch.setattr(os, name, fail)


class Lab:
    """A medium as it was before a write, which can be tried again and again."""

    def __init__(self, medium: Medium, plan: Plan, wanted: dict[str, bytes] | None = None) -> None:
        self.medium, self.plan = medium, plan
        self.kept = medium.folder / "kept"
        shutil.copytree(medium.root, self.kept)
        self.before = tree(medium.root)
        self.wanted = wanted or medium.expected(plan)
        folders = [Path(path).parents for path in self.wanted]
        self.after: Tree = {str(p): None for ps in folders for p in ps if p != Path()}
        self.after |= self.wanted
        # What each DICOMDIR may name: old content under the old one, else new content.
        old = {path: data for path, data in self.before.items() if data is not None}
        uids = named_by(old["DICOMDIR"])
        self.right = {uid: {old[path]} for path, uid in uids.items()}
        for path, uid in named_by(plan.dicomdir).items():
            self.right.setdefault(uid, set()).add(self.wanted[path])
        self.digests = {digest_of(data): named_by(data) for data in self.dicomdirs()}

    def dicomdirs(self) -> list[bytes]:
        found = [self.before["DICOMDIR"], self.plan.interim, self.plan.dicomdir]
        return [data for data in found if data]

    def reset(self) -> None:
        shutil.rmtree(self.medium.root)
        shutil.copytree(self.kept, self.medium.root)

    def check(self, *_: object) -> None:
        """Whatever the instant, the DICOMDIR names files with the content that it means."""
        root = self.medium.root
        named = self.digests[digest_of((root / "DICOMDIR").read_bytes())]
        for path, uid in named.items():
            assert (root / path).read_bytes() in self.right[uid], (path, uid)

    def run(self, *, resume: bool = False, durable: bool = True) -> None:
        vault = self.medium.open_vault()
        try:
            Materializer(self.plan, vault, durable=durable, resume=resume).run()
        finally:
            vault.close()

    def operations(self) -> list[str]:
        """Return the names of the operations of an undisturbed run, checking before each."""
        self.reset()
        names: list[str] = []

        def note(name: str, _: str) -> None:
            names.append(name)
            self.check()

        with watching(note):
            self.run()
        assert tree(self.medium.root) == self.after
        return names


@pytest.fixture(params=["reshaped", "swapped", "replaced", "existing"])
def lab(medium: Medium, request: pytest.FixtureRequest) -> Lab:
    if request.param == "reshaped":
        return Lab(medium, reshaped(medium))
    if request.param == "swapped":
        return Lab(medium, *swapped(medium, [1, 2, 0]))
    medium.stage(*adds(0, 1))
    medium.write()
    if request.param == "existing":
        medium.stage(("remove", 0), *adds(2, 3), *adds(4, home=2))
        return Lab(medium, medium.plan("existing"))
    medium.stage(("remove", 1), ("add", 1, 0, 1))
    lab = Lab(medium, medium.plan())
    assert lab.plan.dicomdir == lab.before["DICOMDIR"]  # nothing in it tells of the content
    return lab


def nth(n: int, act: Callable[[str], object]) -> Callable[[str, str], object]:
    """Return a watcher that lets `n` operations pass and has the next one `act`."""
    left = n

    def before(name: str, _: str) -> object:
        nonlocal left
        left -= 1
        return act(name) if left == -1 else None

    return before


class Cache:
    """What is written and not flushed yet: paths of files and of folders whose names changed."""

    def __init__(self) -> None:
        self.dirty: set[str] = set()

    def created(self, path: str, *, dirty: bool = True) -> None:
        self.dirty.add(str(Path(path).parent))
        if dirty:
            self.dirty.add(path)

    def open(self, path: Any, flags: int, *_: Any) -> None:
        if flags & os.O_CREAT:
            self.created(str(path))

    def link(self, source: Any, target: Any) -> None:
        self.created(str(target), dirty=str(source) in self.dirty)

    def mkdir(self, path: Any, *_: Any) -> None:
        self.created(str(path))

    def replace(self, source: Any, target: Any) -> None:
        self.created(str(target), dirty=str(source) in self.dirty)

    def rename(self, source: Any, target: Any) -> None:
        below = {path for path in self.dirty if path == source or path.startswith(f"{source}/")}
        self.dirty -= below
        self.dirty |= {str(target) + path[len(str(source)) :] for path in below}
        self.created(str(target), dirty=False)

    def fsync(self, fd: int) -> None:
        self.dirty.discard(str(Path(f"/proc/self/fd/{fd}").readlink()))


@pytest.mark.skipif(not Path("/proc/self/fd").exists(), reason="descriptors can't be named")
@pytest.mark.parametrize("resume", [False, True])
def test_all_that_a_dicomdir_names_is_on_the_disk_before_it_is_in_place(
    lab: Lab, monkeypatch: pytest.MonkeyPatch, *, resume: bool
) -> None:
    cache, commits, root = Cache(), 0, lab.medium.root
    names = ("open", "link", "mkdir", "rename", "replace", "fsync")
    real = {name: getattr(os, name) for name in names}

    def noted(name: str) -> Callable[..., Any]:
        def call(*args: Any, **kwargs: Any) -> Any:
            nonlocal commits
            if name == "replace" and Path(args[1]).name == "DICOMDIR":
                commits += 1
                named = named_by(Path(args[0]).read_bytes())
                needed = {str(root / path) for path in named} | {str(args[0])}
                needed |= {str(parent) for path in named for parent in (root / path).parents}
                assert not needed & cache.dirty - {str(root)}
            getattr(cache, name)(*args)
            return real[name](*args, **kwargs)

        return call

    delete = os.unlink

    def unlink(path: Any) -> None:
        if commits == len(lab.dicomdirs()) - 1:  # nothing goes before the last one is durable
            assert str(root) not in cache.dirty
        delete(path)

    for name in real:
        monkeypatch.setattr(os, name, noted(name))
    monkeypatch.setattr(os, "unlink", unlink)

    lab.run(resume=resume)

    assert commits == len(lab.dicomdirs()) - 1
    assert tree(root) == lab.after
    assert not cache.dirty & {str(root / path) for path in (*lab.after, "")}


@pytest.mark.parametrize("code", [errno.EIO, errno.ENOSPC])
def test_after_a_failure_at_any_step_all_is_as_before_or_can_be_completed(
    lab: Lab, code: int
) -> None:
    operations = lab.operations()
    outcomes = set()
    for n in range(len(operations)):
        lab.reset()

        def fail(name: str) -> object:
            if name == "write" and code == errno.ENOSPC:
                return "half"
            raise OSError(code, os.strerror(code))

        if operations[n] == "rmdir":  # a folder too many does no harm
            with watching(nth(n, fail)):
                lab.run()
            assert files(lab.medium.root) == lab.wanted
            continue
        with pytest.raises(WriteFailedError) as caught, watching(nth(n, fail)):
            lab.run()

        lab.check()
        outcomes.add(caught.value.rolled_back)
        if caught.value.rolled_back:
            assert tree(lab.medium.root) == lab.before
        else:
            with watching(lab.check):
                lab.run(resume=True)
            assert tree(lab.medium.root) == lab.after
    assert outcomes == {True, False}


def test_after_a_failure_to_look_at_any_path_all_is_as_before_or_can_be_completed(lab: Lab) -> None:
    looked: list[str] = []
    with watching(lambda name, _: looked.append(name), LOOKING):
        lab.run()

    def fail(_: str) -> object:
        raise OSError(errno.EIO, os.strerror(errno.EIO))

    rolled_back = 0
    for n in range(len(looked)):
        lab.reset()
        try:
            with watching(nth(n, fail), LOOKING):
                lab.run()
        except WriteFailedError as exc:
            lab.check()
            rolled_back += exc.rolled_back
            if exc.rolled_back:
                assert tree(lab.medium.root) == lab.before
                continue
            lab.run(resume=True)
        assert tree(lab.medium.root) == lab.after
    assert rolled_back


def test_a_disk_that_is_full_from_some_step_on_leaves_all_as_before_or_can_be_completed(
    lab: Lab,
) -> None:
    for n in range(len(lab.operations())):
        lab.reset()
        left = n

        def fill(name: str, _: str) -> object:
            nonlocal left
            left -= 1
            if left < 0 and name in ("link", "open", "mkdir"):
                raise OSError(errno.ENOSPC, "No space left on device")
            return "half" if left < 0 and name == "write" else None

        try:
            with watching(fill):
                lab.run()
        except WriteFailedError as exc:
            lab.check()
            if exc.rolled_back:
                assert tree(lab.medium.root) == lab.before
                continue
            lab.run(resume=True)
        assert tree(lab.medium.root) == lab.after


def test_an_interrupt_at_any_step_rolls_back_or_can_be_completed(lab: Lab) -> None:
    for n in range(len(lab.operations())):
        lab.reset()

        def interrupt(_: str) -> object:
            raise KeyboardInterrupt

        vault = lab.medium.open_vault()
        run = Materializer(lab.plan, vault, durable=True)
        with pytest.raises(KeyboardInterrupt), watching(nth(n, interrupt)):
            run.run()
        vault.close()

        lab.check()
        if run.rolled_back:
            assert tree(lab.medium.root) == lab.before
        else:
            lab.run(resume=True)
            assert tree(lab.medium.root) == lab.after


class Killed(BaseException):
    """Nothing runs any more that changes the disk."""


def killed(n: int, run: Callable[[], object]) -> bool:
    """Run until operation `n`, from which on nothing reaches the disk; whether it got there."""
    done = 0

    def before(*_: object) -> None:
        nonlocal done
        done += 1
        if done > n:
            raise Killed

    with suppress(Killed), watching(before):
        run()
    return done > n


def test_a_process_that_is_killed_leaves_what_is_taken_for_it_here(lab: Lab) -> None:
    def die(n: int) -> None:
        with watching(nth(n, lambda _: os._exit(9))):
            lab.run()

    for n in range(2, len(lab.operations()), 10):
        lab.reset()
        assert not killed_at(0, partial(die, n))
        left = tree(lab.medium.root)
        lab.reset()
        assert killed(n, lab.run)
        assert tree(lab.medium.root) == left


@pytest.mark.parametrize(
    ("links", "stride"), [(True, 1), (False, 5), pytest.param(False, 1, marks=pytest.mark.soak)]
)
def test_after_a_kill_at_any_step_the_write_is_completed_and_nothing_else_is_left(
    lab: Lab, monkeypatch: pytest.MonkeyPatch, *, links: bool, stride: int
) -> None:
    if not links:
        monkeypatch.setattr(os, "link", no_links)
    kills = len(lab.operations())
    for n in range(0, kills, stride):
        lab.reset()
        assert killed(n, lab.run)

        lab.check()
        with watching(lab.check):
            lab.run(resume=True)
        assert tree(lab.medium.root) == lab.after
    lab.reset()
    assert not killed(kills, lab.run)


def test_a_resumed_write_can_be_killed_at_any_step_as_well(lab: Lab) -> None:
    operations = len(lab.operations())
    for n in range(3, operations, 7):
        for again in range(1, operations, 6):
            lab.reset()
            killed(n, lab.run)
            if not killed(again, lambda: lab.run(resume=True)):
                break
            lab.check()
            lab.run(resume=True)
            assert tree(lab.medium.root) == lab.after


def test_resuming_what_never_began_does_all_of_it(lab: Lab) -> None:
    with watching(lab.check):
        lab.run(resume=True)

    assert tree(lab.medium.root) == lab.after


def test_resuming_what_was_done_changes_nothing(lab: Lab) -> None:
    lab.run()
    changed: list[str] = []

    with watching(lambda name, _: changed.append(name)):
        lab.run(resume=True, durable=False)

    assert tree(lab.medium.root) == lab.after
    assert not {"link", "open", "write", "replace", "mkdir"} & set(changed)


def private_folder(plan: Plan, root: Path) -> Path:
    digest = hashlib.sha256(plan.dicomdir).hexdigest()
    return root / f".DICOMDIR-{digest[:16]}.files"


@pytest.mark.parametrize("there", [False, True], ids=["new folder", "folder that is there"])
def test_a_file_that_an_interrupted_write_left_cut_short_is_made_anew(
    medium: Medium, *, there: bool
) -> None:
    medium.stage(*adds(0, 1))
    plan = medium.plan()
    made = private_folder(plan, medium.root)
    for leaf, path in plan.placed.items():
        name = f"files/{leaf.handle:08}" if there else f"folders/{path}"
        (made / name).parent.mkdir(parents=True, exist_ok=True)
        (made / name).write_bytes(medium.data(leaf.uid)[:10])
        if there:
            (medium.root / path).parent.mkdir(parents=True, exist_ok=True)

    medium.materializer(plan, resume=True).run()

    assert files(medium.root) == medium.expected(plan)
    assert not made.exists()


@pytest.mark.parametrize("kind", ["file", "folder", "link"])
def test_what_others_put_at_a_file_id_while_a_write_was_interrupted_is_named_and_left_alone(
    medium: Medium, kind: str
) -> None:
    medium.stage(*adds(0, 1))
    target = medium.root / "PT000000/ST000000/SE000000/IM000001"
    target.parent.mkdir(parents=True)
    notes = medium.folder / "notes"
    notes.write_bytes(b"precious notes")
    if kind == "file":
        shutil.copyfile(notes, target)
    elif kind == "folder":
        target.mkdir()
    else:
        target.symlink_to(notes)
    before = tree(medium.root)

    with pytest.raises(WriteFailedError, match=f"{target} is not part of the File-set") as caught:
        medium.materializer(medium.plan(), resume=True).run()

    assert isinstance(caught.value.__cause__, MediumError)
    assert {path: data for path, data in tree(medium.root).items() if path in before} == before
    assert notes.read_bytes() == b"precious notes"


def test_what_others_put_in_the_place_of_a_file_that_goes_is_left_alone_on_resuming(
    medium: Medium, monkeypatch: pytest.MonkeyPatch
) -> None:
    medium.stage(*adds(0, 1))
    medium.write()
    medium.stage(("remove", 1))
    plan = medium.plan()
    gone = medium.root / "PT000000/ST000000/SE000000/IM000001"
    with monkeypatch.context() as patch:
        patch.setattr(Materializer, "_clean_up", lambda _: (_ for _ in ()).throw(OSError()))
        with pytest.raises(WriteFailedError):
            medium.materializer(plan).run()
    gone.write_bytes(b"precious notes")

    medium.materializer(plan, resume=True).run()

    assert files(medium.root) == {**medium.expected(plan), plan.obsolete[0]: b"precious notes"}


def test_what_others_put_where_a_staged_file_belongs_is_not_replaced_on_resuming(
    medium: Medium,
) -> None:
    plan, _ = swapped(medium, [1, 0])
    with pytest.raises(KeyboardInterrupt), watching(interrupting_commit(2)):
        medium.materializer(plan).run()
    path = medium.root / next(iter(plan.files))
    path.unlink()
    path.write_bytes(b"precious notes")

    with pytest.raises(WriteFailedError, match=f"{path} is not part of the File-set"):
        medium.materializer(plan, resume=True).run()

    assert path.read_bytes() == b"precious notes"


def interrupting_commit(number: int) -> Callable[[str, str], object]:
    """Return a watcher that interrupts the `number`-th replacement of any file."""
    left = number

    def before(name: str, _: str) -> None:
        nonlocal left
        left -= name == "replace"
        if not left:
            raise KeyboardInterrupt

    return before


# --- giving up -----------------------------------------------------------------------------------


@pytest.mark.parametrize("links", [True, False])
def test_what_a_kill_left_is_taken_back_until_a_new_dicomdir_is_in_place(
    lab: Lab, monkeypatch: pytest.MonkeyPatch, *, links: bool
) -> None:
    if not links:
        monkeypatch.setattr(os, "link", no_links)
    outcomes = set()
    for n in range(len(lab.operations())):
        lab.reset()
        killed(n, lab.run)
        now = (lab.medium.root / "DICOMDIR").read_bytes()
        try:
            lab.medium.materializer(lab.plan, resume=True).take_back()
        except MediumError:
            assert now != lab.before["DICOMDIR"] or lab.plan.interim
            lab.run(resume=True)
            assert tree(lab.medium.root) == lab.after
            outcomes.add("done")
        else:
            assert now == lab.before["DICOMDIR"]
            assert tree(lab.medium.root) == lab.before
            outcomes.add("taken back")
    assert outcomes == {"done", "taken back"}


def no_links(*_: Any, **__: Any) -> None:
    raise OSError(errno.EPERM, "no links")


def test_a_file_whose_bytes_are_nowhere_else_is_not_taken_back(medium: Medium) -> None:
    medium.root.mkdir()
    sources = [medium.root / "HG000000", medium.folder / "vanished", medium.folder / "there"]
    for number, source in enumerate(sources):
        one = spec(number, 4)
        source.write_bytes(one.data)
        event = _added(medium, one, placement=Placement.REFERENCE, source=str(source))
        medium.author.commit([event])
    plan = medium.plan()
    for leaf, path in plan.placed.items():
        (medium.root / path).write_bytes(Path(leaf.source or "").read_bytes())
    sources[1].unlink()

    medium.materializer(plan, resume=True).take_back()

    assert set(files(medium.root)) == {"HG000000", "HG000001"}


# --- other failures ------------------------------------------------------------------------------


def test_what_an_interrupted_write_made_is_flushed_before_a_dicomdir_names_it(
    medium: Medium,
) -> None:
    medium.stage(*adds(0, 1))
    plan = medium.plan()
    inodes: set[int] = set()
    for leaf, path in plan.placed.items():
        (medium.root / path).parent.mkdir(parents=True, exist_ok=True)
        (medium.root / path).write_bytes(medium.data(leaf.uid))
        inodes.add((medium.root / path).stat().st_ino)
    flushed: set[int] = set()

    def note(name: str, argument: str) -> None:
        if name == "fsync":
            flushed.add(os.fstat(int(argument)).st_ino)
        if name == "replace":
            assert inodes <= flushed

    with watching(note):
        medium.materializer(plan, resume=True, durable=True).run()

    assert inodes <= flushed


def test_a_failure_to_roll_back_is_not_told_as_rolled_back(medium: Medium) -> None:
    medium.stage(*adds(0, 1))
    broken = False

    def fail(name: str, _: str) -> None:
        nonlocal broken
        broken = broken or name == "replace"
        if broken:
            raise OSError(errno.EIO, "Input/output error")

    with pytest.raises(WriteFailedError) as caught, watching(fail):
        medium.materializer(medium.plan()).run()

    assert not caught.value.rolled_back
    medium.materializer(medium.plan(), resume=True).run()
    assert files(medium.root) == medium.expected(medium.plan())


def test_a_folder_that_the_medium_lacks_gets_its_place_with_all_that_is_in_it(
    medium: Medium,
) -> None:
    medium.stage(*adds(*range(10)))
    done: list[str] = []

    with watching(lambda name, _: done.append(name)):
        medium.write()

    patients = [path for path in medium.root.iterdir() if path.is_dir()]
    assert done.count("rename") == len(patients)
    assert "link" not in done


def test_what_others_put_in_the_place_of_a_new_folder_meanwhile_is_left_alone(
    medium: Medium,
) -> None:
    medium.stage(*adds(0, 1))
    theirs = medium.root / "PT000000" / "theirs"

    def arrive(name: str, path: str) -> None:
        if name == "rename" and not theirs.exists():
            theirs.parent.mkdir()
            theirs.write_bytes(b"theirs")

    with pytest.raises(WriteFailedError) as caught, watching(arrive):
        medium.materializer(medium.plan()).run()

    assert caught.value.rolled_back
    assert tree(medium.root) == {"PT000000": None, "PT000000/theirs": b"theirs"}


def test_the_message_of_a_failure_names_the_root_and_says_what_to_do(
    medium: Medium, monkeypatch: pytest.MonkeyPatch
) -> None:
    medium.stage(*adds(0))
    fail_at(monkeypatch, "mkdir")

    with pytest.raises(WriteFailedError) as caught:
        medium.materializer(medium.plan()).run()

    assert str(caught.value) == (
        f"Writing to {medium.root} failed: Input/output error. Nothing was changed."
    )


def test_a_missing_file_is_brought_back_from_the_vault(medium: Medium) -> None:
    medium.stage(*adds(0, 1))
    medium.write()
    (medium.root / "PT000000/ST000000/SE000000/IM000001").unlink()
    medium.stage(("remove", 0))

    plan = medium.write()

    assert files(medium.root) == medium.expected(plan)


def test_content_that_is_nowhere_fails_the_write_and_rolls_it_back(medium: Medium) -> None:
    medium.author.run(adds(0, 1))

    with pytest.raises(WriteFailedError) as caught:
        medium.materializer(medium.plan()).run()

    assert caught.value.rolled_back
    assert isinstance(caught.value.__cause__, ContentMissingError)
    assert not medium.root.exists()


def test_there_is_no_dicomdir_where_there_is_no_root(tmp_path: Path) -> None:
    assert read_dicomdir(tmp_path / "none") is None
    (tmp_path / "file").write_bytes(b"")
    assert read_dicomdir(tmp_path / "file") is None


def test_the_name_of_a_dicomdir_in_the_making_tells_its_content(medium: Medium) -> None:
    medium.stage(*adds(0))
    plan = medium.plan()
    seen: list[str] = []

    with watching(lambda name, path: seen.append(path) if name == "replace" else None):
        medium.materializer(plan).run()

    digest = hashlib.sha256(plan.dicomdir).hexdigest()
    assert seen == [str(medium.root / f".DICOMDIR-{digest[:16]}")]


def test_the_last_copy_of_an_instance_is_not_taken_back_from_the_private_folder(
    medium: Medium,
) -> None:
    source = medium.folder / "source"
    source.write_bytes(spec(0).data)
    event = _added(medium, spec(0), placement=Placement.REFERENCE, source=str(source))
    medium.author.commit([event])
    plan = medium.plan()
    (path,) = plan.placed.values()
    made = private_folder(plan, medium.root) / "folders" / path
    made.parent.mkdir(parents=True)
    source.rename(made)

    with pytest.raises(MediumError, match="all that is left of the instance"):
        medium.materializer(plan, resume=True).take_back()

    assert made.read_bytes() == spec(0).data


def test_new_folders_inherit_from_the_folder_that_they_come_into(medium: Medium) -> None:
    medium.stage(*adds(0))
    medium.write()
    patient = medium.root / "PT000000"
    patient.chmod(0o2755)
    medium.stage(*adds(1, home=1))
    medium.write()
    assert all(
        path.stat().st_mode & 0o2000
        for path in (patient / "ST000001").rglob("*") if path.is_dir()
    )  # fmt: skip


def test_folders_that_differ_in_case_only_are_one_where_they_are_one(
    medium: Medium, monkeypatch: pytest.MonkeyPatch
) -> None:
    medium.stage(*adds(0, 1))
    plan = medium.plan()
    first, second = plan.placed
    lower = evolve(plan, placed={first: "AA/IM000000", second: "aa/IM000001"}, contested={})
    # A medium that does not tell cases apart, for the folder that matters.
    real = {name: getattr(os, name) for name in ("mkdir", "rename", "open")}

    def folded(name: str) -> Callable[..., Any]:
        def call(path: Any, *args: Any, **kwargs: Any) -> Any:
            shown = [str(each).replace("/aa", "/AA") for each in (path, *args[:1])]
            if name == "rename":
                return real[name](*shown)
            return real[name](shown[0], *args, **kwargs)

        return call

    for name in real:
        monkeypatch.setattr(os, name, folded(name))
    for module in (guards, made_files, materializer):
        monkeypatch.setattr(module, "lexists", lambda p: os.path.lexists(p.replace("/aa", "/AA")))
    medium.materializer(lower).run()

    assert sorted(path.name for path in (medium.root / "AA").iterdir()) == ["IM000000", "IM000001"]
