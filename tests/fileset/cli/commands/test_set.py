"""set: what is set is one change, or none where it makes no sense."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
from cli_runs import CT, Cli, run
from pydicom.data import get_testdata_file
from pydicom.uid import UID


def test_all_that_is_set_is_one_change(cli: Cli) -> None:
    cli("set", "id=DISC_7", "uid=1.2.3", "descriptor=DOCS/README", "charset=ISO_IR 100")
    state = cli.json("status")
    assert state["id"] == "DISC_7"
    assert state["uid"] == "1.2.3"
    assert state["descriptor_file_id"] == "DOCS/README"
    assert state["descriptor_character_set"] == "ISO_IR 100"
    assert state["undo"] == 1
    cli("undo")
    assert cli.json("status")["id"] is None


def test_an_empty_value_clears(cli: Cli) -> None:
    cli("set", "id=DISC_7", "descriptor=README")
    result = cli("set", "id=", "descriptor=")
    assert "File-set ID: 'DISC_7' -> (no value)" in result.out
    state = cli.json("status")
    assert (state["id"], state["descriptor_file_id"]) == (None, None)


def test_setting_what_is_so_changes_nothing(cli: Cli) -> None:
    cli("set", "id=DISC_7")
    result = cli("set", "id=DISC_7")
    assert "That is so already." in result.out
    assert cli.json("status")["undo"] == 1


@pytest.mark.parametrize(
    ("setting", "told"),
    [
        ("id=" + "X" * 17, "at most 16 characters"),
        ("id=caf\u00e9", "ASCII"),
        ("uid=", "always has a UID"),
        ("uid=1..2", "not a valid UID"),
        ("descriptor=" + "X" * 17, "at most 8 components"),
        ("charset=ISO_IR 1000", "ISO_IR 100"),
        ("name=X", "is not one of id=..."),
        ("id", "is not one of id=..."),
    ],
)
def test_a_value_that_cannot_be_set_changes_nothing(cli: Cli, setting: str, told: str) -> None:
    assert told in cli("set", "descriptor=FINE", setting, code=2).err
    assert cli.json("status")["undo"] == 0


def test_a_warning_about_a_descriptor_shows_what_was_typed(cli: Cli) -> None:
    told = cli("set", "descriptor=docs/readme").err
    assert "'docs/readme' is not a File ID" in told
    assert "\\" not in told


def test_a_profile_is_told_with_what_was_read_and_what_does_not_fit(cli: Cli) -> None:
    cli("add", CT, get_testdata_file("MR_small_implicit.dcm"))
    told = cli("set", "profile=STD-GEN-CD")
    assert "Application profile: (no value) -> 'STD-GEN-CD'" in told.out
    assert "Read for the profile: 2 instances." in told.out
    words = (
        "its transfer syntax is Implicit VR Little Endian, and not Explicit VR Little Endian "
        "(PS3.11 Table D.3-1)"
    )
    assert f"Does not fit the profile: 1 instance: {words}" in told.out
    assert f"Does not fit the profile: 1 instance: {words}" in cli("status").out
    verified = cli("verify").out
    assert f"profile: 1 instance: {words}" in verified
    state = cli.json("status")
    assert state["profile"] == "STD-GEN-CD"
    assert state["misfits"] == [{"misfit": words, "instances": 1}]
    assert "Application profile set to 'STD-GEN-CD'" in cli("log").out
    assert cli.json("undo")
    assert cli.json("status")["profile"] is None


def test_instances_that_cannot_be_read_for_a_profile_are_named(cli: Cli, tmp_path: Path) -> None:
    lost = tmp_path / "lost.dcm"
    shutil.copy(CT, lost)
    cli("add", "--place", "reference", lost)
    lost.unlink()
    told = cli("set", "profile=STD-GEN-CD", code=1)
    assert "lost.dcm: No such file or directory" in told.out
    (unread,) = cli.json("set", "profile=STD-GEN-CD", code=1)["unread"]
    assert unread["handle"] == 2
    assert "1 instance: not read for the profile" in cli("verify", code=1).out
    assert cli.json("status")["profile"] == "STD-GEN-CD"


def test_a_profile_that_there_is_not_is_a_usage_error(cli: Cli) -> None:
    told = cli("set", "profile=STD-GEN-DVD", code=2).err
    assert "Did you mean STD-GEN-" in told
    assert "STD-US-{ID,SC,CC}-{SF,MF}-{CDR,DVD" in told
    assert "known and not offered" in cli("set", "profile=STD-GEN-BD", code=2).err


def test_a_difference_from_the_medium_takes_the_keys_of_the_profile_into_account(
    cli: Cli, tmp_path: Path
) -> None:
    cli("add", CT)
    cli("write", tmp_path / "disc")
    cli("set", "profile=STD-GEN-CD")
    assert "ImageType: " in cli("diff", tmp_path / "disc").out
    cli("write")
    assert "no difference" in cli("diff", tmp_path / "disc").out
    assert "all is well" in cli("verify").out
    assert "all is well" in cli("verify", tmp_path / "disc").out


def test_a_repository_begins_with_a_profile(tmp_path: Path) -> None:
    run("init", tmp_path / "new", "--profile", "STD-CTMR-CD")
    assert Cli(tmp_path / "new").json("status")["profile"] == "STD-CTMR-CD"
    disc = examples_dicomdir(tmp_path)
    run("init", tmp_path / "adopted", "--from", disc, "--profile", "STD-GEN-CD")
    adopted = Cli(tmp_path / "adopted").json("status")
    assert adopted["profile"] == "STD-GEN-CD"
    assert adopted["staged"]["metadata"] == {"profile": {"from": None, "to": "STD-GEN-CD"}}


def examples_dicomdir(folder: Path) -> Path:
    """Return a written File-set to adopt."""
    made = Cli(folder / "made")
    run("init", made.repository)
    made("add", CT)
    made("write", folder / "disc")
    return folder / "disc"


def test_a_new_uid_is_made_for_uid_new(cli: Cli) -> None:
    before = cli.json("status")["uid"]
    changed = cli.json("set", "uid=new", "id=COPY")["changed"]["uid"]
    assert changed["from"] == before
    assert UID(changed["to"]).is_valid
    assert changed["to"] != before
    assert cli.json("status")["uid"] == changed["to"]
