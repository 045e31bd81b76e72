"""What instances that were corrected still tell of the person whose they were, by mistake.

They do in their Original Attributes Sequence (0400,0561), which says what was there before.
"""

from __future__ import annotations

import shlex
from collections.abc import Container, Iterator, Mapping

from fileset.erasure.content import tells
from fileset.erasure.mentions import Mention, Mentions
from ledger.errors import InstanceError, VaultError
from ledger.events import Handle
from ledger.instances.correcting.edits import ORIGINAL_ATTRIBUTES
from ledger.instances.correcting.present import items_of
from ledger.vault.protocol import Vault
from projections.state.erasing import identifiers, matching
from projections.state.nodes import Leaf
from projections.state.state import FileSetState


def matching_with_former(
    vault: Vault, state: FileSetState, query: Mapping[str, str]
) -> set[Handle]:
    """Return the instances to be erased: those that `query` finds, and what tells of the person.

    That is what instances of others once were, and were corrected from since.
    """
    gone = matching(state, query)
    mentions = Mentions(identifiers(state, gone, query))
    for leaf in _corrected(state, gone):
        is_former = not leaf.is_live and leaf.file_id is None and _is_replaced(state, leaf)
        if is_former and _items_that_tell(vault, leaf, mentions):
            gone.add(leaf.handle)
    return gone


def corrected_that_tell(
    vault: Vault, state: FileSetState, gone: Container[Handle], mentions: Mentions
) -> Iterator[Mention]:
    """Yield which of the instances that stay tell of the person, and how that is removed."""
    for leaf in _corrected(state, gone):
        if items := _items_that_tell(vault, leaf, mentions):
            removed = [f"OriginalAttributesSequence[{number}]" for number in items]
            how = " ".join(f"--remove {shlex.quote(each)}" for each in removed)
            yield Mention(
                leaf.handle,
                "corrected instance",
                f"SOP Instance {leaf.uid}: {', '.join(removed)}",
                remedy=f"fileset correct SOPInstanceUID={leaf.uid} {how} "
                "--original-attributes omit",
            )


def _corrected(state: FileSetState, gone: Container[Handle]) -> list[Leaf]:
    """Return the instances but those `gone` that came of corrections, or were corrected."""
    replaced = state.hierarchy.replaced
    handles = sorted({*replaced, *replaced.values()})
    return [
        leaf for each in handles if each not in gone and (leaf := state.hierarchy.leaves.get(each))
    ]


def _is_replaced(state: FileSetState, leaf: Leaf) -> bool:
    """Whether a later version of an instance stands: nobody needs this one but for an undo."""
    leaves = state.hierarchy.leaves
    versions = state.hierarchy.versions(leaf.handle)
    return any(each > leaf.handle and leaves[each].is_live for each in versions if each in leaves)


def _items_that_tell(vault: Vault, leaf: Leaf, mentions: Mentions) -> list[int]:
    """Return the numbers of the items that do; of what nobody can read, none."""
    if leaf.content is None:
        return []
    try:
        with vault.view(leaf.content.digest) as view:
            items = list(items_of(view, ORIGINAL_ATTRIBUTES))
    except (VaultError, InstanceError):
        return []
    return [number for number, item in enumerate(items) if tells([item], mentions)]
