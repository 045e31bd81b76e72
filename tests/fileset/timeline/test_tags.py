"""Tags: names for positions, by events as everything, and no part of the File-set."""

from __future__ import annotations

from pathlib import Path

import pytest
from cli_runs import CT
from models import Author

from fileset import FileSet
from fileset.errors import InvalidTagError, NoSuchMomentError, RefusedError
from fileset.timeline.tags import tag_name
from ledger.errors import JournalDamagedError
from ledger.events import PositionTagged, TagDeleted


def test_a_tag_stands_for_the_present_position_or_a_given_one(fs: FileSet) -> None:
    fs.add(CT)
    then = fs.state.position
    assert fs.tag("sent", reason="to the trial") == then
    assert fs.history[-1].events == [PositionTagged("sent", then)]
    assert fs.history[-1].reason == "to the trial"
    assert fs.tag("begun", 1) == 1
    assert fs.tag("again", "sent") == then
    assert dict(fs.tags) == {"sent": then, "begun": 1, "again": then}


def test_a_tag_is_moved_only_when_that_is_meant(fs: FileSet) -> None:
    fs.tag("sent")
    fs.add(CT)
    with pytest.raises(RefusedError, match="a tag 'sent' already, at position 1"):
        fs.tag("sent")
    assert fs.tag("sent", move=True) == 3
    assert fs.history[-1].events == [PositionTagged("sent", 3, 1)]
    changes = len(fs.history)
    assert fs.tag("sent", 3) == 3
    assert len(fs.history) == changes


def test_a_deleted_tag_is_gone_and_its_history_is_not(fs: FileSet) -> None:
    fs.tag("sent")
    position = fs.state.position
    fs.delete_tag("sent")
    assert fs.history[-1].events == [TagDeleted("sent", 1)]
    assert dict(fs.tags) == {}
    assert dict(fs.at(position).tags) == {"sent": 1}
    with pytest.raises(NoSuchMomentError, match="no tag 'sent': there are none"):
        fs.delete_tag("sent")
    fs.tag("other")
    with pytest.raises(NoSuchMomentError, match="no tag 'sent': the tags are other"):
        fs.delete_tag("sent")


def test_undo_and_redo_do_not_step_over_tags(fs: FileSet) -> None:
    fs.add(CT)
    fs.undo()
    fs.tag("empty")
    fs.redo()
    assert len(fs) == 1
    fs.undo()
    assert (len(fs), dict(fs.tags)) == (0, {"empty": 3})
    with pytest.raises(RefusedError, match="added, removed and set nothing"):
        fs.revert(fs.history[3])


def test_tags_survive_a_restart_and_a_rebuild(fs: FileSet, tmp_path: Path) -> None:
    fs.tag("sent")
    fs.close()
    with FileSet.open(tmp_path / "repository") as opened:
        assert dict(opened.tags) == {"sent": 1}
        opened.repository.rebuild()
        assert dict(opened.tags) == {"sent": 1}


def test_the_tags_of_the_past_can_be_looked_at_and_not_changed(fs: FileSet) -> None:
    fs.tag("sent")
    for attempt in (lambda: fs.at(1).tag("x"), lambda: fs.at(2).delete_tag("sent")):
        with pytest.raises(RefusedError, match="can't be changed"):
            attempt()
    with pytest.raises(TypeError):
        fs.tags["x"] = 1  # type: ignore[index]


def test_a_tag_inside_a_change_goes_with_it(fs: FileSet) -> None:
    with fs.change():
        fs.add(CT)
        assert fs.tag("half") == 2
        fs.ID = "X"
    assert fs.at("half").ID is None
    with pytest.raises(ZeroDivisionError), fs.change():  # noqa: PT012 - a change that fails
        fs.tag("gone")
        1 / 0  # noqa: B018 - as above
    assert dict(fs.tags) == {"half": 2}


@pytest.mark.parametrize("name", ["v1", "sent-2026.11", "Zürich", "山田", "a" * 64, "b_c"])
def test_a_name_has_letters_digits_dots_hyphens_and_underscores(name: str) -> None:
    assert tag_name(name) == name


@pytest.mark.parametrize(
    "name",
    ["", "1st", "2026-11-22", "-x", ".x", "_x", "a b", "a/b", "a\nb", "a" * 65, "x\udce9", "a:b"],
)
def test_other_names_are_refused(fs: FileSet, name: str) -> None:
    with pytest.raises(InvalidTagError, match="begins with a letter"):
        fs.tag(name)


def test_a_name_that_could_be_a_change_is_refused(fs: FileSet) -> None:
    with pytest.raises(InvalidTagError, match="could be a change's id"):
        fs.tag("abcdefabcdef")
    fs.tag("abcdefabcdeg")


def test_a_name_is_the_same_however_its_accents_are_written(fs: FileSet) -> None:
    fs.tag("Zu\N{COMBINING DIAERESIS}rich")
    assert list(fs.tags) == ["Zürich"]
    assert fs.at("Zu\N{COMBINING DIAERESIS}rich").state.position == 1
    fs.delete_tag("Zu\N{COMBINING DIAERESIS}rich")
    assert not fs.tags


@pytest.mark.parametrize(
    "event",
    [
        PositionTagged("x", 0),
        PositionTagged("x", 3),
        PositionTagged("sent", 1),
        PositionTagged("x", 1, 1),
        TagDeleted("x", 1),
        TagDeleted("sent", 2),
    ],
)
def test_an_event_that_does_not_fit_the_tags_is_damage(event: PositionTagged | TagDeleted) -> None:
    author = Author()
    author.commit([PositionTagged("sent", 1)])
    with pytest.raises(JournalDamagedError):
        author.commit([event])
    assert author.state.tags == {"sent": 1}
