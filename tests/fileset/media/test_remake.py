"""A medium that is made again has the same bytes, or is not there and the reason is told."""

from __future__ import annotations

import io
import os
from pathlib import Path

import pytest
from attrs import evolve
from cli_runs import CT, MR, OVERLAY

from fileset import FileSet
from fileset.checking.findings import RepositoryFindingKind
from fileset.errors import RefusedError
from fileset.media.choice import Choice
from fileset.media.extras import Extras
from fileset.media.make import Maker
from fileset.recovery.import_journal import import_journal, source_of
from ledger.digest import digest_of
from ledger.errors import ContentMissingError
from ledger.events import Content, Erased, Event, MediumAddressed, MediumFilled, OtherFile
from ledger.journal import codec
from ledger.journal.lines import write_journal

MR_IMAGE = "1.2.840.10008.5.1.4.1.1.4"


@pytest.fixture
def filled(fs: FileSet) -> FileSet:
    """Two patients, and an ID."""
    fs.add_many([CT, MR])
    fs.ID = "CLINIC"
    return fs


def erased_types(fs: FileSet) -> list[str]:
    return [e.event.type for e in fs.repository.journal.read() if isinstance(e.event, Erased)]


def test_a_medium_is_the_same_after_all_that_came_since(filled: FileSet, tmp_path: Path) -> None:
    filled.media.make(tmp_path / "all.iso")
    filled.media.make(tmp_path / "ct.iso", filled.find(PatientID="1CT1"))
    filled.media.make(tmp_path / "out", filled.find(PatientID="4MR1"))
    filled.add(OVERLAY)
    filled.correct(filled.find(PatientID="4MR1"), {"PatientName": "Right^Name"})
    filled.ID = "OTHER"
    filled.remove(filled.find(PatientID="1CT1"))
    filled.write(tmp_path / "medium")
    position = filled.state.position
    for number, name in ((1, "all.iso"), (2, "ct.iso")):
        filled.media.remake(number, tmp_path / f"again{number}.iso")
        again = (tmp_path / f"again{number}.iso").read_bytes()
        assert again == (tmp_path / name).read_bytes()
    filled.media.remake(3, tmp_path / "again")
    assert filled.media.verify(tmp_path / "again").is_sound
    assert filled.state.position == position + 1  # that it was verified


def test_each_of_several_volumes_is_made_again(filled: FileSet, tmp_path: Path) -> None:
    made = filled.media.make(tmp_path / "disc.iso", capacity=443_928)
    for medium in made:
        stream = io.BytesIO()
        filled.media.remake(medium.number, stream)
        name = f"disc_{medium.started.volume}OF2.iso"
        assert stream.getvalue() == (tmp_path / name).read_bytes()


def test_an_erasure_of_somebody_else_changes_nothing(filled: FileSet, tmp_path: Path) -> None:
    filled.media.make(tmp_path / "mr.iso", filled.find(PatientID="4MR1"), recipient="Dr. Weiss")
    filled.erase(PatientID="1CT1", reason="asked for", take_off=True)
    filled.media.remake(1, tmp_path / "again.iso")
    assert (tmp_path / "again.iso").read_bytes() == (tmp_path / "mr.iso").read_bytes()
    assert filled.media.list()[0].recipient == "Dr. Weiss"


def test_what_was_erased_is_the_reason_why_not(filled: FileSet, tmp_path: Path) -> None:
    filled.media.make(tmp_path / "disc.iso")
    filled.erase(PatientID="1CT1", reason="asked for", take_off=True)
    with pytest.raises(RefusedError, match="1 instance of the medium was erased since"):
        filled.media.remake(1, tmp_path / "again.iso")
    assert not (tmp_path / "again.iso").exists()


def test_a_medium_that_was_not_finished_can_t_be_made_again(
    filled: FileSet, tmp_path: Path
) -> None:
    def interrupt(what: str, done: int, total: int) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        filled.media.make(tmp_path / "disc.iso", progress=interrupt)
    with pytest.raises(RefusedError, match="Medium 1 was not finished"):
        filled.media.remake(1, tmp_path / "disc.iso")
    with pytest.raises(RefusedError, match="There is no medium 2"):
        filled.media.remake(2, tmp_path / "disc.iso")


def test_a_file_is_replaced_only_if_that_is_asked_for(filled: FileSet, tmp_path: Path) -> None:
    filled.media.make(tmp_path / "disc.iso")
    with pytest.raises(RefusedError, match="is there already"):
        filled.media.remake(1, tmp_path / "disc.iso")
    filled.media.remake(1, tmp_path / "disc.iso", replace=True)


