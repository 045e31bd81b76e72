"""Data frames of pandas and polars; skipped where these are not installed."""

from __future__ import annotations

from datetime import date
from pathlib import Path

import pytest
from cli_runs import CT, MR, copy_of_example

from fileset import FileSet


@pytest.fixture
def fs(tmp_path: Path) -> FileSet:
    fs = FileSet(copy_of_example(tmp_path / "copied"))
    fs.add(CT)
    fs.add(MR)
    return fs


def test_a_frame_of_pandas_has_a_row_for_each_instance(fs: FileSet) -> None:
    pandas = pytest.importorskip("pandas")
    frame = fs.to_dataframe("StudyID", library="pandas")
    assert list(frame.SOPInstanceUID) == [str(i.SOPInstanceUID) for i in fs]
    assert frame.dtypes["InstanceNumber"] == pandas.Int64Dtype()
    assert frame.dtypes["StudyDate"].kind == "M"
    assert frame.StudyDate.iloc[-2] == pandas.Timestamp(2004, 1, 19)
    ct = frame.query("PatientID == '1CT1'")
    assert list(ct.Modality) == ["CT"]
    assert frame.groupby("Modality").size().sum() == len(fs)
    assert len(FileSet().to_dataframe(library="pandas").columns) == 14


def test_a_frame_of_polars_has_a_row_for_each_instance(fs: FileSet) -> None:
    polars = pytest.importorskip("polars")
    frame = fs.to_dataframe("StudyID", library="polars")
    assert frame["SOPInstanceUID"].to_list() == [str(i.SOPInstanceUID) for i in fs]
    assert frame.schema["InstanceNumber"] == polars.Int64
    assert frame.schema["StudyDate"] == polars.Date
    assert frame["StudyDate"][-2] == date(2004, 1, 19)
    assert frame.filter(polars.col("PatientID") == "1CT1")["Modality"].to_list() == ["CT"]
    assert FileSet().to_dataframe(library="polars").shape == (0, 14)


def test_pandas_makes_the_frame_where_both_are_installed(fs: FileSet) -> None:
    pandas = pytest.importorskip("pandas")
    assert isinstance(fs.to_dataframe(), pandas.DataFrame)
