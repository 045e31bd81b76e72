"""A folder on a disk that takes names for one which differ in case and the like, as FAT does.

The system calls are given the name that the folder has, if one is there that some medium takes for
the name asked for.
"""

from __future__ import annotations

import builtins
import io
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from ledger.names import one_name

_ONE = (
    "stat",
    "lstat",
    "open",
    "unlink",
    "mkdir",
    "rmdir",
    "scandir",
    "listdir",
    "access",
    "chmod",
)
_TWO = ("rename", "replace", "link")


@contextmanager
def folding(root: Path) -> Iterator[None]:
    """Have names below `root` be one that some medium takes for one, in the block."""
    top, listdir = f"{root}/", os.listdir

    def spelt(path: Any) -> Any:
        if isinstance(path, int) or not os.fspath(path or "").startswith(top):
            return path
        found = str(root)
        for name in os.fspath(path)[len(top) :].split("/"):
            try:
                names = listdir(found)
            except OSError:
                names = []
            same = [each for each in names if one_name(each) == one_name(name)]
            found += "/" + (name if name in names or not same else same[0])
        return found

    def one(true: Callable[..., Any]) -> Callable[..., Any]:
        return lambda path=".", *args, **kwargs: true(spelt(path), *args, **kwargs)

    def two(true: Callable[..., Any]) -> Callable[..., Any]:
        return lambda a, b, **kwargs: true(spelt(a), spelt(b), **kwargs)

    with pytest.MonkeyPatch.context() as patch:
        for name in _ONE:
            patch.setattr(os, name, one(getattr(os, name)))
        for name in _TWO:
            patch.setattr(os, name, two(getattr(os, name)))
        opened = one(builtins.open)
        patch.setattr(builtins, "open", opened)
        patch.setattr(io, "open", opened)
        yield
