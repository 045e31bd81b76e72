"""Records of the types that PS3.3 has for each SOP Class: made, checked, and left alone."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from pydicom import dcmread
from pydicom.data import get_testdata_file
from pydicom.dataset import Dataset

from fileset import FileSet, RecordNode
from ledger.instances.sop_classes import KNOWN_TYPES
from tests.support.cli_runs import run

PREFIX = "1.2.840.10008.5.1.4.1.1."
UNKNOWN_CLASS = "1.2.840.10008.5.1.4.1.1.999.1"
UNKNOWN_TO_DCIODVFY = {
    "ANNOTATION", "ASSESSMENT", "IMPLANT", "IMPLANT ASSY", "IMPLANT GROUP", "INVENTORY",
    "MEASUREMENT", "PALETTE", "PLAN", "RADIOTHERAPY", "SURFACE SCAN", "TRACT",
}  # fmt: skip
LACKING_KEYS = {"HANGING PROTOCOL", "STEREOMETRIC"}
"""Types that dciodvfy asks more keys of than pydicom puts into their records."""


def code() -> Dataset:
    item = Dataset()
    item.CodeValue, item.CodingSchemeDesignator, item.CodeMeaning = "1", "99X", "meaning"
    return item


def instance(sop_class: str, kind: str) -> Dataset:
    """An instance of the class with all that a record of any type may hold."""
    ds = dcmread(get_testdata_file("CT_small.dcm"))
    ds.SOPClassUID = ds.file_meta.MediaStorageSOPClassUID = sop_class
    ds.PatientName, ds.PatientID, ds.StudyID, ds.SeriesNumber = "Doe^Jane", "1", "1", 1
    ds.AccessionNumber, ds.StudyDescription, ds.InstanceNumber = "1", "Study", 1
    ds.ImageType, ds.NumberOfFrames, ds.Manufacturer = ["ORIGINAL", "PRIMARY", "OTHER"], 1, "X"
    for keyword in ("StudyDate", "ContentDate", "PresentationCreationDate", "TreatmentDate",
                    "InstanceCreationDate", "StructureSetDate", "RTPlanDate"):  # fmt: skip
        setattr(ds, keyword, "20200101")
    for keyword in ("StudyTime", "ContentTime", "PresentationCreationTime", "TreatmentTime",
                    "InstanceCreationTime", "StructureSetTime", "RTPlanTime"):  # fmt: skip
        setattr(ds, keyword, "101010")
    ds.ContentLabel, ds.ContentDescription, ds.ContentCreatorName = "LABEL", "d", "Doe^Jane"
    ds.StructureSetLabel, ds.DoseSummationType, ds.Modality = "label", "PLAN", "OT"
    ds.ConceptNameCodeSequence = [code()]
    ds.CompletionFlag, ds.VerificationFlag = "COMPLETE", "UNVERIFIED"
    ds.MIMETypeOfEncapsulatedDocument, ds.DocumentTitle = "application/pdf", "title"
    ds.DataPointRows = ds.DataPointColumns = 1
    ds.HangingProtocolCreator, ds.HangingProtocolCreationDateTime = "X", "20200101101010"
    ds.HangingProtocolDefinitionSequence, ds.NumberOfPriorsReferenced = [Dataset()], 0
    ds.HangingProtocolDefinitionSequence[0].Modality = "CT"
    ds.HangingProtocolUserIdentificationCodeSequence = [code()]
    ds.ImplantName, ds.ImplantPartNumber, ds.ImplantAssemblyTemplateName = "i", "1", "a"
    ds.ProcedureTypeCodeSequence = [code()]
    ds.ImplantTemplateGroupName, ds.ImplantTemplateGroupIssuer = "g", "X"
    ds.InventoryPurpose, ds.InventoryLevel, ds.InventoryCompletionStatus = "p", "STUDY", "COMPLETE"
    ds.ScopeOfInventorySequence, ds.TotalNumberOfStudyRecords = [], 0
    ds.ReferencedImageEvidenceSequence = [Dataset()]
    ds.ReferencedImageEvidenceSequence[0].ReferencedSOPClassUID = f"{PREFIX}4"
    ds.ReferencedImageEvidenceSequence[0].ReferencedSOPInstanceUID = "1.2.3.5"
    if kind == "ENCAP DOC":
        ds.EncapsulatedDocument = b"%PDF"
    if sop_class == f"{PREFIX}104.2":
        ds.HL7InstanceIdentifier = "1.2.3^1"
    if kind == "RT PLAN":
        ds.RTPlanLabel = "plan"
    series = Dataset()
    series.SeriesInstanceUID, series.ReferencedImageSequence = "1.2.3", [Dataset()]
    series.ReferencedImageSequence[0].ReferencedSOPClassUID = f"{PREFIX}2"
    series.ReferencedImageSequence[0].ReferencedSOPInstanceUID = "1.2.3.4"
    ds.ReferencedSeriesSequence = [series]
    return ds


def leaf_of(root: Path) -> Dataset:
    return dcmread(root / "DICOMDIR").DirectoryRecordSequence[-1]


@pytest.mark.parametrize("kind", sorted(set(KNOWN_TYPES.values())))
def test_each_class_gets_its_record_which_both_checks_find_right(tmp_path: Path, kind: str) -> None:
    fs = FileSet()
    classes = [sop_class for sop_class, its in KNOWN_TYPES.items() if its == kind]
    for number, sop_class in enumerate(classes, 1):
        ds = instance(sop_class, kind)
        ds.SOPInstanceUID = ds.file_meta.MediaStorageSOPInstanceUID = f"1.2.3.{number}"
        fs.add(ds)
    fs.write(tmp_path / "disc")
    records = dcmread(tmp_path / "disc" / "DICOMDIR").DirectoryRecordSequence
    leaves = [record for record in records if "ReferencedFileID" in record]
    assert {leaf.ReferencedSOPClassUIDInFile for leaf in leaves} == set(classes)
    assert {leaf.DirectoryRecordType for leaf in leaves} == {kind}
    assert "all is well" in run("verify", tmp_path / "disc").out
    tool = Path(sys.executable).parent / "dciodvfy"
    if not tool.exists():
        return
    told = subprocess.run(
        [tool, "-new", tmp_path / "disc/DICOMDIR"], check=False, capture_output=True, text=True
    )
    errors = [line for line in told.stderr.splitlines() if line.startswith("Error")]
    assert kind in UNKNOWN_TO_DCIODVFY | LACKING_KEYS or not errors


def with_record(kind: str, sop_class: str, disc: Path) -> None:
    """A File-set in which an instance of the class has a record of the type `kind`."""
    ds = instance(sop_class, kind)

    def record(of: str, *keywords: str) -> RecordNode:
        made = Dataset()
        made.DirectoryRecordType = of
        if of == kind:
            made.ReferencedSOPInstanceUIDInFile = ds.SOPInstanceUID
        for keyword in keywords:
            setattr(made, keyword, ds[keyword].value)
        return RecordNode(made)

    leaf = record(kind, "InstanceNumber", "ContentDate", "ContentTime", "ContentLabel",
                  "ContentDescription", "ContentCreatorName", "PresentationCreationDate",
                  "PresentationCreationTime", "ConceptNameCodeSequence", "CompletionFlag",
                  "VerificationFlag")  # fmt: skip
    leaf.parent = series = record("SERIES", "Modality", "SeriesInstanceUID", "SeriesNumber")
    series.parent = study = record(
        "STUDY", "StudyDate", "StudyTime", "StudyID", "StudyInstanceUID", "StudyDescription",
        "AccessionNumber",
    )  # fmt: skip
    study.parent = record("PATIENT", "PatientID", "PatientName")
    fs = FileSet()
    fs.add_custom(ds, leaf)
    fs.write(disc)


@pytest.mark.parametrize("sop_class", [UNKNOWN_CLASS, "1.2.3.4"])
@pytest.mark.parametrize(
    "kind", ["PRESENTATION", "SR DOCUMENT", "MEASUREMENT", "ANNOTATION", "RAW DATA", "IMAGE"]
)
def test_of_an_unknown_class_no_record_is_called_wrong_or_changed(
    tmp_path: Path, kind: str, sop_class: str
) -> None:
    disc = tmp_path / "disc"
    with_record(kind, sop_class, disc)
    before = leaf_of(disc)
    assert "all is well" in run("verify", disc).out
    run("init", tmp_path / "repository", "--from", disc / "DICOMDIR", "--repair")
    run("--repo", tmp_path / "repository", "write", "--layout", "existing")
    after = leaf_of(disc)
    assert after.DirectoryRecordType == kind
    assert after.get("ContentLabel") == before.ContentLabel


@pytest.mark.parametrize(("sop_class", "right"), [(f"{PREFIX}11.8", "PRESENTATION"),
                                                  (f"{PREFIX}2", "IMAGE")])  # fmt: skip
def test_of_a_known_class_a_wrong_record_is_told_and_mended(
    tmp_path: Path, sop_class: str, right: str
) -> None:
    disc = tmp_path / "disc"
    with_record("MEASUREMENT", sop_class, disc)
    assert "record-type-differs" in run("verify", disc, code=1).out
    run("init", tmp_path / "repository", "--from", disc / "DICOMDIR", "--repair")
    run("--repo", tmp_path / "repository", "write", "--layout", "existing")
    assert leaf_of(disc).DirectoryRecordType == right
    assert "all is well" in run("verify", disc).out


def test_a_plan_without_a_label_keeps_the_record_that_is_right_for_its_class(
    tmp_path: Path,
) -> None:
    disc = tmp_path / "disc"
    with_record("RT PLAN", f"{PREFIX}481.5", disc)
    path = next(p for p in disc.rglob("*") if p.is_file() and p.name != "DICOMDIR")
    ds = dcmread(path)
    del ds.RTPlanLabel
    ds.save_as(path)
    run("init", tmp_path / "repository", "--from", disc / "DICOMDIR", "--repair")
    run("--repo", tmp_path / "repository", "write", "--layout", "existing")
    assert leaf_of(disc).DirectoryRecordType == "RT PLAN"


def test_an_unknown_class_is_added_as_an_image_with_a_warning(tmp_path: Path) -> None:
    instance(UNKNOWN_CLASS, "IMAGE").save_as(tmp_path / "F1")
    repository = tmp_path / "repository"
    run("init", repository)
    added = run("--repo", repository, "add", tmp_path / "F1", "--json").document
    assert f"its SOP Class {UNKNOWN_CLASS} is not known" in added["results"][0]["note"]
    run("--repo", repository, "write", tmp_path / "disc")
    assert leaf_of(tmp_path / "disc").DirectoryRecordType == "IMAGE"


@pytest.mark.parametrize(
    ("sop_class", "kind", "lacks"),
    [
        (f"{PREFIX}481.5", "RT PLAN", "(300A,0002) RT Plan Label"),
        (f"{PREFIX}481.8", "RT PLAN", "(300A,0002) RT Plan Label"),
        (f"{PREFIX}104.1", "ENCAP DOC", "(0042,0011) Encapsulated Document"),
    ],
)
def test_what_lacks_what_its_record_type_goes_by_is_an_image_with_a_warning(
    tmp_path: Path, sop_class: str, kind: str, lacks: str
) -> None:
    instance(sop_class, "IMAGE").save_as(tmp_path / "F1")
    run("init", tmp_path / "repository")
    added = run("--repo", tmp_path / "repository", "add", tmp_path / "F1", "--json").document
    note = added["results"][0]["note"]
    assert f"takes one of type {kind}, but it lacks {lacks}" in note
    assert "so its record is of type IMAGE" in note
