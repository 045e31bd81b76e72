"""What happened and what is staged, as Python shows it."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

from cli_runs import CT, MR, Cli, copy_of_example

from fileset import FileSet
from ledger.events import FileSetIDChanged


def test_an_entry_tells_what_the_log_tells(tmp_path: Path) -> None:
    with FileSet(repository=tmp_path / "kept") as fs:
        fs.add_many([CT, MR], reason="first batch")
        fs.ID = "TRIAL"
        fs.undo()
        history = fs.history
        logged = Cli(tmp_path / "kept").json("log")["changes"]
        assert [entry.summary for entry in history] == [change["summary"] for change in logged]
        assert history[1].summary == "2 instances added: 1CT1, 4MR1"
        assert repr(history[1]) == (
            f"<change {history[1].id} at 3, {logged[1]['recorded_at'][:19]}Z by "
            f"{logged[1]['actor']}: 2 instances added: 1CT1, 4MR1 (first batch)>"
        )
        assert history[2].events == [FileSetIDChanged(value="TRIAL", previous=None)]


def test_the_time_of_an_entry_is_a_time_in_utc() -> None:
    before = datetime.now(UTC)
    (entry,) = FileSet().history
    assert before <= entry.recorded_at <= datetime.now(UTC)
    assert entry.recorded_at.utcoffset() is not None


def test_a_long_history_is_printed_by_its_newest_changes() -> None:
    fs = FileSet()
    for number in range(30):
        fs.ID = f"ID{number}"
    assert len(fs.history) == 31
    lines = repr(fs.history).splitlines()
    assert lines[0] == "<31 changes, the newest last>"
    assert len(lines) == 21
    assert lines[-1] == repr(fs.history[-1])
    assert "'ID0'" not in fs.history._repr_html_()
    assert "&#x27;ID29&#x27;" in fs.history._repr_html_()


def test_an_entry_can_be_printed_when_its_events_can_t_be_read_any_more(tmp_path: Path) -> None:
    with FileSet(repository=tmp_path / "kept") as fs:
        entry = fs.history[0]
    assert entry.id in repr(entry)
    assert "is closed" in repr(entry)


def test_what_is_staged_and_what_differs_say_so_in_a_line(tmp_path: Path) -> None:
    fs = FileSet(copy_of_example(tmp_path / "copied"))
    first, *_ = fs
    then = fs.repository.state.position
    fs.remove(first)
    added = fs.add(CT)
    fs.ID = "NEW"
    assert repr(fs.pending) == f"<pending: {fs.pending.summary}>"
    found = fs.diff(then)
    assert (found.added, found.removed, found.changed) == ([added], [first], [])
    assert found.identity["id"] == ("PYDICOM_TEST", "NEW")
    assert found
    assert repr(found) == (
        f"<difference from {then} to {fs.state.position}: 1 instance added, 1 instance removed, "
        "4 records above them, File-set id>"
    )
    back = fs.diff("now", then)
    assert (back.added, back.removed) == ([first], [added])
    assert fs.at(then).diff(1).removed == []
    assert not fs.diff("now")
    assert repr(fs.diff("now")).endswith(": nothing>")
    fs.correct([added], {"PatientName": "Right^Name"})
    ((old, new),) = fs.diff(fs.state.position - 3).changed
    assert (old, new.PatientName) == (added, "Right^Name")


def test_a_file_set_and_an_instance_say_what_they_are_in_a_line(tmp_path: Path) -> None:
    fs = FileSet()
    instance = fs.add(CT)
    assert repr(fs) == (
        "<FileSet without ID, 1 patient, 1 instance, not written yet, "
        "staged: DICOMDIR creation, 1 addition>"
    )
    assert repr(instance) == f"<FileInstance IMAGE {instance.SOPInstanceUID}, to be added>"
    fs.write(tmp_path / "medium")
    assert repr(fs) == f"<FileSet without ID, 1 patient, 1 instance, {tmp_path / 'medium'}>"
    assert repr(instance) == f"<FileInstance IMAGE {instance.SOPInstanceUID}>"
    corrected = fs.correct([instance], {"PatientName": "Right^Name"})
    assert len(corrected.results) == 1
    assert repr(next(iter(fs))).endswith(", to be corrected>")
    fs.remove(list(fs))
    assert repr(instance) == f"<FileInstance IMAGE {instance.SOPInstanceUID}, to be removed>"
    then = repr(fs.at(2))
    assert then.startswith("<FileSet without ID, 1 patient, 1 instance, not written yet, as of ")
