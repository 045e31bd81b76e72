"""Audit messages by the Standard's schema: PS3.15 Section A.5.1.1, in RELAX NG compact form."""

from __future__ import annotations

import subprocess
from functools import cache
from pathlib import Path
from shutil import which

import rnc2rng
from lxml import etree

_PUBLISHED = Path(__file__).with_name("audit-message.rnc")

TRANG_AND_XMLLINT = which("trang") is not None and which("xmllint") is not None
"""Whether there is a second validator: Debian's packages trang and libxml2-utils."""


def compact() -> str:
    """Return the schema as tools can read it: in the published one, ## stands where it may not."""
    return _PUBLISHED.read_text("utf-8").replace("##", "#")


@cache
def _schema() -> etree.RelaxNG:
    converted = rnc2rng.dumps(rnc2rng.loads(compact()))
    return etree.RelaxNG(etree.fromstring(converted.encode("utf-8")))


def faults_of(message: bytes) -> list[str]:
    """Return what is wrong with a message; nothing if it is valid."""
    schema = _schema()
    schema.validate(etree.fromstring(message))
    return [str(error) for error in schema.error_log]


def told_by_xmllint(messages: list[bytes], folder: Path) -> str:
    """Return what xmllint says of messages that are not valid by the schema as trang has it."""
    (folder / "schema.rnc").write_text(compact(), "utf-8")
    subprocess.run(["trang", folder / "schema.rnc", folder / "schema.rng"], check=True)
    names = []
    for number, message in enumerate(messages):
        names.append(folder / f"{number}.xml")
        names[-1].write_bytes(message)
    command = ["xmllint", "--noout", "--relaxng", folder / "schema.rng", *names]
    result = subprocess.run(command, capture_output=True, text=True, check=False)
    return "".join(line for line in result.stderr.splitlines(True) if "validates" not in line)
