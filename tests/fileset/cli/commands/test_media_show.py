"""`fileset media show`: what is on a medium, and for whom it is."""

from __future__ import annotations

from pathlib import Path

from cli_runs import CT, Cli

from fileset import FileSet
from fileset.media.extras import Extras
from ledger.digest import digest_of


def test_a_choice_is_kept_as_it_was_asked_for(filled: Cli, tmp_path: Path) -> None:
    made = filled.json("media", "make", tmp_path / "out", "PatientID=1CT1", "--label", "CT")
    (medium,) = made["media"]
    assert (medium["asked"], medium["instances"]) == ({"PatientID": "1CT1"}, 1)
    shown = filled.json("media", "show", 1)
    assert shown["patients"] == [{"patient_id": "1CT1", "instances": 1}]
    (instance,) = shown["instances"]
    assert instance["digest"] == digest_of(Path(CT).read_bytes())
    assert shown["medium"]["label"] == "CT"


def test_what_it_was_made_with_is_shown(filled: Cli, tmp_path: Path) -> None:
    with FileSet.open(filled.repository) as fs:
        fs.media.make(tmp_path / "out", extras=Extras(pages=True, institution="Praxis Nord"))
    document = filled.json("media", "show", 1)["medium"]
    assert document["institution"] == "Praxis Nord"
    assert document["options"] == {"pdi": "yes", "language": "en"}
    shown = filled("media", "show", 1).out
    assert "  from       Praxis Nord\n" in shown
    assert "pdi yes, language en" in shown


def test_what_was_erased_is_told_and_the_medium_stays_a_fact(filled: Cli, tmp_path: Path) -> None:
    filled("media", "make", tmp_path / "disc.iso", "PatientID=1CT1", "--recipient", "Ms. Doe")
    filled("erase", "PatientID=1CT1", "--take-off", "--reason", "asked for")
    shown = filled("media", "show", 1).out
    assert "1 instance of the medium was erased since" in shown
    assert "Doe" not in shown
    assert "was erased since" in filled("media", "remake", 1, tmp_path / "again", code=3).err
    assert filled.json("media", "show", 1)["instances"] is None
    assert filled.json("media", "verify", tmp_path / "disc.iso")["same_image"]
