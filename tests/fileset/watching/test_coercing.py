"""What arrives in a watched folder gets the receiver's own values; what can't is put aside."""

from __future__ import annotations

from pathlib import Path

import pytest
from cli_runs import Cli, run
from watched import House, adds_up, drop, instance

from fileset.watching import After
from ledger.digest import digest_of
from ledger.errors import CorrectionError
from ledger.events import InstanceAdded, InstanceCorrected, InstanceRejected


@pytest.fixture
def rules(home: House) -> Path:
    """Rules for one person, who gets other UIDs too; there is no line for anybody else."""
    (home.path / "ids.csv").write_text("PatientID,new PatientID\n1CT1,4711\n")
    path = home.path / "rules.toml"
    path.write_text("[[rule]]\nids = 'ids.csv'\nnew_uids = true\n")
    return path


def foreign(number: int) -> bytes:
    """Return an instance of a person whom the table lacks."""
    return instance(number).replace(b"1CT1", b"9CT9")


def test_what_arrives_is_added_and_coerced_in_one_change(home: House, rules: Path) -> None:
    for number in (1, 2):
        drop(home.inbox, str(number), instance(number))
    status = home.drain(coerce=rules)
    assert (status["ingested"], status["changes"]) == (2, 1)
    assert adds_up(status)
    with home.file_set() as fs:
        assert {each.PatientID for each in fs} == {"4711"}
        assert len({each.StudyInstanceUID for each in fs}) == 1
    assert len(home.events(InstanceCorrected)) == 2
    (committed,) = home.committed
    assert (committed.added, committed.coerced) == (2, 2)


@pytest.mark.parametrize("after", [After.KEEP, After.DELETE])
def test_the_same_file_that_arrives_again_is_there_already(
    home: House, rules: Path, after: After
) -> None:
    drop(home.inbox, "first", instance(1))
    home.drain(coerce=rules, after=after)
    drop(home.inbox, "again", instance(1))
    status = home.drain(coerce=rules, after=after)
    assert (status["ingested"], status["duplicates"]) == (0, 1)
    assert home.names() == ([] if after is After.DELETE else ["again", "first"])
    assert len(home.events(InstanceAdded)) == len(home.events(InstanceCorrected)) * 2 == 2


def test_after_an_undo_it_is_withheld(home: House, rules: Path) -> None:
    drop(home.inbox, "first", instance(1)).touch()
    home.drain(coerce=rules)
    Cli(home.repository)("undo", "--by", "watch:inbox")
    drop(home.inbox, "again", instance(1))
    status = home.drain(coerce=rules)
    assert (status["ingested"], status["taken_back"]) == (0, 1)
    assert home.quarantined()["again"][0] == "withheld"


def test_what_can_t_be_coerced_goes_into_the_quarantine_at_once_and_the_others_are_added(
    home: House, rules: Path
) -> None:
    drop(home.inbox, "good", instance(1))
    drop(home.inbox, "bad", foreign(2))
    status = home.drain(coerce=rules)
    assert (status["ingested"], status["quarantined"]) == (1, 1)
    assert adds_up(status)
    outcome, reason = home.quarantined()["bad"]
    assert outcome == "not coerced"
    assert "no line of ids.csv matches it" in reason
    (rejected,) = home.events(InstanceRejected)
    assert rejected.source.endswith("bad")


def test_the_quarantine_tries_it_again_with_better_rules(home: House, rules: Path) -> None:
    drop(home.inbox, "bad", foreign(2))
    home.drain(coerce=rules)
    (home.path / "ids.csv").write_text("PatientID,new PatientID\n9CT9,4712\n")
    cli = Cli(home.repository)
    done = cli.json("quarantine", "retry", "--all", "--coerce", rules)
    assert done["coerced"] == 1
    assert [element["after"] for element in done["elements"]] == ["4712"]
    assert home.quarantined() == {}
    assert "4712" in cli("values", "PatientID").out
    assert home.drain(coerce=rules)["ingested"] == 0


def test_the_file_is_known_by_what_it_holds_and_not_by_what_was_made_of_it(
    home: House, rules: Path
) -> None:
    path = drop(home.inbox, "first", instance(1))
    home.drain(coerce=rules)
    run(
        "--repo", home.repository, "erase", "PatientID=4711", "--take-off",
        "--reason", "request 17",
    )  # fmt: skip
    path.touch()
    status = home.drain(coerce=rules)
    assert (status["ingested"], status["quarantined"]) == (0, 0)


def test_wrong_rules_are_told_before_anything_is_watched(home: House) -> None:
    path = home.path / "rules.toml"
    path.write_text("[[rule]]\nset = {PatientNmae = 'X'}\n")
    with pytest.raises(CorrectionError, match=r"rule 1, set\.PatientNmae"):
        home.watcher(coerce=path)
    error = run(
        "--repo", home.repository, "watch", home.inbox, "--once", "--coerce", path, code=2
    ).err
    assert "set.PatientNmae" in error


def test_the_original_is_in_the_vault_before_its_source_is_deleted(
    home: House, rules: Path
) -> None:
    drop(home.inbox, "first", instance(1))
    home.drain(coerce=rules, after=After.DELETE)
    with home.file_set() as fs:
        assert fs.repository.vault.is_sound(digest_of(instance(1)))
