"""The viewer's page in a browser, from `file://`: it shows what pydicom's pixels look like."""

from __future__ import annotations

import shutil
import warnings
from collections.abc import Iterable, Iterator
from contextlib import AbstractContextManager, nullcontext
from itertools import count
from pathlib import Path
from typing import Any

import pydicom
import pytest

from fileset import FileSet
from fileset.media.viewer.make import make_scripts
from fileset.media.viewer.scripts import DATA, FOLDER, list_script, page_files, script_name
from fileset.media.words import LANGUAGES
from fileset.pictures import picture
from ledger.digest import digest_of
from ledger.events import Content
from ledger.files import FileView, viewed
from projections.state.contents import contents_of
from projections.state.nodes import Leaf

pytestmark = pytest.mark.browser

NAMES = (
    "CT_small.dcm", "MR_small_bigendian.dcm", "MR_small_RLE.dcm", "examples_palette.dcm",
    "examples_rgb_color.dcm", "examples_ybr_color.dcm", "SC_rgb_small_odd.dcm", "liver_1frame.dcm",
    "JPGExtended.dcm", "examples_jpeg2k.dcm", "SC_ybr_full_422_uncompressed.dcm",
    "SC_rgb_rle_16bit_2frame.dcm", "examples_overlay.dcm",
)  # fmt: skip
FOLDERS = Path(pydicom.__file__).parent / "data"


def source(leaf: Leaf) -> Path:
    return Path(leaf.source or "")


def view(leaf: Leaf) -> AbstractContextManager[FileView]:
    return viewed(source(leaf))


def make(root: Path, files: list[Path], language: str = "en") -> list[Leaf]:
    """Make the viewer's folder for `files` in `root`; return the instances in the page's order."""
    with warnings.catch_warnings(), FileSet() as fs:
        warnings.simplefilter("ignore")
        fs.add_many(files, complete=True)
        leaves = list(fs.repository.state.hierarchy.walk_leaves())
    (root / DATA).mkdir(parents=True)
    numbers = count(1)

    def keep(chunks: Iterable[bytes], size: int) -> Content:
        data = b"".join(chunks)
        assert len(data) == size
        (root / DATA / script_name(next(numbers))).write_bytes(data)
        return Content(digest_of(data), size)

    _, shown = make_scripts(
        leaves,
        view,
        lambda leaf: nullcontext(source(leaf)),
        measure=keep,
        keep=keep,
        tell=lambda leaf, why: None,
    )
    contents = contents_of(leaves)
    (root / FOLDER / "LIST.JS").write_bytes(list_script(contents, shown, LANGUAGES[language]))
    for path, data in page_files():
        (root / path).write_bytes(data)
    return leaves


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    playwright = pytest.importorskip("playwright.sync_api")
    program = shutil.which("chromium") or shutil.which("chromium-browser")
    if program is None:
        pytest.skip("Chromium is not installed")
    with playwright.sync_playwright() as running:
        opened = running.chromium.launch(
            executable_path=program, args=["--no-sandbox", "--disable-background-networking"]
        )
        yield opened
        opened.close()


class Opened:
    """The page, with all that went wrong in it and all that it loaded."""

    def __init__(self, browser: Any, root: Path) -> None:
        self.errors: list[str] = []
        self.loaded: list[str] = []
        self.page = browser.new_page(viewport={"width": 900, "height": 700})
        self.page.on("pageerror", lambda error: self.errors.append(str(error)))
        self.page.on("console", self._said)
        self.page.on("request", lambda request: self.loaded.append(request.url))
        self.page.goto((root / FOLDER / "INDEX.HTM").as_uri())
        self.page.wait_for_function("document.getElementById('where').textContent !== ''")

    def _said(self, message: Any) -> None:
        if message.type == "error":
            self.errors.append(message.text)

    def where(self) -> str:
        return str(self.page.text_content("#where"))

    def pixels(self) -> tuple[int, int, bytes]:
        """Return the size of what is shown, and its pixels: red, green, blue, opacity."""
        width, height, data = self.page.evaluate(
            "() => { const c = document.getElementById('picture');"
            " const d = c.getContext('2d').getImageData(0, 0, c.width, c.height).data;"
            " return [c.width, c.height, Array.from(d)] }"
        )
        return width, height, bytes(data)


