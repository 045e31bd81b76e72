"""The benchmarks run, at sizes too small to tell anything but that."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

PROJECT = Path(__file__).parents[2]
PAGE = PROJECT / "docs" / "benchmarks.md"


def benchmarks(*arguments: object) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "benchmarks", *map(str, arguments)],
        cwd=PROJECT,
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Measure a row of each kind, and return the file with the results."""
    results = tmp_path_factory.mktemp("run") / "run.json"
    rows = ("add", "index", "journal", "change-id", "load", "growth-load", "remove-more")
    done = benchmarks(
        "--quick", "--adds", 8, "--instances", 20, "--growth", "10,20", "--more", 20,
        "--json", results, "--work", results.parent,
        *(option for row in rows for option in ("--rows", row)),
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert set(results.parent.iterdir()) == {results}
    return results


def test_every_row_that_was_asked_for_is_measured(run: Path) -> None:
    results = json.loads(run.read_text("utf-8"))["results"]

    assert len(results) == 7
    for result in results:
        # At such sizes an exponent may be anything.
        assert result["ours"]["value"] > 0 or "growth" in result["name"], result
        assert result["peer"] is not None or result["name"] in {"journal", "growth-load", "index"}


def test_a_run_is_shown_on_a_page_between_its_markers(run: Path, tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    shutil.copy(PAGE, page)

    for _ in range(2):
        assert benchmarks("--from", run, "--page", page).returncode == 0

    before, _, rest = PAGE.read_text("utf-8").partition("<!-- begin of the run -->")
    shown = page.read_text("utf-8")
    assert shown.startswith(before)
    assert shown.endswith(rest.partition("<!-- end of the run -->")[2])
    assert shown.count("load a DICOMDIR of 20 records") == 1


def test_the_page_shows_every_row() -> None:
    listed = benchmarks("--list").stdout.splitlines()
    names = [line.split()[0] for line in listed]

    assert len(names) > 15
    for name in names:
        assert f"- **{name}**" in PAGE.read_text("utf-8") or name == "million"


def test_where_the_time_goes_is_shown_and_adds_up() -> None:
    done = benchmarks("--stages", "--instances", "20")
    assert done.returncode == 0, done.stderr
    for told in ("add 20, durable", "write 20, durable", "scan them", "the limit", "all else"):
        assert told in done.stdout
