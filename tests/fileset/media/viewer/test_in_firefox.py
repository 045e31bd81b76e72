"""The pages and the viewer of a medium in Firefox, from `file://`."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from firefox import PROGRAM, Firefox, firefox
from pydicom import examples
from pydicom.data import get_testdata_file

from fileset import FileSet
from fileset.media.extras import Extras
from fileset.pictures import picture

pytestmark = [
    pytest.mark.browser,
    pytest.mark.skipif(PROGRAM is None, reason="Firefox is not installed"),
]

NAMES = ("MR_small_RLE.dcm", "examples_palette.dcm", "SC_rgb_small_odd.dcm", "examples_jpeg2k.dcm")

SHOWN = """
const done = arguments[arguments.length - 1];
document.querySelectorAll('#list button')[arguments[0]].click();
const wait = () => {
    if (!document.getElementById('where').textContent.includes(' 1/')) return setTimeout(wait, 50);
    setTimeout(() => {
        const c = document.getElementById('picture');
        const d = c.getContext('2d').getImageData(0, 0, c.width, c.height).data;
        done([c.width, c.height, Array.from(d)]);
    }, 300);
};
wait();
"""


@pytest.fixture(scope="module")
def browser() -> Iterator[Firefox]:
    with firefox() as running:
        yield running


@pytest.fixture(scope="module")
def disc(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, list[Path]]:
    """Make a medium with pages and viewer; return it and the files on it."""
    pytest.importorskip("numpy", reason="needs the extra [pictures]: nox --session browser")
    folder = tmp_path_factory.mktemp("firefox")
    files = [Path(examples.get_path("ct")), *(Path(str(get_testdata_file(n))) for n in NAMES)]
    with FileSet(repository=folder / "archive") as fs:
        fs.add_many(files, complete=True)
        fs.media.make(folder / "disc", extras=Extras(pages=True, viewer=True))
    return folder / "disc", files


def test_the_viewer_shows_what_pixels_look_like(
    browser: Firefox, disc: tuple[Path, list[Path]]
) -> None:
    numpy: Any = pytest.importorskip("numpy")
    browser.open((disc[0] / "VIEWER" / "INDEX.HTM").as_uri())
    number = browser.run("return document.querySelectorAll('#list button').length")
    found = []
    for at in range(number):
        width, height, data = browser.run_async(SHOWN, at)
        found.append(numpy.array(data, numpy.uint8).reshape(height, width, 4)[..., :3].astype(int))
    for path in disc[1]:
        expected = numpy.asarray(picture(path, frame=0).convert("RGB")).astype(int)
        alike = [each for each in found if each.shape == expected.shape]
        assert any(abs(each - expected).max() <= 3 for each in alike), path.name


def test_the_page_loads_nothing_from_elsewhere_and_says_that_it_is_not_for_diagnosis(
    browser: Firefox, disc: tuple[Path, list[Path]]
) -> None:
    browser.open((disc[0] / "VIEWER" / "INDEX.HTM").as_uri())
    loaded = browser.run("return performance.getEntriesByType('resource').map(e => e.name)")
    assert all(url.startswith(disc[0].as_uri()) for url in loaded)
    told = browser.run("return document.getElementById('notice').textContent")
    assert "Not for diagnosis" in told


def test_the_index_leads_to_a_page_of_each_study_with_previews_and_to_the_viewer(
    browser: Firefox, disc: tuple[Path, list[Path]]
) -> None:
    browser.open((disc[0] / "INDEX.HTM").as_uri())
    links = browser.run("return Array.from(document.links).map(a => a.href)")
    assert (disc[0] / "VIEWER" / "INDEX.HTM").as_uri() in links
    pages = [link for link in links if "/IHE_PDI/" in link]
    assert len(pages) == len(set(pages)) > 1
    previews = 0
    for page in pages:
        browser.open(page)
        widths = browser.run("return Array.from(document.images).map(i => i.naturalWidth)")
        assert all(widths), page
        previews += len(widths)
        assert browser.run("return document.links[0].href") == (disc[0] / "INDEX.HTM").as_uri()
    assert previews == len(disc[1])
