"""Where instances came from: files, and members of archives."""

from __future__ import annotations

import pytest

from ledger.sources import folder_of


@pytest.mark.parametrize(
    ("source", "folder"),
    [
        ("/in/IM1", "/in"),
        ("/IM1", "/"),
        ("/in/study.zip!IM1", "/in/study.zip"),
        ("/study.zip!IM1", "/study.zip"),
        ("/in/study.zip!CT/IM1", "/in/study.zip!CT"),
        ("/in!/CT/IM1", "/in!/CT"),
        ("/in/twice!.zip!IM1", "/in/twice!.zip"),
        ("/in/file!", "/in/file"),
        ("study.zip!IM1", "study.zip"),
        ("", ""),
    ],
)
def test_the_folder_is_that_of_the_file_or_within_the_archive(source: str, folder: str) -> None:
    assert folder_of(source) == folder
