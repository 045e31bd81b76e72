"""`write --repair`: what was lost or damaged on the medium comes back from the vault."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from cli_runs import Cli, copy_of_example, indexed_disc, run
from pydicom import dcmread, examples
from pydicom.data import get_testdata_file
from pydicom.fileset import FileSet as PydicomFileSet
from stopping import SOME_POINTS, killed_at

from fileset import FileSet
from fileset.checking.findings import RepositoryFindingKind
from fileset.checking.repository import verify
from fileset.errors import RefusedError
from fileset.medium.check import Fault, owner_of
from fileset.medium.damage import MediumDamage
from fileset.medium.errors import MediumError
from fileset.medium.repair import Repairer
from fileset.medium.write import Writer
from fileset.repository.garbage import collect
from fileset.repository.repository import Repository
from ledger.digest import digest_of
from ledger.events import DamageNoted, DamageRepaired, StrangerKept

CT, MR, OVERLAY = (Path(examples.get_path(name)) for name in ("ct", "mr", "overlay"))


class Medium:
    """A File-set of three instances, written to `root`, and what was there then."""

    def __init__(self, folder: Path) -> None:
        self.path, self.root = folder / "repo", folder / "root"
        with FileSet(repository=self.path) as made:
            made.add_many([CT, MR, OVERLAY])
            made.write(self.root)
        self.before = self.files()
        self.open()

    def open(self) -> None:
        self.repository = Repository.open(self.path)
        self.writer = Writer(self.repository)

    def repair(self, **options: Any) -> MediumDamage:
        """Do what the command does."""
        damage = self.writer.write(repair=True, **options).damage
        assert damage is not None
        return damage

    def killed_at(self, nth: int, *operations: str) -> bool:
        """Repair in a child that is killed at the `nth` of these; whether it came to the end."""

        def act() -> None:
            self.open()
            self.repair()

        return killed_at(nth, act, operations=operations, statements=False)

    def files(self) -> dict[str, bytes]:
        return {
            path.relative_to(self.root).as_posix(): path.read_bytes()
            for path in self.root.rglob("*")
            if path.is_file()
        }

    def instances(self) -> list[Path]:
        """Return the paths of the instances' files."""
        return [self.root / name for name in sorted(self.before) if name != "DICOMDIR"]

    def events(self, kind: type) -> list[object]:
        found = (recorded.event for recorded in self.repository.journal.read())
        return [event for event in found if type(event) is kind]


@pytest.fixture
def medium(tmp_path: Path) -> Iterator[Medium]:
    found = Medium(tmp_path)
    yield found
    found.repository.close()


def test_a_missing_and_a_changed_file_come_back_and_the_medium_is_as_it_was(medium: Medium) -> None:
    first, second, _ = medium.instances()
    first.unlink()
    second.write_bytes(b"scratched")

    damage = medium.repair()

    assert medium.files() == medium.before
    assert [(each.path, each.fault) for each in damage.repairable] == [
        (first, Fault.MISSING),
        (second, Fault.CHANGED),
    ]
    assert not list(verify(medium.repository))


@pytest.mark.parametrize("change", [str.lower, "{}.".format, "{};1".format, "{}.dcm".format])
def test_a_file_that_only_the_medium_has_comes_back_from_the_name_it_was_given(
    tmp_path: Path, change: Callable[[str], str]
) -> None:
    root = indexed_disc(tmp_path / "disc", IM1=CT, IM2=MR)
    run("init", tmp_path / "archive", "--from", root)
    other = (root / "IM1").rename(root / change("IM1"))
    cli = Cli(tmp_path / "archive")
    cli("write", "--repair")
    assert (root / "IM1").read_bytes() == other.read_bytes() == CT.read_bytes()
    assert "all is well" in cli("verify").out


def test_another_file_with_such_a_name_is_not_taken_for_it(tmp_path: Path) -> None:
    root = indexed_disc(tmp_path / "disc", IM1=CT)
    run("init", tmp_path / "archive", "--from", root)
    (root / "IM1").unlink()
    shutil.copyfile(MR, root / "im1")
    assert "put it back" in Cli(tmp_path / "archive")("write", "--repair", code=1).out
    assert not (root / "IM1").exists()


