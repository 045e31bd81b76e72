"""The hierarchy of directory records that a File-set shows."""

from __future__ import annotations

from pathlib import Path

import pytest
from cli_runs import CT
from pydicom import Dataset
from pydicom.fileset import FileSet as PydicomFileSet
from pydicom.uid import generate_uid

from fileset import FileSet, RecordNode


def test_the_hierarchy_of_a_file_set_changes_only_through_the_file_set() -> None:
    fs = FileSet()
    node = fs.add(CT).node
    with pytest.raises(TypeError, match=r"FileSet\.add"):
        node.parent = None
    with pytest.raises(TypeError, match=r"FileSet\.remove"):
        node.root.children = []
    with pytest.raises(ValueError, match="Only leaf nodes can be removed"):
        node.root.remove(node.parent)  # type: ignore[arg-type]
    del node.root[node.root.children[0]]
    assert len(fs) == 0


def test_private_records_by_add_custom_have_their_own_levels(tmp_path: Path) -> None:
    leaf = None
    for _ in range(3):
        record = Dataset()
        record.DirectoryRecordType = "PRIVATE"
        record.PrivateRecordUID = generate_uid()
        node = RecordNode(record)
        node.parent = leaf
        leaf = node
    assert leaf is not None
    fs = FileSet()
    instance = fs.add_custom(CT, leaf)
    assert instance.is_private
    assert instance.FileID == "P0000000/P1000000/P2000000"
    fs.write(tmp_path / "medium")
    assert len(PydicomFileSet(tmp_path / "medium" / "DICOMDIR")) == 1


def test_the_leaf_given_to_add_custom_references_the_instance() -> None:
    record = Dataset()
    record.DirectoryRecordType = "PRIVATE"
    record.PrivateRecordUID = "1.2.3"
    leaf = RecordNode(record)
    instance = FileSet().add_custom(CT, leaf)
    assert leaf.instance is instance
    assert leaf.has_instance
