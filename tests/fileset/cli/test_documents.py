"""The JSON Schemas in the reference: every document that any test prints is compared with them."""

from __future__ import annotations

import copy

import pytest
from cli_runs import CT, MR, Cli, every_command
from documents import SCHEMA, check
from jsonschema import Draft202012Validator

from fileset.cli.command import COMMON

DEFINED = SCHEMA["$defs"]


def test_the_schemas_are_schemas_of_all_commands_and_their_keys() -> None:
    Draft202012Validator.check_schema(SCHEMA)
    known = every_command()
    formats = {name for name in DEFINED if name.startswith("fileset ")}
    assert formats == {*(f"fileset {name}" for name in known), "fileset error"}
    assert [each["$ref"].rpartition("/")[2] for each in SCHEMA["oneOf"]] == sorted(formats)
    for name, made in known.items():
        properties = DEFINED[f"fileset {name}"]["properties"]
        refused = {"error"} if name == "revert" else set()
        assert set(properties) == {*COMMON, *made.shape, *refused}, name
        assert properties["format"] == {"const": f"fileset {name}"}
        assert properties["version"] == {"const": made.version}


def test_a_document_is_valid_by_the_whole_schema_too(cli: Cli) -> None:
    cli("add", CT, MR)
    for arguments in (("find",), ("tree",), ("log", "--events"), ("status",)):
        Draft202012Validator(SCHEMA).validate(cli.json(*arguments))
    Draft202012Validator(SCHEMA).validate(cli.json("undo", 99, code=3))


def test_a_key_or_a_type_that_is_not_described_fails(cli: Cli) -> None:
    cli("add", CT)
    document = cli.json("find", "--columns", "PatientID")
    check(document)
    for change in (
        lambda d: d.update(more=1),
        lambda d: d.update(level=None),
        lambda d: d.pop("warnings"),
        lambda d: d["instances"][0].update(more=1),
        lambda d: d["instances"][0].pop("file_id"),
        lambda d: d["instances"][0]["columns"].update(PatientID=1),
    ):
        wrong = copy.deepcopy(document)
        change(wrong)
        with pytest.raises(AssertionError):
            check(wrong)
    with pytest.raises(AssertionError, match="has no document"):
        check({"format": "fileset unknown"})