def test_two_damaged_files_that_are_one_under_two_names_both_come_back(medium: Medium) -> None:
    first, second, _ = medium.instances()
    first.write_bytes(b"scratched")
    second.unlink()
    second.hardlink_to(first)

    assert not medium.repair().unrepairable
    assert medium.files() == medium.before


def test_the_damage_is_recorded_and_what_lay_in_the_place_is_kept(medium: Medium) -> None:
    first, second, _ = medium.instances()
    first.unlink()
    second.write_bytes(b"scratched")

    medium.repair(reason="a bad stick")

    (noted,) = medium.events(DamageNoted)
    handles = {
        leaf.file_id: leaf.handle for leaf in medium.repository.state.hierarchy.walk_leaves()
    }
    assert noted == DamageNoted(
        root=str(medium.root),
        missing=(handles[first.relative_to(medium.root).as_posix()],),
        changed=(handles[second.relative_to(medium.root).as_posix()],),
    )
    (kept,) = medium.events(StrangerKept)
    assert isinstance(kept, StrangerKept)
    assert medium.repository.vault.read(kept.content.digest) == b"scratched"
    assert medium.repository.changes()[-1].reason == "a bad stick"


def test_a_folder_that_is_gone_comes_back_with_its_files(medium: Medium) -> None:
    shutil.rmtree(next(path for path in medium.root.iterdir() if path.is_dir()))

    medium.repair()

    assert medium.files() == medium.before


@pytest.mark.parametrize("damaged", [None, b"", b"scratched"])
def test_a_dicomdir_that_is_gone_or_damaged_is_made_anew(
    medium: Medium, damaged: bytes | None
) -> None:
    dicomdir = medium.root / "DICOMDIR"
    dicomdir.unlink()
    if damaged is not None:
        dicomdir.write_bytes(damaged)

    medium.repair()

    assert medium.files() == medium.before
    (noted,) = medium.events(DamageNoted)
    assert isinstance(noted, DamageNoted)
    assert noted.no_dicomdir is (damaged is None)
    assert noted.dicomdir == (None if damaged is None else digest_of(damaged))


def test_files_that_another_tool_has_put_in_the_dicomdir_are_not_dropped_from_it_unseen(
    medium: Medium,
) -> None:
    edited = PydicomFileSet(medium.root / "DICOMDIR")
    edited.add(get_testdata_file("liver_1frame.dcm"))
    edited.write()
    there = medium.files()

    with pytest.raises(MediumError, match="--repair"):
        medium.writer.write()
    with pytest.raises(RefusedError, match="lists 1 file that the journal does not know"):
        medium.repair()
    assert medium.files() == there

    FileSet(repository=medium.repository).add_many([medium.root])
    medium.repair()

    assert not list(verify(medium.repository))
    assert medium.before.items() - medium.files().items() == {
        ("DICOMDIR", medium.before["DICOMDIR"])
    }
    assert len(FileSet(medium.root / "DICOMDIR")) == 4


def newer_than_its_repository(medium: Medium, instead_of: Path = MR) -> Path:
    """Write an instance over another's File ID, and put the repository back as it was before.

    Return the file of that instance, which the repository doesn't know any more.
    """
    medium.repository.close()
    shutil.copytree(medium.path, medium.path.with_name("backup"))
    medium.open()
    files = FileSet(repository=medium.repository)
    files.remove(files.find(PatientID=dcmread(instead_of).PatientID))
    added = files.add(get_testdata_file("liver_1frame.dcm"))
    files.write()
    path = Path(added.path)
    assert path in medium.instances()
    medium.repository.close()
    shutil.rmtree(medium.path)
    medium.path.with_name("backup").rename(medium.path)
    medium.open()
    return path


