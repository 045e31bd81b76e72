"""The browser, driven by its keys: what it shows, what it asks before, and what it leaves alone."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path
from threading import Event
from typing import Any
from unittest.mock import Mock

import pytest
from cli_runs import CT, MR, Cli, changed, copy_of_example, run
from textual.pilot import Pilot
from textual.widgets import Input, TabbedContent

from fileset.cli.browser.app import Browser, Subject
from fileset.cli.browser.hierarchy import Hierarchy
from fileset.cli.browser.history import History
from fileset.cli.browser.lines import Lines
from fileset.cli.browser.screens import Listing, Question
from fileset.cli.session import Session
from fileset.fileset import FileSet
from fileset.repository.repository import Repository

Play = Callable[[Browser, "Pilot[None]"], Awaitable[None]]


def played(repository: Path, play: Play, *, at: str | None = None) -> Browser:
    """Open the browser of a repository, on a terminal of 80x24, and play."""
    session = Session()
    session.path = repository
    fs = session.file_set()
    try:
        return browsed(Subject(session, fs if at is None else fs.at(at), at or ""), play)
    finally:
        session.close()


def browsed(subject: Subject, play: Play) -> Browser:
    browser = Browser(subject)

    async def run_it() -> None:
        async with browser.run_test(size=(80, 24), notifications=True) as pilot:
            await settled(browser, pilot)
            await play(browser, pilot)

    asyncio.run(run_it())
    return browser


async def settled(browser: Browser, pilot: Pilot[None]) -> None:
    """Wait until all that goes on has been shown."""
    await pilot.pause()
    while browser._due is not None:
        await pilot.pause(0.05)
    await browser.workers.wait_for_complete()
    await pilot.pause()


async def press(browser: Browser, pilot: Pilot[None], *keys: str) -> None:
    for key in keys:
        await pilot.press(key)
        await settled(browser, pilot)


def tree_lines(browser: Browser) -> list[str]:
    tree = browser.query_one(Hierarchy)
    return [line.node.label.plain for line in tree._tree_lines]  # type: ignore[union-attr]


def lines(browser: Browser, selector: str) -> str:
    return "\n".join(text.plain for text in browser.screen.query_one(selector, Lines).texts)


def notices(browser: Browser) -> str:
    return " ".join(each.message for each in browser._notifications)


def title(browser: Browser) -> str:
    return str(browser.query_one("#title").render())


def test_records_open_and_show_their_values(adopted: Cli) -> None:
    async def play(browser: Browser, pilot: Pilot[None]) -> None:
        assert tree_lines(browser) == [
            "PATIENT Doe^Archibald 77654033", "PATIENT Doe^Peter 98890234",
        ]  # fmt: skip
        assert "31 instances" in title(browser)
        await press(browser, pilot, "enter", "down")
        assert tree_lines(browser)[1].startswith("STUDY 20010101")
        shown = lines(browser, "#details")
        assert "StudyInstanceUID" in shown
        assert "(0010,0020) PatientID 77654033" in shown  # of the record above

    played(adopted.repository, play)


def test_a_data_set_is_shown_without_its_pixels(cli: Cli) -> None:
    cli("add", CT)

    async def play(browser: Browser, pilot: Pilot[None]) -> None:
        assert len(tree_lines(browser)) == 4  # as long as there is one below, it is open
        await press(browser, pilot, "end", "d")
        shown = lines(browser, "#details")
        assert "(0002,0010) TransferSyntaxUID" in shown
        assert "(0018,0050) SliceThickness 5.000000" in shown
        assert "(7FE0,0010) PixelData (32,768 bytes)" in shown
        await press(browser, pilot, "v")
        assert "SOP class: CT Image Storage" in lines(browser, "#details")

    played(cli.repository, play)


def test_a_picture_is_drawn_where_the_extra_is(cli: Cli) -> None:
    cli("add", CT)
    try:
        import numpy as np
    except ImportError:
        expected = "No picture: Pictures need"
    else:
        del np
        expected = "\u2580" * 36

    async def play(browser: Browser, pilot: Pilot[None]) -> None:
        await press(browser, pilot, "end", "p")
        assert expected in lines(browser, "#details")

    played(cli.repository, play)


def test_a_record_of_several_files_has_no_data_set_and_says_so(adopted: Cli) -> None:
    async def play(browser: Browser, pilot: Pilot[None]) -> None:
        await press(browser, pilot, "home", "d")
        assert "go to an instance below it" in notices(browser)

    played(adopted.repository, play)


def test_an_undo_is_asked_for_and_shows_what_it_would_do(cli: Cli) -> None:
    cli("add", CT)
    cli("add", MR, "--reason", "second")

    async def play(browser: Browser, pilot: Pilot[None]) -> None:
        await press(browser, pilot, "u")
        assert isinstance(browser.screen, Question)
        assert "Would undo" in lines(browser, "#foreseen")
        assert "MR Image Storage" in lines(browser, "#foreseen")
        await press(browser, pilot, "n")
        assert "2 instances" in title(browser)
        await press(browser, pilot, "u", "tab", *"no", "enter", "enter")
        assert "1 instance " in title(browser)
        await press(browser, pilot, "r", "y")
        assert "2 instances" in title(browser)
        await press(browser, pilot, "r")
        assert "nothing to redo" in notices(browser)

    browser = played(cli.repository, play)
    undone, redone = cli.json("log")["changes"][-2:]
    assert browser.recorded == [undone["id"], redone["id"]]
    assert undone["reason"] == "no"
    assert redone["reason"] is None


def test_a_change_shows_what_it_did_and_can_be_reverted(cli: Cli) -> None:
    cli("add", CT)
    cli("add", MR)

    async def play(browser: Browser, pilot: Pilot[None]) -> None:
        await press(browser, pilot, "3")
        history = browser.query_one(History)
        assert [str(history.get_row_at(row)[4]) for row in range(2)] == [
            "1 instance added: 4MR1",
            "1 instance added: 1CT1",
        ]
        await press(browser, pilot, "down", "enter")
        shown = lines(browser, "#listed")
        assert "1 patient, 1 study, 1 series and 1 instance added" in shown
        assert "Actor: " in shown
        await press(browser, pilot, "x")
        assert isinstance(browser.screen, Question)
        await press(browser, pilot, "y")
        assert "1 instance " in title(browser)
        await press(browser, pilot, "down", "down", "down", "enter")
        assert "This is how the File-set began." in lines(browser, "#listed")
        await press(browser, pilot, "x")
        assert "is how the File-set began" in notices(browser)

    played(cli.repository, play)
    assert cli.json("tree")["instances"] == 1


def test_what_is_staged_is_listed(cli: Cli, tmp_path: Path) -> None:
    cli("add", CT)
    cli("write", tmp_path / "medium")
    cli("remove", "Modality=CT")
    cli("add", MR)
    cli("set", "id=NEW")

    async def play(browser: Browser, pilot: Pilot[None]) -> None:
        await press(browser, pilot, "2")
        shown = lines(browser, "#pending")
        assert "To be added: 1" in shown
        assert "To be removed: 1" in shown
        assert "-> 'NEW'" in shown
        await press(browser, pilot, "1", "enter")
        assert any("to be removed" in line for line in tree_lines(browser))
        await press(browser, pilot, "down", "down", "down")
        assert "Staged: removal" in lines(browser, "#details")
        await press(browser, pilot, "u", "y", "u", "y", "u", "y")  # also the removal
        assert "Staged: (nothing)" in lines(browser, "#details")

    played(cli.repository, play)


def test_a_search_shows_what_find_finds(adopted: Cli) -> None:
    async def play(browser: Browser, pilot: Pilot[None]) -> None:
        before = tree_lines(browser)
        await press(browser, pilot, "slash")
        browser.query_one(Input).value = "PatientID=98890234 Modality=CT"
        await press(browser, pilot, "enter")
        found = adopted.json("find", "PatientID=98890234", "Modality=CT")["instances"]
        assert len(tree_lines(browser)) == len(found) > 1
        await press(browser, pilot, "slash")
        browser.query_one(Input).value = "PatientID=nobody"
        await press(browser, pilot, "enter")
        assert "No instance matches" in notices(browser)
        for wrong in ("PatientId=1", "PatientID='1"):
            browser.query_one(Input).value = wrong
            await press(browser, pilot, "enter")
        assert "Did you mean PatientID" in notices(browser)
        assert "closing quotation" in notices(browser)
        await press(browser, pilot, "escape")
        assert tree_lines(browser) == before

    played(adopted.repository, play)


def test_a_search_that_fails_says_so_whatever_it_was(
    adopted: Cli, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def play(browser: Browser, pilot: Pilot[None]) -> None:
        await press(browser, pilot, "slash")
        browser.query_one(Input).value = "Modality=CT"
        await press(browser, pilot, "enter")
        assert "The search failed: AttributeError('of a file')" in notices(browser)
        assert "Searching" not in notices(browser)

    failing = Mock(side_effect=AttributeError("of a file"))
    monkeypatch.setattr("fileset.cli.browser.app.Search.find", failing)
    played(adopted.repository, play)


def test_nothing_is_opened_while_a_search_looks_at_it(
    adopted: Cli, monkeypatch: pytest.MonkeyPatch
) -> None:
    goes_on = Event()

    async def play(browser: Browser, pilot: Pilot[None]) -> None:
        try:
            before = tree_lines(browser)
            await pilot.press("slash")
            browser.query_one(Input).value = "Modality=CT"
            await pilot.press("enter")
            browser.query_one(Hierarchy).focus()
            await pilot.press("home", "enter")
            await pilot.pause()
            assert "A search is still going on" in notices(browser)
            browser.query_one(Hierarchy).root.children[0].expand()
            await pilot.pause()
            await pilot.press("escape")
            assert tree_lines(browser) == before
            assert not browser.query_one(Hierarchy).root.children[0].is_expanded
        finally:
            goes_on.set()
        await settled(browser, pilot)
        await press(browser, pilot, "escape", "home", "enter")
        assert len(tree_lines(browser)) > len(before)

    def find(*_: object) -> list[object]:
        goes_on.wait(30)
        return []

    monkeypatch.setattr("fileset.cli.browser.app.Search.find", find)
    played(adopted.repository, play)


def test_what_arrived_by_itself_is_said_to_before_it_is_undone(cli: Cli) -> None:
    fs = FileSet(repository=Repository.open(cli.repository, origin="watch:ward"))
    fs.add(CT)
    fs.close()

    async def play(browser: Browser, pilot: Pilot[None]) -> None:
        await press(browser, pilot, "u")
        assert "It arrived by itself: watch:ward" in lines(browser, "#foreseen")

    played(cli.repository, play)


def test_what_others_record_is_told_and_shown_when_asked_for(cli: Cli) -> None:
    cli("add", CT)

    async def play(browser: Browser, pilot: Pilot[None]) -> None:
        await press(browser, pilot, "end")
        cli("--wait", "0.1", "add", MR)  # nobody keeps it from the lock
        browser._look_for_news()
        assert "1 new event" in title(browser)
        assert "1 instance " in title(browser)
        await press(browser, pilot, "g")
        assert "2 instances" in title(browser)
        assert "new event" not in title(browser)

    played(cli.repository, play)


def test_an_undo_of_what_others_did_meanwhile_is_refused(cli: Cli) -> None:
    cli("add", CT)

    async def play(browser: Browser, pilot: Pilot[None]) -> None:
        await press(browser, pilot, "u")
        cli("add", MR)
        await press(browser, pilot, "y")
        assert "Others have changed the File-set meanwhile" in notices(browser)
        assert "2 instances" in title(browser)

    assert not played(cli.repository, play).recorded
    assert cli.json("tree")["instances"] == 2


def test_the_past_and_the_media_of_others_can_only_be_looked_at(cli: Cli, tmp_path: Path) -> None:
    cli("add", CT)
    cli("tag", "sent")
    cli("add", MR)

    async def past(browser: Browser, pilot: Pilot[None]) -> None:
        assert "1 instance " in title(browser)
        await press(browser, pilot, "u", "3", "x", "enter")
        assert isinstance(browser.screen, Listing)
        await press(browser, pilot, "x")
        assert not isinstance(browser.screen, Question)

    played(cli.repository, past, at="sent")
    dicomdir = copy_of_example(tmp_path / "cd")
    before = sorted(tmp_path.rglob("*"))

    async def disc(browser: Browser, pilot: Pilot[None]) -> None:
        assert "31 instances  Only to look at" in title(browser)
        await press(browser, pilot, "u")
        assert not isinstance(browser.screen, Question)

    fs = FileSet(dicomdir)
    session = Session()
    session.use(fs.repository)
    browsed(Subject(session, fs, "Only to look at"), disc)
    session.close()
    assert sorted(tmp_path.rglob("*")) == before


def test_values_are_never_markup_nor_codes_of_the_terminal(cli: Cli, tmp_path: Path) -> None:
    hostile = "[bold red]x[/] \x1b[31m\u202e"
    told = {"PatientName": hostile, "SpecificCharacterSet": "ISO_IR 192", "StudyDescription": "[/]"}
    cli("add", changed(CT, tmp_path / "a", **told), "--reason", "[/bold] \x1b[0m")

    async def play(browser: Browser, pilot: Pilot[None]) -> None:
        assert "PATIENT [bold red]x[/] \\x1b[31m" in tree_lines(browser)[0]
        await press(browser, pilot, "end", "d")
        assert "[bold red]x[/] \\x1b[31m" in lines(browser, "#details")
        await press(browser, pilot, "3", "enter")
        assert "[/bold] \\x1b[0m" in lines(browser, "#listed")
        await press(browser, pilot, "escape", "u")
        assert "\x1b" not in browser.export_screenshot()

    played(cli.repository, play)


def test_every_key_is_explained(adopted: Cli) -> None:
    async def play(browser: Browser, pilot: Pilot[None]) -> None:
        await press(browser, pilot, "question_mark")
        shown = lines(browser, "#listed")
        for binding in Browser.BINDINGS:
            key: Any = binding.key_display or binding.key  # type: ignore[union-attr]
            names = {"left_square_bracket": "[", "right_square_bracket": "]"}
            if key != "escape":
                assert names.get(key, key) in shown
        await press(browser, pilot, "escape", "2")
        assert browser.query_one(TabbedContent).active == "staged"

    played(adopted.repository, play)


def test_a_repository_that_is_gone_is_told(tmp_path: Path) -> None:
    run("init", tmp_path / "r")
    Cli(tmp_path / "r")("add", CT)

    async def play(browser: Browser, pilot: Pilot[None]) -> None:
        (tmp_path / "r").rename(tmp_path / "elsewhere")
        await press(browser, pilot, "u", "y")
        assert notices(browser)

    played(tmp_path / "r", play)
