"""`fileset media label`: the label of a medium, and what is said of it."""

from __future__ import annotations

from pathlib import Path

import pytest
from cli_runs import CT, Cli, every_command
from persons import file

from fileset.cli.command import COMMON

pytest.importorskip("fpdf", reason="needs the extra [media]")
pytest.importorskip("segno", reason="needs the extra [media]")
pytest.importorskip("uharfbuzz", reason="needs the extra [media]")


@pytest.fixture
def made(filled: Cli, tmp_path: Path) -> Cli:
    """A disc with two patients."""
    filled("media", "make", tmp_path / "disc.iso", "--label", "Second look")
    return filled


def test_a_label_is_made_and_its_text_told(made: Cli, tmp_path: Path) -> None:
    label = tmp_path / "label.pdf"
    assert made("media", "label", 1, label).out == f"Medium 1: {label}\n"
    assert label.read_bytes().startswith(b"%PDF")
    told = made.json("media", "label", 1, label, "--replace", "--form", "card", "--language", "de")
    assert set(told) == {*every_command()["media label"].shape, *COMMON}
    assert told["files"] == [str(label)]
    assert told["kind"] == "DICOM ONLY"
    assert "und 1 weiterer Patient" in told["text"]
    assert "Second look" in told["text"]
    assert all(font.endswith((".ttf", "Helvetica")) for font in told["fonts"])
    medium = told["medium"]
    assert told["code"] == f"{medium['uid']}\n{medium['digest']}"


def test_what_the_font_lacks_is_a_warning(cli: Cli, tmp_path: Path) -> None:
    cli("add", file(tmp_path, 1, PatientName="Yamada^Tarou=山田^太郎"))
    cli("media", "make", tmp_path / "disc.iso")
    err = cli("media", "label", 1, tmp_path / "label.pdf").err
    assert "can't show 山田^太郎, which is left out of the name: give --font FILE" in err


@pytest.mark.parametrize(
    ("arguments", "code", "why"),
    [
        (("1", "label.pdf", "--job", "epson"), 2, "--job and --image go together"),
        (("1", "label.pdf", "--font", CT), 3, "can't be used as a font"),
        (("2", "label.pdf"), 3, "There is no medium 2"),
        (("1", "label.txt"), 2, "label.txt is no name of a label: end it in .pdf or .png."),
        (("1", "-"), 2, "is no name of a label"),
        (("1", "nowhere/label.pdf"), 3, "There is no folder"),
    ],
)
def test_what_can_not_be_done_is_one_sentence(
    made: Cli, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, arguments: tuple[str, ...],
    code: int, why: str,
) -> None:  # fmt: skip
    monkeypatch.chdir(tmp_path)
    assert why in made("media", "label", *arguments, code=code).err
    assert not (tmp_path / "label.pdf").exists()
