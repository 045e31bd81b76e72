"""The notebooks in `docs/notebooks` put out what they show, and the site has a page of each."""

from __future__ import annotations

import json
from importlib import import_module
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

ROOT = Path(__file__).parents[2]
NOTEBOOKS = sorted((ROOT / "docs/notebooks").glob("*.ipynb"))


@pytest.fixture
def tool(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    monkeypatch.syspath_prepend(ROOT / "docs/tools")
    for name in ("USER", "LOGNAME"):
        monkeypatch.setenv(name, "anna")
    return import_module("notebook")


def ids(path: Path) -> str:
    return path.stem


@pytest.mark.parametrize("path", NOTEBOOKS, ids=ids)
def test_a_notebook_puts_out_what_it_shows(path: Path, tool: ModuleType, tmp_path: Path) -> None:
    notebook = tool.read(path)
    for cell, outputs in zip(
        tool.code_cells(notebook), tool.run(notebook, tmp_path.resolve()), strict=True
    ):
        shown = tool.without_count(cell["outputs"])
        told = f"{''.join(cell['source'])}\nis not up to date: python docs/tools/notebook.py"
        assert tool.comparable(outputs) == tool.comparable(shown), told


@pytest.mark.parametrize("path", NOTEBOOKS, ids=ids)
def test_a_notebook_is_one_of_version_4_5(path: Path, tool: ModuleType) -> None:
    notebook: dict[str, Any] = json.loads(path.read_text("utf-8"))
    assert (notebook["nbformat"], notebook["nbformat_minor"]) == (4, 5)
    names = [cell["id"] for cell in notebook["cells"]]
    assert len(set(names)) == len(names)
    for cell in tool.code_cells(notebook):
        assert {"cell_type", "execution_count", "id", "metadata", "outputs", "source"} == {*cell}


def test_other_output_is_told_from_that_of_the_notebook(tool: ModuleType, tmp_path: Path) -> None:
    cell = {"cell_type": "code", "source": ["print('a')\n", "1 + 1"], "outputs": []}
    (outputs,) = tool.run({"cells": [cell]}, tmp_path)
    assert [each["output_type"] for each in outputs] == ["stream", "execute_result"]
    assert "2" in tool.comparable(outputs)
    assert tool.comparable(outputs) != tool.comparable([])


@pytest.mark.parametrize("path", NOTEBOOKS, ids=ids)
def test_the_page_of_a_notebook_has_its_code_and_its_output(path: Path, tool: ModuleType) -> None:
    notebook = tool.read(path)
    page = tool.page(notebook)
    assert page.startswith("# ")
    for cell in notebook["cells"]:
        assert "".join(cell["source"]) in page
        for output in cell.get("outputs", ()):
            html = output.get("data", {}).get("text/html")
            assert html is None or "".join(html) in page
    settings = (ROOT / "mkdocs.yml").read_text("utf-8")
    assert f"notebooks/{path.stem}.md" in settings
