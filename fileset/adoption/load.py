"""Loading an existing File-set into an empty repository, as pydicom's `FileSet` loads one."""

from __future__ import annotations

import os
import warnings
from collections.abc import Mapping

from pydicom.dataset import Dataset

from fileset.adding.add import Adder
from fileset.adding.given import DSPathType, add_given, errors_of_reading, refer_to
from fileset.adoption.adopt import Adoption, Doubt
from fileset.adoption.archived import ArchivedFileSet, archive_of, read_archived, take_in_archived
from fileset.adoption.existing import ExistingFileSet, read_file_set
from fileset.progress import Progress
from fileset.repository.repository import Repository
from ledger.events import Record


def read_existing(ds_or_path: DSPathType, *, repair: bool = False) -> ExistingFileSet:
    """Return what the DICOMDIR that was given lists; see `read_file_set` and `read_archived`."""
    if isinstance(ds_or_path, Dataset):
        return read_file_set(ds_or_path, repair=repair)
    if not isinstance(ds_or_path, str | os.PathLike):
        raise TypeError(f"A DICOMDIR is a Dataset or a path, not {type(ds_or_path).__name__}")
    if (archived := archive_of(ds_or_path)) is not None:
        return read_archived(*archived, repair=repair)
    with errors_of_reading(ds_or_path):
        return read_file_set(ds_or_path, repair=repair)


def load(
    repository: Repository,
    found: ExistingFileSet,
    *,
    include_orphans: bool = True,
    progress: Progress | None = None,
) -> Mapping[Doubt, list[str]]:
    """Adopt `found`; return the File IDs of files that are not what it says, if they were read.

    Instances whose records no other record leads to are staged to be added, with
    `include_orphans`.
    """
    if isinstance(found, ArchivedFileSet):
        return take_in_archived(
            repository, found, include_orphans=include_orphans, progress=progress
        )
    adoption = Adoption(repository, found, digest=repository.is_kept)
    adoption.run(progress)
    orphans = found.orphans()
    if orphans and not include_orphans:
        warnings.warn(
            f"The DICOMDIR has {len(orphans)} orphaned directory records that reference an "
            "instance that will not be included in the File-set",
            stacklevel=3,
        )
    elif orphans:
        _add_orphans(repository, found)
    return adoption.doubts


def _add_orphans(repository: Repository, found: ExistingFileSet) -> None:
    adder = Adder(repository)
    for record in found.orphans():
        path = found.path_of(record)
        if not path.exists():
            warnings.warn(
                "The referenced SOP Instance for the directory record at offset "
                f"{record.offset} does not exist: {path}",
                stacklevel=3,
            )
            continue
        if record.type != "PRIVATE":
            add_given(adder, path)
            continue
        # No instance tells what such a record holds.
        handle = add_given(adder, path, (Record(record.type, record.elements),))
        if (item := found.item(record)) is not None:  # pydicom fills it in as well
            refer_to(item, repository.state.leaf(handle))