@pytest.mark.parametrize("options", [(), ("--dry-run",)])
def test_a_medium_newer_than_the_journal_is_refused_though_its_names_are_known(
    medium: Medium, options: tuple[str, ...]
) -> None:
    """As after a backup of the repository was brought back: names are taken again."""
    path = newer_than_its_repository(medium)
    there = medium.files()

    error = Cli(medium.path)("write", "--repair", *options, code=3).err

    assert "lists 1 file that the journal does not know" in error
    assert f"{path} ({dcmread(path).SOPInstanceUID})" in error
    assert medium.files() == there


def test_so_it_is_where_its_dicomdir_does_not_say_any_more_whose_it_is(medium: Medium) -> None:
    newer_than_its_repository(medium, instead_of=OVERLAY)
    dicomdir = medium.root / "DICOMDIR"
    dicomdir.write_bytes(bytes(360) + dicomdir.read_bytes()[360:])
    assert owner_of(dicomdir.read_bytes(), medium.repository.state) == ("", False)
    there = medium.files()

    with pytest.raises(RefusedError, match="lists 1 file that the journal does not know"):
        medium.repair()
    assert medium.files() == there


def test_such_a_medium_is_repaired_once_what_it_has_was_added(medium: Medium) -> None:
    uid = dcmread(newer_than_its_repository(medium)).SOPInstanceUID

    FileSet(repository=medium.repository).add_many([medium.root])
    medium.repair()

    assert not list(verify(medium.repository))
    listed = {instance.SOPInstanceUID for instance in PydicomFileSet(medium.root / "DICOMDIR")}
    assert listed == {uid} | {dcmread(each).SOPInstanceUID for each in (CT, MR, OVERLAY)}


def test_a_file_that_is_staged_by_reference_is_not_replaced_by_another(medium: Medium) -> None:
    path = newer_than_its_repository(medium)
    news = path.read_bytes()
    files = FileSet(repository=medium.repository)
    files.add_many([medium.root], reference=True)

    (left,) = medium.repair().unrepairable

    assert left.why is not None
    assert "staged by reference: remove that one" in left.why
    assert path.read_bytes() == news

    files.remove(files.find(SOPInstanceUID=dcmread(path).SOPInstanceUID))
    files.add(path)
    medium.repair()
    assert not list(verify(medium.repository))


def test_of_two_repositories_on_one_medium_neither_repairs_away_what_the_other_wrote(
    medium: Medium, tmp_path: Path
) -> None:
    medium.repository.close()
    shutil.copytree(medium.path, tmp_path / "second")
    medium.open()
    for repository, name in (
        (medium.path, "liver_1frame.dcm"),
        (tmp_path / "second", "JPEG-lossy.dcm"),
    ):
        cli = Cli(repository)
        cli("remove", "PatientID=4MR1")
        cli("add", get_testdata_file(name))
    Cli(medium.path)("write")
    there = medium.files()

    for options in ((), ("--dry-run",)):
        error = Cli(tmp_path / "second")("write", "--repair", *options, code=3).err
        assert "lists 1 file that the journal does not know" in error
    assert medium.files() == there


def test_a_decayed_file_of_ours_is_no_news_whatever_became_of_the_dicomdir(medium: Medium) -> None:
    (medium.root / "DICOMDIR").write_bytes((medium.root / "DICOMDIR").read_bytes() + bytes(2))
    medium.instances()[0].write_bytes(b"scratched")

    medium.repair()

    assert medium.files() == medium.before


def test_the_dicomdir_that_gives_way_is_kept_in_the_vault(medium: Medium) -> None:
    (medium.root / "DICOMDIR").write_bytes(b"scratched")

    medium.repair()

    assert medium.repository.vault.read(digest_of(b"scratched")) == b"scratched"
    assert collect(medium.repository, dry_run=False).entries == 0


def test_what_an_older_copy_of_the_medium_has_again_is_taken_off(
    medium: Medium, tmp_path: Path
) -> None:
    shutil.copytree(medium.root, tmp_path / "older")
    files = FileSet(repository=medium.repository)
    files.remove(files.find(PatientID="4MR1"))
    files.write()
    now = medium.files()
    shutil.rmtree(medium.root)
    shutil.move(tmp_path / "older", medium.root)

    damage = medium.repair()

    assert medium.files() == now
    assert len(damage.returned) == 1
    (repaired,) = medium.events(DamageRepaired)
    assert isinstance(repaired, DamageRepaired)
    assert len(repaired.taken_off) == 1
    assert b"4MR1" not in b"".join(medium.files().values())


