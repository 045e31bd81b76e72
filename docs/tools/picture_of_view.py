"""Draws the picture of `fileset view` in the documentation: `python docs/tools/picture_of_view.py`.

It shows instances that ship with pydicom. It needs the extras `[view]` and `[pictures]`, and
Chromium, which makes a PNG file a quarter as large as the SVG file that textual draws.
"""

from __future__ import annotations

import asyncio
import re
import shutil
import subprocess
import tempfile
from pathlib import Path

from pydicom import dcmread, examples
from textual.pilot import Pilot

from fileset.cli import main
from fileset.cli.browser.app import Browser, Subject
from fileset.cli.session import Session

IMAGE = Path(__file__).parents[1] / "images" / "view.png"
SIZE = (100, 30)


def prepare(folder: Path) -> Path:
    """Make a repository with something written and something staged."""
    dicomdir = Path(examples.get_path("dicomdir"))
    for record in dcmread(dicomdir).DirectoryRecordSequence:
        if "ReferencedFileID" in record:
            target = folder.joinpath("cd", *record.ReferencedFileID)
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(dicomdir.parent.joinpath(*record.ReferencedFileID), target)
    shutil.copy(dicomdir, folder / "cd" / "DICOMDIR")
    repository = folder / "archive"
    for words in (
        ["init", str(repository), "--from", str(folder / "cd" / "DICOMDIR")],
        ["--repo", str(repository), "add", str(examples.get_path("ct"))],
    ):
        main.main(words, standalone_mode=False)
    return repository


async def drawn(browser: Browser) -> str:
    """Return the screen once a picture is seen."""

    async def press(pilot: Pilot[None], *keys: str) -> None:
        for key in keys:
            await pilot.press(key)
            await pilot.pause(0.3)
            await browser.workers.wait_for_complete()
            await pilot.pause()

    async with browser.run_test(size=SIZE) as pilot:
        await pilot.pause(0.3)
        await press(pilot, "end", "enter", "end", "p")
        return browser.export_screenshot()


def without_addresses(svg: str) -> str:
    """Return the picture without the fonts that it would load: readers have one of their own."""
    return re.sub(r"@font-face \{.*?\}\s*", "", svg, flags=re.DOTALL)


def as_png(svg: Path) -> None:
    """Write what Chromium makes of the picture."""
    command = ["chromium", "--headless", "--no-sandbox", "--window-size=1300,800"]
    subprocess.run(  # noqa: S603 - what is run is named above
        [*command, f"--screenshot={IMAGE}", svg.as_uri()], check=True, capture_output=True
    )


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as made:
        session = Session()
        session.path = prepare(Path(made))
        svg = asyncio.run(drawn(Browser(Subject(session, session.file_set()))))
        session.close()
        drawing = Path(made) / "view.svg"
        drawing.write_text(without_addresses(svg), "utf-8")
        as_png(drawing)
