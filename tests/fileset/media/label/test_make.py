"""Labels are made from the journal: what they say, read back by programs of others."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import unicodedata
from datetime import UTC, datetime
from pathlib import Path

import pytest
from cli_runs import CT, MR
from hypothesis import given, settings
from hypothesis import strategies as st
from no_room import room_for
from persons import file

from fileset import FileSet
from fileset.errors import RefusedError
from fileset.media.extras import Extras
from fileset.media.label.arrange import arrange
from fileset.media.label.drawing import Pen, refuse_lacking
from fileset.media.label.jobs import Job
from fileset.media.label.make import FORMS, Style
from fileset.media.label.text import Label
from fileset.medium.errors import MediumError
from ledger.events import OtherFile

pytest.importorskip("fpdf", reason="needs the extra [media]")
pytest.importorskip("segno", reason="needs the extra [media]")
pytest.importorskip("uharfbuzz", reason="needs the extra [media]")

PRINTED = st.characters(max_codepoint=0x6FF, exclude_categories=["Cc", "Cn"]) | st.sampled_from(
    "\n\t\r\u200e\u202e\u2028\u00a0\ufeff\u0301"
)
"""Latin to Arabic, and what is no letter."""
DEJAVU = Path("/usr/share/fonts/truetype/dejavu/DejaVuSans.ttf")
needs_dejavu = pytest.mark.skipif(not DEJAVU.exists(), reason="DejaVu Sans is not installed")


def text_of(pdf: Path) -> str:
    pypdf = pytest.importorskip("pypdf")
    (page,) = pypdf.PdfReader(pdf).pages
    return str(page.extract_text())


@pytest.fixture
def filled(fs: FileSet, tmp_path: Path) -> FileSet:
    """A patient with two studies."""
    (tmp_path / "in").mkdir()
    common = {
        "PatientName": "Müller^Anna", "PatientID": "P7", "PatientBirthDate": "19700312",
        "SpecificCharacterSet": "ISO_IR 192", "InstitutionName": "Klinik Süd",
    }  # fmt: skip
    fs.add_many([
        file(tmp_path / "in", 1, StudyDate="20260201", StudyDescription="Head", **common),
        file(
            tmp_path / "in", 2, StudyDate="20260202", StudyDescription="Knee",
            StudyInstanceUID="1.2.7", SeriesInstanceUID="1.2.7.1", **common,
        ),
    ])  # fmt: skip
    fs.ID = "CLINIC"
    return fs


@pytest.mark.parametrize("form", FORMS)
def test_a_label_names_the_patient_the_studies_and_the_medium(
    filled: FileSet, tmp_path: Path, form: str
) -> None:
    (medium,) = filled.media.make(tmp_path / "disc.iso", recipient="Dr. Weiß", label="Second look")
    filled.media.label(1, tmp_path / "label.pdf", Style(form))
    told = text_of(tmp_path / "label.pdf")
    assert medium.produced is not None
    for text in (
        "Müller, Anna", "P7", "1970-03-12", "2026-02-01", "Head", "2026-02-02", "Knee",
        "Klinik Süd", "DICOM ONLY", "Second look", "CLINIC", medium.started.uid,
        medium.produced.image.digest[:15],
    ):  # fmt: skip
        assert text in told
    assert ("Dr. Weiß" in told) == (form == "sheet")


def test_it_is_in_german_if_that_is_asked_for(filled: FileSet, tmp_path: Path) -> None:
    filled.media.make(tmp_path / "disc.iso")
    filled.media.label(1, tmp_path / "label.pdf", Style(language="de"))
    told = text_of(tmp_path / "label.pdf")
    assert "Geburtsdatum: 12.03.1970" in told
    assert "2 Instanzen" in told


def test_of_several_patients_one_is_named_and_the_others_are_counted(
    filled: FileSet, tmp_path: Path
) -> None:
    filled.add_many([CT, MR])
    filled.media.make(tmp_path / "disc.iso")
    filled.media.label(1, tmp_path / "label.pdf")
    told = text_of(tmp_path / "label.pdf")
    assert "and 2 other patients" in told
    assert "4MR1" not in told


def test_a_volume_says_which_one_it_is(filled: FileSet, tmp_path: Path) -> None:
    made = filled.media.make(tmp_path / "disc.iso", capacity=458_928)
    assert len(made) == 2
    filled.media.label(2, tmp_path / "label.pdf")
    told = text_of(tmp_path / "label.pdf")
    assert "Volume 2 of 2" in told
    assert "CLINIC_2OF2" in told


def test_a_medium_with_pages_for_a_browser_says_so(filled: FileSet, tmp_path: Path) -> None:
    from fileset.media.choice import Choice
    from fileset.media.make import Maker

    with filled.repository.vault.batch() as batch:
        index = OtherFile("INDEX.HTM", batch.add(b"<html/>"))
    choice = Choice("iso", files=(index,))
    Maker(filled.repository).make(tmp_path / "disc.iso", filled.state, choice)
    labelled = filled.media.label(1, tmp_path / "label.pdf")
    assert labelled.label.kind == "DICOM PLUS WEB"


def test_it_says_what_was_so_when_the_medium_was_made(filled: FileSet, tmp_path: Path) -> None:
    filled.media.make(tmp_path / "disc.iso")
    filled.media.label(1, tmp_path / "then.pdf")
    filled.correct(filled.find(PatientID="P7"), {"PatientName": "Right^Name"})
    filled.ID = "OTHER"
    filled.media.label(1, tmp_path / "now.pdf")
    assert (tmp_path / "now.pdf").read_bytes() == (tmp_path / "then.pdf").read_bytes()


def test_the_institution_can_be_named(filled: FileSet, tmp_path: Path) -> None:
    filled.media.make(tmp_path / "disc.iso")
    filled.media.label(1, tmp_path / "label.pdf", Style(institution="Praxis Nord"))
    told = text_of(tmp_path / "label.pdf")
    assert "Praxis Nord" in told
    assert "Klinik" not in told


def test_what_was_said_when_the_medium_was_made_is_on_its_label(
    filled: FileSet, tmp_path: Path
) -> None:
    extras = Extras(pages=True, language="de", institution="Praxis Nord")
    (medium,) = filled.media.make(tmp_path / "disc.iso", extras=extras)
    assert medium.started.options == {"pdi": "yes", "language": "de"}
    filled.media.label(1, tmp_path / "label.pdf")
    told = text_of(tmp_path / "label.pdf")
    assert "Praxis Nord" in told
    assert "Klinik" not in told
    assert "2 Instanzen" in told
    filled.media.label(1, tmp_path / "other.pdf", Style(language="en", institution="Praxis Ost"))
    assert "Praxis Ost" in text_of(tmp_path / "other.pdf")
    assert "2 instances" in text_of(tmp_path / "other.pdf")


@pytest.mark.parametrize("ending", ["pdf", "png"])
@pytest.mark.parametrize("form", FORMS)
@needs_dejavu
def test_the_code_is_read_by_another_program(
    filled: FileSet, tmp_path: Path, form: str, ending: str
) -> None:
    zxing = pytest.importorskip("zxingcpp")
    from PIL import Image

    (medium,) = filled.media.make(tmp_path / "disc.iso")
    label = tmp_path / f"label.{ending}"
    filled.media.label(1, label, Style(form))
    if ending == "pdf":
        label = drawn(label)
    (code,) = zxing.read_barcodes(Image.open(label))
    assert medium.produced is not None
    assert code.text == f"{medium.started.uid}\n{medium.produced.image.digest}"


def drawn(pdf: Path) -> Path:
    """Have Ghostscript draw a PDF."""
    if shutil.which("gs") is None:
        pytest.skip("Ghostscript is not installed")
    png = pdf.with_suffix(".drawn.png")
    subprocess.run(
        [
            "gs",
            "-q",
            "-dNOPAUSE",
            "-dBATCH",
            "-sDEVICE=pnggray",
            "-r300",
            f"-sOutputFile={png}",
            pdf,
        ],
        check=True,
    )
    return png


@pytest.mark.parametrize("ending", ["pdf", "png"])
@needs_dejavu
def test_the_same_label_has_the_same_bytes_in_any_process_and_time_zone(
    filled: FileSet, tmp_path: Path, ending: str
) -> None:
    filled.media.make(tmp_path / "disc.iso")
    filled.media.label(1, tmp_path / f"here.{ending}")
    program = (
        "import sys; from fileset import FileSet\n"
        "with FileSet.open(sys.argv[1]) as fs: fs.media.label(1, sys.argv[2])"
    )
    for zone, seed in (("Asia/Tokyo", "1"), ("America/Lima", "2")):
        other = tmp_path / f"{zone[-4:]}.{ending}"
        subprocess.run(
            [sys.executable, "-c", program, filled.repository.path, other],
            check=True, env={**os.environ, "TZ": zone, "PYTHONHASHSEED": seed},
        )  # fmt: skip
        assert other.read_bytes() == (tmp_path / f"here.{ending}").read_bytes()


# --- characters ----------------------------------------------------------------------------------


def of_name(fs: FileSet, tmp_path: Path, name: str) -> FileSet:
    (tmp_path / "in").mkdir(exist_ok=True)
    fs.add(file(tmp_path / "in", 9, PatientName=name, SpecificCharacterSet="ISO_IR 192"))
    fs.media.make(tmp_path / "disc.iso")
    return fs


@pytest.mark.parametrize("name", ["Łukasz^Żółć", "Иванов^Пётр", "Παπαδόπουλος^Νίκος", "Nguyễn^Ánh"])
@needs_dejavu
def test_names_are_printed_in_the_scripts_that_the_font_has(
    fs: FileSet, tmp_path: Path, name: str
) -> None:
    of_name(fs, tmp_path, name).media.label(1, tmp_path / "label.pdf")
    family, given = name.split("^")
    assert f"{family}, {given}" in unicodedata.normalize("NFC", text_of(tmp_path / "label.pdf"))


@needs_dejavu
def test_arabic_is_written_from_right_to_left_with_its_letters_joined(
    fs: FileSet, tmp_path: Path
) -> None:
    of_name(fs, tmp_path, "قباني^لنزار").media.label(1, tmp_path / "label.pdf")
    told = unicodedata.normalize("NFKC", text_of(tmp_path / "label.pdf"))
    assert set("قبانيلنزار") <= set(told)


@needs_dejavu
def test_a_representation_that_the_font_lacks_is_left_out_and_told(
    fs: FileSet, tmp_path: Path
) -> None:
    labelled = of_name(fs, tmp_path, "Yamada^Tarou=山田^太郎=やまだ^たろう").media.label(
        1, tmp_path / "label.pdf"
    )
    assert labelled.label.patient[0] == "Yamada, Tarou"
    assert labelled.label.left_out == ("山田^太郎", "やまだ^たろう")


@needs_dejavu
def test_a_name_that_the_font_lacks_is_refused_by_character(fs: FileSet, tmp_path: Path) -> None:
    made = of_name(fs, tmp_path, "=山田^太郎")
    with pytest.raises(RefusedError, match=r"can't show 山 \(U\+5C71\), .*--font FILE"):
        made.media.label(1, tmp_path / "label.pdf")
    assert not (tmp_path / "label.pdf").exists()


@pytest.mark.parametrize("has_font", [True, False])
def test_what_is_not_printed_prevents_no_label(
    filled: FileSet, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, has_font: bool
) -> None:
    if not has_font:
        monkeypatch.setattr("fileset.media.label.drawing.USUAL", ())
    filled.media.make(tmp_path / "disc.iso", recipient="山田")
    for form in ("disc", "card"):
        labelled = filled.media.label(1, tmp_path / f"{form}.pdf", Style(form))
        printed = text_of(tmp_path / f"{form}.pdf").split()
        assert [word for text in labelled.texts for word in text.split()] == printed
    with pytest.raises(RefusedError, match=r"can't show 山 \(U\+5C71\), .*--font FILE"):
        filled.media.label(1, tmp_path / "sheet.pdf", Style("sheet"))


def test_without_a_font_labels_are_in_latin_letters(
    fs: FileSet, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("fileset.media.label.drawing.USUAL", ())
    (tmp_path / "in").mkdir()
    labelled = of_name(fs, tmp_path, "Müller^Åsa").media.label(1, tmp_path / "label.pdf")
    assert labelled.fonts == ("Helvetica",)
    assert "Müller, Åsa" in text_of(tmp_path / "label.pdf")
    with pytest.raises(RefusedError, match="--font FILE"):
        fs.media.label(1, tmp_path / "label.png")


def test_a_file_that_is_no_font_is_named(filled: FileSet, tmp_path: Path) -> None:
    font = tmp_path / "broken.ttf"
    font.write_bytes(b"no font")
    filled.media.make(tmp_path / "disc.iso")
    with pytest.raises(RefusedError, match=r"broken\.ttf can't be used as a font"):
        filled.media.label(1, tmp_path / "label.pdf", Style(fonts=[font]))


# --- what is refused -----------------------------------------------------------------------------


def test_a_medium_that_was_not_finished_gets_no_label(filled: FileSet, tmp_path: Path) -> None:
    reader, writer = os.pipe()
    os.close(reader)
    with os.fdopen(writer, "wb", buffering=0) as pipe, pytest.raises(MediumError):
        filled.media.make(pipe, kind="iso")
    with pytest.raises(RefusedError, match="Medium 1 was not finished"):
        filled.media.label(1, tmp_path / "label.pdf")


def test_a_medium_of_which_something_was_erased_gets_no_label(
    filled: FileSet, tmp_path: Path
) -> None:
    filled.add(MR)
    filled.media.make(tmp_path / "disc.iso", recipient="Müller, Anna")
    filled.erase(PatientID="4MR1", reason="asked for", take_off=True)
    with pytest.raises(RefusedError, match="erased since"):
        filled.media.label(1, tmp_path / "label.pdf")


def test_a_medium_whose_recipient_was_erased_gets_no_label(filled: FileSet, tmp_path: Path) -> None:
    filled.add(MR)
    filled.media.make(tmp_path / "disc.iso", filled.find(PatientID="P7"), recipient="4MR1")
    filled.erase(PatientID="4MR1", reason="asked for", take_off=True)
    with pytest.raises(RefusedError, match="What was said of medium 1 was erased"):
        filled.media.label(1, tmp_path / "label.pdf")


def test_an_institution_that_names_a_person_is_erased_with_that_person(
    filled: FileSet, tmp_path: Path
) -> None:
    filled.add(MR)
    extras = Extras(institution="for 4MR1")
    filled.media.make(tmp_path / "disc.iso", filled.find(PatientID="P7"), extras=extras)
    filled.erase(PatientID="4MR1", reason="asked for", take_off=True)
    (medium,) = filled.media.list()
    assert medium.addressed is None


def test_a_label_replaces_no_file_unless_told_to(filled: FileSet, tmp_path: Path) -> None:
    filled.media.make(tmp_path / "disc.iso")
    (tmp_path / "label.pdf").write_text("mine")
    with pytest.raises(RefusedError, match="is there already"):
        filled.media.label(1, tmp_path / "label.pdf")
    assert (tmp_path / "label.pdf").read_text() == "mine"
    filled.media.label(1, tmp_path / "label.pdf", replace=True)
    assert (tmp_path / "label.pdf").read_bytes().startswith(b"%PDF")


@pytest.mark.parametrize("ending", ["pdf", "png"])
def test_a_label_that_finds_too_little_room_leaves_no_file(
    filled: FileSet, tmp_path: Path, ending: str
) -> None:
    filled.media.make(tmp_path / "disc.iso")
    label = tmp_path / f"label.{ending}"
    with room_for(4096), pytest.raises(RefusedError, match=f"No label was made: {label} can't be"):
        filled.media.label(1, label)
    assert not [*tmp_path.glob("*label*")]
    with pytest.raises(RefusedError, match=r"/dev/full can't be .* full: make room, or name anoth"):
        filled.media.label(1, "/dev/full")


@needs_dejavu
def test_a_label_whose_job_can_not_be_written_is_not_there_either(
    filled: FileSet, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    filled.media.make(tmp_path / "disc.iso")
    monkeypatch.setattr("fileset.media.label.make.epson_job", lambda *_: bytes(400_000))
    with room_for(300_000), pytest.raises(RefusedError, match=r"label\.jdf can't be written"):
        filled.media.label(1, tmp_path / "label.png", job=Job(tmp_path / "disc.iso"))
    assert not [*tmp_path.glob("*label*")]


def test_a_label_does_not_go_into_a_repository(filled: FileSet, tmp_path: Path) -> None:
    filled.media.make(tmp_path / "disc.iso")
    with pytest.raises(RefusedError, match="is in the repository"):
        filled.media.label(1, filled.repository.path / "label.pdf")  # type: ignore[operator]


@pytest.mark.parametrize("package", ["fpdf", "segno", "uharfbuzz"])
def test_what_is_missing_is_one_sentence_with_the_command_that_installs_it(
    filled: FileSet, tmp_path: Path, package: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    filled.media.make(tmp_path / "disc.iso")
    monkeypatch.setitem(sys.modules, package, None)
    with pytest.raises(RefusedError, match=r"pip install '\.\[media\]'"):
        filled.media.label(1, tmp_path / "label.pdf")


# --- jobs for robots -----------------------------------------------------------------------------


@needs_dejavu
def test_a_job_names_the_image_the_label_and_the_copies(filled: FileSet, tmp_path: Path) -> None:
    filled.media.make(tmp_path / "disc.iso")
    job = Job(tmp_path / "disc.iso", 3, "C:\\jobs")
    filled.media.label(1, tmp_path / "label.png", job=job)
    assert (tmp_path / "label.jdf").read_bytes() == (
        b"COPIES=3\r\nDISC_TYPE=CD\r\nIMAGE=C:\\jobs\\disc.iso\r\nLABEL=C:\\jobs\\label.png\r\n"
    )
    with pytest.raises(RefusedError, match=r"label\.png is there already"):
        filled.media.label(1, tmp_path / "label.png", job=job)


@needs_dejavu
def test_a_job_is_for_the_image_of_that_medium_and_a_picture_of_its_label(
    filled: FileSet, tmp_path: Path
) -> None:
    filled.media.make(tmp_path / "disc.iso")
    other = tmp_path / "other.iso"
    other.write_bytes(b"other")
    for job, name, why in (
        (Job(other), "label.png", r"other\.iso is not the image of medium 1"),
        (Job(tmp_path / "disc.iso"), "label.pdf", r"does not print label\.pdf"),
        (Job(tmp_path / "disc.iso", folder="/Bürö/写"), "label.png", "rename the files"),
        (
            Job(tmp_path / "disc.iso", folder="/a\nCOPIES=9"),
            "label.png",
            r"takes no '\\n' in a path",
        ),
        (Job(tmp_path / "disc.iso"), "a\rLABEL=b.png", r"takes no '\\r' in a path"),
    ):
        with pytest.raises(RefusedError, match=why):
            filled.media.label(1, tmp_path / name, job=job)
        assert not (tmp_path / name).exists()


@needs_dejavu
@settings(deadline=None)
@given(
    name=st.text(PRINTED, max_size=80) | st.text(max_size=8), ending=st.sampled_from(["pdf", "png"])
)
def test_any_text_is_printed_or_refused_by_character(name: str, ending: str) -> None:
    told = Label(
        (name,),
        (name,),
        lambda n: f"{n}",
        name,
        "DICOM ONLY",
        "",
        name,
        "",
        ("1.2.3",),
        "",
        "1.2.3",
    )
    with Pen() as pen:
        page = arrange(told, "card", pen.width)
        try:
            refuse_lacking(pen, [line.text for line in page.lines])
        except RefusedError as exc:
            assert "can't show" in str(exc)  # noqa: PT017 - it may be raised, or not
            return
        if ending == "png":
            assert pen.picture(page, told.code).startswith(b"\x89PNG")
        else:
            created = datetime(2026, 3, 1, tzinfo=UTC)
            made = pen.pdf(page, told.code, title=name, created=created, language="en")
            assert made.startswith(b"%PDF")
