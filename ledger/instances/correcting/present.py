"""The values that an instance has now: what a correction would change."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator

from ledger.elements import CHARSET_VRS
from ledger.files import FileView
from ledger.instances.correcting.bodies import Body, body_of_found
from ledger.instances.correcting.edits import ORIGINAL_ATTRIBUTES, Edit, ElementPath
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


def items_of(source: Buffer | FileView, tag: int) -> Iterator[bytes]:
    """Yield the items of a sequence in a DICOM file as they are encoded; raises as `values_of`."""
    with opened(source) as (meta, data, offset):
        ds = data_set_of(meta, data, offset)
        for found in ds.elements((tag,)):
            if found.tag == tag and ds.vr(found) == "SQ":
                for item in ds.items(found):
                    yield bytes(data[item.begin : item.after()])


def texts_in(source: Buffer | FileView) -> Iterator[tuple[ElementPath, bytes]]:
    """Yield the text in a DICOM file, that in items too, each with where it is.

    But for what is told of the past, in Original Attributes Sequence, and group 0028. Raises as
    `values_of`.
    """
    with opened(source) as (meta, data, offset):
        yield from _texts(data_set_of(meta, data, offset))


def _texts(ds: DataSet) -> Iterator[tuple[ElementPath, bytes]]:
    for found in ds.elements():
        vr = ds.vr(found)
        if vr == "SQ" and found.tag != ORIGINAL_ATTRIBUTES:
            for item in ds.items(found):
                yield from _texts(item)
        elif vr in CHARSET_VRS and found.tag >> 16 != 0x0028:
            yield (*ds.path, found.tag), ds.value(found)


def uids_in(source: Buffer | FileView, tags: Collection[int]) -> dict[str, None]:
    """Return the UIDs that elements with one of `tags` have in a DICOM file, those in items too.

    But for those of the past, in Original Attributes Sequence. Raises as `values_of`.
    """
    with opened(source) as (meta, data, offset):
        return dict.fromkeys(_uids(data_set_of(meta, data, offset), tags))


def _uids(ds: DataSet, tags: Collection[int]) -> Iterator[str]:
    for found in ds.elements():
        vr = ds.vr(found)
        if vr == "SQ" and found.tag != ORIGINAL_ATTRIBUTES:
            for item in ds.items(found):
                yield from _uids(item, tags)
        elif vr == "UI" and found.tag in tags:
            text = ds.value(found).decode("ascii", "replace").rstrip("\0 ")
            yield from filter(None, text.split("\\"))
