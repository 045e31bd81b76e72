"""view: on a terminal only, with the extra, and with what was recorded told at the end."""

from __future__ import annotations

import os
import pty
import select
import shutil
import signal
import sys
from contextlib import suppress
from pathlib import Path

import pytest
from cli_runs import CT, Cli, command_line, copy_of_example, run


def test_without_a_terminal_it_says_so(cli: Cli) -> None:
    said = cli("view", code=2).err
    assert "needs a terminal" in said
    assert cli.json("view", code=2)["error"]["exit_code"] == 2


@pytest.fixture
def terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("fileset.cli.commands.view._refuse_without_terminal", lambda: None)


@pytest.mark.usefixtures("terminal")
def test_a_missing_extra_is_one_sentence(cli: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in [name for name in sys.modules if name.startswith("fileset.cli.browser")]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "textual", None)
    said = cli("view", code=3).err
    assert f"{sys.executable} -m pip install '.[view]'" in said
    assert said.count("\n") == 1


@pytest.mark.usefixtures("terminal")
def test_a_folder_is_of_no_moment_and_needs_a_dicomdir(cli: Cli, tmp_path: Path) -> None:
    (tmp_path / "folder").mkdir()
    assert "fileset index" in cli("view", tmp_path / "folder", code=2).err
    dicomdir = copy_of_example(tmp_path / "cd")
    assert "--at" in cli("view", dicomdir.parent, "--at", "1", code=2).err


@pytest.mark.usefixtures("terminal")
def test_what_is_named_is_what_is_looked_at(
    cli: Cli, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from fileset.cli.browser.app import Browser

    looked_at: list[tuple[int, str]] = []

    def run_it(self: Browser) -> None:
        subject = self._subject
        looked_at.append((len(subject.fs), subject.fixed))

    monkeypatch.setattr(Browser, "run", run_it)
    cli("add", CT)
    cli("view")
    cli("view", "--at", "1")
    run("view", cli.repository)
    dicomdir = copy_of_example(tmp_path / "cd")
    shutil.make_archive(str(tmp_path / "disc"), "zip", dicomdir.parent)
    for root in (dicomdir, dicomdir.parent, tmp_path / "disc.zip"):
        run("view", root)
    only = "Only to look at"
    past = f"As of position 1, {only.lower()}"
    assert looked_at == [(1, ""), (0, past), (1, ""), *[(31, only)] * 3]


def on_a_terminal(cli: Cli, *steps: tuple[str, str], **variables: str) -> str:
    """Run `view` on a terminal of 80x24, and return what it wrote.

    Each of `steps` is a text that has to be seen, and the key that is pressed then.
    """
    pid, fd = pty.fork()
    if pid == 0:
        os.environ.update({"TERM": "xterm-256color", "COLUMNS": "80", "LINES": "24", **variables})
        command = command_line("--repo", cli.repository, "view")
        os.execv(command[0], command)  # noqa: S606 - it is to have this terminal
    written, seen = b"", 0
    waiting = list(steps)
    with suppress(OSError):  # Linux's way to say that nobody has it open any more
        while select.select([fd], [], [], 120)[0]:
            written += os.read(fd, 1 << 16)
            if waiting and (found := written.find(waiting[0][0].encode(), seen)) >= 0:
                seen = found
                os.write(fd, waiting.pop(0)[1].encode())
        os.kill(pid, signal.SIGKILL)  # it has written nothing for long
    _, status = os.waitpid(pid, 0)
    os.close(fd)
    assert os.waitstatus_to_exitcode(status) == 0, written
    return written.decode("utf-8", "replace")


def test_what_was_undone_is_told_at_the_end(cli: Cli) -> None:
    cli("add", CT)
    steps = ("1 File-set", "u"), ("Would undo", "y"), ("Done: undo", "q")
    written = on_a_terminal(cli, *steps, NO_COLOR="1")
    assert "Recorded " in written.splitlines()[-1]
    assert cli.json("tree")["instances"] == 0
