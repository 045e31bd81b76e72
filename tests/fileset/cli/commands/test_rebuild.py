"""rebuild: what is derived is made again."""

from __future__ import annotations

from cli_runs import CT, MR, Cli


def test_rebuild_brings_back_what_was_in_the_cache(cli: Cli) -> None:
    cli("add", CT, MR)
    before = cli.json("tree")
    for path in (cli.repository / "cache").iterdir():
        path.unlink()
    assert cli.json("rebuild") == {
        "format": "fileset rebuild",
        "version": 1,
        "events": 3,
        "instances": 2,
        "position": 3,
        "warnings": [],
    }
    assert cli.json("tree") == before
