"""`fileset media`: what is handed out, proven and made again."""

from __future__ import annotations

from pathlib import Path

from cli_runs import Cli

from ledger.digest import digest_of


def test_a_disc_is_made_listed_shown_verified_and_made_again(filled: Cli, tmp_path: Path) -> None:
    disc = tmp_path / "disc.iso"
    made = filled("media", "make", disc, "--recipient", "Dr. Weiss", "--reason", "asked for")
    digest = digest_of(disc.read_bytes())
    assert made.out == (
        f"Medium 1: 2 instances to {disc}, {disc.stat().st_size:,} bytes, {digest[:15]}\n"
    )
    assert "for Dr. Weiss" in filled("media", "list").out
    shown = filled("media", "show", 1).out
    for what in ("Dr. Weiss", "asked for", digest, "1CT1", "4MR1", "PT000001/ST000000"):
        assert what in shown
    assert "It has the same bytes" in filled("media", "verify", disc).out
    assert " verified " in filled("media", "list").out
    again = filled("media", "remake", 1, tmp_path / "again.iso")
    assert "as it was" in again.out
    assert (tmp_path / "again.iso").read_bytes() == disc.read_bytes()


def test_blame_tells_the_media_of_a_patient_and_for_whom_they_were(
    filled: Cli, tmp_path: Path
) -> None:
    filled("media", "make", tmp_path / "1.iso", "PatientID=4MR1")
    filled("media", "make", tmp_path / "2.iso", "--recipient", "Dr. Weiss")
    filled("media", "verify", tmp_path / "2.iso")
    told = filled("blame", "PatientID=1CT1").out
    assert "handed out on medium 2 for Dr. Weiss" in told
    assert "on medium 2, which was read back" in told
    assert "medium 1" not in told
    (medium,) = filled.json("blame", "PatientID=1CT1")["media"]
    assert (medium["how"], medium["medium"], medium["recipient"]) == ("handed out", 2, "Dr. Weiss")
    assert medium["still_there"] is None


def test_the_group_alone_tells_its_commands(cli: Cli) -> None:
    assert "Make a medium again, byte for byte." in cli("media", code=2).err
