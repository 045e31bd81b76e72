"""Checking every element of a file against its VR, whatever the size of the file."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Iterator
from io import FileIO
from typing import Final

from ledger.elements import CHARSET_VRS, TEXT_VRS, Element, encode_element
from ledger.errors import InstanceError
from ledger.files import FileView, naming, open_regular
from ledger.instances.character_sets import decoded
from ledger.instances.every_value import Value, every_value
from ledger.instances.values import fault_of_size, fault_of_value, in_words
from ledger.phrases import count
from projections.dicomdir.findings import FindingKind
from projections.dicomdir.text import faults_of_text

_MOST: Final = 1 << 22  # bytes of text that are looked at


def faults_of_every_element(path: str) -> Iterator[tuple[FindingKind, str]]:
    """Yield what is wrong with the values in the file at `path`, alike ones once.

    OSError if it can't be read.
    """
    faults: Counter[tuple[FindingKind, str]] = Counter()
    broken = None
    with naming(path), FileIO(open_regular(path)) as file:
        view = FileView(file.fileno(), os.fstat(file.fileno()).st_size)
        try:
            for value in every_value(view):
                faults.update(_faults_of(value))
        except InstanceError as exc:
            broken = exc.reason
    for (kind, fault), number in faults.items():
        times = f" ({count(number, 'time')})" if number > 1 else ""
        yield kind, f"it {fault}{times}"
    if broken is not None:
        yield FindingKind.FILE_MALFORMED, f"{broken}. Replace it with a good copy"


def _faults_of(value: Value) -> Iterator[tuple[FindingKind, str]]:
    tag, vr, _, _, size, charset = value
    if size & 1:
        yield FindingKind.BAD_VALUE, in_words(tag, f"it has an odd number of bytes, {size}")
    if vr not in TEXT_VRS:
        why = fault_of_size(tag, vr, size)
    elif size > _MOST:
        why = f"it has {size:,} bytes, too many to look at"
    else:
        element = Element(tag, vr, value.read())
        why = fault_of_value(element, charset)
        if vr in CHARSET_VRS and decoded(element.value.rstrip(b"\0 "), charset) is None:
            yield from faults_of_text(encode_element(*element), {tag: element}, charset)
    if why is not None:
        yield FindingKind.BAD_VALUE, in_words(tag, why)