def test_the_medium_of_another_file_set_with_a_damaged_dicomdir_is_left_alone(
    medium: Medium,
) -> None:
    """By its names alone a medium looks like any other."""
    shutil.rmtree(medium.root)
    other = FileSet()
    other.add_many([MR, CT])
    other.write(medium.root)
    dicomdir = medium.root / "DICOMDIR"
    for damaged in (dicomdir.read_bytes()[:500], dicomdir.read_bytes()[:100], None):
        dicomdir.unlink() if damaged is None else dicomdir.write_bytes(damaged)
        there = medium.files()
        with pytest.raises((RefusedError, MediumError)):
            medium.repair()
        assert medium.files() == there


def test_with_all_instances_removed_the_medium_is_still_known(medium: Medium) -> None:
    files = FileSet(repository=medium.repository)
    files.remove(list(files))
    (medium.root / "DICOMDIR").unlink()

    medium.repair()

    assert set(medium.files()) == {"DICOMDIR"}


def test_what_the_vault_has_lost_and_the_medium_has_is_stored_anew(medium: Medium) -> None:
    medium.repository.close()
    (pack,) = (medium.path / "vault").glob("*.pack")
    data = pack.read_bytes()
    pack.write_bytes(data[:2000] + bytes([data[2000] ^ 1]) + data[2001:])
    medium.open()
    assert [found.kind for found in verify(medium.repository)] == [RepositoryFindingKind.VAULT]

    damage = medium.repair()

    assert len(damage.unkept) == 1
    for leaf in medium.repository.state.live.values():
        assert leaf.content is not None
        assert medium.repository.vault.is_sound(leaf.content.digest)


def test_what_a_link_on_the_medium_leads_to_is_not_taken_in(medium: Medium, tmp_path: Path) -> None:
    secret = tmp_path / "secret"
    secret.write_bytes(b"nobody's business")
    path = medium.instances()[0]
    path.unlink()
    path.symlink_to(secret)

    medium.repair()

    assert medium.files() == medium.before
    assert not path.is_symlink()
    assert secret.read_bytes() == b"nobody's business"
    assert digest_of(b"nobody's business") not in medium.repository.vault


def test_files_of_others_beside_a_damaged_one_stay(medium: Medium) -> None:
    path = medium.instances()[0]
    precious = path.with_name(f".{path.name}.new")
    precious.write_bytes(b"precious")
    path.unlink()

    medium.repair()

    assert precious.read_bytes() == b"precious"


def test_a_file_that_came_after_the_look_is_not_replaced(
    medium: Medium, monkeypatch: pytest.MonkeyPatch
) -> None:
    missing, changed, _ = medium.instances()
    missing.unlink()
    changed.write_bytes(b"scratched")
    keep = Repairer._keep

    def keep_and_change(self: Repairer, damage: MediumDamage) -> None:
        keep(self, damage)
        missing.write_bytes(b"somebody's")
        changed.write_bytes(b"somebody's, too")

    monkeypatch.setattr(Repairer, "_keep", keep_and_change)

    damage = medium.repair()

    assert {each.why for each in damage.unrepairable} == {
        "it has changed in the meantime: repair again"
    }
    assert missing.read_bytes() == b"somebody's"
    assert changed.read_bytes() == b"somebody's, too"


def test_nothing_is_written_while_the_dicomdir_would_name_what_is_lost(medium: Medium) -> None:
    path = medium.instances()[0]
    path.unlink()
    path.mkdir()
    FileSet(repository=medium.repository).add(get_testdata_file("liver_1frame.dcm"))
    before = (medium.root / "DICOMDIR").read_bytes()

    assert medium.repair().unrepairable
    assert (medium.root / "DICOMDIR").read_bytes() == before


