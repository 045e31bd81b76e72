"""The values that an instance has now: what a correction would change."""

from __future__ import annotations

from collections.abc import Iterable

from ledger.files import FileView
from ledger.instances.correcting.bodies import Body, body_of_found
from ledger.instances.correcting.edits import Edit, ElementPath
from ledger.instances.correcting.structure import DataSet, data_set_of
from ledger.instances.correcting.tree import Asked, asked
from ledger.instances.data_set import opened
from ledger.instances.walker import Buffer


def values_of(
    source: Buffer | FileView, paths: Iterable[ElementPath]
) -> dict[ElementPath, Body | None]:
    """Return the values at `paths` as they are in a DICOM file, `None` where there is no element.

    Raises `InstanceError` or OSError where the file can't be read.
    """
    wanted = [Edit(path, None) for path in paths]
    values: dict[ElementPath, Body | None] = dict.fromkeys(edit.path for edit in wanted)
    with opened(source) as (meta, data, offset):
        _look(data_set_of(meta, data, offset), asked(wanted), values)
    return values


def _look(ds: DataSet, wanted: Asked, values: dict[ElementPath, Body | None]) -> None:
    for found in ds.elements(wanted.tags()):
        if found.tag in wanted.edits:
            values[(*ds.path, found.tag)] = body_of_found(ds, found)
        items = wanted.items.get(found.tag)
        if items and ds.vr(found) == "SQ":
            for number, item in enumerate(ds.items(found)):
                if number in items:
                    _look(item, items[number], values)
