"""What names a person in instances that were moved from that person to another patient.

It is in their Original Attributes Sequence (0400,0561), which records former values, or in text
that was not corrected with the rest. A correction removes it before anything is erased: once their
earlier versions are erased, nothing ties these instances to the person.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from attrs import frozen

from fileset.correcting.correct import CorrectionOutcome, Corrector
from fileset.correcting.correction import Correction
from fileset.erasure.content import tells
from fileset.erasure.mentions import Mentions, decoded
from fileset.errors import RefusedError
from fileset.repository.repository import Repository
from ledger.errors import ContentDamagedError, ContentMissingError, InstanceError
from ledger.events import Handle
from ledger.instances.correcting.edits import (
    ORIGINAL_ATTRIBUTES,
    REMOVE,
    Edit,
    ElementPath,
    path_of,
    text_of_path,
)
from ledger.instances.correcting.present import items_of, texts_in
from ledger.phrases import some
from ledger.vault.protocol import Vault
from projections.state.erasing import identifiers, matching
from projections.state.nodes import Leaf
from projections.state.state import FileSetState


@frozen
class Telling:
    """An instance that stays, by its handle and SOP Instance UID, and tells of the person.

    `elements` says where, as paths of elements and of items of Original Attributes Sequence.
    """

    handle: Handle
    uid: str
    elements: tuple[str, ...]

    def in_words(self) -> str:
        return f"SOP Instance {self.uid}: {some(self.elements, 3)}"


def matching_with_former(
    vault: Vault, state: FileSetState, query: Mapping[str, str]
) -> set[Handle]:
    """Return the instances to be erased: those that `query` finds, and what tells of the person.

    That is what instances of others once were, and were corrected from since.
    """
    gone = matching(state, query)
    while True:
        mentions = Mentions(identifiers(state, gone, query))
        found = {
            leaf.handle
            for leaf in _other_versions(state, gone)
            if not _is_present(leaf) and _paths_that_tell(vault, leaf, mentions)
        }
        if not found:
            return gone
        gone |= found  # whose UIDs are to be looked for as well


def present_that_tell(
    vault: Vault, state: FileSetState, gone: set[Handle], mentions: Mentions
) -> Iterator[Telling]:
    """Yield what tells of the person of the instances that stay, in the File-set or its medium."""
    for leaf in _other_versions(state, gone):
        if _is_present(leaf) and (paths := _paths_that_tell(vault, leaf, mentions)):
            yield Telling(leaf.handle, leaf.uid, tuple(map(text_of_path, paths)))


def correct_telling(repository: Repository, telling: Sequence[Telling]) -> None:
    """Correct the instances so that they don't tell of the person; items go, elements are emptied.

    `RefusedError` if one can't be, with what is to be done before.
    """
    wanted = {
        leaf: Correction(tuple(map(_edit, each.elements)), original_attributes=False)
        for each in telling
        if (leaf := repository.state.leaf(each.handle)).is_live
    }
    elements = {each.handle: each.elements for each in telling}
    for failed in Corrector(repository).correct(wanted).of(CorrectionOutcome.FAILED):
        raise RefusedError(
            f"Nothing was erased: the SOP Instance {failed.uid} of another patient names the "
            f"person in {some(elements[failed.handle], 3)}, which can't be removed: "
            f"{failed.reason}. Give it other values with `fileset correct "
            f"SOPInstanceUID={failed.uid} --original-attributes omit --to KEYWORD=VALUE`, or "
            "remove it; then write, and erase."
        )


def _edit(element: str) -> Edit:
    path = path_of(element)
    return Edit(path, REMOVE if len(path) % 2 == 0 else None)


def _other_versions(state: FileSetState, gone: set[Handle]) -> list[Leaf]:
    """Return the versions of instances some of whose versions are `gone`, but for these."""
    hierarchy = state.hierarchy
    return [
        leaf
        for handle in sorted(hierarchy.first_versions(gone))
        for each in hierarchy.versions(handle)
        if each not in gone and (leaf := hierarchy.leaves.get(each))
    ]


def _is_present(leaf: Leaf) -> bool:
    return leaf.is_live or leaf.file_id is not None


def _paths_that_tell(vault: Vault, leaf: Leaf, mentions: Mentions) -> list[ElementPath]:
    """Return where an instance tells of the person; of what is lost or damaged, nowhere.

    Raises `VaultError` if it can't be read now: it may tell.
    """
    if leaf.content is None:
        return []
    try:
        with vault.view(leaf.content.digest) as view:
            items = enumerate(items_of(view, ORIGINAL_ATTRIBUTES))
            return [
                *(
                    (ORIGINAL_ATTRIBUTES, number)
                    for number, item in items
                    if tells([item], mentions)
                ),
                *(path for path, text in texts_in(view) if _is_of(text, mentions)),
            ]
    except (ContentMissingError, ContentDamagedError, InstanceError):
        return []


def _is_of(text: bytes, mentions: Mentions) -> bool:
    """Whether a value has the person's ID or name, and is not the ID or name of another one."""
    if not mentions.in_bytes.search(text):
        return False
    said = {each.strip("\0 ") for each in decoded(text)}
    return said.isdisjoint(mentions.identifiers.others) and any(map(mentions.of_person, said))
