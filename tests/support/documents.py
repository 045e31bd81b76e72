"""JSON documents of the command, compared with the schemas in the reference."""

from __future__ import annotations

import json
from functools import cache
from typing import Any

from cli_runs import PROJECT
from jsonschema import Draft202012Validator

PATH = PROJECT / "docs/reference/documents.schema.json"
SCHEMA = json.loads(PATH.read_text("utf-8"))


def closed(schema: Any) -> Any:
    """Return a schema by which every object has only the keys that it lists."""
    if isinstance(schema, list):
        return [closed(each) for each in schema]
    if not isinstance(schema, dict):
        return schema
    made = {key: closed(each) for key, each in schema.items()}
    if isinstance(schema.get("properties"), dict) and "type" in schema:
        made.setdefault("additionalProperties", False)
    return made


@cache
def _validator(name: str) -> Draft202012Validator:
    definitions = closed(SCHEMA["$defs"])
    assert name in definitions, f"{PATH} has no document of the format {name!r}"
    return Draft202012Validator({"$ref": f"#/$defs/{name}", "$defs": definitions})


def check(document: dict[str, Any]) -> None:
    """Fail if a document has a key, or a type of value, that its schema doesn't tell of."""
    errors = _validator(document["format"]).iter_errors(document)
    told = [f"{error.json_path}: {error.message[:300]}" for error in errors]
    assert not told, f"{PATH}, {document['format']}: {told[:5]}"
