"""What a notebook shows of a File-set: nothing in it acts, and it is of bounded size."""

from __future__ import annotations

from html.parser import HTMLParser
from pathlib import Path

import pytest
from cli_runs import CT, MR, changed, copy_of_example
from hypothesis import given
from hypothesis import strategies as st

from fileset import FileSet
from fileset.views import notebook

TAGS = {"div", "p", "strong", "table", "thead", "tbody", "tr", "th", "td", "pre"}


class Reader(HTMLParser):
    """Reads a document, of which it knows each tag, and gathers its text."""

    def __init__(self, document: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.text = ""
        self.feed(document)
        self.close()
        assert self.open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        assert tag in TAGS
        assert attrs in ([], [("style", "text-align: left")])  # the colours are the reader's
        self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.text += f"{data}\n"

    def handle_comment(self, data: str) -> None:
        raise AssertionError(data)


@given(st.text() | st.integers() | st.none())
def test_nothing_in_a_value_acts_in_the_document(value: object) -> None:
    document = notebook.table(["a", "b"], [[value, value]], title=str(value))
    assert document.isprintable()
    document.encode("utf-8")
    Reader(document)
    Reader(notebook.outline(str(value), [("a", value)], iter([str(value)])))


def test_what_is_shown_of_many_is_bounded_and_says_how_many_more_there_are() -> None:
    document = notebook.table(["n"], ([n] for n in range(1_000_000)))
    assert len(document) < 3000
    assert "... and 999,970 more" in document
    lines = notebook.outline("", [], (str(n) for n in range(1_000_000)))
    assert len(lines) < 1000
    assert "59\n...</pre>" in lines
    assert len(notebook.shown("x" * 1_000_000)) < 300


def test_each_object_has_its_view(tmp_path: Path) -> None:
    fs = FileSet(copy_of_example(tmp_path / "copied"))
    instance = next(iter(fs))
    fs.remove(list(fs)[5:9])
    fs.ID = "A<B"
    shown = Reader(fs._repr_html_()).text
    for text in ("A<B", str(fs.UID), "PATIENT: PatientID='77654033'", "4 removals", str(fs.path)):
        assert text in shown
    shown = Reader(instance._repr_html_()).text
    for text in ("PatientID", "77654033", "StudyInstanceUID", "InstanceNumber", "IMAGE"):
        assert text in shown
    shown = Reader(fs.pending._repr_html_()).text
    for text in ("to be removed", "98890234" if "98890234" in shown else "", "File-set id"):
        assert text in shown
    assert "CT Image Storage" in Reader(fs.diff(1)._repr_html_()).text
    assert "File-set ID set to 'A<B'" in Reader(fs.history._repr_html_()).text
    assert "File-set ID set to 'A<B'" in Reader(fs.history[-1]._repr_html_()).text


def test_a_hostile_name_is_text_wherever_it_is_shown(tmp_path: Path) -> None:
    name = "</pre><script>alert(1)</script>"
    fs = FileSet()
    instance = fs.add(changed(CT, tmp_path / "hostile.dcm", PatientID=name, PatientName=name))
    for each in (fs, instance, fs.pending, fs.history, fs.diff(1)):
        document = each._repr_html_()
        assert "<script" not in document
        assert name in Reader(document).text


def test_only_a_file_set_that_was_closed_is_shown_as_such(tmp_path: Path) -> None:
    fs = FileSet()
    fs.write(tmp_path / "that was closed")
    assert "File-set UID" in fs._repr_html_()
    fs.close()
    assert fs._repr_html_() == notebook.outline("FileSet that was closed", (), iter(()))


def test_an_instance_that_is_gone_is_shown_as_such() -> None:
    fs = FileSet()
    instance = fs.add(CT)
    uid = str(instance.SOPInstanceUID)
    fs.remove(instance)
    fs.erase(reason="request", SOPInstanceUID=uid)
    assert "was erased" in Reader(instance._repr_html_()).text


def test_tab_completes_the_keywords_of_an_instance_and_no_others() -> None:
    fs = FileSet()
    instance = fs.add(MR)
    names = dir(instance)
    for name in ("PatientName", "StudyDate", "SeriesNumber", "InstanceNumber", "load", "path"):
        assert name in names
    assert "Rows" not in names
    for keyword in instance._ipython_key_completions_():
        assert instance[keyword].keyword == keyword
        with pytest.MonkeyPatch.context():
            assert getattr(instance, keyword) is not Ellipsis
