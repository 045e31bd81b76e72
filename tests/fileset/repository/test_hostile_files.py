"""Files of a repository that are not what they should be: a clear error, and nothing hangs."""

from __future__ import annotations

import faulthandler
import os
import shutil
from collections.abc import Iterator

import pytest
from cli_runs import CT, MR, Cli


@pytest.fixture(autouse=True)
def _nothing_hangs() -> Iterator[None]:
    faulthandler.dump_traceback_later(120, exit=True)
    yield
    faulthandler.cancel_dump_traceback_later()


@pytest.fixture
def cli(cli: Cli) -> Cli:
    cli("add", CT)
    cli("status")
    return cli


@pytest.mark.parametrize("name", ["snapshot", "summary.json", "holder", "vault-index.sqlite"])
@pytest.mark.parametrize("command", [("status",), ("add", MR), ("verify",), ("rebuild",)])
def test_a_cache_that_is_a_fifo_is_as_good_as_none(
    cli: Cli, name: str, command: tuple[str, ...]
) -> None:
    path = cli.repository / "cache" / name
    path.unlink(missing_ok=True)
    os.mkfifo(path)
    assert cli(*command).err == ""


def test_a_pack_that_is_a_fifo_is_reported(cli: Cli) -> None:
    (pack,) = (path for path in (cli.repository / "vault").iterdir() if path.stat().st_size > 1000)
    pack.unlink()
    os.mkfifo(pack)
    error = cli("verify", code=3).err
    assert f"{pack} can't be read (Not a regular file)" in error
    assert error.count("\n") == 1


@pytest.mark.parametrize(
    "text",
    [
        "format = 1\nx = " + "[" * 100_000,
        "x = " + "{a=" * 50_000,
        "format = " + "9" * 70_000,
        "\xff",
    ],
    ids=["lists", "tables", "long", "not UTF-8"],
)
@pytest.mark.parametrize("command", ["status", "verify", "log"])
def test_settings_that_are_nested_or_endless_are_one_line_of_error(
    cli: Cli, text: str, command: str
) -> None:
    path = cli.repository / "repository.toml"
    path.write_bytes(text.encode("latin-1"))
    done = cli(command, code=3)
    assert done.err.count("\n") == 1
    assert f"{path} can't be read" in done.err


def test_settings_that_are_a_fifo_do_not_hang(cli: Cli) -> None:
    path = cli.repository / "repository.toml"
    path.unlink()
    os.mkfifo(path)
    cli("status", code=3)


def test_a_quarantine_entry_that_is_nested_is_passed_over(cli: Cli) -> None:
    folder = cli.repository / "quarantine"
    folder.mkdir()
    (folder / "0123456789ab.json").write_text("[" * 100_000)
    (folder / "0123456789ac.json").write_text("[]")
    os.mkfifo(folder / "0123456789ad.json")
    assert "Nothing is in the quarantine" in cli("quarantine", "list").out
    shutil.rmtree(folder)
