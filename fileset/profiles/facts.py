"""What application profiles ask of an instance, read from its bytes."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from fileset.repository.contents import Contents
from fileset.repository.repository import Repository
from ledger.errors import ContentMissingError
from ledger.events import Placement
from ledger.files import FileView, viewed
from ledger.instances.record_keys import SOP_CLASS_UID
from ledger.instances.scanner import Wanted, scan, scan_file, scan_head
from projections.dicomdir.profiles.fitting import InstanceFacts
from projections.dicomdir.profiles.record_keys import WANTED
from projections.state.nodes import Branch, Leaf

_WANTED: Final = Wanted({**WANTED, SOP_CLASS_UID: "UI"})
_HEAD: Final = 1 << 15  # bytes, in which most headers are
_LARGE: Final = 1 << 24  # bytes of a file that is not read whole


def facts_of(data: bytes | FileView, record_types: tuple[str, ...]) -> InstanceFacts:
    """Return the facts of the DICOM file that `data` holds, with records of those types.

    InstanceError if it can't be read, OSError as `data`.
    """
    found = scan_head(bytes(data[:_HEAD]), len(data), _WANTED)
    if found is None:
        found = scan(data, _WANTED) if isinstance(data, bytes) else scan_file(data, _WANTED)
    sop_class = found.elements.get(SOP_CLASS_UID)
    uid = "" if sop_class is None else bytes(sop_class.value).decode("latin-1").strip("\0 ")
    return InstanceFacts(uid, found.transfer_syntax_uid, record_types, found.elements)


def facts_of_file(path: Path, record_types: tuple[str, ...]) -> InstanceFacts:
    """Return the facts of the DICOM file at `path`; OSError, InstanceError if it can't be read."""
    with viewed(path) as view:
        return facts_of(view, record_types)


def types_of(leaf: Leaf) -> tuple[str, ...]:
    """Return the types of the records above an instance, from the top down, and of its own."""
    types = [leaf.record_type]
    branch: Branch | None = leaf.home
    while branch is not None and branch.home is not None:
        types.append(branch.own.type)
        branch = branch.home
    return tuple(reversed(types))


class FactsReader:
    """Reads the facts of the instances of a repository."""

    def __init__(self, repository: Repository) -> None:
        self._repository = repository
        self._contents = Contents(repository)

    def read(self, leaf: Leaf) -> InstanceFacts:
        """Return the facts of an instance, of a small one checked against its digest.

        OSError or a LedgerError if it can't be read.
        """
        with self.source(leaf) as source:
            return facts_of(source, types_of(leaf))

    @contextmanager
    def source(self, leaf: Leaf) -> Iterator[bytes | FileView]:
        """Give the file of an instance; errors as in `read`."""
        if self._contents.content(leaf).size < _LARGE:
            yield self._contents.read(leaf)
        elif leaf.placement is Placement.VAULT and leaf.content is not None:
            with self._repository.vault.view(leaf.content.digest) as view:
                yield view
        else:
            path = self._contents.path(leaf)
            with viewed(path) as view:
                if leaf.content is not None and len(view) != leaf.content.size:
                    raise ContentMissingError(f"{path} has changed since it was added.")
                yield view
