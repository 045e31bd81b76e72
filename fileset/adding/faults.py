"""What is wrong with instances that are added, in the same words as the check of a File-set."""

from __future__ import annotations

from collections.abc import Iterator
from functools import lru_cache
from typing import Final, TypeAlias

from fileset.adding.candidate import Candidate
from ledger.events import InstanceAdded, Record
from ledger.instances.instance import Instance
from ledger.instances.record_keys import ENCAPSULATED_DOCUMENT, RT_PLAN_LABEL
from ledger.instances.sop_classes import KNOWN_TYPES
from ledger.instances.walker import describe
from projections.dicomdir.findings import FindingKind, is_error
from projections.dicomdir.record_checks import (
    faults_of_elements,
    faults_of_reference,
    faults_of_type,
)

Fault: TypeAlias = tuple[str, bool]
"""What is wrong, and whether that is an error: the check has warnings, too."""

_TOLD_BY: Final = {"ENCAP DOC": ENCAPSULATED_DOCUMENT, "RT PLAN": RT_PLAN_LABEL}
"""What an instance has to have, whatever its class, for a record of these types."""

_REMEDY: Final = "save the file again with the right one"


def is_consistent(instance: Instance) -> bool:
    """Whether `faults_of_file` has nothing to tell; quick."""
    return (
        instance.media_storage_instance_uid == instance.sop_instance_uid
        and instance.media_storage_class_uid == instance.sop_class_uid
        and not instance.misfit
    )


def faults_of_file(instance: Instance) -> Iterator[tuple[FindingKind, str]]:
    """Yield where the File Meta Information of an instance says otherwise than its data set."""
    for kind, what, tag, said, found in (
        (
            FindingKind.SOP_CLASS_IN_META,
            "SOP Class UID",
            "(0002,0002)",
            instance.media_storage_class_uid,
            instance.sop_class_uid,
        ),
        (
            FindingKind.SOP_INSTANCE_IN_META,
            "SOP Instance UID",
            "(0002,0003)",
            instance.media_storage_instance_uid,
            instance.sop_instance_uid,
        ),
    ):
        if said != found:
            says = f"says {said}" if said else "is missing"
            yield kind, f"its {what} is {found}, and {tag} of its header {says}: {_REMEDY}"
    if instance.misfit:
        said = f"its Transfer Syntax UID (0002,0010) is {instance.transfer_syntax_uid}"
        fault = f"{said}, and its data set has {instance.misfit}: {_REMEDY}"
        yield FindingKind.ENCODING_DIFFERS, fault


def faults_of(candidate: Candidate, added: InstanceAdded) -> Iterator[Fault]:
    """Yield what is wrong with an instance and the records that it brings.

    So `verify` tells of it when the File-set has been written.
    """
    instance, records = candidate.instance, candidate.records
    if not is_consistent(instance):
        for kind, fault in faults_of_file(instance):
            yield fault, is_error(kind)
    last = len(records) - 1
    known = last - len(added.parents)
    differing = [variant.record for variant in added.differing]
    for number, record in enumerate(records):
        if number >= known or (differing and record in differing):
            parent = records[number - 1].type if number else None
            yield from _faults_of_record(record, parent, number == last)
    uids = instance.sop_class_uid, instance.sop_instance_uid, instance.transfer_syntax_uid
    for kind, fault in faults_of_reference(*uids):
        yield f"its {records[-1].type} record {fault}", is_error(kind)
    if records[-1].type == "IMAGE" and (doubt := _doubt_of_type(instance)) is not None:
        yield doubt, False


def _doubt_of_type(instance: Instance) -> str | None:
    """Return why an IMAGE record need not be the right one for an instance."""
    its, kind = f"its SOP Class {instance.sop_class_uid}", KNOWN_TYPES.get(instance.sop_class_uid)
    if kind is None:
        why = f"{its} is not known"
    elif kind in _TOLD_BY:
        why = f"{its} takes one of type {kind}, but it lacks {describe(_TOLD_BY[kind])}"
    else:
        return None
    return f"{why}, so its record is of type IMAGE, which may not be the right one"


@lru_cache(maxsize=4096)
def _faults_of_record(record: Record, parent: str | None, has_file: bool) -> tuple[Fault, ...]:
    found = (
        *faults_of_type(record.type, parent),
        *faults_of_elements(record.type, record.elements, has_file=has_file),
    )
    return tuple((f"its {record.type} record {fault}", is_error(kind)) for kind, fault in found)
