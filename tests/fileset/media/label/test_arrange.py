"""Labels are arranged so that all that is on them can be read, whatever the names are."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fileset.media.label.arrange import HOLES, Line, Page, arrange
from fileset.media.label.make import FORMS
from fileset.media.label.text import Label

POINT = 25.4 / 72
VARIANTS = [
    *((form, hole) for form in FORMS if form == "disc" for hole in HOLES),
    ("card", 46),
    ("sheet", 46),
]


def width(text: str, size: float) -> float:
    """Every character half as wide as it is high."""
    return len(text) * size * POINT / 2


def label(**changed: object) -> Label:
    given: dict[str, object] = {
        "patient": ("Doe, Jane", "Patient ID: 1", "Date of birth: 1970-03-12"),
        "studies": ("2026-02-01  CT  Head",),
        "others": lambda number: f"and {number} others",
        "institution": "Clinic",
        "kind": "DICOM ONLY",
        "volume": "",
        "note": "",
        "recipient": "",
        "facts": ("Medium 1", "ID, 1.2.3", "sha256:0123"),
        "hint": "Open it.",
        "code": "1.2.3",
    }
    return Label(**{**given, **changed})  # type: ignore[arg-type] - fields by name


def box(line: Line) -> tuple[float, float, float, float]:
    wide = width(line.text, line.size)
    left = line.x - wide / 2 if line.centred else line.x
    return left, line.y, left + wide, line.y + line.size * POINT * 1.2


def outside(page: Page) -> list[Line]:
    """Return the lines that are not wholly where they can be printed."""
    found = []
    for line in page.lines:
        left, top, right, bottom = box(line)
        corners = [(x, y) for x in (left, right) for y in (top, bottom)]
        if page.circles:
            outer, hole = page.circles
            distances = [math.dist(corner, (60, 60)) for corner in corners]
            nearest = math.hypot(max(left - 60, 60 - right, 0), max(top - 60, 60 - bottom, 0))
            fits = max(distances) <= outer - 1.9 and nearest >= hole
        else:
            fits = left >= 0 and right <= page.width and top >= 0 and bottom <= page.height
        if not fits:
            found.append(line)
    return found


def overlapping(page: Page) -> list[tuple[Line, Line]]:
    boxes = [(line, box(line)) for line in page.lines]
    return [
        (one, other)
        for number, (one, a) in enumerate(boxes)
        for other, b in boxes[number + 1 :]
        if a[0] < b[2] - 0.01 and b[0] < a[2] - 0.01 and a[1] < b[3] - 0.01 and b[1] < a[3] - 0.01
    ]


def texts(page: Page) -> str:
    return "\n".join(line.text for line in page.lines)


@pytest.mark.parametrize(("form", "hole"), VARIANTS)
def test_a_label_has_all_that_it_says(form: str, hole: int) -> None:
    page = arrange(label(volume="Volume 1 of 2", note="second opinion"), form, width, hole)
    for text in ("Doe, Jane", "Head", "Clinic", "DICOM ONLY", "1 of 2", "second opinion", "sha256"):
        assert text in texts(page)


@pytest.mark.parametrize(("form", "hole"), VARIANTS)
@given(
    name=st.text("abcdefgh ,-", max_size=200), institution=st.text("XYZ ", max_size=80),
    studies=st.lists(st.text("mnopq ", max_size=80), max_size=15),
    note=st.text("uvw ", max_size=300), volume=st.sampled_from(["", "Datenträger 10 von 12"]),
)  # fmt: skip
def test_nothing_is_printed_off_the_label_or_over_something_else(
    form: str, hole: int, name: str, institution: str, studies: list[str], note: str, volume: str
) -> None:
    told = label(
        patient=(name, "Patient ID: " + "1" * 64), studies=tuple(studies), note=note,
        institution=institution, volume=volume,
    )  # fmt: skip
    page = arrange(told, form, width, hole)
    assert not outside(page)
    assert not overlapping(page)


@pytest.mark.parametrize(("form", "hole"), VARIANTS)
@given(st.lists(st.text("abcdefghi", min_size=1, max_size=31), min_size=1, max_size=6))
def test_a_name_of_64_characters_is_never_cut(form: str, hole: int, words: list[str]) -> None:
    name = " ".join(words)[:64].strip()
    page = arrange(label(patient=(name,)), form, width, hole)
    assert name.replace(" ", "") in texts(page).replace("\n", "").replace(" ", "")


def test_a_long_name_shrinks_a_little_and_is_then_broken_at_a_blank() -> None:
    def name_on(name: str) -> list[Line]:
        page = arrange(label(patient=(name,)), "card", width)
        return [line for line in page.lines if line.text in name]

    (short,) = name_on("Doe, Jane")
    (longer,) = name_on("Doe, Jane Elizabeth Marie-Anne 12")
    assert 0.75 * short.size <= longer.size < short.size
    first, second = name_on("Doe-Vanderbilt, Jane Elizabeth Marie-Antoinette Josephine")
    assert first.size == second.size
    assert first.text.endswith(("Elizabeth", "Jane"))


def test_studies_that_find_no_room_are_counted() -> None:
    studies = tuple(f"2026-02-01  CT  Study number {number}" for number in range(60))
    page = arrange(label(studies=studies), "disc", width)
    shown = [line.text for line in page.lines if "Study number" in line.text]
    assert 3 <= len(shown) < 60
    assert f"and {60 - len(shown)} others" in texts(page)
    assert "sha256" in texts(page)


@pytest.mark.parametrize(("form", "hole"), VARIANTS)
def test_the_code_is_free_of_text_and_within_the_label(form: str, hole: int) -> None:
    page = arrange(label(volume="Volume 1 of 2", note="n" * 100), form, width, hole)
    code = page.code
    for line in page.lines:
        left, top, right, bottom = box(line)
        is_beside = right <= code.x or left >= code.x + code.side
        assert is_beside or bottom <= code.y + 0.01 or top >= code.y + code.side - 0.01
    if page.circles:
        far = math.dist((code.x + code.side, code.y), (60, 60))
        assert far <= 58
        assert code.x - 60 >= hole / 2


def test_text_is_one_line_without_what_can_not_be_seen() -> None:
    told = label(patient=("Doe\u202e,\r\nJane\x00\ufeff",), note="نی\u200cمن")
    assert told.patient == ("Doe, Jane",)
    assert told.note == "نی\u200cمن"
