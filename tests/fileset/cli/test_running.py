"""Whatever a user does wrong, the command says so in one line, with an honest exit code."""

from __future__ import annotations

import json
import os
import pty
import re
import shlex
import signal
import sqlite3
import subprocess
import time
from contextlib import closing
from importlib import import_module
from pathlib import Path
from pkgutil import iter_modules
from typing import Any

import click
import pytest
from cli_runs import CT, MR, PROJECT, Cli, command_line, every_command, run, spawn
from fake_xorriso import install
from pydicom import examples

from fileset.adding import candidate as ingest
from fileset.cli import commands, main
from fileset.cli.command import COMMON, ERROR, Command
from fileset.cli.commands.audit import audit
from fileset.cli.commands.media import media
from fileset.cli.reference import reference
from fileset.cli.screen.documents import CHANGE, INSTANCE, STAGED
from fileset.cli.screen.findings import FINDING
from fileset.cli.screen.media import MEDIUM
from fileset.cli.screen.text import clean
from fileset.cli.screen.writing import PLAN

# --- the repository ------------------------------------------------------------------------------


def test_the_nearest_repository_upwards_is_found(
    cli: Cli, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    below = cli.repository / "vault"
    monkeypatch.chdir(below)
    monkeypatch.delenv("FILESET_REPO", raising=False)
    assert run("status", "--json").document["repository"] == str(cli.repository)
    monkeypatch.chdir(tmp_path)
    assert "There is no repository in" in run("status", code=3).err


def test_a_repository_that_lies_in_this_folder_is_named_if_it_is_the_only_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("FILESET_REPO", raising=False)
    told = run("init", "my own").out
    assert "`fileset --repo 'my own' add FOLDER`" in told
    assert "--repo 'my own', which lies there, or FILESET_REPO" in run("status", code=3).err
    run("init", "other")
    assert "with --repo or FILESET_REPO" in run("status", code=3).err


def test_the_repository_is_named_by_option_or_environment(
    cli: Cli, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run("init", tmp_path / "other")
    monkeypatch.setenv("FILESET_REPO", str(tmp_path / "other"))
    for arguments, expected in (
        (["status"], tmp_path / "other"),
        (["--repo", cli.repository, "status"], cli.repository),
        (["status", "--repo", cli.repository], cli.repository),
    ):
        assert run(*arguments, "--json").document["repository"] == str(expected)


def test_a_repository_that_is_not_there_is_refused(tmp_path: Path) -> None:
    error = run("--repo", tmp_path / "none", "status", "--json", code=3).document["error"]
    assert error["kind"] == "refused"
    assert error["type"] == "RepositoryError"
    assert "fileset init" in error["message"]


# --- usage ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("arguments", [["bogus"], ["add"], ["status", "--bogus"], ["undo", "x"]])
def test_a_command_line_that_makes_no_sense_is_a_usage_error(arguments: list[str]) -> None:
    result = run(*arguments, code=2)
    assert result.out == ""
    assert "error: " in result.err
    error = run(*arguments, "--json", code=2).document["error"]
    assert (error["kind"], error["exit_code"]) == ("usage", 2)


def test_escapes_in_arguments_do_not_reach_the_terminal() -> None:
    assert "\x1b" not in run("\x1b[31mbogus", code=2).err


def test_without_a_command_the_help_is_shown() -> None:
    assert "Stage changes:" in run(code=2).err
    assert "Stage changes:" in run("--help").out


def test_help_imports_neither_pydicom_nor_rich() -> None:
    code = (
        "import sys\nfrom fileset.cli import main\nmain.main(['--help'], standalone_mode=False)\n"
        "assert not {'pydicom', 'rich'} & set(sys.modules)"
    )
    done = subprocess.run(
        [*command_line()[:1], "-c", code],
        check=False,
        capture_output=True,
        env={**os.environ, "PYTHONPATH": os.fspath(PROJECT)},
    )
    assert done.returncode == 0, done.stderr


def test_texts_that_are_not_utf8_are_kept_escaped(cli: Cli) -> None:
    cli("add", CT, "--reason", os.fsdecode(b"why \xff"))
    assert cli.json("log")["changes"][-1]["reason"] == "why \\udcff"


# --- processes -----------------------------------------------------------------------------------


def test_the_module_is_the_command(cli: Cli) -> None:
    done = spawn("--repo", cli.repository, "status", "--json")
    assert (done.returncode, done.stderr) == (0, "")
    assert json.loads(done.stdout)["instances"] == 0
    done = spawn("--repo", cli.repository, "undo")
    assert (done.returncode, done.stdout) == (3, "")
    assert done.stderr == "error: There is nothing to undo.\n"


def test_a_reader_that_goes_away_is_no_error(cli: Cli) -> None:
    cli("add", CT, MR)
    command = subprocess.Popen(
        command_line("--repo", cli.repository, "log", "--events", "--json"),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env={**os.environ, "PYTHONPATH": os.fspath(PROJECT)},
    )
    assert command.stdout is not None
    assert command.stderr is not None
    command.stdout.close()
    assert command.wait(60) == 141
    assert command.stderr.read() == b""
    command.stderr.close()


def test_a_reader_that_goes_away_takes_no_change_back(cli: Cli) -> None:
    with subprocess.Popen(
        command_line("--repo", cli.repository, "add", CT),
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        env={**os.environ, "PYTHONPATH": os.fspath(PROJECT)},
    ) as command:
        assert command.stdout is not None
        command.stdout.close()
        assert command.wait(60) == 141
    assert "1 addition" in cli.status()


@pytest.mark.parametrize("options", [[], ["--json"]])
def test_an_answer_that_cannot_be_printed_is_told(cli: Cli, options: list[str]) -> None:
    with Path("/dev/full").open("w") as full:
        done = subprocess.run(
            command_line("--repo", cli.repository, "add", CT, *options),
            check=False,
            stdout=full,
            stderr=subprocess.PIPE,
            text=True,
            env={**os.environ, "PYTHONPATH": os.fspath(PROJECT)},
        )
    assert done.returncode == 1
    assert done.stderr == "error: the answer can't be printed: No space left on device\n"
    assert "1 addition" in cli.status()


def test_output_that_cannot_show_a_character_shows_its_escape(cli: Cli) -> None:
    cli("add", CT)
    done = subprocess.run(
        command_line("--repo", cli.repository, "tree"),
        check=False,
        capture_output=True,
        env={**os.environ, "PYTHONPATH": os.fspath(PROJECT), "PYTHONIOENCODING": "ascii"},
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.isascii()


def test_progress_shows_on_a_terminal_and_leaves_no_trace(cli: Cli, tmp_path: Path) -> None:
    controller, terminal = pty.openpty()
    done = subprocess.run(
        command_line("--repo", cli.repository, "add", CT, MR),
        check=False,
        stdout=subprocess.PIPE,
        stderr=terminal,
        timeout=120,
        env={**os.environ, "PYTHONPATH": os.fspath(PROJECT), "TERM": "xterm"},
    )
    os.close(terminal)
    shown = os.read(controller, 1 << 16).decode()
    os.close(controller)
    assert done.returncode == 0
    assert "Adding" in shown
    assert "\x1b[2K" in shown  # erased
    assert "Adding" not in spawn("--repo", cli.repository, "add", CT).stderr


# --- interruptions -------------------------------------------------------------------------------


def test_an_interrupted_add_changes_nothing_and_says_so(
    cli: Cli, monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupt(*_: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(ingest, "read_instance", interrupt)
        result = cli("add", CT, code=130)
    assert result.err.strip() == "error: Interrupted; nothing was changed."
    assert cli.json("status")["position"] == 1


@pytest.mark.parametrize("as_json", [False, True])
def test_ctrl_c_ends_an_add_and_keeps_what_was_added(
    cli: Cli, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, *, as_json: bool
) -> None:
    (tmp_path / "in").mkdir()
    for number in range(5):
        ds = examples.ct
        ds.SOPInstanceUID = f"1.2.{number}"
        ds.save_as(tmp_path / "in" / f"{number}", enforce_file_format=True)
    real, read = ingest.read_instance, 0

    def interrupted(*args: Any) -> Any:
        nonlocal read
        read += 1
        if read == 3:
            os.kill(os.getpid(), signal.SIGINT)
        return real(*args)

    with monkeypatch.context() as patch:
        patch.setattr(ingest, "read_instance", interrupted)
        if as_json:
            document = cli.json("add", "-r", tmp_path / "in", code=130)
            assert (document["found"], document["added"], document["left"]) == (2, 2, 3)
        else:
            result = cli("add", "-r", tmp_path / "in", code=130)
            assert "Interrupted: 3 files not looked at; the others are accounted for." in result.err
            assert "found 2 = 2 added" in result.out
    assert cli.json("status")["staged"]["additions"] == 2
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler
    assert cli.json("add", "-r", tmp_path / "in")["already_there"] == 2


def test_a_second_ctrl_c_gives_up_the_whole_add(cli: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    def twice(*_: object) -> None:
        os.kill(os.getpid(), signal.SIGINT)
        os.kill(os.getpid(), signal.SIGINT)

    with monkeypatch.context() as patch:
        patch.setattr(ingest, "read_instance", twice)
        cli("add", CT, code=130)
    assert cli.json("status")["position"] == 1


def test_a_process_that_is_interrupted_ends_without_a_traceback(cli: Cli, tmp_path: Path) -> None:
    many = tmp_path / "many"
    many.mkdir()
    for n in range(3000):
        (many / f"{n}.dcm").symlink_to(CT)
    with subprocess.Popen(
        command_line("--repo", cli.repository, "add", "-r", many),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONPATH": os.fspath(PROJECT)},
    ) as command:
        packs = cli.repository / "vault"
        while command.poll() is None and not any(each.is_file() for each in packs.rglob("*")):
            time.sleep(0.01)  # until it is at work
        command.send_signal(signal.SIGINT)
        _, err = command.communicate(timeout=60)
    # It may have been done already; never does it end in a traceback.
    assert "Traceback" not in err
    assert command.returncode in {0, 1, 130, -signal.SIGINT}


# --- the system's errors -------------------------------------------------------------------------


def test_a_full_disk_is_refused_and_changes_nothing(
    cli: Cli, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object, **__: object) -> None:
        raise OSError(28, "No space left on device", "/disk")

    with monkeypatch.context() as patch:
        patch.setattr(ingest, "read_instance", full)
        error = cli.json("add", CT, code=3)["error"]
    assert error["message"] == "/disk: No space left on device."
    assert cli.json("status")["position"] == 1


# --- JSON and the reference ----------------------------------------------------------------------


def test_every_document_has_the_keys_that_are_documented(
    cli: Cli, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    known = every_command()

    def keys(name: str) -> set[str]:
        return {*known[name].shape, *COMMON}

    document = run("init", tmp_path / "another", "--json").document
    assert set(document) == keys("init")
    medium = tmp_path / "medium"
    change = cli.json("add", CT, MR)["change"]
    setting = cli.json("set", "uid=1.2.3")["change"]
    runs = {
        "add": ["add", CT],
        "set": ["set", "id=DISC"],
        "write": ["write", medium, "--dry-run"],
        "merge": ["merge", "PatientID=4MR1", "--into", "PatientID=1CT1", "--dry-run"],
        "remove": ["remove", "PatientID=1CT1"],
        "correct": ["correct", "PatientID=4MR1", "--to", "PatientName=X"],
        "move": ["move", "PatientID=4MR1", "--to", "PatientID=4MR1"],
        "undo": ["undo"],
        "redo": ["redo"],
        "revert": ["revert", setting],
        "tag": ["tag", "sent"],
        "status": ["status"],
        "recover": ["recover"],
        "watch": ["watch", "--status"],
        "quarantine": ["quarantine", "list"],
        "tree": ["tree"],
        "find": ["find", "PatientID=4MR1"],
        "values": ["values", "PatientID"],
        "log": ["log"],
        "show": ["show", change],
        "gc": ["gc"],
        "erase": ["erase", "PatientID=4MR1", "--dry-run"],
        "diff": ["diff", "1"],
        "blame": ["blame", "PatientID=1CT1"],
        "verify": ["verify"],
        "rebuild": ["rebuild"],
        "export": ["export", tmp_path / "copy", "--dry-run"],
        "help": ["help", "add"],
        "completion": ["completion", "fish"],
        "config": ["config"],
    }
    documents = {name: cli.json(*arguments) for name, arguments in runs.items()}
    documents["init"] = document
    documents["settle"] = cli.json("settle", "PatientID=9", code=1)
    for name, document in documents.items():
        assert set(document) == keys(name), name
    folder = tmp_path / "folder"
    folder.mkdir()
    (folder / "CT").write_bytes(Path(CT).read_bytes())
    assert set(run("index", folder, "--json").document) == keys("index")
    for name, arguments in {
        "keygen": ["keygen", tmp_path / "key"],
        "checkpoint": ["--repo", cli.repository, "checkpoint", "--key", tmp_path / "key"],
        "export-journal": ["--repo", cli.repository, "export-journal", tmp_path / "journal"],
        "import-journal": ["import-journal", tmp_path / "journal", tmp_path / "imported"],
    }.items():
        documents[name] = run(*arguments, "--json").document
        assert set(documents[name]) == keys(name), name
    for words in ("check", "make DISC", "list", "show 1", "verify DISC", "remake 1 AGAIN"):
        name, *places = words.split()
        places = [str(tmp_path / each) if each.isalpha() else each for each in places]
        documents[f"media {name}"] = cli.json("media", name, *places)
        assert set(documents[f"media {name}"]) == keys(f"media {name}"), name
    for name, *options in (("send", "--spool", tmp_path / "spool"), ("show",), ("status",)):
        documents[f"audit {name}"] = cli.json("audit", name, *options)
        assert set(documents[f"audit {name}"]) == keys(f"audit {name}"), name
    cli("media", "make", tmp_path / "disc.iso")
    install(tmp_path, monkeypatch)
    burnt = cli.json("media", "burn", tmp_path / "disc.iso", "--device", "/dev/null", "--dry-run")
    assert set(burnt) == keys("media burn")
    # That of `media label` is looked at in its own tests: it needs an extra.
    assert {"demo", "index", "media burn", "media label", "picture", "view", *documents} == set(
        known
    )
    for name, each in {**documents, "media burn": burnt}.items():
        for key, what in known[name].shape.items():
            assert each[key] != what, f"{name} {key}: what the reference says of it"
    assert set(documents["media list"]["media"][0]) == set(MEDIUM)
    # The log tells more of a change, in a format of its own (docs/reference/log-format.md).
    assert set(documents["log"]["changes"][0]) > set(CHANGE)
    assert set(documents["find"]["instances"][0]) == {*INSTANCE, "elements"}
    assert set(documents["status"]["staged"]) == set(STAGED)
    assert set(documents["write"]["plan"]) == set(PLAN)
    cli("write", medium)
    (medium / "DICOMDIR").unlink()
    assert set(cli.json("verify", code=1)["findings"][0]) == set(FINDING)
    assert set(cli.json("undo", 99, code=3)["error"]) == set(ERROR)


def test_json_is_asked_for_before_or_after_the_command(cli: Cli) -> None:
    after = run("--repo", cli.repository, "log", "--json").document
    assert run("--repo", cli.repository, "--json", "log").document == after


def test_the_reference_is_up_to_date() -> None:
    kept = (PROJECT / "docs" / "reference" / "cli.md").read_text(encoding="utf-8")
    assert kept == reference(), "run `python -m fileset.cli.reference docs/reference/cli.md`"


def test_each_command_is_in_the_module_of_its_name() -> None:
    groups = set(main.list_commands(click.Context(main))) - set(every_command())
    modules = [module.name for module in iter_modules(commands.__path__)]
    names = [re.sub("[ -]", "_", name) for name in (*every_command(), *groups)]
    assert sorted(modules) == sorted(names)
    for words, made in every_command().items():
        module = import_module(f"{commands.__name__}.{re.sub('[ -]', '_', words)}")
        assert [each for each in vars(module).values() if isinstance(each, Command)] == [made]
        assert made.name == words.rpartition(" ")[2]


def test_every_command_and_option_is_documented() -> None:
    text = reference()
    groups = (main, audit, media)
    summaries = [each for group in groups for each in group.summaries.values()]
    assert all(what.endswith(".") for section in summaries for what in section.values())
    for name, made in every_command().items():
        assert made.help
        assert f"### `fileset {name}`" in text
        for option in made.params:
            if isinstance(option, click.Option):
                assert option.help, f"{name} {option.name}"
                assert option.opts[0] in text


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("plain", "plain"),
        ("山田^太郎\u3000", "山田^太郎\u3000"),
        ("a\nb\tc\rd", "a\\nb\\tc\\rd"),
        ("\x1b[31m", "\\x1b[31m"),
        ("\x9b31m\x7f", "\\x9b31m\\x7f"),
        ("\udcff", "\\xff"),
        ("right-to-left \u202e", "right-to-left \\u202e"),
        ("\U000e0001", "\\U000e0001"),
    ],
)
def test_text_is_printed_without_what_could_act_on_a_terminal(text: str, shown: str) -> None:
    assert clean(text) == shown
    assert re.search(r"[\x00-\x1f\x7f-\x9f]", clean(text)) is None


def test_closed_streams_are_no_traceback(cli: Cli) -> None:
    line = shlex.join([*command_line("--repo", cli.repository, "tree")]) + " >&- 2>&-"
    assert subprocess.run(["bash", "-c", line], check=False).returncode in {0, 1}


def test_a_repository_is_not_made_in_another_one(cli: Cli) -> None:
    told = run("init", cli.repository / "inner", code=3).err
    assert f"is in the repository {cli.repository}" in told


def test_a_number_is_a_position_wherever_a_change_is_named(cli: Cli) -> None:
    cli("add", CT, MR)
    cli("set", "id=A")
    change = cli.json("log")["changes"][1]["id"]
    for position in (2, 3):
        assert cli.json("show", position)["change"]["id"] == change
    assert cli.json("revert", 2, "--dry-run")["reverted"][0]["id"] == change
    assert "has the positions 1 to 4, not 9999999" in cli("show", 9999999, code=2).err


def test_a_damaged_index_of_the_journal_is_found(cli: Cli) -> None:
    cli("add", CT)
    database = cli.repository / "journal.sqlite"
    with closing(sqlite3.connect(database)) as connection:
        (page,) = connection.execute(
            "SELECT rootpage FROM sqlite_schema WHERE name LIKE 'sqlite_autoindex_change%'"
        ).fetchone()
        (size,) = connection.execute("PRAGMA page_size").fetchone()
    data = bytearray(database.read_bytes())
    data[(page - 1) * size : page * size] = bytes(size)
    database.write_bytes(data)
    told = cli("verify", code=1).out
    assert "is damaged" in told
    assert "fileset recover" in told
    cli("recover")
    assert cli.json("verify")["findings"] == []


def test_a_person_sees_what_is_being_verified(cli: Cli) -> None:
    cli("add", CT, MR)
    cli("write", cli.repository.parent / "disc")
    controller, terminal = pty.openpty()
    done = subprocess.run(
        command_line("--repo", cli.repository, "verify"),
        stdout=subprocess.PIPE,
        stderr=terminal,
        env={**os.environ, "PYTHONPATH": os.fspath(PROJECT), "TERM": "xterm"},
        check=False,
    )
    os.close(terminal)
    shown = os.read(controller, 1 << 16).decode()
    os.close(controller)
    assert done.returncode == 0
    for phase in ("journal", "vault", "medium"):
        assert f"Checking the {phase}" in shown


@pytest.mark.parametrize("command", ["status", "log", "undo"])
def test_how_long_to_wait_is_taken_before_and_after_the_command(cli: Cli, command: str) -> None:
    cli("add", CT)
    cli("--wait", 5, command)
    cli("add", MR)
    cli(command, "--wait", 5)
    assert "0.0 is not in the range x>0" in cli(command, "--wait", 0, code=2).err


def test_an_option_is_not_named_as_python_calls_it_on_the_command_line(cli: Cli) -> None:
    cli("add", CT)
    told = cli("erase", "PatientID=1CT1", "--reason", "x", code=3).err
    assert "With --take-off they are removed" in told
    assert "take_off" not in told


def test_usage_errors_are_one_line_in_plain_words(cli: Cli) -> None:
    assert "Choose from: list, retry, drop\n" in cli("quarantine", code=2).err
    assert "'x' is not a valid whole number." in cli("undo", "x", code=2).err
    assert "'x' is not a valid number." in cli("--wait", "x", "status", code=2).err
    for name in main.list_commands(click.Context(main)):
        assert " RANGE" not in run(name, "--help").out


def test_both_faults_of_a_file_set_id_are_told(cli: Cli) -> None:
    err = cli("set", "id=this is far too long", code=2).err
    assert (
        "at most 16 characters; 'this is far too long' has 20. And PS3.10 Section 8.5 allows" in err
    )
    assert "Section 8.5" not in cli("set", "id=THIS_IS_FAR_TOO_LONG", code=2).err


def test_what_is_told_of_many_files_is_told_of_the_first_ones(cli: Cli, tmp_path: Path) -> None:
    folder = tmp_path / "messy"
    folder.mkdir()
    for number in range(9):
        (folder / f"note{number}.txt").write_text("no DICOM")
    for number in range(7):
        (folder / f"cut{number}.dcm").write_bytes(CT.read_bytes()[: 9000 + number])
    told = cli("add", folder, code=1).err.splitlines()
    assert len(told) == 5 + 1 + 5 + 1
    assert all(line.startswith(str(folder / "cut")) for line in told[:5])
    assert told[5] == "  ... and 2 more files like this one: --json lists them"
    assert all(line.startswith(str(folder / "note")) for line in told[6:11])
    assert told[11] == "  ... and 4 more files like this one: --json lists them"
    assert len(cli.json("add", folder, code=1)["results"]) == 16
    (folder / "cut6.dcm").unlink()
    assert len(cli("add", folder, code=1).err.splitlines()) == 6 + 5 + 1  # no line hides just one
