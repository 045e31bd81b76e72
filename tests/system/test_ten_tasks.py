"""Ten tasks of a working day, each one command: the page that shows them is run by test_docs.py."""

from __future__ import annotations

import re

from cli_runs import PROJECT

PAGE = (PROJECT / "docs/how-to/find-things.md").read_text("utf-8")
SET_UP = ("fileset init ", "fileset tag ", "export ")


def test_each_of_ten_tasks_is_done_by_its_first_command() -> None:
    _, *tasks = PAGE.partition("## How values match")[0].split("\n## ")
    assert len(tasks) == 10
    for task in tasks:
        command = re.findall(r"^\$ (.*)$", task, re.MULTILINE)[0]
        assert command.startswith("fileset "), task
        assert not command.startswith(SET_UP)
