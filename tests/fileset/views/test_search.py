"""`FileSet.search`: the matching of PS3.4 in Python; `find` stays pydicom's."""

from __future__ import annotations

import warnings
from datetime import date
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydicom import examples

from fileset import FileSet
from fileset.criteria import Query, element_of
from fileset.errors import MatchingError, NoSuchKeywordError
from fileset.views.search import Search


@pytest.fixture(scope="module")
def fs() -> FileSet:
    return FileSet(examples.get_path("dicomdir"))


@pytest.mark.parametrize(
    ("asked", "number"),
    [
        ({}, 31),
        ({"PatientName": "doe^a*"}, 7),
        ({"StudyDate": date(2003, 5, 5), "Modality": ["MR", "CT"]}, 17),
        ({"(0020,0011)": 700}, 7),
        ({"SeriesNumber": ">=700"}, 7),
        ({"StudyInstanceUID": ["1.2", "1.3.6.1.4.1.5962.1.1.0.0.0.1196527414.5534.0.1"]}, 3),
    ],
)
def test_instances_are_found_by_patterns_ranges_and_lists(
    fs: FileSet, asked: dict[str, Any], number: int
) -> None:
    assert len(fs.search(asked)) == number


def test_keywords_can_be_arguments_and_all_elements_be_loaded(fs: FileSet) -> None:
    assert fs.search(Modality="MR", SeriesNumber=700) == fs.search({"SeriesNumber": "0700"})
    assert len(fs.search(load=True, ImageType="AXIAL", Modality="CT")) == 9


def test_a_list_means_in_find_what_it_means_in_pydicom_and_that_is_told(fs: FileSet) -> None:
    with pytest.warns(UserWarning, match=r"search\(Modality="):
        assert fs.find(Modality=["CT", "MR"]) == []
    with pytest.warns(UserWarning, match=r"search\(PatientName="):
        assert fs.find(PatientName="doe*") == []
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert fs.find(Modality="US") == []


def test_where_nothing_is_found_why_is_told(fs: FileSet) -> None:
    with pytest.warns(UserWarning, match="Did you mean Modality='MR': 17 instances?"):
        assert fs.search(Modality="mr") == []
    with pytest.warns(UserWarning, match="No directory record has KVP"):
        assert fs.search(KVP="120") == []
    with pytest.raises(MatchingError, match="StudyDate: 'soon' is not a date"):
        fs.search(StudyDate="soon")
    with pytest.raises(NoSuchKeywordError):
        fs.search(Patient="x")


VALUES = {
    "PatientID": st.sampled_from(["77654033", "98890234", "7*", "x", "77654033\\98890234", "*"]),
    "Modality": st.sampled_from(["MR", "CT,CR", "?R", ""]),
    "StudyDate": st.sampled_from(["2003", "..2000-12-31", "20010101-", "1995-09-03"]),
    "SeriesInstanceUID": st.sampled_from(
        ["1.3.6.1.4.1.5962.1.1.0.0.0.1196533885.18148.0.118", "1.3.*", "1.2.3"]
    ),
}


@given(st.fixed_dictionaries({}, optional=VALUES))
def test_with_and_without_the_index_the_same_is_found_in_the_same_order(
    asked: dict[str, Any],
) -> None:
    with FileSet(examples.get_path("dicomdir")) as fs:
        query = Query.of(asked)
        found = Search().find(fs, query)
        assert found == [
            each for each in fs if query.matches(lambda tag, each=each: element_of(each, tag))
        ]


def test_text_is_no_query(fs: FileSet) -> None:
    with pytest.raises(TypeError, match=r"keywords or a mapping, .* not 'PatientName=doe'"):
        fs.search("PatientName=doe")  # type: ignore[arg-type]
