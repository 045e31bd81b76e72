"""erase: what is erased is told, and what makes no sense."""

from __future__ import annotations

from pathlib import Path

import pytest
from cli_runs import Cli, run
from erasing import ID, REASON, erase, files_in, repository_of, traces

from fileset.erasure.erase import Eraser


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return repository_of(files_in(tmp_path))


def test_an_interrupted_one_is_told_and_completed_by_itself(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    cli = Cli(path)
    with monkeypatch.context() as patch:
        patch.setattr(Eraser, "_purge", lambda _: (_ for _ in ()).throw(KeyboardInterrupt))
        with pytest.raises(KeyboardInterrupt):
            erase(path)
    assert "--complete` completes it" in cli("verify", code=1).out
    assert "completed" in cli("erase", "--complete").out or traces(path) == []
    assert traces(path) == []
    assert "No erasure was interrupted" in cli("erase", "--complete").out
    assert "all is well" in cli("verify").out


def test_the_command_tells_what_it_erased(path: Path, tmp_path: Path) -> None:
    cli = Cli(path)
    cli("tag", f"of-{ID}")
    told = cli("erase", f"PatientID={ID}", "--dry-run")
    assert "Would erase 3 instances, and the data of" in told.out
    assert f"Would delete 1 tag: of-{ID}." in told.out
    done = cli("erase", f"PatientID={ID}", "--reason", REASON)
    assert "Erased 3 instances, and the data of" in done.out
    assert f"Deleted 1 tag: of-{ID}." in done.out
    assert f"{tmp_path / 'copy'} was written with them" in done.err
    again = cli("erase", f"PatientID={ID}", "--reason", REASON, code=1)
    assert "No instance matches." in again.err
    log = cli("log", "--events").out
    assert "erased: instance-added" in log
    assert "erased since" in log
    assert traces(path) == []
    document = cli.json("log", "--events")
    payloads = [e["payload"] for c in document["changes"] for e in c["events"]]
    assert None in payloads
    for change in document["changes"]:
        cli("show", change["id"], "--json")
        cli("show", change["id"])
    cli("diff", 1)
    cli("diff", 2, 9)


def test_it_is_told_whom_to_call_for_discs_and_what_of_the_bytes_was_on_them(
    filled: Cli, tmp_path: Path
) -> None:
    filled("media", "make", tmp_path / "disc.iso", "PatientID=1CT1", "--recipient", "Dr. Weiss",
           "--viewer")  # fmt: skip
    asked = ("erase", "PatientID=1CT1", "--take-off", "--reason", REASON)
    told = filled(*asked, "--dry-run")
    assert "file" in told.out.partition("Among these ")[2]
    assert "that medium 1 had besides instances, such as pages and a viewer." in told.out
    assert "Medium 1 (ISO image of " in told.err
    assert (
        "for Dr. Weiss, has 1 instance of them and stays where it is. It can't be made again "
        in (told.err)
    )
    assert "The recipient is erased as well: write it down before." in told.err
    assert filled.json(*asked, "--dry-run")["handed_out"][0]["recipient"] == "Dr. Weiss"
    done = filled(*asked)
    assert "for Dr. Weiss, has 1 instance" in done.err
    assert "told here for the last time" in done.err
    assert "1 instance erased since" in filled("media", "list").out
    assert filled.json("media", "list")["media"][0]["erased"] == 1
    assert "Weiss" not in filled("media", "list").out + filled("log", "--events").out


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--reason", "x"], "Name whose data"),
        (["PatientID=", "--reason", "x"], "Name whose data"),
        (["PatientID=X"], "needs a --reason"),
        (["Modality=CT", "--reason", "x"], "whose data it is"),
        (["PatientID=X", "--complete"], "takes no KEYWORD"),
    ],
)
def test_the_command_says_what_makes_no_sense(
    path: Path, arguments: list[str], message: str
) -> None:
    assert message in run("--repo", path, "erase", *arguments, code=2).err
