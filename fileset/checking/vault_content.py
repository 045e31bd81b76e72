"""Checking content: whether the vault, or the file that was added by reference, still has it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from functools import partial
from pathlib import Path
from typing import Final

from fileset.adding.whole import instance_in, sound_instance
from fileset.checking.findings import RepositoryFinding, RepositoryFindingKind
from fileset.checking.stored_instance import compare_instance
from ledger.digest import Digest
from ledger.events import Placement
from ledger.files import file_content
from ledger.vault.protocol import Vault
from projections.state.nodes import Leaf
from projections.state.state import FileSetState

_ADD: Final = ". To store it again, it is enough to add its file again."


def verify_content(vault: Vault, state: FileSetState | None) -> Iterator[RepositoryFinding]:
    """Yield what is wrong with the content in `vault` and of the instances of `state`."""
    damages = list(vault.verify())
    owners = _owners(state, {damage.digest for damage in damages if damage.digest}) if state else {}
    for damage in damages:
        leaf = owners.get(damage.digest) if damage.digest else None
        is_needed = leaf is not None and leaf.placement is Placement.VAULT
        if damage.may_be_torn and state is not None and not is_needed:
            continue  # no event says that the vault has it: it was never part of a whole batch
        whose = f" (the instance {leaf.uid}, added at position {leaf.handle})" if leaf else ""
        yield RepositoryFinding(
            RepositoryFindingKind.VAULT,
            damage.digest or "a pack",
            f"{damage.problem}{whose}{_ADD if leaf else ''}",
            leaf.handle if leaf else None,
        )
    bad = {damage.digest for damage in damages}
    for leaf in state.hierarchy.leaves.values() if state else ():
        if leaf.placement is Placement.REFERENCE:
            if leaf.is_live:  # what becomes of the file of another one is its owner's affair
                yield from _verify_reference(leaf)
        elif leaf.placement is Placement.VAULT or leaf.is_addition:
            if leaf.content is None:
                yield _missing(leaf.uid, f"The instance {leaf.uid} was never read.", leaf)
            elif (digest := leaf.content.digest) not in bad and digest not in vault:
                message = f"The vault has no content {digest}, that of the instance {leaf.uid}"
                message = f"{message}, added at position {leaf.handle}{_ADD}"
                yield _missing(digest, message, leaf)
            elif digest not in bad:
                yield from _compare_stored(vault, digest, leaf)


def _owners(state: FileSetState, digests: set[Digest]) -> Mapping[Digest, Leaf]:
    """Return an instance that has each of the `digests`: the first whose bytes the vault keeps."""
    owners: dict[Digest, Leaf] = {}
    for leaf in state.hierarchy.leaves.values() if digests else ():
        if leaf.content is not None and leaf.content.digest in digests:
            owner = owners.setdefault(leaf.content.digest, leaf)
            if owner.placement is not Placement.VAULT and leaf.placement is Placement.VAULT:
                owners[leaf.content.digest] = leaf
    return owners


def _missing(where: str, message: str, leaf: Leaf) -> RepositoryFinding:
    return RepositoryFinding(RepositoryFindingKind.CONTENT_MISSING, where, message, leaf.handle)


def _compare_stored(vault: Vault, digest: Digest, leaf: Leaf) -> Iterator[RepositoryFinding]:
    with vault.view(digest) as view:
        yield from compare_instance(leaf, f"the vault's {digest}", partial(instance_in, view))


def _verify_reference(leaf: Leaf) -> Iterator[RepositoryFinding]:
    source = leaf.source or ""
    try:
        if file_content(Path(source)) == leaf.content:
            yield from compare_instance(leaf, source, partial(sound_instance, source))
        else:
            message = f"{source} has changed since it was added."
            yield RepositoryFinding(
                RepositoryFindingKind.FILE_CHANGED, source, message, leaf.handle
            )
    except OSError as exc:
        if leaf.file_id is None:
            yield RepositoryFinding(
                RepositoryFindingKind.CONTENT_MISSING,
                source,
                f"{source}, which was added by reference, can't be read: {exc.strerror}.",
                leaf.handle,
            )
