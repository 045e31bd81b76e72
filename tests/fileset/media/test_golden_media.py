"""Media of every release are made again with the same bytes, on any machine and Python."""

from __future__ import annotations

import io
import shutil
from contextlib import closing
from pathlib import Path
from zipfile import ZipFile

import pytest
from golden_journals import FOLDER, VAULTS

from fileset import FileSet
from fileset.recovery.import_journal import Imported, import_journal, source_of
from ledger.events.media import KINDS
from ledger.journal.lines import write_journal


def imported(journal: Path, source: Path, path: Path) -> Imported:
    with journal.open("rb") as file, source_of(source) as contents:
        return import_journal(path, file, journal.name, source=contents)


@pytest.fixture(params=[path.stem for path in sorted(VAULTS.glob("*.zip"))])
def golden(request: pytest.FixtureRequest, tmp_path: Path) -> FileSet:
    """A repository with media of every kind, made by a release: its journal, and its vault."""
    with ZipFile(VAULTS / f"{request.param}.zip") as file:
        file.extractall(tmp_path / "vault")
    found = imported(FOLDER / f"{request.param}.jsonl", tmp_path / "vault", tmp_path / "archive")
    assert (found.lacking, found.unknown) == (0, 0)
    return FileSet(repository=found.repository)


def test_each_medium_is_made_again_with_the_bytes_that_it_had(
    golden: FileSet, tmp_path: Path
) -> None:
    with closing(golden.repository):
        media = golden.media.list()
        assert {medium.started.kind for medium in media} == KINDS.keys()
        assert {file.path for file in golden.media.other_files(1)} >= {
            "INDEX.HTM", "VIEWER/LIST.JS", "VIEWER/DATA/D0000001.JS", "LETTER.TXT",
        }  # fmt: skip
        for medium in media:
            is_folder = medium.started.kind == "folder"
            out = tmp_path / "again" if is_folder else io.BytesIO()
            golden.media.remake(medium.number, out)  # which is refused if a byte differs
        assert golden.media.verify(tmp_path / "again").is_sound
        assert golden.verify() == []


def test_a_journal_that_is_handed_on_takes_along_what_is_on_its_media(
    golden: FileSet, tmp_path: Path
) -> None:
    with closing(golden.repository), (tmp_path / "handed-on.jsonl").open("wb") as file:
        write_journal(golden.repository.journal, file.write)
        count = len({content.digest for content in golden.repository.vault.contents()})
    shutil.rmtree(tmp_path / "vault")
    found = imported(tmp_path / "handed-on.jsonl", tmp_path / "archive", tmp_path / "other")
    with closing(found.repository) as other:
        assert found.lacking == 0
        assert len(list(other.vault.contents())) == count
        again = io.BytesIO()
        FileSet(repository=other).media.remake(1, again)
