"""From a DICOMDIR that is a pydicom dataset to the records it holds.

That is one that a user has read, and perhaps changed, and any whose encoding is not the one that
PS3.10 Section 8.6 asks for.
"""

from __future__ import annotations

from io import BytesIO
from typing import Final

from pydicom import dcmread
from pydicom.charset import default_encoding
from pydicom.dataset import Dataset
from pydicom.filereader import read_dataset

from ledger.elements import iterate
from ledger.errors import ElementsError, LedgerError, TruncatedError
from ledger.instances.datasets import Encodings, refuse_short, to_elements
from ledger.tags import MEDIA_STORAGE_SOP_CLASS_UID, RECORD_SEQUENCE
from ledger.uids import MEDIA_STORAGE_DIRECTORY
from projections.dicomdir.decoded_directory import (
    DecodedDirectory,
    DecodedRecord,
    directory_of,
    record_of,
    refuse_cut,
    text_of,
)
from projections.dicomdir.definitions import DicomdirError, NotDicomdirError

_RECORDS: Final = frozenset((RECORD_SEQUENCE,))


def decode_dataset(ds: Dataset, *, name: str) -> DecodedDirectory:
    """Return what the DICOMDIR `ds`, as pydicom read it and perhaps a user changed it, holds.

    It is what `decode_dicomdir` returns for the same file:
    values that nobody touched keep their bytes. A record's offset is its `seq_item_tell`.

    Raises as that does.
    """
    try:
        return _decode_dataset(ds, name)
    except TruncatedError as exc:
        raise TruncatedError(exc.reason, name=name) from exc
    except ElementsError as exc:
        raise DicomdirError(f"malformed DICOMDIR: {_reason_of(exc)}", name=name) from exc
    except LedgerError:
        raise
    except Exception as exc:
        # pydicom raises whatever its parts do, and its words may quote a patient's data.
        raise DicomdirError(f"malformed DICOMDIR ({type(exc).__name__})", name=name) from exc


def decode_with_pydicom(data: bytes, *, name: str) -> DecodedDirectory:
    """Return what the DICOMDIR with the bytes `data` holds, read by pydicom.

    Raises as `decode_dicomdir`.
    """
    try:
        ds = dcmread(BytesIO(data))
    except Exception as exc:
        raise DicomdirError(f"malformed DICOMDIR ({type(exc).__name__})", name=name) from exc
    directory = decode_dataset(ds, name=name)
    if RECORD_SEQUENCE not in ds:
        refuse_cut(to_elements(ds, without=_RECORDS), name)
    return directory


def decode_item(content: bytes, offset: int, *, name: str) -> DecodedRecord:
    """Return the record at `offset` of a file, given the Implicit VR `content` of its item.

    Raises `DicomdirError` if it isn't whole.
    """
    try:
        ds = read_dataset(BytesIO(content), is_implicit_VR=True, is_little_endian=True)
        return record_of(offset, to_elements(ds, without=_RECORDS))
    except TruncatedError as exc:
        raise TruncatedError(exc.reason, name=name) from exc
    except ElementsError as exc:
        raise DicomdirError(f"malformed record: {_reason_of(exc)}", name=name) from exc
    except LedgerError:
        raise
    except Exception as exc:
        raise DicomdirError(f"malformed record ({type(exc).__name__})", name=name) from exc


def _decode_dataset(ds: Dataset, name: str) -> DecodedDirectory:
    file_meta = getattr(ds, "file_meta", None) or Dataset()
    meta = {e.tag: e for e in iterate(to_elements(file_meta, without=_RECORDS))}
    if text_of(meta, MEDIA_STORAGE_SOP_CLASS_UID) != MEDIA_STORAGE_DIRECTORY:
        raise NotDicomdirError(name)
    records = []
    if RECORD_SEQUENCE in ds:
        refuse_short(ds.get_item(RECORD_SEQUENCE))
        encodings = ds.get("SpecificCharacterSet") or default_encoding
        records = [_record(item, encodings) for item in ds[RECORD_SEQUENCE].value or ()]
    return directory_of(meta, to_elements(ds, without=_RECORDS), records)


def _record(item: Dataset, encodings: Encodings) -> DecodedRecord:
    """Return the record that `item` is, without compressed images."""
    left_out: list[int] = []
    elements = to_elements(item, without=_RECORDS, encodings=encodings, left_out=left_out)
    return record_of(getattr(item, "seq_item_tell", None), elements, left_out)


def _reason_of(exc: ElementsError) -> str:
    """Return what is wrong; pydicom's words may quote a patient's data, and are left out."""
    return str(exc) if exc.__cause__ is None else type(exc.__cause__).__name__
