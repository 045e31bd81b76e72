"""`fileset media verify`: a medium is as it was made, or the exit code says that it is not."""

from __future__ import annotations

from pathlib import Path

from cli_runs import CT, Cli


def test_a_folder_that_differs_exits_with_1_and_names_the_files(
    filled: Cli, tmp_path: Path
) -> None:
    filled("media", "make", tmp_path / "out")
    for path in (tmp_path / "out").rglob("IM*"):
        path.unlink()
    run = filled("media", "verify", tmp_path / "out", code=1)
    assert "2 files not as made:" in run.out
    assert "  missing: PT000000/ST000000/SE000000/IM000000" in run.out
    assert " differed " in filled("media", "list").out
    assert "2 problems, the first one PT000000/" in filled("media", "show", 1).out


def test_a_file_that_is_no_medium_of_the_journal_exits_with_1(filled: Cli) -> None:
    run = filled("media", "verify", CT, code=1)
    assert run.out.startswith("This medium is not in the journal.\n")
    assert f"{CT}: no disc by ISO 9660" in run.out


def test_media_that_match_equally_are_told_with_their_recipients(
    filled: Cli, tmp_path: Path
) -> None:
    for recipient in ("A", "B"):
        filled("media", "make", tmp_path / f"{recipient}.iso", "--recipient", recipient)
    told = filled("media", "verify", tmp_path / "A.iso").out
    assert told.startswith("Medium 2: ISO image for B, made ")
    assert "\nAlso medium 1 for A: the bytes are the same, and --medium N says which" in told
    document = filled.json("media", "verify", tmp_path / "A.iso", "--medium", 1)
    assert (document["medium"]["number"], document["also"], document["unreadable"]) == (1, [], None)
    assert filled.json("media", "verify", tmp_path / "A.iso")["also"] == [
        {"number": 1, "recipient": "A"}
    ]


def test_damage_outside_files_exits_with_1(filled: Cli, tmp_path: Path) -> None:
    disc = tmp_path / "disc.iso"
    filled("media", "make", disc)
    data = bytearray(disc.read_bytes())
    data[10] ^= 1
    disc.write_bytes(data)
    told = filled("media", "verify", disc, code=1).out
    assert "The image differs from the one that was made, outside its files." in told
    assert "1 problem, of the medium as a whole" in filled("media", "show", 1).out
    assert filled.json("media", "verify", disc, code=1)["differs_outside"]


def test_after_an_erasure_what_is_left_is_compared(filled: Cli, tmp_path: Path) -> None:
    filled("media", "make", tmp_path / "disc.iso")
    filled("media", "make", tmp_path / "out")
    filled("erase", "PatientID=1CT1", "--reason", "asked for", "--take-off")
    told = filled("media", "verify", tmp_path / "out", code=1).out
    assert "3 files compared: all are as they were made." in told
    assert "Data on it was erased since, so its files can't all be compared: destroy it" in told
    told = filled("media", "verify", tmp_path / "disc.iso").out
    assert "It has the same bytes as the image that was made." in told
    assert "Data on it was erased since: destroy it, and all copies." in told


def test_why_a_medium_can_t_be_read_is_in_the_document(filled: Cli) -> None:
    assert "no disc by ISO 9660" in filled.json("media", "verify", CT, code=1)["unreadable"]
