"""The default actor and origin of changes."""

from __future__ import annotations

import getpass
import os
import platform
import sys
from pathlib import Path
from typing import Final

WATCHED: Final = "watch:"
"""How the origin of changes begins that a watched folder brought; its name follows."""


def default_actor() -> str:
    """Return who is changing things: the login name, or the number of a user without one."""
    try:
        return getpass.getuser()
    except (KeyError, OSError):
        return f"uid {os.getuid()}"


def is_arrival(origin: str) -> bool:
    """Whether changes from there came by themselves, and nobody made them by hand."""
    return origin.startswith(WATCHED)


def default_origin() -> str:
    """Return where changes come from: the program and the host."""
    return f"{Path(sys.argv[0]).name or 'python'}@{platform.node()}"
