"""`DIRECTORY_RECORDERS`: the functions that make directory records, open to a user's own.

Each maps a pydicom dataset to the dataset of one record. The defaults come from the tables of
`ledger.instances.make_records`, which are used directly (and faster) while nothing is overridden.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Final, TypeAlias

from ledger.instances.make_records import RECORD_TYPES, default_recorder

if TYPE_CHECKING:
    from pydicom.dataset import Dataset

Recorder: TypeAlias = Callable[["Dataset"], "Dataset"]

_DEFAULTS: Final[Mapping[str, Recorder]] = {kind: default_recorder(kind) for kind in RECORD_TYPES}

DIRECTORY_RECORDERS: dict[str, Recorder] = dict(_DEFAULTS)
"""The record-making function for each Directory Record Type but PRIVATE.

Replace one to have your own records made by `FileSet.add()`. Functions put into
`pydicom.fileset.DIRECTORY_RECORDERS` are honoured as well.
"""

_define_patient, _define_study, _define_series, _define_image = (
    _DEFAULTS[kind] for kind in ("PATIENT", "STUDY", "SERIES", "IMAGE")
)


def overridden_recorders() -> dict[str, Recorder]:
    """Return the functions that a user has put in place of the defaults, by record type."""
    if DIRECTORY_RECORDERS == _DEFAULTS and not _pydicom_recorders():
        return {}  # as nearly always; it is asked for each file that a watcher reads
    theirs = {
        kind: function
        for kind, function in _pydicom_recorders().items()
        if getattr(function, "__module__", None) != "pydicom.fileset"
    }
    ours = {k: f for k, f in DIRECTORY_RECORDERS.items() if f is not _DEFAULTS.get(k)}
    return {k: f for k, f in {**theirs, **ours}.items() if f is not _DEFAULTS.get(k)}


def _pydicom_recorders() -> Mapping[str, Recorder]:
    # Nobody can have overridden anything in a module that was never imported.
    module = sys.modules.get("pydicom.fileset")
    return getattr(module, "DIRECTORY_RECORDERS", {})
