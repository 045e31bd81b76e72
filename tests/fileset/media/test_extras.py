"""What goes on a medium besides its File-set: it is kept, and comes out the same again."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest
from cli_runs import CT, MR, OVERLAY, changed

from fileset import FileSet
from fileset.errors import RefusedError
from fileset.media.choice import Choice
from fileset.media.extras import Extras
from fileset.media.list import media, other_files
from fileset.media.make import Maker
from fileset.media.remake import remake
from fileset.media.verify import Verifier
from fileset.repository.garbage import collect
from ledger.errors import LedgerError
from projections.past.media import Medium

ALL = Extras(pages=True, viewer=True, institution="Clinic", contact="Phone 1")


@pytest.fixture
def filled(fs: FileSet) -> FileSet:
    fs.add_many([CT, MR])
    fs.ID = "CLINIC"
    return fs


def make(fs: FileSet, out: Path, extras: Extras, **choice: Any) -> list[Medium]:
    kind = "iso" if out.suffix == ".iso" else "folder"
    maker = Maker(fs.repository)
    made = maker.make(out, fs.state, Choice(kind, extras=extras, **choice))
    return [each.medium for each in made]


def names(root: Path) -> set[str]:
    return {path.relative_to(root).as_posix() for path in root.rglob("*") if path.is_file()}


def test_pages_and_a_viewer_are_on_the_medium_and_it_is_made_again_with_them(
    filled: FileSet, tmp_path: Path
) -> None:
    make(filled, tmp_path / "disc", ALL)
    found = names(tmp_path / "disc")
    assert {
        "README.TXT", "INDEX.HTM", "IHE_PDI/ST000001.HTM", "IHE_PDI/ST000002.HTM", "SHA256.TXT",
        "VIEWER/INDEX.HTM", "VIEWER/VIEWER.JS", "VIEWER/LIST.JS", "VIEWER/DATA/D0000001.JS",
    } <= found  # fmt: skip
    assert "VIEWER/INDEX.HTM" in (tmp_path / "disc/INDEX.HTM").read_text()
    assert "Institution: Clinic" in (tmp_path / "disc/README.TXT").read_text()
    make(filled, tmp_path / "disc.iso", ALL)
    for number, out in ((1, "again"), (2, "again.iso")):
        assert Verifier(filled.repository).verify(tmp_path / out.replace("again", "disc")).is_sound
        remake(filled.repository, number, tmp_path / out)
    assert (tmp_path / "again.iso").read_bytes() == (tmp_path / "disc.iso").read_bytes()
    assert names(tmp_path / "again") == found
    collect(filled.repository, dry_run=False)
    remake(filled.repository, 2, tmp_path / "third.iso")


def test_only_what_does_not_follow_from_the_instances_is_kept(
    filled: FileSet, tmp_path: Path
) -> None:
    [medium] = make(filled, tmp_path / "disc", ALL)
    vault = filled.repository.vault
    kept = {
        file.path: file.content.digest in vault for file in other_files(filled.repository, medium)
    }
    assert {path for path, there in kept.items() if not there} == {
        f"VIEWER/DATA/D000000{number}.JS" for number in (1, 2)
    }


def test_a_medium_that_is_made_twice_is_the_same(filled: FileSet, tmp_path: Path) -> None:
    for name in ("a.iso", "b.iso"):
        make(filled, tmp_path / name, ALL)
    assert (tmp_path / "a.iso").read_bytes() == (tmp_path / "b.iso").read_bytes()


def test_each_volume_has_pages_of_its_own(filled: FileSet, tmp_path: Path) -> None:
    filled.add(OVERLAY)
    filled.remove(list(filled.find(PatientID="1CT1")))
    make(filled, tmp_path / "disc", Extras(pages=True), capacity=600_000)
    for number, other in ((1, "2"), (2, "1")):
        readme = (tmp_path / f"disc_{number}OF2/README.TXT").read_text()
        assert f"Volume {number} of 2" in readme
        assert f"CLINIC_{other}OF2" not in readme
        assert "Studies: 1" in readme


def test_a_dry_run_tells_the_very_size_and_keeps_nothing(filled: FileSet, tmp_path: Path) -> None:
    choice = Choice("iso", extras=ALL)
    position = filled.repository.journal.position
    before = list(filled.repository.vault.contents())
    [(_, planned)] = Maker(filled.repository).plan(tmp_path / "disc.iso", filled.state, choice)
    assert filled.repository.journal.position == position
    assert list(filled.repository.vault.contents()) == before
    make(filled, tmp_path / "disc.iso", ALL)
    assert (tmp_path / "disc.iso").stat().st_size == planned.size


def test_files_of_ones_own_go_on_the_medium_with_names_that_every_medium_can_have(
    filled: FileSet, tmp_path: Path
) -> None:
    own = tmp_path / "own"
    (own / "Info").mkdir(parents=True)
    (own / "Info/letter.pdf").write_bytes(b"%PDF")
    make(filled, tmp_path / "disc", Extras(include=own))
    assert (tmp_path / "disc/INFO/LETTER.PDF").read_bytes() == b"%PDF"
    (own / "Info/letter.pdf").write_bytes(b"another")
    remake(filled.repository, 1, tmp_path / "again")
    assert (tmp_path / "again/INFO/LETTER.PDF").read_bytes() == b"%PDF"


@pytest.mark.parametrize(
    ("name", "content", "why"),
    [
        ("autorun.inf", b"", "Programs don't belong on a medium for patients"),
        ("VIEWER.EXE", b"", "Programs don't belong"),
        ("README", b"MZ\x90\0", "Programs don't belong"),
        ("A long name.txt", b"", "is not a name that every medium can have"),
        ("a/b/c/d/e/f/g/h/i.txt", b"", "levels? 9|are allowed"),
        ("readme.txt", b"", "README.TXT: the folder to include has files"),
        ("DICOMDIR", b"", "DICOMDIR"),
        ("dicomdir", b"", "DICOMDIR"),
        ("PT000000", b"", "a file and a folder"),
        ("SHA256.TXT", b"", "SHA256.TXT"),
    ],
)
def test_what_can_t_go_on_a_medium_is_refused_by_name_and_nothing_is_recorded(
    filled: FileSet, tmp_path: Path, name: str, content: bytes, why: str
) -> None:
    path = tmp_path / "own" / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)
    position = filled.repository.journal.position
    with pytest.raises(LedgerError, match=why):
        make(filled, tmp_path / "disc.iso", Extras(pages=True, include=tmp_path / "own"))
    assert filled.repository.journal.position == position
    assert not (tmp_path / "disc.iso").exists()
    assert media(filled.repository) == []


@pytest.mark.parametrize("name", ["DICOMDIR", "dicomdir", "SHA256.TXT", "PT000000"])
def test_a_folder_takes_no_file_that_an_image_can_t_have(
    filled: FileSet, tmp_path: Path, name: str
) -> None:
    (tmp_path / "own").mkdir()
    (tmp_path / "own" / name).touch()
    with pytest.raises(LedgerError):
        make(filled, tmp_path / "disc", Extras(include=tmp_path / "own"))
    assert media(filled.repository) == []
    assert not (tmp_path / "disc").exists()


def test_what_is_no_file_is_refused_and_not_waited_for(filled: FileSet, tmp_path: Path) -> None:
    (tmp_path / "own").mkdir()
    os.mkfifo(tmp_path / "own/A.TXT")
    with pytest.raises(RefusedError, match=r"A\.TXT is not a regular file"):
        make(filled, tmp_path / "disc", Extras(include=tmp_path / "own"))


def test_large_files_of_ones_own_count_on_each_volume(filled: FileSet, tmp_path: Path) -> None:
    (tmp_path / "own").mkdir()
    (tmp_path / "own/FILM.MP4").write_bytes(bytes(900_000))
    make(filled, tmp_path / "disc.iso", Extras(include=tmp_path / "own"), capacity=1_340_000)
    sizes = [path.stat().st_size for path in sorted(tmp_path.glob("disc*.iso"))]
    assert len(sizes) == 2
    assert max(sizes) <= 1_340_000


def test_several_persons_under_one_id_are_not_handed_out_together(
    filled: FileSet, tmp_path: Path
) -> None:
    uids = {"SOPInstanceUID": "1.2.3", "StudyInstanceUID": "1.2.4", "SeriesInstanceUID": "1.2.5"}
    other = changed(Path(MR), tmp_path / "other.dcm", PatientName="Other^Person", **uids)
    filled.add_many([other])
    with pytest.raises(RefusedError, match=r"one Patient ID: '4MR1'"):
        make(filled, tmp_path / "disc", Extras())
    assert media(filled.repository) == []
    [mine] = filled.find(SOPInstanceUID="1.2.3")
    make(filled, tmp_path / "one", Extras(), handles=[mine.handle])
    filled.settle("4MR1")
    make(filled, tmp_path / "both", Extras())


def test_links_twins_and_empty_folders_are_refused(filled: FileSet, tmp_path: Path) -> None:
    own = tmp_path / "own"
    own.mkdir()
    with pytest.raises(RefusedError, match="has no files"):
        make(filled, tmp_path / "disc", Extras(include=own))
    (own / "A.TXT").touch()
    (own / "a.txt").touch()
    if len([*own.iterdir()]) == 2:
        with pytest.raises(RefusedError, match=r"would have one name: A\.TXT"):
            make(filled, tmp_path / "disc", Extras(include=own))
    (own / "a.txt").unlink(missing_ok=True)
    (own / "LINK.TXT").symlink_to(CT)
    with pytest.raises(RefusedError, match=r"LINK\.TXT is a link"):
        make(filled, tmp_path / "disc", Extras(include=own))


def test_programs_go_on_a_medium_if_they_are_wanted(filled: FileSet, tmp_path: Path) -> None:
    own = tmp_path / "own"
    own.mkdir()
    (own / "RUN.EXE").write_bytes(b"MZ")
    make(filled, tmp_path / "disc", Extras(include=own, programs=True))
    assert (tmp_path / "disc/RUN.EXE").exists()


def test_erasing_a_person_takes_the_pages_away_and_the_medium_can_t_be_made_again(
    filled: FileSet, tmp_path: Path
) -> None:
    [medium] = make(filled, tmp_path / "disc", Extras(pages=True))
    digests = [file.content.digest for file in other_files(filled.repository, medium)]
    filled.erase(reason="asked for", take_off=True, PatientID="4MR1")
    assert not any(digest in filled.repository.vault for digest in digests)
    with pytest.raises(RefusedError, match="erased"):
        remake(filled.repository, 1, tmp_path / "again")
    found = filled.media.verify(tmp_path / "disc")
    assert (found.erased, found.problems, found.is_sound) == (True, (), False)


def test_an_institution_is_recorded_without_pages_too(filled: FileSet, tmp_path: Path) -> None:
    [medium] = filled.media.make(tmp_path / "disc", extras=Extras(institution="Clinic"))
    assert medium.addressed is not None
    assert medium.addressed.institution == "Clinic"
