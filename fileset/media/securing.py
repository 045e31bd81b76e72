"""Taking into the vault what is about to be handed out and lies elsewhere.

So a medium is made from the vault alone, and can be made again for as long as there is a journal.
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from fileset.repository.contents import Contents, take_in
from fileset.repository.repository import Repository
from ledger.errors import ContentMissingError
from ledger.events import ContentRecorded, Handle, Placement
from ledger.phrases import count, some
from projections.state.nodes import Leaf


def secure(repository: Repository, handles: Iterable[Handle], *, reason: str | None = None) -> None:
    """Have the vault hold the content of the instances `handles`, which are all known.

    That is a change of its own, if there is anything to record. Raises `ContentMissingError` with
    the names of those whose bytes are nowhere, or not what was added: then nothing is changed.
    """
    contents = Contents(repository)
    lost: list[str] = []
    with repository.change(reason), repository.vault.batch() as batch:
        for leaf in map(repository.state.leaf, handles):
            if leaf.content is not None and leaf.content.digest in repository.vault:
                if leaf.placement is not Placement.VAULT and batch.has(leaf.content.digest):
                    repository.emit(ContentRecorded(leaf.handle, leaf.content, Placement.VAULT))
                continue
            path = _elsewhere(contents, leaf)
            try:
                content = None if path is None else take_in(path, batch)
            except OSError as exc:
                lost.append(f"{leaf.uid} ({path}: {exc.strerror})")
                continue
            if content is None:
                known = "the vault had it" if leaf.placement is Placement.VAULT else "on a medium"
                lost.append(f"{leaf.uid} ({known})")
            elif leaf.content not in (None, content):
                lost.append(f"{leaf.uid} (its file has changed: {path})")
            elif leaf.content is None or leaf.placement is not Placement.VAULT:
                repository.emit(ContentRecorded(leaf.handle, content, Placement.VAULT))
        if lost:
            raise ContentMissingError(
                f"The bytes of {count(len(lost), 'instance')} are not in the repository, and not "
                f"where they were: {some(lost)}. Nothing was made. Add their files again, bring "
                "the medium or the vault back, or choose other instances."
            )


def size_of(repository: Repository, handle: Handle) -> int:
    """Return how many bytes an instance has, 0 for one that was never read and is not there."""
    leaf = repository.state.leaf(handle)
    if leaf.content is not None:
        return leaf.content.size
    path = _elsewhere(Contents(repository), leaf)
    try:
        return 0 if path is None else path.stat().st_size
    except OSError:
        return 0


def _elsewhere(contents: Contents, leaf: Leaf) -> Path | None:
    """Return where the instance's bytes may be besides the vault."""
    path = contents.on_medium(leaf)
    if path is None and leaf.placement is Placement.REFERENCE and leaf.source is not None:
        path = Path(leaf.source)
    return path