def test_content_that_the_vault_has_lost_is_named(filled: FileSet, tmp_path: Path) -> None:
    filled.media.make(tmp_path / "disc.iso")
    assert filled.repository.path is not None
    vault = filled.repository.path / "vault"
    filled.close()
    for pack in vault.iterdir():
        pack.unlink()
    with FileSet.open(vault.parent) as fs, pytest.raises(ContentMissingError, match="2 instances"):
        fs.media.remake(1, tmp_path / "again.iso")
    assert sorted(os.listdir(tmp_path)) == ["disc.iso", "repository"]  # noqa: PTH208 - hidden too


def test_an_imported_journal_makes_the_same_medium_with_all_that_was_on_it(
    filled: FileSet, tmp_path: Path
) -> None:
    with filled.repository.vault.batch() as batch:
        content = batch.add(b"read me")
    choice = Choice("iso", files=(OtherFile("README.TXT", content),))
    Maker(filled.repository).make(tmp_path / "disc.iso", filled.state, choice)
    assert filled.repository.path is not None
    with (tmp_path / "journal.jsonl").open("wb") as file:
        write_journal(filled.repository.journal, file.write)
    with (
        source_of(filled.repository.path) as source,
        (tmp_path / "journal.jsonl").open("rb") as file,
    ):
        imported = import_journal(tmp_path / "other", file, "journal.jsonl", source=source)
    imported.repository.close()
    assert imported.lacking == 0
    with FileSet.open(tmp_path / "other") as other:
        other.media.remake(1, tmp_path / "again.iso")
    assert (tmp_path / "again.iso").read_bytes() == (tmp_path / "disc.iso").read_bytes()


# --- what is erased of it ------------------------------------------------------------------------


def test_for_whom_a_medium_was_goes_with_the_last_person_on_it(
    filled: FileSet, tmp_path: Path
) -> None:
    filled.media.make(tmp_path / "ct.iso", filled.find(PatientID="1CT1"), recipient="Ms. Doe")
    filled.media.make(tmp_path / "all.iso", recipient="Dr. Weiss", label="both")
    filled.erase(PatientID="1CT1", reason="asked for", take_off=True)
    alone, both = filled.media.list()
    assert (alone.addressed, both.recipient) == (None, "Dr. Weiss")
    assert alone.produced is not None
    filled.erase(PatientID="4MR1", reason="asked for", take_off=True)
    assert [medium.addressed for medium in filled.media.list()] == [None, None]


@pytest.mark.parametrize(
    "told",
    [
        {"recipient": "Mr. CompressedSamples, CT1"},
        {"label": "CT of 1CT1"},
        {"asked": (("PatientID", "1CT1"),)},
    ],
    ids=lambda told: next(iter(told)),
)
def test_a_text_that_tells_of_a_person_goes_with_the_person(
    filled: FileSet, tmp_path: Path, told: dict[str, str]
) -> None:
    Maker(filled.repository).make(tmp_path / "all.iso", filled.state, Choice("iso", **told))  # type: ignore[arg-type]  # of each its own type
    erasure = filled.erase(PatientID="1CT1", reason="asked for", take_off=True)
    assert filled.media.list()[0].addressed is None
    assert MediumAddressed.TYPE in erased_types(filled)
    assert [mention.text for mention in erasure.mentions] == []


def test_other_files_go_with_anyone_on_the_medium_and_the_recipient_stays(
    filled: FileSet, tmp_path: Path
) -> None:
    with filled.repository.vault.batch() as batch:
        content = batch.add(b"a page with pictures")
    choice = Choice("iso", recipient="Dr. Weiss", files=(OtherFile("PAGE.HTM", content),))
    Maker(filled.repository).make(tmp_path / "disc.iso", filled.state, choice)
    filled.erase(PatientID="1CT1", reason="asked for", take_off=True)
    assert filled.media.list()[0].recipient == "Dr. Weiss"
    assert filled.media.other_files(1) == ()
    assert content.digest not in filled.repository.vault
    assert erased_types(filled).count(MediumFilled.TYPE) == 1


def test_other_files_stay_when_only_a_recipient_or_a_label_is_erased(
    filled: FileSet, tmp_path: Path
) -> None:
    choice = Choice("iso", recipient="CT1, CompressedSamples", extras=Extras(pages=True))
    ours = [leaf.handle for leaf in filled.state.live.values() if leaf.sop_class_uid == MR_IMAGE]
    state = filled.state
    Maker(filled.repository).make(tmp_path / "mr.iso", state, evolve(choice, handles=ours))
    others = filled.media.other_files(1)
    (told,) = filled.erase(PatientID="1CT1", reason="asked for", take_off=True).handed_out
    assert (told.is_forgotten, told.can_be_remade) == (True, True)
    assert filled.media.list()[0].addressed is None
    assert filled.media.other_files(1) == others != ()
    filled.media.remake(1, tmp_path / "again.iso")
    assert (tmp_path / "again.iso").read_bytes() == (tmp_path / "mr.iso").read_bytes()
    os.truncate(tmp_path / "again.iso", 300_000)
    assert not filled.media.verify(tmp_path / "again.iso").erased
    assert filled.verify() == []


