"""The quarantine: each content is kept once, and erased with the rest."""

from __future__ import annotations

from pathlib import Path

from cli_runs import CT, MR, RT_DOSE
from watched import House, drop

from fileset import FileSet
from fileset.quarantine.quarantine import Quarantine


def test_one_content_is_kept_once_however_often_it_is_put_aside(home: House) -> None:
    for name in "abc":
        drop(home.inbox, name, b"AUTORUN")
    home.drain()
    entries = list(Quarantine(home.repository))
    assert len(entries) == 3
    assert len({Quarantine(home.repository).bytes_of(e).stat().st_ino for e in entries}) == 1


def test_what_the_quarantine_has_of_a_person_is_erased_with_the_rest(home: House) -> None:
    drop(home.inbox, "ct", CT.read_bytes())
    drop(home.inbox, "cut-ct", CT.read_bytes()[:-100])
    drop(home.inbox, "cut-mr", MR.read_bytes()[:-100])
    drop(home.inbox, "notes", b"who knows")
    home.watcher(tries=1, once=True).run()
    assert len(Quarantine(home.repository)) == 3

    with FileSet.open(home.repository) as files:
        foreseen = files.erase(PatientID="1CT1", reason="request 17", dry_run=True)
        done = files.erase(PatientID="1CT1", reason="request 17", take_off=True)

    cut = str(home.inbox / "cut-ct")
    assert foreseen.quarantined == done.quarantined == (cut,)
    assert foreseen.unclear == done.unclear == 1
    left = {Path(entry.source).name for entry in Quarantine(home.repository)}
    assert left == {"cut-mr", "notes"}
    kept = b"".join(p.read_bytes() for p in home.repository.rglob("*") if p.is_file())
    assert b"1CT1" not in kept


def test_the_reason_that_keys_are_missing_names_the_way_out(home: House) -> None:
    drop(home.inbox, "dose", RT_DOSE.read_bytes())
    home.drain()
    assert "`fileset quarantine retry ID --complete`" in home.quarantined()["dose"][1]
