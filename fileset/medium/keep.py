"""Storing in the vault what only the medium has, before a write changes or leaves it."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path

from fileset.medium.check import Names
from fileset.medium.errors import MediumError
from fileset.medium.paths import are_one
from fileset.repository.contents import take_in
from fileset.repository.named_roots import unnamed
from fileset.repository.repository import Repository
from ledger.errors import ContentMissingError
from ledger.events import Content, ContentRecorded, Placement, StrangerKept
from ledger.files import file_content
from ledger.names import one_name
from ledger.phrases import count, some
from projections.medium.plan import Plan
from projections.state.nodes import Leaf
from projections.state.state import FileSetState


def keep_dropped(repository: Repository, plan: Plan) -> None:
    """Put what a write takes off the medium into the vault, from where undo brings it back.

    What someone has put in the place of such a file is kept as well.
    """
    emit, root = repository.emit, Path(plan.root)
    named = {one_name(path): path for path in plan.files}
    with repository.vault.batch() as batch:
        for leaf in plan.dropped:
            path = root / (leaf.file_id or "")
            twin = named.get(one_name(leaf.file_id or ""))
            if twin is not None and are_one(str(path), str(root / twin), str(root)):
                continue  # the file of another instance answers to that name
            if not path.exists():
                continue
            if (
                leaf.placement is Placement.VAULT
                and leaf.content is not None
                and batch.has(leaf.content.digest)  # whole: this may be the last good copy
                and file_content(path) == leaf.content
            ):
                continue
            content = take_in(path, batch)
            if leaf.content == content and leaf.placement is Placement.VAULT:
                continue  # the vault had lost it, or never had it
            if leaf.content in (None, content):
                emit(ContentRecorded(leaf.handle, content, Placement.VAULT))
            else:
                emit(StrangerKept(leaf.handle, content))
                warnings.warn(
                    f"{path} has changed since it was added: as it is, {content.size:,} bytes, "
                    f"it was kept in the vault under its digest {content.digest}",
                    stacklevel=3,
                )


def record_unread(repository: Repository, plan: Plan) -> None:
    """Record the content of adopted files that were never read, before they move.

    They are known by their digests should the write be interrupted.
    """
    names = Names(Path(plan.root), (leaf.file_id or "" for leaf in plan.files.values()))
    for leaf in plan.placed:
        if leaf.content is not None:
            continue
        if leaf.file_id is None:
            raise ContentMissingError(f"The instance {leaf.uid} was lost before it was read")
        path = Path(plan.root, leaf.file_id)
        if names.is_others(leaf.file_id):
            raise MediumError(
                f"{path} is the file of another instance, whose File ID is the same name there: "
                f"add the file of the instance {leaf.uid} again, or remove that instance."
            )
        try:
            content = file_content(path)
        except FileNotFoundError as exc:
            raise MediumError(
                f"{path} is missing: put it back, or remove the instance {leaf.uid} from "
                "the File-set."
            ) from exc
        repository.emit(ContentRecorded(leaf.handle, content, leaf.placement))


def keep_medium(repository: Repository, state: FileSetState) -> None:
    """Put what only the medium has, whole, into the vault.

    `ContentMissingError` if some instance's bytes are neither there nor anywhere else.
    """
    with repository.vault.batch() as batch:

        def kept(path: Path) -> Content:
            return take_in(path, batch)

        for leaf, content in _only_there(repository, state, kept):
            if leaf.placement is not Placement.VAULT:
                repository.emit(ContentRecorded(leaf.handle, content, Placement.VAULT))


def refuse_lost(repository: Repository, state: FileSetState) -> None:
    """Raise what `keep_medium` would."""
    for _ in _only_there(repository, state, file_content):
        pass


def _only_there(
    repository: Repository, state: FileSetState, read: Callable[[Path], Content]
) -> Iterator[tuple[Leaf, Content]]:
    """Yield the instances that only the medium has, with what their files hold as they are `read`.

    In the end, `ContentMissingError` if some are nowhere, and a warning if some that were removed
    are: no undo brings those back.
    """
    lost: list[str] = []
    lost_removals: list[str] = []
    root = state.written.root if state.written is not None else ""
    is_known = repository.roots.knows(root)
    for leaf in (*state.live.values(), *state.removals.values()):
        if _is_elsewhere(repository, leaf):
            continue
        is_there = is_known and leaf.file_id is not None
        path = Path(root, leaf.file_id or "") if is_there else None
        content = None
        if path is not None:
            with suppress(OSError):
                content = read(path)
        if content is not None and leaf.content in (None, content):
            yield leaf, content
        else:
            where = path or leaf.source or "in the vault"
            (lost if leaf.is_live else lost_removals).append(f"{leaf.uid} ({where})")
    if lost_removals:
        warnings.warn(
            f"The bytes of {count(len(lost_removals), 'instance')} that an undo would bring back "
            f"can't be kept, since they can't be read as they were: {some(lost_removals)}",
            stacklevel=4,
        )
    if lost:
        whose = f"The bytes of {count(len(lost), 'instance')}"
        if not is_known:
            raise ContentMissingError(
                f"{whose} are not in the repository, and the medium was not looked at: "
                f"{some(lost)}. "
                f"{unnamed(root)}"
            )
        raise ContentMissingError(
            f"{whose} are neither in the repository nor on the "
            f"medium at {root}: {some(lost)}. Add their files again, remove the instances, or "
            "bring the medium back."
        )


def _is_elsewhere(repository: Repository, leaf: Leaf) -> bool:
    """Whether the instance's bytes, whole, need not be taken in from the medium."""
    content = leaf.content
    if content is None or leaf.placement is Placement.ROOT:
        return False
    if leaf.placement is Placement.VAULT or leaf.source is None:
        return repository.vault.is_sound(content.digest)
    try:
        return file_content(leaf.source) == content
    except OSError:
        return False
