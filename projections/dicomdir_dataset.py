"""From a DICOMDIR that is a pydicom dataset to the records it holds.

That is one that a user has read, and perhaps changed, and any whose encoding is not the one that
PS3.10 Section 8.6 asks for.
"""

from __future__ import annotations

from io import BytesIO

from pydicom import dcmread
from pydicom.charset import default_encoding
from pydicom.datadict import dictionary_VR
from pydicom.dataelem import DataElement, RawDataElement
from pydicom.dataset import Dataset
from pydicom.filebase import DicomBytesIO
from pydicom.filereader import read_dataset
from pydicom.filewriter import correct_ambiguous_vr_element, write_data_element

from ledger.elements import (
    UNDEFINED_LENGTH,
    Element,
    Elements,
    canonical,
    encode,
    encode_items,
    format_tag,
    iterate,
)
from ledger.errors import ElementsError, LedgerError, TruncatedError
from projections.dicomdir import (
    MEDIA_STORAGE_DIRECTORY,
    MEDIA_STORAGE_SOP_CLASS_UID,
    RECORD_SEQUENCE,
    DicomdirError,
    NotDicomdirError,
)
from projections.dicomdir_decoder import (
    DecodedDirectory,
    DecodedRecord,
    directory_of,
    record_of,
    refuse_cut,
    text_of,
)


def decode_dataset(ds: Dataset, *, name: str) -> DecodedDirectory:
    """Return what the DICOMDIR `ds`, as pydicom read it and perhaps a user changed it, holds.

    It is what :func:`~projections.dicomdir_decoder.decode_dicomdir` returns for the same file:
    values that nobody touched keep their bytes. A record's offset is its ``seq_item_tell``.

    Raises as that does.
    """
    try:
        return _decode_dataset(ds, name)
    except ElementsError as exc:
        raise DicomdirError(f"malformed DICOMDIR: {exc}", name=name) from exc
    except LedgerError:
        raise
    except Exception as exc:
        # pydicom raises whatever its parts do, and its words may quote a patient's data.
        raise DicomdirError(f"malformed DICOMDIR ({type(exc).__name__})", name=name) from exc


def decode_with_pydicom(data: bytes, *, name: str) -> DecodedDirectory:
    """Return what the DICOMDIR with the bytes `data` holds, read by pydicom.

    Raises as :func:`~projections.dicomdir_decoder.decode_dicomdir`.
    """
    try:
        ds = dcmread(BytesIO(data))
    except Exception as exc:
        raise DicomdirError(f"malformed DICOMDIR ({type(exc).__name__})", name=name) from exc
    directory = decode_dataset(ds, name=name)
    if RECORD_SEQUENCE not in ds:
        refuse_cut(_elements(ds, default_encoding, name), name)
    return directory


def decode_item(content: bytes, offset: int, *, name: str) -> DecodedRecord:
    """Return the record at `offset` of a file, given the Implicit VR `content` of its item.

    Raises :class:`~projections.dicomdir.DicomdirError` if it isn't whole.
    """
    try:
        ds = read_dataset(BytesIO(content), is_implicit_VR=True, is_little_endian=True)
        return record_of(offset, _elements(ds, default_encoding, name))
    except LedgerError:
        raise
    except Exception as exc:
        raise DicomdirError(f"malformed record ({type(exc).__name__})", name=name) from exc


def _decode_dataset(ds: Dataset, name: str) -> DecodedDirectory:
    file_meta = getattr(ds, "file_meta", None) or Dataset()
    meta = {e.tag: e for e in iterate(_elements(file_meta, default_encoding, name))}
    if text_of(meta, MEDIA_STORAGE_SOP_CLASS_UID) != MEDIA_STORAGE_DIRECTORY:
        raise NotDicomdirError(name)
    records = []
    if RECORD_SEQUENCE in ds:
        _refuse_short(ds.get_item(RECORD_SEQUENCE), name)
        encodings = ds.get("SpecificCharacterSet") or default_encoding
        records = [
            record_of(getattr(item, "seq_item_tell", None), _elements(item, encodings, name))
            for item in ds[RECORD_SEQUENCE].value or ()
        ]
    return directory_of(meta, _elements(ds, default_encoding, name), records)


def _elements(ds: Dataset, encodings: str | list[str], name: str) -> Elements:
    """Return the elements of `ds` less a Directory Record Sequence, in canonical form.

    Values not yet converted by pydicom are taken as they are. Others are encoded in the dataset's
    own Specific Character Set, or else `encodings`.
    """
    # Looked up first: asking for the character set converts it.
    items: dict[int, DataElement | RawDataElement] = {
        tag: ds.get_item(tag)
        for tag in ds.keys()  # noqa: SIM118 - iterating over a dataset gives its elements
    }
    items = {t: i for t, i in items.items() if t != RECORD_SEQUENCE and t & 0xFFFF}
    encodings = ds.get("SpecificCharacterSet") or encodings
    found = []
    for tag, item in items.items():
        _refuse_short(item, name)
        if isinstance(item, RawDataElement) and item.is_little_endian:
            vr: str | None = item.VR or _dictionary_vr(tag)
            if vr is not None and not (vr == "SQ" and item.is_implicit_VR):
                found.append(Element(tag, vr, item.value or b""))
                continue
        element = ds[tag]
        if element.VR == "SQ":
            value = encode_items(_elements(i, encodings, name) for i in element.value or ())
            found.append(Element(tag, "SQ", value))
        else:
            found.append(_convert(element, ds, encodings))
    return canonical(encode(found))


def _convert(element: DataElement, ds: Dataset, encodings: str | list[str]) -> Element:
    """Return a pydicom element of `ds` as bytes."""
    buffer = DicomBytesIO()
    buffer.is_little_endian = True
    buffer.is_implicit_VR = False
    if len(element.VR) != 2:
        correct_ambiguous_vr_element(element, ds, is_little_endian=True)
    write_data_element(buffer, element, encodings)
    return next(iterate(canonical(buffer.getvalue())))


def _dictionary_vr(tag: int) -> str | None:
    """Return the VR that a public element has without its context; UN for an unknown one."""
    try:
        vr = dictionary_VR(tag)
    except KeyError:
        return None if tag >> 16 & 1 else "UN"
    return vr if len(vr) == 2 else None


def _refuse_short(item: DataElement | RawDataElement, name: str) -> None:
    """Raise an error if a value has fewer bytes than declared: pydicom doesn't mind."""
    if isinstance(item, RawDataElement) and len(item.value or b"") < item.length < UNDEFINED_LENGTH:
        raise TruncatedError(f"the file ends within {format_tag(item.tag)}", name=name)
