"""Pages of a medium: what they say, what they link to, and how institutions change them."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from xml.etree import ElementTree as ET

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydicom.data import get_testdata_file

from fileset import FileSet
from fileset.errors import RefusedError
from fileset.media.pdi.pages import About, date_text, pages
from fileset.media.words import LANGUAGES
from projections.medium.images.tree import CivilTime
from projections.state.contents import Contents, Patient, Series, Study, contents_of

ABOUT = About(
    CivilTime(2026, 3, 1), "fileset-ledger 1.0", "DISC_7", institution="Klinik Süd & Söhne",
    contact="+49 1", volume=2, volumes=3,
)  # fmt: skip
EIGHT_THREE = re.compile(r"[A-Z0-9_]{1,8}(\.[A-Z0-9_]{1,3})?")
XHTML = "{http://www.w3.org/1999/xhtml}"


def no_preview(_: object) -> None:
    return None


def made(
    contents: Contents, language: str = "en", preview: Callable[..., bytes | None] = no_preview,
    about: About = ABOUT,
) -> dict[str, bytes]:  # fmt: skip
    return dict(pages(contents, about, LANGUAGES[language], preview))


def parsed(page: bytes) -> ET.Element:
    return ET.fromstring(page.decode())  # noqa: S314 - we have just made it


def text_of(page: bytes) -> str:
    return " ".join(" ".join(parsed(page).itertext()).split())


def person(name: str = "Doe^Jane", id_: str = "1", description: str = "Knee") -> Contents:
    """Return a File-set of one patient, study and series, without its instances."""
    series = Series("MR", "3", "T1", [None, None])  # type: ignore[list-item] - they are counted
    study = Study("20260203", description, "A7", [series])
    return Contents([Patient(name, id_, "19700102", "F", [study])])


@pytest.fixture(scope="module")
def real() -> Contents:
    with FileSet(get_testdata_file("DICOMDIR")) as fs:
        return contents_of(fs.repository.state.hierarchy.walk_leaves())


def test_every_patient_study_and_instance_of_a_real_file_set_is_told(real: Contents) -> None:
    found = made(real)
    index = text_of(found["INDEX.HTM"])
    assert "Doe, Archibald" in index
    assert "Doe, Peter" in index
    counts = [
        int(row[-1].text or 0)
        for row in parsed(found["INDEX.HTM"]).iter(f"{XHTML}tr")
        if row[-1].tag == f"{XHTML}td"
    ]
    assert (len(counts), sum(counts)) == (6, 31)
    assert b"31" in found["README.TXT"]


@pytest.mark.parametrize("language", LANGUAGES)
def test_names_are_those_of_the_profile_and_all_links_lead_somewhere(
    real: Contents, language: str
) -> None:
    found = made(real, language, lambda leaf: b"JPEG")
    assert sum(path.endswith(".JPG") for path in found) == sum(
        len(study.series) for patient in real.patients for study in patient.studies
    )
    for path, data in found.items():
        assert all(EIGHT_THREE.fullmatch(part) for part in path.split("/"))
        assert path in {"README.TXT", "INDEX.HTM"} or path.startswith("IHE_PDI/")
        if path.endswith(".HTM"):
            page = parsed(data)
            assert page.tag == f"{XHTML}html"
            links = [a.get("href") for a in page.iter(f"{XHTML}a")]
            links += [img.get("src") for img in page.iter(f"{XHTML}img")]
            assert links
            for link in links:
                assert ((Path("/") / path).parent / (link or "")).resolve().as_posix()[1:] in found


def test_the_page_of_a_study_tells_whose_it_is_and_why_there_is_no_picture() -> None:
    told = text_of(made(person())["IHE_PDI/ST000001.HTM"])
    assert "2026-02-03 Knee" in told
    assert "Doe, Jane Patient ID: 1, Date of birth: 1970-01-02, Sex: female" in told
    assert "no preview" in told
    assert "not for diagnosis" in told


def test_german_pages_are_german() -> None:
    told = text_of(made(person(), "de")["IHE_PDI/ST000001.HTM"])
    assert "03.02.2026 Knee" in told
    assert "Geschlecht: weiblich" in told
    readme = made(person(), "de")["README.TXT"].decode("ascii")
    assert "Oeffnen Sie dazu" in readme
    assert "Einrichtung: Klinik Sued & Soehne" in readme


def test_readme_is_ascii_with_lines_that_every_system_can_read() -> None:
    readme = made(person("Yamada^Tarou=山田^太郎", "ü-7"))["README.TXT"]
    assert readme.isascii()
    assert readme.count(b"\n") == readme.count(b"\r\n") > 5
    assert b"Patient: Yamada, Tarou (ue-7)" in readme
    assert b"Volume 2 of 3" in readme


@pytest.mark.parametrize(
    ("name", "shown"),
    [
        ("Doe^Jane", "Doe, Jane"),
        ("Doe^Jane^M^Dr^MD", "Doe, Dr Jane M, MD"),
        ("Doe", "Doe"),
        ("^Jane", "Jane"),
        ("", "(no name)"),
        ("Yamada^Tarou=山田^太郎=やまだ^たろう", "Yamada, Tarou (山田, 太郎, やまだ, たろう)"),
        ("=山田", "山田"),
    ],
)
def test_names_are_as_people_write_them(name: str, shown: str) -> None:
    assert f"{shown} Patient ID" in text_of(made(person(name))["INDEX.HTM"])


@given(text=st.text(st.characters(exclude_categories=["Cs", "Cc", "Cn"])))
def test_no_value_breaks_a_page(text: str) -> None:
    found = made(person(text, text, text))
    for path in ("INDEX.HTM", "IHE_PDI/ST000001.HTM"):
        page = parsed(found[path])
        assert not list(page.iter(f"{XHTML}script"))
    told = "".join(parsed(found["INDEX.HTM"]).itertext())
    assert text in told


@given(text=st.text(st.characters(categories=["Cc", "Cs"]), min_size=1))
def test_what_xml_does_not_allow_is_replaced(text: str) -> None:
    found = made(person(text, "1", text))
    for path in ("INDEX.HTM", "IHE_PDI/ST000001.HTM"):
        parsed(found[path])


def test_an_institution_replaces_templates_one_by_one(tmp_path: Path) -> None:
    (tmp_path / "README.TXT").write_text("Ask $about\nPrice: $$5\n")
    about = About(CivilTime(2026, 3, 1), "x", contact="us", templates=tmp_path)
    found = made(person(), about=about)
    assert found["README.TXT"].startswith(b"Ask Contact: us\r\n")
    assert b"Price: $5" in found["README.TXT"]
    assert found["INDEX.HTM"] == made(
        person(), about=About(CivilTime(2026, 3, 1), "x", contact="us")
    )["INDEX.HTM"]  # fmt: skip


@pytest.mark.parametrize(
    ("name", "text", "why"),
    [
        ("README.TXT", b"$patients", r"it has no value for \$patients"),
        ("INDEX.HTM", b"costs 5$ or so", "Invalid placeholder"),
        ("STUDY.HTM", "Größe".encode("latin-1"), "it is not UTF-8"),
    ],
)
def test_a_template_that_can_t_be_used_is_named(
    name: str, text: bytes, why: str, tmp_path: Path
) -> None:
    (tmp_path / name).write_bytes(text)
    about = About(CivilTime(2026, 3, 1), "x", templates=tmp_path)
    with pytest.raises(RefusedError, match=f"{name} can't be used as a template: {why}"):
        made(person(), about=about)


def test_a_date_of_the_old_standard_is_shown_as_the_others_are() -> None:
    words = LANGUAGES["en"]
    assert date_text("1997.04.24", words) == date_text("19970424", words) == "1997-04-24"
    assert date_text("1997.04", words) == "1997.04"