@pytest.fixture(scope="module")
def disc(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, list[Leaf]]:
    pytest.importorskip("numpy", reason="needs the extra [pictures]: nox --session browser")
    root = tmp_path_factory.mktemp("disc")
    files = [next(FOLDERS.rglob(name)) for name in NAMES]
    files += sorted((FOLDERS / "test_files/dicomdirtests/77654033/CT2").iterdir())[:3]
    return root, make(root, files)


@pytest.fixture
def opened(browser: Any, disc: tuple[Path, list[Leaf]]) -> Iterator[Opened]:
    page = Opened(browser, disc[0])
    yield page
    assert page.errors == []
    assert all(url.startswith(disc[0].as_uri()) for url in page.loaded)
    page.page.close()


def test_every_series_shows_what_its_pixels_look_like(
    opened: Opened, disc: tuple[Path, list[Leaf]]
) -> None:
    numpy: Any = pytest.importorskip("numpy")
    buttons = opened.page.locator("#list button")
    series = [s for p in contents_of(disc[1]).patients for t in p.studies for s in t.series]
    assert buttons.count() == len(series) > 8
    compared = 0
    for number, one in enumerate(series):
        if buttons.nth(number).is_disabled():
            continue
        buttons.nth(number).click()
        opened.page.locator("#slider").fill("0")
        opened.page.wait_for_function(
            "document.getElementById('where').textContent.includes(' 1/')"
        )
        opened.page.wait_for_timeout(300)
        width, height, data = opened.pixels()
        ours = numpy.frombuffer(data, numpy.uint8).reshape(height, width, 4)[..., :3]
        path = source(one.leaves[0])
        expected = picture(path, frame=0).convert("RGB")
        if expected.size != (width, height):
            continue  # pixels that are not square: the page stretches the canvas
        difference = numpy.abs(ours.astype(int) - numpy.asarray(expected).astype(int))
        assert difference.max() <= 3, path.name
        compared += 1
    assert compared >= 8


def test_wheel_keys_and_buttons_go_through_the_images(opened: Opened) -> None:
    page = opened.page
    page.locator("#list button", has_text="(3)").first.click()
    page.wait_for_function("document.getElementById('where').textContent.includes('1/3')")
    page.locator("#stage").hover()
    page.mouse.wheel(0, 100)
    page.wait_for_function("document.getElementById('where').textContent.includes('2/3')")
    page.keyboard.press("End")
    page.wait_for_function("document.getElementById('where').textContent.includes('3/3')")
    page.get_by_role("button", name="Previous image").click()
    page.wait_for_function("document.getElementById('where').textContent.includes('2/3')")
    page.get_by_role("button", name="Play").click()
    page.wait_for_function("document.getElementById('where').textContent.includes('1/3')")
    page.get_by_role("button", name="Stop").click()


def test_dragging_changes_the_window_and_a_button_resets_it(opened: Opened) -> None:
    page = opened.page
    page.locator("#list button").first.click()
    page.wait_for_function("document.getElementById('where').textContent.includes(' W ')")
    before, pixels = opened.where(), opened.pixels()
    page.mouse.move(500, 300)
    page.mouse.down()
    page.mouse.move(560, 250, steps=3)
    page.mouse.up()
    assert opened.where() != before
    assert opened.pixels() != pixels
    page.get_by_role("button", name="Reset window").click()
    assert (opened.where(), opened.pixels()) == (before, pixels)


def test_the_page_says_that_it_is_not_for_diagnosis_and_whose_image_it_is(opened: Opened) -> None:
    assert "Not for diagnosis" in opened.page.text_content("#notice")
    opened.page.locator("#list button").first.click()
    assert opened.page.text_content("#told").split("\n")[0] == opened.page.text_content("#list h2")


def test_a_german_page_is_german_and_a_lost_script_is_told(browser: Any, tmp_path: Path) -> None:
    make(tmp_path, [next(FOLDERS.rglob("CT_small.dcm"))], "de")
    for script in (tmp_path / DATA).iterdir():
        script.unlink()
    opened = Opened(browser, tmp_path)
    opened.page.wait_for_function("document.getElementById('where').textContent !== ''")
    assert opened.where() == "Nicht lesbar: VIEWER/DATA/D0000001.JS"
    assert opened.page.title() == "Medizinische Bilder"
    assert opened.page.get_attribute("html", "lang") == "de"