def test_a_file_that_is_staged_by_reference_from_the_medium_stays_there(medium: Medium) -> None:
    edited = PydicomFileSet(medium.root / "DICOMDIR")
    edited.add(get_testdata_file("liver_1frame.dcm"))
    edited.write()
    FileSet(repository=medium.repository).add_many([medium.root], reference=True)

    damage = medium.repair()

    assert not damage.returned
    assert not list(verify(medium.repository))
    assert len(PydicomFileSet(medium.root / "DICOMDIR")) == 4


def test_a_medium_whose_folder_is_gone_is_told(medium: Medium) -> None:
    shutil.rmtree(medium.root)

    with pytest.raises(MediumError, match="Nothing of the File-set is at"):
        medium.repair()


def test_with_nothing_of_ours_to_know_it_by_a_medium_with_files_is_another(medium: Medium) -> None:
    files = FileSet(repository=medium.repository)
    files.remove(list(files))
    files.write()
    (medium.root / "DICOMDIR").unlink()
    (medium.root / "letter.txt").write_text("somebody's")

    with pytest.raises(MediumError, match="Nothing of the File-set"):
        medium.repair()


def test_a_link_in_the_place_of_the_folder_for_whole_files_is_not_followed(
    medium: Medium, tmp_path: Path
) -> None:
    outside = tmp_path / "outside"
    outside.mkdir()
    (medium.root / ".DICOMDIR-repair").symlink_to(outside)
    medium.instances()[0].unlink()

    (left,) = medium.repair().unrepairable

    assert "is in the way" in (left.why or "")
    assert not list(outside.iterdir())


def test_an_older_dicomdir_of_ours_is_not_kept_since_nothing_would_erase_it(medium: Medium) -> None:
    older = (medium.root / "DICOMDIR").read_bytes()
    files = FileSet(repository=medium.repository)
    files.ID = "NEWER"
    files.write()
    (medium.root / "DICOMDIR").write_bytes(older)

    medium.repair()

    assert digest_of(older) not in medium.repository.vault
    assert not list(verify(medium.repository))


def test_a_folder_in_the_place_of_the_dicomdir_is_told(medium: Medium) -> None:
    (medium.root / "DICOMDIR").unlink()
    (medium.root / "DICOMDIR").mkdir()

    with pytest.raises(MediumError, match="move it away"):
        medium.repair()


def test_a_repair_of_an_adopted_medium_moves_nothing(tmp_path: Path) -> None:
    root = copy_of_example(tmp_path / "root").parent
    run("init", tmp_path / "repo", "--from", root / "DICOMDIR")
    names = set(root.rglob("*"))
    (root / "DICOMDIR").write_bytes((root / "DICOMDIR").read_bytes()[:-1000])

    Cli(tmp_path / "repo")("write", "--repair")

    assert set(root.rglob("*")) == names
    assert len(PydicomFileSet(root / "DICOMDIR")) == 31


def test_a_repair_keeps_the_layout_of_the_last_write_whatever_is_asked_of_a_write(
    medium: Medium,
) -> None:
    medium.instances()[0].unlink()
    with FileSet(repository=medium.repository) as fs:
        fs.write(use_existing=True, repair=True)
        assert fs.state.written is not None
        assert fs.state.written.layout == "pydicom"
    medium.open()


def test_what_is_staged_is_written_with_the_repair(medium: Medium) -> None:
    FileSet(repository=medium.repository).add(get_testdata_file("liver_1frame.dcm"))
    (medium.root / "DICOMDIR").unlink()

    medium.repair()

    assert len(medium.files()) == len(medium.before) + 1
    assert not list(verify(medium.repository))


def test_a_sound_medium_is_left_alone_and_nothing_recorded(medium: Medium) -> None:
    position = medium.repository.journal.position

    damage = medium.repair()

    assert not damage.is_on_medium
    assert medium.repository.journal.position == position


def test_without_repair_a_damaged_file_is_not_touched(medium: Medium) -> None:
    path = medium.instances()[0]
    path.write_bytes(b"scratched")

    medium.writer.write()

    assert path.read_bytes() == b"scratched"


