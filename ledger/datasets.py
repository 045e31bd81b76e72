"""Between pydicom's datasets and the canonical elements of directory records."""

from __future__ import annotations

from io import BytesIO

from pydicom.charset import default_encoding
from pydicom.dataset import Dataset
from pydicom.filebase import DicomBytesIO
from pydicom.filereader import read_dataset
from pydicom.filewriter import write_data_element
from pydicom.tag import BaseTag

from ledger.elements import Elements, canonical
from ledger.errors import ElementsError


def to_elements(ds: Dataset, *, without: frozenset[int] = frozenset()) -> Elements:
    """Return the elements of `ds`, less the tags in `without`, in canonical form.

    Text is encoded in the dataset's own Specific Character Set. Raises
    :class:`~ledger.errors.ElementsError` where pydicom can't encode a value.
    """
    buffer = DicomBytesIO()
    buffer.is_little_endian = True
    buffer.is_implicit_VR = False
    encodings = ds.get("SpecificCharacterSet", None) or default_encoding
    for tag in sorted(ds.keys()):
        if int(tag) in without or BaseTag(tag).element == 0:
            continue
        try:
            write_data_element(buffer, ds[tag], encodings)
        except Exception as exc:
            raise ElementsError(f"The value of {tag} can't be encoded: {exc}") from exc
    return canonical(buffer.getvalue())


def to_dataset(elements: bytes) -> Dataset:
    """Return canonical `elements` as a pydicom dataset, decoded as they are asked for."""
    return read_dataset(BytesIO(elements), is_implicit_VR=False, is_little_endian=True)
