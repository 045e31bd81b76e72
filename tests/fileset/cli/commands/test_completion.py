"""Tab completes words: by the shells themselves, and without loading what nobody asks for."""

from __future__ import annotations

import os
import pty
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from cli_runs import CT, MR, PROJECT, Cli, changed, run

BIN = Path(sys.executable).parent


@pytest.fixture
def filled(cli: Cli, tmp_path: Path) -> Cli:
    cli("add", CT, changed(MR, tmp_path / "other", PatientName="Of a^Ward"))
    cli("tag", "sent-to-trial")
    return cli


def environment(home: Path) -> dict[str, str]:
    path = f"{BIN}{os.pathsep}{os.environ['PATH']}"
    return {**os.environ, "PATH": path, "PYTHONPATH": os.fspath(PROJECT), "HOME": os.fspath(home)}


def by_bash(home: Path, *lines: str) -> list[list[str]]:
    """Return what Bash itself makes of each line when Tab is pressed at its end."""
    script = 'eval "$(fileset completion bash)"\n'
    for line in lines:
        quoted = shlex.quote(line)
        script += (
            f"COMP_LINE={quoted} COMP_POINT={len(line.encode())}\n"
            "compopt() { :; }\n"  # which is for a terminal
            "_fileset_completion fileset\n"
            'printf "%s\\n" "${COMPREPLY[@]}" --\n'
        )
    out = subprocess.run(
        ["bash", "--norc", "-c", script],
        env=environment(home),
        capture_output=True,
        text=True,
        check=True,
        timeout=120,
    ).stdout
    return [part.split("\n")[:-1] for part in out.split("--\n")[:-1]]


def test_bash_completes_commands_options_and_what_the_repository_has(filled: Cli) -> None:
    repo = f"fileset --repo {shlex.quote(str(filled.repository))}"
    change = filled.json("log")["changes"][1]["id"]
    assert by_bash(
        filled.repository.parent,
        "echo x; fileset media ma",
        "fileset write --layout e",
        f"{repo} tree --at sent",
        f"{repo} show {change[:4]}",
        f"{repo} find Patient",
        f"{repo} find PatientID=",
        f"{repo} find 'PatientName=Of",
        f"{repo} find PatientName=Of",
        "fileset --repo /nonexistent tree --at ",
    ) == [
        ["make"],
        ["existing"],
        ["sent-to-trial"],
        [change],
        ["PatientID=", "PatientName="],
        ["1CT1", "4MR1"],
        ["PatientName=Of a^Ward"],
        ["Of\\ a^Ward"],
        [],
    ]


