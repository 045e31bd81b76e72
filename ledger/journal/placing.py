"""Whether the File IDs and paths that events name are below the root of the File-set.

They are held to what a DICOMDIR's are, since a journal may come from anywhere. What links do to
them shows on the medium only, and is looked at there.
"""

from __future__ import annotations

from collections.abc import Iterator

from ledger.events import Event, InstanceAdded, MediumAddressed, MediumFilled, WriteStarted
from ledger.names import clash_with_dicomdir


def misplaced(event: Event) -> str | None:
    """Return a path in `event` that files can't have below a root, in words; `None` if all can."""
    for path in _paths(event):
        if (wrong := outside(path)) is not None:
            return wrong
        if not {"", ".", ".."}.isdisjoint(path.split("/")):
            return f"the path {path!r}, which has more than names of folders and of a file"
        if (clash := clash_with_dicomdir(path)) is not None:
            return f"the path {path!r}, which {clash}"
    return None


def _paths(event: Event) -> Iterator[str]:
    if isinstance(event, InstanceAdded):
        if event.file_id is not None:
            yield event.file_id
    elif isinstance(event, WriteStarted):
        yield from event.file_ids().values()
        if event.staging is not None:
            yield event.staging
    elif isinstance(event, MediumAddressed | MediumFilled):
        yield from (file.path for file in event.files)


def outside(path: str) -> str | None:
    """Return what is wrong with a path that should lead from the root to below it."""
    if "\0" in path:
        return f"the path {path!r}, which no file can have"
    if path.startswith("/"):
        return f"the path {path!r}, which does not begin at the root of the File-set"
    depth = 0
    for name in path.split("/"):
        if name == "..":
            depth -= 1
        elif name not in ("", "."):
            depth += 1
        if depth < 0:
            break
    if depth < 1:
        return f"the path {path!r}, which leads out of the root of the File-set, or to the root"
    return None
