"""Listings whose reader has seen enough, as `| head` has: they end, and say nothing of it."""

from __future__ import annotations

import io
import os
import sys

import pytest
from cli_runs import Cli

from fileset.cli import main

LISTINGS = (
    "status", "tree", "find", "find --level study", "find --csv", "find --tsv --sort Modality",
    "find --template {Modality}", "values Modality", "log", "log --events", "log --graph", "show 1",
    "diff 1", "blame PatientID=77654033", "quarantine list", "verify",
    "audit show", "audit status",
)  # fmt: skip


@pytest.mark.parametrize("form", ["", "--json"])
@pytest.mark.parametrize("words", LISTINGS)
def test_a_listing_that_nobody_reads_any_more_ends_quietly(
    adopted: Cli, words: str, form: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    if form and ("--csv" in words or "--tsv" in words or "--template" in words):
        pytest.skip("one form or another")
    reader, writer = os.pipe()
    os.close(reader)
    with os.fdopen(writer, "w", encoding="utf-8") as stream, monkeypatch.context() as patch:
        patch.setattr(sys, "stdout", stream)
        patch.setattr(sys, "stderr", err := io.StringIO())
        arguments = ["--repo", os.fspath(adopted.repository), *words.split(), *form.split()]
        assert main(arguments, standalone_mode=False) == 141
    assert err.getvalue() == ""
