"""`config`: what is set once for all; it counts after the command line and the environment."""

from __future__ import annotations

import os
import tomllib
from pathlib import Path

import pytest
from cli_runs import CT, DICOMDIR, Cli, run, spawn
from hypothesis import given
from hypothesis import strategies as st

from fileset.cli.configuration import change_configuration


@pytest.fixture(autouse=True)
def mine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where the user's own file is."""
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    monkeypatch.delenv("FILESET_ACTOR", raising=False)
    monkeypatch.delenv("FILESET_REPO", raising=False)
    return tmp_path / "config" / "fileset" / "config.toml"


def last_actor(cli: Cli) -> str:
    return str(cli.json("log")["changes"][-1]["actor"])


def test_the_command_line_counts_before_the_environment_the_repository_and_the_user(
    cli: Cli, monkeypatch: pytest.MonkeyPatch
) -> None:
    cli("config", "set", "actor", "from-user")
    cli("set", "id=A")
    assert last_actor(cli) == "from-user"
    cli("config", "set", "--local", "actor", "from-repository")
    cli("set", "id=B")
    assert last_actor(cli) == "from-repository"
    monkeypatch.setenv("FILESET_ACTOR", "from-environment")
    cli("set", "id=C")
    assert last_actor(cli) == "from-environment"
    cli("set", "id=D", "--actor", "from-option")
    assert last_actor(cli) == "from-option"


def test_what_is_set_is_shown_with_where_it_is_set_and_can_be_unset(cli: Cli, mine: Path) -> None:
    assert cli("config").err == "Nothing is set.\n"
    cli("config", "set", "utc", "true")
    cli("config", "set", "wait", "5")
    cli("config", "set", "repos.main", "/srv/archive")
    assert tomllib.loads(mine.read_text()) == {
        "utc": True,
        "wait": 5.0,
        "repos": {"main": "/srv/archive"},
    }
    assert cli.json("config", "get", "wait")["settings"] == [
        {"key": "wait", "value": "5.0", "file": str(mine)}
    ]
    assert cli("config", "get", "utc").out == "true\n"
    assert cli("log").out.split()[2].endswith("Z")
    assert cli("config", "set", "utc", "true").out == "That is so already.\n"
    cli("config", "unset", "utc")
    assert not cli("log").out.split()[2].endswith("Z")
    assert cli("config", "get", "utc", code=1).err == "utc is not set.\n"


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["set", "actr", "x"], "Did you mean actor?"),
        (["set", "wait", "soon"], "wait has to be a number of seconds greater than 0, not 'soon'"),
        (["set", "wait", "nan"], "greater than 0"),
        (["set", "layout", "x"], "layout has to be one of pydicom"),
        (["set", "color", "blue"], "one of auto, always, never"),
        (["set", "utc", "yes"], "true or false"),
        (["set", "actor", "a\nb"], "a text in one line"),
        (["set", "repos.a b", "x"], "nothing called 'repos.a b'"),
        (["set", "actor"], "set takes a KEY and a VALUE"),
        (["get"], "get takes a KEY"),
        (["list", "actor"], "list takes no KEY"),
        (["unset", "actor", "x"], "unset takes a KEY"),
    ],
)
def test_what_can_t_be_set_is_refused_and_nothing_is_written(
    cli: Cli, mine: Path, arguments: list[str], told: str
) -> None:
    assert told in cli("config", *arguments, code=2).err
    assert not mine.exists()


def test_a_file_that_is_wrong_is_named_with_what_is_wrong(cli: Cli, mine: Path) -> None:
    mine.parent.mkdir(parents=True)
    for text, told in (
        ('actr = "x"', "Did you mean actor?"),
        ("wait = -1", "wait has to be a number of seconds"),
        ("wait = true", "wait has to be a number of seconds"),
        ("[wait]\nx = 1", "nothing called 'wait.x'"),
        ("actor", "is not TOML"),
        ("actor = 1", "actor has to be a text in one line"),
    ):
        mine.write_text(text)
        told_by = cli("status", code=2).err
        assert str(mine) in told_by
        assert told in told_by
    mine.write_bytes(b'actor = "\xff"')
    assert "not UTF-8" in cli("status", code=2).err
    run("help")  # which works all the same
    run("completion", "bash")
    mine.write_text('actr = "x"\nactor = "anna"\n')
    cli("config", "unset", "actr")
    assert mine.read_text() == 'actor = "anna"\n'


