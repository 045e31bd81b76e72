"""Criteria: elements named by keyword, tag or path, and what their values are to be."""

from __future__ import annotations

from datetime import date, datetime, time
from typing import Any

import pytest
from pydicom import Dataset

from fileset.criteria import Query, element_of, name_of, path_named
from fileset.errors import NoSuchKeywordError


def dataset() -> Dataset:
    ds, request, other = Dataset(), Dataset(), Dataset()
    request.RequestedProcedureID, request.AccessionNumber = "P1", "A1"
    other.RequestedProcedureID, other.AccessionNumber = "P2", "A2"
    ds.PatientName = "Doe^Jane"
    ds.PatientBirthDate = ""
    ds.StudyDate, ds.StudyTime = "20260301", "223000"
    ds.ContentDate = "20260301"
    ds.AcquisitionDateTime = "20260301223000+0100"
    ds.ImageType = ["ORIGINAL", "PRIMARY", "AXIAL"]
    ds.Rows, ds.SliceThickness = 512, "0.50"
    ds.RequestAttributesSequence = [request, other]
    ds.ReferencedStudySequence = []
    ds.add_new(0x00091001, "LO", "private")
    return ds


def found(asked: dict[str, Any], *, literal: bool = False) -> bool:
    ds = dataset()
    return Query.of(asked, literal=literal).matches(lambda tag: element_of(ds, tag))


@pytest.mark.parametrize(
    "name", ["PatientName", "(0010,0010)", "0010,0010", "00100010", "(00100010)"]
)
def test_an_element_is_named_by_its_keyword_or_tag(name: str) -> None:
    assert path_named(name) == (0x00100010,)
    assert name_of(path_named(name)) == "PatientName"
    assert found({name: "doe^*"})


def test_other_names_are_an_error_that_knows_near_ones() -> None:
    with pytest.raises(NoSuchKeywordError, match="Did you mean PatientName"):
        path_named("PatientNam")
    assert name_of(path_named("0009,1001")) == "0009,1001"


@pytest.mark.parametrize(
    "asked",
    [
        {"0009,1001": "PRIV*"},
        {"KVP": ""},
        {"KVP": "*"},
        {"ReferencedStudySequence": "*"},
        {"RequestAttributesSequence": ""},
        {"PatientName": "Doe"},
        {"Rows": "513.."},
        {"StudyDate": "2026-03-01T23:00.."},
        {"ContentDate": "2026-03-01T01:00.."},  # without a time it is midnight
        {"RequestAttributesSequence": {"RequestedProcedureID": "P1", "AccessionNumber": "A2"}},
        {"PatientName.PatientID": "x"},
    ],
)
def test_what_does_not_match(asked: dict[str, Any]) -> None:
    assert not found(asked)


@pytest.mark.parametrize(
    "asked",
    [
        {},
        {"0009,1001": "priv*"},
        {"PatientBirthDate": None, "PatientName": "*"},
        {"ReferencedStudySequence": "", "RequestAttributesSequence": "*"},
        {"Rows": 512, "SliceThickness": 0.5},
        {"Rows": [511, 512]},
        {"ImageType": "PRIMARY"},
        {"ImageType": ["AXIAL", "OTHER"]},
        {"ImageType": "ORIGINAL\\PRIMARY\\AXIAL"},
        {"StudyDate": date(2026, 3, 1), "StudyTime": time(22, 30)},
        {"StudyDate": "2026-03-01T22:00..2026-03-02"},
        {"StudyDate": datetime.fromisoformat("2026-03-01T22:30")},
        {"StudyDate": "2026-02..2026-03", "StudyTime": ">22:00"},
        {"AcquisitionDateTime": "2026-03-01T21:30Z"},
        {"ContentDate": "2026-03-01T00:00..2026-03-01T10:00"},
        {"RequestAttributesSequence": {"RequestedProcedureID": "P2", "AccessionNumber": "A*"}},
        {"RequestAttributesSequence.RequestedProcedureID": "P1"},
        {"0040,0275.AccessionNumber": "A1"},
    ],
)
def test_what_matches(asked: dict[str, Any]) -> None:
    assert found(asked)


def test_literally_nothing_stands_for_anything_else() -> None:
    assert not found({"PatientName": "doe^jane"}, literal=True)
    assert not found({"PatientName": "*"}, literal=True)
    assert found({"PatientName": "Doe^Jane", "SliceThickness": "0.5"}, literal=True)


def test_what_can_be_no_value_is_doubted_unless_it_is_a_date_with_a_time() -> None:
    assert Query.of({"StudyDate": "soon"}).doubt() == (
        "StudyDate: 'soon' is not a date, such as 2026-03-01, 2026-03 for that month, or "
        "2026-03-01..2026-03-31."
    )
    assert Query.of({"StudyDate": "2026-03-01T22:00"}).doubt() is None
    assert Query.of({"0009,1001": "soon", "PatientID": "soon"}).doubt() is None


def test_an_index_is_asked_for_what_alone_would_do() -> None:
    uids = {"StudyInstanceUID": ["1.2", "1.3"], "SOPInstanceUID": "1.2.*"}
    assert Query.of({**uids, "PatientID": "1CT1"}).indexed() == {
        "StudyInstanceUID": ("1.2", "1.3"),
        "PatientID": ("1CT1",),
    }