def test_a_person_whom_the_name_of_a_file_tells_takes_that_file_along(
    filled: FileSet, tmp_path: Path
) -> None:
    (tmp_path / "own").mkdir()
    (tmp_path / "own" / "1CT1.TXT").write_bytes(b"a letter to somebody")
    mine = filled.find(PatientID="4MR1")
    filled.media.make(tmp_path / "mr.iso", mine, extras=Extras(include=tmp_path / "own"))
    (kept,) = filled.media.other_files(1)
    (told,) = filled.erase(PatientID="1CT1", reason="asked for", take_off=True).handed_out
    assert (told.instances, told.can_be_remade) == (0, False)
    assert kept.content.digest not in filled.repository.vault
    with pytest.raises(RefusedError, match="files that were on it besides the instances"):
        filled.media.remake(1, tmp_path / "again.iso")


def test_very_many_other_files_are_told_in_several_events_that_a_list_does_not_read(
    filled: FileSet, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with filled.repository.vault.batch() as batch:
        content = batch.add(b"")
    paths = [f"MANY/F{number:07}" for number in range(2 * MediumFilled.MOST + 1)]
    choice = Choice("zip", files=tuple(OtherFile(path, content) for path in paths))
    Maker(filled.repository).make(tmp_path / "a.zip", filled.state, choice)
    filled.media.make(tmp_path / "b.zip", extras=Extras(institution="Clinic"))
    assert [file.path for file in filled.media.other_files(1)] == paths
    assert filled.media.other_files(2) == ()
    read: list[str] = []
    decode = codec.decode

    def counted(event_type: str, version: int, payload: bytes) -> Event:
        read.append(event_type)
        return decode(event_type, version, payload)

    monkeypatch.setattr(codec, "decode", counted)
    assert [medium.number for medium in filled.media.list()] == [1, 2]
    assert MediumFilled.TYPE not in read
    filled.media.other_files(1)
    assert read.count(MediumFilled.TYPE) == 3


def test_files_that_the_vault_has_lost_are_named(filled: FileSet, tmp_path: Path) -> None:
    with filled.repository.vault.batch() as batch:
        content = batch.add(b"a page")
    lost = Content(digest_of(b"lost"), 4)
    files = (OtherFile("PAGE.HTM", content), OtherFile("LOST.HTM", lost))
    filled.media.make(tmp_path / "disc.zip", extras=Extras(viewer=True))
    with filled.change():
        base = filled.state.position
        started = evolve(filled.media.list()[0].started, base=base)
        filled.repository.emit(MediumFilled(filled.repository.emit(started), files))
    (finding,) = filled.verify()
    assert finding.kind is RepositoryFindingKind.CONTENT_MISSING
    assert "that of LOST.HTM on medium 2, which can't be made again without" in finding.message
    assert filled.repository.path is not None
    (pack,) = (filled.repository.path / "vault").glob("*.pack*")
    pack.write_bytes(pack.read_bytes().replace(b"a page", b"a pagE"))
    damaged, _ = filled.verify()
    assert damaged.kind is RepositoryFindingKind.VAULT
    assert damaged.where == content.digest
    assert "PAGE.HTM on medium 2" in damaged.message


def test_an_erasure_tells_which_media_have_the_person_s_data(
    filled: FileSet, tmp_path: Path
) -> None:
    filled.media.make(tmp_path / "mr.iso", filled.find(PatientID="4MR1"))
    filled.media.make(tmp_path / "disc.iso")
    erasure = filled.erase(PatientID="1CT1", reason="asked for", take_off=True)
    assert erasure.media == ()
    assert [(each.number, each.instances) for each in erasure.handed_out] == [(2, 1)]


def test_where_a_medium_was_verified_goes_if_it_tells_of_the_person(
    filled: FileSet, tmp_path: Path
) -> None:
    (tmp_path / "for 1CT1").mkdir()
    filled.media.make(tmp_path / "for 1CT1" / "disc.iso")
    filled.media.verify(tmp_path / "for 1CT1" / "disc.iso")
    filled.erase(PatientID="1CT1", reason="asked for", take_off=True)
    assert filled.media.list()[0].verified == []
