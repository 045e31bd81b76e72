"""`fileset media burn`: what it says, its document and its exit codes."""

from __future__ import annotations

from pathlib import Path

import pytest
from cli_runs import Cli
from fake_xorriso import fail, install


@pytest.fixture
def disc(filled: Cli, tmp_path: Path) -> Path:
    """The image of two patients."""
    filled("media", "make", tmp_path / "disc.iso")
    return tmp_path / "disc.iso"


def test_a_disc_is_burnt_shown_and_told(
    filled: Cli, disc: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    install(tmp_path, monkeypatch)
    monkeypatch.chdir(tmp_path)
    size = f"{disc.stat().st_size:,}"
    told = filled("media", "burn", disc, "--device", "stdio:drive").out
    assert told.startswith(f"Medium 1 burnt on stdio:{tmp_path}/drive: {size} bytes read back")
    document = filled.json("media", "burn", disc, "--device", "stdio:drive", "--blank")
    assert (document["recorded"], document["difference"]) == (True, None)
    assert [each["device"] for each in document["medium"]["burnt"]] == [f"stdio:{tmp_path}/drive"]
    assert "burnt" in filled("media", "show", 1).out
    assert " burnt 2" in filled("media", "list").out
    filled("media", "verify", disc)
    assert " verified 2" in filled("media", "list").out


def test_a_dry_run_burns_nothing(
    filled: Cli, disc: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    calls = install(tmp_path, monkeypatch)
    told = filled("media", "burn", disc, "--device", "/dev/null", "--dry-run").out
    assert told == "Medium 1 would be burnt on /dev/null.\n"
    assert calls.read_text() == ""
    assert filled.json("media", "list")["media"][0]["burnt"] == []


def test_a_disc_that_differs_is_exit_1_and_not_recorded(
    filled: Cli, disc: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    install(tmp_path, monkeypatch, end="open(place, 'r+b').write(b'x')")
    device = f"stdio:{tmp_path / 'drive'}"
    told = filled("media", "burn", disc, "--device", device, code=1).out
    assert "the disc differs from byte 0 on. Nothing was recorded: destroy the disc" in told
    document = filled.json("media", "burn", disc, "--device", device, "--blank", code=1)
    assert document["difference"] == {"at": 0, "path": None, "ends": False}
    assert not document["recorded"]


def test_a_failure_is_one_sentence_and_exit_3(
    filled: Cli, disc: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    install(tmp_path, monkeypatch, begin=fail("Media is not blank"))
    err = filled("media", "burn", disc, "--device", "/dev/null", code=3).err
    assert err.startswith("error: The disc was not burnt: The disc is not empty")
    assert len(err.splitlines()) == 1


def test_another_file_is_burnt_anyway(
    filled: Cli, disc: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    install(tmp_path, monkeypatch)
    other = tmp_path / "other"
    other.write_bytes(b"other")
    device = f"stdio:{tmp_path / 'drive'}"
    assert "--anyway" in filled("media", "burn", other, "--device", device, code=3).err
    told = filled("media", "burn", other, "--device", device, "--anyway").out
    assert told.endswith("as in the image. Nothing was recorded.\n")
