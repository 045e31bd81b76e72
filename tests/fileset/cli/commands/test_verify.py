"""verify: damage to journal, vault and medium is found."""

from __future__ import annotations

from pathlib import Path

import pytest
from cli_runs import CT, MR, Cli, run


def test_verify_finds_a_changed_and_a_missing_file(tmp_path: Path, cli: Cli) -> None:
    cli("add", CT, MR)
    cli("write", tmp_path / "medium")
    assert cli.json("verify")["findings"] == []
    first, second = sorted((tmp_path / "medium").rglob("IM*"))
    first.write_bytes(b"something else")
    second.unlink()
    document = cli.json("verify", code=1)
    assert [finding["kind"] for finding in document["findings"]] == ["file-changed", "file-missing"]
    result = cli("verify", code=1)
    assert f"file-changed: {first}" in result.out
    assert "2 findings" in result.out


def test_verify_finds_a_flipped_byte_of_the_journal(cli: Cli) -> None:
    cli("add", CT)
    journal = cli.repository / "journal.sqlite"
    data = bytearray(journal.read_bytes())
    where = data.index(b'"nonce":"') + len(b'"nonce":"')
    data[where] = ord("a") if data[where] != ord("a") else ord("b")
    journal.write_bytes(data)
    (finding,) = cli.json("verify", code=1)["findings"]
    assert finding["kind"] == "journal"
    assert "The journal is damaged: the event at position" in finding["message"]


def test_verify_finds_a_journal_that_cannot_even_be_opened(cli: Cli) -> None:
    journal = cli.repository / "journal.sqlite"
    journal.write_bytes(b"\xff" * len(journal.read_bytes()))
    (finding,) = cli.json("verify", code=1)["findings"]
    assert finding["kind"] == "journal"
    assert "is damaged" in cli("status", code=3).err


def test_verify_finds_damage_in_the_vault(cli: Cli) -> None:
    cli("add", CT)
    (pack,) = (path for path in (cli.repository / "vault").iterdir() if path.stat().st_size)
    data = bytearray(pack.read_bytes())
    data[-100] ^= 0xFF
    pack.chmod(0o600)
    pack.write_bytes(data)
    (finding,) = cli.json("verify", code=1)["findings"]
    assert finding["kind"] == "vault"


@pytest.mark.parametrize("place", ["", "vault"])
def test_a_repository_is_called_that_where_a_file_set_was_expected(cli: Cli, place: str) -> None:
    told = run("verify", cli.repository / place, code=1).out
    assert f"the repository {cli.repository}, and no File-set" in told
    assert f"`fileset --repo {cli.repository} verify` checks it" in told
    assert "fileset index" not in told
