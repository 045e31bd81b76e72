"""The table of packages and modules in `docs/architecture.md`, made from their docstrings.

`python docs/tools/tree.py` renews it.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).parents[2]
PAGE = ROOT / "docs/architecture.md"
PLACE = re.compile(r"(?<=<!-- tree -->\n).*(?=<!-- end of tree -->)", re.DOTALL)


def purpose(module: Path) -> str:
    """Return the first line of a module's docstring, as the text of a table's cell."""
    docstring = ast.get_docstring(ast.parse(module.read_text("utf-8"))) or ""
    return docstring.partition("\n")[0].replace("|", "\\|")


def rows(package: Path) -> Iterator[str]:
    """Yield a row for the package, its modules, and each package within it."""
    name = package.relative_to(ROOT).as_posix()
    yield f"| **`{name}/`** | **{purpose(package / '__init__.py')}** |"
    for module in sorted(package.glob("*.py")):
        if module.name != "__init__.py":
            yield f"| `{module.stem}` | {purpose(module)} |"
    for inner in sorted(package.glob("*/__init__.py")):
        yield from rows(inner.parent)


def tree() -> str:
    """Return the table of each of the three packages."""
    tables = [
        "\n".join([f"\n### {name}\n", "| module | purpose |", "|---|---|", *rows(ROOT / name), ""])
        for name in ("fileset", "projections", "ledger")
    ]
    return "".join(tables) + "\n"


def renewed(page: str) -> str:
    return PLACE.sub(lambda _: tree(), page)


if __name__ == "__main__":
    PAGE.write_text(renewed(PAGE.read_text("utf-8")), "utf-8")
