"""Instances as columns of values; `test_dataframe.py` makes frames of them."""

from __future__ import annotations

import warnings
from datetime import date
from pathlib import Path
from typing import Any

import pytest
from cli_runs import CT, MR, changed, copy_of_example
from pydicom import examples

from fileset import FileSet, MissingExtraError, NoSuchKeywordError
from fileset.views import dataframe
from fileset.views.columns import KEYWORDS, Column, columns


def of(fs: FileSet, *keywords: str, load: bool = False) -> dict[str, Column]:
    return {c.keyword: c for c in columns(fs._view, keywords, load=load)}


def test_a_column_has_the_value_of_each_instance_in_the_order_of_the_file_set(
    tmp_path: Path,
) -> None:
    fs = FileSet(copy_of_example(tmp_path / "copied"))
    fs.add(CT)
    found = of(fs, "StudyID")
    assert list(found) == [*KEYWORDS, "StudyID"]
    for keyword, column in found.items():
        shown = [i[keyword].value if keyword in i else None for i in fs]
        if column.kind == "text":
            assert column.values == [str(v) if v else None for v in shown], keyword
        elif column.kind == "integer":
            assert column.values == shown, keyword
    assert found["StudyDate"].values[-1] == date(2004, 1, 19)


def test_the_type_of_a_column_follows_from_its_keyword_and_what_is_not_of_it_is_missing(
    tmp_path: Path,
) -> None:
    fs = FileSet()
    fs.add(CT)
    with warnings.catch_warnings(action="ignore"):
        odd = changed(
            MR, tmp_path / "odd.dcm", SeriesNumber="7", StudyDate="2004-01", InstanceNumber="3"
        )
        fs.add(odd)
    with pytest.warns(UserWarning, match=r"^1 value of StudyDate not of the kind date"):
        found = of(fs)
    assert found["StudyDate"].values == [date(2004, 1, 19), None]
    assert found["SeriesNumber"].values == [1, 7]
    kinds = {keyword: Column.of(keyword).kind for keyword in ("ImageType", "PatientSize", "Rows")}
    assert kinds == {"ImageType": "text", "PatientSize": "number", "Rows": "integer"}


@pytest.mark.parametrize(
    ("keyword", "text", "value"),
    [
        ("StudyDate", "20260301", date(2026, 3, 1)),
        ("StudyDate", "20260301 ", date(2026, 3, 1)),
        ("StudyDate", "2026.03.01", date(2026, 3, 1)),  # as ACR-NEMA had it
        ("StudyDate", "20260301-20260331", None),
        ("StudyDate", "2026030112", None),
        ("StudyDate", "2026xx0301", None),
        ("StudyDate", "2026.0301", None),
        ("StudyDate", "20260230", None),
        ("StudyDate", "20260301\\20260302", None),
        ("StudyDate", "2026030\u0661", None),
        ("SeriesNumber", " 10", 10),
        ("SeriesNumber", "1_0", None),
        ("SeriesNumber", "1.5", None),
        ("PatientSize", "1.75", 1.75),
        ("PatientSize", "1_7.5", None),
    ],
)
def test_no_value_is_made_up_of_what_is_not_written_as_one(
    keyword: str, text: str, value: object
) -> None:
    column = Column.of(keyword)
    assert column.converted(text) == value
    assert column.misfits == (value is None)


def test_text_is_read_by_its_character_set(tmp_path: Path) -> None:
    fs = FileSet()
    name = "Yamada^Tarou=山田^太郎=やまだ^たろう"
    fs.add(
        changed(
            CT,
            tmp_path / "japanese.dcm",
            SpecificCharacterSet=["", "ISO 2022 IR 87"],
            PatientName=name,
        )
    )
    assert of(fs)["PatientName"].values == [name]


def test_what_no_record_has_is_read_from_the_instances_if_that_is_asked_for() -> None:
    fs = FileSet()
    fs.add(CT)
    fs.add(MR)
    with pytest.warns(UserWarning, match=r"No directory record has Rows; with `load=True`"):
        assert of(fs, "Rows")["Rows"].values == [None, None]
    found = of(fs, "Rows", "ImageType", load=True)
    assert found["Rows"].values == [examples.ct.Rows, examples.mr.Rows]
    assert found["ImageType"].values[0] == "\\".join(examples.ct.ImageType)


def test_what_can_t_be_a_column_is_told() -> None:
    with pytest.raises(NoSuchKeywordError, match="Did you mean PatientID"):
        Column.of("PatientId")
    with pytest.raises(ValueError, match=r"PixelData is a sequence or bytes \(OB or OW\)"):
        Column.of("PixelData")


def test_many_instances_of_few_series_are_decoded_by_their_series(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    fs = FileSet(copy_of_example(tmp_path / "copied"))
    asked: list[Any] = []
    monkeypatch.setattr(
        "fileset.views.columns._above", lambda home, column: asked.append((home, column.keyword))
    )
    of(fs)
    series = {i.node.parent for i in fs}
    assert len(asked) == len(series) * len(KEYWORDS) < len(fs) * len(KEYWORDS) / 2


def test_without_a_library_the_command_that_installs_one_is_told(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(dataframe, "find_spec", lambda name: None)
    with pytest.raises(MissingExtraError, match=r"needs the extra \[dataframe\] \("):
        FileSet().to_dataframe()
    with pytest.raises(ImportError, match="-m pip install polars`"):
        FileSet().to_dataframe(library="polars")
    with pytest.raises(ValueError, match="'numpy' is no library for data frames"):
        FileSet().to_dataframe(library="numpy")  # type: ignore[arg-type]
    monkeypatch.setattr(dataframe, "find_spec", lambda name: name if name == "polars" else None)
    assert dataframe.library_named(None) == "polars"
