"""File-sets and instances in other processes: they are pickled as what leads to them."""

from __future__ import annotations

import copy
import pickle
import shutil
import warnings
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from operator import attrgetter
from pathlib import Path
from typing import Any

import pydicom.fileset
import pytest
from cli_runs import CT, MR
from pydicom import examples

from fileset import FileInstance, FileSet, NoSuchMomentError, RefusedError, RepositoryError


def again(thing: Any) -> Any:
    return pickle.loads(pickle.dumps(thing))  # noqa: S301 - our own


@pytest.fixture
def fs(tmp_path: Path) -> FileSet:
    fs = FileSet(repository=tmp_path / "kept")
    fs.add(CT)
    fs.add(MR)
    return fs


@pytest.mark.parametrize("start", ["spawn", "fork"])
def test_workers_see_the_state_of_when_the_work_was_given_to_them(fs: FileSet, start: str) -> None:
    instances = list(fs)
    position = fs.state.position
    again(fs)  # what this process has open is of no use to a forked one
    with ProcessPoolExecutor(1, mp_context=get_context(start)) as pool:
        loaded = pool.submit(FileInstance.load, instances[0]).result()
        given = pickle.dumps(fs)
        fs.remove(instances[0])
        names = list(pool.map(attrgetter("PatientID", "handle", "path"), instances))
        then = pool.submit(pickle.loads, given).result()
    assert loaded.PatientName == examples.ct.PatientName
    assert [each[:2] for each in names] == [(i.PatientID, i.handle) for i in instances]
    assert (len(fs), len(then), then.state.position) == (1, 2, position)


def test_what_comes_back_is_one_file_set_that_can_t_be_changed(fs: FileSet) -> None:
    one, two = map(again, fs)
    assert one.file_set is two.file_set is again(fs)
    assert one.file_set.find(PatientID="4MR1") == [two]
    assert again(one) is one
    with pytest.raises(RefusedError, match=r"as of position 3; it can't be changed"):
        one.file_set.remove(one)
    data = pickle.dumps(one)
    one.file_set.close()
    assert again(fs) is not one.file_set
    assert pickle.loads(data).PatientID == "1CT1"  # noqa: S301 - our own


def test_the_past_is_the_same_past_there(fs: FileSet) -> None:
    then = fs.at(2)
    assert [i.PatientID for i in again(then)] == ["1CT1"]
    assert [i.PatientID for i in again(again(then))] == ["1CT1"]


@pytest.mark.parametrize("is_kept", [True, False])
def test_a_copy_is_another_object_for_the_same_file_set(tmp_path: Path, is_kept: bool) -> None:
    for new in (pydicom.fileset.FileSet, FileSet):
        with warnings.catch_warnings(action="ignore"):
            fs = FileSet(repository=tmp_path / "a") if new is FileSet and is_kept else new()
            fs.add(CT)
            another = copy.copy(fs)
            assert (type(another), another is fs) == (type(fs), False)
            another.add(MR)
            fs.ID = "SAME"
        assert (len(fs), len(another), another.ID) == (2, 2, fs.ID if new is FileSet else None)
    (instance, _) = fs
    assert copy.copy(instance) is instance
    for thing in (fs, instance, [instance]):
        with pytest.raises(RefusedError, match=r"can't be deep-copied: .* copy\(\) writes a copy"):
            copy.deepcopy(thing)


def test_few_are_kept_open(fs: FileSet) -> None:
    for number in range(9):
        fs.ID = f"ID{number}"
        assert f"ID{number}" == again(fs).ID
    from fileset.views.reference import _opened

    assert len(_opened) <= 4


def test_what_no_other_process_can_see_is_not_pickled(fs: FileSet) -> None:
    ephemeral = FileSet()
    for thing in (ephemeral, ephemeral.add(CT)):
        with pytest.raises(RefusedError, match="kept in no repository: make it with `repository=`"):
            pickle.dumps(thing)
    with fs.change():
        fs.ID = "UNSEEN"
        with pytest.raises(RefusedError, match="has a change open"):
            pickle.dumps(fs)
    preview = fs.undo(dry_run=True)
    with pytest.raises(RefusedError, match="would lead to"):
        pickle.dumps(preview.after)


def test_what_is_not_there_any_more_is_told(fs: FileSet, tmp_path: Path) -> None:
    fs.ID = "LATER"
    data = pickle.dumps(fs)
    fs.close()
    folder = tmp_path / "kept"
    folder.rename(tmp_path / "moved")
    with pytest.raises(RepositoryError, match="There is no repository at"):
        pickle.loads(data)  # noqa: S301
    FileSet(repository=folder).close()
    with pytest.raises(RepositoryError, match="is not the repository whose File-set was pickled"):
        pickle.loads(data)  # noqa: S301


def test_an_older_copy_of_the_repository_lacks_the_position(fs: FileSet, tmp_path: Path) -> None:
    shutil.copytree(tmp_path / "kept", tmp_path / "older")
    fs.ID = "LATER"
    data = pickle.dumps(fs)
    fs.close()
    shutil.rmtree(tmp_path / "kept")
    (tmp_path / "older").rename(tmp_path / "kept")
    with pytest.raises(NoSuchMomentError):
        pickle.loads(data)  # noqa: S301
