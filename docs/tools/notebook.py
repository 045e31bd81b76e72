"""Notebooks without Jupyter: running their cells, and making a page of the site of each.

`python docs/tools/notebook.py` runs all notebooks and puts the outputs into them.
"""

from __future__ import annotations

import ast
import contextlib
import io
import json
import os
import re
import sys
import tempfile
from pathlib import Path
from typing import Any

FOLDER = Path(__file__).parents[1] / "notebooks"
HOME = "/home/anna"
"""What is shown in place of the folder in which a notebook is run."""

VARYING = (
    (re.compile(r"\b\d{4}-\d\d-\d\d[T ]\d\d:\d\d:\d\d(\.\d+)?Z?"), "TIME"),
    (re.compile(r"\b(?=\w*\d)[0-9a-f]{12}\b"), "CHANGE"),
    (re.compile(r"\b1\.2\.826\.0\.1\.3680043\.8\.498\.\d+\b"), "UID"),
)
"""What differs from run to run: times, the ids of changes, and new UIDs of pydicom's."""


def read(path: Path) -> dict[str, Any]:
    return dict(json.loads(path.read_text("utf-8")))


def run(notebook: dict[str, Any], folder: Path) -> list[list[dict[str, Any]]]:
    """Run the cells of code in `folder`, in their order, and return what each of them puts out."""
    namespace: dict[str, Any] = {"__name__": "__main__"}
    with contextlib.chdir(folder):
        found = [_put_out("".join(cell["source"]), namespace) for cell in code_cells(notebook)]
    return json.loads(json.dumps(found).replace(os.fspath(folder), HOME))  # type: ignore[no-any-return]


def code_cells(notebook: dict[str, Any]) -> list[dict[str, Any]]:
    return [cell for cell in notebook["cells"] if cell["cell_type"] == "code"]


def _put_out(source: str, namespace: dict[str, Any]) -> list[dict[str, Any]]:
    tree = ast.parse(source)
    last = tree.body.pop() if tree.body and isinstance(tree.body[-1], ast.Expr) else None
    value, error = None, []
    with contextlib.redirect_stdout(io.StringIO()) as printed:
        try:
            exec(compile(tree, "<cell>", "exec"), namespace)  # noqa: S102 - what notebooks are for
            if isinstance(last, ast.Expr):
                value = eval(compile(ast.Expression(last.value), "<cell>", "eval"), namespace)  # noqa: S307 - as above
        except Exception as exc:  # noqa: BLE001 - shown, and compared like all else
            name = type(exc).__name__
            told = {"ename": name, "evalue": str(exc), "traceback": [f"{name}: {exc}"]}
            error = [{"output_type": "error", **told}]
    stream = {"output_type": "stream", "name": "stdout", "text": _lines(printed.getvalue())}
    result = {"output_type": "execute_result", "metadata": {}, "data": _data(value)}
    shown = [stream] if stream["text"] else []
    return [*shown, *([result] if value is not None else []), *error]


def _data(value: Any) -> dict[str, list[str]]:
    data = {"text/plain": _lines(repr(value))}
    if hasattr(value, "_repr_html_"):
        data["text/html"] = _lines(value._repr_html_())
    return data


def _lines(text: str) -> list[str]:
    return text.splitlines(keepends=True)


def comparable(outputs: object) -> str:
    """Return outputs as text that is the same in each run."""
    text = json.dumps(outputs, indent=1, sort_keys=True)
    for pattern, name in VARYING:
        text = pattern.sub(name, text)
    return text


def without_count(outputs: list[dict[str, Any]]) -> list[dict[str, Any]]:
    return [{k: v for k, v in each.items() if k != "execution_count"} for each in outputs]


def page(notebook: dict[str, Any]) -> str:
    """Return a notebook as Markdown, with the outputs that it holds."""
    parts = []
    for cell in notebook["cells"]:
        source = "".join(cell["source"])
        if cell["cell_type"] == "markdown":
            parts.append(source)
            continue
        parts.append(f"```python\n{source}\n```")
        for output in cell["outputs"]:
            data = output.get("data", {})
            text = output.get("text") or output.get("traceback") or data.get("text/plain")
            html = data.get("text/html")
            parts.append("".join(html) if html else f"```text\n{''.join(text).rstrip()}\n```")
    return "\n\n".join(parts) + "\n"


def renew(path: Path) -> None:
    """Run the notebook at `path` and write what it puts out into it."""
    notebook = read(path)
    with tempfile.TemporaryDirectory() as folder:
        found = run(notebook, Path(folder).resolve())
    for number, (cell, outputs) in enumerate(zip(code_cells(notebook), found, strict=True), 1):
        for output in outputs:
            if output["output_type"] == "execute_result":
                output["execution_count"] = number
        cell.update(execution_count=number, outputs=outputs)
    path.write_text(json.dumps(notebook, indent=1, ensure_ascii=False) + "\n", "utf-8")


if __name__ == "__main__":
    os.environ.update(USER="anna", LOGNAME="anna")
    sys.path.insert(0, os.fspath(FOLDER.parents[1]))
    for path in sorted(FOLDER.glob("*.ipynb")):
        renew(path)