def test_a_medium_that_is_not_there_is_not_made_anew(medium: Medium) -> None:
    """An unmounted stick is an empty folder."""
    shutil.rmtree(medium.root)
    medium.root.mkdir()

    with pytest.raises(MediumError, match="Nothing of the File-set is at"):
        medium.repair()
    assert not list(medium.root.iterdir())


def test_the_medium_of_another_file_set_is_left_alone(medium: Medium, tmp_path: Path) -> None:
    """Somebody else's stick can be mounted in the same place."""
    shutil.rmtree(medium.root)
    other = FileSet()
    other.add(CT)
    other.write(medium.root)
    there = medium.files()

    with pytest.raises(RefusedError, match="that of another File-set"):
        medium.repair()
    assert medium.files() == there


def test_a_file_whose_bytes_are_lost_is_told_and_the_others_come_back(tmp_path: Path) -> None:
    source = tmp_path / "adopted"
    made = FileSet()
    made.add_many([CT, MR])
    made.write(source)
    with FileSet(source / "DICOMDIR", repository=tmp_path / "repo") as adopted:
        adopted.add(OVERLAY)
        adopted.write()
        paths = [_path_of(each, adopted) for each in (OVERLAY, CT)]
        for path in paths:
            path.unlink()

        with pytest.warns(UserWarning, match="was not repaired: its bytes are neither"):
            adopted.write(repair=True)

    assert paths[0].exists()
    assert not paths[1].exists()


def _path_of(source: Path, files: FileSet) -> Path:
    (found,) = files.find(SOPInstanceUID=dcmread(source).SOPInstanceUID)
    return Path(found.path)


def test_a_file_that_was_added_by_reference_comes_back_from_where_it_was_left(
    tmp_path: Path,
) -> None:
    source, root = tmp_path / "ct.dcm", tmp_path / "root"
    shutil.copy(CT, source)
    with FileSet(repository=tmp_path / "repo") as files:
        files.add_many([source], reference=True)
        files.write(root)
        (path,) = (Path(each.path) for each in files)
        path.write_bytes(b"scratched")

        files.write(repair=True)

    assert path.read_bytes() == CT.read_bytes()


def test_a_folder_in_the_place_of_a_file_is_told_and_left(medium: Medium) -> None:
    path = medium.instances()[0]
    path.unlink()
    path.mkdir()

    damage = medium.repair()

    assert [each.path for each in damage.unrepairable] == [path]
    assert path.is_dir()


def test_no_file_is_put_where_a_link_leads_out_of_the_medium(
    medium: Medium, tmp_path: Path
) -> None:
    folder = medium.instances()[0].parent
    shutil.rmtree(folder)
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    folder.symlink_to(elsewhere)

    damage = medium.repair()

    assert damage.unrepairable
    assert not list(elsewhere.rglob("*"))


