"""How long the soak tests of this run may take: `FILESET_SOAK_MINUTES`, or without an end."""

from __future__ import annotations

import math
import os
import time

SOAK_MINUTES = float(os.environ.get("FILESET_SOAK_MINUTES", math.inf))
"""For so long a soak test can begin, and long ones go on. In each run others come first."""

_BEGUN = time.monotonic()


def is_over() -> bool:
    """Whether no time is left."""
    return time.monotonic() - _BEGUN > 60 * SOAK_MINUTES