def test_what_is_wrong_in_the_file_of_a_repository_is_ignored_and_told(
    cli: Cli, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    theirs = cli.repository / "config.toml"
    for text, told in (
        ('theme = "dark"\nactor = "bob"', "nothing called 'theme'"),
        ('wait = -1\nactor = "bob"', "wait has to be a number of seconds"),
        (f'wait = 1{"0" * 400}\nactor = "bob"', "wait has to be a number of seconds"),
        (f"wait = 1{'0' * 5000}", "is not TOML"),
        (f"x = {'[' * 5000}", "nested too deep"),
        ("theme", "is not TOML"),
        ("x" * (1 << 20) + "x", "far too long"),
    ):
        theirs.write_text(text)
        (warning,) = cli("status").err.splitlines()
        assert warning.startswith(f"warning: {theirs}")
        assert told in warning
        assert warning.endswith("It is ignored.")
        if "bob" in text:
            assert cli("config", "get", "actor").out == "bob\n"
    assert "too long" in cli.json("verify")["warnings"][0]
    assert "too long" in cli("config", "set", "--local", "actor", "x", code=2).err
    theirs.unlink()
    os.mkfifo(theirs)
    assert "Not a regular file. It is ignored." in cli("log").err
    monkeypatch.chdir(cli.repository)
    assert "It is ignored." in run("init", tmp_path / "other").err


def test_a_repository_chooses_no_program_that_is_run_here(cli: Cli, tmp_path: Path) -> None:
    theirs = cli.repository / "config.toml"
    theirs.write_text(f'pager = "touch {tmp_path}/run; cat"\nactor = "bob"\n')
    told = cli("log").err
    assert f"{theirs}: pager is ignored: a repository may come from elsewhere" in told
    assert cli("config", "list").out.split()[:2] == ["actor", "bob"]
    for key in ("pager", "repo", "repos.x"):
        assert (
            "can't be set in a repository" in cli("config", "set", "--local", key, "x", code=3).err
        )
    assert not (tmp_path / "run").exists()


def test_repositories_have_short_names_and_one_is_there_by_default(
    cli: Cli, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path / "elsewhere")
    assert "There is no repository" in run("status", code=3).err
    run("config", "set", "repos.main", cli.repository)
    assert run("--repo", "main", "status", "--json").document["repository"] == str(cli.repository)
    assert run("status", "--repo", "main", "--json").document["repository"] == str(cli.repository)
    run("config", "set", "repo", "main")
    assert run("status", "--json").document["repository"] == str(cli.repository)
    run("init", "main")
    told = run("--repo", "main", "status", code=2).err
    assert "'main' is the repository in this folder, and a short name for" in told
    here = run("--repo", "./main", "status", "--json").document["repository"]
    assert here == str(tmp_path / "elsewhere" / "main")
    assert "fileset init" in run("--repo", "other", "status", code=3).err


def test_where_a_repository_is_does_not_depend_on_the_folder(
    cli: Cli, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, mine: Path
) -> None:
    there = str(cli.repository)
    monkeypatch.chdir(cli.repository.parent)
    run("config", "set", "repos.main", cli.repository.name)
    assert run("--repo", "main", "config", "get", "repos.main").out == f"{there}\n"
    run("config", "set", "repo", f"./{cli.repository.name}")
    assert run("config", "get", "repo").out == f"{there}\n"
    run("config", "set", "repo", "main")
    run("config", "set", "repos.home", "~/x")
    assert tomllib.loads(mine.read_text()) == {
        "repo": "main",
        "repos": {"main": there, "home": "~/x"},
    }
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    monkeypatch.chdir(elsewhere)
    for arguments in (("--repo", "main"), ()):
        assert run(*arguments, "status", "--json").document["repository"] == there
    mine.write_text('repos.main = "archive"')
    assert "repos.main has to be a path from / or ~ on" in run("status", code=2).err


def test_layout_color_and_language_are_defaults(cli: Cli, tmp_path: Path) -> None:
    cli("config", "set", "--local", "layout", "existing")
    cli("config", "set", "--local", "color", "always")
    cli("add", CT)
    assert cli.json("write", tmp_path / "medium", "--dry-run")["plan"]["layout"] == "existing"
    assert cli.json("export", tmp_path / "copy", "--dry-run")["plan"]["layout"] == "existing"
    options = ("--layout", "pydicom", "--dry-run")
    assert cli.json("write", tmp_path / "medium", *options)["plan"]["layout"] == "pydicom"
    log = ("--repo", cli.repository, "log")
    assert "\x1b[" in spawn(*log).stdout
    assert "\x1b[" not in spawn(*log, variables={"NO_COLOR": "1"}).stdout


def test_the_layout_that_is_configured_moves_nothing_that_was_written_or_adopted(
    tmp_path: Path,
) -> None:
    run("config", "set", "layout", "pydicom")
    run("init", tmp_path / "r", "--from", DICOMDIR)
    plan = Cli(tmp_path / "r").json("write", "--dry-run")["plan"]
    assert plan is None or plan["layout"] == "conformant"


def test_a_link_to_where_somebody_keeps_the_file_stays(
    cli: Cli, mine: Path, tmp_path: Path
) -> None:
    kept = tmp_path / "dotfiles.toml"
    kept.write_text("# mine\n\n[repos]\nmain = '/a'  # the first\n\n# the end\n")
    mine.parent.mkdir(parents=True)
    mine.symlink_to(kept)
    cli("config", "set", "repos.other", "/b")
    cli("config", "set", "actor", "anna")
    cli("config", "set", "repos.main", "/c")
    assert mine.is_symlink()
    assert kept.read_text() == (
        'actor = "anna"\n# mine\n\n[repos]\nmain = "/c"\nother = "/b"\n\n# the end\n'
    )
    assert os.listdir(tmp_path / "config" / "fileset") == ["config.toml"]  # noqa: PTH208


@pytest.mark.parametrize("end", ["\n", "\r\n"])
def test_all_other_lines_of_a_file_stay_as_they_are(mine: Path, end: str) -> None:
    mine.parent.mkdir(parents=True)
    head, tail = f"# a\u0085b\u2028c{end}utc = true  # so{end}", f'{end}[repos]{end}a = "/a"'
    mine.write_bytes(f'{head}actor = "anna"{end}{tail}'.encode())
    for key, value, expected in (
        ("actor", "bob", f'{head}actor = "bob"{end}{tail}{end}'),
        ("repos.b", "/b", f'{head}actor = "bob"{end}{tail}{end}b = "/b"{end}'),
        ("actor", None, f'{head}{tail}{end}b = "/b"{end}'),
    ):
        assert change_configuration(mine, key, value)
        assert mine.read_bytes() == expected.encode()


def test_what_is_written_in_a_way_of_its_own_is_left_alone(cli: Cli, mine: Path) -> None:
    mine.parent.mkdir(parents=True)
    mine.write_text('repos = {main = "/a"}\n')
    assert "edit it by hand" in cli("config", "set", "repos.main", "/b", code=2).err
    assert mine.read_text() == 'repos = {main = "/a"}\n'


def test_who_has_no_home_has_no_configuration_and_all_else_works(
    cli: Cli, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    def unknown(_: object) -> None:
        raise KeyError

    monkeypatch.setattr("pwd.getpwuid", unknown)
    for name in ("HOME", "XDG_CONFIG_HOME"):
        monkeypatch.delenv(name)
    monkeypatch.chdir(tmp_path)
    planted = tmp_path / "~" / ".config" / "fileset"
    planted.mkdir(parents=True)
    (planted / "config.toml").write_text("actr = 1")
    cli("status")
    run("--repo", "~nobody", "status", code=3)
    assert "XDG_CONFIG_HOME" in cli("config", "set", "actor", "x", code=3).err


TEXTS = st.text(st.characters(exclude_categories=("C", "Z")), min_size=1)


@given(
    st.lists(
        st.tuples(
            st.sampled_from(["actor", "institution", "repos.a", "repos.b"]), st.none() | TEXTS
        )
    )
)
def test_any_texts_are_set_and_unset_as_a_dictionary_would(
    tmp_path_factory: pytest.TempPathFactory, steps: list[tuple[str, str | None]]
) -> None:
    path = tmp_path_factory.mktemp("c") / "config.toml"
    model: dict[str, str] = {}
    for name, text in steps:
        value = f"/{text}" if text is not None and name.startswith("repos.") else text
        change_configuration(path, name, value)
        if value is None:
            model.pop(name, None)
        else:
            model[name] = value
    table = tomllib.loads(path.read_text("utf-8")) if path.exists() else {}
    repos = table.pop("repos", {})
    assert {**table, **{f"repos.{name}": value for name, value in repos.items()}} == model