def test_an_interrupted_write_whose_medium_was_damaged_meanwhile_is_completed(
    medium: Medium, monkeypatch: pytest.MonkeyPatch
) -> None:
    FileSet(repository=medium.repository).add(get_testdata_file("liver_1frame.dcm"))

    def fails(*_: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr("fileset.medium.materializer.Materializer._clean_up", fails)
        with pytest.raises(KeyboardInterrupt):
            medium.writer.write()
    (medium.root / "DICOMDIR").write_bytes(b"scratched")
    medium.instances()[0].unlink()

    with pytest.raises(MediumError):
        medium.writer.write()
    medium.repair()

    assert not list(verify(medium.repository))
    assert medium.repository.state.writing is None


@SOME_POINTS
def test_killed_at_any_point_a_repair_is_done_by_doing_it_again(
    medium: Medium, stride: int
) -> None:
    first, second, _ = medium.instances()
    medium.repository.close()
    for nth in range(1, 200, stride):
        first.unlink(missing_ok=True)
        second.write_bytes(b"scratched")
        (medium.root / "DICOMDIR").write_bytes(b"scratched")
        whole = medium.killed_at(nth, "open", "fsync", "replace", "unlink", "rename")
        medium.open()
        medium.repair()
        assert medium.files() == medium.before
        assert not list(verify(medium.repository))
        medium.repository.close()
        if whole:
            break
    else:
        pytest.fail("the repair never came to its end")


# --- the command ---------------------------------------------------------------------------------


def test_the_command_tells_what_it_puts_back(medium: Medium) -> None:
    path = medium.instances()[0]
    path.unlink()

    told = Cli(medium.path)("write", "--repair").out

    assert f"Put back {path}, which was missing" in told
    assert medium.files() == medium.before


def test_a_dry_run_of_the_command_puts_nothing_back(medium: Medium) -> None:
    path = medium.instances()[0]
    path.unlink()

    told = Cli(medium.path).json("write", "--repair", "--dry-run")

    assert told["damage"]["files"][0]["fault"] == "missing"
    assert not path.exists()


def test_the_command_ends_with_1_where_bytes_are_lost(tmp_path: Path) -> None:
    made = FileSet()
    made.add_many([CT, MR])
    made.write(tmp_path / "root")
    run("init", tmp_path / "repo", "--from", tmp_path / "root" / "DICOMDIR")
    lost = Path(next(iter(made)).path)
    lost.unlink()

    told = Cli(tmp_path / "repo")("write", "--repair", code=1).out

    assert f"Not put back: {lost}" in told
    kinds = {finding.kind for finding in verify(Repository.open(tmp_path / "repo"))}
    assert kinds == {RepositoryFindingKind.FILE_MISSING}


def test_the_log_and_the_blame_tell_of_the_damage(medium: Medium) -> None:
    path = medium.instances()[0]
    path.unlink()
    cli = Cli(medium.path)

    cli("write", "--repair")

    assert f"damage found on the medium at {medium.root}: 1 file missing" in cli("log").out
    told = cli("blame", f"SOPInstanceUID={dcmread(path).SOPInstanceUID}").out
    assert f"found damaged at {medium.root}" in told


# --- erasing what was kept -----------------------------------------------------------------------


def test_a_person_s_file_that_lay_in_another_s_place_is_erased_with_the_rest(
    medium: Medium,
) -> None:
    ct, mr = (_path_of(each, FileSet(repository=medium.repository)) for each in (CT, MR))
    ct.write_bytes(mr.read_bytes())
    medium.repair()

    FileSet(repository=medium.repository).erase(PatientID="4MR1", reason="17", take_off=True)

    assert b"4MR1" not in _all_bytes(medium.path)
    assert not list(verify(medium.repository))


def test_a_file_of_a_person_who_was_never_in_the_file_set_is_erased_as_well(medium: Medium) -> None:
    path = medium.instances()[0]
    stranger = dcmread(CT)
    stranger.PatientID = "NOBODY17"
    stranger.save_as(path)
    medium.repair()

    done = FileSet(repository=medium.repository).erase(PatientID="NOBODY17", reason="17")

    assert done.events == 1
    assert b"NOBODY17" not in _all_bytes(medium.path)


def test_a_dicomdir_that_was_kept_and_lists_a_person_is_erased_with_the_rest(
    medium: Medium,
) -> None:
    dicomdir = medium.root / "DICOMDIR"
    dicomdir.write_bytes(dicomdir.read_bytes().replace(b"4MR1", b"4MRI"))
    kept = digest_of(dicomdir.read_bytes())
    medium.repair()
    assert kept in medium.repository.vault

    FileSet(repository=medium.repository).erase(PatientID="1CT1", reason="17", take_off=True)

    assert kept not in medium.repository.vault
    assert b"1CT1" not in _all_bytes(medium.path)


def test_what_a_killed_repair_left_goes_with_the_next_write_or_erasure(medium: Medium) -> None:
    _path_of(MR, FileSet(repository=medium.repository)).unlink()
    medium.repository.close()
    assert not medium.killed_at(1, "link")
    medium.open()
    assert b"4MR1" in _all_bytes(medium.root)

    FileSet(repository=medium.repository).erase(PatientID="4MR1", reason="17", take_off=True)

    assert b"4MR1" not in _all_bytes(medium.root)


def _all_bytes(folder: Path) -> bytes:
    return b"".join(path.read_bytes() for path in folder.rglob("*") if path.is_file())
