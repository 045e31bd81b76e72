"""Text: numbers and lists in the sentences that people read, and what a database takes."""

from __future__ import annotations

import shlex
import sys
from collections.abc import Sequence


def count(number: int, noun: str) -> str:
    """Return `number` and `noun`, which takes an s in the plural."""
    return f"{number:,} {noun}" if number == 1 else f"{number:,} {noun}s"


def some(items: Sequence[str], limit: int = 5) -> str:
    """Return the first `limit` of `items`, and how many more there are."""
    more = f" and {len(items) - limit:,} more" if len(items) > limit else ""
    return ", ".join(items[:limit]) + more


def needs(what: str, packages: str, extra: str) -> str:
    """Return the sentence for `what` needs packages that are not there: those of an extra."""
    return (
        f"{what} the extra [{extra}] ({packages}): in the folder of fileset-ledger, "
        f"`{own_pip()} install '.[{extra}]'` installs it."
    )


def own_pip() -> str:
    """Return the command that is the pip of this Python, whether or not a shell would find it."""
    return f"{shlex.quote(sys.executable or 'python')} -m pip"


def storable(text: str) -> str:
    """Return text that a database takes: bytes of an argument that are no text as `\\udcXX`."""
    return text.encode("utf-8", "backslashreplace").decode("utf-8")
