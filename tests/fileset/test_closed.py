"""After `close()`, whatever a File-set or one of its instances is asked for raises one error."""

from __future__ import annotations

import inspect
import re
from collections.abc import Callable
from operator import attrgetter, methodcaller
from pathlib import Path
from typing import Any

import pytest
from cli_runs import CT, MR
from pydicom import Dataset

from fileset import ClosedError, FileInstance, FileSet, LedgerError, RecordNode, Repository

ARGUMENTS: dict[str, Callable[[Any], tuple[tuple[Any, ...], dict[str, Any]]]] = {
    "add": lambda _: ((CT,), {}),
    "add_custom": lambda _: ((CT, free_node()), {}),
    "add_many": lambda _: (([CT],), {}),
    "at": lambda _: ((1,), {}),
    "copy": lambda _: (("copied",), {}),
    "correct": lambda each: (([each], {"PatientID": "1"}), {}),
    "delete_tag": lambda _: (("sent",), {}),
    "diff": lambda _: ((1,), {}),
    "erase": lambda _: ((), {"reason": "request", "PatientID": "1"}),
    "find_values": lambda _: (("PatientID",), {}),
    "instance": lambda each: ((each.handle,), {}),
    "load": lambda _: (("DICOMDIR",), {}),
    "merge": lambda _: (("1CT1", "4MR1"), {}),
    "move": lambda each: (([each], "4MR1"), {}),
    "picture": lambda _: (("sheet.html",), {}),
    "remove": lambda each: ((each,), {}),
    "revert": lambda _: (("abc",), {}),
    "settle": lambda _: (("1CT1",), {}),
    "tag": lambda _: (("sent",), {}),
    "write": lambda _: (("medium",), {}),
}
"""What the methods are called with that need something."""

SETTABLE = {
    "ID": "A",
    "UID": "1.2.3",
    "descriptor_file_id": "README",
    "descriptor_character_set": "ISO_IR 100",
    "profile": "STD-GEN-CD",
}


def free_node() -> RecordNode:
    """Return a directory record of no File-set."""
    record = Dataset()
    record.DirectoryRecordType, record.PrivateRecordUID = "PRIVATE", "1.2.3"
    return RecordNode(record)


def error_of(call: Callable[[], object]) -> str:
    """Return what `call` says as it raises that something was closed, nothing if it doesn't."""
    try:
        call()
    except ClosedError as exc:
        return str(exc)
    return ""


def asked(fs: FileSet, instance: FileInstance) -> dict[str, Callable[[], object]]:
    """Return what asks `fs` for each thing that it has."""
    calls: dict[str, Callable[[], object]] = {
        "iter": lambda: list(fs),
        "len": lambda: len(fs),
        "str": lambda: str(fs),
    }
    for name, thing in inspect.getmembers(FileSet):
        if (name.startswith("_") and name not in {"_instances", "_tree", "_stage"}) or name in {
            "open",
            "close",
        }:
            continue
        if isinstance(thing, property):
            calls[name] = lambda name=name: getattr(fs, name)  # type: ignore[misc]
        elif name == "change":
            calls[name] = lambda: fs.change().__enter__()
        else:
            given, named = ARGUMENTS.get(name, lambda _: ((), {}))(instance)
            calls[name] = lambda n=name, g=given, k=named: getattr(fs, n)(*g, **k)  # type: ignore[misc]
    for name, value in SETTABLE.items():
        calls[f"{name} ="] = lambda n=name, v=value: setattr(fs, n, v)  # type: ignore[misc]
    return calls


@pytest.fixture(params=["kept", "ephemeral", "past", "its repository"])
def closed(request: pytest.FixtureRequest, tmp_path: Path) -> tuple[FileSet, FileInstance]:
    """A File-set that was closed in some way, and an instance that it had."""
    repository = None if request.param == "ephemeral" else tmp_path / "kept"
    fs = FileSet(repository=repository)
    fs.add(MR)
    instance = fs.add(CT)
    if request.param == "past":
        fs = fs.at("now")
        instance = list(fs)[-1]
    if request.param == "its repository":
        fs.repository.close()
    else:
        fs.close()
    return fs, instance


def test_everything_that_a_file_set_is_asked_for_raises_one_error(
    closed: tuple[FileSet, FileInstance],
) -> None:
    fs, instance = closed
    calls = asked(fs, instance)
    assert len(calls) > 50
    for name, call in calls.items():
        assert re.match(r"The (File-set|repository /.*) was closed: ", error_of(call)), name


def test_so_does_what_an_instance_is_asked_for(closed: tuple[FileSet, FileInstance]) -> None:
    _, instance = closed
    for name, thing in inspect.getmembers(FileInstance):
        if name.startswith("_") or name in {"is_current", "handle", "file_set"}:
            continue
        ask = attrgetter(name) if isinstance(thing, property) else methodcaller(name)
        assert error_of(lambda ask=ask: ask(instance)), name  # type: ignore[misc]
    for ask in (lambda: instance.PatientID, lambda: instance["PatientID"]):
        with pytest.raises(ClosedError):
            ask()


def test_what_was_closed_can_be_closed_again_and_printed(
    closed: tuple[FileSet, FileInstance],
) -> None:
    fs, instance = closed
    fs.close()
    assert "was closed" in repr(fs)
    assert "was closed" in fs._repr_html_()
    assert repr(instance) == "<FileInstance of a File-set that was closed>"
    assert "PatientID" not in dir(instance)


def test_closing_a_past_file_set_leaves_the_present_one_open(tmp_path: Path) -> None:
    with FileSet(repository=tmp_path / "kept") as fs:
        with fs.at(1) as then:
            assert len(then) == 0
        fs.add(CT)
        assert len(fs.at("now")) == 1
        with pytest.raises(ClosedError, match="ask for it again"):
            len(then)


def test_a_closed_repository_says_so_too(tmp_path: Path) -> None:
    repository = Repository.create(tmp_path / "kept", lambda new: new.begin("1.2.3"))
    repository.close()
    for ask in (
        lambda: repository.state,
        repository.refresh,
        lambda: repository.remove([1]),
        repository.undo,
    ):
        with pytest.raises(ClosedError, match=f"The repository {tmp_path / 'kept'} was closed"):
            ask()
    with pytest.raises(LedgerError, match="is closed"):
        repository.changes()
