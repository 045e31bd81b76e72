"""A repository is its owner's alone, and its code opens no door that it doesn't need."""

from __future__ import annotations

import ast
import logging
import os
import stat
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest
from pydicom import examples

import fileset
import ledger
import projections
from fileset import FileSet
from fileset.repository.garbage import collect
from fileset.repository.repository import Repository
from ledger.vault.vault import PackVault

CT, MR = (Path(examples.get_path(name)) for name in ("ct", "mr"))
PACKAGES = [Path(package.__file__ or "").parent for package in (ledger, projections, fileset)]
MODULES = sorted(path for package in PACKAGES for path in package.rglob("*.py"))


@pytest.fixture
def generous() -> Iterator[None]:
    """The most careless of umasks."""
    before = os.umask(0)
    yield
    os.umask(before)


@pytest.mark.usefixtures("generous")
def test_nothing_in_a_repository_can_be_read_by_others(tmp_path: Path) -> None:
    path = tmp_path / "repo"
    with FileSet(repository=path) as files:
        files.add_many([CT, MR])
        files.write(tmp_path / "root")
        files.remove(next(iter(files)))
        files.write()
        files.undo()
    with FileSet.open(path) as files:
        collect(files.repository, dry_run=False)
        files.repository.rebuild()

    open_to_others = {
        found.relative_to(tmp_path).as_posix(): oct(stat.S_IMODE(found.stat().st_mode))
        for found in (path, *path.rglob("*"))
        if found.stat().st_mode & 0o077
    }

    assert open_to_others == {}
    assert stat.S_IMODE(path.stat().st_mode) == 0o700


def test_a_complete_pack_is_read_only(tmp_path: Path) -> None:
    with closing(PackVault(tmp_path / "vault", tmp_path / "index", pack_limit=1)) as vault:
        for content in (b"one", b"two"):
            with vault.batch() as batch:
                batch.add(content)

    first, _ = sorted((tmp_path / "vault").glob("*.pack"))

    assert stat.S_IMODE(first.stat().st_mode) == 0o400


def test_the_medium_has_the_permissions_that_the_user_asks_for(tmp_path: Path) -> None:
    before = os.umask(0o027)
    try:
        files = FileSet()
        files.add(CT)
        files.write(tmp_path / "root")
    finally:
        os.umask(before)

    modes = {stat.S_IMODE(path.stat().st_mode) for path in (tmp_path / "root").rglob("*")}

    assert modes == {0o750, 0o640}


@pytest.mark.parametrize("path", MODULES, ids=lambda path: path.name)
def test_no_module_runs_code_or_commands_that_data_could_name(path: Path) -> None:
    tree = ast.parse(path.read_text(encoding="utf-8"))
    imported = {
        name.name.partition(".")[0]
        for node in ast.walk(tree)
        if isinstance(node, ast.Import)
        for name in node.names
    } | {
        (node.module or "").partition(".")[0]
        for node in ast.walk(tree)
        if isinstance(node, ast.ImportFrom)
    }
    called = {
        node.func.id if isinstance(node.func, ast.Name) else node.func.attr
        for node in ast.walk(tree)
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name | ast.Attribute)
    }
    keywords = {
        (keyword.arg, ast.unparse(keyword.value))
        for node in ast.walk(tree)
        if isinstance(node, ast.Call)
        for keyword in node.keywords
    }

    assert not imported & {"pickle", "shelve", "dill", "cloudpickle"}
    assert not called & {"eval", "exec", "__import__", "system", "popen"}
    # The pager is a command line of the person's own, whatever it is; a repository can't name one.
    assert (("shell", "True") in keywords) == (path.name == "pager.py")


def test_what_is_logged_above_debug_names_no_patient(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    with FileSet(repository=tmp_path / "repo") as files:
        files.add_many([CT, MR, Path(__file__)])
        files.write(tmp_path / "root")
        files.remove(next(iter(files)))
        files.undo()
    Repository.open(tmp_path / "repo").close()

    told = caplog.text

    assert "CompressedSamples" not in told
    assert "1CT1" not in told