def test_where_no_shell_says_what_is_typed_commands_are_offered(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.delenv("COMP_LINE", raising=False)
    monkeypatch.delenv("COMP_WORDS", raising=False)
    for shell in ("bash", "zsh", "fish"):
        monkeypatch.setenv("_FILESET_COMPLETE", f"{shell}_complete")
        assert "status" in run().out
    monkeypatch.setenv("_FILESET_COMPLETE", "bash_complete")
    monkeypatch.setenv("COMP_LINE", "fileset stat")
    monkeypatch.setenv("COMP_POINT", "x")
    assert run().out == "plain,status\n"


def by_tab(home: Path, *typed: str) -> list[str]:
    """Return what a Bash at a terminal has in its line after each text was typed, and Tab."""
    setup = home / "bashrc"
    setup.write_text(
        'eval "$(fileset completion bash)"\n'
        """bind -x '"\\C-g": printf "%s\\n" "$READLINE_LINE" >>lines; READLINE_LINE='\n"""
    )
    pid, terminal = pty.fork()
    if pid == 0:
        os.chdir(home)
        os.execvpe("bash", ["bash", "--rcfile", str(setup), "-i"], environment(home))  # noqa: S606
    os.write(terminal, "".join(f"{text}\t\a" for text in typed).encode() + b"exit\n")
    try:
        while os.read(terminal, 4096):
            pass
    except OSError:  # it has ended
        os.close(terminal)
    os.waitpid(pid, 0)
    return (home / "lines").read_text().splitlines()


def test_tab_puts_nothing_into_a_line_of_bash_that_is_more_than_a_word(
    cli: Cli, tmp_path: Path
) -> None:
    names = ("EVIL$(touch run)", "Quote' ; touch run '", "Tick`touch run`", "Good^Name")
    files = []
    for number, name in enumerate(names):
        uids = {f"{level}InstanceUID": f"1.9.{number}" for level in ("Study", "Series", "SOP")}
        path = tmp_path / f"{number}.dcm"
        files.append(changed(MR, path, PatientID=str(number), PatientName=name, **uids))
    cli("add", *files)
    find = f"fileset find --repo {shlex.quote(str(cli.repository))} "
    assert by_tab(
        tmp_path,
        *(f"{find}{word}" for word in (
            '"PatientName=EV', '"PatientName=EV\\', "'PatientName=Qu", '"PatientName=Ti',
            '"PatientName=Go', "PatientName=EV", 'PatientName="Go', "Patient'Name=Go",
            "'a b' PatientName='Go",
        ))
    ) == [
        f"{find}{word}" for word in (
            '"PatientName=EV', '"PatientName=EV\\', "'PatientName=Qu", '"PatientName=Ti',
            '"PatientName=Good^Name" ', r"PatientName=EVIL\$\(touch\ run\) ",
            'PatientName="Good^Name" ', "Patient'Name=Good^Name' ",
            "'a b' PatientName='Good^Name' ",
        )
    ]  # fmt: skip


def test_what_is_said_beside_a_word_can_t_add_words(cli: Cli) -> None:
    cli("set", "id=A", "--reason", "one\nplain\nevil\n\x1b[2J")
    done = subprocess.run(
        [sys.executable, "-m", "fileset"],
        env={
            **environment(cli.repository.parent),
            "_FILESET_COMPLETE": "zsh_complete",
            "COMP_WORDS": f"fileset --repo {cli.repository} show ",
            "COMP_CWORD": "4",
        },
        capture_output=True,
        text=True,
        check=False,
    )
    lines = done.stdout.splitlines()
    assert len(lines) == 3 * len(cli.json("log")["changes"])
    assert r"one\nplain\nevil\n\x1b[2J" in done.stdout


ASKED = {
    "zsh": (
        "autoload -U compinit && compinit -u -D; {script}\n"
        "words=(fileset {words}); CURRENT=$#words; compdef() {{ :; }}\n"
        "_describe() {{ print -l -- ${{(P)3}} }}; compadd() {{ print -l -- ${{(P)${{@[-1]}}}} }}\n"
        "_fileset_completion\n"
    ),
    "fish": "{script}\ncomplete --do-complete 'fileset {words}'\n",
}


@pytest.mark.parametrize("shell", ASKED)
def test_other_shells_complete_too(filled: Cli, shell: str) -> None:
    if shutil.which(shell) is None:
        pytest.skip(f"{shell} is not installed")
    script = run("completion", shell).out
    repo = shlex.quote(str(filled.repository))
    for words, expected in ((f"--repo {repo} tree --at sent", "sent-to-trial"), ("und", "undo")):
        asked = ASKED[shell].format(script=script, words=words)
        done = subprocess.run(
            [shell, *(["-f"] if shell == "zsh" else ["--no-config"]), "-c", asked],
            env=environment(filled.repository.parent),
            capture_output=True,
            text=True,
            check=False,
            timeout=120,
        )
        assert expected in done.stdout, done.stderr


def test_completing_loads_only_what_is_asked_for(filled: Cli) -> None:
    def loaded(line: str) -> set[str]:
        code = (
            "import atexit, sys\n"
            "atexit.register(lambda: print('\\n', *sys.modules, file=sys.stderr))\n"
            "from fileset.cli import main\nmain.main([])\n"
        )
        variables = {"_FILESET_COMPLETE": "bash_complete", "COMP_LINE": line}
        variables["COMP_POINT"] = str(len(line))
        done = subprocess.run(
            [sys.executable, "-c", code],
            env={**environment(filled.repository.parent), **variables},
            capture_output=True,
            text=True,
            check=False,
        )
        return set(done.stderr.split())

    commands = loaded("fileset un")
    assert not {"pydicom", "attr", "sqlite3", "rich"} & commands
    assert not {name for name in commands if name.startswith("fileset.cli.commands")}
    ids = loaded(f"fileset --repo {filled.repository} show 1")
    assert "sqlite3" in ids
    assert "pydicom" not in ids
