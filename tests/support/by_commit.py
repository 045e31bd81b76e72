"""A number for what tests choose by chance: one for each commit, so that a failure comes again."""

from __future__ import annotations

import subprocess
import zlib
from functools import cache
from pathlib import Path


@cache
def commit_number() -> int:
    """Return the number of the commit that is checked out, and always the same where none is."""
    head = subprocess.run(
        ["git", "rev-parse", "HEAD"],
        cwd=Path(__file__).parent, capture_output=True, check=False,
    )  # fmt: skip
    return zlib.crc32(head.stdout)
