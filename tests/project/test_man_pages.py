"""The manual pages: one for each command, which the programs that show them take without a word."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest
from cli_runs import every_command

from fileset.cli.man_pages import write_pages


@pytest.fixture(scope="module")
def pages(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    """The paths of all pages."""
    return write_pages(tmp_path_factory.mktemp("man"), "2026-11-30")


def test_every_command_has_a_page_with_its_options_and_examples(pages: list[Path]) -> None:
    words = {"fileset", "fileset-media", "fileset-audit"}
    words |= {f"fileset-{'-'.join(each.split())}" for each in every_command()}
    assert {page.stem for page in pages} == words
    page = next(page for page in pages if page.stem == "fileset-add").read_text("utf-8")
    for part in ("fileset\\-add \\- Stage instances to be added", "\\-\\-ignore", ".SH EXAMPLES"):
        assert part in page
    assert all(page.read_text("utf-8").isascii() for page in pages)


def test_the_pages_are_well_formed(pages: list[Path]) -> None:
    if shutil.which("mandoc") is None:
        pytest.skip("mandoc is not installed")
    done = subprocess.run(
        ["mandoc", "-T", "lint", *map(str, pages)], capture_output=True, text=True, check=False
    )
    assert done.stdout + done.stderr == ""


def test_groff_shows_the_pages(pages: list[Path]) -> None:
    if shutil.which("groff") is None:
        pytest.skip("groff is not installed")
    command = ["groff", "-man", "-wall", "-Tascii", "-P-c", str(pages[0])]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert done.stderr == ""
    assert "shows long answers" in " ".join(done.stdout.split())
