"""Checking content: whether the vault, or the file that was added by reference, still has it.

That is the content of instances, and of other files on media that were handed out.
"""

from __future__ import annotations

from collections.abc import Container, Iterable, Iterator, Mapping
from functools import partial
from pathlib import Path
from typing import Final

from fileset.adding.whole import instance_in, sound_instance
from fileset.checking.findings import RepositoryFinding, RepositoryFindingKind
from fileset.checking.stored_instance import compare_instance
from ledger.digest import Digest
from ledger.events import MediumAddressed, MediumFilled, MediumStarted, Placement
from ledger.events.media import kept_files
from ledger.files import file_content
from ledger.journal.entries import Recorded
from ledger.journal.protocol import Journal, decoded
from ledger.vault.protocol import ContentDamage, Vault
from projections.past.media import Media
from projections.state.nodes import Leaf
from projections.state.state import FileSetState

_ADD: Final = ". To store it again, it is enough to add its file again."
_ON_MEDIA: Final = frozenset((MediumStarted.TYPE, MediumAddressed.TYPE, MediumFilled.TYPE))


def verify_content(
    vault: Vault, state: FileSetState | None, others: Iterable[tuple[Digest, str]] = ()
) -> Iterator[RepositoryFinding]:
    """Yield what is wrong with the content in `vault`, and of the instances of `state`.

    `others` is other content that the vault is to have, each with what it is.
    """
    damages = list(vault.verify())
    bad = {damage.digest for damage in damages if damage.digest}
    lacking = {digest: what for digest, what in others if digest in bad or digest not in vault}
    yield from _damaged(damages, _owners(state, bad) if state else {}, lacking, state)
    for digest, what in lacking.items():
        if digest not in bad:
            message = f"The vault has no content {digest}, that of {what}"
            yield RepositoryFinding(RepositoryFindingKind.CONTENT_MISSING, digest, message)
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
    yield from _verify_icons(vault, state, bad)


def _damaged(
    damages: Iterable[ContentDamage],
    owners: Mapping[Digest, Leaf],
    others: Mapping[Digest, str],
    state: FileSetState | None,
) -> Iterator[RepositoryFinding]:
    """Yield what is damaged, and whose it is: an instance's, or that of another file."""
    for damage in damages:
        leaf = owners.get(damage.digest) if damage.digest else None
        other = others.get(damage.digest) if damage.digest else None
        is_needed = other is not None or (leaf is not None and leaf.placement is Placement.VAULT)
        if damage.may_be_torn and state is not None and not is_needed:
            continue  # no event says that the vault has it: it was never part of a whole batch
        whose = ""
        if leaf is not None:
            whose = f" (the instance {leaf.uid}, added at position {leaf.handle}){_ADD}"
        elif other is not None:
            whose = f" ({other})"
        yield RepositoryFinding(
            RepositoryFindingKind.VAULT,
            damage.digest or "a pack",
            f"{damage.problem}{whose}",
            leaf.handle if leaf else None,
        )


def content_on_media(journal: Journal) -> Iterator[tuple[Digest, str]]:
    """Yield the content of other files on media that the vault is to have, and what it is."""
    media = Media()
    for stored in journal.stored():
        if stored.type not in _ON_MEDIA or not stored.payload:
            continue
        event = decoded(stored)
        medium = media.take(Recorded(stored.position, stored.change, event))
        if medium is not None and isinstance(event, MediumAddressed | MediumFilled):
            for file in kept_files(event.files):
                what = f"{file.path} on medium {medium.number}, which can't be made again without"
                yield file.content.digest, what


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


def _verify_icons(
    vault: Vault, state: FileSetState | None, bad: Container[Digest | None]
) -> Iterator[RepositoryFinding]:
    for handle, digest in state.recorded.icons() if state else ():
        if state and digest not in bad and digest not in vault:
            leaf = state.leaf(handle)
            message = (
                f"The vault has no content {digest}, the icon of the instance {leaf.uid}. To have "
                "another one made, remove the instance, and add its file again"
            )
            yield _missing(digest, message, leaf)


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
