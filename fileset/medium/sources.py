"""Where a write takes the bytes of an instance from: the medium, the vault, or where they were."""

from __future__ import annotations

from collections.abc import Container
from os.path import join

from attrs import frozen

from fileset.medium.paths import holds, is_same_name, isfile
from ledger.errors import ContentMissingError
from ledger.events import Placement
from ledger.files import copy_file
from ledger.vault.protocol import Vault
from projections.state.nodes import Leaf


@frozen
class Sources:
    """The places that the instances of a write may come from.

    `medium` is the root that their present File IDs are relative to, and `moves` is whether that
    is where they are written. With `resume`, files there are checked by their digests, and so are
    those at the File IDs in `twins`, which are one with others on some media.
    """

    vault: Vault
    medium: str
    moves: bool
    resume: bool
    twins: Container[str] = ()

    def on_medium(self, leaf: Leaf) -> str | None:
        """Return the file on the medium that has the instance's bytes, if one does."""
        if leaf.file_id is None:
            return None
        if not self.moves and leaf.placement is Placement.VAULT and self._is_in_vault(leaf):
            return None  # the vault's copy is nearer than another medium's
        path = join(self.medium, leaf.file_id)
        sure = not self.resume and leaf.file_id not in self.twins
        return path if isfile(path) and (sure or holds(path, leaf)) else None

    def copy(self, leaf: Leaf, source: str | None, target: int) -> None:
        """Copy the instance's bytes from `source`, the vault or where they were left.

        Raises OSError, `ContentMissingError` or `ContentDamagedError`.
        """
        content = leaf.content
        if source is not None:
            copy_file(source, target, expected=content)
        elif content is None:
            raise ContentMissingError(
                f"The instance {leaf.uid} is not at its File ID {leaf.file_id} and was never read"
            )
        elif content.digest in self.vault:
            self.vault.copy_to(content.digest, target)
        elif leaf.placement is Placement.REFERENCE and leaf.source is not None:
            try:
                copy_file(leaf.source, target, expected=content)
            except OSError as exc:
                if exc.filename != leaf.source:  # it is the target that failed
                    raise
                raise ContentMissingError(
                    f"{leaf.source}, which is where the instance {leaf.uid} was left, can't be "
                    f"read: {exc.strerror}"
                ) from exc
        elif leaf.file_id is not None:
            raise ContentMissingError(
                f"{join(self.medium, leaf.file_id)} is missing or was changed, and the vault has "
                "no copy of it: add its file again, put it back, or remove the instance"
            )
        else:
            self.vault.copy_to(content.digest, target)

    def is_lost(self, leaf: Leaf) -> bool:
        """Whether the instance's bytes are neither on the medium nor where else they should be."""
        if leaf.content is None or self.on_medium(leaf) is not None:
            return False
        is_left = leaf.placement is Placement.REFERENCE and leaf.source is not None
        if is_left and leaf.content.digest not in self.vault:
            return not isfile(str(leaf.source))
        return not self.vault.is_sound(leaf.content.digest)

    def has_another(self, leaf: Leaf, path: str) -> bool:
        """Whether the instance's bytes are, whole, anywhere else than at `path`."""
        if leaf.content is not None and self.vault.is_sound(leaf.content.digest):
            return True
        others = [join(self.medium, leaf.file_id)] if leaf.file_id is not None else []
        if leaf.source is not None:
            others.append(leaf.source)
        return any(holds(other, leaf) and not is_same_name(other, path) for other in others)

    def _is_in_vault(self, leaf: Leaf) -> bool:
        return leaf.content is not None and leaf.content.digest in self.vault
