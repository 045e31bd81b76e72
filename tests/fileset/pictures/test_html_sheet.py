"""A contact sheet in HTML is one file that needs nothing, and nothing in it is markup but ours."""

from __future__ import annotations

from html.parser import HTMLParser
from pathlib import Path

from cli_runs import CT, changed
from hypothesis import given
from hypothesis import strategies as st

from fileset import FileSet
from fileset.pictures.html_sheet import html_sheet
from fileset.pictures.tiles import Tile, tiles
from projections.state.contents import contents_of

ALLOWED = frozenset((
    "html", "head", "meta", "title", "style", "body", "h1", "h2", "h3", "p", "section", "ul", "li",
    "div", "bdi", "small", "span", "img",
))  # fmt: skip


class Page(HTMLParser):
    def __init__(self, page: bytes) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.text = ""
        self.feed(page.decode("utf-8"))

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))

    def handle_data(self, data: str) -> None:
        self.text += data


def a_tile(tmp_path: Path) -> Tile:
    with FileSet() as fs:
        fs.add(changed(CT, tmp_path / "a", PatientName="<b>&\"'", StudyDescription="</style>"))
        (tile,) = tiles(contents_of(fs.state.hierarchy.walk_leaves()), "series")
    return tile


def test_what_values_hold_is_text_on_the_page(tmp_path: Path) -> None:
    tile = a_tile(tmp_path)
    page = Page(b"".join(html_sheet("<script>", [tile], lambda _: "<img src=x>", 100)))
    assert {tag for tag, _ in page.tags} <= ALLOWED - {"img"}
    assert "<b>&\"'" in page.text
    assert "<img src=x>" in page.text
    assert "</style>" in page.text


@given(st.text(), st.text(), st.text())
def test_no_text_is_markup(title: str, patient: str, why: str) -> None:
    tile = Tile(None, patient, patient, why, patient)  # type: ignore[arg-type]  # not looked at
    page = Page(b"".join(html_sheet(title, [tile], lambda _: why, 100)))
    assert {tag for tag, _ in page.tags} <= ALLOWED - {"img"}
    assert all(set(attributes) <= {"lang", "charset", "http-equiv", "content", "name", "class"}
               for _, attributes in page.tags)  # fmt: skip


def test_a_page_may_load_nothing(tmp_path: Path) -> None:
    page = Page(b"".join(html_sheet("A", [a_tile(tmp_path)], lambda _: "no", 100)))
    (policy,) = (a["content"] for tag, a in page.tags if a.get("http-equiv"))
    assert policy == "default-src 'none'; img-src data:; style-src 'unsafe-inline'"
