"""The session `docs` notices a link that leads nowhere: the site is built with its arguments."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


def built(folder: Path, page: str) -> subprocess.CompletedProcess[str]:
    """Build a site of one page with the project's settings, as the session does."""
    (folder / "docs").mkdir()
    (folder / "docs/index.md").write_text(f"# A page\n\n{page}\n", "utf-8")
    settings = [
        f"INHERIT: {ROOT / 'mkdocs.yml'}",
        "docs_dir: docs",
        "hooks: []",
        "nav: [index.md]",
        "extra_css: []",
        "plugins: [mkdocstrings]",
    ]
    (folder / "mkdocs.yml").write_text("\n".join(settings), "utf-8")
    nox = [sys.executable, "-m", "nox", "--session", "docs", "--"]
    options = ["--config-file", folder / "mkdocs.yml", "--site-dir", folder / "site"]
    return subprocess.run(
        [*nox, *options], cwd=ROOT, capture_output=True, text=True, timeout=120, check=False
    )


def test_a_page_whose_links_lead_somewhere_is_built(tmp_path: Path) -> None:
    done = built(tmp_path, "[itself](index.md#a-page)")
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "site/index.html").is_file()


@pytest.mark.parametrize("link", ["[gone](gone.md)", "[gone](#gone)", "[gone][fileset.Gone]"])
def test_a_link_that_leads_nowhere_fails_the_session(tmp_path: Path, link: str) -> None:
    done = built(tmp_path, link)
    assert done.returncode != 0
    assert "one" in done.stdout + done.stderr
