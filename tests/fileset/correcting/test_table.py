"""A table of corrections: what it may look like, and errors that say where it is wrong."""

from __future__ import annotations

from pathlib import Path

import pytest

from fileset.correcting.table import Row, read_table
from ledger.errors import CorrectionError

WANTED = Row("line 2", {"PatientID": "1CT1"}, {"PatientName": "Müller^Anna"})
TEXT = "PatientID,new PatientName\n1CT1,Müller^Anna\n"


def saved(tmp_path: Path, text: str | bytes) -> Path:
    path = tmp_path / "ids.csv"
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return path


@pytest.mark.parametrize(
    "text",
    [
        TEXT,
        TEXT.encode("utf-8-sig"),
        TEXT.replace("\n", "\r\n"),
        TEXT.replace("\n", "\r"),
        TEXT.rstrip("\n"),
        TEXT + "\n\n , \n",
        "PatientID , New  PatientName\n 1CT1 , Müller^Anna",
        'PatientID,"new 0010,0010"\n"1CT1","Müller^Anna"\n',
        "PatientID,new PatientName,,\n1CT1,Müller^Anna,,\n",
        "PatientID,Modality,new PatientName,new PatientSex\n1CT1,,Müller^Anna,\n",
    ],
)
def test_a_table_is_read_however_it_was_saved(tmp_path: Path, text: str | bytes) -> None:
    (row,) = read_table(saved(tmp_path, text))
    assert row.query == WANTED.query
    assert list(row.values.values()) == ["Müller^Anna"]


@pytest.mark.parametrize(
    "text",
    [
        TEXT.replace(",", ";"),
        TEXT.replace(",", "\t"),
        "sep=;\n" + TEXT.replace(",", ";"),
        "sep=,\r\n" + TEXT,
        "SEP=\t\n" + TEXT.replace(",", "\t"),
        '"sep=;"\r' + TEXT.replace(",", ";"),
        "PatientID;new 0010,0010\n1CT1;Müller^Anna\n",
        "sep=;\nPatientID;new 0010,0010\n1CT1;Müller^Anna\n",
        '"PatientID";"new 0010,0010";\n1CT1;"Müller^Anna";\n',
        b"\xef\xbb\xbf" + TEXT.replace(",", ";").replace("\n", "\r\n").encode(),
    ],
)
def test_columns_are_separated_by_what_is_between_their_names(
    tmp_path: Path, text: str | bytes
) -> None:
    (row,) = read_table(saved(tmp_path, text))
    assert row.query == WANTED.query
    assert list(row.values.values()) == ["Müller^Anna"]


def test_a_comma_in_a_table_with_semicolons_is_part_of_a_value(tmp_path: Path) -> None:
    text = "PatientID;new PatientComments\n1CT1;one, two\n"
    (row,) = read_table(saved(tmp_path, text))
    assert row.values == {"PatientComments": "one, two"}


def test_a_row_below_a_declared_separator_knows_its_line(tmp_path: Path) -> None:
    path = saved(tmp_path, "sep=;\nPatientID;new PatientComments\n1;a\n")
    assert [row.name for row in read_table(path)] == [f"{path}, line 3"]


def test_blanks_in_quotes_stay(tmp_path: Path) -> None:
    text = 'PatientID,new PatientComments\n1CT1,"  indented"\n'
    (row,) = read_table(saved(tmp_path, text))
    assert row.values == {"PatientComments": "  indented"}


def test_a_row_knows_its_line(tmp_path: Path) -> None:
    path = saved(tmp_path, 'PatientID,new PatientComments\n\n1,"a\nb"\n2,c\n')
    assert [row.name for row in read_table(path)] == [f"{path}, line {n}" for n in (4, 5)]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", ", line 1: name the columns here"),
        ("PatientID\n1CT1\n", ", line 1: name the columns here"),
        ("new PatientID\n1CT1\n", ", line 1: name the columns here"),
        ("PatientID,new PatientName\n", ": there are no lines below the names of the columns"),
        ("PatientID;Modality,new PatientName\n", ", line 1: there are commas and semicolons betw"),
        ("PatientID;new PatientName\tnew PatientSex\n", "tabs between the columns: separate them"),
        ("sep=|\nPatientID|new PatientName\n", ", line 1: 'sep=|' is no separator of columns: sep"),
        ("sep=\n" + TEXT, ", line 1: 'sep=' is no separator"),
        ("sep=;\nPatientID;new PatientName\n1CT1;a;b\n", ", line 3: 3 values for 2 columns: put a"),
        ("PatientID;new PatientName\n1;a;b\n", "put a value that has semicolons in double quotes"),
        ("sep=;\n", ", line 2: name the columns here, with semicolons between them"),
        (b"PK\x03\x04\x14\x00\x06\x00", ": this is an Excel workbook: save the table as CSV UTF-8"),
        (bytes.fromhex("d0cf11e0a1b11ae1"), ": this is an Excel workbook: save the table as CSV"),
        ("PatientID,comment\n", "If it is a remark, delete the column"),
        (TEXT.encode("latin-1"), ", line 2: not text in UTF-8: save the table as CSV in UTF-8"),
        (TEXT.encode("utf-16"), ", line 1: not text in UTF-8"),
        ("PatientNmae,new PatientName\n", ", line 1, column 'PatientNmae': There is no data elem"),
        ("PatientID,new PatientNmae\n", ", line 1, column 'new PatientNmae': There is no data"),
        ("PatientID,new Foo[0].Bar\n", "column 'new Foo[0].Bar': There is no data element"),
        ("PatientID,PatientID,new PatientName\n", "column 'PatientID': it is there twice"),
        ('PatientID,new PatientName,"new 0010,0010"\n', "it is the same as 'new PatientName'"),
        (TEXT + "4MR1\n", ", line 3: 1 value for 2 columns"),
        (TEXT + "4MR1,Roth,Anna\n", ", line 3: 3 values for 2 columns: put a value that has"),
        (TEXT + ",Roth\n", ", line 3: give a value for PatientID"),
        (TEXT + "4MR1,\n", ", line 3: give a value for new PatientName"),
        (TEXT + '"4MR1,Roth\n', ", line 3: not a line of CSV: unexpected end of data: check"),
        ("PatientID,new PatientName,\n1,A,B\n", ", line 2: there is a value in a column without"),
        ("PatientID,new PatientBirthDate\n1CT1,1.1.1970\n", ", line 2: (0010,0030) Patient's Bi"),
        ("PatientID,new Rows\n1CT1,3\n", ", line 2: (0028,0010) Rows can't be corrected"),
    ],
)
def test_an_error_names_the_file_and_the_line(
    tmp_path: Path, text: str | bytes, message: str
) -> None:
    path = saved(tmp_path, text)
    with pytest.raises(CorrectionError) as caught:
        read_table(path)
    assert message in str(caught.value)
    assert str(caught.value).startswith(str(path))
